"""Today's figures of the centre, its queues and its agents, each from the closed calls' records: the fold the reports use.

What is "now" or "this hour" is kept in minutes, so that leaving them costs nothing until a minute is over: `passed` then
says whose figures the passing of time has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cti.ids import AgentId, CallId, QueueName
from cti.model.agent import AgentStatus
from cti.model.centre import Centre
from cti.model.facts import (
    CallCameBack,
    CallFact,
    CallTransferred,
    ConsultStarted,
    Direction,
    Fact,
    Outcome,
    SurveyAnswered,
)
from cti.reports.call_record import CallRecord, Leg, fold, legs_of
from cti.services.agent_hours import AgentHours, Hours
from cti.services.day_series import Counts, HalfHours, share

NOW_MINUTES = 30
"""What "now" means for a service level."""
HOUR_MINUTES = 60
SATISFIED = 4
"""Least score of an answer that says satisfied."""
RECOMMENDS = ("nps", "recommend")
"""Questions whose names begin so are asked on another scale, and say nothing of satisfaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDay:
    """One queue's calls of today. Shares are 0-1, None without calls."""

    answered: int
    abandoned: int
    in_time: int
    short: int = 0
    """Hung up within the short-abandon limit."""
    elsewhere: int = 0
    """Left for voicemail, a callback or another way."""
    offered_now: int = 0
    """Answered and abandoned in the last 30 minutes."""
    service_level_now: float | None = None
    service_level_hour: float | None = None

    @property
    def service_level(self) -> float | None:
        """Answered in time over answered + abandoned; short abandons left out; None without calls."""
        return share(self.in_time, self.answered + self.abandoned)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDay:
    """One agent's calls of today."""

    calls: int
    talk_seconds: float
    hold_seconds: float = 0.0


@dataclass(slots=True)
class _Queue:
    day: Counts = field(default_factory=Counts)
    minutes: dict[int, list[int]] = field(default_factory=dict)
    """Minute since 1970 -> [offered, in time]; those of the last hour."""

    def window(self, minute: int, length: int) -> tuple[int, int]:
        offered = in_time = 0
        for at, (all_of_it, good) in self.minutes.items():
            if at > minute - length:
                offered, in_time = offered + all_of_it, in_time + good
        return offered, in_time

    def forget(self, minute: int) -> bool:
        """Whether the figures of now or of the hour are others in this minute than in the one before."""
        left = {at for at in self.minutes if at <= minute - HOUR_MINUTES}
        for at in left:
            del self.minutes[at]
        return bool(left) or minute - NOW_MINUTES in self.minutes


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // 60)


class Tally:
    """Closed calls of the centre's present day, by call id: adding a call twice changes nothing."""

    def __init__(
        self, centre: Centre, now: datetime, *, closed: Callable[[Outcome | None], None] = lambda _outcome: None
    ) -> None:
        self._centre = centre
        self.closed = closed
        """Told of each call that ends now (not of those read back)."""
        self.short_abandon = {name: queue.short_abandon for name, queue in centre.queues.items()}
        """The wait, by queue, within which hanging up is a short abandon."""
        self._zone = ZoneInfo(centre.time_zone)
        self._records: dict[CallId, CallRecord] = {}
        self._legs: dict[CallId, tuple[Leg, ...]] = {}
        """Of calls that more than one agent may have talked in."""
        self._scores: dict[CallId, tuple[int, int]] = {}
        """Answers to surveys, and satisfied ones, of calls that have any."""
        self._complaints: tuple[datetime, ...] = ()
        self._queues: dict[str, _Queue] = {}
        self._agents: dict[str, list[float]] = {}
        self._minute = _minute(now)
        self.begins = self._midnight(now)
        """Of the present day."""
        self.total = Counts()
        """All calls of today."""
        self.series = HalfHours(self.begins)
        self._hours = AgentHours(self.begins)

    def _midnight(self, now: datetime) -> datetime:
        return now.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)

    def use(self, centre: Centre) -> None:
        """From now on this is the centre. Calls counted already stay counted as they were."""
        self._centre = centre
        # What is stored of a queue that is gone is still folded by its own limit.
        self.short_abandon |= {name: queue.short_abandon for name, queue in centre.queues.items()}
        self._zone = ZoneInfo(centre.time_zone)

    # -- what is counted -----------------------------------------------------------------------------------------

    def close(self, facts: Sequence[Fact]) -> None:
        """A call has ended; these are its facts."""
        told = [fact for fact in facts if isinstance(fact, CallFact)]
        record = fold(told, short_abandon=self.short_abandon)
        if any(isinstance(fact, CallTransferred | ConsultStarted | CallCameBack) for fact in told):
            self._legs[record.call_id] = legs_of(told)
        scores = {
            fact.question: fact.score
            for fact in told
            if isinstance(fact, SurveyAnswered) and not fact.question.startswith(RECOMMENDS)
        }
        if scores:
            self._scores[record.call_id] = (len(scores), sum(score >= SATISFIED for score in scores.values()))
        self.add(record)
        self.closed(record.outcome)

    def add(self, record: CallRecord) -> None:
        """Count a closed call (again: no change)."""
        if record.ended_at is None or record.ended_at < self.begins or record.call_id in self._records:
            return
        self._records[record.call_id] = record
        self._count(record, record.ended_at)

    def moved(self, before: AgentStatus, after: AgentStatus) -> None:
        """An agent's state may have changed."""
        self._hours.moved(before, after)

    def complained(self, moments: Iterable[datetime]) -> bool:
        """When complaints were registered today, all of them; whether that is news."""
        told = tuple(sorted(moments))
        if told == self._complaints:
            return False
        for sign, known in ((-1, self._complaints), (1, told)):
            for moment in known:
                self.series.at(moment).complaints += sign
                self.total.complaints += sign
        self._complaints = told
        return True

    def _count(self, record: CallRecord, ended: datetime) -> None:
        one, outcome = Counts(), record.outcome
        wait = record.wait_seconds or 0.0
        inbound = record.direction is Direction.INBOUND
        one.calls = int(inbound)
        one.asked = int(record.queued_at is not None or (inbound and outcome is Outcome.ANSWERED))
        if record.queue is not None:
            queue = self._queues.setdefault(record.queue, _Queue())
            limit = self._centre.queues[record.queue].service_level if record.queue in self._centre.queues else None
            if outcome is Outcome.ANSWERED:
                one.answered = 1
                one.in_time = int(limit is not None and wait <= limit.total_seconds())
            elif outcome is Outcome.ABANDONED and record.queued_at is not None:
                one.abandoned = 1
            elif outcome is Outcome.SHORT_ABANDON:
                one.short = 1
            one.longest = wait if record.queued_at is not None else 0.0
            queue.day.add(one)
            if one.offered:
                minute = queue.minutes.setdefault(_minute(ended), [0, 0])
                minute[0] += 1
                minute[1] += one.in_time
        elif outcome is Outcome.ANSWERED and one.calls:
            one.answered = 1
        one.rated, one.satisfied = self._scores.get(record.call_id, (0, 0))
        self.total.add(one)
        self.series.at(ended).add(one)
        if record.agent is not None and outcome is Outcome.ANSWERED:
            # A row read back knows only who talked first, and the whole talk.
            parts = [(leg.agent, leg.talk_seconds, leg.hold_seconds) for leg in self._legs.get(record.call_id, ())] or [
                (record.agent, record.talk_seconds or 0.0, record.hold_seconds or 0.0)
            ]
            for agent, talk, hold in parts:
                own = self._agents.setdefault(agent, [0.0, 0.0, 0.0])
                for place, more in enumerate((1, talk, hold)):
                    own[place] += more

    # -- time ----------------------------------------------------------------------------------------------------

    def next_due(self) -> datetime | None:
        """When `passed` may have something to say."""
        if not any(queue.minutes for queue in self._queues.values()):
            return None
        return datetime.fromtimestamp((self._minute + 1) * 60, self._zone)

    def passed(self, now: datetime) -> list[QueueName]:
        """Queues whose figures of now and of the hour changed because a minute is over."""
        minute = _minute(now)
        if minute <= self._minute:
            return []
        # More than one may have passed: then whatever has minutes is looked at anew.
        leap, self._minute = minute - self._minute > 1, minute
        return [QueueName(name) for name, queue in self._queues.items() if queue.forget(minute) or leap]

    def roll(self, now: datetime) -> bool:
        """Forget the calls of earlier days; True when a new day began."""
        begins = self._midnight(now)
        if begins == self.begins:
            return False
        self.begins, self._minute = begins, _minute(now)
        kept = list(self._records.values())
        self._records, self._queues, self._agents = {}, {}, {}
        self.total, self.series = Counts(), HalfHours(begins)
        self._hours.begin(begins)
        complaints, self._complaints = self._complaints, ()
        self.complained(moment for moment in complaints if moment >= begins)
        for record in kept:
            self.add(record)
        self._legs = {call_id: legs for call_id, legs in self._legs.items() if call_id in self._records}
        self._scores = {call_id: scores for call_id, scores in self._scores.items() if call_id in self._records}
        return True

    # -- what came of it -----------------------------------------------------------------------------------------

    def queue(self, queue: QueueName) -> QueueDay:
        """One queue today."""
        known = self._queues.get(queue) or _Queue()
        day = known.day
        offered, good = known.window(self._minute, NOW_MINUTES)
        hour, good_hour = known.window(self._minute, HOUR_MINUTES)
        return QueueDay(
            answered=day.answered,
            abandoned=day.abandoned,
            in_time=day.in_time,
            short=day.short,
            elsewhere=max(0, day.asked - day.answered - day.abandoned - day.short),
            offered_now=offered,
            service_level_now=share(good, offered),
            service_level_hour=share(good_hour, hour),
        )

    def agent(self, agent_id: AgentId) -> AgentDay:
        """One agent today."""
        calls, talk, hold = self._agents.get(agent_id, (0.0, 0.0, 0.0))
        return AgentDay(calls=int(calls), talk_seconds=round(talk, 3), hold_seconds=round(hold, 3))

    def hours(self, agent_id: AgentId) -> Hours:
        """How one agent has spent today so far."""
        return self._hours.of(agent_id)
