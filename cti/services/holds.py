"""Hold by the server, and keys pressed by it."""

from __future__ import annotations

from datetime import datetime

from cti.ids import AgentId, CallId
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard


def hold(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime, *, on: bool) -> None:
    """Hold or retrieve. Raises `Refused`."""
    raise Refused("not_possible_yet", "this cannot be done yet", remedy="update the server")


def send_keys(board: Switchboard, agent_id: AgentId, call_id: CallId, keys: str) -> None:
    """Press keys. Raises `Refused`."""
    raise Refused("not_possible_yet", "this cannot be done yet", remedy="update the server")
