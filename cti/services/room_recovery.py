"""After a gap: calls whose people are in a room, or on hold by the server, are put where the telephone system has them.

The journal says what was meant (who holds, who is asked, who leaves), the snapshot who is there. What was meant and is not so
yet is commanded once more; who is gone has left; whoever shares a bridge with the caller talks with them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call, CallState
from cti.model.commands import EnterRoom, HoldCaller
from cti.model.facts import ConsultEnd
from cti.model.talk import call_of_party_leg
from cti.services import consults
from cti.services.switchboard import Switchboard
from cti.services.talks import TALK, end_talk, leave_if_done, left_alone, somebody_left

HELD, ROOM, WAIT = "cti-held", "cti-room", "cti-wait"
YOUNG = timedelta(seconds=2)
"""A leg that was asked for so shortly before a snapshot may have begun while it was being taken."""


def know_legs(board: Switchboard, snapshot: s.Snapshot) -> None:
    """Third parties' legs, anew from the snapshot; legs of calls that are over are let go."""
    board.parties.legs = {
        channel.channel: (call_id, channel.unique_id)
        for channel in snapshot.channels
        if (call_id := call_of_party_leg(channel.unique_id)) is not None and call_id in board.calls
    }


def adopt(board: Switchboard, call: Call, caller: s.LiveChannel, snapshot: s.Snapshot, now: datetime) -> bool:
    """Put the call where its people are. False where this is none of our calls: then nothing was done."""
    if not call.room or call.state not in TALK or caller.context.startswith(WAIT):
        return False
    others = [
        channel
        for channel in snapshot.channels
        if channel.call_id == call.call_id and channel.unique_id != caller.unique_id
    ]
    _who_left(board, call, others, now)
    _who_is_asked(board, board.calls[call.call_id], others, snapshot, now)
    call = board.calls[call.call_id]
    if not somebody_left(call):
        if caller.context.startswith(HELD):
            left_alone(board, call, now, at=now, there=False)
        return True  # in the room: the dialplan ends the call
    consults.asker_gone(board, call, now, at=now)
    call = board.calls[call.call_id]
    _who_hears(board, call, caller, others, now)
    _where_meant(board, board.calls[call.call_id], caller, others)
    leave_if_done(board, board.calls[call.call_id])
    return True


def _who_left(board: Switchboard, call: Call, others: list[s.LiveChannel], now: datetime) -> None:
    agents = {channel.agent_id for channel in others}
    for agent_id in call.talkers:
        if agent_id not in agents:
            call = end_talk(board, call, now, at=now, agent_id=agent_id)
    there = {board.parties.names.get(channel.unique_id) for channel in others}
    for party in call.outsiders:
        if party not in there:
            board.record(f.PartyLeft(at=now, call_id=call.call_id, party=party, inferred=True))


def _who_is_asked(
    board: Switchboard, call: Call, others: list[s.LiveChannel], snapshot: s.Snapshot, now: datetime
) -> None:
    consult = call.consult
    if consult is None:
        return
    leg = next((channel for channel in others if channel.unique_id == consult.leg_id), None)
    if leg is None:
        if consult.since < snapshot.at - YOUNG:
            end = ConsultEnd.GONE if consult.answered_at is not None else ConsultEnd.UNREACHABLE
            consults.failed(board, call, consult, end, now, at=now)
    elif leg.bridge_id and consult.answered_at is None:
        board.record(
            f.ConsultAnswered(
                at=now, call_id=call.call_id, party=consult.party, consulted=consult.consulted, inferred=True
            )
        )


def _who_hears(
    board: Switchboard, call: Call, caller: s.LiveChannel, others: list[s.LiveChannel], now: datetime
) -> None:
    if not caller.bridge_id or call.consult is not None:
        return
    for channel in others:
        if channel.bridge_id != caller.bridge_id:
            continue
        party = board.parties.names.get(channel.unique_id, "")
        if channel.agent_id is not None:
            asked = board.agents.get(channel.agent_id)
            if asked is not None and asked.asked_call == call.call_id and channel.agent_id not in call.talkers:
                board.record(f.CallAnswered(at=now, call_id=call.call_id, agent_id=channel.agent_id, inferred=True))
                board.sync_agent(channel.agent_id, now)
        elif party and party not in call.outsiders:
            board.record(f.PartyJoined(at=now, call_id=call.call_id, party=party, inferred=True))
        call = board.calls[call.call_id]


def _where_meant(board: Switchboard, call: Call, caller: s.LiveChannel, others: list[s.LiveChannel]) -> None:
    """A command that was lost with the bridge is given again."""
    if call.held_by_server and not caller.context.startswith(HELD):
        outside = next(
            (c for c in others if c.agent_id in call.talkers and not c.context.startswith(ROOM)),
            None,
        )
        board.out.commands.append(
            HoldCaller(
                call_id=call.call_id,
                channel=caller.channel,
                agent_channel=outside.channel if outside is not None else None,
            )
        )
    elif call.state is CallState.TALKING and caller.context.startswith(HELD):
        board.out.commands.append(EnterRoom(call_id=call.call_id, channel=caller.channel))
