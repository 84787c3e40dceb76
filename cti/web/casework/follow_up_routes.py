"""Follow-up calls: plans, lists, the next one for an agent, results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from aiohttp import hdrs, web
from pydantic import Field

from cti.casework.follow_ups import Outcome
from cti.casework.rows import FollowUpResult, FollowUpRow, NextFollowUp, PlanRow, Preview
from cti.casework.tasks import hindrance
from cti.ids import AgentId, CallId, CustomerId
from cti.web.auth.guard import session_of
from cti.web.auth.permissions import Role
from cti.web.casework.asking import AWAY, Limit, Line, Moment, Number, Text, asker, rooms, telling
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Answer, Body, Operation, Params
from cti.web.wire import read_body, read_path, read_query, reply

_PATH = "/api/v1/follow-ups/{follow_up_id:[0-9]+}"
_STATES = ("due", "taken", "done", "unreached", "dropped")


class FollowUpsQuery(Params):
    """Which follow-up calls. `state`: several with commas."""

    state: Annotated[str, Field(pattern=r"^[a-z_,]*$")] = "due,taken"
    plan: Number | None = None
    customer: Number | None = None
    limit: Limit = 100


class FollowUpParams(Params):
    """A follow-up call."""

    follow_up_id: Number


class PlanParams(Params):
    """A plan."""

    plan_id: Number


class FollowUpList(Answer):
    """Follow-up calls, due first."""

    follow_ups: list[FollowUpRow]


class PlanList(Answer):
    """Plans by name."""

    plans: list[PlanRow]


class PlanBody(Body):
    """A plan; docs/casework.md describes it. `active`: whether new calls come of it."""

    plan: dict[str, Any]
    active: bool = True


class Generated(Answer):
    """How many follow-up calls were put on the lists, and how many taken off."""

    made: int
    dropped: int


class ResultBody(Body):
    """What came of the call. `again_at` with call_later; `do_not_call`: they asked never to be called again."""

    outcome: Outcome
    answers: Mapping[str, Any] = {}
    note: Text = ""
    again_at: Moment | None = None
    do_not_call: bool = False
    call_id: Line | None = None


@telling
async def follow_ups(request: web.Request) -> web.Response:
    """The list."""
    query = read_query(request, FollowUpsQuery)
    states = [state for state in query.state.split(",") if state]
    if unknown := [state for state in states if state not in _STATES]:
        raise ApiError(
            400, "invalid_input", f"there is no state {unknown[0]!r}", remedy=f"states are {', '.join(_STATES)}"
        )
    found = await rooms(request).follow_ups.list(
        states=states,
        plan_id=query.plan,
        customer_id=CustomerId(query.customer) if query.customer is not None else None,
        limit=query.limit,
        who=asker(request),
    )
    return reply({"follow_ups": found})


@telling
async def take_next(request: web.Request) -> web.Response:
    """The next call for this agent, or why there is none now. Callers who wait come first."""
    account = session_of(request).account
    if account.role is Role.AGENT:
        view = request.app[DEPS].floor.view()
        row = view.agents.get(AgentId(account.agent_id or ""))
        if row is not None:
            waiting = {queue: view.queues[queue].waiting for queue in row.queues if queue in view.queues}
            why = hindrance(row.state, waiting)
            if why is not None:
                return reply(NextFollowUp(hindrance=why))
    return reply(await rooms(request).follow_ups.take_next(asker(request)))


@telling
async def preview(request: web.Request) -> web.Response:
    """One follow-up call as the agent sees it before calling."""
    number = read_path(request, FollowUpParams).follow_up_id
    return reply(await rooms(request).follow_ups.preview(number, asker(request)))


@telling
async def result(request: web.Request) -> web.Response:
    """Write down what came of it."""
    number, body = read_path(request, FollowUpParams).follow_up_id, await read_body(request, ResultBody)
    told = FollowUpResult(
        outcome=body.outcome,
        answers=body.answers,
        note=body.note,
        again_at=body.again_at,
        do_not_call=body.do_not_call,
        call_id=CallId(body.call_id) if body.call_id else None,
    )
    return reply(await rooms(request).follow_ups.result(number, told, by=asker(request)))


@telling
async def plans(request: web.Request) -> web.Response:
    """Every plan."""
    return reply({"plans": await rooms(request).follow_ups.plans()})


@telling
async def plan_add(request: web.Request) -> web.Response:
    """Add a plan."""
    body = await read_body(request, PlanBody)
    by = asker(request).username
    return reply(await rooms(request).follow_ups.keep_plan(body.plan, by=by, active=body.active))


@telling
async def plan_change(request: web.Request) -> web.Response:
    """Change a plan."""
    number, body = read_path(request, PlanParams).plan_id, await read_body(request, PlanBody)
    by = asker(request).username
    return reply(await rooms(request).follow_ups.keep_plan(body.plan, by=by, plan_id=number, active=body.active))


@telling
async def generate(request: web.Request) -> web.Response:
    """Make the lists now, instead of within some minutes."""
    return reply(await rooms(request).follow_ups.generate())


OPERATIONS = (
    Operation(
        name="follow_ups",
        method=hdrs.METH_GET,
        path="/api/v1/follow-ups",
        handler=follow_ups,
        summary="Follow-up calls, due first",
        query=FollowUpsQuery,
        answer=FollowUpList,
        errors=AWAY,
    ),
    Operation(
        name="follow_up_next",
        method=hdrs.METH_POST,
        path="/api/v1/follow-ups/next",
        handler=take_next,
        summary="The next follow-up call for this agent, or why there is none now",
        answer=NextFollowUp,
        errors=AWAY,
    ),
    Operation(
        name="follow_up_plans",
        method=hdrs.METH_GET,
        path="/api/v1/follow-ups/plans",
        handler=plans,
        summary="Plans of follow-up calls",
        answer=PlanList,
        errors=AWAY,
    ),
    Operation(
        name="follow_up_plan_add",
        method=hdrs.METH_POST,
        path="/api/v1/follow-ups/plans",
        handler=plan_add,
        summary="Add a plan",
        body=PlanBody,
        answer=PlanRow,
        errors={409: "name_taken", **AWAY},
    ),
    Operation(
        name="follow_up_plan_change",
        method=hdrs.METH_POST,
        path="/api/v1/follow-ups/plans/{plan_id:[0-9]+}",
        handler=plan_change,
        summary="Change a plan",
        params=PlanParams,
        body=PlanBody,
        answer=PlanRow,
        errors={404: "unknown_plan", 409: "name_taken", **AWAY},
    ),
    Operation(
        name="follow_up_generate",
        method=hdrs.METH_POST,
        path="/api/v1/follow-ups/generate",
        handler=generate,
        summary="Make the lists now",
        answer=Generated,
        errors=AWAY,
    ),
    Operation(
        name="follow_up",
        method=hdrs.METH_GET,
        path=_PATH,
        handler=preview,
        summary="One follow-up call: the customer, what it is about, what to ask, whether they may be called now",
        params=FollowUpParams,
        answer=Preview,
        errors={404: "unknown_follow_up", **AWAY},
    ),
    Operation(
        name="follow_up_result",
        method=hdrs.METH_POST,
        path=f"{_PATH}/result",
        handler=result,
        summary="What came of the call",
        params=FollowUpParams,
        body=ResultBody,
        answer=FollowUpRow,
        errors={404: "unknown_follow_up", 409: "over", **AWAY},
    ),
)
