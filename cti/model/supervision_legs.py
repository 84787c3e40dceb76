"""Names of the legs of supervisors. The unique id of such a leg follows from the call's id and how many there were, so that
a repeated command finds its own traces, and a restarted bridge knows whose legs they are: `a1-1732200000.7-s1`."""

from __future__ import annotations

import re

from cti.ids import CallId

_WATCH = re.compile(r"(.+)-s[1-9][0-9]{0,3}")
PARTY = "@"
"""Begins the name under which a supervisor is a party of a call; numbers and agents never begin so."""


def watch_leg(call_id: CallId, number: int) -> str:
    """The unique id of the supervisor's channel, the `number`th (from 1) of this call."""
    return f"{call_id}-s{number}"


def call_of_watch_leg(unique_id: str) -> CallId | None:
    """The call to which a supervisor's leg belongs; None for any other channel."""
    found = _WATCH.fullmatch(unique_id)
    return CallId(found[1]) if found is not None else None


def party_name(by: str) -> str:
    """What a supervisor is called among those who talk in a call."""
    return f"{PARTY}{by}"


def is_supervisor(party: str) -> bool:
    """Whether a party of a call is a supervisor, who takes no line to the outside."""
    return party.startswith(PARTY)
