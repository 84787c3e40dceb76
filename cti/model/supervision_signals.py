"""What the telephone system reports of supervisors' legs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cti.ids import CallId, ChannelName
from cti.model.signals import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLeg(Signal):
    """A supervisor's leg: `there` (answered, in the watch context), or not reached (`status` is Asterisk's DIALSTATUS)."""

    call_id: CallId
    leg_id: str
    channel: ChannelName
    """Empty where there never was one."""
    event: Literal["there", "failed"]
    status: str = ""
