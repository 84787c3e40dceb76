"""HTTP services against a real one on a free port: good, slow, wrong, gone, and what travels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cti.model.centre import HttpService
from cti.outside.services import FAILURES, LARGEST_ANSWER, HttpServices
from cti.services.ports import Answered


class Orders:
    """A small service whose behaviour each test chooses."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.bodies: list[Any] = []
        self.answer: Any = web.json_response
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self.handle)
        self.server = TestServer(app)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.bodies.append(await request.text())
        answer: web.StreamResponse = await self.answer(len(self.seen))
        return answer


@pytest.fixture
async def orders() -> AsyncIterator[Orders]:
    orders = Orders()
    await orders.server.start_server()
    yield orders
    await orders.server.close()


async def ask(
    orders: Orders, *, values: dict[str, Any] | None = None, times: int = 1, **settings: Any
) -> list[Answered]:
    service = HttpService(name="orders", url=str(orders.server.make_url("/status")), **settings)
    services = HttpServices(lambda name: service if name == "orders" else None)
    try:
        return [await services.ask("orders", values or {}, key="call/flow/step/0") for _ in range(times)]
    finally:
        await services.close()


async def test_values_travel_in_the_query_and_nothing_of_them_in_the_address(orders: Orders) -> None:
    async def good(_n: int) -> web.Response:
        return web.json_response({"state": "shipped"})

    orders.answer = good
    values = {"order": "../../admin?x=1&y#z", "n": Decimal("2.50"), "known": True}
    assert await ask(orders, values=values) == [Answered(status="ok", body={"state": "shipped"})]
    (request,) = orders.seen
    assert request.path == "/status"
    assert dict(request.query) == {"order": "../../admin?x=1&y#z", "n": "2.50", "known": "true"}
    assert request.headers["Idempotency-Key"] == "call/flow/step/0"
    assert "Cookie" not in request.headers


async def test_post_sends_json_and_a_token(orders: Orders, tmp_path: Path) -> None:
    async def good(_n: int) -> web.Response:
        return web.json_response([1])

    orders.answer = good
    (tmp_path / "token").write_text("abc\n")
    values = {"order": "0042", "n": Decimal(3), "half": Decimal("0.5")}
    (answer,) = await ask(orders, values=values, method="POST", token_file=str(tmp_path / "token"))
    assert answer.body == [1]
    assert orders.bodies == ['{"order": "0042", "n": 3, "half": 0.5}']
    assert orders.seen[0].headers["Authorization"] == "Bearer abc"


async def test_not_found_is_no_failure_and_is_not_tried_again(orders: Orders) -> None:
    async def nothing(_n: int) -> web.Response:
        raise web.HTTPNotFound

    orders.answer = nothing
    assert [answer.status for answer in await ask(orders, retries=3)] == ["not_found"]
    assert len(orders.seen) == 1


async def test_a_failure_is_tried_again(orders: Orders) -> None:
    async def second(n: int) -> web.Response:
        return web.json_response({}, status=500 if n == 1 else 200)

    orders.answer = second
    assert [answer.status for answer in await ask(orders)] == ["ok"]


@pytest.mark.parametrize("kind", ["slow", "trickle", "html", "huge", "redirect", "cut", "500"])
async def test_slow_wrong_and_gone_are_failures(orders: Orders, kind: str) -> None:
    async def bad(_n: int) -> web.StreamResponse:
        match kind:
            case "slow":
                await asyncio.Event().wait()
            case "html":
                return web.Response(text="<html>")
            case "huge":
                return web.Response(body=b'"' + b"x" * LARGEST_ANSWER + b'"')
            case "redirect":
                raise web.HTTPFound("http://192.0.2.1/")
            case "500":
                return web.Response(status=500)
        response = web.StreamResponse()
        await response.prepare(orders.seen[-1])
        if kind == "trickle":
            await response.write(b'{"a":')
            await asyncio.Event().wait()
        transport = orders.seen[-1].transport
        assert transport is not None
        transport.abort()
        return response

    orders.answer = bad
    assert [a.status for a in await ask(orders, deadline=timedelta(seconds=0.2), retries=0)] == ["failed"]


async def test_a_service_that_is_not_there_and_one_nobody_knows() -> None:
    gone = HttpService(name="gone", url="http://127.0.0.1:9/", deadline=timedelta(seconds=0.5), retries=0)
    services = HttpServices(lambda name: gone if name == "gone" else None)
    try:
        assert (await services.ask("gone", {}, key="k")).status == "failed"
        assert (await services.ask("nobody", {}, key="k")).status == "failed"
    finally:
        await services.close()


async def test_a_broken_service_is_left_alone_for_a_moment(orders: Orders) -> None:
    async def broken(_n: int) -> web.Response:
        return web.Response(status=500)

    orders.answer = broken
    answers = await ask(orders, retries=0, times=FAILURES + 3)
    assert {answer.status for answer in answers} == {"failed"}
    assert len(orders.seen) == FAILURES
