"""The service audit: verdicts, periods, and that the past is judged by what was agreed then."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from cti.report_office.auditing import audit, check, good_of, judge, periods_of
from cti.services.report_desk import DeskRefused, Verdict
from cti.store.report_shelf import StoredTarget
from tests.support.fake_reports import FakeReports
from tests.support.report_house import NOW, report_centre


@pytest.mark.parametrize(
    ("value", "good", "verdict"),
    [
        (0.8, "up", "met"), (0.79, "up", "near"), (0.75, "up", "near"), (0.7499, "up", "missed"), (None, "up", "none"),
        (0.8, "down", "met"), (0.81, "down", "near"), (0.85, "down", "near"), (0.86, "down", "missed"),
    ],
)  # fmt: skip
def test_verdicts(value: float | None, good: str, verdict: str) -> None:
    assert judge(value, 0.8, 0.05, good) == verdict


def test_handling_time_has_its_good_side_below() -> None:
    assert (good_of("aht"), good_of("service_level"), good_of("asa"), good_of("occupancy")) == (
        "down",
        "up",
        "down",
        "up",
    )


@pytest.mark.parametrize(
    ("step", "first", "last", "end"),
    [
        ("day", "2026-03-02", "2026-03-04", "2026-03-05"), ("week", "2026-W08", "2026-W10", "2026-03-09"),
        ("month", "2026-01", "2026-03", "2026-04-01"),
    ],
)  # fmt: skip
def test_periods_end_with_the_one_that_runs(step: str, first: str, last: str, end: str) -> None:
    found, after = periods_of(step, 3, date(2026, 3, 4))
    assert ([key for key, _ in found][::2], after.isoformat()) == ([first, last], end)


def target(
    value: float, since: datetime, until: datetime | None = None, *, queue: str = "", number: int = 1
) -> StoredTarget:
    return StoredTarget(
        target_id=number,
        metric="service_level",
        queue=queue,
        target=value,
        tolerance=0.0,
        since=since,
        until=until,
        author="x",
    )


async def test_each_period_is_judged_by_the_target_of_its_time() -> None:
    centre = report_centre()
    reports = FakeReports(centre, NOW, days=30, busy=6.0)
    changed = datetime(2026, 2, 25, tzinfo=UTC)
    targets = [
        target(1.01, changed - timedelta(days=100), changed, number=1),
        target(0.01, changed, number=2),
        target(0.5, changed, queue="vip", number=3),
    ]
    found = await audit(reports, targets, "week", 4, centre, NOW)
    assert found.periods == ("2026-W07", "2026-W08", "2026-W09", "2026-W10")
    assert [(row.queue, row.target_id) for row in found.rows] == [("", 2), ("vip", 3)]
    assert [cell.verdict for cell in found.rows[0].cells] == [Verdict.MISSED, Verdict.MISSED, Verdict.MET, Verdict.MET]
    assert found.unfinished
    vip = found.rows[1].cells[2]
    assert vip.value is not None
    assert 0 < vip.n < found.rows[0].cells[2].n


def test_targets_are_of_figures_and_queues_that_are_there() -> None:
    centre = report_centre()
    for metric, queue, error in (
        ("nothing", "", "unknown_metric"),
        ("asa", "nowhere", "unknown_queue"),
        ("occupancy", "vip", "not_of_queues"),
    ):
        with pytest.raises(DeskRefused) as refused:
            check(metric, queue, centre)
        assert refused.value.error_id == error
