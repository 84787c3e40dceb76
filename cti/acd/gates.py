"""Who may join a queue, who leaves it before an agent was free, and where to. Pure: a queue's rules and how things stand in.

A rule gives a `Way`. Where it leads is a queue, the rules of that queue come next (`cti.services.admission` walks from
queue to queue); every walk ends, for no queue is asked twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from cti.model.centre import Queue, Target, TargetKind
from cti.model.facts import AgentState
from cti.model.requirement import Requirement, Skills, all_of, both, relaxed


class Reason(StrEnum):
    """Why a call goes elsewhere; `CallDequeued.reason` of the fact."""

    CLOSED = "closed"
    FULL = "full"
    EMPTY = "empty"
    """Nobody who could take the call is there."""
    LATE = "late"
    """Waited as long as anybody may."""
    OVERFLOW = "overflow"
    OPTION = "option"
    """The caller pressed a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where a call goes, and why."""

    reason: Reason
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorstep:
    """A queue as it is for one call that would join it now."""

    is_open: bool = True
    length: int = 0
    """Callers on the line who have a ticket, under an offer too; callbacks do not count."""
    staff: frozenset[AgentState] = frozenset()
    """The states of those who could take the call, now or after the last step of `relax`; none: there is nobody."""
    wait: timedelta | None = timedelta()
    """Expected; None: nobody who could take it is at work, which is longer than any limit."""


def admission(queue: Queue, seen: Doorstep) -> Way | None:
    """Where a call goes that would join the queue; None: it may join.

    Whoever would have to leave at once does not join, so `leave_empty` counts here, too.
    """
    if not seen.is_open:
        return Way(reason=Reason.CLOSED, target=queue.when_closed)
    if queue.max_length is not None and seen.length >= queue.max_length:
        return Way(reason=Reason.FULL, target=queue.when_full)
    if any(states and seen.staff <= states for states in (queue.join_empty, queue.leave_empty)):
        return Way(reason=Reason.EMPTY, target=queue.when_empty)
    for rule in queue.overflow:
        longer = rule.expected is not None and (seen.wait is None or seen.wait > rule.expected)
        if longer or (rule.length is not None and seen.length >= rule.length):
            return Way(reason=Reason.OVERFLOW, target=rule.to)
    return None


def departures(queue: Queue, *, waited: timedelta, staff: frozenset[AgentState]) -> tuple[Way, ...]:
    """The ways a waiting call has to take, the first that counts first; most often none."""
    ways: list[Way] = []
    if queue.leave_empty and staff <= queue.leave_empty:
        ways.append(Way(reason=Reason.EMPTY, target=queue.when_empty))
    if queue.max_wait is not None and waited >= queue.max_wait:
        ways.append(Way(reason=Reason.LATE, target=queue.when_late))
    ways += [
        Way(reason=Reason.OVERFLOW, target=rule.to)
        for rule in queue.overflow
        if rule.after is not None and waited >= rule.after
    ]
    return tuple(ways)


def next_limit(queue: Queue, waited: timedelta) -> timedelta | None:
    """The wait at which time alone gives a call of the queue a way to take next."""
    limits = [queue.max_wait, *(rule.after for rule in queue.overflow)]
    return min((limit for limit in limits if limit is not None and limit > waited), default=None)


def watched(queue: Queue) -> bool:
    """Whether a call that waits in the queue may ever have to leave it."""
    return bool(queue.leave_empty) or next_limit(queue, timedelta()) is not None


def needed_at_last(queue: Queue, skills: Skills, requires: Requirement) -> Requirement:
    """What a call of the queue asks of an agent when it has waited through every step of `relax`."""
    needed = both(both(all_of(queue.skills), queue.requires), both(all_of(skills), requires))
    for step in queue.relax:
        needed = relaxed(needed, step.skills)
    return needed


def written(target: Target) -> str:
    """A target as the facts tell it: "voicemail", "flow:after_hours", "number:+15550100", "queue:sales", ..."""
    return f"{target.kind.value}:{target.name}" if target.name else target.kind.value


def read_target(text: str) -> Target | None:
    """What `written` wrote; None for anything else."""
    kind, _, name = text.partition(":")
    try:
        return Target(kind=TargetKind(kind), name=name)
    except ValueError:
        return None
