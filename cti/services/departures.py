"""Callers who do not join a queue, or leave it before an agent was free: by the queue's rules, or by a key.

A ticket is taken back only while the caller is known to be in the wait context and is under no offer; what came due
meanwhile is looked at again when that is over. Everything here follows from facts and the centre's rules, so a restarted
bridge goes on with it. The facts are recorded before the command is given, and the call keeps where it was sent
(`errands`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from cti.acd.gates import Reason, Way, departures, next_limit, watched, written
from cti.ids import CallId, FlowName, QueueName
from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.centre import VOICEMAIL, Queue, Target, TargetKind
from cti.model.facts import AgentState
from cti.model.requirement import Requirement, Skills
from cti.services import callbacks, errands, outbound
from cti.services.admission import been_in, next_edge, refusal, settled, staff_of
from cti.services.expected import promise
from cti.services.switchboard import Switchboard
from cti.services.terms import move, ticket_fact

AGAIN = timedelta(seconds=5)
"""After an overflow that could not be taken (the other queue is full or closed) it is tried again."""

BY_HAND = "supervisor"
"""Why a caller left a queue whom a supervisor has sent elsewhere."""

Staff = Callable[[Queue, Skills, Requirement], frozenset[AgentState]]


# ---- joining


def join(
    board: Switchboard, call: Call, ticket_of: Callable[[QueueName, str], f.CallQueued], queue: QueueName
) -> Target | None:
    """Give a call in the menus a ticket of `queue`, or of one this queue sends it to. None: it waits.

    Otherwise where it goes instead: the facts are recorded, and the flow's session brings it there. A flow counts as
    entered. `ticket_of` makes the ticket of a queue, and of who brought the call there.
    """
    ticket = ticket_of(queue, "")
    tried: set[QueueName] = set()
    while (way := refusal(board, ticket)) is not None:
        tried.add(ticket.queue)
        way = settled(board, call, way, tried)
        if way.target.kind is not TargetKind.QUEUE:
            return _turn_away(board, call, ticket, way)
        _dequeued(board, call, ticket.queue, way, ticket.at)
        ticket = ticket_of(QueueName(way.target.name), Reason.OVERFLOW.value)
    ticket = callbacks.take_back(board, call, ticket)
    board.record(ticket)
    # Not deliverable yet: the flow's session still has variables to set. The wait context says when the caller is there.
    board.join_queue(board.calls[call.call_id], ticket.at, deliverable=False)
    promise(board, call.call_id, ticket.at)
    return None


def _turn_away(board: Switchboard, call: Call, ticket: f.CallQueued, way: Way) -> Target:
    target = _leave(board, call, ticket.queue, way, ticket.at, in_session=True, ticket=ticket)
    if target.kind is TargetKind.FLOW:
        enter_flow(board, call.call_id, FlowName(target.name), ticket.at)
    return target


def enter_flow(board: Switchboard, call_id: CallId, flow: FlowName, at: datetime, step: str = "") -> None:
    """The call is in this flow now, at a step of it or at its beginning, in the edition it began with."""
    call, flows = board.calls[call_id], board.flows
    edition, draft = call.edition, call.draft
    if not edition:
        number = board.centre.numbers.get(call.did)
        edition, draft = flows.edition(), number is not None and number.draft
        if draft and not call.flow:
            flow = flows.test_entry(flow)
    version = flows.version_at(flow, edition, draft=draft)
    board.record(
        f.FlowEntered(at=at, call_id=call_id, flow=flow, version=version, step=step, edition=edition, draft=draft)
    )


# ---- waiting


def next_due(board: Switchboard, now: datetime) -> datetime | None:
    """When `tick` has something to do by the passing of time alone."""
    if board.looks.queues:
        return now
    if not board.looks.edges:
        return board.looks.next()
    edges = (edge for edge in board.looks.edges.values() if edge is not None)
    moments = [moment for moment in (board.looks.next(), min(edges, default=None)) if moment is not None]
    return min(moments, default=None)


def tick(board: Switchboard, now: datetime) -> None:
    """Send away who has to go, and tell the pages of queues that open or close."""
    _watch_hours(board, now)
    known: dict[tuple[QueueName, Skills, Requirement], frozenset[AgentState]] = {}

    def staff(queue: Queue, skills: Skills, requires: Requirement) -> frozenset[AgentState]:
        key = (queue.name, skills, requires)
        if key not in known:
            known[key] = staff_of(board, queue, skills, requires)
        return known[key]

    queues, board.looks.queues = board.looks.queues, {}
    for queue in queues:
        for ticket in board.engine.waiting(queue):
            _look(board, ticket.call_id, now, staff)
    for call_id in board.looks.due(now):
        _look(board, call_id, now, staff)


def arrived(board: Switchboard, call: Call, now: datetime) -> bool:
    """The caller has just come (back) to the wait context: whether they have to leave at once, before any offer.

    So a call that came due while its offers were not answered is not offered for ever.
    """
    board.looks.come(call.call_id)
    _look(board, call.call_id, now, lambda queue, skills, requires: staff_of(board, queue, skills, requires))
    return board.calls[call.call_id].state is not CallState.WAITING


def _watch_hours(board: Switchboard, now: datetime) -> None:
    edges = board.looks.edges
    for queue in board.centre.queues.values():
        name = queue.calendar
        if not name:
            continue
        if name not in edges:
            edges[name] = next_edge(board, name, now)
        elif (edge := edges[name]) is not None and edge <= now:
            board.dirty_queues.update(q.name for q in board.centre.queues.values() if q.calendar == name)
            edges[name] = next_edge(board, name, now)


def _look(board: Switchboard, call_id: CallId, now: datetime, staff: Staff) -> None:
    call = board.calls.get(call_id)
    queue = board.centre.queues.get(call.queue) if call is not None and call.queue is not None else None
    if call is None or queue is None or not _can_go(board, call) or call.queued_at is None or not watched(queue):
        return
    waited = _waited(call, now)
    states = staff(queue, call.skills, call.requires) if queue.leave_empty else frozenset({AgentState.READY})
    ways = departures(queue, waited=waited, staff=states)
    if any(_take(board, call, queue, way, now) for way in ways):
        return
    limit = next_limit(queue, waited)
    moments = [now - waited + limit] if limit is not None else []
    if ways:
        moments.append(now + AGAIN)
    if moments:
        board.looks.at(call_id, min(moments))


def _can_go(board: Switchboard, call: Call) -> bool:
    # A callback waits as long as it takes, and whoever picked up for one has waited all that time: no rule sends them away.
    # Nor whoever is kept for one agent: that has a limit of its own.
    return (
        call.state is CallState.WAITING
        and call.parent is None
        and not call.addressed
        and board.looks.is_there(call.call_id)
    )


def _take(board: Switchboard, call: Call, queue: Queue, way: Way, now: datetime) -> bool:
    """Take the way. False, and nothing changed: an overflow into a queue that would not have the call, or had it before."""
    if way.reason is Reason.OVERFLOW and way.target.kind is TargetKind.QUEUE:
        return _moved(board, call, way, now)
    tried = been_in(board, call)
    first = way
    while (way := settled(board, call, way, tried)).target.kind is TargetKind.QUEUE:
        if _moved(board, call, way, now):
            return True
        ticket = ticket_fact(board, call, QueueName(way.target.name), now)
        tried.add(ticket.queue)
        way = _not_taken(board, call, ticket) or Way(reason=first.reason, target=VOICEMAIL)
    _leave(board, call, queue.name, Way(reason=first.reason, target=way.target), now, in_session=False)
    return True


def _moved(board: Switchboard, call: Call, way: Way, now: datetime) -> bool:
    """Give the ticket to another queue, the place kept; False where that would not have it or had it before."""
    queue = QueueName(way.target.name)
    if queue not in board.centre.queues or queue in been_in(board, call):
        return False
    by = Reason.OPTION if way.reason is Reason.OPTION else Reason.OVERFLOW
    if _not_taken(board, call, ticket_fact(board, call, queue, now, by=by.value)) is not None:
        return False
    move(board, call, queue, now, by=by.value)
    return True


def _not_taken(board: Switchboard, call: Call, ticket: f.CallQueued) -> Way | None:
    """Where another queue would send a waiting call: it may not join, or has waited too long for that queue already."""
    way = refusal(board, ticket)
    if way is not None:
        return way
    queue = board.centre.queues[ticket.queue]
    ways = departures(queue, waited=_waited(call, ticket.at), staff=frozenset({AgentState.READY}))
    return next((way for way in ways if way.reason is Reason.LATE), None)


def _waited(call: Call, now: datetime) -> timedelta:
    """On the line: who took the place of a callback back has not waited all that time."""
    return now - max(call.queued_at or now, call.started_at)


# ---- keys


def available(board: Switchboard, call: Call, target: Target) -> bool:
    """Whether a caller is offered the target by a key: a callback only where one could be made."""
    if target.kind is not TargetKind.CALLBACK:
        return True
    return call.parent is None and not outbound.why_not(board, call.caller_number)


def press(board: Switchboard, call_id: CallId, key: str, now: datetime) -> None:
    """A waiting caller pressed a key: what it is an option for happens, once. The visit brings the caller there.

    A key that is no option does nothing, nor does one that leads into a queue that would not have the call, or to a
    callback to somebody who cannot be called: what was not told is not there.
    """
    call = board.calls.get(call_id)
    queue = board.centre.queues.get(call.queue) if call is not None and call.queue is not None else None
    if call is None or queue is None or call.state is not CallState.WAITING or call.absent:
        return
    target = queue.options.get(key)
    if target is None or not available(board, call, target):
        return
    way = Way(reason=Reason.OPTION, target=target)
    if target.kind is TargetKind.QUEUE:
        _moved(board, call, way, now)
        return
    _leave(board, call, queue.name, settled(board, call, way), now, in_session=True)


# ---- by hand


def send_on(board: Switchboard, call: Call, target: Target, now: datetime, *, by: str) -> bool:
    """Send a caller who waits, or is being offered, to voicemail, a flow or a number: on the way that the queue's rules use.
    `by` is the supervisor who does.

    False, and nothing changed, where there is nobody to send, or the number cannot be dialled now.
    """
    if call.absent or call.state not in (CallState.WAITING, CallState.OFFERED):
        return False
    if target.kind is TargetKind.NUMBER:
        return outbound.send_out(board, call, target.name, now, BY_HAND, by=by)
    outbound.leave(board, call, now, reason=BY_HAND, to=written(target))
    errands.send(board, board.calls[call.call_id])
    return True


# ---- leaving


def _leave(
    board: Switchboard,
    call: Call,
    queue: QueueName,
    way: Way,
    now: datetime,
    *,
    in_session: bool,
    ticket: f.CallQueued | None = None,
) -> Target:
    """Take the ticket back, if there is one, and send the caller to the target; to voicemail where that cannot be.

    `in_session`: the caller's channel is in a visit, whose answer brings it there, so no command is given. `ticket` is
    what a call without one would have got, for the callback. Gives where the caller goes.
    """
    target = way.target
    if target.kind is TargetKind.CALLBACK and not call.absent:
        asked = callbacks.ask_callback(
            board, call, call.caller_number, now, reason=way.reason.value, ticket=ticket, in_session=in_session
        )
        if asked is not None:
            if call.state is CallState.MENU:
                _dequeued(board, call, queue, way, now)
            return target
    reachable = target.kind is not TargetKind.NUMBER or (
        not outbound.why_not(board, target.name)
        and outbound.has_room(board)
        and outbound.beyond(board, [(target.name, outbound.whose(call.queue))], now) is None
    )
    if target.kind is TargetKind.CALLBACK or not reachable:
        target = VOICEMAIL
    _dequeued(board, call, queue, Way(reason=way.reason, target=target), now)
    if call.state is CallState.WAITING:
        board.leave_queue(call.call_id, now)
    if target.kind is TargetKind.NUMBER:
        board.record(f.CallSentOut(at=now, call_id=call.call_id, number=target.name))
    if not in_session:
        errands.send(board, board.calls[call.call_id])
    return target


def _dequeued(board: Switchboard, call: Call, queue: QueueName, way: Way, now: datetime) -> None:
    board.record(
        f.CallDequeued(at=now, call_id=call.call_id, queue=queue, reason=way.reason.value, to=written(way.target))
    )
