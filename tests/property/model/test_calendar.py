"""Opening hours against a search minute by minute, on days with a change of the clocks too."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.model.calendar import Calendar, Span
from tests.support.centres import calendars
from tests.support.examples import examples

ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana"]
)
MINUTE = timedelta(minutes=1)
CHANGES = (
    datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 4, 5, tzinfo=UTC),
    datetime(2026, 10, 4, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC),
)  # fmt: skip
"""Days on which some zone of these changes its clocks."""
MOMENTS = st.builds(
    lambda day, seconds: day + timedelta(seconds=seconds),
    st.sampled_from(CHANGES)
    | st.integers(0, 364).map(lambda days: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days)),
    st.integers(-90_000, 90_000),
)


def naive(calendar: Calendar, at: datetime, zone: ZoneInfo) -> bool:
    """By the clock on the wall, written out."""
    local = at.astimezone(zone)
    for opens, closes in calendar.days.get(local.date(), calendar.week[local.weekday()]):
        clock = f"{local.hour:02}:{local.minute:02}"
        if f"{opens // 60:02}:{opens % 60:02}" <= clock < f"{closes // 60:02}:{closes % 60:02}":
            return True
    return False


@examples(80, nightly=10_000)
@given(calendars(), MOMENTS, ZONES)
def test_open_by_the_clock_on_the_wall(calendar: Calendar, at: datetime, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    assert calendar.is_open(at, zone) == naive(calendar, at, zone)


def searched(calendar: Calendar, at: datetime, zone: ZoneInfo, *, days: int) -> datetime | None:
    """The next change, minute by minute."""
    now_open = calendar.is_open(at, zone)
    minute = at.replace(second=0, microsecond=0)
    for _ in range(days * 1440):
        minute += MINUTE
        if calendar.is_open(minute, zone) != now_open:
            return minute
    return None


@examples(30, nightly=1500)
@given(calendars(), MOMENTS, ZONES)
def test_the_next_change_is_the_first_minute_that_differs(calendar: Calendar, at: datetime, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    expected, found = searched(calendar, at, zone, days=3), calendar.next_change(at, zone)
    if expected is not None:
        assert found == expected
    elif found is not None:
        assert found > at + timedelta(days=3) - MINUTE
        assert calendar.is_open(found, zone) != calendar.is_open(at, zone) == calendar.is_open(found - MINUTE, zone)


@pytest.mark.parametrize(
    ("zone_name", "day"),
    [
        ("America/New_York", date(2026, 11, 1)),  # 02:00 is 01:00 again
        ("America/New_York", date(2026, 3, 8)),  # 02:00 is 03:00
        ("America/Havana", date(2026, 3, 8)),  # there is no midnight
        ("America/Havana", date(2026, 11, 1)),  # midnight comes twice
        ("Australia/Lord_Howe", date(2026, 4, 5)),  # by half an hour
    ],
)
@pytest.mark.parametrize("spans", [((90, 150),), ((0, 60),), ((75, 105), (120, 180)), ((150, 170),)])
def test_spans_in_the_hour_that_comes_twice_or_not_at_all(zone_name: str, day: date, spans: tuple[Span, ...]) -> None:
    zone = ZoneInfo(zone_name)
    calendar = Calendar(name="night", week=(spans,) * 7)
    begin = datetime.combine(day, time(), tzinfo=zone).astimezone(UTC) - timedelta(hours=1)
    for minutes in range(0, 300, 11):
        at = begin + minutes * MINUTE
        assert calendar.next_change(at, zone) == searched(calendar, at, zone, days=2), at
