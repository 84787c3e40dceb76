"""The terms on which a call waits: what it is worth, what it asks of an agent, since when it waits, for whom it is held.

One place computes them, for the flow's queue step and for every move from queue to queue, so that a call's place always
follows from the same rule:

- head start: the flow's, the customer's tier's, the dialled number's and the queue's, together
- strict: ten times the queue's weight, and the tier's own
- since when it waits: since it was queued, from the call's beginning where the menus count; a move changes nothing of it
- whom it is held for: the agent of the customer's record, or whoever talked with that number last

A moved call brings along what it has: the part that was its old queue's is exchanged for the new queue's, so a priority
that somebody gave it by hand goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cti.acd.inputs import CallerMoved
from cti.ids import AgentId, QueueName
from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.centre import PER_WEIGHT, STRICT_MOST, Queue
from cti.model.commands import SetQueue
from cti.model.requirement import ANYBODY, Requirement, RequirementError, all_of, both
from cti.services import recording_choice
from cti.services.switchboard import Switchboard


def ticket_fact(
    board: Switchboard,
    call: Call,
    queue: QueueName,
    at: datetime,
    *,
    skills: Iterable[tuple[str, int]] = (),
    requires: Requirement = ANYBODY,
    head_start_of_flow: timedelta = timedelta(),
    since: datetime | None = None,
    by: str = "",
    reason: str = "",
) -> f.CallQueued:
    """The fact that gives `call` a ticket of `queue`, which must be one of the centre's.

    A call that waits already is moved: `skills`, `requires` and `head_start_of_flow` come on top of what it has, and it
    keeps its `since`. `since` overrules when waiting began (a callback that takes over somebody's place).
    """
    settings = board.centre.queues[queue]
    preferred, hold = preferred_agent(board, call, settings, at)
    head_start, strict, began = head_start_of_flow, 0, since
    if call.state is CallState.WAITING:
        head_start, strict = _brought_along(board, call, head_start)
        skills = all_of((*call.skills, *skills))[0]
        requires = _together(call.requires, requires)
        began = since or call.queued_at
    else:
        tier, number = board.centre.tiers.get(call.tier), board.centre.numbers.get(call.did)
        head_start += (tier.head_start if tier else timedelta()) + (number.head_start if number else timedelta())
        strict = tier.strict if tier else 0
        began = since or (call.started_at if settings.count_menu else None)
    return f.CallQueued(
        at=at,
        call_id=call.call_id,
        queue=queue,
        head_start=(head_start + settings.head_start).total_seconds(),
        strict=_bounded(strict + PER_WEIGHT * settings.weight),
        skills=all_of(skills)[0],
        requires=_askable(settings, requires),
        since=began if began != at else None,
        preferred=preferred,
        hold=hold.total_seconds(),
        by=by,
        reason=reason,
    )


def move(board: Switchboard, call: Call, queue: QueueName, now: datetime, *, by: str, reason: str = "") -> None:
    """Give a waiting call's ticket to another queue. It keeps since when it waits, and may be offered if it could before."""
    if call.queue is not None:
        board.dirty_queues.add(call.queue)
    board.record(ticket_fact(board, call, queue, now, by=by, reason=reason))
    call, settings = board.calls[call.call_id], board.centre.queues[queue]
    if call.channel:
        # Before an offer that may follow at once; visits tell the channel the same, but may be long off.
        board.out.commands.append(
            SetQueue(
                call_id=call.call_id,
                channel=call.channel,
                queue=queue,
                ring_timeout=settings.ring_timeout,
                record=recording_choice.wanted(board, call.call_id, queue),
            )
        )
    board.route(
        CallerMoved(
            call_id=call.call_id,
            queue=queue,
            head_start=timedelta(seconds=call.head_start),
            strict=call.strict,
            skills=call.skills,
            requires=call.requires,
            preferred=call.preferred,
            hold_until=call.hold_until,
            addressed=call.addressed,
        ),
        now,
    )


def preferred_agent(board: Switchboard, call: Call, queue: Queue, at: datetime) -> tuple[AgentId | None, timedelta]:
    """Whom the caller is held for in `queue`, and for how long; (None, 0) for nobody.

    The agent named in the customer's record comes before the one who talked with the caller last.
    """
    preference = queue.preference
    if preference is None:
        return None, timedelta()
    wanted: list[AgentId] = []
    known = board.cards.get(call.call_id)
    if preference.own and known is not None and known.match is f.Match.FOUND:
        wanted += [AgentId(card.own_agent) for card in known.cards[:1]]
    if preference.last is not None:
        talks = (board.last_talks.of(call.caller_number), known.last_talk if known is not None else None)
        last = max((talk for talk in talks if talk is not None), key=lambda talk: talk.at, default=None)
        if last is not None and at - last.at <= preference.last:
            wanted.append(last.agent_id)
    for agent_id in wanted:
        agent = board.centre.agents.get(agent_id)
        if agent is not None and queue.name in agent.queues:
            return agent.agent_id, preference.hold
    return None, timedelta()


def _together(one: Requirement, other: Requirement) -> Requirement:
    """What asks for both; for `one` alone where they cannot be joined."""
    try:
        return both(one, other)
    except RequirementError:
        return one


def _askable(queue: Queue, requires: Requirement) -> Requirement:
    """`requires`, or nothing where that and what the queue requires multiply out to more than anybody could read.

    The flow checker refuses such a step; a move, or a new configuration, must not lose a caller over it.
    """
    try:
        both(queue.requires, requires)
    except RequirementError:
        return ANYBODY
    return requires


def _brought_along(board: Switchboard, call: Call, more: timedelta) -> tuple[timedelta, int]:
    """Head start and strict priority of a waiting call without its queue's part."""
    old = board.centre.queues.get(call.queue) if call.queue is not None else None
    head_start = timedelta(seconds=call.head_start) + more - (old.head_start if old else timedelta())
    return head_start, call.strict - PER_WEIGHT * (old.weight if old else 0)


def _bounded(strict: int) -> int:
    return max(0, min(STRICT_MOST, strict))
