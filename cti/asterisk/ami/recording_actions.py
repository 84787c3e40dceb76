"""The AMI actions about recordings of live calls. Pure, as `translate`."""

from __future__ import annotations

import re

from cti.asterisk.ami.errors import AmiActionInvalid
from cti.ids import CallId
from cti.model.commands import Deliver
from cti.model.recording_commands import BeginRecording, EndRecording, PauseRecording

OPTIONS = "abr({caller})t({others})"
"""As in the dialplan: behind what is there, only while bridged, both directions apart, as long as each other."""
_FILE = re.compile(r"/[\w/.~+@ -]{1,900}\.sln(16)?")
_CALL = re.compile(r"[A-Za-z0-9._-]{1,100}")


def recording_action(command: BeginRecording | EndRecording | PauseRecording) -> dict[str, str | list[str]]:
    """The action. Raises `AmiActionInvalid`."""
    if isinstance(command, BeginRecording):
        for file in (command.caller_file, command.others_file):
            if _FILE.fullmatch(file) is None:
                raise AmiActionInvalid(f"{file!r} is no file to record to")
        options = OPTIONS.format(caller=command.caller_file, others=command.others_file)
        return {"Action": "MixMonitor", "Channel": command.channel, "Options": options}
    if isinstance(command, EndRecording):
        return {"Action": "StopMixMonitor", "Channel": command.channel}
    return {
        "Action": "MixMonitorMute",
        "Channel": command.channel,
        "Direction": "both",
        "State": "1" if command.on else "0",
    }


def recording_preparation(command: BeginRecording) -> dict[str, str]:
    """The channel's variable, so that the dialplan begins no second recording."""
    return {
        "Action": "Setvar",
        "Channel": command.channel,
        "Variable": "CTI_RECORDING",
        "Value": f"{_name(command.call_id)}.wav",
    }


def delivery_preparation(command: Deliver) -> dict[str, str] | None:
    """What the caller's channel is told before an offer to an agent with a rule of their own."""
    if command.record is None:
        return None
    value = "1" if command.record else ""
    return {"Action": "Setvar", "Channel": command.channel, "Variable": "CTI_RECORD", "Value": value}


def told_to_record(record: bool | None) -> str:
    """The rest of a list of values, for an offer to several."""
    return "" if record is None else ",1" if record else ","


def _name(call_id: CallId) -> str:
    if _CALL.fullmatch(call_id) is None:
        raise AmiActionInvalid(f"{call_id!r} is no call")
    return call_id
