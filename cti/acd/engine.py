"""The engine: what happened and what time it is in, who is offered to whom out.

All queues are matched together at every change (see `matching` for the rule, `books` for the state).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cti.acd.books import Books
from cti.acd.classes import AgentGroup
from cti.acd.decisions import (
    Decision,
    DecisionRecord,
    Expired,
    Lease,
    Staffing,
    Ticket,
    Why,
    spelled_out,
)
from cti.acd.inputs import AcdInput
from cti.acd.intake import TAKERS, aware
from cti.acd.matching import match, seats_for
from cti.acd.ranking import CallerKey
from cti.acd.records import evidence_of
from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model.centre import Centre
from cti.model.facts import AgentState
from cti.model.requirement import ANYBODY, Requirement, Skills


class Engine:
    """Waiting callers, agents and the offers between them. One owner; no locks; every method is synchronous."""

    def __init__(self, centre: Centre) -> None:
        self._books = Books(centre)
        self._out: list[Decision] = []
        self._held = False

    # --- inputs -----------------------------------------------------------------------------------------------

    def handle(self, event: AcdInput, now: datetime) -> tuple[Decision, ...]:
        """Take one input in and decide. Same inputs, same decisions.

        The input counts before the clock: an offer answered in the very moment of its deadline is answered.
        Raises `IllegalTransition`, having changed nothing.
        """
        if now.tzinfo is None:
            aware(now, "now")
        TAKERS[type(event)](self._books, event, now, self._out)
        return self._conclude(now)

    def hold(self) -> None:
        """Make no offers until `release`: while starting up, or agreeing with the telephone system, where the order of the
        inputs says nothing, the first caller told of must not have the first agent. Inputs count as always, and leases run
        out."""
        self._held = True

    def release(self, now: datetime) -> tuple[Decision, ...]:
        """Offers are made again: at once all that became possible since `hold`, in serving order."""
        aware(now, "now")
        self._held = False
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
        if waiter is None or waiter.line is None:
            return None
        return self._books.groups.place(waiter) + 1

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
        return tuple(self._books.waiters[key[-1]].ticket for key in self._books.groups.in_line(queue))

    def length(self, queue: QueueName) -> int:
        """How many wait in the queue, without those under an offer. Cheaper than `waiting`."""
        return self._books.groups.length(queue)

    def why_waiting(self, call_id: CallId, now: datetime) -> str:
        """Why the call is not served at `now`: a `Why` value; empty when it has no ticket or is under an offer.

        What time alone changes counts from the `Tick` at `next_due` on.
        """
        waiter = self._books.waiters.get(call_id)
        if waiter is None or waiter.line is None:
            return ""
        group = waiter.home
        if not any(agents.logged_in for agents in self._books.groups.teams[group.queue]):
            return Why.NO_AGENT_LOGGED_IN
        if waiter.held is not None:
            return Why.NOT_DELIVERABLE if waiter.held.available else Why.HELD_FOR_AGENT
        servers = [agents for agents in group.servers if agents.logged_in]
        if not servers:
            return Why.NOBODY_HAS_SKILL
        if any(agents.idle for agents in servers):
            return Why.REFUSED_RECENTLY if not seats_for(self._books, waiter) else Why.NOT_DELIVERABLE
        if all(self._is_behind(waiter.key, agents) for agents in servers):
            return Why.BEHIND_OTHERS
        return Why.NO_AGENT_FREE

    def explain(self, call_id: CallId, now: datetime, *, uncut: bool = True) -> DecisionRecord | None:
        """The whole state of things around a call with a ticket, which costs O(agents); or cut like the record of an
        offer. None without a ticket."""
        waiter = self._books.waiters.get(call_id)
        if waiter is None:
            return None
        return spelled_out(evidence_of(waiter, self._books.groups, self._books.seats, now, uncut=uncut))

    def held_for(self, call_id: CallId) -> AgentId | None:
        """The preferred agent, while nobody else may have the call."""
        waiter = self._books.waiters.get(call_id)
        return None if waiter is None or waiter.held is None else waiter.held.agent_id

    def relaxed_requirement(self, call_id: CallId) -> Requirement | None:
        """What the call requires as things stand: its queue's and its own, less the steps of `relax` that count."""
        waiter = self._books.waiters.get(call_id)
        return None if waiter is None else waiter.home.stage.needed

    def staffing(self, queue: QueueName, skills: Skills = (), requires: Requirement = ANYBODY) -> Staffing:
        """How many agents who could serve such a call sooner or later are in each state. Costs O(classes of agents).

        Empty for an unknown queue. Raises `RequirementError` when the queue's requirement and this one cannot be joined.
        """
        counts: dict[AgentState, int] = {}
        for agents in self._books.groups.able(queue, skills, requires):
            for state, count in agents.counts.items():
                counts[state] = counts.get(state, 0) + count
        return Staffing(counts=counts)

    def staffing_of(self, call_id: CallId) -> Staffing:
        """The same for a call with a ticket; empty without one."""
        ticket = self.ticket(call_id)
        return Staffing(counts={}) if ticket is None else self.staffing(ticket.queue, ticket.skills, ticket.requires)

    def overlooked(self, call_id: CallId) -> AgentId | None:
        """A free agent who could have this caller now, who can be moved. Always None once an input is taken in, and while
        offers are held, unless the matching has a fault: for whoever watches over it."""
        waiter = self._books.waiters.get(call_id)
        if self._held or waiter is None or waiter.line is None or not waiter.deliverable:
            return None
        seats = seats_for(self._books, waiter)
        return seats[0].agent_id if seats else None

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

    def is_deliverable(self, call_id: CallId) -> bool:
        """Whether the call may be offered, as the engine was told last; False without a ticket."""
        waiter = self._books.waiters.get(call_id)
        return waiter is not None and waiter.deliverable

    def is_free(self, agent_id: AgentId) -> bool:
        """Whether the agent could be offered a call now."""
        seat = self._books.seats.get(agent_id)
        return seat is not None and seat.available

    # --- deciding -------------------------------------------------------------------------------------------------

    def _conclude(self, now: datetime) -> tuple[Decision, ...]:
        books, out = self._books, self._out
        if books.agenda.soon <= now:
            for lease in books.pass_time(now):
                out.append(
                    Expired(
                        offer_id=lease.offer_id, call_id=lease.call_id, agent_id=lease.agent_id, others=lease.others
                    )
                )
        offers = () if self._held else match(books, now)
        if not out:
            return tuple(offers)
        decisions = (*out, *offers)
        out.clear()
        return decisions

    def _is_behind(self, key: CallerKey, agents: AgentGroup) -> bool:
        """Whether somebody deliverable is before `key` for these agents."""
        return any((head := group.ready.head) is not None and head < key for group in agents.callers)
