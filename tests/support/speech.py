"""Which prompt was heard, and when: a recording of a telephone compared with the prompt's own file, sample by sample."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.centre import PROMPTS

Samples = np.ndarray[Any, Any]
RATE = 8000
STRETCH = RATE * 3 // 10
"""Samples of what is looked for in the whole recording, to learn where the prompt lies."""
PIECE = RATE // 25
STEP = RATE // 50
SLIP = RATE // 20
"""Samples of a piece that is compared, between two of them, and by how much it may lie beside where it belongs."""
KNOWN = 0.9
"""A piece that is so like what was heard tells where the clock has slipped to."""
QUIET = 300.0
"""Pieces that are not louder (RMS, 16 bits) say nothing of a prompt."""
STILL = 1e6
"""A stretch with less energy (sum of squares) counts as if it had this much: what is next to silent is like nothing."""


def heard(path: Path) -> Samples:
    """The samples of a WAV file at 8 kHz."""
    with wave.open(str(path)) as file:
        times = file.getframerate() // RATE
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
    return np.asarray(samples[: samples.size // times * times].reshape(-1, times).mean(axis=1))


def prompt(language: str, name: str) -> Samples:
    """A built prompt at 8 kHz, without the silence around it."""
    samples = np.frombuffer((PROMPTS / language / f"{name}.sln16").read_bytes(), dtype="<i2").astype(np.float64)
    samples = samples[: samples.size // 2 * 2].reshape(-1, 2).mean(axis=1)
    loud = np.flatnonzero(np.abs(samples) > 500)
    return np.asarray(samples[loud[0] : loud[-1] + 1])


def find(recording: Samples, sound: Samples) -> tuple[float, float]:
    """(seconds, likeness 0-1) where the recording is most like the sound: normalised cross-correlation."""
    if recording.size < sound.size:
        return 0.0, 0.0
    size = 1 << (recording.size + sound.size).bit_length()
    product = np.fft.irfft(np.fft.rfft(recording, size) * np.conj(np.fft.rfft(sound, size)), size)
    product = product[: recording.size - sound.size + 1]
    energy = np.concatenate([[0.0], np.cumsum(recording**2)])
    local = energy[sound.size :] - energy[: -sound.size]
    likeness = product / np.sqrt(np.maximum(local, STILL) * float((sound**2).sum()))
    best = int(likeness.argmax())
    return best / RATE, float(likeness[best])


def spoken(recording: Samples, sound: Samples) -> tuple[float, float]:
    """(seconds, likeness 0-1) of a prompt in a recording whose clock slips.

    A telephone adds and drops up to 20 ms of sound wherever its buffer runs empty or full, more often on a busy machine, and the whole
    prompt is no longer like itself. So the recording is searched for the stretch that is heard best, and from there pieces of 40 ms are
    followed to both ends, each near where it belongs after the last that was known. Their median is the likeness: slips spoil the
    pieces they fall into, and no others.
    """
    stretch = min(sound.size, STRETCH)
    begins = range(0, sound.size - stretch + 1, RATE // 10)
    found = [(find(recording, sound[at : at + stretch]), at) for at in begins]
    (when, _), known = max(found, key=lambda one: one[0][1])
    begin = round(when * RATE) - known
    pieces = range(0, sound.size - PIECE + 1, STEP)
    onward = _follow(recording, sound, [at for at in pieces if at >= known], begin)
    backward = _follow(recording, sound, [at for at in reversed(pieces) if at < known], begin)
    return begin / RATE, float(np.median(onward + backward))


def _follow(recording: Samples, sound: Samples, pieces: list[int], begin: int) -> list[float]:
    """How like each of these pieces (their beginnings, in samples) is what was heard; the prompt begins about there."""
    likeness = []
    for at in pieces:
        piece = sound[at : at + PIECE]
        if np.sqrt((piece**2).mean()) > QUIET:
            first = max(0, begin + at - SLIP)
            when, like = find(recording[first : max(0, begin + at + PIECE + SLIP)], piece)
            likeness.append(like)
            if like > KNOWN:
                begin = first + round(when * RATE) - at
    return likeness
