"""Which of the eligible free agents is best: lower tiers first, then the queue's strategy.

Longest idle, and whatever is counted per agent, is fixed while an agent is free, so an order per class and strategy keeps
it. What depends on the class alone (tier, skill, flexibility) ranks classes, and within them who is longest idle. Only
the weighted draw depends on the pair of call and agent and looks at every eligible free agent of the tier.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from heapq import merge, nsmallest
from itertools import islice
from math import log

from cti.acd.classes import BY_IDLENESS, COUNTED, AgentGroup, CallerGroup, Seat
from cti.acd.ranking import AgentKey
from cti.ids import AgentId, CallId
from cti.model.centre import Strategy

BY_CLASS = frozenset({Strategy.BEST_SKILL, Strategy.LEAST_FLEXIBLE})
"""Strategies whose figure belongs to the class of agents."""


def best(group: CallerGroup, call_id: CallId, refused: Collection[AgentId]) -> AgentKey | None:
    """The best free agent for a caller of `group`, without those in `refused`; None when there is none."""
    strategy = group.strategy
    if strategy is Strategy.RANDOM:
        return next((key for _, key in ordered(group, call_id, refused, 1)), None)
    for rank in group.ranks:
        found: AgentKey | None = None
        for order in rank.orders:
            if order.head is not None:
                key = order.first_except(refused)
                if key is not None and (found is None or key < found):
                    found = key
        if found is not None:
            return found
    return None


def ordered(group: CallerGroup, call_id: CallId, refused: Collection[AgentId], most: int) -> list[tuple[int, AgentKey]]:
    """The `most` best free agents for a caller of `group` with their tiers, without those in `refused`.

    A key has the strategy's figure in front unless it ranks by idleness.
    """
    strategy, found = group.strategy, list[tuple[int, AgentKey]]()
    for tier, figure, classes, orders in group.ranks:
        if len(found) == most:
            break
        wanted = most - len(found) + len(refused)
        if strategy is Strategy.RANDOM:
            drawn = [
                (_draw(call_id, key[-1], agents.weights[key[-1]]), *key) for agents in classes for key in agents.idle
            ]
            keys = nsmallest(wanted, drawn)
        elif len(orders) == 1:
            keys = orders[0].first(wanted)
        else:
            keys = list(islice(merge(*(order.first(wanted) for order in orders)), wanted))
        named = [(tier, (figure, *key) if strategy in BY_CLASS else key) for key in keys if key[-1] not in refused]
        found += named[: most - len(found)]
    return found


def key_of(group: CallerGroup, seat: Seat, call_id: CallId) -> AgentKey:
    """The key by which a free agent would be ranked for a caller of `group`."""
    strategy = group.strategy
    if strategy in BY_IDLENESS or seat.group is None:
        return seat.key
    if strategy is Strategy.RANDOM:
        return (_draw(call_id, seat.agent_id, seat.group.weights[seat.agent_id]), *seat.key)
    if strategy in BY_CLASS:
        return (figure_of_class(group, seat.group), *seat.key)
    return (COUNTED[strategy](seat), *seat.key)


def figure_of_class(group: CallerGroup, agents: AgentGroup) -> int:
    """What a strategy by class wants least of; 0 for the others.

    Proficiency is that in what the call needs at first, in the best of the alternatives these agents meet (of all, when
    they meet none).
    """
    if group.strategy is Strategy.BEST_SKILL:
        points = [
            (all(agents.skills.get(skill, 0) >= level for skill, level in needed), _points(agents, needed))
            for needed in group.stages[0].needed
        ]
        return -max(points)[1]
    if group.strategy is Strategy.LEAST_FLEXIBLE:
        return len(agents.queues) + len(agents.skills)
    return 0


def _points(agents: AgentGroup, needed: Collection[tuple[str, int]]) -> int:
    return sum(agents.skills.get(skill, 0) for skill, _ in needed)


def count_free(group: CallerGroup) -> int:
    """How many are free who may serve callers of `group`."""
    return sum(len(agents.idle) for agents in group.servers if agents.idle.head is not None)


def _draw(call_id: CallId, agent_id: AgentId, weight: float) -> float:
    """An exponential time with rate `weight`, the same for the same pair: the least of several is drawn by weight."""
    number = int.from_bytes(blake2b(f"{call_id}/{agent_id}".encode(), digest_size=7).digest(), "big")
    return -log((number + 1) / (2**56 + 1)) / weight
