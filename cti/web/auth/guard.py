"""Stands before every operation: who is asking, from where, and whether the table allows it."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from cti.ids import AgentId
from cti.web.auth.access_file import token_allows
from cti.web.auth.acts import keep_act
from cti.web.auth.origins import check_origin
from cti.web.auth.permissions import PERMISSIONS
from cti.web.auth.scopes import check_scope
from cti.web.auth.sessions import PASSWORD, Session
from cti.web.deps import ACCESS, DEPS, SESSIONS, WebDeps
from cti.web.errors import ApiError

COOKIE = "cti_session"
ENROLMENT = frozenset({"me", "logout", "account", "second_factor_begin", "second_factor_confirm", "password_change"})
"""What somebody may do whose role needs a second factor and who has none."""
_SESSION = web.RequestKey("session", Session)


def cookie_name(deps: WebDeps, name: str = COOKIE) -> str:
    """The cookie's name. With `__Host-` no other host of the same domain, and no plain page, can plant one."""
    return f"__Host-{name}" if deps.secure_cookies else name


def presented(request: web.Request) -> tuple[str, bool]:
    """The token, and whether a cookie brought it. A header of the asker's own making goes before the cookie."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is not None:
        scheme, _, token = header.partition(" ")
        return (token.strip() if scheme.lower() == "bearer" else ""), False
    return request.cookies.get(cookie_name(request.app[DEPS]), ""), True


def must_enrol(deps: WebDeps, session: Session) -> bool:
    """Whether this session's role needs a second factor that it has not shown. A provider looks after its own."""
    return session.method == PASSWORD and session.account.role.value in deps.access.second_factor


def _session(request: web.Request) -> tuple[Session | None, bool, bool]:
    token, by_cookie = presented(request)
    session = request.app[SESSIONS].read(token) if token else None
    if session is None and token and not by_cookie:  # a token for programs is never taken from a cookie
        session = request.app[ACCESS].read_token(token)
    return session, by_cookie, bool(token)


def guarded(operation: str, handler: Handler, *, upgrade: bool = False) -> Handler:
    """`handler`, asked only by those whom the permission table allows. KeyError when the table has no such operation."""
    roles = PERMISSIONS[operation]

    async def guard(request: web.Request) -> web.StreamResponse:
        deps = request.app[DEPS]
        if roles is None:
            check_origin(request, deps.origins, by_cookie=False, upgrade=upgrade)
            return await handler(request)
        session, by_cookie, had_token = _session(request)
        if session is None:
            raise ApiError(
                401,
                "not_logged_in",
                "this log-in has ended" if had_token else "log in first",
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
        if operation not in ENROLMENT and must_enrol(deps, session):
            raise ApiError(
                403,
                "second_factor_required",
                "this account needs a second factor first",
                remedy="set one up on the page /account, or by POST /api/v1/account/second-factor",
            )
        if not token_allows(session, _pattern(request), request.method):
            raise ApiError(
                403,
                "outside_scopes",
                "this token was not made for that",
                remedy="make a token with the scope it needs on the page /account",
            )
        request[_SESSION] = session
        await check_scope(request, session, operation)
        return await keep_act(request, session, operation, handler)

    return guard


def _pattern(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else request.path


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
