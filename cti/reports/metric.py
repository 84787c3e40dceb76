"""What a metric is: one amount, or one amount over another, of things that are counted one by one.

A figure is never made of other figures. Each is the sum of an amount over rows (calls, stays in a queue, talks, stretches of
an agent's time), or the quotient of two such sums; so the figures of any parts add up to those of the whole, however the
rows are divided, and a day's figure out of its half-hours is the same as out of its calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Grain(StrEnum):
    """What is counted one by one. Each grain has its own moment, by which it belongs to a day."""

    CALLS = "calls"
    """A call, once; when it arrived (or was begun)."""
    VISITS = "visits"
    """A stay of a call in a queue; when it got its place. A call that is sent on to another queue has two."""
    TALKS = "talks"
    """An agent's part in a call, all stretches together; when that agent first talked."""
    TIMES = "times"
    """A stretch of an agent's time in one state; split at each half-hour."""
    ANSWERS = "answers"
    """An answer to a question of a survey; when it was given."""
    COMPLAINTS = "complaints"
    """A complaint; when it was registered."""


class Unit(StrEnum):
    """What a figure is told in."""

    COUNT = "count"
    SECONDS = "seconds"
    SHARE = "share"
    """0-1."""
    SCORE = "score"
    """Mean of keys pressed."""
    POINTS = "points"
    """-100 to 100."""


class Good(StrEnum):
    """Which way is better."""

    UP = "up"
    DOWN = "down"
    NEITHER = "neither"


class Dimension(StrEnum):
    """What figures can be divided by."""

    QUEUE = "queue"
    AGENT = "agent"
    TEAM = "team"
    """The agent's first group, as the centre has it now."""
    TIER = "tier"
    DID = "did"
    DIRECTION = "direction"
    OUTCOME = "outcome"
    FLOW_VERSION = "flow_version"
    """Flow and version the call entered first, "main@3"."""
    STATE = "state"
    REASON = "reason"
    HALF_HOUR = "half_hour"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    WEEKDAY_HOUR = "weekday_hour"


TIME_DIMENSIONS = frozenset(
    {
        Dimension.HALF_HOUR,
        Dimension.HOUR,
        Dimension.DAY,
        Dimension.WEEK,
        Dimension.MONTH,
        Dimension.WEEKDAY_HOUR,
    }
)
"""By the centre's clock."""

_OF_CALLS = {
    Dimension.QUEUE,
    Dimension.AGENT,
    Dimension.TEAM,
    Dimension.TIER,
    Dimension.DID,
    Dimension.DIRECTION,
    Dimension.FLOW_VERSION,
}
DIMENSIONS_OF: Mapping[Grain, frozenset[Dimension]] = {
    Grain.CALLS: frozenset(_OF_CALLS | {Dimension.OUTCOME}) | TIME_DIMENSIONS,
    Grain.VISITS: frozenset(_OF_CALLS | {Dimension.OUTCOME}) | TIME_DIMENSIONS,
    Grain.TALKS: frozenset(_OF_CALLS) | TIME_DIMENSIONS,
    Grain.TIMES: frozenset({Dimension.AGENT, Dimension.TEAM, Dimension.STATE, Dimension.REASON}) | TIME_DIMENSIONS,
    Grain.ANSWERS: frozenset(_OF_CALLS) | TIME_DIMENSIONS,
    Grain.COMPLAINTS: frozenset({Dimension.QUEUE}) | TIME_DIMENSIONS,
}
"""By what the rows of a grain can be divided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What one row gives to a sum: the name of a whole number that every row of the grain has."""

    grain: Grain
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure's definition."""

    name: str
    amount: Amount
    over: Amount | None = None
    """None: the sum itself is the figure."""
    unit: Unit = Unit.COUNT
    good: Good = Good.NEITHER
    titles: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    """The definition, for people, by language."""
    formula: str = ""
    version: int = 1
    """Of this definition; it rises when the same facts would give another figure."""

    @property
    def additive(self) -> bool:
        """Whether figures of parts can be added."""
        return self.over is None

    @property
    def dimensions(self) -> frozenset[Dimension]:
        """By what it can be divided, and what can be chosen."""
        found = DIMENSIONS_OF[self.amount.grain]
        return found if self.over is None else found & DIMENSIONS_OF[self.over.grain]

    def value(self, total: int, base: int | None) -> float | None:
        """The figure out of its two sums; None where there is nothing to divide by."""
        scaled = total / _SCALE[self.unit] if self.unit in _SCALE else float(total)
        if self.over is None:
            return scaled
        return scaled / base if base else None


_SCALE = {Unit.SECONDS: 1000.0, Unit.POINTS: 0.01}
"""Durations are summed in whole milliseconds; points are a share times 100."""
