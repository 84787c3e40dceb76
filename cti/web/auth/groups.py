"""What tokens for programs can be given: operations by group, to read and to write.

The group of an operation is told by the first part of its address, so that no new operation can be forgotten; what
concerns log-ins themselves has none, and no token may do it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "agent": ("agent",),
        "floor": (
            "state", "feed", "queues", "agents", "alerts", "supervision", "messages", "announcement", "callbacks", "outbound",
        ),
        "calls": ("calls",),
        "customers": ("customers",),
        "cases": (
            "tasks", "complaints", "follow-ups", "casework", "tiers", "churn",
        ),
        "recordings": ("recordings",),
        "quality": ("quality",),
        "reports": ("reports", "staffing", "audit"),
        "flows": ("flows", "prompts"),
        "config": ("config",),
        "acts": ("acts", "acts.csv"),
    }
)  # fmt: skip
"""Group -> first parts of addresses under /api/v1."""
SCOPES: tuple[str, ...] = tuple(f"{group}:{verb}" for group in GROUPS for verb in ("read", "write"))
EVERYBODY = frozenset({"me"})
"""What a token of any scope may ask: who it is."""
OF_PEOPLE = frozenset({"logout", "login", "account", "accounts", "tokens"})
"""Log-ins, second factors, tokens: for people only."""

_GROUP_OF = {part: group for group, parts in GROUPS.items() for part in parts}


def group_of(path: str) -> str | None:
    """The group of an operation by its address; None when no token may ask for it."""
    parts = path.split("/")
    return _GROUP_OF.get(parts[3]) if len(parts) > 3 else None


def allows(scopes: Collection[str], path: str, method: str) -> bool:
    """Whether these scopes cover the operation at this address."""
    parts = path.split("/")
    if len(parts) > 3 and parts[3] in EVERYBODY:
        return True
    group = group_of(path)
    return group is not None and f"{group}:{'read' if method in ('GET', 'HEAD') else 'write'}" in scopes
