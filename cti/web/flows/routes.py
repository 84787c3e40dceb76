"""Live flows, their pictures, and where callers give up."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from aiohttp import hdrs, web

from cti.ivr.drawing import Traffic, draw, svg
from cti.ivr.flow import Flow
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.flows.schemas import ExitRow, FlowDetail, FlowList, FlowParams, FlowPeriod, FlowRow, StepRow
from cti.web.operations import Operation
from cti.web.wire import read_path, read_query, reply


def _flow(request: web.Request) -> Flow:
    name = read_path(request, FlowParams).flow
    for flow in request.app[DEPS].flows:
        if flow.name == name:
            return flow
    raise ApiError(404, "unknown_flow", "no live flow has this name", remedy="/api/v1/flows lists them")


async def _traffic(request: web.Request, flow: Flow) -> Traffic:
    deps, period = request.app[DEPS], read_query(request, FlowPeriod)
    until = period.until or deps.clock.now()
    since = period.since
    if since is None:
        zone = ZoneInfo(deps.centre.time_zone)
        since = datetime.combine(until.astimezone(zone).date(), datetime.min.time(), tzinfo=zone)
        since = min(since, until - timedelta(microseconds=1))
    return await deps.flow_traffic.traffic(flow.name, since=since, until=until)


async def flows(request: web.Request) -> web.Response:
    """The live flows."""
    rows = [
        FlowRow(flow=f.name, title=f.title, version=f.version, languages=f.languages, steps=len(f.steps))
        for f in request.app[DEPS].flows
    ]
    return reply(FlowList(flows=sorted(rows, key=lambda row: row.flow)))


async def flow(request: web.Request) -> web.Response:
    """One flow with its counts."""
    found = _flow(request)
    traffic = await _traffic(request, found)
    steps = []
    for step in found.steps.values():
        exits: dict[tuple[str, str], ExitRow] = {}
        for exit_ in step.exits():
            calls = traffic.left.get((step.name, exit_.name, exit_.target.step), 0)
            row = ExitRow(exit=exit_.name, label=exit_.label, to=exit_.target.step, calls=calls)
            exits.setdefault((exit_.name, exit_.target.step), row)
        steps.append(
            StepRow(
                step=step.name,
                verb=step.verb,
                came=traffic.came.get(step.name, 0),
                gone=traffic.gone.get(step.name, 0),
                exits=list(exits.values()),
            )
        )
    return reply(FlowDetail(flow=found.name, title=found.title, version=found.version, steps=steps))


async def picture(request: web.Request) -> web.Response:
    """One flow drawn with its counts, as SVG."""
    found = _flow(request)
    text = svg(draw(found), await _traffic(request, found))
    return web.Response(text=text, content_type="image/svg+xml", headers={hdrs.CACHE_CONTROL: "no-store"})


_ERRORS = {404: "unknown_flow", 503: "the database is away"}

OPERATIONS = (
    Operation(
        name="flows",
        method=hdrs.METH_GET,
        path="/api/v1/flows",
        handler=flows,
        summary="The live flows",
        answer=FlowList,
    ),
    Operation(
        name="flow",
        method=hdrs.METH_GET,
        path="/api/v1/flows/{flow}",
        handler=flow,
        summary="A flow, and what calls did in each step",
        params=FlowParams,
        query=FlowPeriod,
        answer=FlowDetail,
        errors=_ERRORS,
    ),
    Operation(
        name="flow_picture",
        method=hdrs.METH_GET,
        path="/api/v1/flows/{flow}/picture.svg",
        handler=picture,
        summary="A flow drawn, with what calls did in each step",
        params=FlowParams,
        query=FlowPeriod,
        answer=str,
        errors=_ERRORS,
    ),
)
