"""Log in, log out, who am I."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.ids import AgentId
from cti.web.auth.accounts import Account, TooBusy
from cti.web.auth.attempts import Attempts
from cti.web.auth.guard import COOKIE, session_of
from cti.web.auth.schemas import Credentials, LoggedIn, Me, User
from cti.web.auth.sessions import LIFETIME
from cti.web.deps import DEPS, SESSIONS
from cti.web.errors import ApiError
from cti.web.feed import HUB
from cti.web.operations import Done, Operation
from cti.web.wire import read_body, reply

WRONG_PER_PERSON = 5
"""Wrong passwords for one account from one address within `WINDOW`. By address, so that nobody can lock a
colleague out from elsewhere."""
WRONG_PER_ACCOUNT = 50
WRONG_PER_ADDRESS = 30
WINDOW = 300.0
"""Seconds."""


class LoginLimits:
    """The windows a log-in has to pass."""

    def __init__(self) -> None:
        self._windows = (
            Attempts(WRONG_PER_PERSON, WINDOW),
            Attempts(WRONG_PER_ACCOUNT, WINDOW),
            Attempts(WRONG_PER_ADDRESS, WINDOW),
        )

    @staticmethod
    def _keys(username: str, address: str) -> tuple[str, str, str]:
        return f"{address} {username}", username, address

    def wait(self, username: str, address: str, now: float) -> int:
        """Seconds until this log-in may be tried; 0 when it may now."""
        keys = self._keys(username, address)
        return max(window.wait(key, now) for window, key in zip(self._windows, keys, strict=True))

    def begin(self, username: str, address: str, now: float) -> None:
        """Count the try as wrong before it is checked, so that tries made at the same time count too."""
        for window, key in zip(self._windows, self._keys(username, address), strict=True):
            window.add(key, now)

    def right(self, username: str, address: str) -> None:
        """The password was right: forget the account's wrong tries from here."""
        person, _, shared = self._windows
        person.forgive(self._keys(username, address)[0])
        shared.take_back(address)
        self._windows[1].take_back(username)


LIMITS = web.AppKey("login_limits", LoginLimits)


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
    """Check a password; give a session."""
    deps = request.app[DEPS]
    credentials = await read_body(request, Credentials)
    limits, address, now = request.app[LIMITS], request.remote or "", deps.clock.monotonic()
    seconds = limits.wait(credentials.username, address, now)
    if seconds:
        deps.metrics.logins.labels(result="limited").inc()
        raise ApiError(
            429,
            "too_many_attempts",
            "too many wrong passwords",
            remedy=f"wait {seconds} seconds, then try again",
            headers={hdrs.RETRY_AFTER: str(seconds)},
        )
    limits.begin(credentials.username, address, now)
    try:
        account = await deps.accounts.verify(credentials.username, credentials.password)
    except TooBusy:
        raise ApiError(
            503,
            "too_busy",
            "too many people log in at once",
            remedy="try again in a moment",
            headers={hdrs.RETRY_AFTER: "2"},
        ) from None
    if account is None:
        deps.metrics.logins.labels(result="wrong").inc()
        raise ApiError(
            401,
            "wrong_login",
            "user name or password is wrong",
            remedy="the first log-ins are in the file that `cti status` names",
        )
    limits.right(credentials.username, address)
    deps.metrics.logins.labels(result="right").inc()
    token, _ = request.app[SESSIONS].create(account)
    answer = reply(LoggedIn(token=token, user=user_of(request, account)))
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=deps.secure_cookies,
    )
    return answer


async def logout(request: web.Request) -> web.Response:
    """End the session, its feeds too."""
    deps = request.app[DEPS]
    session = session_of(request)
    await request.app[SESSIONS].revoke(session)
    request.app[HUB].end_session(session.nonce)
    answer = reply(Done())
    answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=deps.secure_cookies)
    return answer


async def me(request: web.Request) -> web.Response:
    """Who is asking."""
    return reply(Me(user=user_of(request, session_of(request).account)))


OPERATIONS = (
    Operation(
        name="login",
        method=hdrs.METH_POST,
        path="/api/v1/login",
        handler=login,
        summary="Log in: a token for programs, a cookie for browsers",
        body=Credentials,
        answer=LoggedIn,
        errors={401: "wrong_login", 429: "too_many_attempts", 503: "too_busy"},
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
)
