"""The centre's day as sums and as half hours: what the figures of the pages are made of, by the definitions of the reports.

Whatever is shown of today is a figure of `cti.reports.metrics` over the calls of today that have ended, and belongs to the same
half hour as in a report: a call to that in which it arrived, a stay in a queue to that in which it began. So today on the
pages and today in a report are the same numbers. Half hours are counted from the local midnight; a day on which the clocks
change has 46 or 50 of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cti.reports.counted import Counted
from cti.reports.folding import figure
from cti.reports.metric import Grain
from cti.reports.metrics import METRICS

HALF_HOUR = timedelta(minutes=30)


@dataclass(slots=True)
class Counts:
    """Rows added up."""

    sums: dict[tuple[Grain, str], int] = field(default_factory=dict)
    """(grain, amount) -> sum; what nothing was added to is missing."""
    longest: float = 0.0
    """Seconds; the longest stay of a caller in a queue, answered or not."""

    def add(self, row: Counted, sign: int = 1) -> None:
        """Count a row, too (-1: no more)."""
        for name, amount in row.amounts.items():
            key = row.grain, name
            self.sums[key] = self.sums.get(key, 0) + sign * amount
        if sign > 0 and row.until is not None and row.amounts.get("offered"):
            self.longest = max(self.longest, (row.until - row.at).total_seconds())

    def value(self, metric: str) -> float | None:
        """A figure of the reports, shares rounded to four digits; None where there is nothing to divide by."""
        value, _ = figure(METRICS[metric], self.sums)
        return None if value is None else round(value, 4)

    def count(self, metric: str) -> int:
        """A figure of the reports that is a count."""
        return figure(METRICS[metric], self.sums)[1]

    def amount(self, grain: Grain, name: str) -> int:
        """One sum."""
        return self.sums.get((grain, name), 0)


def share(part: float, whole: float) -> float | None:
    """`part` of `whole`, 0-1 and rounded; None of nothing."""
    return round(part / whole, 4) if whole > 0 else None


LINES: Mapping[str, str] = {
    "calls": "inbound",
    "answered": "answered",
    "abandoned": "abandoned",
    "service_level": "service_level",
    "satisfaction": "satisfaction_rate",
    "complaint_rate": "complaint_rate",
    "effective_answer_rate": "effective_answer_rate",
}
"""The lines of the day, and the figure each is of."""


@dataclass(slots=True)
class HalfHours:
    """One day's half hours. `begins` is its local midnight."""

    begins: datetime
    version: int = 0
    """Changes with every figure."""
    _slots: list[Counts] = field(default_factory=list)

    def at(self, moment: datetime) -> Counts:
        """The half hour of a moment of this day; earlier ones count in its first."""
        index = max(0, (moment - self.begins) // HALF_HOUR)
        while len(self._slots) <= index:
            self._slots.append(Counts())
        self.version += 1
        return self._slots[index]

    def until(self, now: datetime) -> tuple[Counts, ...]:
        """Every half hour that has begun, empty ones too."""
        begun = max(0, (now - self.begins) // HALF_HOUR) + 1
        return (*self._slots[:begun], *(Counts() for _ in range(begun - len(self._slots))))
