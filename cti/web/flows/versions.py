"""Versions of flows: who changed what when, differences, going live, rolling back, drafts on the test number."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel

from cti.ids import FlowName
from cti.ivr.problems import Problem
from cti.services.flow_changes import FlowChanges, FlowConflict, FlowInvalid, FlowsChanged, UnknownFlow
from cti.web.auth.guard import session_of
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.flows.schemas import FlowParams
from cti.web.flows.version_schemas import (
    TEXTS_LIMIT,
    ApplyFlows,
    ChangeRow,
    CheckedFlows,
    CheckFlows,
    DiffQuery,
    DraftBody,
    FlowProblem,
    FlowsApplied,
    RemoveFlow,
    RollBack,
    VersionDiff,
    VersionParams,
    Versions,
    VersionText,
)
from cti.web.operations import Operation
from cti.web.wire import read_body, read_path, read_query, reply

MOST_TOLD = 100
"""Problems named in one refusal."""

Body = TypeVar("Body", bound=BaseModel)


def changes_of(request: web.Request) -> FlowChanges:
    """The versions. Raises `ApiError` where this server keeps none."""
    found = request.app[DEPS].flow_changes
    if found is None:
        raise ApiError(404, "unknown_flow", "this server keeps no versions of flows", remedy="ask the bridge's own")
    return found


def _flow(request: web.Request) -> FlowName:
    return FlowName(read_path(request, FlowParams).flow)


def _by(request: web.Request, by: str) -> str:
    user = session_of(request).account.username
    return f"{by} (as {user})" if by and by != user else user


def problem_row(problem: Problem) -> FlowProblem:
    """A finding of the checker as a row."""
    return FlowProblem(
        file=problem.file,
        line=problem.at.line,
        column=problem.at.column,
        severity=problem.severity.value,
        code=problem.code,
        message=problem.message,
        remedy=problem.remedy,
    )


async def versions(request: web.Request) -> web.Response:
    """The changes of a flow."""
    flow, changes = _flow(request), changes_of(request)
    try:
        standing = changes.standing(flow)
    except UnknownFlow as error:
        raise _unknown(error) from None
    rows = [
        ChangeRow(
            edition=one.edition,
            at=one.at,
            action=one.action.value,
            version=one.flows[flow],
            by=one.by,
            note=one.note,
            together=tuple(sorted(other for other in one.flows if other != flow)),
        )
        for one in reversed(standing.changes)
    ]
    return reply(
        Versions(
            flow=flow,
            version=standing.version,
            draft=standing.draft,
            former=standing.former,
            test_numbers=tuple(changes.test_numbers()),
            changes=tuple(rows),
        )
    )


async def version_text(request: web.Request) -> web.Response:
    """The text of a version."""
    wanted = read_path(request, VersionParams)
    try:
        text = await changes_of(request).text(FlowName(wanted.flow), wanted.version)
    except UnknownFlow as error:
        raise _unknown(error) from None
    return reply(VersionText(flow=wanted.flow, version=wanted.version, text=text))


async def diff(request: web.Request) -> web.Response:
    """What is different between two versions."""
    flow, two = _flow(request), read_query(request, DiffQuery)
    try:
        found = await changes_of(request).diff(flow, two.before, two.after)
    except UnknownFlow as error:
        raise _unknown(error) from None
    return reply(VersionDiff(flow=flow, before=found.before, after=found.after, steps=found.steps, text=found.text))


async def check(request: web.Request) -> web.Response:
    """Everything that is wrong with texts."""
    body = await read_body(request, CheckFlows, limit=TEXTS_LIMIT)
    texts = {FlowName(one.flow): one.text for one in body.flows}
    problems = await changes_of(request).check(texts, draft=body.draft)
    return reply(CheckedFlows(problems=tuple(map(problem_row, problems))))


async def apply(request: web.Request) -> web.Response:
    """Take texts live."""
    body = await read_body(request, ApplyFlows, limit=TEXTS_LIMIT)
    texts = {FlowName(one.flow): one.text for one in body.flows}
    expected: dict[FlowName, str | None] = {FlowName(one.flow): one.expected for one in body.flows}
    if len(texts) < len(body.flows):
        raise ApiError(400, "invalid_input", "a flow is there twice", remedy="send each flow once")
    with _Refusing():
        done = await changes_of(request).apply(texts, expected=expected, by=_by(request, body.by), note=body.note)
    return _done(done)


async def roll_back(request: web.Request) -> web.Response:
    """Make an earlier version live again."""
    flow, body = _flow(request), await read_body(request, RollBack)
    with _Refusing():
        done = await changes_of(request).roll_back(
            flow, body.version, expected=body.expected, by=_by(request, body.by), note=body.note
        )
    return _done(done)


async def remove(request: web.Request) -> web.Response:
    """Take a flow away."""
    flow, body = _flow(request), await read_body(request, RemoveFlow)
    with _Refusing():
        done = await changes_of(request).remove(flow, expected=body.expected, by=_by(request, body.by), note=body.note)
    return _done(done)


async def put_draft(request: web.Request) -> web.Response:
    """Let test calls hear a text."""
    flow, body = _flow(request), await read_body(request, DraftBody, limit=TEXTS_LIMIT)
    with _Refusing():
        done = await changes_of(request).put_draft(flow, body.text, by=_by(request, body.by), note=body.note)
    return _done(done)


async def withdraw(request: web.Request) -> web.Response:
    """Take the draft away."""
    with _Refusing():
        done = await changes_of(request).withdraw(_flow(request), by=_by(request, ""))
    return _done(done)


def _done(done: FlowsChanged) -> web.Response:
    return reply(
        FlowsApplied(
            edition=done.edition,
            flows={str(flow): version for flow, version in done.flows.items()},
            changes=done.changes,
            warnings=tuple(map(problem_row, done.warnings)),
        )
    )


class _Refusing:
    """Turns the refusals of a change into answers."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case FlowInvalid():
                raise _refused(error) from None
            case FlowConflict():
                raise ApiError(412, error.error_id, error.message, remedy=error.remedy) from None
            case UnknownFlow():
                raise _unknown(error) from None


def _unknown(error: UnknownFlow) -> ApiError:
    return ApiError(404, error.error_id, error.message, remedy="/api/v1/flows lists the flows")


def _refused(error: FlowInvalid) -> ApiError:
    first, more = error.problems[0], len(error.problems) - 1
    place = f"{first.file}:{first.at.line}:{first.at.column}"
    return ApiError(
        400,
        error.error_id,
        f"{place}: {first.message}" + (f" (and {more} more)" if more else ""),
        remedy="correct what details names; what ran goes on",
        details=[
            {"field": f"{one.file}:{one.at.line}:{one.at.column}", "message": f"{one.message}; {one.remedy}"}
            for one in error.problems[:MOST_TOLD]
        ],
    )


_UNKNOWN = {404: "unknown_flow"}
_CHANGING = {
    400: "flow_invalid: details has every problem with file, line and column; what ran goes on",
    404: "unknown_flow",
    412: "flow_conflict: somebody changed it meanwhile; nothing happened",
}

OPERATIONS = (
    Operation(
        name="flow_versions",
        method=hdrs.METH_GET,
        path="/api/v1/flows/{flow}/versions",
        handler=versions,
        summary="Who changed a flow when, newest first",
        params=FlowParams,
        answer=Versions,
        errors=_UNKNOWN,
    ),
    Operation(
        name="flow_version",
        method=hdrs.METH_GET,
        path="/api/v1/flows/{flow}/versions/{version}",
        handler=version_text,
        summary="The text of a version of a flow",
        params=VersionParams,
        answer=VersionText,
        errors=_UNKNOWN,
    ),
    Operation(
        name="flow_diff",
        method=hdrs.METH_GET,
        path="/api/v1/flows/{flow}/diff",
        handler=diff,
        summary="What is different between two versions of a flow, in words and as text",
        params=FlowParams,
        query=DiffQuery,
        answer=VersionDiff,
        errors=_UNKNOWN,
    ),
    Operation(
        name="flows_check",
        method=hdrs.METH_POST,
        path="/api/v1/flows/check",
        handler=check,
        summary="What is wrong with texts of flows; nothing changes",
        body=CheckFlows,
        body_limit=TEXTS_LIMIT,
        answer=CheckedFlows,
    ),
    Operation(
        name="flows_apply",
        method=hdrs.METH_PUT,
        path="/api/v1/flows",
        handler=apply,
        summary="Take flows live for calls that begin from now on, all or none",
        body=ApplyFlows,
        body_limit=TEXTS_LIMIT,
        answer=FlowsApplied,
        errors=_CHANGING,
    ),
    Operation(
        name="flow_roll_back",
        method=hdrs.METH_POST,
        path="/api/v1/flows/{flow}/rollback",
        handler=roll_back,
        summary="Make an earlier version of a flow live again",
        params=FlowParams,
        body=RollBack,
        answer=FlowsApplied,
        errors=_CHANGING,
    ),
    Operation(
        name="flow_remove",
        method=hdrs.METH_POST,
        path="/api/v1/flows/{flow}/remove",
        handler=remove,
        summary="Take a flow away that nothing leads to; calls in it go on",
        params=FlowParams,
        body=RemoveFlow,
        answer=FlowsApplied,
        errors=_CHANGING,
    ),
    Operation(
        name="flow_draft",
        method=hdrs.METH_PUT,
        path="/api/v1/flows/{flow}/draft",
        handler=put_draft,
        summary="Let callers of the test numbers hear a draft",
        params=FlowParams,
        body=DraftBody,
        body_limit=TEXTS_LIMIT,
        answer=FlowsApplied,
        errors=_CHANGING,
    ),
    Operation(
        name="flow_draft_withdraw",
        method=hdrs.METH_DELETE,
        path="/api/v1/flows/{flow}/draft",
        handler=withdraw,
        summary="Take a flow's draft away",
        params=FlowParams,
        answer=FlowsApplied,
        errors=_UNKNOWN,
    ),
)
