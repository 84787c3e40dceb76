"""What a flow asks of the floor while a caller is in the menus."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cti.acd.gates import written
from cti.errors import CtiError
from cti.ids import CallId, ChannelName, FlowName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call, CallState
from cti.model.centre import Target, TargetKind
from cti.model.requirement import ANYBODY, Requirement
from cti.services import callbacks, departures, errands, flow_returns, outbound
from cti.services.call_control import start_call
from cti.services.ports import FlowCall
from cti.services.switchboard import Switchboard
from cti.services.terms import ticket_fact


class CallOver(CtiError):
    """The call a flow session speaks of is not live (any more)."""

    error_id = "call_over"


_RETURNED = {"BUSY": "busy", "NOANSWER": "no_answer"}
"""What Dial says of a number where nobody answered; the rest is a failure."""


def _live(board: Switchboard, call_id: CallId) -> Call:
    call = board.calls.get(call_id)
    if call is None:
        raise CallOver(f"call {call_id} is not live", call_id=call_id)
    return call


def caller_arrived(
    board: Switchboard,
    call_id: CallId,
    now: datetime,
    *,
    channel: str,
    number: str | None,
    did: str,
    returned: str = "",
) -> FlowCall:
    """A channel reached the inbound AGI, for the first time or again after a bridge was away, or after a number was dialled."""
    entered = s.CallerEntered(at=now, call_id=call_id, channel=ChannelName(channel), caller_number=number, did=did)
    call = start_call(board, entered, now)
    if call is None:
        raise CallOver(f"call {call_id} has ended", call_id=call_id)
    status = ""
    if call.state is CallState.OUT and returned:
        status = _RETURNED.get(returned, "failure")
        board.record(f.TransferFailed(at=now, call_id=call_id, status=status))
        call = board.calls[call_id]
    number_config = board.centre.numbers.get(did)
    flow = call.flow or (number_config.flow if number_config else FlowName("main"))
    target = errands.destination(call)
    if call.state in (CallState.MENU, CallState.SURVIVAL):
        if target is not None and target.kind is TargetKind.FLOW:
            flow = FlowName(target.name)
            step, status = flow_returns.came_back(board, call)
            departures.enter_flow(board, call_id, flow, now, step=step)
        elif target is None:
            departures.enter_flow(board, call_id, flow, now, step=call.next_step or "")
    call = board.calls[call_id]
    return FlowCall(
        call_id=call_id,
        caller_number=call.caller_number,
        did=call.did,
        language=call.language,
        flow=call.flow or flow,
        edition=call.edition,
        draft=call.draft,
        resume_at=call.next_step,
        finished=call.state is not CallState.MENU or bool(call.destination),
        returned=status,
    )


def choose_language(board: Switchboard, call_id: CallId, language: str, now: datetime) -> None:
    """The caller chose a language."""
    if _live(board, call_id).language != language:
        board.record(f.LanguageChosen(at=now, call_id=call_id, language=language))


def step_done(board: Switchboard, fact: f.FlowStepDone) -> None:
    """One step of the flow is complete. The last one of a caller who hung up may come after the call's end was seen."""
    if fact.call_id not in board.calls and fact.call_id in board.closed:
        board.record(fact)
        return
    call = _live(board, fact.call_id)
    if call.state in (CallState.MENU, CallState.WAITING, CallState.OFFERED, CallState.OUT):
        board.record(fact)


def keep(board: Switchboard, fact: f.MessageRecorded | f.SurveyAnswered | f.DataAttached) -> None:
    """What the caller said or answered is kept, whether or not the call's end was seen first."""
    if fact.call_id in board.calls or fact.call_id in board.closed:
        board.record(fact)


def send_to(board: Switchboard, call_id: CallId, target: Target, now: datetime, *, step: str = "") -> bool:
    """Send a call in the menus to voicemail or an outside number; the session brings it there. False: it cannot be."""
    call = _live(board, call_id)
    if call.state is not CallState.MENU or call.destination:
        return bool(call.destination)
    out = target.kind is TargetKind.NUMBER
    if out and (outbound.why_not(board, target.name) or not outbound.has_room(board)):
        return False
    if out and outbound.beyond(board, [(target.name, outbound.whose(call.queue))], now) is not None:
        return False
    board.record(f.CallDequeued(at=now, call_id=call_id, reason="flow", to=written(target)))
    if out:
        board.record(f.CallSentOut(at=now, call_id=call_id, number=target.name, step=step))
    return True


def ask_callback(board: Switchboard, call_id: CallId, queue: QueueName, number: str | None, now: datetime) -> bool:
    """Promise a call in the menus a callback; it stays where it is. False: it cannot be, or the queue is no more."""
    call = _live(board, call_id)
    if call.state is not CallState.MENU or call.destination or queue not in board.centre.queues:
        return False
    callback = callbacks.ask_callback(
        board,
        call,
        number or call.caller_number,
        now,
        confirmed=True,
        ticket=ticket_fact(board, call, queue, now),
        in_session=True,
    )
    return callback is not None


def flow_finished(board: Switchboard, call_id: CallId, now: datetime) -> None:
    """The flow came to its own end."""
    call = _live(board, call_id)
    if call.state is CallState.MENU and not call.flow_finished:
        board.record(f.FlowFinished(at=now, call_id=call_id))


def enqueue(
    board: Switchboard,
    call_id: CallId,
    queue: QueueName,
    now: datetime,
    *,
    skills: Sequence[tuple[str, int]],
    head_start_of_flow: timedelta,
    requires: Requirement = ANYBODY,
) -> Target | None:
    """Give the call a ticket; a call that has one keeps it. None: it waits, else where it goes instead."""
    call = _live(board, call_id)
    if call.state is not CallState.MENU or call.destination:
        return errands.destination(call)
    if call.callback is not None:
        # One place in the line is enough: who was promised a callback is told so once more.
        board.record(
            f.CallDequeued(at=now, call_id=call_id, queue=queue, reason="callback", to=TargetKind.CALLBACK.value)
        )
        return Target(kind=TargetKind.CALLBACK)

    def ticket_of(name: QueueName, by: str) -> f.CallQueued:
        return ticket_fact(
            board, call, name, now, skills=skills, requires=requires, head_start_of_flow=head_start_of_flow, by=by
        )

    return departures.join(board, call, ticket_of, queue)
