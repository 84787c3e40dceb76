"""When complaints came, for the live figures."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from cti.store.pool import naming


async def complaints_since(pool: asyncpg.Pool, since: datetime) -> tuple[datetime, ...]:
    """The moments at which complaints were registered from `since` on. Raises `RemoteError`."""
    with naming("complaints cannot be counted"):
        rows = await pool.fetch("SELECT opened_at FROM crm.complaints WHERE opened_at >= $1", since)
    return tuple(row["opened_at"] for row in rows)
