"""Taking inputs in: each is checked whole before anything changes, then written into the books.

What is answered at once (an input that came too late, an offer that ended by it) goes to `out`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from cti.acd import inputs as i
from cti.acd.books import FIRST_OFFER, Books
from cti.acd.classes import Seat
from cti.acd.decisions import Decision, Ignored, IgnoredBecause, Lease, Released, Ticket
from cti.errors import IllegalTransition
from cti.ids import AgentId, CallId, OfferId
from cti.model.facts import AgentState, OfferEnd
from cti.model.requirement import RequirementError

READY = AgentState.READY
ANSWERED = OfferEnd.ANSWERED


def aware(moment: datetime, name: str) -> None:
    """Raises `IllegalTransition` for a moment without a time zone."""
    if moment.tzinfo is None:
        raise IllegalTransition(f"{name} has no time zone", moment=moment)


# --- callers


def _join(books: Books, event: i.CallerJoined, now: datetime, out: list[Decision]) -> None:
    aware(event.queued_at, "queued_at")
    if event.call_id in books.waiters:
        raise IllegalTransition("the call has a ticket already", call_id=event.call_id)
    ticket = Ticket(
        call_id=event.call_id,
        queue=event.queue,
        queued_at=event.queued_at,
        head_start=event.head_start,
        skills=event.skills,
        strict=event.strict,
        requires=event.requires,
        preferred=event.preferred,
        hold_until=event.hold_until,
        addressed=event.addressed,
    )
    _check(books, ticket)
    books.enter(ticket, now, deliverable=event.deliverable)


def _check(books: Books, ticket: Ticket) -> None:
    if ticket.queue not in books.centre.queues:
        raise IllegalTransition("the centre has no such queue", call_id=ticket.call_id, queue=ticket.queue)
    if ticket.hold_until is not None:
        aware(ticket.hold_until, "hold_until")
    try:
        books.groups.needed(ticket.queue, ticket.skills, ticket.requires)
    except RequirementError as too_much:
        raise IllegalTransition(str(too_much), call_id=ticket.call_id, queue=ticket.queue) from too_much


def _reprioritise(books: Books, event: i.CallerReprioritised, now: datetime, out: list[Decision]) -> None:
    waiter = books.waiters.get(event.call_id)
    if waiter is None:
        out.append(_no_ticket(event.call_id, now))
        return
    ticket = replace(waiter.ticket, head_start=event.head_start, strict=event.strict)
    books.change_ticket(waiter, ticket, now)


def _move(books: Books, event: i.CallerMoved, now: datetime, out: list[Decision]) -> None:
    waiter = books.waiters.get(event.call_id)
    if waiter is None:
        out.append(_no_ticket(event.call_id, now))
        return
    ticket = replace(
        waiter.ticket,
        queue=event.queue,
        head_start=event.head_start,
        skills=event.skills,
        strict=event.strict,
        requires=event.requires,
        preferred=event.preferred,
        hold_until=event.hold_until,
        addressed=event.addressed,
    )
    _check(books, ticket)
    books.change_ticket(waiter, ticket, now)


def _ready(books: Books, event: i.CallerReady | i.CallerNotReady, now: datetime, out: list[Decision]) -> None:
    waiter = books.waiters.get(event.call_id)
    if waiter is None:
        out.append(_no_ticket(event.call_id, now))
    else:
        books.set_deliverable(waiter, isinstance(event, i.CallerReady))


def _leave(books: Books, event: i.CallerLeft, now: datetime, out: list[Decision]) -> None:
    waiter = books.waiters.get(event.call_id)
    if waiter is None:
        out.append(_no_ticket(event.call_id, now))
    elif waiter.lease is None:
        books.leave(waiter)
    else:
        lease, end = waiter.lease, OfferEnd.CALLER_GONE
        books.release(lease, end, now)
        out.append(_released(lease, end))


# --- agents


def _free(books: Books, event: i.AgentFree, now: datetime, out: list[Decision]) -> None:
    if event.idle_since.tzinfo is None:
        aware(event.idle_since, "idle_since")
    seat = books.seats.get(event.agent_id)
    if seat is None or seat.group is None:
        raise IllegalTransition("the centre has no such agent", agent_id=event.agent_id)
    books.change_seat(seat, READY, event.idle_since, now)


def _busy(books: Books, event: i.AgentBusy, now: datetime, out: list[Decision]) -> None:
    seat = books.seats.get(event.agent_id)
    # Of an agent the centre does not have (any more) it is true without our doing anything.
    if seat is not None:
        books.change_seat(seat, event.state, None, now)


def _tally(books: Books, event: i.AgentTallied, now: datetime, out: list[Decision]) -> None:
    seat = books.seats.get(event.agent_id)
    if seat is not None:
        books.count(seat, event.calls, event.talk)


# --- offers


def _settle(books: Books, event: i.OfferSettled, now: datetime, out: list[Decision]) -> None:
    lease = _lease(books, event.offer_id, event.end)
    if lease is None:
        out.append(Ignored(reason=IgnoredBecause.OFFER_OVER, at=now, offer_id=event.offer_id))
        return
    winner = None
    if event.end is ANSWERED:
        winner = event.agent_id
        if winner is None:
            if lease.others:
                raise IllegalTransition("it is not said which of the agents answered", offer_id=event.offer_id)
            winner = lease.agent_id
        elif winner not in lease.agent_ids:
            raise IllegalTransition("the agent is not in the offer", offer_id=event.offer_id, agent_id=winner)
    books.release(lease, event.end, now, winner)


def _decline(books: Books, event: i.AgentDeclined, now: datetime, out: list[Decision]) -> None:
    if event.end in (OfferEnd.ANSWERED, OfferEnd.CALLER_GONE):
        raise IllegalTransition("nobody declines like that", offer_id=event.offer_id, end=event.end)
    lease = _lease(books, event.offer_id, event.end)
    if lease is None or event.agent_id not in lease.agent_ids:
        reason = IgnoredBecause.OFFER_OVER if lease is None else IgnoredBecause.NOT_IN_OFFER
        out.append(Ignored(reason=reason, at=now, offer_id=event.offer_id))
    elif lease.others:
        books.decline(lease, event.agent_id, event.end, now)
    else:
        books.release(lease, event.end, now)
        out.append(_released(lease, event.end))


def _lease(books: Books, offer_id: OfferId, end: OfferEnd) -> Lease | None:
    lease = books.leases.get(offer_id)
    if lease is None and offer_id > books.last_offer_id:
        raise IllegalTransition("no such offer was ever made", offer_id=offer_id, end=end)
    return lease


def _restore(books: Books, event: i.LeaseRestored, now: datetime, out: list[Decision]) -> None:
    aware(event.deadline, "deadline")
    waiter = books.waiters.get(event.call_id)
    if waiter is None:
        raise IllegalTransition("the call has no ticket", offer_id=event.offer_id, call_id=event.call_id)
    seats = [_seat(books, event, agent_id) for agent_id in (event.agent_id, *event.others)]
    if waiter.lease is not None or event.offer_id in books.leases or any(seat.lease is not None for seat in seats):
        raise IllegalTransition("one side is under an offer already", offer_id=event.offer_id)
    if len(set(seats)) < len(seats):
        raise IllegalTransition("an agent is named twice", offer_id=event.offer_id)
    if event.offer_id < FIRST_OFFER:
        raise IllegalTransition("an offer number has ten digits", offer_id=event.offer_id)
    books.bind(waiter, seats, now, event.offer_id, event.deadline)
    books.last_offer_id = max(books.last_offer_id, event.offer_id)


def _extend(books: Books, event: i.LeaseExtended, now: datetime, out: list[Decision]) -> None:
    aware(event.deadline, "deadline")
    lease = books.leases.get(event.offer_id)
    if lease is not None:
        books.extend(lease, event.deadline)
    elif event.offer_id > books.last_offer_id:
        raise IllegalTransition("no such offer was ever made", offer_id=event.offer_id)
    else:
        out.append(Ignored(reason=IgnoredBecause.OFFER_OVER, at=now, offer_id=event.offer_id))


def _seat(books: Books, event: i.LeaseRestored, agent_id: AgentId) -> Seat:
    seat = books.seats.get(agent_id)
    if seat is None:
        raise IllegalTransition("the centre has no such agent", offer_id=event.offer_id, agent_id=agent_id)
    return seat


# --- the rest


def _configure(books: Books, event: i.CentreChanged, now: datetime, out: list[Decision]) -> None:
    try:
        books.configure(event.centre, now)
    except RequirementError as too_much:
        raise IllegalTransition(str(too_much)) from too_much


def _tick(books: Books, event: i.Tick, now: datetime, out: list[Decision]) -> None:
    """Time alone: what is due is seen to after every input."""


def _no_ticket(call_id: CallId, now: datetime) -> Ignored:
    return Ignored(reason=IgnoredBecause.NO_TICKET, at=now, call_id=call_id)


def _released(lease: Lease, end: OfferEnd) -> Released:
    return Released(
        offer_id=lease.offer_id, call_id=lease.call_id, agent_id=lease.agent_id, end=end, others=lease.others
    )


TAKERS: dict[type[i.AcdInput], Callable[[Books, Any, datetime, list[Decision]], None]] = {
    i.CallerJoined: _join,
    i.CallerLeft: _leave,
    i.CallerReprioritised: _reprioritise,
    i.CallerMoved: _move,
    i.CallerReady: _ready,
    i.CallerNotReady: _ready,
    i.AgentFree: _free,
    i.AgentBusy: _busy,
    i.AgentTallied: _tally,
    i.OfferSettled: _settle,
    i.AgentDeclined: _decline,
    i.Tick: _tick,
    i.CentreChanged: _configure,
    i.LeaseRestored: _restore,
    i.LeaseExtended: _extend,
}
"""Who writes an input of which type into the books. Each raises `IllegalTransition`, having changed nothing."""
