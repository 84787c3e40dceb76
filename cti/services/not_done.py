"""Commands that the telephone system surely did not carry out: what the floor had counted on is taken back, one way each.

And those of which nobody knows, for their answer never came. Dialling is never repeated: leases, deadlines and attempts that
are overdue see to it. What moves or ends a channel is asked for again, but only where all that was heard since says that it
was not done; done twice it does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from cti.ids import CallId
from cti.model.call import Call, CallState
from cti.model.commands import (
    Command,
    Deliver,
    DialCustomer,
    DialParty,
    EnterRoom,
    HangUp,
    HoldCaller,
    HoldParty,
    ReturnToWait,
    RingForCallback,
    SendOut,
    SendToFlow,
    SendToVoicemail,
)
from cti.model.dial_commands import Rejoin, Resume, RingToDial
from cti.model.facts import OfferEnd
from cti.model.supervision_commands import DialWatcher
from cti.services import agent_first, callbacks, consults, dialling, resumption, supervision_watch, talks
from cti.services.switchboard import Switchboard


def _deliver_refused(board: Switchboard, command: Deliver, now: datetime) -> None:
    call = board.calls.get(command.call_id)
    if call is not None and call.offer_id == command.offer_id:
        # The channel cannot be redirected: it is on its way out, and its end comes as a signal, or it will say
        # itself when it waits again. Until then it is not offered to anybody.
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=now, deliverable=False)


def _not_resumed(board: Switchboard, command: Resume | Rejoin, now: datetime) -> None:
    resumption.refused(board, command)


TAKES_BACK: dict[type[object], Callable[[Switchboard, Any, datetime], None]] = {
    Deliver: _deliver_refused,
    Resume: _not_resumed,
    Rejoin: _not_resumed,
    RingToDial: dialling.not_rung,
    DialCustomer: callbacks.not_sent,
    DialParty: consults.not_sent,
    RingForCallback: agent_first.not_sent,
    DialWatcher: supervision_watch.not_sent,
}
"""By the kind of command. After every other one there is nothing to take back: what is there is told by signals."""


def take_back(board: Switchboard, command: Command, now: datetime) -> bool:
    """The command was surely not carried out; whether that changed anything here."""
    take = TAKES_BACK.get(type(command))
    if take is None:
        return False
    take(board, command, now)
    return True


# -- too late ----------------------------------------------------------------------------------------------------------


def still_wanted(board: Switchboard, command: Command) -> bool:
    """Whether a command that waited (for the disk, or for the answer to the one before it) is still to be given.

    A telephone that rings for an offer or a question that is over may ring beside the next one.
    """
    match command:
        case Deliver() | RingForCallback():
            call = board.calls.get(command.call_id)
            return call is not None and call.offer_id == command.offer_id
        case DialCustomer():
            call = board.calls.get(command.call_id)
            return call is not None and call.dialling and call.leg_id == command.channel_id
        case DialParty():
            call = board.calls.get(command.call_id)
            return call is not None and call.consult is not None and call.consult.leg_id == command.channel_id
        case ReturnToWait():
            # Who has come there meanwhile by themselves may be on the way to the next agent.
            call = board.calls.get(command.call_id)
            return call is None or resumption.is_held(call) or _still_to_wait(board, command, call)
    return True


# -- nobody knows ------------------------------------------------------------------------------------------------------


def _still_to_wait(board: Switchboard, command: ReturnToWait, call: Call) -> bool:
    # Who came to the wait context can be offered, or is offered, or has gone on: that is told by the channel itself.
    if resumption.is_held(call):
        held = board.presence.held.get(call.call_id)
        return held is not None and not held.there and not held.trying
    return call.state is CallState.WAITING and not board.engine.is_deliverable(call.call_id)


def _still_with_agent(board: Switchboard, command: SendOut | SendToFlow | SendToVoicemail, call: Call) -> bool:
    if not call.destination:
        return False
    return any(
        call.channel in members and any(channel in board.legs for channel in members)
        for members in board.bridges.values()
    )


def _bridged(board: Switchboard, channel: str) -> bool:
    return any(channel in members for members in board.bridges.values())


def _still_to_hold(board: Switchboard, command: HoldCaller, call: Call) -> bool:
    return call.held_by_server and _bridged(board, command.channel)


def _still_to_enter(board: Switchboard, command: EnterRoom, call: Call) -> bool:
    asked = any(agent.asked_call == call.call_id for agent in board.agents.values())
    # In a talk; or after it, when who brought the two together has gone already, and the one waits for the other.
    if _bridged(board, command.channel) or not (call.state in talks.TALK or (call.state is CallState.AFTER and asked)):
        return False
    if command.party:
        known = board.parties.legs.get(command.channel)
        return known is not None and (call.consult is None or call.held_by_server)
    return call.room and not call.held_by_server


def _still_to_park(board: Switchboard, command: HoldParty, call: Call) -> bool:
    return call.consult is not None and not call.held_by_server and _bridged(board, command.channel)


STILL_TO_DO: dict[type[object], Callable[[Switchboard, Any, Call], bool]] = {
    ReturnToWait: _still_to_wait,
    SendOut: _still_with_agent,
    SendToFlow: _still_with_agent,
    SendToVoicemail: _still_with_agent,
    HoldCaller: _still_to_hold,
    EnterRoom: _still_to_enter,
    HoldParty: _still_to_park,
}
"""By the kind of command: whether the floor still wants it, and nothing was heard of its being done."""


def look_again(board: Switchboard, command: Command, now: datetime) -> bool:
    """No answer to the command came, on a link that is there; whether it is asked for again."""
    again = isinstance(command, HangUp)  # a channel's name is never another's: where it is gone, nothing happens
    if (still := STILL_TO_DO.get(type(command))) is not None:
        call = board.calls.get(getattr(command, "call_id", CallId("")))
        again = call is not None and still(board, command, call)
    if again:
        board.out.commands.append(command)
    return again
