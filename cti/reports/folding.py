"""Figures as sums over rows: what every report says, said without a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from zoneinfo import ZoneInfo

from cti.reports.counted import Counted
from cti.reports.metric import TIME_DIMENSIONS, Dimension, Grain, Metric
from cti.reports.slots import key_of

Keys = tuple[str | None, ...]
Sums = Mapping[tuple[Grain, str], int]
"""(grain, amount) -> sum."""


def sums(
    rows: Iterable[Counted],
    by: Sequence[Dimension],
    zone: ZoneInfo,
    *,
    team: Callable[[str], str | None] = lambda _: None,
) -> dict[Keys, dict[tuple[Grain, str], int]]:
    """The sums of each part, by its keys."""
    found: dict[Keys, dict[tuple[Grain, str], int]] = {}
    for row in rows:
        part = found.setdefault(tuple(_key(row, dimension, zone, team) for dimension in by), {})
        for name, amount in row.amounts.items():
            part[row.grain, name] = part.get((row.grain, name), 0) + amount
    return found


def _key(row: Counted, dimension: Dimension, zone: ZoneInfo, team: Callable[[str], str | None]) -> str | None:
    if dimension in TIME_DIMENSIONS:
        return key_of(dimension, row.at, zone)
    if dimension is Dimension.TEAM:
        return team(row.agent) if row.agent is not None else None
    if dimension in (Dimension.STATE, Dimension.REASON):
        return row.words.get(dimension.value)
    value: str | None = getattr(row, dimension.value)
    return value


def added(parts: Iterable[Sums]) -> dict[tuple[Grain, str], int]:
    """The sums of the whole out of those of its parts."""
    whole: dict[tuple[Grain, str], int] = {}
    for part in parts:
        for key, amount in part.items():
            whole[key] = whole.get(key, 0) + amount
    return whole


def figure(metric: Metric, part: Sums) -> tuple[float | None, int]:
    """(value, of how many)."""
    total = part.get((metric.amount.grain, metric.amount.name), 0)
    if metric.over is None:
        return metric.value(total, None), total
    base = part.get((metric.over.grain, metric.over.name), 0)
    return metric.value(total, base), base
