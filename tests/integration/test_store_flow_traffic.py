"""Steps of flows in Postgres: the view, and the counts a picture is drawn from."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from cti.ids import CallId, FlowName
from cti.ivr.drawing import Traffic
from cti.journal.codec import encode
from cti.model.facts import FlowStepDone
from cti.store.flow_traffic import StoredFlowTraffic
from cti.store.pool import open_pool
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]
T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def step(number: int, name: str, result: str, to: str | None, *, hours: int = 0, choice: str = "") -> FlowStepDone:
    return FlowStepDone(
        at=T0 + timedelta(hours=hours),
        call_id=CallId(f"a1-1.{number}"),
        flow=FlowName("main"),
        step=name,
        verb="menu",
        result=result,
        next_step=to,
        seconds=1.5,
        choice=choice,
    )


async def test_where_callers_give_up_is_a_query(migrated: str) -> None:
    facts = [
        step(1, "menu", "choice", "support", choice="Support"),
        step(2, "menu", "choice", "sales", choice="Sales"),
        step(3, "menu", "choice", "support", choice="Support"),
        step(4, "menu", "gone", "menu"),
        step(5, "menu", "gone", "menu", hours=30),
        step(1, "support", "queued", None),
    ]
    pool = await open_pool(migrated)
    try:
        await pool.executemany(
            "INSERT INTO cti.facts (journal_id, position, kind, call_id, at, body) VALUES ('j', $1, $2, $3, $4, $5::jsonb)",
            [(n, type(f).__name__, f.call_id, f.at, encode(f).decode()) for n, f in enumerate(facts)],
        )
        found = await StoredFlowTraffic(pool).traffic(FlowName("main"), since=T0, until=T0 + timedelta(days=1))
        assert found == Traffic(
            came={"menu": 4, "support": 1},
            left={("menu", "choice", "support"): 2, ("menu", "choice", "sales"): 1, ("support", "queued", ""): 1},
            gone={"menu": 1},
        )
        nobody = await StoredFlowTraffic(pool).traffic(FlowName("other"), since=T0, until=T0 + timedelta(days=1))
        assert nobody == Traffic()
        rows = await pool.fetch("SELECT * FROM report.flow_steps ORDER BY call_id, step")
        assert len(rows) == len(facts)
        assert dict(rows[0]) | {"at": None} == {
            "call_id": "a1-1.1", "at": None, "flow": "main", "step": "menu", "verb": "menu", "result": "choice",
            "next_step": "support", "seconds": 1.5, "choice": "Support",
        }  # fmt: skip
    finally:
        await pool.close()


async def test_the_index_is_used(migrated: str) -> None:
    connection = await asyncpg.connect(migrated)
    try:
        await connection.execute("SET enable_seqscan = off")
        plan = await connection.fetch(
            "EXPLAIN SELECT count(*) FROM cti.facts WHERE kind = 'FlowStepDone' AND body->>'flow' = 'main' AND at > now()"
        )
        assert "facts_flow_steps" in "\n".join(row[0] for row in plan)
    finally:
        await connection.close()
