"""Which segments a restart would still need: those with open calls, wrap-ups, and the last word on each agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cti.ids import AgentId, CallId
from cti.journal.codec import Position
from cti.journal.segments import Segment
from cti.model.facts import AgentChanged, CallAnswered, CallEnded, CallFact, Fact, WrapUpEnded

_WRAP_UP_PATIENCE = timedelta(hours=1)
"""A call that ended so long ago (by the newest fact) no longer waits for a wrap-up that nobody ended."""


@dataclass(slots=True, kw_only=True)
class _Call:
    ended: datetime | None = None
    answered: set[AgentId] = field(default_factory=set)
    wrapped: set[AgentId] = field(default_factory=set)


class Retention:
    """Learns from every durable fact, in order. Not thread-safe: whoever asks holds the lock of the segments."""

    def __init__(self) -> None:
        self._calls: dict[CallId, _Call] = {}
        self._agents: dict[AgentId, int] = {}
        """Position of the last word on each agent."""
        self._newest: datetime | None = None

    def note(self, segment: Segment, position: int, fact: Fact) -> None:
        """Remember what would make this segment needed after a restart."""
        if self._newest is None or fact.at > self._newest:
            self._newest = fact.at
        if isinstance(fact, AgentChanged):
            segment.agents.add(fact.agent_id)
            self._agents[fact.agent_id] = position
        elif isinstance(fact, CallFact):
            segment.calls.add(fact.call_id)
            call = self._calls.get(fact.call_id)
            if call is None:
                # A wrap-up whose call is forgotten already opens no call.
                call = self._calls[fact.call_id] = _Call(ended=fact.at if isinstance(fact, WrapUpEnded) else None)
            if isinstance(fact, CallEnded):
                call.ended = fact.at
            elif isinstance(fact, CallAnswered):
                call.answered.add(fact.agent_id)
            elif isinstance(fact, WrapUpEnded):
                call.wrapped.add(fact.agent_id)

    def unneeded(self, segments: Sequence[Segment], before: Position, *, history_bytes: int) -> list[Segment]:
        """Of `segments` (oldest first) those that lie wholly before `before` and that a restart does not need.

        The newest and the last `history_bytes` before it are always needed.
        """
        history = 0
        gone: list[Segment] = []
        for segment in segments[-2::-1]:
            if history >= history_bytes and segment.noted and segment.end <= before and not self._is_needed(segment):
                gone.append(segment)
            history += segment.length
        return gone

    def forget_calls_not_in(self, segments: Sequence[Segment]) -> None:
        """Let go of calls that no retained segment tells of."""
        remembered: set[CallId] = set().union(*(segment.calls for segment in segments))
        for call_id in self._calls.keys() - remembered:
            del self._calls[call_id]

    def _is_needed(self, segment: Segment) -> bool:
        return any(self._is_open(self._calls.get(call_id)) for call_id in segment.calls) or any(
            segment.first <= self._agents.get(agent, -1) < segment.end for agent in segment.agents
        )

    def _is_open(self, call: _Call | None) -> bool:
        if call is None:
            return False
        if call.ended is None:
            return True
        assert self._newest is not None
        return not call.answered <= call.wrapped and self._newest - call.ended < _WRAP_UP_PATIENCE
