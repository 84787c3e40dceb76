"""Reports as files, and views kept under a name."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from aiohttp import hdrs, web
from pydantic import Field

from cti.services.report_desk import FileFormat, SavedReport
from cti.web.auth.acts import tell
from cti.web.auth.guard import session_of
from cti.web.auth.own_queues import check_ours, scope_asked
from cti.web.auth.permissions import Role
from cti.web.operations import Answer, Body, Done, Operation, Params
from cti.web.reports.asking import AWAY, Language, Line, NumberParams, desk, let_out, telling, user
from cti.web.wire import read_body, read_path, read_query, reply

_Short = Annotated[str, Field(max_length=40)]
_Listed = Annotated[str, Field(max_length=2000)]
_BAD = {400: "bad_report, bad_period"}


class ExportQuery(Params):
    """The search of the page's address, with a format and a language."""

    format: FileFormat
    language: Language = "en"
    view: _Short = ""
    period: _Short | None = None
    first: Annotated[_Short | None, Field(alias="from")] = None
    last: Annotated[_Short | None, Field(alias="to")] = None
    by: _Listed = ""
    metrics: _Listed
    compare: _Short = ""
    queue: _Listed = ""
    agent: _Listed = ""
    team: _Listed = ""
    tier: _Listed = ""
    did: _Listed = ""
    direction: _Listed = ""
    outcome: _Listed = ""


class SaveBody(Body):
    """A view and what it is called."""

    name: Line
    search: Annotated[str, Field(min_length=1, max_length=4000)]
    shared: bool = False


class SavedRow(Answer):
    """A view that somebody kept. `mine`: it may be removed."""

    report_id: int
    name: str
    owner: str
    shared: bool
    search: str
    mine: bool


class SavedList(Answer):
    """One's own, and what others share."""

    reports: list[SavedRow]


def _row(one: SavedReport, asker: str) -> SavedRow:
    return SavedRow(
        report_id=one.report_id,
        name=one.name,
        owner=one.owner,
        shared=one.shared,
        search=one.search,
        mine=one.owner == asker,
    )


@telling
async def export(request: web.Request) -> web.Response:
    """A report as a file."""
    asked = read_query(request, ExportQuery)
    given = asked.model_dump(mode="json", by_alias=True, exclude={"format", "language"}, exclude_none=True)
    search = urlencode({name: value for name, value in given.items() if value})
    check_ours(request, *(queue for queue in asked.queue.split(",") if queue))
    file = await desk(request).file(search, asked.format, asked.language, queues=scope_asked(request))
    await let_out(
        request, "report_export", asked.view or "report", after={"format": asked.format.value, "search": search[:500]}
    )
    return web.Response(
        body=file.content,
        headers={
            hdrs.CONTENT_TYPE: file.media,
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{file.name}"',
            hdrs.CACHE_CONTROL: "no-store",
        },
    )


@telling
async def saved(request: web.Request) -> web.Response:
    """Kept reports."""
    asker = user(request)
    return reply(SavedList(reports=[_row(one, asker) for one in await desk(request).saved(asker)]))


@telling
async def save(request: web.Request) -> web.Response:
    """Keep one."""
    body = await read_body(request, SaveBody)
    asker = user(request)
    made = await desk(request).save(asker, body.name, body.search, shared=body.shared)
    tell(request, subject=made.name, after={"shared": str(made.shared).lower(), "search": made.search[:500]})
    return reply(_row(made, asker))


@telling
async def forget(request: web.Request) -> web.Response:
    """Give one up."""
    number = read_path(request, NumberParams).number
    admin = session_of(request).account.role is Role.ADMIN
    gone = await desk(request).forget(user(request), number, any_owner=admin)
    tell(request, subject=gone.name, before={"owner": gone.owner, "search": gone.search[:500]})
    return reply(Done())


OPERATIONS = (
    Operation(
        name="report_export",
        method=hdrs.METH_GET,
        path="/api/v1/reports/export",
        handler=export,
        summary="A report as CSV, XLSX or PDF, with the version of its definitions, its filters and its time zone",
        query=ExportQuery,
        answer=str,
        media=(
            "text/csv; charset=utf-8",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/pdf",
        ),
        errors={**_BAD, 403: "not_your_queue", **AWAY},
    ),
    Operation(
        name="reports_saved",
        method=hdrs.METH_GET,
        path="/api/v1/reports/saved",
        handler=saved,
        summary="Kept reports: one's own, and what others share",
        answer=SavedList,
        errors=AWAY,
    ),
    Operation(
        name="report_save",
        method=hdrs.METH_POST,
        path="/api/v1/reports/saved",
        handler=save,
        summary="Keep a view under a name; one's own of the same name is replaced",
        body=SaveBody,
        answer=SavedRow,
        errors={400: "bad_report", **AWAY},
    ),
    Operation(
        name="report_forget",
        method=hdrs.METH_DELETE,
        path="/api/v1/reports/saved/{number:[0-9]+}",
        handler=forget,
        summary="Give up a kept report, and its mails",
        params=NumberParams,
        answer=Done,
        errors={404: "unknown_report", **AWAY},
    ),
)
