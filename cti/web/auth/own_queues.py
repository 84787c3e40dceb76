"""What of several queues is the asker's: for operations that cut their own answers (`Scope.ANSWER`)."""

from __future__ import annotations

from aiohttp import web

from cti.ids import AgentId, CallId, QueueName
from cti.web.auth.guard import session_of
from cti.web.auth.permissions import Role
from cti.web.auth.scopes import not_your_queue, scope_of
from cti.web.deps import DEPS


def scope_asked(request: web.Request) -> frozenset[QueueName] | None:
    """The queues of whoever asks; None: all of them, or an agent, whose own parts are cut elsewhere."""
    session = session_of(request)
    if session.account.role is Role.AGENT:
        return None
    return scope_of(session, request.app[DEPS].centre)


def queues_told(request: web.Request) -> tuple[str, ...] | None:
    """The same in order: what an answer says of its sums."""
    scope = scope_asked(request)
    return tuple(sorted(scope)) if scope is not None else None


def ours(request: web.Request, queue: str | None) -> bool:
    """Whether what is of this queue (None, "": of none) is the asker's."""
    scope = scope_asked(request)
    return scope is None or queue in scope


def check_ours(request: web.Request, *queues: str | None) -> None:
    """Refuse what is of other queues, or of none. Raises `ApiError` 403."""
    if not all(ours(request, queue) for queue in queues):
        raise not_your_queue()


def agents_asked(request: web.Request) -> frozenset[AgentId] | None:
    """Agents of the asker's queues; None: all."""
    scope = scope_asked(request)
    if scope is None:
        return None
    agents = request.app[DEPS].centre.agents
    return frozenset(agent_id for agent_id, agent in agents.items() if not scope.isdisjoint(agent.queues))


def check_agent(request: web.Request, agent_id: str | None) -> None:
    """Refuse what is of an agent of other queues. Raises `ApiError` 403."""
    agents = agents_asked(request)
    if agents is not None and (agent_id or "") not in agents:
        raise not_your_queue()


async def check_call(request: web.Request, call_id: str) -> None:
    """Refuse what is about a call of other queues, live or over. Raises `ApiError` 403."""
    if scope_asked(request) is None:
        return
    deps = request.app[DEPS]
    live = deps.floor.view().calls.get(CallId(call_id))
    if live is not None:
        check_ours(request, live.queue)
        return
    found = await deps.calls.one(CallId(call_id)) if "\0" not in call_id else None
    check_ours(request, found.row.get("queue") if found is not None and found.row is not None else None)
