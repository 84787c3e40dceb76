"""A team's day as a sheet and as the text of a mail: what `/quality` shows of a day, for who reads mails. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from cti.model.centre import Centre
from cti.quality.rows import LookAt, TeamSummary
from cti.report_office.request import TEAM_DAY_METRICS, ReportRequest
from cti.report_office.sheet import Column, Sheet, Value, shown
from cti.report_office.words import day_text, dimension_title, key_text, titled, word
from cti.reports.metric import Dimension
from cti.reports.metrics import DEFINITION_VERSION, METRICS

USUAL_METRICS = tuple(TEAM_DAY_METRICS.split(","))


def team_of(request: ReportRequest) -> str:
    """The team a request is about; empty: everybody."""
    return next((team for team in request.filters.get(Dimension.TEAM, ()) if team is not None), "")


def team_sheet(
    summary: TeamSummary,
    *,
    name: str,
    centre: Centre,
    language: str,
    now: datetime,
    queues: Collection[str] | None = None,
) -> Sheet:
    """The sheet: the team first, then its agents; what to look at stands among the notes."""
    zone = ZoneInfo(centre.time_zone)
    metrics = [METRICS[one] for one in USUAL_METRICS]
    columns = (
        Column(title=dimension_title(language, Dimension.AGENT), unit="text"),
        *(Column(title=titled(language, metric.titles, metric.name), unit=metric.unit.value) for metric in metrics),
        Column(title=word(language, "scored_calls"), unit="count"),
        Column(title=word(language, "mean_score"), unit="score"),
        Column(title=word(language, "praise"), unit="count"),
    )
    whole: tuple[Value, ...] = (
        word(language, "whole"), float(summary.calls), summary.handling_seconds, summary.csat.share,
        float(summary.scores), summary.mean, float(len(summary.praise)),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = [
        (
            key_text(language, centre, Dimension.AGENT, one.agent), float(one.calls), one.handling_seconds,
            one.csat.share, float(one.scores), one.mean, float(one.praise),
        )
        for one in summary.agents
    ]  # fmt: skip
    notes = [(word(language, "period"), day_text(language, summary.day)), (word(language, "zone"), centre.time_zone)]
    if summary.team:
        notes.append((dimension_title(language, Dimension.TEAM), summary.team))
    if queues is not None:
        names = ", ".join(key_text(language, centre, Dimension.QUEUE, queue) for queue in sorted(queues))
        notes.append((word(language, "of_queues"), names))
    notes += [(word(language, "look_at"), line) for line in look_lines(summary, centre, language)]
    notes.append((word(language, "version"), str(DEFINITION_VERSION)))
    notes.append((word(language, "made"), f"{now.astimezone(zone):%Y-%m-%d %H:%M} {centre.time_zone}"))
    return Sheet(
        title=" – ".join((centre.name, name or word(language, "team_day"))),
        language=language,
        notes=tuple(notes),
        columns=columns,
        rows=(whole, *rows),
        definitions=tuple(
            (
                titled(language, metric.titles, metric.name),
                f"{titled(language, metric.texts, '')} (v{metric.version})",
                metric.formula,
            )
            for metric in metrics
        ),
    )


def look_lines(summary: TeamSummary, centre: Centre, language: str) -> list[str]:
    """What to look at, a line each."""
    return [_line(one, centre, language) for one in summary.look_at]


def _line(one: LookAt, centre: Centre, language: str) -> str:
    who = key_text(language, centre, Dimension.AGENT, one.agent) if one.agent else ""
    value = "" if one.value is None else shown(one.value, "score")
    many = f"×{one.count}" if one.count > 1 else ""
    return " ".join(part for part in (f"{word(language, f'look_{one.kind}')}:", who, value, many) if part).rstrip(":")


def text_of(summary: TeamSummary, centre: Centre, language: str) -> str:
    """The day in a few lines, for the mail itself."""
    titles = [titled(language, METRICS[name].titles, name) for name in USUAL_METRICS]
    values = (
        shown(float(summary.calls), "count"), shown(summary.handling_seconds, "seconds"),
        shown(summary.csat.share, "share"),
    )  # fmt: skip
    lines = [f"{title}: {value}" for title, value in zip(titles, values, strict=True)]
    lines.append(f"{word(language, 'scored_calls')}: {summary.scores} ({shown(summary.mean, 'score')})")
    if found := look_lines(summary, centre, language):
        lines += ["", f"{word(language, 'look_at')}:", *(f"- {line}" for line in found)]
    if summary.praise:
        lines += ["", f"{word(language, 'praise')}:"]
        lines += [
            f"- {key_text(language, centre, Dimension.AGENT, note.agent)}: {' '.join(note.text.split())}"
            for note in summary.praise
        ]
    return "\n".join(lines)
