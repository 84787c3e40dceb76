"""What dialling out has cost, by whom, and how much of each cap is used."""

from __future__ import annotations

from datetime import datetime

from aiohttp import hdrs, web

from cti.services.spending import SpentRow
from cti.web.auth.own_queues import scope_asked
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Answer, Operation
from cti.web.wire import reply


class OutboundSpent(Answer):
    """What was spent since midnight: the centre first, then who spent most."""

    since: datetime
    currency: str
    rows: tuple[SpentRow, ...]


async def spent(request: web.Request) -> web.Response:
    """What was spent today. Supervisors of certain queues are told of these alone."""
    deps = request.app[DEPS]
    if deps.spending is None:
        raise ApiError(503, "no_spending", "nobody counts calls here", remedy="start the whole bridge")
    told, scope = deps.spending.spent(), scope_asked(request)
    rows = told.rows if scope is None else tuple(row for row in told.rows if row.scope == "queue" and row.name in scope)
    return reply(OutboundSpent(since=told.since, currency=told.currency, rows=rows))


OPERATIONS = (
    Operation(
        name="outbound_spent",
        method=hdrs.METH_GET,
        path="/api/v1/outbound/spent",
        handler=spent,
        summary="What dialling out has cost today, by whom, and how much of each cap is used",
        answer=OutboundSpent,
        errors={503: "no_spending: this server has no floor of its own"},
    ),
)
