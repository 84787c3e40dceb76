"""Pick-up: an agent takes a certain caller who waits, or rings elsewhere, before everybody else."""

from __future__ import annotations

from datetime import datetime, timedelta

from cti.acd.inputs import CallerMoved
from cti.ids import AgentId, CallId
from cti.model import facts as f
from cti.model.call import CallState
from cti.model.commands import ReturnToWait
from cti.model.facts import OfferEnd
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from cti.services.talks import addressed
from cti.services.terms import ticket_fact

KEPT = timedelta(seconds=20)
"""How long the caller is kept for the agent who asked; the phone rings at once."""


def pick_up(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime) -> None:
    """Keep the caller for this agent, at once. Raises `Refused`."""
    if agent_id not in board.agents:
        raise Refused("unknown_agent", f"there is no agent {agent_id}", remedy="use an extension of centre.yaml")
    call = board.calls.get(call_id)
    if call is None or call.queue is None or call.state not in (CallState.WAITING, CallState.OFFERED) or call.absent:
        raise Refused("not_waiting", "that caller does not wait (any more)", remedy="choose another caller")
    if not board.engine.is_free(agent_id):
        raise Refused("not_free", "only who is ready and free can take a caller", remedy="become ready first")
    if call.state is CallState.OFFERED:
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=now, deliverable=False)
        board.out.commands.append(ReturnToWait(call_id=call_id, channel=call.channel))
        call = board.calls[call_id]
    board.record(f.CallPickedUp(at=now, call_id=call_id, agent_id=agent_id))
    queue = call.queue
    if queue is None:
        raise AssertionError("a waiting call is in a queue")
    board.record(addressed(ticket_fact(board, call, queue, now, by=agent_id), agent_id, KEPT))
    call = board.calls[call_id]
    board.route(
        CallerMoved(
            call_id=call_id,
            queue=queue,
            head_start=timedelta(seconds=call.head_start),
            strict=call.strict,
            skills=call.skills,
            requires=call.requires,
            preferred=call.preferred,
            hold_until=call.hold_until,
            addressed=True,
        ),
        now,
    )
