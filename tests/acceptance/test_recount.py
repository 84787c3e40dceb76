"""An independent recount: real calls of every kind, counted on the SIP side by telephones that note when each message went or
came; every figure of every report must say the same, times within 0.2 s.

The short form runs with the other tests. The long one (500 calls and more, about 15 minutes):
CTI_RECOUNT=long pytest -s tests/acceptance/test_recount.py
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom, Softphone
from cti.reports.metrics import DEFINITION_VERSION
from tests.acceptance.test_bridge_killed import bridge_back
from tests.acceptance.test_survival import AsteriskAlone
from tests.support.centre import REPOSITORY, ApiPerson, TestCentre
from tests.support.demo_centre import demo_tree, text_of
from tests.support.recount_line import AgentLeg, CallerLeg, NotingLine, NotingPhone
from tests.support.sip_caller import carrier_line

LONG = os.environ.get("CTI_RECOUNT") == "long"
ROUNDS = int(os.environ.get("CTI_RECOUNT_ROUNDS", "10" if LONG else "1"))
SEED = int(os.environ.get("CTI_RECOUNT_SEED", "7"))
"""In what order the calls of a round come, and how long they stay."""
SURVIVAL = LONG or bool(os.environ.get("CTI_RECOUNT_SURVIVAL"))
"""With calls that the telephone system carries on alone."""
CARRIERS_PORT = 5085
NEAR = 0.2
"""Seconds by which a time may differ."""
LAG = 0.6
"""Seconds from the answer to a caller until the flow has put them into the queue: within the machine, so the wire does not show
it. Measured: 0.02 on a quiet machine, 0.25 on a busy one. Everything else is compared by `NEAR`."""
LEVEL, SHORT, LEAVES = 3.0, 1.5, 5.0
OVERFLOWS = 2.0
ALONE = 4.0
"""After so many seconds without a bridge the telephone system takes the call on: it asks again after 2 and after 4, and gives up
after `survival.retry_seconds`, 3."""
SUPPORT, SALES, DESK, LATER = ("1001", "1002", "1004"), ("1005", "1006"), ("1003", "1007"), ("1008",)
SUPPORT_DID, VIP_DID, LATER_DID, SURVEY_DID = "5001", "5003", "5008", "5005"
CLOSED_DID, NOBODY_DID, OVERFLOW_DID, NO_DID = "5011", "5012", "5013", "5999"
QUEUES = ("support", "vip", "later", "closed", "nobody", "crowded")
"""Those with a number of their own."""

pytestmark = [pytest.mark.real, pytest.mark.alone, pytest.mark.timeout(2400 if LONG else 300)]


def centre_text() -> str:
    """Queues by what becomes of their callers: support is answered, vip is not (after a while: sales), later calls back."""
    tree = demo_tree()
    tree["time_zone"] = "Europe/Berlin"
    usual = {
        "ring_timeout": 8, "wrap_up": 1, "service_level": LEVEL, "short_abandon": SHORT, "record": False,
        "announce": {"place": False, "wait": False},
    }  # fmt: skip
    titles = {"en": "Q", "zh": "Q"}
    tree["queues"] = {
        "support": {"titles": titles, **usual},
        "sales": {"titles": titles, **usual, "service_level_of": "offered_without_short"},
        "vip": {
            "titles": titles, **usual, "service_level_of": "offered", "options": {"8": "voicemail"},
            "overflow": [{"after": LEAVES, "to": {"queue": "sales"}}],
        },
        "later": {"titles": titles, **usual, "options": {"7": "callback"}, "callback": {"retry": 5}},
        "desk": {"titles": titles, **usual},
        "closed": {"titles": titles, **usual, "calendar": "never", "when_closed": "hang_up"},
        "nobody": {"titles": titles, **usual, "join_empty": ["offline"], "when_empty": "hang_up"},
        "crowded": {"titles": titles, **usual, "overflow": [{"after": OVERFLOWS, "to": {"flow": "after_hours"}}]},
    }  # fmt: skip
    for extension, agent in tree["agents"].items():
        agent["queues"] = [
            next(
                queue
                for queue, people in (("support", SUPPORT), ("sales", SALES), ("desk", DESK), ("later", LATER))
                if extension in people
            )
        ]
    tree["numbers"] = {
        SUPPORT_DID: {"title": "S", "flow": "to_support", "survival_queue": "support"},
        VIP_DID: {"title": "V", "flow": "to_vip", "survival_queue": "vip"},
        LATER_DID: {"title": "L", "flow": "to_later", "survival_queue": "later"},
        SURVEY_DID: {"title": "Y", "flow": "survey", "survival_queue": "support"},
        "+15550105000": {"title": "M", "flow": "to_support", "survival_queue": "support"},
    }
    for did, queue in ((CLOSED_DID, "closed"), (NOBODY_DID, "nobody"), (OVERFLOW_DID, "crowded")):
        tree["numbers"][did] = {"title": queue, "flow": f"to_{queue}", "survival_queue": "support"}
    today = datetime.now(UTC).date()
    tree["calendars"] = {
        "never": {
            "hours": {"mon-sun": "00:00-24:00"},
            "closed": [(today + timedelta(days=days)).isoformat() for days in (-1, 0, 1)],
        }
    }
    tree["outbound"] = {"allow": ["+1555"]}
    tree["transfer_flows"] = {"survey": "Survey"}
    return text_of(tree)


@dataclass(slots=True)
class Plan:
    """One call as it is meant, and what the telephones noted of it."""

    kind: str
    number: str
    queue: str
    did: str = SUPPORT_DID
    stay: float = 1.2
    leg: CallerLeg | None = None
    legs: list[AgentLeg] = field(default_factory=list)
    moved: float = 0.0
    """When the caller went over to somebody else."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answered(self) -> list[AgentLeg]:
        """Legs that were picked up."""
        return [leg for leg in self.legs if leg.answered is not None]

    async def picked_up(self, many: int = 1, within: float = 60) -> AgentLeg:
        """The last of so many legs that were picked up."""
        async with asyncio.timeout(within):
            while len(self.answered) < many:  # noqa: ASYNC110 - noted by a protocol
                await asyncio.sleep(0.01)
        return self.answered[many - 1]


class Floor:
    """The centre's people, and the book of what they did."""

    def __init__(self, centre: TestCentre, line: NotingLine) -> None:
        self.centre, self.line = centre, line
        self.plans: dict[str, Plan] = {}
        self.by_call: dict[str, Plan] = {}
        self.api: dict[str, ApiPerson] = {}
        self.phones: dict[str, NotingPhone] = {}
        self.asked = asyncio.Lock()
        """Who is consulted, and called by a colleague: one at a time."""
        self.next_number = 0

    def plan(self, kind: str, queue: str, did: str, **more: Any) -> Plan:
        """One more call, of a number of its own."""
        self.next_number += 1
        found = Plan(kind, f"+1555020{self.next_number:04d}", queue, did, **more)
        self.plans[found.number] = found
        return found

    @asynccontextmanager
    async def agent(self, extension: str) -> AsyncIterator[None]:
        """An agent with a telephone that answers at once, ready."""
        account = self.centre.agent(extension)["sip"]
        host, port = account["server"].rsplit(":", 1)
        async with (
            ApiPerson(self.centre, extension) as api,
            NotingPhone(account["username"], account["password"], (host, int(port))) as phone,
        ):
            self.api[extension], self.phones[extension] = api, phone  # type: ignore[assignment]
            await phone.register(3000)
            await api.post("/agent/state", {"state": "ready", "device": "sip"})
            await api.until("/agent", lambda a: a["agent"]["state"] == "ready" and a["agent"]["reachable"]["sip"])
            notes = asyncio.create_task(self._note(phone))  # type: ignore[arg-type]
            try:
                yield
            finally:
                with suppress(AssertionError, aiohttp.ClientError):
                    await api.post("/agent/state", {"state": "offline"})
                notes.cancel()
                await asyncio.gather(notes, return_exceptions=True)

    @asynccontextmanager
    async def telephone(self, extension: str, *, behaviour: str = "answer") -> AsyncIterator[None]:
        """An agent's telephone and nothing else: there is no bridge to say anything to."""
        account = self.centre.agent(extension)["sip"]
        host, port = account["server"].rsplit(":", 1)
        phone = NotingPhone(account["username"], account["password"], (host, int(port)), behaviour=behaviour)
        async with phone:
            for attempt in range(20):  # until the telephone system is up
                try:
                    await phone.register(3000)
                    break
                except (TimeoutError, OSError):
                    assert attempt < 19
            self.phones[extension] = phone
            notes = asyncio.create_task(self._note(phone))
            try:
                yield
            finally:
                notes.cancel()
                await asyncio.gather(notes, return_exceptions=True)

    async def _note(self, phone: NotingPhone) -> None:
        while True:
            leg = await phone.ringing.get()
            plan = self.by_call.get(leg.call_id) or self.plans.get(leg.number)
            if plan is not None:
                if leg.call_id:  # the telephone system alone tells none
                    self.by_call[leg.call_id] = plan
                plan.legs.append(leg)

    async def tell(self, leg: AgentLeg, path: str, body: Any = None) -> None:
        """The agent of this leg asks for something about the call."""
        api = self.api[leg.agent]
        await api.until("/agent", lambda a: a["agent"]["state"] in ("talking", "held"))
        await api.post(f"/agent/calls/{leg.call_id}/{path}", body)

    async def run(self, plan: Plan) -> None:
        """Make the call, to its end."""
        await getattr(self, f"_{plan.kind}")(plan)
        assert plan.leg is not None
        async with asyncio.timeout(60):
            await plan.leg.over()

    async def _dial(self, plan: Plan) -> CallerLeg:
        plan.leg = await self.line.dial(plan.did, plan.number)
        return plan.leg

    async def _caller_leaves(self, plan: Plan) -> None:
        leg = await self._dial(plan)
        await plan.picked_up()
        await asyncio.sleep(plan.stay)
        leg.caller.hang_up()

    async def _agent_leaves(self, plan: Plan) -> None:
        await self._dial(plan)
        leg = await plan.picked_up()
        await asyncio.sleep(plan.stay)
        leg.phone.hang_up_leg(leg)

    async def _refused_first(self, plan: Plan) -> None:
        for phone in self.phones.values():
            phone.refuses.add(plan.number)
        leg = await self._dial(plan)
        await plan.picked_up()
        for phone in self.phones.values():
            phone.refuses.discard(plan.number)
        await asyncio.sleep(plan.stay)
        leg.caller.hang_up()

    async def _gives_up(self, plan: Plan) -> None:
        leg = await self._dial(plan)
        await asyncio.sleep(plan.stay)
        leg.caller.hang_up()

    async def _menu_gone(self, plan: Plan) -> None:
        await self._gives_up(plan)

    async def _refused(self, plan: Plan) -> None:
        plan.leg = await self.line.refused(plan.did, plan.number)

    async def _turned_away(self, plan: Plan) -> None:
        await (await self._dial(plan)).over()

    async def _overflow(self, plan: Plan) -> None:
        async with asyncio.timeout(60):
            await (await self._dial(plan)).over()

    async def _to_number(self, plan: Plan) -> None:
        await self._sent_out(plan, "number", f"+1555040{plan.number[-4:]}", plan.stay + 2)

    async def _to_flow(self, plan: Plan) -> None:
        await self._sent_out(plan, "flow", "survey", plan.stay)

    async def _sent_out(self, plan: Plan, kind: str, name: str, stay: float) -> None:
        leg = await self._dial(plan)
        first = await plan.picked_up()
        await asyncio.sleep(plan.stay)
        await self.tell(first, "transfer", {"to": {"kind": kind, "name": name}, "note": ""})
        await first.over()
        await asyncio.sleep(stay)
        leg.caller.hang_up()

    # -- without a bridge

    async def _alone_caller_leaves(self, plan: Plan) -> None:
        await self._caller_leaves(plan)

    async def _alone_agent_leaves(self, plan: Plan) -> None:
        await self._agent_leaves(plan)

    async def _alone_gives_up(self, plan: Plan) -> None:
        leg = await self._dial(plan)
        await asyncio.sleep(ALONE + plan.stay)
        leg.caller.hang_up()

    async def _alone_menu_gone(self, plan: Plan) -> None:
        await self._gives_up(plan)

    async def _alone_voicemail(self, plan: Plan) -> None:
        await self._message(await self._dial(plan), plan)

    async def _goes_on_to_sales(self, plan: Plan) -> None:
        await self._caller_leaves(plan)

    async def _to_agent(self, plan: Plan) -> None:
        await self._sent_on(plan, "agent", SALES[0])

    async def _to_queue(self, plan: Plan) -> None:
        await self._sent_on(plan, "queue", "sales")

    async def _sent_on(self, plan: Plan, kind: str, name: str) -> None:
        leg = await self._dial(plan)
        first = await plan.picked_up()
        await asyncio.sleep(plan.stay)
        await self.tell(first, "transfer", {"to": {"kind": kind, "name": name}, "note": ""})
        await plan.picked_up(2)
        await asyncio.sleep(plan.stay)
        leg.caller.hang_up()

    async def _asked_then_sent(self, plan: Plan) -> None:
        await self._consult(plan, "consult/complete")

    async def _all_talk(self, plan: Plan) -> None:
        await self._consult(plan, "consult/join")

    async def _consult(self, plan: Plan, then: str) -> None:
        async with self.asked:
            desk = self.api[DESK[0]]
            await desk.until("/agent", lambda a: a["agent"]["state"] == "ready")
            leg = await self._dial(plan)
            first = await plan.picked_up()
            await asyncio.sleep(plan.stay)
            await self.tell(first, "consult", {"to": {"kind": "agent", "name": DESK[0]}})
            await plan.picked_up(2)
            await self.api[first.agent].until(
                "/agent", lambda a: ((a["talk"] or {}).get("consult") or {}).get("state") == "talking"
            )
            await asyncio.sleep(plan.stay)
            await self.tell(first, then)
            plan.moved = time.time()
            await asyncio.sleep(plan.stay + 0.5)
            leg.caller.hang_up()
            await leg.over()

    async def _voicemail(self, plan: Plan) -> None:
        leg = await self._dial(plan)
        await asyncio.sleep(1.0)
        leg.caller.press("8")
        await leg.caller.pressed()
        plan.moved = time.time()
        await self._message(leg, plan)

    async def _message(self, leg: CallerLeg, plan: Plan) -> None:
        leg.caller.speaking = True
        folder = self.centre.data / "voicemail"
        before = set(folder.glob("*.wav"))
        async with asyncio.timeout(60):
            while not set(folder.glob("*.wav")) - before:  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        leg.caller.hang_up()

    async def _callback(self, plan: Plan) -> None:
        leg = await self._dial(plan)
        await asyncio.sleep(1.0)
        leg.caller.press("7")
        async with asyncio.timeout(60):
            await leg.over()

    async def _survey(self, plan: Plan) -> None:
        leg = await self._dial(plan)
        await asyncio.sleep(1.0)
        leg.caller.press("1")
        await leg.caller.pressed()
        await asyncio.sleep(2.0)
        leg.caller.press("5")
        await leg.caller.pressed()
        await asyncio.sleep(2.0)
        leg.caller.press("3")
        await leg.caller.pressed()
        await asyncio.sleep(6.0)
        leg.caller.press("#")
        async with asyncio.timeout(60):
            await leg.over()


def mix(floor: Floor, chance: random.Random) -> list[Plan]:
    """One round of calls, of every kind."""
    kinds: list[tuple[int, str, str, str, float]] = [
        (9, "caller_leaves", "support", SUPPORT_DID, 1.2), (5, "agent_leaves", "support", SUPPORT_DID, 1.6),
        (2, "refused_first", "support", SUPPORT_DID, 1.0), (4, "gives_up", "vip", VIP_DID, 1.1),
        (4, "gives_up", "vip", VIP_DID, 2.6), (3, "goes_on_to_sales", "vip", VIP_DID, 1.5),
        (3, "to_agent", "support", SUPPORT_DID, 1.0), (2, "to_queue", "support", SUPPORT_DID, 1.2),
        (2, "asked_then_sent", "support", SUPPORT_DID, 1.0), (2, "all_talk", "support", SUPPORT_DID, 1.0),
        (1, "voicemail", "vip", VIP_DID, 0.0), (2, "survey", "", SURVEY_DID, 0.0), (1, "menu_gone", "", SURVEY_DID, 1.5),
        (2, "refused", "", NO_DID, 0.0), (1, "turned_away", "closed", CLOSED_DID, 0.0),
        (1, "turned_away", "nobody", NOBODY_DID, 0.0), (1, "overflow", "crowded", OVERFLOW_DID, 0.0),
        (1, "to_number", "support", SUPPORT_DID, 1.2), (1, "to_flow", "support", SUPPORT_DID, 1.2),
    ]  # fmt: skip
    return _shuffled(floor, kinds, chance)


def alone(floor: Floor, chance: random.Random) -> list[Plan]:
    """Calls while no bridge is there."""
    kinds: list[tuple[int, str, str, str, float]] = [
        (8, "alone_caller_leaves", "support", SUPPORT_DID, 1.5), (6, "alone_agent_leaves", "support", SUPPORT_DID, 1.5),
        (3, "alone_gives_up", "later", LATER_DID, 0.7), (4, "alone_gives_up", "later", LATER_DID, 3.0),
        (3, "alone_menu_gone", "", SUPPORT_DID, 1.5), (1, "alone_voicemail", "vip", VIP_DID, 0.0),
    ]  # fmt: skip
    return _shuffled(floor, kinds, chance)


def _shuffled(floor: Floor, kinds: Sequence[tuple[int, str, str, str, float]], chance: random.Random) -> list[Plan]:
    """So many of each kind, in some order; what stays long enough to be short of no limit stays a little longer or shorter."""
    wanted = [(kind, queue, did, stay) for many, kind, queue, did, stay in kinds for _ in range(many)]
    chance.shuffle(wanted)
    return [floor.plan(kind, queue, did, stay=stay * chance.uniform(0.9, 1.1)) for kind, queue, did, stay in wanted]


@dataclass(frozen=True, slots=True)
class Stay:
    """A stay in a queue, as the telephones saw it. `wait` None: not to be seen from there."""

    queue: str
    end: str
    wait: float | None
    agent: str | None = None
    direct: bool = False
    left: float = 0.0
    """When it was over; 0: not to be seen."""


@dataclass(frozen=True, slots=True)
class Part:
    """An agent's part in a call: talk and hold together."""

    agent: str
    seconds: float


def stays(plan: Plan) -> list[Stay]:
    """What the ledger says of the call's stays in queues."""
    leg, got = plan.leg, plan.answered
    assert leg is not None
    match plan.kind:
        case "survey" | "menu_gone" | "refused" | "alone_menu_gone":
            return []
        case "turned_away":
            return [Stay(plan.queue, "turned_away", None)]
        case "overflow":
            return [Stay(plan.queue, "overflow", OVERFLOWS)]
        case "alone_gives_up":
            wait = leg.ended - leg.answered - ALONE
            return [Stay(plan.queue, "short_abandon" if wait <= SHORT else "abandoned", wait, left=leg.ended)]
        case "alone_voicemail":
            return [Stay(plan.queue, "voicemail", None)]
        case "alone_caller_leaves" | "alone_agent_leaves":
            at = got[0].answered or 0
            return [Stay(plan.queue, "answered", at - leg.answered - ALONE, got[0].agent, left=at)]
        case "gives_up":
            wait = leg.ended - leg.answered
            return [Stay(plan.queue, "short_abandon" if wait <= SHORT else "abandoned", wait, left=leg.ended)]
        case "voicemail":
            return [Stay(plan.queue, "voicemail", None)]
        case "callback":
            return [Stay(plan.queue, "callback", None)]
        case "goes_on_to_sales":
            wait = (got[0].answered or 0) - leg.answered - LEAVES
            return [
                Stay("vip", "moved", LEAVES),
                Stay("sales", "answered", wait, got[0].agent, left=got[0].answered or 0),
            ]
    at = got[0].answered or 0
    first = Stay(plan.queue, "answered", at - leg.answered, got[0].agent, left=at)
    if plan.kind == "to_agent":
        return [first, Stay("support", "answered", None, got[1].agent, direct=True)]
    if plan.kind == "to_queue":
        return [first, Stay("sales", "answered", (got[1].answered or 0) - (got[0].ended or 0), got[1].agent)]
    return [first]


def parts(plan: Plan) -> list[Part]:
    """What the ledger says of the agents' parts."""
    found = []
    assert plan.leg is not None
    for index, leg in enumerate(plan.answered):
        began = plan.moved if plan.kind in ("asked_then_sent", "all_talk") and index == 1 else leg.answered or 0
        # With the caller nobody talks who has hung up, even where the agents' own legs go a moment later.
        found.append(Part(leg.agent, min(leg.ended or plan.leg.ended, plan.leg.ended) - began))
    return found


OUTCOMES = {
    "survey": "self_served", "voicemail": "voicemail", "callback": "callback", "refused": "rejected",
    "turned_away": "rejected", "overflow": "overflow", "menu_gone": "abandoned", "alone_menu_gone": "abandoned",
    "alone_voicemail": "voicemail",
}  # fmt: skip
SENT_ON = frozenset({"to_agent", "to_queue", "asked_then_sent", "to_number", "to_flow"})
NOT_OFFERED = frozenset({"callback", "turned_away"})
ELSEWHERE = frozenset({"moved", "voicemail", "overflow"})


def outcome(plan: Plan) -> str:
    """The call's outcome."""
    if plan.kind in ("gives_up", "alone_gives_up"):
        return stays(plan)[0].end
    return OUTCOMES.get(plan.kind, "answered")


def ended_by(plan: Plan) -> str:
    """Who hung up."""
    if plan.leg is not None and plan.leg.caller.by_us:
        return "caller"
    return "agent" if plan.kind.endswith("agent_leaves") else "system"


def whole_figures(plans: list[Plan], others: Counter[str]) -> dict[str, tuple[float | None, int]]:
    """(value, of how many) of every figure of calls, visits and surveys that a ledger can have, over everything."""
    outcomes = Counter(outcome(plan) for plan in plans)
    answered = [plan for plan in plans if outcome(plan) == "answered"]
    queued = [plan for plan in plans if stays(plan)]
    callbacks, outbound, internal = others["callback"], others["outbound"], others["internal"]
    calls = len(plans) + sum(others.values())
    people = len(answered) + sum(others.values())
    asked = outcomes["callback"]
    sent_on = sum(plan.kind in SENT_ON for plan in plans)
    surveys = outcomes["self_served"]

    def count(number: int) -> tuple[float, int]:
        return float(number), number

    def share(part: float, whole: int) -> tuple[float | None, int]:
        return (part / whole if whole else None), whole

    return {
        "calls": count(calls), "inbound": count(len(plans)), "outbound": count(outbound), "internal": count(internal),
        "outbound_reached": share(outbound, outbound), "answered_calls": count(people),
        "effective_answer_rate": share(len(answered) + callbacks, len(queued) - asked + callbacks),
        "self_served": count(surveys), "self_service_share": share(surveys, len(plans)),
        "menu_hang_ups": count(sum(plan.kind.endswith("menu_gone") for plan in plans)),
        "voicemails": count(outcomes["voicemail"]), "overflowed": count(outcomes["overflow"]),
        "rejected": count(outcomes["rejected"]), "failed": count(0),
        "survival_calls": count(sum(plan.kind.startswith("alone_") and bool(stays(plan)) for plan in plans)),
        "recorded_share": share(0, people), "transfer_rate": share(sent_on, people),
        "first_contact_resolution": share(len(answered) - sent_on, len(answered)),
        "repeat_rate": share(0, len(queued)),
        "callbacks_promised": count(callbacks), "callbacks_kept": count(callbacks),
        "callbacks_kept_share": share(callbacks, callbacks),
        "csat": (4.0 if surveys else None, 2 * surveys), "satisfaction_rate": share(surveys, 2 * surveys),
        "nps": (None, 0), "survey_answers": count(2 * surveys), "complaints": count(0), "complaint_rate": share(0, calls),
        "turned_away": count(sum(stay.end == "turned_away" for plan in plans for stay in stays(plan))),
    }  # fmt: skip


class Account:
    """Differences between ledger and reports, collected so that all are seen at once."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.compared = 0
        self.worst = 0.0
        self.lags: list[float] = []

    def same(self, what: str, ours: object, theirs: object) -> None:
        self.compared += 1
        if ours != theirs:
            self.wrong.append(f"{what}: ledger {ours!r}, report {theirs!r}")

    def waited(self, what: str, ours: float, theirs: float) -> None:
        self.compared += 1
        self.lags.append(ours - theirs)
        if not -NEAR <= ours - theirs <= LAG:
            self.wrong.append(f"{what}: ledger {ours:.3f}, report {theirs:.3f}")

    def near(self, what: str, ours: float | None, theirs: float | None, by: float = NEAR) -> None:
        self.compared += 1
        if ours is None or theirs is None:
            if ours is not theirs:
                self.wrong.append(f"{what}: ledger {ours}, report {theirs}")
            return
        self.worst = max(self.worst, abs(ours - theirs) * NEAR / by)
        if abs(ours - theirs) > by:
            self.wrong.append(f"{what}: ledger {ours:.3f}, report {theirs:.3f}")


class FigureReader:
    """The API of reports, as its users see it."""

    def __init__(self, api: ApiPerson, since: datetime, until: datetime) -> None:
        self._api = api
        self._period = f"from={quote(since.isoformat())}&to={quote(until.isoformat())}"

    async def read(self, metrics: str, by: str = "", **filters: str) -> dict[Any, dict[str, Any]]:
        """Figures by key; () is the whole."""
        more = "".join(f"&{name}={quote(value)}" for name, value in filters.items())
        told = await self._api.get(f"/reports/query?metrics={metrics}&by={by}&{self._period}{more}")
        assert told["definition_version"] == DEFINITION_VERSION
        found = {tuple(row["keys"].values()): row["figures"] for row in told["rows"]}
        found[()] = told["totals"]
        return found

    async def total(self, metric: str, part: str = "counted", **filters: str) -> float:
        """What the calls behind a figure come to, page by page."""
        more = "".join(f"&{name}={quote(value)}" for name, value in filters.items())
        seen, after = 0.0, ""
        while True:
            path = f"/reports/calls?metric={metric}&part={part}&limit=100&{self._period}{more}&after={quote(after)}"
            page = await self._api.get(path)
            seen += sum(call["amount"] for call in page["calls"])
            after = page["next"]
            if not after:
                assert seen == pytest.approx(page["total"])
                return float(page["total"])


async def check_calls(account: Account, centre: TestCentre, plans: list[Plan]) -> None:
    """Every call, stay and part against the ledger."""
    calls = {
        row["caller_number"]: row
        for row in await centre.query("SELECT * FROM report.calls WHERE direction = 'inbound'")
    }
    visits: dict[str, list[Any]] = {}
    for row in await centre.query("SELECT * FROM report.visits ORDER BY call_id, number"):
        visits.setdefault(row["call_id"], []).append(row)
    talks: dict[str, list[Any]] = {}
    for row in await centre.query("SELECT * FROM report.talks ORDER BY call_id, number"):
        talks.setdefault(row["call_id"], []).append(row)
    for plan in plans:
        name, row = f"{plan.kind} {plan.number}", calls.get(plan.number)
        account.same(f"{name} is there", True, row is not None)
        if row is None or plan.leg is None:
            continue
        account.near(f"{name} started", plan.leg.invited, row["started_at"].timestamp())
        account.near(f"{name} ended", plan.leg.ended, row["ended_at"].timestamp())
        account.same(f"{name} outcome", outcome(plan), row["outcome"])
        account.same(f"{name} ended by", ended_by(plan), row["hangup_by"])
        want, got = stays(plan), visits.get(row["call_id"], [])
        account.same(
            f"{name} stays",
            [(one.queue, one.end, one.agent, not one.direct and one.end not in NOT_OFFERED) for one in want],
            [(one["queue"], one["end_of_visit"], one["agent"], one["offered"]) for one in got],
        )
        for one, other in zip(want, got, strict=False):
            if one.wait is not None:
                account.waited(f"{name} wait in {one.queue}", one.wait, other["wait_seconds"])
            if one.left:
                account.near(f"{name} left {one.queue}", one.left, other["left_at"].timestamp())
        said, told = parts(plan), talks.get(row["call_id"], [])
        account.same(f"{name} agents", [part.agent for part in said], [talk["agent"] for talk in told])
        for part, talk in zip(said, told, strict=False):
            account.near(f"{name} talk of {part.agent}", part.seconds, talk["talk_seconds"] + talk["hold_seconds"])


async def check_figures(account: Account, figures: FigureReader, plans: list[Plan], others: Counter[str]) -> None:
    """Every figure against sums over the ledger."""
    all_stays = [stay for plan in plans for stay in stays(plan) if not stay.direct and stay.end not in NOT_OFFERED]
    names = (
        "offered,answered,abandoned,short_abandons,sent_elsewhere,lost,service_level,asa,abandonment_rate,abandon_wait"
    )
    told = await figures.read(names, "queue", direction="inbound")
    for queue in (None, "support", "sales", "vip", "later", "crowded"):
        mine = [stay for stay in all_stays if queue in (None, stay.queue)]
        if queue is not None and (queue,) not in told:
            account.same(f"{queue} offered", len(mine), 0)
            continue
        row = told[() if queue is None else (queue,)]
        ends = Counter(stay.end for stay in mine)
        account.same(f"{queue} offered", len(mine), row["offered"]["n"])
        for metric, end in (("answered", "answered"), ("abandoned", "abandoned"), ("short_abandons", "short_abandon")):
            account.same(f"{queue} {metric}", ends[end], row[metric]["n"])
        elsewhere = sum(ends[end] for end in ELSEWHERE)
        account.same(f"{queue} sent elsewhere", elsewhere, row["sent_elsewhere"]["n"])
        account.same(f"{queue} lost", 0, row["lost"]["n"])
        waits = [stay.wait or 0.0 for stay in mine if stay.end == "answered"]
        account.near(f"{queue} asa", sum(waits) / len(waits) if waits else None, row["asa"]["value"], LAG)
        gone = [stay.wait or 0.0 for stay in mine if stay.end == "abandoned"]
        account.near(
            f"{queue} abandon wait", sum(gone) / len(gone) if gone else None, row["abandon_wait"]["value"], LAG
        )
        decided = ends["answered"] + ends["abandoned"]
        account.near(
            f"{queue} abandonment",
            ends["abandoned"] / decided if decided else None,
            row["abandonment_rate"]["value"],
            1e-9,
        )
        if queue is not None:
            base = {"sales": len(mine) - ends["short_abandon"], "vip": len(mine)}.get(queue, decided)
            least, most = (sum(wait <= LEVEL + by for wait in waits) for by in (-NEAR, LAG))
            account.same(f"{queue} level of", base, row["service_level"]["n"])
            level = (row["service_level"]["value"] or 0.0) * base
            account.same(f"{queue} level within {least}..{most}", True, least - 1e-6 <= level <= most + 1e-6)
    outcomes = Counter(outcome(plan) for plan in plans)
    told = await figures.read("calls", "outcome", direction="inbound")
    account.same("outcomes", dict(outcomes), {key[0]: row["calls"]["n"] for key, row in told.items() if key})
    expected = whole_figures(plans, others)
    told = await figures.read(",".join(expected))
    for metric, (value, many) in expected.items():
        account.same(f"{metric} of", many, told[()][metric]["n"])
        account.near(metric, value, told[()][metric]["value"], 1e-9)
    turned_away = Counter(stay.queue for plan in plans for stay in stays(plan) if stay.end == "turned_away")
    found = await figures.read("turned_away", "queue")
    got = {key[0]: row["turned_away"]["n"] for key, row in found.items() if key and row["turned_away"]["n"]}
    account.same("turned away by queue", dict(turned_away), got)
    refused = sum(plan.kind == "refused" for plan in plans)
    account.same("to no number", refused, (await figures.read("rejected", did=NO_DID))[()]["rejected"]["n"])
    all_parts = [part for plan in plans for part in parts(plan)]
    told = await figures.read(
        "handled,talk_time,hold_time,transfers_out,conferences,consults,aht,talk,hold,wrap_up", "agent",
        direction="inbound",
    )  # fmt: skip
    for agent in sorted({part.agent for part in all_parts}):
        own = [part.seconds for part in all_parts if part.agent == agent]
        row = told[(agent,)]
        account.same(f"{agent} handled", len(own), row["handled"]["n"])
        seconds = row["talk_time"]["value"] + row["hold_time"]["value"]
        account.near(f"{agent} talk", sum(own), seconds, NEAR * len(own))
    kinds = Counter(plan.kind for plan in plans)
    account.same("handled", len(all_parts), told[()]["handled"]["n"])
    account.same("sent on", sum(kinds[kind] for kind in SENT_ON), told[()]["transfers_out"]["n"])
    account.same("conferences", kinds["all_talk"], told[()]["conferences"]["n"])
    account.same("consults", kinds["all_talk"] + kinds["asked_then_sent"], told[()]["consults"]["n"])
    parts_of_it = sum(told[()][metric]["value"] for metric in ("talk", "hold", "wrap_up"))
    account.near("aht in parts", told[()]["aht"]["value"], parts_of_it, 1e-6)
    # However the whole is divided, it is the same; and the calls behind a figure are what it says.
    for by in ("queue", "agent", "direction", "outcome", "half_hour", "day", "weekday_hour", "did", "queue,hour"):
        for metrics in (
            "offered,answered,abandoned",
            "handled,talk_time",
            "calls,answered_calls",
            "signed_in_time,busy_time",
        ):
            found = await figures.read(metrics, by)
            for metric in metrics.split(","):
                if any(row[metric]["value"] is None for row in found.values()):
                    continue
                added = sum(row[metric]["value"] for key, row in found.items() if key)
                account.near(f"{metric} by {by}", found[()][metric]["value"], added, 1e-6)
    totals = await figures.read("offered,abandoned,handled,calls,talk_time")
    for metric in ("offered", "abandoned", "handled", "calls", "talk_time"):
        account.near(f"calls behind {metric}", totals[()][metric]["value"], await figures.total(metric), 1e-6)


async def outside(carrier: Softphone, ends: list[PhoneCall]) -> None:
    """Whoever is called over the trunk: picks up, and presses 1 for a callback."""
    while True:
        call = await carrier.incoming.get()
        ends.append(call)
        await call.answer()
        await call.confirmed.wait()
        await asyncio.sleep(2.0)
        with suppress(Exception):
            await call.press("1")


async def dial_out(floor: Floor, body: dict[str, str], stay: float) -> None:
    """An agent of the desk makes a call and ends it."""
    async with floor.asked:
        api, phone = floor.api[DESK[1]], floor.phones[DESK[1]]
        await api.until("/agent", lambda a: a["agent"]["state"] == "ready")
        begun = await api.post("/agent/dial", body)
        await api.until("/agent", lambda a: a["agent"]["state"] == "talking", within=60)
        await asyncio.sleep(stay)
        leg = next(leg for leg in phone.legs if leg.call_id == begun["call_id"])
        phone.hang_up_leg(leg)
        await api.until("/agent", lambda a: a["agent"]["state"] == "ready", within=60)


async def kill_while(centre: TestCentre, work: Callable[[], Any]) -> None:
    """Kill the bridge once while this goes on, and wait until another is there."""
    old = await asyncio.to_thread(centre.pid, "bridge")
    going = asyncio.ensure_future(work())
    await asyncio.sleep(1.5)
    os.kill(old, signal.SIGKILL)
    await going
    for last in (False, False, True):  # on a busy machine it takes its time
        try:
            await bridge_back(centre, old)
            return
        except AssertionError:
            if last:
                raise


async def settled(centre: TestCentre, supervisor: ApiPerson, calls: int) -> None:
    """Until nobody is on the line, and so many calls, and the work after them, are stored."""
    await supervisor.until("/state", lambda s: not s["calls"], within=60)
    async with asyncio.timeout(60):
        while True:
            rows = await centre.query(
                "SELECT count(*) FILTER (WHERE outcome = 'answered' AND wrap_seconds IS NULL AND NOT EXISTS (SELECT FROM"
                " cti.facts f WHERE f.call_id = c.call_id AND f.kind = 'SurvivalEntered')) AS open, count(*) AS n"
                " FROM report.calls c WHERE direction <> 'internal'"
            )
            if rows[0]["n"] >= calls and rows[0]["open"] == 0:
                return
            await asyncio.sleep(0.3)


async def check_live(account: Account, supervisor: ApiPerson, centre: TestCentre, began: datetime) -> None:
    """What the floor shows of today against the report of today: nobody is on the line."""
    # The lines of the day are drawn every few seconds.
    state = await supervisor.until(
        "/state", lambda s: sum(s["centre"]["series"]["answered"]) == s["centre"]["answered"], within=60
    )
    row = state["centre"]
    midnight = datetime.fromisoformat(row["day_start"])
    if midnight > began - timedelta(minutes=5):
        return  # the run went over midnight: two days
    figures = FigureReader(supervisor, midnight, datetime.now(UTC) + timedelta(minutes=1))
    strip = {
        "inbound": row["calls"], "answered": row["answered"], "abandoned": row["abandoned"],
        "service_level": row["service_level"], "effective_answer_rate": row["effective_answer_rate"],
        "satisfaction_rate": row["satisfaction"], "complaints": row["complaints"], "rejected": row["rejected"],
        "complaint_rate": row["complaint_rate"],
    }  # fmt: skip
    told = (await figures.read(",".join(strip)))[()]
    for metric, shown in strip.items():
        account.near(f"live {metric}", shown, told[metric]["value"], 1e-3)
    names = "answered,abandoned,short_abandons,sent_elsewhere,answered_in_time,service_level,turned_away"
    by_queue = await figures.read(names, "queue")
    for queue, shown in state["queues"].items():
        report = by_queue.get((queue,))
        live = {
            "answered": shown["answered_today"], "abandoned": shown["abandoned_today"],
            "short_abandons": shown["short_abandoned_today"], "sent_elsewhere": shown["elsewhere_today"],
            "answered_in_time": shown["in_time_today"], "turned_away": shown["turned_away_today"],
            "service_level": shown["service_level"],
        }  # fmt: skip
        for metric, value in live.items():
            wanted = report[metric]["value"] if report is not None else None if metric == "service_level" else 0
            account.near(f"live {queue} {metric}", value, wanted, 1e-3)
    by_agent = await figures.read("handled,talk_time,hold_time", "agent")
    for agent, shown in state["agents"].items():
        report = by_agent.get((agent,))
        for metric, key in (
            ("handled", "calls_today"), ("talk_time", "talk_seconds_today"), ("hold_time", "hold_seconds_today"),
        ):  # fmt: skip
            account.near(f"live {agent} {metric}", shown[key], report[metric]["value"] if report else 0, 0.01)
    slots = await figures.read("inbound,answered,abandoned,effective_answer_rate", "half_hour")
    shown = dict(row["series"])
    keys = sorted(key[0] for key in slots if key)
    for metric, name in (("inbound", "calls"), ("answered", "answered"), ("abandoned", "abandoned")):
        account.same(
            f"live line of {metric}", [slots[(key,)][metric]["n"] for key in keys][: len(shown[name])],
            [int(value) for value in shown[name]],
        )  # fmt: skip


async def test_every_figure_agrees_with_what_the_telephones_saw(tmp_path: Path) -> None:
    data, flows = tmp_path / "data", tmp_path / "flows"
    data.mkdir()
    shutil.copytree(REPOSITORY / "ivr_flows", flows)
    for queue in QUEUES:
        text = f"flow: to_{queue}\ntitle: T\nlanguages: [en, zh]\nstart: line\nfailure: line\nsteps:\n  line: {{queue: {queue}}}\n"
        (flows / f"to_{queue}.yaml").write_text(text, encoding="utf-8")
    (data / "centre.yaml").write_text(centre_text(), encoding="utf-8")
    alone_for = {"CTI_SURVIVAL__RETRY_SECONDS": "3", "CTI_SURVIVAL__QUEUE_SECONDS": "60"} if SURVIVAL else {}
    centre = TestCentre(data, env={"CTI_FLOWS": str(flows), **alone_for})
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    account, chance = Account(), random.Random(SEED)
    others: Counter[str] = Counter()
    marks: dict[str, int] = {}
    clock = time.monotonic()

    def mark(name: str) -> None:
        marks[name] = round(time.monotonic() - clock)

    await asyncio.to_thread(centre.start)
    mark("started")
    try:
        host, port = centre.told["sip"]["server"].rsplit(":", 1)
        began = datetime.now(UTC)
        async with AsyncExitStack() as stack:
            line = NotingLine(await stack.enter_async_context(carrier_line(centre.carrier, (host, int(port)))))
            floor = Floor(centre, line)
            room = await stack.enter_async_context(PhoneRoom())
            carrier = await room.phone(
                user="carrier", server=centre.told["sip"]["server"], address=centre.carrier, port=CARRIERS_PORT,
                register=False,
            )  # fmt: skip
            reached: list[PhoneCall] = []
            outdoors = asyncio.create_task(outside(carrier, reached))
            for extension in (*SUPPORT, *SALES, *DESK):
                await stack.enter_async_context(floor.agent(extension))
            supervisor = await stack.enter_async_context(ApiPerson(centre, "supervisor"))
            for number in range(ROUNDS):
                most = asyncio.Semaphore(10)

                async def one(plan: Plan, most: asyncio.Semaphore = most) -> None:
                    async with most:
                        await floor.run(plan)

                async with asyncio.TaskGroup() as tasks:
                    for plan in mix(floor, chance):
                        tasks.create_task(one(plan))
                    tasks.create_task(dial_out(floor, {"number": f"+1555030{number:04d}"}, 1.5))
                others["outbound"] += 1
                await dial_out(floor, {"agent_id": DESK[0]}, 1.5)
                others["internal"] += 1

                async def talks() -> None:
                    async with asyncio.TaskGroup() as tasks:
                        for kind in ("caller_leaves", "caller_leaves", "agent_leaves"):
                            tasks.create_task(floor.run(floor.plan(kind, "support", SUPPORT_DID, stay=4.0)))

                await kill_while(centre, talks)
            mark("rounds")
            # Those who asked to be called back are, once somebody is there for them.
            callbacks = [floor.plan("callback", "later", LATER_DID) for _ in range(2 * ROUNDS if LONG else 2)]
            await asyncio.gather(*(floor.run(plan) for plan in callbacks[:6]))
            await asyncio.gather(*(floor.run(plan) for plan in callbacks[6:]))
            async with floor.agent(LATER[0]):
                phone = floor.phones[LATER[0]]
                for count in range(len(callbacks)):
                    async with asyncio.timeout(90):
                        while len([leg for leg in phone.legs if leg.answered]) <= count:  # noqa: ASYNC110 - noted by a protocol
                            await asyncio.sleep(0.05)
                    leg = [leg for leg in phone.legs if leg.answered][count]
                    await asyncio.sleep(1.0)
                    phone.hang_up_leg(leg)
            others["callback"] += len(callbacks)
            plans = list(floor.plans.values())
            mark("callbacks")
            await settled(centre, supervisor, len(plans) + len(callbacks) + ROUNDS)
            mark("stored")
            await check_live(account, supervisor, centre, began)
            outdoors.cancel()
            await asyncio.gather(outdoors, return_exceptions=True)
        if SURVIVAL:
            await asyncio.to_thread(centre.stop)
            async with AsteriskAlone(centre), AsyncExitStack() as stack:
                line.line = await stack.enter_async_context(carrier_line(centre.carrier, (host, int(port))))
                for extension in SUPPORT:
                    await stack.enter_async_context(floor.telephone(extension))
                await stack.enter_async_context(floor.telephone(LATER[0], behaviour="ring"))
                few = asyncio.Semaphore(3)

                async def unwatched(plan: Plan) -> None:
                    async with few:
                        await floor.run(plan)

                async with asyncio.TaskGroup() as tasks:
                    for plan in alone(floor, chance):
                        tasks.create_task(unwatched(plan))
            mark("alone")
            await asyncio.to_thread(centre.start)
            plans = list(floor.plans.values())
        async with ApiPerson(centre, "supervisor") as supervisor:
            await settled(centre, supervisor, len(plans) + len(callbacks) + ROUNDS)
            mark("back")
            await check_live(account, supervisor, centre, began)
            until = datetime.now(UTC) + timedelta(minutes=1)
            for since, to in (
                (began - timedelta(minutes=1), until),
                (_half_hour(began), _half_hour(until) + timedelta(minutes=30)),
            ):
                # The first is counted call by call, the second out of the sums by half hour.
                await check_figures(account, FigureReader(supervisor, since, to), plans, others)
            await check_calls(account, centre, plans)
        mark("compared")
        before = await centre.query(
            "SELECT sum(offered) AS o, sum(answer_wait_seconds)::numeric(20, 3) AS w FROM report.half_hours"
        )
        checked = await asyncio.to_thread(centre.cti, "report", "check")
        account.same("cti report check", 0, checked.returncode)
        rebuilt = await asyncio.to_thread(centre.cti, "report", "rebuild")
        account.same("cti report rebuild", 0, rebuilt.returncode)
        after = await centre.query(
            "SELECT sum(offered) AS o, sum(answer_wait_seconds)::numeric(20, 3) AS w FROM report.half_hours"
        )
        account.same("rebuilt", before, after)
        mark("rebuilt")
    finally:
        await asyncio.to_thread(centre.stop)
    print(
        f"seed {SEED}: {len(plans)} calls of callers, {dict(others)} others; {account.compared} comparisons, {len(account.wrong)} differ;"
        f" worst time off by {account.worst:.3f} s; into the queue after {statistics.median(account.lags):.3f} s (median),"
        f" {max(account.lags):.3f} s (most); {marks}"
    )
    if account.wrong:
        print(checked.stdout, checked.stderr, rebuilt.stderr)
    assert not account.wrong, "\n".join(account.wrong[:80])


def _half_hour(at: datetime) -> datetime:
    return at.replace(minute=at.minute // 30 * 30, second=0, microsecond=0)
