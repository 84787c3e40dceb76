"""Which of the eligible free agents is best: the queue's strategy.

Longest idle, and whatever is counted per agent, is fixed while an agent is free, so a heap per class and strategy keeps
it. What depends on the class alone (skill, flexibility) ranks classes, and within them who is longest idle. Only the
weighted draw depends on the pair of call and agent and looks at every eligible free agent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from hashlib import blake2b
from math import log

from cti.acd.groups import AgentGroup, CallerGroup
from cti.acd.heap import LazyHeap, in_order
from cti.acd.ranking import AgentKey
from cti.ids import AgentId, CallId
from cti.model.centre import Strategy


def best(group: CallerGroup, call_id: CallId, refused: Collection[AgentId]) -> AgentKey | None:
    """The best free agent for a caller of `group`, without those in `refused`; None when there is none."""
    strategy = group.strategy
    if strategy is Strategy.RANDOM:
        return next(ordered(group, call_id, refused), None)
    found: AgentKey | None = None
    for agents in group.servers:
        key = _heap(agents, strategy).first_except(refused)
        if key is not None:
            key = _prefixed(group, agents, key)
            if found is None or key < found:
                found = key
    return found


def ordered(group: CallerGroup, call_id: CallId, refused: Collection[AgentId]) -> Iterator[AgentKey]:
    """The free agents for a caller of `group`, best first, without those in `refused`."""
    strategy = group.strategy
    servers = [agents for agents in group.servers if agents.idle.keys]
    keys: Iterator[AgentKey]
    if strategy is Strategy.RANDOM:
        drawn = [(_draw(call_id, key[-1], agents.weights[key[-1]]), *key) for agents in servers for key in agents.idle]
        keys = iter(sorted(drawn))
    elif strategy in (Strategy.BEST_SKILL, Strategy.LEAST_FLEXIBLE):
        keys = _by_class(group, servers)
    else:
        keys = in_order([_heap(agents, strategy) for agents in servers])
    return (key for key in keys if key[-1] not in refused)


def _heap(agents: AgentGroup, strategy: Strategy) -> LazyHeap[AgentKey]:
    return agents.ranked.get(strategy, agents.idle)


def _by_class(group: CallerGroup, servers: list[AgentGroup]) -> Iterator[AgentKey]:
    ranks: dict[int, list[AgentGroup]] = {}
    for agents in servers:
        ranks.setdefault(_rank(group, agents), []).append(agents)
    for rank in sorted(ranks):
        for key in in_order([agents.idle for agents in ranks[rank]]):
            yield (rank, *key)


def _prefixed(group: CallerGroup, agents: AgentGroup, key: AgentKey) -> AgentKey:
    if group.strategy in (Strategy.BEST_SKILL, Strategy.LEAST_FLEXIBLE):
        return (_rank(group, agents), *key)
    return key


def _rank(group: CallerGroup, agents: AgentGroup) -> int:
    """Less is better: by proficiency in what the call needs at first, or by how little else these agents could do."""
    if group.strategy is Strategy.BEST_SKILL:
        return -sum(agents.skills.get(skill, 0) for skill, _ in group.stages[0])
    return len(agents.queues) + len(agents.skills)


def _draw(call_id: CallId, agent_id: AgentId, weight: float) -> float:
    """An exponential time with rate `weight`, the same for the same pair: the least of several is drawn by weight."""
    number = int.from_bytes(blake2b(f"{call_id}/{agent_id}".encode(), digest_size=7).digest(), "big")
    return -log((number + 1) / (2**56 + 1)) / weight
