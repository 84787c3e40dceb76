"""How the customer file refuses, on the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

from aiohttp import web

from cti.services.customer_file import CustomerRefused, EditConflict
from cti.web.auth.guard import session_of
from cti.web.auth.permissions import Role
from cti.web.customers.queries import CustomerRooms
from cti.web.customers.schemas import Conflict
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.wire import reply

_STATUS = {
    "unknown_customer": 404, "unknown_note": 404, "unknown_merge": 404, "unknown_import": 404,
    "not_the_author": 403, "too_large": 413, "unreadable_file": 400,
}  # fmt: skip

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def telling(handler: Handler) -> Handler:
    """`handler`, whose refusals become answers: 404, 403, 400 where the request is wrong, else 409."""

    @wraps(handler)
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except EditConflict as error:
            told = {"id": error.error_id, "message": error.message, "remedy": error.remedy}
            return reply(
                Conflict(
                    error=told,
                    customer=error.theirs,
                    wanted=error.wanted,
                    conflicting=list(error.conflicting),
                ),
                status=409,
            )
        except CustomerRefused as error:
            status = _STATUS.get(error.error_id, 400 if error.error_id.startswith("invalid") else 409)
            raise ApiError(
                status,
                error.error_id,
                error.message,
                remedy=error.remedy,
                details=[
                    {"field": one.field, "message": one.message, "problem": one.problem, "values": dict(one.values)}
                    for one in error.problems
                ],
            ) from None

    return answered


def rooms(request: web.Request) -> CustomerRooms:
    """The customer file. Raises `ApiError` where this server has none."""
    found = request.app[DEPS].customers
    if found is None:
        raise ApiError(
            503, "no_customer_file", "this server has no customer file", remedy="give it a database (database.url)"
        )
    return found


def who(request: web.Request) -> str:
    """User name of whoever asks."""
    return session_of(request).account.username


def on_the_floor(request: web.Request) -> bool:
    """Whether a supervisor or an administrator asks."""
    return session_of(request).account.role in (Role.SUPERVISOR, Role.ADMIN)
