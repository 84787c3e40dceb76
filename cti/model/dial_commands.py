"""Commands of calls that agents begin, and of calls that come back to an agent whose page was gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cti.ids import AgentId, CallId, ChannelName
from cti.model.facts import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Send a held caller to the browser telephone of the agent whose page is back; it takes the call by itself."""

    call_id: CallId
    channel: ChannelName
    agent_id: AgentId


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
