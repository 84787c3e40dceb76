"""Decisions and promises in Postgres: what the journal says comes out of the view and the queries."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.journal.writer import JournalWriter
from cti.model import facts as f
from cti.store.drain import Drain
from cti.store.explain import StoredExplanations
from cti.store.pool import open_pool
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]

T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SUPPORT, SALES = QueueName("support"), QueueName("sales")
ADA = AgentId("1001")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def begun(call_id: CallId) -> list[f.Fact]:
    return [
        f.CallStarted(at=at(0), call_id=call_id, node=NodeName("a1"), did="5000"),
        f.CallQueued(at=at(1), call_id=call_id, queue=SUPPORT),
        f.Decided(at=at(1), call_id=call_id, queue=SUPPORT, why="no_agent_free", excluded=((ADA, "talking"),)),
        promise(call_id, 1),
    ]


def promise(call_id: CallId, seconds: float, *, told: bool = False) -> f.WaitPromised:
    return f.WaitPromised(
        at=at(seconds), call_id=call_id, queue=SUPPORT, place=2, low=10.0, mean=30.0, high=60.0, told=told
    )


def answered(call_id: CallId, seconds: float) -> list[f.Fact]:
    return [
        f.CallAnswered(at=at(seconds), call_id=call_id, agent_id=ADA),
        f.TalkEnded(at=at(seconds + 50), call_id=call_id, agent_id=ADA),
        f.CallEnded(at=at(seconds + 50), call_id=call_id, hangup_by=f.HangupBy.CALLER),
    ]


async def test_what_came_of_promises_and_which_decisions_there_were(migrated: str, tmp_path: Path) -> None:
    early, late, gone, moved, open_ = (CallId(f"a1-1.{n}") for n in range(5))
    story = [*begun(early), promise(early, 16, told=True), *answered(early, 26)]
    async with JournalWriter(tmp_path / "journal") as journal:
        journal.recover()
        await journal.append(story)
        await journal.append([*begun(late), *answered(late, 91)])
        end = f.CallEnded(at=at(21), call_id=gone, hangup_by=f.HangupBy.CALLER)
        await journal.append([*begun(gone), end])
        elsewhere = f.CallQueued(at=at(5), call_id=moved, queue=SALES, since=at(1), by="overflow")
        await journal.append([*begun(moved), elsewhere, *answered(moved, 40)])
        await journal.append(begun(open_))
        drain = Drain(journal, migrated)
        while await drain.drain_once():
            pass
        await drain.close()
    pool = await open_pool(migrated)
    try:
        stored = StoredExplanations(pool)
        assert await stored.facts_of(early) == tuple(sorted(story, key=lambda fact: fact.at))
        assert await stored.facts_of(CallId("a1-9.9")) == ()
        rows = await pool.fetch("SELECT * FROM report.wait_promises ORDER BY call_id, promised_at")
        assert [(row["call_id"], row["came_of"], row["waited_seconds"], row["inside"]) for row in rows] == [
            (early, "answered", 25.0, True),
            (early, "answered", 10.0, True),
            (late, "answered", 90.0, False),
            (gone, "abandoned", 20.0, None),
            (moved, "other", 89.0, None),
            (open_, None, None, None),
        ]
        assert [row["told"] for row in rows[:2]] == [False, True]
        assert rows[0]["error_seconds"] == 5.0
        found = await stored.accuracy(since=T0, until=at(3600))
        assert set(found) == {SUPPORT}
        joined, told = found[SUPPORT].joined, found[SUPPORT].told
        assert (joined.promises, joined.inside, joined.mean_wait) == (2, 0.5, 57.5)
        assert (joined.mean_error, joined.mean_absolute_error) == (-27.5, 32.5)
        assert (told.promises, told.mean_error, told.inside) == (1, 20.0, 1.0)
        assert await stored.accuracy(since=at(3600), until=at(7200)) == {}
        comments = await pool.fetch(
            "SELECT column_name, col_description('report.wait_promises'::regclass, ordinal_position) AS comment"
            " FROM information_schema.columns WHERE table_schema = 'report' AND table_name = 'wait_promises'"
        )
        assert all(row["comment"] for row in comments)
        assert len(comments) == 12
    finally:
        await pool.close()
