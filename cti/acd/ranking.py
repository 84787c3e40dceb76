"""Who comes first: the keys callers and agents are sorted by.

The keys never change while a caller waits or an agent idles: `seconds waited + head start` grows at the same pace for
everyone, so sorting by `queued_at - head_start` sorts by score at every moment. That is what lets orders stay valid.
What does change with time (a ceiling is reached) changes at a known moment: `Books` puts the caller in anew then.

Moments in callers' keys are seconds since 1970: floats compare faster than datetimes, and keep a microsecond exactly.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from cti.ids import AgentId, CallId

CallerKey = tuple[int, float, float, CallId]
AgentKey = tuple[Any, ...]
"""(idle since, agent id), or with the strategy's own figure in front; less is better, and the last part is the id."""

RAISED = -1_000_000
"""First part of the key of a caller over the ceiling: before every strict tier."""

LEASE_MARGIN = timedelta(seconds=5)
"""A lease outlives the ring by this: Asterisk's own verdict should arrive first."""


def caller_key(queued_at: datetime, head_start: timedelta, call_id: CallId, strict: int = 0) -> CallerKey:
    """Sort key of a waiting caller: strict tier, then credited arrival, then true arrival, then the call's id."""
    return (-strict, (queued_at - head_start).timestamp(), queued_at.timestamp(), call_id)


def raised_key(queued_at: datetime, call_id: CallId) -> CallerKey:
    """Sort key of a caller over the ceiling: before everybody else, by true arrival."""
    arrived = queued_at.timestamp()
    return (RAISED, arrived, arrived, call_id)


def agent_key(idle_since: datetime, agent_id: AgentId) -> AgentKey:
    """Sort key of a free agent: longest idle first, then the agent's id."""
    return (idle_since, agent_id)
