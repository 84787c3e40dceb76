"""The web application with what supervisors, reports, recordings and quality need: the real floor with a telephone system that
takes every command and does nothing, and a real database, or one that is away.

    async with floor_stage(dsn, tmp_path) as stage: ...
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from yarl import URL

from cti.clock import SystemClock
from cti.errors import CtiError
from cti.ids import AgentId, CallId, ChannelName, NodeName, QueueName
from cti.model import signals as s
from cti.model.alert_facts import AlertChanged
from cti.model.alerts import AlertRules, Figure, Level, Threshold
from cti.model.commands import Deliver
from cti.model.facts import AgentState, Device, RecordingStarted
from cti.model.supervision_facts import Acted
from cti.quality_rooms import QualityWork
from cti.recordings.finding import StoredRecordings
from cti.recordings.live import live_sound
from cti.report_office.office import ReportOffice
from cti.services.acts import JournalActs
from cti.services.dispatcher import Dispatcher
from cti.services.recording_control import RecordingDesk
from cti.services.recordings import RecordingRooms
from cti.settings import Mail
from cti.store.acts import StoredActs
from cti.store.pool import open_pool
from cti.store.queries import StoredCalls
from cti.store.report_shelf import ReportShelf
from cti.store.reports import StoredReports
from cti.web.app import build_app
from cti.web.auth.sessions import Sessions
from cti.web.deps import WebDeps
from tests.integration.test_recordings_stored import NOW, Stage
from tests.support.api_schema import Known
from tests.support.fake_floor import FakeFloor, demo_centre, make_deps
from tests.unit.quality.test_quality_rules import GOOD
from tests.unit.services.test_dispatcher import FakeDirectory, FakeJournal, FakeTelephony

WAITS, TALKS = CallId("t1-1.1"), CallId("t1-1.2")
RECORDED = ("a1-1.1", "a1-1.2", "a1-1.3")
FILE = """\
name: Harbour Services
agents:
  "1001": {name: Amelia Stone, queues: [support, vip]}
  "1002": {name: Chen, queues: [support], skills: {en: 3}}
"""
KNOWN: Known = {
    "call_id": (WAITS, TALKS, *RECORDED, "a1-9.9"),
    "agent_id": ("1001", "1002", "1003"),
    "agent": ("1001", "1002", "1009"),
    "agents": (["1001"], ["1002", "1003"], []),
    "owner": ("1001",),
    "queue": ("support", "sales", "nowhere"),
    "queues": (["support"], ["support", "sales"]),
    "recording_id": (*RECORDED, "a1-9.9"),
    "alert": ("support.waiting", "-.waiting"),
    "prompt": ("closed", ""),
    "metrics": ("offered,answered", "service_level,asa,aht", "csat,occupancy", "complaints,inbound", "nothing"),
    "metric": ("offered", "service_level", "complaints", "ready_time", "inbound"),
    "by": ("queue", "half_hour", "agent,day", "team", "week_map", "weekday_hour", "item", "form", "tier"),
    "from": ("2026-03-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "2026-03-08T00:10:00+05:30"),
    "to": ("2026-03-08T00:00:00Z", "9999-12-31T23:59:59-12:00", "2026-04-08T00:00:00Z"),
    "since": ("2026-03-01", "2026-03-01T00:00:00Z", "0001-01-01", "0001-01-01T00:00:00+14:00"),
    "until": ("2026-12-31", "2099-03-08T00:00:00Z", "9999-12-31", "9999-12-31T23:59:59-12:00"),
    "after": ("2026-03-04T10:00:00+00:00|a1-1.1|1", "2026-13-41T99:00:00+00:00|x|1"),
    "before": ("a1-1.1", 2, "t:1", "1"),
    "period": ("2026-W09", "last_week", "yesterday"),
    "view": ("queues", "today"),
    "search": ("view=queues&period=last_week&by=queue&metrics=offered", "metrics=offered&queue=%00"),
    "number": (1, 2, 3),
    "report_id": (1, 2, 3),
    "form_id": (1, 1, 9),
    "form": (1, {"titles": {"en": "x"}, "sections": []}),
    "plan": (1, {"title": "Some", "kind": "random", "form_id": 1}, {"title": 10**30, "kind": [], "form_id": 10**30}),
    "plan_id": (1, 2),
    "sample_id": (1, 2, 3),
    "score_id": (1, 2, 3),
    "note_id": (1, 2),
    "calibration_id": (1, 2),
    "revision": (1, 2, 3),
    "answers": (GOOD,),
    "scorers": (["supervisor", "admin"], ["1001", "nobody"]),
    "scorer": ("supervisor",),
    "due": ("2026-12-01",),
    "day": (1, "2026-03-04", "0001-01-01"),
    "team": ("support", "-"),
    "queue_text": ("",),
}
"""Names of parameters and fields -> values that mean something here, and odd ones that are of the right form."""


class FloorStage:
    """A running application, and a token of each who asks; `lead` supervises one queue."""

    def __init__(self, url: str, deps: WebDeps) -> None:
        self.url, self.deps = url, deps
        self._sessions = Sessions(deps.accounts, key=deps.session_key, revoked_file=deps.revoked_file, clock=deps.clock)
        self.tokens: Mapping[str, str] = {name: self.log_in(name) for name in ("1001", "supervisor", "lead", "admin")}

    def log_in(self, name: str) -> str:
        """A new session's token."""
        account = self.deps.accounts.get(name)
        assert account is not None
        return self._sessions.create(account)[0]

    async def ask(
        self, method: str, path: str, body: Any = None, *, by: str = "supervisor", text: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:  # fmt: skip
        """One request with a body, or the text of one; its status and what it said. The address goes out as it is written."""
        sent = {"Authorization": f"Bearer {self.tokens[by]}", **(headers or {})}
        if body is not None or text is not None:
            sent["Content-Type"] = "application/json"
        data = text if text is not None else json.dumps(body) if body is not None else None
        url = URL(f"{self.url}/api/v1/{path}", encoded=True)
        async with aiohttp.ClientSession() as session, session.request(method, url, data=data, headers=sent) as answer:
            told = await (answer.json() if "json" in answer.content_type else answer.read())
            return answer.status, told

    async def done(self, method: str, path: str, body: Any = None, *, by: str = "supervisor") -> Any:
        """The answer to a request that must succeed."""
        status, told = await self.ask(method, path, body, by=by)
        assert status == 200, (path, told)
        return told


@contextlib.asynccontextmanager
async def floor_stage(dsn: str, folder: Path, *, full: bool = True) -> AsyncIterator[FloorStage]:
    """The application over the database at `dsn`. `full` False: the database is away, and nothing is furnished."""
    clock = SystemClock()
    rule = {Figure.WAITING: Threshold(warn=1.0, hold=timedelta(days=1))}
    centre = dataclasses.replace(demo_centre(), alerts=AlertRules(centre=rule, each_queue=rule))
    journal, telephony = FakeJournal(), FakeTelephony()
    dispatcher = Dispatcher(
        centre, node=NodeName("t1"), journal=journal, telephony=telephony, directory=FakeDirectory(), clock=clock
    )
    pool = await open_pool(dsn)
    quality = QualityWork(pool, clock=clock, centre=lambda: centre)
    reports = StoredReports(pool, lambda: centre, clock=clock)
    sounds = Stage(pool, folder)
    control = RecordingDesk(
        dispatcher.board, telephony, journal, clock, live=lambda call_id: live_sound(folder, call_id), limit=None
    )
    deps = make_deps(
        FakeFloor(centre, clock=clock),
        folder,
        calls=StoredCalls(pool),
        inspections=quality.rooms,
        reports=reports,
        report_desk=ReportOffice(reports, ReportShelf(pool), centre=lambda: centre, mail=Mail(), clock=clock),
        acts=JournalActs(journal, clock),
        stored_acts=StoredActs(pool),
        supervision=dispatcher,
        emergency_voice=_voice,
        line=dispatcher,
        recordings=RecordingRooms(
            recordings=StoredRecordings(pool, sounds.shelf, names=lambda: {"1001": "Ada"}), control=control, own=True
        ),
    )
    deps = dataclasses.replace(deps, floor=dispatcher, spending=dispatcher)
    deps.configuration.now = dataclasses.replace(deps.configuration.current(), text=FILE)  # type: ignore[attr-defined]
    add_people(deps)
    running = asyncio.create_task(dispatcher.run())
    server = TestServer(build_app(deps))
    await server.start_server()
    try:
        stage = FloorStage(str(server.make_url("")).rstrip("/"), deps)
        await _callers(dispatcher, telephony, control)
        if full:
            await _furnish(stage, quality, sounds)
        yield stage
    finally:
        await server.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.close()


async def _voice(words: Mapping[str, str]) -> str:
    if not "".join(words.values()).strip():
        raise CtiError("there is no speech in it")
    return "emergency_1"


def add_people(deps: WebDeps) -> None:
    """`lead`, who supervises one queue, and a telephone for `supervisor`."""
    mine = deps.accounts.get("supervisor")
    assert mine is not None
    deps.accounts._accounts["lead"] = mine.model_copy(update={"username": "lead", "queues": ("support",)})
    phones = {**deps.phone.passwords, "supervisor": "x", "supervisor-web": "y"}
    object.__setattr__(deps.phone, "passwords", phones)


async def _until(fits: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not fits():  # noqa: ASYNC110 - it gives way to the floor's task, no time passes
            await asyncio.sleep(0)


async def _callers(dispatcher: Dispatcher, telephony: FakeTelephony, control: RecordingDesk) -> None:
    """One talks with 1002 and is recorded, one waits for sales; an alert of each kind."""

    def now() -> datetime:
        return datetime.now(UTC)

    dispatcher.deliver(s.Snapshot(at=now(), channels=(), devices=(), restarted=False))
    await _until(lambda: dispatcher.board.linked)
    served = AgentId("1002")
    dispatcher.deliver(s.DeviceReachable(at=now(), agent_id=served, device=Device.SIP, reachable=True, in_use=False))
    await dispatcher.set_agent(served, AgentState.READY, device=Device.SIP)
    for call_id, queue in ((TALKS, "support"), (WAITS, "sales")):
        channel = ChannelName(f"PJSIP/trunk-{call_id}")
        await dispatcher.caller_arrived(call_id, channel=channel, number="+15550100001", did="5000")
        await dispatcher.enqueue(call_id, QueueName(queue), skills=(), head_start=timedelta())
        dispatcher.deliver(s.WaitEntered(at=now(), call_id=call_id, channel=channel))
    await _until(lambda: any(isinstance(one, Deliver) for one in telephony.commands))
    (sent,) = [one for one in telephony.commands if isinstance(one, Deliver)]
    leg = ChannelName("PJSIP/1002-1")
    both = {"at": now(), "call_id": TALKS, "offer_id": sent.offer_id, "agent_channel": leg}
    dispatcher.deliver(s.AgentLegDialled(**both, channel=sent.channel, agent_id=served))
    dispatcher.deliver(s.AgentLegRinging(**both))
    for one, who in ((leg, served), (sent.channel, None)):
        dispatcher.deliver(s.BridgeJoined(at=now(), bridge_id="b1", channel=one, call_id=TALKS, agent_id=who))
    await _until(lambda: dispatcher.board.calls[TALKS].state.value == "talking")
    control.observe([RecordingStarted(at=now(), call_id=TALKS, path="x.wav")], now())
    for queue_ in (None, QueueName("support")):
        dispatcher.board.alarms.learn(
            AlertChanged(at=now(), queue=queue_, figure=Figure.WAITING, level=Level.WARN, value=2.0, limit=1.0)
        )


async def _furnish(stage: FloorStage, quality: QualityWork, sounds: Stage) -> None:
    """Some of everything that has a number, made as people make it."""
    await quality.begin()
    for call_id, queue in zip(RECORDED, ("support", "sales", "support"), strict=True):
        await sounds.talk(call_id, NOW, queue)
    await sounds.append(
        [Acted(at=NOW, by="supervisor", role="supervisor", act="call_end", subject=f"call:{WAITS}", queue=QueueName("support"))]
    )  # fmt: skip
    for number, call_id in enumerate(RECORDED):
        await stage.done("POST", "quality/samples", {"call_id": call_id, "form_id": 1})
        begun = await stage.done("POST", f"quality/samples/{number + 1}/score")
        if number < 2:
            body = {"revision": begun["score"]["revision"], "answers": GOOD, "release": number == 0}
            await stage.done("POST", f"quality/scores/{begun['score']['score_id']}/submit", body)
        search = f"view=queues&period=last_{28 if number else 7}&by=queue&metrics=offered"
        kept = await stage.done("POST", "reports/saved", {"name": f"No {number}", "search": search, "shared": True})
        wish = {
            "report_id": kept["report_id"],
            "rhythm": "daily",
            "at": "07:30",
            "format": "csv",
            "language": "en",
            "to": ["a@example.com"],
        }
        await stage.done("POST", "reports/schedules", wish)
        goal = {
            "metric": ("service_level", "asa", "complaint_rate")[number],
            "target": 0.8,
            "queue": "support" if not number else "",
        }
        await stage.done("PUT", "audit/targets", goal)
        action = {"metric": "asa", "period": "2026-W09", "what": "More agents", "owner": "1001", "due": "2026-12-01"}
        await stage.done("POST", "audit/actions", action)
        await stage.done(
            "POST", "quality/notes", {"agent": "1001", "kind": "praise", "text": "Well done", "call_id": call_id}
        )
    for title in ("Some", "Others"):
        await stage.done("POST", "quality/plans", {"plan": {"title": title, "kind": "random", "form_id": 1}})
    await stage.done(
        "POST", "quality/calibrations",
        {"title": "Alike", "call_id": RECORDED[0], "form_id": 1, "scorers": ["supervisor", "admin"]},
    )  # fmt: skip
