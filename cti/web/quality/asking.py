"""What every route of quality does: find the rooms, know who asks, say what the audit log needs, turn refusals into answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import wraps
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, Field

from cti.ids import QueueName
from cti.quality.forms import QualityInvalid
from cti.quality.rows import QualityRefused, Reader
from cti.services.inspections import Inspections
from cti.web.auth.acts import tell
from cti.web.auth.guard import session_of
from cti.web.auth.own_queues import queues_told
from cti.web.auth.permissions import Role
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Params

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

AWAY = {503: "the database is away; nothing was changed"}
_FIRST, _LAST = 2000, 2100


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("there is a character in it that cannot be kept")
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("some words are needed")
    return text


def _sane(moment: datetime) -> datetime:
    if not _FIRST <= moment.year < _LAST:
        raise ValueError(f"a moment between the years {_FIRST} and {_LAST} is needed")
    return moment


Line = Annotated[str, Field(max_length=200), AfterValidator(_storable)]
"""Text of one line."""
Text = Annotated[str, Field(max_length=4000), AfterValidator(_storable)]
Words = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_storable), AfterValidator(_said)]
"""Text that says something."""
Moment = Annotated[AwareDatetime, AfterValidator(_sane)]
Number = Annotated[int, Field(ge=1, le=2**62)]
"""A number of ours."""
Revision = Annotated[int, Field(ge=1, le=2**31 - 1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A user's, a queue's or a team's."""
Extension = Annotated[str, Field(pattern=r"^[0-9]{2,6}$")]
CallKey = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_storable)]
Limit = Annotated[int, Field(ge=1, le=500)]
Second = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class SinceUntil(Params):
    """Of which days of the centre, both included; left out: the last `days` up to today."""

    since: date | None = None
    until: date | None = None
    days: Annotated[int, Field(ge=1, le=3660)] = 28


def between(request: web.Request, query: SinceUntil) -> tuple[datetime, datetime]:
    """The moments that the days begin and end."""
    deps = request.app[DEPS]
    zone = ZoneInfo(deps.centre.time_zone)
    today = deps.clock.now().astimezone(zone).date()
    last = query.until or today
    first = query.since or last - timedelta(days=min(query.days - 1, (last - date.min).days))
    for one in (first, last):
        if not _FIRST <= one.year < _LAST:
            raise ApiError(
                400, "invalid_input", f"days are between the years {_FIRST} and {_LAST}", remedy="choose another day"
            )
    if first > last:
        raise ApiError(400, "invalid_input", "since is after until", remedy="swap them")

    def start(day: date) -> datetime:
        return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)

    return start(first), start(last + timedelta(days=1))


def rooms(request: web.Request) -> Inspections:
    """Quality. Raises `ApiError` where there is none."""
    found = request.app[DEPS].inspections
    if found is None:
        raise ApiError(503, "no_quality", "there is no quality here", remedy="run the server with its database")
    return found


def reader(request: web.Request) -> Reader:
    """Who asks: an agent, or somebody who supervises all queues or some."""
    account = session_of(request).account
    if account.role is Role.AGENT:
        return Reader(username=account.agent_id or account.username, agent=account.agent_id or "")
    return Reader(username=account.username, queues=queues_told(request))


def audit(
    request: web.Request,
    subject: str,
    *,
    queue: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """What the line of the audit log says of this request, which is an act."""
    tell(
        request,
        subject=subject,
        queue=QueueName(queue) if queue else None,
        before={key: str(value) for key, value in (before or {}).items()},
        after={key: str(value) for key, value in (after or {}).items()},
        reason=reason,
    )


def telling(handler: Handler) -> Handler:
    """`handler`, with the refusals of quality told as errors of the API."""

    @wraps(handler)
    async def told(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except QualityRefused as error:
            raise ApiError(error.status, error.error_id, error.message, remedy=error.remedy) from error
        except QualityInvalid as error:
            raise ApiError(
                400,
                error.error_id,
                error.message,
                remedy=error.remedy,
                details=[{"field": one.field, "message": one.message} for one in error.problems],
            ) from error

    return told
