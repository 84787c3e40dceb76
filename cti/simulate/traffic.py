"""The callers of a scenario, drawn by chance from its seed: same seed, same callers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import count

from cti.simulate.scenario import HALF_HOUR, Arrival, CallerKind, Law, Scenario, Times


def arrivals(scenario: Scenario) -> Iterator[Arrival]:
    """Every caller in the order of arrival.

    Each kind of caller, and within it arrivals, handling and patience, has a stream of chance of its own: changing one
    leaves the others as they were, which is what makes two scenarios comparable.
    """
    streams = [_stream(scenario, n, kind) for n, kind in enumerate(scenario.callers)]
    return merge(*streams, key=lambda arrival: arrival.at)


def _stream(scenario: Scenario, n: int, kind: CallerKind) -> Iterator[Arrival]:
    handling = _draw(kind.handling, _chance(scenario, n, "handling"))
    patience = _draw(kind.patience, _chance(scenario, n, "patience")) if kind.patience else lambda: math.inf
    for at in _poisson(kind.per_half_hour, scenario.length.total_seconds(), _chance(scenario, n, "arrivals")):
        yield Arrival(at, n, handling(), patience())


def _chance(scenario: Scenario, n: int, what: str) -> random.Random:
    return random.Random(f"{scenario.seed}/{n}/{what}")  # noqa: S311 - a simulation, no secret


def _poisson(per_half_hour: tuple[float, ...], length: float, chance: random.Random) -> Iterator[float]:
    """Moments of a Poisson stream whose rate is constant in each half hour."""
    width = HALF_HOUR.total_seconds()
    for half in count():
        begin, end = half * width, min((half + 1) * width, length)
        if begin >= length:
            return
        rate = per_half_hour[half % len(per_half_hour)] / width
        at = begin
        # The stream has no memory: to begin anew at every half hour changes nothing.
        while rate > 0 and (at := at + chance.expovariate(rate)) < end:
            yield at


def _draw(times: Times, chance: random.Random) -> Callable[[], float]:
    mean = times.mean.total_seconds()
    match times.law:
        case Law.FIXED:
            return lambda: mean
        case Law.EXPONENTIAL:
            return lambda: chance.expovariate(1 / mean)
        case Law.LOGNORMAL:
            sigma = math.sqrt(math.log(1 + times.spread**2))
            mu = math.log(mean) - sigma**2 / 2
            return lambda: chance.lognormvariate(mu, sigma)
