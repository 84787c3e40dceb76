"""Opening hours: a week, and the days that differ from it (holidays among them), in the centre's local time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]
"""(opens, closes) in minutes of the local day, 0-1440; the closing minute is outside."""

DAY = 24 * 60
_HORIZON = 400
"""Days that `next_change` looks ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """When something is open. A moment is judged by the clock on the centre's wall, so a day with a change of the clocks
    opens and closes at the same hours as any other."""

    name: str
    week: tuple[tuple[Span, ...], ...] = ((),) * 7
    """Monday first; spans in ascending order."""
    days: Mapping[date, tuple[Span, ...]] = field(default_factory=dict)
    """Days that are not as their weekday: no span means closed all day."""

    def spans(self, day: date) -> tuple[Span, ...]:
        """The open spans of a day."""
        return self.days.get(day, self.week[day.weekday()])

    def is_open(self, at: datetime, zone: tzinfo) -> bool:
        """Whether it is open at the aware moment `at`."""
        local = at.astimezone(zone)
        minute = local.hour * 60 + local.minute
        return any(opens <= minute < closes for opens, closes in self.spans(local.date()))

    def next_change(self, at: datetime, zone: tzinfo) -> datetime | None:
        """The next moment (UTC) after `at` at which it opens or closes; None when that is more than a year away."""
        now_open = self.is_open(at, zone)
        today = at.astimezone(zone).date()
        for ahead in range(_HORIZON):
            for moment in sorted(self._edges(today + timedelta(days=ahead), zone)):
                if moment > at and self.is_open(moment, zone) != now_open:
                    return moment
        return None

    def _edges(self, day: date, zone: tzinfo) -> set[datetime]:
        """The moments of a day at which it may open or close: the spans' ends and midnight, each as often as the clock
        on the wall shows it, and the change of the clocks itself, which may skip an end."""
        minutes = {edge for span in self.spans(day) for edge in span} | {0}
        found = {_moment(day, minute, zone, fold) for minute in minutes for fold in (0, 1)}
        begins, ends = _moment(day, 0, zone, 0), _moment(day, DAY, zone, 0)
        if begins.astimezone(zone).utcoffset() != ends.astimezone(zone).utcoffset():
            found.add(_clock_change(begins, ends, zone))
        return found


def _moment(day: date, minute: int, zone: tzinfo, fold: int) -> datetime:
    if minute >= DAY:
        day, minute = day + timedelta(days=1), minute - DAY
    local = datetime.combine(day, time(minute // 60, minute % 60, fold=fold), tzinfo=zone)
    return local.astimezone(UTC)


def _clock_change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The first minute of the new offset between two moments (whole minutes, UTC) whose offsets differ."""
    old = before.astimezone(zone).utcoffset()
    minutes = int((after - before) / timedelta(minutes=1))
    low, high = 0, minutes
    while high - low > 1:
        middle = (low + high) // 2
        same = (before + timedelta(minutes=middle)).astimezone(zone).utcoffset() == old
        low, high = (middle, high) if same else (low, middle)
    return before + timedelta(minutes=high)
