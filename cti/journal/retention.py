"""Which segments a restart would still need: those with open calls, wrap-ups, and the last word on each agent, each agent's
re-assignment, each queue that was forced open or closed, each emergency, and what dialling out cost since it was summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cti.ids import AgentId, CallId
from cti.journal.codec import Position
from cti.journal.segments import Segment
from cti.model.facts import AgentChanged, AgentState, CallAnswered, CallEnded, CallFact, Fact, WrapUpEnded
from cti.model.supervision_facts import AgentReassigned, EmergencySet, QueueForced
from cti.model.toll_facts import TollFact, TollsKept

_WRAP_UP_PATIENCE = timedelta(hours=1)
"""A call that ended so long ago (by the newest fact) no longer waits for a wrap-up that nobody ended."""


@dataclass(slots=True, kw_only=True)
class _Call:
    ended: datetime | None = None
    answered: frozenset[AgentId] = frozenset()
    """Most calls have none or one: what is empty is shared, for there are as many of these as calls in the journal."""
    wrapped: frozenset[AgentId] = frozenset()


class Retention:
    """Learns from every durable fact, in order. Not thread-safe: whoever asks holds the lock of the segments."""

    def __init__(self) -> None:
        self._calls: dict[CallId, _Call] = {}
        self._last: dict[tuple[str, str], int] = {}
        """What a word is on -> position of the last one. A word that takes back counts too: an earlier one may be retained for
        another reason, and must not come back without it."""
        self._shifts: set[AgentId] = set()
        """Agents whose re-assignment ends when they go offline."""
        self._newest: datetime | None = None
        self._tolls = -1
        """Position of the newest whole summary of what dialling out costs, its first part: all facts on that from here on are
        needed."""
        self._parts: tuple[int, int] = (-1, 0)
        """Position of the first part of the newest summary, and how many of its parts followed each other."""

    def note(self, segment: Segment, position: int, fact: Fact) -> None:
        """Remember what would make this segment needed after a restart."""
        if self._newest is None or fact.at > self._newest:
            self._newest = fact.at
        for word in self._words(fact):
            segment.words.add(word)
            self._last[word] = position
        if isinstance(fact, TollsKept):
            self._summed_up(position, fact)
        if isinstance(fact, TollFact | TollsKept):
            segment.tolls = position
        if isinstance(fact, CallFact):
            segment.calls.add(fact.call_id)
            call = self._calls.get(fact.call_id)
            if call is None:
                # A wrap-up whose call is forgotten already opens no call.
                call = self._calls[fact.call_id] = _Call(ended=fact.at if isinstance(fact, WrapUpEnded) else None)
            if isinstance(fact, CallEnded):
                call.ended = fact.at
            elif isinstance(fact, CallAnswered):
                call.answered |= {fact.agent_id}
            elif isinstance(fact, WrapUpEnded):
                call.wrapped |= {fact.agent_id}

    def _summed_up(self, position: int, fact: TollsKept) -> None:
        first, parts = self._parts
        if fact.part == 1:
            self._parts = (position, 1)
        else:
            self._parts = (first, parts + 1) if parts and fact.part == parts + 1 else (-1, 0)
        if self._parts[1] == fact.of:
            self._tolls = self._parts[0]

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
        if segment.tolls >= max(self._tolls, 0):
            return True
        return any(self._is_open(self._calls.get(call_id)) for call_id in segment.calls) or any(
            segment.first <= self._last.get(word, -1) < segment.end for word in segment.words
        )

    def _words(self, fact: Fact) -> tuple[tuple[str, str], ...]:
        """What this fact is a word on."""
        match fact:
            case AgentChanged():
                words = [("agent", str(fact.agent_id))]
                if fact.state is AgentState.OFFLINE and fact.agent_id in self._shifts:
                    # It is the word that ends the re-assignment, and later ones on the agent's state do not say so.
                    self._shifts.discard(fact.agent_id)
                    words.append(("reassigned", str(fact.agent_id)))
                return tuple(words)
            case AgentReassigned():
                there = fact.queues is not None or fact.skills is not None
                (self._shifts.add if fact.shift and there else self._shifts.discard)(fact.agent_id)
                return (("reassigned", str(fact.agent_id)),)
            case QueueForced():
                return (("forced", str(fact.queue)),)
            case EmergencySet():
                return (("emergency", str(fact.queue or "")),)  # no queue has an empty name: it is the centre's
            case _:
                return ()

    def _is_open(self, call: _Call | None) -> bool:
        if call is None:
            return False
        if call.ended is None:
            return True
        assert self._newest is not None
        return not call.answered <= call.wrapped and self._newest - call.ended < _WRAP_UP_PATIENCE
