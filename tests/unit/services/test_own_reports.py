"""Reports of certain queues: sums over these only, whatever is asked for; agents' time of their agents; calls without what became
of them elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cti.reports.metric import Dimension
from cti.services.own_reports import OwnReports
from cti.services.reporting import CallsQuery, ReportQuery
from tests.support.fake_floor import demo_centre
from tests.support.fake_reports import FakeReports

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
SINCE = NOW - timedelta(days=3)
CENTRE = demo_centre()
ALL = FakeReports(CENTRE, NOW, days=4)
OWN = OwnReports(ALL, {"support"}, CENTRE)
QUEUE = Dimension.QUEUE


def asked(*metrics: str, by: tuple[Dimension, ...] = (), **filters: tuple[str | None, ...]) -> ReportQuery:
    chosen = {Dimension(name): values for name, values in filters.items()}
    return ReportQuery(metrics=metrics, since=SINCE, until=NOW, by=by, filters=chosen)


async def test_sums_are_over_the_own_queues_and_say_so() -> None:
    mine = await OWN.query(asked("offered", "answered"))
    same = await ALL.query(asked("offered", "answered", queue=("support",)))
    assert (mine.totals, mine.queues) == (same.totals, ("support",))
    assert 0 < mine.totals["offered"].n < (await ALL.query(asked("offered"))).totals["offered"].n
    by = await OWN.query(asked("offered", by=(QUEUE,)))
    assert [row.keys["queue"] for row in by.rows] == ["support"]
    for others in (("vip",), (None,), ("vip", "sales")):
        assert not (await OWN.query(asked("offered", queue=others))).totals["offered"].n
    assert (await OWN.query(asked("offered", queue=("vip", "support")))).totals["offered"] == mine.totals["offered"]
    assert not (await OwnReports(ALL, (), CENTRE).query(asked("offered"))).totals["offered"].n


async def test_agents_time_is_of_the_queues_agents_and_stands_beside_the_rest() -> None:
    agents = sorted(a for a, agent in CENTRE.agents.items() if "support" in agent.queues)
    mine = await OWN.query(asked("offered", "ready_time", by=(Dimension.DAY,)))
    time = await ALL.query(asked("ready_time", by=(Dimension.DAY,), agent=tuple(agents)))
    assert mine.totals["ready_time"] == time.totals["ready_time"]
    assert {*mine.totals} == {"offered", "ready_time"}
    assert [row.keys for row in mine.rows] == [
        row.keys for row in (await ALL.query(asked("offered", by=(Dimension.DAY,)))).rows
    ]
    assert all({*row.figures} == {"offered", "ready_time"} for row in mine.rows)


async def test_the_calls_behind_a_figure_are_those_of_the_own_queues() -> None:
    found = await OWN.calls(CallsQuery(metric="offered", since=SINCE, until=NOW, limit=200))
    assert found.calls
    assert {one.queue for one in found.calls} == {"support"}
    assert all(one.row is None or one.row["queue"] == "support" for one in found.calls)
    whole = (await ALL.funnel(since=SINCE, until=NOW)).calls
    assert 0 < (await OWN.funnel(since=SINCE, until=NOW)).calls < whole
