"""Kept reports, schedules, mails, targets and corrective actions in Postgres. All raise `RemoteError` when it is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from cti.services.report_desk import (
    Action,
    ActionState,
    ActionWish,
    Delivery,
    FileFormat,
    MailState,
    Rhythm,
    SavedReport,
    Schedule,
    ScheduleWish,
)
from cti.store.pool import naming

MAILS_SHOWN = 6
_SAVED = "report_id, name, owner, shared, search"
_TARGET = "target_id, metric, queue, target, tolerance, since, until, author"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTarget:
    """A target and the time it is, or was, in force."""

    target_id: int
    metric: str
    queue: str
    target: float
    tolerance: float
    since: datetime
    until: datetime | None
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMail:
    """A mail to be sent now."""

    mail_id: int
    due_at: datetime
    attempts: int
    message_id: str
    search: str
    name: str
    format: FileFormat
    language: str
    to: tuple[str, ...]
    author: str
    """Whoever has it sent."""


class ReportShelf:
    """One pool's tables."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    # -- kept reports

    async def saved(self, user: str) -> list[SavedReport]:
        """The user's own and the shared ones."""
        with naming("kept reports cannot be read"):
            rows = await self._pool.fetch(
                f"SELECT {_SAVED} FROM cti.saved_reports WHERE owner = $1 OR shared ORDER BY lower(name), report_id",  # noqa: S608 - own columns
                user,
            )
        return [SavedReport(**row) for row in rows]

    async def one_saved(self, report_id: int) -> SavedReport | None:
        """One, whoever's it is."""
        with naming("kept reports cannot be read"):
            row = await self._pool.fetchrow(f"SELECT {_SAVED} FROM cti.saved_reports WHERE report_id = $1", report_id)  # noqa: S608
        return None if row is None else SavedReport(**row)

    async def save(self, user: str, name: str, search: str, *, shared: bool) -> SavedReport:
        """Add one, or replace the user's of the same name."""
        with naming("the report cannot be kept"):
            row = await self._pool.fetchrow(
                "INSERT INTO cti.saved_reports (name, owner, shared, search) VALUES ($1, $2, $3, $4)"  # noqa: S608
                " ON CONFLICT (owner, name) DO UPDATE SET shared = excluded.shared, search = excluded.search, at = now()"
                f" RETURNING {_SAVED}",
                name, user, shared, search,
            )  # fmt: skip
        return SavedReport(**row)

    async def forget(self, report_id: int) -> None:
        """Remove one with its schedules."""
        with naming("the report cannot be removed"):
            await self._pool.execute("DELETE FROM cti.saved_reports WHERE report_id = $1", report_id)

    # -- schedules

    async def schedules(self, schedule_id: int | None = None) -> list[Schedule]:
        """All, or one, with the latest mails."""
        with naming("schedules cannot be read"):
            rows = await self._pool.fetch(
                "SELECT s.*, r.name FROM cti.report_schedules s JOIN cti.saved_reports r USING (report_id)"
                " WHERE $1::bigint IS NULL OR schedule_id = $1 ORDER BY lower(r.name), schedule_id",
                schedule_id,
            )
            mails = await self._pool.fetch(
                "SELECT m.* FROM unnest($1::bigint[]) AS s (id) CROSS JOIN LATERAL (SELECT * FROM cti.report_mails"
                " WHERE schedule_id = s.id ORDER BY due_at DESC LIMIT $2) AS m ORDER BY m.due_at DESC",
                [row["schedule_id"] for row in rows],
                MAILS_SHOWN,
            )
        return [_schedule(row, [mail for mail in mails if mail["schedule_id"] == row["schedule_id"]]) for row in rows]

    async def put_schedule(
        self, user: str, wish: ScheduleWish, next_at: datetime | None, *, schedule_id: int | None
    ) -> int | None:
        """Add or change one; None: there is none of this number."""
        values = (
            wish.report_id, wish.rhythm.value, wish.day, wish.at, wish.format.value, wish.language, list(wish.to), wish.active,
            user, next_at,
        )  # fmt: skip
        with naming("the schedule cannot be kept"):
            if schedule_id is None:
                found = await self._pool.fetchval(
                    "INSERT INTO cti.report_schedules (report_id, rhythm, day, at_time, format, language, recipients, active,"
                    " author, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING schedule_id",
                    *values,
                )
            else:
                found = await self._pool.fetchval(
                    "UPDATE cti.report_schedules SET report_id = $1, rhythm = $2, day = $3, at_time = $4, format = $5,"
                    " language = $6, recipients = $7, active = $8, author = $9, next_at = $10, changed_at = now()"
                    " WHERE schedule_id = $11 RETURNING schedule_id",
                    *values,
                    schedule_id,
                )
        return None if found is None else int(found)

    async def remove_schedule(self, schedule_id: int) -> None:
        """Remove one with its mails."""
        with naming("the schedule cannot be removed"):
            await self._pool.execute("DELETE FROM cti.report_schedules WHERE schedule_id = $1", schedule_id)

    # -- mails

    async def interrupted(self, trouble: str) -> int:
        """Mails that were being handed over when the last bridge ended: nobody knows of them. How many."""
        with naming("mails cannot be looked at"):
            rows = await self._pool.fetch(
                "UPDATE cti.report_mails SET state = 'unknown', next_at = NULL, trouble = $1 WHERE state = 'sending'"
                " RETURNING mail_id",
                trouble,
            )
        return len(rows)

    async def due_schedules(self, now: datetime) -> list[Schedule]:
        """Active schedules whose time has come."""
        with naming("schedules cannot be read"):
            rows = await self._pool.fetch(
                "SELECT s.*, r.name FROM cti.report_schedules s JOIN cti.saved_reports r USING (report_id)"
                " WHERE active AND next_at <= $1 ORDER BY next_at",
                now,
            )
        return [_schedule(row, []) for row in rows]

    async def book(self, schedule_id: int, was: datetime, dues: Sequence[datetime], next_at: datetime) -> bool:
        """Write down mails that are due and when the next one is, both or neither; False: somebody else did before."""
        with naming("mails cannot be written down"):
            async with self._pool.acquire() as connection, connection.transaction():
                moved = await connection.fetchval(
                    "UPDATE cti.report_schedules SET next_at = $3 WHERE schedule_id = $1 AND next_at = $2 RETURNING 1",
                    schedule_id, was, next_at,
                )  # fmt: skip
                if moved is None:
                    return False
                await connection.executemany(_BOOK, [(schedule_id, due) for due in dues])
        return True

    async def book_now(self, schedule_id: int, now: datetime) -> None:
        """Write down a mail that somebody wants now."""
        with naming("the mail cannot be written down"):
            await self._pool.execute(_BOOK, schedule_id, now)

    async def due_mails(self, now: datetime) -> list[DueMail]:
        """Mails to be sent, the oldest first."""
        with naming("mails cannot be read"):
            rows = await self._pool.fetch(
                "SELECT m.mail_id, m.due_at, m.attempts, m.message_id, r.search, r.name, s.format, s.language, s.recipients,"
                " s.author"
                " FROM cti.report_mails m JOIN cti.report_schedules s USING (schedule_id) JOIN cti.saved_reports r"
                " USING (report_id) WHERE m.state = 'due' AND m.next_at <= $1 ORDER BY m.due_at LIMIT 50",
                now,
            )
        return [
            DueMail(
                mail_id=row["mail_id"],
                due_at=row["due_at"],
                attempts=row["attempts"],
                message_id=row["message_id"],
                search=row["search"],
                name=row["name"],
                format=FileFormat(row["format"]),
                language=row["language"],
                to=tuple(row["recipients"]),
                author=row["author"],
            )
            for row in rows
        ]

    async def begin(self, mail_id: int, message_id: str) -> bool:
        """One more try; the Message-ID stays what it was first. False: it is no longer due."""
        with naming("the mail cannot be written down"):
            found = await self._pool.fetchval(
                "UPDATE cti.report_mails SET attempts = attempts + 1, message_id = CASE message_id WHEN '' THEN $2 ELSE"
                " message_id END WHERE mail_id = $1 AND state = 'due' RETURNING 1",
                mail_id,
                message_id,
            )
        return found is not None

    async def mark(
        self,
        mail_id: int,
        state: MailState,
        *,
        trouble: str = "",
        next_at: datetime | None = None,
        sent_at: datetime | None = None,
    ) -> None:
        """Write down what came of a mail."""
        with naming("the mail cannot be written down"):
            await self._pool.execute(
                "UPDATE cti.report_mails SET state = $2, trouble = $3, next_at = $4, sent_at = $5 WHERE mail_id = $1",
                mail_id, state.value, trouble[:1000], next_at, sent_at,
            )  # fmt: skip

    async def next_moment(self) -> datetime | None:
        """When there is something to do next; None: nothing is planned."""
        with naming("schedules cannot be read"):
            found: datetime | None = await self._pool.fetchval(
                "SELECT least((SELECT min(next_at) FROM cti.report_schedules WHERE active),"
                " (SELECT min(next_at) FROM cti.report_mails WHERE state = 'due'))"
            )
        return found

    # -- targets

    async def targets(self) -> list[StoredTarget]:
        """All there are and were, the oldest first."""
        with naming("targets cannot be read"):
            rows = await self._pool.fetch(f"SELECT {_TARGET} FROM cti.service_targets ORDER BY target_id")  # noqa: S608
        return [StoredTarget(**row) for row in rows]

    async def set_target(self, user: str, metric: str, queue: str, target: float, tolerance: float) -> StoredTarget:
        """Replace the target in force, if there is one."""
        with naming("the target cannot be set"):
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    "UPDATE cti.service_targets SET until = now() WHERE metric = $1 AND queue = $2 AND until IS NULL",
                    metric, queue,
                )  # fmt: skip
                row = await connection.fetchrow(
                    "INSERT INTO cti.service_targets (metric, queue, target, tolerance, author) VALUES ($1, $2, $3, $4, $5)"  # noqa: S608
                    f" RETURNING {_TARGET}",
                    metric, queue, target, tolerance, user,
                )  # fmt: skip
        return StoredTarget(**row)

    async def drop_target(self, target_id: int) -> StoredTarget | None:
        """End a target in force; None: there is none of this number."""
        with naming("the target cannot be taken away"):
            row = await self._pool.fetchrow(
                "UPDATE cti.service_targets SET until = now() WHERE target_id = $1 AND until IS NULL"  # noqa: S608
                f" RETURNING {_TARGET}",
                target_id,
            )
        return None if row is None else StoredTarget(**row)

    # -- corrective actions

    async def actions(self, today: date, action_id: int | None = None) -> list[Action]:
        """Open ones by due date, then those closed within a year, the latest first; or one."""
        with naming("corrective actions cannot be read"):
            rows = await self._pool.fetch(
                "SELECT * FROM cti.corrective_actions WHERE ($1::bigint IS NULL AND (state = 'open' OR closed_at >"
                " now() - interval '1 year')) OR action_id = $1"
                " ORDER BY state <> 'open', CASE state WHEN 'open' THEN due END, closed_at DESC, action_id LIMIT 500",
                action_id,
            )
        return [_action(row, today) for row in rows]

    async def act(self, user: str, wish: ActionWish, today: date) -> Action:
        """Add one."""
        with naming("the action cannot be kept"):
            row = await self._pool.fetchrow(
                "INSERT INTO cti.corrective_actions (metric, queue, period, cause, what, owner, due, author)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
                wish.metric, wish.queue, wish.period, wish.cause, wish.what, wish.owner, wish.due, user,
            )  # fmt: skip
        return _action(row, today)

    async def settle(
        self, action_id: int, *, state: ActionState, result: str, owner: str, due: date, today: date
    ) -> Action | None:
        """Change one; None: there is none of this number."""
        with naming("the action cannot be changed"):
            row = await self._pool.fetchrow(
                "UPDATE cti.corrective_actions SET state = $2, result = $3, owner = $4, due = $5, closed_at = CASE $2 WHEN"
                " 'open' THEN NULL ELSE coalesce(closed_at, now()) END WHERE action_id = $1 RETURNING *",
                action_id, state.value, result, owner, due,
            )  # fmt: skip
        return None if row is None else _action(row, today)


_BOOK = """
INSERT INTO cti.report_mails (schedule_id, due_at, next_at) VALUES ($1, $2, $2) ON CONFLICT (schedule_id, due_at) DO NOTHING
"""


def _schedule(row: Any, mails: Sequence[Any]) -> Schedule:
    return Schedule(
        schedule_id=row["schedule_id"],
        name=row["name"],
        author=row["author"],
        wish=ScheduleWish(
            report_id=row["report_id"],
            rhythm=Rhythm(row["rhythm"]),
            day=row["day"],
            at=row["at_time"],
            format=FileFormat(row["format"]),
            language=row["language"],
            to=tuple(row["recipients"]),
            active=row["active"],
        ),
        next_at=row["next_at"],
        deliveries=tuple(
            Delivery(
                due_at=mail["due_at"],
                state=MailState(mail["state"]),
                attempts=mail["attempts"],
                next_at=mail["next_at"],
                sent_at=mail["sent_at"],
                trouble=mail["trouble"],
            )
            for mail in mails
        ),
    )


def _action(row: Any, today: date) -> Action:
    return Action(
        action_id=row["action_id"],
        wish=ActionWish(**{name: row[name] for name in ("metric", "queue", "period", "cause", "what", "owner", "due")}),
        state=ActionState(row["state"]),
        result=row["result"],
        author=row["author"],
        at=row["at"],
        closed_at=row["closed_at"],
        overdue=row["state"] == "open" and row["due"] < today,
    )
