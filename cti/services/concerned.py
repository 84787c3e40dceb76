"""Whose state a fact may change."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cti.ids import AgentId
from cti.model import facts as f


def concerned(fact: f.Fact, agents: Collection[AgentId]) -> Iterable[AgentId]:
    """The agents, of those there are, whom a fact names."""
    if isinstance(fact, f.BreachRepaired):
        return [agent_id for agent_id in fact.agents if agent_id in agents]
    if isinstance(fact, f.OfferMade | f.OfferEnded):
        return [agent_id for agent_id in (fact.agent_id, *fact.others) if agent_id in agents]
    people: dict[AgentId, None] = {}
    for field in ("agent_id", "consulted"):
        agent_id: AgentId | None = getattr(fact, field, None)
        if agent_id is not None and agent_id in agents:
            people[agent_id] = None
    return list(people)
