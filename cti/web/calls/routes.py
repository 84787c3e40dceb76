"""Past calls: a page of them, or one with its facts."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.ids import CallId, QueueName
from cti.web.agent.schemas import CallParams
from cti.web.auth.own_queues import check_ours, queues_told
from cti.web.calls.schemas import CallDetail, CallList, CallRecord, CallsQuery
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.wire import read_path, read_query, reply


async def recent(request: web.Request) -> web.Response:
    """A page of calls, latest first."""
    query = read_query(request, CallsQuery)
    if query.queue:
        check_ours(request, query.queue)
    page = await request.app[DEPS].calls.recent(
        limit=query.limit,
        before=CallId(query.before) if query.before else None,
        queue=QueueName(query.queue) if query.queue else None,
        outcome=query.outcome.value if query.outcome else None,
        queues=queues_told(request),
    )
    return reply(CallList(calls=[CallRecord.model_validate(row) for row in page.rows], next_before=page.next))


async def one(request: web.Request) -> web.Response:
    """One call with its facts."""
    call_id = read_path(request, CallParams).call_id
    found = await request.app[DEPS].calls.one(CallId(call_id))
    if found is None:
        raise ApiError(
            404, "unknown_call", "no call has this id", remedy="a call is stored a moment after it began; ask again"
        )
    return reply(
        CallDetail(
            call=CallRecord.model_validate(found.row) if found.row is not None else None,
            disposition=found.disposition,
            note=found.note,
            facts=[dict(fact) for fact in found.facts],
        )
    )


OPERATIONS = (
    Operation(
        name="calls",
        method=hdrs.METH_GET,
        path="/api/v1/calls",
        handler=recent,
        summary="Past calls, latest first",
        query=CallsQuery,
        answer=CallList,
        errors={403: "not_your_queue", 503: "the database is away"},
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
