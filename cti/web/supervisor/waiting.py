"""What a supervisor may change for a caller who waits."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import hdrs, web

from cti.ids import CallId, QueueName
from cti.services.floor import Standing
from cti.web.agent.schemas import CallParams
from cti.web.auth.guard import session_of
from cti.web.auth.own_queues import check_ours
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.supervisor.schemas import PriorityBody, QueueBody
from cti.web.wire import read_body, read_path, reply


async def change_priority(request: web.Request) -> web.Response:
    """Another priority for a waiting call."""
    call_id = read_path(request, CallParams).call_id
    body = await read_body(request, PriorityBody)
    if body.head_start is None and body.strict is None and not body.front:
        raise ApiError(
            400, "invalid_input", "nothing to change was named", remedy="send head_start, strict, or front: true"
        )
    standing = await request.app[DEPS].floor.change_priority(
        CallId(call_id),
        by=session_of(request).account.username,
        reason=body.reason,
        head_start=timedelta(seconds=body.head_start) if body.head_start is not None else None,
        strict=body.strict,
        front=body.front,
    )
    return reply(standing)


async def change_queue(request: web.Request) -> web.Response:
    """Another queue for a waiting call."""
    call_id = read_path(request, CallParams).call_id
    body = await read_body(request, QueueBody)
    check_ours(request, body.queue)
    standing = await request.app[DEPS].floor.change_queue(
        CallId(call_id), QueueName(body.queue), by=session_of(request).account.username, reason=body.reason
    )
    return reply(standing)


_REFUSED = {
    404: "unknown_call: it is over; unknown_queue",
    409: "not_waiting, or under_offer: it is being offered to an agent at this moment",
}

OPERATIONS = (
    Operation(
        name="call_priority",
        method=hdrs.METH_POST,
        path="/api/v1/calls/{call_id}/priority",
        handler=change_priority,
        summary="Give a waiting call another priority",
        params=CallParams,
        body=PriorityBody,
        answer=Standing,
        errors=_REFUSED,
    ),
    Operation(
        name="call_queue",
        method=hdrs.METH_POST,
        path="/api/v1/calls/{call_id}/queue",
        handler=change_queue,
        summary="Move a waiting call to another queue; it keeps the time it has waited",
        params=CallParams,
        body=QueueBody,
        answer=Standing,
        errors=_REFUSED,
    ),
)
