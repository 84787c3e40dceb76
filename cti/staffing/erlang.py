"""What callers of one queue may expect of a number of agents: Erlang C (nobody gives up) and Erlang A (callers give up).

Both take Poisson callers, exponential handling times and first come, first served; Erlang A adds exponential patience.
Loads are in Erlang (calls in progress on average: calls per second times handling seconds), times in seconds.

Erlang A is computed in the form of Mandelbaum and Zeltyn ("Service engineering in action: the Palm/Erlang-A queue",
2007): one integral over the wait that a caller of endless patience would have. Callers who give up cannot make a queue
grow without end, so it holds for any number of agents.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

_Function = Callable[[float], float]

_NEGLIGIBLE = 40.0
"""exp(-40) of the largest value counts as nothing."""
_STEPS = 400
"""Pieces of a numerical integral (Simpson); an even number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What callers may expect. Shares are of all callers, 0-1."""

    service_level: float
    """Share answered within the target's seconds."""
    waits: float
    """Share that has to wait at all."""
    mean_wait: float
    """Mean wait of all callers, given up or not, in seconds; infinite where the line grows without end."""
    abandoned: float
    """Share that gives up; 0 with Erlang C."""
    occupancy: float
    """Share of the agents' time spent on calls."""


def blocking(agents: int, load: float) -> float:
    """Erlang B: the share of callers who would find every agent busy if nobody could wait."""
    share = 1.0
    for n in range(1, agents + 1):
        share = load * share / (n + load * share)
    return share


def erlang_c(agents: int, load: float, handling: float, within: float) -> Outlook:
    """Nobody gives up. Raises ValueError for values that are no queue."""
    _check(agents, load, handling, within)
    if load == 0:
        return Outlook(service_level=1.0, waits=0.0, mean_wait=0.0, abandoned=0.0, occupancy=0.0)
    if agents <= load:
        return Outlook(service_level=0.0, waits=1.0, mean_wait=math.inf, abandoned=0.0, occupancy=1.0)
    turned_away = blocking(agents, load)
    waits = turned_away / (1 - load / agents * (1 - turned_away))
    return Outlook(
        service_level=1 - waits * math.exp(-(agents - load) * within / handling),
        waits=waits,
        mean_wait=waits * handling / (agents - load),
        abandoned=0.0,
        occupancy=load / agents,
    )


def erlang_a(agents: int, load: float, handling: float, patience: float, within: float) -> Outlook:
    """Callers give up after an exponential time of mean `patience`. Raises ValueError for values that are no queue."""
    _check(agents, load, handling, within)
    if not patience > 0:
        raise ValueError("patience must be more than 0 seconds")
    if load == 0:
        return Outlook(service_level=1.0, waits=0.0, mean_wait=0.0, abandoned=0.0, occupancy=0.0)
    if agents == 0:
        return Outlook(service_level=0.0, waits=1.0, mean_wait=patience, abandoned=1.0, occupancy=1.0)
    arrivals, served, leaving = load / handling, agents / handling, 1 / patience

    def log_density(wait: float) -> float:
        return arrivals / leaving * -math.expm1(-leaving * wait) - served * wait

    # The largest value is at 0, or where the line is in balance; everything is divided by it, for it can be very large.
    peak = math.log(arrivals / served) / leaving if arrivals > served else 0.0
    top = log_density(peak)
    end = _end(log_density, peak, top, 1 / served)

    def density(wait: float) -> float:
        return math.exp(log_density(wait) - top)

    whole = _integral(density, 0.0, end)
    # Sum of load**j / j! for j < agents, over its last term: 1 / Erlang B of one agent less.
    free = math.exp(-top) / blocking(agents - 1, load)
    total = free + arrivals * whole
    in_time = _integral(lambda wait: math.exp(-leaving * wait) * density(wait), 0.0, min(within, end))
    waits = arrivals * whole / total
    abandoned = min(1.0, max(0.0, (math.exp(-top) + (arrivals - served) * whole) / total))
    return Outlook(
        service_level=min(1.0, 1 - waits + arrivals * in_time / total),
        waits=waits,
        mean_wait=abandoned / leaving,
        abandoned=abandoned,
        occupancy=min(1.0, load * (1 - abandoned) / agents),
    )


def _check(agents: int, load: float, handling: float, within: float) -> None:
    if agents < 0 or not 0 <= load < math.inf or not handling > 0 or within < 0:
        raise ValueError("agents, load and seconds must not be negative, and handling must take time")


def _end(log_density: _Function, peak: float, top: float, step: float) -> float:
    """Where the density has become negligible."""
    while top - log_density(peak + step) < _NEGLIGIBLE:
        step *= 1.5
    return peak + step


def _integral(f: _Function, start: float, end: float) -> float:
    width = (end - start) / _STEPS
    if width <= 0:
        return 0.0
    odd = math.fsum(f(start + n * width) for n in range(1, _STEPS, 2))
    even = math.fsum(f(start + n * width) for n in range(2, _STEPS, 2))
    return width / 3 * (f(start) + f(end) + 4 * odd + 2 * even)
