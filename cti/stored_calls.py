"""Past calls for the web: the store's queries behind the web's own protocol."""

from __future__ import annotations

import asyncpg

from cti.ids import CallId, QueueName
from cti.store.queries import CallDetail, CallPage, call_detail, recent_calls


class StoredCalls:
    """Satisfies `cti.web.calls.queries.CallQueries` with Postgres."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def recent(
        self, *, limit: int, before: CallId | None, queue: QueueName | None, outcome: str | None
    ) -> CallPage:
        """See `CallQueries.recent`."""
        return await recent_calls(self._pool, limit=limit, before=before, queue=queue, outcome=outcome)

    async def one(self, call_id: CallId) -> CallDetail | None:
        """See `CallQueries.one`."""
        return await call_detail(self._pool, call_id)
