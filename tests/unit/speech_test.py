"""The tests' own ear: a prompt is known although the telephone's clock slipped, and another one is not taken for it."""

from __future__ import annotations

import numpy as np

from tests.support.speech import RATE, Samples, spoken


def babble(seed: int, seconds: float = 1.0) -> Samples:
    """Something like speech: syllables of a seventh of a second, each with a pitch of its own and weaker harmonics."""
    rng = np.random.default_rng(seed)
    time = np.arange(RATE // 7) / RATE
    syllables = []
    for _ in range(round(7 * seconds)):
        pitch = rng.uniform(90, 260)
        weights = rng.uniform(0, 1, 12) / np.arange(1, 13)
        tones = [
            weight * np.sin(2 * np.pi * (n + 1) * pitch * time + rng.uniform(0, 6)) for n, weight in enumerate(weights)
        ]
        syllables.append(6000 * np.hanning(time.size) * sum(tones))
    return np.concatenate(syllables)


def slipped(sound: Samples, *, at: float, by: float) -> Samples:
    """The sound with so many seconds dropped there, or heard twice if negative."""
    cut, length = round(at * RATE), round(by * RATE)
    return np.concatenate([sound[:cut], sound[cut + length :]])


def recording(sound: Samples) -> Samples:
    """A second of noise that is hardly heard, the sound, and noise again."""
    noise = np.random.default_rng(0).normal(0, 3, RATE)
    return np.concatenate([noise, sound, noise])


def test_a_prompt_is_found_where_it_lies() -> None:
    at, likeness = spoken(recording(babble(1)), babble(1))
    assert abs(at - 1.0) < 0.01
    assert likeness > 0.99


def test_a_clock_that_slips_in_every_third_of_a_prompt_does_not_hide_it() -> None:
    sound = babble(2)
    for length in (0.02, -0.02):
        heard = sound
        for at in (0.8, 0.5, 0.2):
            heard = slipped(heard, at=at, by=length)
        at, likeness = spoken(recording(heard), sound)
        assert likeness > 0.7, length
        assert abs(at - 1.0) < 0.1


def test_another_prompt_is_not_taken_for_it_and_neither_is_silence() -> None:
    for other in range(10, 30):
        assert spoken(recording(babble(other)), babble(1))[1] < 0.6, other
    assert spoken(np.zeros(3 * RATE), babble(1))[1] < 0.1
