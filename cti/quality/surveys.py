"""What callers thought, as figures with their uncertainty: satisfaction, promoters, distribution, response.

Who is satisfied, a promoter or a detractor is said in one place for the whole product, `cti.reports.survey_scale`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from cti.reports.survey_scale import Scale

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """What answers say, as the reports count it (`cti.reports.survey_scale`): an answer is a rating or a recommendation."""

    ratings: int = 0
    satisfied: int = 0
    recommendations: int = 0
    promoters: int = 0
    detractors: int = 0

    def __add__(self, other: Votes) -> Votes:
        return Votes(
            ratings=self.ratings + other.ratings,
            satisfied=self.satisfied + other.satisfied,
            recommendations=self.recommendations + other.recommendations,
            promoters=self.promoters + other.promoters,
            detractors=self.detractors + other.detractors,
        )


def scores(counts: Mapping[int, int], scale: Scale, votes: Votes) -> Scores:
    """Figures of answers, by key how many, and what they say. No ratings: no CSAT; no recommendations: no NPS."""
    whole = {key: counts.get(key, 0) for key in range(scale.least, scale.most + 1)}
    up, down = votes.promoters, votes.detractors
    return Scores(
        answers=sum(whole.values()),
        least=scale.least,
        most=scale.most,
        counts=whole,
        mean=mean({float(key): count for key, count in whole.items()}, low=scale.least, high=scale.most),
        csat=share(votes.satisfied, votes.ratings),
        nps=_times(mean({1.0: up, 0.0: votes.recommendations - up - down, -1.0: down}, low=-1, high=1), 100),
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
