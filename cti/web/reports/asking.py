"""What every route of the report desk does: find the desk, and turn refusals into answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, Field

from cti.services.report_desk import DeskRefused, ReportDesk
from cti.web.auth.guard import session_of
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Params

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AWAY = {503: "the database is away; nothing was changed"}


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("there is a character in it that cannot be kept")
    return text


def _printable(text: str) -> str:
    if any(sign < " " or sign == "\x7f" for sign in text):
        raise ValueError("there is a control character in it, which no file or mail can show")
    return text


Line = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_printable)]
Text = Annotated[str, Field(max_length=1000), AfterValidator(_storable)]
QueueText = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")]
"""A queue, or empty."""
MetricText = Annotated[str, Field(pattern=r"^[a-z_]{1,64}$")]
Language = Annotated[str, Field(pattern="^(en|zh)$")]


class NumberParams(Params):
    """Which one."""

    number: Annotated[int, Field(ge=1, le=2**62)]


def desk(request: web.Request) -> ReportDesk:
    """The desk. Raises `ApiError` where there is none."""
    found = request.app[DEPS].report_desk
    if found is None:
        raise ApiError(503, "no_reports", "there are no reports here", remedy="reports need a database")
    return found


def user(request: web.Request) -> str:
    """Who asks."""
    return session_of(request).account.username


def telling(handler: Handler) -> Handler:
    """`handler`, with the refusals of the desk told as errors of the API."""

    @wraps(handler)
    async def told(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except DeskRefused as error:
            raise ApiError(error.status, error.error_id, error.message, remedy=error.remedy) from error

    return told


async def let_out(request: web.Request, act: str, subject: str, *, after: Mapping[str, str]) -> None:
    """A line of the audit log about figures that leave the house: asking for them changes nothing, so no other line tells of it."""
    acts = request.app[DEPS].acts
    if acts is not None:
        role = session_of(request).account.role.value
        await acts.acted(by=user(request), role=role, act=act, subject=subject, before=None, after=after)
