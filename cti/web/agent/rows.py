"""The agent's row on the floor, which most answers of the desk carry."""

from __future__ import annotations

from aiohttp import web

from cti.ids import AgentId
from cti.services.floor import AgentRow
from cti.web.deps import DEPS
from cti.web.errors import ApiError


def row_of(request: web.Request, agent_id: AgentId) -> AgentRow:
    """The row now. Raises `ApiError` for an agent who is not on the floor."""
    row = request.app[DEPS].floor.agent_row(agent_id)
    if row is None:
        raise ApiError(
            404, "unknown_agent", f"agent {agent_id} is not on the floor", remedy="add the agent to centre.yaml"
        )
    return row
