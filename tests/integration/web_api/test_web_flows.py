"""Flows over the API: which there are, what calls did in them, their picture."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.ivr.drawing import Traffic
from tests.support.fake_floor import FakeFlowTraffic
from tests.support.flow_corpus import shipped

TRAFFIC = Traffic(came={"menu": 40}, left={("menu", "choice", "support"): 30}, gone={"menu": 10})


@pytest.fixture
async def flows(make_site):
    return await make_site(flows=(shipped("simple"), shipped("main")), flow_traffic=FakeFlowTraffic(TRAFFIC))


async def test_live_flows_are_listed_by_name(flows):
    answer, said = await flows.ask("GET", "/api/v1/flows", "supervisor")
    assert answer.status == 200
    assert [(row["flow"], row["languages"]) for row in said["flows"]] == [("main", ["en", "zh"]), ("simple", ["en"])]
    assert said["flows"][1]["version"] == shipped("simple").version


async def test_a_flow_tells_where_callers_give_up(flows):
    answer, said = await flows.ask("GET", "/api/v1/flows/simple", "supervisor")
    assert answer.status == 200
    menu = next(step for step in said["steps"] if step["step"] == "menu")
    assert (menu["came"], menu["gone"]) == (40, 10)
    assert {"exit": "choice", "label": "Support", "to": "support", "calls": 30} in menu["exits"]


async def test_without_a_period_today_is_counted(flows):
    await flows.ask("GET", "/api/v1/flows/simple", "supervisor")
    ((_, since, until),) = flows.deps.flow_traffic.asked
    assert since <= until <= since + timedelta(days=1)


async def test_the_picture_is_svg_without_script(flows):
    path = "/api/v1/flows/simple/picture.svg?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"
    answer, said = await flows.ask("GET", path, "admin")
    assert (answer.status, answer.content_type) == (200, "image/svg+xml")
    assert b"40 came, 10 hung up (25%)" in said
    assert b"<script" not in said


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/api/v1/flows/nobody", 404, "unknown_flow"),
        ("/api/v1/flows/..%2Fetc", 400, "invalid_input"),
        ("/api/v1/flows/simple?from=yesterday", 400, "invalid_input"),
        ("/api/v1/flows/simple?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", 400, "invalid_input"),
    ],
)
async def test_what_is_wrong_is_told(flows, path, status, error):
    answer, said = await flows.ask("GET", path, "supervisor")
    assert (answer.status, said["error"]["id"]) == (status, error)
