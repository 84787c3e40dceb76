"""What a request for figures means: names into metrics and dimensions, lists into filters. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from cti.reports.metric import Dimension
from cti.reports.metrics import METRICS
from cti.services.reporting import CallsQuery, Filters, ReportQuery
from cti.web.errors import ApiError
from cti.web.operations import FIRST_YEAR, LAST_YEAR
from cti.web.reports.schemas import Chosen, CountedQuery, ReportQueryParams

LONGEST = timedelta(days=800)
"""Two years and the same weeks of the year before."""
LONGEST_BY_HALF_HOUR = timedelta(days=100)
NOBODY = "-"
_PAGE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d:\d\d\|[A-Za-z0-9._-]{1,100}\|\d{1,4}")
_FINE = frozenset({Dimension.HALF_HOUR, Dimension.HOUR})
_FILTERS = (
    Dimension.QUEUE,
    Dimension.AGENT,
    Dimension.TEAM,
    Dimension.TIER,
    Dimension.DID,
    Dimension.DIRECTION,
    Dimension.OUTCOME,
    Dimension.FLOW_VERSION,
    Dimension.STATE,
    Dimension.REASON,
    Dimension.WEEKDAY_HOUR,
)


def report_query(asked: ReportQueryParams) -> ReportQuery:
    """Raises `ApiError` unknown_metric, unknown_dimension, bad_period."""
    names = tuple(dict.fromkeys(asked.metrics.split(",")))
    for name in names:
        known_metric(name)
    by = tuple(dict.fromkeys(_dimension(name) for name in asked.by.split(",") if name))
    check_period(asked.since, asked.until, fine=not _FINE.isdisjoint(by))
    return ReportQuery(
        metrics=names, since=asked.since, until=asked.until, by=by, filters=filters(asked), compare=asked.compare
    )


def calls_query(asked: CountedQuery) -> CallsQuery:
    """Raises `ApiError` unknown_metric, bad_period, bad_page."""
    known_metric(asked.metric)
    check_period(asked.since, asked.until)
    if asked.after and not _is_page(asked.after):
        raise ApiError(400, "bad_page", "there is no such page", remedy="`after` is the `next` of the page before")
    return CallsQuery(
        metric=asked.metric,
        since=asked.since,
        until=asked.until,
        part=asked.part,
        filters=filters(asked),
        limit=asked.limit,
        after=asked.after,
    )


def _is_page(after: str) -> bool:
    """Whether it could be the `next` of a page: what looks like a moment may be none ("2026-13-01")."""
    if not _PAGE.fullmatch(after):
        return False
    try:
        return FIRST_YEAR <= datetime.fromisoformat(after.partition("|")[0]).year <= LAST_YEAR
    except ValueError:
        return False


def filters(asked: Chosen) -> Filters:
    """Which rows are meant."""
    found: dict[Dimension, tuple[str | None, ...]] = {}
    for dimension in _FILTERS:
        if listed := getattr(asked, dimension.value):
            values = dict.fromkeys(None if value == NOBODY else value for value in listed.split(","))
            found[dimension] = tuple(values)
    return found


def known_metric(name: str) -> None:
    """Raises `ApiError` unknown_metric."""
    if name not in METRICS:
        raise ApiError(400, "unknown_metric", f"there is no metric {name[:64]}", remedy="see GET /api/v1/reports")


def _dimension(name: str) -> Dimension:
    try:
        return Dimension(name)
    except ValueError:
        raise ApiError(
            400, "unknown_dimension", f"nothing is divided by {name[:64]}", remedy="see GET /api/v1/reports"
        ) from None


def check_period(since: datetime, until: datetime, *, fine: bool = False) -> None:
    """Raises `ApiError` bad_period."""
    longest = LONGEST_BY_HALF_HOUR if fine else LONGEST
    if not timedelta() < until - since <= longest:
        raise ApiError(
            400,
            "bad_period",
            f"`from` must be before `to`, by at most {longest.days} days",
            remedy="choose another time",
        )
