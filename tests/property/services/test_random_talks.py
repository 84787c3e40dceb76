"""Random days on which agents hold, send on, ask, swap, join, hand over, drop and pick up: nobody is lost or doubled."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from cti.ids import AgentId, CallId, ChannelName
from cti.model import signals as s
from cti.model.call import Call, CallState
from cti.model.commands import DialParty, EnterRoom, HangUp, HoldCaller, HoldParty, ReturnToWait, SendOut
from cti.model.dial_commands import Rejoin, Resume
from cti.model.dial_signals import PhoneSigned
from cti.model.facts import AgentState, DestinationKind, Device
from cti.services import agents, consults, heartbeats, holds, pick_ups, resumption, transfers
from cti.services.audit import findings
from cti.services.floor import Refused
from cti.services.talk_rows import talk_of
from cti.services.talk_view import CALLER, SendTo
from tests.property.services.test_floor import AGENTS, Floor, agent_ids, picks
from tests.support.examples import NIGHTLY

OUTSIDE = "+15550170001"
TALK = (CallState.TALKING, CallState.HELD)


class MovingFloor(Floor):
    """The same floor, on which calls move. Commands are carried out at once, as Asterisk would."""

    def __init__(self) -> None:
        super().__init__()
        self.done = 0
        self.rig.board.linked = True
        self.rig.board.can_dial_out = True
        outbound = self.rig.board.centre.outbound
        object.__setattr__(outbound, "allow", ("+1555",))

    @initialize()
    def the_floor_opens(self) -> None:
        for agent in AGENTS:
            heartbeats.page(self.rig.board, AgentId(agent), self.rig.now, connected=True)
            self.rig.ready(agent, device=Device.BROWSER)

    # -- Asterisk

    def settle(self) -> None:
        """Carry out what was commanded since, and what follows from that."""
        self.rig.drain()
        while self.done < len(self.rig.commands):
            command = self.rig.commands[self.done]
            self.done += 1
            call = self.rig.board.calls.get(getattr(command, "call_id", CallId("")))
            if isinstance(command, HangUp):
                self.gone(command.channel)
            elif call is None:
                continue
            elif isinstance(command, HoldCaller):
                self.parted(call, call.channel)
                if command.agent_channel is not None:
                    self.parted(call, command.agent_channel)
                    self.joined(call, command.agent_channel)
            elif isinstance(command, EnterRoom):
                self.joined(call, command.channel)
            elif isinstance(command, HoldParty):
                self.parted(call, command.channel)
            elif isinstance(command, DialParty):
                self.dialled(call, command)
            elif isinstance(command, ReturnToWait | SendOut):
                self.parted(call, call.channel)
            elif isinstance(command, Resume | Rejoin):
                self.comes_back(call, command)

    def comes_back(self, call: Call, command: Resume | Rejoin) -> None:
        """The agent's page takes the call by itself."""
        board = self.rig.board
        self.rig.serial += 1
        leg = ChannelName(f"PJSIP/{command.agent_id}-web-{self.rig.serial:08x}")
        board.legs[leg] = (call.call_id, command.agent_id)
        self.joined(call, leg)
        if isinstance(command, Resume):
            self.joined(call, call.channel)
            assert board.calls[call.call_id].state is CallState.TALKING
        assert (call.call_id, command.agent_id) not in board.presence.away

    def parted(self, call: Call, channel: ChannelName) -> None:
        for bridge_id, members in list(self.rig.board.bridges.items()):
            if channel in members:
                self.rig.signal(
                    s.BridgeParted(
                        at=self.rig.now, bridge_id=bridge_id, channel=channel, call_id=call.call_id,
                        agent_id=self.agent_on(channel),
                    )
                )  # fmt: skip

    def joined(self, call: Call, channel: ChannelName) -> None:
        self.rig.signal(
            s.BridgeJoined(
                at=self.rig.now, bridge_id=f"room-{call.call_id}", channel=channel, call_id=call.call_id,
                agent_id=self.agent_on(channel),
            )
        )  # fmt: skip

    def agent_on(self, channel: ChannelName) -> AgentId | None:
        leg = self.rig.board.legs.get(channel)
        return leg[1] if leg is not None else None

    def dialled(self, call: Call, command: DialParty) -> None:
        channel = ChannelName(f"PJSIP/{command.agent_id or 'trunk'}-{command.channel_id}")
        self.heard(call.call_id, command.channel_id, "dialled", channel=channel)

    def heard(self, call_id: CallId, leg: str, event: str, *, channel: str = "", status: str = "") -> None:
        self.rig.signal(
            s.PartyLeg(
                at=self.rig.now, call_id=call_id, leg_id=leg, channel=ChannelName(channel), event=event, status=status,  # type: ignore[arg-type]
            )
        )  # fmt: skip

    def gone(self, channel: ChannelName) -> None:
        """A channel ends, if it is there; the caller's end is that of the call."""
        board = self.rig.board
        for call in list(board.calls.values()):
            if call.channel == channel:
                self.rig.hang_up_caller(call.call_id)
                return
        known = board.legs.get(channel) or board.parties.legs.get(channel)
        if known is None:
            return
        party = board.parties.legs.get(channel)
        self.rig.signal(
            s.ChannelGone(
                at=self.rig.now, channel=channel, call_id=known[0], agent_id=self.agent_on(channel), is_caller=False,
                cause=16, unique_id=party[1] if party is not None else "",
            )
        )  # fmt: skip

    # -- people

    def talking(self, index: int) -> tuple[Call, AgentId] | None:
        call_id = self.pick(index, *TALK)
        call = self.rig.board.calls.get(call_id) if call_id is not None else None
        if call is None or not call.talkers:
            return None
        return call, call.talkers[index % len(call.talkers)]

    def try_(self, act: object, *args: object, **more: object) -> bool:
        try:
            act(*args, **more)  # type: ignore[operator]
        except Refused:
            self.rig.drain()
            return False
        self.settle()
        return True

    @precondition(lambda self: self.has(*TALK))
    @rule(index=picks, kind=st.sampled_from(["agent", "queue", "number"]), agent=agent_ids)
    def sends_on(self, index: int, kind: str, agent: str) -> None:
        found = self.talking(index)
        if found is None:
            return
        call, talker = found
        name = {"agent": agent, "queue": "sales", "number": OUTSIDE}[kind]
        to = SendTo(kind=DestinationKind(kind), name=name)
        if not self.try_(transfers.transfer, self.rig.board, talker, call.call_id, to, self.rig.now, note="knows"):
            return
        after = self.rig.live(call.call_id)
        assert after.transfer is not None
        assert (after.transfer.by, after.transfer.note, after.talkers) == (talker, "knows", ())
        # The legs of the talk end by themselves, or by command.
        for channel, (leg_call, leg_agent) in list(self.rig.board.legs.items()):
            if (leg_call, leg_agent) == (call.call_id, talker):
                self.gone(channel)

    @precondition(lambda self: self.has(CallState.OUT))
    @rule(index=picks)
    def nobody_answers_outside(self, index: int) -> None:
        call_id = self.pick(index, CallState.OUT)
        if call_id is not None:
            self.rig.waits(call_id)
            assert self.rig.live(call_id).state in (CallState.WAITING, CallState.OFFERED)

    @precondition(lambda self: self.has(*TALK))
    @rule(index=picks, on=st.booleans())
    def holds(self, index: int, on: bool) -> None:
        if (found := self.talking(index)) is not None:
            self.try_(holds.hold, self.rig.board, found[1], found[0].call_id, self.rig.now, on=on)

    @precondition(lambda self: self.has(*TALK))
    @rule(index=picks, agent=st.sampled_from([*AGENTS, OUTSIDE]))
    def asks(self, index: int, agent: str) -> None:
        if (found := self.talking(index)) is not None:
            kind = DestinationKind.NUMBER if agent == OUTSIDE else DestinationKind.AGENT
            to = SendTo(kind=kind, name=agent)
            self.try_(consults.begin, self.rig.board, found[1], found[0].call_id, to, self.rig.now)

    @precondition(lambda self: self.has(*TALK))
    @rule(index=picks, what=st.sampled_from(["rings", "answers", "answers", "answers", "BUSY", "NOANSWER", ""]))
    def who_is_asked(self, index: int, what: str) -> None:
        asked = [call for call in self.rig.board.calls.values() if call.consult is not None]
        if not asked:
            return
        call = asked[index % len(asked)]
        consult = call.consult
        channel = next(
            (c for c, leg in self.rig.board.parties.legs.items() if consult and leg[1] == consult.leg_id), None
        )
        if consult is None or channel is None:
            return
        if what == "rings":
            self.heard(call.call_id, consult.leg_id, "ringing", channel=channel)
        elif what == "answers":
            self.joined(call, channel)
        elif consult.answered_at is None:
            self.heard(call.call_id, consult.leg_id, "failed", channel=channel, status=what)
            self.gone(channel)
        self.settle()

    @precondition(lambda self: self.has(*TALK))
    @rule(index=picks, act=st.sampled_from([consults.complete, consults.cancel, consults.swap, consults.join]))
    def goes_on(self, index: int, act: object) -> None:
        if (found := self.talking(index)) is not None:
            self.try_(act, self.rig.board, found[1], found[0].call_id, self.rig.now)

    @precondition(lambda self: self.has(*TALK))
    @rule(index=picks, party=st.sampled_from([*AGENTS, OUTSIDE, CALLER]))
    def drops(self, index: int, party: str) -> None:
        if (found := self.talking(index)) is not None:
            self.try_(consults.drop, self.rig.board, found[1], found[0].call_id, party, self.rig.now)

    @precondition(lambda self: self.rig.board.legs or self.rig.board.parties.legs)
    @rule(index=picks)
    def a_leg_of_a_talk_ends(self, index: int) -> None:
        board = self.rig.board
        legs = sorted({*board.legs, *board.parties.legs})
        channel = legs[index % len(legs)]
        call_id, _ = board.legs.get(channel) or board.parties.legs[channel]
        call = board.calls.get(call_id)
        if call is not None and call.state is CallState.OFFERED:
            return
        self.gone(channel)
        self.settle()
        # Two legs in one bridge: the dialplan ends the caller with the agent.
        left = board.calls.get(call_id)
        if left is not None and left.state is CallState.AFTER:
            self.rig.hang_up_caller(call_id)

    @precondition(lambda self: self.has(*TALK))
    @rule(index=picks)
    def the_dialplan_finds_nobody(self, index: int) -> None:
        """With a bridge that missed everything: the caller is in the wait context all of a sudden."""
        call_id = self.pick(index, *TALK)
        if call_id is not None:
            for members in self.rig.board.bridges.values():
                members.pop(self.rig.channel(call_id), None)
            self.rig.waits(call_id)
            assert self.rig.live(call_id).state in (CallState.WAITING, CallState.OFFERED)
            for channel in [c for c, leg in self.rig.board.legs.items() if leg[0] == call_id]:
                self.gone(channel)

    @precondition(lambda self: self.has(CallState.WAITING, CallState.OFFERED))
    @rule(index=picks, agent=agent_ids)
    def is_picked_up(self, index: int, agent: str) -> None:
        call_id = self.pick(index, CallState.WAITING, CallState.OFFERED)
        if call_id is not None and self.try_(pick_ups.pick_up, self.rig.board, AgentId(agent), call_id, self.rig.now):
            call = self.rig.live(call_id)
            assert call.preferred == agent
            self.rig.waits(call_id)
            assert self.rig.live(call_id).offered_agent == agent

    @rule(agent=agent_ids, silent=st.booleans())
    def a_page_goes(self, agent: str, silent: bool) -> None:
        """Closed, or (`silent`) Asterisk has heard nothing of it for seconds and ends its leg."""
        board, who = self.rig.board, AgentId(agent)
        call_id = board.agents[who].call_id
        before = board.calls.get(call_id) if call_id is not None else None
        own = [c for c, leg in board.legs.items() if leg == (call_id, who)]
        if before is None or before.state not in TALK or not own or before.leaving == who:
            return
        heartbeats.page(board, who, self.rig.now, connected=False)
        if silent:
            self.cut(before, own[0], who)
        else:
            self.rig.signal(PhoneSigned(at=self.rig.now, agent_id=who, device=Device.BROWSER, there=False))
            self.settle()
        after = board.calls.get(before.call_id)
        assert after is not None, "nobody hung up"
        assert who in after.talkers
        if resumption.is_held(after):
            assert after.consult is None
            self.rig.waits(after.call_id)
            assert resumption.is_held(self.rig.live(after.call_id))
        else:
            assert (after.call_id, who) in board.presence.away
            assert after.talkers == before.talkers
            assert after.outsiders == before.outsiders

    def cut(self, call: Call, channel: ChannelName, who: AgentId) -> None:
        if not call.room:
            self.parted(call, channel)
        self.rig.signal(
            s.ChannelGone(
                at=self.rig.now, channel=channel, call_id=call.call_id, agent_id=who, is_caller=False, cause=44
            )
        )
        self.settle()

    @rule(agent=agent_ids)
    def a_page_comes(self, agent: str) -> None:
        board, who = self.rig.board, AgentId(agent)
        if board.presence.line(who).pages == 0:
            self.rig.pass_time(0.5)
            heartbeats.page(board, who, self.rig.now, connected=True)
            self.rig.signal(PhoneSigned(at=self.rig.now, agent_id=who, device=Device.BROWSER, there=True))
            self.rig.signal(
                s.DeviceReachable(at=self.rig.now, agent_id=who, device=Device.BROWSER, reachable=True, in_use=False)
            )
            resumption.page_changed(board, who, self.rig.now)
            self.settle()

    @invariant()
    def nobody_is_away_for_ever(self) -> None:
        board = self.rig.board
        for (call_id, agent_id), away in board.presence.away.items():
            call = board.calls.get(call_id)
            assert call is None or agent_id not in call.talkers or self.rig.now <= away.until
        for call in board.calls.values():
            if resumption.is_held(call):
                assert call.held_until is not None
                assert self.rig.now <= call.held_until + resumption.SLACK

    @rule(index=picks)
    def hangs_up_by_the_page(self, index: int) -> None:
        if (found := self.talking(index)) is not None:
            self.try_(agents.hang_up, self.rig.board, found[1], found[0].call_id)
            left = self.rig.board.calls.get(found[0].call_id)
            if left is not None and left.state is CallState.AFTER:
                self.rig.hang_up_caller(left.call_id)

    # -- what always holds

    @invariant()
    def each_agent_has_at_most_one_call_or_offer(self) -> None:
        board = self.rig.board
        offered = [agent_id for c in board.calls.values() for agent_id in c.offered_agents]
        talking = [agent_id for c in board.calls.values() if c.state in TALK for agent_id in c.talkers]
        assert len(set(offered)) == len(offered)
        assert len(set(talking)) == len(talking)
        assert not set(offered) & set(talking)
        for call in board.calls.values():
            if call.state not in TALK:
                assert not call.talkers, (call.state, call.talkers)
                assert call.consult is None, call.state
            asked = call.consult.consulted if call.consult is not None else None
            if asked is not None:
                assert board.agents[asked].asked_call == call.call_id
                assert asked not in talking
                assert asked not in offered
        for agent in board.agents.values():
            assert (agent.offer_id is not None) == (agent.agent_id in offered)
            assert (agent.call_id is not None) == (agent.agent_id in talking)
            assert (agent.agent_id in board.wrap_until) == (agent.wrap_call is not None)
            if agent.asked_call is not None:
                assert not board.engine.is_free(agent.agent_id)
            talk_of(board, agent.agent_id)

    @invariant()
    def a_closed_call_is_whole(self) -> None:
        board = self.rig.board
        assert {call_id for call_id, _ in board.parties.legs.values()} <= {*board.calls, *board.closed}
        for agent in board.agents.values():
            assert agent.asked_call is None or agent.asked_call in board.calls

    @invariant()
    def the_books_add_up(self) -> None:
        found = [breach for breach in findings(self.rig.board, self.rig.now) if breach.kind != "lease_overdue"]
        assert found == []


MovingFloor.TestCase.settings = settings(
    max_examples=3000 if NIGHTLY else 25,
    stateful_step_count=300 if NIGHTLY else 60,
    suppress_health_check=list(HealthCheck),
)
TestMovingFloor = MovingFloor.TestCase


@pytest.mark.timeout(3600 if NIGHTLY else 60)
@pytest.mark.parametrize("seed", range(1, 101 if NIGHTLY else 4))
def test_a_long_day_of_moves(seed: int) -> None:
    """A busy day, so that consultations and conferences are reached many times."""
    rng = random.Random(seed)
    floor = MovingFloor()
    floor.the_floor_opens()
    parties = [*AGENTS, OUTSIDE, CALLER]
    acts = [
        (lambda: floor.caller_queues(rng.choice(["", "vip"]), rng.choice(["support", "sales"]), True), 12),
        (lambda: floor.is_answered(rng.randrange(31)), 25),
        (lambda: floor.is_not_answered(rng.randrange(31), rng.choice([17, 19, 21])), 3),
        (lambda: floor.wait_is_entered(rng.randrange(31)), 6),
        (lambda: floor.agent_chooses(rng.choice(AGENTS), AgentState.READY), 6),
        (lambda: floor.sends_on(rng.randrange(31), rng.choice(["agent", "queue", "number"]), rng.choice(AGENTS)), 6),
        (lambda: floor.nobody_answers_outside(rng.randrange(31)), 5),
        (lambda: floor.holds(rng.randrange(31), rng.random() < 0.5), 6),
        (lambda: floor.asks(rng.randrange(31), rng.choice([*AGENTS, OUTSIDE])), 10),
        (lambda: floor.who_is_asked(rng.randrange(31), rng.choice(["rings", "answers", "answers", "BUSY", ""])), 14),
        (lambda: floor.goes_on(rng.randrange(31), rng.choice(
            [consults.complete, consults.cancel, consults.swap, consults.join])), 12),
        (lambda: floor.drops(rng.randrange(31), rng.choice(parties)), 4),
        (lambda: (floor.rig.board.legs or floor.rig.board.parties.legs) and floor.a_leg_of_a_talk_ends(rng.randrange(31)), 4),
        (lambda: floor.the_dialplan_finds_nobody(rng.randrange(31)), 1),
        (lambda: floor.is_picked_up(rng.randrange(31), rng.choice(AGENTS)), 4),
        (lambda: floor.hangs_up_by_the_page(rng.randrange(31)), 3),
        (lambda: floor.a_page_goes(rng.choice(AGENTS), rng.random() < 0.5), 6),
        (lambda: floor.a_page_comes(rng.choice(AGENTS)), 10),
        (lambda: floor.caller_hangs_up(rng.randrange(31)), 2),
        (lambda: floor.wrap_up_is_finished(rng.choice(AGENTS)), 12),
        (lambda: floor.time_passes(rng.choice([0.5, 3.0, 11.0, 40.0])), 8),
        (lambda: len(floor.rig.facts) > 3 and floor.replaying_the_journal_gives_the_same_floor(), 1),
    ]  # fmt: skip
    weights = [weight for _, weight in acts]
    for _ in range(5000 if NIGHTLY else 500):
        rng.choices([act for act, _ in acts], weights)[0]()
        floor.settle()
        floor.everyone_is_in_exactly_one_place()
        floor.each_agent_has_at_most_one_call_or_offer()
        floor.each_offer_ended_at_most_once()
        floor.a_closed_call_is_whole()
        floor.the_books_add_up()
