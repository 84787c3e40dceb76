"""After a gap: make what we remember agree with what the telephone system has.

The ledger (Asterisk's own event log, read by an adapter) tells first what happened unseen, with its true times; the
snapshot then says what is there now. What neither explains is closed or corrected here, stamped `inferred`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from cti.acd.inputs import CallerReady
from cti.errors import IllegalTransition
from cti.ids import CallId, ChannelName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call, CallState
from cti.model.callback import is_callers_leg
from cti.model.facts import HangupBy, OfferEnd
from cti.services import (
    agent_first,
    call_control,
    callbacks,
    dialling,
    errands,
    outbound,
    resumption,
    room_recovery,
    supervision_watch,
    talks,
)
from cti.services.snapshot_times import told_at
from cti.services.switchboard import Switchboard

YOUNG = timedelta(seconds=2)
"""A call younger than this when the snapshot was complete may have begun while it was being taken."""
WAIT, DELIVER, SURVIVAL = "cti-wait", "cti-deliver", "cti-survival"
ENTERING = ("cti-inbound", "cti-refused", "cti-enter")
"""Where a caller's number is still being read. Who is there is told of in a moment (CtiInbound), with the number."""
RINGING = "Ringing"
"""State of a channel whose device rings."""


class Ledger(Protocol):
    """Asterisk's own event log, as far as reconciliation asks it."""

    async def missed(self, board: Switchboard, *, asterisk_started_at: datetime | None = None) -> Sequence[f.Fact]:
        """Facts that happened unseen, in order of time, that the journal does not have.

        `asterisk_started_at`: Asterisk was restarted, and no call that began before that moment lives.
        """
        ...


class NoLedger:
    """Where there is no event log to read."""

    async def missed(self, board: Switchboard, *, asterisk_started_at: datetime | None = None) -> Sequence[f.Fact]:
        """Nothing."""
        return ()


def adopt_ledger(board: Switchboard, facts: Iterable[f.Fact], now: datetime) -> int:
    """Take over facts that happened while nobody watched. Gives how many were news."""
    taken = 0
    for fact in facts:
        if not isinstance(fact, f.CallFact) or fact.call_id in board.closed:
            continue
        if isinstance(fact, f.CallStarted):
            _adopt_call(board, fact)
            taken += 1
            continue
        call = board.calls.get(fact.call_id)
        if isinstance(fact, f.CallAnswered) and call is not None:
            call_control.answered(board, call, fact.agent_id, now, at=fact.at, inferred=True)
        elif isinstance(fact, f.CallbackDialled) and call is not None and fact.agent_id is not None:
            if call.dialling or not agent_first.is_offered_leg(call, fact.channel):
                continue
            agent_first.dialled(board, call, now, at=fact.at, inferred=True)
        elif isinstance(fact, f.CallbackFailed) and call is not None:
            if not call.dialling:
                continue
            callbacks.attempt_failed(board, call, fact.status, now, at=fact.at, inferred=True)
        elif isinstance(fact, f.CallEnded) and call is not None and _lost(call, fact):
            callbacks.lost(board, call, now, at=fact.at)
        elif isinstance(fact, f.CallEnded) and call is not None:
            call_control.end_call(
                board,
                call,
                now,
                at=fact.at,
                cause=fact.cause,
                hangup_by=fact.hangup_by,
                outcome=fact.outcome,
                inferred=True,
            )
        elif isinstance(fact, f.TalkEnded) and call is not None and resumption.is_held(call):
            continue
        elif isinstance(fact, f.TalkEnded) and call is not None:
            talks.end_talk(board, call, now, at=fact.at, agent_id=fact.agent_id)
        else:
            if isinstance(fact, f.SurvivalEntered) and call is not None:
                _leave_offer(board, call, now, at=fact.at)
            try:
                board.record(fact)
            except IllegalTransition:
                board.illegal += 1
                continue
        taken += 1
    return taken


def _lost(call: Call, fact: f.CallEnded) -> bool:
    """Whether the telephone system fell over under a customer who was called back and waited: not the customer's doing."""
    unserved = call.state in (CallState.WAITING, CallState.OFFERED)
    return call.parent is not None and unserved and fact.hangup_by is HangupBy.SYSTEM


def _adopt_call(board: Switchboard, fact: f.CallStarted) -> None:
    number = board.normalise(fact.caller_number)
    if fact.call_id not in board.calls:
        board.record(replace(fact, caller_number=number))
        board.out.look_ups.append((fact.call_id, number))


def _leave_offer(board: Switchboard, call: Call, now: datetime, *, at: datetime) -> None:
    if call.offer_id is not None:
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=at, deliverable=False)
    board.leave_queue(call.call_id, now)


def dead_before(snapshot: s.Snapshot, lost_at: datetime | None) -> datetime | None:
    """Asterisk was restarted: no call that began before this moment lives. None: it was not.

    `lost_at` is when the link went, which is not before Asterisk did. Had it gone only after the new Asterisk took calls,
    the eldest of these in the snapshot is younger than the moment.
    """
    if not snapshot.restarted:
        return None
    if snapshot.gone:
        return snapshot.at
    ages = [channel.seconds for channel in snapshot.channels]
    eldest = snapshot.at - timedelta(seconds=max(ages, default=0.0) + 1.0)
    if lost_at is None or lost_at > snapshot.at:
        return eldest
    return min(lost_at, eldest) if ages else max(lost_at, eldest)


def _missing(board: Switchboard, snapshot: s.Snapshot, dead: datetime | None = None) -> list[Call]:
    """Live calls that the snapshot should have and has not; `dead` as `dead_before` gave it.

    The ledger is read after the snapshot was taken and knows younger calls: about those this snapshot says nothing. What
    happens to them comes as signals, for the link was up when they began.
    """
    there = {channel.unique_id for channel in snapshot.channels}
    judged = (snapshot.asked_at or snapshot.at) - YOUNG
    judged = max(judged, dead) if dead is not None else judged
    return [
        call
        for call in board.calls.values()
        if callbacks.is_missing(call, there) and (call.dialled_at or call.started_at) < judged
    ]


def unexplained(board: Switchboard, snapshot: s.Snapshot, dead: datetime | None = None) -> bool:
    """Whether a call we hold live is gone without a word."""
    return bool(_missing(board, snapshot, dead))


def adopt_snapshot(board: Switchboard, snapshot: s.Snapshot, now: datetime, *, dead: datetime | None = None) -> None:
    """Correct the floor by what the telephone system has now. `dead` as `dead_before` gave it."""
    callers: dict[CallId, s.LiveChannel] = {}
    agents_legs: list[s.LiveChannel] = []
    for channel in snapshot.channels:
        if channel.call_id is None:
            continue
        if (of_agent := dialling.place_of(board, channel)) is not None:
            if of_agent == "far":
                callers[channel.call_id] = channel
            elif channel.agent_id is not None:
                agents_legs.append(channel)
        elif is_callers_leg(channel.call_id, channel.unique_id) or _is_far_side(board, channel):
            if callbacks.on_the_line(board, channel, now):
                callers[channel.call_id] = channel
        elif (leg := outbound.agents_leg(board, channel)) is not None:
            agents_legs.append(leg)
    board.legs = {leg.channel: (leg.call_id, leg.agent_id) for leg in agents_legs if leg.call_id and leg.agent_id}
    board.bridges = _bridges(snapshot)
    room_recovery.know_legs(board, snapshot)
    supervision_watch.adopt(board, snapshot, now)
    dialling.adopt(board, snapshot, now)
    for call, agent_id in agent_first.adopt(board, snapshot, now):
        at = told_at(board, call, snapshot, now)
        call_control.answered(board, call, agent_id, now, at=at, inferred=True)
    for call in _missing(board, snapshot, dead):
        # Who hung up is in the ledger. A customer who was reached, and is gone without a word, went with Asterisk itself.
        if call.dialling or (call.parent is not None and call.state in (CallState.WAITING, CallState.OFFERED)):
            callbacks.lost(board, call, now, at=now)
        else:
            call_control.end_call(board, call, now, at=now, hangup_by=HangupBy.SYSTEM, inferred=True)
    for channel in callers.values():
        known = board.calls.get(channel.call_id) if channel.call_id is not None else None
        if known is not None and _told_later(board, known, snapshot):
            continue
        if known is None or not room_recovery.adopt(board, known, channel, snapshot, now):
            _place(board, channel, agents_legs, now, seen_at=snapshot.asked_at or now)
    for device in snapshot.devices:
        call_control.device_changed(board, device, now)


def _told_later(board: Switchboard, call: Call, snapshot: s.Snapshot) -> bool:
    """Whether the ledger, which is read after the snapshot was taken, told of a talk's beginning or end that the snapshot may
    not know: it would undo it. What came after it is told by signals, which flow from before the snapshot on."""
    asked_at = snapshot.asked_at
    return asked_at is not None and any(
        isinstance(fact, f.CallAnswered | f.TalkEnded) and fact.at > asked_at
        for fact in board.history.get(call.call_id, ())
    )


def _is_far_side(board: Switchboard, channel: s.LiveChannel) -> bool:
    """The customer of a callback that called its agent first, after that agent's leg was gone."""
    call = board.calls.get(channel.call_id) if channel.call_id is not None else None
    return (
        call is not None
        and call.parent is not None
        and (call.leg_id, call.channel)
        == (
            channel.unique_id,
            channel.channel,
        )
    )


def _bridges(snapshot: s.Snapshot) -> dict[str, dict[ChannelName, datetime]]:
    found: dict[str, dict[ChannelName, datetime]] = {}
    for channel in snapshot.channels:
        if channel.bridge_id:
            found.setdefault(channel.bridge_id, {})[channel.channel] = snapshot.at
    return found


def _place(
    board: Switchboard, channel: s.LiveChannel, legs: list[s.LiveChannel], now: datetime, *, seen_at: datetime
) -> None:
    """Put one caller where the telephone system has them. `seen_at`: they were there not before that moment; what signals tell
    of later moments is still to come."""
    if channel.call_id is None or channel.call_id in board.closed:
        return
    call = board.calls.get(channel.call_id)
    if call is None:
        if not channel.did or channel.context.startswith(ENTERING):
            return
        board.record(
            f.CallStarted(
                at=now,
                call_id=channel.call_id,
                node=board.node,
                caller_number=board.normalise(channel.caller_number),
                did=channel.did,
                channel=channel.channel,
                inferred=True,
            )
        )
        board.out.look_ups.append((channel.call_id, board.normalise(channel.caller_number)))
        call = board.calls[channel.call_id]
        if channel.queue is not None and channel.queue in board.centre.queues and channel.context.startswith(WAIT):
            board.record(f.CallQueued(at=now, call_id=call.call_id, queue=channel.queue, inferred=True))
            board.join_queue(board.calls[call.call_id], now, deliverable=False)
        call = board.calls[channel.call_id]
    partner = next(
        (leg for leg in legs if channel.bridge_id and leg.bridge_id == channel.bridge_id and leg.agent_id is not None),
        None,
    )
    if partner is not None and partner.agent_id is not None:
        if resumption.resumed(board, call, partner.agent_id, at=now):
            return
        since = max(seen_at, *(fact.at for fact in board.history[call.call_id]))
        call_control.answered(board, call, partner.agent_id, now, at=min(since, now), inferred=True)
        return
    if resumption.adopt(board, call, now, there=channel.context.startswith(WAIT)):
        return
    if call.state in (CallState.TALKING, CallState.HELD):
        call = talks.end_talk(board, call, now, at=now)
        if not channel.context.startswith(WAIT):
            return
    if channel.context.startswith(SURVIVAL) and call.state in (CallState.WAITING, CallState.OFFERED):
        _leave_offer(board, call, now, at=now)
        board.record(f.SurvivalEntered(at=now, call_id=call.call_id, queue=channel.queue, inferred=True))
        return
    if channel.context.startswith(DELIVER) and channel.offer_id == call.offer_id and call.offer_id is not None:
        for leg in legs:
            if leg.call_id == call.call_id and leg.state == RINGING:
                call_control.rang(board, call, leg.agent_id, at=now, inferred=True)
        return
    if call.offer_id is not None:
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=now, deliverable=False)
    if call.state in (CallState.WAITING, CallState.OFFERED):
        board.route(CallerReady(call_id=call.call_id), now)
    elif channel.context.startswith(WAIT) and call.state is CallState.AFTER and not call.destination:
        talks.left_alone(board, call, now, at=now, there=True)
    elif channel.context.startswith(WAIT):
        # Sent elsewhere, but the command was lost with a bridge or a link.
        errands.send(board, call)
