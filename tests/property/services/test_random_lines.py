"""Random days with pages that come and go and agents who dial: nobody is lost, doubled, or left in a call that is over."""

from __future__ import annotations

import random
from typing import Literal

import pytest

from cti.ids import AgentId, CallId, ChannelName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.commands import ReturnToWait
from cti.model.dial_signals import FarSide, PhoneSigned
from cti.model.facts import AgentState, Device
from cti.services import agents, dialling, heartbeats, outbound, resumption
from cti.services.agent_line import Dialled, Microphone, Pulse
from cti.services.floor import Refused
from tests.property.services.test_floor import AGENTS, TEXT, Floor
from tests.support.examples import NIGHTLY
from tests.support.floor_rig import FloorRig

NUMBER = "+15550100081"
TALKS = (CallState.TALKING, CallState.HELD)
FIRST = "PJSIP/first-"
"""Begins the name of the leg of an agent who made a call."""


class Lines(Floor):
    """A floor of browser telephones with a trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = FloorRig(TEXT + 'outbound: {allow: ["+1555"], most_at_once: 2}\n')
        outbound.open_trunk(self.rig.board, self.rig.now, there=True)
        self.rig.board.linked = True
        self.keypads = 0
        self.done = 0
        for agent in AGENTS:
            heartbeats.page(self.rig.board, AgentId(agent), self.rig.now, connected=True)
            self.rig.ready(agent, device=Device.BROWSER)

    def device(self, agent: str, reachable: bool) -> None:
        self.rig.signal(
            s.DeviceReachable(
                at=self.rig.now, agent_id=AgentId(agent), device=Device.BROWSER, reachable=reachable, in_use=False
            )
        )

    # -- pages

    def page(self, agent: str, there: bool) -> None:
        heartbeats.page(self.rig.board, AgentId(agent), self.rig.now, connected=there)
        resumption.page_changed(self.rig.board, AgentId(agent), self.rig.now)
        self.moved()

    def moved(self) -> None:
        """Who is sent to the wait context leaves a talk of two legs, and the agent's ends with that."""
        self.rig.drain()
        new, self.done = self.rig.commands[self.done :], len(self.rig.commands)
        for command in new:
            if not isinstance(command, ReturnToWait) or command.call_id not in self.rig.board.calls:
                continue
            for channel, (call_id, agent_id) in list(self.rig.board.legs.items()):
                if call_id == command.call_id and channel != command.channel:
                    self.rig.part(call_id, channel, agent_id, bridge=f"b-{call_id}")
                    self.gone(call_id, channel, agent_id, 16)

    def gone(self, call_id: CallId, channel: ChannelName, agent_id: AgentId | None, cause: int) -> None:
        """An agent's leg ends. The first of a call that an agent made bears the call's id."""
        first = channel.startswith(FIRST)
        self.rig.signal(
            s.ChannelGone(
                at=self.rig.now, channel=channel, call_id=call_id, agent_id=agent_id, is_caller=first, cause=cause,
                unique_id=call_id if first else "",
            )
        )  # fmt: skip

    def signed(self, agent: str, there: bool) -> None:
        self.rig.signal(PhoneSigned(at=self.rig.now, agent_id=AgentId(agent), device=Device.BROWSER, there=there))
        self.moved()
        self.device(agent, there)

    def beat(self, agent: str, microphone: Microphone, registered: bool) -> None:
        told = Pulse(microphone=microphone, registered=registered)
        heartbeats.pulse(self.rig.board, AgentId(agent), told, self.rig.now)
        resumption.page_changed(self.rig.board, AgentId(agent), self.rig.now)
        self.rig.drain()

    def falls_silent(self, index: int) -> None:
        """An agent's leg ends, and nobody asked for it."""
        call_id = self.pick(index, *TALKS)
        if call_id is None:
            return
        call = self.rig.live(call_id)
        for channel, (leg_call, agent_id) in list(self.rig.board.legs.items()):
            if leg_call == call_id and channel != call.channel:
                self.rig.part(call_id, channel, agent_id, bridge=f"b-{call_id}")
                self.gone(call_id, channel, agent_id, 44)

    def held_waits(self, index: int) -> None:
        call_id = self.pick(index, CallState.HELD, CallState.AFTER)
        if call_id is not None:
            self.rig.waits(call_id)

    def comes_back(self, index: int) -> None:
        """Both legs are in one bridge again."""
        call_id = self.pick(index, CallState.HELD)
        call = self.rig.live(call_id) if call_id is not None else None
        if call is None or call_id is None or call.agent_id is None:
            return
        self.rig.serial += 1
        leg = ChannelName(f"PJSIP/{call.agent_id}-web-{self.rig.serial:08x}")
        for channel, agent_id in ((leg, call.agent_id), (call.channel, call.colleague)):
            self.rig.signal(
                s.BridgeJoined(
                    at=self.rig.now, bridge_id=f"b-{call_id}", channel=channel, call_id=call_id, agent_id=agent_id
                )
            )

    # -- dialling

    def dials(self, agent: str, colleague: str | None, keypad: bool) -> None:
        board = self.rig.board
        free = [one for one, a in sorted(board.agents.items()) if not (a.call_id or a.offer_id or a.wrap_call)]
        if not free:
            return
        agent = agent if AgentId(agent) in free else free[0]
        who = AgentId(agent)
        self.device(agent, True)
        try:
            if keypad and colleague is None:
                self.keypads += 1
                call_id = CallId(f"t1-k{self.keypads}.1")
                own = ChannelName(f"{FIRST}{agent}-k{self.keypads:07d}")
                dialling.keypad(board, call_id, own, who, NUMBER, self.rig.now, objects=False)
            else:
                asked = Dialled(number=NUMBER if colleague is None else "", colleague=colleague and AgentId(colleague))  # type: ignore[arg-type]
                call_id = dialling.dial(board, who, asked, self.rig.now, number=asked.number, objects=False)
                own = ChannelName(f"{FIRST}{agent}-web-d{call_id[-6:]}")
                self.rig.drain()
                self.rig.signal(
                    s.AgentLegDialled(
                        at=self.rig.now, call_id=call_id, offer_id=None, channel=ChannelName(""), agent_channel=own,
                        agent_id=who, unique_id=call_id,
                    )
                )  # fmt: skip
        except Refused:
            pass
        self.rig.drain()

    def dials_and_talks(self, agent: str, colleague: str | None) -> None:
        """Somebody answers whoever is called."""
        before = set(self.rig.board.calls)
        self.dials(agent, colleague, keypad=False)
        if set(self.rig.board.calls) - before:
            begun = sorted(c.call_id for c in self.rig.board.calls.values() if c.state is CallState.DIALLING)
            (new,) = set(self.rig.board.calls) - before
            self.far(begun.index(new), "called", "")
            self.reached(begun.index(new))
            assert self.rig.live(new).state is CallState.TALKING

    def far(self, index: int, event: Literal["called", "ringing", "failed"], status: str) -> None:
        call_id = self.pick(index, CallState.DIALLING)
        if call_id is None:
            return
        call = self.rig.live(call_id)
        self.rig.signal(
            FarSide(
                at=self.rig.now, call_id=call_id, channel=self.far_channel(call_id), event=event, status=status,
                unique_id=f"far-{call_id}", agent_id=call.colleague,
            )
        )  # fmt: skip

    def far_channel(self, call_id: CallId) -> ChannelName:
        colleague = self.rig.live(call_id).colleague
        return ChannelName(f"PJSIP/{colleague or 'trunk'}-{call_id[-8:]}")

    def reached(self, index: int) -> None:
        call_id = self.pick(index, CallState.DIALLING)
        if call_id is None or not self.rig.live(call_id).channel:
            return
        call = self.rig.live(call_id)
        own = [c for c, leg in self.rig.board.legs.items() if leg == (call_id, call.dialled_by)]
        for channel, agent_id in (
            (self.far_channel(call_id), call.colleague),
            *((one, call.dialled_by) for one in own),
        ):
            self.rig.signal(
                s.BridgeJoined(
                    at=self.rig.now, bridge_id=f"b-{call_id}", channel=channel, call_id=call_id, agent_id=agent_id
                )
            )

    def own_leg_goes(self, index: int) -> None:
        """Whoever dialled hangs up; with them the far side goes."""
        found = sorted(c.call_id for c in self.rig.board.calls.values() if c.dialled_by is not None)
        if not found:
            return
        call_id = found[index % len(found)]
        call = self.rig.live(call_id)
        for channel, leg in list(self.rig.board.legs.items()):
            if leg == (call_id, call.dialled_by):
                self.rig.signal(s.HangupAsked(at=self.rig.now, channel=channel, call_id=call_id, agent_id=leg[1]))
                self.rig.part(call_id, channel, leg[1], bridge=f"b-{call_id}")
                self.gone(call_id, channel, leg[1], 16)
        if call.channel:
            self.rig.signal(
                s.ChannelGone(
                    at=self.rig.now, channel=call.channel, call_id=call_id, agent_id=None, is_caller=False, cause=16,
                    unique_id=f"far-{call_id}",
                )
            )  # fmt: skip

    # -- what holds

    def a_closed_call_is_whole(self) -> None:
        """Answered by an offer, or dialled: each end is told once."""
        facts = self.rig.facts
        ends = [x.call_id for x in facts if isinstance(x, f.CallEnded)]
        assert len(set(ends)) == len(ends)
        assert set(ends) == set(self.rig.board.closed)
        dialled = {x.call_id for x in facts if isinstance(x, f.DialAsked)}
        answers = [x for x in facts if isinstance(x, f.CallAnswered)]
        assert all(x.offer_id is not None or x.call_id in dialled for x in answers)
        for call_id in dialled & set(ends):
            told = {type(x) for x in facts if isinstance(x, f.CallFact) and x.call_id == call_id}
            assert (f.DialFailed in told) != (f.CallAnswered in told)

    def each_agent_has_at_most_one_call_or_offer(self) -> None:
        board = self.rig.board
        offered = [agent_id for c in board.calls.values() for agent_id in c.offered_agents]
        inside = [one for c in board.calls.values() if c.state in TALKS for one in c.talkers]
        inside += [c.dialled_by for c in board.calls.values() if c.state is CallState.DIALLING and c.dialled_by]
        assert len(set(offered)) == len(offered)
        assert len(set(inside)) == len(inside)
        assert not set(offered) & set(inside)
        for agent in board.agents.values():
            assert (agent.offer_id is not None) == (agent.agent_id in offered)
            assert (agent.call_id is not None) == (agent.agent_id in inside), agent
            assert agent.dialling == (agent.state is AgentState.DIALLING)

    def who_is_held_for_a_page_comes_out_of_it(self) -> None:
        """The page that is gone does not hold a caller longer than it may, whatever else happens."""
        for call in self.rig.board.calls.values():
            if resumption.is_held(call):
                assert call.call_id in self.rig.board.presence.held
                assert call.held_until is not None
                assert self.rig.now <= call.held_until + resumption.SLACK


@pytest.mark.timeout(3600 if NIGHTLY else 60)
@pytest.mark.parametrize("seed", range(1, 101 if NIGHTLY else 5))
def test_a_long_random_day_of_pages_and_dialling(seed: int) -> None:
    rng = random.Random(seed)
    floor = Lines()
    for _ in range(8_000 if NIGHTLY else 350):
        act, index, agent = rng.randrange(100), rng.randrange(31), rng.choice(AGENTS)
        if act < 12:
            floor.caller_queues(rng.choice(["", "vip"]), rng.choice(["support", "sales"]), rng.random() < 0.8)
        elif act < 17:
            floor.wait_is_entered(index)
        elif act < 23:
            try:
                agents.set_agent(
                    floor.rig.board, AgentId(agent), AgentState.READY, floor.rig.now, reason="", device=Device.BROWSER
                )
            except Refused:
                pass
            floor.rig.drain()
        elif act < 33:
            floor.is_answered(index)
        elif act < 36:
            floor.is_not_answered(index, rng.choice([16, 17, 19, 20, 21]))
        elif act < 40:
            floor.talk_ends(index, rng.random() < 0.5)
        elif act < 43:
            floor.caller_hangs_up(index)
        elif act < 47:
            floor.wrap_up_is_finished(agent)
        elif act < 52:
            floor.page(agent, rng.random() < 0.6)
        elif act < 57:
            floor.signed(agent, rng.random() < 0.6)
        elif act < 60:
            floor.beat(agent, rng.choice([*[Microphone.OK] * 4, Microphone.NONE]), rng.random() < 0.8)
        elif act < 64:
            floor.falls_silent(index)
        elif act < 68:
            floor.held_waits(index)
        elif act < 72:
            floor.comes_back(index)
        elif act < 75:
            floor.dials(agent, rng.choice([None, None, *AGENTS]), rng.random() < 0.3)
        elif act < 78:
            floor.dials_and_talks(agent, rng.choice([None, None, *AGENTS]))
        elif act < 80:
            floor.far(index, rng.choice(["called", "ringing"]), "")
        elif act < 82:
            floor.far(index, "failed", rng.choice(["BUSY", "NOANSWER", "CHANUNAVAIL"]))
        elif act < 85:
            floor.reached(index)
        elif act < 88:
            floor.own_leg_goes(index)
        else:
            floor.time_passes(rng.choice([0.0, 0.5, 3.0, 11.0, 25.0]))
        floor.everyone_is_in_exactly_one_place()
        floor.each_agent_has_at_most_one_call_or_offer()
        floor.who_is_held_for_a_page_comes_out_of_it()
    floor.each_offer_ended_at_most_once()
    floor.a_closed_call_is_whole()
    floor.replaying_the_journal_gives_the_same_floor()
    reached = {type(fact) for fact in floor.rig.facts}
    assert {f.CallHeld, f.DialAsked, f.CallAnswered, f.TalkEnded} <= reached
    dialled = {x.call_id for x in floor.rig.of(f.DialAsked)}  # type: ignore[attr-defined]
    assert dialled & {x.call_id for x in floor.rig.of(f.CallHeld)}  # type: ignore[attr-defined]
