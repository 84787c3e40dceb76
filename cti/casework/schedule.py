"""When nightly work is due: once a day of the centre, after a certain hour of its wall clock."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo

HOUR = 3
"""Local hour from which the night's work is done."""


def due_for(last: date | None, now: datetime, zone: tzinfo, hour: int = HOUR) -> date | None:
    """The day that nightly work is due for now; None: it is done. `last` is the day it was done for last.

    What was missed (the centre was off at night) is done as soon as it can be, once.
    """
    local = now.astimezone(zone)
    day = local.date() if local.hour >= hour else local.date() - timedelta(days=1)
    return day if last is None or day > last else None
