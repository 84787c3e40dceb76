"""Transfers, consultations and pick-up: the rules, on virtual time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.ids import AgentId, CallId, ChannelName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.commands import DialParty, EnterRoom, HangUp, HoldCaller, ReturnToWait, SendOut
from cti.model.facts import AgentState, DestinationKind
from cti.services import agents, audit, consults, holds, not_done, pick_ups, transfers
from cti.services.floor import Refused
from cti.services.talk_rows import talk_of
from cti.services.talk_view import SendTo
from tests.support.floor_rig import CENTRE_TEXT, FloorRig

ADA, BO, CAI = AgentId("1001"), AgentId("1002"), AgentId("1003")
TEXT = CENTRE_TEXT + '  "1003": {name: Cai, queues: [sales]}\noutbound: {allow: ["+1555"]}\n'
EXPERT = "+15550170001"


@pytest.fixture
def rig() -> FloorRig:
    """Ada talks with a caller of support; Cai, who is only in sales, is free."""
    rig = FloorRig(TEXT)
    rig.board.linked = rig.board.can_dial_out = True
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.now += timedelta(seconds=4)
    rig.ring(call_id, "1001")
    rig.answer(call_id, "1001")
    rig.ready("1003")
    rig.now += timedelta(seconds=60)
    return rig


def the_call(rig: FloorRig) -> CallId:
    return next(iter(rig.board.calls))


def send(rig: FloorRig, kind: str, name: str, *, by: AgentId = ADA) -> list[object]:
    transfers.transfer(rig.board, by, the_call(rig), SendTo(kind=DestinationKind(kind), name=name), rig.now, note="n")
    return list(rig.drain())


def test_a_transferred_caller_brings_the_time_waited_but_not_the_talk(rig: FloorRig) -> None:
    commands = send(rig, "queue", "sales")
    call = rig.live(the_call(rig))
    assert (call.state, call.queue) == (CallState.WAITING, "sales")
    assert call.queued_at == rig.now - timedelta(seconds=4)
    assert any(isinstance(command, ReturnToWait) for command in commands)
    assert rig.board.agents[ADA].state is AgentState.WRAP_UP
    assert not rig.delivered()[1:]  # not before the caller is in the wait context
    rig.waits(call.call_id)
    assert rig.delivered()[-1] == (call.call_id, CAI)
    assert rig.board.pops[CAI].transferred_by == "Ada"
    assert rig.board.pops[CAI].note == "n"


def test_kept_for_an_agent_of_another_queue_then_the_sender_then_everybody(rig: FloorRig) -> None:
    rig.ready("1002")
    send(rig, "agent", "1003")
    call_id = the_call(rig)
    rig.waits(call_id)
    assert rig.delivered()[-1] == (call_id, CAI)  # though Bo, of the queue, is free
    rig.not_answered(call_id)
    assert rig.delivered()[-1] == (call_id, ADA)  # whose work after the call is over by that
    assert rig.board.pops[ADA].returned == "no_answer"
    rig.not_answered(call_id)
    assert rig.delivered()[-1] == (call_id, BO)


def test_an_agent_who_stays_busy_is_not_waited_for_for_ever(rig: FloorRig) -> None:
    other = rig.call(number="+15550100009")
    rig.queue(other, "sales")
    rig.ring(other, "1003")
    rig.answer(other, "1003", bridge="b2")
    rig.ready("1002")
    first = next(iter(rig.board.calls))
    transfers.transfer(rig.board, ADA, first, SendTo(kind=DestinationKind.AGENT, name="1003"), rig.now, note="")
    rig.drain()
    rig.waits(first)
    assert rig.live(first).state is CallState.WAITING
    rig.pass_time(29)
    assert rig.live(first).state is CallState.WAITING
    rig.pass_time(2)
    assert rig.delivered()[-1][0] == first
    (came,) = rig.of(f.CallCameBack)
    assert isinstance(came, f.CallCameBack)
    assert (came.reason, came.to) == ("late", ADA)


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("agent", "1001", "to_oneself"),
        ("agent", "1002", "agent_offline"),
        ("agent", "1099", "unknown_agent"),
        ("queue", "nowhere", "unknown_queue"),
        ("flow", "main", "unknown_flow"),
        ("number", "+4930123456", "number_not_allowed"),
    ],
)
def test_refusals_change_nothing(rig: FloorRig, kind: str, name: str, why: str) -> None:
    before = len(rig.facts)
    with pytest.raises(Refused) as refused:
        send(rig, kind, name)
    assert refused.value.error_id == why
    rig.drain()
    assert len(rig.facts) == before
    assert rig.live(the_call(rig)).state is CallState.TALKING


def test_only_who_is_in_the_call_may_move_it(rig: FloorRig) -> None:
    for act in (
        lambda: send(rig, "queue", "sales", by=CAI),
        lambda: holds.hold(rig.board, CAI, the_call(rig), rig.now, on=True),
        lambda: consults.join(rig.board, CAI, the_call(rig), rig.now),
        lambda: consults.drop(rig.board, CAI, the_call(rig), "caller", rig.now),
        lambda: holds.send_keys(rig.board, CAI, the_call(rig), "1"),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.error_id == "not_your_call"


def test_nobody_answers_outside_and_the_sender_has_the_caller_again(rig: FloorRig) -> None:
    commands = send(rig, "number", EXPERT)
    assert any(isinstance(command, SendOut) and command.back for command in commands)
    call_id = the_call(rig)
    assert rig.live(call_id).state is CallState.OUT
    rig.waits(call_id)
    assert rig.delivered()[-1] == (call_id, ADA)
    assert rig.live(call_id).queued_at == rig.now - timedelta(seconds=4)


def test_the_caller_hangs_up_in_the_moment_of_the_transfer(rig: FloorRig) -> None:
    send(rig, "agent", "1003")
    call_id = the_call(rig)
    rig.hang_up_caller(call_id)
    assert call_id in rig.board.closed
    assert rig.board.agents[CAI].state is AgentState.READY
    (end,) = rig.of(f.CallEnded)
    assert isinstance(end, f.CallEnded)
    assert end.hangup_by is f.HangupBy.CALLER


def ask(rig: FloorRig, name: str = "1003") -> tuple[CallId, str, ChannelName]:
    """Cai, or the expert, is asked and answers."""
    call_id = the_call(rig)
    kind = DestinationKind.AGENT if name == "1003" else DestinationKind.NUMBER
    consults.begin(rig.board, ADA, call_id, SendTo(kind=kind, name=name), rig.now)
    commands = rig.drain()
    (dial,) = (command for command in commands if isinstance(command, DialParty))
    (held,) = (command for command in commands if isinstance(command, HoldCaller))
    assert (held.agent_channel is None) == (rig.live(call_id).consults > 1)
    channel = ChannelName(f"PJSIP/{name}-0000000f")
    heard = {"at": rig.now, "call_id": call_id, "leg_id": dial.channel_id, "channel": channel}
    rig.signal(s.PartyLeg(**heard, event="dialled"))  # type: ignore[arg-type]
    rig.signal(s.PartyLeg(**heard, event="ringing"))  # type: ignore[arg-type]
    rig.signal(
        s.BridgeJoined(
            at=rig.now, bridge_id="room", channel=channel, call_id=call_id, agent_id=CAI if name == "1003" else None
        )
    )
    return call_id, dial.channel_id, channel


def test_who_is_asked_is_offered_nothing_and_sees_the_caller(rig: FloorRig) -> None:
    call_id, _, _ = ask(rig)
    assert not rig.board.engine.is_free(CAI)
    assert rig.board.agents[CAI].state is AgentState.TALKING
    assert (rig.board.pops[CAI].kind, rig.board.pops[CAI].call_id) == ("consult", call_id)
    mine, theirs = talk_of(rig.board, ADA), talk_of(rig.board, CAI)
    assert mine is not None
    assert theirs is not None
    assert (mine.state, mine.consult and mine.consult.state, theirs.state) == ("consulting", "talking", "consulting")
    with pytest.raises(Refused):
        consults.begin(rig.board, ADA, call_id, SendTo(kind=DestinationKind.AGENT, name="1003"), rig.now)


def test_handed_over_only_when_the_two_are_in_one_bridge(rig: FloorRig) -> None:
    call_id, _, _ = ask(rig)
    consults.complete(rig.board, ADA, call_id, rig.now, note="over to you")
    commands = rig.drain()
    assert [type(command) for command in commands] == [EnterRoom]  # Ada is still there
    assert rig.live(call_id).talkers == (ADA,)
    commands = rig.signal(
        s.BridgeJoined(at=rig.now, bridge_id="room", channel=rig.channel(call_id), call_id=call_id, agent_id=None)
    )
    assert any(isinstance(command, HangUp) for command in commands)
    assert rig.live(call_id).talkers == (ADA, CAI)
    rig.signal(
        s.ChannelGone(at=rig.now, channel=rig.leg("1001"), call_id=call_id, agent_id=ADA, is_caller=False, cause=16)
    )
    call = rig.live(call_id)
    assert (call.talkers, call.state, call.agent_id) == ((CAI,), CallState.TALKING, CAI)
    assert rig.board.agents[ADA].state is AgentState.WRAP_UP


def test_who_asked_hangs_up_and_who_was_asked_is_let_go_with_the_caller(rig: FloorRig) -> None:
    """A race in virtual time: the talk was taken for a new delivery, out of the room, and the asked one stayed there alone."""
    call_id, _, channel = ask(rig)
    rig.signal(
        s.ChannelGone(at=rig.now, channel=rig.leg("1001"), call_id=call_id, agent_id=ADA, is_caller=False, cause=16)
    )
    waited = rig.live(call_id).waited
    rig.signal(
        s.BridgeJoined(at=rig.now, bridge_id="room", channel=rig.channel(call_id), call_id=call_id, agent_id=None)
    )
    call = rig.live(call_id)
    assert (call.talkers, call.room, call.waited) == ((CAI,), True, waited)
    commands = rig.signal(
        s.ChannelGone(
            at=rig.now, channel=rig.channel(call_id), call_id=call_id, agent_id=None, is_caller=True, cause=16,
            unique_id=str(call_id),
        )
    )  # fmt: skip
    assert HangUp(channel=channel) in commands


def test_who_joined_two_hangs_up_before_they_hear_each_other(rig: FloorRig) -> None:
    """They are on their way to each other: the books agree, and a lost command is given again."""
    call_id, _, _ = ask(rig)
    rig.part(call_id, rig.channel(call_id), None)  # on hold
    consults.join(rig.board, ADA, call_id, rig.now)
    (enter,) = (command for command in rig.drain() if isinstance(command, EnterRoom))
    rig.signal(
        s.ChannelGone(at=rig.now, channel=rig.leg("1001"), call_id=call_id, agent_id=ADA, is_caller=False, cause=16)
    )
    assert rig.live(call_id).state is CallState.AFTER
    assert audit.findings(rig.board, rig.now) == []
    assert not_done.look_again(rig.board, enter, rig.now)
    rig.signal(
        s.BridgeJoined(at=rig.now, bridge_id="room", channel=rig.channel(call_id), call_id=call_id, agent_id=None)
    )
    assert (rig.live(call_id).state, rig.live(call_id).talkers) == (CallState.TALKING, (CAI,))
    assert not not_done.look_again(rig.board, enter, rig.now)


def test_nobody_else_is_asked_while_somebody_is_just_joining(rig: FloorRig) -> None:
    """Who joins would be nobody's consultation, and nobody in the talk."""
    call_id, _, _ = ask(rig)
    consults.join(rig.board, ADA, call_id, rig.now)
    rig.drain()
    expert = SendTo(kind=DestinationKind.NUMBER, name=EXPERT)
    with pytest.raises(Refused, match="just joining"):
        consults.begin(rig.board, ADA, call_id, expert, rig.now)
    rig.signal(
        s.BridgeJoined(at=rig.now, bridge_id="room", channel=rig.channel(call_id), call_id=call_id, agent_id=None)
    )
    assert rig.live(call_id).talkers == (ADA, CAI)
    consults.begin(rig.board, ADA, call_id, expert, rig.now)
    assert rig.live(call_id).consult is not None


def test_the_caller_is_not_held_while_somebody_is_just_joining(rig: FloorRig) -> None:
    """A race in virtual time: with the caller on hold and the agent gone, who joined was left in a room with nobody."""
    call_id, _, _ = ask(rig)
    consults.join(rig.board, ADA, call_id, rig.now)
    with pytest.raises(Refused, match="just joining"):
        holds.hold(rig.board, ADA, call_id, rig.now, on=True)
    rig.signal(
        s.BridgeJoined(at=rig.now, bridge_id="room", channel=rig.channel(call_id), call_id=call_id, agent_id=None)
    )
    holds.hold(rig.board, ADA, call_id, rig.now, on=True)
    assert rig.live(call_id).held_by_server


def test_a_caller_who_finds_nobody_in_the_room_waits_and_who_was_to_join_is_free(rig: FloorRig) -> None:
    """A race in virtual time: who joined was put on hold again by a command that came late."""
    call_id, _, channel = ask(rig)
    consults.join(rig.board, ADA, call_id, rig.now)
    rig.drain()
    rig.signal(
        s.ChannelGone(at=rig.now, channel=rig.leg("1001"), call_id=call_id, agent_id=ADA, is_caller=False, cause=16)
    )
    commands = rig.waits(call_id)
    assert HangUp(channel=channel) in commands
    assert rig.live(call_id).state in (CallState.WAITING, CallState.OFFERED)
    assert rig.board.agents[CAI].asked_call is None
    assert audit.findings(rig.board, rig.now) == []


@pytest.mark.parametrize("answered", [True, False])
def test_a_caller_who_waits_again_ends_what_was_asked_about_them(rig: FloorRig, answered: bool) -> None:
    """The colleague's telephone rang on, and their screen showed the caller."""
    if answered:
        call_id, leg_id, channel = ask(rig)
    else:
        call_id = the_call(rig)
        consults.begin(rig.board, ADA, call_id, SendTo(kind=DestinationKind.AGENT, name="1003"), rig.now)
        (dial,) = (command for command in rig.drain() if isinstance(command, DialParty))
        leg_id, channel = dial.channel_id, ChannelName(dial.channel_id)
    assert CAI in rig.board.pops
    commands = rig.waits(call_id)
    assert commands.count(HangUp(channel=channel)) == 1
    assert CAI not in rig.board.pops
    assert rig.board.withdrawn[CAI] == f.ConsultEnd.GONE.value
    assert leg_id in rig.board.parties.leaving
    assert rig.board.agents[CAI].asked_call is None
    assert audit.findings(rig.board, rig.now) == []


def test_who_takes_back_a_question_asks_the_next_one_at_once(rig: FloorRig) -> None:
    """The leg of the one who was asked is there for a moment still: it joins nothing."""
    call_id, _, _ = ask(rig)
    consults.cancel(rig.board, ADA, call_id, rig.now)
    rig.drain()
    assert any(leg_call == call_id for leg_call, _ in rig.board.parties.legs.values())
    consults.begin(rig.board, ADA, call_id, SendTo(kind=DestinationKind.NUMBER, name=EXPERT), rig.now)
    consult = rig.live(call_id).consult
    assert consult is not None
    assert consult.party == EXPERT


def test_who_is_just_let_go_is_not_called_again_before_their_telephone_is_known_to_be_free(rig: FloorRig) -> None:
    """A race in virtual time: the first leg, not heard of yet, and the second rang the same telephone."""
    call_id, cai = the_call(rig), SendTo(kind=DestinationKind.AGENT, name="1003")
    consults.begin(rig.board, ADA, call_id, cai, rig.now)
    (dial,) = (command for command in rig.drain() if isinstance(command, DialParty))
    consults.cancel(rig.board, ADA, call_id, rig.now)
    with pytest.raises(Refused, match="just being let go"):
        consults.begin(rig.board, ADA, call_id, cai, rig.now)
    channel = ChannelName("PJSIP/1003-0000000f")
    heard = {"at": rig.now, "call_id": call_id, "leg_id": dial.channel_id, "channel": channel}
    rig.signal(s.PartyLeg(**heard, event="dialled"))  # type: ignore[arg-type]
    rig.pass_time(2)
    consults.begin(rig.board, ADA, call_id, cai, rig.now)


def test_the_third_party_goes_as_the_caller_is_handed_over_and_nobody_is_lost(rig: FloorRig) -> None:
    call_id, leg, channel = ask(rig)
    consults.complete(rig.board, ADA, call_id, rig.now)
    rig.drain()
    rig.signal(
        s.ChannelGone(
            at=rig.now, channel=channel, call_id=call_id, agent_id=CAI, is_caller=False, cause=16, unique_id=leg
        )
    )
    rig.signal(
        s.BridgeJoined(at=rig.now, bridge_id="room", channel=rig.channel(call_id), call_id=call_id, agent_id=None)
    )
    call = rig.live(call_id)
    assert (call.talkers, call.state) == ((ADA,), CallState.TALKING)
    assert rig.board.agents[CAI].state is AgentState.READY
    assert rig.board.engine.is_free(CAI)


def test_a_third_party_who_never_answers_is_given_up(rig: FloorRig) -> None:
    call_id = the_call(rig)
    consults.begin(rig.board, ADA, call_id, SendTo(kind=DestinationKind.NUMBER, name=EXPERT), rig.now)
    rig.drain()
    commands = rig.pass_time(40)
    assert any(isinstance(command, HangUp) for command in commands)
    view = talk_of(rig.board, ADA)
    assert view is not None
    assert view.consult is not None
    assert (view.state, view.consult.state, view.consult.reason) == ("held", "failed", "no_answer")
    holds.hold(rig.board, ADA, call_id, rig.now, on=False)
    assert rig.live(call_id).state is CallState.TALKING


def test_ending_a_call_on_hold_ends_the_callers_leg(rig: FloorRig) -> None:
    call_id = the_call(rig)
    holds.hold(rig.board, ADA, call_id, rig.now, on=True)
    rig.drain()
    agents.hang_up(rig.board, ADA, call_id)
    assert rig.drain() == [HangUp(channel=rig.channel(call_id))]


def test_picked_up_from_a_colleagues_ringing_phone(rig: FloorRig) -> None:
    rig.ready("1002")
    second = rig.call(number="+15550100009")
    rig.queue(second)
    rig.ring(second, "1002")
    pick_ups.pick_up(rig.board, CAI, second, rig.now)
    rig.drain()
    assert rig.board.agents[BO].state is AgentState.READY
    rig.waits(second)
    assert rig.delivered()[-1] == (second, CAI)
    with pytest.raises(Refused) as refused:
        pick_ups.pick_up(rig.board, ADA, second, rig.now)
    assert refused.value.error_id == "not_free"


def test_who_takes_a_caller_back_and_sends_them_on_at_once_has_not_answered_them(rig: FloorRig) -> None:
    """That the two were in one bridge again is told when the caller waits for somebody else already."""
    call_id, _, _ = ask(rig, EXPERT)
    consults.cancel(rig.board, ADA, call_id, rig.now)
    together = rig.now = rig.now + timedelta(seconds=0.5)
    rig.now += timedelta(seconds=0.2)
    send(rig, "agent", "1003")
    call = rig.live(call_id)
    assert call.state is CallState.WAITING
    before = len(rig.facts)
    for channel, agent_id in ((rig.leg("1001"), ADA), (rig.channel(call_id), None)):
        rig.signal(s.BridgeJoined(at=together, bridge_id="b9", channel=channel, call_id=call_id, agent_id=agent_id))
    assert rig.facts[before:] == []
    for channel, agent_id in ((rig.leg("1001"), ADA), (rig.channel(call_id), None)):
        rig.signal(s.BridgeParted(at=rig.now, bridge_id="b9", channel=channel, call_id=call_id, agent_id=agent_id))
    assert rig.live(call_id).state is CallState.WAITING
    rig.waits(call_id)
    assert rig.delivered()[-1] == (call_id, CAI)
