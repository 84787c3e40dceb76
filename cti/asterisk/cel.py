"""The file of Asterisk's event ledger; what its lines mean is in `cel_facts`."""

from __future__ import annotations

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


class LedgerFile:
    """The ledger on the disk. Reading blocks: call it in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def size(self) -> int:
        """Bytes it has; 0 for one that is not there. Raises `OSError`."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, position: int = 0) -> LedgerRead:
        """Everything from byte `position` to the last whole line.

        No file means no events; a file shorter than `position` was replaced and is read from its start. Raises `OSError`.
        """
        events: list[LedgerEvent] = []
        skipped = 0
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                at = position if 0 <= position <= size else 0
                file.seek(at)
                rest = b""
                while piece := file.read(_PIECE):
                    rest += piece
                    read = read_ledger(rest, offset=at)
                    events += read.events
                    skipped += read.skipped
                    rest = rest[read.position - at :]
                    at = read.position
        except FileNotFoundError:
            return LedgerRead(events=(), position=0, skipped=0)
        return LedgerRead(events=tuple(events), position=at, skipped=skipped)
