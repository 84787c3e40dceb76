"""The expected waits of the floor as it is now: who is at work, who is before whom, and what was learned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cti.acd.estimates import NOW, ExpectedWait, staged
from cti.ids import AgentId, CallId, QueueName
from cti.model.agent import AgentStatus
from cti.model.call import Call
from cti.model.centre import Agent, Queue
from cti.model.facts import AgentState, WaitPromised
from cti.model.requirement import ANYBODY, Requirement, Skills, all_of, both, meets, relaxed
from cti.services.switchboard import Switchboard

ABLE_KEPT = 1000
"""Combinations of queue, skills and requirement whose agents are remembered."""
_AT_WORK = frozenset(AgentState) - {AgentState.OFFLINE, AgentState.NOT_READY, AgentState.READY}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """Who may serve a caller who has waited for `after` seconds."""

    after: float
    free: int
    """Could answer at once."""
    servers: float
    """At work or free, shared ones by share."""
    logged_in: bool
    """Whether anybody of them is: the engine skips a step while nobody is."""


class QueueWaits:
    """One queue's expected waits at one moment; good until the floor changes."""

    def __init__(self, board: Switchboard, queue: QueueName, now: datetime) -> None:
        self._board = board
        self._queue = queue
        self._now = now
        self._known: dict[tuple[Skills, Requirement], tuple[_Stage, ...]] = {}
        self._working: frozenset[AgentId] | None = None
        self._waiting: Mapping[QueueName, int] | None = None

    def of(
        self, place: int, skills: Skills = (), requires: Requirement = ANYBODY, since: datetime | None = None
    ) -> ExpectedWait | None:
        """The wait from now on of the caller at `place` (1 is next) who requires these besides what the queue does.

        `since` is when the caller began to wait (None: now): who has waited for long may be served by more agents, and
        more will be asked as time goes on. None when nobody who may serve is at work.
        """
        stages = self._known.get((skills, requires))
        if stages is None:
            able = self._able(skills, requires)
            stages = self._known[skills, requires] = tuple(self._stage(after, agents) for after, agents in able)
        waited = max(0.0, (self._now - since).total_seconds()) if since is not None else 0.0
        reached = max(n for n, stage in enumerate(stages) if n == 0 or stage.after <= waited)
        first = next((n for n in range(reached, len(stages)) if stages[n].logged_in), reached)
        if place <= stages[first].free:
            return NOW
        estimates = self._board.learning.estimates
        ends = [stage.after - waited for stage in stages[first + 1 :]] + [math.inf]
        waits = (estimates.wait(self._queue, place - 1, stage.servers) for stage in stages[first:])
        return staged(list(zip(waits, ends, strict=True)))

    def of_call(self, place: int, call: Call) -> ExpectedWait | None:
        """The wait from now on of a call that waits in the queue at `place`."""
        return self.of(place, call.skills, call.requires, since=call.queued_at)

    def _able(self, skills: Skills, requires: Requirement) -> tuple[tuple[float, tuple[Agent, ...]], ...]:
        """The agents who may serve from each moment on; depends on the configuration alone."""
        board = self._board
        if board.able_of is not board.centre or len(board.able) > ABLE_KEPT:
            board.able_of, board.able = board.centre, {}
        known = board.able.get((self._queue, skills, requires))
        if known is None:
            settings = board.centre.queues[self._queue]
            needed = both(both(all_of(settings.skills), settings.requires), both(all_of(skills), requires))
            known = board.able[self._queue, skills, requires] = self._able_to(settings, needed)
        return known

    def _able_to(self, settings: Queue, needed: Requirement) -> tuple[tuple[float, tuple[Agent, ...]], ...]:
        """What time changes: skills are relaxed, and agents of higher tiers are asked."""
        members = [agent for agent in self._board.centre.agents.values() if self._queue in agent.queues]
        highest = max((agent.tier(self._queue) for agent in members), default=1)
        moments = {timedelta(), *(step.after for step in settings.relax)}
        if settings.tier_wait:
            moments |= {settings.tier_wait * tier for tier in range(1, highest)}
        out = []
        for after in sorted(moments):
            wanted, tier = needed, 1 + after // settings.tier_wait if settings.tier_wait else highest
            for step in settings.relax:
                if step.after <= after:
                    wanted = relaxed(wanted, step.skills)
            able = tuple(a for a in members if a.tier(self._queue) <= tier and meets(a.skills, wanted))
            out.append((after.total_seconds(), able))
        return tuple(out)

    def _stage(self, after: float, able: tuple[Agent, ...]) -> _Stage:
        board, is_free = self._board, self._board.engine.is_free
        at_work, free, logged_in = [], 0, False
        for agent in able:
            status, idle = board.agents[agent.agent_id], is_free(agent.agent_id)
            free += idle
            logged_in = logged_in or status.state is not AgentState.OFFLINE
            if idle or _works(status):
                at_work.append(agent)
        if any(len(agent.queues) > 1 for agent in at_work):
            working = self._at_work()
            names = {agent.agent_id for agent in able}
            teams: Counter[tuple[QueueName, ...]] = Counter()
            for agent in board.centre.agents.values():
                if agent.agent_id in working:
                    teams[agent.queues if agent.agent_id in names else self._besides(agent.queues)] += 1
            servers = board.learning.estimates.servers(self._queue, teams, self._lines())
        else:
            servers = float(len(at_work))
        return _Stage(
            after=after,
            free=free,
            servers=servers,
            logged_in=logged_in,
        )

    def _besides(self, queues: tuple[QueueName, ...]) -> tuple[QueueName, ...]:
        """Agents who cannot help this caller still work for the other queues they serve."""
        return queues if self._queue not in queues else tuple(name for name in queues if name != self._queue)

    def _at_work(self) -> frozenset[AgentId]:
        """Who will not take another call after this one does not shorten the wait."""
        if self._working is None:
            is_free = self._board.engine.is_free
            self._working = frozenset(
                agent_id for agent_id, agent in self._board.agents.items() if _works(agent) or is_free(agent_id)
            )
        return self._working

    def _lines(self) -> Mapping[QueueName, int]:
        if self._waiting is None:
            engine = self._board.engine
            self._waiting = {name: len(engine.waiting(name)) for name in self._board.centre.queues}
        return self._waiting


def _works(agent: AgentStatus) -> bool:
    return agent.chosen is AgentState.READY and agent.state in _AT_WORK


def wait_of(board: Switchboard, call_id: CallId, now: datetime) -> ExpectedWait | None:
    """The expected wait of one waiting call from now on; None when it is not waiting, or nobody who may serve it is at
    work."""
    place, ticket = board.engine.place(call_id), board.engine.ticket(call_id)
    if place is None or ticket is None or ticket.queue not in board.centre.queues:
        return None
    waits = QueueWaits(board, ticket.queue, now)
    return waits.of(place, ticket.skills, ticket.requires, since=ticket.queued_at)


def promise(board: Switchboard, call_id: CallId, now: datetime) -> None:
    """Put down what is expected for a call that has just joined, to compare it with what comes."""
    place, call, wait = board.engine.place(call_id), board.calls.get(call_id), wait_of(board, call_id, now)
    if wait is not None and place is not None and call is not None and call.queue is not None and wait.mean > 0:
        board.record(promised(wait, call_id, call.queue, place, now, told=False))


def promised(
    wait: ExpectedWait, call_id: CallId, queue: QueueName, place: int, now: datetime, *, told: bool
) -> WaitPromised:
    """An expected wait as the fact that it was expected, or told."""
    low, mean, high = (round(seconds, 1) for seconds in (wait.low, wait.mean, wait.high))
    return WaitPromised(at=now, call_id=call_id, queue=queue, place=place, low=low, mean=mean, high=high, told=told)


def shown(wait: ExpectedWait | None) -> tuple[int, int] | None:
    """(low, high) in seconds, in steps: small changes of what was learned do not make new rows."""
    return None if wait is None else (_step(wait.low), _step(wait.high))


def _step(seconds: float) -> int:
    step = 5 if seconds < 120 else 15 if seconds < 600 else 60
    return round(seconds / step) * step
