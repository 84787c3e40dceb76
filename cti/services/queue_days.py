"""Each queue's own day: what a supervisor of certain queues sees instead of the centre's. The same rows, the same figures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from cti.ids import QueueName
from cti.reports.counted import Counted
from cti.services.day_series import Counts, HalfHours


@dataclass(slots=True)
class _Day:
    total: Counts
    series: HalfHours


class QueueDays:
    """Rows of the present day, by the queue they are of."""

    def __init__(self, begins: datetime) -> None:
        self._begins = begins
        self._days: dict[str, _Day] = {}

    def add(self, row: Counted) -> None:
        """Count a row; one of no queue is nobody's."""
        if row.queue is None:
            return
        day = self._days.get(row.queue)
        if day is None:
            day = self._days[row.queue] = _Day(Counts(), HalfHours(self._begins))
        day.total.add(row)
        day.series.at(row.at).add(row)

    def of(self, queues: Collection[QueueName], now: datetime) -> tuple[Counts, tuple[Counts, ...]]:
        """Several queues together: the whole day, and every half hour that has begun."""
        total, slots = Counts(), HalfHours(self._begins).until(now)
        for queue in queues:
            if (day := self._days.get(queue)) is not None:
                _add(total, day.total)
                for slot, more in zip(slots, day.series.until(now), strict=True):
                    _add(slot, more)
        return total, slots


def _add(sums: Counts, more: Counts) -> None:
    for key, amount in more.sums.items():
        sums.sums[key] = sums.sums.get(key, 0) + amount
    sums.longest = max(sums.longest, more.longest)
