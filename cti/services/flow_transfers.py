"""Flows that send their caller to one agent: a ticket that only that agent may have, and the way back into the flow.

Who is not there or talks is told at once, and the caller never leaves the flow. Otherwise the caller waits for that agent
alone, as one whom a colleague has sent (`transfers`); what the agent refuses, misses or is not free for brings the caller back
to the step it was sent from (`flow_returns`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from cti.ids import AgentId, CallId
from cti.model.call import Call, CallState
from cti.services.desk import CallOver
from cti.services.destinations import why_not_now
from cti.services.ports import AgentAsked
from cti.services.switchboard import Switchboard
from cti.services.talks import addressed
from cti.services.terms import ticket_fact
from cti.services.transfers import KEPT, MARGIN, why_not_waited_for

OWN = "own"
"""The agent who looks after the customer that was found."""
_BUSY = frozenset({"busy", "wrap_up"})


def send_to_agent(board: Switchboard, call_id: CallId, name: str, now: datetime, *, step: str) -> AgentAsked:
    """Give a call in the menus a ticket for this agent alone. Nothing changed unless "sent". Raises `CallOver`.

    "unknown": there is no such agent, or the customer has none of their own. `step` is where the call comes back to.
    """
    call = board.calls.get(call_id)
    if call is None:
        raise CallOver(f"call {call_id} is not live", call_id=call_id)
    if call.state is not CallState.MENU or call.destination:
        return "sent"
    agent_id = _own(board, call) if name == OWN else AgentId(name)
    config = board.centre.agents.get(agent_id) if agent_id is not None else None
    if agent_id is None or config is None or agent_id not in board.agents:
        return "unknown"
    if why_not_now(board, agent_id) in _BUSY:
        return "busy"
    queue = next((queue for queue in config.queues if queue in board.centre.queues), None)
    if why_not_waited_for(board, agent_id) or queue is None:
        return "no_answer"
    ticket = addressed(ticket_fact(board, call, queue, now), agent_id, KEPT + MARGIN)
    board.record(replace(ticket, back_to=step))
    # Not deliverable yet: the flow's session still has variables to set. The wait context says when the caller is there.
    board.join_queue(board.calls[call_id], now, deliverable=False)
    return "sent"


def _own(board: Switchboard, call: Call) -> AgentId | None:
    known = board.cards.get(call.call_id)
    cards = known.cards if known is not None else ()
    return AgentId(cards[0].own_agent) if len(cards) == 1 and cards[0].own_agent else None
