"""Everything on the floor now."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.services.floor import FloorView
from cti.web.auth.guard import agent_of, session_of
from cti.web.auth.permissions import Role
from cti.web.auth.scopes import cut_of
from cti.web.cuts import cut_view
from cti.web.deps import DEPS
from cti.web.operations import Operation
from cti.web.views import agent_view
from cti.web.wire import reply


async def state(request: web.Request) -> web.Response:
    """The floor: for an agent the queues and what is the agent's own; for a supervisor of certain queues what is of these;
    for a wall what it draws."""
    deps, session = request.app[DEPS], session_of(request)
    view = deps.floor.view()
    if session.account.role is Role.AGENT:
        return reply(agent_view(view, agent_of(request)))
    return reply(cut_view(cut_of(session, deps.centre), view, deps.centre_of))


OPERATIONS = (
    Operation(
        name="state",
        method=hdrs.METH_GET,
        path="/api/v1/state",
        handler=state,
        summary="The floor now; an agent gets the queues and what is the agent's own, others what is of their queues",
        answer=FloorView,
    ),
)
