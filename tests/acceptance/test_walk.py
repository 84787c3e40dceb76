"""Callers go through every shipped flow on real Asterisk, as the dialogues beside the flows say, and hear what they should.

Every sound that reaches a caller is compared with the prompt's file, byte by byte. Callers hang up, too: in the short profile
once in each step of each flow, in the long one (CTI_WALK=long pytest -s tests/acceptance/test_walk.py) in each of its prompts,
waits, recordings and questions to services, in each language. Callers press keys by a clock of their own process: on a machine
that is loaded with other work they come late to the shortest waits.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cti.ids import FlowName
from cti.ivr.dialogues import Dialogue
from cti.model.facts import Match
from tests.acceptance.walk_calls import Job, Walked, nothing_is_left, records, walk_all
from tests.acceptance.walk_line import INTO_A_SOUND, PATIENCE, recognise, seconds_before
from tests.acceptance.walk_plan import Plan, cuts, not_staged, planned, read_dialogues
from tests.acceptance.walk_sipp import scenario, seconds_of_keys, suits
from tests.acceptance.walk_stage import OWN, SHIPPED, Stage, stage
from tests.support.sip_caller import CarrierLine, carrier_line
from tests.support.sipp import run_sipp

Place = tuple[str, str, str, str]
"""Flow, step, language, kind of effect."""

LONG = os.environ.get("CTI_WALK") == "long"

pytestmark = [
    pytest.mark.real, pytest.mark.alone, pytest.mark.needs("sipp"), pytest.mark.timeout(1200 if LONG else 600)
]  # fmt: skip


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
    print(f"  {plain.music + ahead.music} times music while somebody was asked")
    if stops:
        middle = stops[len(stops) // 2]
        print(
            f"  {len(stops)} prompts stopped by a key: {middle * 1000:.0f} ms (median), {stops[-1] * 1000:.0f} ms at most"
        )
    if waits:
        print(f"  {len(waits)} time-outs, off by {waits[0] * 1000:.0f} to {waits[-1] * 1000:.0f} ms")
    for fault in walked.faults:
        print("  -", fault)


async def sipp_callers(running: Stage, folder: Path) -> list[str]:
    """SIPp goes through every shipped flow in every language, by the shortest way; what came out otherwise."""
    ways: dict[tuple[str, str], Plan] = {}
    for flow, dialogue in every_dialogue():
        plan = plan_of(running, flow, dialogue)
        if flow.startswith("walk_") or not plan.number or plan.world.customer.match is Match.UNAVAILABLE:
            continue
        key = (str(flow), plan.moments[-1].language)
        if suits(plan, running.prompts) and (
            key not in ways
            or seconds_of_keys(plan, running.prompts)[1] < seconds_of_keys(ways[key], running.prompts)[1]
        ):
            ways[key] = plan
    flows = {flow for flow, _ in every_dialogue() if not flow.startswith("walk_")}
    assert set(ways) == {(str(flow), tag) for flow in flows for tag in running.flows[flow].languages}
    since = datetime.now(UTC)
    await running.admit(list(ways.values()))

    async def one(plan: Plan) -> str:
        file = folder / f"{plan.number}.xml"
        file.write_text(scenario(plan, running.prompts), encoding="utf-8")
        host, port = running.centre.told["sip"]["server"].rsplit(":", 1)
        result = await run_sipp(
            file, local=running.centre.carrier, remote=(host, int(port)), service=running.key(plan)[1],
            keys={"number": plan.number, "display": "SIPp"}, timeout_seconds=240,
        )  # fmt: skip
        return "" if (result.successful, result.failed) == (1, 0) else f"{plan.name}: {result.output}"

    async with asyncio.TaskGroup() as together:
        calls = []
        for plan in ways.values():
            calls.append(together.create_task(one(plan)))
            await asyncio.sleep(0.2)
    faults = [fault for call in calls if (fault := call.result())]
    faults += await records(running, [Job(plan) for plan in ways.values()], since)
    print(f"\n{len(ways)} SIPp callers, {len(faults)} faults")
    return [f"SIPp: {fault}" for fault in faults]


async def test_every_dialogue_comes_true_on_the_line_and_callers_leave_at_every_step(
    walk_stage: Stage, line: CarrierLine, tmp_path: Path
) -> None:
    plans = [plan_of(walk_stage, flow, dialogue) for flow, dialogue in every_dialogue()]
    assert {plan.name: why for plan in plans if (why := not_staged(plan))} == {}
    places = places_to_leave(walk_stage)
    left_at = list(places.values()) if LONG else sample(places)
    print(f"\n{len(plans)} dialogues; {len(places)} places to hang up at, {len(left_at)} of them taken")
    at_once = {plan.flow.name: plan for plan in places_to_leave(walk_stage).values()}.values()
    jobs = [Job(plan) for plan in plans] + [Job(plan, ahead=True) for plan in left_at]
    jobs += [Job(plan, at_once=True) for plan in at_once]
    opened = asyncio.Event()
    async with asyncio.TaskGroup() as together:
        walking = together.create_task(walk_all(walk_stage, line, jobs, opened=opened))
        await opened.wait()
        sipping = together.create_task(sipp_callers(walk_stage, tmp_path))
    walked = walking.result()
    walked.faults += sipping.result()
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


async def test_scripts_run_as_they_stand_and_bad_ones_harm_nobody(walk_stage: Stage, line: CarrierLine) -> None:
    running, folder = walk_stage, walk_stage.prompts
    said = {"done": "en/goodbye", "failed": "en/after_hours", "overdue": "en/opening_hours"}

    async def one(script: str, ends: str, keys: str = "") -> list[str]:
        flow = FlowName(f"walk_{script}")
        caller = await line.dial(running.dids[flow, ""], next(running.numbers))
        if keys:
            await caller.hears(INTO_A_SOUND, within=PATIENCE)
            caller.press(keys)
        async with asyncio.timeout(60):
            await caller.ended.wait()
        heard = recognise(bytes(caller.heard), folder)
        if ends:
            assert heard[-1:] == [said[ends]], (script, heard)
        return heard

    bad = [("hangs", "overdue"), ("computes", "overdue"), ("floods", "overdue"), ("crashes", "failed"), ("leaves", "")]
    others = [
        plan
        for flow, dialogue in every_dialogue() * 2
        if flow in ("languages", "simple", "support_direct", "walk_keys")
        and dialogue.world.customer.match is not Match.UNAVAILABLE
        and seconds_before(plan := plan_of(running, flow, dialogue), len(plan.moments), running.prompts) < 15
    ]
    async with asyncio.TaskGroup() as together:
        calls = [together.create_task(one(script, ends)) for script, ends in bad * (2 if LONG else 1) + bad[:1] * 10]
        walking = together.create_task(walk_all(running, line, [Job(plan) for plan in others]))
        right = together.create_task(one("pin", "done", "471"))
        wrong = together.create_task(one("pin", "failed", "123"))
    walked = walking.result()
    tell(walked, f"beside {len(calls)} bad scripts")
    await nothing_is_left(running)
    assert not walked.faults
    assert max(walked.measures.cut) < 0.5
    assert all(-0.15 < got - wanted < 0.75 for wanted, got in walked.measures.timeouts), walked.measures.timeouts
    assert right.result()[0].startswith("en/welcome["), "a key stops what a script plays"
    assert right.result()[1:] == ["en/connecting_sales", "en/goodbye"]
    assert wrong.result()[1:] == ["en/after_hours"]
    log = (running.centre.data / "log" / "bridge.log").stat().st_size
    assert log < 5_000_000, "what a script prints is in no log"


def spoken_steps(running: Stage) -> set[tuple[str, str]]:
    """Every step in which a caller spends time."""
    flows = {flow for flow, _dialogue in every_dialogue()}
    return {
        (str(name), step.name)
        for name in flows
        for step in running.flows[name].steps.values()
        if step.spoken() or step.verb in ("record", "call_service")
    }
