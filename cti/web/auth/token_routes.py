"""Tokens for programs: see them, make them, revoke them."""

from __future__ import annotations

from aiohttp import hdrs, web
from pydantic import Field

from cti.ids import QueueName
from cti.web.auth.access_file import MOST_TOKENS, ApiToken
from cti.web.auth.acts import tell
from cti.web.auth.entering import check_own
from cti.web.auth.groups import SCOPES
from cti.web.auth.guard import session_of
from cti.web.auth.permissions import Role
from cti.web.auth.schemas import MadeToken, NewToken, TokenList, TokenRow
from cti.web.deps import ACCESS, DEPS
from cti.web.errors import ApiError
from cti.web.feed import HUB
from cti.web.operations import Done, Operation, Params
from cti.web.wire import read_body, read_path, reply


class TokenPath(Params):
    """Names a token."""

    token_id: str = Field(pattern=r"^[0-9a-f]{12}$")


async def tokens(request: web.Request) -> web.Response:
    """One's own tokens; an administrator's are everybody's."""
    account = session_of(request).account
    found = request.app[ACCESS].tokens(None if account.role is Role.ADMIN else account.username)
    return reply(
        TokenList(
            tokens=[_row(request, one) for one in found],
            scopes=list(SCOPES),
            longest_days=request.app[DEPS].access.token_days,
        )
    )


async def token_make(request: web.Request) -> web.Response:
    """A token, shown this once."""
    session, body = session_of(request), await read_body(request, NewToken)
    deps, access = request.app[DEPS], request.app[ACCESS]
    await check_own(request, session.account, body.password, body.code)
    whose = deps.accounts.get(body.username or session.account.username)
    if session.account.role is not Role.ADMIN and body.username not in ("", session.account.username):
        raise ApiError(
            403, "forbidden", "tokens of others are made by administrators", remedy="leave the user name out"
        )
    if whose is None:
        raise ApiError(404, "unknown_account", "there is no such account", remedy="load the list of accounts again")
    unknown = sorted(set(body.scopes) - set(SCOPES))
    if unknown:
        raise ApiError(
            400, "unknown_scope", f"there is no scope {unknown[0][:40]}", remedy="GET /api/v1/tokens lists them"
        )
    strange = sorted(name for name in set(body.queues) if QueueName(name) not in deps.centre.queues)
    if strange:
        raise ApiError(
            404, "unknown_queue", f"there is no queue {strange[0][:40]}", remedy="name queues of this centre"
        )
    if body.days > deps.access.token_days:
        raise ApiError(
            400,
            "too_long",
            f"tokens live at most {deps.access.token_days} days here",
            remedy="ask for fewer, or raise access.token_days",
        )
    if len(access.tokens(whose.username)) >= MOST_TOKENS:
        raise ApiError(
            409, "too_many_tokens", "this account has as many tokens as it may", remedy="revoke one that is not needed"
        )
    text, made = await access.make_token(
        whose,
        name=body.name,
        scopes=body.scopes,
        queues=body.queues,
        days=body.days,
        by=session.account.username,
    )
    tell(
        request,
        subject=f"token:{made.token_id}",
        after={
            "account": made.username,
            "name": made.name,
            "scopes": " ".join(made.scopes),
            "queues": " ".join(made.queues),
            "expires": made.expires_at.isoformat(),
        },
    )
    return reply(MadeToken(token=text, row=_row(request, made)))


async def token_revoke(request: web.Request) -> web.Response:
    """The token opens nothing from now on; feeds opened with it close."""
    token_id = read_path(request, TokenPath).token_id
    account, access = session_of(request).account, request.app[ACCESS]
    found = access.token(token_id)
    # The same answer for a token that is somebody else's: an id tells nothing.
    if found is None or (account.role is not Role.ADMIN and found.username != account.username):
        raise ApiError(404, "unknown_token", "there is no such token", remedy="load the list again")
    await access.revoke_token(token_id)
    request.app[HUB].end_session(f"token:{token_id}")
    tell(request, subject=f"token:{token_id}", before={"account": found.username, "name": found.name})
    return reply(Done())


def _row(request: web.Request, token: ApiToken) -> TokenRow:
    deps = request.app[DEPS]
    account = deps.accounts.get(token.username)
    return TokenRow(
        **token.model_dump(include=set(TokenRow.model_fields) - {"scopes", "queues"}),
        scopes=list(token.scopes),
        queues=list(token.queues),
        works=account is not None and account.role is token.role and token.expires_at > deps.clock.now(),
    )


OPERATIONS = (
    Operation(
        name="tokens",
        method=hdrs.METH_GET,
        path="/api/v1/tokens",
        handler=tokens,
        summary="Tokens for programs: one's own; an administrator's are everybody's",
        answer=TokenList,
    ),
    Operation(
        name="token_make",
        method=hdrs.METH_POST,
        path="/api/v1/tokens",
        handler=token_make,
        summary="Make a token for a program; it is shown this once",
        body=NewToken,
        answer=MadeToken,
        errors={
            400: "unknown_scope, or too_long",
            403: "wrong_password, or forbidden",
            404: "unknown_account, or unknown_queue",
            409: "too_many_tokens",
            429: "too_many_attempts",
            503: "too_busy",
        },
    ),
    Operation(
        name="token_revoke",
        method=hdrs.METH_DELETE,
        path="/api/v1/tokens/{token_id}",
        handler=token_revoke,
        summary="Revoke a token: it opens nothing from now on",
        params=TokenPath,
        answer=Done,
        errors={404: "unknown_token"},
    ),
)
