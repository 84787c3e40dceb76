"""The centre's name and numbers, and a line for a call from the browser."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.model.centre import Centre
from cti.services.phone_secrets import VISITORS, LinesBusy, SecretsStand
from cti.web.auth.attempts import Attempts
from cti.web.deps import DEPS, WebDeps
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.phone_logins import standing_password
from cti.web.public.schemas import CentreInfo, DialledNumber, WebCall
from cti.web.wire import reply

WEBCALLS = web.AppKey("webcalls", Attempts)
WEBCALLS_PER_ADDRESS = 20
WEBCALL_WINDOW = 60.0
"""Seconds."""


def _numbers(centre: Centre) -> list[DialledNumber]:
    return [DialledNumber(did=number.did, title=number.title or number.did) for number in centre.numbers.values()]


async def centre_info(request: web.Request) -> web.Response:
    """The centre as its customers know it."""
    centre = request.app[DEPS].centre
    return reply(CentreInfo(name=centre.name, languages=centre.languages, numbers=_numbers(centre)))


async def webcall(request: web.Request) -> web.Response:
    """A line for a call from the browser."""
    deps, tries, address = request.app[DEPS], request.app[WEBCALLS], request.remote or ""
    now = deps.clock.monotonic()
    seconds = tries.wait(address, now)
    if seconds:
        raise ApiError(
            429,
            "too_many_attempts",
            "too many calls were asked for from here",
            remedy=f"wait {seconds} seconds, then try again",
            headers={hdrs.RETRY_AFTER: str(seconds)},
        )
    tries.add(address, now)
    account, password = await _line(deps, address)
    return reply(
        WebCall(
            ws_url=deps.phone.ws_url,
            uri=f"sip:{account}@{deps.phone.domain}",
            username=account,
            password=password,
            dial=_numbers(deps.centre),
        )
    )


async def _line(deps: WebDeps, address: str) -> tuple[str, str]:
    """An account, and the password for one call by it."""
    if deps.phone_secrets is None:
        return VISITORS, standing_password(deps.phone.passwords, VISITORS)
    try:
        line = await deps.phone_secrets.for_visitor(address)
    except SecretsStand:
        return VISITORS, standing_password(deps.phone.passwords, VISITORS)
    except LinesBusy as busy:
        raise ApiError(
            503,
            busy.error_id,
            busy.message,
            remedy=busy.remedy,
            headers={hdrs.RETRY_AFTER: str(busy.retry_after)},
        ) from None
    return line.account, line.secret


OPERATIONS = (
    Operation(
        name="centre",
        method=hdrs.METH_GET,
        path="/api/v1/centre",
        handler=centre_info,
        summary="The centre's name, languages and numbers",
        answer=CentreInfo,
    ),
    Operation(
        name="webcall",
        method=hdrs.METH_POST,
        path="/api/v1/webcall",
        handler=webcall,
        summary="A line for a call from the browser",
        answer=WebCall,
        errors={
            409: "no_phone_account",
            429: "too_many_attempts",
            503: "lines_busy, or the telephone system cannot be told",
        },
    ),
)
