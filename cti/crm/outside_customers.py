"""Customers another system told of, kept in our own file, so that calls, notes and tasks of theirs have a home."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cti.crm import records
from cti.crm.checking import checked
from cti.crm.customer_store import Office, numbers_of
from cti.crm.numbers import normalise
from cti.ids import CustomerId
from cti.model.outside_crm import OutsideCustomer
from cti.services.customer_file import Customer

BY = "crm"
"""Who did it, in a customer's history."""


class OutsideCustomers:
    """Satisfies `services.outside_directory.KeptCustomers`."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def keep(self, customers: Sequence[OutsideCustomer], *, number: str) -> Sequence[CustomerId]:
        """Add these customers, known by their reference, or bring them up to date; all of them have `number`.

        What the other system does not say stays. So do notes of our own, a tier a person chose, and numbers.
        Raises `RemoteError`, and `CustomerRefused` where a value cannot be; nothing was changed then.
        """
        touched: set[str] = set()
        ids: list[CustomerId] = []
        async with self._office.writing("customers of the other system were not kept") as connection:
            rules = await self._office.rules(connection, BY)
            for one in sorted(
                customers, key=lambda customer: customer.reference
            ):  # two at once wait, and do not lock up
                await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 20))", one.reference)
                found = await connection.fetchval(
                    "SELECT coalesce(merged_into, customer_id) FROM crm.customers WHERE reference = $1", one.reference
                )
                had = None if found is None else await records.load(connection, found, lock=True)
                values = checked(_said(one, had, number, rules.region), rules)
                if had is None:
                    kept = await records.insert(connection, {**values, "tier_source": "import"}, by=BY, what="created")
                else:
                    if values.get("tier", had.tier) != had.tier:
                        values |= {"tier_source": "import", "tier_reason": ""}
                    kept = await records.update(connection, had, values, by=BY)
                if had is None or kept.version != had.version:
                    touched |= numbers_of(kept)
                ids.append(kept.customer_id)
        if touched:
            self._office.changed(touched)
        return ids


def _said(one: OutsideCustomer, had: Customer | None, number: str, region: str) -> dict[str, Any]:
    """The fields to write."""
    said: dict[str, Any] = {"name": one.name}
    if had is None:
        said["reference"] = one.reference
    for name in ("language", "company"):
        if value := getattr(one, name):
            said[name] = value
    if one.tier and (had is None or had.tier_source != "override"):
        said["tier"] = one.tier
    if one.notes and (had is None or not had.notes):
        said["notes"] = one.notes
    phones = [] if had is None else [{"raw": phone.raw, "label": phone.label} for phone in had.phones]
    there = {normalise(phone["raw"], region) for phone in phones}
    for raw in (number, *one.phones):
        plain = normalise(raw, region)
        if plain is not None and plain not in there:
            there.add(plain)
            phones.append({"raw": raw, "label": ""})
    return {**said, "phones": phones[:20]}
