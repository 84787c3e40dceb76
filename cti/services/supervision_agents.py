"""Other queues and skills for a while: what a supervisor gives an agent beside the centre's file. Each is a fact with an end.

The floor's centre is the configured one with these exchanged (`model.reassigned`), so whatever decides by queues and skills sees
them; a restarted bridge reads them back from its journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from cti.ids import AgentId, QueueName
from cti.model.centre import Agent
from cti.model.supervision_facts import AgentReassigned
from cti.services import live_centre
from cti.services.floor import Refused
from cti.services.supervision import Changed
from cti.services.switchboard import Switchboard


def reassign(
    board: Switchboard,
    agent_id: AgentId,
    now: datetime,
    *,
    by: str,
    queues: Sequence[QueueName] | None,
    skills: Mapping[str, int] | None,
    until: datetime | None,
    shift: bool,
    reason: str,
) -> Changed:
    """Give the agent these queues and skills for a while; None: the usual ones; both None: what was given is taken back.

    Raises `Refused`.
    """
    agent = board.centre.agents.get(agent_id)
    if agent is None or agent_id not in board.configured.agents:
        raise Refused("unknown_agent", f"there is no agent {agent_id}", remedy="use an extension of centre.yaml")
    for name in queues or ():
        if name not in board.configured.queues:
            raise Refused(
                "unknown_queue",
                f"there is no queue {name}",
                remedy=f"use one of {', '.join(sorted(board.configured.queues))}",
            )
    if until is not None and until <= now:
        raise Refused("already_over", "the time until which it is to be is over", remedy="name a later time")
    before = told(agent, board.supervision.reassigned.get(agent_id))
    taken_back = queues is None and skills is None
    if not taken_back or agent_id in board.supervision.reassigned:
        board.record(
            AgentReassigned(
                at=now,
                agent_id=agent_id,
                queues=tuple(queues) if queues is not None else None,
                skills=tuple(sorted(skills.items())) if skills is not None else None,
                until=None if taken_back else until,
                shift=shift and not taken_back,
                by=by,
                reason=reason,
            )
        )
        live_centre.reassign(board, now)
        board.dirty_agents.add(agent_id)
    return Changed(before=before, after=told(board.centre.agents[agent_id], board.supervision.reassigned.get(agent_id)))


def told(agent: Agent, said: AgentReassigned | None = None) -> dict[str, str]:
    """An agent's queues and skills as the audit log has them; and until when, where they are for a while."""
    text = {
        "queues": " ".join(agent.queues),
        "skills": " ".join(f"{name}:{level}" for name, level in sorted(agent.skills.items())),
    }
    if said is None:
        return text
    return text | {"until": said.until.isoformat() if said.until else "end of shift" if said.shift else "taken back"}


def tick(board: Switchboard, now: datetime) -> None:
    """Whose time is over has the usual queues and skills again. No fact: the moment is in the fact that began it."""
    before = set(board.supervision.reassigned)
    board.supervision.let_agents_back(now)
    if board.supervision.reassigned_anew:
        live_centre.reassign(board, now)
        board.dirty_agents.update(before & board.agents.keys())
