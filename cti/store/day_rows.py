"""The rows that figures are sums over, read back: what the floor counts today from when the bridge starts in the middle of it."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from cti.ids import CallId
from cti.reports.counted import AMOUNTS, Counted
from cti.store.figures import STORED
from cti.store.pool import naming

_COLUMNS = ("call_id", "number", "at", "until", "queue", "agent", "tier", "did", "direction", "outcome", "flow_version")


async def rows_since(pool: asyncpg.Pool, since: datetime) -> list[Counted]:
    """Rows of calls that have ended, of every grain, that belong to a moment from `since` on; for one who counts by call id."""
    found: list[Counted] = []
    with naming("the figures of today cannot be read"):
        for grain in STORED:
            amounts = AMOUNTS[grain]
            rows = await pool.fetch(
                f"SELECT {', '.join((*_COLUMNS, *amounts))} FROM cti.counted_{grain.value} WHERE at >= $1",  # noqa: S608 - our names
                since,
            )
            found += [
                Counted(
                    grain=grain,
                    call_id=CallId(row["call_id"]),
                    number=row["number"],
                    at=row["at"],
                    until=row["until"],
                    queue=row["queue"],
                    agent=row["agent"],
                    tier=row["tier"],
                    did=row["did"],
                    direction=row["direction"],
                    outcome=row["outcome"],
                    flow_version=row["flow_version"],
                    amounts={name: row[name] for name in amounts if row[name]},
                )
                for row in rows
            ]
    return found
