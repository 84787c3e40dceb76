"""The choice: which waiting callers are offered to which free agents now.

Always the same simple rule: take callers in serving order (`ranking.caller_key`); each gets the agent who is best by
tier and its queue's strategy among those who may serve it and have not refused it just now (with `ring_all`: everybody
free of the best tier); who is held for an agent gets nobody else; a caller nobody may serve blocks no one.

How it stays cheap: after each input no eligible free agent is left beside a deliverable waiting caller. So whatever the
next input is, only the callers and agents it made newly available (`Books.fresh_*`) can be part of a new pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush

from cti.acd.books import Books
from cti.acd.classes import AgentGroup, CallerGroup, Seat, Waiter
from cti.acd.decisions import Offer, new
from cti.acd.order import Order
from cti.acd.ranking import CallerKey
from cti.acd.records import evidence_of, evidence_of_one
from cti.acd.strategies import best, ordered
from cti.model.centre import Strategy

RING_ALL = Strategy.RING_ALL
RING_AT_MOST = 10
"""Agents in one offer of `ring_all`: each of them is kept from every other call while it rings."""


def match(books: Books, now: datetime) -> Sequence[Offer]:
    """Offer callers to agents in serving order until no pair is left; whatever was fresh is matched then."""
    fresh_agents, fresh_callers = books.fresh_agents, books.fresh_callers
    if not fresh_callers:
        if len(fresh_agents) == 1:
            seat, _ = fresh_agents.popitem()
            return _match_agent(books, seat, now)
        if not fresh_agents:
            return ()
    callers = [
        waiter
        for call_id in fresh_callers
        if (waiter := books.waiters.get(call_id)) is not None and waiter.line is not None and waiter.deliverable
    ]
    agents = [seat for seat in fresh_agents if seat.available]
    fresh_agents.clear()
    fresh_callers.clear()
    for seat in agents:
        seat.enlist()
    if len(callers) == 1 and not agents:
        chosen = seats_for(books, callers[0])
        return (_offer(books, callers[0], chosen, now),) if chosen else ()
    return _match_lines(books, callers, agents, now)


def _match_agent(books: Books, seat: Seat, now: datetime) -> Sequence[Offer]:
    """One agent has become free: the first caller in serving order of those the agent may have.

    Nobody else who is free may serve that caller, for nobody free was left beside a caller before.
    """
    agents = seat.group
    if agents is None or seat.lease is not None or seat.idle_since is None:
        return ()
    refused = seat.refused
    first = seat.held.head
    for group in agents.callers:
        key = group.ready.head
        if refused and key is not None and key[-1] in refused:
            key = group.ready.first_except(refused)
        if key is not None and (first is None or key < first):
            first = key
    if first is None:
        seat.enlist()
        return ()
    waiter = books.waiters[first[-1]]
    evidence = evidence_of_one(waiter, books.groups, seat, books.seats, now)
    lease = books.bind(waiter, (seat,), now)
    return (new(Offer, (lease, evidence)),)


def _match_lines(books: Books, callers: list[Waiter], agents: list[Seat], now: datetime) -> list[Offer]:
    """The general case. Any line with a caller who may now be in a pair is walked in serving order."""
    lines: dict[Order[CallerKey], CallerGroup | Seat] = {}
    for waiter in callers:
        _add_line(lines, waiter.held or waiter.home)
    for seat in agents:
        _add_line(lines, seat)
        for group in _class(seat).callers:
            _add_line(lines, group)
    heads = [(line.head, n, line, 0) for n, line in enumerate(lines) if line.head is not None]
    heapify(heads)
    offers: list[Offer] = []
    while heads:
        key, n, line, passed = heappop(heads)
        if not _anybody_free(lines[line]):
            continue
        waiter = books.waiters[key[-1]]
        chosen = seats_for(books, waiter)
        if chosen:
            offers.append(_offer(books, waiter, chosen, now))
        else:
            # Only its own refusals are in its way: the next of its class may be luckier.
            passed += 1
        following = line.nth(passed)
        if following is not None:
            heappush(heads, (following, n, line, passed))
    return offers


def _add_line(lines: dict[Order[CallerKey], CallerGroup | Seat], of: CallerGroup | Seat) -> None:
    lines[of.ready if isinstance(of, CallerGroup) else of.held] = of


def _anybody_free(of: CallerGroup | Seat) -> bool:
    return of.available if isinstance(of, Seat) else any(servers.idle.head is not None for servers in of.servers)


def seats_for(books: Books, waiter: Waiter) -> list[Seat]:
    """To whom a waiting call would be offered now; empty when nobody free may have it."""
    if waiter.held is not None:
        return [waiter.held] if waiter.held.available and waiter.held.agent_id not in waiter.refused else []
    group, call_id = waiter.home, waiter.ticket.call_id
    if group.strategy is not RING_ALL:
        key = best(group, call_id, waiter.refused)
        return [] if key is None else [books.seats[key[-1]]]
    ranked = ordered(group, call_id, waiter.refused, RING_AT_MOST)
    return [books.seats[key[-1]] for tier, key in ranked if tier == ranked[0][0]]


def _offer(books: Books, waiter: Waiter, seats: Sequence[Seat], now: datetime) -> Offer:
    evidence = evidence_of(waiter, books.groups, books.seats, now)
    return Offer(lease=books.bind(waiter, seats, now), evidence=evidence)


def _class(seat: Seat) -> AgentGroup:
    if seat.group is None:
        raise AssertionError(f"agent {seat.agent_id} is not in the centre")
    return seat.group
