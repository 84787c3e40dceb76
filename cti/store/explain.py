"""What is stored of decisions and promises. All raise `RemoteError` when Postgres is away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from cti.ids import CallId, QueueName
from cti.journal.codec import decode
from cti.model.fact import Fact
from cti.model.facts import CallFact
from cti.store.pool import naming


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitAccuracy:
    """How promises came out that were followed by an answer. Seconds; None without any."""

    promises: int = 0
    mean_error: float | None = None
    """Expected less real wait: above 0, people waited less than expected."""
    mean_absolute_error: float | None = None
    inside: float | None = None
    """Share of real waits within the range, 0-1; 0.8 is aimed at."""
    mean_wait: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAccuracy:
    """One queue's promises of some time."""

    joined: WaitAccuracy = WaitAccuracy()
    """One for each caller who joined."""
    told: WaitAccuracy = WaitAccuracy()
    """Those that callers heard."""


async def call_facts(pool: asyncpg.Pool, call_id: CallId) -> tuple[CallFact, ...]:
    """Every stored fact of a call that this version can read, in the order of their time."""
    with naming("the call cannot be read"):
        rows = await pool.fetch(
            "SELECT body::text FROM cti.facts WHERE call_id = $1 ORDER BY at, journal_id, position", call_id
        )
    facts = (decode(row[0]) for row in rows)
    return tuple(fact for fact in facts if isinstance(fact, CallFact))


async def story_facts(pool: asyncpg.Pool, call_id: CallId) -> tuple[Fact, ...]:
    """The same, and the facts of its recordings, which are no facts of the call."""
    with naming("the call cannot be read"):
        rows = await pool.fetch(
            "SELECT body::text FROM (SELECT * FROM cti.facts WHERE call_id = $1"
            " UNION SELECT * FROM cti.facts WHERE call_id IS NULL AND body->>'call_id' = $1) f"
            " ORDER BY at, journal_id, position",
            call_id,
        )
    facts = (decode(row[0]) for row in rows)
    return tuple(fact for fact in facts if isinstance(fact, Fact))


async def wait_accuracy(pool: asyncpg.Pool, *, since: datetime, until: datetime) -> Mapping[QueueName, QueueAccuracy]:
    """By queue, what came of promises made within `since` <= promised_at < `until`; from `report.wait_promises`."""
    with naming("promises cannot be read"):
        rows = await pool.fetch(
            "SELECT queue, told, count(*) AS promises, avg(error_seconds) AS mean_error,"
            " avg(abs(error_seconds)) AS mean_absolute_error, avg(inside::integer)::float8 AS inside,"
            " avg(waited_seconds) AS mean_wait FROM report.wait_promises"
            " WHERE promised_at >= $1 AND promised_at < $2 AND came_of = 'answered' GROUP BY queue, told",
            since,
            until,
        )
    found: dict[tuple[QueueName, bool], WaitAccuracy] = {
        (QueueName(row["queue"]), row["told"]): WaitAccuracy(
            promises=row["promises"],
            mean_error=row["mean_error"],
            mean_absolute_error=row["mean_absolute_error"],
            inside=row["inside"],
            mean_wait=row["mean_wait"],
        )
        for row in rows
    }
    return {
        queue: QueueAccuracy(
            joined=found.get((queue, False), WaitAccuracy()), told=found.get((queue, True), WaitAccuracy())
        )
        for queue, _ in found
    }


class StoredExplanations:
    """Decisions and promises out of Postgres: what the web asks for (`cti.web.explain.queries`)."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def facts_of(self, call_id: CallId) -> tuple[CallFact, ...]:
        """See `call_facts`."""
        return await call_facts(self._pool, call_id)

    async def story_of(self, call_id: CallId) -> tuple[Fact, ...]:
        """See `story_facts`."""
        return await story_facts(self._pool, call_id)

    async def accuracy(self, *, since: datetime, until: datetime) -> Mapping[QueueName, QueueAccuracy]:
        """See `wait_accuracy`."""
        return await wait_accuracy(self._pool, since=since, until=until)
