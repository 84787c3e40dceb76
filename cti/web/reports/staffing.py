"""How many agents are needed, half hour by half hour."""

from __future__ import annotations

import math
from datetime import date
from typing import Annotated

from aiohttp import hdrs, web
from pydantic import Field

from cti.services.report_desk import StaffingPlan, StaffingQuestion
from cti.staffing.need import Target, outlook
from cti.staffing.plan import PlannedSlot
from cti.web.auth.own_queues import check_ours
from cti.web.operations import Answer, Operation, Params
from cti.web.reports.asking import AWAY, QueueText, desk, telling
from cti.web.wire import read_query, reply


class StaffingQuery(Params):
    """Of what the plan is made. `weekday`: 1 is Monday. `patience`: learnt, never, or seconds."""

    queue: QueueText = ""
    weekday: Annotated[int, Field(ge=1, le=7)]
    weeks: Annotated[int, Field(ge=1, le=52)] = 8
    service_level: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.8
    within: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 20.0
    max_occupancy: Annotated[float, Field(ge=0.1, le=1, allow_inf_nan=False)] = 0.85
    shrinkage: Annotated[float, Field(ge=0, le=0.9, allow_inf_nan=False)] = 0.3
    growth: Annotated[float, Field(ge=0.1, le=6, allow_inf_nan=False)] = 1.0
    patience: Annotated[str, Field(pattern=r"^(learnt|never|[1-9][0-9]{0,4})$")] = "learnt"


class StaffingSlot(Answer):
    """One half hour: 0 begins at midnight. Ranges hold eight cases of ten. Null: nothing to tell."""

    slot: int
    calls: float
    calls_low: float
    calls_high: float
    handling: float
    """Seconds a call."""
    needed: int
    needed_low: int
    needed_high: int
    rostered: int
    present: float
    """Agents who could serve on the days it was learnt from, on average."""
    service_level: float | None
    """What `needed` agents would reach."""
    occupancy: float
    abandoned: float
    mean_wait: float | None
    present_level: float | None
    """What those present would reach."""


class StaffingAnswer(Answer):
    """A plan, and what it was learnt from."""

    weekday: int
    zone: str
    days: list[date]
    left_out: list[date]
    variation: float
    patience: float | None
    within: float
    service_level: float
    agent_hours: float
    paid_hours: float
    slots: list[StaffingSlot]


def _slot(one: PlannedSlot, present: float, target: Target) -> StaffingSlot:
    expected, found = one.expected, one.need.outlook
    calls = expected.calls > 0 and expected.handling > 0
    there = outlook(math.floor(present + 1e-9), expected.load(), expected.handling, target) if calls else None
    return StaffingSlot(
        slot=expected.slot,
        calls=expected.calls,
        calls_low=expected.low,
        calls_high=expected.high,
        handling=expected.handling,
        needed=one.need.agents,
        needed_low=one.low,
        needed_high=one.high,
        rostered=one.need.rostered,
        present=present,
        service_level=found.service_level if calls else None,
        occupancy=found.occupancy,
        abandoned=found.abandoned,
        mean_wait=found.mean_wait if math.isfinite(found.mean_wait) else None,
        present_level=None if there is None else there.service_level,
    )


def _answer(found: StaffingPlan, weekday: int) -> StaffingAnswer:
    plan = found.plan
    return StaffingAnswer(
        weekday=weekday,
        zone=found.zone,
        days=list(plan.forecast.days),
        left_out=list(plan.forecast.left_out),
        variation=plan.forecast.variation,
        patience=found.patience,
        within=plan.target.within,
        service_level=plan.target.service_level,
        agent_hours=plan.agent_hours,
        paid_hours=plan.paid_hours,
        slots=[_slot(one, there, plan.target) for one, there in zip(plan.slots, found.present, strict=True)],
    )


@telling
async def staffing(request: web.Request) -> web.Response:
    """A plan."""
    asked = read_query(request, StaffingQuery)
    check_ours(request, asked.queue)
    question = StaffingQuestion(
        queue=asked.queue,
        weekday=asked.weekday,
        weeks=asked.weeks,
        growth=asked.growth,
        target=Target(
            service_level=asked.service_level,
            within=asked.within,
            max_occupancy=asked.max_occupancy,
            shrinkage=asked.shrinkage,
            patience=float(asked.patience) if asked.patience.isdigit() else None,
        ),
        learn_patience=asked.patience == "learnt",
    )
    return reply(_answer(await desk(request).staffing(question), asked.weekday))


OPERATIONS = (
    Operation(
        name="staffing",
        method=hdrs.METH_GET,
        path="/api/v1/staffing",
        handler=staffing,
        summary="Agents needed for each half hour of a weekday, out of past weeks, for a target",
        query=StaffingQuery,
        answer=StaffingAnswer,
        errors={400: "unknown_queue, no_plan", 403: "not_your_queue", **AWAY},
    ),
)
