"""An agent says who the caller is: chosen among several, or found, or just made, while the call or its work lasts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cti.ids import AgentId, CallId
from cti.model.facts import CustomerMatched, Match
from cti.services.floor import Refused
from cti.services.ports import CustomerCard, LookUp
from cti.services.screen_pops import show_card

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard


def choose_customer(board: Switchboard, agent_id: AgentId, call_id: CallId, card: CustomerCard, now: datetime) -> None:
    """From now on this call is with this customer: in its record, in the pop, and for whoever gets the call next.

    Raises `Refused` unless the agent is offered the call, talks in it, or does the work after it. Again: no change.
    """
    agent = board.agents.get(agent_id)
    pop = board.pops.get(agent_id)
    if agent is None or call_id not in (agent.call_id, agent.wrap_call, pop.call_id if pop is not None else None):
        raise Refused(
            "not_your_call", "the agent has nothing to do with that call", remedy="reload: the call may be over"
        )
    call = board.calls.get(call_id)
    if call is not None and call.match is Match.FOUND and call.customer_id == card.customer_id:
        return
    board.record(
        CustomerMatched(
            at=now, call_id=call_id, match=Match.FOUND, customer_id=card.customer_id, tier=card.tier, by=agent_id
        )
    )
    if call is not None:
        show_card(board, call_id, LookUp(match=Match.FOUND, cards=(card,)))
