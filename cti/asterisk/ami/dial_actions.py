"""The AMI actions of calls that agents begin, and of calls that come back to an agent; and what AMI says of telephones'
registrations. Pure, as `translate`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from cti.asterisk.ami.errors import AmiActionInvalid
from cti.asterisk.ami.wire import AmiMessage
from cti.ids import AgentId
from cti.model.dial_commands import Resume
from cti.model.dial_signals import PhoneSigned
from cti.model.facts import Device

_AGENT = re.compile(r"[0-9]{2,6}")
SIGNED_OFF = "Removed"
SIGNED_ON = frozenset({"Created", "NonQualified", "Reachable", "Updated"})
"""What ContactStatus says of a contact that is there. "Unreachable" says nothing about the registration."""


def resume_action(command: Resume) -> dict[str, str | list[str]]:
    """A Redirect of the held caller to the agent's browser telephone."""
    if _AGENT.fullmatch(command.agent_id) is None:
        raise AmiActionInvalid(f"agent {command.agent_id!r} cannot be said in AMI")
    return {
        "Action": "Redirect",
        "Channel": command.channel,
        "Context": "cti-resume",
        "Exten": command.agent_id,
        "Priority": "1",
    }


def contact_signal(
    message: AmiMessage, accounts: Mapping[str, tuple[AgentId, Device]], at: datetime
) -> PhoneSigned | None:
    """Whether an agent's telephone signed on or off (ContactStatus). Told again with every registration."""
    account = accounts.get(message.get("AOR"))
    status = message.get("ContactStatus")
    if account is None or not (status == SIGNED_OFF or status in SIGNED_ON):
        return None
    return PhoneSigned(at=at, agent_id=account[0], device=account[1], there=status != SIGNED_OFF)
