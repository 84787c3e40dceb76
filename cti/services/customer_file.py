"""The customer file as the web and the services may ask it: the seam to `cti.crm`. Rows are plain values, like the floor's.

The truth about customers is in Postgres. Every call here raises `cti.errors.RemoteError` when the database cannot be
asked now; then nothing was changed, unless the error says `outcome_unknown`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from cti.errors import CtiError
from cti.ids import CustomerId

Kind = Literal["person", "company"]
TierSource = Literal["rule", "override", "import"]
Channel = Literal["call", "sms", "email", "post", "recording"]
CHANNELS: tuple[Channel, ...] = ("call", "sms", "email", "post", "recording")
FieldKind = Literal["text", "number", "date", "choice"]
FileFormat = Literal["csv", "xlsx"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """What does not fit in one field. `problem` is stable: pages have words for it, with `values` in them; `message` says
    the same in English."""

    field: str
    message: str
    problem: str = ""
    values: Mapping[str, str | int] = dataclasses.field(default_factory=dict)


class CustomerRefused(CtiError):
    """The customer file refused a request; `error_id` says why, nothing changed. `problems` name fields."""

    def __init__(self, error_id: str, message: str, *, remedy: str = "", problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(message, remedy=remedy)
        self.error_id = error_id
        self.problems = tuple(problems)


class EditConflict(CustomerRefused):
    """Somebody else changed the customer meanwhile. Nothing changed: choose between `theirs` and what was wanted.

    `theirs` is the customer as it is now; `fields` those that were changed by the other since the version the edit was
    made from, and that this edit wants to be something else.
    """

    def __init__(self, theirs: Customer, wanted: Mapping[str, Any], fields: Sequence[str]) -> None:
        super().__init__(
            "edit_conflict",
            "somebody else changed this customer meanwhile",
            remedy="look at both versions, then save again with the new version number",
        )
        self.theirs = theirs
        self.wanted = dict(wanted)
        self.conflicting = tuple(fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """One number of a customer. `number` is E.164 (short internal numbers as they are), `raw` what was written."""

    number: str
    raw: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A postal address."""

    label: str = ""
    street: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a customer allows by one channel, and how we know."""

    channel: Channel
    status: Literal["granted", "refused"]
    at: datetime
    how: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A whole customer. `fields` are the centre's own, by name: text, a number, a date as YYYY-MM-DD."""

    customer_id: CustomerId
    version: int
    kind: Kind
    name: str
    reference: str
    tier: str
    tier_source: TierSource
    tier_reason: str
    language: str
    time_zone: str
    company: str
    company_id: CustomerId | None
    email: str
    own_agent: str
    notes: str
    """What an agent should know before answering."""
    tags: tuple[str, ...]
    fields: Mapping[str, Any]
    phones: tuple[Phone, ...]
    addresses: tuple[Address, ...]
    consents: tuple[Consent, ...]
    do_not_call: bool
    created_at: datetime
    changed_at: datetime
    merged_from: tuple[CustomerId, ...] = ()
    """Customers that turned out to be this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRow:
    """One line of a list of customers."""

    customer_id: CustomerId
    kind: Kind
    name: str
    company: str
    tier: str
    language: str
    reference: str
    email: str
    phones: tuple[str, ...]
    tags: tuple[str, ...]
    do_not_call: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What somebody wrote about a customer."""

    note_id: int
    text: str
    author: str
    written_at: datetime
    edited_at: datetime | None
    version: int
    call_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One contact, in whichever direction."""

    call_id: str
    at: datetime
    direction: str
    queue: str
    outcome: str
    agent: str
    number: str
    disposition: str
    note: str
    wait_seconds: float | None
    talk_seconds: float | None
    recording: str
    """Path below the folder of recordings; empty: none, or not for whoever asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One entry of a customer's history: the fields that changed, before and after."""

    change_id: int
    version: int
    at: datetime
    by: str
    what: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Somebody who may be the same customer. `reasons`: same_phone, same_name_company, same_email."""

    row: CustomerRow
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Two customers who turned out to be one."""

    merge_id: int
    kept_id: CustomerId
    gone_id: CustomerId
    gone_name: str
    at: datetime
    by: str
    undone_at: datetime | None
    undone_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomField:
    """A field of the centre's own."""

    name: str
    title: str
    kind: FieldKind
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """Why a row of a file was not taken: in which line and column, and what to do. `problem` and `values`: see `FieldProblem`;
    `field` is the field of the customer, which the remedy goes by."""

    line: int
    column: str
    message: str
    remedy: str
    field: str = ""
    problem: str = ""
    values: Mapping[str, str | int] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A file of customers that was handed in, and how far it is. `mapping`: field by number of the column."""

    import_id: int
    file_name: str
    format: str
    columns: tuple[str, ...]
    mapping: Mapping[int, str]
    state: Literal["reading", "uploaded", "running", "done", "stopped"]
    rows: int
    added: int
    changed: int
    unchanged: int
    failed: int
    by: str
    made_at: datetime
    finished_at: datetime | None

    @property
    def finished(self) -> int:
        """Rows that are done, one way or the other."""
        return self.added + self.changed + self.unchanged + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRow:
    """What a row of the file would become. `cells` as they are; `values` by field; `change`: add, change or nothing."""

    line: int
    cells: tuple[str, ...]
    values: Mapping[str, Any]
    change: str
    problems: tuple[RowProblem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was deleted and what was made anonymous when a customer was forgotten. Counts of rows."""

    customers: int
    notes: int
    changes: int
    calls: int
    facts: int
    recordings: tuple[str, ...] = field(default=(), repr=False)
    """Paths of recordings below the folder of recordings; they were deleted."""


class CustomerFile(Protocol):
    """The customer file. `by` is the user name of whoever does it. Writing raises `CustomerRefused` where it cannot be."""

    async def search(
        self, text: str, *, limit: int = 20, tag: str = "", kind: Kind | None = None
    ) -> Sequence[CustomerRow]:
        """Customers found by the beginning of a name, company, reference, e-mail, or by digits of a number; best first.

        Nothing typed: those changed last.
        """
        ...

    async def get(self, customer_id: CustomerId) -> Customer | None:
        """The customer; of one who was merged, the one who stayed. None: nobody has this number."""
        ...

    async def create(self, values: Mapping[str, Any], *, by: str, key: str = "") -> Customer:
        """Add a customer; `values` by the names of `Customer`'s fields (`phones` as mappings of raw and label).

        Asked again by the same user with the same `key` (also after a restart): the customer that was added then, as it
        is now.
        """
        ...

    async def change(self, customer_id: CustomerId, values: Mapping[str, Any], *, version: int, by: str) -> Customer:
        """Change the fields in `values` of the customer as it was in `version`. Raises `EditConflict`."""
        ...

    async def notes(self, customer_id: CustomerId) -> Sequence[Note]:
        """Newest first."""
        ...

    async def add_note(self, customer_id: CustomerId, text: str, *, by: str, call_id: str | None = None) -> Note:
        """Write a note."""
        ...

    async def edit_note(self, note_id: int, text: str, *, version: int, by: str) -> Note:
        """Correct a note of one's own."""
        ...

    async def contacts(
        self, customer_id: CustomerId, *, limit: int = 50, before: datetime | None = None
    ) -> Sequence[Contact]:
        """Calls with the customer, newest first."""
        ...

    async def history(
        self, customer_id: CustomerId, *, limit: int = 50, before: int | None = None
    ) -> Sequence[Changed]:
        """Changes of the customer, newest first; `before` is the last `change_id` of the page before."""
        ...

    async def fields(self) -> Sequence[CustomField]:
        """The centre's own fields, in their order."""
        ...

    async def define_fields(self, fields: Sequence[CustomField]) -> Sequence[CustomField]:
        """Replace the centre's own fields. Values of fields that are no more stay with the customers, unseen."""
        ...


class CustomerMerging(Protocol):
    """Customers who turn out to be one."""

    async def duplicates(self, customer_id: CustomerId) -> Sequence[Duplicate]:
        """Who may be the same customer."""
        ...

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
        """Make the two one. Fields in `take` come from the one who goes; phones, notes, tags, calls of both are kept."""
        ...

    async def merges(self, customer_id: CustomerId) -> Sequence[Merge]:
        """Merges into this customer, newest first."""
        ...

    async def undo(self, merge_id: int, *, by: str) -> tuple[Customer, Customer]:
        """Make them two again, exactly as before. Raises `CustomerRefused` undo_in_the_way naming what changed since."""
        ...


class CustomerImports(Protocol):
    """Files of customers coming in."""

    async def upload(self, file_name: str, chunks: AsyncIterator[bytes], *, by: str) -> Import:
        """Take a CSV or XLSX file; the mapping is guessed from its headings."""
        ...

    def meanings(self) -> Sequence[str]:
        """What a column may be, besides `field:<name>` for the centre's own fields."""
        ...

    async def imports(self) -> Sequence[Import]:
        """Newest first."""
        ...

    async def one_import(self, import_id: int) -> Import | None:
        """How far it is."""
        ...

    async def preview(self, import_id: int, mapping: Mapping[int, str], *, limit: int = 20) -> Sequence[PreviewRow]:
        """What the first rows would become."""
        ...

    async def run(self, import_id: int, mapping: Mapping[int, str]) -> Import:
        """Begin, or go on; the work is done in the background."""
        ...

    async def stop(self, import_id: int) -> Import:
        """Stop after the rows at hand; `run` goes on."""
        ...

    async def problems(self, import_id: int, *, limit: int = 200, after: int = 0) -> Sequence[RowProblem]:
        """Rows that were not taken, and why."""
        ...


class CustomerPrivacy(Protocol):
    """A person's rights over their data."""

    async def everything(self, customer_id: CustomerId) -> Mapping[str, Any]:
        """All there is about one customer, as plain JSON values."""
        ...

    async def forget(self, customer_id: CustomerId, *, by: str) -> Forgotten:
        """Delete the customer, and make what must stay anonymous."""
        ...
