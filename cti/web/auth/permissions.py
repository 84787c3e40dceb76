"""The one table of who may do what. An operation that is not here cannot be routed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What an account is for."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


PUBLIC: frozenset[Role] | None = None
"""Anyone, without logging in."""

_ANY = frozenset(Role)
_AGENT = frozenset({Role.AGENT})
_ADMIN = frozenset({Role.ADMIN})
_FLOOR = frozenset({Role.SUPERVISOR, Role.ADMIN})

PERMISSIONS: Mapping[str, frozenset[Role] | None] = {
    "login": PUBLIC,
    "logout": _ANY,
    "me": _ANY,
    "agent": _AGENT,
    "agent_state": _AGENT,
    "agent_phone": _AGENT,
    "offer_reject": _AGENT,
    "call_hang_up": _AGENT,
    "call_wrap_up": _AGENT,
    "call_wrap_up_extend": _AGENT,
    "agent_dial": _AGENT,
    "agent_heartbeat": _AGENT,
    "call_quality": _AGENT,
    "call_hold": _AGENT,
    "call_transfer": _AGENT,
    "call_consult": _AGENT,
    "call_consult_complete": _AGENT,
    "call_consult_cancel": _AGENT,
    "call_consult_swap": _AGENT,
    "call_consult_join": _AGENT,
    "call_party_drop": _AGENT,
    "call_keys": _AGENT,
    "call_pick_up": _AGENT,
    "agent_waiting": _AGENT,
    "agent_destinations": _AGENT,
    "state": _ANY,  # an agent gets the own row and the queues only
    "feed": _ANY,  # the same
    "calls": _FLOOR,
    "call": _FLOOR,
    "call_decisions": _FLOOR,
    "call_why": _FLOOR,
    "queue_accuracy": _FLOOR,
    "call_priority": _FLOOR,
    "call_queue": _FLOOR,
    "callbacks": _FLOOR,
    "callback_cancel": _FLOOR,
    "config": _ADMIN,
    "config_check": _ADMIN,
    "config_diff": _ADMIN,
    "config_apply": _ADMIN,
    "flows": _FLOOR,
    "flow": _FLOOR,
    "flow_picture": _FLOOR,
    "flow_versions": _FLOOR,
    "flow_version": _FLOOR,
    "flow_diff": _FLOOR,
    "flows_check": _ADMIN,
    "flows_apply": _ADMIN,
    "flow_roll_back": _ADMIN,
    "flow_remove": _ADMIN,
    "flow_draft": _ADMIN,
    "flow_draft_withdraw": _ADMIN,
    "prompts": _FLOOR,
    "prompt": _FLOOR,
    "prompt_sound": _FLOOR,
    "prompt_recording": _FLOOR,
    "prompt_upload": _ADMIN,
    "prompt_give_up": _ADMIN,
    "prompt_use": _ADMIN,
    "prompt_code": _ADMIN,
    "centre": PUBLIC,
    "webcall": PUBLIC,
    "openapi": PUBLIC,
    "healthz": PUBLIC,
    "readyz": PUBLIC,
    "metrics": PUBLIC,
}
"""Operation -> the roles that may ask for it."""
