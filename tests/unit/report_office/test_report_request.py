"""The search of a report's address: what it means, as of when, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.report_office.request import PERIODS, days_of, query_of, read_search
from cti.reports.metric import Dimension
from cti.services.report_desk import DeskRefused
from cti.services.reporting import Compare

WHOLE = "view=queues&period=last_week&by=queue,half_hour&metrics=offered,asa&compare=week_before&queue=vip,-&tier=gold"


def test_a_search_says_what_is_asked() -> None:
    asked = read_search("?" + WHOLE)
    assert asked.metrics == ("offered", "asa")
    assert asked.by == (Dimension.QUEUE, Dimension.HALF_HOUR)
    assert asked.compare is Compare.WEEK_BEFORE
    assert asked.filters == {Dimension.QUEUE: ("vip", None), Dimension.TIER: ("gold",)}


WEDNESDAY = date(2026, 3, 4)


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("today", "2026-03-04", "2026-03-04"), ("yesterday", "2026-03-03", "2026-03-03"), ("this_week", "2026-03-02", "2026-03-08"),
        ("last_week", "2026-02-23", "2026-03-01"), ("this_month", "2026-03-01", "2026-03-31"), ("last_month", "2026-02-01", "2026-02-28"),
        ("last_7", "2026-02-25", "2026-03-03"), ("last_28", "2026-02-04", "2026-03-03"), ("last_90", "2025-12-04", "2026-03-03"),
    ],
)  # fmt: skip
def test_named_days_move_with_the_calendar(period: str, first: str, last: str) -> None:
    asked = read_search(f"metrics=offered&period={period}")
    assert [one.isoformat() for one in days_of(asked, WEDNESDAY)] == [first, last]


def test_chosen_days_stay() -> None:
    assert days_of(read_search("metrics=offered&from=2026-01-05&to=2026-01-07"), WEDNESDAY) == (
        date(2026, 1, 5),
        date(2026, 1, 7),
    )
    assert days_of(read_search("metrics=offered&from=2026-01-05"), WEDNESDAY) == (date(2026, 1, 5), date(2026, 1, 5))


def test_a_day_of_23_hours_is_a_day() -> None:
    asked = query_of(
        read_search("metrics=offered&from=2026-03-08"), datetime(2026, 3, 9, tzinfo=UTC), "America/New_York"
    )
    assert asked.until.astimezone(UTC) - asked.since.astimezone(UTC) == timedelta(hours=23)


def test_today_is_the_centres() -> None:
    late = datetime(2026, 3, 4, 20, 0, tzinfo=UTC)
    asked = query_of(read_search("metrics=offered&period=today"), late, "Asia/Shanghai")
    assert asked.since.date() == date(2026, 3, 5)


@pytest.mark.parametrize(
    "search",
    [
        "", "view=today", "metrics=nothing", "metrics=offered&by=colour", "metrics=offered&by=queue,agent,tier", "metrics=offered&period=soon",
        "metrics=offered&from=2026-02-30", "metrics=offered&from=2026-3-1", "metrics=offered&from=2026-03-02&to=2026-03-01",
        "metrics=offered&compare=luck", "metrics=offered&colour=red", "metrics", "metrics=offered&queue=" + "x" * 5000, "metrics=offered\0",
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(search: str) -> None:
    with pytest.raises(DeskRefused) as refused:
        read_search(search)
    assert refused.value.error_id == "bad_report"
    assert refused.value.remedy


def test_too_many_half_hours_are_refused() -> None:
    asked = read_search("metrics=offered&by=half_hour&from=2025-01-01&to=2025-12-31")
    with pytest.raises(DeskRefused, match="days"):
        query_of(asked, datetime(2026, 3, 4, tzinfo=UTC), "UTC")


@given(
    st.dictionaries(
        st.sampled_from(["view", "period", "by", "metrics", "compare", "queue", "from", "to"]), st.text(max_size=30)
    )
)
def test_any_text_is_read_or_refused(given_: dict[str, str]) -> None:
    try:
        asked = read_search(urlencode(given_))
    except DeskRefused:
        return
    first, last = days_of(asked, WEDNESDAY)
    assert asked.metrics
    assert first <= last


@given(st.sampled_from([one for one in PERIODS if one != "days"]), st.dates(date(2000, 1, 1), date(2098, 1, 1)))
def test_days_are_in_order_on_any_day(period: str, today: date) -> None:
    first, last = days_of(read_search(f"metrics=offered&period={period}"), today)
    assert first <= last
    assert (last - first).days < 100
