"""The expected waits of the floor as it is now: who is at work, who is before whom, and what was learned."""

from __future__ import annotations

from datetime import datetime

from cti.acd.estimates import NOW, ExpectedWait
from cti.acd.ranking import Requirement, meets, requirement
from cti.ids import CallId, QueueName
from cti.model.facts import AgentState
from cti.services.switchboard import Switchboard

_AT_WORK = frozenset({AgentState.RESERVED, AgentState.RINGING, AgentState.TALKING, AgentState.HELD, AgentState.WRAP_UP})


class QueueWaits:
    """One queue's expected waits at one moment; good until the floor changes."""

    def __init__(self, board: Switchboard, queue: QueueName, now: datetime) -> None:
        self._board = board
        self._queue = queue
        self._now = now
        self._known: dict[Requirement, tuple[int, float]] = {}

    def of(self, place: int, skills: Requirement = ()) -> ExpectedWait | None:
        """The wait of the caller at `place` (1 is next) who requires `skills` besides the queue's.

        None when nobody who may serve is at work.
        """
        needed = requirement(self._board.centre.queues[self._queue].skills, skills)
        if needed not in self._known:
            self._known[needed] = self._staff(needed)
        free, servers = self._known[needed]
        if place <= free:
            return NOW
        return self._board.learning.estimates.wait(self._queue, place - 1, servers)

    def _staff(self, needed: Requirement) -> tuple[int, float]:
        """How many could answer at once, and how many serve the queue, shared ones by share."""
        board, free = self._board, 0
        serving: list[tuple[QueueName, ...]] = []
        for agent_id, config in board.centre.agents.items():
            if self._queue not in config.queues or not meets(config.skills, needed):
                continue
            agent, idle = board.agents[agent_id], board.engine.is_free(agent_id)
            free += idle
            # Who will not take another call after this one does not shorten the wait.
            if idle or (agent.state in _AT_WORK and agent.chosen is AgentState.READY):
                serving.append(config.queues)
        return free, board.learning.estimates.servers(self._queue, serving, self._now)


def wait_of(board: Switchboard, call_id: CallId, now: datetime) -> ExpectedWait | None:
    """The expected wait of one waiting call; None when it is not waiting, or nobody who may serve it is at work."""
    place, ticket = board.engine.place(call_id), board.engine.ticket(call_id)
    if place is None or ticket is None or ticket.queue not in board.centre.queues:
        return None
    return QueueWaits(board, ticket.queue, now).of(place, ticket.skills)


def promise(board: Switchboard, call_id: CallId, now: datetime) -> None:
    """Remember what is expected for a call that has just joined, to compare it with what comes."""
    wait = wait_of(board, call_id, now)
    if wait is not None and wait.mean > 0:
        board.learning.promise(call_id, wait)


def shown(wait: ExpectedWait | None) -> tuple[int, int] | None:
    """(low, high) in seconds, in steps: small changes of what was learned do not make new rows."""
    return None if wait is None else (_step(wait.low), _step(wait.high))


def _step(seconds: float) -> int:
    step = 5 if seconds < 120 else 15 if seconds < 600 else 60
    return round(seconds / step) * step
