"""Sound files of ours: raw samples as Asterisk writes them, made into WAV; what a WAV says of itself; peaks.

A talk is two channels of 16 bits at 8 kHz: the customer left, everybody they hear right.
"""

from __future__ import annotations

import hashlib
import os
import struct
import wave
from array import array
from dataclasses import dataclass
from pathlib import Path

from cti.services.recordings import Peaks

RATE = 8000
WIDTH = 2
HEADER = 44
"""Bytes before the samples of the WAV files that are made here."""
BLOCK = 1 << 18
MOST_PEAKS = 1200
"""A waveform has no more stretches than a wide screen has places for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a sound file is. `sha256` is of the whole WAV file."""

    bytes: int
    seconds: float
    channels: int
    sha256: str


def header(frames: int, channels: int) -> bytes:
    """The first 44 bytes of a WAV file."""
    data = frames * channels * WIDTH
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", min(36 + data, 2**32 - 1), b"WAVE", b"fmt ", 16, 1, channels, RATE, RATE * channels * WIDTH,
        channels * WIDTH, WIDTH * 8, b"data", min(data, 2**32 - 1),
    )  # fmt: skip


def seconds_of_raw(size: int, channels: int = 2) -> float:
    """How long so many bytes of samples are."""
    return size / (RATE * channels * WIDTH)


def hole(file: Path) -> int:
    """Bytes of the file that nobody wrote: it was cut under whoever wrote on behind. 0 where the disk cannot tell."""
    lost, at = 0, 0
    with file.open("rb") as content:
        handle = content.fileno()
        size = os.fstat(handle).st_size
        try:
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


def make_wave(raw: Path, target: Path, *, channels: int = 2) -> Measured:
    """Write the samples of `raw` as a WAV file; it is there whole, and on the disk, or not at all. Raises OSError."""
    frames = raw.stat().st_size // (channels * WIDTH)  # a torn last sample is left out
    draft = target.with_name(f".{target.name}.part")
    digest, left = hashlib.sha256(), frames * channels * WIDTH
    try:
        with raw.open("rb") as samples, draft.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            start = header(frames, channels)
            file.write(start)
            digest.update(start)
            while left and (block := samples.read(min(BLOCK, left))):
                file.write(block)
                digest.update(block)
                left -= len(block)
            if left:
                raise OSError(f"{raw.name} became shorter while it was read")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return Measured(
        bytes=HEADER + frames * channels * WIDTH, seconds=frames / RATE, channels=channels, sha256=digest.hexdigest()
    )


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
