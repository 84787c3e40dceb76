"""What a flow asks of the floor while a caller is in the menus."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cti.errors import CtiError
from cti.ids import CallId, ChannelName, FlowName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call, CallState
from cti.model.centre import Target, TargetKind
from cti.model.requirement import ANYBODY, Requirement
from cti.services import departures, errands
from cti.services.call_control import start_call
from cti.services.ports import FlowCall
from cti.services.switchboard import Switchboard
from cti.services.terms import ticket_fact


class CallOver(CtiError):
    """The call a flow session speaks of is not live (any more)."""

    error_id = "call_over"


def _live(board: Switchboard, call_id: CallId) -> Call:
    call = board.calls.get(call_id)
    if call is None:
        raise CallOver(f"call {call_id} is not live", call_id=call_id)
    return call


def caller_arrived(
    board: Switchboard, call_id: CallId, now: datetime, *, channel: str, number: str | None, did: str
) -> FlowCall:
    """A channel reached the inbound AGI, for the first time or again after a bridge was away."""
    entered = s.CallerEntered(at=now, call_id=call_id, channel=ChannelName(channel), caller_number=number, did=did)
    call = start_call(board, entered, now)
    if call is None:
        raise CallOver(f"call {call_id} has ended", call_id=call_id)
    number_config = board.centre.numbers.get(did)
    flow = call.flow or (number_config.flow if number_config else FlowName("main"))
    target = errands.destination(call)
    if call.state in (CallState.MENU, CallState.SURVIVAL):
        if target is not None and target.kind is TargetKind.FLOW:
            flow = FlowName(target.name)
            departures.enter_flow(board, call_id, flow, now)
        elif target is None:
            departures.enter_flow(board, call_id, flow, now, step=call.next_step or "")
    call = board.calls[call_id]
    return FlowCall(
        call_id=call_id,
        caller_number=call.caller_number,
        did=call.did,
        language=call.language,
        flow=flow,
        resume_at=call.next_step,
        finished=call.state is not CallState.MENU or bool(call.destination),
    )


def choose_language(board: Switchboard, call_id: CallId, language: str, now: datetime) -> None:
    """The caller chose a language."""
    if _live(board, call_id).language != language:
        board.record(f.LanguageChosen(at=now, call_id=call_id, language=language))


def step_done(board: Switchboard, fact: f.FlowStepDone) -> None:
    """One step of the flow is complete."""
    call = _live(board, fact.call_id)
    if call.state in (CallState.MENU, CallState.WAITING, CallState.OFFERED):
        board.record(fact)


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

    def ticket_of(name: QueueName, by: str) -> f.CallQueued:
        return ticket_fact(
            board, call, name, now, skills=skills, requires=requires, head_start_of_flow=head_start_of_flow, by=by
        )

    return departures.join(board, call, ticket_of, queue)
