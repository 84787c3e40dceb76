"""Reports on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from cti.services.reporting import Compare, Part, Spread
from cti.web.operations import Answer, Moment, Params

_LIST = r"^[^\x00-\x1f]{0,2000}$"
Listed = Annotated[str, Field(max_length=2000, pattern=_LIST)]
"""Values divided by commas. The value `-` stands for "none" (nobody, no queue, no tier)."""


class MetricRow(Answer):
    """One figure that can be asked for."""

    id: str
    unit: str
    """count, seconds, share (0-1), score, points (-100 to 100)."""
    good: str
    """up, down or neither: which way is better."""
    grain: str
    """What is counted one by one: calls, visits (stays in a queue), talks, times, answers, complaints."""
    title: dict[str, str]
    definition: dict[str, str]
    formula: str
    version: int
    additive: bool
    """Whether figures of parts can be added up."""
    dimensions: list[str]
    """By what it can be divided and chosen."""
    drill: bool
    """Whether the calls behind it can be listed."""


class ReportCatalogue(Answer):
    """What reports can tell."""

    definition_version: int
    zone: str
    """The centre's time zone, by which days and half-hours are meant."""
    metrics: list[MetricRow]
    dimensions: list[str]
    compare: list[str]


class Chosen(Params):
    """Which rows: every parameter is a list of values divided by commas; `-` stands for "none"."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=2000)

    since: Annotated[Moment, Field(alias="from")]
    until: Annotated[Moment, Field(alias="to")]
    queue: Listed = ""
    agent: Listed = ""
    team: Listed = ""
    tier: Listed = ""
    did: Listed = ""
    direction: Listed = ""
    outcome: Listed = ""
    flow_version: Listed = ""
    state: Listed = ""
    reason: Listed = ""
    weekday_hour: Listed = ""


class ReportQueryParams(Chosen):
    """A report: which figures, of when, divided by what."""

    metrics: Annotated[str, Field(max_length=2000, pattern=r"^[a-z_]+(,[a-z_]+)*$")]
    by: Annotated[str, Field(pattern=r"^([a-z_]+(,[a-z_]+)?)?$")] = ""
    """None, one or two dimensions."""
    compare: Compare | None = None


class FigureRow(Answer):
    """`value` null: nothing to tell (nothing to divide by, or the metric cannot be divided or chosen so)."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    value: float | None
    n: int
    """Of how many: what is below the line; of a count, the count."""


class PartRow(Answer):
    """The figures of one part; `before` those of the same part in the time compared with."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    keys: dict[str, str | None]
    figures: dict[str, FigureRow]
    before: dict[str, FigureRow] | None


class ReportAnswer(Answer):
    """A report. `totals` is the whole that the rows are parts of."""

    model_config = ConfigDict(frozen=True, from_attributes=True, populate_by_name=True)

    definition_version: int
    zone: str
    since: Annotated[datetime, Field(alias="from")]
    until: Annotated[datetime, Field(alias="to")]
    rows: list[PartRow]
    totals: dict[str, FigureRow]
    totals_before: dict[str, FigureRow] | None
    since_before: datetime | None
    until_before: datetime | None
    unfinished: bool
    """Not all that happened until then is counted yet."""
    anew: float | None = None
    """Everything is being counted anew, and so much of it (0-1) is. Null: it is not."""
    queues: list[str] | None = None
    """The sums are over these queues only: all that the asker has. Null: over the centre."""


class CountedQuery(Chosen):
    """The calls behind a figure. `after` is the `next` of the page before."""

    metric: Annotated[str, Field(pattern=r"^[a-z_]{1,64}$")]
    part: Part = Part.COUNTED
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9._|:+-]*$")] = ""


class CountedRow(Answer):
    """One thing counted: a call, or a part of one. `row` has the columns of `report.calls`."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    call_id: str
    at: datetime
    queue: str | None
    agent: str | None
    amount: float
    outcome: str | None
    row: dict[str, Any] | None


class CountedAnswer(Answer):
    """One page, in the order of time; `next` is empty on the last. `total` is the sum over all pages."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    calls: list[CountedRow]
    next: str
    total: float
    queues: list[str] | None = None
    """As in a report."""


class SpreadQuery(Chosen):
    """How a duration is spread."""

    of: Spread


class BinRow(Answer):
    """So many were at least `low` and less than `high` seconds; `high` null: no end."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    low: float
    high: float | None
    count: int


class SpreadRow(Answer):
    """Seconds; null without any."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    n: int
    mean: float | None
    median: float | None
    p80: float | None
    p90: float | None
    p95: float | None
    most: float | None
    bins: list[BinRow]
    queues: list[str] | None = None
    """As in a report."""


class FunnelQuery(Params):
    """How far callers went: in one flow, one version of it, or (empty) in all."""

    since: Annotated[Moment, Field(alias="from")]
    until: Annotated[Moment, Field(alias="to")]
    flow: Annotated[str, Field(pattern=r"^[a-z0-9_]{0,64}$")] = ""
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""


class FunnelStepRow(Answer):
    """One step: so many came, so many were gone in it, and where the others went ("" is the end of the flow)."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    flow: str
    step: str
    verb: str
    came: int
    gone: int
    seconds: float
    to: dict[str, int]


class FunnelAnswer(Answer):
    """`calls` entered the flow; steps by how many came, most first."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    calls: int
    steps: list[FunnelStepRow]
    queues: list[str] | None = None
    """As in a report: only those who came to these queues."""
