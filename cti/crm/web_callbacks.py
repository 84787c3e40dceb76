"""Calls asked for on the web page, in Postgres: what came of each, so that a request sent twice is one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cti.casework.rows import WebCallback
from cti.crm.case_base import CaseGround, write_event
from cti.crm.trouble import naming
from cti.ids import CallId

WITHIN = timedelta(hours=2)
"""When somebody should have called whom the line could not take."""


class StoredWebCallbacks:
    """Satisfies `cti.services.casework.WebCallbacks`."""

    def __init__(self, ground: CaseGround) -> None:
        self._ground = ground

    async def known(self, key: str) -> bool | None:
        """See `WebCallbacks.known`."""
        with naming("the callback cannot be looked up"):
            row = await self._ground.pool.fetchrow("SELECT callback_id FROM crm.web_callbacks WHERE key = $1", key)
        return None if row is None else row["callback_id"] is not None

    async def keep(self, asked: WebCallback, *, callback_id: CallId | None, refused: str) -> None:
        """See `WebCallbacks.keep`."""
        now = self._ground.now()
        asked = replace(asked, number=self._ground.number(asked.number) or asked.number)
        with naming("the callback cannot be kept"):
            async with self._ground.pool.acquire() as connection, connection.transaction():
                made = await connection.fetchval(
                    "INSERT INTO crm.web_callbacks (key, at, name, number, language, queue, about, consent, callback_id,"
                    " refused) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (key) DO NOTHING"
                    " RETURNING true",
                    asked.key, now, asked.name, asked.number, asked.language, asked.queue, asked.about, asked.consent,
                    callback_id, refused,
                )  # fmt: skip
                if not made or callback_id is not None:
                    return
                customers = await connection.fetch(
                    "SELECT customer_id FROM crm.phones JOIN crm.customers USING (customer_id) WHERE number = $1"
                    " AND merged_into IS NULL LIMIT 2",
                    asked.number,
                )
                customer_id = customers[0]["customer_id"] if len(customers) == 1 else None
                number = await connection.fetchval(
                    "INSERT INTO crm.tasks (kind, source_key, title, detail, customer_id, number, language, queue,"
                    " created_at, due_at) VALUES ('web_callback', $1, $2, $3, $4, $5, $6, $7, $8, $9)"
                    " ON CONFLICT (source_key) DO NOTHING RETURNING task_id",
                    f"web:{asked.key}", asked.name, asked.about, customer_id, asked.number, asked.language, asked.queue,
                    now, now + WITHIN,
                )  # fmt: skip
                if number is not None:
                    await write_event(
                        connection, at=now, subject="task", subject_id=number, kind="made", note=refused,
                        customer_id=customer_id,
                    )  # fmt: skip
