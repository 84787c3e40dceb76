"""Telling another system of calls: signed, in order, again after a failure, after a restart; and what a dead one costs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cti.ids import AgentId, CallId, NodeName
from cti.journal.writer import JournalWriter
from cti.model import facts as f
from cti.model.outside_crm import CrmEventKind, Webhook
from cti.outside.crm import CrmWebhook, signature


class Receiver:
    """The other system: `answer` gives a status by the number of the message, from 1."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.raw: list[bytes] = []
        self.answer: Callable[[int], int] = lambda _n: 204
        self.came = asyncio.Event()
        app = web.Application()
        app.router.add_post("/calls", self.handle)
        self.server = TestServer(app)

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.raw.append(raw)
        self.headers.append(request.headers)
        self.bodies.append(json.loads(raw))
        self.came.set()
        return web.Response(status=self.answer(len(self.bodies)))

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not enough():
                self.came.clear()
                await self.came.wait()

    def events(self) -> list[tuple[str, str]]:
        return [(one["call_id"], one["event"]) for one in self.bodies]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    there = Receiver()
    await there.server.start_server()
    yield there
    await there.server.close()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[JournalWriter]:
    (tmp_path / "secret").write_text("s3cret\n")
    async with JournalWriter(tmp_path / "journal") as opened:
        yield opened


def call(number: int, at: datetime | None = None) -> list[f.Fact]:
    at, call_id, ada = at or datetime.now(UTC), CallId(f"n1-1.{number}"), AgentId("1001")
    return [
        f.CallStarted(at=at, call_id=call_id, node=NodeName("n1"), caller_number="+15550100001"),
        f.CustomerMatched(at=at, call_id=call_id, match=f.Match.FOUND, customer_id=7),
        f.CallAnswered(at=at, call_id=call_id, agent_id=ada),
        f.CallEnded(at=at, call_id=call_id, hangup_by=f.HangupBy.CALLER),
        f.WrapUpEnded(at=at, call_id=call_id, agent_id=ada, disposition="resolved"),
    ]


async def until(enough: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not enough():  # noqa: ASYNC110 - what is waited for is a list that grows
            await asyncio.sleep(0.01)


async def reference(_customer: int) -> str:
    return "C-7"


@asynccontextmanager
async def telling(
    journal: JournalWriter, hook: Webhook | None, tmp_path: Path, counted: list[str] | None = None
) -> AsyncIterator[CrmWebhook]:
    work = CrmWebhook(
        journal,
        lambda: hook,
        position_file=tmp_path / "position",
        reference=reference,
        count=(counted if counted is not None else []).append,
        pause=0.01,
    )
    task = asyncio.create_task(work.run())
    try:
        await until(lambda: hook is None or work._session is not None)
        yield work
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def hook_to(receiver: Receiver, tmp_path: Path, **settings: Any) -> Webhook:
    url = str(receiver.server.make_url("/calls"))
    return Webhook(url=url, secret_file=str(tmp_path / "secret"), **settings)


async def test_told_signed_and_in_order(receiver: Receiver, journal: JournalWriter, tmp_path: Path) -> None:
    counted: list[str] = []
    await journal.append(call(0))  # before anybody was to be told
    async with telling(journal, hook_to(receiver, tmp_path), tmp_path, counted):
        await journal.append(call(1))
        await until(lambda: counted.count("told") == 3)
    assert receiver.events() == [("n1-1.1", "answered"), ("n1-1.1", "ended"), ("n1-1.1", "wrapped_up")]
    assert counted == ["told"] * 3
    for raw, headers, body in zip(receiver.raw, receiver.headers, receiver.bodies, strict=True):
        assert headers["X-CTI-Signature"] == signature(b"s3cret", raw)
        assert headers["X-CTI-Signature"] == "sha256=" + hmac.new(b"s3cret", raw, hashlib.sha256).hexdigest()
        assert headers["Idempotency-Key"] == body["event_id"]
        assert body["customer"] == {"id": 7, "reference": "C-7"}
    assert len({body["event_id"] for body in receiver.bodies}) == 3


async def test_only_what_was_asked_for(receiver: Receiver, journal: JournalWriter, tmp_path: Path) -> None:
    async with telling(journal, hook_to(receiver, tmp_path, events=(CrmEventKind.ENDED,)), tmp_path):
        await journal.append([*call(1), *call(2)])
        await receiver.until(lambda: len(receiver.bodies) == 2)
    assert {event for _, event in receiver.events()} == {"ended"}


async def test_again_after_failures_and_each_call_in_its_order(
    receiver: Receiver, journal: JournalWriter, tmp_path: Path
) -> None:
    receiver.answer = lambda n: 500 if n % 3 else 200
    counted: list[str] = []
    async with telling(journal, hook_to(receiver, tmp_path), tmp_path, counted):
        await journal.append([fact for number in range(5) for fact in call(number)])
        await until(lambda: counted.count("told") == 15)
    taken: dict[str, list[str]] = {}
    for n, (call_id, event) in enumerate(receiver.events(), start=1):
        if not n % 3:
            taken.setdefault(call_id, []).append(event)
    assert taken == {f"n1-1.{n}": ["answered", "ended", "wrapped_up"] for n in range(5)}
    assert counted.count("dropped") == 0


async def test_after_a_restart_it_goes_on(receiver: Receiver, journal: JournalWriter, tmp_path: Path) -> None:
    hook = hook_to(receiver, tmp_path)
    async with telling(journal, hook, tmp_path) as work:
        await journal.append(call(1)[:3])
        await receiver.until(lambda: len(receiver.bodies) == 1)
        await until(lambda: not work.waiting())
    receiver.bodies.clear()
    await journal.append([*call(1)[3:], *call(2)])  # while nobody told
    async with telling(journal, hook, tmp_path):
        await receiver.until(lambda: len(receiver.bodies) == 5)
    assert sorted(receiver.events()) == sorted(
        [
            *[("n1-1.1", e) for e in ("ended", "wrapped_up")],
            *[("n1-1.2", e) for e in ("answered", "ended", "wrapped_up")],
        ]
    )
    assert {body["number"] for body in receiver.bodies} == {"+15550100001"}, "known though told of before the restart"


async def test_nobody_there_holds_up_nobody_and_old_events_are_dropped(journal: JournalWriter, tmp_path: Path) -> None:
    counted: list[str] = []
    hook = Webhook(url="http://127.0.0.1:9/calls", secret_file=str(tmp_path / "secret"), give_up=timedelta(seconds=0.3))
    async with telling(journal, hook, tmp_path, counted) as work:
        for number in range(600):
            await asyncio.wait_for(journal.append(call(number)), 5)
        assert work.waiting() <= 1000 + 3 * 500
        await until(lambda: counted.count("dropped") >= 1800)
    assert "told" not in counted
    assert counted.count("failed") > 0


async def test_without_a_secret_nothing_is_sent(receiver: Receiver, journal: JournalWriter, tmp_path: Path) -> None:
    counted: list[str] = []
    hook = hook_to(receiver, tmp_path)
    (tmp_path / "secret").write_text("")
    async with telling(journal, hook, tmp_path, counted):
        await journal.append(call(1))
        await until(lambda: bool(counted))
        assert counted[0] == "failed"
        assert not receiver.bodies
        (tmp_path / "secret").write_text("now")
        await receiver.until(lambda: len(receiver.bodies) == 3)
    assert receiver.headers[0]["X-CTI-Signature"] == signature(b"now", receiver.raw[0])
