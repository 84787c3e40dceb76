"""What signals from the telephone system mean for calls: one function a signal, over the switchboard.

Late and doubled signals are normal (two connections, redirects, reconnects): each function first asks whether the signal
still fits what is known and otherwise changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cti.acd.inputs import CallerReady
from cti.ids import AgentId, CallId
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call, CallState
from cti.model.dial_signals import AgentCalls, FarSide, PhoneSigned
from cti.model.facts import HangupBy, OfferEnd
from cti.model.supervision_signals import WatchLeg
from cti.services import (
    agent_first,
    callbacks,
    consults,
    departures,
    dialling,
    errands,
    rejoining,
    resumption,
    ring_all,
    supervision_watch,
    talks,
    tolls,
    transfers,
    trunk_lines,
)
from cti.services.switchboard import Switchboard

SLOWEST = timedelta(seconds=3)
"""No signal is later by more than that on a link that is not given up."""
BUSY, NO_ANSWER, REJECTED = 17, 19, 21
"""Q.850 causes that tell apart why a device was not answered."""
UNHEARD = 44
"""Of a leg that Asterisk ended because nothing was heard of it (`network.silence_seconds`): a caller who has gone, like others."""


def offer_end(status: str, cause: int) -> OfferEnd:
    """What Asterisk's DIALSTATUS and the leg's Q.850 cause say about an offer that was not answered."""
    if cause == REJECTED:
        return OfferEnd.REJECTED
    if cause == BUSY or status == "BUSY":
        return OfferEnd.BUSY
    if status == "NOANSWER" or cause == NO_ANSWER:
        return OfferEnd.NO_ANSWER
    if status == "CANCEL":
        return OfferEnd.SUPERSEDED
    return OfferEnd.UNREACHABLE


def start_call(board: Switchboard, signal: s.CallerEntered, now: datetime) -> Call | None:
    """A caller came in. Gives the live call, new or known; None when the call is already over."""
    known = board.calls.get(signal.call_id)
    if known is not None or signal.call_id in board.closed:
        return known
    number = board.normalise(signal.caller_number)
    board.record(
        f.CallStarted(
            at=signal.at,
            call_id=signal.call_id,
            node=board.node,
            caller_number=number,
            did=signal.did,
            channel=signal.channel,
        )
    )
    board.out.look_ups.append((signal.call_id, number))
    return board.calls[signal.call_id]


def _caller_entered(board: Switchboard, signal: s.CallerEntered, now: datetime) -> None:
    start_call(board, signal, now)


def _wait_entered(board: Switchboard, signal: s.WaitEntered, now: datetime) -> None:
    call = board.calls.get(signal.call_id)
    if call is None or call.absent or _from_before_the_talk(board, call, signal):
        return
    if resumption.waits(board, call, now, unique_id=signal.unique_id):
        return
    if transfers.came_from_outside(board, call, now, at=signal.at):
        return
    if call.state in (CallState.TALKING, CallState.HELD, CallState.AFTER):
        # The dialplan found nobody in the room, or a transfer was overtaken by the end of the talk.
        talks.left_alone(board, call, now, at=signal.at, there=True)
        return
    if call.callback is not None:
        callbacks.confirm_again(board, call)
        return
    if call.destination:
        errands.send(board, call)
        return
    if call.state is CallState.OFFERED:
        # An offer is only made when the caller is known to wait, so this is news: the delivery was lost on the way
        # (a jump of the dialplan overwrote the Redirect) and the caller waits again. Unless it is older than the offer:
        # a visit, or an earlier command to wait, was first with the same news.
        if call.offered_at is not None and call.offered_at - SLOWEST < signal.at < call.offered_at:
            return
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=signal.at, deliverable=False)
        call = board.calls[signal.call_id]
    if call.addressed:
        transfers.not_taken(board, call, now)
        call = board.calls[signal.call_id]
    if call.state is CallState.WAITING and not departures.arrived(board, call, now):
        board.route(CallerReady(call_id=call.call_id), now)


def looks_in(board: Switchboard, call_id: CallId, now: datetime) -> None:
    """A waiting caller visits from the wait context, as every few seconds, so they are there: whatever was to bring them there,
    or to an agent, and was lost or refused on its way, they can be offered again. An offer under way is left alone: it
    may have been made during the visit."""
    call = board.calls.get(call_id)
    if call is None or call.state is not CallState.WAITING or call.absent or board.engine.is_deliverable(call_id):
        return
    if not departures.arrived(board, call, now):
        board.route(CallerReady(call_id=call_id), now)


def _outside_line(board: Switchboard, agent_id: AgentId, now: datetime) -> None:
    """A leg of an agent began or ended: the line to an outside number is free when nothing of ours is on it."""
    if trunk_lines.at_outside_number(board, agent_id):
        board.sync_agent(agent_id, now)


def _leg_dialled(board: Switchboard, signal: s.AgentLegDialled, now: datetime) -> None:
    board.legs[signal.agent_channel] = (signal.call_id, signal.agent_id)
    _outside_line(board, signal.agent_id, now)
    call = board.calls.get(signal.call_id)
    if agent_first.superfluous(board, signal):
        return
    if call is not None and call.offer_id is not None and call.offer_id == signal.offer_id:
        ring_all.leg_dialled(board, call, signal.agent_id, signal.agent_channel)


def _leg_ringing(board: Switchboard, signal: s.AgentLegRinging, now: datetime) -> None:
    call = board.calls.get(signal.call_id)
    if call is None or call.offer_id is None or signal.offer_id != call.offer_id:
        return
    known = board.legs.get(signal.agent_channel)
    agent_id = known[1] if known is not None else None if call.several else call.offered_agent
    rang(board, call, agent_id, at=signal.at)


def rang(board: Switchboard, call: Call, agent_id: AgentId | None, *, at: datetime, inferred: bool = False) -> None:
    """An agent's device rings for the call's offer; told twice changes nothing."""
    if call.offer_id is None or agent_id is None:
        return
    if call.state is CallState.OFFERED and agent_id in call.offered_agents and not board.agents[agent_id].ringing:
        board.record(
            f.OfferRang(at=at, call_id=call.call_id, offer_id=call.offer_id, agent_id=agent_id, inferred=inferred)
        )


def _offer_returned(board: Switchboard, signal: s.OfferReturned, now: datetime) -> None:
    call = board.calls.get(signal.call_id)
    if call is None or call.offer_id != signal.offer_id or call.state is not CallState.OFFERED:
        return
    # Deliverable again when the wait context says that the caller is there: see `_wait_entered`.
    end = offer_end(signal.status, signal.cause)
    if call.several:
        ring_all.returned(board, call, end, now, at=signal.at)
    else:
        board.end_offer(call, end, now, at=signal.at, deliverable=False)


def _bridge_joined(board: Switchboard, signal: s.BridgeJoined, now: datetime) -> None:
    members = board.bridges.setdefault(signal.bridge_id, {})
    members[signal.channel] = signal.at
    if signal.agent_id is not None and signal.call_id is not None:
        board.legs[signal.channel] = (signal.call_id, signal.agent_id)
    if dialling.joined(board, signal, now):
        return
    for channel in members:
        leg = board.legs.get(channel)
        if leg is None:
            continue
        call_id, agent_id = leg
        call = board.calls.get(call_id)
        if call is not None and call.absent:
            call = agent_first.reached(board, call, channel, members, at=signal.at)
        if call is not None and channel == signal.channel:
            rejoining.joined(board, call, agent_id)
        if call is not None and call.channel in members and not resumption.resumed(board, call, agent_id, at=signal.at):
            answered(board, call, agent_id, now, at=signal.at)
    call = board.calls.get(signal.call_id) if signal.call_id is not None else None
    if call is not None and call.room:
        consults.joined_bridge(board, call, signal, now)


def answered(
    board: Switchboard, call: Call, agent_id: AgentId, now: datetime, *, at: datetime, inferred: bool = False
) -> None:
    """Proof of talk: caller and agent are in one bridge. Settles the offer, leaves the queue."""
    if agent_id not in board.agents or agent_id in call.talkers or _had_ended(board, call, agent_id, at):
        return
    if call.state not in (CallState.WAITING, CallState.OFFERED, CallState.SURVIVAL):
        _came_into_talk(board, call, agent_id, now, at=at, inferred=inferred)
        return
    # Their telephone may have been told to be free before this talk was told, and rung for the next.
    ring_all.talks_elsewhere(board, agent_id, call.call_id, now)
    offer_id = call.offer_id if agent_id in call.offered_agents else None
    if call.offer_id is not None and offer_id is None:
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=at, deliverable=False)
        call = board.calls[call.call_id]
    board.record(f.CallAnswered(at=at, call_id=call.call_id, agent_id=agent_id, offer_id=offer_id, inferred=inferred))
    if offer_id is not None:
        board.end_offer(call, OfferEnd.ANSWERED, now, at=at, deliverable=False, by=agent_id)
    board.leave_queue(call.call_id, now)
    board.sync_agent(agent_id, now)


def _had_ended(board: Switchboard, call: Call, agent_id: AgentId, at: datetime) -> bool:
    """Whether a talk with this agent ended after `at`: what is told of that moment was its own beginning (an agent takes a caller
    back and sends them on before the two are in a bridge again), and no answer."""
    return any(
        isinstance(fact, f.TalkEnded) and fact.agent_id == agent_id and fact.at > at
        for fact in board.history[call.call_id]
    )


def _came_into_talk(
    board: Switchboard, call: Call, agent_id: AgentId, now: datetime, *, at: datetime, inferred: bool
) -> None:
    """An agent who was asked about the caller hears them now: handed over, or all together."""
    if call.state not in (CallState.TALKING, CallState.HELD, CallState.AFTER) or call.consult is not None:
        return
    if board.agents[agent_id].asked_call != call.call_id:
        return
    board.finish_wrap_up(agent_id, now, by="call", at=at)  # of the call before; who is asked is offered nothing else
    board.record(f.CallAnswered(at=at, call_id=call.call_id, agent_id=agent_id, inferred=inferred))
    board.sync_agent(agent_id, now)
    talks.leave_if_done(board, board.calls[call.call_id])


def _bridge_parted(board: Switchboard, signal: s.BridgeParted, now: datetime) -> None:
    members = board.bridges.get(signal.bridge_id, {})
    members.pop(signal.channel, None)
    if not members:
        board.bridges.pop(signal.bridge_id, None)
    call = _call_of(board, signal.channel, signal.call_id)
    if call is None or call.state not in (CallState.TALKING, CallState.HELD):
        return
    leg = board.legs.get(signal.channel)
    if call.room or (signal.channel != call.channel and (leg is None or leg[1] not in call.talkers)):
        return  # in the room legs come and go by our commands; an end is the end of a channel
    if _from_before_the_talk(board, call, signal):
        return
    if resumption.parted(board, call, signal, now):
        return
    board.left_first.setdefault(call.call_id, HangupBy.CALLER if signal.channel == call.channel else HangupBy.AGENT)
    talks.end_talk(board, call, now, at=signal.at)


def _from_before_the_talk(board: Switchboard, call: Call, signal: s.Signal) -> bool:
    """Whether a signal is older than the talk that goes on: it cannot be its end. After a loss signals stand in line while the
    ledger is read, which may know of a talk that began after them."""
    return call.state in (CallState.TALKING, CallState.HELD) and any(
        isinstance(fact, f.CallAnswered) and fact.at > signal.at for fact in reversed(board.history[call.call_id])
    )


def _call_of(board: Switchboard, channel: str, call_id: CallId | None) -> Call | None:
    return board.calls.get(call_id) if call_id is not None else None


def _hold_changed(board: Switchboard, signal: s.HoldChanged, now: datetime) -> None:
    call = _call_of(board, signal.channel, signal.call_id)
    if call is None or signal.channel == call.channel or call.held_by_server or call.held_reason:
        return
    leg = board.legs.get(signal.channel)
    agent_id = leg[1] if leg is not None else call.agent_id
    if agent_id not in call.talkers or agent_id is None:
        return
    if signal.held and call.state is CallState.TALKING and len(call.talkers) + len(call.outsiders) == 1:
        board.record(f.CallHeld(at=signal.at, call_id=call.call_id, agent_id=agent_id))
    elif not signal.held and call.state is CallState.HELD:
        board.record(f.CallRetrieved(at=signal.at, call_id=call.call_id, agent_id=agent_id))


def _hangup_asked(board: Switchboard, signal: s.HangupAsked, now: datetime) -> None:
    call = _call_of(board, signal.channel, signal.call_id)
    if call is None:
        return
    if signal.channel == call.channel:
        board.left_first.setdefault(call.call_id, HangupBy.CALLER)
    elif signal.channel in board.legs and call.state in (CallState.TALKING, CallState.HELD):
        board.left_first.setdefault(call.call_id, HangupBy.AGENT)


def _channel_gone(board: Switchboard, signal: s.ChannelGone, now: datetime) -> None:
    supervision_watch.leg_gone(board, signal)
    tolls.leg_gone(board, signal)
    leg = board.legs.pop(signal.channel, None)
    party = board.parties.legs.pop(signal.channel, None)
    if party is not None:
        board.parties.let_go.pop(party[1], None)
    if leg is not None:
        _outside_line(board, leg[1], now)
    for bridge_id, members in list(board.bridges.items()):
        if members.pop(signal.channel, None) is not None and not members:
            del board.bridges[bridge_id]
    call = board.calls.get(signal.call_id) if signal.call_id is not None else None
    if call is None:
        return
    if call.absent and call.offer_id is not None:
        agent_first.leg_gone(board, call, signal, now)
    elif call.absent:
        callbacks.leg_gone(board, call, signal, now)
    elif dialling.leg_gone(board, call, signal, now):
        pass
    elif (signal.is_caller and not call.leg_id and not dialling.is_own_leg(call, signal.unique_id)) or (
        signal.channel == call.channel
    ):
        if signal.cause == UNHEARD:
            board.left_first.setdefault(call.call_id, HangupBy.CALLER)
        end_call(board, call, now, at=signal.at, cause=signal.cause)
    elif leg is not None and call.state is CallState.OFFERED:
        ring_all.leg_gone(board, call, leg[1], signal.cause, now, at=signal.at)
    elif leg is not None and leg[1] in call.talkers and resumption.leg_gone(board, call, leg[1], signal, now):
        pass
    elif leg is not None and leg[1] in call.talkers:
        talks.agent_gone(board, call, leg[1], now, at=signal.at)
        if (left := board.calls.get(call.call_id)) is not None:
            consults.asker_gone(board, left, now, at=signal.at)
    elif party is not None:
        consults.leg_gone(board, call, signal.channel, party[1], now, at=signal.at)


def end_call(
    board: Switchboard,
    call: Call,
    now: datetime,
    *,
    at: datetime,
    cause: int = 16,
    hangup_by: HangupBy | None = None,
    outcome: f.Outcome | None = None,
    inferred: bool = False,
) -> None:
    """The caller's leg is gone: free whoever was held for the call, close it.

    A caller may hang up while the bridge is just putting them in line: Asterisk's moment of the end is then the earlier one by
    milliseconds, and told later. No call ends before it came to where it is. An offer that came to nothing after the caller had
    hung up unheard (the link was away) is no such place: who waits came there when they were put in line.
    """
    waits = call.state in (CallState.WAITING, CallState.OFFERED)
    at = max(at, call.joined_at if waits and call.joined_at is not None else call.since)
    if call.state is CallState.DIALLING:
        dialling.end(board, call, "cancelled" if hangup_by is not HangupBy.SYSTEM else "unreachable", now, at=at)
        return
    if call.offer_id is not None:
        board.end_offer(call, OfferEnd.CALLER_GONE, now, at=max(at, call.since), deliverable=False)
        call = board.calls[call.call_id]
    if call.room:
        consults.call_over(board, call, now, at=at)
        call = board.calls[call.call_id]
        talks.end_room(board, call)
    call = talks.end_talk(board, call, now, at=at)
    board.leave_queue(call.call_id, now)
    first = board.left_first.get(call.call_id)
    by = hangup_by or first or HangupBy.SYSTEM
    if call.state is CallState.AFTER and by is HangupBy.SYSTEM and first is None:
        by = HangupBy.AGENT
    board.record(
        f.CallEnded(at=at, call_id=call.call_id, hangup_by=by, cause=cause, outcome=outcome, inferred=inferred)
    )


def _recording_began(board: Switchboard, signal: s.RecordingBegan, now: datetime) -> None:
    if signal.call_id in board.calls:
        board.record(f.RecordingStarted(at=signal.at, call_id=signal.call_id, path=signal.path))


def _voicemail_recorded(board: Switchboard, signal: s.VoicemailRecorded, now: datetime) -> None:
    if signal.call_id in board.calls:
        board.record(f.VoicemailLeft(at=signal.at, call_id=signal.call_id, path=signal.path, seconds=signal.seconds))


def _survival_began(board: Switchboard, signal: s.SurvivalBegan, now: datetime) -> None:
    call = board.calls.get(signal.call_id)
    if call is None:
        return
    if call.held_reason:
        call = talks.end_talk(board, call, now, at=signal.at)
    if call.offer_id is not None:
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=signal.at, deliverable=False)
        call = board.calls[signal.call_id]
    board.leave_queue(call.call_id, now)
    if call.state in (CallState.MENU, CallState.WAITING, CallState.AFTER):
        board.record(f.SurvivalEntered(at=signal.at, call_id=call.call_id, queue=signal.queue))


def device_changed(board: Switchboard, signal: s.DeviceReachable, now: datetime) -> None:
    """A device can or cannot be called."""
    if signal.agent_id not in board.agents:
        return
    board.devices[signal.agent_id, signal.device] = signal
    board.dirty_agents.add(signal.agent_id)
    board.dirty_queues.update(board.centre.agents[signal.agent_id].queues)
    board.sync_agent(signal.agent_id, now)
    resumption.device_changed(board, signal.agent_id, now)


def _unreached(board: Switchboard, signal: s.CustomerUnreached, now: datetime) -> None:
    if not dialling.unreached(board, signal, now):
        agent_first.unreached(board, signal, now)


HANDLERS: dict[type[s.Signal], Callable[[Switchboard, Any, datetime], None]] = {
    s.CallerEntered: _caller_entered,
    s.WaitEntered: _wait_entered,
    s.AgentLegDialled: _leg_dialled,
    s.AgentLegRinging: _leg_ringing,
    s.OfferReturned: _offer_returned,
    s.BridgeJoined: _bridge_joined,
    s.BridgeParted: _bridge_parted,
    s.HoldChanged: _hold_changed,
    s.HangupAsked: _hangup_asked,
    s.ChannelGone: _channel_gone,
    s.RecordingBegan: _recording_began,
    s.SurvivalBegan: _survival_began,
    s.VoicemailRecorded: _voicemail_recorded,
    s.DeviceReachable: device_changed,
    s.CustomerAnswered: callbacks.customer_answered,
    s.CustomerUnreached: _unreached,
    s.AgentPickedUp: agent_first.picked_up,
    PhoneSigned: resumption.phone_signed,
    FarSide: dialling.far_side,
    AgentCalls: dialling.agent_calls,
    s.PartyLeg: consults.party_leg_heard,
    WatchLeg: supervision_watch.leg_heard,
    s.TrunkAnswered: tolls.answered,
}


def handle_signal(board: Switchboard, signal: s.Signal, now: datetime) -> None:
    """Move the floor by one signal; unknown kinds (the link's own) are the dispatcher's."""
    handler = HANDLERS.get(type(signal))
    if handler is not None:
        handler(board, signal, now)
