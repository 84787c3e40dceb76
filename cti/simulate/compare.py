"""What the other configuration changes: differences with a sign, and how sure they are.

Both runs met the same callers, so each caller is compared with itself, and what chance did to both cancels out. Callers
near each other share a fate (a long line is long for all in it), so the standard error comes from the means of batches in a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cti.simulate.figures import title_of
from cti.simulate.floor import Log
from cti.simulate.scenario import Scenario

BATCHES = 20
SMALLEST = 10
"""Callers of a batch, at least; with fewer callers there is no standard error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure of some callers under both configurations."""

    before: float
    after: float
    error: float | None
    """Standard error of the difference; None when too few came, or the two runs did not meet the same callers."""

    @property
    def difference(self) -> float:
        """What the other changes."""
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changes for some callers. Shares from 0 to 1, times in seconds."""

    title: str
    in_time: Change
    """Answered within the queue's service level, of all but short abandons."""
    waited: Change
    """Mean time waited by all callers, until the answer or the hang-up."""
    hung_up: Change


def changes(one: Scenario, one_log: Log, other: Scenario, other_log: Log) -> tuple[Changes, ...]:
    """All callers first, then each kind that both scenarios have."""
    before, after = _rows(one, one_log), _rows(other, other_log)
    out = [_changes("all", before, after)]
    for title in dict.fromkeys(row[1] for row in before):
        some = [row for row in before if row[1] == title]
        same = [row for row in after if row[1] == title]
        if same:
            out.append(_changes(title, some, same))
    return tuple(out) if len(out) > 2 else tuple(out[:1])


_Caller = tuple[float, str, float, bool, bool, bool]
"""When, what kind, seconds waited, in time, hung up, whether that was a short abandon."""


def _rows(scenario: Scenario, log: Log) -> list[_Caller]:
    """Those who count, by arrival."""
    titles = [title_of(kind) for kind in scenario.callers]
    queues = [scenario.centre.queues[kind.queue] for kind in scenario.callers]
    limits = [(q.service_level.total_seconds(), q.short_abandon.total_seconds()) for q in queues]
    warm_up = scenario.warm_up.total_seconds()
    return sorted(
        (
            at,
            titles[kind],
            wait,
            answered == 1 and wait <= limits[kind][0],
            answered == 0,
            answered == 0 and wait <= limits[kind][1],
        )
        for at, kind, wait, answered in zip(log.at, log.kind, log.wait, log.answered, strict=True)
        if at >= warm_up
    )


def _changes(title: str, before: Sequence[_Caller], after: Sequence[_Caller]) -> Changes:
    paired = [row[:2] for row in before] == [row[:2] for row in after]

    def change(figure: Callable[[_Caller], float]) -> Change:
        one, other = [figure(row) for row in before], [figure(row) for row in after]
        error = _error([b - a for a, b in zip(one, other, strict=True)]) if paired else None
        return Change(before=_mean(one), after=_mean(other), error=error)

    def share(rows: Sequence[_Caller]) -> float:
        counted = sum(not row[5] for row in rows)
        return sum(row[3] for row in rows) / counted if counted else 0.0

    in_time = change(lambda row: float(row[3]))
    return Changes(
        title=title,
        in_time=Change(before=share(before), after=share(after), error=in_time.error),
        waited=change(lambda row: row[2]),
        hung_up=change(lambda row: float(row[4])),
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _error(differences: Sequence[float]) -> float | None:
    """Standard error of the mean of values in a row, from the means of batches."""
    batches = min(BATCHES, len(differences) // SMALLEST)
    if batches < 5:
        return None
    size = len(differences) // batches
    means = [_mean(differences[n * size : (n + 1) * size]) for n in range(batches)]
    middle = _mean(means)
    return math.sqrt(math.fsum((m - middle) ** 2 for m in means) / (batches - 1) / batches)
