"""Bring a database to this version's schema.

Migrations are raw SQL, `migrations/NNNN_<name>.sql`, each with a revision of the same number in `migrations/versions`,
which tells Alembic the order. Alembic writes the script (its offline mode) and asyncpg runs it in one transaction, so no
second database driver is needed; Alembic and SQLAlchemy are imported only when something is due. Anyone may start at
any time: an advisory lock lets one migrate while the others wait, and those find nothing left to do.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from cti.errors import RemoteError
from cti.store.pool import connect, naming

_log = structlog.get_logger(__name__)

_FOLDER = Path(__file__).with_name("migrations")
_VERSIONS = "cti.schema_version"
_LOCK = 0x6374695F6D696772
"""Advisory lock of migrations ("cti_migr")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What was done: revisions before and after ("" for an empty database)."""

    before: str
    after: str


def newest() -> str:
    """The revision this version of the product needs."""
    return max(match[1] for path in _FOLDER.glob("*.sql") if (match := re.match(r"(\d{4})_", path.name)))


async def migrate(dsn: str) -> Migrated:
    """Bring the database to the newest revision. Nothing is changed if it is there already, or if anything fails.

    Raises `RemoteError` when the database cannot be reached, is newer than this product, or refuses.
    """
    connection = await connect(dsn)
    try:
        with naming("the schema cannot be brought up to date", remedy="the user of database.url must own the database"):
            before = await _revision(connection)
            if before == newest():
                return Migrated(before=before, after=before)
            # Taken outside a transaction (given back with the connection): within one, the server may go on believing
            # what it had looked up before the wait, and not see the tables another migration made meanwhile.
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK, timeout=600)
            before = await _revision(connection)
            if before != newest():
                async with connection.transaction():
                    await connection.execute("CREATE SCHEMA IF NOT EXISTS cti")
                    await connection.execute(script(before), timeout=3600)
                _log.info("schema_migrated", before=before or "nothing", after=newest())
        return Migrated(before=before, after=newest())
    finally:
        await connection.close()


async def revision(dsn: str) -> str:
    """The revision the database is at, "" for an empty one. Raises `RemoteError`."""
    connection = await connect(dsn)
    try:
        return await _revision(connection)
    finally:
        await connection.close()


async def _revision(connection: asyncpg.Connection) -> str:
    if await connection.fetchval("SELECT to_regclass($1)", _VERSIONS) is None:
        return ""
    found = await connection.fetchval(f"SELECT version_num FROM {_VERSIONS}") or ""  # noqa: S608 - a constant
    if found > newest():
        raise RemoteError(
            f"the database is at revision {found}, this version knows only up to {newest()}",
            remedy="install the version of the product that made it, or a newer one",
        )
    return str(found)


def script(start: str) -> str:
    """The SQL that leads from revision `start` ("" for an empty database) to the newest, without BEGIN and COMMIT."""
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    directory = ScriptDirectory(str(_FOLDER), version_locations=[str(_FOLDER / "versions")])
    written = io.StringIO()

    def steps(heads: Any, context: Any) -> Any:
        return directory._upgrade_revs("head", start or None)  # type: ignore[arg-type]

    context = MigrationContext.configure(
        dialect_name="postgresql",
        opts={
            "as_sql": True,
            "output_buffer": written,
            "starting_rev": start or None,
            "fn": steps,
            "transactional_ddl": False,
            "version_table": _VERSIONS.partition(".")[2],
            "version_table_schema": _VERSIONS.partition(".")[0],
            "script": directory,
        },
    )
    with Operations.context(context):
        context.run_migrations()
    return written.getvalue()


def run_sql_file(name: str) -> None:
    """For revisions: run the SQL file `name` as it is (no character of it is special)."""
    from alembic import op

    op.get_context().impl.static_output((_FOLDER / name).read_text(encoding="utf-8"))
