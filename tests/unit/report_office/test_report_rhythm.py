"""When mails are due, by the centre's clock, through changes of the clocks and long times away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from cti.report_office.rhythm import MOST_MISSED, dues, next_due
from cti.services.report_desk import FileFormat, Rhythm, ScheduleWish

NEW_YORK = "America/New_York"


def wish(rhythm: Rhythm = Rhythm.DAILY, day: int = 1, at: str = "07:30") -> ScheduleWish:
    return ScheduleWish(
        report_id=1, rhythm=rhythm, day=day, at=at, format=FileFormat.CSV, language="en", to=("a@b.c",), active=True
    )


def local(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo(NEW_YORK)).strftime("%a %Y-%m-%d %H:%M")


def test_daily_weekly_monthly() -> None:
    now = datetime(2026, 3, 4, 20, 10, tzinfo=UTC)
    assert local(next_due(wish(), now, NEW_YORK)) == "Thu 2026-03-05 07:30"
    assert local(next_due(wish(at="23:59"), now, NEW_YORK)) == "Wed 2026-03-04 23:59"
    assert local(next_due(wish(Rhythm.WEEKLY, 1), now, NEW_YORK)) == "Mon 2026-03-09 07:30"
    assert local(next_due(wish(Rhythm.MONTHLY, 28), now, NEW_YORK)) == "Sat 2026-03-28 07:30"
    assert local(next_due(wish(Rhythm.MONTHLY, 1), now, NEW_YORK)) == "Wed 2026-04-01 07:30"


def test_the_time_of_day_stays_when_the_clocks_change() -> None:
    before = next_due(wish(), datetime(2026, 3, 7, tzinfo=UTC), NEW_YORK)
    after = next_due(wish(), before + timedelta(hours=2), NEW_YORK)
    assert (local(before), local(after)) == ("Sat 2026-03-07 07:30", "Sun 2026-03-08 07:30")
    assert after - before == timedelta(hours=23)


def test_a_time_that_is_left_out_and_one_that_comes_twice() -> None:
    gap = next_due(wish(at="02:30"), datetime(2026, 3, 8, 5, tzinfo=UTC), NEW_YORK)
    assert local(gap) == "Sun 2026-03-08 03:30"
    first = next_due(wish(at="01:30"), datetime(2026, 11, 1, 4, tzinfo=UTC), NEW_YORK)
    assert first == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert local(next_due(wish(at="01:30"), first, NEW_YORK)) == "Mon 2026-11-02 01:30"


def test_what_was_missed_is_made_up_for_once_and_not_for_ever() -> None:
    first = next_due(wish(), datetime(2026, 3, 1, tzinfo=UTC), NEW_YORK)
    found, coming = dues(wish(), first, first + timedelta(days=2, hours=1), NEW_YORK)
    assert [local(one)[4:14] for one in found] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert local(coming) == "Wed 2026-03-04 07:30"
    assert len(dues(wish(), first, first + timedelta(days=90), NEW_YORK)[0]) == MOST_MISSED


@given(
    st.sampled_from(list(Rhythm)),
    st.integers(1, 7),
    st.integers(0, 1439),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - of no zone yet
    st.sampled_from([NEW_YORK, "Asia/Shanghai", "Australia/Lord_Howe", "UTC", "Africa/Casablanca"]),
)
def test_each_is_later_and_no_more_than_a_rhythm_away(
    rhythm: Rhythm, day: int, minute: int, now: datetime, zone: str
) -> None:
    one = wish(rhythm, day, f"{minute // 60:02}:{minute % 60:02}")
    at = now.replace(tzinfo=UTC)
    due = next_due(one, at, zone)
    longest = {Rhythm.DAILY: 2, Rhythm.WEEKLY: 8, Rhythm.MONTHLY: 33}[rhythm]
    assert at < due <= at + timedelta(days=longest)
