"""Consultations: the caller on hold, a third party asked; then both together, or the one goes over to the other."""

from __future__ import annotations

from datetime import datetime

from cti.ids import AgentId, CallId
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from cti.services.talk_view import SendTo


def _not_yet() -> Refused:
    return Refused("not_possible_yet", "this cannot be done yet", remedy="update the server")


def begin(board: Switchboard, agent_id: AgentId, call_id: CallId, to: SendTo, now: datetime) -> None:
    """Call somebody about the caller. Raises `Refused`."""
    raise _not_yet()


def complete(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime, *, note: str = "") -> None:
    """Leave the two alone. Raises `Refused`."""
    raise _not_yet()


def cancel(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime) -> None:
    """Back to the caller. Raises `Refused`."""
    raise _not_yet()


def swap(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime) -> None:
    """The other one. Raises `Refused`."""
    raise _not_yet()


def join(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime) -> None:
    """All together. Raises `Refused`."""
    raise _not_yet()


def drop(board: Switchboard, agent_id: AgentId, call_id: CallId, party: str, now: datetime) -> None:
    """One party out. Raises `Refused`."""
    raise _not_yet()
