"""How long each agent was in which state today, as a fold over the changes of the agents' states. What a state adds to which sum
is said by `cti.reports.agent_times`, as in the reports.

Besides the day's sums those of its quarters of an hour are kept, and of the day's before: when the centre's clock is another one
from now on, its day has begun at another moment, and what it is made of is there. (Every zone's midnight is at a quarter.)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cti.ids import AgentId
from cti.model.agent import AgentStatus
from cti.model.facts import AgentState
from cti.reports.agent_times import amounts_of
from cti.reports.counted import milliseconds

QUARTER = timedelta(minutes=15)
KEPT = timedelta(hours=26)
"""What lies so long before the day's beginning may still be of the present day by another clock."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Seconds today up to the beginning of the agent's present state."""

    busy: float = 0.0
    ready: float = 0.0
    not_ready: float = 0.0
    wrap_up: float = 0.0
    """Part of `busy`."""


NONE = Hours()
Sums = list[int]
"""Milliseconds: busy, ready, not ready, wrap-up."""


class AgentHours:
    """All agents' hours of one day. What lies before `begins` does not count."""

    def __init__(self, begins: datetime) -> None:
        self._begins = begins
        self._today: dict[AgentId, Sums] = {}
        self._quarters: dict[AgentId, dict[int, Sums]] = {}
        """Of each agent, by the quarter's number since 1970."""

    def begin(self, begins: datetime) -> None:
        """Another day, which may have begun a while ago: by another clock than before."""
        self._begins = begins
        first, kept_from = _quarter(begins), _quarter(begins - KEPT)
        self._today = {}
        for agent_id, quarters in self._quarters.items():
            for number in [number for number in quarters if number < kept_from]:
                del quarters[number]
            of_today = [sums for number, sums in quarters.items() if number >= first]
            if of_today:
                self._today[agent_id] = [sum(column) for column in zip(*of_today, strict=True)]

    def moved(self, before: AgentStatus, after: AgentStatus) -> None:
        """An agent's state may have changed: count the one that ended. Of two in a wrong order the second counts nothing."""
        state, since = before.state, max(before.since, self._begins - KEPT)
        if after.since <= since or state is AgentState.OFFLINE:
            return
        quarters = self._quarters.setdefault(before.agent_id, {})
        while since < after.since:
            number = _quarter(since)
            until = min(after.since, _EPOCH + (number + 1) * QUARTER)
            _add(quarters.setdefault(number, [0, 0, 0, 0]), state, milliseconds(until - since))
            since = until
        if after.since > self._begins:
            ms = milliseconds(after.since - max(before.since, self._begins))
            _add(self._today.setdefault(before.agent_id, [0, 0, 0, 0]), state, ms)

    def of(self, agent_id: AgentId) -> Hours:
        """One agent's."""
        sums = self._today.get(agent_id)
        if sums is None:
            return NONE
        busy, ready, not_ready, wrap_up = (ms / 1000 for ms in sums)
        return Hours(busy=busy, ready=ready, not_ready=not_ready, wrap_up=wrap_up)


def _quarter(moment: datetime) -> int:
    return (moment - _EPOCH) // QUARTER


def _add(sums: Sums, state: AgentState, ms: int) -> None:
    amounts = amounts_of(state, ms)
    sums[0] += amounts["busy_ms"]
    sums[1] += amounts["ready_ms"]
    sums[2] += amounts["not_ready_ms"]
    sums[3] += ms if state is AgentState.WRAP_UP else 0
