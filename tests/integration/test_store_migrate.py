"""The schema: made once, the public view as promised, safe when several start at once."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import asyncpg
import pytest

from cti.errors import RemoteError
from cti.store.migrate import migrate, newest, revision, script
from cti.store.queries import COLUMNS
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]


async def test_an_empty_database_gets_everything_and_a_second_time_nothing_happens(database: str) -> None:
    assert await revision(database) == ""
    done = await migrate(database)
    assert (done.before, done.after) == ("", newest())
    begin = time.process_time()  # the work, however busy the machine is
    done = await migrate(database)
    assert time.process_time() - begin < 0.1
    assert done.before == done.after == newest() == await revision(database)


async def test_many_at_once_do_it_once(database: str) -> None:
    done = await asyncio.gather(*(migrate(database) for _ in range(5)))
    assert sum(one.before == "" for one in done) == 1
    assert {one.after for one in done} == {newest()}


async def test_a_start_with_nothing_due_does_not_import_alembic(migrated: str) -> None:
    program = (
        "import asyncio, sys; from cti.store.migrate import migrate; asyncio.run(migrate(sys.argv[1]));"
        "print(any(name in sys.modules for name in ('alembic', 'sqlalchemy')))"
    )
    said = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, migrated], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "False"


async def test_a_newer_database_is_refused(migrated: str) -> None:
    connection = await asyncpg.connect(migrated)
    await connection.execute("UPDATE cti.schema_version SET version_num = '9999'")
    await connection.close()
    with pytest.raises(RemoteError, match="9999") as raised:
        await migrate(migrated)
    assert raised.value.remedy


async def test_a_failing_migration_changes_nothing(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE SCHEMA report")  # in the way
    with pytest.raises(RemoteError, match="report"):
        await migrate(database)
    assert await connection.fetchval("SELECT to_regnamespace('cti') IS NULL")
    await connection.close()


async def test_an_unreachable_database_is_an_error_with_a_remedy() -> None:
    with pytest.raises(RemoteError, match="cannot be reached") as raised:
        await migrate("postgresql://nobody@/nowhere?host=/nonexistent")
    assert raised.value.remedy


async def test_the_public_view_has_exactly_its_columns_each_with_a_comment(migrated: str) -> None:
    connection = await asyncpg.connect(migrated)
    rows = await connection.fetch(
        "SELECT column_name, data_type, col_description('report.calls'::regclass, ordinal_position) AS comment"
        " FROM information_schema.columns WHERE table_schema = 'report' AND table_name = 'calls' ORDER BY ordinal_position"
    )
    comment = await connection.fetchval("SELECT obj_description('report.calls'::regclass)")
    await connection.close()
    assert tuple(row["column_name"] for row in rows) == COLUMNS
    assert all(row["comment"] for row in rows)
    assert "appears when the call ends" in comment
    types = {row["column_name"]: row["data_type"] for row in rows}
    assert {types[name] for name in COLUMNS if name.endswith("_at")} == {"timestamp with time zone"}
    assert {types[name] for name in COLUMNS if name.endswith("_seconds")} == {"double precision"}


def test_every_sql_file_has_its_revision() -> None:
    assert script(newest()).strip() == ""
    assert f"'{newest()}'" in script("")
