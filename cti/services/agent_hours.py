"""How long each agent was in which state today, as a fold over the changes of the agents' states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from cti.ids import AgentId
from cti.model.agent import AgentStatus
from cti.model.facts import AgentState

WORKING = frozenset(
    {
        AgentState.RESERVED,
        AgentState.RINGING,
        AgentState.DIALLING,
        AgentState.TALKING,
        AgentState.HELD,
        AgentState.WRAP_UP,
    }
)
"""Counted as occupied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Seconds today up to the beginning of the agent's present state."""

    busy: float = 0.0
    ready: float = 0.0
    not_ready: float = 0.0
    wrap_up: float = 0.0
    """Part of `busy`."""


NONE = Hours()


class AgentHours:
    """All agents' hours of one day. What lies before `begins` does not count."""

    def __init__(self, begins: datetime) -> None:
        self._begins = begins
        self._hours: dict[AgentId, Hours] = {}

    def begin(self, begins: datetime) -> None:
        """Another day: what was counted is of the day before."""
        self._begins = begins
        self._hours = {}

    def moved(self, before: AgentStatus, after: AgentStatus) -> None:
        """An agent's state may have changed: count the one that ended. Of two in a wrong order the second counts nothing."""
        if after.since <= before.since or after.since <= self._begins:
            return
        seconds = (after.since - max(before.since, self._begins)).total_seconds()
        now, state = self._hours.get(before.agent_id, NONE), before.state
        if state in WORKING:
            wrapped = seconds if state is AgentState.WRAP_UP else 0.0
            now = replace(now, busy=round(now.busy + seconds, 3), wrap_up=round(now.wrap_up + wrapped, 3))
        elif state is AgentState.READY:
            now = replace(now, ready=round(now.ready + seconds, 3))
        elif state is AgentState.NOT_READY:
            now = replace(now, not_ready=round(now.not_ready + seconds, 3))
        else:
            return
        self._hours[before.agent_id] = now

    def of(self, agent_id: AgentId) -> Hours:
        """One agent's."""
        return self._hours.get(agent_id, NONE)
