"""Time that goes on evenly while the machine's clock is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.asterisk.ami.our_clock import LATE_EVENT, on_our_clock
from cti.clock import BUSY_RATE, LARGEST_STEP, SteadyClock
from cti.model.signals import LinkLost

START = datetime(2028, 2, 28, 23, 59, tzinfo=UTC)  # the next day is the 29th


class Machine:
    """A machine whose wall clock can be set."""

    def __init__(self) -> None:
        self.passed = 100.0
        self.offset = START.timestamp() - self.passed
        self.clock = SteadyClock(wall=lambda: self.passed + self.offset, monotonic=lambda: self.passed)

    def wall(self) -> datetime:
        return datetime.fromtimestamp(self.passed + self.offset, UTC)

    def pass_by(self, seconds: float, *, idle: bool = False, every: float = 1.0) -> None:
        end = self.passed + seconds
        while self.passed < end:
            self.passed = min(end, self.passed + every)
            self.clock.follow(idle=idle)


@pytest.mark.parametrize("step", [3600.0, -3600.0, 30.0, -30.0])
def test_a_step_neither_ends_a_timer_early_nor_makes_a_call_longer_while_somebody_is_on_the_line(step: float) -> None:
    machine = Machine()
    machine.pass_by(60)
    answered = machine.clock.now()
    machine.offset += step
    machine.pass_by(120)
    assert machine.clock.now() - answered == pytest.approx(timedelta(seconds=120), abs=timedelta(seconds=2.5))


def test_with_nobody_on_the_line_it_goes_forward_at_once_and_back_at_half_speed() -> None:
    machine = Machine()
    machine.offset += 3600
    machine.pass_by(2, idle=True)
    assert machine.clock.now() == machine.wall()
    machine.offset -= 3600
    machine.pass_by(3600, idle=True)
    assert machine.clock.ahead() == pytest.approx(timedelta(seconds=1800), abs=timedelta(seconds=2))
    machine.pass_by(3602, idle=True)
    assert abs(machine.clock.ahead()) < timedelta(milliseconds=1)


def test_what_ntp_does_all_day_is_followed_within_a_moment() -> None:
    machine = Machine()
    machine.offset += 0.015
    machine.pass_by(2)
    assert abs(machine.clock.ahead()) < timedelta(milliseconds=1)


@given(
    st.lists(
        st.tuples(st.floats(-90000, 90000), st.floats(0.01, 40), st.booleans(), st.floats(0.1, 5)),
        min_size=1,
        max_size=12,
    )
)
def test_it_never_steps_back_and_durations_in_calls_are_right(steps: list[tuple[float, float, bool, float]]) -> None:
    machine = Machine()
    last = machine.clock.now()
    for offset, seconds, idle, every in steps:
        machine.offset += offset
        assert machine.clock.now() >= last
        before, began = machine.clock.now(), machine.passed
        machine.pass_by(seconds, idle=idle, every=every)
        last = machine.clock.now()
        assert last >= before
        if not idle:
            # What was owed at half speed from before is still worked off until the clock is next told otherwise.
            slack = timedelta(seconds=BUSY_RATE * seconds + 0.5 * every + 0.001)
            assert abs((last - before) - timedelta(seconds=machine.passed - began)) <= slack


def test_a_restart_goes_on_after_what_was_recorded_unless_that_is_too_far_ahead() -> None:
    machine = Machine()
    machine.clock.not_before(START - timedelta(seconds=5))
    assert machine.clock.now() == START
    machine.clock.not_before(START + timedelta(seconds=3600))
    assert machine.clock.now() == START + timedelta(seconds=3600)
    machine.clock.not_before(START + timedelta(seconds=3 * LARGEST_STEP))
    assert machine.clock.now() == START + timedelta(seconds=3600)


def test_stamps_of_asterisk_are_put_on_our_clock_where_the_two_differ() -> None:
    now = START
    stamped = LinkLost(at=now - timedelta(milliseconds=3))
    assert on_our_clock(stamped, now, timedelta(milliseconds=20)) is stamped
    set_back = timedelta(seconds=3600)  # the machine's clock was put back: we are ahead of it
    assert on_our_clock(LinkLost(at=stamped.at - set_back), now, set_back) == stamped
    assert on_our_clock(stamped, now, set_back).at == now, "stamped before the step"
    forward = -timedelta(seconds=3600)
    assert on_our_clock(LinkLost(at=stamped.at - forward), now, forward) == stamped
    late = LinkLost(at=now - forward - 2 * LATE_EVENT)
    assert on_our_clock(late, now, forward).at == now
