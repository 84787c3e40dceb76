"""Read, check, compare and change the centre's configuration while it runs."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.services.configuration import ConfigConflict, ConfigInvalid
from cti.web.auth.guard import session_of
from cti.web.config.schemas import (
    TEXT_LIMIT,
    AppliedConfig,
    ApplyBody,
    Checked,
    Config,
    Differences,
    NewLogin,
    Problem,
    TextBody,
)
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.wire import read_body, reply

MOST_TOLD = 100
"""Problems named in one refusal."""


async def config(request: web.Request) -> web.Response:
    """The running configuration."""
    current = request.app[DEPS].configuration.current()
    answer = reply(Config(text=current.text, version=current.version, since=current.since, by=current.by))
    answer.etag = current.version
    return answer


async def check(request: web.Request) -> web.Response:
    """Everything that is wrong with a text."""
    body = await read_body(request, TextBody, limit=TEXT_LIMIT)
    problems = await request.app[DEPS].configuration.check(body.text)
    return reply(Checked(problems=tuple(Problem(place=p.place, message=p.message) for p in problems)))


async def diff(request: web.Request) -> web.Response:
    """What a text would change."""
    body = await read_body(request, TextBody, limit=TEXT_LIMIT)
    configuration = request.app[DEPS].configuration
    try:
        changes = await configuration.diff(body.text)
    except ConfigInvalid as error:
        raise _refused(error) from None
    return reply(Differences(version=configuration.current().version, changes=tuple(changes)))


async def apply(request: web.Request) -> web.Response:
    """Take a configuration up."""
    body = await read_body(request, ApplyBody, limit=TEXT_LIMIT)
    expected = request.headers.get(hdrs.IF_MATCH, "").strip().removeprefix("W/").strip('"')
    if not expected or expected == "*":
        raise ApiError(
            428,
            "if_match_missing",
            "the version this change was made from is missing",
            remedy="send it as the header If-Match; GET /api/v1/config gives it with the text",
        )
    user = session_of(request).account.username
    by = f"{body.by} (as {user})" if body.by and body.by != user else user
    try:
        done = await request.app[DEPS].configuration.apply(body.text, expected=expected, by=by)
    except ConfigInvalid as error:
        raise _refused(error) from None
    except ConfigConflict as error:
        raise ApiError(412, error.error_id, error.message, remedy=error.remedy) from None
    answer = reply(
        AppliedConfig(
            version=done.version,
            changes=done.changes,
            notes=done.notes,
            logins=tuple(NewLogin(username=name, password=password) for name, password in done.logins.items()),
        )
    )
    answer.etag = done.version
    return answer


def _refused(error: ConfigInvalid) -> ApiError:
    told = error.problems[:MOST_TOLD]
    more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
    return ApiError(
        400,
        error.error_id,
        f"{error.problems[0]}{more}",
        remedy="correct what details names; docs/centre.md describes each key",
        details=[{"field": p.place, "message": p.message} for p in told],
    )


_INVALID = {400: "config_invalid: details has every problem with its place"}

OPERATIONS = (
    Operation(
        name="config",
        method=hdrs.METH_GET,
        path="/api/v1/config",
        handler=config,
        summary="The configuration the centre runs on, as the text of its centre.yaml",
        answer=Config,
    ),
    Operation(
        name="config_check",
        method=hdrs.METH_POST,
        path="/api/v1/config/check",
        handler=check,
        summary="What is wrong with a configuration, its flows and prompts too; nothing changes",
        body=TextBody,
        body_limit=TEXT_LIMIT,
        answer=Checked,
    ),
    Operation(
        name="config_diff",
        method=hdrs.METH_POST,
        path="/api/v1/config/diff",
        handler=diff,
        summary="What a configuration would change, in plain words; nothing changes",
        body=TextBody,
        body_limit=TEXT_LIMIT,
        answer=Differences,
        errors=_INVALID,
    ),
    Operation(
        name="config_apply",
        method=hdrs.METH_PUT,
        path="/api/v1/config",
        handler=apply,
        summary="Take a configuration up at once, no call touched; If-Match names the version it was made from",
        body=ApplyBody,
        body_limit=TEXT_LIMIT,
        answer=AppliedConfig,
        errors={
            **_INVALID,
            412: "config_conflict: somebody changed it meanwhile; nothing happened",
            428: "if_match_missing",
        },
    ),
)
