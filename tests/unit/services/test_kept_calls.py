"""A page that goes in a call that its agent made, in a consultation, and in a conference."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.ids import AgentId, CallId, ChannelName, NodeName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.commands import Command, HangUp, ReturnToWait, SetQueue
from cti.model.dial_commands import Apologise, Rejoin, Resume, Ringback
from cti.model.dial_signals import FarSide, PhoneSigned
from cti.model.facts import AgentState, DestinationKind, Device
from cti.services import consults, dialling, heartbeats, outbound, reconcile, resumption
from cti.services.agent_line import Dialled
from cti.services.switchboard import Switchboard
from cti.services.talk_view import SendTo
from tests.support.floor_rig import CENTRE_TEXT, FloorRig, centre
from tests.unit.services.test_agent_first import CUSTOMER, AgentLine

ADA, BO = AgentId("1001"), AgentId("1002")
NUMBER = "+15550100081"
TEXT = CENTRE_TEXT + 'outbound: {allow: ["+1555"]}\n'
FAR, OWN = ChannelName("PJSIP/trunk-000000f0"), ChannelName("PJSIP/1001-web-000000a0")


class Kept(FloorRig):
    """Ada has a page, Bo a SIP telephone."""

    def __init__(self, text: str = TEXT) -> None:
        super().__init__(text)
        outbound.open_trunk(self.board, self.now, there=True)
        self.board.linked = True
        heartbeats.page(self.board, ADA, self.now, connected=True)
        self.ready("1001", device=Device.BROWSER)
        self.ready("1002")
        self.call_id = CallId("")

    def joins(self, channel: ChannelName, agent: AgentId | None, bridge: str = "b9") -> list[Command]:
        return self.signal(
            s.BridgeJoined(at=self.now, bridge_id=bridge, channel=channel, call_id=self.call_id, agent_id=agent)
        )

    def leaves(self, channel: ChannelName, agent: AgentId | None, cause: int, *, own: bool = False) -> list[Command]:
        self.part(self.call_id, channel, agent, bridge="b9")
        return self.signal(
            s.ChannelGone(
                at=self.now, channel=channel, call_id=self.call_id, agent_id=agent, is_caller=own, cause=cause,
                unique_id=self.call_id if own else "",
            )
        )  # fmt: skip

    def calls(self, *, colleague: AgentId | None = None) -> None:
        """Ada calls somebody, who answers."""
        asked = Dialled(number="" if colleague else NUMBER, colleague=colleague)
        self.call_id = dialling.dial(self.board, ADA, asked, self.now, number=asked.number, objects=False)
        self.drain()
        self.board.legs[OWN] = (self.call_id, ADA)
        self.signal(
            FarSide(
                at=self.now, call_id=self.call_id, channel=FAR, event="called", unique_id="a1-9.9", agent_id=colleague
            )
        )
        self.joins(FAR, colleague)
        self.joins(OWN, ADA)
        self.pass_time(5)
        assert self.live(self.call_id).state is CallState.TALKING

    def page_goes(self) -> list[Command]:
        heartbeats.page(self.board, ADA, self.now, connected=False)
        return self.signal(PhoneSigned(at=self.now, agent_id=ADA, device=Device.BROWSER, there=False))

    def page_comes(self) -> list[Command]:
        self.pass_time(1)
        heartbeats.page(self.board, ADA, self.now, connected=True)
        commands = self.signal(PhoneSigned(at=self.now, agent_id=ADA, device=Device.BROWSER, there=True))
        return commands + self.signal(
            s.DeviceReachable(at=self.now, agent_id=ADA, device=Device.BROWSER, reachable=True, in_use=False)
        )

    def kinds(self) -> list[str]:
        return [type(fact).__name__ for fact in self.facts if getattr(fact, "call_id", None) == self.call_id]


@pytest.mark.parametrize("silent", [False, True])
def test_whom_an_agent_called_is_held_and_brought_back(silent: bool) -> None:
    rig = Kept()
    rig.calls()
    if silent:
        rig.leaves(OWN, ADA, 44, own=True)  # the dialplan brings the far side to wait
    else:
        assert [type(c) for c in rig.page_goes()] == [ReturnToWait]
        rig.leaves(OWN, ADA, 16, own=True)
    call = rig.live(rig.call_id)
    assert (call.state, call.held_reason, call.channel) == (CallState.HELD, "page_gone", FAR)
    rig.waits(rig.call_id)
    if silent:
        heartbeats.page(rig.board, ADA, rig.now, connected=False)
    assert [c for c in rig.page_comes() if isinstance(c, Resume)] == [
        Resume(call_id=rig.call_id, channel=FAR, agent_id=ADA)
    ]
    again = ChannelName("PJSIP/1001-web-000000a1")
    rig.joins(again, ADA, "b10")
    rig.joins(FAR, None, "b10")
    assert rig.live(rig.call_id).state is CallState.TALKING
    # From here on as in any call: the agent hangs up, the far side is put out, one end.
    rig.signal(s.HangupAsked(at=rig.now, channel=again, call_id=rig.call_id, agent_id=ADA))
    rig.part(rig.call_id, again, ADA, bridge="b10")
    rig.leaves(FAR, None, 16)
    assert rig.call_id in rig.board.closed
    assert rig.kinds().count("CallHeld") == rig.kinds().count("CallRetrieved") == rig.kinds().count("TalkEnded") == 1
    again_board = Switchboard(centre(TEXT), node=NodeName("t1"), now=rig.now)
    again_board.recover(rig.facts, rig.now)
    assert again_board.illegal == 0


def test_the_page_does_not_come_back_a_customer_waits_in_the_queue_of_the_call() -> None:
    rig = Kept()
    rig.calls()
    rig.page_goes()
    rig.leaves(OWN, ADA, 16, own=True)
    rig.waits(rig.call_id)
    commands = rig.pass_time(25)
    call = rig.live(rig.call_id)
    assert (call.state, call.queue, call.offered_agent) == (CallState.OFFERED, "support", BO)
    assert [c.queue for c in commands if isinstance(c, SetQueue)] == [QueueName("support")]
    assert rig.board.agents[ADA].chosen is AgentState.NOT_READY
    rig.ring(rig.call_id, "1002")
    rig.answer(rig.call_id, "1002")
    assert rig.live(rig.call_id).talkers == (BO,)
    rig.leaves(FAR, None, 16)
    assert rig.call_id in rig.board.closed


def test_a_colleague_belongs_to_no_queue_and_is_told_so() -> None:
    rig = Kept()
    rig.calls(colleague=BO)
    rig.page_goes()
    rig.leaves(OWN, ADA, 16, own=True)
    rig.waits(rig.call_id)
    assert [c for c in rig.pass_time(25) if isinstance(c, Apologise)] == [Apologise(call_id=rig.call_id, channel=FAR)]
    rig.leaves(FAR, BO, 16)
    assert rig.call_id in rig.board.closed
    for agent in (ADA, BO):
        assert rig.board.agents[agent].call_id is None


def test_after_a_restart_who_is_held_is_known_by_the_far_side() -> None:
    rig = Kept()
    rig.calls()
    rig.page_goes()
    rig.leaves(OWN, ADA, 16, own=True)
    rig.waits(rig.call_id)
    board = Switchboard(centre(TEXT), node=NodeName("t1"), now=rig.now)
    board.recover(rig.facts, rig.now)
    channel = s.LiveChannel(
        channel=FAR, unique_id="a1-9.9", call_id=rig.call_id, offer_id=None, queue=None, agent_id=None, device=None,
        caller_number=None, did="", context="cti-wait-run", state="Up", bridge_id="", seconds=9.0,
    )  # fmt: skip
    reconcile.adopt_snapshot(board, s.Snapshot(at=rig.now, channels=(channel,), devices=(), restarted=False), rig.now)
    assert resumption.is_held(board.calls[rig.call_id])
    assert board.presence.held[rig.call_id].there


class InRoom(Kept):
    """Ada talks with a caller and asks Bo."""

    def __init__(self) -> None:
        super().__init__()
        self.call_id = self.call()
        self.board.agents[BO]
        self.queue(self.call_id)
        self.ring(self.call_id, "1001")
        self.answer(self.call_id, "1001", bridge="b9")
        self.own = self.leg("1001")
        consults.begin(self.board, ADA, self.call_id, SendTo(kind=DestinationKind.AGENT, name="1002"), self.now)
        self.drain()
        self.third, self.leg_id = ChannelName("PJSIP/1002-000000b0"), f"{self.call_id}-p1"
        self.heard("dialled")

    def heard(self, event: str) -> list[Command]:
        return self.signal(
            s.PartyLeg(at=self.now, call_id=self.call_id, leg_id=self.leg_id, channel=self.third, event=event)  # type: ignore[arg-type]
        )

    def answers(self) -> list[Command]:
        return self.joins(self.third, BO, "room")


def test_who_asks_hears_ringing_until_somebody_answers() -> None:
    rig = InRoom()
    assert rig.heard("ringing") == [Ringback(call_id=rig.call_id, channel_id=f"{rig.leg_id}r")]
    assert rig.heard("ringing") == []
    assert HangUp(channel=ChannelName(f"{rig.leg_id}r")) in rig.answers()
    other = InRoom()
    other.heard("ringing")
    consults.cancel(other.board, ADA, other.call_id, other.now)
    assert HangUp(channel=ChannelName(f"{other.leg_id}r")) in other.drain()


@pytest.mark.parametrize("answered", [False, True])
def test_who_is_asked_is_let_go_and_the_caller_is_kept(answered: bool) -> None:
    rig = InRoom()
    if answered:
        rig.answers()
    commands = rig.page_goes()
    assert HangUp(channel=rig.third) in commands
    assert ReturnToWait(call_id=rig.call_id, channel=rig.channel(rig.call_id)) in commands
    assert HangUp(channel=rig.own) in commands, "in a room no leg ends with another"
    call = rig.live(rig.call_id)
    assert (call.consult, call.held_reason, call.talkers) == (None, "page_gone", (ADA,))
    rig.leaves(rig.third, BO, 16)
    rig.leaves(rig.own, ADA, 16)
    assert rig.board.agents[BO].asked_call is None
    rig.waits(rig.call_id)
    assert any(isinstance(command, Resume) for command in rig.page_comes())


def test_in_a_conference_the_others_go_on_and_the_page_comes_back_into_it() -> None:
    rig = InRoom()
    rig.answers()
    consults.join(rig.board, ADA, rig.call_id, rig.now)
    rig.drain()
    rig.joins(rig.channel(rig.call_id), None, "room")
    assert rig.live(rig.call_id).talkers == (ADA, BO)
    assert rig.page_goes() == [HangUp(channel=rig.own)]
    rig.leaves(rig.own, ADA, 16)
    assert (rig.live(rig.call_id).state, rig.live(rig.call_id).talkers) == (CallState.TALKING, (ADA, BO))
    assert rig.board.agents[ADA].state is AgentState.TALKING
    assert [c for c in rig.page_comes() if isinstance(c, Rejoin)] == [
        Rejoin(call_id=rig.call_id, agent_id=ADA, caller=rig.channel(rig.call_id))
    ]
    # Not taken: called again with the next sign of life; then there.
    again = ChannelName("PJSIP/1001-web-000000a7")
    rig.board.legs[again] = (rig.call_id, ADA)
    rig.leaves(again, ADA, 44)
    rig.pass_time(1)
    resumption.page_changed(rig.board, ADA, rig.now)
    assert [type(c) for c in rig.drain()] == [Rejoin]
    rig.joins(again, ADA, "room")
    assert not rig.board.presence.away
    rig.pass_time(60)
    assert rig.live(rig.call_id).talkers == (ADA, BO)


def test_in_a_conference_the_page_does_not_come_back() -> None:
    rig = InRoom()
    rig.answers()
    consults.join(rig.board, ADA, rig.call_id, rig.now)
    rig.drain()
    rig.joins(rig.channel(rig.call_id), None, "room")
    rig.leaves(rig.own, ADA, 44)
    assert rig.live(rig.call_id).talkers == (ADA, BO)
    rig.pass_time(25)
    assert rig.live(rig.call_id).talkers == (BO,)
    assert rig.board.agents[ADA].chosen is AgentState.NOT_READY
    assert [x.agent_id for x in rig.of(f.TalkEnded)] == [ADA]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("status", "cause", "why"),
    [
        ("BUSY", 17, "busy"), ("NOANSWER", 0, "no_answer"), ("CHANUNAVAIL", 1, "no_such_number"),
        ("CONGESTION", 34, "line_down"), ("CHANUNAVAIL", 0, "line_down"), ("CHANUNAVAIL", 20, "line_down"),
        ("CHANUNAVAIL", 21, "rejected"), ("CONGESTION", 127, "unreachable"), ("CANCEL", 0, "cancelled"),
        ("CONGESTION", 28, "no_such_number"), ("CHANUNAVAIL", 127, "unreachable"),
    ],
)  # fmt: skip
def test_why_nobody_was_reached(status: str, cause: int, why: str) -> None:
    rig = Kept()
    call_id = dialling.dial(rig.board, ADA, Dialled(number=NUMBER), rig.now, number=NUMBER, objects=False)
    rig.drain()
    rig.signal(FarSide(at=rig.now, call_id=call_id, channel=OWN, event="failed", status=status, cause=cause))
    assert [x.status for x in rig.of(f.DialFailed)] == [why]  # type: ignore[attr-defined]
    assert rig.board.withdrawn[ADA] == f"dial_{why}"


def test_a_callback_that_rang_the_agent_first_is_kept() -> None:
    """It stands on the agent's leg until that is gone; from the wait context on, on the customer's, over a restart too."""
    line = AgentLine()
    callback = line.asked()
    heartbeats.page(line.board, BO, line.now, connected=True)
    line.ready("1002", device=Device.BROWSER)
    line.look_around()
    leg = line.picks_up(callback)
    line.joined(callback, "1002")
    line.pass_time(5)
    line.part(callback, line.leg("1002"), "1002", bridge="b7")
    line.agent_leg_gone(callback, leg, cause=44)
    assert resumption.is_held(line.live(callback))
    line.signal(s.WaitEntered(at=line.now, call_id=callback, channel=CUSTOMER, unique_id="t1-9.9"))
    assert line.live(callback).leg_id == "t1-9.9"

    board = Switchboard(line.board.centre, node=NodeName("t1"), now=line.now)
    board.recover(line.facts, line.now)
    assert board.illegal == 0
    channel = s.LiveChannel(
        channel=CUSTOMER, unique_id="t1-9.9", call_id=callback, offer_id=None, queue=None, agent_id=None, device=None,
        caller_number=None, did="", context="cti-wait-run", state="Up", bridge_id=None, seconds=90.0,
    )  # fmt: skip
    snapshot = s.Snapshot(at=line.now + timedelta(seconds=5), channels=(channel,), devices=(), restarted=False)
    reconcile.adopt_snapshot(board, snapshot, line.now + timedelta(seconds=5))
    assert resumption.is_held(board.calls[callback])

    commands = line.pass_time(25)
    assert line.live(callback).state in (CallState.WAITING, CallState.OFFERED)
    assert [c.channel for c in commands if isinstance(c, SetQueue)] == [CUSTOMER]
    line.customer_gone(callback)
    assert callback in line.board.closed
