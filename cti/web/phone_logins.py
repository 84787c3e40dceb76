"""The password of a telephone in a page: a secret of its own that ends with the log-in, or the standing one where that is set."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from cti.services.phone_secrets import PageLogin, SecretsStand
from cti.web.auth.guard import session_of
from cti.web.auth.sessions import TOKEN
from cti.web.deps import ACCESS, DEPS, SESSIONS
from cti.web.errors import ApiError


async def page_password(request: web.Request, account: str) -> str:
    """The password of `account` for the page that asks. Raises `ApiError` or `RemoteError` where there is none."""
    deps, session = request.app[DEPS], session_of(request)
    if deps.phone_secrets is None:
        return standing_password(deps.phone.passwords, account)
    login = PageLogin(
        username=session.account.username,
        role=session.account.role,
        nonce=session.nonce,
        epoch=session.account.epoch,
        ends=int(session.expires.timestamp()),
    )
    try:
        return await deps.phone_secrets.for_page(account, login)
    except SecretsStand:
        return standing_password(deps.phone.passwords, account)


def standing_password(passwords: Mapping[str, str], account: str) -> str:
    """The password that Asterisk's files have. Raises `ApiError` where there is none."""
    if account not in passwords:
        raise ApiError(
            409, "no_phone_account", f"there is no phone account {account} yet", remedy="restart with `cti up`"
        )
    return passwords[account]


def look_after_phones(app: web.Application) -> None:
    """End the secrets of pages whose log-in does not hold any more. Looking does not count as using it."""
    deps = app[DEPS]
    if deps.phone_secrets is None:
        return

    def holds(login: PageLogin) -> bool:
        if login.nonce.startswith(f"{TOKEN}:"):
            return app[ACCESS].holds(login.nonce.removeprefix(f"{TOKEN}:"))
        return app[SESSIONS].holds(
            login.username, role=login.role, nonce=login.nonce, epoch=login.epoch, ends=login.ends
        )

    deps.phone_secrets.look(holds)
