"""What one decision of the ACD costs, beside a naive scan making the same choices in the same run.

    taskset -c 1 python -m benchmarks.acd_match [--events 5000] [--waiting 10000] [--agents 1000] [--cpu] [--json FILE]

Many callers wait and all agents are busy:

- *agent free*: one agent becomes free and gets the first caller in serving order (engine: classes; naive: every waiting
  caller is looked at);
- *arrival*: one deliverable caller joins and nobody is free (engine: into the heap; naive: every agent is looked at),
  and the same with everybody idle and nobody waiting, where it is offered at once.

The naive scan keeps plain lists and answers "which caller for this agent", "which agent for this caller". It is timed
for the choice alone; the engine for the whole of `handle`, with offer, lease and the evidence of the decision record
(spelling the record out is measured apart).

Python's garbage collector is off meanwhile: its pauses belong to whatever else the process holds. On a shared machine the
slow end of the spread is other people's: `quiet` is the smallest p99 of batches of 500 in a row, and `--cpu` measures the
thread's own processor time (which adds two system calls, about a microsecond, to each figure).
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter_ns, thread_time_ns

from cti.acd.decisions import Offer
from cti.acd.engine import Engine
from cti.acd.inputs import AgentBusy, AgentFree, CallerJoined, OfferSettled
from cti.acd.ranking import caller_key
from cti.model.centre import Agent, Centre, Queue, Strategy
from cti.model.facts import AgentState, OfferEnd
from cti.model.requirement import all_of, both, meets

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
QUEUES = [f"queue{n}" for n in range(10)]
LANGUAGES = ["en", "zh"]
BATCH = 500


def a_floor(agents: int, seed: int, strategy: Strategy = Strategy.LONGEST_IDLE) -> Centre:
    """Ten queues, two languages; an agent is in two neighbouring queues and speaks one or both languages."""
    rng = random.Random(seed)
    staff = {}
    for n in range(agents):
        first = rng.randrange(len(QUEUES))
        queues = (QUEUES[first], QUEUES[(first + 1) % len(QUEUES)])
        skills = dict.fromkeys(LANGUAGES if n % 4 == 0 else [LANGUAGES[n % 2]], 5)
        staff[f"{1000 + n}"] = Agent(agent_id=f"{1000 + n}", name="", queues=queues, skills=skills)
    return Centre(
        name="bench",
        queues={q: Queue(name=q, titles={}, strategy=strategy) for q in QUEUES},
        agents=staff,
        tiers={},
        numbers={},
    )


def a_caller(n: int, rng: random.Random, at: datetime) -> CallerJoined:
    return CallerJoined(
        call_id=f"a1-{n:07}",
        queue=rng.choice(QUEUES),
        queued_at=at,
        head_start=timedelta(seconds=rng.choice([0] * 8 + [120, 300])),
        skills=((rng.choice(LANGUAGES), 3),),
        deliverable=True,
    )


class Naive:
    """All waiting callers in a dict, all agents in a dict; every choice looks at each."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        self.waiting: dict[str, tuple[tuple, str, tuple]] = {}
        self.idle: dict[str, datetime] = {}

    def join(self, event: CallerJoined) -> None:
        needed = both(all_of(self.centre.queues[event.queue].skills), all_of(event.skills))
        key = caller_key(event.queued_at, event.head_start, event.call_id)
        self.waiting[event.call_id] = (key, event.queue, needed)

    def caller_for(self, agent_id: str) -> str | None:
        agent, best = self.centre.agents[agent_id], None
        for key, queue, needed in self.waiting.values():
            if queue in agent.queues and meets(agent.skills, needed) and (best is None or key < best):
                best = key
        return None if best is None else best[-1]

    def agent_for(self, call_id: str) -> str | None:
        _, queue, needed = self.waiting[call_id]
        best = None
        for agent_id, agent in self.centre.agents.items():
            since = self.idle.get(agent_id)
            if since is None or queue not in agent.queues or not meets(agent.skills, needed):
                continue
            if best is None or (since, agent_id) < best:
                best = (since, agent_id)
        return None if best is None else best[-1]


clock = perf_counter_ns


def timed(act: Callable[[], object]) -> tuple[int, object]:
    began = clock()
    result = act()
    return clock() - began, result


def spread(samples: Sequence[int]) -> dict[str, float]:
    """Microseconds."""
    ranked = sorted(samples)
    at = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99}
    row = {name: ranked[int(share * (len(ranked) - 1))] / 1000 for name, share in at.items()} | {"n": len(ranked)}
    whole = range(0, max(len(samples) - BATCH, 0) + 1, BATCH)
    row["quiet"] = min(sorted(samples[n : n + BATCH])[int(0.99 * (min(BATCH, len(samples)) - 1))] for n in whole) / 1000
    return row


def run(waiting: int, agents: int, events: int, naive_events: int, seed: int = 1) -> dict[str, dict[str, float]]:
    rng = random.Random(seed)
    centre = a_floor(agents, seed)
    engine, naive = Engine(centre), Naive(centre)
    for agent_id in centre.agents:
        engine.handle(AgentBusy(agent_id=agent_id, state=AgentState.TALKING), START)
    for n in range(waiting):
        event = a_caller(n, rng, START + timedelta(milliseconds=10 * n))
        engine.handle(event, START + timedelta(milliseconds=10 * n))
        naive.join(event)
    now = START + timedelta(milliseconds=10 * waiting)
    times: dict[str, list[int]] = {
        name: [] for name in ("agent free", "agent free, naive", "record", "arrival", "arrival, naive", "answered")
    }
    every = max(1, events // naive_events)
    staff = list(centre.agents)
    for n in range(events):
        now += timedelta(milliseconds=50)
        agent_id = rng.choice(staff)
        compare = n % every == 0
        if compare:
            took, chosen = timed(lambda: naive.caller_for(agent_id))  # noqa: B023
            times["agent free, naive"].append(took)
        free = AgentFree(agent_id=agent_id, idle_since=now)
        took, decisions = timed(lambda: engine.handle(free, now))  # noqa: B023
        times["agent free"].append(took)
        if compare:
            assert chosen == (decisions[0].call_id if decisions else None), "the naive scan chose another caller"
        if not decisions:
            # With few waiting it happens that nobody wants this agent.
            times["agent free"].pop()
            if compare:
                times["agent free, naive"].pop()
            engine.handle(AgentBusy(agent_id=agent_id), now)
            continue
        (offer,) = decisions
        assert isinstance(offer, Offer)
        took, _ = timed(lambda: offer.record)  # noqa: B023
        times["record"].append(took)
        del naive.waiting[offer.call_id]
        answer = OfferSettled(offer_id=offer.offer_id, end=OfferEnd.ANSWERED)
        took, _ = timed(lambda: engine.handle(answer, now))  # noqa: B023
        times["answered"].append(took)
        # One comes for one who was served, so that the queue keeps its length.
        event = a_caller(waiting + n, rng, now)
        naive.join(event)
        took, decisions = timed(lambda: engine.handle(event, now))  # noqa: B023
        assert decisions == ()
        times["arrival"].append(took)
        if compare:
            took, chosen = timed(lambda: naive.agent_for(event.call_id))  # noqa: B023
            assert chosen is None
            times["arrival, naive"].append(took)
    return {name: spread(samples) for name, samples in times.items()}


def arrivals_to_idle_agents(agents: int, events: int, seed: int = 2) -> dict[str, dict[str, float]]:
    """Nobody waits, everybody is idle: the arrival is offered at once, with a full record of candidates."""
    rng = random.Random(seed)
    centre = a_floor(agents, seed)
    engine, naive = Engine(centre), Naive(centre)
    for n, agent_id in enumerate(centre.agents):
        since = START - timedelta(seconds=rng.randrange(600), milliseconds=n)
        engine.handle(AgentFree(agent_id=agent_id, idle_since=since), START)
        naive.idle[agent_id] = since
    times: dict[str, list[int]] = {"arrival, all idle": [], "arrival, all idle, naive": []}
    now = START
    for n in range(events):
        now += timedelta(milliseconds=50)
        event = a_caller(n, rng, now)
        naive.join(event)
        took, chosen = timed(lambda: naive.agent_for(event.call_id))  # noqa: B023
        times["arrival, all idle, naive"].append(took)
        took, decisions = timed(lambda: engine.handle(event, now))  # noqa: B023
        times["arrival, all idle"].append(took)
        (offer,) = decisions
        assert offer.agent_id == chosen, "the naive scan would have chosen another agent"
        engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.ANSWERED), now)
        engine.handle(AgentFree(agent_id=offer.agent_id, idle_since=now), now)
        naive.idle[offer.agent_id] = now
        del naive.waiting[event.call_id]
    return {name: spread(samples) for name, samples in times.items()}


def by_strategy(agents: int, events: int, seed: int = 3) -> dict[str, dict[str, float]]:
    """Everybody idle, one arrival after the other; all strategies take turns, so that a busy machine hits each alike."""
    rng = random.Random(seed)
    engines = {strategy: Engine(a_floor(agents, seed, strategy)) for strategy in Strategy}
    times: dict[str, list[int]] = {strategy: [] for strategy in Strategy}
    now = START
    for engine in engines.values():
        for n in range(agents):
            engine.handle(AgentFree(agent_id=f"{1000 + n}", idle_since=START - timedelta(seconds=n)), START)
    for n in range(events):
        now += timedelta(seconds=1)
        event = a_caller(n, rng, now)
        for strategy, engine in engines.items():
            took, decisions = timed(lambda: engine.handle(event, now))  # noqa: B023
            times[strategy].append(took)
            (offer,) = decisions
            engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.ANSWERED, agent_id=offer.agent_id), now)
            engine.handle(AgentFree(agent_id=offer.agent_id, idle_since=now), now)
    return {strategy: spread(samples) for strategy, samples in times.items()}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--events", type=int, default=5000)
    asked.add_argument("--naive-events", type=int, default=300)
    asked.add_argument("--waiting", type=int, default=10_000)
    asked.add_argument("--agents", type=int, default=1000)
    asked.add_argument("--cpu", action="store_true")
    asked.add_argument("--json", type=Path)
    args = asked.parse_args()
    global clock
    clock = thread_time_ns if args.cpu else perf_counter_ns
    gc.disable()
    sizes = [size for size in (100, 1000) if size < args.waiting] + [args.waiting]
    results = {size: run(size, args.agents, args.events, args.naive_events) for size in sizes}
    full = results[args.waiting] | arrivals_to_idle_agents(args.agents, args.naive_events)
    columns = ("p10", "p50", "p90", "p99", "quiet")
    kind = "processor time" if args.cpu else "wall clock"
    print(f"Python {platform.python_version()}; {args.waiting} waiting x {args.agents} agents; microseconds, {kind}")
    print(f"{'':26}{'N':>6}" + "".join(f"{column:>10}" for column in columns))
    for name, row in full.items():
        print(f"{name:26}{row['n']:6.0f}" + "".join(f"{row[p]:10.1f}" for p in columns))
    print("\nnaive / engine, p50 (and from naive p10 / engine p90 to naive p90 / engine p10):")
    for name in ("agent free", "arrival", "arrival, all idle"):
        engine, naive = full[name], full[f"{name}, naive"]
        low, high = naive["p10"] / engine["p90"], naive["p90"] / engine["p10"]
        print(f"{name:26}{naive['p50'] / engine['p50']:8.0f}x ({low:.0f} - {high:.0f})")
    print("\ncost by number waiting (p50 / p99):")
    for size, rows in results.items():
        cells = "   ".join(f"{n} {rows[n]['p50']:.1f} / {rows[n]['p99']:.1f}" for n in ("agent free", "arrival"))
        print(f"{size:>8}   {cells}")
    first, last = results[sizes[0]], results[sizes[-1]]
    growth = {name: last[name]["p50"] / first[name]["p50"] for name in ("agent free", "arrival", "answered")}
    print(f"growth {sizes[0]} -> {sizes[-1]}, p50: " + ", ".join(f"{n} {g:.2f}x" for n, g in growth.items()))
    strategies = by_strategy(args.agents, args.naive_events)
    print("\narrival with everybody idle, by strategy, p50 in times of longest idle:")
    base = strategies[Strategy.LONGEST_IDLE]["p50"]
    for strategy, row in strategies.items():
        print(f"{strategy:26}{row['n']:6.0f}{row['p50']:10.1f}{row['p99']:10.1f}{row['p50'] / base:9.1f}x")
    if args.json:
        args.json.write_text(
            json.dumps({"full": full, "by_waiting": results, "growth": growth, "strategies": strategies}, indent=1)
        )


if __name__ == "__main__":
    main()
