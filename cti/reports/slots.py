"""Half-hours, hours, days, weeks and months by the centre's clock, where days have 23, 24 or 25 hours.

A half-hour is a stretch of real time that begins when the clock on the wall shows :00 or :30; the hour that comes twice in
autumn is four of them. Every other stretch is made of whole half-hours.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cti.reports.metric import Dimension

HALF_HOUR = timedelta(minutes=30)


def half_hour_of(at: datetime, zone: ZoneInfo) -> datetime:
    """The beginning (UTC) of the half-hour that `at` lies in."""
    local = at.astimezone(zone)
    into = timedelta(minutes=local.minute % 30, seconds=local.second, microseconds=local.microsecond)
    return at.astimezone(UTC) - into


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first moment (UTC) of a day. Where midnight does not exist, the first moment that does."""
    first = datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
    return first if first.astimezone(zone).date() == day else first + timedelta(hours=1)


def key_of(dimension: Dimension, at: datetime, zone: ZoneInfo) -> str:
    """The name of the stretch that `at` lies in; see `cti.services.reporting`."""
    local = at.astimezone(zone)
    match dimension:
        case Dimension.HALF_HOUR:
            return local.replace(minute=local.minute // 30 * 30, second=0, microsecond=0).isoformat()
        case Dimension.HOUR:
            return local.replace(minute=0, second=0, microsecond=0).isoformat()
        case Dimension.DAY:
            return local.date().isoformat()
        case Dimension.WEEK:
            year, week, _ = local.isocalendar()
            return f"{year}-W{week:02d}"
        case Dimension.MONTH:
            return f"{local.year:04d}-{local.month:02d}"
        case Dimension.WEEKDAY_HOUR:
            return f"{local.isoweekday()}-{local.hour:02d}"
    raise ValueError(f"{dimension} is not of time")


def keys_between(dimension: Dimension, since: datetime, until: datetime, zone: ZoneInfo) -> list[str]:
    """Every key from `since` on that begins before `until`, in the order of time, each once."""
    found: dict[str, None] = {}
    at = half_hour_of(since, zone)
    while at < until:
        found[key_of(dimension, at, zone)] = None
        at = half_hour_of(at + HALF_HOUR, zone)
    return list(found)


def earlier(at: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The same reading of the wall clock so many days before."""
    local = at.astimezone(zone)
    return (local.replace(tzinfo=None) - timedelta(days=days)).replace(tzinfo=zone).astimezone(UTC)
