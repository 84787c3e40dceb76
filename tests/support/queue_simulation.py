"""A queue of its own making: callers come, wait, give up or are served, first come first served. Virtual time, seeded."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import fmean

from cti.acd.estimates import Estimates, ExpectedWait
from cti.ids import QueueName

QUEUE = QueueName("support")


@dataclass(slots=True)
class Tally:
    """Of callers who had to wait and were served: promise, moving average at the same moment, real wait."""

    rows: list[tuple[ExpectedWait, float, float]] = field(default_factory=list)

    def ratio(self) -> float:
        """Mean absolute error of the promise over that of the moving average."""
        ours = fmean(abs(real - promise.mean) for promise, _, real in self.rows)
        theirs = fmean(abs(real - average) for _, average, real in self.rows)
        return ours / theirs

    def bias(self) -> float:
        """Mean promise over mean wait, less one."""
        return fmean(promise.mean for promise, _, _ in self.rows) / fmean(real for *_, real in self.rows) - 1

    def inside(self) -> float:
        """Share of real waits within the promised range."""
        return fmean(promise.low <= real <= promise.high for promise, _, real in self.rows)


def simulate(
    *,
    servers: int,
    load: float,
    handling: Callable[[random.Random], float],
    mean_handling: float,
    patience: float | None,
    calls: int,
    seed: int,
    warm_up: int,
) -> Tally:
    """Poisson arrivals; `patience` is the mean of exponential patience, None for endless. The first calls only teach."""
    rng = random.Random(seed)
    rate = servers * load / mean_handling
    estimates, tally, average = Estimates(), Tally(), 0
    now, free = 0.0, servers
    waiting: deque[tuple[float, float, ExpectedWait | None, int, int]] = deque()
    events: list[tuple[float, int, int, float]] = []  # when, kind (0 end of a call), tie, length
    arrival, arrived = rng.expovariate(rate), 0

    def give_up() -> None:
        """Take out who has gone by now. Waiting callers are few against events, so all are looked at."""
        for entry in [entry for entry in waiting if entry[1] <= now]:
            waiting.remove(entry)
            estimates.left(QUEUE, entry[1] - entry[0], abandoned=True)

    def serve(number: int) -> None:
        length = handling(rng)
        heappush(events, (now + length, 0, number, length))

    while arrived < calls or events:
        if events and (arrived >= calls or events[0][0] <= arrival):
            now, _, _, length = heappop(events)
            estimates.handled(QUEUE, length)
            give_up()
            if not waiting:
                free += 1
                continue
            joined, _, promise, told, number = waiting.popleft()
            waited = now - joined
            estimates.left(QUEUE, waited, abandoned=False)
            if promise is not None and number >= warm_up:
                tally.rows.append((promise, float(told), waited))
            average = (average * 3 + int(waited)) >> 2
            serve(number)
            continue
        now = arrival
        arrived += 1
        arrival = now + rng.expovariate(rate)
        give_up()
        if free:
            free -= 1
            estimates.left(QUEUE, 0.0, abandoned=False)
            average = (average * 3) >> 2
            serve(arrived)
            continue
        gone = now + rng.expovariate(1 / patience) if patience is not None else float("inf")
        waiting.append((now, gone, estimates.wait(QUEUE, len(waiting), float(servers)), average, arrived))
    return tally
