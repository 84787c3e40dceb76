"""From the calls of past weeks to what a weekday's half hours will bring, with how far that may be off.

The count of calls in a half hour varies for two reasons. Callers come by chance even at a known rate: the queueing
formulas allow for that. And the rate itself differs from week to week and is known only from so many weeks: the band
here is about this second part alone, so chance is not counted twice. For one weekday:

- the expected rate of a half hour is the mean over the weeks;
- how much rates differ from week to week is one number for the whole weekday, the squared coefficient of variation of
  rates beyond what chance explains, added up over its half hours (one half hour has too few weeks to tell);
- the band is between two quantiles of a gamma distribution with this mean and variance (Wilson and Hilferty, 1931).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist, median

SLOTS = 48
"""Half hours of a day."""
SLOT_SECONDS = 1800.0
CLOSED_SHARE = 0.1
"""A day with less than this share of what its weekday usually brings was closed, or a holiday, and teaches nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One half hour of the past."""

    day: date
    """In the centre's time zone."""
    slot: int
    """0 begins at midnight, 47 at 23:30."""
    calls: int
    """Callers who joined the queue."""
    handled: int
    """Calls that agents finished."""
    handling: float
    """Seconds agents spent on those: talk, hold and wrap-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What one half hour will bring."""

    slot: int
    calls: float
    low: float
    """In one case of ten there are fewer, if the band is the usual one."""
    high: float
    """In one case of ten there are more."""
    handling: float
    """Seconds per call."""

    def load(self, calls: float | None = None) -> float:
        """The load in Erlang, of the expected calls or of others."""
        return (self.calls if calls is None else calls) * self.handling / SLOT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class DayForecast:
    """One weekday."""

    weekday: int
    """0 is Monday."""
    slots: tuple[Expected, ...]
    """All 48."""
    days: tuple[date, ...]
    """The days it was learnt from."""
    left_out: tuple[date, ...]
    """Days that were closed or holidays."""
    variation: float
    """Coefficient of variation of rates from week to week, beyond chance."""


def forecast(
    history: Iterable[Observed],
    weekday: int,
    *,
    growth: float = 1.0,
    share: float = 0.8,
    leave_out: Sequence[date] = (),
) -> DayForecast:
    """What `weekday` will bring, `growth` times as much as history says; the band holds `share` of the cases.

    Handling times are of the half hour and its neighbours; where nothing was handled then, of the day, then of all of
    history; where there is none at all, 0.
    """
    everything = list(history)
    by_day: dict[date, dict[int, Observed]] = defaultdict(dict)
    for one in everything:
        if one.day.weekday() == weekday:
            by_day[one.day][one.slot] = one
    totals = {day: sum(one.calls for one in slots.values()) for day, slots in by_day.items()}
    usual = median(totals.values()) if totals else 0
    closed = {day for day, calls in totals.items() if calls < CLOSED_SHARE * usual} | (totals.keys() & set(leave_out))
    days = sorted(totals.keys() - closed)
    counts = [[_calls(by_day[day].get(slot)) for day in days] for slot in range(SLOTS)]
    squared = _variation(counts)
    all_handled, all_handling = _sums(everything)
    slots = []
    for slot in range(SLOTS):
        mean = sum(counts[slot]) / len(days) if days else 0.0
        low, high = _band(mean, squared, len(days), share)
        near = [by_day[day][n] for day in days for n in (slot - 1, slot, slot + 1) if n in by_day[day]]
        handled, handling = _sums(near)
        if not handled:
            handled, handling = _sums(one for day in days for one in by_day[day].values())
        if not handled:
            handled, handling = all_handled, all_handling
        slots.append(
            Expected(
                slot=slot,
                calls=mean * growth,
                low=low * growth,
                high=high * growth,
                handling=handling / handled if handled else 0.0,
            )
        )
    return DayForecast(
        weekday=weekday,
        slots=tuple(slots),
        days=tuple(days),
        left_out=tuple(sorted(closed)),
        variation=math.sqrt(squared),
    )


def patience(waited: float, abandoned: int) -> float | None:
    """Mean seconds after which callers give up: all time waited, by whomever, for each who gave up. None: nobody did.

    Those who were answered would have waited longer, so their waits count too (the estimate of greatest likelihood).
    """
    return waited / abandoned if abandoned and waited > 0 else None


def mean_presence(history: Mapping[tuple[date, int], float], days: Sequence[date]) -> tuple[float, ...]:
    """Mean agents at the phone by half hour over `days`, out of agent seconds by day and half hour."""
    if not days:
        return (0.0,) * SLOTS
    return tuple(sum(history.get((day, slot), 0.0) for day in days) / len(days) / SLOT_SECONDS for slot in range(SLOTS))


def _calls(one: Observed | None) -> int:
    return one.calls if one is not None else 0


def _sums(some: Iterable[Observed]) -> tuple[int, float]:
    handled, handling = 0, 0.0
    for one in some:
        handled += one.handled
        handling += one.handling
    return handled, handling


def _variation(counts: Sequence[Sequence[int]]) -> float:
    """Squared coefficient of variation of the rates, beyond chance; 0 where chance explains all."""
    beyond = squares = 0.0
    for weeks in counts:
        if len(weeks) < 2:
            continue
        mean = sum(weeks) / len(weeks)
        variance = sum((calls - mean) ** 2 for calls in weeks) / (len(weeks) - 1)
        beyond += variance - mean  # of a Poisson count the variance is the mean
        squares += max(0.0, mean * mean - variance / len(weeks))  # the square of a mean is too large by its variance
    return max(0.0, beyond / squares) if squares else 0.0


def _band(mean: float, squared: float, weeks: int, share: float) -> tuple[float, float]:
    if mean <= 0 or not weeks:
        return 0.0, 0.0
    variance = mean * mean * squared * (1 + 1 / weeks) + mean / weeks
    shape = mean * mean / variance
    z = NormalDist().inv_cdf((1 + share) / 2)

    def quantile(at: float) -> float:
        return mean * max(0.0, 1 - 1 / (9 * shape) + at / (3 * math.sqrt(shape))) ** 3

    return quantile(-z), quantile(z)
