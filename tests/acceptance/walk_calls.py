"""Many walks at the same time over one centre, and what must be true of each afterwards."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from cti.ivr import effects as e
from cti.model.facts import Match
from tests.acceptance.walk_line import Measures, Walk, WalkError
from tests.acceptance.walk_plan import Plan
from tests.acceptance.walk_stage import Stage
from tests.integration.asterisk_rig import RawAmi
from tests.support.centre import ApiPerson
from tests.support.sip_caller import CarrierLine

AT_ONCE = 40
APART = 0.1
"""Seconds between two callers. All at the same instant would be a test of load."""
WITHIN = 200.0
"""Seconds the longest walk may take."""


@dataclass(slots=True)
class Job:
    """A plan and how it is walked."""

    plan: Plan
    ahead: bool = False
    at_once: bool = False
    """The caller hangs up as soon as the call is answered."""

    @property
    def name(self) -> str:
        """For messages."""
        how = " (keys ahead)" if self.ahead else " (leaves at once)" if self.at_once else ""
        return self.plan.name + how


@dataclass(slots=True)
class Walked:
    """What came of many walks."""

    measures: Measures = field(default_factory=Measures)
    ahead: Measures = field(default_factory=Measures)
    """Of callers who press keys ahead."""
    faults: list[str] = field(default_factory=list)
    calls: int = 0
    seconds: float = 0.0


async def walk_all(
    stage: Stage, line: CarrierLine, jobs: Iterable[Job], *, at_once: int = AT_ONCE, opened: asyncio.Event | None = None
) -> Walked:
    """Walk them all, the longest first, and compare what the centre wrote down of each.

    Callers for whom the customer file does not answer come first: it is locked until they all have heard something; then
    `opened` is set.
    """
    todo = sorted(jobs, key=lambda job: (job.plan.world.customer.match is not Match.UNAVAILABLE, -job.plan.seconds))
    await stage.admit([job.plan for job in todo])
    walked = Walked()
    began, since = time.monotonic(), datetime.now(UTC)
    gate = asyncio.Semaphore(at_once)

    async def one(job: Job, first: asyncio.Event) -> None:
        async with gate:
            measures = walked.ahead if job.ahead else walked.measures
            try:
                async with asyncio.timeout(WITHIN):
                    await walk_one(stage, line, job, measures, first.set)
            except (WalkError, AssertionError, TimeoutError) as error:
                walked.faults.append(str(error) or f"{job.name}: not over within {WITHIN:.0f} s")
            finally:
                first.set()

    async with asyncio.TaskGroup() as walking:
        closed = [job for job in todo if job.plan.world.customer.match is Match.UNAVAILABLE]
        if closed:
            async with stage.customer_file_closed():
                first = [asyncio.Event() for _ in closed]
                for job, event in zip(closed, first, strict=True):
                    walking.create_task(one(job, event))
                    await asyncio.sleep(APART)
                for event in first:
                    await event.wait()
            await asyncio.sleep(1)  # what waited for the lock is answered now
        if opened is not None:
            opened.set()
        for job in todo[len(closed) :]:
            walking.create_task(one(job, asyncio.Event()))
            await asyncio.sleep(APART)
    walked.calls = len(todo)
    walked.seconds = time.monotonic() - began
    walked.faults += await records(stage, todo, since)
    return walked


async def walk_one(
    stage: Stage, line: CarrierLine, job: Job, measures: Measures, first_sound: Callable[[], None] = lambda: None
) -> None:
    """One call."""
    plan, shop = job.plan, stage.service
    asked = None
    if plan.cut is not None and isinstance(plan.moments[plan.cut].effect, e.CallService):
        shop.asked[plan.number], shop.held[plan.number] = asyncio.Event(), asyncio.Event()
        asked = shop.asked[plan.number].wait
    try:
        caller = await line.dial(stage.dids[plan.flow.name, plan.language], plan.number)
        try:
            walk = Walk(plan, caller, stage.prompts, measures, ahead=job.ahead, asked=asked, first_sound=first_sound)
            if any(isinstance(m.result, e.Recorded) and m.result.status == "failure" for m in plan.moments):
                await spoil_recording(stage, plan)
            if not job.at_once:
                await walk.walk()
        finally:
            caller.hang_up()
    finally:
        if plan.number in shop.held:
            await asyncio.sleep(0.2)  # the hang-up is there before the answer
            shop.held[plan.number].set()


async def spoil_recording(stage: Stage, plan: Plan) -> None:
    """Nothing can be recorded in this call: in the place of its file there is a link into nowhere."""
    async with ApiPerson(stage.centre, "supervisor") as supervisor:
        state = await supervisor.until(
            "/state", lambda s: any(c["caller_number"] == plan.number for c in s["calls"].values())
        )
    call_id = next(c["call_id"] for c in state["calls"].values() if c["caller_number"] == plan.number)
    for moment in plan.moments:
        if isinstance(moment.effect, e.Record):
            link = stage.centre.data / "recordings" / f"{call_id}-{moment.step}-1.wav"
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(stage.centre.data / "nowhere" / "at" / "all.wav")


async def records(stage: Stage, jobs: list[Job], since: datetime, *, within: float = 60) -> list[str]:
    """What the centre wrote down otherwise than it should have, of calls that began `since` then."""
    deadline = time.monotonic() + within
    keys = [stage.key(job.plan) for job in jobs]
    assert len(set(keys)) == len(keys), "two calls that nobody can tell apart"
    while True:
        facts = await stage.facts(since, "CallEnded", "FlowStepDone")
        ended = {key: [f for f in facts.get(key, ()) if f["kind"] == "CallEnded"] for key in keys}
        if all(ended.values()) or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.3)
    rows = {
        (row["caller_number"] or "", row["did"]): row
        for row in await stage.centre.query(
            "SELECT * FROM report.calls WHERE started_at >= $1 AND direction = 'inbound'", since
        )
    }
    faults = []
    for job in jobs:
        plan, key = job.plan, stage.key(job.plan)
        wanted = [(str(t.flow), t.step, t.verb, t.exit, t.next_step, t.choice) for t in plan.traces]
        got = [
            (s["flow"], s["step"], s["verb"], s["result"], s.get("next_step"), s.get("choice", ""))
            for s in facts.get(key, ())
            if s["kind"] == "FlowStepDone" and (not s["flow"].startswith("walk_") or plan.flow.name.startswith("walk_"))
        ]
        if job.at_once and (not got or got[-1][3] == "gone"):
            wanted = got  # whatever the flow had come to, it says that the caller left there
        if got != wanted:
            faults.append(f"{job.name}: the trace is {got}, and {wanted} was expected")
        if len(ended[key]) != 1:
            faults.append(f"{job.name}: ended {len(ended[key])} times")
        row = rows.get(key)
        if row is None:
            faults.append(f"{job.name}: no row in report.calls")
            continue
        outcomes = plan.outcome if not job.at_once else frozenset({"abandoned"})
        outcomes = outcomes | {"overflow"} if plan.language else outcomes
        by = "system" if isinstance(plan.end, e.HangUp) else "caller"
        if row["outcome"] not in outcomes or row["hangup_by"] != by:
            faults.append(
                f"{job.name}: {row['outcome']} by {row['hangup_by']}, and {sorted(outcomes)} by {by} expected"
            )
        queue = next((str(m.effect.queue) for m in plan.moments if isinstance(m.effect, e.Enqueue)), None)
        if isinstance(plan.end, e.AwaitAgent) and row["queue"] != queue:
            faults.append(f"{job.name}: in the queue {row['queue']}, and {queue} was expected")
        language = plan.moments[-1].language if plan.moments else ""
        spoken = [m for m in plan.moments if isinstance(m.effect, e.ChooseLanguage)]
        if spoken and not job.at_once and row["language"] != language:
            faults.append(f"{job.name}: the language is {row['language']}, and {language} was expected")
    return faults


async def nothing_is_left(stage: Stage, within: float = 60) -> None:
    """No channel in Asterisk, no session in the bridge, no call on the floor."""
    centre = stage.centre
    secret = (centre.data / "secrets" / "secrets.json").read_text(encoding="utf-8")
    ami = await RawAmi.connect(5038 + centre.offset, "cti", json.loads(secret)["ami"])
    deadline = time.monotonic() + within
    left: dict[str, object] = {}
    try:
        async with ApiPerson(centre, "supervisor") as supervisor, aiohttp.ClientSession() as http:
            while time.monotonic() < deadline:
                since = len(ami.events)
                ami.send(Action="CoreShowChannels")
                channels = (await ami.event("CoreShowChannelsComplete", since=since))["ListItems"]
                rows = (await supervisor.get("/state"))["calls"].values()
                calls = [row["call_id"] for row in rows if not row["callback"]]  # a promise is kept, it is no leak
                async with http.get(centre.told["urls"]["api"].replace("/api/v1", "/metrics")) as answer:
                    metrics = await answer.text()
                lines = metrics.splitlines()
                sessions = next(text for text in lines if text.startswith("cti_agi_sessions_now ")).split()[1]
                left = {"channels": channels, "sessions": sessions, "calls": calls}
                if channels == "0" and float(sessions) == 0 and not calls:
                    return
                await asyncio.sleep(0.3)
    finally:
        await ami.close()
    raise AssertionError(f"left behind: {left}")
