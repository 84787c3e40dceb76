"""The engine's books: tickets, seats and leases, and what time alone changes in them.

A lease binds both sides and is released from both in one method each, here and nowhere else. A free agent who is fresh is
not in the orders yet: the matching puts in whom it does not bind at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cti.acd.agenda import NEVER, Agenda
from cti.acd.classes import Seat, Waiter
from cti.acd.decisions import Lease, Ticket, new
from cti.acd.groups import Groups, forget
from cti.acd.ranking import caller_key, raised_key
from cti.ids import AgentId, CallId, OfferId
from cti.model.centre import Centre
from cti.model.facts import AgentState, OfferEnd

TICKET_ENDS = frozenset({OfferEnd.ANSWERED, OfferEnd.CALLER_GONE})
"""Ends of an offer that end the call's waiting too."""

REFUSALS = frozenset({OfferEnd.REJECTED, OfferEnd.BUSY, OfferEnd.NO_ANSWER, OfferEnd.UNREACHABLE, OfferEnd.EXPIRED})
"""Ends after which the same agent is not offered the same call for the queue's `refusal_pause`.

`expired` is among them: whoever swallowed an offer without a word would otherwise get it again at once, for ever.
"""

OFFLINE, RESERVED, TALKING = AgentState.OFFLINE, AgentState.RESERVED, AgentState.TALKING
"""As names of this module they cost nothing to look up; in the hottest lines that counts."""

TALK = frozenset({TALKING, AgentState.HELD})

FIRST_OFFER = 1_000_000_000
"""Offer numbers have ten digits: the dialplan's patterns count on it."""


NO_TIME = timedelta()


class Books:
    """Mutable state of one engine. What became newly available is kept in `fresh_*` until it has been matched."""

    __slots__ = (
        "_second",
        "agenda",
        "centre",
        "fresh_agents",
        "fresh_callers",
        "groups",
        "last_offer_id",
        "leases",
        "seats",
        "waiters",
    )

    def __init__(self, centre: Centre) -> None:
        self.waiters: dict[CallId, Waiter] = {}
        self.seats: dict[AgentId, Seat] = {}
        self.leases: dict[OfferId, Lease] = {}
        self.groups = Groups()
        self.last_offer_id = FIRST_OFFER - 1
        self.fresh_callers: dict[CallId, None] = {}
        self.fresh_agents: dict[Seat, None] = {}
        self.agenda = Agenda()
        self._second = (NEVER, NEVER, 0)
        """The second that offers were made in last: its begin, its end, and its number since 1970."""
        self.centre = centre
        self.groups.rebuild(centre, self.seats, self.waiters)

    # --- tickets

    def configure(self, centre: Centre, now: datetime) -> None:
        """Sort everyone anew by another centre; anyone waiting may find somebody now. Raises `RequirementError`."""
        self.groups.rebuild(centre, self.seats, self.waiters)
        self.centre = centre
        for waiter in self.waiters.values():
            self._want(waiter)
            self._review(waiter, now)
        self.fresh_callers.update(dict.fromkeys(self.waiters))

    def enter(self, ticket: Ticket, now: datetime, *, deliverable: bool) -> None:
        """A new ticket."""
        waiter = self.waiters[ticket.call_id] = Waiter(ticket, deliverable=deliverable)
        self._want(waiter)
        self._review(waiter, now)
        self.fresh_callers[ticket.call_id] = None

    def change_ticket(self, waiter: Waiter, ticket: Ticket, now: datetime) -> None:
        """The call's claim is another now; an offer of it stays as it is."""
        self.groups.hide(waiter)
        if waiter.group is not None:
            self.groups.drop(waiter)
        before = waiter.ticket
        if ticket.addressed and (ticket.preferred, ticket.hold_until) != (before.preferred, before.hold_until):
            # Somebody says anew that it shall be this agent: what the agent refused before is forgotten.
            waiter.spurned = False
            if ticket.preferred is not None and waiter.refused.pop(ticket.preferred, None) is not None:
                self.seats[ticket.preferred].refused.discard(ticket.call_id)
        elif ticket.preferred != before.preferred:
            waiter.spurned = ticket.preferred in waiter.refused
        self._unwant(waiter)
        waiter.ticket = ticket
        waiter.held = None
        self._want(waiter)
        self._review(waiter, now)
        self.fresh_callers[ticket.call_id] = None

    def set_deliverable(self, waiter: Waiter, deliverable: bool) -> None:
        """The call's channel can be moved, or not."""
        waits = waiter.line is not None
        self.groups.hide(waiter)
        waiter.deliverable = deliverable
        if waits:
            self.groups.show(waiter)
            if deliverable:
                self.fresh_callers[waiter.ticket.call_id] = None

    def leave(self, waiter: Waiter) -> None:
        """The ticket of a waiting call is given up."""
        self.groups.hide(waiter)
        self._drop(waiter)

    def _drop(self, waiter: Waiter) -> None:
        call_id = waiter.ticket.call_id
        for agent_id in waiter.refused:
            seat = self.seats.get(agent_id)
            if seat is not None:
                seat.refused.discard(call_id)
        self._unwant(waiter)
        self.groups.drop(waiter)
        del self.waiters[call_id]

    def _want(self, waiter: Waiter) -> None:
        if waiter.ticket.preferred is not None and waiter.ticket.preferred in self.seats:
            self.seats[waiter.ticket.preferred].wanted[waiter.ticket.call_id] = None

    def _unwant(self, waiter: Waiter) -> None:
        if waiter.ticket.preferred is not None and waiter.ticket.preferred in self.seats:
            self.seats[waiter.ticket.preferred].wanted.pop(waiter.ticket.call_id, None)

    def _review(self, waiter: Waiter, now: datetime) -> None:
        """Bring up to date what is true of the caller at `now`, and note when to look again."""
        ticket, groups = waiter.ticket, self.groups
        ceiling, steps = groups.queue(ticket.queue).ceiling, groups.timelines[ticket.queue].steps
        due: datetime | None = None
        step = 0
        if ceiling is not None and ticket.queued_at + ceiling <= now:
            key = raised_key(ticket.queued_at, ticket.call_id)
        else:
            key = caller_key(ticket.queued_at, ticket.head_start, ticket.call_id, ticket.strict)
            if ceiling is not None:
                due = ticket.queued_at + ceiling
        if steps:
            waited = now - ticket.queued_at
            step = sum(one.after <= waited for one in steps)
            if step < len(steps):
                due = _earlier(due, ticket.queued_at + steps[step].after)
        group = waiter.group
        if group is None or group.step != step or key != waiter.key:
            groups.hide(waiter)
            waiter.key = key
            if group is None or group.step != step:
                if group is not None:
                    groups.drop(waiter)
                groups.enter(waiter, step)
                self.fresh_callers[ticket.call_id] = None
        if ticket.preferred is not None:
            held = self._holder(waiter, now)
            if held is not waiter.held:
                groups.hide(waiter)
                waiter.held = held
                self.fresh_callers[ticket.call_id] = None
            if held is not None and ticket.hold_until is not None:
                due = _earlier(due, ticket.hold_until)
        if waiter.line is None and waiter.lease is None:
            groups.show(waiter)
        if due != waiter.due and due is not None:
            self.agenda.look_again(due, ticket.call_id)
        waiter.due = due

    def _holder(self, waiter: Waiter, now: datetime) -> Seat | None:
        """The agent nobody but whom may have the call now."""
        ticket = waiter.ticket
        if waiter.spurned or ticket.preferred is None or ticket.hold_until is None or ticket.hold_until <= now:
            return None
        seat = self.seats.get(ticket.preferred)
        if seat is None or seat.group is None:
            return None
        if ticket.addressed:
            return seat
        if seat.state is OFFLINE:
            return None
        fits = ticket.queue in seat.group.queues and waiter.home.stages[-1].admits(seat.group.skills, 0)
        return seat if fits else None

    # --- agents

    def change_seat(self, seat: Seat, state: AgentState, idle_since: datetime | None, now: datetime) -> None:
        """The agent is free since `idle_since`, or (None) in another state."""
        if seat.listed:
            seat.unlist()
        if state in TALK:
            if seat.talking_since is None:
                seat.talking_since = now
        elif seat.talking_since is not None:
            talked = now - seat.talking_since
            if talked > NO_TIME:
                seat.talk += talked
            seat.talking_since = None
        before = seat.state
        seat.state = state
        seat.idle_since = idle_since
        if seat.lease is None:
            if idle_since is None or seat.group is None:
                seat.show(state)
            else:
                # Shown as free only if nothing is found for the agent.
                self.fresh_agents[seat] = None
        if before is not state and (before is OFFLINE or state is OFFLINE):
            self._log(seat, 1 if before is OFFLINE else -1, now)

    def _log(self, seat: Seat, change: int, now: datetime) -> None:
        """The agent has logged in (1) or out (-1)."""
        group = seat.group
        if group is None:
            return
        group.logged_in += change
        if group.logged_in == max(change, 0):
            for callers in self.groups.reconnect(group):
                self.fresh_callers.update((key[-1], None) for key in callers.ready)
        for call_id in seat.wanted:
            self._review(self.waiters[call_id], now)

    def count(self, seat: Seat, calls: int, talk: timedelta) -> None:
        """Set what the agent is ranked by."""
        seat.unlist()
        seat.calls, seat.talk = calls, talk
        seat.enlist()

    # --- leases

    def _next_offer_id(self, now: datetime) -> OfferId:
        """One more than the last, or seconds since 1970, whichever is more."""
        begin, end, number = self._second
        if not begin <= now < end:
            begin = now.replace(microsecond=0)
            number = int(begin.timestamp())
            self._second = (begin, begin + timedelta(seconds=1), number)
        following = self.last_offer_id + 1
        self.last_offer_id = following if following > number else number
        return self.last_offer_id  # type: ignore[return-value]

    def bind(
        self,
        waiter: Waiter,
        seats: Sequence[Seat],
        now: datetime,
        offer_id: OfferId | None = None,
        deadline: datetime | None = None,
    ) -> Lease:
        """Take both sides for an offer: a new one, or (both given) one there was before."""
        ticket, group = waiter.ticket, waiter.group
        if offer_id is None:
            offer_id = self._next_offer_id(now)
        if deadline is None:
            deadline = now if group is None else now + group.lease_time
        others = tuple([seat.agent_id for seat in seats[1:]]) if len(seats) > 1 else ()
        lease: Lease = new(Lease, (offer_id, ticket.call_id, seats[0].agent_id, ticket.queue, deadline, others))
        self.groups.hide(waiter)
        waiter.lease = self.leases[offer_id] = lease
        for seat in seats:
            if seat.listed:
                seat.unlist()
            seat.turn = offer_id
            seat.lease = lease
            seat.show(RESERVED)
        self.agenda.offer_ends(deadline, offer_id)
        return lease

    def extend(self, lease: Lease, deadline: datetime) -> None:
        """The offer stands until then."""
        longer = lease._replace(deadline=deadline)
        self.waiters[lease.call_id].lease = self.leases[lease.offer_id] = longer
        for agent_id in lease.agent_ids:
            self.seats[agent_id].lease = longer
        self.agenda.offer_ends(deadline, lease.offer_id)

    def decline(self, lease: Lease, agent_id: AgentId, end: OfferEnd, now: datetime) -> None:
        """Take one of several agents out of an offer."""
        waiter, seat = self.waiters[lease.call_id], self.seats[agent_id]
        first, *others = (one for one in lease.agent_ids if one != agent_id)
        left = lease._replace(agent_id=first, others=tuple(others))
        waiter.lease = self.leases[lease.offer_id] = left
        for one in left.agent_ids:
            self.seats[one].lease = left
        seat.lease = None
        if end in REFUSALS:
            self._refuse(waiter, seat, now)
        self._let_go(seat)

    def release(self, lease: Lease, end: OfferEnd, now: datetime, winner: AgentId | None = None) -> None:
        """Free all sides. The call keeps its ticket unless `end` is one of `TICKET_ENDS`; `winner` answered."""
        waiter = self.waiters[lease.call_id]
        seats = [self.seats[agent_id] for agent_id in lease.agent_ids]
        del self.leases[lease.offer_id]
        waiter.lease = None
        for seat in seats:
            seat.lease = None
        if end in TICKET_ENDS:
            self._drop(waiter)
        else:
            if end in REFUSALS:
                for seat in seats:
                    self._refuse(waiter, seat, now)
            self._review(waiter, now)
            self.fresh_callers[lease.call_id] = None
        for seat in seats:
            if seat.agent_id == winner and seat.group is not None:
                seat.calls += 1
                self.change_seat(seat, TALKING, None, now)
            else:
                self._let_go(seat)

    def _let_go(self, seat: Seat) -> None:
        """The agent is under no offer any more."""
        if seat.group is None:
            forget(seat, self.seats, self.waiters)
            return
        seat.show(seat.state)
        if seat.available:
            self.fresh_agents[seat] = None

    def _refuse(self, waiter: Waiter, seat: Seat, now: datetime) -> None:
        ticket = waiter.ticket
        if seat.agent_id == ticket.preferred:
            waiter.spurned = True
        until = now + self.groups.queue(ticket.queue).refusal_pause
        if until <= now:
            return
        waiter.refused[seat.agent_id] = until
        seat.refused.add(ticket.call_id)
        self.agenda.pause_ends(until, ticket.call_id, seat.agent_id)

    # --- time

    def _deadline_stands(self, deadline: datetime, offer_id: OfferId) -> bool:
        lease = self.leases.get(offer_id)
        return lease is not None and lease.deadline == deadline

    def _pause_stands(self, until: datetime, call_id: CallId, agent_id: AgentId) -> bool:
        waiter = self.waiters.get(call_id)
        return waiter is not None and waiter.refused.get(agent_id) == until

    def _moment_stands(self, due: datetime, call_id: CallId) -> bool:
        waiter = self.waiters.get(call_id)
        return waiter is not None and waiter.due == due

    def next_due(self, now: datetime) -> datetime | None:
        """The earliest moment at which time alone may change something, never before `now`."""
        earliest = self.agenda.earliest(self._deadline_stands, self._pause_stands, self._moment_stands)
        return None if earliest is None else max(earliest, now)

    def pass_time(self, now: datetime) -> list[Lease]:
        """Release what is overdue at `now` and lift pauses; returns the leases that expired."""
        expired = []
        for deadline, offer_id in self.agenda.deadlines(now):
            if self._deadline_stands(deadline, offer_id):
                lease = self.leases[offer_id]
                self.release(lease, OfferEnd.EXPIRED, now)
                expired.append(lease)
        for until, call_id, agent_id in self.agenda.pauses(now):
            if self._pause_stands(until, call_id, agent_id):
                del self.waiters[call_id].refused[agent_id]
                seat = self.seats.get(agent_id)
                if seat is not None:
                    seat.refused.discard(call_id)
                self.fresh_callers[call_id] = None
        for due, call_id in self.agenda.moments(now):
            if self._moment_stands(due, call_id):
                self._review(self.waiters[call_id], now)
        self.agenda.all_taken()
        return expired


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return other if one is None or other < one else one
