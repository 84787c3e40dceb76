"""Inspection forms with their versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from cti.quality.example import EXAMPLE
from cti.quality.forms import Form, plain, read_form
from cti.quality.rows import FormRow, QualityRefused
from cti.store.pool import naming
from cti.store.quality.ground import QualityGround, conflict, dumps, loads, unknown

_ROW = (
    "SELECT f.form_id, f.revision, v.version, (SELECT count(*) FROM quality.form_versions n WHERE n.form_id = f.form_id)"
    " AS versions, v.body, v.used_at IS NOT NULL AS used, f.archived_at IS NOT NULL AS archived, v.author, v.note,"
    " v.at AS changed_at FROM quality.forms f JOIN quality.form_versions v ON v.form_id = f.form_id"
)


class StoredForms:
    """Satisfies `cti.services.inspections.Forms`."""

    def __init__(self, ground: QualityGround) -> None:
        self._ground = ground

    async def list(self, *, archived: bool) -> Sequence[FormRow]:
        """See `Forms.list`."""
        with naming("forms cannot be read"):
            rows = await self._ground.pool.fetch(
                f"{_ROW} AND v.version = f.version WHERE $1 OR f.archived_at IS NULL"
                " ORDER BY f.archived_at IS NOT NULL, f.form_id",
                archived,
            )
        return tuple(_row(row) for row in rows)

    async def one(self, form_id: int, version: int | None = None) -> FormRow:
        """See `Forms.one`."""
        with naming("the form cannot be read"):
            return await read(self._ground.pool, form_id, version)

    async def add(self, body: Mapping[str, Any], *, by: str, note: str) -> FormRow:
        """See `Forms.add`."""
        whole = plain(read_form(body))
        now = self._ground.now()
        with naming("the form cannot be kept"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                form_id = await connection.fetchval(
                    "INSERT INTO quality.forms (made_at, changed_at) VALUES ($1, $1) RETURNING form_id", now
                )
                await _write(connection, form_id, 1, whole, by, note, self._ground)
                return await read(connection, form_id)

    async def change(self, form_id: int, body: Mapping[str, Any], *, revision: int, by: str, note: str) -> FormRow:
        """See `Forms.change`."""
        whole = plain(read_form(body))
        with naming("the form cannot be kept"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await self._locked(connection, form_id, revision)
                used = await connection.fetchval(
                    "SELECT used_at IS NOT NULL FROM quality.form_versions WHERE form_id = $1 AND version = $2",
                    form_id, row["version"],
                )  # fmt: skip
                version = row["version"] + 1 if used else row["version"]
                await _write(connection, form_id, version, whole, by, note, self._ground)
                await connection.execute(
                    "UPDATE quality.forms SET revision = revision + 1, version = $2, changed_at = $3 WHERE form_id = $1",
                    form_id, version, self._ground.now(),
                )  # fmt: skip
                return await read(connection, form_id)

    async def archive(self, form_id: int, archived: bool, *, revision: int) -> FormRow:
        """See `Forms.archive`."""
        with naming("the form cannot be changed"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                await self._locked(connection, form_id, revision)
                if archived and await connection.fetchval(
                    "SELECT EXISTS (SELECT FROM quality.plans WHERE form_id = $1 AND active)", form_id
                ):
                    raise QualityRefused(
                        "form_in_use", "a sampling plan uses this form", remedy="stop the plan, or give it another form"
                    )
                await connection.execute(
                    "UPDATE quality.forms SET revision = revision + 1, archived_at = $2, changed_at = $3"
                    " WHERE form_id = $1",
                    form_id, self._ground.now() if archived else None, self._ground.now(),
                )  # fmt: skip
                return await read(connection, form_id)

    async def begin(self) -> None:
        """Where there has never been a form: the one the product comes with."""
        with naming("the first form cannot be made"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK TABLE quality.forms IN EXCLUSIVE MODE")
                if await connection.fetchval("SELECT EXISTS (SELECT FROM quality.forms)"):
                    return
                form_id = await connection.fetchval(
                    "INSERT INTO quality.forms (made_at, changed_at) VALUES ($1, $1) RETURNING form_id",
                    self._ground.now(),
                )
                await _write(connection, form_id, 1, plain(read_form(EXAMPLE)), "", "", self._ground)

    async def _locked(self, connection: asyncpg.Connection, form_id: int, revision: int) -> asyncpg.Record:
        row = await connection.fetchrow("SELECT * FROM quality.forms WHERE form_id = $1 FOR UPDATE", form_id)
        if row is None:
            raise unknown("form", form_id)
        if row["revision"] != revision:
            raise conflict("form")
        return row


async def read(connection: asyncpg.Connection | asyncpg.Pool, form_id: int, version: int | None = None) -> FormRow:
    """A form in a version, or in the one that new scores use. Raises `QualityRefused`."""
    row = await connection.fetchrow(
        f"{_ROW} AND v.version = coalesce($2, f.version) WHERE f.form_id = $1", form_id, version
    )
    if row is None:
        raise unknown("form", form_id)
    return _row(row)


async def form_in(connection: asyncpg.Connection | asyncpg.Pool, form_id: int, version: int) -> Form:
    """The form as scores are computed with it."""
    return read_form((await read(connection, form_id, version)).body)


async def use(connection: asyncpg.Connection, form_id: int) -> int:
    """The version that a score which begins now uses; from now on it cannot be changed. Raises `QualityRefused`."""
    row = await connection.fetchrow(
        "SELECT version, archived_at FROM quality.forms WHERE form_id = $1 FOR SHARE", form_id
    )
    if row is None:
        raise unknown("form", form_id)
    await connection.execute(
        "UPDATE quality.form_versions SET used_at = now() WHERE form_id = $1 AND version = $2 AND used_at IS NULL",
        form_id, row["version"],
    )  # fmt: skip
    return int(row["version"])


async def _write(
    connection: asyncpg.Connection,
    form_id: int,
    version: int,
    body: Mapping[str, Any],
    by: str,
    note: str,
    ground: QualityGround,
) -> None:
    await connection.execute(
        "INSERT INTO quality.form_versions (form_id, version, body, author, note, at) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (form_id, version) DO UPDATE SET body = excluded.body, author = excluded.author,"
        " note = excluded.note, at = excluded.at",
        form_id, version, dumps(body), by, note, ground.now(),
    )  # fmt: skip


def _row(row: asyncpg.Record) -> FormRow:
    return FormRow(**{**row, "body": loads(row["body"])})
