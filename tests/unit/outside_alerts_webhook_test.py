"""Telling of alerts: signed, in order, again after a failure and after a restart, and nothing of calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from cti.ids import CallId, NodeName, QueueName
from cti.journal.writer import JournalWriter
from cti.model import facts as f
from cti.model.alert_facts import AlertAcknowledged, AlertChanged
from cti.model.alerts import Figure, Level
from cti.model.outside_crm import Webhook
from cti.outside.alerts import AlertWebhook
from cti.outside.webhook import SIGNATURE, signature


def changed(queue: str | None, level: Level, value: float = 5.0) -> AlertChanged:
    name = None if queue is None else QueueName(queue)
    return AlertChanged(at=datetime.now(UTC), queue=name, figure=Figure.WAITING, level=level, value=value, limit=4.0)


async def until(enough: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not enough():  # noqa: ASYNC110 - what is waited for is a list that grows
            await asyncio.sleep(0.01)


async def test_alerts_are_told(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    got: list[dict[str, Any]] = []
    trouble = [503, 500]

    async def handle(request: web.Request) -> web.Response:
        raw = await request.read()
        assert request.headers[SIGNATURE] == signature(b"s3cret", raw)
        body = json.loads(raw)
        assert request.headers["Idempotency-Key"] == body["event_id"]
        if body["alert"] == "support.waiting" and trouble:
            return web.Response(status=trouble.pop())
        got.append(body)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/cti", handle)
    server = TestServer(app)
    await server.start_server()
    hook = Webhook(url=str(server.make_url("/cti")), secret_file=str(tmp_path / "secret"))

    def begin(journal: JournalWriter) -> tuple[AlertWebhook, asyncio.Task[None]]:
        work = AlertWebhook(journal, lambda: hook, position_file=tmp_path / "position", pause=0.01)
        return work, asyncio.create_task(work.run())

    async with JournalWriter(tmp_path / "journal") as journal:
        work, task = begin(journal)
        await until(lambda: work._session is not None)
        await journal.append(
            [
                f.CallStarted(at=datetime.now(UTC), call_id=CallId("n1-1.1"), node=NodeName("n1"), caller_number=None),
                changed("support", Level.WARN),
                changed(None, Level.CRITICAL),
                changed("support", Level.CRITICAL, 9.0),
                AlertAcknowledged(at=datetime.now(UTC), queue=QueueName("support"), figure=Figure.WAITING, by="lena"),
            ]
        )
        await until(lambda: len(got) == 4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.append([changed("support", Level.NONE, 0.0)])  # while nobody tells
        work, task = begin(journal)
        await until(lambda: len(got) == 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await server.close()
    own = [body for body in got if body["alert"] == "support.waiting"]
    assert [(one["event"], one.get("level"), one.get("value"), one.get("limit")) for one in own] == [
        ("raised", "warn", 5.0, 4.0),
        ("raised", "critical", 9.0, 4.0),
        ("acknowledged", None, None, None),
        ("over", "none", 0.0, None),
    ]
    assert own[2]["by"] == "lena"
    assert [(one["alert"], one["queue"]) for one in got if one not in own] == [("-.waiting", None)]
    assert len({one["event_id"] for one in got}) == 5
