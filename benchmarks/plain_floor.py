"""Floors as recursions, without any queue, agent or engine: on the same callers, the same waits, and fast.

Rows are (arrival, kind, wait, served), by arrival.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from heapq import heappop, heappush, heapreplace

from cti.simulate.floor import Log
from cti.simulate.scenario import Arrival

Row = tuple[float, int, float, bool]


def rows_of(log: Log) -> list[Row]:
    """What the simulator noted, in the same form."""
    return sorted(
        (at, kind, wait, answered == 1)
        for at, kind, wait, answered in zip(log.at, log.kind, log.wait, log.answered, strict=True)
    )


def first_come(calls: Iterable[Arrival], s: int) -> list[Row]:
    """First come, first served: who comes takes whichever server is free first (Kiefer and Wolfowitz), or gives up."""
    free = [0.0] * s
    out: list[Row] = []
    for call in calls:
        begins = max(free[0], call.at)
        if begins - call.at > call.patience:
            out.append((call.at, call.kind, call.patience, False))
            continue
        heapreplace(free, begins + call.handling)
        out.append((call.at, call.kind, begins - call.at, True))
    return out


def by_key(calls: Iterable[Arrival], s: int, key: Callable[[Arrival], tuple[float, ...]]) -> list[Row]:
    """The least key first, without preemption: servers, and a heap of those who wait."""
    ends: list[float] = []
    waiting: list[tuple[tuple[float, ...], int, Arrival]] = []
    out: list[Row] = []

    def serve_until(now: float) -> None:
        while waiting and ends and ends[0] <= now:
            begins = ends[0]
            _, _, call = heappop(waiting)
            if begins - call.at > call.patience:
                out.append((call.at, call.kind, call.patience, False))
                continue
            heapreplace(ends, begins + call.handling)
            out.append((call.at, call.kind, begins - call.at, True))
        while not waiting and ends and ends[0] <= now:
            heappop(ends)

    for number, call in enumerate(calls):
        serve_until(call.at)
        if len(ends) < s:
            heappush(ends, call.at + call.handling)
            out.append((call.at, call.kind, 0.0, True))
        else:
            heappush(waiting, (key(call), number, call))
    serve_until(math.inf)
    return sorted(out)
