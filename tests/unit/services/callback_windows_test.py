"""Callbacks in a part of the day: when that comes next, and that nobody is called before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.ids import QueueName
from cti.model import facts as f
from cti.model.calendar import DAY, Calendar
from cti.model.callback_window import HORIZON, LEAST, CallbackWindow
from cti.services.callback_windows import ask_callback_in
from cti.services.desk import CallOver
from tests.unit.services.test_callback_rules import NUMBER, Line

ZONE = ZoneInfo("Europe/Berlin")
AFTERNOON = CallbackWindow(begins=13 * 60, ends=17 * 60)
ANY = CallbackWindow()
OFFICE = Calendar(name="office", week=(((9 * 60, 16 * 60),),) * 5 + ((), ()))


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "now", "calendar", "moment"),
    [
        (ANY, "2026-03-02 10:00", None, "2026-03-02 10:00"),
        (ANY, "2026-03-02 20:00", OFFICE, "2026-03-03 09:00"),
        (AFTERNOON, "2026-03-02 10:00", OFFICE, "2026-03-02 13:00"),
        (AFTERNOON, "2026-03-02 14:30", OFFICE, "2026-03-02 14:30"),
        (AFTERNOON, "2026-03-02 16:50", None, "2026-03-03 13:00"),
        (AFTERNOON, "2026-03-02 16:30", OFFICE, "2026-03-03 13:00"),
        (AFTERNOON, "2026-03-06 17:00", OFFICE, "2026-03-09 13:00"),
        (AFTERNOON, "2026-03-28 18:00", None, "2026-03-29 13:00"),  # the clocks change that night
    ],
)
def test_the_next_moment_of_a_part_of_the_day(window, now, calendar, moment) -> None:
    assert window.first_moment(berlin(now), ZONE, calendar) == berlin(moment)


def test_where_there_is_none() -> None:
    evening = CallbackWindow(begins=20 * 60, ends=22 * 60)
    assert evening.first_moment(berlin("2026-03-02 10:00"), ZONE, OFFICE) is None
    closed = Calendar(name="never")
    assert ANY.first_moment(berlin("2026-03-02 10:00"), ZONE, closed) is None


@given(
    st.integers(0, 370 * DAY),
    st.integers(0, DAY - 60),
    st.integers(60, DAY),
    st.sampled_from([None, OFFICE]),
)
def test_it_is_in_the_window_open_and_not_before_now(minutes: int, begins: int, long: int, calendar) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    window = CallbackWindow(begins=begins, ends=min(DAY, begins + long))
    moment = window.first_moment(now, ZONE, calendar)
    if moment is None:
        assert calendar is not None
        return
    local = moment.astimezone(ZONE)
    minute = local.hour * 60 + local.minute
    assert now <= moment <= now + timedelta(days=HORIZON + 1)
    assert window.begins <= minute
    assert minute + LEAST.total_seconds() / 60 <= window.ends
    assert calendar is None or calendar.is_open(moment, ZONE)


def line(now: datetime) -> Line:
    floor = Line()
    floor.pass_time((now - floor.now).total_seconds())
    floor.board.centre = replace(floor.board.centre, time_zone="UTC")
    return floor


def ahead(floor: Line, hours: float) -> CallbackWindow:
    """A window that begins so many hours from now."""
    minute = floor.now.hour * 60 + floor.now.minute + round(60 * hours)
    return CallbackWindow(begins=minute, ends=minute + 60)


def test_nobody_is_called_before_the_window_and_then_at_once() -> None:
    floor = line(datetime(2026, 3, 2, 9, tzinfo=UTC) + timedelta(days=400))
    caller = floor.call(number=NUMBER)
    moment = ask_callback_in(floor.board, caller, QueueName("support"), None, ahead(floor, 2), floor.now)
    floor.drain()
    assert moment is not None
    assert moment.astimezone(UTC) - floor.now == timedelta(hours=2)
    floor.hang_up_caller(caller)
    (queued,) = [fact for fact in floor.facts if isinstance(fact, f.CallQueued)]
    assert queued.not_before == moment
    floor.ready("1001")
    for _ in range(3):
        assert floor.look() == [], "an agent is free, and it is too early"
    floor.pass_time((moment - floor.now).total_seconds() - 5)
    assert floor.look() == []
    floor.pass_time(5)
    (dialled,) = floor.look()
    assert dialled.number == NUMBER


def test_a_window_that_has_begun_is_as_soon_as_possible() -> None:
    floor = line(datetime(2027, 4, 6, 9, tzinfo=UTC))
    caller = floor.call(number=NUMBER)
    moment = ask_callback_in(floor.board, caller, QueueName("support"), None, ANY, floor.now)
    floor.drain()
    assert moment == floor.now
    floor.hang_up_caller(caller)
    floor.ready("1001")
    assert [one.number for one in floor.look()] == [NUMBER]


def test_what_cannot_be_changes_nothing() -> None:
    floor = line(datetime(2027, 4, 6, 9, tzinfo=UTC))
    caller = floor.call(number="+4930123456")
    before = list(floor.facts)
    assert ask_callback_in(floor.board, caller, QueueName("support"), None, ANY, floor.now) is None
    assert ask_callback_in(floor.board, caller, QueueName("nobody"), NUMBER, ANY, floor.now) is None
    assert list(floor.facts) == before
    with pytest.raises(CallOver):
        ask_callback_in(floor.board, "a1-none.1", QueueName("support"), NUMBER, ANY, floor.now)
