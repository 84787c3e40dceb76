"""An escalated complaint reaches the open pages of those whom it concerns, at once, and nobody else's."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import WSMsgType

from cti.casework.rows import Escalation
from cti.web.casework.news import teller
from tests.integration.web_api.conftest import Site

DUE = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


async def told(feed: Any) -> list[dict[str, Any]]:
    """What a feed was told of escalations before the answer to a ping that is sent now."""
    await feed.send_json({"type": "ping"})
    found = []
    async with asyncio.timeout(60):
        async for message in feed:
            assert message.type is WSMsgType.TEXT
            said = json.loads(message.data)
            if said["type"] == "pong":
                return found
            if said["type"] == "escalated":
                found.append(said)
    raise AssertionError("the feed ended")


@pytest.mark.parametrize(("step", "who"), [(1, {"1001"}), (2, {"1001", "supervisor", "admin"})])
async def test_who_is_told(site: Site, step: int, who: set[str]) -> None:
    feeds = {name: await site.feed(name) for name in ("1001", "1002", "supervisor", "admin")}
    app: Any = site.client.app
    teller(app)(Escalation(complaint_id=3, step=step, subject="<b>Late</b>", owner="1001", due_at=DUE))
    found = {name: await told(feed) for name, feed in feeds.items()}
    assert {name for name, said in found.items() if said} == who
    assert found["1001"] == [
        {
            "type": "escalated",
            "complaint_id": 3,
            "step": step,
            "subject": "<b>Late</b>",
            "due_at": "2026-03-02T12:00:00Z",
        }
    ]
    for feed in feeds.values():
        await feed.close()


async def test_one_that_nobody_owns_is_the_supervisors(site: Site) -> None:
    agent, supervisor = await site.feed("1001"), await site.feed("supervisor")
    app: Any = site.client.app
    teller(app)(Escalation(complaint_id=4, step=2, subject="Late", owner=None, due_at=DUE))
    assert (await told(agent), len(await told(supervisor))) == ([], 1)
    await agent.close()
    await supervisor.close()
