"""Figures for `/metrics`: counted from facts as they happen, and read off the floor once a second."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from cti.metrics.registry import Metrics
from cti.model import facts as f
from cti.model.agent import AgentStatus
from cti.model.centre import Centre
from cti.services.dispatcher import Dispatcher
from cti.store.drain import Drain

EVERY = 1.0
"""Seconds between readings of the floor."""


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


class Observer:
    """Keeps the metrics true."""

    def __init__(self, metrics: Metrics, centre: Centre) -> None:
        self._metrics = metrics
        self._centre = centre
        self.agi = AgiCounts(metrics)

    def facts(self, facts: Sequence[f.Fact], now: datetime) -> None:
        """These facts were recorded a moment ago."""
        for fact in facts:
            if isinstance(fact, f.CallStarted):
                self._metrics.calls_started.inc()
            elif isinstance(fact, f.OfferEnded):
                self._metrics.offers.labels(end=fact.end.value).inc()

    def call_closed(self, outcome: f.Outcome | None) -> None:
        """A call's record was closed with this outcome."""
        self._metrics.calls.labels(outcome=outcome.value if outcome is not None else "unknown").inc()

    async def run(self, desk: Dispatcher, drain: Drain) -> None:
        """Read the floor once a second until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(EVERY)
            self._metrics.loop_lag.observe(max(0.0, loop.time() - before - EVERY))
            board = desk.board
            for queue in self._centre.queues:
                self._metrics.waiting.labels(queue=queue).set(len(board.engine.waiting(queue)))
            states = Counter(_state(agent) for agent in board.agents.values())
            for state in f.AgentState:
                self._metrics.agents.labels(state=state.value).set(states.get(state.value, 0))
            calls = Counter(call.state.value for call in board.calls.values())
            for name in ("menu", "waiting", "offered", "talking", "held", "after", "survival"):
                self._metrics.calls_now.labels(state=name).set(calls.get(name, 0))
            self._metrics.link.set(1 if desk.connected() else 0)
            self._metrics.drain_lag.set(drain.lag())
            self._metrics.drain_pending.set(drain.state().behind)


def _state(agent: AgentStatus) -> str:
    return agent.state.value
