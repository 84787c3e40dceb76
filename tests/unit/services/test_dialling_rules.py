"""What agents may dial, and what becomes of the calls they begin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cti.ids import AgentId, CallId, ChannelName, CustomerId
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.commands import Command, HangUp
from cti.model.dial_commands import RingToDial
from cti.model.dial_signals import AgentCalls, FarSide
from cti.model.facts import AgentState, Device, Direction, HangupBy, Outcome
from cti.reports.call_record import fold
from cti.services import agents, dialling, outbound
from cti.services.agent_line import Dialled
from cti.services.floor import Refused
from cti.services.line_requests import LineRequests
from cti.services.ports import CustomerCard, LookUp
from tests.support.floor_rig import CENTRE_TEXT, FloorRig

ADA, BO = AgentId("1001"), AgentId("1002")
NUMBER = "+15550100081"
TEXT = (
    CENTRE_TEXT.replace("wrap_up: 10,", 'wrap_up: 10, caller_id: "+15550105001",')
    + 'outbound: {allow: ["+1555"], caller_id: "+15550105000", caller_ids: ["+15550105009"], most_at_once: 1}\n'
)
FAR = ChannelName("PJSIP/trunk-0000aaaa")


class Bench(FloorRig):
    """Ada has a telephone, the centre a trunk with one line."""

    def __init__(self) -> None:
        super().__init__(TEXT)
        outbound.open_trunk(self.board, self.now, there=True)
        self.board.linked = True
        self.ready("1001")

    def dial(self, number: str = NUMBER, *, objects: bool = False, **asked: Any) -> CallId:
        call_id = dialling.dial(
            self.board, ADA, Dialled(number=number, **asked), self.now, number=number, objects=objects
        )
        self.drain()
        return call_id

    def own(self, call_id: CallId) -> ChannelName:
        return ChannelName(f"PJSIP/1001-{abs(hash(call_id)) % 10**8:08d}")

    def taken(self, call_id: CallId) -> list[Command]:
        """Ada takes her own device off the hook, and the number is called."""
        self.signal(
            s.AgentLegDialled(
                at=self.now, call_id=call_id, offer_id=None, channel=ChannelName(""), agent_channel=self.own(call_id),
                agent_id=ADA, unique_id=call_id,
            )
        )  # fmt: skip
        return self.far(call_id, "called")

    def far(self, call_id: CallId, event: Any, *, status: str = "", channel: ChannelName = FAR) -> list[Command]:
        return self.signal(
            FarSide(at=self.now, call_id=call_id, channel=channel, event=event, unique_id="t1-9.9", status=status)
        )

    def meet(self, call_id: CallId, far: ChannelName = FAR, agent: AgentId | None = None) -> None:
        for channel, who in ((far, agent), (self.own(call_id), ADA)):
            self.signal(s.BridgeJoined(at=self.now, bridge_id="b1", channel=channel, call_id=call_id, agent_id=who))

    def gone(self, call_id: CallId, channel: ChannelName, unique_id: str, *, asked: bool = True) -> None:
        mine = ADA if unique_id == call_id else None
        if asked:
            self.signal(s.HangupAsked(at=self.now, channel=channel, call_id=call_id, agent_id=mine))
        self.part(call_id, channel, mine)
        self.signal(
            s.ChannelGone(
                at=self.now, channel=channel, call_id=call_id, agent_id=mine, is_caller=unique_id == call_id, cause=16,
                unique_id=unique_id,
            )
        )  # fmt: skip

    def record(self, call_id: CallId) -> Any:
        return fold([fact for fact in self.facts if isinstance(fact, f.CallFact) and fact.call_id == call_id])


@pytest.fixture
def bench() -> Bench:
    return Bench()


def refusal(bench: Bench, **asked: Any) -> str:
    with pytest.raises(Refused) as told:
        bench.dial(**asked)
    return told.value.error_id


def test_the_own_device_rings_first_then_both_talk(bench: Bench) -> None:
    call_id = bench.dial()
    (command,) = [c for c in bench.commands if isinstance(c, RingToDial)]
    assert (command.call_id, command.number, command.caller_id) == (call_id, NUMBER, "+15550105001")
    call = bench.live(call_id)
    assert (call.state, call.direction) == (CallState.DIALLING, Direction.OUTBOUND)
    assert bench.board.agents[ADA].state is AgentState.DIALLING
    assert not bench.board.engine.is_free(ADA)
    bench.pass_time(2)
    bench.taken(call_id)
    bench.pass_time(1)
    bench.far(call_id, "ringing")
    bench.pass_time(4)
    bench.meet(call_id)
    assert (bench.live(call_id).state, bench.live(call_id).channel) == (CallState.TALKING, FAR)
    assert bench.board.agents[ADA].state is AgentState.TALKING
    bench.pass_time(30)
    bench.gone(call_id, FAR, "t1-9.9")
    assert bench.board.agents[ADA].state is AgentState.WRAP_UP
    bench.pass_time(10)
    assert bench.board.agents[ADA].state is AgentState.READY
    record = bench.record(call_id)
    assert (record.outcome, record.agent, record.hangup_by) == (Outcome.ANSWERED, ADA, HangupBy.CALLER)
    assert (record.ring_seconds, record.talk_seconds, record.wrap_seconds) == (4, 30, 10)
    assert (record.queue, record.wait_seconds, record.caller_number) == (None, None, NUMBER)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("BUSY", Outcome.BUSY),
        ("NOANSWER", Outcome.NO_ANSWER),
        ("CANCEL", Outcome.NO_ANSWER),
        ("CHANUNAVAIL", Outcome.FAILED),
        ("CONGESTION", Outcome.FAILED),
    ],
)
def test_nobody_is_reached(bench: Bench, status: str, outcome: Outcome) -> None:
    call_id = bench.dial()
    bench.taken(call_id)
    bench.far(call_id, "failed", status=status)
    assert call_id in bench.board.closed
    assert bench.board.agents[ADA].state is AgentState.READY
    assert bench.record(call_id).outcome is outcome
    bench.gone(call_id, bench.own(call_id), call_id)
    assert outbound.has_room(bench.board)


def test_given_up_while_it_rings(bench: Bench) -> None:
    call_id = bench.dial()
    bench.taken(call_id)
    agents.hang_up(bench.board, ADA, call_id)
    assert bench.drain() == [HangUp(channel=ChannelName(call_id))]
    bench.gone(call_id, FAR, "t1-9.9", asked=False)
    assert call_id in bench.board.calls
    bench.gone(call_id, bench.own(call_id), call_id, asked=False)
    record = bench.record(call_id)
    assert (record.outcome, record.hangup_by) == (Outcome.NO_ANSWER, HangupBy.AGENT)


def test_the_own_device_is_not_taken(bench: Bench) -> None:
    call_id = bench.dial()
    bench.signal(s.CustomerUnreached(at=bench.now, unique_id=call_id, status="NOANSWER"))
    assert bench.record(call_id).outcome is Outcome.FAILED
    assert bench.board.agents[ADA].state is AgentState.READY


def test_an_end_nobody_heard_of_is_an_end_all_the_same(bench: Bench) -> None:
    call_id = bench.dial()
    bench.pass_time(125)
    assert call_id in bench.board.closed
    assert bench.board.agents[ADA].state is AgentState.READY


def test_what_is_refused(bench: Bench) -> None:
    assert refusal(bench, number="+442079460958") == "not_allowed"
    assert refusal(bench, number="") == "not_allowed"
    assert refusal(bench, caller_id="+15550999999") == "caller_id_not_allowed"
    assert refusal(bench, colleague=ADA) == "unknown_colleague"
    assert refusal(bench, colleague=AgentId("4711")) == "unknown_colleague"
    assert refusal(bench, objects=True) == "do_not_call"
    bench.signal(s.DeviceReachable(at=bench.now, agent_id=ADA, device=Device.SIP, reachable=False, in_use=False))
    assert refusal(bench) == "device_away"
    bench.ready("1001")
    bench.dial(objects=True, override="asked by letter", caller_id="+15550105009", key="k")
    assert [fact.override for fact in bench.of(f.DialAsked)] == ["asked by letter"]  # type: ignore[attr-defined]
    assert refusal(bench) == "agent_in_call"
    assert bench.dial(key="k") in bench.board.calls, "the same request is the same call"
    assert len([c for c in bench.commands if isinstance(c, RingToDial)]) == 1
    with pytest.raises(Refused, match="lines are taken"):
        dialling.refuse_number(bench.board, NUMBER, bench.now, ADA, None)


def test_a_request_that_is_sent_again_after_a_restart_rings_nobody_twice(bench: Bench) -> None:
    call_id = bench.dial(key="row-17")
    after = Bench()
    after.board.recover(bench.facts, bench.now)
    after.drain()
    commands = len(after.commands)
    assert after.dial(key="row-17") == call_id
    assert len(after.commands) == commands
    with pytest.raises(Refused):  # another name is another request, and Ada is in this call
        after.dial(key="row-18")


def test_an_offered_agent_does_not_dial_and_a_dialling_one_is_not_offered(bench: Bench) -> None:
    waiting = bench.call()
    bench.queue(waiting)
    assert bench.live(waiting).state is CallState.OFFERED
    assert refusal(bench) == "agent_in_call"
    bench.not_answered(waiting)
    bench.hang_up_caller(waiting)
    bench.pass_time(12)
    call_id = bench.dial()
    other = bench.call()
    bench.queue(other)
    assert bench.live(other).state is CallState.WAITING
    bench.taken(call_id)
    bench.far(call_id, "failed", status="BUSY")
    bench.pass_time(1)
    assert bench.live(other).state is CallState.OFFERED


def test_the_keypad_asks_and_is_told_the_number(bench: Bench) -> None:
    call_id = CallId("t1-77.1")
    own = bench.own(call_id)
    assert dialling.keypad(bench.board, call_id, own, ADA, NUMBER, bench.now, objects=False) == (NUMBER, "+15550105001")
    bench.drain()
    assert bench.live(call_id).state is CallState.DIALLING
    with pytest.raises(Refused):
        dialling.keypad(bench.board, CallId("t1-78.1"), own, BO, "+4420794609", bench.now, objects=False)
    bench.far(call_id, "called")
    bench.meet(call_id)
    bench.pass_time(5)
    bench.gone(call_id, own, call_id)
    bench.gone(call_id, FAR, "t1-9.9", asked=False)
    record = bench.record(call_id)
    assert (record.outcome, record.hangup_by, record.talk_seconds) == (Outcome.ANSWERED, HangupBy.AGENT, 5)


def test_a_colleague_is_busy_with_the_one_who_calls(bench: Bench) -> None:
    bench.ready("1002")
    call_id = bench.dial(number="", colleague=BO)
    bench.taken(call_id)
    theirs = ChannelName("PJSIP/1002-0000bbbb")
    bench.signal(
        FarSide(at=bench.now, call_id=call_id, channel=theirs, event="called", unique_id="t1-8.8", agent_id=BO)
    )
    bench.signal(
        FarSide(at=bench.now, call_id=call_id, channel=theirs, event="ringing", unique_id="t1-8.8", agent_id=BO)
    )
    assert (bench.board.pops[BO].kind, bench.board.pops[BO].transferred_by) == ("internal", "Ada")
    bench.meet(call_id, theirs, BO)
    assert [bench.board.agents[one].state for one in (ADA, BO)] == [AgentState.TALKING] * 2
    assert not bench.board.engine.is_free(BO)
    bench.pass_time(7)
    bench.gone(call_id, theirs, "t1-8.8")
    bench.pass_time(1)
    assert [bench.board.agents[one].state for one in (ADA, BO)] == [AgentState.READY] * 2
    record = bench.record(call_id)
    assert (record.direction, record.agent, record.talk_seconds) == (Direction.INTERNAL, ADA, 7)
    assert outbound.in_use(bench.board) == 0


def test_a_telephone_calls_a_colleague_by_itself(bench: Bench) -> None:
    bench.ready("1002")
    call_id = CallId("t1-80.1")
    told = AgentCalls(at=bench.now, call_id=call_id, channel=bench.own(call_id), agent_id=ADA, colleague=BO)
    bench.signal(told)
    bench.signal(told)
    assert (bench.live(call_id).dialled_by, bench.live(call_id).colleague) == (ADA, BO)
    bench.far(call_id, "failed", status="CHANUNAVAIL")
    assert bench.record(call_id).outcome is Outcome.FAILED


class Desk(LineRequests):
    """The requests over a bench, with a customer file of two at one number."""

    def __init__(self, bench: Bench) -> None:
        self.board = bench.board
        self.bench = bench
        self._directory = self  # type: ignore[assignment]

    async def look_up(self, number: str | None) -> LookUp:
        cards = [
            CustomerCard(
                customer_id=CustomerId(number), name=name, tier="", language="en", phones=(), company="", notes="",
                do_not_call=objects,
            )
            for number, name, objects in ((7, "Zoë", True), (8, "Zeno", False))
        ]  # fmt: skip
        return LookUp(match=f.Match.SEVERAL, cards=tuple(cards) if number == NUMBER else ())

    async def _ask(self, action: Any, *, in_file: bool = False) -> Any:
        try:
            return action(self.bench.now)
        finally:
            self.bench.drain()

    def _put(self, action: Any) -> None:
        action()


@pytest.mark.parametrize(("customer_id", "refused"), [(7, True), (8, False), (None, True), (99, True)])
async def test_who_asked_not_to_be_called_is_found_by_id_or_number(
    bench: Bench, customer_id: int | None, refused: bool
) -> None:
    desk = Desk(bench)
    asked = Dialled(number=NUMBER, customer_id=CustomerId(customer_id) if customer_id is not None else None)
    if refused:
        with pytest.raises(Refused, match="asked not to be called"):
            await desk.keypad(CallId("t1-5.5"), "PJSIP/1001-0000cccc", ADA, NUMBER)
        with pytest.raises(Refused, match="asked not to be called"):
            await desk.dial(ADA, asked)
        asked = replace(asked, override="asked for it today")
    await desk.dial(ADA, asked)
    assert len(bench.of(f.DialAsked)) == 1
