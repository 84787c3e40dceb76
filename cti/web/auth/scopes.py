"""Which queues a supervisor may act on, and what of an operation belongs to which queues. `may` decides it for all.

A supervisor with queues of their own acts on calls, agents and queues of these only. Whoever has none acts on all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from aiohttp import web

from cti.ids import AgentId, CallId, QueueName
from cti.model.centre import Centre
from cti.web.auth.permissions import PERMISSIONS, Role
from cti.web.auth.sessions import Session
from cti.web.deps import DEPS
from cti.web.errors import ApiError


class Scope(StrEnum):
    """What an operation is about, as its address names it."""

    CALL = "call"
    """The call `call_id`, live or over: its queue."""
    AGENT = "agent"
    """The agent `agent_id`: one of their queues."""
    QUEUE = "queue"
    """The queue `queue`."""
    CENTRE = "centre"
    """All queues at once: only for whoever may act on all."""


SCOPES: Mapping[str, Scope] = {
    "call": Scope.CALL,
    "call_decisions": Scope.CALL,
    "call_why": Scope.CALL,
    "call_timeline": Scope.CALL,
    "call_priority": Scope.CALL,
    "call_queue": Scope.CALL,
    "callback_cancel": Scope.CALL,
    "call_watch": Scope.CALL,
    "call_end": Scope.CALL,
    "call_send": Scope.CALL,
    "agent_set": Scope.AGENT,
    "agent_change": Scope.AGENT,
    "queue_accuracy": Scope.QUEUE,
    "queue_force": Scope.QUEUE,
    "queue_announce": Scope.QUEUE,
    "centre_announce": Scope.CENTRE,
}
"""Operation -> what of it belongs to queues; what is not here belongs to none."""


def scope_of(session: Session, centre: Centre) -> frozenset[QueueName] | None:
    """The queues this account acts on; None: all of them."""
    account = session.account
    if account.role is Role.ADMIN:
        return None
    named = (*account.queues, *centre.supervisors.get(account.username, ()))
    return frozenset(map(QueueName, named)) or None


def may(session: Session, operation: str, queues: Collection[QueueName] | None, centre: Centre) -> bool:
    """Whether this session may ask for `operation` where it is about these queues (None: about none in particular).

    What belongs to several queues (an agent) may be acted on by whoever acts on one of them.
    """
    roles = PERMISSIONS[operation]
    if roles is None:
        return True
    if session.account.role not in roles:
        return False
    scope = scope_of(session, centre)
    if scope is None or session.account.role is Role.AGENT or queues is None:
        return True
    if SCOPES.get(operation) is Scope.CENTRE:
        return False
    return not scope.isdisjoint(queues)


async def queues_asked(request: web.Request, operation: str) -> Collection[QueueName] | None:
    """The queues that a request is about; None: the operation belongs to none. Empty: nothing known by that name."""
    deps, path = request.app[DEPS], request.match_info
    match SCOPES.get(operation):
        case Scope.CALL:
            call_id = CallId(path["call_id"])
            row = deps.floor.view().calls.get(call_id)
            if "\0" in call_id:  # no id, and nothing that a database could be asked for
                return ()
            if row is not None:
                return {row.queue} - {None} if row.queue is not None else ()
            found = await deps.calls.one(call_id)
            queue = found.row.get("queue") if found is not None and found.row is not None else None
            return (QueueName(queue),) if queue else ()
        case Scope.AGENT:
            agent = deps.centre.agents.get(AgentId(path["agent_id"]))
            return agent.queues if agent is not None else ()
        case Scope.QUEUE:
            return (QueueName(path["queue"]),)
        case Scope.CENTRE:
            return ()
        case _:
            return None


async def check_scope(request: web.Request, session: Session, operation: str) -> None:
    """Refuse what is about queues that are not this session's. Raises `ApiError` 403."""
    centre = request.app[DEPS].centre
    if operation not in SCOPES or scope_of(session, centre) is None:
        return
    if not may(session, operation, await queues_asked(request, operation), centre):
        raise not_your_queue()


def check_queues(request: web.Request, session: Session, operation: str, queues: Collection[QueueName]) -> None:
    """The same for queues that a request's body names. Raises `ApiError` 403."""
    scope = scope_of(session, request.app[DEPS].centre)
    if scope is not None and not scope.issuperset(queues):
        raise not_your_queue()


def not_your_queue() -> ApiError:
    """The refusal. The same whether or not what was asked about exists."""
    return ApiError(
        403,
        "not_your_queue",
        "this account does not act on that queue",
        remedy="ask for the queue in centre.yaml: supervisors",
    )
