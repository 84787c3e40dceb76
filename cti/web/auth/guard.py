"""Stands before every operation: who is asking, from where, and whether the table allows it."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from cti.ids import AgentId
from cti.web.auth.acts import keep_act
from cti.web.auth.origins import check_origin
from cti.web.auth.permissions import PERMISSIONS
from cti.web.auth.scopes import check_scope
from cti.web.auth.sessions import Session
from cti.web.deps import DEPS, SESSIONS
from cti.web.errors import ApiError

COOKIE = "cti_session"
_SESSION = web.RequestKey("session", Session)


def _presented(request: web.Request) -> tuple[str, bool]:
    """The token, and whether a cookie brought it. A header of the asker's own making goes before the cookie."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is not None:
        scheme, _, token = header.partition(" ")
        return (token.strip() if scheme.lower() == "bearer" else ""), False
    return request.cookies.get(COOKIE, ""), True


def guarded(operation: str, handler: Handler, *, upgrade: bool = False) -> Handler:
    """`handler`, asked only by those whom the permission table allows. KeyError when the table has no such operation."""
    roles = PERMISSIONS[operation]

    async def guard(request: web.Request) -> web.StreamResponse:
        deps = request.app[DEPS]
        if roles is None:
            check_origin(request, deps.origins, by_cookie=False, upgrade=upgrade)
            return await handler(request)
        token, by_cookie = _presented(request)
        session = request.app[SESSIONS].read(token) if token else None
        if session is None:
            raise ApiError(
                401,
                "not_logged_in",
                "log in first" if not token else "this log-in has ended",
                remedy="POST /api/v1/login, then send the cookie or Authorization: Bearer <token>",
                headers={hdrs.WWW_AUTHENTICATE: "Bearer"},
            )
        check_origin(request, deps.origins, by_cookie=by_cookie, upgrade=upgrade)
        if session.account.role not in roles:
            raise ApiError(
                403,
                "forbidden",
                f"the role {session.account.role} may not do this",
                remedy=f"log in with the role {' or '.join(sorted(roles))}",
            )
        request[_SESSION] = session
        await check_scope(request, session, operation)
        return await keep_act(request, session, operation, handler)

    return guard


def session_of(request: web.Request) -> Session:
    """The session of a guarded request."""
    return request[_SESSION]


def agent_of(request: web.Request) -> AgentId:
    """The agent who asks. Raises `ApiError` when the account is nobody of this centre."""
    deps = request.app[DEPS]
    agent_id = AgentId(session_of(request).account.agent_id or "")
    if agent_id not in deps.centre.agents:
        raise ApiError(
            403,
            "not_an_agent",
            "this account belongs to no agent of this centre",
            remedy="add the agent to centre.yaml, or log in as another agent",
        )
    return agent_id
