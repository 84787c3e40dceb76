"""Reports as the web sees them: what can be asked of the past, and what is answered. All times are aware.

A figure is asked for by its name in `cti.reports.metrics`. Keys of time are told by the centre's clock: `half_hour` and
`hour` as the local start with its offset ("2026-10-25T02:30:00+01:00"), `day` "2026-10-25", `week` "2026-W43", `month`
"2026-10", `weekday_hour` "7-02" (Monday is 1). A key is None where the row has none: nobody answered, no tier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from cti.ids import CallId
from cti.reports.metric import Dimension


class Compare(StrEnum):
    """With what a report is compared."""

    PREVIOUS = "previous"
    """As long a time right before."""
    WEEK_BEFORE = "week_before"
    """The same days of the week before, by the centre's clock."""


class Spread(StrEnum):
    """What a distribution can be of."""

    WAIT = "wait"
    """Of those answered."""
    ABANDON_WAIT = "abandon_wait"
    TALK = "talk"
    """An agent's talk, without hold."""
    HANDLE = "handle"
    """Talk, hold and work after."""


class Part(StrEnum):
    """Which calls of a figure."""

    COUNTED = "counted"
    """Those above the line."""
    BASE = "base"
    """Those below it."""


Filters = Mapping[Dimension, tuple[str | None, ...]]
"""Which rows: each dimension named has one of these values; None: those without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuery:
    """What is asked: `since` is included, `until` is not."""

    metrics: tuple[str, ...]
    since: datetime
    until: datetime
    by: tuple[Dimension, ...] = ()
    """At most two."""
    filters: Filters = field(default_factory=dict)
    compare: Compare | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. `value` is None where there is nothing to tell, or the metric cannot be divided or chosen so."""

    value: float | None
    n: int
    """Of how many: what is below the line; of a count, the count."""


Figures = Mapping[str, Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """The figures of one part; `before` those of the same part in the time compared with."""

    keys: Mapping[str, str | None]
    figures: Figures
    before: Figures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer. Rows are in the order of their keys; `totals` is the whole they are parts of."""

    definition_version: int
    zone: str
    since: datetime
    until: datetime
    rows: tuple[ReportRow, ...]
    totals: Figures
    totals_before: Figures | None = None
    since_before: datetime | None = None
    until_before: datetime | None = None
    unfinished: bool = False
    """Not all that happened until then is counted yet: facts are still on their way, or `until` lies ahead."""
    anew: float | None = None
    """Everything is being counted anew, and so much of it (0-1) is; None: it is not."""
    queues: tuple[str, ...] | None = None
    """The sums are over these queues only, which are all that the asker has; None: over the centre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsQuery:
    """The calls behind a figure."""

    metric: str
    since: datetime
    until: datetime
    part: Part = Part.COUNTED
    filters: Filters = field(default_factory=dict)
    limit: int = 50
    after: str = ""
    """`next` of the page before; empty: the first page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedCall:
    """One thing counted: a call, or a part of one; a call with two stays in the queue stands here twice.

    `row` has the columns of `report.calls`.
    """

    call_id: CallId
    at: datetime
    """By which it belongs to its half-hour."""
    queue: str | None
    agent: str | None
    amount: float
    """What it gives to the sum: 1, or seconds."""
    outcome: str | None
    row: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedCalls:
    """One page, in the order of time. `next` is empty on the last."""

    calls: tuple[CountedCall, ...]
    next: str
    total: float
    """Sum over all pages: what the report says above (or below) the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadBin:
    """So many were at least `low` and less than `high` seconds; `high` None: no end."""

    low: float
    high: float | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadAnswer:
    """How a duration is spread. Seconds; None without any."""

    n: int
    mean: float | None
    median: float | None
    p80: float | None
    p90: float | None
    p95: float | None
    most: float | None
    bins: tuple[SpreadBin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStep:
    """One step of a flow: so many came, so many went on to where, so many were gone in it."""

    flow: str
    step: str
    verb: str
    came: int
    gone: int
    seconds: float
    """Mean time in it."""
    to: Mapping[str, int]
    """Next step -> how many; "" is the end of the flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """How far callers went in flows, the busiest step first."""

    calls: int
    """Calls that entered the flow."""
    steps: tuple[FunnelStep, ...]


class Reports(Protocol):
    """The past, in figures. All raise `cti.errors.RemoteError` when the database cannot be asked now."""

    async def query(self, query: ReportQuery) -> Report:
        """Figures."""
        ...

    async def calls(self, query: CallsQuery) -> CountedCalls:
        """The calls behind a figure. Raises `KeyError` for an unknown metric."""
        ...

    async def spread(self, what: Spread, *, since: datetime, until: datetime, filters: Filters) -> SpreadAnswer:
        """How waits or talks are spread."""
        ...

    async def funnel(
        self,
        *,
        since: datetime,
        until: datetime,
        flow: str = "",
        version: str = "",
        queues: Sequence[str] | None = None,
    ) -> Funnel:
        """How far callers went in a flow; empty: in all. `queues`: only those who came to these queues."""
        ...
