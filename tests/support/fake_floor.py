"""A floor in memory: for tests, and as a lively demo floor behind the real web application.

`python -m tests.support.fake_floor --port 8090` serves the real API, feed and pages over invented calls. Log in as
1001 / demo (an agent), supervisor / demo or admin / demo. No telephone system is needed: a call rings 1001 for some
seconds and then counts as answered.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

import cti
from cti.clock import Clock, SystemClock
from cti.ids import AgentId, CallId, CustomerId, FlowName, OfferId, QueueName
from cti.ivr.drawing import Traffic
from cti.metrics.registry import Metrics
from cti.model.centre import Agent, Centre, Number, Queue, Tier
from cti.model.facts import AgentState, CallFact, Decided, Device
from cti.services.configuration import Applied, ConfigConflict, ConfigInvalid, ConfigProblem, ConfigText
from cti.services.floor import (
    AgentRow,
    AlertRow,
    CallRow,
    CentreRow,
    Change,
    FloorView,
    LinkView,
    Pop,
    QueueRow,
    Refused,
    Standing,
)
from cti.services.ports import ContactSummary, CustomerCard
from cti.services.spending import Spent, SpentRow
from cti.services.talk_view import Destinations, SendTo, TalkView
from cti.store.explain import QueueAccuracy
from cti.web.app import build_app, serving
from cti.web.auth.accounts import Accounts
from cti.web.deps import PhoneServer, ReadyPart, WebDeps
from tests.support.fake_casework import fake_casework
from tests.support.fake_line import FakeLine
from tests.support.flow_corpus import shipped

SUPPORT, SALES, VIP = QueueName("support"), QueueName("sales"), QueueName("vip")
NAMES = ("Amelia Stone", "陈晓雨", "Ben Okafor", "Chloe Martin", "Diego Ruiz", "林浩", "Farah Aziz", "Grace Kim")
QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""For tests and the demo only: logging in costs nothing."""


def demo_centre() -> Centre:
    """Harbour Services: three queues, eight agents."""
    queues = {
        SUPPORT: Queue(name=SUPPORT, titles={"en": "Support", "zh": "技术支持"}),
        SALES: Queue(name=SALES, titles={"en": "Sales", "zh": "销售"}, wrap_up=timedelta(seconds=20)),
        VIP: Queue(name=VIP, titles={"en": "VIP line", "zh": "贵宾专线"}, service_level=timedelta(seconds=10)),
    }
    memberships = ((SUPPORT, VIP), (SUPPORT,), (SALES, VIP), (SALES,), (SUPPORT, SALES), (SUPPORT,), (SALES,), (VIP,))
    agents = {
        AgentId(str(1001 + i)): Agent(agent_id=AgentId(str(1001 + i)), name=name, queues=memberships[i])
        for i, name in enumerate(NAMES)
    }
    return Centre(
        name="Harbour Services",
        queues=queues,
        agents=agents,
        tiers={
            "gold": Tier(name="gold", head_start=timedelta(minutes=5)),
            "silver": Tier(name="silver", head_start=timedelta(minutes=1)),
            "standard": Tier(name="standard"),
        },
        numbers={
            "5000": Number(did="5000", flow=FlowName("main"), title="Main line", survival_queue=SUPPORT),
            "5001": Number(
                did="5001",
                flow=FlowName("vip"),
                title="VIP line",
                survival_queue=VIP,
                head_start=timedelta(minutes=5),
            ),
        },
    )


class StandingClock:
    """A clock that moves only when a test moves it."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def move(self, by: timedelta) -> None:
        self.at += by
        self.seconds += by.total_seconds()


class _Subscriber:
    def __init__(self, most: int) -> None:
        self.queue: asyncio.Queue[Change | None] = asyncio.Queue(most + 1)
        self.most = most

    def put(self, change: Change) -> bool:
        if self.queue.qsize() >= self.most:
            self.queue.put_nowait(None)
            return False
        self.queue.put_nowait(change)
        return True

    async def __aiter__(self) -> AsyncIterator[Change]:
        while (change := await self.queue.get()) is not None:
            yield change


class FakeFloor:
    """Satisfies `cti.services.floor.Floor` with plain rows. `apply` is how a test (or the demo) makes things happen.

    `asked` lists the requests in order; `refuse` maps a request's name to the refusal it is answered with.
    """

    def __init__(self, centre: Centre, *, clock: Clock | None = None, most_behind: int = 1000) -> None:
        self.centre = centre
        self.clock: Clock = clock or SystemClock()
        self.asked: list[tuple[Any, ...]] = []
        self.refuse: dict[str, Exception] = {}
        self.pages: dict[AgentId, int] = {}
        self.on_ask: Callable[..., Awaitable[None]] | None = None
        self._most_behind = most_behind
        self._subscribers: list[_Subscriber] = []
        now = self.clock.now()
        self.queues: dict[QueueName, QueueRow] = {
            queue.name: QueueRow(
                queue=queue.name,
                title=queue.titles,
                waiting=0,
                longest_since=None,
                agents_ready=0,
                agents_busy=0,
                agents_logged_in=0,
                answered_today=0,
                abandoned_today=0,
                in_time_today=0,
                service_level=None,
                target_seconds=queue.service_level.total_seconds(),
            )
            for queue in centre.queues.values()
        }
        self.agents: dict[AgentId, AgentRow] = {
            agent.agent_id: AgentRow(
                agent_id=agent.agent_id,
                name=agent.name,
                state=AgentState.OFFLINE,
                reason="",
                since=now,
                device=Device.BROWSER,
                reachable={Device.SIP: False, Device.BROWSER: True},
                page_connected=False,
                queues=agent.queues,
                call_id=None,
                calls_today=0,
                talk_seconds_today=0.0,
            )
            for agent in centre.agents.values()
        }
        self.calls: dict[CallId, CallRow] = {}
        self.pops: dict[AgentId, Pop] = {}
        self.talks: dict[AgentId, TalkView] = {}
        self.link = LinkView(connected=True, unknown_since=None)
        self.day: CentreRow | None = None
        self.alerts: dict[str, AlertRow] = {}

    def view(self) -> FloorView:
        return FloorView(
            at=self.clock.now(),
            queues=dict(self.queues),
            agents=dict(self.agents),
            calls=dict(self.calls),
            pops=dict(self.pops),
            link=self.link,
            talks=dict(self.talks),
            centre=self.day,
            alerts=dict(self.alerts),
        )

    def agent_row(self, agent_id: AgentId) -> AgentRow | None:
        return self.agents.get(agent_id)

    def changes(self) -> AsyncIterator[Change]:
        subscriber = _Subscriber(self._most_behind)
        self._subscribers.append(subscriber)
        return subscriber.__aiter__()

    def apply(self, change: Change) -> None:
        """Make it so, and tell every subscriber."""
        self.queues.update(change.queues)
        self.agents.update(change.agents)
        self.calls.update(change.calls)
        for call_id in change.calls_gone:
            self.calls.pop(call_id, None)
        for agent_id in change.agents_gone:
            self.agents.pop(agent_id, None)
        for agent_id, pop in change.pops.items():
            if pop is None:
                self.pops.pop(agent_id, None)
            else:
                self.pops[agent_id] = pop
        for agent_id, talk in change.talks.items():
            if talk is None:
                self.talks.pop(agent_id, None)
            else:
                self.talks[agent_id] = talk
        if change.link is not None:
            self.link = change.link
        if change.centre is not None:
            self.day = change.centre
        for alert, alarm in change.alerts.items():
            if alarm is None:
                self.alerts.pop(alert, None)
            else:
                self.alerts[alert] = alarm
        self._subscribers = [subscriber for subscriber in self._subscribers if subscriber.put(change)]

    async def _ask(self, *request: Any) -> None:
        self.asked.append(request)
        if (error := self.refuse.get(request[0])) is not None:
            raise error
        if request[1] not in self.agents:
            raise Refused("unknown_agent", f"no agent {request[1]}", remedy="check centre.yaml")
        if self.on_ask is not None:
            await self.on_ask(*request)

    async def hold(self, agent_id: AgentId, call_id: CallId, *, on: bool) -> None:
        await self._ask("hold", agent_id, call_id, on)

    async def transfer(self, agent_id: AgentId, call_id: CallId, to: SendTo, *, note: str = "") -> None:
        await self._ask("transfer", agent_id, call_id, to, note)

    async def consult(self, agent_id: AgentId, call_id: CallId, to: SendTo) -> None:
        await self._ask("consult", agent_id, call_id, to)

    async def complete_consult(self, agent_id: AgentId, call_id: CallId, *, note: str = "") -> None:
        await self._ask("complete_consult", agent_id, call_id, note)

    async def cancel_consult(self, agent_id: AgentId, call_id: CallId) -> None:
        await self._ask("cancel_consult", agent_id, call_id)

    async def swap(self, agent_id: AgentId, call_id: CallId) -> None:
        await self._ask("swap", agent_id, call_id)

    async def join(self, agent_id: AgentId, call_id: CallId) -> None:
        await self._ask("join", agent_id, call_id)

    async def drop(self, agent_id: AgentId, call_id: CallId, party: str) -> None:
        await self._ask("drop", agent_id, call_id, party)

    async def send_keys(self, agent_id: AgentId, call_id: CallId, keys: str) -> None:
        await self._ask("send_keys", agent_id, call_id, keys)

    async def pick_up(self, agent_id: AgentId, call_id: CallId) -> None:
        await self._ask("pick_up", agent_id, call_id)

    async def destinations(self, agent_id: AgentId) -> Destinations:
        await self._ask("destinations", agent_id)
        return Destinations(agents=(), queues=(), flows=(), numbers=())

    async def set_agent(
        self, agent_id: AgentId, state: AgentState, *, reason: str = "", device: Device | None = None
    ) -> None:
        await self._ask("set_agent", agent_id, state, reason, device)
        row = self.agents[agent_id]
        busy = row.call_id is not None
        self.set_row(
            agent_id,
            device=device or row.device,
            **({} if busy else {"state": state, "reason": reason, "since": self.clock.now(), "wrap_up_until": None}),
        )

    async def reject(self, agent_id: AgentId, offer_id: OfferId) -> None:
        await self._ask("reject", agent_id, offer_id)

    async def hang_up(self, agent_id: AgentId, call_id: CallId) -> None:
        await self._ask("hang_up", agent_id, call_id)

    async def choose_customer(self, agent_id: AgentId, call_id: CallId, customer_id: CustomerId) -> None:
        await self._ask("choose_customer", agent_id, call_id, customer_id)

    async def finish_wrap_up(
        self, agent_id: AgentId, call_id: CallId, *, disposition: str = "", note: str = ""
    ) -> None:
        await self._ask("finish_wrap_up", agent_id, call_id, disposition, note)

    async def extend_wrap_up(self, agent_id: AgentId, call_id: CallId) -> None:
        await self._ask("extend_wrap_up", agent_id, call_id)

    async def change_priority(
        self,
        call_id: CallId,
        *,
        by: str,
        reason: str,
        head_start: timedelta | None = None,
        strict: int | None = None,
        front: bool = False,
    ) -> Standing:
        self._asked_of_a_call("change_priority", call_id, by, reason, head_start, strict, front)
        row = self.calls.get(call_id) or self.make_call(call_id)
        given = max((call.head_start for call in self.calls.values()), default=0.0) + 3600 if front else row.head_start
        row = dataclasses.replace(row, head_start=head_start.total_seconds() if head_start is not None else given)
        self.apply(Change(calls={call_id: row} if call_id in self.calls else {}))
        return Standing(
            call_id=call_id, queue=row.queue or SUPPORT, head_start=row.head_start, strict=strict or 0, place=row.place
        )

    async def change_queue(self, call_id: CallId, queue: QueueName, *, by: str, reason: str) -> Standing:
        self._asked_of_a_call("change_queue", call_id, queue, by, reason)
        row = dataclasses.replace(self.calls.get(call_id) or self.make_call(call_id), queue=queue)
        self.apply(Change(calls={call_id: row} if call_id in self.calls else {}))
        return Standing(call_id=call_id, queue=queue, head_start=row.head_start, strict=0, place=row.place)

    async def acknowledge(self, alert: str, *, by: str) -> None:
        self._asked_of_a_call("acknowledge", alert, by)
        row = self.alerts.get(alert)
        if row is None:
            raise Refused("no_alert", f"there is no alert {alert} now", remedy="look at the list again")
        self.apply(
            Change(alerts={alert: dataclasses.replace(row, acknowledged_by=by, acknowledged_at=self.clock.now())})
        )

    async def cancel_callback(self, call_id: CallId, *, by: str) -> None:
        self._asked_of_a_call("cancel_callback", call_id, by)
        if call_id in self.calls:
            self.apply(Change(calls_gone=(call_id,)))

    def _asked_of_a_call(self, *request: Any) -> None:
        self.asked.append(request)
        if (error := self.refuse.get(request[0])) is not None:
            raise error

    def page(self, agent_id: AgentId, *, connected: bool) -> None:
        self.pages[agent_id] = self.pages.get(agent_id, 0) + (1 if connected else -1)
        if (row := self.agents.get(agent_id)) is not None and row.page_connected != (self.pages[agent_id] > 0):
            self.set_row(agent_id, page_connected=self.pages[agent_id] > 0)

    def set_row(self, agent_id: AgentId, **fields: Any) -> AgentRow:
        """Change some fields of an agent's row and tell it."""
        row = dataclasses.replace(self.agents[agent_id], **fields)
        self.apply(Change(agents={agent_id: row}))
        return row

    def make_call(self, call_id: str, **fields: Any) -> CallRow:
        """A call's row, waiting in support unless told otherwise. It is not applied yet."""
        now = self.clock.now()
        row = CallRow(
            call_id=CallId(call_id),
            state="waiting",
            since=now,
            started_at=now,
            caller_number="+14155550100",
            did="5000",
            language="en",
            customer_name="",
            tier="standard",
            queue=SUPPORT,
            queued_at=now,
            place=1,
            head_start=0.0,
            skills=(),
            why_waiting="no_agent_free",
            choice="Support",
            agent_id=None,
            answered_at=None,
        )
        return dataclasses.replace(row, **fields)

    def make_pop(self, agent_id: AgentId, call: CallRow, offer_id: int, **fields: Any) -> Pop:
        """The screen pop of a call for an agent. It is not applied yet."""
        now = self.clock.now()
        queue = self.centre.queues[call.queue or SUPPORT]
        pop = Pop(
            offer_id=OfferId(offer_id),
            call_id=call.call_id,
            agent_id=agent_id,
            queue=queue.name,
            queue_title=queue.titles,
            number=call.caller_number,
            match="unknown",
            customers=(),
            tier=call.tier,
            language=call.language,
            choice=call.choice,
            queued_at=call.queued_at or now,
            offered_at=now,
            deadline=now + queue.ring_timeout,
            dispositions=queue.dispositions,
        )
        return dataclasses.replace(pop, **fields)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FakePage:
    """A page of stored calls."""

    rows: tuple[Mapping[str, Any], ...]
    next: CallId | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FakeStoredCall:
    """One stored call."""

    row: Mapping[str, Any] | None
    disposition: str
    note: str
    facts: tuple[Mapping[str, Any], ...]


class FakeCalls:
    """Stored calls in memory. `error` is raised instead of an answer when set."""

    def __init__(self, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        self.rows = list(rows)
        self.error: Exception | None = None

    async def recent(
        self,
        *,
        limit: int,
        before: CallId | None,
        queue: QueueName | None,
        outcome: str | None,
        queues: Sequence[str] | None = None,
    ) -> FakePage:
        if self.error is not None:
            raise self.error
        rows = sorted(self.rows, key=lambda row: (row["started_at"], row["call_id"]), reverse=True)
        if before is not None:
            ids = [row["call_id"] for row in rows]
            rows = rows[ids.index(before) + 1 :] if before in ids else []
        rows = [
            row
            for row in rows
            if (queue is None or row.get("queue") == queue)
            and (outcome is None or row.get("outcome") == outcome)
            and (queues is None or row.get("queue") in queues)
        ]
        page = tuple(rows[:limit])
        return FakePage(rows=page, next=CallId(page[-1]["call_id"]) if len(rows) > limit else None)

    async def one(self, call_id: CallId) -> FakeStoredCall | None:
        if self.error is not None:
            raise self.error
        row = next((row for row in self.rows if row["call_id"] == call_id), None)
        if row is None:
            return None
        facts = ({"type": "CallStarted", "at": row["started_at"], "call_id": call_id},)
        ended = row if row.get("ended_at") else None
        return FakeStoredCall(row=ended, disposition="resolved", note="all well", facts=facts)


class FakeConfiguration:
    """A configuration in memory: any text is one, unless it has the word "wrong"."""

    def __init__(self) -> None:
        self.now = ConfigText(text="name: Harbour Services\n", version="v1", since=datetime(2026, 3, 2, tzinfo=UTC))
        self.applied: list[tuple[str, str]] = []

    def current(self) -> ConfigText:
        return self.now

    async def check(self, text: str) -> tuple[ConfigProblem, ...]:
        return (ConfigProblem(place="centre.yaml:1", message="wrong"),) if "wrong" in text else ()

    async def diff(self, text: str) -> tuple[str, ...]:
        await self._right(text)
        return () if text == self.now.text else ("centre: another text",)

    async def apply(self, text: str, *, expected: str, by: str) -> Applied:
        if expected != self.now.version:
            raise ConfigConflict(f"it is {self.now.version}", remedy="fetch it again")
        await self._right(text)
        self.applied.append((text, by))
        self.now = ConfigText(text=text, version=f"v{len(self.applied) + 1}", since=self.now.since, by=by)
        return Applied(version=self.now.version, changes=("centre: another text",), logins={"1009": "secret"})

    async def _right(self, text: str) -> None:
        if problems := await self.check(text):
            raise ConfigInvalid(problems)


class FakeExplanations:
    """Decisions and promises in memory: the floor's own (`remembered`) and stored ones. `error` as in `FakeCalls`."""

    def __init__(self) -> None:
        self.remembered: dict[str, list[CallFact]] = {}
        self.stored: dict[str, list[CallFact]] = {}
        self.standing: dict[str, Decided] = {}
        self.accurate: dict[QueueName, QueueAccuracy] = {}
        self.asked: list[tuple[datetime, datetime]] = []
        self.error: Exception | None = None

    def facts_of(self, call_id: CallId) -> tuple[CallFact, ...]:
        return tuple(self.remembered.get(call_id, ()))

    def present(self, call_id: CallId) -> Decided | None:
        return self.standing.get(call_id)

    async def accuracy(self, *, since: datetime, until: datetime) -> Mapping[QueueName, QueueAccuracy]:
        if self.error is not None:
            raise self.error
        self.asked.append((since, until))
        return self.accurate


class FakeStoredExplanations:
    """The stored side of `FakeExplanations`."""

    def __init__(self, both: FakeExplanations) -> None:
        self._both = both

    async def facts_of(self, call_id: CallId) -> tuple[CallFact, ...]:
        if self._both.error is not None:
            raise self._both.error
        return tuple(self._both.stored.get(call_id, ()))

    async def story_of(self, call_id: CallId) -> tuple[CallFact, ...]:
        return await self.facts_of(call_id)

    async def accuracy(self, *, since: datetime, until: datetime) -> Mapping[QueueName, QueueAccuracy]:
        return await self._both.accuracy(since=since, until=until)


class FakeFlowTraffic:
    """Callers who came to every step, a fixed number of times."""

    def __init__(self, traffic: Traffic | None = None) -> None:
        self.known = traffic or Traffic()
        self.asked: list[tuple[str, datetime, datetime]] = []

    async def traffic(self, flow: str, *, since: datetime, until: datetime) -> Traffic:
        self.asked.append((flow, since, until))
        return self.known


def make_accounts(folder: Path, centre: Centre, password: str = "demo") -> Accounts:
    """Accounts for every agent, the supervisor and the administrator, all with that password."""
    file = folder / "secrets" / "accounts.json"
    names = (*centre.agents, "supervisor", "admin")
    Accounts.write_first(file, {str(name): password for name in names}, centre.agents, hasher=QUICK_HASHER)
    return Accounts.load(file, hasher=QUICK_HASHER)


class FakeSpending:
    """What dialling out has cost: the centre, two queues and an agent."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def spent(self) -> Spent:
        """As it is now."""
        rows = tuple(
            SpentRow(
                scope=scope, name=name, dials_today=3, minutes_today=4.5, cost_today=1.25, cost_this_hour=0.5, running=1
            )
            for scope, name in (("centre", ""), ("queue", SUPPORT), ("queue", VIP), ("agent", "1001"))
        )
        return Spent(since=self._now(), currency="EUR", rows=rows)


def make_deps(floor: FakeFloor, folder: Path, *, port: int = 8080, **fields: Any) -> WebDeps:
    """What the web application needs, over a fake floor; `folder` holds secrets and, in `static`, pages."""
    centre = floor.centre
    passwords = {name: f"sip-{name}" for agent in centre.agents for name in (agent, f"{agent}-web")}
    origins = frozenset(f"http://{host}:{port}" for host in ("127.0.0.1", "localhost"))
    explained = fields.pop("explained", None) or FakeExplanations()
    deps: dict[str, Any] = {
        "floor": floor,
        "centre_now": lambda: centre,
        "configuration": FakeConfiguration(),
        "accounts": fields.pop("accounts", None) or make_accounts(folder, centre),
        "session_key": "a key for tests",
        "revoked_file": folder / "secrets" / "revoked.json",
        "phone": PhoneServer(
            ws_url="ws://127.0.0.1:8088/ws",
            domain="127.0.0.1",
            registrar="127.0.0.1:5060",
            passwords={**passwords, "webcall": "sip-webcall"},
        ),
        "calls": FakeCalls(),
        "live": explained,
        "explanations": FakeStoredExplanations(explained),
        "flows": (shipped("main"),),
        "flow_traffic": FakeFlowTraffic(),
        "readiness": lambda: (ReadyPart(name="asterisk", ok=True, needed=True, detail="connected"),),
        "metrics": Metrics(),
        "static": folder / "static",
        "origins": origins,
        "clock": floor.clock,
        "casework": fake_casework(folder),
        "line": FakeLine(),
        "spending": FakeSpending(floor.clock.now),
    }
    return WebDeps(**{**deps, **fields})


_CUSTOMERS = (
    ("Ada Whitfield", "gold", "en", "Whitfield Marine"),
    ("王建国", "gold", "zh", "东海物流"),
    ("Tomás Herrera", "standard", "en", ""),
    ("李静", "silver", "zh", ""),
    ("Zoë Lindqvist", "silver", "en", "Nordic Fish AB"),
    ("<b>Mallory</b>", "standard", "en", '"><script>alert(1)</script>'),
    ("Priya Nair", "standard", "en", "Nair & Daughters"),
)
_CHOICES = {SUPPORT: "Support > Orders", SALES: "Sales", VIP: "VIP line"}


class Demo:
    """Makes a fake floor live: callers come, wait, are offered, talk, and leave. `pace` 2 is twice as fast."""

    def __init__(self, floor: FakeFloor, calls: FakeCalls, *, pace: float = 1.0, seed: int = 7) -> None:
        self.floor = floor
        self.calls = calls
        self._pace = pace
        self._random = random.Random(seed)
        self._next_call = 0
        self._next_offer = 1_000_000
        self._ends: dict[str, asyncio.Event] = {}
        """Events a call's own task waits for: "<call>/rejected", "/hangup", "/wrapped"."""
        self._wanted: dict[AgentId, tuple[AgentState, str]] = {}
        """States asked for during a call: they take effect after it."""
        floor.on_ask = self._on_ask

    async def _pause(self, low: float, high: float, event: str | None = None) -> bool:
        """Wait a random time; True when the named event came first."""
        seconds = self._random.uniform(low, high) / self._pace
        if event is None:
            await asyncio.sleep(seconds)
            return False
        waited = self._ends.setdefault(event, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await waited.wait()
            return True
        except TimeoutError:
            return False
        finally:
            self._ends.pop(event, None)

    async def _on_ask(self, name: str, agent_id: AgentId, *rest: Any) -> None:
        floor = self.floor
        pop = floor.pops.get(agent_id)
        row = floor.agents[agent_id]
        if name == "set_agent":
            state, reason, _ = rest
            self._wanted.pop(agent_id, None)
            if row.call_id is not None:
                self._wanted[agent_id] = (state, reason)
                if row.state is AgentState.WRAP_UP:
                    self._set(f"{row.call_id}/wrapped")
        elif name == "reject":
            if pop is None or pop.offer_id != rest[0] or row.state is not AgentState.RINGING:
                raise Refused("offer_gone", "this offer is over", remedy="nothing to do")
            self._set(f"{pop.call_id}/rejected")
        elif name == "hang_up":
            if row.call_id != rest[0] or row.state not in (AgentState.TALKING, AgentState.HELD):
                raise Refused("not_your_call", "this is not your call", remedy="reload the page")
            self._set(f"{rest[0]}/hangup")
        elif name == "finish_wrap_up":
            if row.state is not AgentState.WRAP_UP or row.call_id != rest[0]:
                raise Refused("not_in_wrap_up", "there is no work after a call to finish", remedy="reload the page")
            self._set(f"{rest[0]}/wrapped")
            await asyncio.sleep(0)

    def _set(self, event: str) -> None:
        if event in self._ends:
            self._ends[event].set()

    def _refresh(self, *names: QueueName | None) -> dict[QueueName, QueueRow]:
        """Queue rows recounted from calls and agents, and places renumbered."""
        rows: dict[QueueName, QueueRow] = {}
        floor = self.floor
        for name in {name for name in names if name is not None}:
            waiting = [call for call in floor.calls.values() if call.queue == name and call.state == "waiting"]
            members = [agent for agent in floor.agents.values() if name in agent.queues]
            rows[name] = dataclasses.replace(
                floor.queues[name],
                waiting=len(waiting),
                longest_since=min((call.queued_at for call in waiting if call.queued_at), default=None),
                agents_ready=sum(agent.state is AgentState.READY for agent in members),
                agents_busy=sum(agent.call_id is not None for agent in members),
                agents_logged_in=sum(agent.state is not AgentState.OFFLINE for agent in members),
            )
        return rows

    def _tell(self, change: Change, *queues: QueueName | None) -> None:
        """Apply a change, then the queues' new figures and places."""
        self.floor.apply(change)
        floor = self.floor
        moved: dict[CallId, CallRow] = {}
        for name in {name for name in queues if name is not None}:
            line = [call for call in floor.calls.values() if call.queue == name and call.state == "waiting"]
            line.sort(key=lambda call: (call.queued_at or call.since) - timedelta(seconds=call.head_start))
            for place, call in enumerate(line, 1):
                why = "no_agent_free" if place == 1 else "behind_others"
                if call.place != place or call.why_waiting != why:
                    moved[call.call_id] = dataclasses.replace(call, place=place, why_waiting=why)
        floor.apply(Change(calls=moved, queues=self._refresh(*queues)))

    def _agent_now(self, agent_id: AgentId, state: AgentState, **fields: Any) -> AgentRow:
        return dataclasses.replace(self.floor.agents[agent_id], state=state, since=self.floor.clock.now(), **fields)

    async def run(self) -> None:
        """Live, for ever."""
        floor = self.floor
        for agent_id in floor.agents:
            at = floor.clock.now() - timedelta(seconds=self._random.uniform(5, 900))
            if agent_id in ("1001",):
                state, reason = AgentState.READY, ""
            elif agent_id == "1006":
                state, reason = AgentState.NOT_READY, "lunch"
            elif agent_id == "1008":
                state, reason = AgentState.OFFLINE, ""
            else:
                state, reason = AgentState.READY, ""
            calls = self._random.randint(3, 22)
            floor.set_row(
                agent_id,
                state=state,
                reason=reason,
                since=at,
                calls_today=calls,
                talk_seconds_today=calls * self._random.uniform(150, 260),
                page_connected=agent_id != "1008",
            )
        for name in floor.queues:
            answered = self._random.randint(60, 140)
            in_time = int(answered * self._random.uniform(0.6, 0.95))
            abandoned = self._random.randint(2, 12)
            row = dataclasses.replace(
                floor.queues[name],
                answered_today=answered,
                in_time_today=in_time,
                abandoned_today=abandoned,
                service_level=in_time / (answered + abandoned),
            )
            floor.apply(Change(queues={name: row}))
        self._tell(Change(), *floor.queues)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._route())
            tasks.create_task(self._coffee())
            for _ in range(4):
                tasks.create_task(self._caller())
            while True:
                await self._pause(1.0, 6.0)
                if len(floor.calls) < 16:
                    tasks.create_task(self._caller())

    async def _coffee(self) -> None:
        """Somebody other than the person at the page takes a break now and then."""
        floor = self.floor
        while True:
            await self._pause(15, 30)
            idle = [row for row in floor.agents.values() if row.state is AgentState.READY and row.agent_id != "1001"]
            back = [
                row for row in floor.agents.values() if row.state is AgentState.NOT_READY and row.agent_id != "1001"
            ]
            for row in back[:1]:
                self._tell(
                    Change(agents={row.agent_id: self._agent_now(row.agent_id, AgentState.READY, reason="")}),
                    *row.queues,
                )
            if len(idle) > 1:
                row = self._random.choice(idle)
                reason = self._random.choice(floor.centre.not_ready_reasons)
                self._tell(
                    Change(agents={row.agent_id: self._agent_now(row.agent_id, AgentState.NOT_READY, reason=reason)}),
                    *row.queues,
                )

    async def _caller(self) -> None:
        floor = self.floor
        self._next_call += 1
        call_id = CallId(f"a1-{int(floor.clock.now().timestamp())}.{self._next_call}")
        queue = self._random.choices((SUPPORT, SALES, VIP), (5, 4, 2))[0]
        name, tier, language, _ = self._random.choice(_CUSTOMERS)
        known = self._random.random() < 0.7
        number = f"+1415555{self._random.randint(100, 9999):04d}" if self._random.random() < 0.92 else None
        now = floor.clock.now()
        row = floor.make_call(
            call_id,
            state="menu",
            caller_number=number,
            did="5001" if queue == VIP else "5000",
            language=language if known else "en",
            customer_name=name if known and number else "",
            tier=tier if known and number else "standard",
            queue=None,
            queued_at=None,
            place=None,
            why_waiting="",
            choice="",
            head_start=0.0,
        )
        floor.apply(Change(calls={call_id: row}))
        await self._pause(2, 7)
        now = floor.clock.now()
        head = {"gold": 300.0, "silver": 60.0}.get(row.tier, 0.0)
        row = dataclasses.replace(
            row,
            state="waiting",
            since=now,
            queue=queue,
            queued_at=now,
            choice=_CHOICES[queue],
            head_start=head,
            place=99,
        )
        self._tell(Change(calls={call_id: row}), queue)
        # Patience: whoever is not taken by then hangs up.
        if await self._pause(45, 120, f"{call_id}/taken"):
            return
        row = floor.calls[call_id]
        if row.state != "waiting":
            return
        queue_row = floor.queues[queue]
        self._store(row, "abandoned")
        self._count(queue_row, abandoned=1)
        self._tell(Change(calls_gone=(call_id,)), queue)

    def _count(self, row: QueueRow, *, answered: int = 0, in_time: int = 0, abandoned: int = 0) -> None:
        row = dataclasses.replace(
            row,
            answered_today=row.answered_today + answered,
            in_time_today=row.in_time_today + in_time,
            abandoned_today=row.abandoned_today + abandoned,
        )
        total = row.answered_today + row.abandoned_today
        row = dataclasses.replace(row, service_level=row.in_time_today / total if total else None)
        self.floor.apply(Change(queues={row.queue: row}))

    def _store(self, call: CallRow, outcome: str, *, agent: str | None = None) -> None:
        now = self.floor.clock.now()
        self.calls.rows.append(
            {
                "call_id": call.call_id,
                "node": "a1",
                "direction": "inbound",
                "started_at": call.started_at,
                "queued_at": call.queued_at,
                "answered_at": call.answered_at,
                "ended_at": now,
                "caller_number": call.caller_number,
                "did": call.did,
                "language": call.language,
                "tier": call.tier,
                "queue": call.queue,
                "agent": agent,
                "outcome": outcome,
                "wait_seconds": ((call.answered_at or now) - (call.queued_at or now)).total_seconds(),
                "talk_seconds": (now - call.answered_at).total_seconds() if call.answered_at else 0.0,
                "hangup_by": "caller",
            }
        )

    async def _route(self) -> None:
        floor = self.floor
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._pause(0.4, 1.2)
                recounted = {
                    name: row for name, row in self._refresh(*floor.queues).items() if row != floor.queues[name]
                }
                if recounted:
                    floor.apply(Change(queues=recounted))
                waiting = sorted(
                    (call for call in floor.calls.values() if call.state == "waiting"),
                    key=lambda call: (call.queued_at or call.since) - timedelta(seconds=call.head_start),
                )
                for call in waiting:
                    # A few seconds in the queue, so that the page shows somebody waiting.
                    if (floor.clock.now() - (call.queued_at or call.since)).total_seconds() < 4 / self._pace:
                        continue
                    free = sorted(
                        (
                            row
                            for row in floor.agents.values()
                            if row.state is AgentState.READY and call.queue in row.queues
                        ),
                        key=lambda row: (row.agent_id != "1001", row.since),
                    )
                    if free:
                        tasks.create_task(self._serve(call.call_id, free[0].agent_id))
                        self._reserve(call, free[0].agent_id)
                        break

    def _reserve(self, call: CallRow, agent_id: AgentId) -> None:
        floor = self.floor
        self._set(f"{call.call_id}/taken")
        now = floor.clock.now()
        self._next_offer += 1
        pop = floor.make_pop(agent_id, call, self._next_offer, match="looking_up")
        call = dataclasses.replace(call, state="offered", since=now, agent_id=agent_id, place=None, why_waiting="")
        self._tell(
            Change(
                calls={call.call_id: call},
                agents={agent_id: self._agent_now(agent_id, AgentState.RESERVED, call_id=call.call_id)},
                pops={agent_id: pop},
            ),
            call.queue,
        )

    def _card(self, call: CallRow) -> Pop:
        floor = self.floor
        assert call.agent_id is not None
        pop = floor.pops[call.agent_id]
        if call.caller_number is None:
            return dataclasses.replace(pop, match="withheld")
        if not call.customer_name:
            return dataclasses.replace(pop, match="unknown")
        name, tier, language, company = next(entry for entry in _CUSTOMERS if entry[0] == call.customer_name)
        notes = "Ships weekly from berth 4. Prefers e-mail." if tier == "gold" else ""
        at = (floor.clock.now() - timedelta(days=3)).isoformat(timespec="seconds").replace("+00:00", "Z")
        card = CustomerCard(
            customer_id=CustomerId(100 + len(name)),
            name=name,
            tier=tier,
            language=language,
            phones=(call.caller_number,),
            company=company,
            notes=notes,
            contacts=(
                ContactSummary(at=at, queue="support", outcome="answered", agent="1003", note="Asked for order 8123"),
            ),
        )
        if self._random.random() < 0.12:
            other = dataclasses.replace(card, customer_id=CustomerId(7), name="Harbour Café", tier="standard", notes="")
            return dataclasses.replace(pop, match="several", customers=(card, other))
        return dataclasses.replace(pop, match="found", customers=(card,))

    async def _serve(self, call_id: CallId, agent_id: AgentId) -> None:
        floor = self.floor
        await self._pause(0.1, 0.3)
        call = floor.calls[call_id]
        floor.apply(
            Change(
                agents={agent_id: self._agent_now(agent_id, AgentState.RINGING)},
                pops={agent_id: self._card(call)},
            )
        )
        ring = (6.0, 7.0) if agent_id == "1001" else (1.5, 5.0)
        if await self._pause(*ring, f"{call_id}/rejected"):
            back = dataclasses.replace(
                floor.calls[call_id], state="waiting", since=floor.clock.now(), agent_id=None, place=99
            )
            self._tell(
                Change(
                    calls={call_id: back},
                    agents={agent_id: self._agent_now(agent_id, AgentState.NOT_READY, reason="break", call_id=None)},
                    pops={agent_id: None},
                    withdrawn={agent_id: "rejected"},
                ),
                call.queue,
            )
            return
        now = floor.clock.now()
        call = dataclasses.replace(floor.calls[call_id], state="talking", since=now, answered_at=now)
        in_time = (now - (call.queued_at or now)).total_seconds() <= 20
        self._tell(
            Change(calls={call_id: call}, agents={agent_id: self._agent_now(agent_id, AgentState.TALKING)}), call.queue
        )
        assert call.queue is not None
        self._count(floor.queues[call.queue], answered=1, in_time=int(in_time))
        await self._pause(12, 40, f"{call_id}/hangup")
        now = floor.clock.now()
        queue = floor.centre.queues[call.queue]
        talked = (now - (call.answered_at or now)).total_seconds()
        before = floor.agents[agent_id]
        row = self._agent_now(
            agent_id,
            AgentState.WRAP_UP,
            wrap_up_until=now + queue.wrap_up / self._pace,
            calls_today=before.calls_today + 1,
            talk_seconds_today=before.talk_seconds_today + talked,
        )
        self._store(call, "answered", agent=agent_id)
        self._tell(Change(calls_gone=(call_id,), agents={agent_id: row}), call.queue)
        full = queue.wrap_up.total_seconds()
        low, high = (full, full) if agent_id == "1001" else (3.0, 12.0)
        await self._pause(low, high, f"{call_id}/wrapped")
        state, reason = self._wanted.pop(agent_id, (AgentState.READY, ""))
        after = self._agent_now(agent_id, state, reason=reason, call_id=None, wrap_up_until=None)
        self._tell(
            Change(
                agents={agent_id: after},
                pops={agent_id: None},
                withdrawn={agent_id: "call_ended"},
            ),
            *before.queues,
        )


async def serve_demo(port: int, *, static: Path, pace: float, seed: int, host: str = "127.0.0.1") -> None:
    """Serve the real web application over the demo floor until cancelled."""
    floor, calls = FakeFloor(demo_centre()), FakeCalls()
    start = datetime.now(UTC)
    chosen = random.Random(seed)
    for i in range(60):
        call = floor.make_call(
            f"a1-{int(start.timestamp()) - 90 * i}.{i}",
            started_at=start - timedelta(seconds=90 * i + 60),
            queued_at=start - timedelta(seconds=90 * i + 50),
            answered_at=start - timedelta(seconds=90 * i + 30),
            queue=chosen.choice((SUPPORT, SALES, VIP)),
        )
        Demo(floor, calls, seed=i)._store(call, chosen.choice(("answered", "answered", "answered", "abandoned")))
    demo = Demo(floor, calls, pace=pace, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        app = build_app(make_deps(floor, Path(folder), port=port, calls=calls, static=static))
        async with serving(app, host, port) as real:
            print(f"http://{host}:{real}/  log in: 1001/demo, supervisor/demo, admin/demo  Ctrl-C stops.", flush=True)
            await demo.run()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--pace", type=float, default=1.0, help="2 is twice as fast")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--static", type=Path, default=Path(cti.__file__).parent / "web" / "static")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve_demo(given.port, static=given.static, pace=given.pace, seed=given.seed))


if __name__ == "__main__":
    main()
