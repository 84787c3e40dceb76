"""Who comes first: the keys callers and agents are sorted by, and who may serve whom.

The keys never change while a caller waits or an agent idles: `seconds waited + head start` grows at the same pace for
everyone, so sorting by `queued_at - head_start` sorts by score at every moment. That is what lets heaps stay valid.
What does change with time (a ceiling is reached) changes at a known moment: `Books` puts the caller in anew then.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cti.ids import AgentId, CallId

CallerKey = tuple[int, datetime, datetime, CallId]
AgentKey = tuple[Any, ...]
"""(idle since, agent id), or with the strategy's own figure in front; less is better, and the last part is the id."""
Requirement = tuple[tuple[str, int], ...]
"""(skill, least proficiency) pairs, sorted by skill, one a skill."""

RAISED = -1_000_000
"""First part of the key of a caller over the ceiling: before every strict tier."""

LEASE_MARGIN = timedelta(seconds=5)
"""A lease outlives the ring by this: Asterisk's own verdict should arrive first."""


def caller_key(queued_at: datetime, head_start: timedelta, call_id: CallId, strict: int = 0) -> CallerKey:
    """Sort key of a waiting caller: strict tier, then credited arrival, then true arrival, then the call's id."""
    return (-strict, queued_at - head_start, queued_at, call_id)


def raised_key(queued_at: datetime, call_id: CallId) -> CallerKey:
    """Sort key of a caller over the ceiling: before everybody else, by true arrival."""
    return (RAISED, queued_at, queued_at, call_id)


def agent_key(idle_since: datetime, agent_id: AgentId) -> AgentKey:
    """Sort key of a free agent: longest idle first, then the agent's id."""
    return (idle_since, agent_id)


def requirement(of_queue: Mapping[str, int], of_call: tuple[tuple[str, int], ...]) -> Requirement:
    """The queue's and the call's required skills together; the higher level counts."""
    needed = dict(of_queue)
    for skill, level in of_call:
        needed[skill] = max(level, needed.get(skill, level))
    return tuple(sorted(needed.items()))


def relaxed(needed: Requirement, step: Mapping[str, int]) -> Requirement:
    """What is still needed when no more than the step's levels is asked for; level 0: not at all."""
    lower = ((skill, min(level, step.get(skill, level))) for skill, level in needed)
    return tuple((skill, level) for skill, level in lower if level > 0)


def meets(skills: Mapping[str, int], needed: Requirement) -> bool:
    """Whether an agent with `skills` has every needed skill at the needed level."""
    return all(skills.get(skill, 0) >= level for skill, level in needed)
