"""What an agent sees of the caller who is offered to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from cti.acd.decisions import Offer
from cti.acd.ranking import LEASE_MARGIN
from cti.ids import AgentId, CallId
from cti.model.call import Call
from cti.model.facts import CustomerMatched, Match, OfferMade
from cti.services.floor import Pop
from cti.services.ports import LookUp

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard


def pop_of(board: Switchboard, call: Call, offer: Offer | OfferMade, agent_id: AgentId, now: datetime) -> Pop:
    """The screen pop of an offer, with what is known of the customer so far."""
    queue = board.centre.queues[offer.queue]
    known = board.cards.get(call.call_id)
    return Pop(
        offer_id=offer.offer_id,
        call_id=call.call_id,
        agent_id=agent_id,
        queue=offer.queue,
        queue_title=queue.titles,
        number=call.caller_number,
        match=known.match.value if known is not None else "looking_up",
        customers=known.cards if known is not None else (),
        tier=call.tier,
        language=call.language,
        choice=" > ".join(call.choices),
        queued_at=call.queued_at or now,
        offered_at=now,
        # The lease waits longer than the phone rings; a person wants to know the latter.
        deadline=offer.deadline - LEASE_MARGIN,
        dispositions=queue.dispositions,
        callback=call.parent is not None,
    )


def know_customer(board: Switchboard, call_id: CallId, answer: LookUp, now: datetime) -> None:
    """See `Switchboard.know_customer`."""
    call = board.calls.get(call_id)
    if call is None:
        return
    board.cards[call_id] = answer
    only = answer.cards[0] if answer.match is Match.FOUND and answer.cards else None
    if call.match is None:
        board.record(
            CustomerMatched(
                at=now,
                call_id=call_id,
                match=answer.match,
                customer_id=only.customer_id if only else None,
                tier=only.tier if only else "",
                candidates=tuple(card.customer_id for card in answer.cards),
            )
        )
    for agent_id, pop in board.pops.items():
        if pop.call_id == call_id:
            board.pops[agent_id] = replace(
                pop, match=answer.match.value, customers=answer.cards, tier=board.calls[call_id].tier
            )
            board.dirty_pops.add(agent_id)
    board.dirty_calls.add(call_id)
