"""The service audit: targets, what was reached by period, and corrective actions."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from aiohttp import hdrs, web
from pydantic import Field

from cti.services.report_desk import Action, ActionState, ActionWish, Goal, Verdict
from cti.web.auth.acts import tell
from cti.web.auth.own_queues import check_ours, ours, scope_asked
from cti.web.operations import Answer, Body, Done, Operation, Params
from cti.web.reports.asking import AWAY, Line, MetricText, NumberParams, QueueText, Text, desk, telling, user
from cti.web.wire import read_body, read_path, read_query, reply

_Figure = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
_BAD = "unknown_metric, unknown_queue, not_of_queues"
_OTHERS = {403: "not_your_queue"}
_Due = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2099, 12, 31))]


class GoalRow(Answer):
    """What an indicator should be: at least (`up`) or at most (`down`) `target`; so far off as `tolerance` is near."""

    target_id: int
    metric: str
    queue: str
    good: str
    target: float
    tolerance: float
    since: datetime
    author: str


class GoalList(Answer):
    """Targets in force."""

    targets: list[GoalRow]


class GoalBody(Body):
    """A target. Shares are 0-1, times seconds. `queue` empty: for the whole centre."""

    metric: MetricText
    queue: QueueText = ""
    target: _Figure
    tolerance: Annotated[_Figure, Field(ge=0)] = 0.0


class AuditQuery(Params):
    """By what, and how many periods; the last is not over yet."""

    step: Literal["day", "week", "month"] = "week"
    periods: Annotated[int, Field(ge=2, le=31)] = 8


class AuditCellRow(Answer):
    """One period."""

    period: str
    value: float | None
    n: int
    verdict: Verdict


class AuditTargetRow(Answer):
    """One target over the periods."""

    target_id: int
    metric: str
    queue: str
    target: float
    cells: list[AuditCellRow]


class AuditAnswer(Answer):
    """Every target. Each period is judged by the target in force at its end."""

    zone: str
    step: str
    periods: list[str]
    definition_version: int
    rows: list[AuditTargetRow]
    unfinished: bool


class ActionBody(Body):
    """A corrective action to be taken. `period` is a key of the audit: 2026-03-02, 2026-W10 or 2026-03."""

    metric: MetricText
    queue: QueueText = ""
    period: Annotated[str, Field(pattern=r"^\d{4}-(W\d{2}|\d{2}(-\d{2})?)$")]
    cause: Text = ""
    what: Annotated[Text, Field(min_length=1)]
    owner: Line
    due: _Due


class SettleBody(Body):
    """A changed action; one that is closed needs a result."""

    state: ActionState
    result: Text = ""
    owner: Line
    due: _Due


class ActionRow(Answer):
    """A corrective action."""

    action_id: int
    metric: str
    queue: str
    period: str
    cause: str
    what: str
    owner: str
    due: date
    state: ActionState
    result: str
    author: str
    at: datetime
    closed_at: datetime | None
    overdue: bool


class ActionList(Answer):
    """Open ones by due date, then those closed within a year."""

    actions: list[ActionRow]


def _goal(one: Goal) -> GoalRow:
    return GoalRow(
        target_id=one.target_id, metric=one.metric, queue=one.queue, good=one.good, target=one.target, tolerance=one.tolerance,
        since=one.since, author=one.author,
    )  # fmt: skip


def _action(one: Action) -> ActionRow:
    wish = one.wish
    return ActionRow(
        action_id=one.action_id, metric=wish.metric, queue=wish.queue, period=wish.period, cause=wish.cause, what=wish.what,
        owner=wish.owner, due=wish.due, state=one.state, result=one.result, author=one.author, at=one.at, closed_at=one.closed_at,
        overdue=one.overdue,
    )  # fmt: skip


def _told(one: Goal | None) -> dict[str, str] | None:
    return None if one is None else {"target": f"{one.target:g}", "tolerance": f"{one.tolerance:g}"}


def _subject(metric: str, queue: str) -> str:
    return f"{metric} of {queue}" if queue else metric


def _state(one: Action) -> dict[str, str]:
    return {
        "state": one.state.value,
        "owner": one.wish.owner,
        "due": one.wish.due.isoformat(),
        "result": one.result[:200],
    }


@telling
async def goals(request: web.Request) -> web.Response:
    """Targets in force."""
    found = [one for one in await desk(request).goals() if ours(request, one.queue)]
    return reply(GoalList(targets=[_goal(one) for one in found]))


@telling
async def set_goal(request: web.Request) -> web.Response:
    """Set a target."""
    body = await read_body(request, GoalBody)
    check_ours(request, body.queue)
    new, old = await desk(request).set_goal(user(request), body.metric, body.queue, body.target, body.tolerance)
    tell(request, subject=_subject(new.metric, new.queue), before=_told(old), after=_told(new))
    return reply(_goal(new))


@telling
async def drop_goal(request: web.Request) -> web.Response:
    """Take a target away."""
    number = read_path(request, NumberParams).number
    if scope_asked(request) is not None:
        found = [one.queue for one in await desk(request).goals() if one.target_id == number]
        check_ours(request, *(found or [""]))
    gone = await desk(request).drop_goal(number)
    tell(request, subject=_subject(gone.metric, gone.queue), before=_told(gone))
    return reply(Done())


@telling
async def audit(request: web.Request) -> web.Response:
    """What was reached."""
    asked = read_query(request, AuditQuery)
    found = await desk(request).audit(asked.step, asked.periods)
    rows = [
        AuditTargetRow(
            target_id=row.target_id,
            metric=row.metric,
            queue=row.queue,
            target=row.target,
            cells=[
                AuditCellRow(period=cell.period, value=cell.value, n=cell.n, verdict=cell.verdict) for cell in row.cells
            ],
        )
        for row in found.rows
        if ours(request, row.queue)
    ]
    return reply(
        AuditAnswer(
            zone=found.zone,
            step=found.step,
            periods=list(found.periods),
            definition_version=found.definition_version,
            rows=rows,
            unfinished=found.unfinished,
        )
    )


@telling
async def actions(request: web.Request) -> web.Response:
    """Corrective actions."""
    found = [one for one in await desk(request).actions() if ours(request, one.wish.queue)]
    return reply(ActionList(actions=[_action(one) for one in found]))


@telling
async def act(request: web.Request) -> web.Response:
    """Take one."""
    body = await read_body(request, ActionBody)
    check_ours(request, body.queue)
    made = await desk(request).act(user(request), ActionWish(**body.model_dump()))
    tell(request, subject=_subject(body.metric, body.queue), after={**_state(made), "what": body.what[:200]})
    return reply(_action(made))


@telling
async def settle(request: web.Request) -> web.Response:
    """Change or close one."""
    number = read_path(request, NumberParams).number
    body = await read_body(request, SettleBody)
    if scope_asked(request) is not None:
        found = await desk(request).actions()
        check_ours(request, *([one.wish.queue for one in found if one.action_id == number] or [""]))
    before, after = await desk(request).settle(
        number, state=body.state, result=body.result, owner=body.owner, due=body.due
    )
    subject = _subject(after.wish.metric, after.wish.queue)
    tell(request, subject=subject, before=_state(before), after=_state(after))
    return reply(_action(after))


OPERATIONS = (
    Operation(
        name="audit_targets",
        method=hdrs.METH_GET,
        path="/api/v1/audit/targets",
        handler=goals,
        summary="What indicators should be",
        answer=GoalList,
        errors=AWAY,
    ),
    Operation(
        name="audit_target_set",
        method=hdrs.METH_PUT,
        path="/api/v1/audit/targets",
        handler=set_goal,
        summary="Set what an indicator should be, for the centre or a queue; the one in force is replaced from now on",
        body=GoalBody,
        answer=GoalRow,
        errors={400: _BAD, **_OTHERS, **AWAY},
    ),
    Operation(
        name="audit_target_drop",
        method=hdrs.METH_DELETE,
        path="/api/v1/audit/targets/{number:[0-9]+}",
        handler=drop_goal,
        summary="Take a target away",
        params=NumberParams,
        answer=Done,
        errors={404: "unknown_target", **_OTHERS, **AWAY},
    ),
    Operation(
        name="audit",
        method=hdrs.METH_GET,
        path="/api/v1/audit",
        handler=audit,
        summary="Indicators against their targets, by day, week or month",
        query=AuditQuery,
        answer=AuditAnswer,
        errors=AWAY,
    ),
    Operation(
        name="audit_actions",
        method=hdrs.METH_GET,
        path="/api/v1/audit/actions",
        handler=actions,
        summary="Corrective actions: open ones, then those closed within a year",
        answer=ActionList,
        errors=AWAY,
    ),
    Operation(
        name="audit_action_take",
        method=hdrs.METH_POST,
        path="/api/v1/audit/actions",
        handler=act,
        summary="Take a corrective action, with an owner and a date",
        body=ActionBody,
        answer=ActionRow,
        errors={400: _BAD, **_OTHERS, **AWAY},
    ),
    Operation(
        name="audit_action_settle",
        method=hdrs.METH_PUT,
        path="/api/v1/audit/actions/{number:[0-9]+}",
        handler=settle,
        summary="Change a corrective action, or close it with its result",
        params=NumberParams,
        body=SettleBody,
        answer=ActionRow,
        errors={400: "no_result", 404: "unknown_action", **_OTHERS, **AWAY},
    ),
)
