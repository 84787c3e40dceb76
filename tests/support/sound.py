"""What was heard: the strongest frequency of a recording."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np


def strongest(path: Path, *, skip: float = 0.3) -> tuple[float, float]:
    """(Hz, share of the energy within 20 Hz of it) of a WAV file, the first `skip` seconds left out."""
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
    samples = samples[int(skip * rate) :]
    if samples.size < rate // 4:
        raise AssertionError(f"{path}: only {samples.size / rate:.2f} s of sound")
    power = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
    hertz = np.fft.rfftfreq(samples.size, 1 / rate)
    peak = float(hertz[int(power.argmax())])
    total = float(power.sum())
    near = float(power[np.abs(hertz - peak) <= 20].sum())
    return peak, near / total if total else 0.0


def loudness(path: Path) -> float:
    """Root mean square of a WAV file's samples (16 bits): 0 is silence."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
    if samples.size < 1000:
        raise AssertionError(f"{path}: hardly any sound")
    return float(np.sqrt(np.mean(samples**2)))


def assert_tone(path: Path, hertz: float) -> None:
    """The recording is that tone, and nothing else of weight."""
    peak, share = strongest(path)
    assert abs(peak - hertz) < 8, f"{path}: heard {peak:.0f} Hz, expected {hertz:.0f}"
    assert share > 0.8, f"{path}: only {share:.0%} of the sound is the tone"


def longest_silence(path: Path, *, below: float = 60.0) -> float:
    """Seconds of the longest stretch in which no 50 ms window is louder than `below` (RMS, 16-bit scale)."""
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
    window = rate // 20
    count = samples.size // window
    loud = np.sqrt((samples[: count * window].reshape(count, window) ** 2).mean(axis=1)) > below
    longest = run = 0
    for is_loud in loud:
        run = 0 if is_loud else run + 1
        longest = max(longest, run)
    return longest * 0.05


def assert_tones(path: Path, *hertz: float) -> None:
    """The recording is these tones at the same time, and nothing else of weight; with none, it is quiet."""
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
    samples = samples[int(0.3 * rate) :]
    if not hertz:
        heard = float(np.sqrt(np.mean(samples**2)))
        assert heard < 60, f"{path}: not quiet ({heard:.0f})"
        return
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / rate)
    whole = float(power.sum())
    shares = {tone: float(power[np.abs(frequency - tone) < 15].sum()) / whole for tone in hertz}
    assert all(share > 0.1 for share in shares.values()), f"{path}: {shares}"
    assert sum(shares.values()) > 0.75, f"{path}: {shares}"
