"""What every part of casework in the database shares: the pool, the centre, the rules in force, and the history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from cti.casework import churn, complaints, tiers
from cti.casework.reading import RulesInvalid
from cti.casework.rows import Asker, CaseEvent, CaseRefused, Escalation, Rules
from cti.clock import Clock
from cti.crm.numbers import normalise
from cti.crm.trouble import naming
from cti.model.centre import Centre
from cti.services.casework import RuleKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseGround:
    """What the parts stand on. `forget` tells the directory's cache that tiers changed, `tell` whoever follows that a
    complaint was escalated."""

    pool: asyncpg.Pool
    clock: Clock
    centre: Callable[[], Centre]
    forget: Callable[[], None] = lambda: None
    tell: Callable[[Escalation], None] = lambda _: None

    def now(self) -> datetime:
        """The time."""
        return self.clock.now()

    def number(self, raw: str | None) -> str | None:
        """E.164, as look-ups compare it; None where there is no number."""
        return normalise(raw, self.centre().region)


def dumps(value: object) -> str:
    """JSON text for a jsonb column."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def loads(text: str | None) -> Any:
    """A jsonb column's value; None where there is none."""
    return orjson.loads(text) if text else None


async def write_event(
    connection: asyncpg.Connection,
    *,
    at: datetime,
    subject: str,
    subject_id: int,
    kind: str,
    author: str = "",
    before: str = "",
    after: str = "",
    note: str = "",
    customer_id: int | None = None,
) -> None:
    """Add to the history."""
    await connection.execute(
        "INSERT INTO crm.case_events (at, subject, subject_id, kind, author, before, after, note, customer_id)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        at, subject, subject_id, kind, author, before, after, note, customer_id,
    )  # fmt: skip


async def history(
    connection: asyncpg.Connection, subject: str, subject_id: int, *, limit: int = 200
) -> tuple[CaseEvent, ...]:
    """What happened to one subject, oldest first; of a long history the latest part."""
    rows = await connection.fetch(
        "SELECT event_id, at, subject, subject_id, kind, author, before, after, note FROM crm.case_events"
        " WHERE subject = $1 AND subject_id = $2 ORDER BY event_id DESC LIMIT $3",
        subject, subject_id, limit,
    )  # fmt: skip
    return tuple(CaseEvent(**row) for row in reversed(rows))


async def rules_in_force(connection: asyncpg.Connection | asyncpg.Pool, kind: RuleKind) -> tuple[int, Any]:
    """The version and JSON of the rules in force; (0, None): those the product comes with."""
    row = await connection.fetchrow(
        "SELECT version, body FROM crm.case_rules WHERE kind = $1 ORDER BY version DESC LIMIT 1", kind
    )
    return (row["version"], loads(row["body"])) if row is not None else (0, None)


def parse(kind: RuleKind, body: object, centre: Centre) -> tuple[Any, dict[str, Any]]:
    """Rules and their full JSON, defaults included. Raises `RulesInvalid`."""
    if kind == "tiers":
        rules = tiers.read_rules(body, tuple(centre.tiers))
        return rules, tiers.plain(rules)
    if kind == "complaints":
        causes = complaints.read_rules(body, queues=tuple(centre.queues), tiers=tuple(centre.tiers))
        return causes, complaints.plain(causes)
    signs = churn.read_rules(body)
    return signs, churn.plain(signs)


async def complaint_rules(connection: asyncpg.Connection | asyncpg.Pool, centre: Centre) -> complaints.ComplaintRules:
    """The rules of complaints in force. Rules that do not fit the centre any more count as the usual ones."""
    _, body = await rules_in_force(connection, "complaints")
    if body is None:
        return complaints.ComplaintRules()
    try:
        rules: complaints.ComplaintRules = parse("complaints", body, centre)[0]
    except RulesInvalid:
        return complaints.ComplaintRules()
    return rules


class StoredRules:
    """Satisfies `cti.services.casework.RuleBook`."""

    def __init__(self, ground: CaseGround) -> None:
        self._ground = ground

    async def rules(self, kind: RuleKind) -> Rules:
        """See `RuleBook.rules`."""
        with naming("the rules cannot be read"):
            row = await self._ground.pool.fetchrow(
                "SELECT version, body, author, note, at FROM crm.case_rules WHERE kind = $1"
                " ORDER BY version DESC LIMIT 1",
                kind,
            )
        if row is None:
            usual: Mapping[RuleKind, Any] = {
                "tiers": tiers.plain(tiers.TierRules()),
                "complaints": complaints.plain(complaints.ComplaintRules()),
                "churn": churn.plain(churn.ChurnRules()),
            }
            return Rules(kind=kind, version=0, body=usual[kind])
        return Rules(kind=kind, **{**row, "body": loads(row["body"])})

    async def set_rules(self, kind: RuleKind, body: Mapping[str, Any], *, by: str, note: str, version: int) -> Rules:
        """See `RuleBook.set_rules`."""
        _, whole = parse(kind, body, self._ground.centre())
        with naming("the rules cannot be set"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                await connection.execute("LOCK TABLE crm.case_rules IN EXCLUSIVE MODE")
                known, _ = await rules_in_force(connection, kind)
                if known != version:
                    raise CaseRefused(
                        "edit_conflict",
                        f"somebody set other rules meanwhile: version {known}",
                        remedy="read them, and set yours with that version",
                    )
                await connection.execute(
                    "INSERT INTO crm.case_rules (kind, version, body, author, note, at) VALUES ($1, $2, $3, $4, $5, $6)",
                    kind, known + 1, dumps(whole), by, note, self._ground.now(),
                )  # fmt: skip
        return await self.rules(kind)

    async def events(self, *, after: int, limit: int) -> Sequence[CaseEvent]:
        """See `RuleBook.events`."""
        with naming("events cannot be read"):
            rows = await self._ground.pool.fetch(
                "SELECT event_id, at, subject, subject_id, kind, author, before, after, note FROM crm.case_events"
                " WHERE event_id > $1 ORDER BY event_id LIMIT $2",
                after, limit,
            )  # fmt: skip
        return tuple(CaseEvent(**row) for row in rows)


def seen_by(who: Asker | None, alias: str, given: Callable[[Any], str]) -> str:
    """`Asker.sees` as SQL. `given` puts a value among those of the query and says where it stands."""
    if who is None or who.scope is None:
        return "true"
    return (
        f"({alias}.queue = ANY({given(list(who.scope))}::text[]) OR {alias}.owner = {given(who.username)} OR ({alias}.queue"
        f" IS NULL AND ({alias}.owner IS NULL OR {alias}.owner = ANY({given(list(who.people))}::text[]))))"
    )


class Values:
    """The values of a query, in the order of their places."""

    def __init__(self, *values: Any) -> None:
        self.all = list(values)

    def given(self, value: Any) -> str:
        """One more; where it stands."""
        self.all.append(value)
        return f"${len(self.all)}"
