"""Evidence for decision records: what a supervisor is shown when asking "why this agent, why not that one"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import islice

from cti.acd.classes import CallerGroup, Seat, Waiter
from cti.acd.decisions import Evidence
from cti.acd.groups import Groups
from cti.acd.ranking import AgentKey
from cti.acd.strategies import heaps, key_of, ordered
from cti.ids import AgentId

CANDIDATES = 10
"""Candidates that the record of an offer names."""


def evidence_of(
    waiter: Waiter, groups: Groups, seats: Mapping[AgentId, Seat], now: datetime, *, uncut: bool = False
) -> Evidence:
    """The state of things around one waiting call at `now`. `uncut` names everybody and costs O(agents)."""
    group, call_id, refused = waiter.home, waiter.ticket.call_id, waiter.refused
    if waiter.held is not None:
        return _evidence(waiter, groups, now, _of_held(waiter, group, waiter.held), refused=_refusers(waiter, seats))
    spurners = _refusers(waiter, seats)
    eligible = sum(map(len, heaps(group))) - len(spurners)
    most = eligible if uncut else min(eligible, CANDIDATES)
    named = tuple(islice(ordered(group, call_id, refused), most)) if most else ()
    evidence = _evidence(waiter, groups, now, named, refused=spurners, more=eligible - len(named))
    if not uncut:
        return evidence
    staff = tuple(seats[agent_id] for agent_id in groups.staff[group.queue])
    return evidence._replace(
        staff=groups.staff[group.queue],
        statuses=tuple(seat.status for seat in staff),
        unfit=tuple(groups.unfit(seat, group) for seat in staff),
        more_staff=0,
    )


def evidence_of_one(
    waiter: Waiter, groups: Groups, seat: Seat, seats: Mapping[AgentId, Seat], now: datetime
) -> Evidence:
    """The same where `seat` is known to be the only candidate."""
    group = waiter.home
    if waiter.held is not None:
        named = _of_held(waiter, group, seat)
    else:
        named = ((group.servers[seat.group], key_of(group, seat, waiter.ticket.call_id)),)  # type: ignore[index]
    return _evidence(waiter, groups, now, named, refused=_refusers(waiter, seats) if waiter.refused else ())


def _evidence(
    waiter: Waiter,
    groups: Groups,
    now: datetime,
    candidates: tuple[tuple[int, AgentKey], ...],
    *,
    refused: tuple[AgentId, ...],
    more: int = 0,
) -> Evidence:
    group, held = waiter.home, waiter.held
    queue = group.queue
    named = groups.named[queue]
    return Evidence(
        now,
        waiter.ticket,
        waiter.key,
        group.strategy,
        group.stages[group.effective].relaxed,
        candidates,
        more,
        refused,
        named,
        tuple(groups.statuses[queue]),
        group.unfit,
        len(groups.staff[queue]) - len(named),
        tuple(groups.heads),
        None if held is None else held.agent_id,
    )


def _of_held(waiter: Waiter, group: CallerGroup, seat: Seat) -> tuple[tuple[int, AgentKey], ...]:
    if not seat.available or seat.group is None:
        return ()
    return ((seat.group.tiers[group.queue], key_of(group, seat, waiter.ticket.call_id)),)


def _refusers(waiter: Waiter, seats: Mapping[AgentId, Seat]) -> tuple[AgentId, ...]:
    """Free agents who may serve the call but refused it just now."""
    servers = waiter.home.servers
    return tuple(
        agent_id
        for agent_id in waiter.refused
        if (seat := seats.get(agent_id)) is not None and seat.available and seat.group in servers
    )
