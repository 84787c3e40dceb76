"""The sound of a live call as Asterisk writes it: two files of bare samples (16 bits, one channel), what the caller says and what
the caller hears; of one rate, 16 kHz where the caller's line carries that, else 8 kHz.

Asterisk writes through a buffer of 32 KB a file, so a file is up to two seconds behind the talk.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cti.ids import CallId

WIDTH = 2
RATES = {"sln16": 16000, "sln": 8000}
"""Ending of a file -> samples a second."""
CALLER, OTHERS = "caller", "others"
_NAME = re.compile(r"(?P<call>[A-Za-z0-9][A-Za-z0-9._-]*)\.(?:caller|others)\.(?:sln16|sln)")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSound:
    """The two files of one call. Either may be missing."""

    caller: Path
    others: Path
    rate: int

    @property
    def files(self) -> tuple[Path, Path]:
        """Both."""
        return self.caller, self.others

    def there(self) -> bool:
        """Whether there is any file."""
        return any(file.exists() for file in self.files)

    def frames(self) -> tuple[int, int]:
        """Samples that each file has; 0 for one that is missing. A torn last sample is left out."""
        caller, others = (_size(file) // WIDTH for file in self.files)
        return caller, others

    def seconds(self) -> float:
        """How long the shorter of the two is: so much is there of everybody."""
        return min(self.frames()) / self.rate

    def lost(self) -> float:
        """Seconds that one file has less than the other, and that nobody wrote into either, see `hole`."""
        frames = self.frames()
        return (max(frames) - min(frames)) / self.rate + max(hole(file) for file in self.files) / WIDTH / self.rate


def live_sound(folder: Path, call_id: CallId) -> LiveSound:
    """The files of this call: those that are there, or else those there would be."""
    found = [_sound(folder, call_id, ending) for ending in RATES]
    return next((sound for sound in found if sound.there()), found[0])


def _sound(folder: Path, call_id: CallId, ending: str) -> LiveSound:
    return LiveSound(
        caller=folder / f"{call_id}.{CALLER}.{ending}",
        others=folder / f"{call_id}.{OTHERS}.{ending}",
        rate=RATES[ending],
    )


def stray(folder: Path, before: float) -> set[CallId]:
    """Calls whose files nobody has written to since `before` (seconds since the epoch)."""
    quiet: set[CallId] = set()
    fresh: set[CallId] = set()
    for file in folder.iterdir() if folder.is_dir() else ():
        name = _NAME.fullmatch(file.name)
        with contextlib.suppress(OSError):
            if name is not None:
                (quiet if file.stat().st_mtime < before else fresh).add(CallId(name["call"]))
    return quiet - fresh


def in_use(files: Iterable[Path]) -> bool:
    """Whether a process whose files we may look at has one of these open."""
    wanted = set()
    for file in files:
        with contextlib.suppress(OSError):
            told = file.stat()
            wanted.add((told.st_dev, told.st_ino))
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            told = handle.stat()
            if (told.st_dev, told.st_ino) in wanted:
                return True
    return False


def hole(file: Path) -> int:
    """Bytes of the file that nobody wrote: it was cut under whoever wrote on behind. 0 where the disk cannot tell."""
    lost, at = 0, 0
    try:
        with file.open("rb") as content:
            handle = content.fileno()
            size = os.fstat(handle).st_size
            while at < size:
                begin = os.lseek(handle, at, os.SEEK_HOLE)
                if begin >= size:
                    break
                try:
                    at = os.lseek(handle, begin, os.SEEK_DATA)
                except OSError:  # nothing but the hole follows
                    at = size
                lost += at - begin
    except (OSError, AttributeError):
        return 0
    return lost


def shred(file: Path) -> None:
    """Delete a file after writing zeros over it. Where the disk writes elsewhere than it was told (flash, snapshots) the old
    bytes may stay in places that no file system shows."""
    with contextlib.suppress(FileNotFoundError):
        with file.open("r+b") as content:
            left = os.fstat(content.fileno()).st_size
            while left > 0:
                left -= content.write(bytes(min(left, _PIECE)))
            content.flush()
            os.fsync(content.fileno())
        file.unlink()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
