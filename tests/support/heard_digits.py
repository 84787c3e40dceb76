"""Digits in sound: keys as tones, made and decoded; digits spoken by a voice, made and looked for."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.speech import find

Samples = np.ndarray[Any, Any]
LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477)
KEYS = ("123", "456", "789", "*0#")
RATE = 8000
ON, OFF = 0.09, 0.07
"""Seconds of a tone, and between two."""
PIECE = 0.4
"""Seconds of a voice that are looked for at a time."""


def keys_as_tones(digits: str, path: Path) -> float:
    """Write a WAV file with the tones of these keys; gives its seconds."""
    time = np.arange(int(ON * RATE)) / RATE
    pause = np.zeros(int(OFF * RATE))
    parts = [pause]
    for digit in digits:
        row = next(n for n, line in enumerate(KEYS) if digit in line)
        pair = (LOW[row], HIGH[KEYS[row].index(digit)])
        parts += [sum(6000 * np.sin(2 * np.pi * hertz * time) for hertz in pair), pause]
    samples = np.concatenate(parts)
    _write(path, samples)
    return float(samples.size / RATE)


def spoken(digits: str, path: Path) -> float:
    """Write a WAV file in which a voice says these digits; gives its seconds."""
    raw = path.with_suffix(".voice.wav")
    subprocess.run(["espeak-ng", "-s", "230", "-w", str(raw), " ".join(digits)], check=True, capture_output=True)
    subprocess.run(
        ["sox", str(raw), "-r", str(RATE), "-c", "1", "-b", "16", str(path), "norm", "-3"],
        check=True,
        capture_output=True,
    )
    raw.unlink()
    return float(read(path).size / RATE)


def read(path: Path) -> Samples:
    """Samples of a WAV file of one channel at 8 kHz."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 1)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)


def decode_keys(samples: Samples) -> str:
    """The keys whose tones are heard, in order."""
    window, step = 320, 80
    if samples.size < window:
        return ""
    starts = np.arange(0, samples.size - window, step)
    frames = samples[starts[:, None] + np.arange(window)] * np.hanning(window)
    time = np.arange(window) / RATE
    tones = np.exp(-2j * np.pi * np.outer(time, LOW + HIGH))
    power = np.abs(frames @ tones) ** 2
    whole = (frames**2).sum(axis=1) * (np.hanning(window) ** 2).sum() / 2 + 1e-9
    low, high = power[:, :4].argmax(axis=1), power[:, 4:].argmax(axis=1)
    strong = (power[:, :4].max(axis=1) + power[:, 4:].max(axis=1)) / whole
    loud = np.sqrt((frames**2).mean(axis=1)) > 150
    found, last, run = "", "", 0
    for n in range(len(starts)):
        key = KEYS[low[n]][high[n]] if loud[n] and strong[n] > 0.6 else ""
        run = run + 1 if key == last else 1
        last = key
        if key and run == 3:
            found += key
    return found


def share_of_voice(samples: Samples, voice: Samples) -> float:
    """Which part of a voice's loud pieces is heard somewhere, 0 to 1."""
    size = int(PIECE * RATE)
    pieces = [voice[at : at + size] for at in range(0, voice.size - size, size)]
    loud = [piece for piece in pieces if np.sqrt((piece**2).mean()) > 800]
    if not loud or samples.size < size:
        return 0.0
    return sum(find(samples, piece)[1] > 0.7 for piece in loud) / len(loud)


def _write(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
