"""A running web application that is attacked, over a fake floor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar, TCPConnector
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from cti.web.app import build_app
from tests.integration.web_api.conftest import OURS, Site
from tests.support.fake_floor import FakeCalls, FakeFloor, StandingClock, demo_centre, make_deps


class Attacked(Site):
    """A site that can be reached from several addresses of this machine, and by browsers with their cookies."""

    url: URL
    opened: list[ClientSession]

    def from_address(self, address: str) -> ClientSession:
        """A program at this address (of 127.0.0.0/8), without cookies."""
        made = ClientSession(
            self.url, connector=TCPConnector(local_addr=(address, 0)), cookie_jar=CookieJar(unsafe=True)
        )
        self.opened.append(made)
        return made

    async def log_in(self, browser: ClientSession, username: str, password: str = "demo", **more: Any) -> Any:
        """As the log-in page does; gives status and JSON."""
        body = {"username": username, "password": password, **more}
        async with browser.post("/api/v1/login", json=body, headers={"Origin": OURS}) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def make_attacked(tmp_path: Path) -> AsyncIterator[Any]:
    """Starts sites over one folder; a second one is the same server restarted."""
    running: list[TestClient] = []
    sites: list[Attacked] = []

    async def make(**fields: Any) -> Attacked:
        clock = fields.pop("clock", None) or StandingClock()
        floor, calls = FakeFloor(demo_centre(), clock=clock), FakeCalls()
        deps = make_deps(floor, tmp_path, calls=calls, **fields)
        client = TestClient(TestServer(build_app(deps)))
        await client.start_server()
        running.append(client)
        site = Attacked(client, deps, floor, calls, clock)
        site.url, site.opened = client.make_url("/"), []
        sites.append(site)
        return site

    yield make
    for site in sites:
        for opened in site.opened:
            await opened.close()
    for client in running:
        await client.close()


@pytest.fixture
async def attacked(make_attacked: Any) -> Attacked:
    """One running site."""
    return await make_attacked()


async def close_code(feed: Any) -> int | None:
    """With what an open feed is closed, whatever comes before."""
    while not feed.closed:
        await feed.receive(timeout=60)
    return feed.close_code
