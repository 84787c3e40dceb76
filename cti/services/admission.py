"""Whether a call may join a queue as things stand on the floor, and where it goes otherwise."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cti.acd.gates import Doorstep, Way, admission, needed_at_last
from cti.ids import QueueName
from cti.model import facts as f
from cti.model.call import Call
from cti.model.centre import VOICEMAIL, Queue, TargetKind
from cti.model.facts import AgentState
from cti.model.requirement import ANYBODY, Requirement, Skills, meets
from cti.services.expected import QueueWaits
from cti.services.switchboard import Switchboard

MOST_DETOURS = 5
"""How often one call is sent into a flow because a queue would not have it; then it is voicemail."""


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def is_open(board: Switchboard, queue: Queue, now: datetime) -> bool:
    """Whether the queue's calendar says open (without one it always is), unless a supervisor has said otherwise."""
    forced = board.supervision.forced_open(queue.name, now)
    if forced is not None:
        return forced
    calendar = board.centre.calendars.get(queue.calendar)
    return calendar is None or calendar.is_open(now, _zone(board.centre.time_zone))


def next_edge(board: Switchboard, calendar: str, now: datetime) -> datetime | None:
    """When the calendar opens or closes next; None: not within a year, or there is no such calendar."""
    known = board.centre.calendars.get(calendar)
    return None if known is None else known.next_change(now, _zone(board.centre.time_zone))


def staff_of(board: Switchboard, queue: Queue, skills: Skills, requires: Requirement) -> frozenset[AgentState]:
    """The states of the agents who could take a call of the queue that asks for these, at the latest when it has waited
    through the queue's `relax`."""
    needed = needed_at_last(queue, skills, requires)
    return frozenset(
        board.agents[agent_id].state
        for agent_id, agent in board.centre.agents.items()
        if queue.name in agent.queues and agent_id in board.agents and meets(agent.skills, needed)
    )


def doorstep(
    board: Switchboard,
    queue: Queue,
    now: datetime,
    *,
    skills: Skills = (),
    requires: Requirement = ANYBODY,
    head_start: timedelta = timedelta(),
    strict: int = 0,
) -> Doorstep:
    """The queue as it is for a call with these terms. What no rule of the queue asks for is not looked up."""
    by_wait = any(rule.expected is not None for rule in queue.overflow)
    by_length = queue.max_length is not None or any(rule.length is not None for rule in queue.overflow)
    tickets = board.engine.waiting(queue.name) if by_wait or by_length else ()
    wait: timedelta | None = timedelta()
    if by_wait:
        mine = (-strict, now - head_start)
        ahead = sum((-ticket.strict, ticket.queued_at - ticket.head_start) <= mine for ticket in tickets)
        expected = QueueWaits(board, queue.name, now).of(ahead + 1, skills, requires)
        wait = None if expected is None else timedelta(seconds=expected.mean)
    staffed = bool(queue.join_empty or queue.leave_empty)
    return Doorstep(
        is_open=is_open(board, queue, now),
        length=len(tickets) + _offered(board, queue.name) - _absent(board, queue.name) if by_length else 0,
        staff=staff_of(board, queue, skills, requires) if staffed else frozenset({AgentState.READY}),
        wait=wait,
    )


def _offered(board: Switchboard, queue: QueueName) -> int:
    return sum(lease.queue == queue for lease in board.engine.leases())


def _absent(board: Switchboard, queue: QueueName) -> int:
    return sum(call.absent and call.queue == queue for call in map(board.calls.__getitem__, board.callbacks))


def refusal(board: Switchboard, ticket: f.CallQueued) -> Way | None:
    """Where a call goes that would join the ticket's queue now; None: it may join."""
    queue = board.centre.queues[ticket.queue]
    return admission(
        queue,
        doorstep(
            board,
            queue,
            ticket.at,
            skills=ticket.skills,
            requires=ticket.requires,
            head_start=timedelta(seconds=ticket.head_start),
            strict=ticket.strict,
        ),
    )


def been_in(board: Switchboard, call: Call) -> set[QueueName]:
    """The queues the call has waited in."""
    return {fact.queue for fact in board.history.get(call.call_id, ()) if isinstance(fact, f.CallQueued)}


def settled(board: Switchboard, call: Call, way: Way, tried: Collection[QueueName] = ()) -> Way:
    """The way as it can be taken: voicemail where it would lead into a queue of `tried`, or into flows again and again."""
    if way.target.kind is TargetKind.QUEUE and (
        way.target.name in tried or QueueName(way.target.name) not in board.centre.queues
    ):
        return Way(reason=way.reason, target=VOICEMAIL)
    if way.target.kind is TargetKind.FLOW:
        detours = sum(
            isinstance(fact, f.CallDequeued) and fact.to.startswith(f"{TargetKind.FLOW.value}:")
            for fact in board.history.get(call.call_id, ())
        )
        if detours >= MOST_DETOURS:
            return Way(reason=way.reason, target=VOICEMAIL)
    return way
