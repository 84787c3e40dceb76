"""What may leave over the trunk now: which numbers, and how many of its lines are left (`outbound.most_at_once`)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from cti.acd.decisions import Offer
from cti.acd.inputs import CallerNotReady, OfferSettled
from cti.model.call import Call, CallState
from cti.model.facts import Device, OfferEnd
from cti.model.supervision_legs import is_supervisor

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard


E164 = re.compile(r"\+[1-9][0-9]{5,14}")


def why_not(board: Switchboard, number: str | None) -> str:
    """Why this number can never be dialled as things are set; empty: it can.

    "no_trunk" (the trunk has no address), "no_number" (withheld), "not_allowed" (not on the centre's list).
    """
    if not board.can_dial_out:
        return "no_trunk"
    if not number:
        return "no_number"
    if E164.fullmatch(number) is None or not board.centre.outbound.may_dial(number):
        return "not_allowed"
    return ""


def in_use(board: Switchboard) -> int:
    """Calls over the trunk now that we began: callers sent out, callbacks, agents at outside numbers.

    A callback that is offered to an agent has its line already: the customer is dialled from the agent's telephone.
    """
    callers = sum(_takes_one(call) + _third_parties(call) for call in board.calls.values())
    agents = sum(
        agent.device is Device.EXTERNAL and (agent.offer_id is not None or agent.call_id is not None)
        for agent in board.agents.values()
    )
    return callers + agents


def _third_parties(call: Call) -> int:
    """Numbers that agents have called into the talk, or are calling."""
    asked = call.consult is not None and call.consult.consulted is None
    return sum(not is_supervisor(party) for party in call.outsiders) + asked


def _takes_one(call: Call) -> bool:
    if call.dialled_by is not None:
        return call.colleague is None
    return call.state is CallState.OUT or bool(call.leg_id) or (call.absent and call.offer_id is not None)


def room(board: Switchboard) -> int:
    """How many more calls may leave over the trunk now."""
    return max(0, board.centre.outbound.most_at_once - in_use(board))


def caller_id(board: Switchboard) -> str:
    """The number that is shown to whom we call: the configured one, else the first of the centre's that is E.164."""
    outbound = board.centre.outbound
    if outbound.caller_id:
        return outbound.caller_id
    return next((did for did in board.centre.numbers if E164.fullmatch(did)), "")


def held_back(board: Switchboard, offer: Offer, now: datetime) -> bool:
    """Take an offer back, unseen, that needs a line when there is none; both sides wait until there is. Whether it was."""
    call = board.calls[offer.call_id]
    outside = board.agents[offer.agent_id].device is Device.EXTERNAL
    if not (call.absent or outside):
        return False
    # What may be dialled may have changed since the callback was let go; an attempt may be under way still.
    never = call.absent and (call.dialling or bool(why_not(board, call.caller_number)))
    if not never and room(board) >= call.absent + outside:
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
