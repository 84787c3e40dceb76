"""Figures of now, the hour and the day: what leaves them by time alone, what adds up, and what a restart keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model.agent import AgentStatus, apply_agent
from cti.model.centre import Centre
from cti.model.facts import AgentState, HangupBy, Outcome
from cti.reports.counted import Counted, QueueRules
from cti.reports.counting import count
from cti.reports.folding import figure, sums
from cti.reports.metric import Dimension
from cti.reports.metrics import METRICS
from cti.reports.rules import rules_of
from cti.reports.slots import day_start, key_of
from cti.services.agent_hours import AgentHours
from cti.services.call_paths import LONGEST, CallPaths
from cti.services.centre_row import CentreFigures
from cti.services.day_series import HALF_HOUR, Counts, HalfHours
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
            for name in ("service", "recommend")
        ]
    return [*told, f.CallEnded(at=end, call_id=call_id, hangup_by=HangupBy.CALLER)]


@cache
def in_zone(zone: str) -> Centre:
    return centre(CENTRE_TEXT + f"time_zone: {zone}\n")


def tally_at(now: datetime, zone: str = "UTC") -> Tally:
    return Tally(in_zone(zone), now)


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
    assert (total.count("calls"), total.longest) == (4, 200.0)
    assert total.value("effective_answer_rate") == 0.5  # whoever hung up soon wanted a person, too
    assert (total.count("survey_answers"), total.value("satisfaction_rate")) == (
        4,
        0.5,
    )  # the other scale does not count
    tally.complained([BEGIN, BEGIN + timedelta(hours=1)])
    assert total.value("complaint_rate") == 0.5
    assert not tally.complained([BEGIN + timedelta(hours=1), BEGIN])
    assert tally.complained([BEGIN])
    assert tally.total.count("complaints") == 1


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
    for name in ("calls", "answered", "abandoned", "short_abandons", "answered_in_time", "handled"):
        assert sum(slot.count(name) for slot in slots) == tally.total.count(name)
    assert max((slot.longest for slot in slots), default=0.0) == tally.total.longest
    assert tally.total.count("answered") == tally.queue(SUPPORT).answered


@pytest.mark.parametrize(("day", "slots"), [((2026, 3, 29), 46), ((2026, 10, 25), 50), ((2026, 6, 1), 48)])
def test_a_day_on_which_the_clocks_change(day: tuple[int, int, int], slots: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    begins = datetime(*day, tzinfo=zone).astimezone(UTC)
    end = (datetime(*day, tzinfo=zone) + timedelta(days=1)).astimezone(UTC)
    assert len(HalfHours(begins).until(end - timedelta(seconds=1))) == slots == (end - begins) // HALF_HOUR


def test_a_new_day_begins_at_nothing_and_has_what_began_in_it() -> None:
    tally = tally_at(BEGIN)
    tally.close(call(1, BEGIN, waited=5, answered=True))
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    tally.close(
        call(2, midnight - timedelta(seconds=30), waited=40, answered=True)
    )  # came before, talked after midnight
    assert (tally.total.count("calls"), tally.total.count("handled")) == (2, 1)
    assert tally.roll(midnight + timedelta(minutes=1))
    assert not tally.roll(midnight + timedelta(minutes=2))
    assert (tally.total.count("calls"), tally.total.count("handled"), tally.begins) == (0, 1, midnight)
    day = tally.queue(SUPPORT)
    assert (day.answered, day.offered_now) == (0, 1)  # of the last half hour it still is


def rows_of(*calls_told: list[f.Fact]) -> list[Counted]:
    return [row for told in calls_told for row in count(told).rows]


def test_what_the_reports_have_of_today_is_what_counts() -> None:
    tally = tally_at(BEGIN)
    first, second, third = (call(n, BEGIN, waited=5 * n, answered=True) for n in (1, 2, 3))
    tally.close(first)
    tally.close(second)
    stored = rows_of(call(1, BEGIN, waited=50, answered=False), call(9, BEGIN, waited=30, answered=False))
    yesterday = rows_of(call(8, BEGIN - timedelta(days=1), waited=30, answered=False))
    tally.remember([*stored, *yesterday])
    tally.close(third)
    tally.close(third)
    day = tally.queue(SUPPORT)
    assert (day.answered, day.abandoned, tally.total.count("calls")) == (2, 2, 4)
    assert sum(slot.count("calls") for slot in tally.series.until(BEGIN + timedelta(hours=1))) == 4


def test_after_a_change_of_the_clock_the_reports_are_asked_again() -> None:
    tally, now = tally_at(BEGIN), BEGIN + timedelta(hours=1)  # 10:00 in London, 18:00 in Shanghai
    told = [call(n, BEGIN - timedelta(hours=n), waited=5, answered=True) for n in (1, 2)]
    tally.remember(rows_of(*told))
    assert not tally.asks
    tally.use(centre(CENTRE_TEXT + "time_zone: Asia/Shanghai\n"), now)
    assert tally.roll(now)
    assert tally.begins == datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert tally.asks
    tally.close(call(3, now, waited=5, answered=True))
    evening = call(9, datetime(2026, 2, 28, 17, tzinfo=UTC), waited=5, answered=True)  # yesterday by the other clock
    tally.remember(rows_of(*told, evening))
    assert (tally.total.count("calls"), tally.asks) == (4, False)
    assert tally.roll(now + timedelta(hours=10))  # an ordinary midnight
    assert not tally.asks


def test_what_the_reports_are_not_asked_of_yet_does_not_grow_for_ever() -> None:
    tally = tally_at(BEGIN)
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    for number, at in enumerate((BEGIN, midnight - timedelta(minutes=10), midnight + timedelta(minutes=1))):
        tally.close(call(number, at, waited=5, answered=True))
    tally.roll(midnight + timedelta(minutes=5))
    assert tally.asks
    assert {call_id[-1] for call_id in tally._fresh or ()} == {"1", "2"}  # no more of the morning of the day before
    tally.remember([])
    assert tally.total.count("calls") == 1


def test_a_day_whose_midnight_comes_twice_begins_at_the_first() -> None:
    second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # half past midnight, for the second time
    assert tally_at(second, "America/Havana").begins == datetime(2026, 11, 1, 4, tzinfo=UTC)


def test_a_changed_limit_judges_what_comes_after() -> None:
    tally = tally_at(BEGIN)
    tally.use(
        centre(CENTRE_TEXT.replace("wrap_up: 10", "wrap_up: 10, service_level: 40")),
        BEGIN + timedelta(minutes=5),
    )
    tally.close(call(1, BEGIN, waited=30, answered=True))
    tally.close(call(2, BEGIN + timedelta(minutes=6), waited=30, answered=True))
    assert tally.ruled_since() == {SUPPORT: BEGIN + timedelta(minutes=5)}
    assert (tally.queue(SUPPORT).answered, tally.queue(SUPPORT).in_time) == (2, 1)


ENDS = ("answered", "abandoned", "turned_away", "voicemail", "rejected")


@given(
    calls=st.lists(
        st.tuples(
            st.integers(-7200, 86_400 + 3600), st.integers(0, 4000), st.sampled_from(ENDS),
            st.sampled_from(("support", "sales")), st.integers(0, 5),
        ),
        max_size=14,
    ),
    zone=st.sampled_from(("UTC", "Asia/Shanghai", "Europe/Berlin")),
)  # fmt: skip
def test_today_on_the_pages_is_today_in_a_report(calls: list[tuple[int, int, str, str, int]], zone: str) -> None:
    """Whatever began and ended when: every figure, whole, by queue, by agent and by half hour."""
    midnight = datetime(2026, 3, 2, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    tomorrow = (datetime(2026, 3, 2, tzinfo=ZoneInfo(zone)) + timedelta(days=1)).astimezone(UTC)
    tally, told = tally_at(midnight, zone), []
    for number, (second, waited, end, queue, score) in enumerate(calls):
        at = midnight + timedelta(seconds=second)
        facts = call(number, at, waited=waited, answered=end == "answered", score=score or None)
        facts = [replace(fact, queue=QueueName(queue)) if isinstance(fact, f.CallQueued) else fact for fact in facts]
        call_id, done = facts[0].call_id, facts.pop()  # type: ignore[attr-defined]
        if end in ("turned_away", "rejected"):
            to = "flow:main" if end == "turned_away" else "hang_up"
            facts[1:2] = [
                f.FlowEntered(at=at, call_id=call_id, flow=f.FlowName("main"), version="1"),
                f.CallDequeued(at=at, call_id=call_id, reason="closed", to=to, queue=QueueName(queue)),
            ]
        elif end == "voicemail":
            facts.append(f.CallDequeued(at=done.at, call_id=call_id, reason="option", to="voicemail"))
            facts.append(f.VoicemailLeft(at=done.at, call_id=call_id, path="v.wav"))
        told.append([*facts, done])
        tally.close(told[-1])
    rules = rules_of(centre(CENTRE_TEXT))
    rows = [row for one in told for row in count(one, lambda queue, _at: rules.get(queue, QueueRules())).rows]
    for begins, ends in ((midnight, tomorrow), (tomorrow, tomorrow + timedelta(days=1))):
        own = [row for row in rows if begins <= row.at < ends]
        whole = sums(own, (), ZoneInfo(zone)).get((), {})
        for name in NAMES:
            value, _ = figure(METRICS[name], whole)
            assert tally.total.value(name) == (None if value is None else round(value, 4)), name
        by_queue = sums(own, (Dimension.QUEUE,), ZoneInfo(zone))
        for queue in (SUPPORT, QueueName("sales")):
            day, part = tally.queue(queue), by_queue.get((queue,), {})
            shown = (day.answered, day.abandoned, day.short, day.in_time, day.elsewhere, day.turned_away)
            of_queue = (
                "answered", "abandoned", "short_abandons", "answered_in_time", "sent_elsewhere", "turned_away",
            )  # fmt: skip
            assert shown == tuple(figure(METRICS[name], part)[1] for name in of_queue)
            assert tally.queue(queue).service_level == Counts(sums=dict(part)).value("service_level")
        agent = sums(own, (Dimension.AGENT,), ZoneInfo(zone)).get((ADA,), {})
        assert tally.agent(ADA).calls == figure(METRICS["handled"], agent)[1]
        slots = sums(own, (Dimension.HALF_HOUR,), ZoneInfo(zone))
        for place, slot in enumerate(tally.series.until(ends - timedelta(seconds=1))):
            key = key_of(Dimension.HALF_HOUR, begins + place * HALF_HOUR, ZoneInfo(zone))
            for name in NAMES:
                value, _ = figure(METRICS[name], slots.get((key,), {}))
                assert slot.value(name) == (None if value is None else round(value, 4)), name
        assert tally.roll(ends)


NAMES = (
    "calls", "inbound", "offered", "answered", "abandoned", "short_abandons", "sent_elsewhere", "turned_away", "service_level",
    "abandonment_rate", "asa", "effective_answer_rate", "satisfaction_rate", "csat", "rejected", "voicemails", "handled", "aht",
)  # fmt: skip


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


@given(
    stretches=st.lists(
        st.tuples(st.integers(1, 30000), st.sampled_from([AgentState.READY, AgentState.NOT_READY, AgentState.OFFLINE])),
        max_size=12,
    ),
    zones=st.lists(
        st.sampled_from(("UTC", "Asia/Shanghai", "Asia/Kathmandu", "America/Los_Angeles", "Pacific/Kiritimati")),
        min_size=1, max_size=3,
    ),
)  # fmt: skip
def test_hours_are_of_the_day_by_the_clock_that_counts_now(
    stretches: list[tuple[int, AgentState]], zones: list[str]
) -> None:
    """Whatever the centre's zone was before, agents' hours are what an agent did since midnight of the one it has."""
    began = BEGIN - timedelta(hours=20)
    tally = tally_at(began)
    status, at = AgentStatus(agent_id=ADA, since=began, idle_since=began), began
    told: list[tuple[datetime, datetime, AgentState]] = []
    for seconds, state in stretches:
        moved = apply_agent(status, f.AgentChanged(at=at, agent_id=ADA, state=state))
        tally.moved(status, moved)
        tally.roll(at)
        told.append((at, at := at + timedelta(seconds=seconds), state))
        status = moved
    tally.moved(status, apply_agent(status, f.AgentChanged(at=at, agent_id=ADA, state=AgentState.OFFLINE)))
    for zone in zones:
        tally.use(in_zone(zone), at)
        tally.roll(at)
        morning = day_start(at.astimezone(ZoneInfo(zone)).date(), ZoneInfo(zone))
        assert tally.begins == morning
        sums = {
            state: sum(
                max(0.0, (until - max(since, morning)).total_seconds()) for since, until, s in told if s is state
            )
            for state in (AgentState.READY, AgentState.NOT_READY)
        }
        found = tally.hours(ADA)
        assert (found.ready, found.not_ready) == (sums[AgentState.READY], sums[AgentState.NOT_READY])


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
