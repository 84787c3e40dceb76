"""How long each agent was in which state today, as a fold over the changes of the agents' states. What a state adds to which sum
is said by `cti.reports.agent_times`, as in the reports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from cti.ids import AgentId
from cti.model.agent import AgentStatus
from cti.model.facts import AgentState
from cti.reports.agent_times import amounts_of
from cti.reports.counted import milliseconds


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
        ms = milliseconds(after.since - max(before.since, self._begins))
        now, state = self._hours.get(before.agent_id, NONE), before.state
        if state is AgentState.OFFLINE:
            return
        amounts = amounts_of(state, ms)
        self._hours[before.agent_id] = replace(
            now,
            busy=_more(now.busy, amounts["busy_ms"]),
            ready=_more(now.ready, amounts["ready_ms"]),
            not_ready=_more(now.not_ready, amounts["not_ready_ms"]),
            wrap_up=_more(now.wrap_up, ms if state is AgentState.WRAP_UP else 0),
        )

    def of(self, agent_id: AgentId) -> Hours:
        """One agent's."""
        return self._hours.get(agent_id, NONE)


def _more(seconds: float, ms: int) -> float:
    return round(seconds + ms / 1000, 3)
