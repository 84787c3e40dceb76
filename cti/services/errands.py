"""Where a caller who left a queue, or could not join one, has been sent; and the command that brings them there.

A call keeps its destination until it is in a flow or a queue again. So whoever meets the caller elsewhere (a Redirect was
overwritten by a jump, a bridge was restarted between the fact and the command) just sends them once more.
"""

from __future__ import annotations

from cti.acd.gates import read_target
from cti.model.call import Call
from cti.model.centre import Target, TargetKind
from cti.model.commands import (
    Command,
    ConfirmCallback,
    HangUp,
    SendOut,
    SendToFlow,
    SendToVoicemail,
)
from cti.services.switchboard import Switchboard


def destination(call: Call | None) -> Target | None:
    """Where the call has been sent; None when it is where the floor has it."""
    return read_target(call.destination) if call is not None else None


def command_of(call: Call) -> Command | None:
    """What brings the caller to the call's destination; None when there is none."""
    target = destination(call)
    if target is None or target.kind is TargetKind.QUEUE:
        return None
    match target.kind:
        case TargetKind.VOICEMAIL:
            return SendToVoicemail(call_id=call.call_id, channel=call.channel)
        case TargetKind.FLOW:
            return SendToFlow(call_id=call.call_id, channel=call.channel)
        case TargetKind.NUMBER:
            return SendOut(call_id=call.call_id, channel=call.channel, number=target.name)
        case TargetKind.CALLBACK:
            return ConfirmCallback(call_id=call.call_id, channel=call.channel)
        case TargetKind.HANG_UP:
            return HangUp(channel=call.channel)


def send(board: Switchboard, call: Call) -> None:
    """Bring the caller to the call's destination, if it has one."""
    command = command_of(call)
    if command is not None and call.channel:
        board.out.commands.append(command)
