"""Customers in Postgres: `services.customer_file.CustomerFile`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from cti.clock import Clock, SystemClock
from cti.crm import records
from cti.crm.checking import Rules, checked, checked_fields, note_text
from cti.crm.search import search
from cti.crm.trouble import naming
from cti.ids import CustomerId
from cti.services.customer_file import (
    Changed,
    Contact,
    Customer,
    CustomerRefused,
    CustomerRow,
    CustomField,
    EditConflict,
    FieldProblem,
    Kind,
    Note,
)

MOST_ENTRIES = 200
"""Of a history or a timeline, at a time."""


def _nobody(numbers: Iterable[str]) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What every part of the customer file works with."""

    pool: asyncpg.Pool
    region: Callable[[], str] = lambda: "US"
    """Where national numbers are read; a centre may change it."""
    clock: Clock = field(default_factory=SystemClock)
    changed: Callable[[Iterable[str]], None] = _nobody
    """Told the numbers of customers who changed (the directory forgets them)."""

    @asynccontextmanager
    async def reading(self, what: str) -> AsyncIterator[Any]:
        """A connection. Raises `RemoteError`."""
        with naming(what):
            async with self.pool.acquire() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self, what: str) -> AsyncIterator[Any]:
        """A connection in a transaction. Raises `RemoteError`; nothing was changed then."""
        with naming(what):
            async with self.pool.acquire() as connection, connection.transaction():
                yield connection

    async def rules(self, connection: Any, by: str) -> Rules:
        """What values are checked against, now."""
        custom = {one.name: one for one in await custom_fields(connection)}
        return Rules(region=self.region(), custom=custom, now=self.clock.now(), by=by)


async def custom_fields(connection: Any) -> tuple[CustomField, ...]:
    """The centre's own fields, in their order."""
    rows = await connection.fetch("SELECT name, title, kind, choices FROM crm.custom_fields ORDER BY place, name")
    return tuple(
        CustomField(name=one["name"], title=one["title"], kind=one["kind"], choices=tuple(one["choices"]))
        for one in rows
    )


def unknown() -> CustomerRefused:
    """Nobody has this number."""
    return CustomerRefused(
        "unknown_customer", "no customer has this number", remedy="search again; the customer may have been deleted"
    )


async def for_change(connection: Any, customer_id: int) -> Customer:
    """The customer of this number, locked; of one who was merged, the one who stayed. Raises `CustomerRefused`."""
    for _ in range(2):  # merged in the moment between the two statements: once more
        found = await records.load(connection, await records.current_id(connection, customer_id), lock=True)
        if found is not None:
            return found
    raise unknown()


def numbers_of(*customers: Customer) -> set[str]:
    """Every number of these customers."""
    return {phone.number for one in customers for phone in one.phones}


class CustomerStore:
    """See `CustomerFile`."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def search(
        self, text: str, *, limit: int = 20, tag: str = "", kind: Kind | None = None
    ) -> Sequence[CustomerRow]:
        """See `CustomerFile.search`."""
        return await search(self._office.pool, text, region=self._office.region(), limit=limit, tag=tag, kind=kind)

    async def get(self, customer_id: CustomerId) -> Customer | None:
        """The customer; of one who was merged, the one who stayed."""
        async with self._office.reading("the customer cannot be read") as connection:
            return await records.load(connection, await records.current_id(connection, customer_id))

    async def create(self, values: Mapping[str, Any], *, by: str, key: str = "") -> Customer:
        """Add a customer; again with the same `key`: the one that was added."""
        async with self._office.writing("the customer was not added") as connection:
            if key:
                # Whoever sends the same at the same moment waits here, and then finds the other's.
                await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"add {by} {key}")
                known = await connection.fetchval(
                    "SELECT customer_id FROM crm.changes WHERE by = $1 AND request = $2", by, key
                )
                if known is not None:
                    return await for_change(connection, known)
            kept = checked(values, await self._office.rules(connection, by))
            if not kept.get("name"):
                raise CustomerRefused(
                    "invalid_customer",
                    "name: a customer needs a name",
                    remedy="give a name",
                    problems=[FieldProblem(field="name", message="a customer needs a name", problem="name_needed")],
                )
            made = await records.insert(connection, kept, by=by)
            if key:
                await connection.execute(
                    "UPDATE crm.changes SET request = $2 WHERE customer_id = $1", made.customer_id, key
                )
        self._office.changed(numbers_of(made))
        return made

    async def change(self, customer_id: CustomerId, values: Mapping[str, Any], *, version: int, by: str) -> Customer:
        """Change a customer as it was in `version`. The same edit sent twice is done once."""
        async with self._office.writing("the customer was not changed") as connection:
            wanted = checked(values, await self._office.rules(connection, by))
            before = await for_change(connection, customer_id)
            wanted = _keeping(before, records.with_fields(before, wanted))
            if not records.differing(records.plain(before), wanted):
                return before
            if before.version != version:
                theirs = await records.changed_since(connection, before.customer_id, version)
                differ = records.differing(records.plain(before), wanted)
                raise EditConflict(before, wanted, [name for name in differ if name in theirs])
            if "tier" in wanted and wanted["tier"] != before.tier:
                wanted = {"tier_reason": "", **wanted, "tier_source": "override"}
            after = await records.update(connection, before, wanted, by=by)
        self._office.changed(numbers_of(before, after))
        return after

    async def notes(self, customer_id: CustomerId) -> Sequence[Note]:
        """Newest first."""
        async with self._office.reading("notes cannot be read") as connection:
            rows = await connection.fetch(
                "SELECT * FROM crm.notes WHERE customer_id = $1 ORDER BY written_at DESC, note_id DESC LIMIT 1000",
                await records.current_id(connection, customer_id),
            )
        return [_note(one) for one in rows]

    async def add_note(self, customer_id: CustomerId, text: str, *, by: str, call_id: str | None = None) -> Note:
        """Write a note."""
        kept = note_text(text)
        async with self._office.writing("the note was not kept") as connection:
            customer = await for_change(connection, customer_id)
            row = await connection.fetchrow(
                "INSERT INTO crm.notes (customer_id, text, author, call_id, written_at) VALUES ($1, $2, $3, $4, $5)"
                " RETURNING *",
                customer.customer_id, kept, by, call_id, self._office.clock.now(),
            )  # fmt: skip
        return _note(row)

    async def edit_note(self, note_id: int, text: str, *, version: int, by: str) -> Note:
        """Correct a note of one's own; what it said before is in the customer's history."""
        kept = note_text(text)
        async with self._office.writing("the note was not changed") as connection:
            row = None
            if 0 < note_id < 2**63:
                row = await connection.fetchrow("SELECT * FROM crm.notes WHERE note_id = $1 FOR UPDATE", note_id)
            if row is None:
                raise CustomerRefused("unknown_note", "there is no such note", remedy="load the customer again")
            if row["author"] != by:
                raise CustomerRefused(
                    "not_the_author", f"{row['author']} wrote this note", remedy="add a note of your own"
                )
            if row["text"] == kept:
                return _note(row)
            if row["version"] != version:
                raise CustomerRefused(
                    "edit_conflict",
                    "you changed this note elsewhere meanwhile",
                    remedy="look at the note as it is now, then save again",
                    problems=[FieldProblem(field="text", message=row["text"])],
                )
            after = await connection.fetchrow(
                "UPDATE crm.notes SET text = $2, edited_at = $3, version = version + 1 WHERE note_id = $1 RETURNING *",
                note_id,
                kept,
                self._office.clock.now(),
            )
            of = await connection.fetchval(
                "SELECT version FROM crm.customers WHERE customer_id = $1", row["customer_id"]
            )
            await records.remember(
                connection, row["customer_id"], version=of, by=by, what="note",
                before={"note": row["text"]}, after={"note": kept},
            )  # fmt: skip
        return _note(after)

    async def contacts(
        self, customer_id: CustomerId, *, limit: int = 50, before: datetime | None = None
    ) -> Sequence[Contact]:
        """Calls with the customer, newest first."""
        async with self._office.reading("contacts cannot be read") as connection:
            rows = await connection.fetch(
                "SELECT * FROM crm.contacts WHERE customer_id = $1 AND ($3::timestamptz IS NULL OR at < $3)"
                " ORDER BY at DESC, call_id DESC LIMIT $2",
                await records.current_id(connection, customer_id), max(1, min(limit, MOST_ENTRIES)), before,
            )  # fmt: skip
        return [
            Contact(
                call_id=one["call_id"],
                at=one["at"],
                direction=one["direction"],
                queue=one["queue"] or "",
                outcome=one["outcome"],
                agent=one["agent"] or "",
                number=one["caller_number"] or "",
                disposition=one["disposition"] or "",
                note=one["note"] or "",
                wait_seconds=one["wait_seconds"],
                talk_seconds=one["talk_seconds"],
                recording=one["recording"] or "",
            )
            for one in rows
        ]

    async def history(
        self, customer_id: CustomerId, *, limit: int = 50, before: int | None = None
    ) -> Sequence[Changed]:
        """Changes of the customer, newest first."""
        async with self._office.reading("the history cannot be read") as connection:
            rows = await connection.fetch(
                "SELECT * FROM crm.changes WHERE customer_id = $1 AND ($3::bigint IS NULL OR change_id < $3)"
                " ORDER BY change_id DESC LIMIT $2",
                await records.current_id(connection, customer_id), max(1, min(limit, MOST_ENTRIES)), before,
            )  # fmt: skip
        return [
            Changed(
                change_id=one["change_id"],
                version=one["version"],
                at=one["at"],
                by=one["by"],
                what=one["what"],
                before=orjson.loads(one["before"]),
                after=orjson.loads(one["after"]),
            )
            for one in rows
        ]

    async def fields(self) -> Sequence[CustomField]:
        """The centre's own fields."""
        async with self._office.reading("the fields cannot be read") as connection:
            return await custom_fields(connection)

    async def define_fields(self, fields: Sequence[CustomField]) -> Sequence[CustomField]:
        """Replace the centre's own fields."""
        kept = checked_fields(fields)
        async with self._office.writing("the fields were not changed") as connection:
            await connection.execute("LOCK TABLE crm.custom_fields IN EXCLUSIVE MODE")
            await connection.execute("DELETE FROM crm.custom_fields")
            await connection.executemany(
                "INSERT INTO crm.custom_fields (name, title, kind, choices, place) VALUES ($1, $2, $3, $4, $5)",
                [(one.name, one.title, one.kind, list(one.choices), place) for place, one in enumerate(kept)],
            )
        return kept


def _keeping(before: Customer, wanted: dict[str, Any]) -> dict[str, Any]:
    """Consents that are only repeated keep when, how and by whom they were first given."""
    if "consents" not in wanted:
        return wanted
    had = {one["channel"]: one for one in records.plain(before)["consents"]}
    kept = [
        had[one["channel"]]
        if one["channel"] in had
        and (had[one["channel"]]["status"], had[one["channel"]]["how"]) == (one["status"], one["how"])
        else one
        for one in wanted["consents"]
    ]
    return {**wanted, "consents": sorted(kept, key=lambda one: str(one["channel"]))}


def _note(row: Any) -> Note:
    return Note(
        note_id=row["note_id"],
        text=row["text"],
        author=row["author"],
        written_at=row["written_at"],
        edited_at=row["edited_at"],
        version=row["version"],
        call_id=row["call_id"],
    )
