"""Pick-up: an agent takes a certain caller who waits, or rings elsewhere."""

from __future__ import annotations

from datetime import datetime

from cti.ids import AgentId, CallId
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard


def pick_up(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime) -> None:
    """Keep the caller for this agent, at once. Raises `Refused`."""
    raise Refused("not_possible_yet", "this cannot be done yet", remedy="update the server")
