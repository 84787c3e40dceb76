"""The engine: what happened and what time it is in, who is offered to whom out.

All queues are matched together at every change (see `matching` for the rule, `books` for the state).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from cti.acd.books import FIRST_OFFER, Books
from cti.acd.decisions import (
    Decision,
    DecisionRecord,
    Expired,
    Ignored,
    IgnoredBecause,
    Lease,
    Released,
    Ticket,
    Why,
)
from cti.acd.groups import AgentGroup, Waiter
from cti.acd.inputs import (
    AcdInput,
    AgentBusy,
    AgentFree,
    AgentTallied,
    CallerJoined,
    CallerLeft,
    CallerNotReady,
    CallerReady,
    CentreChanged,
    LeaseRestored,
    OfferSettled,
    Tick,
)
from cti.acd.matching import best_agent, match
from cti.acd.ranking import CallerKey
from cti.acd.records import record_of
from cti.errors import IllegalTransition
from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model.centre import Centre
from cti.model.facts import AgentState, OfferEnd


class Engine:
    """Waiting callers, agents and the offers between them. One owner; no locks; every method is synchronous."""

    def __init__(self, centre: Centre) -> None:
        self._books = Books(centre)
        self._out: list[Decision] = []

    # --- inputs -----------------------------------------------------------------------------------------------

    def handle(self, event: AcdInput, now: datetime) -> tuple[Decision, ...]:
        """Take one input in and decide. Same inputs, same decisions.

        The input counts before the clock: an offer answered in the very moment of its deadline is answered.
        Raises `IllegalTransition`, having changed nothing.
        """
        _aware(now, "now")
        self._apply(event, now)
        return self._conclude(now)

    def restore(self, events: Iterable[AcdInput], now: datetime) -> tuple[Decision, ...]:
        """Take many inputs in, then decide once: for starting up, where the order of the inputs says nothing.

        Raises `IllegalTransition`; the engine is of no use then, because the inputs before the illegal one are in.
        """
        _aware(now, "now")
        for event in events:
            self._apply(event, now)
        return self._conclude(now)

    @property
    def last_offer_id(self) -> OfferId:
        """The highest offer number given so far. After a restart set it to the journal's; it never goes down."""
        return OfferId(self._books.last_offer_id)

    @last_offer_id.setter
    def last_offer_id(self, offer_id: OfferId) -> None:
        self._books.last_offer_id = max(offer_id, self._books.last_offer_id)

    # --- questions --------------------------------------------------------------------------------------------

    def next_due(self, now: datetime) -> datetime | None:
        """The earliest moment at which time alone may change something (send `Tick` then), never before `now`."""
        return self._books.next_due(now)

    def place(self, call_id: CallId) -> int | None:
        """The call's place among those waiting in its queue, 1 is next; None when it is not waiting (or is offered)."""
        waiter = self._books.waiters.get(call_id)
        if waiter is None or waiter.lease is not None:
            return None
        return self._books.groups.order[waiter.ticket.queue].rank(waiter.key) + 1

    def standing(self, call_id: CallId) -> int | None:
        """Like `place`, those ahead counted who are under an offer now: they come back if nobody answers."""
        place = self.place(call_id)
        if place is None:
            return None
        own = self._books.waiters[call_id]
        offered = (self._books.waiters[lease.call_id] for lease in self._books.leases.values())
        return place + sum(other.ticket.queue == own.ticket.queue and other.key < own.key for other in offered)

    def waiting(self, queue: QueueName) -> Sequence[Ticket]:
        """Those waiting in the queue, in serving order, without those under an offer. Empty for an unknown queue."""
        return tuple(self._books.waiters[key[-1]].ticket for key in self._books.groups.order.get(queue, ()))

    def why_waiting(self, call_id: CallId, now: datetime) -> str:
        """Why the call is not served at `now`: a `Why` value; empty when it has no ticket or is under an offer.

        What time alone changes counts from the `Tick` at `next_due` on.
        """
        waiter = self._books.waiters.get(call_id)
        if waiter is None or waiter.lease is not None:
            return ""
        group = waiter.group
        if not any(agents.logged_in for agents in self._books.groups.teams[group.queue]):
            return Why.NO_AGENT_LOGGED_IN
        servers = [agents for agents in group.servers if agents.logged_in]
        if not servers:
            return Why.NOBODY_HAS_SKILL
        if any(agents.idle for agents in servers):
            return Why.REFUSED_RECENTLY if best_agent(self._books, waiter) is None else Why.NOT_DELIVERABLE
        if all(self._is_behind(waiter.key, agents) for agents in servers):
            return Why.BEHIND_OTHERS
        return Why.NO_AGENT_FREE

    def explain(self, call_id: CallId, now: datetime) -> DecisionRecord | None:
        """The whole state of things around a call with a ticket, uncut; None without a ticket. Costs O(agents)."""
        waiter = self._books.waiters.get(call_id)
        return None if waiter is None else record_of(waiter, self._books.groups, self._books.seats, now, uncut=True)

    def overlooked(self, call_id: CallId) -> AgentId | None:
        """A free agent who could have this caller now, who can be moved. Always None once an input is taken in, unless
        the matching has a fault: for whoever watches over it."""
        waiter = self._books.waiters.get(call_id)
        if waiter is None or waiter.lease is not None or not waiter.deliverable:
            return None
        seat = best_agent(self._books, waiter)
        return None if seat is None else seat.agent_id

    def ticket(self, call_id: CallId) -> Ticket | None:
        """The call's ticket, offered or not."""
        waiter = self._books.waiters.get(call_id)
        return None if waiter is None else waiter.ticket

    def tickets(self) -> Sequence[Ticket]:
        """Every ticket, offered or not, in the order they were given."""
        return tuple(waiter.ticket for waiter in self._books.waiters.values())

    def lease(self, offer_id: OfferId) -> Lease | None:
        """The lease of an offer under way."""
        return self._books.leases.get(offer_id)

    def lease_of_call(self, call_id: CallId) -> Lease | None:
        """The offer the call is under."""
        waiter = self._books.waiters.get(call_id)
        return None if waiter is None else waiter.lease

    def lease_of_agent(self, agent_id: AgentId) -> Lease | None:
        """The offer the agent is under."""
        seat = self._books.seats.get(agent_id)
        return None if seat is None else seat.lease

    def leases(self) -> Sequence[Lease]:
        """Every offer under way, oldest first."""
        return tuple(self._books.leases.values())

    def is_free(self, agent_id: AgentId) -> bool:
        """Whether the agent could be offered a call now."""
        seat = self._books.seats.get(agent_id)
        return seat is not None and seat.available

    # --- taking inputs in: check everything first, then change ----------------------------------------------------

    def _apply(self, event: AcdInput, now: datetime) -> None:
        match event:
            case CallerJoined():
                self._join(event, now)
            case CallerReady() | CallerNotReady():
                self._set_deliverable(event.call_id, isinstance(event, CallerReady), now)
            case AgentFree():
                self._set_free(event, now)
            case AgentBusy():
                self._set_busy(event, now)
            case OfferSettled():
                self._settle(event, now)
            case CallerLeft():
                self._leave(event, now)
            case AgentTallied():
                if (seat := self._books.seats.get(event.agent_id)) is not None:
                    self._books.count(seat, event.calls, event.talk)
            case Tick():
                pass
            case CentreChanged():
                self._books.configure(event.centre, now)
            case LeaseRestored():
                self._restore_lease(event)

    def _join(self, event: CallerJoined, now: datetime) -> None:
        _aware(event.queued_at, "queued_at")
        if event.call_id in self._books.waiters:
            raise IllegalTransition("the call has a ticket already", call_id=event.call_id)
        if event.queue not in self._books.centre.queues:
            raise IllegalTransition("the centre has no such queue", call_id=event.call_id, queue=event.queue)
        ticket = Ticket(
            call_id=event.call_id,
            queue=event.queue,
            queued_at=event.queued_at,
            head_start=event.head_start,
            skills=event.skills,
            strict=event.strict,
        )
        group = self._books.groups.group_for(event.queue, event.skills)
        self._books.enter(Waiter(ticket, group, deliverable=event.deliverable), now)

    def _set_deliverable(self, call_id: CallId, deliverable: bool, now: datetime) -> None:
        waiter = self._books.waiters.get(call_id)
        if waiter is None:
            self._out.append(Ignored(reason=IgnoredBecause.NO_TICKET, at=now, call_id=call_id))
            return
        waiter.deliverable = deliverable
        if waiter.lease is not None:
            return
        if deliverable:
            waiter.group.heap.add(waiter.key)
            self._books.fresh_callers[call_id] = None
        else:
            waiter.group.heap.discard(waiter.key)

    def _set_free(self, event: AgentFree, now: datetime) -> None:
        _aware(event.idle_since, "idle_since")
        if event.agent_id not in self._books.centre.agents:
            raise IllegalTransition("the centre has no such agent", agent_id=event.agent_id)
        seat = self._books.seats[event.agent_id]
        self._books.change_seat(seat, AgentState.READY, event.idle_since, now)
        if seat.available:
            self._books.fresh_agents[event.agent_id] = None

    def _set_busy(self, event: AgentBusy, now: datetime) -> None:
        seat = self._books.seats.get(event.agent_id)
        # Of an agent the centre does not have (any more) it is true without our doing anything.
        if seat is not None:
            self._books.change_seat(seat, event.state, None, now)

    def _settle(self, event: OfferSettled, now: datetime) -> None:
        lease = self._books.leases.get(event.offer_id)
        if lease is not None:
            self._books.release(lease, event.end, now)
        elif event.offer_id > self._books.last_offer_id:
            raise IllegalTransition("no such offer was ever made", offer_id=event.offer_id, end=event.end)
        else:
            self._out.append(Ignored(reason=IgnoredBecause.OFFER_OVER, at=now, offer_id=event.offer_id))

    def _leave(self, event: CallerLeft, now: datetime) -> None:
        waiter = self._books.waiters.get(event.call_id)
        if waiter is None:
            self._out.append(Ignored(reason=IgnoredBecause.NO_TICKET, at=now, call_id=event.call_id))
        elif waiter.lease is None:
            self._books.leave(waiter)
        else:
            lease, end = waiter.lease, OfferEnd.CALLER_GONE
            self._books.release(lease, end, now)
            self._out.append(Released(offer_id=lease.offer_id, call_id=lease.call_id, agent_id=lease.agent_id, end=end))

    def _restore_lease(self, event: LeaseRestored) -> None:
        _aware(event.deadline, "deadline")
        waiter, seat = self._books.waiters.get(event.call_id), self._books.seats.get(event.agent_id)
        if waiter is None:
            raise IllegalTransition("the call has no ticket", offer_id=event.offer_id, call_id=event.call_id)
        if seat is None:
            raise IllegalTransition("the centre has no such agent", offer_id=event.offer_id, agent_id=event.agent_id)
        if waiter.lease is not None or seat.lease is not None or event.offer_id in self._books.leases:
            raise IllegalTransition("one side is under an offer already", offer_id=event.offer_id)
        if event.offer_id < FIRST_OFFER:
            raise IllegalTransition("an offer number has ten digits", offer_id=event.offer_id)
        self._books.bind(waiter, seat, event.offer_id, event.deadline)
        self._books.last_offer_id = max(self._books.last_offer_id, event.offer_id)

    # --- deciding -------------------------------------------------------------------------------------------------

    def _conclude(self, now: datetime) -> tuple[Decision, ...]:
        for lease in self._books.pass_time(now):
            self._out.append(Expired(offer_id=lease.offer_id, call_id=lease.call_id, agent_id=lease.agent_id))
        out = (*self._out, *match(self._books, now))
        self._out.clear()
        return out

    def _is_behind(self, key: CallerKey, agents: AgentGroup) -> bool:
        """Whether somebody deliverable is before `key` for these agents."""
        return any((head := group.heap.first()) is not None and head < key for group in agents.callers)


def _aware(moment: datetime, name: str) -> None:
    if moment.tzinfo is None:
        raise IllegalTransition(f"{name} has no time zone", moment=moment)
