"""Commands to the telephone system, in the imperative. The dispatcher gives them; the Asterisk adapter performs them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cti.ids import NO_CHANNEL, AgentId, CallId, ChannelName, OfferId, QueueName
from cti.model.dial_commands import Apologise, Rejoin, Resume, Ringback, RingToDial
from cti.model.facts import Device
from cti.model.recording_commands import RecordingCommand
from cti.model.supervision_commands import DialWatcher, SpyOn


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Send the waiting caller to the agent's device: one Redirect whose target names offer, device and agent.

    With `others` all these agents' devices ring at once (`ring_all`).
    """

    call_id: CallId
    channel: ChannelName
    offer_id: OfferId
    agent_id: AgentId
    device: Device
    others: tuple[tuple[AgentId, Device], ...] = ()
    record: bool | None = None
    """Whether the talk is recorded; None: as the caller's channel was told with the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnToWait:
    """Take the caller back to the wait context, whatever the channel is doing."""

    call_id: CallId
    channel: ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """End a channel. `cause` is Q.850."""

    channel: ChannelName
    cause: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SendToVoicemail:
    """Send a waiting caller to the voicemail context."""

    call_id: CallId
    channel: ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class SendToFlow:
    """Send a waiting caller back into the flow context; which flow it is, the bridge says when the channel asks."""

    call_id: CallId
    channel: ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class SetQueue:
    """Tell the channel of a waiting caller whose ticket has moved what its new queue is: how long agents ring, whether the
    talk is recorded, and where survival takes it. The caller hears nothing of it."""

    call_id: CallId
    channel: ChannelName
    queue: QueueName
    ring_timeout: timedelta
    record: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOut:
    """Connect the caller to an outside number (E.164) over the trunk. Only numbers of `Outbound.may_dial`."""

    call_id: CallId
    channel: ChannelName
    number: str
    back: bool = False
    """Whether the caller waits again when nobody answers there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialCustomer:
    """Call a customer back over the trunk; who answers is put into the wait context as the call `call_id`.

    `channel_id` is ours and new with each attempt, so that a repeated command cannot call twice.
    """

    call_id: CallId
    channel_id: str
    number: str
    ring_timeout: timedelta
    caller_id: str = ""
    """The number that is shown."""
    queue: QueueName | None = None
    """For the wait context, and for the native queue should the bridge be away then."""
    did: str = ""
    language: str = ""
    agents_ring: timedelta | None = None
    """How long agents ring for the call; None: as long as the dialplan likes."""
    record: bool = False
    """Whether the talk is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingForCallback:
    """Call an agent for a callback; when the agent has picked up, the dialplan calls the customer and joins the two.

    `channel_id` is ours and new with each offer, so that a repeated command cannot call twice.
    """

    call_id: CallId
    channel_id: str
    offer_id: OfferId
    agent_id: AgentId
    device: Device
    number: str
    """The customer's, E.164. Only numbers of `Outbound.may_dial`."""
    agents_ring: timedelta
    ring_timeout: timedelta
    """How long the customer's telephone rings."""
    agent_number: str = ""
    """Where the device is `external`: the agent's."""
    shown: str = ""
    """The number that the agent's device shows: the customer's; the centre's at an outside number."""
    queue: QueueName | None = None
    did: str = ""
    record: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmCallback:
    """Tell the caller that they will be called back, and end the call."""

    call_id: CallId
    channel: ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCaller:
    """Bring the caller into the hold context; the agent's leg, where one is given, into the call's room at the same moment."""

    call_id: CallId
    channel: ChannelName
    agent_channel: ChannelName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterRoom:
    """Bring the caller, or (`party`) another leg, into the call's room; `agent_channel` as in `HoldCaller`."""

    call_id: CallId
    channel: ChannelName
    party: bool = False
    agent_channel: ChannelName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldParty:
    """Bring a third party into the hold context."""

    call_id: CallId
    channel: ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class DialParty:
    """Call an agent's device, or an outside number, into the call's room. `channel_id` is ours: no repeat dials twice."""

    call_id: CallId
    channel_id: str
    agent_id: AgentId | None = None
    device: Device = Device.SIP
    number: str = ""
    """E.164: the outside number, or where the agent's device `external` is."""
    ring_timeout: timedelta
    shown: str = ""
    """The number the device shows."""
    caller: ChannelName = NO_CHANNEL
    """The caller's channel: how the leg ends is told to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PressKeys:
    """Play keys (DTMF) to the far end of a channel, one after another."""

    channel: ChannelName
    keys: str


Command = (
    Deliver
    | ReturnToWait
    | HangUp
    | SendToVoicemail
    | SendToFlow
    | SetQueue
    | SendOut
    | DialCustomer
    | RingForCallback
    | ConfirmCallback
    | HoldCaller
    | EnterRoom
    | HoldParty
    | DialParty
    | PressKeys
    | RecordingCommand
    | Resume
    | Rejoin
    | Apologise
    | Ringback
    | RingToDial
    | DialWatcher
    | SpyOn
)
