"""The centre as it is while some agents have other queues or skills for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cti.ids import AgentId
from cti.model.centre import Agent, Centre
from cti.model.supervision_facts import AgentReassigned


def with_reassigned(centre: Centre, configured: Centre, reassigned: Mapping[AgentId, AgentReassigned]) -> Centre:
    """`centre` (which is `configured`, and what retires) with these agents' queues and skills exchanged.

    Agents whom the configuration does not have are left as they are. Of the queues those count that there are; where none
    is left, the agent's usual ones do.
    """
    changed = {
        agent_id: _reassigned(centre.agents[agent_id], centre, configured, said)
        for agent_id, said in reassigned.items()
        if agent_id in centre.agents and agent_id in configured.agents
    }
    return replace(centre, agents={**centre.agents, **changed}) if changed else centre


def _reassigned(agent: Agent, centre: Centre, configured: Centre, said: AgentReassigned) -> Agent:
    queues = agent.queues
    if said.queues is not None:
        there = tuple(name for name in dict.fromkeys(said.queues) if name in configured.queues)
        retiring = tuple(name for name in agent.queues if name not in configured.queues)
        queues = (*there, *retiring) if there else agent.queues
    return replace(
        agent,
        queues=queues,
        tiers={name: tier for name, tier in agent.tiers.items() if name in queues},
        skills=dict(said.skills) if said.skills is not None else agent.skills,
    )
