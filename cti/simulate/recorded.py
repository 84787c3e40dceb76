"""Where the calls of the past are read: the database's `report.calls`, or an export of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cti.errors import ConfigError
from cti.store.pool import open_pool
from cti.store.queries import LONGEST_PAGE, recent_calls

IN_MENU = timedelta(hours=1)
"""A call is found by when it started; it may have been queued so much later."""


async def calls_of_database(url: str, begin: datetime, end: datetime) -> list[Mapping[str, Any]]:
    """Rows of `report.calls` that may have been queued within `begin` <= queued_at < `end`. Raises `RemoteError`."""
    pool = await open_pool(url, size=1)
    try:
        rows: list[Mapping[str, Any]] = []
        before = None
        while True:
            page = await recent_calls(pool, limit=LONGEST_PAGE, before=before, since=begin - IN_MENU, until=end)
            rows += page.rows
            before = page.next
            if before is None:
                return rows
    finally:
        await pool.close()


def calls_of_file(path: Path) -> list[Mapping[str, Any]]:
    """Rows of an export: CSV with the columns' names in the first line, a JSON list of objects, or a JSON object a line.

    Raises `ConfigError`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", remedy="give the path of an export of report.calls") from None
    if not text.lstrip().startswith(("[", "{")):
        return list(csv.DictReader(text.splitlines()))
    try:
        rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(x) for x in text.splitlines() if x]
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}", remedy="export report.calls again") from None
    if not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{path}: not a list of objects", remedy="export report.calls again")
    return list(rows)
