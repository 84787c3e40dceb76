"""The service audit: figures by period against the targets that were in force then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from cti.ids import QueueName
from cti.model.centre import Centre
from cti.report_office.request import day_start
from cti.reports.metric import Dimension, Good
from cti.reports.metrics import DEFINITION_VERSION, METRICS
from cti.services.report_desk import Audit, AuditCell, AuditRow, DeskRefused, Goal, Verdict
from cti.services.reporting import Figure, ReportQuery, Reports
from cti.store.report_shelf import StoredTarget

MOST_PERIODS = 31
_STEPS = {"day": Dimension.DAY, "week": Dimension.WEEK, "month": Dimension.MONTH}
# Figures without a better side of their own are to be kept below: nobody agrees on more handling time.
_AT_LEAST = {"occupancy", "handled", "signed_in_time"}


def good_of(metric: str) -> str:
    """Whether the figure should be at least (up) or at most (down) its target."""
    good = METRICS[metric].good
    if good is Good.NEITHER:
        return "up" if metric in _AT_LEAST else "down"
    return good.value


def check(metric: str, queue: str, centre: Centre) -> None:
    """Raises `DeskRefused` unknown_metric, unknown_queue."""
    if metric not in METRICS:
        raise DeskRefused("unknown_metric", "there is no such figure", remedy="see GET /api/v1/reports")
    if queue and queue not in centre.queues:
        raise DeskRefused("unknown_queue", "there is no such queue", remedy="choose another queue")
    if queue and Dimension.QUEUE not in METRICS[metric].dimensions:
        raise DeskRefused("not_of_queues", "this figure is not of queues", remedy="set it for the whole centre")


def goal_of(stored: StoredTarget) -> Goal:
    """As the web has it."""
    return Goal(
        target_id=stored.target_id,
        metric=stored.metric,
        queue=stored.queue,
        good=good_of(stored.metric) if stored.metric in METRICS else "up",
        target=stored.target,
        tolerance=stored.tolerance,
        since=stored.since,
        author=stored.author,
    )


def judge(value: float | None, target: float, tolerance: float, good: str) -> Verdict:
    """A figure against its target: met with the target itself, near within the tolerance."""
    if value is None:
        return Verdict.NONE
    missing = target - value if good == "up" else value - target
    return Verdict.MET if missing <= 1e-9 else Verdict.NEAR if missing <= tolerance + 1e-9 else Verdict.MISSED


def periods_of(step: str, many: int, today: date) -> tuple[list[tuple[str, date]], date]:
    """The keys and first days of the last `many` periods, today's the last, and the day after them."""
    if step == "day":
        firsts = [today - timedelta(days=n) for n in range(many - 1, -1, -1)]
        return [(day.isoformat(), day) for day in firsts], today + timedelta(days=1)
    if step == "week":
        monday = today - timedelta(days=today.weekday())
        firsts = [monday - timedelta(weeks=n) for n in range(many - 1, -1, -1)]
        return [(f"{day:%G}-W{day:%V}", day) for day in firsts], monday + timedelta(days=7)
    first = today.replace(day=1)
    firsts = [first]
    for _ in range(many - 1):
        firsts.insert(0, (firsts[0] - timedelta(days=1)).replace(day=1))
    return [(f"{day:%Y-%m}", day) for day in firsts], (first + timedelta(days=32)).replace(day=1)


async def audit(
    reports: Reports, targets: Sequence[StoredTarget], step: str, many: int, centre: Centre, now: datetime
) -> Audit:
    """Every target in force over the last periods. Each period is judged by what was in force at its end."""
    zone = ZoneInfo(centre.time_zone)
    periods, end = periods_of(step, many, now.astimezone(zone).date())
    since, until = day_start(periods[0][1], zone), day_start(end, zone)
    in_force = [one for one in targets if one.until is None and one.metric in METRICS]
    unfinished = False
    found: dict[tuple[str, str, str], Figure] = {}
    for queues in (False, True):
        names = tuple(dict.fromkeys(one.metric for one in in_force if bool(one.queue) == queues))
        if not names:
            continue
        chosen = (
            {Dimension.QUEUE: tuple(dict.fromkeys(QueueName(one.queue) for one in in_force if one.queue))}
            if queues
            else {}
        )
        by = (Dimension.QUEUE, _STEPS[step]) if queues else (_STEPS[step],)
        report = await reports.query(ReportQuery(metrics=names, since=since, until=until, by=by, filters=chosen))
        unfinished = unfinished or report.unfinished
        for row in report.rows:
            queue = (row.keys.get("queue") or "") if queues else ""
            for name, figure in row.figures.items():
                found[name, queue, row.keys[step] or ""] = figure
    ends = [day_start(first, zone) for _, first in periods[1:]] + [until]
    rows = []
    for one in sorted(in_force, key=lambda one: (list(METRICS).index(one.metric), one.queue)):
        history = [other for other in targets if (other.metric, other.queue) == (one.metric, one.queue)]
        cells = []
        for (key, _), over in zip(periods, ends, strict=True):
            figure = found.get((one.metric, one.queue, key), Figure(value=None, n=0))
            then = next((other for other in reversed(history) if other.since < over), history[0])
            verdict = judge(figure.value, then.target, then.tolerance, good_of(one.metric))
            cells.append(AuditCell(period=key, value=figure.value, n=figure.n, verdict=verdict))
        rows.append(
            AuditRow(target_id=one.target_id, metric=one.metric, queue=one.queue, target=one.target, cells=tuple(cells))
        )
    return Audit(
        zone=centre.time_zone,
        step=step,
        periods=tuple(key for key, _ in periods),
        definition_version=DEFINITION_VERSION,
        rows=tuple(rows),
        unfinished=unfinished,
    )
