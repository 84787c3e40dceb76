"""What comes due by the passing of time alone: ends of offers and pauses, and moments to look at a caller again.

Entries are never taken out before their time: whoever asks says which still stand. `soon` is the cheap question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any

from cti.ids import AgentId, CallId, OfferId

NEVER = datetime.max.replace(tzinfo=UTC)


class Agenda:
    """Three heaps by time."""

    __slots__ = ("_deadlines", "_moments", "_pauses", "soon")

    def __init__(self) -> None:
        self._deadlines: list[tuple[datetime, OfferId]] = []
        self._pauses: list[tuple[datetime, CallId, AgentId]] = []
        self._moments: list[tuple[datetime, CallId]] = []
        self.soon = NEVER
        """Nothing is due before; what is due then may have lapsed."""

    def offer_ends(self, deadline: datetime, offer_id: OfferId) -> None:
        """The offer is to be taken back then."""
        heappush(self._deadlines, (deadline, offer_id))
        if deadline < self.soon:
            self.soon = deadline

    def pause_ends(self, until: datetime, call_id: CallId, agent_id: AgentId) -> None:
        """The agent may be offered the call again from then on."""
        heappush(self._pauses, (until, call_id, agent_id))
        self.soon = min(self.soon, until)

    def look_again(self, due: datetime, call_id: CallId) -> None:
        """Waiting alone changes something for the call then."""
        heappush(self._moments, (due, call_id))
        self.soon = min(self.soon, due)

    def deadlines(self, now: datetime) -> Iterator[tuple[datetime, OfferId]]:
        """Those that have come, taken out, earliest first."""
        while self._deadlines and self._deadlines[0][0] <= now:
            yield heappop(self._deadlines)

    def pauses(self, now: datetime) -> Iterator[tuple[datetime, CallId, AgentId]]:
        """Those that are over, taken out."""
        while self._pauses and self._pauses[0][0] <= now:
            yield heappop(self._pauses)

    def moments(self, now: datetime) -> Iterator[tuple[datetime, CallId]]:
        """Those that have come, taken out."""
        while self._moments and self._moments[0][0] <= now:
            yield heappop(self._moments)

    def earliest(self, *stands: Callable[..., bool]) -> datetime | None:
        """When the first entry is due that stands: `stands` are asked of a deadline, a pause, a moment."""
        heaps: tuple[list[Any], ...] = (self._deadlines, self._pauses, self._moments)
        lapsed = False
        for heap, still in zip(heaps, stands, strict=True):
            while heap and not still(*heap[0]):
                heappop(heap)
                lapsed = True
        if lapsed:
            self.all_taken()
        return None if self.soon is NEVER else self.soon

    def all_taken(self) -> None:
        """Everything due was taken out."""
        heaps: tuple[list[Any], ...] = (self._deadlines, self._pauses, self._moments)
        self.soon = min((heap[0][0] for heap in heaps if heap), default=NEVER)
