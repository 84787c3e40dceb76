"""Files of customers over HTTP: handed in as the body of a request, handed out piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import hdrs, web

from cti.services.customer_file import Import
from cti.web.customers.answers import rooms, telling, who
from cti.web.customers.schemas import (
    ExportQuery,
    ImportAnswer,
    ImportList,
    ImportParams,
    MappingBody,
    Preview,
    ProblemList,
    ProblemsQuery,
    UploadQuery,
)
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.wire import read_body, read_path, read_query, reply

PIECE = 64 * 1024
PIECE_SECONDS = 30.0
"""A file whose next piece takes longer to arrive is refused."""
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_AWAY = {503: "the database is away; nothing was changed"}
_UNKNOWN = {404: "unknown_import", **_AWAY}
_ONE = "/api/v1/customers/imports/{import_id:[0-9]+}"


def _id(request: web.Request) -> int:
    return read_path(request, ImportParams).import_id


def _told(item: Import) -> ImportAnswer:
    return ImportAnswer(item=item, finished=item.finished)


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(PIECE_SECONDS):
                piece = await request.content.read(PIECE)
        except TimeoutError:
            raise ApiError(408, "body_too_slow", "the file did not arrive in time", remedy="send it again") from None
        if not piece:
            return
        yield piece


@telling
async def upload(request: web.Request) -> web.Response:
    """Take a file."""
    query = read_query(request, UploadQuery)
    return reply(_told(await rooms(request).imports.upload(query.file_name, _pieces(request), by=who(request))))


@telling
async def imports(request: web.Request) -> web.Response:
    """Files that were handed in."""
    return reply(ImportList(imports=[_told(one) for one in await rooms(request).imports.imports()]))


@telling
async def one_import(request: web.Request) -> web.Response:
    """How far an import is."""
    found = await rooms(request).imports.one_import(_id(request))
    if found is None:
        raise ApiError(404, "unknown_import", "there is no such import", remedy="hand the file in again")
    return reply(_told(found))


@telling
async def preview(request: web.Request) -> web.Response:
    """What the first rows would become."""
    import_id = _id(request)
    body = await read_body(request, MappingBody)
    rows = await rooms(request).imports.preview(import_id, body.by_number())
    own = [f"field:{field.name}" for field in await rooms(request).file.fields()]
    return reply(Preview(rows=list(rows), choices=[*rooms(request).imports.meanings(), *own]))


@telling
async def run(request: web.Request) -> web.Response:
    """Begin, or go on."""
    import_id = _id(request)
    body = await read_body(request, MappingBody)
    return reply(_told(await rooms(request).imports.run(import_id, body.by_number())))


@telling
async def stop(request: web.Request) -> web.Response:
    """Stop after the rows at hand."""
    return reply(_told(await rooms(request).imports.stop(_id(request))))


@telling
async def problems(request: web.Request) -> web.Response:
    """Rows that were not taken."""
    query = read_query(request, ProblemsQuery)
    found = await rooms(request).imports.problems(_id(request), limit=query.limit, after=query.after)
    return reply(ProblemList(problems=list(found)))


@telling
async def export(request: web.Request) -> web.StreamResponse:
    """Customers as a file."""
    query = read_query(request, ExportQuery)
    pieces = rooms(request).exports.export(query.format, tag=query.tag, text=query.q)
    first = await anext(pieces, b"")  # a database that is away is told before the answer has begun
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: _TYPES[query.format],
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="customers.{query.format}"',
            hdrs.CACHE_CONTROL: "no-store",
        }
    )
    await response.prepare(request)
    await response.write(first)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="customer_export",
        method=hdrs.METH_GET,
        path="/api/v1/customers/export",
        handler=export,
        summary="Customers as CSV or XLSX",
        query=ExportQuery,
        answer=str,
        media=tuple(_TYPES.values()),
        errors=_AWAY,
    ),
    Operation(
        name="customer_imports",
        method=hdrs.METH_GET,
        path="/api/v1/customers/imports",
        handler=imports,
        summary="Files that were handed in, newest first",
        answer=ImportList,
        errors=_AWAY,
    ),
    Operation(
        name="customer_import_upload",
        method=hdrs.METH_POST,
        path="/api/v1/customers/imports",
        handler=upload,
        summary="Hand in a CSV or XLSX file: its bytes are the body",
        query=UploadQuery,
        files=("application/octet-stream", *(kind.partition(";")[0] for kind in _TYPES.values())),
        answer=ImportAnswer,
        errors={400: "unreadable_file or invalid_input", 408: "body_too_slow", 413: "too_large", **_AWAY},
    ),
    Operation(
        name="customer_import",
        method=hdrs.METH_GET,
        path=_ONE,
        handler=one_import,
        summary="How far an import is",
        params=ImportParams,
        answer=ImportAnswer,
        errors=_UNKNOWN,
    ),
    Operation(
        name="customer_import_preview",
        method=hdrs.METH_POST,
        path=_ONE + "/preview",
        handler=preview,
        summary="What the first rows would become with this mapping",
        params=ImportParams,
        body=MappingBody,
        answer=Preview,
        errors={409: "still_reading", **_UNKNOWN},
    ),
    Operation(
        name="customer_import_run",
        method=hdrs.METH_POST,
        path=_ONE + "/run",
        handler=run,
        summary="Begin an import, or go on where it was stopped",
        params=ImportParams,
        body=MappingBody,
        answer=ImportAnswer,
        errors={409: "still_reading", **_UNKNOWN},
    ),
    Operation(
        name="customer_import_stop",
        method=hdrs.METH_POST,
        path=_ONE + "/stop",
        handler=stop,
        summary="Stop an import; it can go on later",
        params=ImportParams,
        answer=ImportAnswer,
        errors=_UNKNOWN,
    ),
    Operation(
        name="customer_import_problems",
        method=hdrs.METH_GET,
        path=_ONE + "/problems",
        handler=problems,
        summary="Rows that were not taken: line, column, and what to do",
        params=ImportParams,
        query=ProblemsQuery,
        answer=ProblemList,
        errors=_AWAY,
    ),
)
