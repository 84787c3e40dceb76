"""Figures for `/metrics` that only the bridge as a whole can count: facts as they happen, and how long the outside takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from cti.clock import Clock
from cti.errors import RemoteError
from cti.journal.writer import JournalWriter
from cti.metrics.registry import Metrics
from cti.model import facts as f
from cti.model.commands import Command
from cti.reports.slots import day_start
from cti.services.audit import REPAIRS
from cti.services.ports import Telephony
from cti.store.drain import Drain
from cti.store.explain import StoredExplanations

EVERY = 1.0
"""Seconds between readings of the drain."""
PROMISES_EVERY = 60.0
"""Seconds between readings of what came of the expected waits."""


class AgiCounts:
    """Counts AGI sessions."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def session_opened(self, script: str) -> None:
        """A handler begins."""
        self._metrics.agi_sessions_now.inc()

    def session_ended(self, script: str, end: str, seconds: float) -> None:
        """A handler is over."""
        self._metrics.agi_sessions_now.dec()
        self._metrics.agi_sessions.labels(script=script, end=end).inc()

    def connection_refused(self, reason: str) -> None:
        """A connection was closed without a handler."""
        self._metrics.agi_sessions.labels(script="", end=reason).inc()

    def command_done(self, verb: str, seconds: float) -> None:
        """One AGI command got its reply."""


class TimedTelephony:
    """A telephone system whose commands are timed."""

    def __init__(self, telephony: Telephony, metrics: Metrics) -> None:
        self._telephony = telephony
        self._metrics = metrics

    def connected(self) -> bool:
        """See `Telephony.connected`."""
        return self._telephony.connected()

    async def perform(self, command: Command) -> None:
        """See `Telephony.perform`."""
        began, result = time.perf_counter(), "done"
        try:
            await self._telephony.perform(command)
        except RemoteError as error:
            result = "unknown" if error.outcome_unknown else "refused"
            raise
        finally:
            seconds = time.perf_counter() - began
            self._metrics.ami_actions.labels(action=type(command).__name__, result=result).observe(seconds)


class TimedJournal:
    """A journal whose commits are timed."""

    def __init__(self, journal: JournalWriter, metrics: Metrics) -> None:
        self._journal = journal
        self._metrics = metrics

    def append(self, facts: Sequence[f.Fact]) -> asyncio.Future[None]:
        """See `Journal.append`."""
        began = time.perf_counter()
        durable = self._journal.append(facts)
        durable.add_done_callback(lambda _: self._metrics.journal_commit.observe(time.perf_counter() - began))
        return durable

    def written(self) -> bool:
        """See `Journal.written`."""
        return self._journal.written()


class Observer:
    """Keeps the metrics true."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.agi = AgiCounts(metrics)
        self.also: Callable[[Sequence[f.Fact], datetime], None] = lambda _facts, _now: None
        """Who else hears of the facts."""
        for kind in REPAIRS:
            metrics.breaches.labels(kind=kind)  # there from the first scrape on, at 0

    def facts(self, facts: Sequence[f.Fact], now: datetime) -> None:
        """These facts were recorded a moment ago."""
        self.also(facts, now)
        for fact in facts:
            if isinstance(fact, f.CallStarted):
                self._metrics.calls_started.inc()
            elif isinstance(fact, f.OfferEnded):
                self._metrics.offers.labels(end=fact.end.value).inc()
            elif isinstance(fact, f.BreachRepaired):
                self._metrics.breaches.labels(kind=fact.kind).inc()

    def call_closed(self, outcome: f.Outcome | None) -> None:
        """A call's record was closed with this outcome."""
        self._metrics.calls.labels(outcome=outcome.value if outcome is not None else "unknown").inc()

    async def watch_promises(
        self, stored: StoredExplanations, zone: Callable[[], str], clock: Clock, *, every: float = PROMISES_EVERY
    ) -> None:
        """Read once a minute what came of today's expected waits, until cancelled. `zone`: by whose clock it is today, now."""
        metrics = self._metrics
        while True:
            now = clock.now()
            here = ZoneInfo(zone())
            morning = day_start(now.astimezone(here).date(), here)
            try:
                found = await stored.accuracy(since=morning, until=now)
            except RemoteError:
                found = None
            if found is not None:
                for gauge in (
                    metrics.promises,
                    metrics.promise_error,
                    metrics.promise_absolute_error,
                    metrics.promise_inside,
                ):
                    gauge.clear()
                for queue, accuracy in found.items():
                    today = accuracy.joined
                    metrics.promises.labels(queue).set(today.promises)
                    if today.promises:
                        metrics.promise_error.labels(queue).set(today.mean_error or 0.0)
                        metrics.promise_absolute_error.labels(queue).set(today.mean_absolute_error or 0.0)
                        metrics.promise_inside.labels(queue).set(today.inside or 0.0)
            await asyncio.sleep(every)

    async def run(self, drain: Drain) -> None:
        """Read the drain once a second until cancelled."""
        while True:
            self._metrics.drain_lag.set(drain.lag())
            self._metrics.drain_pending.set(drain.state().behind)
            await asyncio.sleep(EVERY)
