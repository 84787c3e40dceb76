"""A queue of its own making: callers come, wait, give up or are served, first come first served. Virtual time, seeded."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import fmean

from cti.acd.estimates import Estimates, ExpectedWait
from cti.ids import QueueName

QUEUE = QueueName("support")
DAY = 86400.0


def exponential(mean: float) -> Callable[[random.Random], float]:
    """Times with this mean."""
    return lambda chance: chance.expovariate(1 / mean)


def lognormal(mean: float, spread: float = 1.0) -> Callable[[random.Random], float]:
    """Times with this mean; `spread` is the standard deviation over the mean."""
    sigma = math.sqrt(math.log(1 + spread**2))
    mu = math.log(mean) - sigma**2 / 2
    return lambda chance: chance.lognormvariate(mu, sigma)


@dataclass(slots=True)
class Tally:
    """Of callers who had to wait and were served: promise, moving average at the same moment, real wait."""

    rows: list[tuple[ExpectedWait, float, float]] = field(default_factory=list)

    def ratio(self) -> float:
        """Mean absolute error of the promise over that of the moving average."""
        ours = fmean(abs(real - promise.mean) for promise, _, real in self.rows)
        theirs = fmean(abs(real - average) for _, average, real in self.rows)
        return ours / theirs

    def error(self) -> float:
        """Mean absolute error of the promise over the mean wait."""
        return fmean(abs(real - promise.mean) for promise, _, real in self.rows) / fmean(real for *_, real in self.rows)

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
    patience: Callable[[random.Random], float] | None,
    calls: int,
    seed: int,
    warm_up: int,
    swing: float = 0.0,
) -> Tally:
    """Poisson arrivals whose rate swings by +- `swing` over the day; without `patience` nobody gives up.

    The first `warm_up` calls only teach. The moving average is app_queue's: whole seconds, (3 * old + new) >> 2.
    """
    chance = random.Random(seed)
    most = servers * load / mean_handling * (1 + swing)
    estimates, tally, average = Estimates(), Tally(), 0
    now, free = 0.0, servers
    waiting: deque[tuple[float, float, ExpectedWait | None, int, int]] = deque()
    events: list[tuple[float, int, float]] = []  # when a call ends, its number, its length

    def next_arrival(at: float) -> float:
        """Thinned: of a stream at the highest rate, as many as the rate of the hour allows."""
        while True:
            at += chance.expovariate(most)
            if chance.random() * (1 + swing) < 1 + swing * math.sin(2 * math.pi * at / DAY):
                return at

    def give_up() -> None:
        """Take out who has gone by now. Waiting callers are few against events, so all are looked at."""
        if patience is None:
            return
        for entry in [entry for entry in waiting if entry[1] <= now]:
            waiting.remove(entry)
            estimates.left(QUEUE, entry[1] - entry[0], abandoned=True)

    def serve(number: int) -> None:
        length = handling(chance)
        heappush(events, (now + length, number, length))

    arrival, arrived = next_arrival(0.0), 0
    while arrived < calls or events:
        if events and (arrived >= calls or events[0][0] <= arrival):
            now, _, length = heappop(events)
            estimates.handled(QUEUE, length)
            give_up()
            if not waiting:
                free += 1
                continue
            joined, _, promise, told, number = waiting.popleft()
            waited = now - joined
            estimates.left(QUEUE, waited, abandoned=False)
            if promise is not None:
                estimates.settled(QUEUE, promise, waited)
                if number >= warm_up:
                    tally.rows.append((promise, float(told), waited))
            average = (average * 3 + int(waited)) >> 2
            serve(number)
            continue
        now = arrival
        arrived += 1
        arrival = next_arrival(now)
        give_up()
        if free:
            free -= 1
            estimates.left(QUEUE, 0.0, abandoned=False)
            average = (average * 3) >> 2
            serve(arrived)
            continue
        gone = now + patience(chance) if patience is not None else math.inf
        waiting.append((now, gone, estimates.wait(QUEUE, len(waiting), float(servers)), average, arrived))
    return tally
