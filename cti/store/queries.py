"""What the product asks of its database. All raise `RemoteError` when Postgres is away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson

from cti.ids import AgentId, CallId, QueueName
from cti.model.facts import Direction, HangupBy, Outcome
from cti.reports.call_record import CallRecord
from cti.store.pool import naming

COLUMNS = (
    "call_id", "node", "direction", "started_at", "queued_at", "offered_at", "answered_at", "ended_at", "caller_number",
    "did", "language", "customer_id", "tier", "queue", "agent", "outcome", "wait_seconds", "ring_seconds",
    "talk_seconds", "hold_seconds", "wrap_seconds", "hangup_by", "recording",
)  # fmt: skip
"""The columns of `report.calls`, in their order."""

LONGEST_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPage:
    """One page of calls, newest first. `next` is the `before` of the following page, None at the end."""

    rows: tuple[Mapping[str, Any], ...]
    next: CallId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDetail:
    """One call: its row (None while it is open), its wrap-up, and its facts as stored, in the order of their time."""

    row: Mapping[str, Any] | None
    disposition: str
    note: str
    facts: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDay:
    """One queue's calls of a day that have ended."""

    answered: int = 0
    abandoned: int = 0
    """Short abandons are not among them."""
    in_time: int = 0
    """Answered within the queue's service level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDay:
    """One agent's calls of a day that have ended."""

    calls: int = 0
    talk_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCounters:
    """What the floor counts from when the bridge starts in the middle of a day."""

    queues: Mapping[QueueName, QueueDay]
    agents: Mapping[AgentId, AgentDay]


async def recent_calls(
    pool: asyncpg.Pool,
    *,
    limit: int = 50,
    before: CallId | None = None,
    queue: QueueName | None = None,
    outcome: str | None = None,
    agent: AgentId | None = None,
    customer_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    queues: Sequence[str] | None = None,
) -> CallPage:
    """A page of `report.calls`, newest first; `before` is the last call of the page before it.

    Pages do not shift when calls come in meanwhile. `since` (inclusive) and `until` (exclusive) are about `started_at`.
    An unknown `before` gives an empty page.
    """
    limit = max(1, min(limit, LONGEST_PAGE))
    with naming("calls cannot be read"):
        rows = await pool.fetch(
            f"SELECT {', '.join(COLUMNS)} FROM report.calls WHERE"  # noqa: S608 - names of our own columns
            " ($1::text IS NULL OR (started_at, call_id) <"
            " (SELECT started_at, call_id FROM cti.calls WHERE call_id = $1))"
            " AND ($2::text IS NULL OR queue = $2) AND ($3::text IS NULL OR outcome = $3)"
            " AND ($4::text IS NULL OR agent = $4) AND ($5::bigint IS NULL OR customer_id = $5)"
            " AND ($6::timestamptz IS NULL OR started_at >= $6) AND ($7::timestamptz IS NULL OR started_at < $7)"
            " AND ($9::text[] IS NULL OR queue = ANY($9))"
            " ORDER BY started_at DESC, call_id DESC LIMIT $8",
            before, queue, outcome, agent, customer_id, since, until, limit + 1, None if queues is None else list(queues),
        )  # fmt: skip
    page = tuple(dict(row) for row in rows[:limit])
    return CallPage(rows=page, next=CallId(page[-1]["call_id"]) if len(rows) > limit else None)


async def call_detail(pool: asyncpg.Pool, call_id: CallId) -> CallDetail | None:
    """One call with its facts; None when nothing is known of it (yet)."""
    with naming("the call cannot be read"):
        row = await pool.fetchrow("SELECT * FROM cti.calls WHERE call_id = $1", call_id)
        facts = await pool.fetch(
            "SELECT body::text FROM cti.facts WHERE call_id = $1 ORDER BY at, journal_id, position", call_id
        )
    if row is None and not facts:
        return None
    return CallDetail(
        row=None if row is None else {name: row[name] for name in COLUMNS},
        disposition=(row["disposition"] or "") if row is not None else "",
        note=(row["note"] or "") if row is not None else "",
        facts=tuple(orjson.loads(fact[0]) for fact in facts),
    )


class StoredCalls:
    """Past calls, a page or one at a time, out of Postgres: what the web asks for (`cti.web.calls.queries`)."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def recent(
        self,
        *,
        limit: int,
        before: CallId | None,
        queue: QueueName | None,
        outcome: str | None,
        queues: Sequence[str] | None = None,
    ) -> CallPage:
        """A page of calls, newest first; see `recent_calls`."""
        return await recent_calls(self._pool, limit=limit, before=before, queue=queue, outcome=outcome, queues=queues)

    async def one(self, call_id: CallId) -> CallDetail | None:
        """One call with its facts; see `call_detail`."""
        return await call_detail(self._pool, call_id)


async def ended_calls(pool: asyncpg.Pool, *, since: datetime, until: datetime) -> list[CallRecord]:
    """The records of ended calls that started within `since` <= started_at < `until`, oldest first.

    For one who counts by call id and also knows some of these calls from the journal: no call is counted twice.
    """
    names = tuple(field.name for field in fields(CallRecord))
    with naming("calls cannot be read"):
        rows = await pool.fetch(
            f"SELECT {', '.join(names)} FROM cti.calls WHERE started_at >= $1 AND started_at < $2"  # noqa: S608 - ours
            " ORDER BY started_at, call_id",
            since,
            until,
        )
    return [
        CallRecord(
            **{
                **dict(row),
                "direction": Direction(row["direction"]),
                "outcome": Outcome(row["outcome"]),
                "hangup_by": HangupBy(row["hangup_by"]),
            }
        )
        for row in rows
    ]


async def day_counters(
    pool: asyncpg.Pool, *, since: datetime, until: datetime, service_levels: Mapping[QueueName, timedelta]
) -> DayCounters:
    """Counts of ended calls that started within the day (`since` <= started_at < `until`).

    `service_levels` gives each queue's limit for "in time"; a queue that is not in it has nothing in time. Let the drain
    catch up first (`Drain.flush`), and do not count the same calls from the journal again.
    """
    limits = {str(queue): level.total_seconds() for queue, level in service_levels.items()}
    with naming("the day's counts cannot be read"):
        queues = await pool.fetch(
            "SELECT queue, count(*) FILTER (WHERE outcome = 'answered') AS answered,"
            " count(*) FILTER (WHERE outcome = 'abandoned' AND queued_at IS NOT NULL) AS abandoned,"
            " count(*) FILTER (WHERE outcome = 'answered' AND wait_seconds <= l.seconds) AS in_time"
            " FROM report.calls LEFT JOIN unnest($3::text[], $4::float8[]) AS l (name, seconds) ON l.name = queue"
            " WHERE started_at >= $1 AND started_at < $2 AND queue IS NOT NULL GROUP BY queue",
            since, until, list(limits), list(limits.values()),
        )  # fmt: skip
        agents = await pool.fetch(
            "SELECT agent, count(*) AS calls, coalesce(sum(talk_seconds), 0) AS talk FROM report.calls"
            " WHERE started_at >= $1 AND started_at < $2 AND agent IS NOT NULL GROUP BY agent",
            since,
            until,
        )
    return DayCounters(
        queues={
            QueueName(row["queue"]): QueueDay(
                answered=row["answered"], abandoned=row["abandoned"], in_time=row["in_time"]
            )
            for row in queues
        },
        agents={AgentId(row["agent"]): AgentDay(calls=row["calls"], talk_seconds=row["talk"]) for row in agents},
    )
