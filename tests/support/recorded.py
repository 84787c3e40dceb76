"""Recordings as tests look at them: waited for, fetched, and what is heard in them."""

from __future__ import annotations

import io
import wave
from typing import Any

import aiohttp
import numpy as np

from tests.support.centre import ApiPerson, TestCentre

Samples = np.ndarray[Any, Any]


async def kept(person: ApiPerson, call_id: str, *states: str, within: float = 60) -> dict[str, Any]:
    """The recording once it was looked at."""
    answer = await person.until(
        f"/recordings?call_id={call_id}",
        lambda a: any(one["state"] in (states or ("kept",)) for one in a["recordings"]),
        within,
    )
    return dict(answer["recordings"][0])


async def fetch(centre: TestCentre, person: ApiPerson, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Bytes under /api/v1."""
    asked = {"Authorization": f"Bearer {person._token}", **headers}
    async with aiohttp.ClientSession() as http, http.get(centre.told["urls"]["api"] + path, headers=asked) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


def samples_of(content: bytes) -> tuple[Samples, int]:
    """Both channels of a WAV file, and its rate."""
    with wave.open(io.BytesIO(content)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (2, 2)
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(float).reshape(-1, 2)
        return samples, sound.getframerate()


async def sound_of(centre: TestCentre, person: ApiPerson, call_id: str) -> tuple[Samples, int]:
    """A call's recording, fetched."""
    status, content, _ = await fetch(centre, person, f"/recordings/{call_id}/sound")
    assert status == 200
    return samples_of(content)


def share(samples: Samples, hertz: float, rate: int = 8000) -> float:
    """How much of the sound's energy lies around a frequency."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(samples.size, 1 / rate)
    return float(power[np.abs(frequency - hertz) < 15].sum() / max(float(power.sum()), 1e-9))


def voices(samples: Samples, rate: int, *tones: int) -> list[set[int]]:
    """Which of these tones are heard in each half second."""
    size = rate // 2
    found = []
    for at in range(0, samples.size - size + 1, size):
        power = np.abs(np.fft.rfft(samples[at : at + size] * np.hanning(size))) ** 2
        frequency = np.fft.rfftfreq(size, 1 / rate)
        loud = {tone: float(power[np.abs(frequency - tone) < 12].sum()) for tone in tones}
        least = max(0.05 * float(power.sum()), 1e9)
        found.append({tone for tone, there in loud.items() if there > least})
    return found
