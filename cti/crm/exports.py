"""Customers as a file. What was exported can be imported again and changes nothing."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from cti.crm.columns import OWN, PARTS
from cti.crm.customer_store import Office, custom_fields
from cti.crm.search import MOST_ROWS, search
from cti.services.customer_file import FileFormat

AT_A_TIME = 1000
PHONES = 3
"""Columns of numbers; the last one holds all that are left."""

_COLUMNS = (
    "customer_id", "reference", "name", "kind", "company", "phone", *(f"phone {n}" for n in range(2, PHONES + 1)), "email",
    *PARTS, "language", "time_zone", "tier", "tier_source", "tier_reason", "own_agent", "do_not_call", "tags", "notes",
)  # fmt: skip

_ROWS = """
SELECT c.*, ARRAY(SELECT p.number FROM crm.phones p WHERE p.customer_id = c.customer_id ORDER BY p.place, p.number) AS phones,
       EXISTS (SELECT FROM crm.do_not_call d WHERE d.customer_id = c.customer_id) AS do_not_call
  FROM crm.customers c
 WHERE c.merged_into IS NULL AND c.customer_id > $1 AND ($2 = '' OR c.tags @> ARRAY[$2])
   AND ($4::bigint[] IS NULL OR c.customer_id = ANY ($4))
 ORDER BY c.customer_id LIMIT $3
"""


def harmless(cell: str) -> str:
    """Text that no spreadsheet takes for a formula; an import takes the apostrophe away again. Numbers stay as they are."""
    if re.match(r"'?['=+\-@\t\r]", cell) and not re.fullmatch(r"\+[0-9]{1,18}|-?[0-9.]+", cell):
        return f"'{cell}"
    return cell


class Exports:
    """The part of `CustomerImports` that lets customers out."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def export(self, format: FileFormat, *, tag: str = "", text: str = "") -> AsyncIterator[bytes]:
        """The file in pieces: CSV (UTF-8 with a mark, so that spreadsheets read it) or XLSX."""
        if format == "csv":
            first = "\ufeff"
            async for rows in self._rows(tag, text):
                yield (first + await asyncio.to_thread(_csv, rows)).encode()
                first = ""
            return
        from openpyxl import Workbook

        book = Workbook(write_only=True)
        sheet = book.create_sheet("customers")
        async for rows in self._rows(tag, text):
            await asyncio.to_thread(_fill, sheet, rows)
        with tempfile.TemporaryDirectory(prefix="cti-export-") as folder:
            path = Path(folder) / "customers.xlsx"
            await asyncio.to_thread(book.save, path)
            with path.open("rb") as file:
                while piece := await asyncio.to_thread(file.read, 256 * 1024):
                    yield piece

    async def _rows(self, tag: str, text: str) -> AsyncIterator[list[list[str]]]:
        """The headings, then rows, some at a time: no transaction stays open while a slow reader takes them."""
        ids = None
        if text.strip():
            found = await search(self._office.pool, text, region=self._office.region(), limit=MOST_ROWS, tag=tag)
            ids = [one.customer_id for one in found]
        async with self._office.reading("customers cannot be exported") as connection:
            own = [one.name for one in await custom_fields(connection)]
        yield [[*_COLUMNS, *own]]
        last = 0
        while True:
            async with self._office.reading("customers cannot be exported") as connection:
                rows = await connection.fetch(_ROWS, last, tag, AT_A_TIME, ids)
            if not rows:
                return
            last = rows[-1]["customer_id"]
            yield [_cells(row, own) for row in rows]


def _cells(row: Any, own: Sequence[str]) -> list[str]:
    phones = list(row["phones"])
    if len(phones) > PHONES:
        phones[PHONES - 1 :] = ["; ".join(phones[PHONES - 1 :])]
    addresses = orjson.loads(row["addresses"])
    address = addresses[0] if addresses else {}
    fields = orjson.loads(row["fields"])
    given = {
        **{name: address.get(name, "") for name in PARTS},
        **{
            name: row[name] or ""
            for name in (
                "reference", "name", "kind", "company", "email", "language", "time_zone", "tier", "tier_source", "tier_reason",
                "own_agent", "notes",
            )
        },
        "customer_id": str(row["customer_id"]),
        "do_not_call": "yes" if row["do_not_call"] else "",
        "tags": ", ".join(row["tags"]),
        "phone": phones[0] if phones else "",
        **{f"phone {n}": phones[n - 1] if len(phones) >= n else "" for n in range(2, PHONES + 1)},
        **{OWN + name: str(fields.get(name, "")) for name in own},
    }  # fmt: skip
    return [harmless(given[name]) for name in (*_COLUMNS, *(OWN + name for name in own))]


def _csv(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def _fill(sheet: Any, rows: Sequence[Sequence[str]]) -> None:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    for row in rows:
        cells = []
        for text in row:
            cell = WriteOnlyCell(sheet, value="")
            cell.value = ILLEGAL_CHARACTERS_RE.sub("\ufffd", text)[:32_767]  # control signs have no place in XML
            cell.data_type = "s"  # text, whatever it begins with
            cells.append(cell)
        sheet.append(cells)
