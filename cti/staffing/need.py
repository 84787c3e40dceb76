"""The fewest agents that meet a target, and how many must be on the roster for so many to be at the phone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cti.staffing.erlang import Outlook, erlang_a, erlang_c

MOST_AGENTS = 10_000
"""More are never proposed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be met."""

    service_level: float = 0.8
    """Share of callers to be answered in time, 0-1."""
    within: float = 20.0
    """Seconds that count as in time."""
    max_occupancy: float = 0.85
    """Agents are on calls for no more than this share of their time, 0-1."""
    shrinkage: float = 0.3
    """Share of paid time in which an agent is not at the phone (breaks, training, sickness), 0-1."""
    patience: float | None = None
    """Mean seconds after which callers give up (Erlang A); None: they never do (Erlang C)."""

    def __post_init__(self) -> None:
        if not 0 < self.service_level < 1:
            raise ValueError("the service level must lie between 0 and 1")
        if not 0 < self.max_occupancy <= 1:
            raise ValueError("the occupancy must lie between 0 and 1")
        if not 0 <= self.shrinkage < 1:
            raise ValueError("the shrinkage must lie between 0 and 1")
        if self.within < 0 or (self.patience is not None and self.patience <= 0):
            raise ValueError("seconds must be more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Agents for one half hour."""

    agents: int
    """At the phone."""
    rostered: int
    """On the roster, so that `agents` are at the phone."""
    outlook: Outlook
    """What callers may then expect."""


def outlook(agents: int, load: float, handling: float, target: Target) -> Outlook:
    """What callers may expect of `agents` under a load in Erlang, by the formula that the target chooses."""
    if target.patience is None:
        return erlang_c(agents, load, handling, target.within)
    return erlang_a(agents, load, handling, target.patience, target.within)


def needed(load: float, handling: float, target: Target) -> Need:
    """The fewest agents that meet the target. Every agent more makes every figure better, so it is found by halving.

    Raises ValueError for a load that `MOST_AGENTS` cannot serve.
    """
    if load <= 0:
        return Need(agents=0, rostered=0, outlook=outlook(0, 0.0, handling, target))

    def enough(agents: int) -> bool:
        found = outlook(agents, load, handling, target)
        return found.service_level >= target.service_level and found.occupancy <= target.max_occupancy

    low, high = 0, max(1, math.ceil(load))
    while not enough(high):
        low, high = high, high * 2
        if high > MOST_AGENTS:
            raise ValueError(f"more than {MOST_AGENTS} agents would be needed")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    # What is left of a whole agent by rounding errors is no agent.
    rostered = math.ceil(high / (1 - target.shrinkage) - 1e-9)
    return Need(agents=high, rostered=rostered, outlook=outlook(high, load, handling, target))
