"""The same floor in SimPy, a simulator by others: its resource, its queue, its clock; only the callers are ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from typing import Any

import simpy

from benchmarks.plain_floor import Row
from cti.simulate.scenario import Arrival


def simpy_floor(calls: Iterable[Arrival], s: int, priority: Callable[[Arrival], Any]) -> list[Row]:
    """Rows (arrival, kind, wait, served) by arrival; the least `priority` is served first, without preemption."""
    clock = simpy.Environment()
    agents = simpy.PriorityResource(clock, capacity=s)
    out: list[Row] = []

    def caller(call: Arrival) -> Generator[simpy.Event, Any, None]:
        with agents.request(priority=priority(call)) as turn:
            if call.patience < math.inf:
                yield turn | clock.timeout(call.patience)
            else:
                yield turn
            served = turn.triggered
            out.append((call.at, call.kind, clock.now - call.at, served))
            if served:
                yield clock.timeout(call.handling)

    def arrive() -> Generator[simpy.Event, Any, None]:
        for call in calls:
            yield clock.timeout(call.at - clock.now)
            clock.process(caller(call))

    clock.process(arrive())
    clock.run()
    return sorted(out)
