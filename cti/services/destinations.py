"""Where an agent may send callers, and whom they may consult."""

from __future__ import annotations

from datetime import datetime

from cti.ids import AgentId
from cti.model.facts import AgentState
from cti.services import dialling, trunk_lines
from cti.services.admission import is_open
from cti.services.switchboard import Switchboard
from cti.services.talk_view import (
    AgentDestination,
    Destinations,
    FlowDestination,
    NumberDestination,
    QueueDestination,
)

BUSY = frozenset({AgentState.RESERVED, AgentState.RINGING, AgentState.DIALLING, AgentState.TALKING, AgentState.HELD})


def destinations(board: Switchboard, agent_id: AgentId, now: datetime) -> Destinations:
    """Everything this agent may choose from, best first: colleagues by name, queues and flows in the centre's order."""
    agents = [_agent(board, other) for other in board.centre.agents if other != agent_id]
    agents.sort(key=lambda one: (bool(one.why_not), one.name, one.agent_id))
    return Destinations(
        agents=tuple(agents),
        queues=tuple(
            QueueDestination(
                queue=name,
                title=queue.titles,
                waiting=board.engine.length(name),
                agents_ready=sum(
                    board.agents[other].state is AgentState.READY
                    for other, agent in board.centre.agents.items()
                    if name in agent.queues
                ),
                open=is_open(board, queue, now),
            )
            for name, queue in board.centre.queues.items()
        ),
        flows=tuple(FlowDestination(flow=flow, title=title) for flow, title in board.centre.transfer_flows.items()),
        numbers=tuple(
            NumberDestination(name=name, number=number)
            for name, number in board.centre.phone_book.items()
            if not trunk_lines.why_not(board, number)
        ),
        caller_ids=dialling.numbers_to_show(board, None),
    )


def why_not_now(board: Switchboard, agent_id: AgentId) -> str:
    """Why this agent cannot be called at this moment; empty: can be."""
    agent = board.agents[agent_id]
    device = board.devices.get((agent_id, agent.device))
    if agent.state is AgentState.OFFLINE:
        return "offline"
    if agent.state in BUSY:
        return "busy"
    if device is None or not device.reachable:
        return "unreachable"
    if device.in_use:
        return "busy"
    return "wrap_up" if agent.state is AgentState.WRAP_UP else ""


def _agent(board: Switchboard, agent_id: AgentId) -> AgentDestination:
    config, agent = board.centre.agents[agent_id], board.agents[agent_id]
    device = board.devices.get((agent_id, agent.device))
    return AgentDestination(
        agent_id=agent_id,
        name=config.name,
        state=agent.state,
        device=agent.device,
        reachable=device is not None and device.reachable,
        queues=config.queues,
        why_not=why_not_now(board, agent_id),
    )
