"""Who may join a queue, who leaves it unserved and where to, by the rules of the live floor (`cti.acd.gates`).

Where a way leads out of the queues (voicemail, a flow, a callback, a number, the end) the caller is gone from the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from enum import Enum

from cti.acd.engine import Engine
from cti.acd.estimates import Estimates
from cti.acd.gates import Doorstep, Reason, Way, admission, departures, needed_at_last, next_limit
from cti.ids import AgentId, QueueName
from cti.model.centre import Centre, Queue, TargetKind
from cti.model.facts import AgentState
from cti.model.requirement import meets
from cti.simulate.scenario import CallerKind

Terms = tuple[timedelta, int]
"""Head start and strict priority."""


class Leaves(Enum):
    """What a waiting caller who was looked at does."""

    STAYS = 0
    NOT_NOW = 1
    """Is due, but the queue to go to would not have the caller."""
    GOES = 2


def has_doors(queue: Queue) -> bool:
    """Whether the queue has any rule about who may be in it."""
    return bool(
        queue.calendar or queue.max_length or queue.max_wait or queue.join_empty or queue.leave_empty or queue.overflow
    )


class Doors:
    """The rules of all queues of one run."""

    def __init__(
        self,
        centre: Centre,
        engine: Engine,
        terms: Callable[[QueueName, CallerKind], Terms],
        state_of: Callable[[AgentId], AgentState],
    ) -> None:
        self._centre = centre
        self._engine = engine
        self._terms = terms
        self._state_of = state_of
        self.guarded = frozenset(name for name, queue in centre.queues.items() if has_doors(queue))
        """Queues with such rules; of the others nothing need be asked."""
        self.told = any(rule.expected is not None for queue in centre.queues.values() for rule in queue.overflow)
        """Whether any rule asks for the expected wait."""
        self.estimates = Estimates()

    def enter(self, queue: QueueName, kind: CallerKind, now: datetime) -> QueueName | None:
        """The queue that a caller who wants `queue` may join, walking from one to the next; None: none would have them."""
        tried: list[QueueName] = []
        while True:
            way = admission(self._centre.queues[queue], self._doorstep(queue, kind, now))
            if way is None:
                return queue
            tried.append(queue)
            queue = QueueName(way.target.name)
            if way.target.kind is not TargetKind.QUEUE or queue in tried or queue not in self._centre.queues:
                return None

    def leave(
        self, queue: QueueName, kind: CallerKind, waited: timedelta, been: Collection[QueueName], now: datetime
    ) -> tuple[Leaves, QueueName | None]:
        """Whether a waiting caller has to go now, and the queue they go to; None: out. `been`: where they were before.

        An overflow into a queue that would not have the caller is not taken (now).
        """
        rules = self._centre.queues[queue]
        staff = self._staff(rules, kind) if rules.leave_empty else frozenset({AgentState.READY})
        ways = departures(rules, waited=waited, staff=staff)
        for way in ways:
            other = self._onward(way, kind, been, now)
            if other is not None or way.reason is not Reason.OVERFLOW or way.target.kind is not TargetKind.QUEUE:
                return Leaves.GOES, other
        return Leaves.NOT_NOW if ways else Leaves.STAYS, None

    def limit(self, queue: QueueName, waited: timedelta) -> timedelta | None:
        """The wait at which a caller of the queue is to be looked at next."""
        return next_limit(self._centre.queues[queue], waited)

    def _onward(self, way: Way, kind: CallerKind, been: Collection[QueueName], now: datetime) -> QueueName | None:
        queue = QueueName(way.target.name)
        if way.target.kind is not TargetKind.QUEUE or queue in been or queue not in self._centre.queues:
            return None
        if way.reason is not Reason.OVERFLOW:
            onward = self.enter(queue, kind, now)
            return onward if onward not in been else None
        return queue if admission(self._centre.queues[queue], self._doorstep(queue, kind, now)) is None else None

    def _doorstep(self, name: QueueName, kind: CallerKind, now: datetime) -> Doorstep:
        queue, engine = self._centre.queues[name], self._engine
        calendar = self._centre.calendars.get(queue.calendar)
        counts = queue.max_length is not None or any(rule.length is not None for rule in queue.overflow)
        asks = any(rule.expected is not None for rule in queue.overflow)
        length = len(engine.waiting(name)) + sum(x.queue == name for x in engine.leases()) if counts else 0
        return Doorstep(
            is_open=calendar is None or calendar.is_open(now, UTC),  # the run's clock is the one on the centre's wall
            length=length,
            staff=self._staff(queue, kind) if queue.join_empty or queue.leave_empty else frozenset({AgentState.READY}),
            wait=self._wait(queue, kind, now) if asks else timedelta(),
        )

    def _able(self, queue: Queue, kind: CallerKind) -> list[AgentId]:
        needed = needed_at_last(queue, kind.skills, kind.requires)
        agents = self._centre.agents.values()
        return [agent.agent_id for agent in agents if queue.name in agent.queues and meets(agent.skills, needed)]

    def _staff(self, queue: Queue, kind: CallerKind) -> frozenset[AgentState]:
        return frozenset(self._state_of(agent_id) for agent_id in self._able(queue, kind))

    def _wait(self, queue: Queue, kind: CallerKind, now: datetime) -> timedelta | None:
        there = [a for a in self._able(queue, kind) if self._state_of(a) is not AgentState.OFFLINE]
        head_start, strict = self._terms(queue.name, kind)
        mine = (-strict, now - head_start)
        ahead = sum((-t.strict, t.queued_at - t.head_start) <= mine for t in self._engine.waiting(queue.name))
        if ahead < sum(self._engine.is_free(agent_id) for agent_id in there):
            return timedelta()
        able = set(there)
        teams = Counter(
            agent.queues if agent.agent_id in able else tuple(name for name in agent.queues if name != queue.name)
            for agent in self._centre.agents.values()
            if self._state_of(agent.agent_id) is not AgentState.OFFLINE
        )
        lines = {name: len(self._engine.waiting(name)) for name in self._centre.queues}
        servers = self.estimates.servers(queue.name, teams, lines)
        wait = self.estimates.wait(queue.name, ahead, servers)
        return None if wait is None else timedelta(seconds=wait.mean)
