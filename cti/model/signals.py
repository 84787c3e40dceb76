"""Signals: what the telephone system reports, in neutral words. The Asterisk adapter makes them; the dispatcher reads them.

`at` is Asterisk's own time stamp. `call_id` is our CTI_CALL variable on the channel, None where a channel has none.
`offer_id` is read from the dialled extension of the deliver context (its first ten digits), None elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cti.ids import AgentId, CallId, ChannelName, OfferId, QueueName
from cti.model.facts import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Something the telephone system said at `at`."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerEntered(Signal):
    """A caller's channel was marked by the inbound context (UserEvent CtiInbound)."""

    call_id: CallId
    channel: ChannelName
    caller_number: str | None
    did: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitEntered(Signal):
    """The caller's channel is in the wait context and may be redirected (UserEvent CtiWait)."""

    call_id: CallId
    channel: ChannelName
    unique_id: str = ""
    """Of that channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLegDialled(Signal):
    """The agent's device is being called for an offer (DialBegin)."""

    call_id: CallId
    offer_id: OfferId | None
    channel: ChannelName
    """The caller's; empty where the agent is called first."""
    agent_channel: ChannelName
    agent_id: AgentId
    unique_id: str = ""
    """Of the agent's channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLegRinging(Signal):
    """The agent's device rings (DialState RINGING, or Newstate Ringing of that leg)."""

    call_id: CallId
    offer_id: OfferId | None
    agent_channel: ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLegEnded(Signal):
    """Dialling the agent ended (DialEnd): `status` is Asterisk's DIALSTATUS (ANSWER, NOANSWER, BUSY, CANCEL, ...)."""

    call_id: CallId
    offer_id: OfferId | None
    agent_channel: ChannelName
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferReturned(Signal):
    """The deliver context gave the caller back to the wait context (UserEvent CtiReturned).

    `cause` is the Q.850 cause of the agent's leg (17 busy, 19 no answer, 20 absent, 21 rejected), 0 unknown.
    """

    call_id: CallId
    offer_id: OfferId
    channel: ChannelName
    status: str
    cause: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkAnswered(Signal):
    """Somebody, or something, has answered a call over the trunk (DialEnd): from now on it costs."""

    call_id: CallId
    unique_id: str
    """Of the trunk's channel."""
    context: str
    """Of the dialplan, where it was dialled from; empty where a command did it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeJoined(Signal):
    """A channel entered a bridge. Two channels of one call in one two-party bridge are proof of talk."""

    bridge_id: str
    channel: ChannelName
    call_id: CallId | None
    agent_id: AgentId | None
    """Set when the channel is an agent's device (by its endpoint's name)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeParted(Signal):
    """A channel left a bridge. The first to leave a two-party bridge is the one who ended it."""

    bridge_id: str
    channel: ChannelName
    call_id: CallId | None
    agent_id: AgentId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldChanged(Signal):
    """A device put the other side on hold, or took it back."""

    channel: ChannelName
    call_id: CallId | None
    agent_id: AgentId | None
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HangupAsked(Signal):
    """The far end of this channel asked to hang up (HangupRequest)."""

    channel: ChannelName
    call_id: CallId | None
    agent_id: AgentId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGone(Signal):
    """A channel ended (Hangup). `is_caller` is True when its unique id is the call's id."""

    channel: ChannelName
    call_id: CallId | None
    agent_id: AgentId | None
    is_caller: bool
    cause: int
    unique_id: str = ""
    """Of the channel; a callback's legs are told apart by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingBegan(Signal):
    """Asterisk began to write a recording."""

    call_id: CallId
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalBegan(Signal):
    """The dialplan went on without us (UserEvent CtiSurvival)."""

    call_id: CallId
    channel: ChannelName
    queue: QueueName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicemailRecorded(Signal):
    """The caller left a message (UserEvent CtiVoicemail); `path` is relative to the voicemail folder."""

    call_id: CallId
    path: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerAnswered(Signal):
    """The customer of a callback picked up and pressed the key (`confirmed`), or picked up and did not: a machine
    (UserEvent CtiCallback)."""

    call_id: CallId
    channel: ChannelName
    unique_id: str
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPickedUp(Signal):
    """An agent who is called first for a callback is there, and the customer is being dialled (UserEvent CtiCalling)."""

    call_id: CallId
    offer_id: OfferId
    agent_id: AgentId
    channel: ChannelName
    unique_id: str
    """Of the agent's channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerUnreached(Signal):
    """Dialling a customer, or the agent who is called first, came to nothing; there may never have been a channel.

    `unique_id` is that of the channel our command made: where an agent is called first, the agent's.
    `status` is Asterisk's DIALSTATUS (BUSY, NOANSWER, CANCEL, CONGESTION, ...); empty when it only says that it failed.
    """

    unique_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyLeg(Signal):
    """The leg of a third party, who was called into the room of a call: dialled, ringing, or not reached (`status` is
    Asterisk's DIALSTATUS). That the party is there, a bridge tells."""

    call_id: CallId
    leg_id: str
    channel: ChannelName
    """Empty where there never was one."""
    event: Literal["dialled", "ringing", "failed"]
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone(Signal):
    """Nobody was left in the room for this caller, who goes back to wait (UserEvent CtiAlone)."""

    call_id: CallId
    channel: ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReachable(Signal):
    """An agent's device can or cannot be called. `in_use` tells a device that is already in a call."""

    agent_id: AgentId
    device: Device
    reachable: bool
    in_use: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLost(Signal):
    """The link to Asterisk is gone: what we know is a memory from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveChannel:
    """One channel of a snapshot."""

    channel: ChannelName
    unique_id: str
    call_id: CallId | None
    offer_id: OfferId | None
    agent_id: AgentId | None
    device: Device | None
    context: str
    state: str
    bridge_id: str | None
    queue: QueueName | None
    caller_number: str | None
    did: str
    seconds: float
    """Age of the channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Signal):
    """Everything the telephone system has now, taken after every (re)connect; later signals build on it.

    `restarted` is True when Asterisk itself was restarted since the last link (its up-time is younger).
    """

    channels: tuple[LiveChannel, ...]
    devices: tuple[DeviceReachable, ...]
    restarted: bool
    asked_at: datetime | None = None
    """When it was asked for: what it says is not older, and `at` may be much later where the link is slow. None: at `at`."""
    gone: bool = False
    """Asterisk has ended, and no link to another one is there yet: nothing lives, and the devices are as they were."""
