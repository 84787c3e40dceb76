"""The way back into the flow for a caller whom it sent to an agent who did not take the call (`flow_transfers`)."""

from __future__ import annotations

from datetime import datetime

from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.centre import TargetKind
from cti.services import errands
from cti.services.switchboard import Switchboard


def go_back(board: Switchboard, call: Call, now: datetime, reason: str) -> bool:
    """Bring a caller whom a flow sent to an agent back to that flow: the agent did not take the call. False: it was no flow.

    `reason` is how the offer ended, or "late".
    """
    if not call.sent_from or call.flow is None or call.state is not CallState.WAITING:
        return False
    to = f"{TargetKind.FLOW.value}:{call.flow}"
    status = "busy" if reason in (f.OfferEnd.REJECTED.value, "busy") else "no_answer"
    board.record(f.CallDequeued(at=now, call_id=call.call_id, queue=call.queue, reason=status, to=to))
    board.leave_queue(call.call_id, now)
    errands.send(board, board.calls[call.call_id])
    return True


def came_back(board: Switchboard, call: Call) -> tuple[str, str]:
    """The step a call comes back to from an agent who did not take it, and why ("busy", "no_answer"); empty: it does not."""
    left = [fact for fact in board.history.get(call.call_id, ()) if isinstance(fact, f.CallDequeued)]
    if not call.sent_from or not left or left[-1].reason not in ("busy", "no_answer"):
        return "", ""
    return call.sent_from, left[-1].reason
