"""The engine's books: tickets, seats and leases, and what time alone changes in them.

A lease binds both sides and is released from both in one method each, here and nowhere else.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from heapq import heappop, heappush

from cti.acd.decisions import Lease
from cti.acd.groups import Groups, Seat, Waiter, forget
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

TALK = frozenset({AgentState.TALKING, AgentState.HELD})

FIRST_OFFER = 1_000_000_000
"""Offer numbers have ten digits: the dialplan's patterns count on it."""


class Books:
    """Mutable state of one engine. What became newly available is kept in `fresh_*` until it has been matched."""

    __slots__ = (
        "_deadlines",
        "_moments",
        "_pauses",
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
        self.last_offer_id = OfferId(FIRST_OFFER - 1)
        self.fresh_callers: dict[CallId, None] = {}
        self.fresh_agents: dict[AgentId, None] = {}
        self._deadlines: list[tuple[datetime, OfferId]] = []
        self._pauses: list[tuple[datetime, CallId, AgentId]] = []
        self._moments: list[tuple[datetime, CallId]] = []
        self.centre = centre
        self.groups.rebuild(centre, self.seats, self.waiters)

    def configure(self, centre: Centre, now: datetime) -> None:
        """Sort everyone anew by another centre; anyone waiting may find somebody now."""
        self.centre = centre
        self.groups.rebuild(centre, self.seats, self.waiters)
        for waiter in self.waiters.values():
            self._review(waiter, now)
        self.fresh_callers.update(dict.fromkeys(self.waiters))

    def enter(self, waiter: Waiter, now: datetime) -> None:
        """A new ticket."""
        self.waiters[waiter.ticket.call_id] = waiter
        self.groups.put(waiter)
        self._review(waiter, now)
        self.fresh_callers[waiter.ticket.call_id] = None

    def _review(self, waiter: Waiter, now: datetime) -> None:
        """Bring up to date what waiting alone has changed for the caller by `now`, and note when to look again."""
        ticket = waiter.ticket
        queue = self.groups.queue(ticket.queue)
        due = None
        key = caller_key(ticket.queued_at, ticket.head_start, ticket.call_id, ticket.strict)
        if queue.ceiling is not None:
            due = ticket.queued_at + queue.ceiling
            if due <= now:
                key, due = raised_key(ticket.queued_at, ticket.call_id), None
        if queue.relax:
            waited = now - ticket.queued_at
            step = sum(relaxation.after <= waited for relaxation in queue.relax)
            if self.groups.move(waiter, step):
                self.fresh_callers[ticket.call_id] = None
            if step < len(queue.relax):
                relaxes = ticket.queued_at + queue.relax[step].after
                due = relaxes if due is None else min(due, relaxes)
        if key != waiter.key:
            if waiter.lease is None:
                self.groups.hide(waiter)
            waiter.key = key
            if waiter.lease is None:
                self.groups.show(waiter)
        if due != waiter.due and due is not None:
            heappush(self._moments, (due, ticket.call_id))
        waiter.due = due

    def change_seat(self, seat: Seat, state: AgentState, idle_since: datetime | None, now: datetime) -> None:
        """The agent is free since `idle_since`, or (None) in another state."""
        if seat.group is not None:
            if seat.available:
                seat.group.discard(seat)
            change = (state is not AgentState.OFFLINE) - (seat.state is not AgentState.OFFLINE)
            seat.group.logged_in += change
            if change and seat.group.logged_in == max(change, 0):
                for group in self.groups.reconnect(seat.group):
                    self.fresh_callers.update((key[-1], None) for key in group.heap)
        if state in TALK and seat.talking_since is None:
            seat.talking_since = now
        elif state not in TALK and seat.talking_since is not None:
            seat.talk += max(now - seat.talking_since, timedelta())
            seat.talking_since = None
        seat.state = state
        seat.status = state if seat.lease is None else AgentState.RESERVED
        seat.idle_since = idle_since
        if seat.group is not None and seat.available:
            seat.group.add(seat)

    def count(self, seat: Seat, calls: int, talk: timedelta) -> None:
        """Set what the agent is ranked by."""
        if seat.group is not None and seat.available:
            seat.group.discard(seat)
        seat.calls, seat.talk = calls, talk
        if seat.group is not None and seat.available:
            seat.group.add(seat)

    def bind(self, waiter: Waiter, seat: Seat, offer_id: OfferId, deadline: datetime) -> None:
        """Take both sides for an offer."""
        ticket = waiter.ticket
        lease = Lease(
            offer_id=offer_id,
            call_id=ticket.call_id,
            agent_id=seat.agent_id,
            queue=ticket.queue,
            deadline=deadline,
        )
        self.groups.hide(waiter)
        if seat.group is not None and seat.available:
            seat.group.discard(seat)
        seat.turn = offer_id
        waiter.lease = seat.lease = self.leases[offer_id] = lease
        seat.status = AgentState.RESERVED
        heappush(self._deadlines, (deadline, offer_id))

    def release(self, lease: Lease, end: OfferEnd, now: datetime) -> None:
        """Free both sides. The call keeps its ticket unless `end` is one of `TICKET_ENDS`."""
        waiter, seat = self.waiters[lease.call_id], self.seats[lease.agent_id]
        del self.leases[lease.offer_id]
        waiter.lease = seat.lease = None
        seat.status = seat.state
        if end in TICKET_ENDS:
            self._drop(waiter)
        else:
            self.groups.show(waiter)
            if end in REFUSALS:
                self._pause(waiter, seat, now)
            self.fresh_callers[lease.call_id] = None
        if seat.group is None:
            forget(seat, self.seats, self.waiters)
        elif end is OfferEnd.ANSWERED:
            seat.calls += 1
            self.change_seat(seat, AgentState.TALKING, None, now)
        elif seat.available:
            seat.group.add(seat)
            self.fresh_agents[lease.agent_id] = None

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
        self.groups.drop(waiter)
        del self.waiters[call_id]

    def _pause(self, waiter: Waiter, seat: Seat, now: datetime) -> None:
        until = now + self.groups.queue(waiter.ticket.queue).refusal_pause
        if until <= now:
            return
        waiter.refused[seat.agent_id] = until
        seat.refused.add(waiter.ticket.call_id)
        heappush(self._pauses, (until, waiter.ticket.call_id, seat.agent_id))

    def _pause_stands(self, until: datetime, call_id: CallId, agent_id: AgentId) -> bool:
        waiter = self.waiters.get(call_id)
        return waiter is not None and waiter.refused.get(agent_id) == until

    def next_due(self, now: datetime) -> datetime | None:
        """The earliest moment at which time alone may change something, never before `now`."""
        moments = []
        while self._deadlines and self._deadlines[0][1] not in self.leases:
            heappop(self._deadlines)
        if self._deadlines:
            moments.append(self._deadlines[0][0])
        while self._pauses and not self._pause_stands(*self._pauses[0]):
            heappop(self._pauses)
        if self._pauses:
            moments.append(self._pauses[0][0])
        while self._moments and not self._moment_stands(*self._moments[0]):
            heappop(self._moments)
        if self._moments:
            moments.append(self._moments[0][0])
        return max(min(moments), now) if moments else None

    def _moment_stands(self, due: datetime, call_id: CallId) -> bool:
        waiter = self.waiters.get(call_id)
        return waiter is not None and waiter.due == due

    def pass_time(self, now: datetime) -> list[Lease]:
        """Release what is overdue at `now` and lift pauses; returns the leases that expired."""
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, offer_id = heappop(self._deadlines)
            lease = self.leases.get(offer_id)
            if lease is not None and lease.deadline == deadline:
                self.release(lease, OfferEnd.EXPIRED, now)
                expired.append(lease)
        while self._pauses and self._pauses[0][0] <= now:
            until, call_id, agent_id = heappop(self._pauses)
            if self._pause_stands(until, call_id, agent_id):
                del self.waiters[call_id].refused[agent_id]
                seat = self.seats.get(agent_id)
                if seat is not None:
                    seat.refused.discard(call_id)
                self.fresh_callers[call_id] = None
        while self._moments and self._moments[0][0] <= now:
            due, call_id = heappop(self._moments)
            if self._moment_stands(due, call_id):
                self._review(self.waiters[call_id], now)
        return expired
