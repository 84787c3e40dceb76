"""The choice: which waiting callers are offered to which free agents now.

Always the same simple rule: take callers in serving order (`ranking.caller_key`); each gets the agent who is
best by its queue's strategy among those who may serve it and have not refused it just now; a caller nobody may serve blocks no one.

How it stays cheap: after each input no eligible free agent is left beside a deliverable waiting caller. So whatever the
next input is, only the callers and agents it made newly available (`Books.fresh_*`) can be part of a new pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush

from cti.acd.books import Books
from cti.acd.decisions import Offer
from cti.acd.groups import AgentGroup, CallerGroup, Seat, Waiter
from cti.acd.ranking import LEASE_MARGIN, CallerKey
from cti.acd.records import record_of
from cti.acd.strategies import best
from cti.ids import OfferId


def match(books: Books, now: datetime) -> list[Offer]:
    """Offer callers to agents in serving order until no pair is left; whatever was fresh is matched then."""
    if not (books.fresh_agents or books.fresh_callers):
        return []
    callers = [w for c in books.fresh_callers if (w := books.waiters.get(c)) and w.lease is None and w.deliverable]
    agents = [s for a in books.fresh_agents if (s := books.seats.get(a)) and s.available]
    books.fresh_agents.clear()
    books.fresh_callers.clear()
    if len(callers) + len(agents) > 1:
        return _match_groups(books, callers, agents, now)
    if callers:
        seat = best_agent(books, callers[0])
        return [] if seat is None else [_offer(books, callers[0], seat, now)]
    if agents:
        waiter = _best_caller(books, agents[0])
        return [] if waiter is None else [_offer(books, waiter, agents[0], now)]
    return []


def _match_groups(books: Books, callers: list[Waiter], agents: list[Seat], now: datetime) -> list[Offer]:
    """The general case. Any class with a caller who may now be in a pair is walked in serving order."""
    scope: dict[CallerGroup, None] = dict.fromkeys(waiter.group for waiter in callers)
    for seat in agents:
        scope.update(dict.fromkeys(_group(seat).callers))
    heads: list[tuple[CallerKey, int, CallerGroup]] = [
        (head, n, group) for n, group in enumerate(scope) if (head := group.heap.first()) is not None
    ]
    heapify(heads)
    offers: list[Offer] = []
    set_aside: list[tuple[CallerGroup, CallerKey]] = []
    while heads:
        key, n, group = heappop(heads)
        if not any(servers.idle.keys for servers in group.servers):
            continue
        waiter = books.waiters[key[-1]]
        chosen = best_agent(books, waiter)
        if chosen is not None:
            offers.append(_offer(books, waiter, chosen, now, [aside for _, aside in set_aside]))
        else:
            # Only its own refusals are in its way: the next of its class may be luckier.
            group.heap.discard(key)
            set_aside.append((group, key))
        head = group.heap.first()
        if head is not None:
            heappush(heads, (head, n, group))
    for group, key in set_aside:
        group.heap.add(key)
    return offers


def best_agent(books: Books, waiter: Waiter) -> Seat | None:
    """Who is best by the queue's strategy among the free agents who may have this call."""
    key = best(waiter.group, waiter.ticket.call_id, waiter.refused)
    return None if key is None else books.seats[key[-1]]


def _best_caller(books: Books, seat: Seat) -> Waiter | None:
    """The first caller in serving order this agent may have."""
    best: CallerKey | None = None
    for group in _group(seat).callers:
        key = group.heap.first_except(seat.refused)
        if key is not None and (best is None or key < best):
            best = key
    return None if best is None else books.waiters[best[-1]]


def _offer(books: Books, waiter: Waiter, seat: Seat, now: datetime, aside: Sequence[CallerKey] = ()) -> Offer:
    record = record_of(waiter, books.groups, books.seats, now, aside=aside)
    offer_id = OfferId(max(books.last_offer_id + 1, int(now.timestamp())))
    books.last_offer_id = offer_id
    deadline = now + books.groups.queue(waiter.ticket.queue).ring_timeout + LEASE_MARGIN
    books.bind(waiter, seat, offer_id, deadline)
    return Offer(
        offer_id=offer_id,
        call_id=waiter.ticket.call_id,
        agent_id=seat.agent_id,
        queue=waiter.ticket.queue,
        deadline=deadline,
        record=record,
    )


def _group(seat: Seat) -> AgentGroup:
    if seat.group is None:
        raise AssertionError(f"agent {seat.agent_id} is not in the centre")
    return seat.group
