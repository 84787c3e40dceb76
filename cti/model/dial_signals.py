"""What the telephone system reports of calls that agents begin, and of their telephones' registrations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cti.ids import AgentId, CallId, ChannelName
from cti.model.facts import Device
from cti.model.signals import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSigned(Signal):
    """An agent's telephone signed on, or (`there` False) its registration is gone: taken back, run out, or the connection
    it came over is closed."""

    agent_id: AgentId
    device: Device
    there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FarSide(Signal):
    """The far side of a call that an agent begins: it is called, rings, or Dial came back without an answer."""

    call_id: CallId
    channel: ChannelName
    """The far side's; the agent's own with `failed`."""
    event: Literal["called", "ringing", "failed"]
    unique_id: str = ""
    status: str = ""
    """Asterisk's DIALSTATUS, with `failed`."""
    cause: int = 0
    """Q.850, with `failed`; 0: none was told."""
    agent_id: AgentId | None = None
    """The colleague whose device it is; None: an outside number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCalls(Signal):
    """An agent's telephone begins a call by itself: a colleague's extension was dialled (UserEvent CtiInternal)."""

    call_id: CallId
    channel: ChannelName
    agent_id: AgentId
    colleague: AgentId
