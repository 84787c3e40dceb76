"""The simulator against queueing theory: every caller goes through the production engine.

    python -m benchmarks.theory [--calls 100000] [--plain 2000000] [--seed 1]      a list of floors
    python -m benchmarks.theory --floor 50,47,300 [--shares 0.1,0.3,0.6] [--head-starts 60,0] [--patience 120]
    python -m benchmarks.theory --pooling [--calls 30000]

`--floor s,A,T` is any floor: agents, offered load in Erlang, mean handling time. `--shares` divides the callers into
classes, the first served first: strictly, or with `--head-starts` seconds of head start; each class has a queue of its own.

Closed forms (`queue_theory`): Erlang C, Cobham for strict classes, Erlang A with patience. A head start has none; there
the recursion is the reference, and the mean over all callers must be that of first come, first served (handling times are
alike, so who is served first does not change how many wait). Waits of one run are far from independent (at 91 % load some
400 callers are worth one), so a run's standard error, from the means of 50 batches, stands beside each figure.
`plain_floor` is a second simulation without any queue or agent object: on the same callers it must give the very same
waits (the most that any caller's two waits differ is printed), and it is fast enough (`--plain`) for the numbers of callers
that theory asks for. It is the perfect control variate: the engine's mean is the recursion's long one plus a difference of 0.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from time import perf_counter

from benchmarks.plain_floor import Row, by_key, first_come, rows_of
from benchmarks.queue_theory import (
    class_waits,
    erlang_a,
    erlang_c,
    first_class_quantile,
    mean_wait,
    service_level,
    wait_quantile,
)
from cti.ids import AgentId, QueueName
from cti.model.centre import Agent, Centre, Queue, Tier
from cti.simulate.floor import simulate
from cti.simulate.scenario import Arrival, CallerKind, Law, Scenario, Times
from cti.simulate.traffic import arrivals


@dataclass(frozen=True)
class Floor:
    """s agents, a Erlang, t seconds; classes by share of the callers, the first served first."""

    s: int
    a: float
    t: float
    shares: tuple[float, ...] = (1.0,)
    head_starts: tuple[float, ...] = ()
    """By class, in seconds; empty: the classes are strict."""
    patience: float = math.inf
    one_queue: bool = False
    """All classes wait in one queue instead of one each."""

    def scenario(self, calls: int, seed: int = 1) -> Scenario:
        """About so many callers. Poisson arrivals; handling and patience exponential."""
        last = len(self.shares) - 1
        queues = [QueueName("q" if self.one_queue else f"q{n}") for n in range(last + 1)]
        tiers = {
            f"c{n}": Tier(name=f"c{n}", head_start=timedelta(seconds=self.head_starts[n]))
            if self.head_starts
            else Tier(name=f"c{n}", strict=last - n)
            for n in range(last + 1)
        }
        agents = [AgentId(str(1001 + n)) for n in range(self.s)]
        served = tuple(dict.fromkeys(queues))
        return Scenario(
            name="theory",
            seed=seed,
            length=timedelta(seconds=calls * self.t / self.a),
            centre=Centre(
                name="theory",
                queues={name: Queue(name=name, titles={}) for name in served},
                agents={agent: Agent(agent_id=agent, name="", queues=served) for agent in agents},
                tiers=tiers,
                numbers={},
            ),
            rosters={},
            callers=tuple(
                CallerKind(
                    queue=queues[n],
                    tier=f"c{n}",
                    per_half_hour=(share * self.a / self.t * 1800,),
                    handling=exponential(self.t),
                    patience=exponential(self.patience) if self.patience < math.inf else None,
                )
                for n, share in enumerate(self.shares)
            ),
        )

    def key(self, call: Arrival) -> tuple[float, ...]:
        """Whoever has less is served first."""
        return (call.at - self.head_starts[call.kind],) if self.head_starts else (call.kind, call.at)

    def plain(self, calls: Iterable[Arrival]) -> list[Row]:
        """The same floor as a recursion."""
        return first_come(calls, self.s) if len(self.shares) == 1 else by_key(calls, self.s, self.key)

    def engine(self, calls: int, seed: int = 1) -> list[Row]:
        """Callers drawn, and sent through the production engine."""
        scenario = self.scenario(calls, seed)
        return rows_of(simulate(scenario, arrivals(scenario)))


def exponential(mean: float) -> Times:
    return Times(law=Law.EXPONENTIAL, mean=timedelta(seconds=mean))


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


def random_floors(count: int, seed: int) -> list[Floor]:
    """Floors of 2 to 60 agents at 60 to 90 % load."""
    chance = random.Random(seed)
    out = []
    for _ in range(count):
        s = chance.randint(2, 60)
        out.append(Floor(s, round(s * chance.uniform(0.6, 0.9), 2), float(chance.randint(60, 600))))
    return out


FLOORS = [
    Floor(14, 10.0, 180.0),
    Floor(55, 50.0, 300.0),
    Floor(50, 47.0, 300.0, (0.1, 0.9)),
    *random_floors(2, 7),
    Floor(20, 17.0, 240.0, (0.3, 0.7)),
    Floor(30, 27.0, 150.0, (0.1, 0.3, 0.6)),
    Floor(30, 27.0, 150.0, (0.2, 0.8), (60.0, 0.0)),
    Floor(20, 22.0, 240.0, patience=180.0),
    Floor(100, 95.0, 300.0, patience=600.0),
]


@dataclass(frozen=True)
class Line:
    """One figure found, and what theory says."""

    title: str
    found: Estimate
    theory: float


SETTLING = 30
"""Handling times for which an empty floor is given to fill; callers of that time do not count."""


def judged(floor: Floor, rows: Sequence[Row]) -> list[Line]:
    """Every figure theory has a closed form for."""
    s, a, t = floor.s, floor.a, floor.t
    rows = [row for row in rows if row[0] > SETTLING * t]
    waits = [wait for _, _, wait, _ in rows]
    if floor.patience < math.inf:
        # Of all callers together, whoever is served first (handling and patience are alike in all classes).
        of = erlang_a(s, a, t, floor.patience)
        lines = [
            Line("had to wait", batched([float(w > 1e-9) for w in waits]), of.waits),
            Line("gave up", batched([float(not served) for *_, served in rows]), of.abandons),
            Line("mean time waited by all", batched(waits), of.mean_time),
        ]
        if len(floor.shares) == 1:
            in_time = [float(served and wait <= 20) for _, _, wait, served in rows]
            served_waits = [wait for _, _, wait, served in rows if served]
            lines.append(Line("mean wait of those served", batched(served_waits), of.mean_served))
            lines.append(Line("served within 20 s", batched(in_time), of.in_time))
        return lines
    lines = [
        Line("had to wait", batched([float(w > 1e-9) for w in waits]), erlang_c(s, a)),
        Line("mean wait of all", batched(waits), mean_wait(s, a, t)),
    ]
    if len(floor.shares) == 1:
        p95 = Estimate(quantile(waits, 0.95), 0.0, len(waits))
        in_time = [float(w <= 20) for w in waits]
        lines.append(Line("served within 20 s", batched(in_time), service_level(s, a, t, 20)))
        lines.append(Line("95th percentile", p95, wait_quantile(s, a, t, 0.95)))
    elif not floor.head_starts:
        for n, theory in enumerate(class_waits(s, a, t, floor.shares)):
            of_class = [wait for _, kind, wait, _ in rows if kind == n]
            lines.append(Line(f"class {n + 1} ({floor.shares[n]:.0%}), mean wait", batched(of_class), theory))
            if n == 0:
                p95 = Estimate(quantile(of_class, 0.95), 0.0, len(of_class))
                lines.append(Line("   95th percentile", p95, first_class_quantile(s, a, t, floor.shares[0], 0.95)))
    return lines


# --- pooling: how little is lost when agents have some of the skills instead of all


POOLING = Floor(40, 36.0, 300.0, (0.25, 0.25, 0.25, 0.25), (0.0, 0.0, 0.0, 0.0))


def skills_of(agent: int, skills: int, each: int, *, chained: bool = False) -> tuple[int, ...]:
    """Which of `skills` the n-th agent has: a first one in turn, and others.

    Chained: those next to it. Spread: the second of one agent is not that of the next who shares the first.
    """
    first, turn = agent % skills, agent // skills
    if chained:
        return tuple((first + n) % skills for n in range(each))
    others = [1 + (turn * (each - 1) + n) % (skills - 1) for n in range(each - 1)]
    return (first, *((first + other) % skills for other in others))


def pooled(floor: Floor, each: int, calls: int, seed: int = 1, *, chained: bool = False) -> float:
    """Mean wait where every caller needs one skill, and every agent has `each` of them; 0: nobody needs any."""
    scenario = replace(floor, one_queue=True).scenario(calls, seed)
    count = len(floor.shares)
    agents = {
        agent_id: replace(
            agent, skills={f"k{k}": 3 for k in (skills_of(n, count, each, chained=chained) if each else ())}
        )
        for n, (agent_id, agent) in enumerate(scenario.centre.agents.items())
    }
    callers = tuple(replace(kind, skills=((f"k{n}", 3),) if each else ()) for n, kind in enumerate(scenario.callers))
    scenario = replace(scenario, centre=replace(scenario.centre, agents=agents), callers=callers)
    log = simulate(scenario, arrivals(scenario))
    return math.fsum(log.wait) / len(log.wait)


def pooling(calls: int, seed: int) -> None:
    print(
        f"{'skills x agents, load':28}{'pooled':>9}{'all':>8}{'three':>8}{'two':>8}{'  chained: three':>17}{'two':>8}"
    )
    for count, s, load in ((4, 40, 0.9), (4, 100, 0.95), (5, 100, 0.92), (6, 60, 0.9), (10, 100, 0.95)):
        floor = Floor(s, s * load, 300.0, (1 / count,) * count, (0.0,) * count)
        base = pooled(floor, 0, calls, seed)
        spread = [pooled(floor, each, calls, seed) / base for each in (count, 3, 2)]
        chain = [pooled(floor, each, calls, seed, chained=True) / base for each in (3, 2)]
        print(
            f"{f'{count} x {s}, {load:.0%}':28}{base:>7.2f} s{spread[0]:>8.4f}{spread[1]:>8.3f}{spread[2]:>8.3f}"
            f"{chain[0]:>17.3f}{chain[1]:>8.3f}",
            flush=True,
        )


def show(line: Line) -> None:
    off = 100 * (line.found.value / line.theory - 1) if line.theory else 0.0
    error = f"   s.e. {100 * line.found.error / line.theory:.2f} %" if line.found.error and line.theory else ""
    print(
        f"  {line.title:44}{line.found.n:>9}{line.found.value:>11.4f}{line.theory:>11.4f}{off:>+8.2f} %{error}",
        flush=True,
    )


def numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(",")) if text else ()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--calls", type=int, default=100_000, help="callers of each run through the engine")
    asked.add_argument("--plain", type=int, default=2_000_000, help="callers of each run of the recursion alone")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--floor", type=numbers, help="s,A,T")
    asked.add_argument("--shares", type=numbers, default=(1.0,))
    asked.add_argument("--head-starts", type=numbers, default=())
    asked.add_argument("--patience", type=float, default=math.inf)
    asked.add_argument("--pooling", action="store_true")
    args = asked.parse_args()
    if args.pooling:
        pooling(args.calls, args.seed)
        return
    floors = FLOORS
    if args.floor:
        s, a, t = args.floor
        floors = [Floor(int(s), a, t, args.shares, args.head_starts, args.patience)]
    print(f"{'':46}{'callers':>9}{'found':>11}{'theory':>11}{'off':>10}")
    for floor in floors:
        print(floor, flush=True)
        if args.calls:
            began = perf_counter()
            rows = floor.engine(args.calls, args.seed)
            took = perf_counter() - began
            again = floor.plain(arrivals(floor.scenario(args.calls, args.seed)))
            print(
                f" engine: {took:.1f} s; a caller's wait is off the recursion's by {furthest(rows, again):.1e} s at most"
            )
            for line in judged(floor, rows):
                show(line)
        if args.plain:
            began = perf_counter()
            rows = floor.plain(arrivals(floor.scenario(args.plain, args.seed)))
            print(f" recursion: {perf_counter() - began:.1f} s")
            for line in judged(floor, rows):
                show(line)


def furthest(rows: Sequence[Row], again: Sequence[Row]) -> float:
    """By how much the two waits of one caller differ at most; `inf` when not the same callers were served."""
    if [row[1::2] for row in rows] != [row[1::2] for row in again]:
        return math.inf
    return max(abs(one[2] - other[2]) for one, other in zip(rows, again, strict=True))


if __name__ == "__main__":
    main()
