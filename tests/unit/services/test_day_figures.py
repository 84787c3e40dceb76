"""Figures of now, the hour and the day: what leaves them by time alone, what adds up, and what a restart keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model.agent import AgentStatus, apply_agent
from cti.model.facts import AgentState, HangupBy, Outcome
from cti.services.agent_hours import AgentHours
from cti.services.call_paths import LONGEST, CallPaths
from cti.services.centre_row import CentreFigures
from cti.services.day_series import HALF_HOUR, HalfHours
from cti.services.switchboard import Switchboard
from cti.services.tally import Tally
from tests.support.floor_rig import BEGIN, CENTRE_TEXT, FloorRig, centre

SUPPORT, ADA = QueueName("support"), AgentId("1001")


def call(number: int, at: datetime, *, waited: float, answered: bool, score: int | None = None) -> list[f.Fact]:
    """The facts of one call that began to wait at `at`."""
    call_id, end = CallId(f"t1-1.{number}"), at + timedelta(seconds=waited)
    told: list[f.Fact] = [
        f.CallStarted(at=at, call_id=call_id, node=NodeName("t1"), caller_number="+15550100001"),
        f.CallQueued(at=at, call_id=call_id, queue=SUPPORT),
    ]
    if answered:
        told.append(f.CallAnswered(at=end, call_id=call_id, agent_id=ADA))
        end += timedelta(seconds=60)
        told.append(f.TalkEnded(at=end, call_id=call_id, agent_id=ADA))
    if score is not None:
        told += [
            f.SurveyAnswered(at=end, call_id=call_id, flow=f.FlowName("after"), step="s", question=name, score=score)
            for name in ("service", "nps_recommend")
        ]
    return [*told, f.CallEnded(at=end, call_id=call_id, hangup_by=HangupBy.CALLER)]


def tally_at(now: datetime, zone: str = "UTC") -> Tally:
    return Tally(centre(CENTRE_TEXT + f"time_zone: {zone}\n"), now)


def test_now_and_the_hour_are_left_by_time_alone() -> None:
    tally = tally_at(BEGIN)
    tally.close(call(1, BEGIN, waited=5, answered=True))  # in time, ends at 9:01:05
    tally.close(call(2, BEGIN + timedelta(minutes=20), waited=90, answered=False))  # abandoned at 9:21:30
    assert tally.passed(BEGIN + timedelta(minutes=22)) == [SUPPORT]
    day = tally.queue(SUPPORT)
    assert (day.service_level_now, day.service_level_hour, day.service_level) == (0.5, 0.5, 0.5)
    changed = []
    for minute in range(23, 100):
        if tally.passed(BEGIN + timedelta(minutes=minute)):
            changed.append(minute)
        day = tally.queue(SUPPORT)
        assert day.service_level_now == (0.5 if minute < 31 else 0.0 if minute < 51 else None)
        assert day.service_level_hour == (0.5 if minute < 61 else 0.0 if minute < 81 else None)
    assert changed == [31, 51, 61, 81]  # each call leaves each of the two once, and nothing else is told anew
    assert tally.queue(SUPPORT).service_level == 0.5
    assert tally.next_due() is None


def test_the_kinds_of_ends() -> None:
    tally = tally_at(BEGIN)
    tally.close(call(1, BEGIN, waited=30, answered=True, score=5))
    tally.close(call(2, BEGIN, waited=3, answered=False))
    tally.close(call(3, BEGIN, waited=40, answered=False))
    tally.close([*call(4, BEGIN, waited=200, answered=True, score=3)])
    day, total = tally.queue(SUPPORT), tally.total
    assert (day.answered, day.abandoned, day.short, day.in_time, day.elsewhere) == (2, 1, 1, 0, 0)
    assert (total.calls, total.asked, total.longest) == (4, 4, 200.0)
    assert total.effective_answer_rate == pytest.approx(2 / 3, abs=1e-4)
    assert (total.rated, total.satisfied, total.satisfaction) == (2, 1, 0.5)  # the other scale does not count
    tally.complained([BEGIN, BEGIN + timedelta(hours=1)])
    assert total.complaint_rate == 0.5
    assert not tally.complained([BEGIN + timedelta(hours=1), BEGIN])
    assert tally.complained([BEGIN])
    assert tally.total.complaints == 1


@given(
    calls=st.lists(st.tuples(st.integers(0, 86_000), st.integers(0, 300), st.booleans()), max_size=12),
    zone=st.sampled_from(("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York")),
)
def test_half_hours_add_up_to_the_day(calls: list[tuple[int, int, bool]], zone: str) -> None:
    midnight = datetime(2026, 3, 2, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    tally = tally_at(midnight, zone)
    for number, (second, waited, answered) in enumerate(calls):
        tally.close(call(number, midnight + timedelta(seconds=second), waited=waited, answered=answered))
    slots = tally.series.until(midnight + timedelta(hours=24, minutes=10))
    for name in ("calls", "asked", "answered", "abandoned", "short", "in_time"):
        assert sum(getattr(slot, name) for slot in slots) == getattr(tally.total, name)
    assert max((slot.longest for slot in slots), default=0.0) == tally.total.longest
    assert tally.total.answered == tally.queue(SUPPORT).answered


@pytest.mark.parametrize(("day", "slots"), [((2026, 3, 29), 46), ((2026, 10, 25), 50), ((2026, 6, 1), 48)])
def test_a_day_on_which_the_clocks_change(day: tuple[int, int, int], slots: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    begins = datetime(*day, tzinfo=zone).astimezone(UTC)
    end = (datetime(*day, tzinfo=zone) + timedelta(days=1)).astimezone(UTC)
    assert len(HalfHours(begins).until(end - timedelta(seconds=1))) == slots == (end - begins) // HALF_HOUR


def test_a_new_day_begins_at_nothing_and_keeps_what_ended_in_it() -> None:
    tally = tally_at(BEGIN)
    tally.close(call(1, BEGIN, waited=5, answered=True))
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    tally.close(call(2, midnight - timedelta(seconds=30), waited=5, answered=True))  # ends after midnight
    assert tally.roll(midnight + timedelta(minutes=1))
    assert not tally.roll(midnight + timedelta(minutes=2))
    assert (tally.total.calls, tally.queue(SUPPORT).answered, tally.begins) == (1, 1, midnight)


def test_how_an_agent_spent_the_day() -> None:
    hours, at = AgentHours(BEGIN), BEGIN - timedelta(hours=1)
    status = AgentStatus(agent_id=ADA, since=at, idle_since=at)
    for seconds, fact in (
        (0, f.AgentChanged(at=at, agent_id=ADA, state=AgentState.READY)),
        (5400, f.AgentChanged(at=at, agent_id=ADA, state=AgentState.NOT_READY, reason="lunch")),
        (6000, f.AgentChanged(at=at, agent_id=ADA, state=AgentState.READY)),
    ):
        moved = apply_agent(status, replace(fact, at=at + timedelta(seconds=seconds)))
        hours.moved(status, moved)
        status = moved
    found = hours.of(ADA)
    assert (found.ready, found.not_ready, found.busy) == (1800.0, 600.0, 0.0)  # the hour before the day is not of it
    hours.begin(BEGIN + timedelta(days=1))
    assert hours.of(ADA).ready == 0.0


def test_a_restart_changes_no_figure() -> None:
    rig = FloorRig()
    facts: list[f.Fact] = [f.AgentChanged(at=BEGIN, agent_id=ADA, state=AgentState.READY)]
    for number in range(6):
        facts += call(number, BEGIN + timedelta(minutes=3 * number), waited=4.0 + number * 9, answered=number % 3 != 2)
    now = BEGIN + timedelta(minutes=40)
    boards = []
    for _ in range(2):
        board = Switchboard(rig.board.centre, node=NodeName("t1"), now=now)
        board.recover(facts, now)
        board.tally.passed(now)
        boards.append(board)
    one, other = boards
    assert one.tally.queue(SUPPORT) == other.tally.queue(SUPPORT)
    assert one.tally.hours(ADA) == other.tally.hours(ADA)
    assert one.tally.hours(ADA).busy > 0
    row = CentreFigures(one).change(now)
    assert row == CentreFigures(other).change(now)
    assert row is not None
    assert sum(n or 0 for n in row.series["calls"]) == row.calls == 6


def test_the_way_of_a_call_is_read_on_and_bounded() -> None:
    paths, call_id = CallPaths(), CallId("t1-1.1")
    facts: list[f.Fact] = [f.FlowEntered(at=BEGIN, call_id=call_id, flow=f.FlowName("main"), version="1")]
    assert paths.of(call_id, facts) == (("flow", "main"),)
    facts.append(f.CallQueued(at=BEGIN, call_id=call_id, queue=SUPPORT))
    facts.append(f.CallQueued(at=BEGIN, call_id=call_id, queue=SUPPORT))
    assert paths.of(call_id, facts) == (("flow", "main"), ("queue", "support"))
    for number in range(40):
        facts.append(f.CallQueued(at=BEGIN, call_id=call_id, queue=QueueName(f"q{number}")))
    assert len(paths.of(call_id, facts)) == LONGEST
    assert paths.of(call_id, facts)[-1] == ("queue", "q39")
    paths.forget(call_id)
    assert paths.of(call_id, facts)[-1] == ("queue", "q39")


def test_outcomes_of_closed_calls_are_told_once() -> None:
    told: list[Outcome | None] = []
    tally = tally_at(BEGIN)
    tally.closed = told.append
    tally.close(call(1, BEGIN, waited=5, answered=True))
    assert told == [Outcome.ANSWERED]
