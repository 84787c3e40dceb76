"""Customers on the wire. What a customer is made of is in `cti.services.customer_file`; here is what may be asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, field_validator

from cti.services.customer_file import (
    Changed,
    Contact,
    Customer,
    CustomerRow,
    CustomField,
    Duplicate,
    Import,
    Merge,
    Note,
    PreviewRow,
    RowProblem,
)
from cti.web.operations import Answer, Body, Params

Number = Annotated[int, Field(ge=1, lt=2**63)]


class CustomerParams(Params):
    """Names a customer."""

    customer_id: Number


class NoteParams(Params):
    """Names a note of a customer."""

    customer_id: Number
    note_id: Number


class MergeParams(Params):
    """Names a merge."""

    merge_id: Number


class ImportParams(Params):
    """Names an import."""

    import_id: Number


class SearchQuery(Params):
    """What is typed so far. Nothing: the customers changed last."""

    q: str = ""
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    tag: Annotated[str, Field(max_length=40)] = ""
    kind: Literal["person", "company"] | None = None

    @field_validator("q", "tag")
    @classmethod
    def _sound(cls, value: str) -> str:
        value.encode()  # half of a pair of signs has no place in any database
        if "\0" in value:
            raise ValueError("the sign U+0000 is nowhere in the customer file")
        return value


class CustomerList(Answer):
    """Customers found, best first."""

    customers: list[CustomerRow]


class PhoneBody(Body):
    """A number as it is written."""

    raw: Annotated[str, Field(max_length=60)]
    label: Annotated[str, Field(max_length=40)] = ""
    number: str = ""
    """Ignored: it is read out of `raw`. Here so that what was read can be sent back."""


class AddressBody(Body):
    """A postal address."""

    label: str = ""
    street: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""


class ConsentBody(Body):
    """What a customer allows by one channel."""

    channel: Literal["call", "sms", "email", "post", "recording"]
    status: Literal["granted", "refused"]
    at: str | None = None
    how: str = ""
    by: str = ""


class CustomerValues(Body):
    """Fields of a customer; those that are left out stay as they are. `fields` of the centre's own: null empties one."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=8192)

    kind: Literal["person", "company"] | None = None
    name: str | None = None
    reference: str | None = None
    tier: str | None = None
    tier_reason: str | None = None
    language: str | None = None
    time_zone: str | None = None
    company: str | None = None
    company_id: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    email: str | None = None
    own_agent: str | None = None
    notes: str | None = None
    tags: list[str] | None = None
    fields: dict[str, str | Annotated[int, Field(ge=-(2**63), lt=2**63)] | float | None] | None = None
    phones: list[PhoneBody] | None = None
    addresses: list[AddressBody] | None = None
    consents: list[ConsentBody] | None = None

    def given(self) -> dict[str, Any]:
        """What was sent, by name."""
        values = self.model_dump(exclude_unset=True, exclude={"version", "key"})
        return {name: value for name, value in values.items() if value is not None or name == "company_id"}


class CreateBody(CustomerValues):
    """A new customer. `key` is the sender's own: sent twice, it is one customer."""

    name: str
    key: Annotated[str, Field(max_length=200)] = ""


class ChangeBody(CustomerValues):
    """Changes of a customer as it was in `version`."""

    version: Annotated[int, Field(ge=1, lt=2**31)]


class Conflict(Answer):
    """Somebody else changed the customer meanwhile: the customer as it is now, what was wanted, and where they differ."""

    error: dict[str, Any]
    customer: Customer
    wanted: dict[str, Any]
    conflicting: list[str]


class NoteBody(Body):
    """A note; `call_id`: the call it was written in."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=8192)

    text: str
    call_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None


class NoteChangeBody(Body):
    """A correction of one's own note as it was in `version`."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=8192)

    text: str
    version: Annotated[int, Field(ge=1, lt=2**31)]


class NoteList(Answer):
    """Notes, newest first."""

    notes: list[Note]


class ContactsQuery(Params):
    """A page of contacts; `before` is the time of the last one of the page before."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: AwareDatetime | None = None


class ContactList(Answer):
    """Contacts, newest first. `next_before` is the `before` of the next page.

    `queue_titles` and `agent_names` say, for those of these contacts whom the centre has today, how people call them.
    """

    contacts: list[Contact]
    next_before: datetime | None
    queue_titles: dict[str, dict[str, str]]
    agent_names: dict[str, str]


class HistoryQuery(Params):
    """A page of the history; `before` is the `change_id` of the last one of the page before."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: Annotated[int, Field(ge=1, lt=2**63)] | None = None


class History(Answer):
    """Changes, newest first."""

    changes: list[Changed]


class FieldList(Answer):
    """The centre's own fields, in their order."""

    fields: list[CustomField]


class FieldBody(Body):
    """A field of the centre's own."""

    name: str
    title: Annotated[str, Field(max_length=100)]
    kind: Literal["text", "number", "date", "choice"]
    choices: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list)


class FieldsBody(Body):
    """All of them, in their order."""

    fields: Annotated[list[FieldBody], Field(max_length=100)]


class DuplicateList(Answer):
    """Who may be the same customer, those with most reasons first."""

    duplicates: list[Duplicate]


class MergeBody(Body):
    """Make two customers one: `take` names the fields that come from the one who goes."""

    kept_id: Number
    kept_version: Annotated[int, Field(ge=1, lt=2**31)]
    gone_id: Number
    gone_version: Annotated[int, Field(ge=1, lt=2**31)]
    take: Annotated[list[str], Field(max_length=40)] = Field(default_factory=list)


class MergeList(Answer):
    """Merges into a customer, newest first."""

    merges: list[Merge]


class Parted(Answer):
    """Two customers again."""

    kept: Customer
    gone: Customer


class UploadQuery(Params):
    """Name of the file whose bytes are the body."""

    file_name: Annotated[str, Field(min_length=1, max_length=200)]


class ImportAnswer(Answer):
    """An import; `finished`: rows that are done, one way or the other."""

    item: Import
    finished: int


class ImportList(Answer):
    """Imports, newest first."""

    imports: list[ImportAnswer]


class MappingBody(Body):
    """What each column is: field by number of the column (0 is the first). Columns left out are not read."""

    mapping: Annotated[dict[str, str], Field(max_length=200)]

    def by_number(self) -> dict[int, str]:
        """With numbers as keys."""
        return {int(number): meant for number, meant in self.mapping.items()}

    @field_validator("mapping")
    @classmethod
    def _numbers(cls, value: dict[str, str]) -> dict[str, str]:
        if not all(number.isascii() and number.isdecimal() and len(number) < 5 for number in value):
            raise ValueError("the keys are numbers of columns")
        return value


class Preview(Answer):
    """What the first rows would become, and what a column may be."""

    rows: list[PreviewRow]
    choices: list[str]


class ProblemsQuery(Params):
    """A page of problems; `after` is the last line of the page before."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    after: Annotated[int, Field(ge=0, lt=2**31)] = 0


class ProblemList(Answer):
    """Rows that were not taken, in the order of their lines."""

    problems: list[RowProblem]


class ExportQuery(Params):
    """Which customers, and how."""

    format: Literal["csv", "xlsx"] = "csv"
    tag: Annotated[str, Field(max_length=40)] = ""
    q: str = ""


class ForgetBody(Body):
    """Deleting cannot be undone: the customer's name is written to say that this one is meant."""

    name: str


class ForgottenAnswer(Answer):
    """What was deleted, and what was made anonymous."""

    customers: int
    notes: int
    changes: int
    calls: int
    facts: int
    recordings: int


class Everything(Answer):
    """All there is about one customer."""

    model_config = ConfigDict(frozen=True, extra="allow")

    customer: Customer
    notes: list[dict[str, Any]]
    contacts: list[dict[str, Any]]
    history: list[dict[str, Any]]
