"""The audit log's one door: every operation that only those who manage may ask for, and that changes something, is written
down when it has succeeded. A handler adds what it was before and after with `tell`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from cti.ids import QueueName
from cti.services.acts import written
from cti.web.auth.before_after import Watched
from cti.web.auth.permissions import PERMISSIONS, Role
from cti.web.auth.sessions import Session
from cti.web.deps import DEPS

log = structlog.get_logger(__name__)

ASKING = frozenset(
    {
        "config_check", "config_diff", "flows_check", "customer_import_preview", "prompt_code", "watch_change_preview",
        "quality_score_begin", "quality_score_draft",
    }
)  # fmt: skip
"""Operations by POST that change nothing, or nothing that others see."""
ACTS_OF_AGENTS_TOO = frozenset(
    {
        "customer_merge", "customer_merge_undo", "complaint_change",
        "account_session_end", "account_sessions_end", "password_change", "second_factor_confirm", "second_factor_drop",
        "recovery_codes_renew", "token_make", "token_revoke",
    }
)  # fmt: skip
"""Operations that agents may ask for as well, and that others must be able to look up."""
SUBJECTS: Mapping[str, str] = {
    "call_id": "call",
    "agent_id": "agent",
    "queue": "queue",
    "customer_id": "customer",
    "merge_id": "merge",
    "complaint_id": "complaint",
    "name": "named",
    "flow": "flow",
    "username": "account",
    "token_id": "token",
    "session_id": "session",
}
"""Variable part of an address -> what the audit log calls it; others keep their name."""


@dataclass(slots=True)
class _Told:
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    subject: str = ""
    queue: QueueName | None = None
    reason: str = ""
    nothing: bool = False


_TOLD = web.RequestKey("told", _Told)


def tell(
    request: web.Request,
    *,
    before: Mapping[str, str] | None = None,
    after: Mapping[str, str] | None = None,
    subject: str = "",
    queue: QueueName | None = None,
    reason: str = "",
) -> None:
    """Say more of the act that this request is; said again, the last word counts. Harmless where nothing is written down."""
    told = request.get(_TOLD)
    if told is None:
        return
    told.before.update(before or {})
    told.after.update(after or {})
    told.subject = subject or told.subject
    told.queue = queue or told.queue
    told.reason = reason or told.reason


def tell_nothing(request: web.Request) -> None:
    """Say that the request succeeded and has changed nothing: no line is written. Harmless where none would be."""
    if (told := request.get(_TOLD)) is not None:
        told.nothing = True


def is_act(operation: str, method: str) -> bool:
    """Whether this operation belongs into the audit log."""
    roles = PERMISSIONS[operation]
    if roles is None or operation in ASKING or method in (hdrs.METH_GET, hdrs.METH_HEAD):
        return False
    return Role.AGENT not in roles or operation in ACTS_OF_AGENTS_TOO


async def keep_act(request: web.Request, session: Session, operation: str, handler: Handler) -> web.StreamResponse:
    """Serve the request; if it was an act and succeeded, and the handler has not written it down itself, write it down."""
    deps = request.app[DEPS]
    if deps.acts is None or not is_act(operation, request.method):
        return await handler(request)
    told = request[_TOLD] = _Told()
    watched = Watched(request, operation)
    await watched.look()
    kept: list[str] = []
    token = written.set(kept)
    try:
        response = await handler(request)
    finally:
        written.reset(token)
    if response.status >= 300 or kept or told.nothing:
        return response
    before, after, subject = await watched.told(response)
    await deps.acts.acted(
        by=session.account.username,
        role=session.account.role.value,
        act=operation,
        subject=told.subject or subject or _subject(request),
        queue=told.queue,
        before={**before, **told.before},
        after={**after, **told.after},
        reason=told.reason,
    )
    return response


def _subject(request: web.Request) -> str:
    named = [f"{SUBJECTS.get(key, key)}:{value}" for key, value in request.match_info.items()]
    return " ".join(named)[:200]
