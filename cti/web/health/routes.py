"""/healthz, /readyz and /metrics: for machines that watch this one."""

from __future__ import annotations

from collections import Counter

from aiohttp import hdrs, web

from cti.metrics.registry import CONTENT_TYPE
from cti.web.deps import DEPS
from cti.web.feed import HUB
from cti.web.health.schemas import Alive, Part, Readiness
from cti.web.operations import Operation
from cti.web.wire import reply


async def healthz(request: web.Request) -> web.Response:
    """The process lives and its loop turns."""
    return reply(Alive())


async def readyz(request: web.Request) -> web.Response:
    """200 when calls can be served, 503 when not, with the state of every part."""
    deps, hub = request.app[DEPS], request.app[HUB]
    parts = {part.name: Part(ok=part.ok, needed=part.needed, detail=part.detail) for part in deps.readiness()}
    parts["web"] = Part(ok=hub.alive, needed=False, detail=f"{len(hub.clients)} feeds open")
    if any(part.needed and not part.ok for part in parts.values()):
        return reply(Readiness(status="not_ready", parts=parts), status=503)
    whole = all(part.ok for part in parts.values())
    return reply(Readiness(status="ready" if whole else "degraded", parts=parts))


async def metrics(request: web.Request) -> web.Response:
    """The figures in Prometheus' text form. No names and no numbers of callers are in it."""
    deps = request.app[DEPS]
    view = deps.floor.view()
    deps.metrics.show_floor(
        waiting={row.queue: row.waiting for row in view.queues.values()},
        agents=Counter(row.state for row in view.agents.values()),
        calls=Counter(row.state for row in view.calls.values()),
        connected=view.link.connected,
    )
    return web.Response(body=deps.metrics.render(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})


OPERATIONS = (
    Operation(
        name="healthz",
        method=hdrs.METH_GET,
        path="/healthz",
        handler=healthz,
        summary="The process lives",
        answer=Alive,
    ),
    Operation(
        name="readyz",
        method=hdrs.METH_GET,
        path="/readyz",
        handler=readyz,
        summary="Whether calls can be served; the state of every part",
        answer=Readiness,
        errors={503: "not_ready: the same answer, with the part that is missing"},
    ),
    Operation(
        name="metrics",
        method=hdrs.METH_GET,
        path="/metrics",
        handler=metrics,
        summary="Figures for Prometheus",
        answer=str,
    ),
)
