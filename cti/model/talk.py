"""What a call knows of transfers and consultations, and the names of third parties' legs.

The unique id of a third party's channel follows from the call's id and how many there were, so that a repeated command finds
its own traces: the second consultation of `a1-1732200000.7` is the channel `a1-1732200000.7-p2`. Asterisk's own never end so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from cti.ids import AgentId, CallId
from cti.model.changed import replacer
from cti.model.talk_facts import DestinationKind

_PARTY = re.compile(r"(.+)-p[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Consult:
    """A third party who is asked about the caller."""

    by: AgentId
    party: str
    """The agent's id, or the number."""
    kind: DestinationKind
    leg_id: str
    consulted: AgentId | None = None
    since: datetime
    deadline: datetime
    ringing: bool = False
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How the caller came to wait again: who sent them, where to, and what the sender wrote."""

    by: AgentId
    kind: DestinationKind
    to: str
    note: str = ""
    returned: str = ""
    """Why the caller came back from there; empty: has not."""


replace_consult = replacer(Consult)
replace_transfer = replacer(Transfer)


def party_leg(call_id: CallId, consult: int) -> str:
    """The unique id of the third party's channel in this consultation of the call (from 1)."""
    return f"{call_id}-p{consult}"


def call_of_party_leg(unique_id: str) -> CallId | None:
    """The call whose third party's leg has this unique id; None for any other channel."""
    found = _PARTY.fullmatch(unique_id)
    return CallId(found[1]) if found is not None else None
