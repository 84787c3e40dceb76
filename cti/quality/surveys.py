"""What callers thought, as figures with their uncertainty: satisfaction, promoters, distribution, response.

A question's scale is 1 to 5, or 0 to 9 where a key outside that was ever pressed (0-9 is the longest a telephone has).
Satisfied are the upper quarter of the scale (4 and 5; 7, 8 and 9). Promoters and detractors: of 0-9 as usual 9 and at
most 6; of 1-5: 5 and at most 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

Z = 1.959963984540054
"""Two-sided 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of `total`, 0 to 1, with the range that it is in in 95 of 100 cases."""

    count: int
    total: int
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure with the range that it is in in 95 of 100 cases; None where there is too little."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Figures of the answers to one question. `mean` on the scale, `nps` from -100 to 100."""

    answers: int
    least: int
    most: int
    counts: Mapping[int, int]
    """By key, every key of the scale."""
    mean: Figure
    csat: Share
    nps: Figure


def share(count: int, total: int) -> Share:
    """Wilson's interval: it stays within 0 and 1, and is right for few and for rare ones, too."""
    if total <= 0:
        return Share(count=count, total=total, share=None, low=None, high=None)
    p, zz = count / total, Z * Z
    middle = (p + zz / (2 * total)) / (1 + zz / total)
    half = Z / (1 + zz / total) * sqrt(p * (1 - p) / total + zz / (4 * total * total))
    return Share(
        count=count, total=total, share=p, low=max(0.0, min(middle - half, p)), high=min(1.0, max(middle + half, p))
    )


def scale_of(least: int, most: int) -> tuple[int, int]:
    """The scale of a question of which these were the lowest and the highest answer ever."""
    return (1, 5) if least >= 1 and most <= 5 else (0, max(9, most))


def satisfied_from(least: int, most: int) -> float:
    """The score from which a caller is satisfied."""
    return most - (most - least) / 4


def promoter_from(least: int, most: int) -> int:
    """The score from which a caller is a promoter."""
    return 9 if most >= 9 else most


def detractor_to(least: int, most: int) -> int:
    """The score to which a caller is a detractor."""
    return 6 if most >= 9 else most - 2


def scores(counts: Mapping[int, int], scale: tuple[int, int]) -> Scores:
    """Figures of answers, by key how many."""
    least, most = scale
    whole = {key: counts.get(key, 0) for key in range(least, most + 1)}
    n = sum(whole.values())
    satisfied = sum(count for key, count in whole.items() if key >= satisfied_from(least, most))
    up = sum(count for key, count in whole.items() if key >= promoter_from(least, most))
    down = sum(count for key, count in whole.items() if key <= detractor_to(least, most))
    return Scores(
        answers=n,
        least=least,
        most=most,
        counts=whole,
        mean=mean({float(key): count for key, count in whole.items()}, low=least, high=most),
        csat=share(satisfied, n),
        nps=_times(mean({1.0: up, 0.0: n - up - down, -1.0: down}, low=-1, high=1), 100),
    )


def mean(counts: Mapping[float, int], *, low: float, high: float) -> Figure:
    """The mean of values (how many of each), by the normal approximation from ten values on; kept within the scale."""
    n = sum(counts.values())
    if n == 0:
        return Figure(value=None, low=None, high=None)
    middle = sum(value * count for value, count in counts.items()) / n
    if n < 10:
        return Figure(value=middle, low=None, high=None)
    variance = sum(count * (value - middle) ** 2 for value, count in counts.items()) / (n - 1)
    half = Z * sqrt(variance / n)
    return Figure(value=middle, low=max(low, middle - half), high=min(high, middle + half))


def _times(figure: Figure, by: float) -> Figure:
    def times(value: float | None) -> float | None:
        return None if value is None else value * by

    return Figure(value=times(figure.value), low=times(figure.low), high=times(figure.high))
