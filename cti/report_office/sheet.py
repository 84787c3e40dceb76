"""A report as a sheet: headings, rows of plain values, and what one must know to read them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cti.model.centre import Centre
from cti.report_office.request import ReportRequest
from cti.report_office.words import compared, day_text, dimension_title, key_text, titled, view_title, word
from cti.reports.metric import Dimension
from cti.reports.metrics import METRICS
from cti.services.reporting import Figures, Report

Value = str | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. `unit` is text, count, seconds, share, score or points."""

    title: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A report, ready to be written. The first row is the whole."""

    title: str
    language: str
    notes: tuple[tuple[str, str], ...]
    """Period, time zone, filters, version of the definitions, when it was made."""
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    definitions: tuple[tuple[str, str, str], ...]
    """Figure, definition with its version, formula."""


def sheet_of(
    report: Report, request: ReportRequest, *, name: str, centre: Centre, language: str, now: datetime
) -> Sheet:
    """The sheet of a report; `name` is what somebody called it, or empty."""
    zone = ZoneInfo(report.zone)
    metrics = [METRICS[one] for one in request.metrics]
    columns = [Column(title=dimension_title(language, one), unit="text") for one in request.by] or [
        Column(title="", unit="text")
    ]
    compares = report.totals_before is not None
    for metric in metrics:
        title = titled(language, metric.titles, metric.name)
        columns.append(Column(title=title, unit=metric.unit.value))
        if compares:
            columns.append(Column(title=f"{title} ({word(language, 'before')})", unit=metric.unit.value))

    def figures(now_: Figures, before: Figures | None) -> list[Value]:
        out: list[Value] = []
        for metric in metrics:
            out.append(now_[metric.name].value if metric.name in now_ else None)
            if compares:
                out.append(before[metric.name].value if before is not None and metric.name in before else None)
        return out

    whole: tuple[Value, ...] = (
        word(language, "whole"),
        *("" for _ in request.by[1:]),
        *figures(report.totals, report.totals_before),
    )
    rows = [
        (
            *(key_text(language, centre, one, row.keys.get(one.value)) for one in request.by),
            *figures(row.figures, row.before),
        )
        for row in report.rows
    ]
    first, last = report.since.astimezone(zone).date(), (report.until.astimezone(zone) - timedelta(seconds=1)).date()
    period = day_text(language, first) + ("" if first == last else f" – {day_text(language, last)}")
    notes = [(word(language, "period"), period), (word(language, "zone"), report.zone)]
    if report.queues is not None:
        names = ", ".join(key_text(language, centre, Dimension.QUEUE, queue) for queue in report.queues)
        notes.append((word(language, "of_queues"), names))
    for dimension, values in request.filters.items():
        shown = ", ".join(key_text(language, centre, dimension, value) for value in values)
        notes.append((f"{word(language, 'filters')}: {dimension_title(language, dimension)}", shown))
    if request.compare is not None:
        notes.append((word(language, "compare"), compared(language, request.compare.value)))
    notes.append((word(language, "version"), str(report.definition_version)))
    notes.append((word(language, "made"), f"{now.astimezone(zone):%Y-%m-%d %H:%M} {report.zone}"))
    if report.unfinished:
        notes.append((word(language, "unfinished"), word(language, "yes")))
    return Sheet(
        title=" – ".join(filter(None, (centre.name, name or view_title(language, request.view)))),
        language=language,
        notes=tuple(notes),
        columns=tuple(columns),
        rows=(whole, *rows) if request.by else (whole,),
        definitions=tuple(
            (
                titled(language, metric.titles, metric.name),
                f"{titled(language, metric.texts, '')} (v{metric.version})",
                metric.formula,
            )
            for metric in metrics
        ),
    )


def shown(value: Value, unit: str) -> str:
    """A value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    match unit:
        case "share":
            return f"{value * 100:.1f}%"
        case "seconds":
            seconds = round(value)
            minutes, hours = seconds // 60 % 60, seconds // 3600
            return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
        case "score":
            return f"{value:.2f}"
        case "points":
            return f"{value:.0f}"
        case _:
            return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
