"""Supervisors in somebody else's call: listening, whispering, talking along, taking over.

Theory of operation. The supervisor's own telephone is called; its leg is on no bridge while it listens or whispers (ChanSpy on
the *agent's* channel), so the call's state, the proof of talk and the recording know nothing of it. Who talks along is
brought into the call's room, and is a party of the call like an outside number (`supervision_legs.party_name`): heard by all,
recorded, seen in the rows. Who takes over does the same, and the agents' legs are ended when caller and supervisor are
proved to be in one bridge.

`attend` runs after every turn and compares what each supervisor wants with where the leg was sent: so a part in a call
survives hold, consultation, transfer and room, follows the caller from agent to agent, and ends with the call. After a
restart of ours the facts say who wanted what; legs that nobody wants are ended (`adopt`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cti.ids import CallId, ChannelName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call, CallState
from cti.model.commands import EnterRoom, HangUp
from cti.model.supervision_commands import DialWatcher, SpyOn
from cti.model.supervision_facts import (
    IN_TALK,
    RoomOpened,
    WatchAnswered,
    WatchBegan,
    WatchChanged,
    WatchEnd,
    WatchEnded,
    WatchMode,
)
from cti.model.supervision_legs import call_of_watch_leg, party_name, watch_leg
from cti.model.supervision_signals import WatchLeg
from cti.services import consults
from cti.services.floor import Refused
from cti.services.supervision_state import Watch
from cti.services.switchboard import Switchboard
from cti.services.talks import TALK, hang_up_leg, leg_of

RING = timedelta(seconds=20)
"""How long a supervisor's telephone rings."""
MARGIN = timedelta(seconds=5)
YOUNG = timedelta(seconds=2)
"""A leg that was asked for so shortly before a snapshot may have begun while it was being taken."""


# ---- what supervisors ask


def begin(
    board: Switchboard,
    call_id: CallId,
    now: datetime,
    *,
    by: str,
    account: str,
    mode: WatchMode,
    again: bool = False,
) -> Watch:
    """Call the supervisor's telephone, for a part in this call. Raises `Refused`.

    `again`: whoever has a part in it already gets a new leg, which takes the place of the one there is once it is there.
    """
    call = _talked_in(board, call_id)
    former = board.supervision.of(by)
    if former is not None and not (again and former.call_id == call_id and former.answered and not former.replaces):
        raise Refused("already_watching", "you have a part in a call already", remedy="stop it first")
    _may(board, call, mode)
    fact = WatchBegan(
        at=now,
        call_id=call_id,
        by=by,
        leg_id=watch_leg(call_id, board.supervision.legs.get(call_id, 0) + 1),
        mode=mode,
        account=account,
        watched=call.agent_id,
    )
    board.record(fact)
    board.out.commands.append(
        DialWatcher(
            call_id=call_id,
            channel_id=fact.leg_id,
            account=account,
            caller_channel=call.channel,
            ring_timeout=RING,
            shown=call.agent_id or "",
        )
    )
    _show(board, call)
    return board.supervision.watches[fact.leg_id]


def change(board: Switchboard, now: datetime, *, by: str, mode: WatchMode) -> Watch:
    """Do something else in the call. Raises `Refused`."""
    watch = _own(board, by)
    if watch.mode is mode:
        return watch
    call = _talked_in(board, watch.call_id)
    if party_name(by) in call.outsiders and mode not in IN_TALK and not call.talkers:
        raise Refused("caller_is_yours", "nobody else is with the caller", remedy="send the caller on, or hang up")
    _may(board, call, mode)
    board.record(WatchChanged(at=now, call_id=call.call_id, by=by, leg_id=watch.leg_id, mode=mode))
    attend(board, now)
    return watch


def stop(board: Switchboard, now: datetime, *, by: str) -> CallId:
    """Have no part in the call any more; gives which it was. Raises `Refused`."""
    watch = _own(board, by)
    for one in [one for one in board.supervision.watches.values() if one.by == by]:
        _end(board, one, WatchEnd.STOPPED, now)
    return watch.call_id


def _own(board: Switchboard, by: str) -> Watch:
    watch = board.supervision.of(by)
    if watch is None:
        raise Refused("not_watching", "you have no part in a call", remedy="nothing to do: it is over")
    return watch


def _talked_in(board: Switchboard, call_id: CallId) -> Call:
    call = board.calls.get(call_id)
    if call is None:
        raise Refused("unknown_call", f"call {call_id} is not live", remedy="nothing to do: it is over")
    if call.state not in TALK or not (call.talkers or call.outsiders):
        raise Refused(
            "nobody_talks", f"nobody talks in the call: it is {call.state.value}", remedy="wait until an agent talks"
        )
    if not board.linked:
        raise Refused(
            "telephones_out_of_sight", "there is no link to the telephone system", remedy="try again in a moment"
        )
    return call


def _may(board: Switchboard, call: Call, mode: WatchMode) -> None:
    """Whether this can be done in this call now. Raises `Refused`."""
    if call.call_id in board.supervision.paused and board.centre.supervision.paused_recording == "refuse":
        raise Refused(
            "recording_paused",
            "the recording of this call is paused for what must not be kept",
            remedy="try again when it goes on",
        )
    if mode not in IN_TALK:
        return
    if call.direction is f.Direction.INTERNAL:
        raise Refused("internal_call", "a call between colleagues has no caller", remedy="call one of them")
    if call.state is CallState.HELD and not call.held_by_server:
        raise Refused("held_by_phone", "the agent's own phone holds the line", remedy="try again when it is taken back")


# ---- after every turn


def attend(board: Switchboard, now: datetime) -> None:
    """Bring every supervisor's leg to where it should be; let go whose call is over."""
    state = board.supervision
    for channel in state.stray:
        board.out.commands.append(HangUp(channel=channel))
    state.stray.clear()
    current = {id(watch) for watch in state.parts()}
    for watch in list(state.watches.values()):
        call = board.calls.get(watch.call_id)
        if call is None:
            _end(board, watch, WatchEnd.CALL_ENDED, now)
        elif id(watch) not in current:
            continue  # stays as it is until the new leg is there
        elif not watch.answered:
            if watch.since + RING + MARGIN <= now:
                _end(board, watch, WatchEnd.NO_ANSWER, now)
        elif watch.channel is not None and board.linked:
            if watch.mode in IN_TALK and call.state not in TALK:
                # The caller is on the way to somebody else: what is left of the part is to listen.
                board.record(
                    WatchChanged(at=now, call_id=call.call_id, by=watch.by, leg_id=watch.leg_id, mode=WatchMode.LISTEN)
                )
            if watch.mode in IN_TALK:
                _talk_along(board, watch, board.calls[watch.call_id], now)
            else:
                _listen(board, watch, board.calls[watch.call_id], now)
            _take_place(board, watch, board.calls[watch.call_id], now)


def _take_place(board: Switchboard, watch: Watch, call: Call, now: datetime) -> None:
    """The leg of before goes when the new one is where it should be: a caller is never alone in between."""
    former = board.supervision.watches.get(watch.replaces) if watch.replaces else None
    if former is None:
        return
    if watch.mode in IN_TALK and former.in_room:
        there = any(watch.channel in members and call.channel in members for members in board.bridges.values())
        if not (watch.in_room and there):
            return
        # The same party goes on to talk, by another leg: nobody joins and nobody leaves.
        board.parties.names.pop(former.leg_id, None)
        if former.channel is not None:
            board.parties.legs.pop(former.channel, None)
    watch.replaces = ""
    _end(board, former, WatchEnd.STOPPED, now)


def _listen(board: Switchboard, watch: Watch, call: Call, now: datetime) -> None:
    channel = watch.channel
    if channel is None:
        return
    if watch.in_room:
        watch.in_room, watch.sent = False, False
        board.parties.legs.pop(channel, None)
        party = party_name(watch.by)
        if party in call.outsiders:
            board.record(f.PartyLeft(at=now, call_id=call.call_id, party=party))
    target = _whom(board, watch, call)
    if call.call_id in board.supervision.paused:
        target = None
    whisper = watch.mode is WatchMode.WHISPER
    if watch.sent and (watch.target, watch.whispers) == (target, whisper):
        return
    watch.sent, watch.target, watch.whispers = True, target, whisper
    board.out.commands.append(
        SpyOn(
            call_id=call.call_id,
            channel=channel,
            caller_channel=call.channel,
            target=target,
            whisper=whisper,
        )
    )
    _show(board, call)


def _whom(board: Switchboard, watch: Watch, call: Call) -> ChannelName | None:
    """The channel to listen to: of the agent who was watched, of whoever talks by now, else of the caller."""
    if call.state not in TALK:
        return None
    for agent_id in dict.fromkeys((watch.watched, call.agent_id, *reversed(call.talkers))):
        if agent_id is not None and agent_id in call.talkers and (leg := leg_of(board, call.call_id, agent_id)):
            if watch.watched != agent_id:
                watch.watched = agent_id
            return leg
    return call.channel if call.outsiders else None


def _talk_along(board: Switchboard, watch: Watch, call: Call, now: datetime) -> None:
    channel = watch.channel
    if channel is None:
        return
    if not call.room:
        agent_id = next((one for one in (call.agent_id, *call.talkers) if one in call.talkers), None)
        leg = leg_of(board, call.call_id, agent_id) if agent_id is not None else None
        if leg is None or call.state is not CallState.TALKING:
            return  # tried again after the next turn
        board.record(RoomOpened(at=now, call_id=call.call_id))
        board.out.commands.append(
            EnterRoom(call_id=call.call_id, channel=call.channel, agent_channel=leg),
        )
    if not watch.in_room:
        watch.in_room, watch.sent, watch.target = True, True, None
        board.parties.legs[channel] = (call.call_id, watch.leg_id)
        board.parties.names[watch.leg_id] = party_name(watch.by)
        board.out.commands.append(EnterRoom(call_id=call.call_id, channel=channel, party=True))
        _show(board, call)
    if watch.mode is WatchMode.TAKE_OVER and party_name(watch.by) in call.outsiders:
        if call.consult is not None:
            consults.cancel(board, call.consult.by, call.call_id, now)
        for agent_id in call.talkers:
            if agent_id not in watch.let_go:
                watch.let_go = (*watch.let_go, agent_id)
                hang_up_leg(board, call.call_id, agent_id)


def _end(board: Switchboard, watch: Watch, end: WatchEnd, now: datetime, *, at: datetime | None = None) -> None:
    """The part is over: the leg, where there is one, goes."""
    gone = end in (WatchEnd.HUNG_UP, WatchEnd.UNREACHABLE, WatchEnd.GONE)
    if not gone:
        board.out.commands.append(HangUp(channel=watch.channel or ChannelName(watch.leg_id)))
    board.record(WatchEnded(at=at or now, call_id=watch.call_id, by=watch.by, leg_id=watch.leg_id, end=end))
    call = board.calls.get(watch.call_id)
    if call is not None:
        _show(board, call)


def _show(board: Switchboard, call: Call) -> None:
    board.dirty_calls.add(call.call_id)
    board.dirty_agents.update(agent_id for agent_id in call.talkers if agent_id in board.agents)


# ---- what the telephones say


def leg_heard(board: Switchboard, signal: WatchLeg, now: datetime) -> None:
    """A supervisor's leg is there, or came to nothing."""
    watch = board.supervision.watches.get(signal.leg_id)
    if watch is None:
        if signal.event == "there" and signal.channel:
            board.supervision.stray.append(signal.channel)
        return
    if signal.event == "there":
        watch.channel = signal.channel
        if not watch.answered:
            board.record(WatchAnswered(at=signal.at, call_id=watch.call_id, by=watch.by, leg_id=watch.leg_id))
    elif not watch.answered:
        end = WatchEnd.NO_ANSWER if signal.status in ("NOANSWER", "BUSY", "CANCEL") else WatchEnd.UNREACHABLE
        _end(board, watch, end, now, at=signal.at)


def leg_gone(board: Switchboard, signal: s.ChannelGone) -> None:
    """A channel ended: perhaps a supervisor's."""
    watch = board.supervision.watches.get(signal.unique_id)
    if watch is not None:
        _end(board, watch, WatchEnd.HUNG_UP, signal.at)


def not_sent(board: Switchboard, command: DialWatcher, now: datetime) -> None:
    """The command to call a supervisor was surely not carried out."""
    watch = board.supervision.watches.get(command.channel_id)
    if watch is not None and not watch.answered:
        _end(board, watch, WatchEnd.UNREACHABLE, now)


def adopt(board: Switchboard, snapshot: s.Snapshot, now: datetime) -> None:
    """After a gap: legs that are there and wanted are known again and sent where they belong, the others go."""
    state = board.supervision
    there = {
        channel.unique_id: channel for channel in snapshot.channels if call_of_watch_leg(channel.unique_id) is not None
    }
    for leg_id, channel in there.items():
        watch = state.watches.get(leg_id)
        if watch is None or watch.call_id not in board.calls:
            state.stray.append(channel.channel)
            continue
        watch.channel = channel.channel
        watch.sent, watch.target = False, None
        board.parties.names[leg_id] = party_name(watch.by)
        watch.in_room = channel.context.startswith("cti-room")
        if watch.in_room:
            board.parties.legs[channel.channel] = (watch.call_id, leg_id)
        if not watch.answered and channel.context.startswith(("cti-watch", "cti-room")):
            board.record(WatchAnswered(at=now, call_id=watch.call_id, by=watch.by, leg_id=leg_id, inferred=True))
    for watch in list(state.watches.values()):
        if watch.leg_id not in there and watch.since < snapshot.at - YOUNG:
            _end(board, watch, WatchEnd.GONE, now)
