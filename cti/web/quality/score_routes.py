"""Scores: begin, draft, submit, revise, release, delete; what agents answer; figures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aiohttp import hdrs, web
from pydantic import Field

from cti.quality.rows import Figures, Remark, Scored, ScoreDetail, ScoreRow
from cti.web.errors import ApiError
from cti.web.operations import Answer, Body, Operation
from cti.web.operations import Params as QueryParams
from cti.web.quality.asking import (
    AWAY,
    Extension,
    Limit,
    Line,
    Name,
    Number,
    Revision,
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
from cti.web.quality.sample_routes import SampleParams
from cti.web.wire import read_body, read_path, read_query, reply

_PATH = "/api/v1/quality/scores/{score_id:[0-9]+}"
_STATES = ("draft", "submitted", "released")
_CONFLICT = {404: "unknown_score", **AWAY}
Given = Annotated[int, Field(ge=0, le=10)] | Annotated[str, Field(max_length=40)]


class ScoreParams(QueryParams):
    """A score."""

    score_id: Number


class ScoresQuery(SinceUntil):
    """Which scores, by when they were submitted. `item`: where this item lost points."""

    days: Annotated[int, Field(ge=1, le=3660)] = 92
    agent: Extension | None = None
    scorer: Name | None = None
    queue: Name | None = None
    form: Number | None = None
    item: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] | None = None
    review: Literal["none", "asked", "answered"] | None = None
    state: Annotated[str, Field(pattern=r"^[a-z_,]*$")] = "submitted,released"
    before: Number | None = None
    limit: Limit = 100


class ScoreList(Answer):
    """Scores, newest first."""

    scores: list[ScoreRow]


class RemarkBody(Body):
    """A remark, at a second of the recording, about an item."""

    text: Annotated[Text, Field(min_length=1)]
    second: Second | None = None
    item: Line = ""


class ScoreBody(Body):
    """A score, whole: answers by item (a number, "yes" or "no", a choice, "na"). `revision`: as seen."""

    revision: Revision
    answers: Annotated[dict[str, Given], Field(max_length=100)]
    remarks: Annotated[tuple[RemarkBody, ...], Field(max_length=200)] = ()
    comment: Text = ""

    def scored(self) -> Scored:
        """The same as the rooms take it."""
        return Scored(
            revision=self.revision,
            answers=dict(self.answers),
            remarks=tuple(Remark(text=one.text, second=one.second, item=one.item) for one in self.remarks),
            comment=self.comment,
        )


class SubmitBody(ScoreBody):
    """`release`: whether the agent sees it at once; left out: as the plan says."""

    release: bool | None = None


class ReviseBody(ScoreBody):
    """What it is to be, and why."""

    reason: Words


class ReleaseBody(Body):
    """`revision`: as seen."""

    revision: Revision


class DeleteBody(ReleaseBody):
    """Why it is deleted."""

    reason: Words


class ReplyBody(Body):
    """Agents comment or ask for a review; the others answer."""

    kind: Literal["comment", "review", "answer"]
    text: Words


class FiguresQuery(SinceUntil):
    """Scores of a time, by what."""

    by: Literal["agent", "item", "team", "queue", "form", "scorer"] = "agent"
    each: Literal["day", "week"] = "week"
    agent: Extension | None = None
    queue: Name | None = None
    form: Number | None = None


LARGEST = 512 * 1024


@telling
async def scores(request: web.Request) -> web.Response:
    """A page of scores."""
    query = read_query(request, ScoresQuery)
    states = tuple(state for state in query.state.split(",") if state)
    if wrong := [state for state in states if state not in _STATES]:
        raise ApiError(
            400, "invalid_input", f"there is no state {wrong[0]!r}", remedy=f"states are {', '.join(_STATES)}"
        )
    since, until = between(request, query)
    drafts = "draft" in states  # which have no moment of submission
    found = await rooms(request).scores.list(
        reader(request),
        agent=query.agent,
        scorer=query.scorer,
        queue=query.queue,
        form_id=query.form,
        item=query.item,
        review=query.review,
        states=states,
        since=None if drafts else since,
        until=None if drafts else until,
        before=query.before,
        limit=query.limit,
    )
    return reply({"scores": found})


@telling
async def score(request: web.Request) -> web.Response:
    """One score, whole."""
    return reply(await rooms(request).scores.one(read_path(request, ScoreParams).score_id, reader(request)))


@telling
async def begin(request: web.Request) -> web.Response:
    """Begin, or go on."""
    number = read_path(request, SampleParams).sample_id
    return reply(await rooms(request).scores.begin(number, reader(request)))


@telling
async def draft(request: web.Request) -> web.Response:
    """Keep a draft."""
    number, body = read_path(request, ScoreParams).score_id, await read_body(request, ScoreBody, limit=LARGEST)
    return reply(await rooms(request).scores.draft(number, body.scored(), reader(request)))


@telling
async def submit(request: web.Request) -> web.Response:
    """Submit it."""
    number, body = read_path(request, ScoreParams).score_id, await read_body(request, SubmitBody, limit=LARGEST)
    made = await rooms(request).scores.submit(number, body.scored(), reader(request), release=body.release)
    _audited(request, made.score)
    return reply(made)


@telling
async def revise(request: web.Request) -> web.Response:
    """Change a submitted score."""
    number, body = read_path(request, ScoreParams).score_id, await read_body(request, ReviseBody, limit=LARGEST)
    found, who = rooms(request).scores, reader(request)
    before = (await found.one(number, who)).score
    made = await found.revise(number, body.scored(), who, reason=body.reason)
    _audited(request, made.score, before=before, reason=body.reason)
    return reply(made)


@telling
async def release(request: web.Request) -> web.Response:
    """Let the agent see it."""
    number, body = read_path(request, ScoreParams).score_id, await read_body(request, ReleaseBody)
    made = await rooms(request).scores.release(number, reader(request), revision=body.revision)
    _audited(request, made.score)
    return reply(made)


@telling
async def delete(request: web.Request) -> web.Response:
    """Delete it."""
    number, body = read_path(request, ScoreParams).score_id, await read_body(request, DeleteBody)
    gone = await rooms(request).scores.delete(number, reader(request), revision=body.revision, reason=body.reason)
    _audited(request, gone, before=gone, reason=body.reason)
    return reply(gone)


@telling
async def seen(request: web.Request) -> web.Response:
    """The agent opened it."""
    return reply(await rooms(request).scores.seen(read_path(request, ScoreParams).score_id, reader(request)))


@telling
async def answer(request: web.Request) -> web.Response:
    """A word about a score."""
    number, body = read_path(request, ScoreParams).score_id, await read_body(request, ReplyBody)
    return reply(await rooms(request).scores.reply(number, reader(request), kind=body.kind, text=body.text))


@telling
async def figures(request: web.Request) -> web.Response:
    """Scores by group and over time."""
    query = read_query(request, FiguresQuery)
    since, until = between(request, query)
    found = await rooms(request).figures.figures(
        reader(request),
        by=query.by,
        since=since,
        until=until,
        agent=query.agent,
        queue=query.queue,
        form_id=query.form,
        each=query.each,
    )
    return reply(found)


def _audited(request: web.Request, row: ScoreRow, *, before: ScoreRow | None = None, reason: str = "") -> None:
    audit(
        request,
        f"score:{row.score_id}",
        queue=row.queue,
        before={"total": before.total, "state": before.state} if before is not None else {},
        after={"total": row.total, "state": row.state, "agent": row.agent, "call": row.call_id},
        reason=reason,
    )


def _change(name: str, what: str, handler: Any, summary: str, body: Any, refused: str, **more: Any) -> Operation:
    return Operation(
        name=name,
        method=hdrs.METH_POST,
        path=f"{_PATH}/{what}",
        handler=handler,
        summary=summary,
        params=ScoreParams,
        body=body,
        errors={409: refused, **_CONFLICT},
        **{"answer": ScoreDetail, **more},
    )


OPERATIONS = (
    Operation(
        name="quality_scores",
        method=hdrs.METH_GET,
        path="/api/v1/quality/scores",
        handler=scores,
        summary="Scores, newest first; an agent's are the own that were released",
        query=ScoresQuery,
        answer=ScoreList,
        errors=AWAY,
    ),
    Operation(
        name="quality_score",
        method=hdrs.METH_GET,
        path=_PATH,
        handler=score,
        summary="One score: form, answers, remarks, what was said about it",
        params=ScoreParams,
        answer=ScoreDetail,
        errors=_CONFLICT,
    ),
    Operation(
        name="quality_score_begin",
        method=hdrs.METH_POST,
        path="/api/v1/quality/samples/{sample_id:[0-9]+}/score",
        handler=begin,
        summary="Begin to score a sample, or go on with it",
        params=SampleParams,
        answer=ScoreDetail,
        errors={404: "unknown_sample", 409: "taken, dropped or closed", **AWAY},
    ),
    _change(
        "quality_score_draft", "draft", draft, "Keep a draft; tells what it is worth so far", ScoreBody,
        "edit_conflict or not_a_draft", body_limit=LARGEST,
    ),
    _change(
        "quality_score_submit", "submit", submit, "Submit a score", SubmitBody, "edit_conflict or not_a_draft",
        body_limit=LARGEST,
    ),
    _change(
        "quality_score_revise", "revise", revise, "Change a submitted score, with a reason; what it was is kept",
        ReviseBody, "edit_conflict, a_draft or blind", body_limit=LARGEST,
    ),
    _change(
        "quality_score_release", "release", release, "Let the agent see a score", ReleaseBody,
        "edit_conflict or not_to_release",
    ),
    _change(
        "quality_score_delete", "delete", delete, "Delete a score, with a reason; its history stays", DeleteBody,
        "edit_conflict", answer=ScoreRow,
    ),
    _change(
        "quality_score_reply", "replies", answer, "Say something about a score: an agent's comment or wish for a review,"
        " the scorer's answer", ReplyBody, "not_released or already_asked",
    ),
    Operation(
        name="quality_score_seen",
        method=hdrs.METH_POST,
        path=f"{_PATH}/seen",
        handler=seen,
        summary="The agent opened a score; the same as reading it, and it is new no more",
        params=ScoreParams,
        answer=ScoreDetail,
        errors=_CONFLICT,
    ),
    Operation(
        name="quality_figures",
        method=hdrs.METH_GET,
        path="/api/v1/quality/figures",
        handler=figures,
        summary="Scores by agent, item, team, queue, form or scorer, and their trend",
        query=FiguresQuery,
        answer=Figures,
        errors=AWAY,
    ),
)  # fmt: skip
