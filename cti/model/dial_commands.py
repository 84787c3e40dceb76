"""Commands of calls that agents begin, and of calls that come back to an agent whose page was gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cti.ids import NO_CHANNEL, AgentId, CallId, ChannelName, QueueName
from cti.model.facts import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Send a held caller to the browser telephone of the agent whose page is back; it takes the call by itself."""

    call_id: CallId
    channel: ChannelName
    agent_id: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejoin:
    """Call the browser telephone of an agent whose page is back into the call's room, where others go on talking; it takes
    the call by itself."""

    call_id: CallId
    agent_id: AgentId
    caller: ChannelName = NO_CHANNEL
    """The caller's channel: how the leg ends is told to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apologise:
    """Tell somebody whose agent was cut off, and for whom there is no queue, that the call is over; then end it."""

    call_id: CallId
    channel: ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringback:
    """Let the agent in the call's room hear that the third party's telephone rings, until the channel with this id is hung
    up, or somebody answers."""

    call_id: CallId
    channel_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RingToDial:
    """Ring an agent's own device; when it is taken, call the number or the colleague and join the two.

    The channel's unique id is the call's, ours and new, so that a repeated command cannot call twice.
    """

    call_id: CallId
    agent_id: AgentId
    device: Device
    number: str = ""
    """E.164. Only numbers of `Outbound.may_dial`."""
    colleague: AgentId | None = None
    agent_number: str = ""
    """Where the device is `external`: the agent's."""
    caller_id: str = ""
    """The number that is shown to the far side."""
    shown: str = ""
    """What the agent's own device shows: whom it calls."""
    agents_ring: timedelta = timedelta(seconds=20)
    far_ring: timedelta = timedelta(seconds=60)
    record: bool = False
    queue: QueueName | None = None
    """Where the far side waits if the agent's page goes and no bridge is there."""
