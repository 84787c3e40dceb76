"""The audit log out of Postgres. All raise `RemoteError` when it is away."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from cti.store.pool import naming


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredActPage:
    """See `cti.web.supervision.queries.ActPage`."""

    rows: Sequence[Mapping[str, Any]]
    next: str | None


class StoredActs:
    """See `cti.web.supervision.queries.ActQueries`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def acts(
        self,
        *,
        limit: int,
        before: str | None,
        by: str,
        act: str,
        subject: str,
        since: datetime | None,
        until: datetime | None,
        queues: Sequence[str] | None,
    ) -> StoredActPage:
        """A page of acts, the newest first."""
        with naming("acts cannot be read"):
            rows = await self._pool.fetch(
                "SELECT act_id, at, by, role, act, subject, queue, before::text, after::text, reason FROM report.acts"
                " WHERE ($2::text IS NULL OR (at, act_id) < (SELECT at, act_id FROM report.acts WHERE act_id = $2))"
                " AND ($3 = '' OR by = $3) AND ($4 = '' OR act = $4) AND ($5 = '' OR starts_with(subject, $5))"
                " AND ($6::timestamptz IS NULL OR at >= $6) AND ($7::timestamptz IS NULL OR at < $7)"
                " AND ($8::text[] IS NULL OR queue = ANY ($8)) ORDER BY at DESC, act_id DESC LIMIT $1",
                limit + 1,
                before,
                by,
                act,
                subject,
                since,
                until,
                list(queues) if queues is not None else None,
            )
        found = [_row(row) for row in rows[:limit]]
        return StoredActPage(rows=found, next=found[-1]["act_id"] if len(rows) > limit else None)

    async def of_call(self, call_id: str) -> Sequence[Mapping[str, Any]]:
        """The acts on one call, the eldest first."""
        with naming("acts cannot be read"):
            rows = await self._pool.fetch(
                "SELECT act_id, at, by, role, act, subject, queue, before::text, after::text, reason FROM report.acts"
                " WHERE subject = $1 ORDER BY at, act_id",
                f"call:{call_id}",
            )
        return [_row(row) for row in rows]


def _row(row: asyncpg.Record) -> dict[str, Any]:
    return {**row, "before": json.loads(row["before"]), "after": json.loads(row["after"])}
