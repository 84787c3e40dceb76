"""Files of customers coming in: `services.customer_file.CustomerImports`.

The rows of a file are put into the database first, as they are. They are then taken some at a time; a row leaves in the very
transaction that took it. So a kill at any instant loses nothing and does nothing twice, and the next start goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import structlog

from cti.crm import records
from cti.crm.checking import Rules, checked
from cti.crm.columns import FIELDS, guess, mapping_problem, onto, problem, read_row
from cti.crm.customer_store import Office, custom_fields, numbers_of
from cti.crm.numbers import normalise
from cti.crm.tables import Form, form_of, rows_of, unreadable
from cti.errors import CtiError
from cti.services.customer_file import Customer, CustomerRefused, FieldProblem, Import, PreviewRow, RowProblem

_log = structlog.get_logger(__name__)

LARGEST_FILE = 256 * 1024 * 1024
AT_A_TIME = 200
"""Rows of one transaction: short ones, so that nobody who edits a customer waits."""
STAGED = 2000
"""Rows that are put into the database at a time."""
AGAIN = 3.0
"""Seconds between tries while the database is away."""

_ROW = "SELECT * FROM crm.imports WHERE import_id = $1"


def _import(row: Any) -> Import:
    return Import(
        import_id=row["import_id"],
        file_name=row["file_name"],
        format=row["format"],
        columns=tuple(row["columns"]),
        mapping={int(at): meant for at, meant in orjson.loads(row["mapping"]).items()},
        state=row["state"],
        rows=row["rows"],
        added=row["added"],
        changed=row["changed"],
        unchanged=row["unchanged"],
        failed=row["failed"],
        by=row["by"],
        made_at=row["made_at"],
        finished_at=row["finished_at"],
    )


class Imports:
    """See `CustomerImports`. `work` takes rows in the background; without it, `take_all` does so at once."""

    def __init__(self, office: Office, *, folder: Path | None = None) -> None:
        self._office = office
        self._folder = folder
        self._wake = asyncio.Event()

    async def upload(self, file_name: str, chunks: AsyncIterator[bytes], *, by: str) -> Import:
        """Take a file: its rows are in the database when this returns."""
        handle, name = await asyncio.to_thread(tempfile.mkstemp, prefix="cti-import-", dir=self._folder)
        path = Path(name)
        seal = hashlib.sha256()
        try:
            with os.fdopen(handle, "wb") as file:
                size = 0
                async for chunk in chunks:
                    size += len(chunk)
                    if size > LARGEST_FILE:
                        raise CustomerRefused(
                            "too_large",
                            f"the file has more than {LARGEST_FILE // 1024**2} MB",
                            remedy="hand it in in parts",
                        )
                    seal.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
            return await self._stage(file_name, path, seal.hexdigest(), by)
        finally:
            path.unlink(missing_ok=True)

    async def upload_file(self, path: Path, *, by: str) -> Import:
        """Take a file of this machine."""
        seal = await asyncio.to_thread(lambda: hashlib.sha256(path.read_bytes()).hexdigest())
        return await self._stage(path.name, path, seal, by)

    async def _stage(self, file_name: str, path: Path, seal: str, by: str) -> Import:
        form = await asyncio.to_thread(form_of, path)
        rows = rows_of(path, form)
        first = await asyncio.to_thread(next, rows, None)
        if first is None:
            raise unreadable("no_rows", "the file has no rows", "its first row are the headings")
        columns = [cell.strip()[:200] for cell in first[1]]
        while columns and not columns[-1]:
            columns.pop()
        import_id = await self._begin(file_name, form, seal, columns, by)
        count = 0
        while batch := await asyncio.to_thread(lambda: list(islice(rows, STAGED))):
            count += len(batch)
            async with self._office.writing("the file was not taken") as connection:
                await connection.copy_records_to_table(
                    "import_rows", schema_name="crm", columns=("import_id", "line", "cells"),
                    records=[(import_id, line, cells) for line, cells in batch],
                )  # fmt: skip
        async with self._office.writing("the file was not taken") as connection:
            row = await connection.fetchrow(
                "UPDATE crm.imports SET state = 'uploaded', rows = $2 WHERE import_id = $1 RETURNING *",
                import_id,
                count,
            )
        return _import(row)

    async def _begin(self, file_name: str, form: Form, seal: str, columns: list[str], by: str) -> int:
        async with self._office.writing("the file was not taken") as connection:
            mapping = guess(columns, await custom_fields(connection))
            return int(
                await connection.fetchval(
                    "INSERT INTO crm.imports (file_name, format, fingerprint, columns, mapping, state, by)"
                    " VALUES ($1, $2, $3, $4, $5, 'reading', $6) RETURNING import_id",
                    file_name.replace("\0", "")[:200] or "file", str(form), seal, columns,
                    orjson.dumps({str(at): meant for at, meant in mapping.items()}).decode(), by,
                )
            )  # fmt: skip

    def meanings(self) -> Sequence[str]:
        """What a column may be."""
        return FIELDS

    async def imports(self) -> Sequence[Import]:
        """Newest first."""
        async with self._office.reading("imports cannot be read") as connection:
            return [
                _import(one) for one in await connection.fetch("SELECT * FROM crm.imports ORDER BY 1 DESC LIMIT 100")
            ]

    async def one_import(self, import_id: int) -> Import | None:
        """How far it is."""
        async with self._office.reading("the import cannot be read") as connection:
            row = await connection.fetchrow(_ROW, import_id) if 0 < import_id < 2**63 else None
        return None if row is None else _import(row)

    async def preview(self, import_id: int, mapping: Mapping[int, str], *, limit: int = 20) -> Sequence[PreviewRow]:
        """What the first rows would become; nothing is changed."""
        async with self._office.reading("the rows cannot be read") as connection:
            one, rules = await self._usable(connection, import_id, mapping)
            rows = await connection.fetch(
                "SELECT line, cells FROM crm.import_rows WHERE import_id = $1 AND state = 'new' ORDER BY line LIMIT $2",
                import_id, max(1, min(limit, 100)),
            )  # fmt: skip
            out = []
            for row in rows:
                said = read_row(row["cells"], mapping, one.columns, rules.custom)
                had = await _known(connection, said, rules)
                problems: tuple[RowProblem, ...] = ()
                change = "add" if had is None else "change"
                try:
                    values = _values(had, said, rules, import_id)
                    if had is not None and not records.differing(records.plain(had), values):
                        change = "nothing"
                except CustomerRefused as error:
                    problems = tuple(problem(row["line"], wrong, mapping, one.columns) for wrong in error.problems)
                out.append(
                    PreviewRow(
                        line=row["line"], cells=tuple(row["cells"]), values=said, change=change, problems=problems
                    )
                )
            return out

    async def run(self, import_id: int, mapping: Mapping[int, str]) -> Import:
        """Begin, or go on where it was stopped. Rows that failed before are tried again."""
        async with self._office.writing("the import was not begun") as connection:
            one, _ = await self._usable(connection, import_id, mapping)
            if one.state == "running":
                return one
            again = await connection.execute(
                "UPDATE crm.import_rows SET state = 'new', problems = '[]' WHERE import_id = $1 AND state = 'failed'",
                import_id,
            )
            row = await connection.fetchrow(
                "UPDATE crm.imports SET state = 'running', mapping = $2, finished_at = NULL, failed = failed - $3"
                " WHERE import_id = $1 RETURNING *",
                import_id, orjson.dumps({str(at): meant for at, meant in mapping.items()}).decode(),
                int(again.rpartition(" ")[2]),
            )  # fmt: skip
        self._wake.set()
        return _import(row)

    async def stop(self, import_id: int) -> Import:
        """Stop after the rows at hand."""
        async with self._office.writing("the import was not stopped") as connection:
            row = None
            if 0 < import_id < 2**63:
                row = await connection.fetchrow(
                    "UPDATE crm.imports SET state = CASE state WHEN 'running' THEN 'stopped' ELSE state END"
                    " WHERE import_id = $1 RETURNING *",
                    import_id,
                )
            if row is None:
                raise _no_import()
        return _import(row)

    async def problems(self, import_id: int, *, limit: int = 200, after: int = 0) -> Sequence[RowProblem]:
        """Rows that were not taken: in the order of their lines, after the line `after`."""
        async with self._office.reading("the rows cannot be read") as connection:
            rows = await connection.fetch(
                "SELECT problems FROM crm.import_rows WHERE import_id = $1 AND state = 'failed' AND line > $3"
                " ORDER BY line LIMIT $2",
                import_id, max(1, min(limit, 1000)), after,
            )  # fmt: skip
        return [RowProblem(**one) for row in rows for one in orjson.loads(row["problems"])]

    async def work(self) -> None:
        """Take rows of whatever import runs, for ever; begins with what was under way when the last one ended."""
        while True:
            try:
                async with self._office.reading("imports cannot be read") as connection:
                    found = await connection.fetchval(
                        "SELECT import_id FROM crm.imports WHERE state = 'running' ORDER BY import_id LIMIT 1"
                    )
                if found is None:
                    self._wake.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), timeout=60)
                    continue
                await self.take_all(found)
            except CtiError as error:
                _log.warning("import_waits", error=error.message)
                await asyncio.sleep(AGAIN)

    async def take_all(self, import_id: int) -> Import:
        """Take rows until none is left or somebody stops it."""
        while await self.take_some(import_id):
            pass
        found = await self.one_import(import_id)
        if found is None:
            raise _no_import()
        return found

    async def take_some(self, import_id: int) -> bool:
        """Take the next rows, in one transaction; False when there are none, or it does not run."""
        numbers: set[str] = set()
        async with self._office.writing("rows were not taken") as connection:
            row = await connection.fetchrow(_ROW + " FOR UPDATE", import_id)
            if row is None or row["state"] != "running":
                return False
            one = _import(row)
            rules = await self._office.rules(connection, f"import {import_id}")
            rows = await connection.fetch(
                "SELECT line, cells FROM crm.import_rows WHERE import_id = $1 AND state = 'new' ORDER BY line LIMIT $2",
                import_id,
                AT_A_TIME,
            )
            if not rows:
                await connection.execute(
                    "UPDATE crm.imports SET state = 'done', finished_at = now() WHERE import_id = $1", import_id
                )
                return False
            said = await asyncio.to_thread(
                lambda: [read_row(row["cells"], one.mapping, one.columns, rules.custom) for row in rows]
            )
            counts = {"added": 0, "changed": 0, "unchanged": 0}
            failed = []
            new = await _take_new(connection, said, rules, import_id)
            counts["added"] += len(new)
            numbers.update(*new.values())
            for at, (row, values) in enumerate(zip(rows, said, strict=True)):
                if at in new:
                    continue
                try:
                    async with connection.transaction():
                        done, of = await _take(connection, values, rules, import_id)
                    counts[done] += 1
                    numbers |= of
                except CustomerRefused as error:
                    told = error.problems or (
                        FieldProblem(field="name", message=error.message, problem=error.error_id),
                    )
                    found = [problem(row["line"], wrong, one.mapping, one.columns) for wrong in told]
                    failed.append((import_id, row["line"], orjson.dumps(found).decode()))
            bad = [line for _, line, _ in failed]
            await connection.execute(
                "DELETE FROM crm.import_rows WHERE import_id = $1 AND line = ANY ($2::int[])",
                import_id, [row["line"] for row in rows if row["line"] not in set(bad)],
            )  # fmt: skip
            await connection.executemany(
                "UPDATE crm.import_rows SET state = 'failed', problems = $3 WHERE import_id = $1 AND line = $2", failed
            )
            await connection.execute(
                "UPDATE crm.imports SET added = added + $2, changed = changed + $3, unchanged = unchanged + $4,"
                " failed = failed + $5 WHERE import_id = $1",
                import_id, counts["added"], counts["changed"], counts["unchanged"], len(failed),
            )  # fmt: skip
        self._office.changed(numbers)
        return True

    async def _usable(self, connection: Any, import_id: int, mapping: Mapping[int, str]) -> tuple[Import, Rules]:
        row = await connection.fetchrow(_ROW, import_id) if 0 < import_id < 2**63 else None
        if row is None:
            raise _no_import()
        if row["state"] == "reading":
            raise CustomerRefused(
                "still_reading", "the file is not in yet", remedy="wait a moment, or hand it in again"
            )
        one = _import(row)
        rules = await self._office.rules(connection, f"import {import_id}")
        wrong = mapping_problem(mapping, one.columns, tuple(rules.custom.values()))
        if wrong is not None:
            raise CustomerRefused(
                "invalid_mapping", wrong.message, remedy="choose for each column what it is", problems=[wrong]
            )
        return one, rules


def _no_import() -> CustomerRefused:
    return CustomerRefused("unknown_import", "there is no such import", remedy="hand the file in again")


async def _known(connection: Any, said: Mapping[str, Any], rules: Rules, *, lock: bool = False) -> Customer | None:
    """The customer a row is about: by its reference, else by name together with a number."""
    found = None
    reference = said.get("reference")
    if reference:
        found = await connection.fetchval(
            "SELECT coalesce(merged_into, customer_id) FROM crm.customers WHERE reference = $1", reference
        )
    elif said.get("name") and said.get("phones"):
        numbers = [normalise(one["raw"], rules.region) or "" for one in said["phones"]]
        rows = await connection.fetch(
            "SELECT DISTINCT c.customer_id FROM crm.phones p JOIN crm.customers c USING (customer_id)"
            " WHERE p.number = ANY ($1::text[]) AND crm.fold(c.name) = crm.fold($2) AND c.merged_into IS NULL LIMIT 2",
            numbers,
            said["name"],
        )
        found = rows[0]["customer_id"] if len(rows) == 1 else None
    return None if found is None else await records.load(connection, found, lock=lock)


def _values(had: Customer | None, said: Mapping[str, Any], rules: Rules, import_id: int) -> dict[str, Any]:
    """The row's values, checked, as they would be written. Raises `CustomerRefused`."""
    if not isinstance(said.get("do_not_call", False), bool):
        raise CustomerRefused(
            "invalid_customer",
            "yes or no",
            problems=[
                FieldProblem(
                    field="do_not_call",
                    message=f"{said['do_not_call']!r} is neither yes nor no",
                    problem="no_yes_or_no",
                    values={"text": str(said["do_not_call"])[:40]},
                )
            ],
        )
    if had is None and not said.get("name"):
        needed = FieldProblem(field="name", message="a customer needs a name", problem="name_needed")
        raise CustomerRefused("invalid_customer", "no name", problems=[needed])
    before = None if had is None else records.plain(had)
    values = checked(onto(before, said, import_id=import_id), rules)
    if had is None:
        return values
    if "phones" in values:  # numbers that are there stay as they were written
        there = {one.number for one in had.phones}
        values["phones"] = records.plain(had)["phones"] + [
            one for one in values["phones"] if one["number"] not in there
        ]
    values = records.with_fields(had, values)
    if had.reference:
        values.pop("reference", None)  # the one who stayed of two keeps its own
    if values.get("tier", had.tier) != had.tier:
        values["tier_source"], values["tier_reason"] = "import", ""
    return values


async def _take(connection: Any, said: Mapping[str, Any], rules: Rules, import_id: int) -> tuple[str, set[str]]:
    had = await _known(connection, said, rules, lock=True)
    values = _values(had, said, rules, import_id)
    if had is None:
        made = await records.insert(connection, {**values, "tier_source": "import"}, by=rules.by, what="imported")
        return "added", numbers_of(made)
    after = await records.update(connection, had, values, by=rules.by, what="imported")
    return ("unchanged" if after.version == had.version else "changed"), numbers_of(had, after)


async def _take_new(
    connection: Any, said: Sequence[Mapping[str, Any]], rules: Rules, import_id: int
) -> dict[int, set[str]]:
    """Add all at once whose references nobody has: their places among the rows, with their numbers. The others, and those
    that do not fit, are left to be taken one by one."""
    wanted: dict[str, int] = {}
    for at, one in enumerate(said):
        if one.get("reference"):
            wanted.setdefault(one["reference"], at)
    had = await connection.fetch("SELECT reference FROM crm.customers WHERE reference = ANY ($1::text[])", list(wanted))
    for row in had:
        del wanted[row["reference"]]
    fit: dict[int, dict[str, Any]] = {}

    def check() -> None:
        for at in wanted.values():
            with contextlib.suppress(CustomerRefused):
                fit[at] = {**_values(None, said[at], rules, import_id), "tier_source": "import"}

    await asyncio.to_thread(check)
    # A reference is kept without the space around it: two that are one are taken one by one.
    kept = [values["reference"] for values in fit.values()]
    fit = {
        at: values
        for at, values in fit.items()
        if kept.count(values["reference"]) == 1 and values["reference"] in wanted
    }
    if not fit:
        return {}
    try:
        async with connection.transaction():
            await records.insert_many(connection, list(fit.values()), by=rules.by, what="imported")
    except asyncpg.UniqueViolationError:  # somebody added one of them in this moment
        return {}
    return {at: {phone["number"] for phone in values.get("phones", ())} for at, values in fit.items()}
