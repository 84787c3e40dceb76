"""The callbacks that wait, and taking one off the list."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.ids import CallId
from cti.services.floor import CallRow
from cti.web.agent.schemas import CallParams
from cti.web.auth.guard import session_of
from cti.web.auth.own_queues import ours
from cti.web.deps import DEPS
from cti.web.operations import Answer, Operation
from cti.web.wire import read_path, reply


class Callbacks(Answer):
    """Callbacks that are not over: waiting for their turn, being dialled, on the line; who waits longest first."""

    callbacks: tuple[CallRow, ...]


async def waiting(request: web.Request) -> web.Response:
    """The callbacks of the floor."""
    return reply(_all(request))


async def cancel(request: web.Request) -> web.Response:
    """Take one off the list; gives those that are left."""
    call_id = CallId(read_path(request, CallParams).call_id)
    await request.app[DEPS].floor.cancel_callback(call_id, by=session_of(request).account.username)
    left = tuple(row for row in _all(request).callbacks if row.call_id != call_id)
    return reply(Callbacks(callbacks=left))


def _all(request: web.Request) -> Callbacks:
    rows = [row for row in request.app[DEPS].floor.view().calls.values() if row.callback and ours(request, row.queue)]
    return Callbacks(callbacks=tuple(sorted(rows, key=lambda row: (row.queued_at or row.started_at, row.call_id))))


OPERATIONS = (
    Operation(
        name="callbacks",
        method=hdrs.METH_GET,
        path="/api/v1/callbacks",
        handler=waiting,
        summary="Callbacks that are not over, who waits longest first",
        answer=Callbacks,
    ),
    Operation(
        name="callback_cancel",
        method=hdrs.METH_DELETE,
        path="/api/v1/callbacks/{call_id}",
        handler=cancel,
        summary="Take a callback off the list, hanging up if its customer is being called",
        params=CallParams,
        answer=Callbacks,
        errors={404: "no_callback: there is none, or its customer is on the line"},
    ),
)
