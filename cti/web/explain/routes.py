"""Decisions of a call, how things stand around one that waits, and how right the expected waits of a queue were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import hdrs, web

from cti.errors import RemoteError
from cti.ids import CallId, QueueName
from cti.model.fact import Fact
from cti.model.facts import CallEnded, CallFact
from cti.web.agent.schemas import CallParams
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.explain.schemas import (
    AccuracyRow,
    CallDecisions,
    CallWhy,
    PeriodQuery,
    QueueAccuracyAnswer,
    QueueParams,
)
from cti.web.explain.story import decision, merged, told
from cti.web.explain.timeline import CallTimeline
from cti.web.explain.timeline import told as time_line
from cti.web.operations import Operation
from cti.web.wire import read_path, read_query, reply

_NOTHING = AccuracyRow(promises=0, mean_error=None, mean_absolute_error=None, inside=None, mean_wait=None)


def _unknown() -> ApiError:
    return ApiError(
        404, "unknown_call", "no call has this id", remedy="take the id from /api/v1/state or /api/v1/calls"
    )


async def decisions(request: web.Request) -> web.Response:
    """What was decided about a call, live or over. The floor's memory helps out where the database is behind or away."""
    deps = request.app[DEPS]
    call_id = CallId(read_path(request, CallParams).call_id)
    remembered = deps.live.facts_of(call_id)
    stored: tuple[CallFact, ...] = ()
    complete = True
    try:
        stored = tuple(await deps.explanations.facts_of(call_id))
    except RemoteError:
        if not remembered:
            raise
        complete = False
    facts = merged(stored, remembered)
    if not facts:
        raise _unknown()
    live = bool(remembered) and not any(isinstance(fact, CallEnded) for fact in facts)
    return reply(told(call_id, facts, live=live, complete=complete))


async def timeline(request: web.Request) -> web.Response:
    """Everything that happened to a call, live or over, with the acts of supervisors on it."""
    deps = request.app[DEPS]
    call_id = CallId(read_path(request, CallParams).call_id)
    remembered = deps.live.facts_of(call_id)
    stored: tuple[Fact, ...] = ()
    acts: Sequence[Mapping[str, Any]] = ()
    complete = True
    try:
        stored = tuple(await deps.explanations.story_of(call_id))
        if deps.stored_acts is not None:
            acts = await deps.stored_acts.of_call(call_id)
    except RemoteError:
        if not remembered:
            raise
        complete = False
    facts = sorted(dict.fromkeys((*stored, *remembered)), key=lambda fact: fact.at)
    if not facts:
        raise _unknown()
    live = bool(remembered) and not any(isinstance(fact, CallEnded) for fact in facts)
    return reply(time_line(call_id, facts, acts, live=live, complete=complete))


async def why(request: web.Request) -> web.Response:
    """Why a live call is not served yet."""
    deps = request.app[DEPS]
    call_id = CallId(read_path(request, CallParams).call_id)
    present = deps.live.present(call_id)
    if present is None and not deps.live.facts_of(call_id):
        raise _unknown()
    row = decision(present) if present is not None else None
    return reply(CallWhy(call_id=call_id, at=deps.clock.now(), decision=row))


async def accuracy(request: web.Request) -> web.Response:
    """How right the expected waits of a queue were."""
    deps = request.app[DEPS]
    queue = QueueName(read_path(request, QueueParams).queue)
    period = read_query(request, PeriodQuery)
    if queue not in deps.floor.view().queues:
        raise ApiError(404, "unknown_queue", "no queue has this name", remedy="take the name from /api/v1/state")
    now = deps.clock.now()
    today = now.astimezone(ZoneInfo(deps.centre.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    since, until = period.since or min(today, period.until or today), period.until or now
    found = (await deps.explanations.accuracy(since=since, until=until)).get(queue)
    answer = QueueAccuracyAnswer(
        queue=queue,
        since=since,
        until=until,
        joined=AccuracyRow.model_validate(found.joined) if found is not None else _NOTHING,
        told=AccuracyRow.model_validate(found.told) if found is not None else _NOTHING,
    )
    return reply(answer.model_dump(by_alias=True))


OPERATIONS = (
    Operation(
        name="call_decisions",
        method=hdrs.METH_GET,
        path="/api/v1/calls/{call_id}/decisions",
        handler=decisions,
        summary="Why a call, live or over, was offered to whom, and why not earlier",
        params=CallParams,
        answer=CallDecisions,
        errors={404: "unknown_call", 503: "the database is away"},
    ),
    Operation(
        name="call_timeline",
        method=hdrs.METH_GET,
        path="/api/v1/calls/{call_id}/timeline",
        handler=timeline,
        summary="Everything that happened to a call, live or over, in one ordered list",
        params=CallParams,
        answer=CallTimeline,
        errors={404: "unknown_call", 503: "the database is away"},
    ),
    Operation(
        name="call_why",
        method=hdrs.METH_GET,
        path="/api/v1/calls/{call_id}/why",
        handler=why,
        summary="Why a waiting call is not served at this moment",
        params=CallParams,
        answer=CallWhy,
        errors={404: "unknown_call"},
    ),
    Operation(
        name="queue_accuracy",
        method=hdrs.METH_GET,
        path="/api/v1/queues/{queue}/expected-wait-accuracy",
        handler=accuracy,
        summary="How right the expected waits of a queue were",
        params=QueueParams,
        query=PeriodQuery,
        answer=QueueAccuracyAnswer,
        errors={404: "unknown_queue", 503: "the database is away"},
    ),
)
