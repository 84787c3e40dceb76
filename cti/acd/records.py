"""Decision records: what a supervisor is shown when asking "why this agent, why not that one"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import attrgetter

from cti.acd.decisions import DecisionRecord
from cti.acd.groups import Groups, Seat, Waiter
from cti.acd.ranking import RAISED, AgentKey, CallerKey
from cti.acd.strategies import best, ordered
from cti.ids import AgentId
from cti.model.centre import Strategy

CANDIDATES = 10
"""Candidates that the record of an offer names."""

_status = attrgetter("status")
_agent_id = attrgetter("agent_id")


def record_of(
    waiter: Waiter,
    groups: Groups,
    seats: Mapping[AgentId, Seat],
    now: datetime,
    *,
    aside: Sequence[CallerKey] = (),
    uncut: bool = False,
) -> DecisionRecord:
    """The state of things around one waiting call at `now`. `uncut` names everybody and costs O(agents).

    `aside` are callers whom the matching took out of their heaps for a moment.
    """
    ticket, group, key = waiter.ticket, waiter.group, waiter.key
    heaps = [agents.idle for agents in group.servers if agents.idle.keys]
    free = sum(map(len, heaps))
    refused = tuple(a for a in waiter.refused if _would_serve(seats.get(a), waiter)) if waiter.refused else ()
    eligible = free - len(refused)
    idle: tuple[AgentKey, ...]
    if free == eligible == 1 and group.strategy is Strategy.LONGEST_IDLE:
        idle = (heaps[0].keys[0],)
    elif eligible == 1:
        only = best(group, ticket.call_id, waiter.refused)
        idle = () if only is None else (only,)
    else:
        idle = tuple(islice(ordered(group, ticket.call_id, waiter.refused), eligible if uncut else CANDIDATES))
    staff = groups.staff[ticket.queue]
    named, fits = groups.first[ticket.queue], group.fits
    if uncut:
        named = tuple(seats[agent_id] for agent_id in staff)
        fits = tuple(seat.group in group.servers for seat in named)
    return DecisionRecord(
        at=now,
        call_id=ticket.call_id,
        queue=ticket.queue,
        queued_at=ticket.queued_at,
        head_start=ticket.head_start,
        strict=ticket.strict,
        relaxed=group.effective,
        raised=key[0] == RAISED,
        idle=idle,
        strategy=group.strategy,
        more_candidates=eligible - len(idle),
        refused=refused,
        staff=tuple(map(_agent_id, named)),
        statuses=tuple(map(_status, named)),
        fits=fits,
        more_staff=len(staff) - len(named),
        ahead=(*aside, *[k[0] for one in groups.callers.values() if (k := one.heap.keys) and k[0] < key]),
    )


def _would_serve(seat: Seat | None, waiter: Waiter) -> bool:
    return seat is not None and seat.available and seat.group in waiter.group.servers
