"""The journal on the disk: appended by group commit, read back after a crash, tailed by the drain.

Theory of operation. `append` encodes its facts at once, on the caller's thread, and puts them in a list: so the order
on the disk is the order of the calls. One writer thread takes whatever has gathered, writes it with one `write`, makes
it durable with one `fdatasync`, and ends the awaitables of that batch. While a sync is running the next batch gathers;
the busier it is, the more facts share one sync.

Trouble with the disk (full, read-only, failing) must not stop calls. The batch that meets it is told (`JournalError`
with `kept=True`); from then on facts are kept in memory, `append` ends at once, `state()` says so loudly, and the
writer tries again every second, in order, until all is on the disk. Only when `memory_limit` bytes are waiting are
further facts refused. After a failed sync the kernel may have dropped the pages, so writing resumes in a new segment,
from the last position known to be durable.

Segments are files named by their first position. A torn tail found at the start is copied aside (`*.torn`), cut off, and
positions then skip ahead by `TORN_GAP`: should the disk have lost records that were already drained, no position is
ever given to a second fact.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from cti.ids import AgentId, CallId
from cti.journal.codec import (
    HEAD_LENGTH,
    Opaque,
    Position,
    Record,
    decode,
    decoded,
    encode,
    frame,
    read_segment_head,
    replay,
    segment_head,
)
from cti.journal.errors import JournalError
from cti.model.facts import AgentChanged, CallAnswered, CallEnded, CallFact, Fact, WrapUpEnded

_log = structlog.get_logger(__name__)

TORN_GAP = 1_000_000
_SUFFIX = ".journal"
_READ_CHUNK = 1 << 20
_WRITE_CHUNK = 4 << 20
_WRAP_UP_PATIENCE = timedelta(hours=1)
"""A call that ended so long ago (by the newest fact) no longer waits for a wrap-up that nobody ended."""


class Disk:
    """The three things the writer asks of the disk; a test makes them fail."""

    def write(self, descriptor: int, data: bytes) -> int:
        """Write some of `data`; how much is returned. Raises `OSError`."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make what was written durable. Raises `OSError`."""
        os.fdatasync(descriptor)

    def create(self, path: Path) -> int:
        """A new, empty file, open for writing. Raises `OSError`."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


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


@dataclass(slots=True, kw_only=True)
class _Segment:
    first: int
    path: Path
    end: int
    """Position after its last durable record."""
    length: int
    """Bytes that are durable and whole, head included."""
    noted: bool = False
    """Whether `calls` and `agents` tell all its facts: only then may it be deleted."""
    calls: set[CallId] = field(default_factory=set)
    agents: set[AgentId] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class _Call:
    ended: datetime | None = None
    answered: set[AgentId] = field(default_factory=set)
    wrapped: set[AgentId] = field(default_factory=set)


@dataclass(slots=True)
class _Entry:
    record: bytes
    fact: Fact


class _Batch:
    """The facts of one `append` and the awaitable that waits for them."""

    __slots__ = ("entries", "future", "loop")

    def __init__(self, entries: list[_Entry], loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
        self.entries, self.loop, self.future = entries, loop, future


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
        self._disk = disk or Disk()
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._pending: list[_Batch] = []
        self._backlog: list[_Batch] = []
        self._memory = 0
        self._closing = False
        self._trouble = ""
        self._trouble_since: float | None = None
        self._refused = 0
        self._torn_bytes = 0
        self._segments: list[_Segment] = []
        self._descriptor = -1
        self._calls: dict[CallId, _Call] = {}
        self._agents: dict[AgentId, int] = {}
        self._newest: datetime | None = None
        self._seek: tuple[int, int, int] = (-1, 0, 0)
        self._waiters: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self._refusing = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock_file = self._take_folder()
            try:
                self.journal_id = self._identity(journal_id)
                self._open_segments()
            except BaseException:
                os.close(self._lock_file)
                raise
        except OSError as error:
            raise JournalError(
                f"the journal in {folder} cannot be opened: {error.strerror or error}",
                remedy="make the folder writable and see that the disk has space",
                folder=str(folder),
            ) from error
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    # --- opening -----------------------------------------------------------------------------------------------------

    def _take_folder(self) -> int:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise JournalError(
                f"another process is writing the journal in {self.folder}",
                remedy="stop the other bridge, or give this one a data folder of its own",
                folder=str(self.folder),
            ) from None
        return descriptor

    def _identity(self, wanted: str | None) -> str:
        path = self.folder / "id"
        try:
            found = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            found = ""
        if not found:
            names = sorted(self.folder.glob(f"*{_SUFFIX}"))
            if names:  # the id is lost, the segments know it
                with names[-1].open("rb") as file:
                    found = read_segment_head(file.read(HEAD_LENGTH)).journal_id
            else:
                found = wanted or uuid.uuid4().hex
            draft = path.with_suffix(".new")
            draft.write_text(found + "\n", encoding="ascii")
            draft.replace(path)
        if wanted is not None and wanted != found:
            raise JournalError(
                f"the journal in {self.folder} is {found}, not {wanted}",
                remedy="use the data folder this journal belongs to",
            )
        return found

    def _open_segments(self) -> None:
        for leftover in self.folder.glob(f"*{_SUFFIX}.new"):
            leftover.unlink()
        paths = sorted(self.folder.glob(f"*{_SUFFIX}"))
        firsts = [int(path.stem) for path in paths]
        for index, path in enumerate(paths):
            data = path.read_bytes()
            head = read_segment_head(data[:HEAD_LENGTH])
            if head.journal_id != self.journal_id or head.first != firsts[index]:
                raise JournalError(
                    f"{path} does not belong to the journal {self.journal_id}",
                    remedy="move the file out of the journal's folder",
                )
            found = replay(data[HEAD_LENGTH:], head.first)
            length = HEAD_LENGTH + found.good_length
            end = head.first + len(found.records)
            following = firsts[index + 1] if index + 1 < len(firsts) else None
            if following is not None and end > following:  # rewritten after trouble: the newer segment counts
                kept = found.records[: following - head.first]
                length = HEAD_LENGTH + sum(len(record.payload) + 8 for record in kept)
                end = following
            elif len(data) > length and following is not None:
                _log.error("journal_segment_damaged", file=str(path), position=end, unread_bytes=len(data) - length)
            elif len(data) > length:
                self._torn_bytes = len(data) - length
                path.with_suffix(".torn").write_bytes(data[length:])
                _log.error("journal_tail_cut", file=str(path), bytes=self._torn_bytes, position=end)
                with path.open("r+b") as file:
                    file.truncate(length)
                    os.fsync(file.fileno())
            self._segments.append(_Segment(first=head.first, path=path, end=end, length=length))
        end = self._segments[-1].end if self._segments else 0
        last = self._segments[-1] if self._segments else None
        if last is not None and not self._torn_bytes and last.length < self._segment_bytes:
            self._descriptor = os.open(last.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        else:
            self._new_segment(end + TORN_GAP if self._torn_bytes else end)
        if last is None:
            self._segments[-1].noted = True

    def _new_segment(self, first: int) -> None:
        """Begin a segment at `first`: visible under its name only when its head is durable. Raises `OSError`."""
        path = self.folder / f"{first:020d}{_SUFFIX}"
        draft = path.with_name(path.name + ".new")
        descriptor = self._disk.create(draft)
        try:
            head = segment_head(self.journal_id, Position(first))
            if self._disk.write(descriptor, head) != len(head):
                raise OSError(28, "the disk took only part of a segment's head")
            self._disk.sync(descriptor)
            draft.replace(path)
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except BaseException:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        fresh = _Segment(first=first, path=path, end=first, length=HEAD_LENGTH, noted=True)
        with self._lock:
            if self._segments and self._segments[-1].first == first:  # an empty one is replaced by its like
                self._segments[-1] = fresh
            else:
                self._segments.append(fresh)

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
                self._pending.append(_Batch(entries, loop, future))
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

    def _run(self) -> None:
        """The writer thread."""
        while True:
            with self._lock:
                while not self._pending and not self._closing and not self._backlog:
                    self._wake.wait()
                self._backlog += self._pending
                self._pending = []
                if not self._backlog:
                    return
                last_try = self._closing
            try:
                self._write_backlog()
            except Exception as error:  # whatever it is, facts are kept and it is tried again
                self._report_trouble(error)
                if last_try:
                    return
                with self._lock:
                    if not self._closing:
                        self._wake.wait_for(lambda: self._closing, timeout=self._retry_seconds)
            else:
                self._report_recovery()

    def _write_backlog(self) -> None:
        """Write and sync what is in the backlog, a few megabytes at a time."""
        while self._backlog:
            if self._descriptor < 0 or self._segments[-1].length >= self._segment_bytes:
                self._new_segment(self._segments[-1].end)
            size, count = 0, 0
            for batch in self._backlog:
                size += sum(len(entry.record) for entry in batch.entries)
                count += 1
                if size >= _WRITE_CHUNK:
                    break
            batches = self._backlog[:count]
            data = b"".join(entry.record for batch in batches for entry in batch.entries)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[self._disk.write(self._descriptor, bytes(rest) if len(rest) < len(data) else data) :]
                self._disk.sync(self._descriptor)
            except Exception:
                self._abandon_descriptor()
                raise
            del self._backlog[:count]
            self._commit(batches, len(data))

    def _abandon_descriptor(self) -> None:
        """After a failure: cut what is not known to be durable, and write on in a new segment."""
        descriptor, self._descriptor = self._descriptor, -1
        try:
            os.ftruncate(descriptor, self._segments[-1].length)
        except OSError:
            pass  # opening the journal ignores what overlaps the next segment
        finally:
            os.close(descriptor)

    def _commit(self, batches: list[_Batch], size: int) -> None:
        """What was written is durable: count it, note it, and tell those who wait."""
        with self._lock:
            segment = self._segments[-1]
            for batch in batches:
                for entry in batch.entries:
                    self._note(segment, segment.end, entry.fact)
                    segment.end += 1
            segment.length += size
            self._memory -= size
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
            segments = list(self._segments)
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
                            self._note(segment, record.position, fact)
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
        found: list[Record] = []
        with self._lock:
            spans = [(one.first, one.path, one.end, one.length) for one in self._segments if one.end > position]
        for first, path, end, length in spans:
            place, offset = first, HEAD_LENGTH
            if self._seek[0] == first and self._seek[1] <= position:
                _, place, offset = self._seek
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue
            chunk = _READ_CHUNK
            with file:
                while place < end and len(found) < limit:
                    file.seek(offset)
                    data = file.read(min(chunk, length - offset))
                    part = replay(data, Position(place))
                    if not part.records:
                        if len(data) >= length - offset:
                            _log.error("journal_segment_damaged", file=str(path), position=place)
                            break
                        chunk *= 2
                        continue
                    taken = 0
                    for record in part.records:
                        if len(found) >= limit or (before is not None and record.position >= before):
                            break
                        taken += len(record.payload) + 8
                        place = record.position + 1
                        if record.position >= position:
                            found.append(record)
                    offset += taken
                    if taken < part.good_length:
                        self._seek = (first, place, offset)
                        return found
            self._seek = (first, place, offset)
            if len(found) >= limit:
                break
        return found

    async def wait_beyond(self, position: Position) -> Position:
        """Wait until a record at `position` or later is durable; the durable end is returned."""
        while True:
            loop = asyncio.get_running_loop()
            with self._lock:
                end = self._segments[-1].end
                if end > position:
                    return Position(end)
                waiter: asyncio.Future[None] = loop.create_future()
                self._waiters[waiter] = loop
            try:
                await waiter
            finally:
                with self._lock:
                    self._waiters.pop(waiter, None)

    # --- retention ---------------------------------------------------------------------------------------------------

    def _note(self, segment: _Segment, position: int, fact: Fact) -> None:
        """Remember what would make this segment needed after a restart. The lock is held."""
        if self._newest is None or fact.at > self._newest:
            self._newest = fact.at
        if isinstance(fact, AgentChanged):
            segment.agents.add(fact.agent_id)
            self._agents[fact.agent_id] = position
        elif isinstance(fact, CallFact):
            segment.calls.add(fact.call_id)
            call = self._calls.get(fact.call_id)
            if call is None:
                # A wrap-up whose call is forgotten already opens no call.
                call = self._calls[fact.call_id] = _Call(ended=fact.at if isinstance(fact, WrapUpEnded) else None)
            if isinstance(fact, CallEnded):
                call.ended = fact.at
            elif isinstance(fact, CallAnswered):
                call.answered.add(fact.agent_id)
            elif isinstance(fact, WrapUpEnded):
                call.wrapped.add(fact.agent_id)

    def _is_open(self, call: _Call | None) -> bool:
        if call is None:
            return False
        if call.ended is None:
            return True
        assert self._newest is not None
        return not call.answered <= call.wrapped and self._newest - call.ended < _WRAP_UP_PATIENCE

    def forget(self, before: Position) -> int:
        """Delete segments that lie wholly before `before` (drained) and that a restart does not need; how many went.

        Needed are: facts of calls still open or in wrap-up, the last word on each agent's state, and always the last
        `segment_bytes` of history. Any thread may call it.
        """
        with self._lock:
            if len(self._segments) == 1:
                return 0
            history = 0
            keep: list[_Segment] = []
            gone: list[_Segment] = []
            for index in range(len(self._segments) - 1, -1, -1):
                segment = self._segments[index]
                needed = (
                    index == len(self._segments) - 1
                    or history < self._segment_bytes
                    or not segment.noted
                    or segment.end > before
                    or any(self._is_open(self._calls.get(call_id)) for call_id in segment.calls)
                    or any(segment.first <= self._agents.get(agent, -1) < segment.end for agent in segment.agents)
                )
                if index < len(self._segments) - 1:
                    history += segment.length
                (keep if needed else gone).append(segment)
            if not gone:
                return 0
            self._segments = keep[::-1]
            remembered = set().union(*(segment.calls for segment in self._segments))
            for call_id in self._calls.keys() - remembered:
                del self._calls[call_id]
        for segment in gone:
            segment.path.unlink(missing_ok=True)
            segment.path.with_suffix(".torn").unlink(missing_ok=True)
        _log.info("journal_segments_deleted", count=len(gone), before=int(before))
        return len(gone)

    # --- state and end -----------------------------------------------------------------------------------------------

    @property
    def end(self) -> Position:
        """The position after the last durable fact."""
        with self._lock:
            return Position(self._segments[-1].end)

    @property
    def first(self) -> Position:
        """The first position that is still retained."""
        with self._lock:
            return Position(self._segments[0].first)

    def state(self) -> JournalState:
        """How the journal is; `healthy` False makes the bridge not ready for new work."""
        with self._lock:
            waiting = sum(len(batch.entries) for batch in (*self._backlog, *self._pending))
            return JournalState(
                healthy=not self._trouble and not self._closing,
                end=Position(self._segments[-1].end),
                in_memory=waiting,
                trouble=self._trouble,
                trouble_since=self._trouble_since,
                refused=self._refused,
                torn_bytes=self._torn_bytes,
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
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        os.close(self._lock_file)
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
