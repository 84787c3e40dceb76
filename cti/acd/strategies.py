"""Which of the eligible free agents is best: lower tiers first, then the queue's strategy.

Longest idle, and whatever is counted per agent, is fixed while an agent is free, so a heap per class and strategy keeps
it. What depends on the class alone (tier, skill, flexibility) ranks classes, and within them who is longest idle. Only
the weighted draw depends on the pair of call and agent and looks at every eligible free agent of the tier.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from hashlib import blake2b
from math import log

from cti.acd.classes import BY_IDLENESS, COUNTED, AgentGroup, CallerGroup, Seat
from cti.acd.heap import LazyHeap, in_order
from cti.acd.ranking import AgentKey
from cti.ids import AgentId, CallId
from cti.model.centre import Strategy

BY_CLASS = frozenset({Strategy.BEST_SKILL, Strategy.LEAST_FLEXIBLE})
"""Strategies whose figure belongs to the class of agents."""


def best(group: CallerGroup, call_id: CallId, refused: Collection[AgentId]) -> AgentKey | None:
    """The best free agent for a caller of `group`, without those in `refused`; None when there is none."""
    strategy = group.strategy
    if strategy is Strategy.RANDOM:
        return next((key for _, key in ordered(group, call_id, refused)), None)
    for rank in group.ranks:
        found: AgentKey | None = None
        for heap in rank.heaps:
            if heap.keys:
                key = heap.first_except(refused)
                if key is not None and (found is None or key < found):
                    found = key
        if found is not None:
            return found
    return None


def ordered(group: CallerGroup, call_id: CallId, refused: Collection[AgentId]) -> Iterator[tuple[int, AgentKey]]:
    """The free agents for a caller of `group` with their tiers, best first, without those in `refused`.

    A key has the strategy's figure in front unless it ranks by idleness.
    """
    strategy = group.strategy
    for tier, figure, classes, ranked in group.ranks:
        keys: Iterator[AgentKey]
        if strategy is Strategy.RANDOM:
            drawn = [
                (_draw(call_id, key[-1], agents.weights[key[-1]]), *key) for agents in classes for key in agents.idle
            ]
            keys = iter(sorted(drawn))
        else:
            keys = in_order(ranked)
        for key in keys:
            if key[-1] not in refused:
                yield tier, ((figure, *key) if strategy in BY_CLASS else key)


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


def heaps(group: CallerGroup) -> list[LazyHeap[AgentKey]]:
    """Everybody free who may serve callers of `group`, by class."""
    return [agents.idle for agents in group.servers if agents.idle.keys]


def _draw(call_id: CallId, agent_id: AgentId, weight: float) -> float:
    """An exponential time with rate `weight`, the same for the same pair: the least of several is drawn by weight."""
    number = int.from_bytes(blake2b(f"{call_id}/{agent_id}".encode(), digest_size=7).digest(), "big")
    return -log((number + 1) / (2**56 + 1)) / weight
