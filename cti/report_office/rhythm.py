"""When a schedule is due, by the centre's clock. Pure."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cti.services.report_desk import Rhythm, ScheduleWish

MOST_MISSED = 7
"""After a long time away so many of the latest are made up for, no more."""


def next_due(wish: ScheduleWish, after: datetime, zone: str) -> datetime:
    """The first moment later than `after`. A time of day that a change of the clocks leaves out comes as much later as the
    clocks go forward; of one that comes twice, the first is meant."""
    there = ZoneInfo(zone)
    hour, minute = (int(part) for part in wish.at.split(":"))
    day = after.astimezone(there).date() - timedelta(days=1)
    while True:
        if _fits(wish, day):
            local = datetime.combine(day, time(hour, minute), tzinfo=there)
            due = local.astimezone(ZoneInfo("UTC"))
            if due > after:
                return due
        day += timedelta(days=1)


def dues(wish: ScheduleWish, first: datetime, now: datetime, zone: str) -> tuple[list[datetime], datetime]:
    """What became due from `first` until `now` (no more than the latest `MOST_MISSED`), and when the next is."""
    found = [first]
    while (coming := next_due(wish, found[-1], zone)) <= now:
        found.append(coming)
    return found[-MOST_MISSED:], coming


def _fits(wish: ScheduleWish, day: date) -> bool:
    match wish.rhythm:
        case Rhythm.DAILY:
            return True
        case Rhythm.WEEKLY:
            return day.isoweekday() == wish.day
        case Rhythm.MONTHLY:
            return day.day == wish.day
