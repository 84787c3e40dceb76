"""The simulator against queueing theory: every caller goes through the production engine.

    python benchmarks/theory.py [--calls 200000] [--seed 1]

Closed forms: Erlang C for M/M/s, Cobham for two classes with strict, non-preemptive priority. Waits of one run are far
from independent (at 91 % load some 400 callers are worth one), so a run's standard error, from the means of 50 batches,
stands beside each figure. `plain_waits` is a second, independent simulation without any queue or agent object: on the same
callers it must give the very same waits, and it is fast enough for the numbers of callers that theory asks for.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from heapq import heappop, heappush, heapreplace
from time import perf_counter

from cti.model.centre import Agent, Centre, Queue, Tier
from cti.simulate.floor import Log, simulate
from cti.simulate.scenario import Arrival, CallerKind, Law, Scenario, Times
from cti.simulate.traffic import arrivals

# --- closed forms: s servers, offered load a (Erlang), mean handling time t (seconds)


def erlang_c(s: int, a: float) -> float:
    """The probability of having to wait."""
    blocking = 1.0
    for n in range(1, s + 1):
        blocking = a * blocking / (n + a * blocking)
    return blocking / (1 - a / s * (1 - blocking))


def mean_wait(s: int, a: float, t: float) -> float:
    return erlang_c(s, a) * t / (s - a)


def service_level(s: int, a: float, t: float, within: float) -> float:
    return 1 - erlang_c(s, a) * math.exp(-(s - a) * within / t)


def two_classes(s: int, a: float, t: float, first: float) -> tuple[float, float]:
    """Mean waits when the share `first` of all callers has strict priority (Cobham 1954)."""
    rho, rho_first = a / s, first * a / s
    residual = erlang_c(s, a) * t / s
    return residual / (1 - rho_first), residual / ((1 - rho_first) * (1 - rho))


def first_class_quantile(s: int, a: float, t: float, first: float, share: float) -> float:
    """Of the first class: who waits at all waits an exponential time, as if theirs were the only callers."""
    return max(math.log(erlang_c(s, a) / (1 - share)) * t / (s - first * a), 0.0)


# --- the same floor twice: through the engine, and as a recursion


def a_floor(s: int, a: float, t: float, calls: int, *, first: float = 0.0, seed: int = 1) -> Scenario:
    """Poisson callers, exponential handling, nobody hangs up; with `first` > 0 kind 0 is a strict tier."""
    per_half_hour = a / t * 1800
    shares = [(first, "vip"), (1 - first, "")] if first else [(1.0, "")]
    handling = Times(law=Law.EXPONENTIAL, mean=timedelta(seconds=t))
    return Scenario(
        name="theory",
        seed=seed,
        length=timedelta(seconds=calls * t / a),
        centre=Centre(
            name="theory",
            queues={"q": Queue(name="q", titles={})},
            agents={str(1001 + n): Agent(agent_id=str(1001 + n), name="", queues=("q",)) for n in range(s)},
            tiers={"vip": Tier(name="vip", strict=1)},
            numbers={},
        ),
        rosters={},
        callers=tuple(
            CallerKind(queue="q", tier=tier, per_half_hour=(share * per_half_hour,), handling=handling)
            for share, tier in shares
        ),
    )


def waits_of(log: Log) -> list[tuple[float, int, float]]:
    """(arrival, kind, wait), by arrival."""
    return sorted(zip(log.at, log.kind, log.wait, strict=True))


def plain_waits(calls: Iterable[Arrival], s: int) -> list[tuple[float, int, float]]:
    """First come, first served: who comes takes whichever server is free first (Kiefer and Wolfowitz)."""
    free = [0.0] * s
    out = []
    for call in calls:
        begins = max(free[0], call.at)
        heapreplace(free, begins + call.handling)
        out.append((call.at, call.kind, begins - call.at))
    return out


def plain_waits_by_kind(calls: Iterable[Arrival], s: int) -> list[tuple[float, int, float]]:
    """Strict priority by kind (0 first), without preemption: servers, and a heap of those who wait."""
    ends: list[float] = []
    waiting: list[tuple[int, float, float]] = []
    out = []

    def serve_until(now: float) -> None:
        while waiting and ends and ends[0] <= now:
            kind, at, handling = heappop(waiting)
            begins = ends[0]
            heapreplace(ends, begins + handling)
            out.append((at, kind, begins - at))
        while not waiting and ends and ends[0] <= now:
            heappop(ends)

    for call in calls:
        serve_until(call.at)
        if len(ends) < s:
            heappush(ends, call.at + call.handling)
            out.append((call.at, call.kind, 0.0))
        else:
            heappush(waiting, (call.kind, call.at, call.handling))
    serve_until(math.inf)
    return sorted(out)


# --- estimates


@dataclass(frozen=True)
class Estimate:
    value: float
    error: float
    """Standard error."""
    n: int


def batched(values: Sequence[float], batches: int = 50) -> Estimate:
    """Mean of correlated values, and its standard error from the means of batches in a row."""
    size = len(values) // batches
    means = [sum(values[n * size : (n + 1) * size]) / size for n in range(batches)]
    mean = sum(values) / len(values)
    middle = sum(means) / batches
    variance = sum((m - middle) ** 2 for m in means) / (batches - 1)
    return Estimate(mean, math.sqrt(variance / batches), len(values))


def quantile(values: Iterable[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[int(share * len(ranked))]


def random_floors(count: int, seed: int) -> list[tuple[int, float, float]]:
    """Floors of 2 to 60 agents at 60 to 90 % load."""
    chance = random.Random(seed)
    out = []
    for _ in range(count):
        s = chance.randint(2, 60)
        out.append((s, round(s * chance.uniform(0.6, 0.9), 2), float(chance.randint(60, 600))))
    return out


def show(title: str, found: Estimate, theory: float) -> None:
    off = 100 * (found.value / theory - 1)
    print(
        f"{title:46}{found.n:>9}{found.value:>11.4f}{theory:>11.4f}{off:>+8.2f} %"
        f"   s.e. {100 * found.error / theory:.2f} %",
        flush=True,
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--calls", type=int, default=200_000, help="callers of each run through the engine")
    asked.add_argument("--plain", type=int, default=0, help="callers of each run of the recursion alone")
    asked.add_argument("--seed", type=int, default=1)
    args = asked.parse_args()
    print(f"{'':46}{'callers':>9}{'found':>11}{'theory':>11}{'off':>10}")
    floors = [(14, 10.0, 180.0, 0.0), (55, 50.0, 300.0, 0.0), (50, 47.0, 300.0, 0.1)]
    floors += [(s, a, t, 0.0) for s, a, t in random_floors(3, 7)] + [(20, 17.0, 240.0, 0.3), (30, 27.0, 150.0, 0.2)]
    for s, a, t, first in floors:
        for through_engine, calls in ((True, args.calls), (False, args.plain)):
            if not calls:
                continue
            scenario = a_floor(s, a, t, calls, first=first, seed=args.seed)
            plain = plain_waits_by_kind if first else plain_waits
            began = perf_counter()
            rows = waits_of(simulate(scenario, arrivals(scenario))) if through_engine else plain(arrivals(scenario), s)
            took = perf_counter() - began
            print(f"s={s} A={a} T={t:.0f} {'engine' if through_engine else 'recursion'}: {took:.1f} s", flush=True)
            judge(rows, s, a, t, first)


def judge(rows: list[tuple[float, int, float]], s: int, a: float, t: float, first: float) -> None:
    if not first:
        waits = [wait for _, _, wait in rows]
        show("  P(wait)", batched([float(wait > 1e-9) for wait in waits]), erlang_c(s, a))
        show("  served within 20 s", batched([float(wait <= 20) for wait in waits]), service_level(s, a, t, 20))
        show("  mean wait", batched(waits), mean_wait(s, a, t))
        return
    vip = [wait for _, kind, wait in rows if kind == 0]
    regular = [wait for _, kind, wait in rows if kind == 1]
    of_vip, of_regular = two_classes(s, a, t, first)
    show(f"  first class ({first:.0%}), mean", batched(vip), of_vip)
    p95 = quantile(vip, 0.95)
    show("  first class, p95", Estimate(p95, 0.0, len(vip)), first_class_quantile(s, a, t, first, 0.95))
    show("  second class, mean", batched(regular), of_regular)


if __name__ == "__main__":
    main()
