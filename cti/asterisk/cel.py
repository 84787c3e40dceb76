"""The file of Asterisk's event ledger; what its lines mean is in `cel_facts`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cti.asterisk.cel_facts import LedgerEvent, LedgerRead, infer_facts, read_ledger, settled_position
from cti.asterisk.cel_known import KnownCall, KnownTalk, known_calls

__all__ = [
    "KnownCall",
    "KnownTalk",
    "LedgerEvent",
    "LedgerFile",
    "LedgerRead",
    "infer_facts",
    "known_calls",
    "read_ledger",
    "settled_position",
]

_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Part:
    """One file of the ledger: `base` is the position of its first byte."""

    base: int
    path: Path
    size: int


class LedgerFile:
    """The ledger on the disk. Reading blocks: call it in a thread.

    Theory of operation: positions count bytes over the ledger's whole life. `rotate` gives the file another name, which ends in the
    position of its first byte, and Asterisk, which opens the file for each event, begins a new one; so a position means the
    same before and after, and needs no second place to be kept in. The newest of the renamed files is never deleted:
    from it the position of the present one follows. A line that was being written in that moment is in the renamed file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def size(self) -> int:
        """The position after its last byte; 0 for one that is not there. Raises `OSError`."""
        return _end(self._parts())

    def read(self, position: int = 0) -> LedgerRead:
        """Everything from `position` to the last whole line.

        No file means no events; a ledger that ends before `position` was replaced and is read from its start. Raises `OSError`.
        """
        while True:
            parts = self._parts()
            try:
                read = _read(parts, position)
            except FileNotFoundError:
                if [(part.base, part.path) for part in self._parts()] != [(part.base, part.path) for part in parts]:
                    continue  # deleted or renamed a moment ago
                raise
            if [part.base for part in self._parts()] == [part.base for part in parts]:
                return read  # else it was renamed under our hands

    def rotate(self, most_bytes: int) -> bool:
        """Begin a new file when the present one has `most_bytes` or more; whether it did. Raises `OSError`."""
        parts = self._parts()
        if not parts or parts[-1].path != self.path or parts[-1].size < most_bytes:
            return False
        self.path.rename(self.path.with_name(f"{self.path.name}.{parts[-1].base:020d}"))
        return True

    def forget(self, before: int, *, kept: int) -> int:
        """Delete renamed files that lie wholly before position `before`, but the newest `kept` (at least one). Gives how many.

        Raises `OSError`.
        """
        renamed = [part for part in self._parts() if part.path != self.path]
        gone = [part for part in renamed[: -max(1, kept)] if part.base + part.size <= before]
        for part in gone:
            part.path.unlink(missing_ok=True)
        return len(gone)

    def _parts(self) -> list[_Part]:
        """The files, oldest first; the present one last, if it is there."""
        found: list[_Part] = []
        for path in sorted(self.path.parent.glob(f"{self.path.name}.{'[0-9]' * 20}")):
            with suppress(FileNotFoundError):
                found.append(_Part(int(path.name[-20:]), path, path.stat().st_size))
        with suppress(FileNotFoundError):
            found.append(_Part(_end(found), self.path, self.path.stat().st_size))
        return found


def _end(parts: Sequence[_Part]) -> int:
    return parts[-1].base + parts[-1].size if parts else 0


def _read(parts: Sequence[_Part], position: int) -> LedgerRead:
    if not parts:
        return LedgerRead(events=(), position=0, skipped=0)
    events: list[LedgerEvent] = []
    skipped = 0
    at = max(position, parts[0].base) if 0 <= position <= _end(parts) else parts[-1].base
    rest = b""
    for part in parts:
        # What was written to it after it was renamed counts as the next one's beginning; seldom, and read twice at worst.
        if part.base + part.size < at + len(rest):
            continue
        with part.path.open("rb") as file:
            file.seek(max(0, at + len(rest) - part.base))
            while piece := file.read(_PIECE):
                rest += piece
                read = read_ledger(rest, offset=at)
                events += read.events
                skipped += read.skipped
                rest = rest[read.position - at :]
                at = read.position
    return LedgerRead(events=tuple(events), position=at, skipped=skipped)
