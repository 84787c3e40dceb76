"""Commands for the legs of supervisors who listen to calls, or talk in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cti.ids import CallId, ChannelName


@dataclass(frozen=True, slots=True, kw_only=True)
class DialWatcher:
    """Call a supervisor's telephone; who answers is put into the watch context, with nobody to listen to yet.

    `channel_id` is ours and new, so that a repeated command cannot call twice.
    """

    call_id: CallId
    channel_id: str
    account: str
    """SIP account of the supervisor."""
    caller_channel: ChannelName
    """The watched call's; the dialplan lets the supervisor go when it is there no more."""
    ring_timeout: timedelta
    shown: str = ""
    """What the telephone shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpyOn:
    """Let a supervisor's leg listen to another channel; with `whisper` that channel hears the supervisor, too.

    Without a channel the supervisor hears nothing, and is heard by nobody.
    """

    call_id: CallId
    channel: ChannelName
    """The supervisor's."""
    caller_channel: ChannelName
    target: ChannelName | None = None
    whisper: bool = False
