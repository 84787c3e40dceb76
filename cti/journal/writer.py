"""The journal on the disk: appended by group commit, read back after a crash, tailed by the drain.

Theory of operation. `append` encodes its facts at once, on the caller's thread, and writes them to the file: so the order
on the disk is the order of the calls, and what is written survives the end of this process. One writer thread makes what
has gathered durable with one `fdatasync`, and ends the awaitables of those batches. While a sync is running the next batch
gathers; the busier it is, the more facts share one sync. What `append` cannot write (the segment is full, the disk is in
trouble, or others before it are not written) the thread writes; `written()` tells. The two never write at the same time.

Trouble with the disk (full, read-only, failing) must not stop calls. The batch that meets it is told (`JournalError`
with `kept=True`); from then on facts are kept in memory, `append` ends at once, `state()` says so loudly, and the
writer tries again every second, in order, until all is on the disk. Only when `memory_limit` bytes are waiting are
further facts refused. The files are `segments.Segments`; which of them a restart still needs knows
`retention.Retention`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from cti.journal.codec import Opaque, Position, Record, decode, decoded, encode, frame
from cti.journal.errors import JournalError
from cti.journal.retention import Retention
from cti.journal.segments import Disk, Segments
from cti.model.facts import Fact

_log = structlog.get_logger(__name__)

_WRITE_CHUNK = 4 << 20
"""Bytes that share one sync, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalState:
    """How the journal is. `end` is the position after the last durable fact."""

    healthy: bool
    end: Position
    in_memory: int
    """Facts not yet on the disk."""
    trouble: str = ""
    """What the disk said, while it is not healthy."""
    trouble_since: float | None = None
    """`time.monotonic()` of its beginning."""
    refused: int = 0
    """Facts lost because the memory limit was reached."""
    torn_bytes: int = 0
    """Bytes cut off the tail when the journal was opened."""


@dataclass(slots=True)
class _Entry:
    record: bytes
    fact: Fact


class _Batch:
    """The facts of one `append` and the awaitable that waits for them; and whether they are in the file."""

    __slots__ = ("entries", "future", "loop", "written")

    def __init__(self, entries: list[_Entry], loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
        self.entries, self.loop, self.future = entries, loop, future
        self.written = False


class JournalWriter:
    """The durable log of facts (the port `services.ports.Journal`), in one folder, of one process.

    Opening reads and checks every retained segment (about 0.2 s per 100 MB) and blocks; do it before the event loop
    is busy. Raises `JournalError` when the folder cannot be used or another process has it.
    """

    def __init__(
        self,
        folder: Path,
        journal_id: str | None = None,
        *,
        segment_bytes: int = 16 << 20,
        memory_limit: int = 256 << 20,
        retry_seconds: float = 1.0,
        disk: Disk | None = None,
    ) -> None:
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._memory_limit = memory_limit
        self._retry_seconds = retry_seconds
        try:
            self._segments = Segments(folder, journal_id, segment_bytes=segment_bytes, disk=disk or Disk())
        except OSError as error:
            raise JournalError(
                f"the journal in {folder} cannot be opened: {error.strerror or error}",
                remedy="make the folder writable and see that the disk has space",
                folder=str(folder),
            ) from error
        self.journal_id = self._segments.journal_id
        self._retention = Retention()
        """Guarded by the lock, as is all that follows."""
        self._lock = self._segments.lock
        self._wake = threading.Condition(self._lock)
        self._pending: list[_Batch] = []
        self._backlog: list[_Batch] = []
        self._memory = 0
        self._uncounted = 0
        """Bytes in the newest segment that are written and not yet durable."""
        self._thread_writes = False
        """Whether batches are not in the file: what comes is written behind them, by the thread."""
        self._torn = False
        """Whether the file ends in a part of a batch."""
        self._closing = False
        self._trouble = ""
        self._trouble_since: float | None = None
        self._refused = 0
        self._waiters: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self._refusing = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    # --- appending ---------------------------------------------------------------------------------------------------

    def append(self, facts: Sequence[Fact]) -> asyncio.Future[None]:
        """Queue facts in order, at once; the awaitable ends when they are durable. Call it from the event loop.

        Raises `ValueError` at once for a fact with a naive time (nothing of this call is queued). The awaitable raises
        `JournalError` as the module's text says; a fact is never to be appended again.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        entries = [_Entry(frame(encode(fact)), fact) for fact in facts]
        size = sum(len(entry.record) for entry in entries)
        with self._lock:
            if self._closing:
                error: JournalError | None = JournalError("the journal is closed", remedy="start the bridge again")
            elif self._memory + size > self._memory_limit:
                self._refused += len(entries)
                error = JournalError(
                    f"the journal cannot be written ({self._trouble or 'the disk is too slow'}) and its memory is full",
                    remedy=f"free space on the disk that holds {self.folder}",
                )
            else:
                error = None
                self._memory += size
                batch = _Batch(entries, loop, future)
                batch.written = self._write_ahead(entries)
                self._pending.append(batch)
                if self._trouble and not future.done():
                    future.set_result(None)
                self._wake.notify()
        if error is not None:
            if not self._refusing:
                _log.critical("journal_refuses_facts", error=error.message, remedy=error.remedy)
            self._refusing = True
            future.set_exception(error)
            future.exception()  # told above: an append nobody awaits is not reported twice
        else:
            self._refusing = False
        return future

    def _write_ahead(self, entries: list[_Entry]) -> bool:
        """Put a batch into the file at once, if nothing before it is still to be written. Under the lock."""
        if self._thread_writes or self._trouble:
            return False
        data = b"".join([entry.record for entry in entries])
        taken = self._segments.write_ahead(data, self._uncounted)
        if taken:
            self._uncounted += len(data)
            return True
        self._thread_writes = True
        self._torn = taken is False
        return False

    def written(self) -> bool:
        """Whether all that was appended so far is in the file: the end of this process loses nothing of it, a power cut might."""
        return not self._thread_writes and not self._trouble

    def _run(self) -> None:
        """The writer thread."""
        while True:
            with self._lock:
                while not self._pending and not self._closing and not self._backlog:
                    self._thread_writes = bool(self._trouble)
                    self._wake.wait()
                self._backlog += self._pending
                self._pending = []
                if not self._backlog:
                    return
                last_try = self._closing
            try:
                self._write_backlog()
            except Exception as error:  # whatever it is, facts are kept and it is tried again
                self._rewrite()
                self._report_trouble(error)
                if last_try:
                    return
                with self._lock:
                    if not self._closing:
                        self._wake.wait_for(lambda: self._closing, timeout=self._retry_seconds)
            else:
                self._report_recovery()

    def _write_backlog(self) -> None:
        """Write what is in the backlog and not in the file, and sync it, a few megabytes at a time."""
        if self._torn:
            self._rewrite()
        while self._backlog:
            # Those in the file come first: they are counted before a new segment may begin.
            size, count, written = 0, 0, self._backlog[0].written
            for batch in self._backlog:
                if batch.written is not written:
                    break
                size += sum(len(entry.record) for entry in batch.entries)
                count += 1
                if size >= _WRITE_CHUNK:
                    break
            batches = self._backlog[:count]
            if not written:
                self._segments.append(b"".join(entry.record for batch in batches for entry in batch.entries))
                with self._lock:
                    self._uncounted += size
                    for batch in batches:
                        batch.written = True
                    if count == len(self._backlog) and not self._pending and not self._trouble:
                        self._thread_writes = False
            self._segments.sync()
            del self._backlog[:count]
            self._commit(batches, size)

    def _rewrite(self) -> None:
        """Nothing that is not durable counts as written any more."""
        with self._lock:
            self._torn, self._thread_writes, self._uncounted = False, True, 0
            for batch in (*self._backlog, *self._pending):
                batch.written = False
            self._segments.abandon()

    def _commit(self, batches: list[_Batch], size: int) -> None:
        """What was written is durable: count it, note it, and tell those who wait."""
        with self._lock:
            segment = self._segments.all[-1]
            for batch in batches:
                for entry in batch.entries:
                    self._retention.note(segment, segment.end, entry.fact)
                    segment.end += 1
            segment.length += size
            self._memory -= size
            self._uncounted -= size
            waiters, self._waiters = self._waiters, {}
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for batch in batches:
            by_loop.setdefault(batch.loop, []).append(batch.future)
        for waiter, loop in waiters.items():
            by_loop.setdefault(loop, []).append(waiter)
        for loop, futures in by_loop.items():
            _tell(loop, futures, None)

    def _report_trouble(self, error: Exception) -> None:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        with self._lock:
            first = not self._trouble
            self._trouble = text
            if first:
                self._trouble_since = time.monotonic()
            told = self._backlog + self._pending
        if first:
            _log.critical(
                "journal_cannot_write",
                folder=str(self.folder),
                error=text,
                remedy="free space on that disk; facts are kept in memory and calls go on meanwhile",
            )
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for batch in told:
            by_loop.setdefault(batch.loop, []).append(batch.future)
        problem = JournalError(
            f"facts could not be written to {self.folder}: {text}",
            kept=True,
            remedy="free space on that disk; they are kept in memory and will be written",
        )
        for loop, futures in by_loop.items():
            _tell(loop, futures, problem if first else None)

    def _report_recovery(self) -> None:
        if not self._trouble:
            return
        with self._lock:
            seconds = time.monotonic() - (self._trouble_since or 0.0)
            self._trouble, self._trouble_since = "", None
        _log.warning("journal_writes_again", folder=str(self.folder), after_seconds=round(seconds, 1))

    # --- reading -----------------------------------------------------------------------------------------------------

    def recover(self) -> list[Fact]:
        """The facts of the retained segments, in order. Call it once, after opening; it blocks.

        It also learns which calls are still open, which `forget` needs: without it nothing old is ever deleted.
        """
        facts: list[Fact] = []
        with self._lock:
            segments = list(self._segments.all)
        for segment in segments:
            position, end, already = segment.first, segment.end, segment.noted
            while position < end:
                records = self.records_from(Position(position), limit=10_000, before=Position(end))
                if not records:
                    break
                read = [decode(record.payload) for record in records]
                with self._lock:
                    for record, fact in zip(records, read, strict=True):
                        if isinstance(fact, Opaque):
                            continue
                        facts.append(fact)
                        if not already:
                            self._retention.note(segment, record.position, fact)
                position = records[-1].position + 1
            segment.noted = True
        return facts

    def read_from(self, position: Position) -> Iterator[tuple[Position, Fact]]:
        """Durable facts from `position` on, in order, up to the end as it is when reached. Blocks on the disk."""
        while records := self.records_from(position, limit=1000):
            yield from decoded(records)
            position = Position(records[-1].position + 1)

    def records_from(self, position: Position, *, limit: int, before: Position | None = None) -> list[Record]:
        """Up to `limit` durable records with `position` <= theirs (< `before`), undecoded. Empty at the end.

        Cheap when reading on from where the last call ended. Segments deleted meanwhile are passed over.
        """
        return self._segments.records_from(position, limit=limit, before=before)

    async def wait_beyond(self, position: Position) -> Position:
        """Wait until a record at `position` or later is durable; the durable end is returned."""
        while True:
            loop = asyncio.get_running_loop()
            with self._lock:
                end = self._segments.all[-1].end
                if end > position:
                    return Position(end)
                waiter: asyncio.Future[None] = loop.create_future()
                self._waiters[waiter] = loop
            try:
                await waiter
            finally:
                with self._lock:
                    self._waiters.pop(waiter, None)

    def forget(self, before: Position) -> int:
        """Delete segments that lie wholly before `before` (drained) and that a restart does not need; how many went.

        Needed are: facts of calls still open or in wrap-up, the last word on each agent's state and re-assignment, each forced
        queue and each emergency, and always the last `segment_bytes` of history. Any thread may call it.
        """
        segments = self._segments
        with self._lock:
            gone = self._retention.unneeded(segments.all, before, history_bytes=self._segment_bytes)
            if not gone:
                return 0
            segments.all = [segment for segment in segments.all if segment not in gone]
            self._retention.forget_calls_not_in(segments.all)
        segments.delete(gone)
        _log.info("journal_segments_deleted", count=len(gone), before=int(before))
        return len(gone)

    # --- state and end -----------------------------------------------------------------------------------------------

    @property
    def end(self) -> Position:
        """The position after the last durable fact."""
        return self._segments.end

    @property
    def first(self) -> Position:
        """The first position that is still retained."""
        return self._segments.first

    def state(self) -> JournalState:
        """How the journal is; `healthy` False makes the bridge not ready for new work."""
        with self._lock:
            waiting = sum(len(batch.entries) for batch in (*self._backlog, *self._pending))
            return JournalState(
                healthy=not self._trouble and not self._closing,
                end=Position(self._segments.all[-1].end),
                in_memory=waiting,
                trouble=self._trouble,
                trouble_since=self._trouble_since,
                refused=self._refused,
                torn_bytes=self._segments.torn_bytes,
            )

    async def close(self) -> None:
        """Write what is left, stop the thread, give the folder back. Raises `JournalError` if facts are lost by it."""
        with self._lock:
            already = self._closing
            self._closing = True
            self._wake.notify_all()
        await asyncio.to_thread(self._thread.join)
        if already:
            return
        self._segments.close()
        lost = self.state().in_memory
        if lost:
            raise JournalError(
                f"{lost} facts could not be written before the end: {self._trouble}",
                remedy=f"free space on the disk that holds {self.folder}",
                lost=lost,
            )

    async def __aenter__(self) -> Self:
        """The journal itself; it is closed at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()


def _tell(
    loop: asyncio.AbstractEventLoop, futures: Iterable[asyncio.Future[None]], problem: JournalError | None
) -> None:
    """End futures on their own loop."""
    futures = list(futures)

    def end() -> None:
        for future in futures:
            if future.done():
                continue
            if problem is None:
                future.set_result(None)
            else:
                future.set_exception(problem)
                future.exception()  # already logged: an append nobody awaits is not reported twice

    try:
        loop.call_soon_threadsafe(end)
    except RuntimeError:
        pass  # the loop is closed: nobody waits any more
