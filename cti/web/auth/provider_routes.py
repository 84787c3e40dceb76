"""Logging in elsewhere: away to the provider, and back."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

import structlog
from aiohttp import hdrs, web
from itsdangerous import BadData, URLSafeTimedSerializer
from pydantic import ConfigDict, Field

from cti.ids import AgentId
from cti.web.auth.accounts import USERNAME, Account
from cti.web.auth.attempts import Attempts
from cti.web.auth.entering import address_of, drop_cookie, let_in, put_cookie, set_cookies
from cti.web.auth.guard import cookie_name
from cti.web.auth.permissions import Role
from cti.web.auth.provider import OidcProvider, Person, ProviderAway, ProviderRefused, Started
from cti.web.auth.sessions import PROVIDER
from cti.web.deps import DEPS, SESSIONS, WebDeps
from cti.web.errors import ApiError
from cti.web.feed import HUB
from cti.web.operations import Operation, Params

log = structlog.get_logger(__name__)

START = "/api/v1/login/provider"
BACK = "/api/v1/login/provider/back"
COOKIE = "cti_away"
AWAY_SECONDS = 600
OIDC = web.AppKey("oidc", OidcProvider)
TRIES, TRIES_WINDOW = 20, 60.0
"""Of going away, and of coming back, from one address within so many seconds: each makes us ask the provider."""
_USED = web.AppKey("used_states", OrderedDict[str, float])
_TRIES = web.AppKey("provider_tries", Attempts)


class Back(Params):
    """What the provider sends back. Providers add what they like: only these are looked at."""

    model_config = ConfigDict(extra="ignore", str_max_length=4096)

    code: str = Field(default="", max_length=4096)
    state: str = Field(default="", max_length=256)
    error: str = Field(default="", max_length=256)
    iss: str = Field(default="", max_length=512)


def _away(deps: WebDeps) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        deps.session_key, salt="away to log in", signer_kwargs={"digest_method": hashlib.sha256}
    )


def _own_address(request: web.Request) -> str:
    """The origin by which the browser knows us. One that is not ours is not believed."""
    deps = request.app[DEPS]
    scheme = "https" if deps.secure_cookies else "http"
    origin = f"{scheme}://{request.host.lower()}"
    if origin in deps.origins:
        return origin
    return deps.usual_origin or min(one for one in deps.origins if one.startswith(f"{scheme}:"))


def _limited(request: web.Request, way: str) -> bool:
    """Counts one more; whether it is one too many."""
    deps, tries = request.app[DEPS], request.app[_TRIES]
    key, now = f"{way} {address_of(request)}", deps.clock.monotonic()
    if tries.wait(key, now):
        deps.metrics.logins.labels(result="limited").inc()
        return True
    tries.add(key, now)
    return False


async def login_provider(request: web.Request) -> web.StreamResponse:
    """Send the browser to the provider."""
    deps = request.app[DEPS]
    if not deps.oidc.issuer:
        raise ApiError(
            404, "no_provider", "nobody logs in elsewhere here", remedy="set oidc.issuer, see docs/settings.md"
        )
    if _limited(request, "away"):
        return _page("/?refused=too_many_attempts")
    try:
        address, started = await request.app[OIDC].begin(_own_address(request) + BACK)
    except ProviderAway as error:
        log.warning("provider_away", error=error.message)
        return _page("/?refused=provider_away")
    answer = web.Response(status=302, headers={hdrs.LOCATION: address, hdrs.CACHE_CONTROL: "no-store"})
    text = _away(deps).dumps([started.state, started.nonce, started.verifier])
    # Lax: the browser comes back by a link of another site, which Strict would keep it from showing.
    put_cookie(deps, answer, COOKIE, text if isinstance(text, str) else text.decode(), AWAY_SECONDS, samesite="Lax")
    return answer


async def login_provider_back(request: web.Request) -> web.StreamResponse:
    """Take in who comes back from the provider."""
    deps = request.app[DEPS]
    if not deps.oidc.issuer:
        raise ApiError(
            404, "no_provider", "nobody logs in elsewhere here", remedy="set oidc.issuer, see docs/settings.md"
        )
    if _limited(request, "back"):
        return _page("/?refused=too_many_attempts")
    try:
        started = _started(request)
        asked = {name: value for name, value in request.query.items() if len(request.query.getall(name)) == 1}
        person = await request.app[OIDC].finish(started, asked, _own_address(request) + BACK)
        account = await _account_of(request, person)
    except ProviderRefused as error:
        deps.metrics.logins.labels(result="wrong").inc()
        log.warning("provider_log_in_refused", reason=error.reason)
        answer = _page(f"/?refused={error.reason}")
    except ProviderAway as error:
        log.warning("provider_away", error=error.message)
        answer = _page("/?refused=provider_away")
    else:
        token, session = await let_in(request, account, PROVIDER)
        answer = _page("/")
        set_cookies(request, answer, token, session)
    drop_cookie(deps, answer, COOKIE)
    return answer


def _started(request: web.Request) -> Started:
    deps, used = request.app[DEPS], request.app[_USED]
    text = request.cookies.get(cookie_name(deps, COOKIE), "")
    try:
        said: Any = _away(deps).loads(text, max_age=AWAY_SECONDS) if len(text) <= 1024 else None
        started = Started(state=str(said[0]), nonce=str(said[1]), verifier=str(said[2]))
    except (BadData, TypeError, IndexError, KeyError):
        raise ProviderRefused("wrong_state", "this browser was not sent away from here") from None
    now = deps.clock.monotonic()
    while used and next(iter(used.values())) <= now:  # all are kept for as long, so the first ones end first
        used.popitem(last=False)
    if started.state in used:
        raise ProviderRefused("wrong_state", "this answer was used before")
    if request.query.get("state", "") == started.state:
        used[started.state] = now + AWAY_SECONDS
    return started


async def _account_of(request: web.Request, person: Person) -> Account:
    """The account of this person; made at the first log-in, and kept as the provider says at each.

    An account that is there already belongs to whoever has it: only an agent's, which the provider's claim names by its
    extension, is taken over, by the first who comes. Raises `ProviderRefused` name_taken, no_agent, no_name.
    """
    deps = request.app[DEPS]
    mine = deps.accounts.of_subject(person.subject)
    if person.role is Role.AGENT:
        if AgentId(person.extension) not in deps.centre.agents:
            raise ProviderRefused("no_agent", "there is no agent of that extension here")
        wanted = person.extension
    else:
        wanted = person.username
    there = deps.accounts.get(wanted)
    if mine is None and there is not None and (there.subject or there.role is not Role.AGENT):
        raise ProviderRefused("name_taken", "the account of that name is somebody else's")
    if mine is None and there is not None and person.role is not Role.AGENT:
        raise ProviderRefused("name_taken", "the account of that name is somebody else's")
    if mine is not None and mine.username != wanted and person.role is Role.AGENT:
        raise ProviderRefused("name_taken", "this person was another agent before")
    base = mine or there
    if base is None:
        if not USERNAME.fullmatch(wanted):
            raise ProviderRefused("no_name", "the provider's user name cannot be one here")
        base = Account(username=wanted, role=person.role, hash="", epoch=int(deps.clock.now().timestamp()))
    account = base.model_copy(
        update={
            "role": person.role,
            "agent_id": person.extension or None,
            "name": "" if person.role is Role.AGENT else person.name,
            "subject": person.subject,
        }
    )
    if account != deps.accounts.get(account.username):
        await deps.accounts.put(account)
        if base.role is not account.role:  # what somebody may do has changed
            for nonce in await request.app[SESSIONS].end_others(account.username, ""):
                request.app[HUB].end_session(nonce)
    return account


def _page(address: str) -> web.Response:
    """A page that goes on to one of ours by itself. After a redirect from elsewhere the browser would not show the new cookie."""
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={address}">'
        f'<title>CTI</title><p><a href="{address}">Go on</a>'
    )
    return web.Response(text=text, content_type="text/html", headers={hdrs.CACHE_CONTROL: "no-store"})


async def provider_at_hand(app: web.Application) -> AsyncIterator[None]:
    """Keep the provider while the application runs."""
    yield
    await app[OIDC].close()


def add_provider(app: web.Application, deps: WebDeps) -> None:
    """What the operations here need."""
    app[OIDC] = OidcProvider(deps.oidc, deps.clock)
    app[_USED] = OrderedDict()
    app[_TRIES] = Attempts(TRIES, TRIES_WINDOW)
    app.cleanup_ctx.append(provider_at_hand)


OPERATIONS = (
    Operation(
        name="login_provider",
        method=hdrs.METH_GET,
        path=START,
        handler=login_provider,
        summary="For browsers: away to the provider",
        answer=str,
        media=("text/html",),
        errors={302: "to the provider", 404: "no_provider"},
    ),
    Operation(
        name="login_provider_back",
        method=hdrs.METH_GET,
        path=BACK,
        handler=login_provider_back,
        summary="For browsers: back from the provider. Goes on to the log-in page, with refused=<reason> when it failed",
        answer=str,
        media=("text/html",),
        query=Back,
        errors={404: "no_provider"},
    ),
)
