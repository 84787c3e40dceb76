"""The journal's files: one folder of one process, segments named by the position of their first record.

A segment becomes visible under its name only when its head is durable. A torn tail found at the start is copied aside
(`*.torn`), cut off, and positions then skip ahead by `TORN_GAP`: should the disk have lost records that were already
drained, no position is ever given to a second fact. After a failed sync the kernel may have dropped the pages, so writing
resumes in a new segment, from the last position known to be durable.
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from cti.ids import CallId
from cti.journal.codec import HEAD_LENGTH, Position, Record, read_segment_head, replay, segment_head
from cti.journal.errors import JournalError

_log = structlog.get_logger(__name__)

TORN_GAP = 1_000_000
_SUFFIX = ".journal"
_READ_CHUNK = 1 << 20


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


@dataclass(slots=True, kw_only=True, eq=False)
class Segment:
    """One file of the journal, as far as it is durable."""

    first: int
    path: Path
    end: int
    """Position after its last durable record."""
    length: int
    """Bytes that are durable and whole, head included."""
    noted: bool = False
    """Whether `calls` and `words` tell all its facts: only then may it be deleted."""
    calls: set[CallId] = field(default_factory=set)
    words: set[tuple[str, str]] = field(default_factory=set)
    """What it has a word on, of which the last one is kept (`retention.Retention`)."""
    tolls: int = -1
    """Position of its last fact on what dialling out costs; -1: it has none."""


class Segments:
    """The segments of one folder, oldest first; never without one. `lock` guards the list and what its members tell.

    `append`, `sync`, `abandon` and `close` belong to one thread at a time; `write_ahead` may be called from another while no
    `append` is under way and none has failed since `abandon`. Reading may go on beside them. Opening raises `JournalError`
    when another process has the folder or its files are of another journal, and `OSError` when the disk refuses.
    """

    def __init__(self, folder: Path, journal_id: str | None, *, segment_bytes: int, disk: Disk) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.all: list[Segment] = []
        self.torn_bytes = 0
        """Bytes cut off the tail at the opening."""
        self._segment_bytes = segment_bytes
        self._disk = disk
        self._descriptor = -1
        self._seek: tuple[int, int, int] = (-1, 0, 0)
        """Where the last reading ended: first position of the segment, next position, its offset in the file."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_file = self._take_folder()
        try:
            self.journal_id = self._identity(journal_id)
            self._open()
        except BaseException:
            os.close(self._lock_file)
            raise

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

    def _open(self) -> None:
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
                self.torn_bytes = len(data) - length
                path.with_suffix(".torn").write_bytes(data[length:])
                _log.error("journal_tail_cut", file=str(path), bytes=self.torn_bytes, position=end)
                with path.open("r+b") as file:
                    file.truncate(length)
                    os.fsync(file.fileno())
            self.all.append(Segment(first=head.first, path=path, end=end, length=length))
        end = self.all[-1].end if self.all else 0
        last = self.all[-1] if self.all else None
        if last is not None and not self.torn_bytes and last.length < self._segment_bytes:
            self._descriptor = os.open(last.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        else:
            self._begin(end + TORN_GAP if self.torn_bytes else end)
        if last is None:
            self.all[-1].noted = True

    # --- writing -----------------------------------------------------------------------------------------------------

    def append(self, data: bytes) -> None:
        """Write whole records at the end of the newest segment, or of a new one when that is full.

        All that was written before must be counted by then. Raises `OSError` or whatever the disk raises: `abandon` comes
        next.
        """
        if self._descriptor < 0 or self.all[-1].length >= self._segment_bytes:
            self._begin(self.all[-1].end)
        rest = memoryview(data)
        while rest:
            rest = rest[self._disk.write(self._descriptor, bytes(rest) if len(rest) < len(data) else data) :]

    def write_ahead(self, data: bytes, uncounted: int) -> bool | None:
        """Write whole records behind the `uncounted` bytes that are written and not yet durable.

        None, and nothing was written: the segment is full. False: the disk did not take all of it, `abandon` comes next.
        """
        if self._descriptor < 0 or self.all[-1].length + uncounted >= self._segment_bytes:
            return None
        try:
            return self._disk.write(self._descriptor, data) == len(data)
        except OSError:
            return False

    def sync(self) -> None:
        """Make what was written durable. The segment does not count it yet: the caller does, under the lock.

        Raises `OSError` or whatever the disk raises; then nothing of it counts: `abandon` comes next.
        """
        self._disk.sync(self._descriptor)

    def abandon(self) -> None:
        """After a failure: cut what is not known to be durable, and write on in a new segment."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            os.ftruncate(descriptor, self.all[-1].length)
        except OSError:
            pass  # opening the journal ignores what overlaps the next segment
        finally:
            os.close(descriptor)

    def _begin(self, first: int) -> None:
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
        fresh = Segment(first=first, path=path, end=first, length=HEAD_LENGTH, noted=True)
        with self.lock:
            if self.all and self.all[-1].first == first:  # an empty one is replaced by its like
                self.all[-1] = fresh
            else:
                self.all.append(fresh)

    def close(self) -> None:
        """Give the folder back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        os.close(self._lock_file)

    # --- reading and deleting ----------------------------------------------------------------------------------------

    @property
    def end(self) -> Position:
        """The position after the last durable record."""
        with self.lock:
            return Position(self.all[-1].end)

    @property
    def first(self) -> Position:
        """The first position that is still retained."""
        with self.lock:
            return Position(self.all[0].first)

    def records_from(self, position: Position, *, limit: int, before: Position | None = None) -> list[Record]:
        """Up to `limit` durable records with `position` <= theirs (< `before`), undecoded. Empty at the end.

        Cheap when reading on from where the last call ended. Segments deleted meanwhile are passed over.
        """
        found: list[Record] = []
        with self.lock:
            spans = [(one.first, one.path, one.end, one.length) for one in self.all if one.end > position]
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
                        if chunk >= length - offset:  # all that is left was asked for; the file may even be shorter
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

    def delete(self, gone: list[Segment]) -> None:
        """Remove the files of segments that are no longer in `all`."""
        for segment in gone:
            segment.path.unlink(missing_ok=True)
            segment.path.with_suffix(".torn").unlink(missing_ok=True)
