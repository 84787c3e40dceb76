"""Files of customers on a real database: in, stopped, killed, in again, out, and in again."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openpyxl import load_workbook

from cti.services.customer_file import CustomerRefused, Import
from tests.support.customers import Customers, customer_work  # noqa: F401 - a fixture
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 1000):
        yield content[at : at + 1000]


async def upload(work: Customers, text: str, *, encoding: str = "utf-8") -> Import:
    return await work.imports.upload("customers.csv", pieces(text.encode(encoding)), by="sup")


async def whole(work: Customers, one: Import) -> Import:
    await work.imports.run(one.import_id, one.mapping)
    return await work.imports.take_all(one.import_id)


MIXED = """编号,姓名,手机,公司,等级,免打扰,备注
A1,李伟,138 0013 8000,伟业,gold,,=1+1
A2,王芳,not a number,,vip,,
A3,,13900139000,,,,
A4,Zoë,+15550100009,,Gold!,是,
A5,<script>alert(1)</script>,+15550100010,"""
MIXED += "'; DROP TABLE crm.customers; --,vip,是,说明\n"


async def test_rows_are_taken_or_told_line_by_line(customer_work: Customers) -> None:
    one = await upload(customer_work, MIXED, encoding="gb18030")
    assert (one.rows, one.state, one.format) == (5, "uploaded", "csv, gb18030, comma")
    assert list(one.mapping.values()) == ["reference", "name", "phone", "company", "tier", "do_not_call", "notes"]
    shown = await customer_work.imports.preview(one.import_id, one.mapping)
    assert [(row.line, row.change, bool(row.problems)) for row in shown] == [
        (2, "add", False), (3, "add", True), (4, "add", True), (5, "add", True), (6, "add", False),
    ]  # fmt: skip
    assert await customer_work.pool.fetchval("SELECT count(*) FROM crm.customers") == 0, "a preview changes nothing"
    done = await whole(customer_work, one)
    assert (done.state, done.added, done.failed, done.finished) == ("done", 2, 3, 5)
    problems = await customer_work.imports.problems(one.import_id)
    assert [(found.line, found.column) for found in problems] == [(3, "手机"), (4, "姓名"), (5, "等级")]
    assert all(found.remedy for found in problems)
    (row,) = await customer_work.rooms.file.search("script")
    kept = await customer_work.rooms.file.get(row.customer_id)
    assert kept is not None
    assert (kept.name, kept.company, kept.do_not_call) == (
        "<script>alert(1)</script>",
        "'; DROP TABLE crm.customers; --",
        True,
    )
    assert (kept.tier, kept.tier_source) == ("vip", "import")
    assert (await customer_work.rooms.file.history(row.customer_id))[0].by == f"import {one.import_id}"
    again = await whole(customer_work, await upload(customer_work, MIXED))
    assert (again.added, again.changed, again.unchanged, again.failed) == (0, 0, 2, 3), (
        "the same file does nothing twice"
    )
    retried = await whole(customer_work, again)
    assert (retried.failed, retried.finished) == (3, 5)


async def test_people_without_a_reference_are_known_by_name_and_number(customer_work: Customers) -> None:
    text = "name,phone,tags\nAda King,(555) 010-0001,a\nAda King,(555) 010-0002,b\n"
    assert (await whole(customer_work, await upload(customer_work, text))).added == 2
    again = await whole(customer_work, await upload(customer_work, text.replace(",a", ",a;new")))
    assert (again.added, again.changed, again.unchanged) == (0, 1, 1)


async def test_an_import_goes_on_after_a_kill_and_a_stop(customer_work: Customers) -> None:
    count = 2000
    text = "reference,name,phone\n" + "".join(f"K{n},Customer {n},+1555{n:07d}\n" for n in range(count))
    one = await upload(customer_work, text)
    await customer_work.imports.run(one.import_id, one.mapping)
    assert await customer_work.imports.take_some(one.import_id)
    working = asyncio.create_task(customer_work.imports.take_all(one.import_id))
    async with asyncio.timeout(60):
        while (await customer_work.imports.one_import(one.import_id)).finished < 600:  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    working.cancel()  # in the middle of a transaction
    with contextlib.suppress(asyncio.CancelledError):
        await working
    half = await customer_work.imports.one_import(one.import_id)
    assert half is not None
    assert half.state == "running"
    rows = await customer_work.pool.fetchval("SELECT count(*) FROM crm.customers")
    left = await customer_work.pool.fetchval("SELECT count(*) FROM crm.import_rows")
    assert rows == half.added
    assert rows + left == count, "every row is done or waits, none both"
    stopped = await customer_work.imports.stop(one.import_id)
    assert stopped.state == "stopped"
    assert not await customer_work.imports.take_some(one.import_id)
    await customer_work.imports.run(one.import_id, one.mapping)
    worker = asyncio.create_task(customer_work.imports.work())  # as the bridge does after a start
    async with asyncio.timeout(60):
        while (await customer_work.imports.one_import(one.import_id)).state != "done":  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker
    done = await customer_work.imports.one_import(one.import_id)
    assert done is not None
    assert (done.added, done.finished) == (count, count)
    assert await customer_work.pool.fetchval("SELECT count(DISTINCT reference) FROM crm.customers") == count
    assert await customer_work.pool.fetchval("SELECT count(*) FROM crm.changes") == count


async def test_what_was_exported_can_be_imported_and_changes_nothing(customer_work: Customers, tmp_path: Path) -> None:
    file = customer_work.rooms.file
    for name in ("=HYPERLINK(1)", "'quoted", "@cmd", "+1 formula", "Ünïcode 李", "tab\tbed", "<b>x</b>"):
        await file.create(
            {"name": name, "notes": "two\nlines", "phones": [{"raw": f"+1555010{n:04d}"} for n in range(5)], "tags": ["a", "b"],
             "addresses": [{"street": "1 Main St", "city": "X"}], "reference": f"ref {name}", "company": "-2+3"},
            by="1001",
        )  # fmt: skip
    out = b"".join([piece async for piece in customer_work.exports.export("csv")])
    rows = list(csv.reader(io.StringIO(out.decode("utf-8-sig"))))
    assert len(rows) == 8
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "@", "-", "\t") or cell.startswith("+1 f")]
    again = await whole(customer_work, await customer_work.imports.upload("x.csv", pieces(out), by="sup"))
    assert (again.unchanged, again.failed, again.added, again.changed) == (7, 0, 0, 0)
    (tmp_path / "x.xlsx").write_bytes(
        b"".join([piece async for piece in customer_work.exports.export("xlsx", tag="a")])
    )
    sheet = load_workbook(tmp_path / "x.xlsx").active
    assert sheet.max_row == 8
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}, "no formula"
    again = await whole(customer_work, await customer_work.imports.upload_file(tmp_path / "x.xlsx", by="sup"))
    assert (again.unchanged, again.failed) == (7, 0)


async def test_what_cannot_be_is_refused(customer_work: Customers) -> None:
    with pytest.raises(CustomerRefused, match="empty"):
        await upload(customer_work, "")
    one = await upload(customer_work, "name\nx\n")
    with pytest.raises(CustomerRefused, match="no column"):
        await customer_work.imports.run(one.import_id, {})
    with pytest.raises(CustomerRefused, match="no such import"):
        await customer_work.imports.preview(999, {0: "name"})
