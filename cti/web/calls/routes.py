"""Past calls: a page of them, or one with its facts."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.web.agent.schemas import CallParams
from cti.web.calls.schemas import CallDetail, CallList, CallRecord, CallsQuery
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.wire import read_path, read_query, reply


async def recent(request: web.Request) -> web.Response:
    """A page of calls, latest first."""
    query = read_query(request, CallsQuery)
    if query.before is not None and query.before.tzinfo is None:
        raise ApiError(400, "invalid_input", "before has no time zone", remedy="write it like 2026-03-01T09:30:00Z")
    rows = await request.app[DEPS].calls.recent(
        limit=query.limit,
        before=query.before,
        queue=query.queue,
        outcome=query.outcome.value if query.outcome else None,
    )
    calls = [CallRecord.model_validate(row) for row in rows]
    more = calls[-1].started_at if len(calls) == query.limit else None
    return reply(CallList(calls=calls, next_before=more))


async def one(request: web.Request) -> web.Response:
    """One call with its facts."""
    call_id = read_path(request, CallParams).call_id
    found = await request.app[DEPS].calls.one(call_id)
    if found is None:
        raise ApiError(
            404, "unknown_call", "no call has this id", remedy="a call is stored a moment after it began; ask again"
        )
    row, facts = found
    return reply(CallDetail(call=CallRecord.model_validate(row), facts=[dict(fact) for fact in facts]))


OPERATIONS = (
    Operation(
        name="calls",
        method=hdrs.METH_GET,
        path="/api/v1/calls",
        handler=recent,
        summary="Past calls, latest first",
        query=CallsQuery,
        answer=CallList,
        errors={503: "the database is away"},
    ),
    Operation(
        name="call",
        method=hdrs.METH_GET,
        path="/api/v1/calls/{call_id}",
        handler=one,
        summary="One call and its facts",
        params=CallParams,
        answer=CallDetail,
        errors={404: "unknown_call", 503: "the database is away"},
    ),
)
