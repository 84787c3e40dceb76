"""What the rows of queues and agents tell of supervisors' doings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cti.ids import AgentId, CallId, QueueName
from cti.services.floor import Notice, Reassigned
from cti.services.switchboard import Switchboard


def by_hand(board: Switchboard, queue: QueueName, now: datetime) -> dict[str, Any]:
    """The fields of a queue's row that supervisors set by hand."""
    state = board.supervision
    is_open, forced = state.forced_open(queue, now), state.forced.get(queue)
    emergency = state.emergency(queue, now)
    return {
        "forced": "" if is_open is None else "open" if is_open else "closed",
        "forced_until": forced.until if is_open is not None and forced is not None else None,
        "emergency": (emergency.text or emergency.prompt) if emergency is not None else "",
        "emergency_until": emergency.until if emergency is not None else None,
    }


def notices_of(board: Switchboard, agent_id: AgentId) -> tuple[Notice, ...]:
    """What stands on this agent's page."""
    return tuple(
        Notice(message_id=one.message_id, at=one.at, by=one.by, text=one.text, until=one.until)
        for one in board.supervision.notices(agent_id)
    )


def watchers_told(board: Switchboard, agent_id: AgentId, call_id: CallId | None) -> bool:
    """Whether this agent is to know that somebody listens to the call the agent is in."""
    if call_id is None or not board.centre.supervision.told:
        return False
    return any(watch.call_id == call_id and watch.answered for watch in board.supervision.watches.values())


def reassigned(board: Switchboard, agent_id: AgentId) -> Reassigned | None:
    """What supervisors gave the agent for a while, instead of the usual queues and skills."""
    said, usual = board.supervision.reassigned.get(agent_id), board.configured.agents.get(agent_id)
    if said is None or usual is None:
        return None
    return Reassigned(
        since=said.at,
        until=said.until,
        shift=said.shift,
        by=said.by,
        usual_queues=usual.queues,
        skills=dict(said.skills) if said.skills is not None else None,
    )
