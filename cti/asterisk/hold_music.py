"""A quiet tune of our own for an Asterisk without packaged music on hold: a caller never waits in silence."""

from __future__ import annotations

import array
import math
import sys
from functools import cache
from pathlib import Path

RATE = 8000
_CHORDS = ((261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7))
_NOTE_SECONDS = 0.5
_PEAK = 3500


def write_hold_music(folder: Path) -> None:
    """Write `tune.sln` (16-bit, 8 kHz, 32 s of slow broken chords) into `folder` unless it is there."""
    file = folder / "tune.sln"
    if file.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_suffix(".part")
    temporary.write_bytes(_tune())
    temporary.replace(file)


@cache
def _tune() -> bytes:
    samples = array.array("h")
    for chord in _CHORDS * 2:
        for note in (*chord, chord[1], *chord, chord[1]):
            samples.extend(_played(note))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


@cache
def _played(note: float) -> array.array[int]:
    """One note, of which a tune has few: a centre's first start waits for them."""
    length = int(RATE * _NOTE_SECONDS)
    samples = array.array("h")
    for index in range(length):
        # A soft start and a fading end, so that notes do not click.
        loudness = min(1.0, index / 400) * math.exp(-2.5 * index / length)
        tone = math.sin(2 * math.pi * note * index / RATE) + 0.3 * math.sin(4 * math.pi * note * index / RATE)
        samples.append(int(_PEAK * loudness * tone))
    return samples
