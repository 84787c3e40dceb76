"""The AMI actions for supervisors' legs, and what AMI says of them. Pure, as `translate`.

A supervisor's leg listens by ChanSpy to the *agent's* channel: that channel hears and says all there is in the call,
wherever the call's legs are moved, and only it can be whispered to. ChanSpy is on no bridge, so who listens is
seen by nobody as a talker.
"""

from __future__ import annotations

import re
from datetime import datetime

from cti.asterisk.ami.errors import AmiActionInvalid
from cti.asterisk.ami.wire import AmiMessage
from cti.ids import CallId, ChannelName
from cti.model.supervision_commands import DialWatcher, SpyOn
from cti.model.supervision_legs import call_of_watch_leg
from cti.model.supervision_signals import WatchLeg

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,71}")
_CHANNEL = re.compile(r"[A-Za-z0-9@/;._+-]{1,160}")
_PLAIN = re.compile(r"[A-Za-z0-9+._-]{0,128}")
CONTEXT = "cti-watch"


def dial_watcher_action(command: DialWatcher) -> dict[str, str | list[str]]:
    """An Originate of the supervisor's telephone, which goes on into the watch context."""
    if _ACCOUNT.fullmatch(command.account) is None:
        raise AmiActionInvalid(f"{command.account!r} is no account")
    if not _PLAIN.fullmatch(command.channel_id) or not _PLAIN.fullmatch(command.shown):
        raise AmiActionInvalid("a value of the call to a supervisor has characters that AMI would read as more")
    values = {
        "__CTI_CALL": command.call_id,
        "CTI_WATCH_CALLER": _channel(command.caller_channel),
        "PJSIP_HEADER(add,X-CTI-Call)": command.call_id,
        "PJSIP_HEADER(add,X-CTI-Watch)": "1",
        "PJSIP_HEADER(add,Call-Info)": "<sip:cti>;answer-after=0",
    }
    if not _PLAIN.fullmatch(command.call_id):
        raise AmiActionInvalid("a call's id has characters that AMI would read as more")
    return {
        "Action": "Originate",
        "Channel": f"PJSIP/{command.account}",
        "ChannelId": command.channel_id,
        "Context": CONTEXT,
        "Exten": "s",
        "Priority": "1",
        "Timeout": str(round(command.ring_timeout.total_seconds() * 1000)),
        "CallerID": f"<{command.shown}>",
        "Variable": [f"{name}={text}" for name, text in values.items()],
        "Async": "true",
    }


def spy_action(command: SpyOn) -> dict[str, str | list[str]]:
    """A Redirect of the supervisor's leg into the watch context, where the variables of `spy_preparation` count."""
    return {
        "Action": "Redirect",
        "Channel": _channel(command.channel),
        "Context": CONTEXT,
        "Exten": "s",
        "Priority": "1",
    }


def spy_preparation(command: SpyOn) -> dict[str, str]:
    """Whom the leg is to listen to, and how; set before the Redirect."""
    target = _channel(command.target) if command.target is not None else ""
    how = "w" if command.whisper else ""
    return {
        "Action": "Setvar",
        "Channel": _channel(command.channel),
        "Variable": "ARRAY(CTI_WATCHED,CTI_WATCH_HOW,CTI_WATCH_CALLER)",
        "Value": f"{target},{how},{_channel(command.caller_channel)}",
    }


def _channel(name: ChannelName) -> str:
    if _CHANNEL.fullmatch(name) is None:
        raise AmiActionInvalid(f"{name!r} is no name of a channel")
    return name


def watch_leg_dialled(
    message: AmiMessage, leg: str, channel: ChannelName, event: str, status: str, at: datetime
) -> WatchLeg | None:
    """What dialling a supervisor says; that they are there, the dialplan tells."""
    call_id = call_of_watch_leg(leg)
    if call_id is None or event != "DialEnd" or status == "ANSWER":
        return None
    return WatchLeg(at=at, call_id=call_id, leg_id=leg, channel=channel, event="failed", status=status)


def watch_leg_failed(message: AmiMessage, at: datetime) -> WatchLeg | None:
    """An Originate of a supervisor's leg that came to nothing."""
    leg = message.get("Uniqueid")
    call_id = call_of_watch_leg(leg)
    if call_id is None:
        return None
    status = "NOANSWER" if message.get("Reason") == "3" else ""
    return WatchLeg(at=at, call_id=call_id, leg_id=leg, channel=ChannelName(""), event="failed", status=status)


def watch_leg_there(message: AmiMessage, call_id: CallId, at: datetime) -> WatchLeg | None:
    """The dialplan's own event (CtiWatch): the supervisor is on the line."""
    leg = message.get("Uniqueid")
    if call_of_watch_leg(leg) != call_id:
        return None
    return WatchLeg(at=at, call_id=call_id, leg_id=leg, channel=ChannelName(message.get("Channel")), event="there")
