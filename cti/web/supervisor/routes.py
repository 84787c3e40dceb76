"""Everything on the floor now."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.services.floor import FloorView
from cti.web.auth.guard import agent_of, session_of
from cti.web.auth.permissions import Role
from cti.web.deps import DEPS
from cti.web.operations import Operation
from cti.web.views import agent_view
from cti.web.wire import reply


async def state(request: web.Request) -> web.Response:
    """The whole floor; for an agent only the queues and what is the agent's own."""
    view = request.app[DEPS].floor.view()
    if session_of(request).account.role is Role.AGENT:
        view = agent_view(view, agent_of(request))
    return reply(view)


OPERATIONS = (
    Operation(
        name="state",
        method=hdrs.METH_GET,
        path="/api/v1/state",
        handler=state,
        summary="The floor now; an agent gets the queues and what is the agent's own",
        answer=FloorView,
    ),
)
