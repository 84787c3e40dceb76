"""Hold by the server (music for the caller, whatever the agent's device), and keys pressed by it."""

from __future__ import annotations

from datetime import datetime

from cti.ids import AgentId, CallId, ChannelName
from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.commands import EnterRoom, HoldCaller, PressKeys
from cti.services.consult_ends import party_channel
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from cti.services.talks import leg_of, nobody_is_joining, own_call


def hold(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime, *, on: bool) -> None:
    """Hold or retrieve; already so changes nothing. Raises `Refused`."""
    call = own_call(board, agent_id, call_id)
    if call.consult is not None:
        raise Refused(
            "consult_under_way", "a consultation is under way", remedy="swap, join, complete or cancel the consultation"
        )
    if on and not call.held_by_server:
        nobody_is_joining(board, call)
        hold_caller(board, call, agent_id, now)
    elif not on and call.held_by_server:
        retrieve(board, call, agent_id, now)
    elif not on and call.state is CallState.HELD:
        raise Refused("held_by_phone", "the agent's own phone holds the line", remedy="take the caller back there")


def hold_caller(board: Switchboard, call: Call, agent_id: AgentId, now: datetime) -> None:
    """Music for the caller; who talks stays in the call's room, or is brought there."""
    agent_channel = _leg_to_move(board, call, agent_id)
    if call.state is CallState.HELD:
        # The device's own hold becomes ours: one hold at a time is counted.
        board.record(f.CallRetrieved(at=now, call_id=call.call_id, agent_id=agent_id))
    board.record(f.CallHeld(at=now, call_id=call.call_id, agent_id=agent_id, server=True))
    board.out.commands.append(HoldCaller(call_id=call.call_id, channel=call.channel, agent_channel=agent_channel))


def retrieve(board: Switchboard, call: Call, agent_id: AgentId, now: datetime) -> None:
    """The caller into the room, to whoever talks there."""
    board.record(f.CallRetrieved(at=now, call_id=call.call_id, agent_id=agent_id, server=True))
    board.out.commands.append(EnterRoom(call_id=call.call_id, channel=call.channel))


def _leg_to_move(board: Switchboard, call: Call, agent_id: AgentId) -> ChannelName | None:
    """The agent's leg, where it is not in the room yet. Raises `Refused` where nobody knows it."""
    if call.room:
        return None
    channel = leg_of(board, call.call_id, agent_id)
    if channel is None:
        raise Refused("no_leg", "the agent's line is not known", remedy="try again in a moment")
    return channel


def send_keys(board: Switchboard, agent_id: AgentId, call_id: CallId, keys: str) -> None:
    """Press keys towards the other side: the third party while one is talked to, the caller otherwise. Raises `Refused`."""
    call = own_call(board, agent_id, call_id)
    channel: ChannelName | None = call.channel
    if call.state is CallState.HELD:
        channel = None
        if call.consult is not None and call.consult.answered_at is not None:
            channel = party_channel(board, call, call.consult.leg_id)
        if channel is None:
            raise Refused(
                "nobody_to_hear", "nobody would hear the keys: the caller is on hold", remedy="retrieve first"
            )
    if channel is not None:
        board.out.commands.append(PressKeys(channel=channel, keys=keys))
