"""How many of the trunk's lines are taken by calls that we began, and how many are left (`outbound.most_at_once`)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cti.acd.decisions import Offer
from cti.acd.inputs import CallerNotReady, OfferSettled
from cti.model.call import Call, CallState
from cti.model.facts import Device, OfferEnd

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard


def in_use(board: Switchboard) -> int:
    """Calls over the trunk now that we began: callers sent out, callbacks, agents at outside numbers.

    A callback that is offered to an agent has its line already: the customer is dialled from the agent's telephone.
    """
    callers = sum(_takes_one(call) for call in board.calls.values())
    agents = sum(
        agent.device is Device.EXTERNAL and (agent.offer_id is not None or agent.call_id is not None)
        for agent in board.agents.values()
    )
    return callers + agents


def _takes_one(call: Call) -> bool:
    return call.state is CallState.OUT or bool(call.leg_id) or (call.absent and call.offer_id is not None)


def room(board: Switchboard) -> int:
    """How many more calls may leave over the trunk now."""
    return max(0, board.centre.outbound.most_at_once - in_use(board))


def held_back(board: Switchboard, offer: Offer, now: datetime) -> bool:
    """Take an offer back, unseen, that needs a line when there is none; both sides wait until there is. Whether it was."""
    call = board.calls[offer.call_id]
    outside = board.agents[offer.agent_id].device is Device.EXTERNAL
    if not (call.absent or outside) or (not call.dialling and room(board) >= call.absent + outside):
        return False
    if call.absent:
        board.route(CallerNotReady(call_id=offer.call_id), now)
    else:
        take(board, now, taken=True)
    board.route(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.SUPERSEDED), now)
    return True


def take(board: Switchboard, now: datetime, *, taken: bool) -> None:
    """The last line is taken, or one is free again: agents at outside numbers follow."""
    if board.lines_taken is taken:
        return
    board.lines_taken = taken
    for agent_id, agent in board.agents.items():
        if agent.device is Device.EXTERNAL:
            board.sync_agent(agent_id, now)
