"""The demo's shop answers as the shipped order-status flow asks."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

from cti.centre_file import parse_centre
from cti.demo.shop import ORDERS, describe, shop
from cti.ivr.flow import Flow
from cti.ivr.parser import parse_flow
from cti.ivr.verbs.call_service import Service
from cti.places import DEMO_CENTRE, REPOSITORY
from cti.settings import Ports


async def test_it_knows_some_orders_and_no_others() -> None:
    async with TestClient(TestServer(shop())) as client:
        answer = await client.get("/orders", params={"order": "4711", "caller": "+15550100001"})
        assert answer.status == 200
        body = await answer.json()
        assert (body["state"], body["total"]) == ("shipped", "129.90")
        assert date.fromisoformat(body["due"]) > date(2026, 1, 1)
        for order in ("9999", ""):
            assert (await client.get("/orders", params={"order": order})).status == 404


def test_it_gives_what_the_flow_keeps() -> None:
    text = (REPOSITORY / "ivr_flows" / "order_status.yaml").read_text(encoding="utf-8")
    flow = parse_flow(text, "order_status.yaml")
    assert isinstance(flow, Flow)
    (asking,) = [step for step in flow.steps.values() if isinstance(step, Service)]
    told = describe(ORDERS["4711"], date(2026, 3, 3))
    assert {kept.path[0] for kept in asking.keep} == set(told)
    assert told["due"] == "2026-03-05"


def test_the_demo_centre_asks_it_where_it_listens() -> None:
    text = DEMO_CENTRE.read_text(encoding="utf-8")
    centre = parse_centre(text, source=str(Path(DEMO_CENTRE).name))
    assert centre.services["order_status"].url == f"http://127.0.0.1:{Ports().shop}/orders"
