"""Customers who turn out to be one, and two again: `services.customer_file.CustomerMerging`.

The customer who goes stays as an empty row that points to the one who stays, so that calls, facts and whatever else
carries the number need not change. An undo puts both back from what the merge kept of them, and only when neither was
changed since: half an undo would lose somebody's edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from cti.crm import records
from cti.crm.customer_store import Office, for_change, numbers_of, unknown
from cti.crm.search import rows_of
from cti.ids import CustomerId
from cti.services.customer_file import Customer, CustomerRefused, Duplicate, EditConflict, FieldProblem, Merge

TAKEN = (
    "name", "reference", "tier", "language", "time_zone", "company", "company_id", "email", "own_agent", "notes", "fields",
    "addresses",
)  # fmt: skip
"""Fields of which one is chosen. Of numbers and tags both customers' stay; of consents a refusal goes before."""

_SAME_PHONE = """
SELECT DISTINCT q.customer_id FROM crm.phones p JOIN crm.phones q USING (number)
 WHERE p.customer_id = $1 AND q.customer_id <> $1 LIMIT 20
"""
_SAME_NAME = """
SELECT c.customer_id FROM crm.customers me
  JOIN crm.search_terms t ON t.term = left(array_to_string(crm.words_of(crm.fold(me.name || ' ' || me.company)), ' '), 60)
  JOIN crm.customers c ON c.customer_id = t.customer_id
 WHERE me.customer_id = $1 AND c.customer_id <> $1 AND c.merged_into IS NULL AND me.company <> ''
   AND crm.fold(c.name) = crm.fold(me.name) AND crm.fold(c.company) = crm.fold(me.company)
 LIMIT 20
"""
_SAME_EMAIL = """
SELECT c.customer_id FROM crm.customers me
  JOIN crm.search_terms t ON t.term = left(crm.fold(me.email), 60)
  JOIN crm.customers c ON c.customer_id = t.customer_id
 WHERE me.customer_id = $1 AND c.customer_id <> $1 AND c.merged_into IS NULL AND me.email <> ''
   AND lower(c.email) = lower(me.email)
 LIMIT 20
"""


class Merging:
    """See `CustomerMerging`."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def duplicates(self, customer_id: CustomerId) -> Sequence[Duplicate]:
        """Who may be the same customer: those with the most reasons first."""
        async with self._office.reading("duplicates cannot be looked for") as connection:
            customer_id = CustomerId(await records.current_id(connection, customer_id))
            reasons: dict[int, list[str]] = {}
            for reason, query in (
                ("same_phone", _SAME_PHONE),
                ("same_name_company", _SAME_NAME),
                ("same_email", _SAME_EMAIL),
            ):
                for one in await connection.fetch(query, customer_id):
                    reasons.setdefault(one["customer_id"], []).append(reason)
            order = sorted(reasons, key=lambda one: (-len(reasons[one]), one))[:20]
            rows = await rows_of(connection, order)
        return [Duplicate(row=row, reasons=tuple(reasons[row.customer_id])) for row in rows]

    async def merge(
        self,
        kept_id: CustomerId,
        gone_id: CustomerId,
        *,
        kept_version: int,
        gone_version: int,
        take: Sequence[str],
        by: str,
    ) -> Customer:
        """Make the two one; see `CustomerMerging.merge`."""
        if unknown_fields := sorted(set(take) - set(TAKEN)):
            raise CustomerRefused(
                "invalid_merge",
                f"{unknown_fields[0][:40]!r} is not chosen in a merge",
                remedy=f"one of {', '.join(TAKEN)}",
            )
        if kept_id == gone_id:
            raise CustomerRefused("same_customer", "this is one customer already", remedy="choose another customer")
        async with self._office.writing("the customers were not merged") as connection:
            locked = {}
            for one in sorted(
                (kept_id, gone_id)
            ):  # always in this order: two merges at once do not wait for each other
                customer = await records.load(connection, one, lock=True)
                if customer is None:
                    raise unknown()
                locked[one] = customer
            kept, gone = locked[kept_id], locked[gone_id]
            for customer, version in ((kept, kept_version), (gone, gone_version)):
                if customer.version != version:
                    raise EditConflict(
                        customer, {}, await records.changed_since(connection, customer.customer_id, version)
                    )
            if kept.kind != gone.kind:
                raise CustomerRefused(
                    "different_kinds",
                    "one is a person and the other a company",
                    remedy="a person belongs to a company by the field company; nothing needs to be merged",
                )
            after = await _merge(connection, kept, gone, set(take), by)
        self._office.changed(numbers_of(kept, gone))
        return after

    async def merges(self, customer_id: CustomerId) -> Sequence[Merge]:
        """Merges into this customer, newest first."""
        async with self._office.reading("merges cannot be read") as connection:
            rows = await connection.fetch(
                "SELECT m.*, m.gone_before ->> 'name' AS gone_name FROM crm.merges m WHERE kept_id = $1"
                " ORDER BY merge_id DESC LIMIT 100",
                await records.current_id(connection, customer_id),
            )
        return [
            Merge(
                merge_id=one["merge_id"],
                kept_id=CustomerId(one["kept_id"]),
                gone_id=CustomerId(one["gone_id"]),
                gone_name=one["gone_name"],
                at=one["at"],
                by=one["by"],
                undone_at=one["undone_at"],
                undone_by=one["undone_by"] or "",
            )
            for one in rows
        ]

    async def undo(self, merge_id: int, *, by: str) -> tuple[Customer, Customer]:
        """Two customers again: the one who stayed, and the one who had gone."""
        async with self._office.writing("the merge was not undone") as connection:
            merge = None
            if 0 < merge_id < 2**63:
                merge = await connection.fetchrow("SELECT * FROM crm.merges WHERE merge_id = $1 FOR UPDATE", merge_id)
            if merge is None:
                raise CustomerRefused("unknown_merge", "there is no such merge", remedy="load the customer again")
            if merge["undone_at"] is not None:
                raise CustomerRefused(
                    "already_undone", f"{merge['undone_by']} undid this merge already", remedy="load the customer again"
                )
            await for_change(connection, merge["kept_id"])
            kept = await records.load(connection, merge["kept_id"])
            gone = await records.load(connection, merge["gone_id"], lock=True, merged=True)
            if kept is None or gone is None or kept.version != merge["kept_version"]:
                raise await _in_the_way(connection, merge, kept)
            back = await _part(connection, merge, kept, gone, by)
            await connection.execute(
                "UPDATE crm.merges SET undone_at = now(), undone_by = $2 WHERE merge_id = $1", merge_id, by
            )
        self._office.changed(numbers_of(kept, *back))
        return back


def joined(kept: Mapping[str, Any], gone: Mapping[str, Any], take: set[str]) -> dict[str, Any]:
    """The values of the two as one. What one of them does not know is taken from the other."""
    out = {}
    for name in TAKEN:
        first, second = (gone, kept) if name in take else (kept, gone)
        out[name] = first[name] or second[name]
    if "tier" in take:
        out["tier_source"], out["tier_reason"] = gone["tier_source"], gone["tier_reason"]
    if kept["notes"] and gone["notes"] and "notes" not in take and gone["notes"] != kept["notes"]:
        out["notes"] = f"{kept['notes']}\n{gone['notes']}"
    first, second = (gone, kept) if "fields" in take else (kept, gone)
    out["fields"] = {**second["fields"], **first["fields"]}
    if "addresses" not in take:
        out["addresses"] = kept["addresses"] + [one for one in gone["addresses"] if one not in kept["addresses"]]
    had = {one["number"] for one in kept["phones"]}
    out["phones"] = kept["phones"] + [one for one in gone["phones"] if one["number"] not in had]
    out["tags"] = sorted({*kept["tags"], *gone["tags"]})
    consents = {one["channel"]: one for one in gone["consents"]}
    for one in kept["consents"]:
        other = consents.get(one["channel"])
        if other is None or one["status"] == "refused" or other["status"] != "refused":
            consents[one["channel"]] = one
    out["consents"] = [consents[channel] for channel in sorted(consents)]
    return out


async def _merge(connection: Any, kept: Customer, gone: Customer, take: set[str], by: str) -> Customer:
    kept_before, gone_before = records.plain(kept), records.plain(gone)
    values = joined(kept_before, gone_before, take)
    if values["company_id"] in (kept.customer_id, gone.customer_id):
        values["company_id"] = None
    old, new = kept.customer_id, gone.customer_id
    # What imports know of the two goes on to lead here: the reference that is not taken stays on the other row.
    spare = gone.reference if values["reference"] == kept.reference else kept.reference
    await connection.execute("UPDATE crm.customers SET reference = NULL WHERE customer_id = $1", new)
    notes = await connection.fetch(
        "UPDATE crm.notes SET customer_id = $1 WHERE customer_id = $2 RETURNING note_id", old, new
    )
    followers = await connection.fetch(
        "UPDATE crm.customers SET merged_into = $1 WHERE merged_into = $2 RETURNING customer_id", old, new
    )
    members = await connection.fetch(
        "UPDATE crm.customers SET company_id = $1 WHERE company_id = $2 RETURNING customer_id", old, new
    )
    await connection.execute("DELETE FROM crm.phones WHERE customer_id = $1", new)
    await connection.execute("DELETE FROM crm.consents WHERE customer_id = $1", new)
    await connection.execute(
        "UPDATE crm.customers SET merged_into = $1, version = version + 1, changed_at = now() WHERE customer_id = $2",
        old,
        new,
    )
    after = await records.update(connection, kept, values, by=by, what="merged")
    if after.version == kept.version:  # they said the same; the version still tells that something happened
        await connection.execute("UPDATE crm.customers SET version = version + 1 WHERE customer_id = $1", old)
        await records.remember(
            connection, old, version=kept.version + 1, by=by, what="merged", before={}, after={"merged": gone.name}
        )
    await connection.execute("UPDATE crm.customers SET reference = nullif($2, '') WHERE customer_id = $1", new, spare)
    await connection.execute(
        "INSERT INTO crm.merges (kept_id, gone_id, by, kept_before, gone_before, notes, followers, members, kept_version)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        old, new, by, orjson.dumps(kept_before).decode(), orjson.dumps(gone_before).decode(),
        [one[0] for one in notes], [one[0] for one in followers], [one[0] for one in members], kept.version + 1,
    )  # fmt: skip
    found = await records.load(connection, old)
    assert found is not None
    return found


async def _part(connection: Any, merge: Any, kept: Customer, gone: Customer, by: str) -> tuple[Customer, Customer]:
    ids = [merge["kept_id"], merge["gone_id"]]
    await connection.execute("UPDATE crm.customers SET reference = NULL WHERE customer_id = ANY ($1::bigint[])", ids)
    await connection.execute("UPDATE crm.customers SET merged_into = NULL WHERE customer_id = $1", gone.customer_id)
    for query, rows in (
        (
            "UPDATE crm.notes SET customer_id = $2 WHERE note_id = ANY ($3::bigint[]) AND customer_id = $1",
            merge["notes"],
        ),
        (
            "UPDATE crm.customers SET merged_into = $2 WHERE customer_id = ANY ($3::bigint[]) AND merged_into = $1",
            merge["followers"],
        ),
        (
            "UPDATE crm.customers SET company_id = $2 WHERE customer_id = ANY ($3::bigint[]) AND company_id = $1",
            merge["members"],
        ),
    ):
        await connection.execute(query, *ids, rows)
    back = []
    for one, before in ((kept, merge["kept_before"]), (gone, merge["gone_before"])):
        now = await records.load(connection, one.customer_id)
        assert now is not None
        back.append(await records.update(connection, now, orjson.loads(before), by=by, what="unmerged"))
    return back[0], back[1]


async def _in_the_way(connection: Any, merge: Any, kept: Customer | None) -> CustomerRefused:
    """What changed since the merge, by whom."""
    if kept is None:
        return CustomerRefused(
            "undo_in_the_way",
            "the customer who stayed was merged into another since",
            remedy="undo that merge first, or correct the customers by hand",
            problems=[FieldProblem(field="merged", message="into another customer")],
        )
    rows = await connection.fetch(
        "SELECT what, by, at, array(SELECT jsonb_object_keys(after)) AS fields FROM crm.changes"
        " WHERE customer_id = $1 AND version > $2 AND what <> 'note' ORDER BY change_id",
        kept.customer_id,
        merge["kept_version"],
    )
    problems = [
        FieldProblem(field=name, message=f"{one['what']} by {one['by']} at {one['at']:%Y-%m-%d %H:%M} UTC")
        for one in rows
        for name in sorted(one["fields"])
    ]
    return CustomerRefused(
        "undo_in_the_way",
        "the customer was changed since the merge: "
        + (", ".join(dict.fromkeys(p.field for p in problems)) or "see history"),
        remedy="set these fields back first, or add the other customer by hand; the history has every value",
        problems=problems,
    )
