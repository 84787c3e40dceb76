"""SQL of reports: which table, which rows, by what. Values are always parameters; names are our own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cti.reports.metric import DIMENSIONS_OF, TIME_DIMENSIONS, Dimension, Grain, Metric
from cti.reports.slots import day_start, half_hour_of, key_of
from cti.store.figures import SUMMED

WHOLE_DAYS = frozenset({Dimension.DAY, Dimension.WEEK, Dimension.MONTH})
"""Stretches made of days."""
Filters = Mapping[Dimension, tuple[str | None, ...]]
_NONE = "''"


@dataclass(slots=True, kw_only=True)
class Choice:
    """Rows of one grain of some time, as SQL."""

    grain: Grain
    summed: bool
    """Out of the sums by half hour."""
    table: str
    where: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    zone: str

    def value(self, value: object) -> str:
        """A parameter."""
        self.values.append(value)
        return f"${len(self.values)}"

    def slot(self) -> str:
        """SQL of the beginning of a row's half-hour."""
        if self.grain is not Grain.COMPLAINTS:
            return "slot"
        local = f"(opened_at AT TIME ZONE {self.value(self.zone)})"
        return (
            f"(opened_at - make_interval(mins => extract(minute FROM {local})::integer % 30,"
            f" secs => extract(second FROM {local})))"
        )

    def group(self, dimension: Dimension, days: Days) -> str:
        """SQL of what rows are divided by, as `key`; of what is made of days the number of the day in `days`, from 1.

        Days are found among borders that are worked out here: in the database each row's moment would be turned into local
        time and text, which takes several times as long as to sum it.
        """
        if dimension not in WHOLE_DAYS:
            return self.key(dimension)
        moment = "opened_at" if self.grain is Grain.COMPLAINTS else "slot"
        return f"width_bucket({moment}, {self.value(days.borders(dimension))}::timestamptz[])"

    def key(self, dimension: Dimension) -> str:
        """SQL of what rows are divided by: text; of half-hours and hours the moment they begin."""
        if dimension not in TIME_DIMENSIONS:
            column = "agent" if dimension is Dimension.TEAM else dimension.value
            empty = self.summed or self.grain is Grain.TIMES
            return f"nullif({column}, {_NONE})" if empty else column
        slot = self.slot()
        if dimension is Dimension.HALF_HOUR:
            return slot
        local = f"({slot} AT TIME ZONE {self.value(self.zone)})"
        match dimension:
            case Dimension.HOUR:
                return f"({slot} - make_interval(mins => extract(minute FROM {local})::integer))"
            case Dimension.DAY:
                return f"to_char({local}, 'YYYY-MM-DD')"
            case Dimension.WEEK:
                return f"to_char({local}, 'IYYY-\"W\"IW')"
            case Dimension.MONTH:
                return f"to_char({local}, 'YYYY-MM')"
            case _:
                return f"to_char({local}, 'ID-HH24')"

    def text(self) -> str:
        """The condition."""
        return " AND ".join(self.where) or "true"


class Days:
    """The days, weeks and months of a stretch of time: where each begins, and its name."""

    def __init__(self, since: datetime, until: datetime, zone: ZoneInfo) -> None:
        first = since.astimezone(zone).date() - timedelta(days=1)  # rows of a clock that was another then
        last = until.astimezone(zone).date()
        self._begins = [day_start(first + timedelta(days=day), zone) for day in range((last - first).days + 1)]
        self._zone = zone
        self._known: dict[Dimension, tuple[list[datetime], list[str]]] = {}

    def borders(self, dimension: Dimension) -> list[datetime]:
        """Where each begins, in the order of time."""
        return self._of(dimension)[0]

    def names(self, dimension: Dimension) -> list[str]:
        """Their names, as `key_of` has them."""
        return self._of(dimension)[1]

    def _of(self, dimension: Dimension) -> tuple[list[datetime], list[str]]:
        if dimension not in self._known:
            named: dict[str, datetime] = {}
            for begin in self._begins:
                named.setdefault(key_of(dimension, begin, self._zone), begin)
            self._known[dimension] = list(named.values()), list(named)
        return self._known[dimension]


def applies(metric: Metric, dimensions: Iterable[Dimension]) -> bool:
    """Whether the metric can be divided and chosen so."""
    return set(dimensions) <= metric.dimensions


def choose(
    grain: Grain,
    since: datetime,
    until: datetime,
    by: Sequence[Dimension],
    filters: Filters,
    *,
    zone: ZoneInfo,
    teams: Mapping[str, str],
    rows: bool = False,
) -> Choice:
    """The rows of a grain. `teams`: agent -> team. `rows`: the rows themselves are wanted, not sums."""
    asked = {dimension for dimension in (*by, *filters) if dimension not in TIME_DIMENSIONS}
    if not asked <= DIMENSIONS_OF[grain]:
        raise ValueError(f"{grain.value} cannot be divided by {', '.join(sorted(asked))}")
    columns = {"agent" if dimension is Dimension.TEAM else dimension.value for dimension in asked}
    whole = all(half_hour_of(moment, zone) == moment for moment in (since, until))
    summed = not rows and whole and grain in SUMMED and columns <= set(SUMMED[grain])
    table = {
        Grain.TIMES: "cti.agent_times",
        Grain.COMPLAINTS: "crm.complaints",
    }.get(grain, f"cti.{'half_hour' if summed else 'counted'}_{grain.value}")
    choice = Choice(grain=grain, summed=summed, table=table, zone=zone.key)
    moment = "opened_at" if grain is Grain.COMPLAINTS else "slot" if summed or grain is Grain.TIMES else "at"
    if grain is Grain.TIMES:
        since = half_hour_of(since, zone)
    choice.where += [f"{moment} >= {choice.value(since)}", f"{moment} < {choice.value(until)}"]
    for dimension, values in filters.items():
        if dimension is Dimension.TEAM:
            # Whoever is in no team is told by who is in one.
            inside = [agent for agent, team in teams.items() if team in values]
            condition = f"agent = ANY({choice.value(inside)})"
            if None in values:
                others = choice.value(list(teams))
                condition = f"({condition} OR agent IS NULL OR NOT agent = ANY({others}))"
            choice.where.append(condition)
            continue
        key = choice.key(dimension)
        condition = f"{key} = ANY({choice.value([value for value in values if value is not None])})"
        choice.where.append(f"({condition} OR {key} IS NULL)" if None in values else condition)
    return choice
