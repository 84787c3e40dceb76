"""Decision records: what a supervisor is shown when asking "why this agent, why not that one"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import chain, islice

from cti.acd.decisions import Candidate, DecisionRecord, Excluded, Exclusion
from cti.acd.groups import Groups, Seat, Waiter
from cti.acd.ranking import AgentKey
from cti.ids import AgentId

LIMIT = 20
"""Entries of each list in the record of an offer."""

LOOK = 100
"""Agents of the queue looked at for that; on a big idle floor the excluded ones are not searched for."""


def record_of(
    waiter: Waiter, groups: Groups, seats: Mapping[AgentId, Seat], now: datetime, limit: int | None = LIMIT
) -> DecisionRecord:
    """The state of things around one waiting call; lists are cut at `limit` (None: not at all)."""
    ticket = waiter.ticket
    free = sum(len(agents.idle) for agents in waiter.group.servers)
    refused_free = sum(1 for agent_id in waiter.refused if _would_serve(seats.get(agent_id), waiter))
    candidates = _candidates(waiter, free if limit is None else limit)
    staff = groups.staff[ticket.queue]
    looked_at = staff if limit is None else staff[:LOOK]
    eligible = free - refused_free
    left_out = len(staff) - eligible
    excluded = tuple(islice(_excluded(waiter, looked_at, seats), left_out if limit is None else limit))
    passed_over = sorted(key for key in groups.heads() if key < waiter.key)
    return DecisionRecord(
        at=now,
        call_id=ticket.call_id,
        queue=ticket.queue,
        score=ticket.score(now),
        candidates=tuple(Candidate(agent_id=agent, score=(now - since).total_seconds()) for since, agent in candidates),
        more_candidates=eligible - len(candidates),
        excluded=excluded,
        more_excluded=left_out - len(excluded),
        passed_over=tuple(key[-1] for key in passed_over[:limit]),
    )


def _would_serve(seat: Seat | None, waiter: Waiter) -> bool:
    return seat is not None and seat.available and seat.group in waiter.group.servers


def _candidates(waiter: Waiter, limit: int) -> list[AgentKey]:
    servers = [agents.idle for agents in waiter.group.servers if agents.idle]
    merged = sorted(
        chain.from_iterable(
            islice((key for key in idle.in_order() if key[-1] not in waiter.refused), limit) for idle in servers
        )
    )
    return merged[:limit]


def _excluded(waiter: Waiter, staff: tuple[AgentId, ...], seats: Mapping[AgentId, Seat]) -> chain[Excluded]:
    servers = waiter.group.servers
    refused = (
        Excluded(agent_id=agent_id, reason=Exclusion.REFUSED_RECENTLY)
        for agent_id in waiter.refused
        if _would_serve(seats.get(agent_id), waiter)
    )
    others = (
        Excluded(agent_id=agent_id, reason=_reason(seat, fits=seat.group in servers))
        for agent_id in staff
        if not (((seat := seats[agent_id]).available) and seat.group in servers)
    )
    return chain(refused, others)


def _reason(seat: Seat, *, fits: bool) -> str:
    if not fits:
        return Exclusion.LACKS_SKILL
    if seat.lease is not None:
        return Exclusion.RESERVED
    return seat.state
