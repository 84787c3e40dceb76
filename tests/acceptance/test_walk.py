"""Callers go through every shipped flow on real Asterisk, as the dialogues beside the flows say, and hear what they should."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from cti.ids import FlowName
from cti.ivr.dialogues import Dialogue
from cti.model.facts import Match
from tests.acceptance.walk_calls import Job, Walked, nothing_is_left, walk_all
from tests.acceptance.walk_line import seconds_before
from tests.acceptance.walk_plan import Plan, cuts, not_staged, planned, read_dialogues
from tests.acceptance.walk_stage import OWN, SHIPPED, Stage, stage
from tests.support.sip_caller import CarrierLine, carrier_line

Place = tuple[str, str, str, str]
"""Flow, step, language, kind of effect."""

LONG = os.environ.get("CTI_WALK") == "long"

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200 if LONG else 300)]


@pytest.fixture(scope="module")
def walk_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("walk")) as running:
        yield running


@pytest.fixture
async def line(walk_stage: Stage) -> AsyncIterator[CarrierLine]:
    host, port = walk_stage.centre.told["sip"]["server"].rsplit(":", 1)
    async with carrier_line(walk_stage.centre.carrier, (host, int(port))) as found, walk_stage.service.open():
        yield found


def every_dialogue() -> list[tuple[FlowName, Dialogue]]:
    return [
        (file.flow, dialogue)
        for folder in (SHIPPED / "dialogues", OWN / "dialogues")
        for file in read_dialogues(folder)
        for dialogue in file.dialogues
    ]


def plan_of(running: Stage, flow: FlowName, dialogue: Dialogue, cut: int | None = None) -> Plan:
    return planned(
        running.flows[flow], dialogue, number=next(running.numbers), did=running.dids[flow, dialogue.language],
        flows=running.flows, cut=cut,
    )  # fmt: skip


def places_to_leave(running: Stage) -> dict[Place, Plan]:
    """Every place at which a caller spends time, each with the quickest way there; the caller leaves in it."""
    found: dict[Place, tuple[float, FlowName, Dialogue, int]] = {}
    for flow, dialogue in every_dialogue():
        plan = plan_of(running, flow, dialogue)
        if not_staged(plan) or not plan.number or plan.world.customer.match is Match.UNAVAILABLE:
            continue
        for cut, place in cuts(plan):
            cost = seconds_before(plan, cut, running.prompts)
            if place not in found or cost < found[place][0]:
                found[place] = (cost, flow, dialogue, cut)
    return {
        place: plan_of(running, flow, dialogue, cut) for place, (_cost, flow, dialogue, cut) in sorted(found.items())
    }


def sample(places: dict[Place, Plan]) -> list[Plan]:
    """The short profile: of each step of each flow one place, languages and kinds of effect in turn."""
    steps: dict[tuple[str, str], list[Place]] = {}
    for place in places:
        steps.setdefault(place[:2], []).append(place)
    return [places[them[number % len(them)]] for number, them in enumerate(steps.values())]


def tell(walked: Walked, what: str) -> None:
    """The figures, for people (`pytest -s`)."""
    plain, ahead = walked.measures, walked.ahead
    stops = sorted(plain.cut + ahead.cut)
    waits = sorted(got - wanted for wanted, got in plain.timeouts + ahead.timeouts)
    print(f"\n{what}: {walked.calls} calls in {walked.seconds:.0f} s, {len(walked.faults)} faults")
    print(f"  {plain.sounds + ahead.sounds} prompts compared, {plain.seconds + ahead.seconds:.0f} s of sound")
    print(f"  {plain.ahead + ahead.ahead} prompts skipped by keys pressed ahead")
    if stops:
        middle = stops[len(stops) // 2]
        print(
            f"  {len(stops)} prompts stopped by a key: {middle * 1000:.0f} ms (median), {stops[-1] * 1000:.0f} ms at most"
        )
    if waits:
        print(f"  {len(waits)} time-outs, off by {waits[0] * 1000:.0f} to {waits[-1] * 1000:.0f} ms")
    for fault in walked.faults:
        print("  -", fault)


async def test_every_dialogue_comes_true_on_the_line_and_callers_leave_at_every_step(
    walk_stage: Stage, line: CarrierLine
) -> None:
    plans = [plan_of(walk_stage, flow, dialogue) for flow, dialogue in every_dialogue()]
    assert {plan.name: why for plan in plans if (why := not_staged(plan))} == {}
    places = places_to_leave(walk_stage)
    left_at = list(places.values()) if LONG else sample(places)
    print(f"\n{len(plans)} dialogues; {len(places)} places to hang up at, {len(left_at)} of them taken")
    walked = await walk_all(
        walk_stage, line, [Job(plan) for plan in plans] + [Job(plan, ahead=True) for plan in left_at]
    )
    tell(walked, "the walk")
    await nothing_is_left(walk_stage)
    assert not walked.faults
    assert {place[:2] for place in places} == {(flow, name) for flow, name in spoken_steps(walk_stage)}, (
        "a step at which nobody hangs up"
    )
    plain = walked.measures
    assert plain.sounds > 300
    assert walked.ahead.ahead
    # At once, on a line of 20 ms a packet; the machine may be loaded.
    assert sorted(plain.cut)[len(plain.cut) // 2] < 0.1
    assert max(plain.cut) < 0.5
    assert all(-0.15 < got - wanted < 0.75 for wanted, got in plain.timeouts), plain.timeouts


def spoken_steps(running: Stage) -> set[tuple[str, str]]:
    """Every step in which a caller spends time."""
    flows = {flow for flow, _dialogue in every_dialogue()}
    return {
        (str(name), step.name)
        for name in flows
        for step in running.flows[name].steps.values()
        if step.spoken() or step.verb in ("record", "call_service")
    }
