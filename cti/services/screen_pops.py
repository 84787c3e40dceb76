"""What an agent sees of the caller who is offered to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict

from cti.acd.decisions import Offer
from cti.acd.ranking import LEASE_MARGIN
from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model.call import Call
from cti.model.facts import CustomerMatched, Match, OfferMade
from cti.model.outside_crm import Opens, page_address
from cti.services.floor import Pop
from cti.services.ports import CustomerCard, LookUp

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
        data=call.data,
        queued_at=call.queued_at or now,
        offered_at=now,
        # The lease waits longer than the phone rings; a person wants to know the latter.
        deadline=offer.deadline - LEASE_MARGIN,
        dispositions=queue.dispositions,
        callback=call.parent is not None,
        **_sent(board, call, agent_id),
        **_opens(board, call, queue.name, agent_id, known.cards if known is not None else ()),
    )


class _Sent(TypedDict):
    transferred_from: AgentId | None
    transferred_by: str
    note: str
    returned: str


def _sent(board: Switchboard, call: Call, agent_id: AgentId) -> _Sent:
    """Who sent the caller, and what they wrote; back at the sender, why nobody else has the caller."""
    sent = call.transfer
    if sent is None:
        return _Sent(transferred_from=None, transferred_by="", note="", returned="")
    config = board.centre.agents.get(sent.by)
    name = config.name if config is not None else sent.by
    return _Sent(transferred_from=sent.by, transferred_by=name, note=sent.note, returned=sent.returned)


def pop_of_consult(board: Switchboard, call: Call, by: AgentId, agent_id: AgentId, now: datetime) -> Pop:
    """What an agent sees whom a colleague asks about a caller."""
    queue = board.centre.queues.get(call.queue) if call.queue is not None else None
    known = board.cards.get(call.call_id)
    asker = board.centre.agents.get(by)
    consult = call.consult
    return Pop(
        offer_id=OfferId(0),
        call_id=call.call_id,
        agent_id=agent_id,
        queue=queue.name if queue is not None else QueueName(""),
        queue_title=queue.titles if queue is not None else {},
        number=call.caller_number,
        match=known.match.value if known is not None else "looking_up",
        customers=known.cards if known is not None else (),
        tier=call.tier,
        language=call.language,
        choice=" > ".join(call.choices),
        data=call.data,
        queued_at=call.queued_at or call.started_at,
        offered_at=now,
        deadline=consult.deadline if consult is not None else now,
        dispositions=queue.dispositions if queue is not None else (),
        callback=call.parent is not None,
        kind="consult",
        transferred_from=by,
        transferred_by=asker.name if asker is not None else by,
        **_opens(
            board, call, queue.name if queue is not None else "", agent_id, known.cards if known is not None else ()
        ),
    )


class _Opens(TypedDict):
    open_url: str
    open_automatically: bool


def _opens(board: Switchboard, call: Call, queue: str, agent_id: AgentId, cards: tuple[CustomerCard, ...]) -> _Opens:
    """The caller's page in the outside customer system: what that system said itself, else the centre's template."""
    crm = board.centre.crm
    only = cards[0] if len(cards) == 1 else None
    url = only.url if only is not None else ""
    if not url and crm.open_url:
        url = page_address(
            crm.open_url,
            {
                "number": call.caller_number or "",
                "call": call.call_id,
                "queue": queue,
                "reference": only.reference if only is not None else "",
                "agent": agent_id,
            },
        )
    return _Opens(open_url=url, open_automatically=bool(url) and crm.open is Opens.AUTOMATIC)


def handed_over(board: Switchboard, call_id: CallId, agent_id: AgentId) -> None:
    """Who was asked has the caller now: the pop tells what the colleague wrote."""
    pop, call = board.pops.get(agent_id), board.calls.get(call_id)
    if pop is not None and call is not None and pop.call_id == call_id:
        board.pops[agent_id] = replace(pop, **_sent(board, call, agent_id))
        board.dirty_pops.add(agent_id)


def know_customer(board: Switchboard, call_id: CallId, answer: LookUp, now: datetime) -> None:
    """See `Switchboard.know_customer`."""
    call = board.calls.get(call_id)
    if call is None:
        return
    shown = board.cards.get(call_id)
    if shown is not None and (answer.match is Match.UNAVAILABLE or _is_of(call, shown)):
        return  # asked again, and nothing is learnt; or an agent has said meanwhile who it is
    if call.match is Match.FOUND and len(answer.cards) > 1:
        # Somebody has said who it is; the look-up comes late, or again after a restart.
        mine = tuple(card for card in answer.cards if card.customer_id == call.customer_id)
        answer = replace(answer, match=Match.FOUND, cards=mine) if mine else answer
    only = answer.cards[0] if answer.match is Match.FOUND and answer.cards else None
    if call.match is None or (call.match is Match.UNAVAILABLE and answer.match is not Match.UNAVAILABLE):
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
    show_card(board, call_id, answer)


def _is_of(call: Call, shown: LookUp) -> bool:
    return shown.match is Match.FOUND and any(card.customer_id == call.customer_id for card in shown.cards)


def show_card(board: Switchboard, call_id: CallId, answer: LookUp) -> None:
    """Whoever has the call before them sees this of the customer."""
    board.cards[call_id] = answer
    for agent_id, pop in board.pops.items():
        if pop.call_id == call_id:
            call = board.calls[call_id]
            board.pops[agent_id] = replace(
                pop,
                match=answer.match.value,
                customers=answer.cards,
                tier=call.tier,
                **_opens(board, call, pop.queue, agent_id, answer.cards),
            )
            board.dirty_pops.add(agent_id)
    board.dirty_calls.add(call_id)
