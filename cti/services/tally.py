"""Today's figures per queue and agent, each from the closed calls' records: the same fold the reports use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from cti.ids import AgentId, CallId, QueueName
from cti.model.centre import Centre
from cti.model.facts import CallCameBack, CallFact, CallTransferred, ConsultStarted, Fact, Outcome
from cti.reports.call_record import CallRecord, Leg, fold, legs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDay:
    """One queue's calls of today."""

    answered: int
    abandoned: int
    in_time: int

    @property
    def service_level(self) -> float | None:
        """Answered in time over answered + abandoned; short abandons left out; None without calls."""
        offered = self.answered + self.abandoned
        return self.in_time / offered if offered else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDay:
    """One agent's calls of today."""

    calls: int
    talk_seconds: float


class Tally:
    """Closed calls of the centre's present day, by call id: adding a call twice changes nothing."""

    def __init__(self, centre: Centre, *, closed: Callable[[Outcome | None], None] = lambda _outcome: None) -> None:
        self._centre = centre
        self.closed = closed
        """Told of each call that ends now (not of those read back)."""
        self.short_abandon = {name: queue.short_abandon for name, queue in centre.queues.items()}
        """The wait, by queue, within which hanging up is a short abandon."""
        self._zone = ZoneInfo(centre.time_zone)
        self._day: date | None = None
        self._records: dict[CallId, CallRecord] = {}
        self._legs: dict[CallId, tuple[Leg, ...]] = {}
        """Of calls that more than one agent may have talked in."""
        self._queues: dict[str, list[int]] = {}
        self._agents: dict[str, list[float]] = {}

    def use(self, centre: Centre) -> None:
        """From now on this is the centre. Calls counted already stay counted as they were."""
        self._centre = centre
        # What is stored of a queue that is gone is still folded by its own limit.
        self.short_abandon |= {name: queue.short_abandon for name, queue in centre.queues.items()}
        self._zone = ZoneInfo(centre.time_zone)

    def close(self, facts: Sequence[Fact]) -> None:
        """A call has ended; these are its facts."""
        told = [fact for fact in facts if isinstance(fact, CallFact)]
        record = fold(told, short_abandon=self.short_abandon)
        if any(isinstance(fact, CallTransferred | ConsultStarted | CallCameBack) for fact in told):
            self._legs[record.call_id] = legs_of(told)
        self.add(record)
        self.closed(record.outcome)

    def add(self, record: CallRecord) -> None:
        """Count a closed call (again: no change)."""
        if record.ended_at is None or record.call_id in self._records:
            return
        self._records[record.call_id] = record
        self._count(record)

    def _count(self, record: CallRecord) -> None:
        if record.queue is not None:
            counts = self._queues.setdefault(record.queue, [0, 0, 0])
            limit = self._centre.queues[record.queue].service_level if record.queue in self._centre.queues else None
            if record.outcome is Outcome.ANSWERED:
                counts[0] += 1
                if limit is not None and (record.wait_seconds or 0.0) <= limit.total_seconds():
                    counts[2] += 1
            elif record.outcome is Outcome.ABANDONED and record.queued_at is not None:
                counts[1] += 1
        if record.agent is not None and record.outcome is Outcome.ANSWERED:
            # A row read back knows only who talked first, and the whole talk.
            parts = [(leg.agent, leg.talk_seconds) for leg in self._legs.get(record.call_id, ())] or [
                (record.agent, record.talk_seconds or 0.0)
            ]
            for agent, seconds in parts:
                own = self._agents.setdefault(agent, [0.0, 0.0])
                own[0] += 1
                own[1] += seconds

    def roll(self, now: datetime) -> bool:
        """Forget the calls of earlier days; True when a new day began."""
        today = now.astimezone(self._zone).date()
        if today == self._day:
            return False
        self._day = today
        kept = [
            record
            for record in self._records.values()
            if record.ended_at is not None and record.ended_at.astimezone(self._zone).date() == today
        ]
        self._records, self._queues, self._agents = {}, {}, {}
        self._legs = {record.call_id: self._legs[record.call_id] for record in kept if record.call_id in self._legs}
        for record in kept:
            self.add(record)
        return True

    def queue(self, queue: QueueName) -> QueueDay:
        """One queue today."""
        answered, abandoned, in_time = self._queues.get(queue, (0, 0, 0))
        return QueueDay(answered=answered, abandoned=abandoned, in_time=in_time)

    def agent(self, agent_id: AgentId) -> AgentDay:
        """One agent today."""
        calls, talk = self._agents.get(agent_id, (0.0, 0.0))
        return AgentDay(calls=int(calls), talk_seconds=round(talk, 3))
