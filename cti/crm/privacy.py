"""A person's rights over their data, and how long data are kept: `services.customer_file.CustomerPrivacy`.

To forget somebody is to delete what is about them and to make anonymous what must stay: calls and their facts are the
figures of the centre, so the rows stay, without the person (docs/decisions/0018).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import structlog

from cti.crm import records
from cti.crm.customer_store import Office, for_change, numbers_of, unknown
from cti.errors import CtiError
from cti.ids import CustomerId
from cti.services.customer_file import Forgotten
from cti.services.recordings import RecordingEraser

_log = structlog.get_logger(__name__)

ERASED = ("caller_number", "number", "path", "note", "text", "recording", "transcript")
"""Keys of facts that say who called, or what was said; so does `data`, what flows gave agents to see. Calls from a number that was nobody else's are the customer's, too."""
DAILY = timedelta(days=1).total_seconds()
AGAIN = 600.0
"""Seconds until a day's work that failed is tried again."""
AT_A_TIME = 200
"""Customers forgotten by one run of retention at a time."""

_CALLS = """
SELECT c.call_id FROM cti.calls c WHERE c.customer_id = ANY ($1::bigint[])
UNION
SELECT c.call_id FROM cti.calls c
 WHERE c.customer_id IS NULL AND c.caller_number IN (
       SELECT p.number FROM crm.phones p WHERE p.customer_id = ANY ($1::bigint[])
          AND NOT EXISTS (SELECT FROM crm.phones q WHERE q.number = p.number AND q.customer_id <> ALL ($1::bigint[])))
"""
_ERASE_CALLS = """
UPDATE cti.calls SET caller_number = NULL, customer_id = NULL, note = NULL, recording = NULL WHERE call_id = ANY ($1::text[])
"""
_ERASE_FACTS = """
UPDATE cti.facts f SET body = (
       SELECT jsonb_object_agg(key, CASE
              WHEN key = ANY ($2::text[]) AND jsonb_typeof(value) = 'string' THEN
                   CASE WHEN key IN ('caller_number', 'recording') THEN 'null'::jsonb ELSE '""'::jsonb END
              WHEN key = 'customer_id' THEN 'null'::jsonb
              WHEN key IN ('customer_ids', 'data') THEN '[]'::jsonb
              ELSE value END)
         FROM jsonb_each(f.body::jsonb))
 WHERE call_id = ANY ($1::text[])
"""
_RECORDINGS = """
SELECT recording FROM cti.calls WHERE call_id = ANY ($1::text[])
UNION SELECT body ->> 'path' FROM cti.facts WHERE call_id = ANY ($1::text[]) AND kind = 'MessageRecorded'
UNION SELECT recording FROM crm.complaints WHERE customer_id = ANY ($2::bigint[])
UNION SELECT recording FROM crm.tasks WHERE customer_id = ANY ($2::bigint[])
"""
_ERASE_CASES = (
    # Causes, severities, times and verdicts are figures; words and numbers are the person's.
    "UPDATE crm.complaints SET contact_name = '', number = NULL, subject = '', text = '', recording = NULL, resolution = '',"
    " verdict_note = '', source_key = NULL, changed_at = now(), revision = revision + 1 WHERE customer_id = ANY ($1::bigint[])",
    "DELETE FROM crm.web_callbacks w WHERE EXISTS (SELECT FROM crm.phones p WHERE p.number = w.number"
    " AND p.customer_id = ANY ($1::bigint[])) AND NOT EXISTS (SELECT FROM crm.phones q WHERE q.number = w.number"
    " AND q.customer_id <> ALL ($1::bigint[]))",
    "DELETE FROM crm.tasks WHERE customer_id = ANY ($1::bigint[]) AND ended_at IS NULL",
    "UPDATE crm.tasks SET title = '', detail = '', number = NULL, recording = NULL, note = '', source_key = NULL"
    " WHERE customer_id = ANY ($1::bigint[])",
)
_CASES = {
    "complaints": "SELECT opened_at, subject, text, contact_name, number, cause, severity, state, resolution, verdict, verdict_note"
    " FROM crm.complaints WHERE customer_id = ANY ($1::bigint[]) ORDER BY complaint_id",
    "tasks": "SELECT created_at, kind, title, detail, number, note, ended_at FROM crm.tasks"
    " WHERE customer_id = ANY ($1::bigint[]) ORDER BY task_id",
    "follow_ups": "SELECT created_at, due_at, state, outcome, answers::text, note FROM crm.follow_ups"
    " WHERE customer_id = ANY ($1::bigint[]) ORDER BY follow_up_id",
    "web_callbacks": "SELECT DISTINCT w.at, w.name, w.number, w.about FROM crm.web_callbacks w"
    " JOIN crm.phones p USING (number) WHERE p.customer_id = ANY ($1::bigint[])",
    "transactions": "SELECT row_to_json(t)::text AS row FROM crm.transactions t WHERE customer_id = ANY ($1::bigint[])",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long data are kept, by kind; None: for ever."""

    customers: timedelta | None = None
    """Customers since their last contact, or change."""
    notes: timedelta | None = None
    history: timedelta | None = None
    imports: timedelta | None = timedelta(days=30)
    """Rows of files that were not taken."""


class Privacy:
    """See `CustomerPrivacy`. `recordings` is the folder of recordings; None: there is none here. What lies elsewhere, or
    sealed, `eraser` deletes; where it cannot, the customer is not forgotten either."""

    def __init__(
        self,
        office: Office,
        *,
        recordings: Path | None = None,
        eraser: Callable[[], RecordingEraser | None] = lambda: None,
    ) -> None:
        self._office = office
        self._recordings = recordings
        self._eraser = eraser

    async def everything(self, customer_id: CustomerId) -> Mapping[str, Any]:
        """All there is about one customer."""
        async with self._office.reading("the customer cannot be read") as connection:
            customer = await records.load(connection, await records.current_id(connection, customer_id))
            if customer is None:
                raise unknown()
            ids = [customer.customer_id, *customer.merged_from]

            async def rows(query: str) -> list[dict[str, Any]]:
                return [dict(one) for one in await connection.fetch(query, ids)]

            changes = await rows(
                "SELECT version, at, by, what, before, after FROM crm.changes WHERE customer_id = ANY ($1::bigint[])"
                " ORDER BY change_id"
            )
            for one in changes:
                one["before"], one["after"] = orjson.loads(one["before"]), orjson.loads(one["after"])
            told = asdict(customer)
            return {
                "customer": told,
                "notes": await rows(
                    "SELECT text, author, written_at, edited_at FROM crm.notes WHERE customer_id = ANY ($1::bigint[])"
                    " ORDER BY note_id"
                ),
                "contacts": await rows(
                    "SELECT call_id, at, direction, queue, outcome, agent, caller_number, did, language, disposition, note,"
                    " wait_seconds, talk_seconds, recording FROM crm.contacts WHERE customer_id = ANY ($1::bigint[])"
                    " ORDER BY at"
                ),
                "history": changes,
                **{kind: await rows(query) for kind, query in _CASES.items()},
            }

    async def forget(self, customer_id: CustomerId, *, by: str) -> Forgotten:
        """Delete the customer, and make what must stay anonymous. All of it, or nothing but sound."""
        erased = await self._erase_sounds(customer_id, by=by)
        async with self._office.writing("the customer was not deleted") as connection:
            customer = await for_change(connection, customer_id)
            ids = [customer.customer_id, *customer.merged_from]
            calls = await connection.fetch(_CALLS, ids)
            call_ids = [one["call_id"] for one in calls]
            notes, changes = [
                await connection.fetchval(f"SELECT count(*) FROM {table} WHERE customer_id = ANY ($1::bigint[])", ids)  # noqa: S608 - ours
                for table in ("crm.notes", "crm.changes")
            ]
            files = await connection.fetch(_RECORDINGS, call_ids, ids)
            await connection.execute(_ERASE_CALLS, call_ids)
            for query in _ERASE_CASES:
                await connection.execute(query, ids)
            facts = await connection.execute(_ERASE_FACTS, call_ids, list(ERASED))
            await connection.execute("DELETE FROM crm.customers WHERE customer_id = ANY ($1::bigint[])", ids)
        self._office.changed(numbers_of(customer))
        recordings = tuple(sorted(one["recording"] for one in files if one["recording"]))
        gone = await asyncio.to_thread(self._delete, recordings)
        _log.info("customer_forgotten", customer_id=customer_id, by=by, calls=len(calls))
        return Forgotten(
            customers=len(ids),
            notes=notes,
            changes=changes,
            calls=len(calls),
            facts=int(facts.rpartition(" ")[2]),
            recordings=tuple(sorted({*gone, *erased})),
        )

    async def _erase_sounds(self, customer_id: CustomerId, *, by: str) -> tuple[str, ...]:
        """Delete what was said first: a place that does not answer must not leave recordings of somebody nobody knows."""
        eraser = self._eraser()
        if eraser is None:
            return ()
        async with self._office.reading("the customer's recordings cannot be looked for") as connection:
            customer = await records.load(connection, await records.current_id(connection, customer_id))
            if customer is None:
                raise unknown()
            ids = [customer.customer_id, *customer.merged_from]
            calls = [one["call_id"] for one in await connection.fetch(_CALLS, ids)]
        return await eraser.erase_calls(calls, why="privacy", by=by)

    def _delete(self, recordings: Sequence[str]) -> tuple[str, ...]:
        gone = []
        for name in recordings if self._recordings is not None else ():
            assert self._recordings is not None
            path = (self._recordings / name).resolve()
            if path.is_relative_to(self._recordings.resolve()) and path.is_file():
                path.unlink()
                gone.append(name)
        return tuple(gone)

    async def forget_old(self, keep: Keep) -> Mapping[str, int]:
        """Delete what is older than it is kept; counts by kind."""
        now = self._office.clock.now()
        counts = {"customers": 0, "notes": 0, "history": 0, "imports": 0}
        if keep.customers is not None:
            limit = now - keep.customers
            async with self._office.reading("old customers cannot be looked for") as connection:
                old = await connection.fetch(
                    "SELECT customer_id FROM crm.customers c WHERE merged_into IS NULL AND changed_at < $1"
                    " AND NOT EXISTS (SELECT FROM crm.contacts k WHERE k.customer_id = c.customer_id AND k.at >= $1)"
                    " AND NOT EXISTS (SELECT FROM crm.notes n WHERE n.customer_id = c.customer_id AND n.written_at >= $1)"
                    " ORDER BY changed_at LIMIT $2",
                    limit, AT_A_TIME,
                )  # fmt: skip
            for one in old:
                await self.forget(CustomerId(one["customer_id"]), by="retention")
                counts["customers"] += 1
        async with self._office.writing("old data were not deleted") as connection:
            for kind, since, query in (
                ("notes", keep.notes, "DELETE FROM crm.notes WHERE coalesce(edited_at, written_at) < $1"),
                ("history", keep.history, "DELETE FROM crm.changes WHERE at < $1"),
                ("history", keep.history, "DELETE FROM crm.merges WHERE undone_at < $1"),
                ("imports", keep.imports, "DELETE FROM crm.imports WHERE state <> 'running' AND made_at < $1"),
                ("imports", timedelta(days=1), "DELETE FROM crm.imports WHERE state = 'reading' AND made_at < $1"),
            ):
                if since is not None:
                    done = await connection.execute(query, now - since)
                    counts[kind] += int(done.rpartition(" ")[2])
        if any(counts.values()):
            _log.info("old_data_deleted", **counts)
        return counts

    async def daily(self, keep: Callable[[], Keep]) -> None:
        """`forget_old`, once at the start and once a day, for ever."""
        while True:
            wait = DAILY
            try:
                if (await self.forget_old(keep()))["customers"] >= AT_A_TIME:
                    wait = AGAIN
            except CtiError as error:
                _log.warning("old_data_stay", error=error.message)
                wait = AGAIN
            await asyncio.sleep(wait)
