"""What calls add to figures, kept in Postgres: rows of whole numbers, and their sums by half hour.

Everything here runs inside the transaction that stores the facts, so sums and rows never disagree: what a call added before is
taken off the sums, its rows are replaced by those folded from all its facts, and what it adds now is put on. A call folded
twice counts once. Repeat calls reach over calls: the same person's call before and the one after are judged again with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from cti.ids import QueueName
from cti.model.centre import ServiceLevelOf
from cti.reports.agent_times import AllowedAt
from cti.reports.counted import AMOUNTS, Counted, QueueRules, RulesAt
from cti.reports.counting import REPEAT, CountedCall
from cti.reports.metric import Grain
from cti.reports.metrics import DEFINITION_VERSION
from cti.reports.slots import half_hour_of
from cti.store.agent_hours import earliest_touched, recount

STORED = (Grain.CALLS, Grain.VISITS, Grain.TALKS, Grain.ANSWERS)
SUMMED: dict[Grain, tuple[str, ...]] = {
    Grain.CALLS: ("queue", "tier", "did", "direction", "outcome"),
    Grain.VISITS: ("queue", "tier", "did", "direction"),
    Grain.TALKS: ("agent", "queue", "direction"),
}
"""Grains that are summed by half hour, and by what besides."""
_COMMON = (
    "call_id", "number", "at", "slot", "until", "queue", "agent", "tier", "did", "direction", "outcome", "flow_version",
)  # fmt: skip
LINKED = ("resolved", "repeats")
"""Amounts of calls that other calls decide, see `cti.reports.counting.linked`."""
_WORDS = {Grain.ANSWERS: ("flow", "step", "question", "score")}


def columns(grain: Grain) -> tuple[str, ...]:
    """What is stored of a row, in the order of `record_of`."""
    person = ("person",) if grain is Grain.CALLS else ()
    return (*_COMMON, *person, *_WORDS.get(grain, ()), *AMOUNTS[grain])


def _put_on(grain: Grain) -> str:
    """SQL: add ($2 = 1) or take off ($2 = -1) what the calls $1 give to the sums."""
    names, amounts = SUMMED[grain], AMOUNTS[grain]
    return (
        f"INSERT INTO cti.half_hour_{grain.value} AS s (slot, {', '.join((*names, *amounts))})"  # noqa: S608 - our names
        f" SELECT slot, {', '.join(f'coalesce({name}, {chr(39) * 2})' for name in names)},"
        f" {', '.join(f'$2 * sum({amount})' for amount in amounts)}"
        f" FROM cti.counted_{grain.value} WHERE call_id = ANY($1) GROUP BY slot, {', '.join(names)}"
        f" ON CONFLICT (slot, {', '.join(names)})"
        f" DO UPDATE SET {', '.join(f'{amount} = s.{amount} + excluded.{amount}' for amount in amounts)}"
    )


_SUMS = {grain: _put_on(grain) for grain in SUMMED}
_NEIGHBOURS = """
SELECT DISTINCT n.call_id FROM cti.counted_calls c CROSS JOIN LATERAL (
  (SELECT p.call_id FROM cti.counted_calls p WHERE p.person = c.person AND p.queue = c.queue
      AND (p.at, p.call_id) < (c.at, c.call_id) ORDER BY p.at DESC, p.call_id DESC LIMIT 1)
  UNION ALL
  (SELECT p.call_id FROM cti.counted_calls p WHERE p.person = c.person AND p.queue = c.queue
      AND (p.at, p.call_id) > (c.at, c.call_id) ORDER BY p.at, p.call_id LIMIT 1)) AS n
 WHERE c.call_id = ANY($1) AND c.person IS NOT NULL"""
_LINK = """
UPDATE cti.counted_calls u SET previous_at = l.before, next_at = l.after,
       resolved = CASE WHEN u.resolvable = 1 AND u.transferred = 0 AND (l.after IS NULL OR l.after - u.at > $2)
                  THEN 1 ELSE 0 END,
       repeats = CASE WHEN u.at - l.before <= $2 THEN 1 ELSE 0 END
  FROM (SELECT c.call_id,
               (SELECT max(p.at) FROM cti.counted_calls p WHERE p.person = c.person AND p.queue = c.queue
                   AND (p.at, p.call_id) < (c.at, c.call_id)) AS before,
               (SELECT min(p.at) FROM cti.counted_calls p WHERE p.person = c.person AND p.queue = c.queue
                   AND (p.at, p.call_id) > (c.at, c.call_id)) AS after
          FROM cti.counted_calls c WHERE c.call_id = ANY($1) AND c.person IS NOT NULL) AS l
 WHERE u.call_id = l.call_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """By which clock and which rules calls are counted."""

    zone: ZoneInfo
    rules: RulesAt
    allowed: AllowedAt
    """How long a day agents may be not ready for a reason."""


async def counting(
    connection: asyncpg.Connection,
    rules: Mapping[QueueName, QueueRules],
    zone: str,
    *,
    allowed: Mapping[str, timedelta] | None = None,
    ruled_since: Mapping[QueueName, datetime] | None = None,
    anew: bool = False,
) -> Counting:
    """How to count now. Writes down a change of the rules; `anew`: everything is about to be counted again.

    `allowed`: how long a day agents may be not ready for a reason; None: as was written down last. `ruled_since`: since when
    a queue's rules are these; where nothing is said, since now if they are others than before.

    The clock is the one everything so far was counted by, whatever the centre says meanwhile.
    """
    state = await connection.fetchrow("SELECT definition_version, zone FROM cti.report_state")
    if state is None or anew:
        # Version 0 says that calls are not all counted: they are from before there were figures, or are about to be counted.
        version = DEFINITION_VERSION
        if anew or await connection.fetchval("SELECT EXISTS (SELECT FROM cti.calls)"):
            version = 0
        await connection.execute(
            "INSERT INTO cti.report_state (definition_version, zone) VALUES ($1, $2)"
            " ON CONFLICT (one_row) DO UPDATE SET definition_version = excluded.definition_version, zone = excluded.zone",
            version,
            zone,
        )
    else:
        zone = state["zone"]
    return Counting(
        zone=ZoneInfo(zone),
        rules=await _rules(connection, rules, ruled_since or {}),
        allowed=await _allowed(connection, allowed),
    )


async def _rules(
    connection: asyncpg.Connection, now: Mapping[QueueName, QueueRules], ruled_since: Mapping[QueueName, datetime]
) -> RulesAt:
    stored = await connection.fetch("SELECT * FROM cti.queue_rules ORDER BY queue, since")
    history: dict[str, list[tuple[datetime, float, float, str]]] = {}
    for row in stored:
        history.setdefault(row["queue"], []).append(tuple(row)[1:])
    for queue, rules in now.items():
        wanted = (rules.service_level.total_seconds(), rules.short_abandon.total_seconds(), rules.level_of.value)
        if queue not in history or history[queue][-1][1:] != wanted:
            told = ruled_since.get(queue)
            if told is not None and queue in history and told <= history[queue][-1][0]:
                told = None  # a clock went back: what is written down stays in its order
            since = await connection.fetchval(
                "INSERT INTO cti.queue_rules VALUES ($1, coalesce($5, now()), $2, $3, $4) ON CONFLICT (queue, since) DO UPDATE SET"
                " service_level = excluded.service_level, short_abandon = excluded.short_abandon,"
                " level_of = excluded.level_of RETURNING since",
                queue,
                *wanted,
                told,
            )
            history.setdefault(queue, []).append((since, *wanted))
    return RuleHistory(history)


async def _allowed(connection: asyncpg.Connection, now: Mapping[str, timedelta] | None) -> AllowedAt:
    history: dict[str, list[tuple[datetime, float | None]]] = {}
    for row in await connection.fetch("SELECT reason, since, seconds FROM cti.reason_rules ORDER BY reason, since"):
        history.setdefault(row["reason"], []).append((row["since"], row["seconds"]))
    for reason in sorted({*history, *now}) if now is not None else ():
        wanted = now[reason].total_seconds() if now is not None and reason in now else None
        if reason not in history or history[reason][-1][1] != wanted:
            since = await connection.fetchval(
                "INSERT INTO cti.reason_rules VALUES ($1, now(), $2) ON CONFLICT (reason, since)"
                " DO UPDATE SET seconds = excluded.seconds RETURNING since",
                reason,
                wanted,
            )
            history.setdefault(reason, []).append((since, wanted))

    def allowed(reason: str, day: datetime) -> int | None:
        """As it was when the day began; before the first that is known, that."""
        rows = history.get(reason)
        if not rows:
            return None
        seconds = next((seconds for since, seconds in reversed(rows) if since <= day), rows[0][1])
        return None if seconds is None else round(seconds * 1000)

    return allowed


class RuleHistory:
    """A `RulesAt` out of what was written down."""

    def __init__(self, history: Mapping[str, Sequence[tuple[datetime, float, float, str]]]) -> None:
        self._history = {
            queue: [
                (since, QueueRules(service_level=timedelta(seconds=level), short_abandon=timedelta(seconds=short), level_of=ServiceLevelOf(of)))
                for since, level, short, of in rows
            ]
            for queue, rows in history.items()
        }  # fmt: skip

    def __call__(self, queue: QueueName, at: datetime) -> QueueRules:
        """The rules of the queue then; before the first that are known, those."""
        rows = self._history.get(queue)
        if not rows:
            return QueueRules()
        return next((rules for since, rules in reversed(rows) if since <= at), rows[0][1])


async def store_figures(
    connection: asyncpg.Connection, calls: Sequence[CountedCall], how: Counting, *, agents: bool = True
) -> None:
    """Count these calls (again). In a transaction that nobody else counts in meanwhile.

    `agents`: agents' time, too; not where all of it is about to be counted anew.
    """
    if not calls:
        return
    ids = [call.record.call_id for call in calls]
    known = await connection.fetch("SELECT call_id FROM cti.counted_calls WHERE call_id = ANY($1)", ids)
    touched = await earliest_touched(connection, ids) if known else {}
    near: set[str] = set()
    if known:
        near = {row[0] for row in await connection.fetch(_NEIGHBOURS, ids)} - set(ids)
        await _sum(connection, [*ids, *near], -1, (Grain.CALLS,))
        await _sum(connection, ids, -1, (Grain.VISITS, Grain.TALKS))
        for table in (*(f"counted_{grain.value}" for grain in STORED), "agent_activities"):
            await connection.execute(f"DELETE FROM cti.{table} WHERE call_id = ANY($1)", ids)  # noqa: S608 - our names
    for grain in STORED:
        rows = [record_of(row, call.person, how.zone) for call in calls for row in call.rows if row.grain is grain]
        if rows:
            await connection.copy_records_to_table(
                f"counted_{grain.value}", records=rows, columns=columns(grain), schema_name="cti"
            )
    if any(call.person is not None for call in calls):
        more = {row[0] for row in await connection.fetch(_NEIGHBOURS, ids)} - set(ids) - near
        await _sum(connection, list(more), -1, (Grain.CALLS,))
        near |= more
        await connection.execute(_LINK, [*ids, *near], REPEAT)
    elif near:
        await connection.execute(_LINK, list(near), REPEAT)
    await _sum(connection, [*ids, *near], 1, (Grain.CALLS,))
    await _sum(connection, ids, 1, (Grain.VISITS, Grain.TALKS))
    activities = [(call.record.call_id, one) for call in calls for one in call.activities]
    for _, one in activities:
        touched[one.agent] = min(one.began_at, touched.get(one.agent, one.began_at))
    await connection.copy_records_to_table(
        "agent_activities",
        records=[(call_id, one.agent, one.state.value, one.began_at, one.ended_at) for call_id, one in activities],
        columns=("call_id", "agent", "state", "began_at", "ended_at"),
        schema_name="cti",
    )
    if agents:
        await recount(connection, touched, how.zone, how.allowed)


async def _sum(connection: asyncpg.Connection, ids: Sequence[str], sign: int, grains: Iterable[Grain]) -> None:
    if ids:
        for grain in grains:
            await connection.execute(_SUMS[grain], ids, sign)


def record_of(row: Counted, person: str | None, zone: ZoneInfo) -> tuple[object, ...]:
    """A row as it is stored."""
    words = {**row.words, **({"score": int(row.words["score"] or 0)} if "score" in row.words else {})}
    return (
        row.call_id,
        row.number,
        row.at,
        half_hour_of(row.at, zone),
        row.until,
        row.queue,
        row.agent,
        row.tier,
        row.did,
        row.direction,
        row.outcome,
        row.flow_version,
        *((person,) if row.grain is Grain.CALLS else ()),
        *(words.get(name) for name in _WORDS.get(row.grain, ())),
        *(row.amounts.get(name, 0) for name in AMOUNTS[row.grain]),
    )
