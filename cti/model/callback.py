"""Names of callbacks and of their legs: known before anything is dialled, so that a repeated command finds its own traces.

A callback is a call of its own. Its id follows from the call that asked for it, the unique id of each attempt's channel from
the callback's id and the attempt's number: `a1-1732200000.7` asks for `a1-1732200000.7-cb`, whose second attempt is the
channel `a1-1732200000.7-cb-2`. Where an agent is called first, the command makes the agent's leg, once for each offer:
`a1-1732200000.7-cb-a1732200099-1001`. Asterisk's own unique ids never end so.
"""

from __future__ import annotations

import re

from cti.ids import AgentId, CallId, OfferId

MARK = "-cb"
_ATTEMPT = re.compile(r"-[1-9][0-9]{0,3}\Z")
_AGENTS = re.compile(r"-a([0-9]{10})-([0-9]{2,6})\Z")


def callback_id(parent: CallId) -> CallId:
    """The id of the callback that this call asks for; always the same one."""
    return CallId(f"{parent}{MARK}")


def attempt_leg(callback: CallId, attempt: int) -> str:
    """The unique id of the customer's channel in this attempt (from 1)."""
    return f"{callback}-{attempt}"


def is_callback(call_id: CallId) -> bool:
    """Whether the id is one of a callback."""
    return call_id.endswith(MARK)


def is_callers_leg(call_id: CallId, unique_id: str) -> bool:
    """Whether a channel with this unique id is the caller's (or the called customer's) side of the call."""
    if not is_callback(call_id):
        return unique_id == call_id
    return unique_id.startswith(call_id) and _ATTEMPT.fullmatch(unique_id[len(call_id) :]) is not None


def agents_leg(callback: CallId, offer_id: OfferId, agent_id: AgentId) -> str:
    """The unique id of the agent's channel in this offer of a callback that calls the agent first."""
    return f"{callback}-a{offer_id:010d}-{agent_id}"


def agents_leg_of(call_id: CallId, unique_id: str) -> tuple[OfferId, AgentId] | None:
    """The offer and the agent whose leg has this unique id; None where it is not such a leg of this call."""
    if not is_callback(call_id) or not unique_id.startswith(call_id):
        return None
    found = _AGENTS.fullmatch(unique_id[len(call_id) :])
    return (OfferId(int(found[1])), AgentId(found[2])) if found is not None else None


def callback_of_leg(unique_id: str) -> CallId | None:
    """The callback whose agent's leg has this unique id; None for any other channel."""
    found = _AGENTS.search(unique_id)
    call_id = CallId(unique_id[: found.start()]) if found is not None else CallId("")
    return call_id if is_callback(call_id) else None
