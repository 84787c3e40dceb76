"""One customer in the database: read whole, written with a new version and an entry in its history.

Whoever writes holds the row's lock (`load(..., lock=True)`) in a transaction. The plain form (`plain`) is what histories,
merges and exports are made of: JSON values by the names of `Customer`'s fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from cti.crm.checking import EDITABLE
from cti.ids import CustomerId
from cti.services.customer_file import Address, Consent, Customer, CustomerRefused, FieldProblem, Phone

_WHOLE = """
SELECT c.*,
       (SELECT json_agg(json_build_object('number', p.number, 'raw', p.raw, 'label', p.label) ORDER BY p.place, p.number)
          FROM crm.phones p WHERE p.customer_id = c.customer_id) AS phones,
       (SELECT json_agg(json_build_array(s.channel, s.status, s.at, s.how, s.by)) FROM crm.consents s
         WHERE s.customer_id = c.customer_id) AS consents,
       ARRAY(SELECT m.customer_id FROM crm.customers m WHERE m.merged_into = c.customer_id ORDER BY 1) AS merged_from
  FROM crm.customers c
 WHERE c.customer_id = $1
"""
_COLUMNS = (
    "kind", "name", "reference", "tier", "tier_source", "tier_reason", "language", "time_zone", "company", "company_id",
    "email", "own_agent", "notes", "tags", "fields", "addresses",
)  # fmt: skip
"""Columns of the row itself; phones and consents have tables of their own."""


def _json(value: Any, empty: Any) -> Any:
    return empty if value is None else orjson.loads(value)


def customer_of(row: Any) -> Customer:
    """A whole customer out of a row of `_WHOLE`."""
    consents = {one[0]: one for one in _json(row["consents"], [])}
    return Customer(
        customer_id=CustomerId(row["customer_id"]),
        version=row["version"],
        kind=row["kind"],
        name=row["name"],
        reference=row["reference"] or "",
        tier=row["tier"],
        tier_source=row["tier_source"],
        tier_reason=row["tier_reason"],
        language=row["language"],
        time_zone=row["time_zone"],
        company=row["company"],
        company_id=CustomerId(row["company_id"]) if row["company_id"] is not None else None,
        email=row["email"],
        own_agent=row["own_agent"],
        notes=row["notes"],
        tags=tuple(row["tags"]),
        fields=_json(row["fields"], {}),
        phones=tuple(Phone(**one) for one in _json(row["phones"], [])),
        addresses=tuple(Address(**one) for one in _json(row["addresses"], [])),
        consents=tuple(
            Consent(channel=c, status=status, at=datetime.fromisoformat(at).astimezone(UTC), how=how, by=by)
            for c, status, at, how, by in sorted(consents.values())
        ),
        do_not_call="call" in consents and consents["call"][1] == "refused",
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        merged_from=tuple(CustomerId(one) for one in row["merged_from"]),
    )


async def load(connection: Any, customer_id: int, *, lock: bool = False, merged: bool = False) -> Customer | None:
    """The customer with exactly this number; None when there is none, or (unless `merged`) it is part of another."""
    if not 0 < customer_id < 2**63:
        return None
    row = await connection.fetchrow(_WHOLE + (" FOR UPDATE OF c" if lock else ""), customer_id)
    if row is None or (row["merged_into"] is not None and not merged):
        return None
    return customer_of(row)


async def current_id(connection: Any, customer_id: int) -> int:
    """The customer this number stands for now."""
    if not 0 < customer_id < 2**63:
        return customer_id
    found = await connection.fetchval("SELECT current_id FROM crm.identities WHERE customer_id = $1", customer_id)
    return customer_id if found is None else int(found)


def plain(customer: Customer) -> dict[str, Any]:
    """What people and programs may set of the customer, and how the tier came about, as JSON values."""
    return {
        "kind": customer.kind,
        "name": customer.name,
        "reference": customer.reference,
        "tier": customer.tier,
        "tier_source": customer.tier_source,
        "tier_reason": customer.tier_reason,
        "language": customer.language,
        "time_zone": customer.time_zone,
        "company": customer.company,
        "company_id": customer.company_id,
        "email": customer.email,
        "own_agent": customer.own_agent,
        "notes": customer.notes,
        "tags": list(customer.tags),
        "fields": dict(customer.fields),
        "phones": [{"number": one.number, "raw": one.raw, "label": one.label} for one in customer.phones],
        "addresses": [
            {"label": a.label, "street": a.street, "city": a.city, "region": a.region, "postal_code": a.postal_code,
             "country": a.country}
            for a in customer.addresses
        ],
        "consents": [
            {"channel": c.channel, "status": c.status, "at": c.at.isoformat(), "how": c.how, "by": c.by}
            for c in customer.consents
        ],
    }  # fmt: skip


def differing(before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that are not so already."""
    return {name: value for name, value in values.items() if before.get(name) != value}


def with_fields(before: Customer, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values`, in which the centre's own fields that are not named stay as they are."""
    if "fields" not in values:
        return dict(values)
    return {**values, "fields": _filled({**before.fields, **values["fields"]})}


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


async def insert(connection: Any, values: Mapping[str, Any], *, by: str, what: str = "created") -> Customer:
    """Add a customer; `values` were checked. Raises `CustomerRefused` when the reference is another customer's."""
    values = {"name": "", **values}
    if "fields" in values:
        values["fields"] = _filled(values["fields"])
    if values.get("tier_source") is None:
        values["tier_source"] = "override" if values.get("tier") else "import"
    await _see_company(connection, values.get("company_id"), 0)
    columns = [name for name in _COLUMNS if name in values]
    row_id = await connection.fetchval(
        f"INSERT INTO crm.customers ({', '.join(columns)})"  # noqa: S608 - names of our own columns
        f" VALUES ({', '.join(f'${place}' for place in range(1, len(columns) + 1))})"
        " ON CONFLICT (reference) DO NOTHING RETURNING customer_id",
        *(_stored(name, values[name]) for name in columns),
    )
    if row_id is None:
        raise _taken(str(values.get("reference")))
    await _write_lists(connection, row_id, values)
    found = await load(connection, row_id)
    assert found is not None
    after = {name: value for name, value in plain(found).items() if value not in ("", [], {}, None)}
    await _remember(connection, row_id, version=1, by=by, what=what, before={}, after=after)
    return found


_EMPTY: Mapping[str, Any] = {
    "kind": "person", "name": "", "reference": "", "tier": "regular", "tier_source": "import", "tier_reason": "", "language": "",
    "time_zone": "", "company": "", "company_id": None, "email": "", "own_agent": "", "notes": "", "tags": [], "fields": {},
    "addresses": [], "phones": [], "consents": [],
}  # fmt: skip
"""What a customer is of whom nothing is said."""


async def insert_many(connection: Any, many: Sequence[Mapping[str, Any]], *, by: str, what: str) -> None:
    """Add customers in one go; `many` were checked, and have references that nobody has (asyncpg's error otherwise)."""
    ids = [
        row[0]
        for row in await connection.fetch(
            "SELECT nextval(pg_get_serial_sequence('crm.customers', 'customer_id')) FROM generate_series(1, $1)",
            len(many),
        )
    ]
    all_ = [{**_EMPTY, **values, "fields": _filled(values.get("fields", {}))} for values in many]
    rows: dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]] = {
        "customers": (
            ("customer_id", *_COLUMNS),
            [(number, *(_stored(name, one[name]) for name in _COLUMNS)) for number, one in zip(ids, all_, strict=True)],
        ),
        "phones": (
            ("customer_id", "number", "raw", "label", "place"),
            [
                (number, phone["number"], phone["raw"], phone["label"], place)
                for number, one in zip(ids, all_, strict=True)
                for place, phone in enumerate(one["phones"])
            ],
        ),
        "consents": (
            ("customer_id", "channel", "status", "at", "how", "by"),
            [
                (number, each["channel"], each["status"], datetime.fromisoformat(each["at"]), each["how"], each["by"])
                for number, one in zip(ids, all_, strict=True)
                for each in one["consents"]
            ],
        ),
        "changes": (
            ("customer_id", "version", "by", "what", "before", "after"),
            [
                (
                    number,
                    1,
                    by,
                    what,
                    "{}",
                    orjson.dumps({k: v for k, v in one.items() if v not in ("", [], {}, None)}).decode(),
                )
                for number, one in zip(ids, all_, strict=True)
            ],
        ),
    }
    for table, (columns, records) in rows.items():
        if records:
            await connection.copy_records_to_table(table, schema_name="crm", columns=columns, records=records)


async def update(
    connection: Any, before: Customer, values: Mapping[str, Any], *, by: str, what: str = "changed"
) -> Customer:
    """Write the `values` that differ, as the customer's next version. Nothing differs: nothing is done.

    `values["fields"]` are all of them: see `with_fields` for some.
    """
    old = plain(before)
    new = differing(old, values)
    if not new:
        return before
    if "company_id" in new:
        await _see_company(connection, new["company_id"], before.customer_id)
    if new.get("reference"):
        other = await connection.fetchval(
            "SELECT customer_id FROM crm.customers WHERE reference = $1 AND customer_id <> $2",
            new["reference"],
            before.customer_id,
        )
        if other is not None:
            raise _taken(new["reference"])
    columns = [name for name in _COLUMNS if name in new]
    sets = "".join(f", {name} = ${place}" for place, name in enumerate(columns, start=2))
    await connection.execute(
        f"UPDATE crm.customers SET version = version + 1, changed_at = now(){sets} WHERE customer_id = $1",  # noqa: S608 - ours
        before.customer_id,
        *(_stored(name, new[name]) for name in columns),
    )
    await _write_lists(connection, before.customer_id, new)
    after = await load(connection, before.customer_id, merged=True)
    assert after is not None
    now = plain(after)
    await _remember(
        connection,
        before.customer_id,
        version=after.version,
        by=by,
        what=what,
        before={name: old[name] for name in new},
        after={name: now[name] for name in new},
    )
    return after


async def changed_since(connection: Any, customer_id: int, version: int) -> tuple[str, ...]:
    """Fields that were changed after this version."""
    rows = await connection.fetch(
        "SELECT DISTINCT jsonb_object_keys(after) AS field FROM crm.changes"
        " WHERE customer_id = $1 AND version > $2 AND what NOT IN ('note')",
        customer_id,
        version,
    )
    return tuple(sorted(one["field"] for one in rows))


async def _remember(
    connection: Any,
    customer_id: int,
    *,
    version: int,
    by: str,
    what: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    await connection.execute(
        "INSERT INTO crm.changes (customer_id, version, by, what, before, after) VALUES ($1, $2, $3, $4, $5, $6)",
        customer_id, version, by, what, orjson.dumps(before).decode(), orjson.dumps(after).decode(),
    )  # fmt: skip


remember = _remember


async def _write_lists(connection: Any, customer_id: int, values: Mapping[str, Any]) -> None:
    if "phones" in values:
        phones: Sequence[Mapping[str, str]] = values["phones"]
        await connection.execute(
            "DELETE FROM crm.phones WHERE customer_id = $1 AND number <> ALL ($2::text[])",
            customer_id,
            [one["number"] for one in phones],
        )
        await connection.executemany(
            "INSERT INTO crm.phones (customer_id, number, raw, label, place) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (customer_id, number) DO UPDATE"
            " SET raw = excluded.raw, label = excluded.label, place = excluded.place",
            [(customer_id, one["number"], one["raw"], one["label"], place) for place, one in enumerate(phones)],
        )
    if "consents" in values:
        await connection.execute("DELETE FROM crm.consents WHERE customer_id = $1", customer_id)
        await connection.executemany(
            "INSERT INTO crm.consents (customer_id, channel, status, at, how, by) VALUES ($1, $2, $3, $4, $5, $6)",
            [
                (customer_id, one["channel"], one["status"], datetime.fromisoformat(one["at"]), one["how"], one["by"])
                for one in values["consents"]
            ],
        )


async def _see_company(connection: Any, company_id: int | None, customer_id: int) -> None:
    if company_id is None:
        return
    kind = await connection.fetchval(
        "SELECT kind FROM crm.customers WHERE customer_id = $1 AND merged_into IS NULL", company_id
    )
    if kind != "company" or company_id == customer_id:
        raise CustomerRefused(
            "invalid_customer",
            "company_id: there is no such company",
            remedy="give the number of another customer that is a company",
            problems=[FieldProblem(field="company_id", message="there is no such company", problem="no_company")],
        )


def _stored(name: str, value: Any) -> Any:
    if name in ("fields", "addresses"):
        return orjson.dumps(value).decode()
    if name == "reference":
        return value or None
    return value


def _taken(reference: str) -> CustomerRefused:
    return CustomerRefused(
        "reference_taken",
        f"another customer has the reference {reference!r}",
        remedy="search for it; it may be the same customer",
        problems=[FieldProblem(field="reference", message="another customer has it", problem="reference_taken")],
    )


assert set(_COLUMNS) | {"phones", "consents"} >= set(EDITABLE)
