"""What is simulated: a centre, its callers and its rosters, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from cti.ids import AgentId, QueueName
from cti.model.centre import Centre
from cti.model.requirement import ANYBODY, Requirement

HALF_HOUR = timedelta(minutes=30)
DAY = timedelta(days=1)


class Law(StrEnum):
    """How a time is distributed."""

    FIXED = "fixed"
    EXPONENTIAL = "exponential"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """A distribution of times. `spread` is the standard deviation over the mean; only of the lognormal law."""

    law: Law
    mean: timedelta
    spread: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerKind:
    """Callers who want the same. They come as a Poisson stream."""

    queue: QueueName
    tier: str = ""
    """A tier of the centre; empty: of none."""
    per_half_hour: tuple[float, ...]
    """Expected callers in each half hour from the start on; it begins again at its end."""
    handling: Times
    """How long an agent is taken by the call: talk and wrap-up together."""
    patience: Times | None = None
    """How long they wait before they hang up; None: for ever."""
    skills: tuple[tuple[str, int], ...] = ()
    requires: Requirement = ANYBODY
    """Alternatives, one of which is needed besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """From `begin` until `end`, times of the day. The same every day."""

    begin: timedelta
    end: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Calls of the past to be the callers: those queued from `begin` until before `end`, aware moments."""

    begin: datetime
    end: datetime
    file: str = ""
    """An export of `report.calls`; empty: the database."""
    languages: Mapping[str, int] = field(default_factory=dict)
    """Language of the caller -> the proficiency in the skill of that name they require; none of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run. Its clock begins at `start`, a time of the day."""

    name: str
    seed: int = 1
    day: date = date(2026, 3, 2)
    """The day the run begins on; it counts for opening hours only."""
    start: timedelta = timedelta()
    length: timedelta = DAY
    """Callers come for so long. Who waits then is still served by whoever is on duty."""
    warm_up: timedelta = timedelta()
    """Callers who come so soon after the start do not count."""
    ring: timedelta = timedelta()
    """How long an agent takes to answer."""
    centre: Centre
    rosters: Mapping[AgentId, tuple[Shift, ...]]
    """Shifts by agent; an agent without any is always there."""
    callers: tuple[CallerKind, ...]
    replay: Replay | None = None
    """Where the callers come from instead."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One caller. Times in seconds, `at` since the start of the run."""

    at: float
    kind: int
    """Index into `Scenario.callers`."""
    handling: float
    patience: float
    """`inf` when for ever."""
