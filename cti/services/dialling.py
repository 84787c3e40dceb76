"""Calls that agents begin."""

from __future__ import annotations

from datetime import datetime

from cti.ids import AgentId, CallId
from cti.model.dial_commands import RingToDial
from cti.services.agent_line import Dialled
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard


def normalised(board: Switchboard, number: str) -> str:
    """The number in E.164; empty where it is none."""
    return (board.normalise(number) or "") if number else ""


def dial(board: Switchboard, agent_id: AgentId, asked: Dialled, now: datetime, *, number: str, objects: bool) -> CallId:
    """Ring the agent's own device, then call."""
    raise Refused("dialling_off", "nothing can be dialled here", remedy="dial from a telephone")


def not_rung(board: Switchboard, command: RingToDial, now: datetime) -> None:
    """The agent's device was not rung."""
