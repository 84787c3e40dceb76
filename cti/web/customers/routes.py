"""The customer file over HTTP: one customer at a time. Files and merges are in `files` and `merges`."""

from __future__ import annotations

from dataclasses import asdict, replace

from aiohttp import hdrs, web

from cti.ids import CustomerId
from cti.services.customer_file import Customer, CustomField, Note
from cti.web.customers import files, merges
from cti.web.customers.answers import on_the_floor, rooms, telling, who
from cti.web.customers.schemas import (
    ChangeBody,
    ContactList,
    ContactsQuery,
    CreateBody,
    CustomerList,
    CustomerParams,
    Everything,
    FieldList,
    FieldsBody,
    ForgetBody,
    ForgottenAnswer,
    History,
    HistoryQuery,
    NoteBody,
    NoteChangeBody,
    NoteList,
    NoteParams,
    SearchQuery,
)
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.wire import read_body, read_path, read_query, reply

BODY = 256 * 1024
"""Bytes of a customer that is sent."""
_AWAY = {503: "the database is away; nothing was changed"}
_UNKNOWN = {404: "unknown_customer", **_AWAY}
_ONE = "/api/v1/customers/{customer_id:[0-9]+}"


def _id(request: web.Request) -> CustomerId:
    return CustomerId(read_path(request, CustomerParams).customer_id)


def _no_customer() -> ApiError:
    return ApiError(
        404, "unknown_customer", "no customer has this number", remedy="search again; it may have been deleted"
    )


@telling
async def search(request: web.Request) -> web.Response:
    """Search as you type."""
    query = read_query(request, SearchQuery)
    found = await rooms(request).file.search(query.q, limit=query.limit, tag=query.tag, kind=query.kind)
    return reply(CustomerList(customers=list(found)))


@telling
async def one(request: web.Request) -> web.Response:
    """A customer; of one who was merged, the one who stayed."""
    found = await rooms(request).file.get(_id(request))
    if found is None:
        raise _no_customer()
    return reply(found)


@telling
async def create(request: web.Request) -> web.Response:
    """Add a customer."""
    body = await read_body(request, CreateBody, limit=BODY)
    values = body.given()
    _may_set_tier(request, values.get("tier"))
    return reply(await rooms(request).file.create(values, by=who(request), key=body.key))


@telling
async def change(request: web.Request) -> web.Response:
    """Change a customer."""
    customer_id = _id(request)
    body = await read_body(request, ChangeBody, limit=BODY)
    values = body.given()
    file = rooms(request).file
    if not on_the_floor(request) and {"tier", "tier_reason"} & set(values):
        now = await file.get(customer_id)
        if now is not None and values.get("tier", now.tier) != now.tier:
            _may_set_tier(request, values["tier"])
        values.pop("tier", None)
        values.pop("tier_reason", None)
    return reply(await file.change(customer_id, values, version=body.version, by=who(request)))


def _may_set_tier(request: web.Request, tier: str | None) -> None:
    if tier is not None and not on_the_floor(request):
        raise ApiError(
            403,
            "forbidden",
            "a tier is given by rules, or by a supervisor",
            remedy="ask a supervisor to change the tier",
        )


@telling
async def notes(request: web.Request) -> web.Response:
    """Notes of a customer."""
    return reply(NoteList(notes=list(await rooms(request).file.notes(_id(request)))))


@telling
async def note_add(request: web.Request) -> web.Response:
    """Write a note."""
    customer_id = _id(request)
    body = await read_body(request, NoteBody)
    return reply(await rooms(request).file.add_note(customer_id, body.text, by=who(request), call_id=body.call_id))


@telling
async def note_change(request: web.Request) -> web.Response:
    """Correct a note of one's own."""
    params = read_path(request, NoteParams)
    body = await read_body(request, NoteChangeBody)
    return reply(await rooms(request).file.edit_note(params.note_id, body.text, version=body.version, by=who(request)))


@telling
async def contacts(request: web.Request) -> web.Response:
    """Contacts; recordings are told to supervisors and administrators only."""
    query = read_query(request, ContactsQuery)
    found = list(await rooms(request).file.contacts(_id(request), limit=query.limit, before=query.before))
    if not on_the_floor(request):
        found = [replace(contact, recording="") for contact in found]
    more = found[-1].at if len(found) == query.limit else None
    centre = request.app[DEPS].centre_now()
    queues, agents = {contact.queue for contact in found}, {contact.agent for contact in found}
    return reply(
        ContactList(
            contacts=found,
            next_before=more,
            queue_titles={name: dict(queue.titles) for name, queue in centre.queues.items() if name in queues},
            agent_names={one: agent.name for one, agent in centre.agents.items() if one in agents},
        )
    )


@telling
async def history(request: web.Request) -> web.Response:
    """Who changed what."""
    query = read_query(request, HistoryQuery)
    found = await rooms(request).file.history(_id(request), limit=query.limit, before=query.before)
    return reply(History(changes=list(found)))


@telling
async def fields(request: web.Request) -> web.Response:
    """The centre's own fields."""
    return reply(FieldList(fields=list(await rooms(request).file.fields())))


@telling
async def define_fields(request: web.Request) -> web.Response:
    """Replace the centre's own fields."""
    body = await read_body(request, FieldsBody)
    wanted = [
        CustomField(name=field.name, title=field.title, kind=field.kind, choices=tuple(field.choices))
        for field in body.fields
    ]
    return reply(FieldList(fields=list(await rooms(request).file.define_fields(wanted))))


@telling
async def everything(request: web.Request) -> web.Response:
    """All there is about one customer."""
    return reply(await rooms(request).privacy.everything(_id(request)))


@telling
async def forget(request: web.Request) -> web.Response:
    """Delete a customer for good."""
    customer_id = _id(request)
    body = await read_body(request, ForgetBody)
    found = await rooms(request).file.get(customer_id)
    if found is None:
        raise _no_customer()
    if body.name != found.name:
        raise ApiError(
            409,
            "other_name",
            "the name is not this customer's",
            remedy="write the customer's name as it is on the card",
        )
    done = await rooms(request).privacy.forget(customer_id, by=who(request))
    return reply(ForgottenAnswer(**{**asdict(done), "recordings": len(done.recordings)}))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="customers",
        method=hdrs.METH_GET,
        path="/api/v1/customers",
        handler=search,
        summary="Customers found by what is typed so far",
        query=SearchQuery,
        answer=CustomerList,
        errors=_AWAY,
    ),
    Operation(
        name="customer_create",
        method=hdrs.METH_POST,
        path="/api/v1/customers",
        handler=create,
        summary="Add a customer",
        body=CreateBody,
        body_limit=BODY,
        answer=Customer,
        errors={409: "reference_taken", **_AWAY},
    ),
    Operation(
        name="customer",
        method=hdrs.METH_GET,
        path=_ONE,
        handler=one,
        summary="One customer; of one who was merged, the one who stayed",
        params=CustomerParams,
        answer=Customer,
        errors=_UNKNOWN,
    ),
    Operation(
        name="customer_change",
        method=hdrs.METH_PATCH,
        path=_ONE,
        handler=change,
        summary="Change a customer as it was in a version",
        params=CustomerParams,
        body=ChangeBody,
        body_limit=BODY,
        answer=Customer,
        errors={409: "edit_conflict (with the customer as it is now), reference_taken", **_UNKNOWN},
    ),
    Operation(
        name="customer_forget",
        method=hdrs.METH_POST,
        path=_ONE + "/forget",
        handler=forget,
        summary="Delete a customer for good; calls stay, anonymous",
        params=CustomerParams,
        body=ForgetBody,
        answer=ForgottenAnswer,
        errors={409: "other_name", **_UNKNOWN},
    ),
    Operation(
        name="customer_everything",
        method=hdrs.METH_GET,
        path=_ONE + "/everything",
        handler=everything,
        summary="All there is about one customer, to be handed to that person",
        params=CustomerParams,
        answer=Everything,
        errors=_UNKNOWN,
    ),
    Operation(
        name="customer_notes",
        method=hdrs.METH_GET,
        path=_ONE + "/notes",
        handler=notes,
        summary="Notes of a customer, newest first",
        params=CustomerParams,
        answer=NoteList,
        errors=_AWAY,
    ),
    Operation(
        name="customer_note_add",
        method=hdrs.METH_POST,
        path=_ONE + "/notes",
        handler=note_add,
        summary="Write a note",
        params=CustomerParams,
        body=NoteBody,
        answer=Note,
        errors=_UNKNOWN,
    ),
    Operation(
        name="customer_note_change",
        method=hdrs.METH_PATCH,
        path=_ONE + "/notes/{note_id:[0-9]+}",
        handler=note_change,
        summary="Correct a note of one's own",
        params=NoteParams,
        body=NoteChangeBody,
        answer=Note,
        errors={403: "not_the_author", 404: "unknown_note", 409: "edit_conflict", **_AWAY},
    ),
    Operation(
        name="customer_contacts",
        method=hdrs.METH_GET,
        path=_ONE + "/contacts",
        handler=contacts,
        summary="Contacts with a customer, newest first",
        params=CustomerParams,
        query=ContactsQuery,
        answer=ContactList,
        errors=_AWAY,
    ),
    Operation(
        name="customer_history",
        method=hdrs.METH_GET,
        path=_ONE + "/history",
        handler=history,
        summary="Who changed what of a customer, newest first",
        params=CustomerParams,
        query=HistoryQuery,
        answer=History,
        errors=_AWAY,
    ),
    Operation(
        name="customer_fields",
        method=hdrs.METH_GET,
        path="/api/v1/customers/fields",
        handler=fields,
        summary="The centre's own fields of a customer",
        answer=FieldList,
        errors=_AWAY,
    ),
    Operation(
        name="customer_fields_define",
        method=hdrs.METH_PUT,
        path="/api/v1/customers/fields",
        handler=define_fields,
        summary="Replace the centre's own fields",
        body=FieldsBody,
        answer=FieldList,
        errors=_AWAY,
    ),
    *merges.OPERATIONS,
    *files.OPERATIONS,
)
