"""Tiers by rule in Postgres: computed of purchases and calls, given to customers, overridden by people.

One computation is one transaction: either every customer has the tier of these rules, or nobody's changed. Customers with
an override that holds keep it; what the rules say of them is remembered for when it ends. Purchases and calls of customers
who were merged count for the one who stayed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from cti.casework import tiers
from cti.casework.rows import BroughtIn, CaseRefused, CustomerTier, NewTransaction, TierOverride, TierRun
from cti.casework.tiers import Assigned, Figures, TierRules, assign, explain
from cti.crm.case_base import CaseGround, dumps, history, loads, parse, rules_in_force
from cti.crm.trouble import naming
from cti.ids import CustomerId

LANGUAGES = ("en", "zh")
MOST_HISTORY = 50

_FIGURES = """
WITH bought AS (
    SELECT i.current_id AS customer_id, count(*) FILTER (WHERE t.amount >= 0) AS orders, sum(t.amount) AS spent,
           max(t.at) FILTER (WHERE t.amount >= 0) AS last_at
      FROM crm.transactions t JOIN crm.identities i USING (customer_id)
     WHERE t.at >= $1 AND t.at <= $2 GROUP BY 1),
called AS (
    SELECT i.current_id AS customer_id, count(*) AS calls
      FROM cti.calls c JOIN crm.identities i USING (customer_id)
     WHERE c.started_at >= $1 AND c.started_at <= $2 AND c.direction = 'inbound' GROUP BY 1)
SELECT customer_id, coalesce(orders, 0) AS orders, coalesce(spent, 0)::float8 AS spent, last_at,
       coalesce(calls, 0) AS calls
  FROM bought FULL JOIN called USING (customer_id)
 WHERE coalesce(orders, 0) > 0 OR $3
 ORDER BY customer_id
"""

_GIVE = """
WITH changed AS (
    SELECT c.customer_id, c.tier AS before, w.tier AS after, c.tier_source, c.tier_reason, w.told
      FROM wanted w JOIN crm.customers c USING (customer_id)
     WHERE c.merged_into IS NULL AND NOT w.held
       AND (c.tier, c.tier_source, c.tier_reason) IS DISTINCT FROM (w.tier, 'rule', w.told)
       FOR UPDATE OF c),
done AS (
    UPDATE crm.customers c SET tier = x.after, tier_source = 'rule', tier_reason = x.told,
           version = c.version + (c.tier <> x.after)::int,
           changed_at = CASE WHEN c.tier <> x.after THEN $1 ELSE c.changed_at END
      FROM changed x WHERE x.customer_id = c.customer_id
    RETURNING c.customer_id, c.version, x.before, x.after, x.told)
SELECT customer_id, version, before, after, told FROM done WHERE before <> after
"""


class StoredTiers:
    """Satisfies `cti.services.casework.Tiers`."""

    def __init__(self, ground: CaseGround) -> None:
        self._ground = ground

    async def compute(self, *, by: str, body: Mapping[str, Any] | None = None, apply: bool = True) -> TierRun:
        """See `Tiers.compute`. Rules in force that are not enabled are computed only to be looked at."""
        now, centre = self._ground.now(), self._ground.centre()
        with naming("tiers cannot be computed"):
            async with self._ground.pool.acquire(timeout=30) as connection, connection.transaction():
                version, stored = await rules_in_force(connection, "tiers")
                rules: TierRules = (
                    parse("tiers", body if body is not None else stored, centre)[0]
                    if body is not None or stored is not None
                    else TierRules()
                )
                if apply and body is None and not rules.enabled:
                    raise CaseRefused(
                        "tiers_off", "the rules are not enabled", remedy="set enabled: true, or only try them"
                    )
                apply = apply and body is None
                # One at a time: two computations would give and take from each other.
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext('cti tiers'))")
                found = await self._assigned(connection, rules, now)
                return await self._give(connection, rules, version, found, now, by=by, apply=apply)

    async def _assigned(self, connection: asyncpg.Connection, rules: TierRules, now: datetime) -> list[Assigned]:
        rows = await connection.fetch(_FIGURES, now - rules.window, now, rules.value == "calls", timeout=300)
        figures = [
            Figures(
                customer_id=CustomerId(row["customer_id"]),
                orders=row["orders"],
                spent=row["spent"],
                last_at=row["last_at"],
                calls=row["calls"],
            )
            for row in rows
        ]
        # A second or so for a million customers: not on the event loop.
        return await asyncio.to_thread(assign, rules, figures, now)

    async def _give(
        self,
        connection: asyncpg.Connection,
        rules: TierRules,
        version: int,
        found: Sequence[Assigned],
        now: datetime,
        *,
        by: str,
        apply: bool,
    ) -> TierRun:
        language = (self._ground.centre().languages or ("en",))[0]
        await connection.execute(
            "CREATE TEMP TABLE wanted (customer_id bigint PRIMARY KEY, tier text, why jsonb, told text,"
            " held boolean DEFAULT false) ON COMMIT DROP"
        )
        records = await asyncio.to_thread(_records, found, language)
        await connection.copy_records_to_table(
            "wanted",
            records=records,
            columns=("customer_id", "tier", "why", "told"),
            schema_name="pg_temp",
            timeout=300,
        )
        # Without statistics Postgres takes the table for a small one, and joins it row by row.
        await connection.execute("ANALYZE pg_temp.wanted", timeout=300)
        if rules.rest == "otherwise":
            await connection.execute(
                "INSERT INTO wanted (customer_id, tier, why, told) SELECT customer_id, $1, '{}', $2 FROM crm.customers"
                " WHERE merged_into IS NULL ON CONFLICT DO NOTHING",
                rules.otherwise,
                f"{rules.otherwise}: {'12' if rules.window.days == 365 else rules.window.days}"
                f" {'months' if rules.window.days == 365 else 'days'} without a purchase",
                timeout=300,
            )
        await connection.execute(
            "UPDATE wanted w SET held = true FROM crm.customer_tiers t WHERE t.customer_id = w.customer_id"
            " AND t.override IS NOT NULL AND (t.expires_at IS NULL OR t.expires_at > $1)",
            now,
            timeout=300,
        )
        moves = await connection.fetch(
            "SELECT c.tier AS before, w.tier AS after, count(*) AS n FROM wanted w JOIN crm.customers c USING (customer_id)"
            " WHERE c.merged_into IS NULL AND NOT w.held AND c.tier <> w.tier GROUP BY 1, 2 ORDER BY n DESC, 1, 2",
            timeout=300,
        )
        counts = Counter({row["tier"]: row["n"] for row in await connection.fetch(
            "SELECT tier, count(*) AS n FROM wanted GROUP BY 1")})  # fmt: skip
        run = TierRun(
            at=now,
            rules_version=version,
            customers=sum(counts.values()),
            changed=sum(row["n"] for row in moves),
            tiers=dict(counts),
            moves=tuple((row["before"], row["after"], row["n"]) for row in moves),
            tried_only=not apply,
        )
        if apply:
            await self._apply(connection, run, now, by=by)
        return run

    async def _apply(self, connection: asyncpg.Connection, run: TierRun, now: datetime, *, by: str) -> None:
        await connection.execute(
            "INSERT INTO crm.customer_tiers AS t (customer_id, computed, why, rules_version, computed_at)"
            " SELECT w.customer_id, w.tier, w.why, $1, $2 FROM wanted w JOIN crm.customers c USING (customer_id)"
            " ON CONFLICT (customer_id) DO UPDATE SET computed = excluded.computed, why = excluded.why,"
            " rules_version = excluded.rules_version, computed_at = excluded.computed_at",
            run.rules_version, now, timeout=300,
        )  # fmt: skip
        changed = await connection.fetch(_GIVE, now, timeout=300)
        await _note_changes(connection, changed, now, by=by or f"rule {run.rules_version}")
        await connection.execute(
            "INSERT INTO crm.case_jobs (job, ran_at, result) VALUES ('tiers', $1, $2) ON CONFLICT (job) DO UPDATE"
            " SET ran_at = excluded.ran_at, result = excluded.result",
            now, dumps({"version": run.rules_version, "customers": run.customers, "changed": run.changed,
                        "tiers": run.tiers, "moves": run.moves}),
        )  # fmt: skip
        self._ground.forget()

    async def last_run(self) -> TierRun | None:
        """See `Tiers.last_run`."""
        with naming("tiers cannot be read"):
            row = await self._ground.pool.fetchrow("SELECT ran_at, result FROM crm.case_jobs WHERE job = 'tiers'")
        result = loads(row["result"]) if row is not None else None
        if row is None or not result:
            return None
        return TierRun(
            at=row["ran_at"],
            rules_version=result["version"],
            customers=result["customers"],
            changed=result["changed"],
            tiers=result["tiers"],
            moves=tuple((before, after, count) for before, after, count in result["moves"]),
            tried_only=False,
        )

    async def of(self, customer_id: CustomerId) -> CustomerTier:
        """See `Tiers.of`."""
        with naming("the tier cannot be read"):
            async with self._ground.pool.acquire() as connection:
                return await self._of(connection, customer_id)

    async def _of(self, connection: asyncpg.Connection, customer_id: CustomerId) -> CustomerTier:
        row = await connection.fetchrow(
            "SELECT c.customer_id, c.tier, c.tier_source, c.tier_reason, t.computed, t.why, t.computed_at, t.override,"
            " t.reason, t.author, t.overridden_at, t.expires_at FROM crm.customers c"
            " LEFT JOIN crm.customer_tiers t USING (customer_id)"
            " WHERE c.customer_id = (SELECT current_id FROM crm.identities WHERE customer_id = $1)",
            customer_id,
        )
        if row is None:
            raise _unknown(customer_id)
        why = loads(row["why"]) or {}
        source = row["tier_source"]
        override = (
            TierOverride(
                tier=row["override"],
                reason=row["reason"],
                author=row["author"],
                at=row["overridden_at"],
                expires_at=row["expires_at"],
            )
            if row["override"] is not None
            else None
        )
        told = {language: _told(row, why, override, language) for language in LANGUAGES}
        return CustomerTier(
            customer_id=row["customer_id"],
            tier=row["tier"],
            source=source,
            told=told,
            computed=row["computed"],
            why=why,
            computed_at=row["computed_at"],
            override=override,
            history=await history(connection, "tier", row["customer_id"], limit=MOST_HISTORY),
        )

    async def override(
        self, customer_id: CustomerId, tier: str, *, reason: str, by: str, expires_at: datetime | None
    ) -> CustomerTier:
        """See `Tiers.override`."""
        now = self._ground.now()
        if tier not in self._ground.centre().tiers:
            raise CaseRefused(
                "unknown_tier", f"the centre has no tier {tier!r}", status=400, remedy="see tiers of centre.yaml"
            )
        if not reason.strip():
            raise CaseRefused("no_reason", "an override needs a reason", status=400, remedy="say why")
        if expires_at is not None and expires_at <= now:
            raise CaseRefused("in_the_past", "expires_at is in the past", status=400, remedy="give a later moment")
        with naming("the tier cannot be changed"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                found = await self._locked(connection, customer_id)
                await connection.execute(
                    "INSERT INTO crm.customer_tiers AS t (customer_id, override, reason, author, overridden_at,"
                    " expires_at, before) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (customer_id) DO UPDATE"
                    " SET override = excluded.override, reason = excluded.reason, author = excluded.author,"
                    " overridden_at = excluded.overridden_at, expires_at = excluded.expires_at,"
                    " before = CASE WHEN t.override IS NULL THEN excluded.before ELSE t.before END",
                    found["customer_id"], tier, reason, by, now, expires_at, found["tier"],
                )  # fmt: skip
                await _set_tier(connection, found, tier, "override", reason, now, by=by)
                answer = await self._of(connection, found["customer_id"])
        self._ground.forget()
        return answer

    async def take_back(self, customer_id: CustomerId, *, by: str) -> CustomerTier:
        """See `Tiers.take_back`."""
        with naming("the tier cannot be changed"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                found = await self._locked(connection, customer_id)
                if not await self._end_override(connection, found, by=by):
                    raise CaseRefused("no_override", "nobody overrode this customer's tier", remedy="reload")
                answer = await self._of(connection, found["customer_id"])
        self._ground.forget()
        return answer

    async def end_expired(self) -> int:
        """End the overrides whose time is up; how many."""
        with naming("tiers cannot be changed"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch(
                    "SELECT c.customer_id, c.tier, c.version FROM crm.customers c JOIN crm.customer_tiers t"
                    " USING (customer_id) WHERE t.override IS NOT NULL AND t.expires_at <= $1"
                    " ORDER BY 1 LIMIT 1000 FOR UPDATE OF c",
                    self._ground.now(),
                )
                for row in rows:
                    await self._end_override(connection, row, by="")
        if rows:
            self._ground.forget()
        return len(rows)

    async def _end_override(self, connection: asyncpg.Connection, found: asyncpg.Record, *, by: str) -> bool:
        row = await connection.fetchrow(
            "SELECT override, computed, why, before FROM crm.customer_tiers WHERE customer_id = $1 FOR UPDATE",
            found["customer_id"],
        )
        if row is None or row["override"] is None:
            return False
        await connection.execute(
            "UPDATE crm.customer_tiers SET override = NULL, reason = '', author = '', overridden_at = NULL,"
            " expires_at = NULL, before = '' WHERE customer_id = $1",
            found["customer_id"],
        )
        language = (self._ground.centre().languages or ("en",))[0]
        if row["computed"] is not None:
            why = explain(row["computed"], loads(row["why"]) or {}, language)
            await _set_tier(connection, found, row["computed"], "rule", why, self._ground.now(), by=by)
        else:
            await _set_tier(connection, found, row["before"] or found["tier"], "import", "", self._ground.now(), by=by)
        return True

    async def _locked(self, connection: asyncpg.Connection, customer_id: CustomerId) -> asyncpg.Record:
        row = await connection.fetchrow(
            "SELECT customer_id, tier, version FROM crm.customers WHERE customer_id ="
            " (SELECT current_id FROM crm.identities WHERE customer_id = $1) FOR UPDATE",
            customer_id,
        )
        if row is None:
            raise _unknown(customer_id)
        return row

    async def bring_in(self, rows: Sequence[NewTransaction]) -> BroughtIn:
        """See `Tiers.bring_in`."""
        with naming("purchases cannot be brought in"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                references = [row.customer_reference for row in rows if row.customer_reference]
                numbers = [row.customer_id for row in rows if row.customer_id is not None]
                by_reference = dict(await connection.fetch(
                    "SELECT c.reference, i.current_id FROM crm.customers c JOIN crm.identities i USING (customer_id)"
                    " WHERE c.reference = ANY($1)", references))  # fmt: skip
                by_number = dict(await connection.fetch(
                    "SELECT customer_id, current_id FROM crm.identities WHERE customer_id = ANY($1)", numbers))  # fmt: skip
                problems, good = [], []
                for index, row in enumerate(rows, start=1):
                    found = (
                        by_number.get(row.customer_id)
                        if row.customer_id is not None
                        else by_reference.get(row.customer_reference)
                    )
                    if found is None:
                        problems.append((index, "no such customer"))
                    else:
                        good.append((found, row.at, row.amount, row.currency, row.reference, row.what))
                added = await connection.fetch(
                    "INSERT INTO crm.transactions (customer_id, at, amount, currency, reference, what)"
                    " SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::numeric[], $4::text[], $5::text[],"
                    " $6::text[]) ON CONFLICT (reference) DO NOTHING RETURNING transaction_id",
                    *([list(column) for column in zip(*good, strict=True)] if good else [[]] * 6),
                )
        return BroughtIn(added=len(added), known=len(good) - len(added), problems=tuple(problems))


def _records(found: Sequence[Assigned], language: str) -> list[tuple[int, str, str, str]]:
    records: list[tuple[int, str, str, str]] = []
    for one in found:
        why = one.why.plain()
        records.append((one.customer_id, one.tier, dumps(why), explain(one.tier, why, language)))
    return records


def _unknown(customer_id: CustomerId) -> CaseRefused:
    return CaseRefused("unknown_customer", f"no customer has the number {customer_id}", status=404, remedy="search")


def _told(row: asyncpg.Record, why: Mapping[str, Any], override: TierOverride | None, language: str) -> str:
    if override is not None:
        return (
            f"{row['tier']}：{override.author} 手动设定，{override.reason}"
            if language == "zh"
            else f"{row['tier']}: set by {override.author}: {override.reason}"
        )
    if row["tier_source"] == "rule":
        return tiers.explain(row["tier"], why, language) if why else row["tier_reason"]
    return tiers.explain(row["tier"], {}, language)


async def _set_tier(
    connection: asyncpg.Connection,
    found: asyncpg.Record,
    tier: str,
    source: str,
    reason: str,
    now: datetime,
    *,
    by: str,
) -> None:
    await connection.execute(
        "UPDATE crm.customers SET tier = $2, tier_source = $3, tier_reason = $4, version = version + 1, changed_at = $5"
        " WHERE customer_id = $1",
        found["customer_id"], tier, source, reason, now,
    )  # fmt: skip
    row = {
        "customer_id": found["customer_id"],
        "version": found["version"] + 1,
        "before": found["tier"],
        "after": tier,
        "told": reason,
    }
    await _note_changes(connection, [row], now, by=by)


async def _note_changes(
    connection: asyncpg.Connection, changed: Sequence[Mapping[str, Any] | asyncpg.Record], now: datetime, *, by: str
) -> None:
    """Into the customer's own history, and into that of casework."""
    if not changed:
        return
    columns = [[row[name] for row in changed] for name in ("customer_id", "version", "before", "after", "told")]
    await connection.execute(
        "WITH x AS (SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::text[])"
        " AS x (customer_id, version, before, after, told)), noted AS ("
        "INSERT INTO crm.changes (customer_id, version, at, by, what, before, after)"
        " SELECT customer_id, version, $6, $7, 'tier', jsonb_build_object('tier', before),"
        " jsonb_build_object('tier', after) FROM x)"
        "INSERT INTO crm.case_events (at, subject, subject_id, kind, author, before, after, note, customer_id)"
        " SELECT $6, 'tier', customer_id, 'changed', $7, before, after, told, customer_id FROM x",
        *columns, now, by or "rule", timeout=300,
    )  # fmt: skip
