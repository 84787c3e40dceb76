"""Today's figures of the centre, its queues and its agents: sums over the rows that a report counts, of the calls that have ended.

`cti.reports.counting` makes the rows of a call, `cti.reports.metrics` says what is a figure of them; here they are only added
up, so that today on the pages is today in a report. What belongs to another day counts in that day: of a call that came
before midnight only what happened after it.

What is "now" or "this hour" is kept in minutes, so that leaving them costs nothing until a minute is over: `passed` then
says whose figures the passing of time has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cti.ids import AgentId, CallId, QueueName
from cti.model.agent import AgentStatus
from cti.model.centre import Centre
from cti.model.facts import Fact, Outcome
from cti.reports.counted import Counted, QueueRules
from cti.reports.counting import count
from cti.reports.metric import Grain
from cti.reports.rules import rules_of
from cti.reports.slots import day_start
from cti.services.agent_hours import AgentHours, Hours
from cti.services.day_series import Counts, HalfHours, share
from cti.services.queue_days import QueueDays

NOW_MINUTES = 30
"""What "now" means for a service level."""
HOUR_MINUTES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDay:
    """One queue's stays of today, of calls that have ended. Shares are 0-1, None without calls."""

    answered: int
    abandoned: int
    in_time: int
    short: int
    """Hung up within the short-abandon limit."""
    elsewhere: int
    """Left for voicemail, another queue, a flow, a number."""
    turned_away: int
    """Could not join."""
    service_level: float | None
    offered_now: int
    """What `service_level_now` is a share of: of calls that ended in the last 30 minutes."""
    service_level_now: float | None
    service_level_hour: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDay:
    """One agent's parts in calls of today that have ended."""

    calls: int
    talk_seconds: float
    hold_seconds: float = 0.0


@dataclass(slots=True)
class _Queue:
    day: Counts = field(default_factory=Counts)
    minutes: dict[int, list[int]] = field(default_factory=dict)
    """Minute since 1970 in which calls ended -> [what the service level is a share of, in time]; those of the last hour."""

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


def _ended(rows: Sequence[Counted]) -> datetime:
    return max(row.until or row.at for row in rows)


class Tally:
    """Calls that have ended, as the centre's present day has them, by call id: adding a call twice changes nothing."""

    def __init__(
        self, centre: Centre, now: datetime, *, closed: Callable[[Outcome | None], None] = lambda _outcome: None
    ) -> None:
        self.closed = closed
        """Told of each call that ends now (not of those read back)."""
        self._rules: dict[QueueName, list[tuple[datetime, QueueRules]]] = {
            queue: [(datetime.min.replace(tzinfo=UTC), rules)] for queue, rules in rules_of(centre).items()
        }
        """By what each queue's stays are judged, and since when."""
        self._zone = ZoneInfo(centre.time_zone)
        self._calls: set[CallId] = set()
        self._fresh: dict[CallId, tuple[Counted, ...]] | None = {}
        """Rows of calls of today that ended before the reports were asked; None: they have been."""
        self._early: list[Counted] = []
        """Of a day that has not begun here yet."""
        self._complaints: tuple[datetime, ...] = ()
        self._minute = _minute(now)
        self._day_zone = self._zone
        """By whose clock the present day is one."""
        self.begins = self._midnight(now)
        """Of the present day."""
        self._ends = self._midnight(self.begins + timedelta(hours=36))
        self._queues: dict[str, _Queue] = {}
        self._agents: dict[str, Counts] = {}
        self.total = Counts()
        """All calls of today."""
        self.series = HalfHours(self.begins)
        self.by_queue = QueueDays(self.begins)
        self._hours = AgentHours(self.begins)

    def _midnight(self, now: datetime) -> datetime:
        return day_start(now.astimezone(self._zone).date(), self._zone)

    def use(self, centre: Centre, now: datetime) -> None:
        """From now on this is the centre. Stays that began before are judged as they were."""
        for queue, rules in rules_of(centre).items():
            known = self._rules.setdefault(queue, [(datetime.min.replace(tzinfo=UTC), rules)])
            if known[-1][1] != rules:
                known.append((now, rules))
        self._zone = ZoneInfo(centre.time_zone)

    def ruled_since(self) -> dict[QueueName, datetime]:
        """Since when each queue's stays are judged as they are now; without those that were always judged so."""
        return {queue: known[-1][0] for queue, known in self._rules.items() if len(known) > 1}

    def _rules_at(self, queue: QueueName, at: datetime) -> QueueRules:
        known = self._rules.get(queue)
        return (
            QueueRules() if not known else next((rules for since, rules in reversed(known) if since <= at), known[0][1])
        )

    # -- what is counted -----------------------------------------------------------------------------------------

    def close(self, facts: Sequence[Fact]) -> None:
        """A call has ended; these are its facts."""
        counted = count(facts, self._rules_at)
        if counted.record.call_id not in self._calls:
            self._take(counted.record.call_id, counted.rows)
            if self._fresh is not None:
                self._fresh[counted.record.call_id] = counted.rows
        self.closed(counted.record.outcome)

    @property
    def asks(self) -> bool:
        """Whether it has still to be told what the reports have of today: since the start, since a change of the clock."""
        return self._fresh is not None

    def remember(self, rows: Iterable[Counted], *, last: bool = True) -> None:
        """What the reports have of today: this is what counts, with the calls they do not have yet. After the last time
        calls are only added."""
        if self._fresh is None:
            return
        known: dict[CallId, list[Counted]] = {}
        for row in rows:
            known.setdefault(row.call_id, []).append(row)
        fresh = self._fresh
        if last:
            self._fresh = None
        self._anew()
        for call_id, of_call in known.items():
            self._take(call_id, of_call)
        for call_id, told in fresh.items():
            if call_id not in known:
                self._take(call_id, told)

    def _take(self, call_id: CallId, rows: Sequence[Counted]) -> None:
        self._calls.add(call_id)
        ended = _ended(rows)
        for row in rows:
            if row.at >= self._ends:
                self._early.append(row)
            elif row.at >= self.begins:
                self._count(row)
            if row.grain is Grain.VISITS and row.queue is not None and row.amounts.get("level_base"):
                minutes = self._queues.setdefault(row.queue, _Queue()).minutes
                if (minute := _minute(ended)) > self._minute - HOUR_MINUTES:
                    window = minutes.setdefault(minute, [0, 0])
                    window[0] += row.amounts["level_base"]
                    window[1] += row.amounts.get("in_time", 0)

    def _count(self, row: Counted) -> None:
        self.total.add(row)
        self.series.at(row.at).add(row)
        self.by_queue.add(row)
        if row.grain is Grain.VISITS and row.queue is not None:
            self._queues.setdefault(row.queue, _Queue()).day.add(row)
        elif row.grain is Grain.TALKS and row.agent is not None:
            self._agents.setdefault(row.agent, Counts()).add(row)

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
                self._complaint(moment, sign)
        self._complaints = told
        return True

    def _complaint(self, moment: datetime, sign: int = 1) -> None:
        row = Counted(
            grain=Grain.COMPLAINTS, call_id=CallId(""), number=0, at=moment, queue=None, agent=None, tier=None, did=None,
            direction="", outcome=None, flow_version=None, amounts={"complaints": 1},
        )  # fmt: skip
        self.total.add(row, sign)
        self.series.at(moment).add(row, sign)

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
        """Forget what is of earlier days; True when a new day began."""
        begins = self._midnight(now)
        if begins == self.begins:
            return False
        self.begins, self._minute = begins, _minute(now)
        self._ends = self._midnight(begins + timedelta(hours=36))
        if self._zone != self._day_zone:
            # Much of the day that it is now may have been counted already, as the end of another one.
            self._day_zone, self._fresh = self._zone, self._fresh or {}
        if self._fresh:
            kept_from = begins - timedelta(minutes=HOUR_MINUTES)
            self._fresh = {call_id: rows for call_id, rows in self._fresh.items() if _ended(rows) >= kept_from}
        minutes = {name: queue.minutes for name, queue in self._queues.items() if queue.minutes}
        early = self._early
        self._anew()
        for name, kept in minutes.items():
            self._queues.setdefault(name, _Queue()).minutes = kept
        self._hours.begin(begins)
        for row in early:
            if row.at >= self._ends:
                self._early.append(row)
            elif row.at >= begins:
                self._count(row)
        return True

    def _anew(self) -> None:
        """Nothing is counted of the calls of today."""
        self._calls, self._queues, self._agents, self._early = set(), {}, {}, []
        version = self.series.version
        self.total, self.series = Counts(), HalfHours(self.begins, version=version + 1)
        self.by_queue = QueueDays(self.begins)
        complaints, self._complaints = self._complaints, ()
        self.complained(moment for moment in complaints if moment >= self.begins)

    # -- what came of it -----------------------------------------------------------------------------------------

    def queue(self, queue: QueueName) -> QueueDay:
        """One queue today."""
        known = self._queues.get(queue) or _Queue()
        day = known.day
        offered, good = known.window(self._minute, NOW_MINUTES)
        hour, good_hour = known.window(self._minute, HOUR_MINUTES)
        return QueueDay(
            answered=day.count("answered"),
            abandoned=day.count("abandoned"),
            in_time=day.count("answered_in_time"),
            short=day.count("short_abandons"),
            elsewhere=day.count("sent_elsewhere"),
            turned_away=day.count("turned_away"),
            service_level=day.value("service_level"),
            offered_now=offered,
            service_level_now=share(good, offered),
            service_level_hour=share(good_hour, hour),
        )

    def agent(self, agent_id: AgentId) -> AgentDay:
        """One agent today."""
        known = self._agents.get(agent_id) or Counts()
        return AgentDay(
            calls=known.count("handled"),
            talk_seconds=round(known.value("talk_time") or 0.0, 3),
            hold_seconds=round(known.value("hold_time") or 0.0, 3),
        )

    def hours(self, agent_id: AgentId) -> Hours:
        """How one agent has spent today so far."""
        return self._hours.of(agent_id)
