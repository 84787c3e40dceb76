"""Days, weeks and months found among borders are those of the one definition, also where the clock is moved."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cti.reports.metric import Dimension
from cti.reports.slots import HALF_HOUR, half_hour_of, key_of
from cti.store.report_sql import Days


@pytest.mark.parametrize(
    ("zone", "since"),
    [
        ("UTC", datetime(2025, 12, 20, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2025, 10, 20, 13, 30, tzinfo=UTC)),  # a day of 25 hours
        ("Asia/Kathmandu", datetime(2025, 2, 26, 18, 15, tzinfo=UTC)),  # a quarter of an hour off
        ("America/Sao_Paulo", datetime(2018, 11, 1, tzinfo=UTC)),  # midnight of the 4th does not exist
    ],
)
def test_the_border_below_a_half_hour_is_that_of_its_day(zone: str, since: datetime) -> None:
    clock = ZoneInfo(zone)
    until = since + timedelta(days=12)
    days = Days(since, until, clock)
    for dimension in (Dimension.DAY, Dimension.WEEK, Dimension.MONTH):
        borders, names = days.borders(dimension), days.names(dimension)
        assert borders == sorted(borders)
        at = half_hour_of(since, clock)
        while at < until:
            assert names[bisect_right(borders, at) - 1] == key_of(dimension, at, clock)
            at += HALF_HOUR
