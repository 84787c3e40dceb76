"""A running web application over a fake floor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiohttp import ClientResponse, ClientWebSocketResponse
from aiohttp.test_utils import TestClient, TestServer

from cti.web.app import build_app
from cti.web.deps import WebDeps
from tests.support.fake_floor import FakeCalls, FakeExplanations, FakeFloor, StandingClock, demo_centre, make_deps

OURS = "http://127.0.0.1:8080"
"""The origin of this server's own pages in these tests."""


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The feed runs on both loops: the product uses uvloop where it is installed, and their transports differ."""
    plain = {"asyncio": asyncio.new_event_loop}
    return {**plain, "uvloop": uvloop.new_event_loop} if item.path.name == "test_web_feed.py" else plain


class Site:
    """The application, a client without cookies, and what stands behind it."""

    def __init__(self, client: TestClient, deps: WebDeps, floor: FakeFloor, calls: FakeCalls, clock: StandingClock):
        self.client = client
        self.deps = deps
        self.floor = floor
        self.calls = calls
        self.explained: FakeExplanations = deps.live  # type: ignore[assignment]
        self.clock = clock
        self._tokens: dict[str, str] = {}

    async def token(self, username: str) -> str:
        """A token of that user, made once."""
        if username not in self._tokens:
            async with self.client.post("/api/v1/login", json={"username": username, "password": "demo"}) as answer:
                assert answer.status == 200
                self._tokens[username] = (await answer.json())["token"]
            self.client.session.cookie_jar.clear()
        return self._tokens[username]

    async def ask(self, method: str, path: str, user: str | None = None, **more: Any) -> tuple[ClientResponse, Any]:
        """A request as a program makes it: with a token (of `user`), no cookie, no Origin. Gives answer and JSON."""
        headers = dict(more.pop("headers", {}))
        if user is not None:
            headers.setdefault("Authorization", f"Bearer {await self.token(user)}")
        async with self.client.request(method, path, headers=headers, **more) as answer:
            raw = await answer.read()
            self.client.session.cookie_jar.clear()
            is_json = answer.content_type == "application/json"
            return answer, (await answer.json()) if is_json and raw else raw

    async def feed(self, user: str) -> ClientWebSocketResponse:
        """An open feed of that user."""
        token = await self.token(user)
        return await self.client.ws_connect("/api/v1/feed", headers={"Authorization": f"Bearer {token}"})

    def metric(self, name: str, **labels: str) -> float:
        return self.deps.metrics.registry.get_sample_value(name, labels) or 0.0


async def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture
async def make_site(tmp_path: Path) -> AsyncIterator[Any]:
    """Starts sites over one folder; a second one is the same server restarted."""
    running: list[TestClient] = []

    async def make(**fields: Any) -> Site:
        clock = fields.pop("clock", None) or StandingClock()
        floor, calls = FakeFloor(demo_centre(), clock=clock), FakeCalls()
        deps = make_deps(floor, tmp_path, calls=calls, **fields)
        client = TestClient(TestServer(build_app(deps)))
        await client.start_server()
        running.append(client)
        return Site(client, deps, floor, calls, clock)

    yield make
    for client in running:
        await client.close()


@pytest.fixture
async def site(make_site: Any) -> Site:
    """One running site."""
    return await make_site()
