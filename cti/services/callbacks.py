"""Callbacks that keep the place: the ticket goes over to a call of its own, whose customer is called when its turn comes.

Theory of operation. A caller who asks to be called back leaves; a new call, the callback, takes the ticket over as it is
(since when it waits, head start, skills) and stands in the same line. Nobody is on it, so the engine, which offers only who
can be delivered, passes it by without forgetting its place. Customer first: the customer is dialled when the expected wait
at that place is no longer than a telephone rings, or when an agent is free whom nobody on the line can have. Who answers
and presses the key is from then on a waiting caller like any other, with the old place: before everybody behind it, behind
everybody before it. No agent is reserved meanwhile. Agent first: as long as the customer may be called, the engine may offer
the callback as it is; what becomes of the offer is told in `agent_first`.

Nobody is dialled twice. `CallbackDialled` is durable before the command is given and names the channel the command will
make; an attempt ends by that channel's end, by Asterisk's answer to the command, or by a snapshot that does not have it. One
that nobody hears of any more is hung up before it counts as failed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cti.acd.decisions import Why
from cti.acd.inputs import CallerNotReady, CallerReady
from cti.acd.ranking import caller_key
from cti.ids import AgentId, CallId, ChannelName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call, CallState
from cti.model.callback import attempt_leg, callback_id, is_callback, is_callers_leg
from cti.model.centre import CallbackFirst, CallbackRules, Queue
from cti.model.commands import ConfirmCallback, DialCustomer, HangUp
from cti.model.facts import Direction, HangupBy, Outcome
from cti.services import dialling, offers, outbound, recording_choice
from cti.services.expected import wait_of
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from cti.services.trunk_lines import take

LOOK_EVERY = timedelta(seconds=1)
"""How often it is looked whose turn it is."""
OVERDUE = timedelta(seconds=90)
"""An attempt that is neither confirmed nor over so long after its telephone stopped ringing is hung up."""

_CONFIRMED = ("cti-wait", "cti-deliver", "cti-survival", "cti-voicemail")
"""Contexts a customer only comes to who pressed the key."""

_BUSY, _NO_ANSWER, _REJECTED, _NO_ONE = 17, 19, 21, 18
_BY_CAUSE = {_BUSY: "busy", _NO_ANSWER: "no_answer", _NO_ONE: "no_answer", _REJECTED: "rejected"}
_BY_STATUS = {"BUSY": "busy", "NOANSWER": "no_answer", "CANCEL": "no_answer"}


def rules_of(board: Switchboard, call: Call) -> CallbackRules:
    """The rules of the callback's queue; the usual ones where the queue is no more."""
    queue = board.centre.queues.get(call.queue) if call.queue is not None else None
    return queue.callback if queue is not None else CallbackRules()


# -- asking ------------------------------------------------------------------------------------------------------------


def ask_callback(
    board: Switchboard,
    call: Call,
    number: str | None,
    now: datetime,
    *,
    confirmed: bool = False,
    reason: str = "option",
    ticket: f.CallQueued | None = None,
    in_session: bool = False,
) -> CallId | None:
    """The caller will be called back at `number`, and hangs up without losing the place. Gives the callback's id.

    None, and nothing changed, where that cannot be: no number, not on the list of what may be dialled, no trunk. Asking again
    gives the same callback, so does another call with the same number to the same queue. A caller who is still in the
    menus has no ticket to hand over: `ticket` is the one it would get (`terms.ticket_fact`). `reason` is why the caller
    leaves the queue, as in `CallDequeued`. The caller is told and hung up by a command; the session it is in just ends.
    `in_session`: by the session's answer instead.
    """
    call = board.calls.get(call.call_id, call)
    if call.callback is not None:
        return call.callback
    number = board.normalise(number)
    if call.absent or not number or outbound.why_not(board, number):
        return None
    if call.state not in (CallState.MENU, CallState.WAITING, CallState.OFFERED):
        return None
    if call.state is CallState.MENU and ticket is None:
        return None
    taken = ticket if call.state is CallState.MENU and ticket is not None else _ticket(call, now)
    known = _waiting_for(board, number, taken)
    new_id = known.call_id if known is not None else callback_id(call.call_id)
    if known is None and (new_id in board.calls or new_id in board.closed):
        return None
    outbound.leave(board, call, now, reason=reason, to="callback")
    board.record(f.CallbackAsked(at=now, call_id=call.call_id, callback_id=new_id, number=number, confirmed=confirmed))
    if known is None:
        _begin(board, call, new_id, number, taken, now)
    if not in_session:
        board.out.commands.append(ConfirmCallback(call_id=call.call_id, channel=call.channel))
    return new_id


def confirm_again(board: Switchboard, call: Call) -> None:
    """The caller was to be told and hung up, and waits all the same: a jump of the dialplan overwrote the command."""
    if call.callback is not None:
        board.out.commands.append(ConfirmCallback(call_id=call.call_id, channel=call.channel))


def _ticket(call: Call, now: datetime) -> f.CallQueued:
    """The ticket of a waiting call, as the fact that would give it."""
    if call.queue is None:
        raise AssertionError(f"call {call.call_id} waits in no queue")
    hold = (call.hold_until - now).total_seconds() if call.hold_until is not None else 0.0
    return f.CallQueued(
        at=now,
        call_id=call.call_id,
        queue=call.queue,
        head_start=call.head_start,
        skills=call.skills,
        strict=call.strict,
        requires=call.requires,
        since=call.queued_at,
        preferred=call.preferred if hold > 0 else None,
        hold=max(0.0, hold),
    )


def _waiting_for(board: Switchboard, number: str, ticket: f.CallQueued) -> Call | None:
    """The callback that waits for this number in that queue already."""
    return waiting_at(board, number, ticket.queue)


def waiting_at(board: Switchboard, number: str, queue: QueueName) -> Call | None:
    """The callback that waits for this number in this queue; None without one."""
    for call_id in board.callbacks:
        call = board.calls[call_id]
        if call.absent and call.caller_number == number and call.queue == queue:
            return call
    return None


def _begin(board: Switchboard, call: Call, new_id: CallId, number: str, ticket: f.CallQueued, now: datetime) -> None:
    """Start the callback, with all that is known of the caller, and put it into the line at the old place."""
    board.record(
        f.CallStarted(
            at=now,
            call_id=new_id,
            node=call.node,
            direction=Direction.OUTBOUND,
            caller_number=number,
            did=call.did,
            parent=call.call_id,
        )
    )
    if call.language:
        board.record(f.LanguageChosen(at=now, call_id=new_id, language=call.language))
    if number == call.caller_number and (known := board.cards.get(call.call_id)) is not None:
        board.know_customer(new_id, known, now)
    else:
        board.out.look_ups.append((new_id, number))
    board.record(
        f.CallQueued(
            at=now,
            call_id=new_id,
            queue=ticket.queue,
            head_start=ticket.head_start,
            skills=ticket.skills,
            strict=ticket.strict,
            requires=ticket.requires,
            since=ticket.since,
            preferred=ticket.preferred,
            hold=ticket.hold,
            by="callback",
            not_before=ticket.not_before,
        )
    )
    board.join_queue(board.calls[new_id], now, deliverable=False)


def take_back(board: Switchboard, call: Call, ticket: f.CallQueued) -> f.CallQueued:
    """The ticket of a caller who joins a queue: with the place of the callback that waits for them there, which is over."""
    known = _waiting_for(board, call.caller_number, ticket) if call.caller_number is not None else None
    if known is None or call.parent is not None or known.queued_at is None:
        return ticket
    _hang_up(board, known, ticket.at)
    board.record(f.CallDequeued(at=ticket.at, call_id=known.call_id, reason="called_again", to=f"call:{call.call_id}"))
    _close(board, board.calls[known.call_id], ticket.at, at=ticket.at, outcome=Outcome.CALLBACK)
    return replace(ticket, since=min(known.queued_at, ticket.since or ticket.at), by=ticket.by or "callback")


def _hang_up(board: Switchboard, call: Call, now: datetime) -> None:
    """End whatever is done to reach the customer: the call of an agent who was to be first, or the customer's own."""
    offers.call_off(board, call)
    if call.leg_id and call.offer_id is None:
        board.out.commands.append(HangUp(channel=ChannelName(call.leg_id)))
    if call.offer_id is not None:
        board.end_offer(call, f.OfferEnd.CALLER_GONE, now, at=now, deliverable=False)


# -- whose turn it is --------------------------------------------------------------------------------------------------


def attend(board: Switchboard, now: datetime) -> None:
    """Dial the customers whose turn has come, give up attempts nobody hears of any more. Cheap to call at every turn."""
    if not (board.callbacks or board.lines_taken) or not board.linked:
        return
    looked = board.callbacks_looked_at
    if looked is not None and timedelta() <= now - looked < LOOK_EVERY:
        return
    board.callbacks_looked_at = now
    if board.lines_taken and outbound.has_room(board):
        take(board, now, taken=False)
    calls = sorted((board.calls[call_id] for call_id in board.callbacks), key=_key)
    for call in calls:
        began = call.dialled_at if call.dialling else None
        if began is not None and now - began > rules_of(board, call).ring_timeout + OVERDUE:
            # Asterisk ends such a channel itself; if it has none, the answer "no such channel" changes nothing.
            board.out.commands.append(HangUp(channel=ChannelName(call.leg_id)))
            attempt_failed(board, call, "unknown", now, at=now)
    look = _Look(room=outbound.room(board))
    for call in [board.calls[call.call_id] for call in calls if call.call_id in board.calls]:
        if call.offer_id is not None:
            continue
        if call.leg_id:
            if call.state is CallState.WAITING:
                _free_agent(board, call, look, now)
        elif rules_of(board, call).first is CallbackFirst.AGENT:
            _stand_by(board, call, look, now)
        elif look.room and _may_be_called(board, call, now) and _its_turn(board, call, look, now):
            _dial(board, call, now)
            look.room -= 1


def _key(call: Call) -> tuple[object, ...]:
    """The engine's own order."""
    waits_since = call.queued_at or call.started_at
    return tuple(caller_key(waits_since, timedelta(seconds=call.head_start), call.call_id, call.strict))


def _stand_by(board: Switchboard, call: Call, look: _Look, now: datetime) -> None:
    """Agent first: the callback may be offered as long as its customer may be called, and a line is kept for it."""
    may = look.room > 0 and _may_be_called(board, call, now)
    if may:
        look.room -= 1
    if may is not board.engine.is_deliverable(call.call_id):
        board.route((CallerReady if may else CallerNotReady)(call_id=call.call_id), now)


def _may_be_called(board: Switchboard, call: Call, now: datetime) -> bool:
    """Whether this callback could be dialled now, were it its turn."""
    if call.state is not CallState.WAITING or (call.retry_at is not None and call.retry_at > now):
        return False
    number = call.caller_number or ""
    if (
        outbound.why_not(board, number)
        or outbound.beyond(board, [(number, outbound.whose(call.queue))], now) is not None
    ):
        return False
    queue = board.centre.queues.get(call.queue) if call.queue is not None else None
    return queue is not None and in_hours(board, queue, now)


def in_hours(board: Switchboard, queue: Queue, now: datetime) -> bool:
    """Whether customers of this queue may be called at `now`: the callback calendar, else the queue's opening hours."""
    calendar = board.centre.calendars.get(queue.callback.calendar or queue.calendar)
    return calendar is None or calendar.is_open(now, ZoneInfo(board.centre.time_zone))


@dataclass(slots=True)
class _Look:
    """What one look at the line has found so far; it goes through the callbacks in serving order."""

    room: int
    """Calls that may still leave."""
    claimed: set[AgentId] = field(default_factory=set)
    """Free agents whom callbacks count on."""
    without: set[object] = field(default_factory=set)
    """What was asked of agents, by queue, that nobody is left for."""
    far: set[QueueName] = field(default_factory=set)
    """Queues where the wait of a callback is too long; it is no shorter behind it."""


def _its_turn(board: Switchboard, call: Call, look: _Look, now: datetime) -> bool:
    if _free_agent(board, call, look, now):
        return True
    if call.queue is None or call.queue in look.far:
        return False
    wait = wait_of(board, call.call_id, now)
    if wait is not None and wait.mean <= rules_of(board, call).ring_timeout.total_seconds():
        return True
    look.far.add(call.queue)
    return False


def _free_agent(board: Switchboard, call: Call, look: _Look, now: datetime) -> bool:
    """Whether an agent is free who may serve this call and whom no callback before it counts on; it counts on one then.

    Whoever is on the line and could have that agent has been offered to them already: the engine leaves no such pair.
    """
    wanted = (call.queue, call.skills, call.requires, call.preferred)
    if wanted in look.without or board.engine.why_waiting(call.call_id, now) != Why.NOT_DELIVERABLE:
        return False
    record = board.engine.explain(call.call_id, now)
    for candidate in record.candidates if record is not None else ():
        if candidate.agent_id not in look.claimed:
            look.claimed.add(candidate.agent_id)
            return True
    look.without.add(wanted)
    return False


def _dial(board: Switchboard, call: Call, now: datetime) -> None:
    attempt = call.attempt + 1
    queue = board.centre.queues.get(call.queue) if call.queue is not None else None
    leg = attempt_leg(call.call_id, attempt)
    board.record(f.CallbackDialled(at=now, call_id=call.call_id, attempt=attempt, channel=leg))
    board.out.commands.append(
        DialCustomer(
            call_id=call.call_id,
            channel_id=leg,
            number=call.caller_number or "",
            ring_timeout=rules_of(board, call).ring_timeout,
            caller_id=outbound.caller_id(board),
            queue=call.queue,
            did=call.did,
            language=call.language,
            agents_ring=queue.ring_timeout if queue is not None else None,
            record=recording_choice.wanted(board, call.call_id, call.queue),
        )
    )


# -- what became of it -------------------------------------------------------------------------------------------------


def customer_answered(board: Switchboard, signal: s.CustomerAnswered, now: datetime) -> None:
    """Somebody picked up, and pressed the key or did not."""
    call = board.calls.get(signal.call_id)
    if call is None or call.leg_id != signal.unique_id:
        # An attempt that was given up came through after all: better a call that ends than two.
        board.out.commands.append(HangUp(channel=signal.channel))
    elif not call.absent:
        return
    elif signal.confirmed:
        board.record(f.CallbackReached(at=signal.at, call_id=call.call_id, channel=signal.channel))
    else:
        attempt_failed(board, call, "not_confirmed", now, at=signal.at)


def leg_gone(board: Switchboard, call: Call, signal: s.ChannelGone, now: datetime) -> None:
    """A channel of a callback that nobody confirmed ended: busy, not answered, hung up before the key."""
    if call.dialling and signal.unique_id == call.leg_id:
        attempt_failed(board, call, _BY_CAUSE.get(signal.cause, "hung_up"), now, at=signal.at)


def customer_unreached(board: Switchboard, signal: s.CustomerUnreached, now: datetime) -> None:
    """Asterisk says that dialling came to nothing; often the channel's end has said so already."""
    for call_id in board.callbacks:
        call = board.calls[call_id]
        if call.dialling and call.leg_id == signal.unique_id:
            attempt_failed(board, call, _BY_STATUS.get(signal.status, "unreachable"), now, at=signal.at)
            return


def not_sent(board: Switchboard, command: DialCustomer, now: datetime) -> None:
    """The command to dial was surely not carried out."""
    call = board.calls.get(command.call_id)
    if call is not None and call.dialling and call.leg_id == command.channel_id:
        attempt_failed(board, call, "not_sent", now, at=now)


def attempt_failed(
    board: Switchboard,
    call: Call,
    status: str,
    now: datetime,
    *,
    at: datetime,
    end: f.OfferEnd = f.OfferEnd.SUPERSEDED,
    inferred: bool = False,
) -> None:
    """The attempt under way reached nobody: again later, or, after the last one, never.

    `end` is how the offer ends of an agent who was called first.
    """
    rules = rules_of(board, call)
    retry_at = at + rules.retry if call.attempt < rules.attempts else None
    board.record(
        f.CallbackFailed(
            at=at, call_id=call.call_id, attempt=call.attempt, status=status, retry_at=retry_at, inferred=inferred
        )
    )
    if call.offer_id is not None:
        # The agent who waited for the customer has missed nothing, and is free again.
        board.end_offer(board.calls[call.call_id], end, now, at=at, deliverable=False)
    if retry_at is None:
        _close(board, call, now, at=at, outcome=Outcome.FAILED)


def lost(board: Switchboard, call: Call, now: datetime, *, at: datetime) -> None:
    """The customer's channel is gone and nobody can say why: Asterisk was restarted, or the command never reached it."""
    if call.offer_id is not None:
        # Not as "caller gone", which would end the waiting, too.
        board.end_offer(call, f.OfferEnd.SUPERSEDED, now, at=at, deliverable=False)
    call = board.calls[call.call_id]
    if call.state is CallState.WAITING and call.leg_id:
        board.route(CallerNotReady(call_id=call.call_id), now)
        attempt_failed(board, call, "lost", now, at=at)


def is_missing(call: Call, there: Collection[str]) -> bool:
    """Whether the caller's channel should be among the channels with these unique ids, and is not."""
    if call.dialled_by is not None:
        return dialling.is_missing(call, there)
    if call.parent is not None:
        return bool(call.leg_id) and call.leg_id not in there
    if call.call_id in there:
        return False
    return not (is_callback(call.call_id) and any(is_callers_leg(call.call_id, unique_id) for unique_id in there))


def on_the_line(board: Switchboard, channel: s.LiveChannel, now: datetime) -> bool:
    """Whether the channel of a snapshot is a caller who is there.

    A customer who confirmed unseen is, from now on; one who is still being called is not yet. A channel of an attempt
    that was given up is hung up.
    """
    if channel.call_id is None or not is_callback(channel.call_id):
        return True
    call = board.calls.get(channel.call_id)
    # Of a journal that is lost: the customer's next visit from the wait context makes a call of it, as of any caller.
    if call is None and channel.call_id not in board.closed:
        return False
    if call is not None and call.parent is None:
        return True
    if call is None or call.leg_id != channel.unique_id:
        board.out.commands.append(HangUp(channel=channel.channel))
        return False
    if call.absent and channel.context.startswith(_CONFIRMED):
        board.record(f.CallbackReached(at=now, call_id=call.call_id, channel=channel.channel, inferred=True))
    return not board.calls[call.call_id].absent


def cancel(board: Switchboard, call_id: CallId, now: datetime, *, by: str) -> None:
    """Take a callback that waits off the list. Raises `Refused` when there is none, or its customer is on the line."""
    call = board.calls.get(call_id)
    if call is None or not call.absent:
        raise Refused("no_callback", "no such callback waits", remedy="reload: it may have been reached or given up")
    _hang_up(board, call, now)
    board.record(f.CallDequeued(at=now, call_id=call_id, reason="supervisor", to=f"cancelled by {by}"))
    _close(board, board.calls[call_id], now, at=now, outcome=Outcome.FAILED)


def _close(board: Switchboard, call: Call, now: datetime, *, at: datetime, outcome: Outcome) -> None:
    board.leave_queue(call.call_id, now)
    board.record(f.CallEnded(at=at, call_id=call.call_id, hangup_by=HangupBy.SYSTEM, outcome=outcome))
