"""One's own account: where one is logged in, the password, the second factor. And what administrators do for others."""

from __future__ import annotations

from datetime import UTC, datetime

import pyotp
import segno
from aiohttp import hdrs, web
from pydantic import Field

from cti.web.auth.acts import tell
from cti.web.auth.entering import check_own, let_in, set_cookies
from cti.web.auth.guard import presented, session_of
from cti.web.auth.schemas import (
    AccountList,
    AccountRow,
    Again,
    Enrolment,
    NewPassword,
    RecoveryCodes,
    Security,
    SessionRow,
    Shown,
)
from cti.web.auth.sessions import PASSWORD, SECOND_FACTOR
from cti.web.deps import ACCESS, DEPS, SESSIONS
from cti.web.errors import ApiError
from cti.web.feed import HUB
from cti.web.operations import Done, Operation, Params
from cti.web.wire import read_body, read_path, reply


class SessionPath(Params):
    """Names one of one's own sessions."""

    session_id: str = Field(min_length=1, max_length=64)


class AccountPath(Params):
    """Names an account."""

    username: str = Field(min_length=1, max_length=64)


async def account(request: web.Request) -> web.Response:
    """How one's own account is kept safe, and where one is logged in."""
    session = session_of(request)
    account, factor = session.account, request.app[ACCESS].second_factor(session.account.username)
    rows = [
        SessionRow(
            session_id=nonce,
            began_at=datetime.fromtimestamp(seen.began, UTC),
            seen_at=datetime.fromtimestamp(seen.last, UTC),
            ends_at=datetime.fromtimestamp(seen.ends, UTC),
            address=seen.address,
            browser=seen.browser,
            current=nonce == session.nonce,
        )
        for nonce, seen in request.app[SESSIONS].of(account.username)
    ]
    return reply(
        Security(
            has_password=bool(account.hash),
            second_factor=factor is not None,
            second_factor_since=factor.since if factor is not None else None,
            second_factor_required=account.role.value in request.app[DEPS].access.second_factor,
            recovery_codes_left=len(factor.recovery) if factor is not None else 0,
            sessions=rows,
        )
    )


async def account_session_end(request: web.Request) -> web.Response:
    """End one of one's own sessions."""
    wanted = read_path(request, SessionPath).session_id
    sessions, mine = request.app[SESSIONS], session_of(request).account.username
    seen = dict(sessions.of(mine)).get(wanted)
    if seen is None:
        raise ApiError(404, "unknown_session", "you have no such log-in", remedy="load the list again")
    await sessions.end(wanted, seen.ends)
    request.app[HUB].end_session(wanted)
    return reply(Done())


async def account_sessions_end(request: web.Request) -> web.Response:
    """End all of one's own sessions but this one."""
    await _end_others(request)
    return reply(Done())


async def password_change(request: web.Request) -> web.Response:
    """Another password. This browser gets a new session; all others are over."""
    session, body = session_of(request), await read_body(request, NewPassword)
    if not session.account.hash:
        raise ApiError(
            409, "no_password", "this account has no password", remedy="it logs in by the provider: change it there"
        )
    await check_own(request, session.account, body.password, body.code)
    if body.new_password in (body.password, session.account.username):
        raise ApiError(
            400,
            "weak_password",
            "this is no other password",
            remedy="take one that was not in use, of ten signs or more",
        )
    await request.app[DEPS].accounts.change_password(session.account, body.new_password)
    await _end_others(request)
    return await _anew(request, session.method, reply(Done()))


async def second_factor_begin(request: web.Request) -> web.Response:
    """A seed for an authenticator. It counts once a code of it was shown."""
    session, body = session_of(request), await read_body(request, Again)
    account, access, deps = session.account, request.app[ACCESS], request.app[DEPS]
    await check_own(request, account, body.password, body.code)
    seed = access.begin_enrolment(account.username)
    address = pyotp.TOTP(seed).provisioning_uri(name=account.username, issuer_name=deps.centre.name)
    picture = segno.make(address, error="m").svg_data_uri(scale=4, border=4, light="#fff", dark="#000")
    return reply(Enrolment(seed=seed, address=address, picture=picture))


async def second_factor_confirm(request: web.Request) -> web.Response:
    """Take the seed up: from now on log-ins need a code. This browser gets a new session; all others are over."""
    session, body = session_of(request), await read_body(request, Shown)
    codes = await request.app[ACCESS].confirm_enrolment(session.account.username, body.code)
    if codes is None:
        raise ApiError(
            409,
            "wrong_code",
            "this code does not fit",
            remedy="type the code that the authenticator shows now; after ten minutes begin again",
        )
    await _end_others(request)
    method = SECOND_FACTOR if session.method == PASSWORD else session.method
    return await _anew(request, method, reply(RecoveryCodes(codes=list(codes))))


async def recovery_codes_renew(request: web.Request) -> web.Response:
    """Other recovery codes; the former ones open nothing any more."""
    session, body = session_of(request), await read_body(request, Again)
    access = request.app[ACCESS]
    if access.second_factor(session.account.username) is None:
        raise _no_second_factor()
    await check_own(request, session.account, body.password, body.code)
    return reply(RecoveryCodes(codes=list(await access.new_recovery_codes(session.account.username))))


async def second_factor_drop(request: web.Request) -> web.Response:
    """Give the second factor up; not where the role needs one."""
    session, body = session_of(request), await read_body(request, Again)
    access, name = request.app[ACCESS], session.account.username
    if access.second_factor(name) is None:
        raise _no_second_factor()
    if session.account.role.value in request.app[DEPS].access.second_factor:
        raise ApiError(
            409,
            "second_factor_required",
            f"the role {session.account.role} needs a second factor",
            remedy="an administrator can take it away, for instance when a telephone was lost: then set up another",
        )
    await check_own(request, session.account, body.password, body.code)
    await access.drop_second_factor(name)
    await _end_others(request)
    method = PASSWORD if session.method == SECOND_FACTOR else session.method
    return await _anew(request, method, reply(Done()))


async def accounts(request: web.Request) -> web.Response:
    """All accounts."""
    access = request.app[ACCESS]
    rows = [
        AccountRow(
            username=one.username,
            role=one.role,
            name=one.name,
            has_password=bool(one.hash),
            second_factor=access.second_factor(one.username) is not None,
        )
        for one in request.app[DEPS].accounts.all()
    ]
    return reply(AccountList(accounts=rows))


async def second_factor_reset(request: web.Request) -> web.Response:
    """Take somebody's second factor away, whose telephone was lost. Their sessions are over."""
    name, sessions = read_path(request, AccountPath).username, request.app[SESSIONS]
    tell(request, subject=f"account:{name}")
    if not await request.app[ACCESS].drop_second_factor(name):
        raise ApiError(404, "no_second_factor", "this account has no second factor", remedy="load the list again")
    for nonce in await sessions.end_others(name, session_of(request).nonce):
        request.app[HUB].end_session(nonce)
    return reply(Done())


def _no_second_factor() -> ApiError:
    return ApiError(409, "no_second_factor", "this account has no second factor", remedy="set one up first")


async def _end_others(request: web.Request) -> None:
    session = session_of(request)
    for nonce in await request.app[SESSIONS].end_others(session.account.username, session.nonce):
        request.app[HUB].end_session(nonce)


async def _anew(request: web.Request, method: str, answer: web.Response) -> web.Response:
    """What somebody may do has changed, so the session is another: the one before opens nothing any more."""
    deps, sessions, session = request.app[DEPS], request.app[SESSIONS], session_of(request)
    now = deps.accounts.get(session.account.username) or session.account
    await sessions.revoke(session)
    request.app[HUB].end_session(session.nonce)
    token, fresh = await let_in(request, now, method)
    if presented(request)[1]:
        set_cookies(request, answer, token, fresh)
    else:
        answer.headers["X-Session-Token"] = token
    return answer


OPERATIONS = (
    Operation(
        name="account",
        method=hdrs.METH_GET,
        path="/api/v1/account",
        handler=account,
        summary="One's own account: second factor, and where one is logged in",
        answer=Security,
    ),
    Operation(
        name="account_session_end",
        method=hdrs.METH_DELETE,
        path="/api/v1/account/sessions/{session_id}",
        handler=account_session_end,
        summary="End one of one's own log-ins",
        params=SessionPath,
        answer=Done,
        errors={404: "unknown_session"},
    ),
    Operation(
        name="account_sessions_end",
        method=hdrs.METH_POST,
        path="/api/v1/account/sessions/end-others",
        handler=account_sessions_end,
        summary="End all of one's own log-ins but this one",
        answer=Done,
    ),
    Operation(
        name="password_change",
        method=hdrs.METH_POST,
        path="/api/v1/account/password",
        handler=password_change,
        summary="Another password: all other log-ins are over. A program finds its new token in the header X-Session-Token",
        body=NewPassword,
        answer=Done,
        errors={
            400: "weak_password",
            403: "wrong_password",
            409: "no_password",
            429: "too_many_attempts",
            503: "too_busy",
        },
    ),
    Operation(
        name="second_factor_begin",
        method=hdrs.METH_POST,
        path="/api/v1/account/second-factor",
        handler=second_factor_begin,
        summary="A seed for an authenticator (RFC 6238); it counts once a code was shown",
        body=Again,
        answer=Enrolment,
        errors={403: "wrong_password", 429: "too_many_attempts", 503: "too_busy"},
    ),
    Operation(
        name="second_factor_confirm",
        method=hdrs.METH_POST,
        path="/api/v1/account/second-factor/confirm",
        handler=second_factor_confirm,
        summary="Show a code of the seed: log-ins need one from now on; answers recovery codes",
        body=Shown,
        answer=RecoveryCodes,
        errors={409: "wrong_code"},
    ),
    Operation(
        name="recovery_codes_renew",
        method=hdrs.METH_POST,
        path="/api/v1/account/second-factor/recovery-codes",
        handler=recovery_codes_renew,
        summary="Other recovery codes",
        body=Again,
        answer=RecoveryCodes,
        errors={403: "wrong_password", 409: "no_second_factor", 429: "too_many_attempts", 503: "too_busy"},
    ),
    Operation(
        name="second_factor_drop",
        method=hdrs.METH_POST,
        path="/api/v1/account/second-factor/drop",
        handler=second_factor_drop,
        summary="Give the second factor up, unless the role needs one",
        body=Again,
        answer=Done,
        errors={
            403: "wrong_password",
            409: "no_second_factor, or second_factor_required",
            429: "too_many_attempts",
            503: "too_busy",
        },
    ),
    Operation(
        name="accounts",
        method=hdrs.METH_GET,
        path="/api/v1/accounts",
        handler=accounts,
        summary="All accounts, and who has a second factor",
        answer=AccountList,
    ),
    Operation(
        name="second_factor_reset",
        method=hdrs.METH_POST,
        path="/api/v1/accounts/{username}/second-factor/reset",
        handler=second_factor_reset,
        summary="Take somebody's second factor away; their log-ins are over",
        params=AccountPath,
        answer=Done,
        errors={404: "no_second_factor"},
    ),
)
