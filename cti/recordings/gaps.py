"""Pauses are as long in the file as they were on the clock. Pure.

Asterisk writes silence during a pause, but nothing at all while neither side sends (keys by RFC 4733, telephones that fall
silent): such a pause is too short in what it wrote. Here the silence is found in the sound, and what it lacks is told, so that
it can be put in. Marks of other moments are placed between the pauses, and the beginning and the end, by their share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LAG = 2.5
"""Seconds that a file may be behind the talk."""
EARLY = 0.3
"""Seconds by which silence may begin sooner than the pause was told to us."""
LEAST = 0.1
"""Seconds: less is not put in, and not looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """One pause, `at` seconds of talk on the clock, so long; `before` and `after`: seconds that were in the file at its begin and its
    end, None when nobody looked."""

    at: float
    seconds: float
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """`fills`: at which second of what was written how many seconds of silence are put in. `gaps`: pauses in seconds of the sound
    that comes of it."""

    fills: tuple[tuple[float, float], ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()

    @property
    def seconds(self) -> float:
        """How much is put in."""
        return sum(seconds for _, seconds in self.fills)


def filling(silences: Sequence[tuple[float, float]], pauses: Sequence[Pause], whole: float) -> Filling:
    """Which silence each pause needs. `silences`: stretches of what was written (`whole` seconds of it) in which every sample is zero."""
    fills: list[tuple[float, float]] = []
    gaps: list[tuple[float, float]] = []
    added, floor = 0.0, 0.0
    for pause in pauses:
        guess = pause.at - added if pause.before is None else pause.before
        low = max(floor, guess - (LAG if pause.before is None else EARLY))
        high = (guess + pause.seconds if pause.after is None else pause.after) + LAG
        near = [(max(begin, low), end) for begin, end in silences if end - LEAST > low and begin < high]
        begin, end = max(near, key=lambda one: one[1] - one[0], default=(min(max(guess, floor), whole),) * 2)
        lacking = pause.seconds - (end - begin)
        gaps.append((round(begin + added, 2), round(begin + added + pause.seconds, 2)))
        if lacking > LEAST:
            fills.append((end, round(lacking, 3)))
            added += lacking
        floor = end
    return Filling(fills=tuple(fills), gaps=tuple(gaps))


def placed(second: float, anchors: Sequence[tuple[float, float]]) -> float:
    """Where a second of the talk is in the sound. `anchors` are (talk, sound), rising; beyond them a second is a second."""
    before = [one for one in anchors if one[0] <= second]
    behind = [one for one in anchors if one[0] > second]
    if not before:
        return second
    talk, sound = before[-1]
    if not behind:
        return sound + (second - talk)
    share = (second - talk) / (behind[0][0] - talk)
    return sound + share * (behind[0][1] - sound)
