"""Blind transfers: an agent sends the caller on and leaves."""

from __future__ import annotations

from datetime import datetime

from cti.ids import AgentId, CallId
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from cti.services.talk_view import SendTo


def transfer(
    board: Switchboard, agent_id: AgentId, call_id: CallId, to: SendTo, now: datetime, *, note: str = ""
) -> None:
    """Send the caller on. Raises `Refused`."""
    raise Refused("not_possible_yet", "this cannot be done yet", remedy="update the server")
