"""Everybody's queue of tasks in Postgres: the view `crm.work` brings tasks, complaints and follow-up calls into one form."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import asyncpg

from cti.casework.rows import Asker, CaseRefused, NewTask, Work, WorkCounts
from cti.casework.tasks import work_number
from cti.crm.case_base import CaseGround, Values, seen_by, write_event
from cti.crm.trouble import naming

_TABLES = {
    "task": ("crm.tasks", "task_id", "('open', 'taken')"),
    "complaint": ("crm.complaints", "complaint_id", "('new', 'assigned', 'in_progress', 'waiting', 'resolved')"),
    "follow-up": ("crm.follow_ups", "follow_up_id", "('due', 'taken')"),
}
_SUBJECT = {"task": "task", "complaint": "complaint", "follow-up": "follow_up"}

_MINE = "w.owner = $1"
_FREE = "(w.owner IS NULL AND (w.for_role = 'agent' OR $3) AND (w.queue IS NULL OR w.queue = ANY($2::text[]) OR $3))"
_NOW = (
    "(w.snoozed_until IS NULL OR w.snoozed_until <= $4) AND (w.kind <> 'follow_up' OR w.due_at <= $4)"
    " AND (w.kind <> 'callback' OR w.due_at <= $4 + interval '1 hour')"
)
"""What is to be done now: not what is snoozed, not a call that is not due yet."""

_TYPES = "($1::text, $2::text[], $3::boolean, $4::timestamptz) IS NOT NULL"
"""True. Tells Postgres the types of the values, whichever of them the rest of a query asks for."""

_ROW = """
SELECT w.work_id, w.kind, w.state, w.title, w.detail, u.customer_id, coalesce(u.name, '') AS customer_name,
       coalesce(u.tier, '') AS tier,
       coalesce(w.number, (SELECT number FROM crm.phones h WHERE h.customer_id = u.customer_id
                            ORDER BY place, number LIMIT 1)) AS number,
       coalesce(nullif(w.language, ''), u.language, '') AS language, w.call_id, w.complaint_id, w.follow_up_id,
       w.recording, w.queue, w.owner, w.created_at, w.due_at, w.snoozed_until,
       w.due_at < $4 AND w.kind <> 'follow_up' AND w.state <> 'resolved' AS overdue, w.urgency,
       w.kind NOT IN ('complaint', 'follow_up') AS may_finish
  FROM crm.work w
  LEFT JOIN crm.identities i ON i.customer_id = w.customer_id
  LEFT JOIN crm.customers u ON u.customer_id = i.current_id
"""


class StoredTasks:
    """Satisfies `cti.services.casework.Tasks`."""

    def __init__(self, ground: CaseGround) -> None:
        self._ground = ground

    async def counts(self, who: Asker) -> WorkCounts:
        """See `Tasks.counts`."""
        values = Values(*self._values(who))
        with naming("tasks cannot be counted"):
            rows = await self._ground.pool.fetch(
                f"SELECT w.kind, {_MINE} AS mine, count(*) AS n,"  # noqa: S608 - own words only
                " count(*) FILTER (WHERE w.due_at < $4 AND w.kind <> 'follow_up' AND w.state <> 'resolved') AS late"
                f" FROM crm.work w WHERE {_TYPES} AND ({_MINE} OR {_FREE}) AND {_NOW}"
                f" AND {seen_by(who, 'w', values.given)} GROUP BY 1, 2",
                *values.all,
            )
        kinds: dict[str, int] = {}
        for row in rows:
            kinds[row["kind"]] = kinds.get(row["kind"], 0) + row["n"]
        return WorkCounts(
            kinds=kinds,
            mine=sum(row["n"] for row in rows if row["mine"]),
            free=sum(row["n"] for row in rows if not row["mine"]),
            overdue=sum(row["late"] for row in rows),
        )

    async def list(
        self,
        who: Asker,
        *,
        kinds: Sequence[str],
        whose: Literal["mine", "free", "both", "all"],
        later: bool,
        limit: int,
    ) -> Sequence[Work]:
        """See `Tasks.list`. Own tasks come before free ones, overdue before others, the urgent before the rest."""
        if whose == "all" and not who.supervises:
            raise CaseRefused("supervisors_only", "only supervisors see everybody's", status=403, remedy="ask for both")
        part = {
            "mine": _MINE,
            "free": _FREE,
            "both": f"({_MINE} OR {_FREE})",
            "all": "true",
        }
        values = Values(*self._values(who), later, list(kinds), limit)
        with naming("tasks cannot be read"):
            rows = await self._ground.pool.fetch(
                f"{_ROW} WHERE {_TYPES} AND {part[whose]} AND ($5 OR {_NOW})"
                f" AND (cardinality($6::text[]) = 0 OR w.kind = ANY($6::text[])) AND {seen_by(who, 'w', values.given)}"
                f" ORDER BY coalesce({_MINE}, false) DESC, (w.due_at < $4) DESC, w.urgency DESC, w.due_at, w.work_id"
                " LIMIT $7",
                *values.all,
            )  # fmt: skip
        return tuple(Work(**row) for row in rows)

    def _values(self, who: Asker) -> tuple[str, Sequence[str], bool, datetime]:
        return who.username, list(who.queues), who.supervises, self._ground.now()

    async def _one(self, connection: asyncpg.Connection | asyncpg.Pool, work_id: str, who: Asker) -> Work:
        row = await connection.fetchrow(f"{_ROW} WHERE {_TYPES} AND w.work_id = $5", *self._values(who), work_id)
        if row is None:
            raise _gone(work_id)
        return Work(**row)

    # -- changing --------------------------------------------------------------------------------------------------

    async def make(self, task: NewTask, *, by: Asker) -> Work:
        """See `Tasks.make`."""
        self._check(task.owner, task.queue)
        now = self._ground.now()
        owner = task.owner or (None if task.queue else by.username)
        with naming("the task cannot be made"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                try:
                    number = await connection.fetchval(
                        "INSERT INTO crm.tasks (kind, source_key, title, detail, customer_id, number, call_id, queue,"
                        " owner, state, created_at, created_by, due_at)"
                        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
                        " ON CONFLICT (source_key) DO NOTHING RETURNING task_id",
                        task.kind, f"made:{by.username}:{task.key}" if task.key else None, task.title, task.detail,
                        task.customer_id, self._ground.number(task.number), task.call_id, task.queue, owner,
                        "taken" if owner else "open", now, by.username, task.due_at,
                    )  # fmt: skip
                except asyncpg.ForeignKeyViolationError:
                    raise CaseRefused(
                        "unknown_customer", "there is no such customer", status=400, remedy="leave it out"
                    ) from None
                if number is None:
                    number = await connection.fetchval(
                        "SELECT task_id FROM crm.tasks WHERE source_key = $1", f"made:{by.username}:{task.key}"
                    )
                else:
                    await write_event(
                        connection, at=now, subject="task", subject_id=number, kind="made", author=by.username,
                        after=owner or "", note=task.title, customer_id=task.customer_id,
                    )  # fmt: skip
                return await self._one(connection, f"task-{number}", by)

    async def take(self, work_id: str, *, by: Asker) -> Work:
        """See `Tasks.take`."""
        with naming("the task cannot be taken"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                kind, number, row = await self._locked(connection, work_id, by)
                if row["owner"] == by.username:
                    return await self._one(connection, work_id, by)
                if row["owner"] is not None and not by.supervises:
                    raise CaseRefused("taken", f"{row['owner']} has it already", remedy="take another")
                await self._give(connection, kind, number, row, by, owner=by.username, queue=row["queue"], what="taken")
                return await self._one(connection, work_id, by)

    async def pass_on(self, work_id: str, *, by: Asker, owner: str | None, queue: str | None, note: str) -> Work:
        """See `Tasks.pass_on`."""
        if (owner is None) == (queue is None):
            raise CaseRefused("no_one", "give it to somebody, or to a queue", status=400, remedy="send owner or queue")
        self._check(owner, queue)
        with naming("the task cannot be passed on"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                kind, number, row = await self._locked(connection, work_id, by)
                self._must_be_theirs(row, by)
                await self._give(
                    connection, kind, number, row, by, owner=owner, queue=queue or row["queue"], what="passed_on",
                    note=note,
                )  # fmt: skip
                return await self._one(connection, work_id, by)

    async def _give(
        self,
        connection: asyncpg.Connection,
        kind: str,
        number: int,
        row: asyncpg.Record,
        by: Asker,
        *,
        owner: str | None,
        queue: str | None,
        what: str,
        note: str = "",
    ) -> None:
        table, key, _ = _TABLES[kind]
        state = {
            "task": "taken" if owner else "open",
            "follow-up": "taken" if owner and owner == by.username else "due",
            "complaint": {"new": "assigned", "assigned": "assigned"}.get(row["state"], row["state"])
            if owner
            else {"assigned": "new"}.get(row["state"], row["state"]),
        }[kind]
        more = ", revision = revision + 1, changed_at = now()" if kind == "complaint" else ""
        await connection.execute(
            f"UPDATE {table} SET owner = $2, queue = $3, state = $4, snoozed_until = NULL{more} WHERE {key} = $1",  # noqa: S608
            number, owner, queue, state,
        )  # fmt: skip
        await write_event(
            connection, at=self._ground.now(), subject=_SUBJECT[kind], subject_id=number, kind=what,
            author=by.username, before=row["owner"] or "", after=owner or queue or "", note=note,
            customer_id=row["customer_id"],
        )  # fmt: skip

    async def finish(self, work_id: str, *, by: Asker, note: str, dropped: bool) -> None:
        """See `Tasks.finish`."""
        now = self._ground.now()
        with naming("the task cannot be ended"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                kind, number, row = await self._locked(connection, work_id, by)
                if kind != "task":
                    raise CaseRefused(
                        "ends_otherwise",
                        "complaints end when they are resolved, follow-up calls with their result",
                        remedy="open it and do that",
                    )
                self._must_be_theirs(row, by)
                state = "dropped" if dropped else "done"
                await connection.execute(
                    "UPDATE crm.tasks SET state = $2, ended_at = $3, ended_by = $4, note = $5, owner = coalesce(owner, $4)"
                    " WHERE task_id = $1",
                    number, state, now, by.username, note,
                )  # fmt: skip
                await write_event(
                    connection, at=now, subject="task", subject_id=number, kind=state, author=by.username, note=note,
                    customer_id=row["customer_id"],
                )  # fmt: skip

    async def snooze(self, work_id: str, *, by: Asker, until: datetime) -> Work:
        """See `Tasks.snooze`. What nobody has is taken by it."""
        now = self._ground.now()
        if until <= now:
            raise CaseRefused("in_the_past", "until is in the past", status=400, remedy="give a later moment")
        with naming("the task cannot be snoozed"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                kind, number, row = await self._locked(connection, work_id, by)
                self._must_be_theirs(row, by)
                if row["owner"] is None:
                    await self._give(
                        connection, kind, number, row, by, owner=by.username, queue=row["queue"], what="taken"
                    )
                table, key, _ = _TABLES[kind]
                await connection.execute(f"UPDATE {table} SET snoozed_until = $2 WHERE {key} = $1", number, until)  # noqa: S608
                await write_event(
                    connection, at=now, subject=_SUBJECT[kind], subject_id=number, kind="snoozed", author=by.username,
                    after=until.isoformat(), customer_id=row["customer_id"],
                )  # fmt: skip
                return await self._one(connection, work_id, by)

    async def recording(self, work_id: str, *, by: Asker) -> str:
        """See `Tasks.recording`. Of a complaint of any state: it may be listened to again."""
        found = work_number(work_id)
        with naming("the recording cannot be found"):
            if found is not None and found[0] == "complaint":
                row = await self._ground.pool.fetchrow(
                    "SELECT 'recording:' || recording AS path, queue, owner FROM crm.complaints WHERE complaint_id = $1",
                    found[1],
                )
                return (row["path"] or "") if row is not None and by.sees(row["queue"], row["owner"]) else ""
            one = await self._one(self._ground.pool, work_id, by)
            if not by.sees(one.queue, one.owner):
                raise _gone(work_id)
            return one.recording or ""

    # -- who may ---------------------------------------------------------------------------------------------------

    async def _locked(self, connection: asyncpg.Connection, work_id: str, by: Asker) -> tuple[str, int, asyncpg.Record]:
        found = work_number(work_id)
        if found is None:
            raise _gone(work_id)
        kind, number = found
        table, key, states = _TABLES[kind]
        role = "for_role" if kind == "task" else "'agent' AS for_role"
        row = await connection.fetchrow(
            f"SELECT state, owner, queue, customer_id, {role} FROM {table} WHERE {key} = $1 AND state IN {states}"  # noqa: S608
            " FOR UPDATE",
            number,
        )
        if row is None or not by.sees(row["queue"], row["owner"]):
            raise _gone(work_id)
        mine = row["owner"] == by.username
        if not by.supervises and not mine:
            if row["for_role"] == "supervisor":
                raise CaseRefused(
                    "supervisors_only", "this task is the supervisors'", status=403, remedy="take another"
                )
            if row["owner"] is None and row["queue"] is not None and row["queue"] not in by.queues:
                raise CaseRefused(
                    "not_yours", f"this task is for agents of {row['queue']}", status=403, remedy="take another"
                )
        return kind, number, row

    def _must_be_theirs(self, row: asyncpg.Record, by: Asker) -> None:
        if row["owner"] not in (None, by.username) and not by.supervises:
            raise CaseRefused(
                "not_yours", f"this task is {row['owner']}'s", status=403, remedy="ask them, or a supervisor"
            )

    def _check(self, owner: str | None, queue: str | None) -> None:
        centre = self._ground.centre()
        if owner is not None and owner.isdigit() and owner not in centre.agents:
            raise CaseRefused("unknown_agent", f"there is no agent {owner}", status=400, remedy="choose another")
        if queue is not None and queue not in centre.queues:
            raise CaseRefused("unknown_queue", f"there is no queue {queue!r}", status=400, remedy="choose another")


def _gone(work_id: str) -> CaseRefused:
    return CaseRefused(
        "unknown_task",
        f"{work_id[:40]!r} is nothing that is to be done",
        status=404,
        remedy="reload: it may be done already",
    )
