"""Complaints in Postgres. Every change is one transaction with its line in the history, made from a revision that was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from cti.casework import causes
from cti.casework import complaints as rules_of
from cti.casework.complaints import DUE, OPEN, ComplaintRules, Move, Severity, State, Verdict
from cti.casework.rows import (
    Asker,
    CaseRefused,
    CauseCounts,
    ComplaintChange,
    ComplaintDetail,
    ComplaintFilter,
    ComplaintRow,
    Escalation,
    NewComplaint,
)
from cti.crm.case_base import CaseGround, Values, complaint_rules, history, seen_by, write_event
from cti.crm.trouble import naming
from cti.ids import CallId, CustomerId

RECENT = timedelta(days=30)
"""What `counts` takes for lately closed."""

_ROW = """
SELECT c.complaint_id, c.revision, c.source, u.customer_id, coalesce(u.name, c.contact_name) AS customer_name,
       coalesce(u.tier, '') AS tier, c.number, c.language, c.subject, c.cause, c.severity, c.state, c.owner, c.queue,
       c.opened_at, c.due_at, c.state = ANY('{new,assigned,in_progress,waiting}') AND c.due_at < $1 AS overdue,
       c.escalation, c.verdict, c.closed_at, c.text, c.call_id, c.recording, c.registered_by, c.resolution,
       c.resolved_at, c.verdict_note
  FROM crm.complaints c
  LEFT JOIN crm.identities i ON i.customer_id = c.customer_id
  LEFT JOIN crm.customers u ON u.customer_id = i.current_id
"""
_SHOWN = tuple(ComplaintRow.__dataclass_fields__)


class StoredComplaints:
    """Satisfies `cti.services.casework.Complaints`."""

    def __init__(self, ground: CaseGround) -> None:
        self._ground = ground

    # -- registering -----------------------------------------------------------------------------------------------

    async def register(self, new: NewComplaint, *, by: str) -> tuple[ComplaintDetail, bool]:
        """See `Complaints.register`."""
        with naming("the complaint cannot be registered"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                rules = await complaint_rules(connection, self._ground.centre())
                number, made = await self.register_in(connection, new, rules, by=by)
                return await self._detail(connection, number), made

    async def register_in(
        self, connection: asyncpg.Connection, new: NewComplaint, rules: ComplaintRules, *, by: str
    ) -> tuple[int, bool]:
        """The same within a transaction: its number, and whether it is new."""
        centre, now = self._ground.centre(), self._ground.now()
        if not causes.knows(rules.causes, new.cause):
            raise CaseRefused("unknown_cause", f"there is no cause {new.cause!r}", status=400, remedy="see the causes")
        if new.queue and new.queue not in centre.queues:
            raise CaseRefused("unknown_queue", f"there is no queue {new.queue!r}", status=400, remedy="see the queues")
        number = self._ground.number(new.number)
        customer = await self._customer(connection, new.customer_id, number)
        severity = (
            Severity(new.severity)
            if new.severity
            else rules_of.severity_for(rules, customer["tier"] if customer is not None else "")
        )
        opened = min(new.opened_at or now, now)
        row = await connection.fetchrow(
            "INSERT INTO crm.complaints (source, source_key, customer_id, call_id, contact_name, number, language,"
            " subject, text, recording, cause, severity, state, owner, queue, registered_by, opened_at, due_at,"
            " changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
            " ON CONFLICT (source_key) DO NOTHING RETURNING complaint_id",
            new.source,
            new.key,
            customer["customer_id"] if customer is not None else None,
            new.call_id,
            new.contact_name,
            number,
            new.language or (customer["language"] if customer is not None else ""),
            new.subject,
            new.text,
            new.recording,
            new.cause,
            severity,
            State.ASSIGNED if new.owner else State.NEW,
            new.owner,
            new.queue or rules.queue or None,
            by,
            opened,
            rules_of.deadline(rules, severity, opened),
            now,
        )
        if row is None:
            known = await connection.fetchval("SELECT complaint_id FROM crm.complaints WHERE source_key = $1", new.key)
            return known, False
        found: int = row["complaint_id"]
        await write_event(
            connection,
            at=opened,
            subject="complaint",
            subject_id=found,
            kind="registered",
            author=by,
            after=str(severity),
            note=new.subject,
            customer_id=customer["customer_id"] if customer is not None else None,
        )
        return found, True

    async def _customer(
        self, connection: asyncpg.Connection, customer_id: CustomerId | None, number: str | None
    ) -> asyncpg.Record | None:
        """The customer by number of ours, else the only one with that telephone number."""
        if customer_id is not None:
            row = await connection.fetchrow(
                "SELECT u.customer_id, u.tier, u.language FROM crm.identities i JOIN crm.customers u"
                " ON u.customer_id = i.current_id WHERE i.customer_id = $1",
                customer_id,
            )
            if row is None:
                raise CaseRefused(
                    "unknown_customer", f"no customer has the number {customer_id}", status=400, remedy="leave it out"
                )
            return row
        rows = (
            await connection.fetch(
                "SELECT u.customer_id, u.tier, u.language FROM crm.phones p JOIN crm.customers u USING (customer_id)"
                " WHERE p.number = $1 AND u.merged_into IS NULL LIMIT 2",
                number,
            )
            if number
            else []
        )
        return rows[0] if len(rows) == 1 else None

    # -- looking ---------------------------------------------------------------------------------------------------

    async def list(self, which: ComplaintFilter) -> Sequence[ComplaintRow]:
        """See `Complaints.list`."""
        values = Values(self._ground.now())
        given = values.given
        parts = [seen_by(which.who, "c", given)]
        if which.states:
            parts.append(f"c.state = ANY({given(list(which.states))}::text[])")
        if which.owner is not None:
            parts.append(f"c.owner = {given(which.owner)}")
        if which.customer_id is not None:
            parts.append(
                f"i.current_id = (SELECT current_id FROM crm.identities WHERE customer_id = {given(which.customer_id)})"  # noqa: S608 - own words only
            )
        if which.cause is not None:
            place = given(which.cause)
            parts.append(f"(c.cause = {place} OR {place} <> '' AND starts_with(c.cause, {place} || '/'))")
        if which.severity:
            parts.append(f"c.severity = {given(which.severity)}")
        if which.overdue:
            parts.append("c.state = ANY('{new,assigned,in_progress,waiting}') AND c.due_at < $1")
        if which.words:
            place = given(f"%{_plain_like(which.words)}%")
            parts.append(
                f"(c.subject ILIKE {place} OR c.text ILIKE {place} OR coalesce(u.name, c.contact_name) ILIKE {place})"
            )
        if which.since is not None:
            parts.append(f"c.opened_at >= {given(which.since)}")
        if which.until is not None:
            parts.append(f"c.opened_at < {given(which.until)}")
        if which.before is not None:
            parts.append(f"c.complaint_id < {given(which.before)}")
        where = f" WHERE {' AND '.join(parts)}"
        with naming("complaints cannot be read"):
            rows = await self._ground.pool.fetch(
                f"{_ROW}{where} ORDER BY c.complaint_id DESC LIMIT {given(which.limit)}",
                *values.all,
            )
        return tuple(_row(row) for row in rows)

    async def counts(self, who: Asker | None = None) -> Mapping[str, int]:
        """See `Complaints.counts`."""
        now = self._ground.now()
        values = Values(now, sorted(OPEN), now - RECENT)
        with naming("complaints cannot be counted"):
            rows = await self._ground.pool.fetch(
                "SELECT state, count(*) AS n, count(*) FILTER (WHERE due_at < $1) AS late FROM crm.complaints c"  # noqa: S608 - own words only
                " WHERE (state = ANY($2::text[]) OR state = 'closed' AND closed_at >= $3)"
                f" AND {seen_by(who, 'c', values.given)} GROUP BY state",
                *values.all,
            )  # fmt: skip
        found = {str(state): 0 for state in (*State,) if state is not State.DISMISSED}
        found |= {row["state"]: row["n"] for row in rows}
        return {**found, "overdue": sum(row["late"] for row in rows if row["state"] in DUE)}

    async def one(self, complaint_id: int, who: Asker | None = None) -> ComplaintDetail:
        """See `Complaints.one`."""
        with naming("the complaint cannot be read"):
            async with self._ground.pool.acquire() as connection:
                found = await self._detail(connection, complaint_id)
        if who is not None and not who.sees(found.complaint.queue, found.complaint.owner):
            raise _unknown(complaint_id)
        return found

    async def _detail(self, connection: asyncpg.Connection, complaint_id: int) -> ComplaintDetail:
        row = await connection.fetchrow(f"{_ROW} WHERE c.complaint_id = $2", self._ground.now(), complaint_id)
        if row is None:
            raise _unknown(complaint_id)
        return ComplaintDetail(
            complaint=_row(row),
            text=row["text"],
            call_id=CallId(row["call_id"]) if row["call_id"] else None,
            recording=row["recording"],
            registered_by=row["registered_by"],
            resolution=row["resolution"],
            resolved_at=row["resolved_at"],
            verdict_note=row["verdict_note"],
            moves=tuple(rules_of.moves_from(State(row["state"]))),
            history=await history(connection, "complaint", complaint_id),
        )

    # -- changing --------------------------------------------------------------------------------------------------

    async def change(
        self, complaint_id: int, change: ComplaintChange, *, by: Asker, revision: int | None
    ) -> ComplaintDetail:
        """See `Complaints.change`. An agent may change what is theirs, or nobody's yet."""
        with naming("the complaint cannot be changed"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(
                    "SELECT * FROM crm.complaints WHERE complaint_id = $1 FOR UPDATE", complaint_id
                )
                if row is None or not by.sees(row["queue"], row["owner"]):
                    raise _unknown(complaint_id)
                if revision is not None and row["revision"] != revision:
                    raise CaseRefused(
                        "edit_conflict",
                        "somebody changed this complaint meanwhile",
                        remedy="read it again, then decide",
                    )
                if not by.supervises and row["owner"] not in (None, by.username):
                    raise CaseRefused(
                        "not_yours", f"this complaint is {row['owner']}'s", status=403, remedy="ask a supervisor"
                    )
                rules = await complaint_rules(connection, self._ground.centre())
                await self._change(connection, row, change, rules, by)
                return await self._detail(connection, complaint_id)

    async def _change(
        self,
        connection: asyncpg.Connection,
        row: asyncpg.Record,
        change: ComplaintChange,
        rules: ComplaintRules,
        by: Asker,
    ) -> None:
        now, number = self._ground.now(), row["complaint_id"]
        sets: dict[str, Any] = {}
        events: list[tuple[str, str, str, str]] = []
        if change.severity is not None and change.severity != row["severity"]:
            severity = Severity(change.severity)
            sets |= {"severity": severity, "due_at": rules_of.deadline(rules, severity, row["opened_at"])}
            sets["escalation"] = 0
            events.append(("severity", row["severity"], severity, ""))
        if change.cause is not None and change.cause != row["cause"]:
            if not causes.knows(rules.causes, change.cause):
                raise CaseRefused(
                    "unknown_cause", f"there is no cause {change.cause!r}", status=400, remedy="see the causes"
                )
            sets["cause"] = change.cause
            events.append(("cause", row["cause"], change.cause, ""))
        if change.due_at is not None and change.due_at != row["due_at"]:
            if not by.supervises:
                raise CaseRefused(
                    "supervisors_only", "deadlines are changed by supervisors", status=403, remedy="ask one"
                )
            sets |= {"due_at": change.due_at, "escalation": 0}
            events.append(("deadline", row["due_at"].isoformat(), change.due_at.isoformat(), change.note))
        move = Move(change.move) if change.move is not None else None
        if move is None and change.owner is not None and change.owner != row["owner"]:
            move = Move.ASSIGN
        if move is not None:
            sets |= self._moved(row, move, change, by, now)
            events.append((f"moved:{move}", row["state"], sets.get("state", row["state"]), change.note))
            if sets.get("owner", row["owner"]) != row["owner"]:
                events.append(("assigned", row["owner"] or "", sets["owner"], ""))
        elif change.note:
            events.append(("action", "", "", change.note))
        if not events:
            return
        names = list(sets)
        await connection.execute(
            "UPDATE crm.complaints SET revision = revision + 1, changed_at = $2"  # noqa: S608 - own words only
            + "".join(f", {name} = ${index}" for index, name in enumerate(names, start=3))
            + " WHERE complaint_id = $1",
            number, now, *(sets[name] for name in names),
        )  # fmt: skip
        for kind, before, after, note in events:
            await write_event(
                connection, at=now, subject="complaint", subject_id=number, kind=kind, author=by.username,
                before=str(before), after=str(after), note=note, customer_id=row["customer_id"],
            )  # fmt: skip

    def _moved(
        self, row: asyncpg.Record, move: Move, change: ComplaintChange, by: Asker, now: datetime
    ) -> dict[str, Any]:
        """The columns that a move sets."""
        state = State(row["state"])
        sets: dict[str, Any] = {"state": rules_of.after(state, move)}
        if move is Move.ASSIGN:
            owner = change.owner or by.username
            if owner.isdigit() and owner not in self._ground.centre().agents:
                raise CaseRefused("unknown_agent", f"there is no agent {owner}", status=400, remedy="choose another")
            sets |= {"owner": owner, "snoozed_until": None}
        elif move in (Move.START, Move.REOPEN, Move.REFUSE) and row["owner"] is None:
            sets["owner"] = by.username
        if move is Move.RESOLVE:
            resolution = (change.resolution or "").strip()
            if not resolution:
                raise CaseRefused("no_resolution", "what was done must be said", status=400, remedy="send resolution")
            sets |= {"resolution": resolution, "resolved_at": now}
        if move in (Move.ACCEPT, Move.REFUSE):
            verdict = Verdict(change.verdict) if change.verdict else None
            if move is Move.REFUSE:
                verdict = Verdict.DISSATISFIED
            sets |= {"verdict": verdict, "verdict_note": change.note}
        if move is Move.DISMISS and not change.note.strip():
            raise CaseRefused("no_reason", "say why it is dismissed", status=400, remedy="send note")
        if sets["state"] in (State.CLOSED, State.DISMISSED):
            sets["closed_at"] = now
        elif state in (State.CLOSED, State.DISMISSED) or move is Move.REFUSE:
            # It starts afresh: the old deadline is long over.
            term = max(timedelta(hours=1), row["due_at"] - row["opened_at"])
            sets |= {"closed_at": None, "due_at": now + term, "escalation": 0}
        return sets

    # -- figures ---------------------------------------------------------------------------------------------------

    async def causes(self, *, since: datetime, until: datetime, level: int, who: Asker | None = None) -> CauseCounts:
        """See `Complaints.causes`. Dismissed ones do not count."""
        values = Values(since, until)
        with naming("complaints cannot be counted"):
            rows = await self._ground.pool.fetch(
                "SELECT cause, count(*) AS n FROM crm.complaints c WHERE opened_at >= $1 AND opened_at < $2"  # noqa: S608 - own words only
                f" AND state <> 'dismissed' AND {seen_by(who, 'c', values.given)} GROUP BY cause",
                *values.all,
            )  # fmt: skip
            rules = await complaint_rules(self._ground.pool, self._ground.centre())
        counts = {row["cause"]: row["n"] for row in rows}
        return CauseCounts(
            total=sum(counts.values()),
            counts=counts,
            bars=tuple(causes.pareto(counts, level)),
            tree=causes.tree(rules.causes, counts),
        )

    # -- deadlines -------------------------------------------------------------------------------------------------

    async def escalate(self) -> int:
        """Remind owners and tell supervisors of what is due; each step once. How many steps were taken."""
        now = self._ground.now()
        steps: list[Escalation] = []
        with naming("complaints cannot be escalated"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                rules = await complaint_rules(connection, self._ground.centre())
                longest = max(term.remind for term in rules.terms.values())
                rows = await connection.fetch(
                    "SELECT complaint_id, severity, state, due_at, escalation, owner, queue, subject, customer_id,"
                    " number, language FROM crm.complaints WHERE state = ANY('{new,assigned,in_progress,waiting}')"
                    " AND escalation < 2 AND due_at < $1 ORDER BY complaint_id LIMIT 1000 FOR UPDATE SKIP LOCKED",
                    now + longest,
                )
                for row in rows:
                    reached = rules_of.escalation(
                        rules, Severity(row["severity"]), State(row["state"]), row["due_at"], now
                    )
                    for step in range(row["escalation"] + 1, reached + 1):
                        if step == 1 and row["owner"] is None:
                            continue
                        await self._escalate(connection, row, step, now)
                        steps.append(
                            Escalation(
                                complaint_id=row["complaint_id"],
                                step=step,
                                subject=row["subject"],
                                owner=row["owner"],
                                due_at=row["due_at"],
                                queue=row["queue"],
                            )
                        )
                    if reached > row["escalation"]:
                        await connection.execute(
                            "UPDATE crm.complaints SET escalation = $2 WHERE complaint_id = $1",
                            row["complaint_id"], reached,
                        )  # fmt: skip
        for one in steps:  # now that it is so, whatever happens
            self._ground.tell(one)
        return len(steps)

    async def _escalate(self, connection: asyncpg.Connection, row: asyncpg.Record, step: int, now: datetime) -> None:
        number = row["complaint_id"]
        round_ = int(row["due_at"].timestamp())  # a new deadline begins anew
        await connection.execute(
            "INSERT INTO crm.tasks (kind, source_key, title, customer_id, number, language, complaint_id, owner, queue,"
            " for_role, created_at, due_at) VALUES ('escalation', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
            " ON CONFLICT (source_key) DO NOTHING",
            f"escalation:{number}:{step}:{round_}", row["subject"], row["customer_id"], row["number"], row["language"],
            number, row["owner"] if step == 1 else None, None if step == 1 else row["queue"],
            "agent" if step == 1 else "supervisor", now, row["due_at"] if step == 1 else now,
        )  # fmt: skip
        await write_event(
            connection, at=now, subject="complaint", subject_id=number, kind="escalated", before=str(step - 1),
            after=str(step), note=(row["owner"] or "") if step == 1 else "supervisors", customer_id=row["customer_id"],
        )  # fmt: skip


def _row(row: asyncpg.Record) -> ComplaintRow:
    return ComplaintRow(**{name: row[name] for name in _SHOWN})


def _unknown(complaint_id: int) -> CaseRefused:
    return CaseRefused("unknown_complaint", f"there is no complaint {complaint_id}", status=404, remedy="see the list")


def _plain_like(words: str) -> str:
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
