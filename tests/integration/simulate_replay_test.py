"""The simulator replays calls out of a real database: `report.calls`, as the product reads it."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from cti.cli import app
from cti.errors import RemoteError
from cti.simulate.recorded import calls_of_database
from cti.simulate.replay import past_calls
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FLOOR = """\
name: That day
queues: {support: {service_level: 20}}
agents: [{count: 3, queues: [support], shifts: ["09:00-17:00"]}]
callers:
  replay: {from: "2026-03-02T09:00", to: "2026-03-02T17:00"}
"""


async def insert(url: str, count: int) -> None:
    """A call every 30 s, every tenth abandoned after 45 s; one of the day before, one that was never queued."""
    rows = []
    for number in range(-1, count + 1):
        at = NINE + timedelta(seconds=30 * number) if number >= 0 else NINE - timedelta(days=1)
        abandoned, queued = number % 10 == 9, number < count
        rows.append(
            (
                f"t1-{number}", "t1", "inbound", at, at + timedelta(seconds=5) if queued else None,
                at + timedelta(hours=1), "5000", "support" if queued else None,
                "abandoned" if abandoned else "answered" if queued else "self_served",
                45.0 if abandoned else 2.0, None if abandoned else 50.0, None if abandoned else 10.0, "caller",
            )
        )  # fmt: skip
    connection = await asyncpg.connect(url)
    try:
        await connection.executemany(
            "INSERT INTO cti.calls (call_id, node, direction, started_at, queued_at, ended_at, did, queue, outcome,"
            " wait_seconds, talk_seconds, wrap_seconds, hangup_by) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)",
            rows,
        )
    finally:
        await connection.close()


async def test_a_day_of_the_database_is_replayed(
    migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await insert(migrated, 900)  # more than a page
    found = past_calls(await calls_of_database(migrated, NINE, NINE + timedelta(hours=8)))
    assert len(found) == 900
    assert sum(call.handling is None for call in found) == 90
    assert {call.handling for call in found} == {60.0, None}
    scenario = tmp_path / "day.yaml"
    scenario.write_text(FLOOR)
    monkeypatch.setenv("CTI_DATABASE__URL", migrated)
    asked = ["simulate", str(scenario), "--data", str(tmp_path)]
    told = await asyncio.to_thread(CliRunner().invoke, app, asked)
    assert told.exit_code == 0, told.output
    assert "That day: 3 agents" in told.output
    assert "all                           900" in told.output
    with pytest.raises(RemoteError):
        await calls_of_database(migrated.replace("/t", "/none_t", 1), NINE, NINE)
