"""The token of the bridge that owns the floor, kept in Asterisk: the last word where two bridges could both believe they do.

A new owner reads the global variable `CTI_OWNER`, sets it to its own token, and says so in a user event. Whoever reads or hears a
higher one than its own has been replaced. Two that do this at once both hear each other, because events flow from the log-in on.
"""

from __future__ import annotations

import re

from cti.asterisk.ami.client import AmiSession
from cti.asterisk.ami.errors import AmiProtocolError
from cti.asterisk.ami.wire import AmiMessage
from cti.model.ownership import Ownership, Standing

VARIABLE = "CTI_OWNER"
EVENT = "CtiOwner"

_TOKEN = re.compile(r"[0-9]{1,18}")


async def announce(session: AmiSession, ownership: Ownership, now: float) -> bool:
    """Say whose floor it is, first of all in a session. False: it is another's. Raises what `AmiSession.ask` does."""
    if not ownership.shared:
        return True
    answer = await session.ask({"Action": "Getvar", "Variable": VARIABLE})
    ownership.seen(_number(answer.get("Value", "")))
    if ownership.standing(now) is Standing.LOST:
        return False
    token = str(ownership.token)
    await session.ask({"Action": "Setvar", "Variable": VARIABLE, "Value": token})
    await session.ask({"Action": "UserEvent", "UserEvent": EVENT, "Token": token})
    return True


def heard(event: AmiMessage, ownership: Ownership) -> None:
    """Take notice of another's token."""
    if ownership.shared and event.event == "UserEvent" and event.get("UserEvent") == EVENT:
        ownership.seen(_number(event.get("Token", "")))


def replaced() -> AmiProtocolError:
    """Why a session ends whose owner was replaced."""
    return AmiProtocolError("another bridge owns this Asterisk now")


def _number(text: str) -> int:
    return int(text) if _TOKEN.fullmatch(text) else 0
