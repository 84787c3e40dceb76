"""Two customers who are one, over HTTP."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.ids import CustomerId
from cti.services.customer_file import Customer
from cti.web.customers.answers import rooms, telling, who
from cti.web.customers.schemas import (
    CustomerParams,
    DuplicateList,
    MergeBody,
    MergeList,
    MergeParams,
    Parted,
)
from cti.web.operations import Operation
from cti.web.wire import read_body, read_path, reply

_AWAY = {503: "the database is away; nothing was changed"}
_ONE = "/api/v1/customers/{customer_id:[0-9]+}"


def _id(request: web.Request) -> CustomerId:
    return CustomerId(read_path(request, CustomerParams).customer_id)


@telling
async def duplicates(request: web.Request) -> web.Response:
    """Who may be the same customer."""
    return reply(DuplicateList(duplicates=list(await rooms(request).merging.duplicates(_id(request)))))


@telling
async def merged(request: web.Request) -> web.Response:
    """Merges into a customer."""
    return reply(MergeList(merges=list(await rooms(request).merging.merges(_id(request)))))


@telling
async def merge(request: web.Request) -> web.Response:
    """Make two customers one."""
    body = await read_body(request, MergeBody)
    return reply(
        await rooms(request).merging.merge(
            CustomerId(body.kept_id),
            CustomerId(body.gone_id),
            kept_version=body.kept_version,
            gone_version=body.gone_version,
            take=body.take,
            by=who(request),
        )
    )


@telling
async def undo(request: web.Request) -> web.Response:
    """Make them two again."""
    kept, gone = await rooms(request).merging.undo(read_path(request, MergeParams).merge_id, by=who(request))
    return reply(Parted(kept=kept, gone=gone))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="customer_duplicates",
        method=hdrs.METH_GET,
        path=_ONE + "/duplicates",
        handler=duplicates,
        summary="Who may be the same customer: same number, same name and company, same e-mail",
        params=CustomerParams,
        answer=DuplicateList,
        errors=_AWAY,
    ),
    Operation(
        name="customer_merges",
        method=hdrs.METH_GET,
        path=_ONE + "/merges",
        handler=merged,
        summary="Customers who turned out to be this one",
        params=CustomerParams,
        answer=MergeList,
        errors=_AWAY,
    ),
    Operation(
        name="customer_merge",
        method=hdrs.METH_POST,
        path="/api/v1/customers/merge",
        handler=merge,
        summary="Make two customers one; contacts, notes and numbers of both follow",
        body=MergeBody,
        answer=Customer,
        errors={404: "unknown_customer", 409: "edit_conflict, same_customer or different_kinds", **_AWAY},
    ),
    Operation(
        name="customer_merge_undo",
        method=hdrs.METH_POST,
        path="/api/v1/customers/merges/{merge_id:[0-9]+}/undo",
        handler=undo,
        summary="Make them two again, exactly as they were",
        params=MergeParams,
        answer=Parted,
        errors={
            404: "unknown_merge",
            409: "undo_in_the_way (details name what changed since), already_undone",
            **_AWAY,
        },
    ),
)
