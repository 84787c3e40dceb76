"""Log files that end somewhere: one that has grown long is copied aside and begun anew; so many copies are kept.

They are written by other processes (the bridge, Asterisk, the demo's people), which keep them open and write at their end, whatever
their length: so the file itself stays and is emptied. What is written in the instant between the end of the copying and the
emptying is lost: a line or none, and of logs only. What must not be lost is in no log: facts are in the journal, Asterisk's in
its ledger, which is renamed instead (`cti.asterisk.cel`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

LOOK_EVERY = 10.0
"""Seconds between looks at how long they are."""
_PIECE = 1024 * 1024


class LogFiles:
    """Keeps `files` below about `most_bytes` each, with `kept` older ones beside: `<name>.1` is the newest."""

    def __init__(self, files: Sequence[Path], *, most_bytes: int, kept: int) -> None:
        self.files = tuple(files)
        self._most = most_bytes
        self._kept = kept

    def look(self) -> list[Path]:
        """Begin those anew that are too long; gives them. A file that cannot be copied stays as it is. Blocks."""
        begun = []
        for file in self.files:
            with suppress(OSError):
                if file.stat().st_size >= self._most:
                    self._begin_anew(file)
                    begun.append(file)
        return begun

    async def run(self, say: Callable[[Path], None] = lambda _file: None) -> None:
        """Look now and then, until cancelled; `say` is told of each that was begun anew."""
        while True:
            for file in await asyncio.to_thread(self.look):
                say(file)
            await asyncio.sleep(LOOK_EVERY)

    def _begin_anew(self, file: Path) -> None:
        # Copied first, beside: should the disk be full, nothing has been moved or lost.
        draft = file.with_name(f".{file.name}.new")
        try:
            with file.open("r+b") as source, draft.open("wb") as copy:
                os.fchmod(copy.fileno(), 0o600)
                shutil.copyfileobj(source, copy, _PIECE)
                copy.flush()
                while piece := source.read(_PIECE):  # what came meanwhile
                    copy.write(piece)
                    copy.flush()
                source.truncate(0)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        for number in range(self._kept, 1, -1):
            with suppress(FileNotFoundError):
                _older(file, number - 1).replace(_older(file, number))
        draft.replace(_older(file, 1))
        for older in file.parent.glob(f"{file.name}.[0-9]*"):  # more were kept once
            last = older.name.removeprefix(f"{file.name}.")
            if last.isdecimal() and int(last) > self._kept:
                older.unlink(missing_ok=True)


def _older(file: Path, number: int) -> Path:
    return file.with_name(f"{file.name}.{number}")
