"""Commands about the recording of a live call; they move nobody."""

from __future__ import annotations

from dataclasses import dataclass

from cti.ids import CallId, ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginRecording:
    """Record what is said on the customer's channel, each way into a file of its own; where there is one, behind it."""

    call_id: CallId
    channel: ChannelName
    caller_file: str
    """What the customer says. Absolute; ".sln16" is 16 kHz, ".sln" 8 kHz, both bare samples of 16 bits."""
    others_file: str
    """What the customer hears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRecording:
    """Record no more. A recording that is not there: Asterisk says so, and nothing changes."""

    call_id: CallId
    channel: ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRecording:
    """Put silence in the place of both voices, or (`on` False) the voices again. Asterisk keeps to it without the bridge."""

    call_id: CallId
    channel: ChannelName
    on: bool


RecordingCommand = BeginRecording | EndRecording | PauseRecording
