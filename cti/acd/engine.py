"""The engine: what happened and what time it is in, who is offered to whom out.

All queues are matched together at every change. The choice is always the same simple one: take callers in serving
order (`ranking.caller_key`); each gets the longest idle agent who may serve it and has not refused it just now; a
caller nobody may serve blocks no one.

How it stays cheap: after each input no eligible free agent is left beside a deliverable waiting caller. So whatever the
next input is, only the callers and agents it made newly available (`_fresh_*`) can be part of a new pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush

from cti.acd.decisions import (
    Decision,
    DecisionRecord,
    Expired,
    Ignored,
    IgnoredBecause,
    Lease,
    Offer,
    Released,
    Ticket,
    Why,
)
from cti.acd.groups import AgentGroup, CallerGroup, Groups, Seat, Waiter, forget
from cti.acd.inputs import (
    AcdInput,
    AgentBusy,
    AgentFree,
    CallerJoined,
    CallerLeft,
    CallerNotReady,
    CallerReady,
    CentreChanged,
    LeaseRestored,
    OfferSettled,
    Tick,
)
from cti.acd.ranking import LEASE_MARGIN, AgentKey, CallerKey
from cti.acd.records import record_of
from cti.errors import IllegalTransition
from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model.centre import Centre
from cti.model.facts import AgentState, OfferEnd

TICKET_ENDS = frozenset({OfferEnd.ANSWERED, OfferEnd.CALLER_GONE})
"""Ends of an offer that end the call's waiting too."""

REFUSALS = frozenset({OfferEnd.REJECTED, OfferEnd.BUSY, OfferEnd.NO_ANSWER, OfferEnd.UNREACHABLE, OfferEnd.EXPIRED})
"""Ends after which the same agent is not offered the same call for the queue's `refusal_pause`.

`expired` is among them: whoever swallowed an offer without a word would otherwise get it again at once, for ever.
"""

FIRST_OFFER = 1_000_000_000
"""Offer numbers have ten digits: the dialplan's patterns count on it."""


class Engine:
    """Waiting callers, agents and the offers between them. One owner; no locks; every method is synchronous."""

    def __init__(self, centre: Centre) -> None:
        self._waiters: dict[CallId, Waiter] = {}
        self._seats: dict[AgentId, Seat] = {}
        self._leases: dict[OfferId, Lease] = {}
        self._groups = Groups()
        self._groups.rebuild(centre, self._seats, self._waiters)
        self._centre = centre
        self._last_offer_id = FIRST_OFFER - 1
        self._deadlines: list[tuple[datetime, OfferId]] = []
        self._pauses: list[tuple[datetime, CallId, AgentId]] = []
        self._fresh_callers: dict[CallId, None] = {}
        self._fresh_agents: dict[AgentId, None] = {}
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
        return OfferId(self._last_offer_id)

    @last_offer_id.setter
    def last_offer_id(self, offer_id: OfferId) -> None:
        self._last_offer_id = max(offer_id, self._last_offer_id)

    # --- questions --------------------------------------------------------------------------------------------

    def next_due(self, now: datetime) -> datetime | None:
        """The earliest moment at which time alone may change something (send `Tick` then), never before `now`."""
        moments = []
        while self._deadlines and self._deadlines[0][1] not in self._leases:
            heappop(self._deadlines)
        if self._deadlines:
            moments.append(self._deadlines[0][0])
        while self._pauses and not self._pause_stands(*self._pauses[0]):
            heappop(self._pauses)
        if self._pauses:
            moments.append(self._pauses[0][0])
        return max(min(moments), now) if moments else None

    def place(self, call_id: CallId) -> int | None:
        """The call's place among those waiting in its queue, 1 is next; None when it is not waiting (or is offered)."""
        waiter = self._waiters.get(call_id)
        if waiter is None or waiter.lease is not None:
            return None
        return self._groups.order[waiter.ticket.queue].rank(waiter.key) + 1

    def waiting(self, queue: QueueName) -> Sequence[Ticket]:
        """Those waiting in the queue, in serving order, without those under an offer. Empty for an unknown queue."""
        return tuple(self._waiters[key[-1]].ticket for key in self._groups.order.get(queue, ()))

    def why_waiting(self, call_id: CallId, now: datetime) -> str:
        """Why the call is not served at `now`: a `Why` value; empty when it has no ticket or is under an offer.

        `now` counts once requirements relax with time; until then the answer is that of the last input.
        """
        waiter = self._waiters.get(call_id)
        if waiter is None or waiter.lease is not None:
            return ""
        group = waiter.group
        if not any(agents.logged_in for agents in self._groups.teams[group.queue]):
            return Why.NO_AGENT_LOGGED_IN
        servers = [agents for agents in group.servers if agents.logged_in]
        if not servers:
            return Why.NOBODY_HAS_SKILL
        if any(agents.idle for agents in servers):
            return Why.REFUSED_RECENTLY if self._best_agent(waiter) is None else Why.NOT_DELIVERABLE
        if all(self._is_behind(waiter.key, agents) for agents in servers):
            return Why.BEHIND_OTHERS
        return Why.NO_AGENT_FREE

    def explain(self, call_id: CallId, now: datetime) -> DecisionRecord | None:
        """The whole state of things around a call with a ticket, uncut; None without a ticket. Costs O(agents)."""
        waiter = self._waiters.get(call_id)
        return None if waiter is None else record_of(waiter, self._groups, self._seats, now, limit=None)

    def ticket(self, call_id: CallId) -> Ticket | None:
        """The call's ticket, offered or not."""
        waiter = self._waiters.get(call_id)
        return None if waiter is None else waiter.ticket

    def tickets(self) -> Sequence[Ticket]:
        """Every ticket, offered or not, in the order they were given."""
        return tuple(waiter.ticket for waiter in self._waiters.values())

    def lease(self, offer_id: OfferId) -> Lease | None:
        """The lease of an offer under way."""
        return self._leases.get(offer_id)

    def lease_of_call(self, call_id: CallId) -> Lease | None:
        """The offer the call is under."""
        waiter = self._waiters.get(call_id)
        return None if waiter is None else waiter.lease

    def lease_of_agent(self, agent_id: AgentId) -> Lease | None:
        """The offer the agent is under."""
        seat = self._seats.get(agent_id)
        return None if seat is None else seat.lease

    def leases(self) -> Sequence[Lease]:
        """Every offer under way, oldest first."""
        return tuple(self._leases.values())

    def is_free(self, agent_id: AgentId) -> bool:
        """Whether the agent could be offered a call now."""
        seat = self._seats.get(agent_id)
        return seat is not None and seat.available

    # --- taking inputs in: check everything first, then change ----------------------------------------------------

    def _apply(self, event: AcdInput, now: datetime) -> None:
        match event:
            case CallerJoined():
                self._join(event)
            case CallerReady() | CallerNotReady():
                self._set_deliverable(event.call_id, isinstance(event, CallerReady), now)
            case AgentFree():
                self._set_free(event)
            case AgentBusy():
                self._set_busy(event)
            case OfferSettled():
                self._settle(event, now)
            case CallerLeft():
                self._leave(event, now)
            case Tick():
                pass
            case CentreChanged():
                self._change_centre(event.centre)
            case LeaseRestored():
                self._restore_lease(event)

    def _join(self, event: CallerJoined) -> None:
        _aware(event.queued_at, "queued_at")
        if event.call_id in self._waiters:
            raise IllegalTransition("the call has a ticket already", call_id=event.call_id)
        if event.queue not in self._centre.queues:
            raise IllegalTransition("the centre has no such queue", call_id=event.call_id, queue=event.queue)
        ticket = Ticket(
            call_id=event.call_id,
            queue=event.queue,
            queued_at=event.queued_at,
            head_start=event.head_start,
            skills=event.skills,
        )
        group = self._groups.group_for(event.queue, event.skills)
        waiter = self._waiters[event.call_id] = Waiter(ticket, group, deliverable=event.deliverable)
        self._groups.put(waiter)
        self._fresh_callers[event.call_id] = None

    def _set_deliverable(self, call_id: CallId, deliverable: bool, now: datetime) -> None:
        waiter = self._waiters.get(call_id)
        if waiter is None:
            self._out.append(Ignored(reason=IgnoredBecause.NO_TICKET, at=now, call_id=call_id))
            return
        waiter.deliverable = deliverable
        if waiter.lease is not None:
            return
        if deliverable:
            waiter.group.heap.add(waiter.key)
            self._fresh_callers[call_id] = None
        else:
            waiter.group.heap.discard(waiter.key)

    def _set_free(self, event: AgentFree) -> None:
        _aware(event.idle_since, "idle_since")
        if event.agent_id not in self._centre.agents:
            raise IllegalTransition("the centre has no such agent", agent_id=event.agent_id)
        seat = self._seats[event.agent_id]
        self._change_seat(seat, AgentState.READY, event.idle_since)
        if seat.available:
            self._fresh_agents[event.agent_id] = None

    def _set_busy(self, event: AgentBusy) -> None:
        seat = self._seats.get(event.agent_id)
        # Of an agent the centre does not have (any more) it is true without our doing anything.
        if seat is not None:
            self._change_seat(seat, event.state, None)

    def _change_seat(self, seat: Seat, state: AgentState, idle_since: datetime | None) -> None:
        if seat.group is not None:
            if seat.available:
                seat.group.idle.discard(seat.key)
            seat.group.logged_in += (state is not AgentState.OFFLINE) - (seat.state is not AgentState.OFFLINE)
        seat.state = state
        seat.idle_since = idle_since
        if seat.group is not None and seat.available:
            seat.group.idle.add(seat.key)

    def _settle(self, event: OfferSettled, now: datetime) -> None:
        lease = self._leases.get(event.offer_id)
        if lease is not None:
            self._release(lease, event.end, now)
        elif event.offer_id > self._last_offer_id:
            raise IllegalTransition("no such offer was ever made", offer_id=event.offer_id, end=event.end)
        else:
            self._out.append(Ignored(reason=IgnoredBecause.OFFER_OVER, at=now, offer_id=event.offer_id))

    def _leave(self, event: CallerLeft, now: datetime) -> None:
        waiter = self._waiters.get(event.call_id)
        if waiter is None:
            self._out.append(Ignored(reason=IgnoredBecause.NO_TICKET, at=now, call_id=event.call_id))
        elif waiter.lease is None:
            self._groups.hide(waiter)
            self._drop(waiter)
        else:
            lease, end = waiter.lease, OfferEnd.CALLER_GONE
            self._release(lease, end, now)
            self._out.append(Released(offer_id=lease.offer_id, call_id=lease.call_id, agent_id=lease.agent_id, end=end))

    def _change_centre(self, centre: Centre) -> None:
        self._centre = centre
        self._groups.rebuild(centre, self._seats, self._waiters)
        self._fresh_callers.update(dict.fromkeys(self._waiters))

    def _restore_lease(self, event: LeaseRestored) -> None:
        _aware(event.deadline, "deadline")
        waiter, seat = self._waiters.get(event.call_id), self._seats.get(event.agent_id)
        if waiter is None:
            raise IllegalTransition("the call has no ticket", offer_id=event.offer_id, call_id=event.call_id)
        if seat is None:
            raise IllegalTransition("the centre has no such agent", offer_id=event.offer_id, agent_id=event.agent_id)
        if waiter.lease is not None or seat.lease is not None or event.offer_id in self._leases:
            raise IllegalTransition("one side is under an offer already", offer_id=event.offer_id)
        if event.offer_id < FIRST_OFFER:
            raise IllegalTransition("an offer number has ten digits", offer_id=event.offer_id)
        self._bind(waiter, seat, event.offer_id, event.deadline)
        self._last_offer_id = max(self._last_offer_id, event.offer_id)

    # --- offers: both sides are taken together and released together -------------------------------------------------

    def _bind(self, waiter: Waiter, seat: Seat, offer_id: OfferId, deadline: datetime) -> Lease:
        ticket = waiter.ticket
        lease = Lease(
            offer_id=offer_id,
            call_id=ticket.call_id,
            agent_id=seat.agent_id,
            queue=ticket.queue,
            deadline=deadline,
        )
        self._groups.hide(waiter)
        if seat.group is not None and seat.available:
            seat.group.idle.discard(seat.key)
        waiter.lease = seat.lease = self._leases[offer_id] = lease
        heappush(self._deadlines, (deadline, offer_id))
        return lease

    def _release(self, lease: Lease, end: OfferEnd, now: datetime) -> None:
        waiter, seat = self._waiters[lease.call_id], self._seats[lease.agent_id]
        del self._leases[lease.offer_id]
        waiter.lease = seat.lease = None
        if end in TICKET_ENDS:
            self._drop(waiter)
        else:
            self._groups.show(waiter)
            if end in REFUSALS:
                self._pause(waiter, seat, now)
            self._fresh_callers[lease.call_id] = None
        if seat.group is None:
            forget(seat, self._seats, self._waiters)
        elif end is OfferEnd.ANSWERED:
            self._change_seat(seat, AgentState.TALKING, None)
        elif seat.available:
            seat.group.idle.add(seat.key)
            self._fresh_agents[lease.agent_id] = None

    def _drop(self, waiter: Waiter) -> None:
        call_id = waiter.ticket.call_id
        for agent_id in waiter.refused:
            seat = self._seats.get(agent_id)
            if seat is not None:
                seat.refused.discard(call_id)
        self._groups.drop(waiter)
        del self._waiters[call_id]

    def _pause(self, waiter: Waiter, seat: Seat, now: datetime) -> None:
        until = now + self._groups.queue(waiter.ticket.queue).refusal_pause
        if until <= now:
            return
        waiter.refused[seat.agent_id] = until
        seat.refused.add(waiter.ticket.call_id)
        heappush(self._pauses, (until, waiter.ticket.call_id, seat.agent_id))

    def _pause_stands(self, until: datetime, call_id: CallId, agent_id: AgentId) -> bool:
        waiter = self._waiters.get(call_id)
        return waiter is not None and waiter.refused.get(agent_id) == until

    # --- deciding -------------------------------------------------------------------------------------------------

    def _conclude(self, now: datetime) -> tuple[Decision, ...]:
        self._pass_time(now)
        if self._fresh_agents or self._fresh_callers:
            self._match(now)
            self._fresh_agents.clear()
            self._fresh_callers.clear()
        out = tuple(self._out)
        self._out.clear()
        return out

    def _pass_time(self, now: datetime) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, offer_id = heappop(self._deadlines)
            lease = self._leases.get(offer_id)
            if lease is not None and lease.deadline == deadline:
                self._release(lease, OfferEnd.EXPIRED, now)
                self._out.append(Expired(offer_id=lease.offer_id, call_id=lease.call_id, agent_id=lease.agent_id))
        while self._pauses and self._pauses[0][0] <= now:
            until, call_id, agent_id = heappop(self._pauses)
            if self._pause_stands(until, call_id, agent_id):
                del self._waiters[call_id].refused[agent_id]
                seat = self._seats.get(agent_id)
                if seat is not None:
                    seat.refused.discard(call_id)
                self._fresh_callers[call_id] = None

    def _match(self, now: datetime) -> None:
        """Offer callers to agents in serving order until no pair is left."""
        callers = [w for c in self._fresh_callers if (w := self._waiters.get(c)) and w.lease is None and w.deliverable]
        agents = [s for a in self._fresh_agents if (s := self._seats.get(a)) and s.available]
        if len(callers) + len(agents) > 1:
            self._match_groups(callers, agents, now)
        elif callers:
            seat = self._best_agent(callers[0])
            if seat is not None:
                self._offer(callers[0], seat, now)
        elif agents:
            waiter = self._best_caller(agents[0])
            if waiter is not None:
                self._offer(waiter, agents[0], now)

    def _match_groups(self, callers: list[Waiter], agents: list[Seat], now: datetime) -> None:
        """The general case. Any class with a caller who may now be in a pair is walked in serving order."""
        scope: dict[CallerGroup, None] = dict.fromkeys(waiter.group for waiter in callers)
        for seat in agents:
            scope.update(dict.fromkeys(_group(seat).callers))
        heads: list[tuple[CallerKey, int, CallerGroup]] = [
            (head, n, group) for n, group in enumerate(scope) if (head := group.heap.first()) is not None
        ]
        heapify(heads)
        set_aside: list[tuple[CallerGroup, CallerKey]] = []
        while heads:
            key, n, group = heappop(heads)
            if not any(servers.idle for servers in group.servers):
                continue
            waiter = self._waiters[key[-1]]
            best = self._best_agent(waiter)
            if best is not None:
                self._offer(waiter, best, now)
            else:
                # Only its own refusals are in its way: the next of its class may be luckier.
                group.heap.discard(key)
                set_aside.append((group, key))
            head = group.heap.first()
            if head is not None:
                heappush(heads, (head, n, group))
        for group, key in set_aside:
            group.heap.add(key)

    def _best_agent(self, waiter: Waiter) -> Seat | None:
        """The longest idle agent who may have this call."""
        best: AgentKey | None = None
        for agents in waiter.group.servers:
            key = agents.idle.first_except(waiter.refused)
            if key is not None and (best is None or key < best):
                best = key
        return None if best is None else self._seats[best[-1]]

    def _best_caller(self, seat: Seat) -> Waiter | None:
        """The first caller in serving order this agent may have."""
        best: CallerKey | None = None
        for group in _group(seat).callers:
            key = group.heap.first_except(seat.refused)
            if key is not None and (best is None or key < best):
                best = key
        return None if best is None else self._waiters[best[-1]]

    def _offer(self, waiter: Waiter, seat: Seat, now: datetime) -> None:
        record = record_of(waiter, self._groups, self._seats, now)
        offer_id = OfferId(max(self._last_offer_id + 1, int(now.timestamp())))
        self._last_offer_id = offer_id
        deadline = now + self._groups.queue(waiter.ticket.queue).ring_timeout + LEASE_MARGIN
        self._bind(waiter, seat, offer_id, deadline)
        self._out.append(
            Offer(
                offer_id=offer_id,
                call_id=waiter.ticket.call_id,
                agent_id=seat.agent_id,
                queue=waiter.ticket.queue,
                deadline=deadline,
                record=record,
            )
        )

    def _is_behind(self, key: CallerKey, agents: AgentGroup) -> bool:
        """Whether somebody deliverable is before `key` for these agents."""
        return any((head := group.heap.first()) is not None and head < key for group in agents.callers)


def _group(seat: Seat) -> AgentGroup:
    if seat.group is None:
        raise AssertionError(f"agent {seat.agent_id} is not in the centre")
    return seat.group


def _aware(moment: datetime, name: str) -> None:
    if moment.tzinfo is None:
        raise IllegalTransition(f"{name} has no time zone", moment=moment)
