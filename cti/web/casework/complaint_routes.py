"""Complaints: register, list, board, move, causes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from aiohttp import hdrs, web
from pydantic import Field

from cti.casework.complaints import Move, Severity, State, Verdict
from cti.casework.rows import CauseCounts, ComplaintChange, ComplaintDetail, ComplaintFilter, ComplaintRow, NewComplaint
from cti.ids import CallId, CustomerId
from cti.web.casework.asking import AWAY, Limit, Line, Moment, Name, Number, Text, asker, rooms, telling
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Answer, Body, Operation, Params
from cti.web.wire import read_body, read_path, read_query, reply

_PATH = "/api/v1/complaints/{complaint_id:[0-9]+}"
Path = Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,39}(/[a-z][a-z0-9_]{0,39}){0,2})?$")]
"""A cause's path; empty: not classified."""


class ComplaintsQuery(Params):
    """Which complaints. `state`: several with commas."""

    state: Annotated[str, Field(pattern=r"^[a-z_,]*$")] = ""
    owner: Name | None = None
    customer: Number | None = None
    cause: Path | None = None
    severity: Severity | None = None
    overdue: bool = False
    q: Line = ""
    days: Annotated[int, Field(ge=1, le=3660)] | None = None
    """Opened in the last so many days."""
    before: Number | None = None
    """Page back: the `next_before` of the page before."""
    limit: Limit = 100


class ComplaintParams(Params):
    """A complaint."""

    complaint_id: Number


class ComplaintList(Answer):
    """Complaints, newest first; `counts` of all, by state."""

    complaints: list[ComplaintRow]
    counts: Mapping[str, int]
    next_before: int | None


class ComplaintBody(Body):
    """A complaint to be registered. `key` makes the same one come in once only."""

    source: Literal["call", "api"] = "call"
    subject: Annotated[Line, Field(min_length=1)]
    text: Text = ""
    key: Line | None = None
    customer_id: Number | None = None
    contact_name: Line = ""
    number: Line | None = None
    language: Annotated[str, Field(pattern=r"^[A-Za-z-]{0,16}$")] = ""
    call_id: Line | None = None
    cause: Path = ""
    severity: Severity | None = None
    owner: Name | None = None
    queue: Name | None = None


class ComplaintChangeBody(Body):
    """What changes; what is left out stays. `revision`: as seen. `note` without a move is an action that was taken."""

    revision: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    move: Move | None = None
    owner: Name | None = None
    cause: Path | None = None
    severity: Severity | None = None
    resolution: Text | None = None
    verdict: Verdict | None = None
    note: Text = ""
    due_at: Moment | None = None


class CausesQuery(Params):
    """Of how many days, and to which level of the tree."""

    days: Annotated[int, Field(ge=1, le=3660)] = 30
    level: Annotated[int, Field(ge=1, le=3)] = 2


@telling
async def complaints(request: web.Request) -> web.Response:
    """A page of complaints."""
    query, found = read_query(request, ComplaintsQuery), rooms(request)
    states = tuple(state for state in query.state.split(",") if state)
    if unknown := [state for state in states if state not in set(State)]:
        raise ApiError(
            400, "invalid_input", f"there is no state {unknown[0]!r}", remedy=f"states are {', '.join(State)}"
        )
    now, who = request.app[DEPS].clock.now(), asker(request)
    rows = await found.complaints.list(
        ComplaintFilter(
            states=states,
            owner=query.owner,
            customer_id=CustomerId(query.customer) if query.customer is not None else None,
            cause=query.cause,
            severity=query.severity,
            overdue=query.overdue,
            words=query.q.strip(),
            since=now - timedelta(days=query.days) if query.days is not None else None,
            before=query.before,
            limit=query.limit,
            who=who,
        )
    )
    following = rows[-1].complaint_id if len(rows) == query.limit else None
    return reply({"complaints": rows, "counts": await found.complaints.counts(who), "next_before": following})


@telling
async def register(request: web.Request) -> web.Response:
    """Register one."""
    body = await read_body(request, ComplaintBody)
    who = asker(request)
    new = NewComplaint(
        source=body.source,
        subject=body.subject,
        text=body.text,
        key=f"{who.username}:{body.key}" if body.key else None,
        customer_id=CustomerId(body.customer_id) if body.customer_id is not None else None,
        contact_name=body.contact_name,
        number=body.number,
        language=body.language,
        call_id=CallId(body.call_id) if body.call_id else None,
        cause=body.cause,
        severity=body.severity or "",
        owner=body.owner,
        queue=body.queue,
    )
    made, _ = await rooms(request).complaints.register(new, by=who.username)
    return reply(made)


@telling
async def one(request: web.Request) -> web.Response:
    """One complaint, whole."""
    number = read_path(request, ComplaintParams).complaint_id
    return reply(await rooms(request).complaints.one(number, asker(request)))


@telling
async def change(request: web.Request) -> web.Response:
    """Move it, or change something of it."""
    number, body = read_path(request, ComplaintParams).complaint_id, await read_body(request, ComplaintChangeBody)
    wanted = ComplaintChange(
        move=body.move,
        owner=body.owner,
        cause=body.cause,
        severity=body.severity,
        resolution=body.resolution,
        verdict=body.verdict,
        note=body.note,
        due_at=body.due_at,
    )
    return reply(await rooms(request).complaints.change(number, wanted, by=asker(request), revision=body.revision))


@telling
async def causes(request: web.Request) -> web.Response:
    """Pareto and tree."""
    query, now = read_query(request, CausesQuery), request.app[DEPS].clock.now()
    found = await rooms(request).complaints.causes(
        since=now - timedelta(days=query.days), until=now + timedelta(minutes=5), level=query.level, who=asker(request)
    )
    return reply(found)


OPERATIONS = (
    Operation(
        name="complaint_causes",
        method=hdrs.METH_GET,
        path="/api/v1/complaints/causes",
        handler=causes,
        summary="How often each cause was it: Pareto and tree",
        query=CausesQuery,
        answer=CauseCounts,
        errors=AWAY,
    ),
    Operation(
        name="complaints",
        method=hdrs.METH_GET,
        path="/api/v1/complaints",
        handler=complaints,
        summary="Complaints, newest first",
        query=ComplaintsQuery,
        answer=ComplaintList,
        errors=AWAY,
    ),
    Operation(
        name="complaint_register",
        method=hdrs.METH_POST,
        path="/api/v1/complaints",
        handler=register,
        summary="Register a complaint",
        body=ComplaintBody,
        answer=ComplaintDetail,
        errors=AWAY,
    ),
    Operation(
        name="complaint",
        method=hdrs.METH_GET,
        path=_PATH,
        handler=one,
        summary="One complaint with its history",
        params=ComplaintParams,
        answer=ComplaintDetail,
        errors={404: "unknown_complaint", **AWAY},
    ),
    Operation(
        name="complaint_change",
        method=hdrs.METH_POST,
        path=_PATH,
        handler=change,
        summary="Move a complaint, or change something of it",
        params=ComplaintParams,
        body=ComplaintChangeBody,
        answer=ComplaintDetail,
        errors={404: "unknown_complaint", 409: "edit_conflict or illegal_transition", **AWAY},
    ),
)
