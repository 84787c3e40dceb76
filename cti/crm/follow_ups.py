"""Follow-up calls in Postgres: plans, the lists they make, previews, results.

Lists are made idempotently: an occasion (this purchase, this complaint, the last contact of this day) leads to one call of
a plan at most, whoever asks and however often. Who does not want to be called, or has no number, is left out, and asked
again right before each call: a consent that was withdrawn meanwhile counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from cti.casework import follow_ups as rules
from cti.casework.follow_ups import Plan
from cti.casework.reading import RulesInvalid
from cti.casework.rows import (
    Asker,
    Attempt,
    CaseRefused,
    FollowUpResult,
    FollowUpRow,
    NextFollowUp,
    PlanRow,
    Preview,
)
from cti.casework.tasks import Hindrance
from cti.crm.case_base import CaseGround, Values, dumps, loads, seen_by, write_event
from cti.crm.time_zones import time_zones
from cti.crm.trouble import naming
from cti.ids import CallId, CustomerId

JUST_NOW = timedelta(minutes=30)
"""A result without a call's id that comes so soon after an attempt which was counted by itself is about that attempt."""
TRIED = 50
"""Follow-ups looked at to find one that may be called now."""

_ROW = """
SELECT f.follow_up_id, f.plan_id, p.name AS plan, u.customer_id, u.name AS customer_name, u.company, u.tier, u.language,
       (SELECT number FROM crm.phones h WHERE h.customer_id = u.customer_id ORDER BY place, number LIMIT 1) AS number,
       f.occasion, f.complaint_id, f.state, f.owner, f.queue, f.due_at, f.attempts, f.outcome, f.ended_at, f.note,
       f.answers, u.time_zone, u.notes, p.body,
       (SELECT s.status FROM crm.consents s WHERE s.customer_id = u.customer_id AND s.channel = 'call') AS consent
  FROM crm.follow_ups f
  JOIN crm.follow_up_plans p USING (plan_id)
  JOIN crm.identities i ON i.customer_id = f.customer_id
  JOIN crm.customers u ON u.customer_id = i.current_id
"""
_SHOWN = tuple(name for name in FollowUpRow.__dataclass_fields__ if name != "answers")

_OCCASIONS: Mapping[str, str] = {
    "purchase": "SELECT i.current_id AS customer_id, 'purchase:' || t.transaction_id AS occasion, t.at AS at,"
    " NULL::bigint AS complaint_id FROM crm.transactions t JOIN crm.identities i USING (customer_id)"
    " WHERE t.amount > 0 AND t.at >= $2::timestamptz - $3::interval AND t.at <= $1::timestamptz - $3::interval",
    "last_contact": "SELECT customer_id, 'contact:' || to_char(max(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS occasion,"
    " max(at) AS at, NULL::bigint AS complaint_id FROM crm.contacts WHERE talk_seconds > 0 GROUP BY customer_id"
    " HAVING max(at) >= $2::timestamptz - $3::interval AND max(at) <= $1::timestamptz - $3::interval",
    "complaint_closed": "SELECT i.current_id AS customer_id, 'complaint:' || c.complaint_id AS occasion,"
    " c.closed_at AS at, c.complaint_id FROM crm.complaints c JOIN crm.identities i USING (customer_id)"
    " WHERE c.state = 'closed' AND c.closed_at >= $2::timestamptz - $3::interval AND c.closed_at <= $1::timestamptz - $3::interval",
}
"""What each trigger looks for: occasions that are `after` old by now, and were not yet when the plan began."""

_GENERATE = """
WITH occasions AS ({occasions})
INSERT INTO crm.follow_ups (plan_id, customer_id, occasion, complaint_id, owner, queue, created_at, due_at)
SELECT $4, o.customer_id, o.occasion, o.complaint_id,
       CASE WHEN $5 AND u.own_agent <> '' THEN u.own_agent END, $6, $1, o.at + $3::interval
  FROM occasions o JOIN crm.customers u USING (customer_id)
 WHERE (cardinality($7::text[]) = 0 OR u.tier = ANY($7::text[]))
   AND NOT EXISTS (SELECT FROM crm.do_not_call d WHERE d.customer_id = o.customer_id)
   AND (NOT $9 OR EXISTS (SELECT FROM crm.consents s WHERE s.customer_id = o.customer_id AND s.channel = 'call'
                             AND s.status = 'granted'))
   AND EXISTS (SELECT FROM crm.phones h WHERE h.customer_id = o.customer_id)
   AND o.at + $3::interval + $8::interval > $1
    ON CONFLICT (plan_id, customer_id, occasion) DO NOTHING RETURNING follow_up_id
"""


class StoredFollowUps:
    """Satisfies `cti.services.casework.FollowUps`."""

    def __init__(self, ground: CaseGround) -> None:
        self._ground = ground

    def _plan(self, body: object) -> Plan | None:
        """A stored plan; None where it does not fit the centre any more (a queue or tier is gone)."""
        centre = self._ground.centre()
        try:
            return rules.read_plan(body, queues=tuple(centre.queues), tiers=tuple(centre.tiers))
        except RulesInvalid:
            return None

    # -- plans -----------------------------------------------------------------------------------------------------

    async def plans(self) -> Sequence[PlanRow]:
        """See `FollowUps.plans`."""
        with naming("plans cannot be read"):
            rows = await self._ground.pool.fetch(
                "SELECT p.*, coalesce((SELECT jsonb_object_agg(state, n) FROM (SELECT state, count(*) AS n"
                " FROM crm.follow_ups f WHERE f.plan_id = p.plan_id GROUP BY state) s), '{}') AS counts"
                " FROM crm.follow_up_plans p ORDER BY p.name"
            )
        return tuple(
            PlanRow(
                plan_id=row["plan_id"],
                active=row["active"],
                body=loads(row["body"]),
                author=row["author"],
                changed_at=row["changed_at"],
                since=row["since"],
                counts=loads(row["counts"]),
            )
            for row in rows
        )

    async def keep_plan(
        self, body: Mapping[str, Any], *, by: str, plan_id: int | None = None, active: bool = True
    ) -> PlanRow:
        """See `FollowUps.keep_plan`."""
        centre, now = self._ground.centre(), self._ground.now()
        plan = rules.read_plan(body, queues=tuple(centre.queues), tiers=tuple(centre.tiers))
        whole = dumps(rules.plain(plan))
        with naming("the plan cannot be kept"):
            try:
                if plan_id is None:
                    number = await self._ground.pool.fetchval(
                        "INSERT INTO crm.follow_up_plans (name, body, active, author, since, changed_at)"
                        " VALUES ($1, $2, $3, $4, $5, $5) RETURNING plan_id",
                        plan.name, whole, active, by, now,
                    )  # fmt: skip
                else:
                    number = await self._ground.pool.fetchval(
                        "UPDATE crm.follow_up_plans SET name = $2, body = $3, active = $4, author = $5, changed_at = $6"
                        " WHERE plan_id = $1 RETURNING plan_id",
                        plan_id, plan.name, whole, active, by, now,
                    )  # fmt: skip
            except asyncpg.UniqueViolationError:
                raise CaseRefused(
                    "name_taken", f"there is a plan {plan.name!r} already", remedy="choose another name"
                ) from None
        found = next((row for row in await self.plans() if row.plan_id == number), None)
        if found is None:
            raise CaseRefused("unknown_plan", f"there is no plan {plan_id}", status=404, remedy="see the plans")
        return found

    # -- lists -----------------------------------------------------------------------------------------------------

    async def generate(self) -> Mapping[str, int]:
        """See `FollowUps.generate`."""
        now, made, dropped = self._ground.now(), 0, 0
        with naming("follow-up calls cannot be planned"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                for row in await connection.fetch("SELECT plan_id, body, active, since FROM crm.follow_up_plans"):
                    plan = self._plan(loads(row["body"]))
                    if plan is None:
                        continue
                    if row["active"]:
                        made += len(
                            await connection.fetch(
                                _GENERATE.format(occasions=_OCCASIONS[plan.trigger]),
                                now,
                                row["since"],
                                plan.after,
                                row["plan_id"],
                                plan.own_agent,
                                plan.queue or None,
                                list(plan.tiers),
                                plan.expires,
                                plan.needs_consent,
                                timeout=120,
                            )
                        )
                    dropped += await self._drop(
                        connection, "expired", "f.plan_id = $2 AND f.created_at < $1::timestamptz - $3::interval"
                        " AND f.due_at < $1 AND f.state = 'due'", now, row["plan_id"], plan.expires + plan.expires,
                    )  # fmt: skip
                    dropped += await self._drop(
                        connection, "expired", "f.plan_id = $2 AND f.attempts = 0 AND f.due_at < $1::timestamptz - $3::interval"
                        " AND f.state = 'due'", now, row["plan_id"], plan.expires,
                    )  # fmt: skip
                dropped += await self._drop(
                    connection, "do_not_call", "f.state = 'due' AND EXISTS (SELECT FROM crm.do_not_call d JOIN"
                    " crm.identities i ON i.current_id = d.customer_id WHERE i.customer_id = f.customer_id)", now,
                )  # fmt: skip
        return {"made": made, "dropped": dropped}

    async def _drop(self, connection: asyncpg.Connection, why: str, where: str, now: datetime, *values: Any) -> int:
        rows = await connection.fetch(
            f"UPDATE crm.follow_ups f SET state = 'dropped', outcome = '{why}', ended_at = $1, owner = NULL"  # noqa: S608
            f" WHERE {where} RETURNING follow_up_id, customer_id",
            now, *values, timeout=120,
        )  # fmt: skip
        for row in rows:
            await write_event(
                connection, at=now, subject="follow_up", subject_id=row["follow_up_id"], kind="dropped", note=why,
                customer_id=row["customer_id"],
            )  # fmt: skip
        return len(rows)

    async def list(
        self,
        *,
        states: Sequence[str],
        plan_id: int | None,
        customer_id: CustomerId | None,
        limit: int,
        who: Asker | None = None,
    ) -> Sequence[FollowUpRow]:
        """See `FollowUps.list`."""
        values = Values(list(states), plan_id, customer_id, limit)
        with naming("follow-up calls cannot be read"):
            rows = await self._ground.pool.fetch(
                f"{_ROW} WHERE (cardinality($1::text[]) = 0 OR f.state = ANY($1::text[]))"
                " AND ($2::bigint IS NULL OR f.plan_id = $2) AND ($3::bigint IS NULL OR i.current_id = $3)"
                f" AND {seen_by(who, 'f', values.given)}"
                " ORDER BY f.ended_at DESC NULLS FIRST, f.due_at, f.follow_up_id LIMIT $4",
                *values.all,
            )  # fmt: skip
        return tuple(_row(row) for row in rows)

    # -- calling ---------------------------------------------------------------------------------------------------

    async def preview(self, follow_up_id: int, who: Asker | None = None) -> Preview:
        """See `FollowUps.preview`."""
        with naming("the follow-up call cannot be read"):
            async with self._ground.pool.acquire() as connection:
                found = await self._preview(connection, follow_up_id)
        if who is not None and not who.sees(found.follow_up.queue, found.follow_up.owner):
            raise _unknown(follow_up_id)
        return found

    async def _preview(self, connection: asyncpg.Connection, follow_up_id: int) -> Preview:
        row = await connection.fetchrow(f"{_ROW} WHERE f.follow_up_id = $1", follow_up_id)
        if row is None:
            raise _unknown(follow_up_id)
        body = loads(row["body"])
        attempts = await connection.fetch(
            "SELECT attempt, at, author, outcome, note, call_id FROM crm.follow_up_attempts WHERE follow_up_id = $1"
            " ORDER BY attempt",
            follow_up_id,
        )
        recent = await connection.fetch(
            "SELECT at, kind, what, amount FROM ("
            "SELECT t.at, 'purchase' AS kind, t.what, t.amount::float8 AS amount FROM crm.transactions t"
            " JOIN crm.identities i USING (customer_id) WHERE i.current_id = $1"
            " UNION ALL SELECT c.opened_at, 'complaint', c.subject, NULL FROM crm.complaints c"
            " JOIN crm.identities i USING (customer_id) WHERE i.current_id = $1) x ORDER BY at DESC LIMIT 6",
            row["customer_id"],
        )
        why_not, begins, local = self._may_call(row)
        return Preview(
            follow_up=_row(row),
            script=body.get("script", {}),
            questions=tuple(body.get("questions", ())),
            earlier=tuple(Attempt(**one) for one in attempts),
            may_call=not why_not,
            may_call_from=begins,
            local_time=local,
            why_not=why_not,
            notes=row["notes"],
            recent=tuple(dict(one) for one in recent),
        )

    def _may_call(self, row: asyncpg.Record) -> tuple[str, datetime | None, str]:
        """Why the customer must not be called now (empty: they may), from when on they may, and their time of day."""
        now = self._ground.now()
        zones = rules.zones_for(
            row["time_zone"], time_zones(row["number"]) if row["number"] else (), self._ground.centre().time_zone
        )
        local = now.astimezone(zones[0]).strftime("%H:%M")
        plan = self._plan(loads(row["body"]))
        if row["consent"] == "refused":
            return "do_not_call", None, local
        if plan is not None and plan.needs_consent and row["consent"] != "granted":
            return "no_consent", None, local
        if not row["number"]:
            return "no_number", None, local
        if plan is not None and not rules.in_hours(plan, zones, now):
            return "outside_hours", rules.next_time(plan, zones, now), local
        return "", None, local

    async def take_next(self, who: Asker) -> NextFollowUp:
        """See `FollowUps.take_next`."""
        now = self._ground.now()
        with naming("follow-up calls cannot be read"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch(
                    f"{_ROW} WHERE (f.state = 'taken' AND f.owner = $1 OR f.state = 'due'"
                    " AND (f.owner = $1 OR f.owner IS NULL AND (f.queue IS NULL OR f.queue = ANY($2::text[])))"
                    " AND f.due_at <= $3) AND (f.snoozed_until IS NULL OR f.snoozed_until <= $3)"
                    " ORDER BY f.state = 'taken' DESC, f.owner IS NULL, f.due_at, f.follow_up_id LIMIT $4"
                    " FOR UPDATE OF f SKIP LOCKED",
                    who.username, list(who.queues), now, TRIED,
                )  # fmt: skip
                later = False
                for row in rows:
                    why_not, _, _ = self._may_call(row)
                    if why_not:
                        later = later or why_not == "outside_hours"
                        continue
                    if row["state"] == "due":
                        await connection.execute(
                            "UPDATE crm.follow_ups SET state = 'taken', owner = $2 WHERE follow_up_id = $1",
                            row["follow_up_id"], who.username,
                        )  # fmt: skip
                    return NextFollowUp(preview=await self._preview(connection, row["follow_up_id"]))
        return NextFollowUp(hindrance=Hindrance(reason="outside_hours" if later else "nothing_due"))

    async def result(self, follow_up_id: int, result: FollowUpResult, *, by: Asker) -> FollowUpRow:
        """See `FollowUps.result`."""
        now = self._ground.now()
        with naming("the result cannot be kept"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(f"{_ROW} WHERE f.follow_up_id = $1 FOR UPDATE OF f", follow_up_id)
                if row is None or not by.sees(row["queue"], row["owner"]):
                    raise _unknown(follow_up_id)
                if row["state"] not in ("due", "taken"):
                    raise CaseRefused("over", f"this follow-up call is {row['state']}", remedy="take the next one")
                if row["owner"] not in (None, by.username) and not by.supervises:
                    raise CaseRefused(
                        "not_yours", f"this follow-up call is {row['owner']}'s", status=403, remedy="take another"
                    )
                plan = _as_written(loads(row["body"]))
                if result.outcome == "call_later" and (result.again_at is None or result.again_at <= now):
                    raise CaseRefused(
                        "no_time", "say when to call again", status=400, remedy="send again_at, a later moment"
                    )
                answers = rules.check_answers(plan, result.answers) if result.outcome == "reached" else {}
                # Dialled in vain from the page, it has been counted already: what the agent writes is about that attempt.
                counted = await connection.fetchval(
                    "SELECT max(attempt) FROM crm.follow_up_attempts WHERE follow_up_id = $1 AND CASE WHEN $2::text IS NULL"
                    " THEN author = $3 AND call_id IS NOT NULL AND note = '' AND at > $4 AND attempt = $5"
                    " ELSE call_id = $2 END",
                    follow_up_id, result.call_id, by.username, now - JUST_NOW, row["attempts"],
                )  # fmt: skip
                attempt = counted or row["attempts"] + 1
                await connection.execute(
                    "INSERT INTO crm.follow_up_attempts (follow_up_id, attempt, at, author, call_id, outcome, note)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (follow_up_id, attempt) DO UPDATE SET"
                    " at = excluded.at, author = excluded.author, outcome = excluded.outcome, note = excluded.note",
                    follow_up_id, attempt, now, by.username, result.call_id, result.outcome, result.note,
                )  # fmt: skip
                then = rules.after_attempt(plan, attempt, result.outcome, now, result.again_at)
                ended = then.state != "due"
                await connection.execute(
                    "UPDATE crm.follow_ups SET state = $2, attempts = $3, outcome = $4, answers = $5, note = $6,"
                    " due_at = coalesce($7, due_at), ended_at = $8, ended_by = $9,"
                    " owner = CASE WHEN $10 THEN owner END, snoozed_until = NULL WHERE follow_up_id = $1",
                    follow_up_id, then.state, attempt, result.outcome, dumps(answers), result.note, then.due_at,
                    now if ended else None, by.username if ended else "",
                    ended or result.outcome == "call_later" or plan.own_agent,
                )  # fmt: skip
                await write_event(
                    connection, at=now, subject="follow_up", subject_id=follow_up_id, kind=result.outcome,
                    author=by.username, before=row["state"], after=then.state, note=result.note,
                    customer_id=row["customer_id"],
                )  # fmt: skip
                if result.do_not_call:
                    await _do_not_call(connection, row["customer_id"], now, by=by.username)
                after = await connection.fetchrow(f"{_ROW} WHERE f.follow_up_id = $1", follow_up_id)
        return _row(after)

    async def tried(
        self,
        connection: asyncpg.Connection,
        follow_up_id: int,
        call_id: CallId,
        outcome: rules.Outcome,
        at: datetime,
        *,
        by: str,
    ) -> bool:
        """An agent dialled this follow-up in vain: an attempt, unless its result has been written down. Whether it was news."""
        row = await connection.fetchrow(f"{_ROW} WHERE f.follow_up_id = $1 FOR UPDATE OF f", follow_up_id)
        if row is None or row["state"] not in ("due", "taken"):
            return False
        if await connection.fetchval(
            "SELECT EXISTS (SELECT FROM crm.follow_up_attempts WHERE follow_up_id = $1 AND (call_id = $2"
            " OR call_id IS NULL AND author = $3 AND at >= $4))",
            follow_up_id, call_id, by, at,
        ):  # fmt: skip
            return False
        plan = _as_written(loads(row["body"]))
        attempt = row["attempts"] + 1
        await connection.execute(
            "INSERT INTO crm.follow_up_attempts (follow_up_id, attempt, at, author, call_id, outcome)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            follow_up_id, attempt, at, by, call_id, outcome,
        )  # fmt: skip
        then = rules.after_attempt(plan, attempt, outcome, at)
        ended = then.state != "due"
        await connection.execute(
            "UPDATE crm.follow_ups SET state = $2, attempts = $3, outcome = $4, due_at = coalesce($5, due_at), ended_at = $6,"
            " ended_by = $7, owner = CASE WHEN $8 THEN owner END, snoozed_until = NULL WHERE follow_up_id = $1",
            follow_up_id, then.state, attempt, outcome, then.due_at, at if ended else None, by if ended else "",
            ended or plan.own_agent,
        )  # fmt: skip
        await write_event(
            connection, at=at, subject="follow_up", subject_id=follow_up_id, kind=outcome, author=by,
            before=row["state"], after=then.state, note="", customer_id=row["customer_id"],
        )  # fmt: skip
        return True


def _as_written(body: Any) -> Plan:
    """A plan as it stands, also where the centre has its queue or a tier no more: what was begun is ended by it."""
    tiers = body.get("tiers", ()) if isinstance(body, dict) else ()
    try:
        return rules.read_plan(body, queues=(str(body.get("queue", "")),), tiers=tuple(map(str, tiers)))
    except (RulesInvalid, AttributeError):
        return Plan(name="x", trigger="purchase", after=timedelta())


async def _do_not_call(connection: asyncpg.Connection, customer_id: int, now: datetime, *, by: str) -> None:
    await connection.execute(
        "INSERT INTO crm.consents (customer_id, channel, status, at, how, by) VALUES ($1, 'call', 'refused', $2,"
        " 'follow-up call', $3) ON CONFLICT (customer_id, channel) DO UPDATE SET status = 'refused',"
        " at = excluded.at, how = excluded.how, by = excluded.by",
        customer_id, now, by,
    )  # fmt: skip
    await connection.execute("UPDATE crm.customers SET version = version + 1 WHERE customer_id = $1", customer_id)


def _row(row: asyncpg.Record) -> FollowUpRow:
    found = FollowUpRow(**{name: row[name] for name in _SHOWN}, answers={})
    return replace(found, answers=loads(row["answers"]) or {})


def _unknown(follow_up_id: int) -> CaseRefused:
    return CaseRefused(
        "unknown_follow_up", f"there is no follow-up call {follow_up_id}", status=404, remedy="see the list"
    )
