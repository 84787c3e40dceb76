"""Sound files of ours: samples as Asterisk writes them, made into WAV; what a WAV says of itself; peaks.

A talk is two channels of 16 bits at 16 or 8 kHz: the customer left, everybody they hear right.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import wave
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cti.recordings.live import WIDTH, LiveSound
from cti.services.recordings import Peaks

RATE = 8000
HEADER = 44
"""Bytes before the samples of the WAV files that are made here."""
BLOCK = 1 << 18
TICK = 100
"""Silence is looked for in stretches of a second divided by this."""
MOST_PEAKS = 1200
"""A waveform has no more stretches than a wide screen has places for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a sound file is. `sha256` is of the whole WAV file."""

    bytes: int
    seconds: float
    channels: int
    sha256: str


def header(frames: int, channels: int, rate: int = RATE) -> bytes:
    """The first 44 bytes of a WAV file."""
    data = frames * channels * WIDTH
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", min(36 + data, 2**32 - 1), b"WAVE", b"fmt ", 16, 1, channels, rate, rate * channels * WIDTH,
        channels * WIDTH, WIDTH * 8, b"data", min(data, 2**32 - 1),
    )  # fmt: skip


def rate_of(head: bytes) -> int:
    """Samples a second, as the beginning of a WAV file says; 8000 where it is too short to say."""
    return int.from_bytes(head[24:28], "little") or RATE


def silences(live: LiveSound) -> tuple[tuple[float, float], ...]:
    """Stretches in which every sample of both files is zero, in seconds, to a hundredth. A file that is missing, or empty, is
    silent throughout. Raises OSError."""
    size = live.rate // TICK * WIDTH
    nothing, at = bytes(size), 0
    found: list[tuple[float, float]] = []
    begin: int | None = None
    there = {file: frames for file, frames in zip(live.files, live.frames(), strict=True) if frames}
    with contextlib.ExitStack() as open_files:
        sounds = [open_files.enter_context(file.open("rb")) for file in there]
        while at < min(there.values(), default=0) * WIDTH // size:
            pieces = [sound.read(size) for sound in sounds]
            silent = all(piece == nothing for piece in pieces)
            if silent and begin is None:
                begin = at
            elif not silent and begin is not None:
                found.append((begin / TICK, at / TICK))
                begin = None
            at += 1
    if begin is not None:
        found.append((begin / TICK, at / TICK))
    return tuple(found)


def make_wave(live: LiveSound, target: Path, *, fills: Sequence[tuple[float, float]] = ()) -> Measured:
    """Write both files as one WAV file, with silence put in at (second, so many seconds); it is there whole, and on the disk, or
    not at all. What one file is shorter than the other is silence. Raises OSError."""
    rate, (left, right) = live.rate, live.frames()
    frames = max(left, right)
    places = [(min(frames, round(at * rate)), round(seconds * rate)) for at, seconds in fills]
    whole = frames + sum(count for _, count in places)
    draft = target.with_name(f".{target.name}.part")
    digest = hashlib.sha256()
    try:
        with contextlib.ExitStack() as open_files:
            caller, others = (_Samples(open_files, *one) for one in zip(live.files, (left, right), strict=True))
            file = open_files.enter_context(draft.open("wb"))
            os.fchmod(file.fileno(), 0o600)

            def write(content: bytes) -> None:
                file.write(content)
                digest.update(content)

            write(header(whole, 2, rate))
            at = 0
            for stop, silence in (*places, (frames, 0)):
                while at < stop:
                    count = min(BLOCK, stop - at)
                    both = array("h", bytes(count * 2 * WIDTH))
                    both[0::2], both[1::2] = caller.take(count), others.take(count)
                    write(both.tobytes())
                    at += count
                for done in range(0, silence, BLOCK):
                    write(bytes(min(BLOCK, silence - done) * 2 * WIDTH))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return Measured(bytes=HEADER + whole * 2 * WIDTH, seconds=whole / rate, channels=2, sha256=digest.hexdigest())


class _Samples:
    """One file, read from its beginning; behind its end there is silence."""

    def __init__(self, open_files: contextlib.ExitStack, path: Path, frames: int) -> None:
        self._path, self._left = path, frames
        self._file: BinaryIO | None = open_files.enter_context(path.open("rb")) if frames else None

    def take(self, count: int) -> array[int]:
        there = min(count, self._left)
        content = self._file.read(there * WIDTH) if self._file is not None and there else b""
        if len(content) < there * WIDTH:
            raise OSError(f"{self._path.name} became shorter while it was read")
        self._left -= there
        samples = array("h", content)
        samples.frombytes(bytes((count - there) * WIDTH))
        return samples


def measure(file: Path) -> Measured:
    """Read a WAV file through. Raises OSError, and ValueError for what is no sound."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(BLOCK):
            digest.update(block)
    try:
        with wave.open(str(file), "rb") as sound:
            frames, rate, channels, width = (
                sound.getnframes(),
                sound.getframerate(),
                sound.getnchannels(),
                sound.getsampwidth(),
            )
    except (wave.Error, EOFError) as error:
        raise ValueError(f"no sound: {error}") from error
    size = file.stat().st_size
    # A header that was written last may be missing: what counts is what is there.
    there = max(0, size - HEADER) // (channels * width)
    return Measured(
        bytes=size,
        seconds=min(frames, there) / rate if frames else there / rate,
        channels=channels,
        sha256=digest.hexdigest(),
    )


def peaks_of(content: bytes, channels: int, rate: int = RATE) -> Peaks:
    """The waveform of samples (16 bits, channels interleaved)."""
    samples = array("h")
    samples.frombytes(content[: len(content) - len(content) % (WIDTH * channels)])
    frames = len(samples) // channels
    step = max(1, -(-frames // MOST_PEAKS))
    found = []
    for channel in range(channels):
        line = samples[channel::channels]
        parts = (line[start : start + step] for start in range(0, frames, step))
        found.append(tuple(_loudest(part) for part in parts))
    return Peaks(seconds=frames / rate, channels=tuple(found))


def _loudest(part: array[int]) -> int:
    high, low = max(part), min(part)
    return min(255, max(high, -low) >> 7)
