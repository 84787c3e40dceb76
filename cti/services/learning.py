"""What the floor's facts teach about queues: handling times, patience, arrivals, and what came of promised waits.

A fold over facts, live and on replay alike, so a restarted bridge knows what its journal remembers.
"""

from __future__ import annotations

from datetime import datetime

from cti.acd.estimates import Estimates, ExpectedWait
from cti.ids import AgentId, CallId, QueueName
from cti.model import facts as f
from cti.model.call import Call, CallState

_WAITS = (CallState.WAITING, CallState.OFFERED)


class Learning:
    """Feeds `estimates` from facts."""

    def __init__(self) -> None:
        self.estimates = Estimates()
        self._busy: dict[AgentId, tuple[CallId, QueueName, datetime]] = {}
        """Agents with a call of a queue, since when."""
        self._promises: dict[CallId, tuple[ExpectedWait, datetime]] = {}
        """The first promise of each ticket, and when it was made."""

    def learn(self, fact: f.Fact, call: Call | None) -> None:
        """Take one fact in. `call` is the call it is about as it was before the fact."""
        match fact:
            case f.CallQueued():
                self._left(call, fact.at, abandoned=False)  # moved here from another queue
            case f.WaitPromised():
                # A caller nobody is before is promised nothing that could be right or wrong.
                if fact.mean > 0:
                    wait = ExpectedWait(low=fact.low, mean=fact.mean, high=fact.high)
                    self._promises.setdefault(fact.call_id, (wait, fact.at))
            case f.CallAnswered():
                self._answered(fact, call)
            case f.WrapUpEnded():
                call_id, queue, since = self._busy.pop(fact.agent_id, (None, None, fact.at))
                if queue is not None and call_id == fact.call_id:
                    self.estimates.handled(queue, (fact.at - since).total_seconds())
            case f.CallEnded():
                self._left(call, fact.at, abandoned=True)
            case f.SurvivalEntered() | f.CallDequeued():
                # Not given up, only seen no longer.
                self._left(call, fact.at, abandoned=False)

    def _answered(self, fact: f.CallAnswered, call: Call | None) -> None:
        if call is None or call.queue is None:
            return
        known = self._promises.get(call.call_id)
        if known is not None and call.state in _WAITS:
            promise, made_at = known
            self.estimates.settled(call.queue, promise, max(0.0, (fact.at - made_at).total_seconds()))
        self._left(call, fact.at, abandoned=False)
        self._busy[fact.agent_id] = (call.call_id, call.queue, fact.at)

    def _left(self, call: Call | None, at: datetime, *, abandoned: bool) -> None:
        if call is None or call.parent is not None:
            return  # who waits at home for a call says nothing about patience on the line
        self._promises.pop(call.call_id, None)
        if call.state in _WAITS and call.queue is not None and call.joined_at is not None:
            self.estimates.left(call.queue, (at - call.joined_at).total_seconds(), abandoned=abandoned)
