"""Random days with caps on dialling out: agents, their own outside numbers, consultations, transfers, flows, queues' rules and
supervisors dial what they can, with restarts in between; no more is begun than the caps let pass, nothing is dialled uncounted."""

from __future__ import annotations

import random

import pytest

from cti.ids import AgentId, CallId, ChannelName
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.centre import Target, TargetKind
from cti.model.commands import Deliver, DialCustomer, DialParty, RingForCallback, SendOut
from cti.model.dial_commands import RingToDial
from cti.model.facts import AgentState, DestinationKind, Device
from cti.model.toll_facts import LegKind, TollBegan, TollEnded, TollFact, TollsKept
from cti.model.tolls import HOUR, Limit, ms
from cti.services import (
    agents,
    callbacks,
    consults,
    desk,
    dialling,
    outbound,
    supervision_floor,
    tolls,
    transfers,
)
from cti.services.agent_line import Dialled
from cti.services.floor import Refused
from cti.services.talk_view import SendTo
from tests.support.examples import NIGHTLY
from tests.support.floor_rig import FloorRig

TEXT = """
name: Capped
numbers:
  "5000": {flow: main, survival_queue: support}
queues:
  support: {titles: {en: Support}, wrap_up: 0, max_wait: 40, when_late: {number: "+15550100077"}}
  sales: {titles: {en: Sales}, wrap_up: 0, callback: {first: agent, attempts: 2, retry: 10}}
agents:
  "1001": {name: Ada, queues: [support, sales], number: "+15550100091"}
  "1002": {name: Bo, queues: [support, sales]}
  "1003": {name: Cy, queues: [support], number: "+15550200093"}
outbound:
  allow: ["+1555"]
  most_at_once: 4
  currency: EUR
  prices:
    "+1555": {per_minute: 0.06, unit: 60/1}
    "+15552": {per_minute: 0.3, connection: 0.1}
  caps:
    centre: {dials_an_hour: 22, cost_an_hour: 6}
    each_queue: {dials_an_hour: 14}
    each_agent: {dials_an_hour: 7, minutes_a_day: 30}
    each_supervisor: {dials_an_hour: 2}
"""
NUMBERS = ("+15550100081", "+15552100082", "+15550100083")
AGENTS = tuple(AgentId(name) for name in ("1001", "1002", "1003"))
DIALS = (RingToDial, SendOut, DialCustomer, DialParty)


class Day:
    """A floor whose trunk answers by chance."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.rig = self.made()
        self.seen = 0
        self.done = 0
        self.refused = 0

    def made(self) -> FloorRig:
        rig = FloorRig(TEXT)
        outbound.open_trunk(rig.board, rig.now, there=True)
        rig.board.linked = True
        return rig

    # -- what may happen

    def ready(self) -> None:
        device = self.rng.choice([Device.SIP, Device.EXTERNAL])
        agent_id = self.rng.choice(AGENTS)
        if not self.rig.board.centre.agents[agent_id].number:
            device = Device.SIP
        self.rig.signal(
            s.DeviceReachable(at=self.rig.now, agent_id=agent_id, device=Device.SIP, reachable=True, in_use=False)
        )
        agents.set_agent(self.rig.board, agent_id, AgentState.READY, self.rig.now, reason="", device=device)

    def calls(self) -> None:
        call_id = self.rig.call(number=self.rng.choice(NUMBERS))
        act = self.rng.random()
        if act < 0.25:
            desk.send_to(
                self.rig.board, call_id, Target(kind=TargetKind.NUMBER, name=self.rng.choice(NUMBERS)), self.rig.now
            )
        else:
            self.rig.queue(call_id, self.rng.choice(["support", "sales"]))

    def asks_back(self) -> None:
        call = self.some(CallState.WAITING)
        if call is not None:
            callbacks.ask_callback(self.rig.board, call, call.caller_number, self.rig.now)

    def dials(self) -> None:
        asked = Dialled(number=self.rng.choice(NUMBERS), colleague=self.rng.choice([None, None, AGENTS[1]]))
        dialling.dial(self.rig.board, self.rng.choice(AGENTS), asked, self.rig.now, number=asked.number, objects=False)

    def answered(self) -> None:
        """Whoever is offered takes the caller."""
        call = self.some(CallState.OFFERED)
        if call is not None and call.channel:
            self.rig.answer(call.call_id, self.rng.choice(call.offered_agents))

    def consults(self) -> None:
        call = self.some(CallState.TALKING)
        if call is not None and call.talkers:
            to = self.rng.choice(
                [SendTo(kind=DestinationKind.NUMBER, name=self.rng.choice(NUMBERS)), SendTo(kind=DestinationKind.AGENT, name=self.rng.choice(AGENTS))]
            )  # fmt: skip
            consults.begin(self.rig.board, call.talkers[0], call.call_id, to, self.rig.now)

    def transfers(self) -> None:
        call = self.some(CallState.TALKING)
        if call is not None and call.talkers:
            to = SendTo(kind=DestinationKind.NUMBER, name=self.rng.choice(NUMBERS))
            transfers.transfer(self.rig.board, call.talkers[0], call.call_id, to, self.rig.now)

    def supervisor(self) -> None:
        call = self.some(CallState.WAITING, CallState.TALKING, CallState.OFFERED)
        if call is not None:
            to = SendTo(kind=DestinationKind.NUMBER, name=self.rng.choice(NUMBERS))
            supervision_floor.send_call(self.rig.board, call.call_id, to, self.rig.now, by="lena", note="")

    def carrier(self) -> None:
        """A leg over the trunk is answered, or ends."""
        legs = list(self.rig.board.tolls.book.legs.values())
        if not legs:
            return
        leg = self.rng.choice(legs)
        unique_id = leg.leg_id or f"trunk-{leg.leg}"
        context = {LegKind.OUT: "cti-out-run", LegKind.DIAL: "cti-dial", LegKind.OWN: "cti-outside", LegKind.CUSTOMER: "cti-callback-agent"}  # fmt: skip
        if leg.answered is None and self.rng.random() < 0.7:
            self.rig.signal(
                s.TrunkAnswered(
                    at=self.rig.now, call_id=leg.call_id, unique_id=unique_id, context=context.get(leg.kind, "")
                )
            )
        else:
            call = self.rig.board.calls[leg.call_id]
            self.rig.signal(
                s.ChannelGone(
                    at=self.rig.now, channel=call.channel or ChannelName(f"PJSIP/{unique_id}"), call_id=leg.call_id,
                    agent_id=None, is_caller=False, cause=16, unique_id=unique_id,
                )
            )  # fmt: skip

    def ends(self) -> None:
        call = self.some(*CallState)
        if call is not None and call.channel:
            self.rig.hang_up_caller(call.call_id)

    def restarts(self) -> None:
        before = self.rig
        self.rig = self.made()
        self.rig.now, self.rig.serial, self.rig.facts = before.now, before.serial, before.facts
        facts = list(before.facts)
        kept = max(
            (place for place, fact in enumerate(facts) if isinstance(fact, TollsKept) and fact.of == 1), default=0
        )
        # The journal lets go of what was summed up.
        facts = [fact for place, fact in enumerate(facts) if place >= kept or not isinstance(fact, TollFact)]
        self.rig.board.recover(facts, self.rig.now)
        outbound.open_trunk(self.rig.board, self.rig.now, there=True)
        self.rig.board.linked = True
        self.rig.drain()
        assert {leg: one.answered for leg, one in before.board.tolls.book.legs.items()} == {
            leg: one.answered for leg, one in self.rig.board.tolls.book.legs.items()
        }
        for who in before.board.tolls.book.scopes():
            assert before.board.tolls.book.used(who, before.now) == self.rig.board.tolls.book.used(who, before.now)
        self.done = len(self.rig.commands)

    def some(self, *states: CallState):
        found = sorted((c for c in self.rig.board.calls.values() if c.state in states), key=lambda c: c.call_id)
        return self.rng.choice(found) if found else None

    # -- what holds

    def judge(self) -> None:
        rig = self.rig
        rig.drain()
        new, self.seen = rig.facts[self.seen :], len(rig.facts)
        rules, now = rig.board.centre.outbound.tolls, ms(rig.now)
        if any(isinstance(fact, TollBegan) for fact in new):
            let_go = {fact.leg for fact in rig.facts if isinstance(fact, TollEnded) and not fact.dialled}
            begun = [
                fact
                for fact in rig.facts
                if isinstance(fact, TollBegan) and ms(fact.at) > now - HOUR and fact.leg not in let_go
            ]
            whose: dict[tuple[str, str], int] = {}
            for fact in begun:
                for name in (("centre", ""), ("queue", fact.queue), ("agent", fact.agent_id), ("supervisor", fact.by)):
                    whose[name[0], str(name[1] or "")] = whose.get((name[0], str(name[1] or "")), 0) + 1
            caps = {"centre": 22, "queue": 14, "agent": 7, "supervisor": 2}
            for (scope, name), count in whose.items():
                assert not (name or scope == "centre") or count <= caps[scope], (scope, name)
        assert rules.of(("centre", ""))[Limit.DIALS] == 22  # type: ignore[index]
        commands, self.done = rig.commands[self.done :], len(rig.commands)
        known: dict[CallId, int] = {}
        for fact in rig.facts:
            if isinstance(fact, TollBegan):
                known[fact.call_id] = known.get(fact.call_id, 0) + 1
        for command in commands:
            outside = (
                isinstance(command, DIALS)
                and (not isinstance(command, DialParty) or bool(command.number))
                and (not isinstance(command, RingToDial) or bool(command.number or command.agent_number))
            )
            ringing = isinstance(command, Deliver | RingForCallback) and (
                command.device is Device.EXTERNAL or isinstance(command, RingForCallback)
            )
            if outside or ringing:
                assert known.get(command.call_id, 0) > 0, "dialled, and not counted"
        for leg in rig.board.tolls.book.legs.values():
            assert leg.call_id in rig.board.calls, "a leg of no call"


@pytest.mark.timeout(3600 if NIGHTLY else 60)
@pytest.mark.parametrize("seed", range(60 if NIGHTLY else 4))
def test_no_more_is_begun_than_the_caps_let_pass_whoever_dials(seed: int) -> None:
    day = Day(seed)
    for _ in AGENTS:
        day.ready()
    acts = [day.ready, day.calls, day.calls, day.dials, day.dials, day.answered, day.answered, day.consults, day.transfers,
            day.supervisor, day.carrier, day.carrier, day.carrier, day.ends, day.asks_back]  # fmt: skip
    for _ in range(400):
        act = day.rng.choice(acts)
        try:
            act()
        except Refused as refused:
            day.refused += refused.error_id.startswith("cap_")
        day.judge()
        if day.rng.random() < 0.4:
            day.rig.pass_time(day.rng.choice([1, 5, 20, 60]))
            callbacks.attend(day.rig.board, day.rig.now)
            tolls.tick(day.rig.board, day.rig.now)
            day.judge()
        if day.rng.random() < 0.01:
            day.restarts()
    kinds = {fact.kind for fact in day.rig.facts if isinstance(fact, TollBegan)}
    assert day.refused
    assert {LegKind.DIAL, LegKind.OUT, LegKind.OWN} <= kinds
