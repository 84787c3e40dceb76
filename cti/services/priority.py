"""What a supervisor may change for a caller who waits: the priority, and the queue. Every change is a fact that names them."""

from __future__ import annotations

from datetime import datetime, timedelta

from cti.acd.inputs import CallerReprioritised
from cti.ids import CallId, QueueName
from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.centre import STRICT_MOST
from cti.services.floor import Refused, Standing
from cti.services.switchboard import Switchboard
from cti.services.terms import move

AHEAD = timedelta(seconds=1)
"""By how much who is put to the front is before who was first."""


def change_priority(
    board: Switchboard,
    call_id: CallId,
    now: datetime,
    *,
    by: str,
    reason: str,
    head_start: timedelta | None = None,
    strict: int | None = None,
    front: bool = False,
) -> Standing:
    """Give a waiting call another priority; what is None stays. `front` puts it before everybody else of its queue.

    (Whoever has reached the queue's ceiling is served first all the same.) Raises `Refused`.
    """
    call = _waiting(board, call_id)
    if strict is not None and not 0 <= strict <= STRICT_MOST:
        raise Refused("invalid_strict", f"a class of strict priority is 0 to {STRICT_MOST}", remedy="send one of these")
    wanted = timedelta(seconds=call.head_start) if head_start is None else head_start
    strictly = call.strict if strict is None else strict
    if front:
        wanted, strictly = _front(board, call, now, wanted, strictly)
    before = (call.head_start, call.strict)
    if (wanted.total_seconds(), strictly) != before:
        board.record(
            f.PriorityChanged(
                at=now,
                call_id=call_id,
                head_start=wanted.total_seconds(),
                strict=strictly,
                by=by,
                reason=reason,
                before=before,
            )
        )
        board.route(CallerReprioritised(call_id=call_id, head_start=wanted, strict=strictly), now)
    return _standing(board, call_id)


def change_queue(
    board: Switchboard, call_id: CallId, queue: QueueName, now: datetime, *, by: str, reason: str
) -> Standing:
    """Move a waiting call to another queue; the time it has waited counts there. Raises `Refused`."""
    call = _waiting(board, call_id)
    if queue not in board.centre.queues:
        raise Refused(
            "unknown_queue",
            f"there is no queue {queue}",
            remedy=f"use one of {', '.join(sorted(board.centre.queues))}",
        )
    if queue != call.queue:
        move(board, call, queue, now, by=by, reason=reason)
    return _standing(board, call_id)


def _waiting(board: Switchboard, call_id: CallId) -> Call:
    call = board.calls.get(call_id)
    if call is None:
        raise Refused("unknown_call", f"call {call_id} is not live", remedy="nothing to do: it is over")
    if call.state is CallState.OFFERED:
        raise Refused(
            "under_offer",
            "the call is being offered to an agent at this moment",
            remedy="try again if the agent does not answer: the call waits again then",
        )
    if call.state is not CallState.WAITING or board.engine.ticket(call_id) is None:
        raise Refused(
            "not_waiting",
            f"the call does not wait in a queue: it is {call.state.value}",
            remedy="only who waits has a place that can be changed",
        )
    return call


def _front(board: Switchboard, call: Call, now: datetime, head_start: timedelta, strict: int) -> tuple[timedelta, int]:
    """The least priority that is before every other call of the same queue."""
    waited = now - (call.queued_at or now)
    others = (
        [t for t in board.engine.waiting(call.queue) if t.call_id != call.call_id] if call.queue is not None else []
    )
    if not others:
        return head_start, strict
    highest = max(ticket.strict for ticket in others)
    if strict > highest:
        return head_start, strict
    ahead = max(ticket.score(now) for ticket in others if ticket.strict == highest)
    needed = timedelta(seconds=ahead) - waited + AHEAD
    return (max(head_start, needed) if strict == highest else needed), highest


def _standing(board: Switchboard, call_id: CallId) -> Standing:
    call = board.calls[call_id]
    if call.queue is None:
        raise AssertionError("a waiting call is in a queue")
    line = [ticket.call_id for ticket in board.engine.waiting(call.queue)]
    return Standing(
        call_id=call_id,
        queue=call.queue,
        head_start=call.head_start,
        strict=call.strict,
        place=line.index(call_id) + 1 if call_id in line else None,
    )
