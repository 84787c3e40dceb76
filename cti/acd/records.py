"""Evidence for decision records: what a supervisor is shown when asking "why this agent, why not that one"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cti.acd.classes import CallerGroup, Seat, Waiter
from cti.acd.decisions import Evidence, new
from cti.acd.groups import Groups
from cti.acd.ranking import AgentKey
from cti.acd.strategies import count_free, key_of, ordered
from cti.ids import AgentId

CANDIDATES = 10
"""Candidates that the record of an offer names."""


def evidence_of(
    waiter: Waiter, groups: Groups, seats: Mapping[AgentId, Seat], now: datetime, *, uncut: bool = False
) -> Evidence:
    """The state of things around one waiting call at `now`. `uncut` names everybody and costs O(agents)."""
    group, call_id, refused = waiter.home, waiter.ticket.call_id, waiter.refused
    if waiter.held is not None:
        return _evidence(waiter, group, groups, now, _of_held(waiter, group, waiter.held), _refusers(waiter, seats), 0)
    spurners = _refusers(waiter, seats)
    eligible = count_free(group) - len(spurners)
    most = eligible if uncut else min(eligible, CANDIDATES)
    named = tuple(ordered(group, call_id, refused, most)) if most else ()
    evidence = _evidence(waiter, group, groups, now, named, spurners, eligible - len(named))
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
    """The same where `seat`, who is free, is known to be the only candidate. The hottest path: written out."""
    group, agents, held = waiter.group, seat.group, waiter.held
    if group is None or agents is None:
        raise AssertionError(f"agent {seat.agent_id} is not in the centre")
    key = (seat.idle_since, seat.agent_id) if group.by_idleness else key_of(group, seat, waiter.ticket.call_id)
    fields = (
        now,
        waiter.ticket,
        waiter.key,
        group.strategy,
        group.relaxed,
        ((agents.tiers.get(group.queue, 1), key),),
        0,
        _refusers(waiter, seats),
        group.named,
        tuple(group.statuses),
        group.unfit,
        group.unnamed,
        tuple(groups.heads),
        None if held is None else held.agent_id,
    )
    return new(Evidence, fields)


def _evidence(
    waiter: Waiter,
    group: CallerGroup,
    groups: Groups,
    now: datetime,
    candidates: tuple[tuple[int, AgentKey], ...],
    refused: tuple[AgentId, ...],
    more: int,
) -> Evidence:
    held = waiter.held
    return Evidence(
        at=now,
        ticket=waiter.ticket,
        key=waiter.key,
        strategy=group.strategy,
        relaxed=group.relaxed,
        candidates=candidates,
        more_candidates=more,
        refused=refused,
        staff=group.named,
        statuses=tuple(group.statuses),
        unfit=group.unfit,
        more_staff=group.unnamed,
        heads=tuple(groups.heads),
        held_for=None if held is None else held.agent_id,
    )


def _of_held(waiter: Waiter, group: CallerGroup, seat: Seat) -> tuple[tuple[int, AgentKey], ...]:
    if not seat.available or seat.group is None:
        return ()
    return ((seat.group.tiers.get(group.queue, 1), key_of(group, seat, waiter.ticket.call_id)),)


def _refusers(waiter: Waiter, seats: Mapping[AgentId, Seat]) -> tuple[AgentId, ...]:
    """Free agents who may serve the call but refused it just now."""
    if not waiter.refused:
        return ()
    servers = waiter.home.servers
    return tuple(
        agent_id
        for agent_id in waiter.refused
        if (seat := seats.get(agent_id)) is not None and seat.available and seat.group in servers
    )
