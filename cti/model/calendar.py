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
            day = today + timedelta(days=ahead)
            for minute in sorted({edge for span in self.spans(day) for edge in span} | {0}):
                moment = _moment(day, minute, zone)
                if moment > at and self.is_open(moment, zone) != now_open:
                    return moment
        return None


def _moment(day: date, minute: int, zone: tzinfo) -> datetime:
    if minute >= DAY:
        day, minute = day + timedelta(days=1), minute - DAY
    local = datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone)
    return local.astimezone(UTC)
