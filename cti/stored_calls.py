"""Past calls for the web: the store's queries behind the web's own protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from cti.ids import CallId, QueueName
from cti.store.queries import call_detail, recent_calls


class StoredCalls:
    """Satisfies `cti.web.calls.queries.CallQueries` with Postgres."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def recent(
        self, *, limit: int, before: datetime | None, queue: str | None, outcome: str | None
    ) -> Sequence[Mapping[str, object]]:
        """See `CallQueries.recent`."""
        page = await recent_calls(
            self._pool, limit=limit, until=before, queue=QueueName(queue) if queue else None, outcome=outcome
        )
        return page.rows

    async def one(self, call_id: str) -> tuple[Mapping[str, object], Sequence[Mapping[str, object]]] | None:
        """See `CallQueries.one`. A call still under way has facts and no row yet."""
        detail = await call_detail(self._pool, CallId(call_id))
        if detail is None or detail.row is None:
            return None
        return {**detail.row, "disposition": detail.disposition, "note": detail.note}, detail.facts
