"""Coming in and going out: the cookies of a log-in, the devices that are known, and what the limits say."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import structlog
from aiohttp import hdrs, web
from itsdangerous import BadData, URLSafeTimedSerializer

from cti.web.auth.accounts import Account, TooBusy
from cti.web.auth.attempts import LoginLimits
from cti.web.auth.guard import COOKIE, cookie_name
from cti.web.auth.sessions import Session
from cti.web.deps import ACCESS, DEPS, SESSIONS, WebDeps
from cti.web.errors import ApiError
from cti.web.feed import HUB

log = structlog.get_logger(__name__)

DEVICE = "cti_device"
DEVICE_SECONDS = 180 * 24 * 3600
MOST_ON_DEVICE = 16
"""Accounts that one browser is known for."""
_LONGEST_COOKIE = 2048

LIMITS = web.AppKey("login_limits", LoginLimits)


def _devices(deps: WebDeps) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        deps.session_key, salt="device of a log-in", signer_kwargs={"digest_method": hashlib.sha256}
    )


def _device(request: web.Request) -> tuple[str, list[str]]:
    """The browser's name, if it has logged in before, and whom it is known for."""
    deps = request.app[DEPS]
    text = request.cookies.get(cookie_name(deps, DEVICE), "")
    if not text or len(text) > _LONGEST_COOKIE:
        return "", []
    try:
        said: Any = _devices(deps).loads(text, max_age=DEVICE_SECONDS)
        return str(said["d"]), [str(name) for name in said["u"]]
    except (BadData, KeyError, TypeError, ValueError):
        return "", []


def known_device(request: web.Request, username: str) -> str | None:
    """The name of the browser, when the owner of this account has logged in with it before."""
    name, known = _device(request)
    return name if name and username in known else None


def address_of(request: web.Request) -> str:
    """Where a request comes from."""
    return request.remote or ""


def browser_of(request: web.Request) -> str:
    """What the browser calls itself."""
    return request.headers.get(hdrs.USER_AGENT, "")[:200]


async def let_in(request: web.Request, account: Account, method: str) -> tuple[str, Session]:
    """A new session for this account; the one that the browser had before is over, whosever it was."""
    deps, sessions = request.app[DEPS], request.app[SESSIONS]
    former = request.cookies.get(cookie_name(deps), "")
    old = sessions.read(former) if former else None
    if old is not None:
        await sessions.revoke(old)
        request.app[HUB].end_session(old.nonce)
    deps.metrics.logins.labels(result="right").inc()
    log.info("logged_in", username=account.username, method=method, address=address_of(request))
    made = sessions.create(account, method=method, address=address_of(request), browser=browser_of(request))
    await sessions.keep_evicted()
    return made


def set_cookies(request: web.Request, answer: web.StreamResponse, token: str, session: Session) -> None:
    """Give the browser its session, and remember the browser."""
    deps = request.app[DEPS]
    left = int((session.expires - deps.clock.now()).total_seconds())
    put_cookie(deps, answer, COOKIE, token, left)
    name, known = _device(request)
    username = session.account.username
    kept = [username, *(one for one in known if one != username)][:MOST_ON_DEVICE]
    text = _devices(deps).dumps({"d": name or secrets.token_urlsafe(9), "u": kept})
    put_cookie(deps, answer, DEVICE, text if isinstance(text, str) else text.decode(), DEVICE_SECONDS)


def put_cookie(
    deps: WebDeps, answer: web.StreamResponse, name: str, value: str, seconds: int, *, samesite: str = "Strict"
) -> None:
    """Set one of our cookies: out of reach of scripts and of other sites, and of plain HTTP where we speak TLS."""
    answer.set_cookie(
        cookie_name(deps, name),
        value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite=samesite,
        secure=deps.secure_cookies,
    )


def drop_cookie(deps: WebDeps, answer: web.StreamResponse, name: str) -> None:
    """Take a cookie of ours back."""
    answer.del_cookie(cookie_name(deps, name), path="/", httponly=True, samesite="Strict", secure=deps.secure_cookies)


class Try:
    """One try to show who one is: counted as wrong until it was right."""

    def __init__(self, request: web.Request, username: str) -> None:
        """Raises `ApiError` 429 while this account, from here, has to wait."""
        self._deps = request.app[DEPS]
        self._limits = request.app[LIMITS]
        self._key = username, address_of(request), known_device(request, username)
        now = self._deps.clock.monotonic()
        seconds = self._limits.wait(*self._key, now)
        if seconds:
            self._deps.metrics.logins.labels(result="limited").inc()
            raise ApiError(
                429,
                "too_many_attempts",
                "too many wrong passwords",
                remedy=f"wait {seconds} seconds, then try again",
                headers={hdrs.RETRY_AFTER: str(seconds)},
            )
        self._limits.begin(*self._key, now)

    def undecided(self) -> None:
        """It was neither right nor wrong."""
        self._limits.take_back(*self._key)

    def right(self) -> None:
        """It was right: earlier wrong ones from here are forgotten."""
        self._limits.right(*self._key)

    def wrong(self) -> None:
        """It was wrong, as counted."""
        self._deps.metrics.logins.labels(result="wrong").inc()
        log.info("log_in_refused", address=self._key[1], known_device=self._key[2] is not None)


def too_busy() -> ApiError:
    """The answer to `TooBusy`."""
    return ApiError(
        503,
        "too_busy",
        "too many people log in at once",
        remedy="try again in a moment",
        headers={hdrs.RETRY_AFTER: "2"},
    )


async def check_own(request: web.Request, account: Account, password: str, code: str) -> None:
    """Once more who is asking, before something that matters: the password, where the account has one, and a code, where
    it has a second factor. Raises `ApiError` 403 wrong_password, 429, 503."""
    access = request.app[ACCESS]
    one_try = Try(request, account.username)
    try:
        right = not account.hash or await request.app[DEPS].accounts.verify(account.username, password) is not None
        if right and access.second_factor(account.username) is not None:
            right = await access.check(account.username, code)
    except TooBusy:
        one_try.undecided()
        raise too_busy() from None
    if not right:
        one_try.wrong()
        raise ApiError(
            403, "wrong_password", "the password or the code is wrong", remedy="give your present password and code"
        )
    one_try.right()
