"""Live flows, their pictures, and where callers give up."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from aiohttp import hdrs, web

from cti.ids import FlowName
from cti.ivr.drawing import Traffic, draw, svg
from cti.ivr.editions import Action
from cti.ivr.flow import Flow
from cti.ivr.parser import parse_flow
from cti.services.flow_changes import FlowStanding, UnknownFlow
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.flows.schemas import (
    ExitRow,
    FlowDetail,
    FlowList,
    FlowParams,
    FlowPeriod,
    FlowRow,
    PictureQuery,
    StepRow,
)
from cti.web.flows.versions import changes_of
from cti.web.operations import Operation
from cti.web.wire import read_path, read_query, reply


def _name(request: web.Request) -> FlowName:
    return FlowName(read_path(request, FlowParams).flow)


async def _in_version(request: web.Request, version: str) -> Flow:
    name = _name(request)
    try:
        flow = parse_flow(await changes_of(request).text(name, version), f"{name}.yaml")
    except UnknownFlow as error:
        raise ApiError(404, error.error_id, error.message, remedy="the flow's versions are told beside it") from None
    if isinstance(flow, list):
        raise ApiError(404, "unknown_flow", f"this version cannot be read any more: {flow[0]}", remedy="")
    return flow


def _flow(request: web.Request) -> Flow:
    name = _name(request)
    for flow in request.app[DEPS].flows:
        if flow.name == name:
            return flow
    raise ApiError(404, "unknown_flow", "no live flow has this name", remedy="/api/v1/flows lists them")


async def _traffic(request: web.Request, flow: Flow, period: FlowPeriod) -> Traffic:
    deps = request.app[DEPS]
    until = period.until or deps.clock.now()
    since = period.since
    if since is None:
        zone = ZoneInfo(deps.centre.time_zone)
        since = datetime.combine(until.astimezone(zone).date(), datetime.min.time(), tzinfo=zone)
        since = min(since, until - timedelta(microseconds=1))
    return await deps.flow_traffic.traffic(flow.name, since=since, until=until)


async def flows(request: web.Request) -> web.Response:
    """The live flows."""
    deps = request.app[DEPS]
    standings = {one.flow: one for one in deps.flow_changes.standings()} if deps.flow_changes is not None else {}
    rows = [_row(flow, standings.get(flow.name)) for flow in deps.flows]
    live = {row.flow for row in rows}
    rows += [
        FlowRow(flow=one.flow, title=one.flow, version="", languages=(), steps=0, draft=one.draft)
        for one in standings.values()
        if one.draft and one.flow not in live
    ]
    return reply(FlowList(flows=sorted(rows, key=lambda row: row.flow)))


def _row(flow: Flow, standing: FlowStanding | None) -> FlowRow:
    changes = standing.changes if standing is not None else ()
    last = next((one for one in reversed(changes) if one.action in (Action.APPLIED, Action.ROLLED_BACK)), None)
    return FlowRow(
        flow=flow.name,
        title=flow.title,
        version=flow.version,
        languages=flow.languages,
        steps=len(flow.steps),
        draft=standing.draft if standing is not None else "",
        since=last.at if last is not None else None,
        by=last.by if last is not None else "",
    )


async def flow(request: web.Request) -> web.Response:
    """One flow with its counts."""
    found = _flow(request)
    traffic = await _traffic(request, found, read_query(request, FlowPeriod))
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
    query = read_query(request, PictureQuery)
    wanted = query.version
    live = next((flow for flow in request.app[DEPS].flows if flow.name == _name(request)), None)
    if not wanted or (live is not None and live.version == wanted):
        found = _flow(request)
        text = svg(draw(found), await _traffic(request, found, query))
    else:
        text = svg(draw(await _in_version(request, wanted)))
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
        query=PictureQuery,
        answer=str,
        media=("image/svg+xml",),
        errors=_ERRORS,
    ),
)
