"""Figures over arbitrary histories: the parts of any division add up to the whole, by the clock of any zone."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cti.model.facts import AgentState, CallEnded, CallFact
from cti.reports.agent_times import BUSY, Chosen, Used, beyond_allowed, by_half_hour, stretches
from cti.reports.call_record import fold
from cti.reports.counted import AMOUNTS
from cti.reports.counting import CountedCall, count, linked
from cti.reports.folding import added, figure, sums
from cti.reports.metric import DIMENSIONS_OF, TIME_DIMENSIONS, Dimension, Grain
from cti.reports.metrics import METRICS
from cti.reports.slots import HALF_HOUR, day_start, half_hour_of, key_of, keys_between
from cti.reports.talks import Activity
from tests.property.test_reports_call_record import HISTORIES, T0
from tests.support.examples import examples

ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Asia/Shanghai"]
)


def counted(histories: list[list[CallFact]]) -> list[CountedCall]:
    """Calls out of histories: each its own call, spread over some days."""
    found = []
    for number, history in enumerate(histories):
        moved = [
            dataclasses.replace(fact, call_id=f"a1-1.{number}", at=fact.at + timedelta(hours=7 * number))
            for fact in history
        ]
        if any(isinstance(fact, CallEnded) for fact in moved):
            found.append(count(moved))
    return found


@examples(60, nightly=5_000)
@given(st.lists(HISTORIES, min_size=1, max_size=6), ZONES, st.data())
def test_the_parts_of_any_division_are_the_whole(
    histories: list[list[CallFact]], zone_name: str, data: st.DataObject
) -> None:
    rows = linked(counted(histories))
    zone = ZoneInfo(zone_name)
    by = data.draw(st.lists(st.sampled_from(sorted(DIMENSIONS_OF[Grain.TALKS])), max_size=2, unique=True))
    parts = sums(rows, by, zone, team=lambda agent: "one" if agent == "1001" else None)
    (whole,) = sums(rows, (), zone).values() if rows else ({},)
    assert added(parts.values()) == whole
    # Days out of half-hours are days out of calls.
    halves = sums(rows, (Dimension.HALF_HOUR,), zone)
    days: dict[str, list[dict[tuple[Grain, str], int]]] = {}
    for (key,), part in halves.items():
        days.setdefault(str(key)[:10], []).append(part)
    assert {(day,): added(some) for day, some in days.items()} == sums(rows, (Dimension.DAY,), zone)
    for metric in METRICS.values():
        value, n = figure(metric, whole)
        assert n >= 0
        assert (
            value is None
            or metric.unit.value != "share"
            or -1e-9 <= value <= 1 + 1e-9
            or metric.name == "complaint_rate"
        )


@examples(60, nightly=5_000)
@given(st.lists(HISTORIES, min_size=1, max_size=6))
def test_what_is_counted_of_a_call_holds_together(histories: list[list[CallFact]]) -> None:
    for call in counted(histories):
        for row in call.rows:
            assert set(row.amounts) <= set(AMOUNTS[row.grain])
            # One answer of a recommendation may count -1; nothing else is below 0.
            assert all(amount >= 0 for name, amount in row.amounts.items() if name != "nps_net")
        whole = {name: 0 for grain in AMOUNTS for name in AMOUNTS[grain]}
        for row in call.rows:
            for name, amount in row.amounts.items():
                whole[name] += amount
        ends = (
            whole["answered"] + whole["abandoned"] + whole["short_abandoned"] + whole["sent_elsewhere"] + whole["lost"]
        )
        assert whole["offered"] == ends
        assert whole["in_time"] <= whole["answered"] <= whole["decided"] <= whole["offered"]
        assert whole["calls"] == 1
        assert whole["reached"] <= whole["wanted"] <= 1
        assert whole["handle_ms"] == whole["talk_ms"] + whole["hold_ms"] + whole["wrap_ms"]
        record = call.record
        assert (record.answered_at is not None) == (whole["answered_calls"] == 1)
        if record.talk_seconds is not None and whole["handled"] == 1:
            assert whole["talk_ms"] == pytest.approx(record.talk_seconds * 1000, abs=1)
            assert whole["hold_ms"] == pytest.approx((record.hold_seconds or 0) * 1000, abs=1)


@examples(40, nightly=2_000)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_order_and_repetition_change_no_figure(history: list[CallFact], random: object) -> None:
    assume(any(isinstance(fact, CallEnded) for fact in history))
    again = [*history, *history[:3]]
    random.shuffle(again)  # type: ignore[attr-defined]
    assert count(again) == count(history)
    assert count(history).record == fold(history)


@given(st.integers(1_700_000_000, 1_850_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)), ZONES)
@examples(200, nightly=20_000)
def test_a_half_hour_begins_on_the_half_hour_and_holds_its_moments(at: datetime, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    slot = half_hour_of(at, zone)
    assert slot <= at < slot + HALF_HOUR
    assert slot.astimezone(zone).minute in (0, 30)
    assert half_hour_of(slot, zone) == slot
    for dimension in TIME_DIMENSIONS:
        assert key_of(dimension, at, zone) == key_of(dimension, slot, zone)


@pytest.mark.parametrize(
    ("zone_name", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Europe/Berlin", date(2026, 10, 26), 24),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Asia/Shanghai", date(2026, 10, 25), 24),
    ],
)
def test_days_are_as_long_as_the_clock_makes_them(zone_name: str, day: date, hours: float) -> None:
    zone = ZoneInfo(zone_name)
    since, until = day_start(day, zone), day_start(day + timedelta(days=1), zone)
    assert until - since == timedelta(hours=hours)
    halves = keys_between(Dimension.HALF_HOUR, since, until, zone)
    assert len(halves) == hours * 2
    assert keys_between(Dimension.DAY, since, until, zone) == [day.isoformat()]
    assert {key[:10] for key in halves} == {day.isoformat()}


STATES = st.sampled_from([AgentState.READY, AgentState.NOT_READY, AgentState.OFFLINE])
MOMENTS = st.integers(0, 12 * 3600).map(lambda seconds: T0 + timedelta(seconds=seconds))


@examples(60, nightly=5_000)
@given(
    st.lists(st.tuples(MOMENTS, STATES, st.sampled_from(["", "lunch"])), max_size=6),
    st.lists(st.tuples(MOMENTS, st.integers(1, 5000), st.sampled_from(sorted(BUSY))), max_size=6),
    ZONES,
    MOMENTS,
)
def test_an_agents_time_is_counted_once_and_wholly(
    changes: list[tuple[datetime, AgentState, str]],
    calls: list[tuple[datetime, int, AgentState]],
    zone_name: str,
    cut: datetime,
) -> None:
    chosen = [
        Chosen(at=at, state=state, reason=reason) for at, state, reason in sorted(changes, key=lambda one: one[0])
    ]
    took = [
        Activity(agent="1001", state=state, began_at=at, ended_at=at + timedelta(seconds=seconds))  # type: ignore[arg-type]
        for at, seconds, state in calls
    ]
    until = T0 + timedelta(hours=14)
    found = stretches(chosen, took, since=T0, until=until)
    assert all(one.began_at < one.ended_at for one in found)
    assert all(one.ended_at <= other.began_at for one, other in pairwise(found))
    halves = by_half_hour(found, ZoneInfo(zone_name))
    assert sum(halves.values()) == sum(
        round((one.ended_at - one.began_at) / timedelta(milliseconds=1)) for one in found
    )
    assert all(ms <= 1_800_000 for ms in halves.values())
    # Counted in two goes it is the same.
    early = [one for one in chosen if one.at <= cut][-1:]
    two = [
        *by_half_hour(stretches(chosen, took, since=T0, until=cut), ZoneInfo(zone_name)).items(),
        *by_half_hour(
            stretches([*early, *(one for one in chosen if one.at > cut)], took, since=cut, until=until),
            ZoneInfo(zone_name),
        ).items(),
    ]
    again: dict[object, int] = {}
    for key, ms in two:
        again[key] = again.get(key, 0) + ms
    assert again == halves


@given(
    st.dictionaries(
        st.tuples(
            st.integers(0, 200),
            st.sampled_from([AgentState.NOT_READY, AgentState.READY]),
            st.sampled_from(["", "lunch"]),
        ),
        st.integers(1, 1_800_000),
        max_size=30,
    ),
    st.integers(0, 7_200_000),
    ZONES,
    st.integers(0, 200),
)
def test_what_is_beyond_allowed_is_what_the_day_has_not(
    told: dict[tuple[int, AgentState, str], int], limit: int, zone_name: str, cut: int
) -> None:
    """Of each day and reason what exceeds the limit, the last of it; counted in two goes it is the same."""
    zone = ZoneInfo(zone_name)
    slots = {(half_hour_of(T0, zone) + n * HALF_HOUR, state, reason): ms for (n, state, reason), ms in told.items()}

    def allowed(reason: str, day: datetime) -> int | None:
        assert day == day_start(day.astimezone(zone).date(), zone)
        return limit if reason == "lunch" else None

    found = beyond_allowed(slots, {}, allowed, zone)
    days: dict[object, list[int]] = {}
    for key in sorted(slots):
        slot, state, reason = key
        assert 0 <= found.get(key, 0) <= slots[key]
        if state is AgentState.NOT_READY and reason == "lunch":
            sums_of_day = days.setdefault(slot.astimezone(zone).date(), [0, 0])
            sums_of_day[0] += slots[key]
            sums_of_day[1] += found.get(key, 0)
            assert sums_of_day[1] == max(0, sums_of_day[0] - limit)  # at any moment of the day
        else:
            assert key not in found
    used: Used = {}
    at = half_hour_of(T0, zone) + cut * HALF_HOUR
    first = beyond_allowed({key: ms for key, ms in slots.items() if key[0] < at}, used, allowed, zone)
    second = beyond_allowed({key: ms for key, ms in slots.items() if key[0] >= at}, used, allowed, zone)
    assert {**first, **second} == found


def test_every_metric_is_told_in_both_languages_and_of_amounts_that_exist() -> None:
    for metric, language in product(METRICS.values(), ("en", "zh")):
        assert metric.titles[language]
        assert metric.texts[language]
        assert metric.formula
        for amount in (metric.amount, metric.over):
            assert amount is None or amount.name in AMOUNTS[amount.grain]
