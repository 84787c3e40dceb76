"""Which waiting calls are to be looked at, and when: those whose time has come, and those whose queue's people changed.

Only remembers; what a look finds is `cti.services.departures`'. The switchboard tells it of every fact and every input of
the engine, so after a restart the same facts give the same looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from heapq import heappop, heappush

from cti.acd.inputs import AcdInput, CallerJoined, CallerLeft, CallerNotReady, CallerReady
from cti.ids import CallId, QueueName
from cti.model import facts as f
from cti.model.call import Call, CallState


class Looks:
    """Moments at which waiting calls are looked at, one a call."""

    def __init__(self) -> None:
        self._moments: dict[CallId, datetime] = {}
        self._heap: list[tuple[datetime, CallId]] = []
        self._there: set[CallId] = set()
        self.queues: dict[QueueName, None] = {}
        """Queues whose callers are all to be looked at: their agents changed, or their rules."""
        self.edges: dict[str, datetime | None] = {}
        """When each calendar opens or closes next."""

    def fact(self, fact: f.CallFact, call: Call) -> None:
        """A fact about a call was taken in; `call` is the call after it."""
        if call.state is CallState.WAITING:
            if isinstance(fact, f.CallQueued | f.OfferEnded):
                self.at(call.call_id, fact.at)
        elif call.state is not CallState.OFFERED:
            self._moments.pop(call.call_id, None)

    def heard(self, event: AcdInput, now: datetime) -> None:
        """The engine is told something: this one knows by it which callers can be sent anywhere."""
        match event:
            case CallerReady():
                if event.call_id not in self._there:
                    self.come(event.call_id)
                    self.at(event.call_id, now)
            case CallerJoined(deliverable=True):
                self._there.add(event.call_id)
            case CallerJoined() | CallerNotReady() | CallerLeft():
                self._there.discard(event.call_id)

    def come(self, call_id: CallId) -> None:
        """The caller is in the wait context."""
        self._there.add(call_id)

    def staff(self, queues: Iterable[QueueName]) -> None:
        """The state of an agent of these queues changed."""
        self.queues.update(dict.fromkeys(queues))

    def is_there(self, call_id: CallId) -> bool:
        """Whether the caller is known to be in the wait context: only then a command finds them where it thinks."""
        return call_id in self._there

    def at(self, call_id: CallId, moment: datetime) -> None:
        """Look at the call then, not at another moment."""
        self._moments[call_id] = moment
        heappush(self._heap, (moment, call_id))

    def next(self) -> datetime | None:
        """The next moment, which may be over; None: nothing is to be looked at by time alone."""
        while self._heap and self._moments.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: datetime) -> list[CallId]:
        """The calls whose moment has come, the eldest moment first; they are forgotten until somebody sets the next one."""
        found: list[CallId] = []
        while (moment := self.next()) is not None and moment <= now:
            call_id = heappop(self._heap)[1]
            del self._moments[call_id]
            found.append(call_id)
        return found
