"""What flows ask of the floor besides a place in a queue: voicemail, numbers outside, callbacks, what was said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cti.errors import IllegalTransition
from cti.ids import CallId, FlowName, QueueName
from cti.model import facts as f
from cti.model.call import CallState
from cti.model.centre import VOICEMAIL, Target, TargetKind
from cti.model.facts import Outcome
from cti.reports.call_record import fold
from cti.services import desk, errands, outbound
from tests.support.floor_rig import FloorRig

TEXT = """
name: Test centre
numbers:
  "5000": {flow: main, survival_queue: support}
outbound: {allow: ["+1555"], most_at_once: 1}
queues:
  support: {titles: {en: Support}}
agents:
  "1001": {name: Ada, queues: [support]}
"""
OUTSIDE = Target(kind=TargetKind.NUMBER, name="+15550100042")


def rig(*, dials: bool = True) -> FloorRig:
    floor = FloorRig(TEXT)
    floor.board.can_dial_out = dials
    return floor


def told(floor: FloorRig, call_id: CallId) -> list[str]:
    """What became of the call, without its beginning."""
    kinds = [type(fact).__name__ for fact in floor.facts if isinstance(fact, f.CallFact) and fact.call_id == call_id]
    return [kind for kind in kinds if kind not in ("CallStarted", "CustomerMatched", "FlowEntered")]


def step(floor: FloorRig, call_id: CallId, name: str, result: str, following: str | None) -> None:
    fact = f.FlowStepDone(
        at=floor.now, call_id=call_id, flow=FlowName("main"), step=name, verb="say", result=result, next_step=following
    )
    desk.step_done(floor.board, fact)
    floor.drain()


def back(floor: FloorRig, call_id: CallId, returned: str) -> desk.FlowCall:
    answer = desk.caller_arrived(
        floor.board, call_id, floor.now, channel=floor.channel(call_id), number=None, did="5000", returned=returned
    )
    floor.drain()
    return answer


def outcome(floor: FloorRig, call_id: CallId) -> Outcome | None:
    floor.now += timedelta(seconds=5)
    floor.hang_up_caller(call_id)
    return fold(fact for fact in floor.facts if isinstance(fact, f.CallFact) and fact.call_id == call_id).outcome


def test_a_flow_sends_to_voicemail() -> None:
    floor = rig(dials=False)
    call_id = floor.call()
    assert desk.send_to(floor.board, call_id, VOICEMAIL, floor.now)
    floor.drain()
    assert errands.destination(floor.live(call_id)) == VOICEMAIL
    assert told(floor, call_id) == ["CallDequeued"]
    # A session that comes again is sent there, not through the flow.
    assert back(floor, call_id, "").finished


@pytest.mark.parametrize(("said", "status"), [("BUSY", "busy"), ("NOANSWER", "no_answer"), ("CONGESTION", "failure")])
def test_a_caller_is_back_in_the_flow_where_nobody_answers(said: str, status: str) -> None:
    floor = rig()
    call_id = floor.call()
    step(floor, call_id, "hello", "done", "far")
    assert desk.send_to(floor.board, call_id, OUTSIDE, floor.now, step="far")
    step(floor, call_id, "far", "sent", None)
    assert (floor.live(call_id).state, outbound.in_use(floor.board)) == (CallState.OUT, 1)
    call = back(floor, call_id, said)
    assert (call.resume_at, call.returned, call.finished) == ("far", status, False)
    assert (floor.live(call_id).state, outbound.in_use(floor.board)) == (CallState.MENU, 0)
    assert errands.destination(floor.live(call_id)) is None
    # A second session tells nothing new, and the rest of the flow counts as if the number had never been dialled.
    assert back(floor, call_id, said).returned == ""
    desk.flow_finished(floor.board, call_id, floor.now)
    floor.drain()
    assert outcome(floor, call_id) is Outcome.SELF_SERVED


def test_who_was_answered_is_an_overflow() -> None:
    floor = rig()
    call_id = floor.call()
    desk.send_to(floor.board, call_id, OUTSIDE, floor.now, step="far")
    floor.drain()
    assert back(floor, call_id, "").finished
    assert outcome(floor, call_id) is Outcome.OVERFLOW


def test_what_cannot_be_dialled_changes_nothing() -> None:
    for floor, target in (
        (rig(dials=False), OUTSIDE),
        (rig(), Target(kind=TargetKind.NUMBER, name="+4930123456")),
    ):
        call_id = floor.call()
        assert not desk.send_to(floor.board, call_id, target, floor.now, step="far")
        floor.drain()
        assert told(floor, call_id) == []
    full = rig()
    first, second = full.call(), full.call(number="+15550100003")
    assert desk.send_to(full.board, first, OUTSIDE, full.now)
    assert not desk.send_to(full.board, second, OUTSIDE, full.now)
    full.drain()


def test_a_callback_is_promised_while_the_caller_goes_on_in_the_flow() -> None:
    floor = rig()
    call_id = floor.call(number="+15550100042")
    assert desk.ask_callback(floor.board, call_id, QueueName("support"), None, floor.now)
    assert desk.ask_callback(floor.board, call_id, QueueName("support"), None, floor.now)
    floor.drain()
    (asked,) = floor.of(f.CallbackAsked)
    assert isinstance(asked, f.CallbackAsked)
    assert (asked.number, asked.confirmed) == ("+15550100042", True)
    assert floor.live(call_id).state is CallState.MENU
    assert floor.live(asked.callback_id).queue == "support"
    desk.flow_finished(floor.board, call_id, floor.now)
    floor.drain()
    assert outcome(floor, call_id) is Outcome.CALLBACK


def test_a_number_that_cannot_be_called_is_no_promise() -> None:
    floor = rig()
    call_id = floor.call(number=None)
    for number in (None, "+4930123456", "12"):
        assert not desk.ask_callback(floor.board, call_id, QueueName("support"), number, floor.now)
    assert not desk.ask_callback(floor.board, call_id, QueueName("nobody"), "+15550100042", floor.now)
    assert desk.ask_callback(floor.board, call_id, QueueName("support"), "+15550100077", floor.now)
    floor.drain()
    assert len(floor.of(f.CallbackAsked)) == 1


def test_who_was_promised_a_callback_gets_no_second_place() -> None:
    floor = rig()
    call_id = floor.call(number="+15550100042")
    desk.ask_callback(floor.board, call_id, QueueName("support"), None, floor.now)
    target = desk.enqueue(
        floor.board, call_id, QueueName("support"), floor.now, skills=(), head_start_of_flow=timedelta()
    )
    floor.drain()
    assert target == Target(kind=TargetKind.CALLBACK) == errands.destination(floor.live(call_id))
    assert len(floor.of(f.CallQueued)) == 1


def test_what_was_said_is_kept_even_when_the_end_was_seen_first() -> None:
    floor = rig()
    call_id = floor.call()
    message = f.MessageRecorded(
        at=floor.now, call_id=call_id, kind="message", path="x.wav", flow=FlowName("main"), step="tell", seconds=9.0
    )
    score = f.SurveyAnswered(
        at=floor.now, call_id=call_id, flow=FlowName("main"), step="rate", question="friendly", score=5
    )
    desk.keep(floor.board, score)
    floor.hang_up_caller(call_id)
    desk.keep(floor.board, message)
    floor.drain()
    assert told(floor, call_id) == ["SurveyAnswered", "CallEnded", "MessageRecorded"]
    assert fold(fact for fact in floor.facts if isinstance(fact, f.CallFact)).outcome is Outcome.VOICEMAIL
    with pytest.raises(IllegalTransition):
        floor.board.record(f.FlowFinished(at=floor.now, call_id=call_id))
    # Of a call nobody knows, nothing is kept.
    desk.keep(floor.board, replace(message, call_id=CallId("t1-9.9")))
    assert floor.drain() == []
    assert len(floor.of(f.MessageRecorded)) == 1


def test_the_step_a_caller_hung_up_in_is_known_though_the_end_was_seen_first() -> None:
    floor = rig()
    call_id = floor.call()
    step(floor, call_id, "a", "done", "b")
    floor.hang_up_caller(call_id)
    step(floor, call_id, "b", "gone", "b")
    assert [fact.result for fact in floor.of(f.FlowStepDone)] == ["done", "gone"]
    assert told(floor, call_id) == ["FlowStepDone", "CallEnded", "FlowStepDone"]
    assert call_id not in floor.board.calls


def test_within_a_sub_flow_the_call_resumes_at_the_step_that_called_it() -> None:
    floor = rig()
    call_id = floor.call()
    fact = f.FlowStepDone(
        at=floor.now, call_id=call_id, flow=FlowName("identify"), step="ask", verb="collect", result="collected",
        next_step="check", resume_at="who",
    )  # fmt: skip
    desk.step_done(floor.board, fact)
    floor.drain()
    call = back(floor, call_id, "")
    assert (call.flow, call.resume_at) == ("main", "who")
