"""What every route of casework does: find the rooms, know who asks, and turn refusals into answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import wraps
from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, Field

from cti.casework.reading import RulesInvalid
from cti.casework.rows import Asker, CaseRefused
from cti.ids import AgentId
from cti.services.casework import Casework
from cti.web.auth.guard import session_of
from cti.web.auth.own_queues import agents_asked, queues_told
from cti.web.auth.permissions import Role
from cti.web.deps import DEPS
from cti.web.errors import ApiError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

AWAY = {503: "the database is away; nothing was changed"}

_FIRST, _LAST = 2000, 2100


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("there is a character in it that cannot be kept")
    return text


def _sane(moment: datetime) -> datetime:
    if not _FIRST <= moment.year < _LAST:
        raise ValueError(f"a moment between the years {_FIRST} and {_LAST} is needed")
    return moment


Line = Annotated[str, Field(max_length=200), AfterValidator(_storable)]
"""Text of one line."""
Text = Annotated[str, Field(max_length=4000), AfterValidator(_storable)]
Moment = Annotated[AwareDatetime, AfterValidator(_sane)]
Number = Annotated[int, Field(ge=1, le=2**62)]
"""A number of ours."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A user's or a queue's."""
Limit = Annotated[int, Field(ge=1, le=500)]


def rooms(request: web.Request) -> Casework:
    """Casework. Raises `ApiError` where there is none."""
    found = request.app[DEPS].casework
    if found is None:
        raise ApiError(503, "no_casework", "there is no casework here", remedy="run the server with its database")
    return found


def asker(request: web.Request) -> Asker:
    """Who asks."""
    account = session_of(request).account
    agent = request.app[DEPS].centre.agents.get(AgentId(account.agent_id or ""))
    return Asker(
        username=account.agent_id or account.username,
        supervises=account.role is not Role.AGENT,
        queues=agent.queues if agent is not None else (),
        scope=queues_told(request),
        people=tuple(sorted(agents_asked(request) or ())),
    )


def telling(handler: Handler) -> Handler:
    """`handler`, with the refusals of casework told as errors of the API."""

    @wraps(handler)
    async def told(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except CaseRefused as error:
            raise ApiError(error.status, error.error_id, error.message, remedy=error.remedy) from error
        except RulesInvalid as error:
            raise ApiError(
                400,
                error.error_id,
                error.message,
                remedy=error.remedy,
                details=[{"field": one.field, "message": one.message} for one in error.problems],
            ) from error

    return told
