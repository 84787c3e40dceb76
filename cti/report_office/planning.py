"""Staffing out of the figures of past weeks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from cti.ids import AgentId, QueueName
from cti.model.centre import Centre
from cti.report_office.request import day_start
from cti.reports.metric import Dimension
from cti.services.report_desk import DeskRefused, StaffingPlan, StaffingQuestion
from cti.services.reporting import Filters, ReportQuery, ReportRow, Reports
from cti.staffing.demand import Observed, forecast, mean_presence, patience
from cti.staffing.plan import plan

_CALLS = ("offered",)
_WORK = ("handled", "talk_time", "hold_time", "wrap_time")
_WAITS = ("asa", "abandon_wait")
_PRESENT = ("ready_time", "busy_time")


async def staffing(reports: Reports, question: StaffingQuestion, centre: Centre, now: datetime) -> StaffingPlan:
    """The plan of one weekday. Raises `DeskRefused` where no number of agents would do."""
    zone = ZoneInfo(centre.time_zone)
    today = now.astimezone(zone).date()
    # Whole weeks up to last night: today is not over.
    since, until = day_start(today - timedelta(weeks=question.weeks), zone), day_start(today, zone)
    chosen: Filters = {Dimension.QUEUE: (question.queue,)} if question.queue else {}

    async def half_hours(metrics: tuple[str, ...], filters: Filters) -> Mapping[tuple[date, int], ReportRow]:
        report = await reports.query(
            ReportQuery(metrics=metrics, since=since, until=until, by=(Dimension.HALF_HOUR,), filters=filters)
        )
        return {_slot(row.keys[Dimension.HALF_HOUR.value] or ""): row for row in report.rows}

    calls = await half_hours(_CALLS, chosen)
    work = await half_hours(_WORK, chosen)
    waits = (await reports.query(ReportQuery(metrics=_WAITS, since=since, until=until, filters=chosen))).totals
    there = await half_hours(_PRESENT, _team(centre, question.queue))
    history = [
        Observed(
            day=day,
            slot=slot,
            calls=round(_sum(calls.get((day, slot)), _CALLS)),
            handled=round(_sum(work.get((day, slot)), _WORK[:1])),
            handling=_sum(work.get((day, slot)), _WORK[1:]),
        )
        for day, slot in sorted(calls.keys() | work.keys())
    ]
    learnt = patience(
        sum((one.value or 0.0) * one.n for name, one in waits.items() if name in _WAITS),
        waits["abandon_wait"].n if "abandon_wait" in waits else 0,
    )
    target = replace(question.target, patience=learnt) if question.learn_patience else question.target
    coming = forecast(history, question.weekday - 1, growth=question.growth)
    present = mean_presence({key: _sum(row, _PRESENT) for key, row in there.items()}, coming.days)
    try:
        planned = plan(coming, target)
    except ValueError as error:
        raise DeskRefused("no_plan", str(error), remedy="ask for less, or let fewer call") from error
    return StaffingPlan(plan=planned, present=present, patience=learnt, zone=centre.time_zone)


def _team(centre: Centre, queue: str) -> Filters:
    """Whoever serves the queue, with all their time: agents are there for each of their queues."""
    if not queue:
        return {}
    agents = tuple(agent_id for agent_id, agent in centre.agents.items() if QueueName(queue) in agent.queues)
    return {Dimension.AGENT: agents or (AgentId("-"),)}


def _slot(key: str) -> tuple[date, int]:
    local = datetime.fromisoformat(key)
    return local.date(), local.hour * 2 + local.minute // 30


def _sum(row: ReportRow | None, names: tuple[str, ...]) -> float:
    if row is None:
        return 0.0
    return sum(row.figures[name].value or 0.0 for name in names if name in row.figures)
