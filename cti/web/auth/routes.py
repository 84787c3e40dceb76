"""Log in, log out, who am I."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.ids import AgentId
from cti.web.auth import account_routes, provider_routes, token_routes
from cti.web.auth.accounts import Account, TooBusy
from cti.web.auth.entering import Try, drop_cookie, let_in, set_cookies, too_busy
from cti.web.auth.guard import COOKIE, must_enrol, session_of
from cti.web.auth.provider_routes import START
from cti.web.auth.schemas import Credentials, LoggedIn, LoginWays, Me, Provider, User
from cti.web.auth.sessions import PASSWORD, SECOND_FACTOR
from cti.web.deps import ACCESS, DEPS, SESSIONS
from cti.web.errors import ApiError
from cti.web.feed import HUB
from cti.web.operations import Done, Operation
from cti.web.wire import read_body, reply


def user_of(request: web.Request, account: Account) -> User:
    """What the pages are told of the account."""
    centre = request.app[DEPS].centre
    agent = centre.agents.get(AgentId(account.agent_id or ""))
    return User(
        username=account.username,
        role=account.role,
        agent_id=account.agent_id,
        name=account.name or (agent.name if agent else account.username),
        language=account.language or centre.languages[0],
    )


async def login(request: web.Request) -> web.Response:
    """Check a password, and a code where the account has a second factor; give a session."""
    deps, access = request.app[DEPS], request.app[ACCESS]
    credentials = await read_body(request, Credentials)
    one_try = Try(request, credentials.username)
    try:
        account = await deps.accounts.verify(credentials.username, credentials.password)
        if account is None:
            one_try.wrong()
            raise ApiError(
                401,
                "wrong_login",
                "user name or password is wrong",
                remedy="the first log-ins are in the file that `cti status` names",
            )
        factor = access.second_factor(account.username)
        if factor is not None and not credentials.code:
            one_try.undecided()
            raise ApiError(
                401, "code_needed", "this account has a second factor", remedy="send the same again with its code"
            )
        if factor is not None and not await access.check(account.username, credentials.code):
            one_try.wrong()
            raise ApiError(
                401,
                "wrong_code",
                "this code does not open, or not any more",
                remedy="wait for the next code of the authenticator; each one opens once",
            )
    except TooBusy:
        one_try.undecided()
        raise too_busy() from None
    one_try.right()
    token, session = await let_in(request, account, PASSWORD if factor is None else SECOND_FACTOR)
    answer = reply(LoggedIn(token=token, user=user_of(request, account), must_enrol=must_enrol(deps, session)))
    set_cookies(request, answer, token, session)
    return answer


async def login_ways(request: web.Request) -> web.Response:
    """How one may log in here."""
    oidc = request.app[DEPS].oidc
    return reply(LoginWays(provider=Provider(label=oidc.label, path=START) if oidc.issuer else None))


async def logout(request: web.Request) -> web.Response:
    """End the session, its feeds too."""
    session = session_of(request)
    await request.app[SESSIONS].revoke(session)
    request.app[HUB].end_session(session.nonce)
    answer = reply(Done())
    drop_cookie(request.app[DEPS], answer, COOKIE)
    return answer


async def me(request: web.Request) -> web.Response:
    """Who is asking."""
    session = session_of(request)
    return reply(Me(user=user_of(request, session.account), must_enrol=must_enrol(request.app[DEPS], session)))


OPERATIONS = (
    Operation(
        name="login",
        method=hdrs.METH_POST,
        path="/api/v1/login",
        handler=login,
        summary="Log in: a token for programs, a cookie for browsers",
        body=Credentials,
        answer=LoggedIn,
        errors={401: "wrong_login, code_needed, or wrong_code", 429: "too_many_attempts", 503: "too_busy"},
    ),
    Operation(
        name="login_ways",
        method=hdrs.METH_GET,
        path="/api/v1/login",
        handler=login_ways,
        summary="How one may log in",
        answer=LoginWays,
    ),
    Operation(
        name="logout",
        method=hdrs.METH_POST,
        path="/api/v1/logout",
        handler=logout,
        summary="Log out: the token and the cookie are dead everywhere",
        answer=Done,
    ),
    Operation(name="me", method=hdrs.METH_GET, path="/api/v1/me", handler=me, summary="Who is logged in", answer=Me),
    *account_routes.OPERATIONS,
    *token_routes.OPERATIONS,
    *provider_routes.OPERATIONS,
)
