"""Commands to the telephone system, in the imperative. The dispatcher gives them; the Asterisk adapter performs them."""

from __future__ import annotations

from dataclasses import dataclass

from cti.ids import AgentId, CallId, ChannelName, OfferId
from cti.model.facts import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Send the waiting caller to the agent's device: one Redirect whose target names offer, device and agent."""

    call_id: CallId
    channel: ChannelName
    offer_id: OfferId
    agent_id: AgentId
    device: Device


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


Command = Deliver | ReturnToWait | HangUp
