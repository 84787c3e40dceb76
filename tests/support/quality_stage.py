"""The web application with quality over a real database, without telephones: pages and API on a port, calls put straight into
the database.

    async with quality_site(dsn, tmp_path) as site: ...
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from aiohttp.test_utils import TestServer

from cti.clock import Clock, SystemClock
from cti.crm.casework import CaseOffice
from cti.ids import QueueName
from cti.quality_rooms import QualityWork
from cti.reports.survey_scale import amounts_of
from cti.store.pool import open_pool
from cti.store.queries import StoredCalls
from cti.web.app import build_app
from cti.web.auth.sessions import Sessions
from tests.support.fake_floor import FakeFloor, demo_centre, make_deps

STATIC = Path(__file__).resolve().parents[2] / "cti" / "web" / "static"


async def count_talk(
    pool: asyncpg.Pool, call_id: str, at: datetime, *, agent: str, queue: str, tier: str, talk: float, hold: float,
    wrap: float, number: int = 0,
) -> None:  # fmt: skip
    """An agent's part in a call, as the drain counts it."""
    talked, held, after = (round(seconds * 1000) for seconds in (talk, hold, wrap))
    await pool.execute(
        "INSERT INTO cti.counted_talks (call_id, number, at, slot, until, queue, agent, tier, direction, outcome, handled,"
        " talk_ms, hold_ms, wrap_ms, handle_ms) VALUES ($1, $2, $3::timestamptz, date_trunc('hour', $3::timestamptz), $3::timestamptz, $4, $5, $6, 'inbound',"
        " 'answered', 1, $7, $8, $9, $10)",
        call_id, number, at, queue, agent, tier, talked, held, after, talked + held + after,
    )  # fmt: skip


async def count_answer(pool: asyncpg.Pool, call_id: str, at: datetime, *, flow: str, question: str, score: int) -> None:
    """An answer to a question, as the drain counts it."""
    amounts = amounts_of(question, score)
    await pool.execute(
        "INSERT INTO cti.counted_answers (call_id, number, at, slot, queue, agent, tier, direction, flow, step, question,"
        f" score, {', '.join(amounts)}) SELECT call_id, (SELECT count(*) FROM cti.counted_answers a WHERE a.call_id = $1), $2::timestamptz,"
        " date_trunc('hour', $2::timestamptz), queue, agent, tier, direction, $3, 'q', $4, $5,"
        f" {', '.join(f'${number}' for number in range(6, 6 + len(amounts)))} FROM cti.calls WHERE call_id = $1",
        call_id, at, flow, question, score, *amounts.values(),
    )  # fmt: skip


class Written:
    """An audit log that a test can look at."""

    def __init__(self) -> None:
        self.acts: list[dict[str, Any]] = []

    async def acted(
        self, *, by: str, role: str, act: str, subject: str, queue: QueueName | None = None, before: Any = None,
        after: Any = None, reason: str = "",
    ) -> None:  # fmt: skip
        self.acts.append({"by": by, "role": role, "act": act, "subject": subject, "reason": reason, "after": after})


class QualitySite:
    """A running application. Everybody's password is "demo"."""

    def __init__(self, pool: asyncpg.Pool, work: QualityWork, clock: Clock) -> None:
        self.pool, self.work, self.clock = pool, work, clock
        self.url = ""
        self.tokens: dict[str, str] = {}
        self.acts = Written()
        self._facts = 0

    async def call(
        self, call_id: str, at: datetime | None = None, *, agent: str = "1001", queue: str = "support", talk: float = 240,
        hold: float = 0, score: int | None = None, comment: bool = False,
    ) -> None:  # fmt: skip
        """An answered call of an hour ago, or of six minutes where that was last week; with what is told of it."""
        at = at or self._lately()
        await self.pool.execute(
            "INSERT INTO cti.calls (call_id, node, direction, started_at, answered_at, ended_at, did, tier, queue, agent,"
            " outcome, talk_seconds, hold_seconds, wrap_seconds, hangup_by, caller_number) VALUES ($1, 'pbx1', 'inbound',"
            " $2, $3, $4, '5000', 'gold', $5, $6, 'answered', $7, $8, 25, 'caller', '+15550100' || $9)",
            call_id, at, at + timedelta(seconds=35), at + timedelta(seconds=40 + talk + hold), queue, agent, talk, hold,
            f"{sum(call_id.encode()) % 1000:03d}",
        )  # fmt: skip
        talked = at + timedelta(seconds=35)
        await count_talk(
            self.pool, call_id, talked, agent=agent, queue=queue, tier="gold", talk=talk, hold=hold, wrap=25
        )
        await self.fact(
            "CallStarted", call_id, at, node="pbx1", direction="inbound", channel="x", number="+15550100123", did="5000"
        )
        await self.fact("CallQueued", call_id, at + timedelta(seconds=15), queue=queue)
        await self.fact("CallAnswered", call_id, talked, agent_id=agent)
        if hold:
            await self.fact("CallHeld", call_id, talked + timedelta(seconds=60), agent_id=agent)
            await self.fact("CallRetrieved", call_id, talked + timedelta(seconds=60 + hold), agent_id=agent)
        await self.fact("TalkEnded", call_id, talked + timedelta(seconds=talk + hold), agent_id=agent)
        if score is not None:
            over = talked + timedelta(seconds=talk + hold + 10)
            await self.fact("FlowEntered", call_id, over, flow="survey", version="3")
            for question, given in (("solved", score), ("friendly", min(5, score + 1))):
                await self.fact(
                    "SurveyAnswered", call_id, over, flow="survey", step="questions", question=question, score=given
                )
                await count_answer(self.pool, call_id, over, flow="survey", question=question, score=given)
            if comment:
                await self.fact("MessageRecorded", call_id, over, flow="survey", step="questions", kind="comment",
                                path=f"{call_id}-comment", seconds=6.5)  # fmt: skip

    def _lately(self) -> datetime:
        now = self.clock.now()
        ago = now - timedelta(hours=1)
        return ago if ago.isocalendar()[:2] == now.isocalendar()[:2] else now - timedelta(minutes=6)

    async def fact(self, kind: str, call_id: str, at: datetime, /, **body: Any) -> None:
        """A fact as the drain stores it."""
        self._facts += 1
        await self.pool.execute(
            "INSERT INTO cti.facts (journal_id, position, kind, call_id, at, body) VALUES ('stage', $1, $2, $3, $4, $5)",
            self._facts, kind, call_id, at, orjson.dumps({"fact": kind, "call_id": call_id, "at": at, **body}).decode(),
        )  # fmt: skip


@contextlib.asynccontextmanager
async def quality_site(dsn: str, folder: Path, *, clock: Clock | None = None) -> AsyncIterator[QualitySite]:
    """The application over the database at `dsn`, with the shipped form."""
    pool = await open_pool(dsn)
    clock = clock or SystemClock()
    centre = demo_centre()
    work = QualityWork(pool, clock=clock, centre=lambda: centre)
    await work.begin()
    site = QualitySite(pool, work, clock)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    floor = FakeFloor(centre, clock=clock)
    office = CaseOffice(pool, clock=clock, centre=lambda: centre)
    deps = make_deps(
        floor, folder, port=port, casework=office.casework(), calls=StoredCalls(pool), inspections=work.rooms,
        acts=site.acts, static=STATIC,
    )  # fmt: skip
    sessions = Sessions(deps.accounts, key=deps.session_key, revoked_file=deps.revoked_file, clock=deps.clock)
    for name in ("1001", "1002", "supervisor", "admin"):
        account = deps.accounts.get(name)
        assert account is not None
        site.tokens[name] = sessions.create(account)[0]
    server = TestServer(build_app(deps), port=port)
    await server.start_server()
    site.url = f"http://127.0.0.1:{port}"
    try:
        yield site
    finally:
        await server.close()
        await pool.close()


async def told(answer: Any) -> Any:
    """The JSON of an answer that must be good."""
    body = await answer.json()
    assert answer.status == 200, json.dumps(body)
    return body
