"""The alerts there are now, and seeing to one."""

from __future__ import annotations

from typing import Annotated

from aiohttp import hdrs, web
from pydantic import BaseModel, StringConstraints

from cti.services.floor import AlertRow
from cti.web.auth.guard import session_of
from cti.web.auth.own_queues import ours
from cti.web.deps import DEPS
from cti.web.operations import Answer, Operation
from cti.web.wire import read_path, reply


class AlertParams(BaseModel):
    """An alert, as `AlertRow.alert` names it."""

    alert: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,32}\.[a-z_]{1,32}$")]


class Alerts(Answer):
    """Figures beyond their thresholds; what is critical first, then the newest."""

    alerts: tuple[AlertRow, ...]


async def alerts(request: web.Request) -> web.Response:
    """The alerts of the floor."""
    return reply(_all(request))


async def acknowledge(request: web.Request) -> web.Response:
    """Somebody has seen to it; gives the alerts as they are then."""
    alert = read_path(request, AlertParams).alert
    await request.app[DEPS].floor.acknowledge(alert, by=session_of(request).account.username)
    return reply(_all(request))


def _all(request: web.Request) -> Alerts:
    found = [row for row in request.app[DEPS].floor.view().alerts.values() if ours(request, row.queue)]
    rows = sorted(found, key=lambda row: row.since, reverse=True)
    return Alerts(alerts=tuple(sorted(rows, key=lambda row: row.level != "critical")))


OPERATIONS = (
    Operation(
        name="alerts",
        method=hdrs.METH_GET,
        path="/api/v1/alerts",
        handler=alerts,
        summary="Figures of the floor that are beyond the centre's thresholds now",
        answer=Alerts,
    ),
    Operation(
        name="alert_acknowledge",
        method=hdrs.METH_POST,
        path="/api/v1/alerts/{alert}/acknowledge",
        handler=acknowledge,
        summary="Say that one has seen to an alert; everybody sees who and when",
        params=AlertParams,
        answer=Alerts,
        errors={403: "not_your_queue", 409: "no_alert: it is over"},
    ),
)
