"""Praise and coaching, what is new, a team's day; and surveys."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from aiohttp import hdrs, web
from pydantic import Field

from cti.quality.rows import Comment, FeedbackCounts, LowScore, Note, Surveys, TeamSummary
from cti.web.auth.guard import session_of
from cti.web.auth.own_queues import check_agent, check_call
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Answer, Body, Operation, Params
from cti.web.quality.asking import (
    AWAY,
    CallKey,
    Extension,
    Limit,
    Line,
    Name,
    Number,
    Second,
    SinceUntil,
    Text,
    Words,
    audit,
    between,
    reader,
    rooms,
    telling,
)
from cti.web.wire import read_body, read_path, read_query, reply

_NOTE = "/api/v1/quality/notes/{note_id:[0-9]+}"
_UNKNOWN = {404: "unknown_note", **AWAY}


class NotesQuery(Params):
    """Whose; an agent's are the own."""

    agent: Extension | None = None
    before: Number | None = None
    limit: Limit = 100


class NoteList(Answer):
    """Notes, newest first."""

    notes: list[Note]


class NoteParams(Params):
    """A note."""

    note_id: Number


class NoteBody(Body):
    """Praise or coaching for an agent, about a call and a second of it where there is one."""

    agent: Extension
    kind: Literal["praise", "coaching"]
    text: Words
    call_id: CallKey | None = None
    second: Second | None = None


class AcknowledgeBody(Body):
    """What the agent says to it."""

    answer: Text = ""


class DayQuery(Params):
    """Which day of the centre; left out: yesterday. `team`: a group of the centre; left out: everybody."""

    day: date | None = None
    team: Name | None = None


class SurveysQuery(SinceUntil):
    """Answers of a time, by what."""

    by: Literal["queue", "agent", "tier", "version", "flow"] = "queue"
    each: Literal["day", "week"] = "day"
    question: Line | None = None
    queue: Name | None = None
    agent: Extension | None = None


class LowQuery(SinceUntil):
    """Scores of at most so much."""

    at_most: Annotated[int, Field(ge=0, le=9)] = 2
    limit: Limit = 100


class CommentsQuery(SinceUntil):
    """How many."""

    limit: Limit = 100


class LowList(Answer):
    """Calls with a low score, newest first."""

    low: list[LowScore]


class CommentList(Answer):
    """What callers said, newest first."""

    comments: list[Comment]


@telling
async def counts(request: web.Request) -> web.Response:
    """What is new."""
    return reply(await rooms(request).feedback.counts(reader(request)))


@telling
async def notes(request: web.Request) -> web.Response:
    """A page of notes."""
    query = read_query(request, NotesQuery)
    found = await rooms(request).feedback.list(
        reader(request), agent=query.agent, before=query.before, limit=query.limit
    )
    return reply({"notes": found})


@telling
async def write(request: web.Request) -> web.Response:
    """Write to an agent."""
    body = await read_body(request, NoteBody)
    check_agent(request, body.agent)
    if body.call_id is not None:
        await check_call(request, body.call_id)
    made = await rooms(request).feedback.write(
        agent=body.agent,
        kind=body.kind,
        text=body.text,
        call_id=body.call_id,
        second=body.second,
        by=session_of(request).account.username,
    )
    audit(request, f"agent:{body.agent}", after={"kind": body.kind, "note": made.note_id})
    return reply(made)


@telling
async def note_seen(request: web.Request) -> web.Response:
    """The agent saw it."""
    return reply(await rooms(request).feedback.seen(read_path(request, NoteParams).note_id, reader(request)))


@telling
async def acknowledge(request: web.Request) -> web.Response:
    """The agent says so."""
    number, body = read_path(request, NoteParams).note_id, await read_body(request, AcknowledgeBody)
    return reply(await rooms(request).feedback.acknowledge(number, reader(request), answer=body.answer))


@telling
async def withdraw(request: web.Request) -> web.Response:
    """Take it back."""
    number = read_path(request, NoteParams).note_id
    gone = await rooms(request).feedback.withdraw(number, by=session_of(request).account.username)
    audit(request, f"agent:{gone.agent}", before={"note": number})
    return reply(gone)


@telling
async def summary(request: web.Request) -> web.Response:
    """A team's day."""
    query, deps = read_query(request, DayQuery), request.app[DEPS]
    yesterday = deps.clock.now().astimezone(ZoneInfo(deps.centre.time_zone)).date() - timedelta(days=1)
    day = query.day or yesterday
    if not 2000 <= day.year < 2100:
        raise ApiError(400, "invalid_input", "a day between the years 2000 and 2100 is needed", remedy="another day")
    return reply(await rooms(request).figures.summary(reader(request), day=day, team=query.team or ""))


@telling
async def surveys(request: web.Request) -> web.Response:
    """What callers thought."""
    query, who = read_query(request, SurveysQuery), reader(request)
    since, until = between(request, query)
    found = await rooms(request).surveys.figures(
        since=since,
        until=until,
        by=query.by,
        question=query.question,
        queue=query.queue,
        agent=query.agent,
        each=query.each,
        queues=who.queues,
    )
    return reply(found)


@telling
async def low(request: web.Request) -> web.Response:
    """Low scores."""
    query = read_query(request, LowQuery)
    since, until = between(request, query)
    found = await rooms(request).surveys.low(
        since=since, until=until, at_most=query.at_most, queues=reader(request).queues, limit=query.limit
    )
    return reply({"low": found})


@telling
async def comments(request: web.Request) -> web.Response:
    """What callers said."""
    query = read_query(request, CommentsQuery)
    since, until = between(request, query)
    found = await rooms(request).surveys.comments(
        since=since, until=until, queues=reader(request).queues, limit=query.limit
    )
    return reply({"comments": found})


OPERATIONS = (
    Operation(
        name="quality_counts",
        method=hdrs.METH_GET,
        path="/api/v1/quality/counts",
        handler=counts,
        summary="What is new: for an agent notes and scores, for a scorer what waits",
        answer=FeedbackCounts,
        errors=AWAY,
    ),
    Operation(
        name="quality_notes",
        method=hdrs.METH_GET,
        path="/api/v1/quality/notes",
        handler=notes,
        summary="Praise and coaching, newest first; an agent's are the own",
        query=NotesQuery,
        answer=NoteList,
        errors=AWAY,
    ),
    Operation(
        name="quality_note_write",
        method=hdrs.METH_POST,
        path="/api/v1/quality/notes",
        handler=write,
        summary="Praise or coach an agent",
        body=NoteBody,
        answer=Note,
        errors={404: "unknown_agent", **AWAY},
    ),
    Operation(
        name="quality_note_seen",
        method=hdrs.METH_POST,
        path=f"{_NOTE}/seen",
        handler=note_seen,
        summary="The agent saw a note",
        params=NoteParams,
        answer=Note,
        errors=_UNKNOWN,
    ),
    Operation(
        name="quality_note_acknowledge",
        method=hdrs.METH_POST,
        path=f"{_NOTE}/acknowledge",
        handler=acknowledge,
        summary="The agent acknowledges a note, and answers",
        params=NoteParams,
        body=AcknowledgeBody,
        answer=Note,
        errors=_UNKNOWN,
    ),
    Operation(
        name="quality_note_withdraw",
        method=hdrs.METH_POST,
        path=f"{_NOTE}/withdraw",
        handler=withdraw,
        summary="Take a note back",
        params=NoteParams,
        answer=Note,
        errors=_UNKNOWN,
    ),
    Operation(
        name="quality_summary",
        method=hdrs.METH_GET,
        path="/api/v1/quality/summary",
        handler=summary,
        summary="A team's day: figures, praise, and what to look at",
        query=DayQuery,
        answer=TeamSummary,
        errors=AWAY,
    ),
    Operation(
        name="quality_surveys",
        method=hdrs.METH_GET,
        path="/api/v1/quality/surveys",
        handler=surveys,
        summary="What callers thought: CSAT, NPS, distribution, trend, and how many answered",
        query=SurveysQuery,
        answer=Surveys,
        errors=AWAY,
    ),
    Operation(
        name="quality_surveys_low",
        method=hdrs.METH_GET,
        path="/api/v1/quality/surveys/low",
        handler=low,
        summary="Calls with a low score, and whether somebody saw to them",
        query=LowQuery,
        answer=LowList,
        errors=AWAY,
    ),
    Operation(
        name="quality_comments",
        method=hdrs.METH_GET,
        path="/api/v1/quality/surveys/comments",
        handler=comments,
        summary="What callers said in surveys",
        query=CommentsQuery,
        answer=CommentList,
        errors=AWAY,
    ),
)
