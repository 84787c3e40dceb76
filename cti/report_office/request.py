"""The search of a report's address, read: what is asked, of which days, divided how. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from cti.reports.metric import Dimension
from cti.reports.metrics import METRICS
from cti.services.report_desk import DeskRefused
from cti.services.reporting import Compare, Filters, ReportQuery

LONGEST = 4000
"""Signs of a search."""
MOST_METRICS = 40
MOST_DAYS = 800
MOST_FINE_DAYS = 100
NOBODY = "-"
PERIODS = (
    "today", "yesterday", "this_week", "last_week", "this_month", "last_month", "last_7", "last_28", "last_90", "days",
)  # fmt: skip
FILTERS = (
    Dimension.QUEUE, Dimension.AGENT, Dimension.TEAM, Dimension.TIER, Dimension.DID, Dimension.DIRECTION, Dimension.OUTCOME,
)  # fmt: skip
TEAM_DAY, TEAM_DAY_METRICS = "team_day", "handled,aht,satisfaction_rate"
"""A team's day, with what quality has to say of it; and the figures of the reports in it."""
_FINE = {Dimension.HALF_HOUR, Dimension.HOUR}
_KNOWN = {"view", "period", "from", "to", "by", "metrics", "compare", "of", "sort", *(one.value for one in FILTERS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """What a report's address asks for."""

    view: str
    metrics: tuple[str, ...]
    by: tuple[Dimension, ...]
    period: str
    first: date | None
    """Of the period `days`."""
    last: date | None
    compare: Compare | None
    filters: Filters = field(default_factory=dict)


def read_search(search: str) -> ReportRequest:
    """Read it. Raises `DeskRefused` bad_report with what is wrong."""
    if len(search) > LONGEST or "\0" in search:
        raise _wrong("it is too long")
    try:
        given = dict(
            parse_qsl(search.removeprefix("?"), strict_parsing=True, keep_blank_values=True, max_num_fields=30)
        )
    except ValueError:
        raise _wrong("it is no search of an address") from None
    if any(sign < " " or sign == "\x7f" for value in given.values() for sign in value):
        raise _wrong("there is a sign in it that nothing is named by")
    if unknown := given.keys() - _KNOWN:
        raise _wrong(f"it has {min(unknown)[:40]}, which means nothing")
    usual = TEAM_DAY_METRICS if given.get("view") == TEAM_DAY else ""
    metrics = tuple(dict.fromkeys(filter(None, (given.get("metrics") or usual).split(","))))
    if not metrics or len(metrics) > MOST_METRICS:
        raise _wrong("it names no figures, or too many")
    for name in metrics:
        if name not in METRICS:
            raise _wrong(f"there is no figure {name[:64]}")
    period = "days" if "from" in given else given.get("period", "yesterday")
    if period not in PERIODS:
        raise _wrong(f"there is no period {period[:40]}")
    first, last = _days(given) if period == "days" else (None, None)
    return ReportRequest(
        view=given.get("view", ""),
        metrics=metrics,
        by=_by(given.get("by", "")),
        period=period,
        first=first,
        last=last,
        compare=_compare(given.get("compare", "")),
        filters=_filters(given),
    )


def days_of(request: ReportRequest, today: date) -> tuple[date, date]:
    """First and last day, both included, as of `today`."""
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    day = timedelta(days=1)
    match request.period:
        case "days" if request.first is not None and request.last is not None:
            return request.first, request.last
        case "today":
            return today, today
        case "this_week":
            return monday, monday + 6 * day
        case "last_week":
            return monday - 7 * day, monday - day
        case "this_month":
            return first, (first + 31 * day).replace(day=1) - day
        case "last_month":
            return (first - day).replace(day=1), first - day
        case "last_7" | "last_28" | "last_90":
            return today - int(request.period.removeprefix("last_")) * day, today - day
        case _:
            return today - day, today - day


def query_of(request: ReportRequest, now: datetime, zone: str) -> ReportQuery:
    """The figures asked for, as of `now`. Raises `DeskRefused` bad_period."""
    there = ZoneInfo(zone)
    first, last = days_of(request, now.astimezone(there).date())
    longest = MOST_FINE_DAYS if _FINE & set(request.by) else MOST_DAYS
    if not 0 <= (last - first).days < longest:
        raise DeskRefused("bad_period", f"more than {longest} days", remedy="choose fewer days")
    return ReportQuery(
        metrics=request.metrics,
        since=day_start(first, there),
        until=day_start(last + timedelta(days=1), there),
        by=request.by,
        filters=request.filters,
        compare=request.compare,
    )


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """When a local day begins."""
    return datetime.combine(day, time(), tzinfo=zone)


def _wrong(what: str) -> DeskRefused:
    return DeskRefused("bad_report", f"this is no report: {what}", remedy="open the report and take its address")


def _days(given: Mapping[str, str]) -> tuple[date, date]:
    texts = given["from"], given.get("to") or given["from"]
    if not all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) for text in texts):
        raise _wrong("days are written as 2026-03-02")
    try:
        first, last = (date.fromisoformat(text) for text in texts)
    except ValueError:
        raise _wrong("there is no such day") from None
    if not date(2000, 1, 1) <= first <= last <= date(2099, 12, 31):
        raise _wrong("its last day is before its first")
    return first, last


def _by(text: str) -> tuple[Dimension, ...]:
    names = tuple(dict.fromkeys(filter(None, text.split(","))))
    if len(names) > 2:
        raise _wrong("it is divided by more than two")
    try:
        return tuple(Dimension(name) for name in names)
    except ValueError:
        raise _wrong(f"nothing is divided by {text[:64]}") from None


def _compare(text: str) -> Compare | None:
    if text in ("", "none"):
        return None
    try:
        return Compare(text)
    except ValueError:
        raise _wrong(f"nothing is compared with {text[:40]}") from None


def _filters(given: Mapping[str, str]) -> Filters:
    found: dict[Dimension, tuple[str | None, ...]] = {}
    for dimension in FILTERS:
        if values := [value for value in given.get(dimension.value, "").split(",") if value]:
            found[dimension] = tuple(dict.fromkeys(None if value == NOBODY else value for value in values))
    return found
