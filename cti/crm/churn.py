"""Early warning in Postgres: what can be seen of each customer, the scores of those who may leave, what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cti.casework import churn as rules_of
from cti.casework.churn import PERIODS, ChurnRules, Seen, warn
from cti.casework.complaints import Severity
from cti.casework.rows import Asker, CaseRefused, ChurnAction, ChurnRow
from cti.crm.case_base import CaseGround, dumps, loads, rules_in_force, write_event
from cti.crm.trouble import naming
from cti.ids import CustomerId

ACTIONS = ("called", "offer", "visit", "no_risk", "other")

_SEEN = """
WITH bought AS (
    SELECT i.current_id AS customer_id, count(*) FILTER (WHERE t.at > $1::timestamptz - $2::interval) AS recent,
           count(*) FILTER (WHERE t.at <= $1::timestamptz - $2::interval) AS earlier
      FROM crm.transactions t JOIN crm.identities i USING (customer_id)
     WHERE t.amount > 0 AND t.at > $1::timestamptz - $2::interval * ($3 + 1) AND t.at <= $1::timestamptz GROUP BY 1),
complained AS (
    SELECT i.current_id AS customer_id,
           max(CASE c.severity WHEN 'critical' THEN 3 WHEN 'high' THEN 2 WHEN 'medium' THEN 1 ELSE 0 END) AS worst,
           bool_or(c.due_at < $1) AS overdue
      FROM crm.complaints c JOIN crm.identities i USING (customer_id)
     WHERE c.state = ANY('{new,assigned,in_progress,waiting}') GROUP BY 1),
scored AS (
    SELECT i.current_id AS customer_id, avg(a.score)::float8 AS mean
      FROM report.survey_answers a JOIN cti.calls k USING (call_id) JOIN crm.identities i ON i.customer_id = k.customer_id
     WHERE a.at > $1::timestamptz - $2::interval GROUP BY 1),
gave_up AS (
    SELECT i.current_id AS customer_id, count(*) AS calls
      FROM cti.calls k JOIN crm.identities i USING (customer_id)
     WHERE k.outcome = 'abandoned' AND k.started_at > $1::timestamptz - $2::interval GROUP BY 1)
SELECT customer_id, coalesce(recent, 0) AS recent, coalesce(earlier, 0) AS earlier, worst,
       coalesce(overdue, false) AS overdue, mean, coalesce(calls, 0) AS calls
  FROM bought FULL JOIN complained USING (customer_id) FULL JOIN scored USING (customer_id)
  FULL JOIN gave_up USING (customer_id)
"""
_SEVERITIES = tuple(Severity)

_ROW = """
SELECT s.customer_id, u.name, u.company, u.tier, u.own_agent, s.score, s.since, s.reasons,
       coalesce((SELECT jsonb_agg(jsonb_build_object('at', a.at, 'author', a.author, 'action', a.action,
                                                     'note', a.note, 'score', a.score) ORDER BY a.at DESC)
                   FROM crm.churn_actions a WHERE a.customer_id = s.customer_id), '[]') AS actions
  FROM crm.churn_scores s JOIN crm.customers u ON u.customer_id = s.customer_id AND u.merged_into IS NULL
"""


class StoredChurn:
    """Satisfies `cti.services.casework.Churn`."""

    def __init__(self, ground: CaseGround) -> None:
        self._ground = ground

    async def compute(self) -> int:
        """See `Churn.compute`."""
        now = self._ground.now()
        with naming("warnings cannot be computed"):
            async with self._ground.pool.acquire(timeout=30) as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext('cti churn'))")
                _, body = await rules_in_force(connection, "churn")
                rules = rules_of.read_rules(body) if body is not None else ChurnRules()
                rows = await connection.fetch(_SEEN, now, rules.window, PERIODS, timeout=300)
                found = await asyncio.to_thread(_warnings, rules, rows)
                await connection.execute(
                    "CREATE TEMP TABLE warned (customer_id bigint, score float8, reasons jsonb) ON COMMIT DROP"
                )
                await connection.copy_records_to_table("warned", records=found, schema_name="pg_temp", timeout=300)
                await connection.execute("ANALYZE pg_temp.warned", timeout=300)
                await connection.execute(
                    "DELETE FROM crm.churn_scores s WHERE NOT EXISTS"
                    " (SELECT FROM warned w WHERE w.customer_id = s.customer_id)", timeout=300,
                )  # fmt: skip
                await connection.execute(
                    "INSERT INTO crm.churn_scores (customer_id, score, reasons, since, computed_at)"
                    " SELECT customer_id, score, reasons, $1, $1 FROM warned JOIN crm.customers USING (customer_id)"
                    " ON CONFLICT (customer_id) DO UPDATE SET score = excluded.score, reasons = excluded.reasons,"
                    " computed_at = excluded.computed_at",
                    now, timeout=300,
                )  # fmt: skip
        return len(found)

    async def list(self, *, handled: bool | None, limit: int) -> Sequence[ChurnRow]:
        """See `Churn.list`."""
        with naming("warnings cannot be read"):
            rows = await self._ground.pool.fetch(
                f"{_ROW} WHERE $1::boolean IS NULL OR $1 = EXISTS (SELECT FROM crm.churn_actions a"
                " WHERE a.customer_id = s.customer_id AND a.at >= s.since)"
                " ORDER BY s.score DESC, s.customer_id LIMIT $2",
                handled, limit,
            )  # fmt: skip
        return tuple(_row(row) for row in rows)

    async def act(self, customer_id: CustomerId, *, action: str, note: str, by: Asker) -> ChurnRow:
        """See `Churn.act`."""
        now = self._ground.now()
        with naming("the action cannot be kept"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(
                    "SELECT score FROM crm.churn_scores WHERE customer_id = $1 FOR UPDATE", customer_id
                )
                if row is None:
                    raise CaseRefused(
                        "not_on_the_list", "this customer is not on the list", status=404, remedy="reload the list"
                    )
                await connection.execute(
                    "INSERT INTO crm.churn_actions (customer_id, at, author, action, note, score)"
                    " VALUES ($1, $2, $3, $4, $5, $6)",
                    customer_id, now, by.username, action, note, row["score"],
                )  # fmt: skip
                await write_event(
                    connection, at=now, subject="churn", subject_id=customer_id, kind=action, author=by.username,
                    before=f"{row['score']:g}", note=note, customer_id=customer_id,
                )  # fmt: skip
                found = await connection.fetchrow(f"{_ROW} WHERE s.customer_id = $1", customer_id)
        return _row(found)


def _warnings(rules: ChurnRules, rows: Sequence[Any]) -> list[tuple[int, float, str]]:
    found = []
    for row in rows:
        warning = warn(
            rules,
            Seen(
                customer_id=CustomerId(row["customer_id"]),
                recent_orders=row["recent"],
                earlier_orders=row["earlier"],
                complaint=_SEVERITIES[row["worst"]] if row["worst"] is not None else None,
                complaint_overdue=row["overdue"],
                mean_score=row["mean"],
                abandoned=row["calls"],
            ),
        )
        if warning.score >= rules.threshold:
            found.append((row["customer_id"], warning.score, dumps([reason.plain() for reason in warning.reasons])))
    return found


def _row(row: Any) -> ChurnRow:
    return ChurnRow(
        **{name: row[name] for name in ("customer_id", "name", "company", "tier", "own_agent", "score", "since")},
        reasons=tuple(loads(row["reasons"])),
        actions=tuple(ChurnAction(**{**one, "at": datetime.fromisoformat(one["at"])}) for one in loads(row["actions"])),
    )
