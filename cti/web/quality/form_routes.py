"""Inspection forms: list, design, versions, copy, archive."""

from __future__ import annotations

from typing import Any

from aiohttp import hdrs, web

from cti.quality.rows import FormRow
from cti.web.auth.guard import session_of
from cti.web.operations import Answer, Body, Operation, Params
from cti.web.quality.asking import AWAY, Number, Revision, Text, audit, rooms, telling
from cti.web.wire import read_body, read_path, read_query, reply

_PATH = "/api/v1/quality/forms/{form_id:[0-9]+}"
_UNKNOWN = {404: "unknown_form", **AWAY}
LARGEST = 256 * 1024


class FormsQuery(Params):
    """Whether forms that were put aside are told, too."""

    archived: bool = False


class FormParams(Params):
    """A form."""

    form_id: Number


class VersionQuery(Params):
    """Which version; left out: the one that new scores use."""

    version: Revision | None = None


class FormList(Answer):
    """Forms, each in the version that new scores use."""

    forms: list[FormRow]


class FormBody(Body):
    """A new form. `form` is described in docs/quality.md."""

    form: dict[str, Any]
    note: Text = ""


class FormChangeBody(FormBody):
    """A form as it is to be. `revision`: as seen."""

    revision: Revision


class CopyBody(Body):
    """Which version is copied; left out: the one that new scores use."""

    version: Revision | None = None


class ArchiveBody(Body):
    """Put it aside, or take it back."""

    revision: Revision
    archived: bool


@telling
async def forms(request: web.Request) -> web.Response:
    """Every form."""
    query = read_query(request, FormsQuery)
    return reply({"forms": await rooms(request).forms.list(archived=query.archived)})


@telling
async def form(request: web.Request) -> web.Response:
    """One form."""
    number, query = read_path(request, FormParams).form_id, read_query(request, VersionQuery)
    return reply(await rooms(request).forms.one(number, query.version))


@telling
async def add(request: web.Request) -> web.Response:
    """Make one."""
    body = await read_body(request, FormBody, limit=LARGEST)
    made = await rooms(request).forms.add(body.form, by=session_of(request).account.username, note=body.note)
    audit(request, f"form:{made.form_id}", after={"version": made.version})
    return reply(made)


@telling
async def change(request: web.Request) -> web.Response:
    """Change it."""
    number, body = read_path(request, FormParams).form_id, await read_body(request, FormChangeBody, limit=LARGEST)
    made = await rooms(request).forms.change(
        number, body.form, revision=body.revision, by=session_of(request).account.username, note=body.note
    )
    audit(request, f"form:{number}", after={"version": made.version}, reason=body.note)
    return reply(made)


@telling
async def copy(request: web.Request) -> web.Response:
    """Begin a new form with what another asks."""
    number, body = read_path(request, FormParams).form_id, await read_body(request, CopyBody)
    origin = await rooms(request).forms.one(number, body.version)
    made = await rooms(request).forms.add(
        origin.body, by=session_of(request).account.username, note=f"copy of {number}"
    )
    audit(request, f"form:{made.form_id}", after={"copy_of": number})
    return reply(made)


@telling
async def archive(request: web.Request) -> web.Response:
    """Put it aside, or take it back."""
    number, body = read_path(request, FormParams).form_id, await read_body(request, ArchiveBody)
    made = await rooms(request).forms.archive(number, body.archived, revision=body.revision)
    audit(request, f"form:{number}", after={"archived": body.archived})
    return reply(made)


OPERATIONS = (
    Operation(
        name="quality_forms",
        method=hdrs.METH_GET,
        path="/api/v1/quality/forms",
        handler=forms,
        summary="Inspection forms",
        query=FormsQuery,
        answer=FormList,
        errors=AWAY,
    ),
    Operation(
        name="quality_form_add",
        method=hdrs.METH_POST,
        path="/api/v1/quality/forms",
        handler=add,
        summary="Make an inspection form",
        body=FormBody,
        body_limit=LARGEST,
        answer=FormRow,
        errors=AWAY,
    ),
    Operation(
        name="quality_form",
        method=hdrs.METH_GET,
        path=_PATH,
        handler=form,
        summary="An inspection form, in any of its versions",
        params=FormParams,
        query=VersionQuery,
        answer=FormRow,
        errors=_UNKNOWN,
    ),
    Operation(
        name="quality_form_change",
        method=hdrs.METH_POST,
        path=_PATH,
        handler=change,
        summary="Change a form; a version that was scored with stays, and a new one begins",
        params=FormParams,
        body=FormChangeBody,
        body_limit=LARGEST,
        answer=FormRow,
        errors={409: "edit_conflict", **_UNKNOWN},
    ),
    Operation(
        name="quality_form_copy",
        method=hdrs.METH_POST,
        path=f"{_PATH}/copy",
        handler=copy,
        summary="Make a form of another",
        params=FormParams,
        body=CopyBody,
        answer=FormRow,
        errors=_UNKNOWN,
    ),
    Operation(
        name="quality_form_archive",
        method=hdrs.METH_POST,
        path=f"{_PATH}/archive",
        handler=archive,
        summary="Put a form aside, or take it back",
        params=FormParams,
        body=ArchiveBody,
        answer=FormRow,
        errors={409: "edit_conflict or form_in_use", **_UNKNOWN},
    ),
)
