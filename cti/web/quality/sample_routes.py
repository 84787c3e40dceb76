"""What is to be scored: plans, the draw, the list; and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field

from cti.quality.rows import CalibrationDetail, CalibrationRow, DrawnRow, PlanRow, SampleRow
from cti.web.auth.guard import session_of
from cti.web.auth.own_queues import check_call, check_ours, queues_told, scope_asked
from cti.web.auth.permissions import Role
from cti.web.auth.scopes import not_your_queue
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Answer, Body, Operation, Params
from cti.web.quality.asking import (
    AWAY,
    CallKey,
    Extension,
    Limit,
    Line,
    Moment,
    Name,
    Number,
    Revision,
    Text,
    audit,
    reader,
    rooms,
    telling,
)
from cti.web.wire import read_body, read_path, read_query, reply

_PLAN = "/api/v1/quality/plans/{plan_id:[0-9]+}"
_SAMPLE = "/api/v1/quality/samples/{sample_id:[0-9]+}"
_CALIBRATION = "/api/v1/quality/calibrations/{calibration_id:[0-9]+}"
STATES = ("open", "begun", "done", "dropped")
USUAL_DAYS = 7


class PlanList(Answer):
    """Sampling plans."""

    plans: list[PlanRow]


class PlanParams(Params):
    """A plan."""

    plan_id: Number


class PlanBody(Body):
    """A plan. `plan` is described in docs/quality.md."""

    plan: dict[str, Any]
    active: bool = True


class PlanChangeBody(PlanBody):
    """A plan as it is to be. `revision`: as seen."""

    revision: Revision


class DrawBody(Body):
    """`keep` false: only look at what would be drawn."""

    keep: bool = True


class DrawnList(Answer):
    """Calls that were drawn, or would be, and why."""

    drawn: list[DrawnRow]


class SamplesQuery(Params):
    """Which samples. `state`: several with commas; left out: what waits. `mine`: the asker's and nobody's."""

    state: Annotated[str, Field(pattern=r"^[a-z_,]*$")] = "open,begun"
    mine: bool = False
    agent: Extension | None = None
    plan: Number | None = None
    before: Number | None = None
    limit: Limit = 100


class SampleList(Answer):
    """Samples: what waits by deadline, the rest newest first."""

    samples: list[SampleRow]


class SampleParams(Params):
    """A sample."""

    sample_id: Number


class ChooseBody(Body):
    """A call to be scored. `agent` left out: who talked first. `scorer` left out: whoever takes it."""

    call_id: CallKey
    form_id: Number
    agent: Extension | None = None
    scorer: Name | None = None
    note: Text = ""
    due_at: Moment | None = None


class SampleChangeBody(Body):
    """What changes; what is left out stays."""

    scorer: Name | None = None
    due_at: Moment | None = None
    dropped: bool | None = None


class CalibrationsQuery(Params):
    """How many."""

    limit: Limit = 100


class CalibrationList(Answer):
    """Rounds of calibration, open ones first."""

    calibrations: list[CalibrationRow]


class CalibrationParams(Params):
    """A round."""

    calibration_id: Number


class CalibrationBody(Body):
    """A round: who scores which call with what."""

    title: Annotated[Line, Field(min_length=1)]
    call_id: CallKey
    form_id: Number
    scorers: Annotated[list[Name], Field(min_length=2, max_length=20)]
    agent: Extension | None = None
    due_at: Moment | None = None


def known_scorers(request: web.Request, names: list[str]) -> None:
    """Refuse names of nobody who may score. Raises `ApiError`."""
    for name in names:
        account = request.app[DEPS].accounts.get(name)
        if account is None or account.role not in (Role.SUPERVISOR, Role.ADMIN):
            raise ApiError(
                400, "unknown_scorer", f"{name} is nobody who scores", remedy="name supervisors or administrators"
            )


@telling
async def plans(request: web.Request) -> web.Response:
    """Every plan."""
    found = await rooms(request).samples.plans()
    return reply({"plans": [plan for plan in found if _ours(request, plan.body)]})


@telling
async def plan_add(request: web.Request) -> web.Response:
    """Make one."""
    body = await read_body(request, PlanBody)
    _check_plan(request, body.plan)
    known_scorers(request, _scorers(body.plan))
    made = await rooms(request).samples.keep_plan(
        body.plan, by=session_of(request).account.username, active=body.active
    )
    audit(request, f"plan:{made.plan_id}")
    return reply(made)


@telling
async def plan_change(request: web.Request) -> web.Response:
    """Change it."""
    number, body = read_path(request, PlanParams).plan_id, await read_body(request, PlanChangeBody)
    await _check_number(request, number)
    _check_plan(request, body.plan)
    known_scorers(request, _scorers(body.plan))
    made = await rooms(request).samples.keep_plan(
        body.plan,
        by=session_of(request).account.username,
        plan_id=number,
        revision=body.revision,
        active=body.active,
    )
    audit(request, f"plan:{number}", after={"active": body.active})
    return reply(made)


def _ours(request: web.Request, plan: Mapping[str, Any]) -> bool:
    """Whether a plan draws from the asker's queues only. One that names none draws from all."""
    scope, queues = scope_asked(request), plan.get("queues")
    return scope is None or (isinstance(queues, list) and bool(queues) and scope.issuperset(map(str, queues)))


def _check_plan(request: web.Request, plan: Mapping[str, Any]) -> None:
    if not _ours(request, plan):
        raise not_your_queue()


async def _check_number(request: web.Request, plan_id: int) -> None:
    if scope_asked(request) is not None:
        plans_known = {plan.plan_id: plan for plan in await rooms(request).samples.plans()}
        _check_plan(request, plans_known[plan_id].body if plan_id in plans_known else {})


def _scorers(plan: dict[str, Any]) -> list[str]:
    given = plan.get("scorers")
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []


@telling
async def draw(request: web.Request) -> web.Response:
    """Draw now, or look."""
    number, body = read_path(request, PlanParams).plan_id, await read_body(request, DrawBody)
    await _check_number(request, number)
    samples = rooms(request).samples
    drawn = await (samples.draw(number) if body.keep else samples.preview(number))
    if body.keep:
        audit(request, f"plan:{number}", after={"calls": len(drawn)})
    return reply({"drawn": drawn})


@telling
async def samples(request: web.Request) -> web.Response:
    """What is to be scored."""
    query, who = read_query(request, SamplesQuery), reader(request)
    states = tuple(state for state in query.state.split(",") if state)
    if wrong := [state for state in states if state not in STATES]:
        raise ApiError(
            400, "invalid_input", f"there is no state {wrong[0]!r}", remedy=f"states are {', '.join(STATES)}"
        )
    found = await rooms(request).samples.list(
        states=states,
        scorer=who.username if query.mine else None,
        agent=query.agent,
        plan_id=query.plan,
        queues=who.queues,
        before=query.before,
        limit=query.limit,
    )
    return reply({"samples": found})


@telling
async def choose(request: web.Request) -> web.Response:
    """Put a call onto the list."""
    body = await read_body(request, ChooseBody)
    if body.scorer is not None:
        known_scorers(request, [body.scorer])
    await check_call(request, body.call_id)
    made = await rooms(request).samples.choose(
        body.call_id,
        agent=body.agent,
        form_id=body.form_id,
        scorer=body.scorer,
        by=session_of(request).account.username,
        note=body.note,
        due_at=body.due_at or request.app[DEPS].clock.now() + timedelta(days=USUAL_DAYS),
    )
    audit(request, f"call:{made.call_id}", queue=made.queue)
    return reply(made)


@telling
async def sample_change(request: web.Request) -> web.Response:
    """Assign it, move its deadline, drop it."""
    number, body = read_path(request, SampleParams).sample_id, await read_body(request, SampleChangeBody)
    if body.scorer is not None:
        known_scorers(request, [body.scorer])
    if scope_asked(request) is not None:
        check_ours(request, (await rooms(request).samples.one(number)).queue)
    made = await rooms(request).samples.change(number, scorer=body.scorer, due_at=body.due_at, dropped=body.dropped)
    audit(
        request,
        f"sample:{number}",
        queue=made.queue,
        after={"state": made.state, "scorer": made.scorer or ""},
    )
    return reply(made)


@telling
async def calibrations(request: web.Request) -> web.Response:
    """Every round."""
    query = read_query(request, CalibrationsQuery)
    return reply(
        {"calibrations": await rooms(request).calibrations.list(limit=query.limit, queues=queues_told(request))}
    )


@telling
async def calibration_open(request: web.Request) -> web.Response:
    """Open a round."""
    body = await read_body(request, CalibrationBody)
    known_scorers(request, list(body.scorers))
    await check_call(request, body.call_id)
    made = await rooms(request).calibrations.open(
        title=body.title,
        call_id=body.call_id,
        agent=body.agent,
        form_id=body.form_id,
        scorers=body.scorers,
        due_at=body.due_at or request.app[DEPS].clock.now() + timedelta(days=USUAL_DAYS),
        by=session_of(request).account.username,
    )
    audit(request, f"calibration:{made.calibration.calibration_id}")
    return reply(made)


@telling
async def calibration(request: web.Request) -> web.Response:
    """One round."""
    number = read_path(request, CalibrationParams).calibration_id
    return reply(await rooms(request).calibrations.one(number, reader(request)))


@telling
async def calibration_close(request: web.Request) -> web.Response:
    """Close it."""
    number = read_path(request, CalibrationParams).calibration_id
    await rooms(request).calibrations.one(number, reader(request))
    made = await rooms(request).calibrations.close(number)
    audit(request, f"calibration:{number}")
    return reply(made)


def _operation(
    name: str,
    method: Literal["GET", "POST"],
    path: str,
    handler: Any,
    summary: str,
    answer: Any,
    *,
    errors: dict[int, str] | None = None,
    **more: Any,
) -> Operation:
    return Operation(
        name=name,
        method=method,
        path=path,
        handler=handler,
        summary=summary,
        answer=answer,
        errors={**(errors or {}), **AWAY},
        **more,
    )


OPERATIONS = (
    _operation("quality_plans", "GET", "/api/v1/quality/plans", plans, "Sampling plans", PlanList),
    _operation(
        "quality_plan_add", "POST", "/api/v1/quality/plans", plan_add, "Make a sampling plan", PlanRow, body=PlanBody,
        errors={404: "unknown_form", 409: "form_archived"},
    ),
    _operation(
        "quality_plan_change", "POST", _PLAN, plan_change, "Change a sampling plan, stop it, go on with it", PlanRow,
        params=PlanParams, body=PlanChangeBody,
        errors={404: "unknown_plan or unknown_form", 409: "edit_conflict or form_archived"},
    ),
    _operation(
        "quality_plan_draw", "POST", f"{_PLAN}/draw", draw, "Draw calls now, or look at what would be drawn and why",
        DrawnList, params=PlanParams, body=DrawBody, errors={404: "unknown_plan"},
    ),
    _operation(
        "quality_samples", "GET", "/api/v1/quality/samples", samples, "Calls to be scored, or that were", SampleList,
        query=SamplesQuery,
    ),
    _operation(
        "quality_sample_choose", "POST", "/api/v1/quality/samples", choose, "Have a call scored that nobody drew",
        SampleRow, body=ChooseBody, errors={404: "unknown_call or unknown_form", 409: "already_chosen or form_archived"},
    ),
    _operation(
        "quality_sample_change", "POST", _SAMPLE, sample_change, "Assign a sample, move its deadline, drop it",
        SampleRow, params=SampleParams, body=SampleChangeBody,
        errors={404: "unknown_sample", 409: "already_begun or blind"},
    ),
    _operation(
        "quality_calibrations", "GET", "/api/v1/quality/calibrations", calibrations, "Rounds of calibration",
        CalibrationList, query=CalibrationsQuery,
    ),
    _operation(
        "quality_calibration_open", "POST", "/api/v1/quality/calibrations", calibration_open,
        "Have several people score one call, blind", CalibrationDetail, body=CalibrationBody,
        errors={404: "unknown_call or unknown_form", 409: "form_archived"},
    ),
    _operation(
        "quality_calibration", "GET", _CALIBRATION, calibration, "A round; how far they agree, once it is closed",
        CalibrationDetail, params=CalibrationParams, errors={404: "unknown_calibration"},
    ),
    _operation(
        "quality_calibration_close", "POST", f"{_CALIBRATION}/close", calibration_close, "Close a round and compare",
        CalibrationDetail, params=CalibrationParams, errors={404: "unknown_calibration", 409: "closed"},
    ),
)  # fmt: skip
