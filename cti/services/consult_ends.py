"""How a consultation ends: what rings stops, the third party goes or stays, and who was asked no longer sees the caller."""

from __future__ import annotations

from datetime import datetime

from cti.ids import ChannelName
from cti.model import facts as f
from cti.model.call import Call
from cti.model.commands import HangUp
from cti.model.facts import ConsultEnd
from cti.model.talk import Consult
from cti.services.switchboard import Switchboard

STAYS = (ConsultEnd.COMPLETED, ConsultEnd.JOINED)
"""Whoever was asked talks with the caller from now on."""


def ringer(consult: Consult) -> str:
    """The unique id of the channel by which who asks hears that the third party's telephone rings."""
    return f"{consult.leg_id}r"


def stop_ringing(board: Switchboard, consult: Consult) -> None:
    """Who asks hears no ringing any more."""
    if consult.ringing and consult.answered_at is None:
        board.out.commands.append(HangUp(channel=ChannelName(ringer(consult))))


def party_channel(board: Switchboard, call: Call, leg_id: str) -> ChannelName | None:
    """The channel of a third party's leg."""
    wanted = (call.call_id, leg_id)
    return next((channel for channel, leg in board.parties.legs.items() if leg == wanted), None)


def let_go(board: Switchboard, call: Call, consult: Consult, now: datetime) -> None:
    """Hang up the third party, unless that is being done; a leg that is not there yet is known by its id."""
    goes = HangUp(channel=party_channel(board, call, consult.leg_id) or ChannelName(consult.leg_id))
    if goes not in board.out.commands:
        board.out.commands.append(goes)
    board.parties.let_go[consult.leg_id] = now


def end(board: Switchboard, call: Call, consult: Consult, how: ConsultEnd, now: datetime, *, at: datetime) -> Call:
    """The consultation is over; the call as it is then. The third party's leg is let go by `let_go`."""
    stop_ringing(board, consult)
    board.record(
        f.ConsultEnded(
            at=at,
            call_id=call.call_id,
            party=consult.party,
            end=how,
            consulted=consult.consulted,
            by=consult.by if how is ConsultEnd.COMPLETED else None,
        )
    )
    if consult.consulted is not None:
        if how not in STAYS:
            board.withdraw_pop(consult.consulted, how.value)
        board.sync_agent(consult.consulted, now)
    if how not in STAYS:
        board.parties.leaving.add(consult.leg_id)
    return board.calls[call.call_id]
