"""A part of the day in which a customer wants to be called back, and when that comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from cti.model.calendar import DAY, Calendar

HORIZON = 14
"""Days that are looked ahead."""
LEAST = timedelta(minutes=15)
"""A window that has less than this left is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackWindow:
    """From one minute of the local day to another, 0-1440; the last is outside. The whole day: as soon as possible."""

    begins: int = 0
    ends: int = DAY

    def first_moment(self, now: datetime, zone: tzinfo, calendar: Calendar | None) -> datetime | None:
        """The first moment (UTC), not before `now`, that is in the window while `calendar` is open (None: always).

        None where there is none within `HORIZON` days.
        """
        today = now.astimezone(zone).date()
        for ahead in range(HORIZON + 1):
            day = today + timedelta(days=ahead)
            opens, closes = (
                _moment(datetime.combine(day, time()), minute, zone) for minute in (self.begins, self.ends)
            )
            at: datetime | None = max(opens, now)
            while at is not None and closes - at >= LEAST:
                if calendar is None or calendar.is_open(at, zone):
                    return at
                at = calendar.next_change(at, zone)
        return None


def _moment(midnight: datetime, minute: int, zone: tzinfo) -> datetime:
    local = midnight + timedelta(minutes=minute)
    return local.replace(tzinfo=zone).astimezone(UTC)
