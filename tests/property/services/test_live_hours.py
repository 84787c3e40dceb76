"""How agents spent today, as the pages show it, is what the reports make of the same facts."""

from __future__ import annotations

import random
from zoneinfo import ZoneInfo

import pytest

from cti.model import facts as f
from cti.model.facts import AgentState
from cti.reports.agent_times import Chosen, amounts_of, by_half_hour, stretches
from cti.reports.call_record import fold, in_order
from cti.reports.talks import activities_of
from tests.property.services.test_floor import AGENTS, Floor


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_hours_of_a_random_day_are_those_of_the_reports(seed: int) -> None:
    rng, floor = random.Random(seed), Floor()
    floor.the_floor_opens()
    acts = (
        lambda n: floor.caller_queues(rng.choice(["", "vip"]), rng.choice(["support", "sales"]), rng.random() < 0.8),
        floor.wait_is_entered, floor.rings, floor.is_answered, floor.is_answered, floor.caller_hangs_up,
        lambda n: floor.is_not_answered(n, rng.choice([0, 16, 17, 19, 20, 21])),
        lambda n: floor.talk_ends(n, rng.random() < 0.5),
        lambda n: floor.agent_chooses(rng.choice(AGENTS), rng.choice([AgentState.READY] * 5 + [AgentState.NOT_READY])),
        lambda n: floor.device_changes(rng.choice(AGENTS), rng.random() < 0.95, False),
        lambda n: floor.wrap_up_is_finished(rng.choice(AGENTS)),
        lambda n: floor.time_passes(rng.choice([0.5, 3.0, 11.0, 25.0])),
        lambda n: floor.time_passes(rng.choice([0.5, 3.0, 11.0, 25.0])),
    )  # fmt: skip
    for _ in range(400):
        rng.choice(acts)(rng.randrange(31))
    facts, board = floor.rig.facts, floor.rig.board
    calls: dict[str, list[f.Fact]] = {}
    for fact in facts:
        if isinstance(fact, f.CallFact) and not isinstance(fact, f.Decided):
            calls.setdefault(fact.call_id, []).append(fact)
    took = [one for told in calls.values() for one in activities_of(in_order(told), fold(told))]
    compared = 0
    for agent_id in AGENTS:
        status = board.agents[agent_id]  # type: ignore[index]
        if status.call_id or status.offer_call or status.wrap_call:
            continue  # in the reports when the call has ended
        chosen = [
            Chosen(at=fact.at, state=fact.state, reason=fact.reason)
            for fact in facts
            if isinstance(fact, f.AgentChanged) and fact.agent_id == agent_id
        ]
        own = [one for one in took if one.agent == agent_id]
        sums: dict[str, int] = {}
        times = stretches(chosen, own, since=board.tally.begins, until=status.since)
        for (_, state, _), ms in by_half_hour(times, ZoneInfo("UTC")).items():
            for name, amount in amounts_of(state, ms).items():
                sums[name] = sums.get(name, 0) + amount
            if state is AgentState.WRAP_UP:
                sums["wrap"] = sums.get("wrap", 0) + ms
        live = board.tally.hours(agent_id)  # type: ignore[arg-type]
        shown = {"busy_ms": live.busy, "ready_ms": live.ready, "not_ready_ms": live.not_ready, "wrap": live.wrap_up}
        assert {name: sums.get(name, 0) / 1000 for name in shown} == pytest.approx(shown, abs=0.01), agent_id
        compared += 1
    assert compared
