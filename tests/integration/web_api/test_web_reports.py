"""Figures over the API: what is asked for reaches the reports as it was meant, and what cannot be is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cti.ids import CallId
from cti.reports.metric import Dimension
from cti.reports.metrics import METRICS
from cti.services import reporting as r

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PERIOD = "from=2026-03-01T00:00:00Z&to=2026-03-08T00:00:00Z"


class Remembering:
    """Reports that remember what they were asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def query(self, query: r.ReportQuery) -> r.Report:
        self.asked.append(query)
        figures = {name: r.Figure(value=None, n=0) for name in query.metrics}
        keys = {dimension.value: None for dimension in query.by}
        return r.Report(
            definition_version=2, zone="UTC", since=query.since, until=query.until,
            rows=(r.ReportRow(keys=keys, figures=figures),), totals=figures, unfinished=True,
        )  # fmt: skip

    async def calls(self, query: r.CallsQuery) -> r.CountedCalls:
        self.asked.append(query)
        one = r.CountedCall(
            call_id=CallId("a1-1.1"), at=AT, queue="support", agent=None, amount=1.0, outcome="abandoned",
            row={"call_id": "a1-1.1", "started_at": AT},
        )  # fmt: skip
        return r.CountedCalls(calls=(one,), next="2026-03-02T09:30:00+00:00|a1-1.1|0", total=7.0)

    async def spread(self, what: r.Spread, **more: Any) -> r.SpreadAnswer:
        self.asked.append((what, more))
        bins = (r.SpreadBin(low=0.0, high=None, count=0),)
        return r.SpreadAnswer(n=0, mean=None, median=None, p80=None, p90=None, p95=None, most=None, bins=bins)

    async def funnel(self, **more: Any) -> r.Funnel:
        self.asked.append(more)
        step = r.FunnelStep(flow="main", step="menu", verb="menu", came=3, gone=1, seconds=2.5, to={"": 2})
        return r.Funnel(calls=3, steps=(step,))


@pytest.fixture
async def reports(make_site: Any) -> tuple[Any, Remembering]:
    remembering = Remembering()
    return await make_site(reports=remembering), remembering


async def get(site: Any, path: str) -> tuple[int, Any]:
    answer, body = await site.ask("GET", f"/api/v1/reports{path}", "supervisor")
    return answer.status, body


async def test_the_catalogue_has_every_figure(reports: tuple[Any, Remembering]) -> None:
    status, body = await get(reports[0], "")
    assert status == 200
    assert [row["id"] for row in body["metrics"]] == list(METRICS)
    level = next(row for row in body["metrics"] if row["id"] == "service_level")
    assert (level["unit"], level["good"], level["grain"], level["additive"], level["drill"]) == (
        "share", "up", "visits", False, True,
    )  # fmt: skip
    assert set(level["title"]) == set(level["definition"]) == {"en", "zh"}


async def test_a_report_is_asked_for_as_it_was_meant(reports: tuple[Any, Remembering]) -> None:
    site, remembering = reports
    path = f"/query?metrics=offered,asa&{PERIOD}&by=queue,day&agent=1001,-&tier=vip&compare=week_before"
    status, body = await get(site, path)
    assert status == 200
    (query,) = remembering.asked
    assert (query.metrics, query.by, query.compare) == (
        ("offered", "asa"), (Dimension.QUEUE, Dimension.DAY), r.Compare.WEEK_BEFORE,
    )  # fmt: skip
    assert dict(query.filters) == {Dimension.AGENT: ("1001", None), Dimension.TIER: ("vip",)}
    assert body["rows"][0] == {
        "keys": {"queue": None, "day": None},
        "figures": {"offered": {"value": None, "n": 0}, "asa": {"value": None, "n": 0}},
        "before": None,
    }
    assert (body["from"], body["to"]) == ("2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z")
    assert (body["unfinished"], body["zone"], body["definition_version"]) == (True, "UTC", 2)


async def test_calls_behind_a_figure_distributions_and_funnels(reports: tuple[Any, Remembering]) -> None:
    site, remembering = reports
    after = "2026-03-02T09%3A30%3A00%2B00%3A00%7Ca1-1.1%7C0"
    status, body = await get(site, f"/calls?metric=abandoned&part=base&{PERIOD}&after={after}&weekday_hour=1-09")
    assert status == 200
    assert (body["next"], body["total"], body["calls"][0]["call_id"]) == (
        "2026-03-02T09:30:00+00:00|a1-1.1|0", 7.0, "a1-1.1",
    )  # fmt: skip
    assert remembering.asked[-1].part is r.Part.BASE
    assert remembering.asked[-1].filters == {Dimension.WEEKDAY_HOUR: ("1-09",)}
    assert (await get(site, f"/distribution?of=wait&{PERIOD}"))[1]["bins"] == [{"low": 0.0, "high": None, "count": 0}]
    status, body = await get(site, f"/funnel?flow=main&{PERIOD}")
    assert (status, body["steps"][0]["to"]) == (200, {"": 2})


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (f"/query?metrics=nothing&{PERIOD}", "unknown_metric"),
        (f"/query?metrics=offered&{PERIOD}&by=weather", "unknown_dimension"),
        (f"/query?metrics=offered&{PERIOD}&by=queue,agent,day", "invalid_input"),
        ("/query?metrics=offered&from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "bad_period"),
        ("/query?metrics=offered&from=2026-03-01T00:00:00&to=2026-03-02T00:00:00Z", "invalid_input"),
        ("/query?metrics=offered&from=2026-01-01T00:00:00Z&to=2026-12-01T00:00:00Z&by=half_hour", "bad_period"),
        (f"/calls?metric=occupancy&{PERIOD}", "no_calls_behind"),
        (f"/calls?metric=offered&{PERIOD}&after=x", "bad_page"),
        (f"/distribution?of=weather&{PERIOD}", "invalid_input"),
    ],
)
async def test_what_cannot_be_is_refused(reports: tuple[Any, Remembering], path: str, error: str) -> None:
    status, body = await get(reports[0], path)
    assert (status, body["error"]["id"]) == (400, error)


async def test_without_a_database_there_are_no_reports(site: Any) -> None:
    answer, body = await site.ask("GET", f"/api/v1/reports/query?metrics=offered&{PERIOD}", "supervisor")
    assert (answer.status, body["error"]["id"]) == (503, "no_reports")
