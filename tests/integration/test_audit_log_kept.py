"""The audit log only grows: the product's own role on a real database can add lines, and nothing else."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncpg
import pytest

from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]

ADD = (
    "INSERT INTO cti.facts (journal_id, position, kind, at, call_id, body) SELECT 'j', 1000 + n, $1, now(), NULL,"
    """ '{"by":"admin","role":"admin","act":"config_apply","subject":"x","queue":null,"before":[],"after":[],"reason":""}'"""
    " FROM generate_series(1, $2::int) n ON CONFLICT DO NOTHING"
)
REFUSED = (
    "UPDATE cti.facts SET body = body || '{\"by\":\"nobody\"}' WHERE kind = 'Acted'",
    "UPDATE cti.facts SET kind = 'Other' WHERE kind = 'Acted'",
    "UPDATE cti.facts SET at = at - interval '1 day'",
    "DELETE FROM cti.facts WHERE kind = 'Acted' AND position = 1001",
    "DELETE FROM cti.facts",
    "TRUNCATE cti.facts",
    "TRUNCATE cti.facts CASCADE",
    "WITH gone AS (DELETE FROM cti.facts WHERE kind = 'Acted' RETURNING 1) SELECT count(*) FROM gone",
    "INSERT INTO cti.facts (journal_id, position, kind, at, call_id, body) SELECT journal_id, position, 'Other', at, call_id, '{}'"
    " FROM cti.facts ON CONFLICT (journal_id, position) DO UPDATE SET body = '{}'",
    "MERGE INTO cti.facts f USING (SELECT 'j' AS j, 1001 AS p) x ON f.journal_id = x.j AND f.position = x.p"
    " WHEN MATCHED THEN DELETE",
    "UPDATE report.acts SET by = 'nobody'",
    "DELETE FROM report.acts",
)


async def test_lines_are_added_and_never_changed_deleted_or_emptied(migrated: str) -> None:
    """Ten lines, twelve ways to lose one: all refused, all ten still there as they were."""
    connection = await asyncpg.connect(migrated)
    try:
        await connection.execute(ADD, "Acted", 10)
        before = await connection.fetch("SELECT * FROM cti.facts ORDER BY position")
        assert await connection.fetchval("SELECT count(*) FROM report.acts") == 10
        for statement in REFUSED:
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute(statement)
        assert await connection.fetch("SELECT * FROM cti.facts ORDER BY position") == before
        # The same lines again, as after a crash in the drain, and more of them.
        await connection.execute(ADD, "Acted", 12)
        assert await connection.fetchval("SELECT count(*) FROM report.acts") == 12
    finally:
        await connection.close()
