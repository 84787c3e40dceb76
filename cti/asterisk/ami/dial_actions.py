"""The AMI actions of calls that agents begin, and of calls that come back to an agent; and what AMI says of telephones'
registrations. Pure, as `translate`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from cti.asterisk.ami.errors import AmiActionInvalid
from cti.asterisk.ami.wire import AmiMessage
from cti.ids import AgentId, CallId, ChannelName
from cti.model.dial_commands import Apologise, Rejoin, Resume, Ringback, RingToDial
from cti.model.dial_signals import AgentCalls, FarSide, PhoneSigned
from cti.model.facts import Device

_AGENT = re.compile(r"[0-9]{2,6}")
_E164 = re.compile(r"\+[1-9][0-9]{5,14}")
_PLAIN = re.compile(r"[A-Za-z0-9+._-]{0,128}")
_DEVICES = {Device.SIP: "", Device.BROWSER: "-web"}
_CHANNEL = re.compile(r"[A-Za-z0-9+._/@;-]{1,128}")
REJOIN_SECONDS = 8
"""How long the page of an agent is rung whose call went on without them."""
CONTEXTS = ("cti-dial", "cti-colleague")
"""Where agents' calls are dialled from."""
SIGNED_OFF = "Removed"
SIGNED_ON = frozenset({"Created", "NonQualified", "Reachable", "Updated"})
"""What ContactStatus says of a contact that is there. "Unreachable" says nothing about the registration."""


def resume_action(command: Resume) -> dict[str, str | list[str]]:
    """A Redirect of the held caller to the agent's browser telephone."""
    if _AGENT.fullmatch(command.agent_id) is None:
        raise AmiActionInvalid(f"agent {command.agent_id!r} cannot be said in AMI")
    return {
        "Action": "Redirect",
        "Channel": command.channel,
        "Context": "cti-resume",
        "Exten": command.agent_id,
        "Priority": "1",
    }


def rejoin_action(command: Rejoin) -> dict[str, str | list[str]]:
    """An Originate of the agent's browser telephone into the call's room."""
    if _AGENT.fullmatch(command.agent_id) is None:
        raise AmiActionInvalid(f"agent {command.agent_id!r} cannot be said in AMI")
    values = {
        "__CTI_CALL": command.call_id,
        "CTI_PARTY": "1",
        **callers_channel(command.caller),
        "PJSIP_HEADER(add,X-CTI-Call)": command.call_id,
        "PJSIP_HEADER(add,X-CTI-Resume)": "1",
    }
    if not _PLAIN.fullmatch(command.call_id):
        raise AmiActionInvalid("a call's id has characters that AMI would read as more")
    return {
        "Action": "Originate",
        "Channel": f"PJSIP/{command.agent_id}{_DEVICES[Device.BROWSER]}",
        "Context": "cti-room",
        "Exten": "party",
        "Priority": "1",
        "Timeout": str(REJOIN_SECONDS * 1000),
        "CallerID": f"<{command.agent_id}>",
        "Variable": [f"{name}={text}" for name, text in values.items()],
        "Async": "true",
    }


def callers_channel(channel: str) -> dict[str, str]:
    """The variable of a leg that names the caller's channel, to which its end is told. Raises `AmiActionInvalid`."""
    if not channel:
        return {}
    if _CHANNEL.fullmatch(channel) is None:
        raise AmiActionInvalid("the name of the caller's channel has characters that AMI would read as more")
    return {"__CTI_BY": channel}


def apologise_action(command: Apologise) -> dict[str, str | list[str]]:
    """A Redirect to a sentence and the end of the call."""
    return {
        "Action": "Redirect",
        "Channel": command.channel,
        "Context": "cti-sorry",
        "Exten": "s",
        "Priority": "1",
    }


def ringback_action(command: Ringback) -> dict[str, str | list[str]]:
    """A pair of channels of our own: one plays the ring tone, the other is in the room."""
    if not _PLAIN.fullmatch(command.call_id) or not _PLAIN.fullmatch(command.channel_id):
        raise AmiActionInvalid("a call's id has characters that AMI would read as more")
    return {
        "Action": "Originate",
        "Channel": "Local/s@cti-ringback/n",
        "ChannelId": command.channel_id,
        "OtherChannelId": f"{command.channel_id}t",
        "Context": "cti-ringer",
        "Exten": "s",
        "Priority": "1",
        "Variable": [f"__CTI_ROOM={command.call_id}"],
        "Async": "true",
    }


def ring_to_dial_action(command: RingToDial, trunk: str) -> dict[str, str | list[str]]:
    """An Originate of the agent's own device, which goes on to the number or the colleague."""
    outside, far = command.device is Device.EXTERNAL, command.colleague or command.number.removeprefix("+")
    if _AGENT.fullmatch(command.agent_id) is None or (command.colleague and not _AGENT.fullmatch(command.colleague)):
        raise AmiActionInvalid(f"agent {command.agent_id!r} cannot be said in AMI")
    if (not command.colleague and not _E164.fullmatch(command.number)) or (
        outside and not _E164.fullmatch(command.agent_number)
    ):
        raise AmiActionInvalid("an outside number is E.164 with its plus, or it is not dialled")
    account = f"{command.agent_number}@{trunk}" if outside else command.agent_id + _DEVICES[command.device]
    values = {
        "__CTI_CALL": command.call_id,
        "CTI_SELF": command.agent_id,
        "CTI_SHOWN": command.caller_id,
        "CTI_RECORD": "1" if command.record else "",
        "CTI_OUTSIDE": "1" if outside else "",
        "__CTI_QUEUE": command.queue or "",
    }
    if not all(_PLAIN.fullmatch(text) for text in (*values.values(), command.shown)):
        raise AmiActionInvalid("a value of an agent's call has characters that AMI would read as more")
    if not outside:
        values["PJSIP_HEADER(add,X-CTI-Call)"] = command.call_id
        values["PJSIP_HEADER(add,X-CTI-Dial)"] = "1"
        values["PJSIP_HEADER(add,Call-Info)"] = "<sip:cti>;answer-after=0"
    return {
        "Action": "Originate",
        "Channel": f"PJSIP/{account}",
        "ChannelId": command.call_id,
        "Context": "cti-colleague" if command.colleague else "cti-dial",
        "Exten": far,
        "Priority": "1",
        "Timeout": str(round(command.agents_ring.total_seconds() * 1000)),
        "CallerID": f"<{command.shown}>",
        "Variable": [f"{name}={text}" for name, text in values.items()],
        "Async": "true",
    }


def far_side(message: AmiMessage, call_id: CallId, agent_id: AgentId | None, own: bool, at: datetime) -> FarSide | None:
    """What a dial event says of the far side of a call that an agent makes; None where it is about something else."""
    if own or not message.get("Context").startswith(CONTEXTS):
        return None
    event, status = message.event, message.get("DialStatus")
    if event != "DialBegin" and not (event == "DialState" and status == "RINGING"):
        return None
    return FarSide(
        at=at,
        call_id=call_id,
        channel=ChannelName(message.get("DestChannel")),
        event="called" if event == "DialBegin" else "ringing",
        unique_id=message.get("DestUniqueid"),
        agent_id=agent_id,
    )


def dialling_event(
    message: AmiMessage, call_id: CallId, agent_id: AgentId | None, at: datetime
) -> FarSide | AgentCalls | None:
    """The dialplan's own events: a colleague is called (CtiInternal), nobody was reached (CtiDialled)."""
    channel = ChannelName(message.get("Channel"))
    if message.get("UserEvent") == "CtiDialled":
        cause = message.get("Cause")
        return FarSide(
            at=at,
            call_id=call_id,
            channel=channel,
            event="failed",
            status=message.get("DialStatus"),
            cause=int(cause) if cause.isascii() and cause.isdecimal() and len(cause) < 4 else 0,
        )
    colleague = message.get("Colleague")
    if agent_id is None or _AGENT.fullmatch(colleague) is None:
        return None
    return AgentCalls(at=at, call_id=call_id, channel=channel, agent_id=agent_id, colleague=AgentId(colleague))


def contact_signal(
    message: AmiMessage, accounts: Mapping[str, tuple[AgentId, Device]], at: datetime
) -> PhoneSigned | None:
    """Whether an agent's telephone signed on or off (ContactStatus). Told again with every registration."""
    account = accounts.get(message.get("AOR"))
    status = message.get("ContactStatus")
    if account is None or not (status == SIGNED_OFF or status in SIGNED_ON):
        return None
    return PhoneSigned(at=at, agent_id=account[0], device=account[1], there=status != SIGNED_OFF)
