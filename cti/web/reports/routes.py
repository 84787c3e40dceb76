"""Reports: the catalogue of figures, figures, the calls behind them, distributions, funnels."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.reports.metric import Dimension, Grain
from cti.reports.metrics import DEFINITION_VERSION, METRICS
from cti.services.own_reports import OwnReports
from cti.services.reporting import Compare, Filters, Reports
from cti.web.auth.own_queues import check_ours, queues_told, scope_asked
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.reports.queries import calls_query, check_period, filters, report_query
from cti.web.reports.schemas import (
    CountedAnswer,
    CountedQuery,
    FunnelAnswer,
    FunnelQuery,
    MetricRow,
    ReportAnswer,
    ReportCatalogue,
    ReportQueryParams,
    SpreadQuery,
    SpreadRow,
)
from cti.web.wire import read_query, reply

_NO_DRILL = frozenset({Grain.TIMES, Grain.COMPLAINTS})
"""Grains that are not of calls."""


def _reports(request: web.Request) -> Reports:
    """The past, as far as it is the asker's."""
    found, scope = request.app[DEPS].reports, scope_asked(request)
    if found is None:
        raise ApiError(503, "no_reports", "there are no reports here", remedy="reports need a database")
    return found if scope is None else OwnReports(found, scope, request.app[DEPS].centre)


def _chosen(request: web.Request, chosen: Filters) -> None:
    """Raises `ApiError` not_your_queue where other queues are asked for by name."""
    if Dimension.QUEUE in chosen:
        check_ours(request, *chosen[Dimension.QUEUE])


async def catalogue(request: web.Request) -> web.Response:
    """What can be asked for."""
    return reply(
        ReportCatalogue(
            definition_version=DEFINITION_VERSION,
            zone=request.app[DEPS].centre.time_zone,
            metrics=[
                MetricRow(
                    id=metric.name,
                    unit=metric.unit.value,
                    good=metric.good.value,
                    grain=metric.amount.grain.value,
                    title=dict(metric.titles),
                    definition=dict(metric.texts),
                    formula=metric.formula,
                    version=metric.version,
                    additive=metric.additive,
                    dimensions=sorted(dimension.value for dimension in metric.dimensions),
                    drill=metric.amount.grain not in _NO_DRILL,
                )
                for metric in METRICS.values()
            ],
            dimensions=[dimension.value for dimension in Dimension],
            compare=[compare.value for compare in Compare],
        )
    )


async def query(request: web.Request) -> web.Response:
    """Figures."""
    asked = report_query(read_query(request, ReportQueryParams))
    _chosen(request, asked.filters)
    found = await _reports(request).query(asked)
    return reply(ReportAnswer.model_validate(found).model_dump(by_alias=True))


async def counted(request: web.Request) -> web.Response:
    """The calls behind a figure."""
    asked = calls_query(read_query(request, CountedQuery))
    if METRICS[asked.metric].amount.grain in _NO_DRILL:
        raise ApiError(400, "no_calls_behind", "this figure is not of calls", remedy="choose a metric with drill")
    _chosen(request, asked.filters)
    found = CountedAnswer.model_validate(await _reports(request).calls(asked))
    return reply(found.model_copy(update={"queues": queues_told(request)}))


async def distribution(request: web.Request) -> web.Response:
    """How waits or talks are spread."""
    asked = read_query(request, SpreadQuery)
    check_period(asked.since, asked.until)
    chosen = filters(asked)
    _chosen(request, chosen)
    found = await _reports(request).spread(asked.of, since=asked.since, until=asked.until, filters=chosen)
    return reply(SpreadRow.model_validate(found).model_copy(update={"queues": queues_told(request)}))


async def funnel(request: web.Request) -> web.Response:
    """How far callers went in flows."""
    asked = read_query(request, FunnelQuery)
    check_period(asked.since, asked.until)
    found = await _reports(request).funnel(since=asked.since, until=asked.until, flow=asked.flow, version=asked.version)
    return reply(FunnelAnswer.model_validate(found).model_copy(update={"queues": queues_told(request)}))


_AWAY = {503: "the database is away"}
_OTHERS = {403: "not_your_queue"}
_BAD = "unknown_metric, unknown_dimension, bad_period"
OPERATIONS = (
    Operation(
        name="reports",
        method=hdrs.METH_GET,
        path="/api/v1/reports",
        handler=catalogue,
        summary="What reports can tell: every figure with its definition",
        answer=ReportCatalogue,
    ),
    Operation(
        name="report_query",
        method=hdrs.METH_GET,
        path="/api/v1/reports/query",
        handler=query,
        summary="Figures of some time, whole and by up to two dimensions",
        query=ReportQueryParams,
        answer=ReportAnswer,
        errors={400: _BAD, **_OTHERS, **_AWAY},
    ),
    Operation(
        name="report_calls",
        method=hdrs.METH_GET,
        path="/api/v1/reports/calls",
        handler=counted,
        summary="The calls behind a figure",
        query=CountedQuery,
        answer=CountedAnswer,
        errors={400: f"{_BAD}, no_calls_behind", **_OTHERS, **_AWAY},
    ),
    Operation(
        name="report_distribution",
        method=hdrs.METH_GET,
        path="/api/v1/reports/distribution",
        handler=distribution,
        summary="How waits, talks or handling times are spread",
        query=SpreadQuery,
        answer=SpreadRow,
        errors={400: "bad_period", **_OTHERS, **_AWAY},
    ),
    Operation(
        name="report_funnel",
        method=hdrs.METH_GET,
        path="/api/v1/reports/funnel",
        handler=funnel,
        summary="How far callers went in flows",
        query=FunnelQuery,
        answer=FunnelAnswer,
        errors={400: "bad_period", **_AWAY},
    ),
)
