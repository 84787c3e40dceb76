"""What supervisors do with calls: listening and talking in them, sending them elsewhere, ending them; and their own phone."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.ids import CallId, QueueName
from cti.model.facts import DestinationKind
from cti.services.floor import Refused
from cti.services.supervision import SupervisionDesk, WatchRow
from cti.web.agent.schemas import CallParams
from cti.web.auth.acts import tell, tell_nothing
from cti.web.auth.guard import session_of
from cti.web.auth.scopes import check_queues, scope_of
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Done, Operation
from cti.web.phone_logins import page_password
from cti.web.supervision.schemas import (
    EmergencyRow,
    EndBody,
    ForcedRow,
    ModeBody,
    SendBody,
    Stopped,
    Supervised,
    SupervisorPhone,
    WatchBody,
    Watched,
    WatchedStill,
)
from cti.web.wire import read_body, read_path, reply

_OVER = frozenset({"not_watching", "unknown_call"})
"""What a desk says of a part that has ended, or whose call has."""
NO_DESK = {503: "no_supervision: nobody can act on calls here"}


def desk_of(request: web.Request) -> SupervisionDesk:
    """The floor as supervisors see it. Raises `ApiError` where there is none."""
    desk = request.app[DEPS].supervision
    if desk is None:
        raise ApiError(503, "no_supervision", "nobody can act on calls here", remedy="start the whole bridge")
    return desk


def _of_call(request: web.Request, call_id: CallId) -> QueueName | None:
    row = request.app[DEPS].floor.view().calls.get(call_id)
    return row.queue if row is not None else None


async def overview(request: web.Request) -> web.Response:
    """What supervisors have under way; a supervisor with queues of their own sees what is of these."""
    deps, desk, session = request.app[DEPS], desk_of(request), session_of(request)
    scope = scope_of(session, deps.centre)
    calls = deps.floor.view().calls

    def seen(queue: QueueName | None) -> bool:
        return scope is None or queue is None or queue in scope

    def watched(row: WatchRow) -> bool:
        call = calls.get(row.call_id)
        return row.by == session.account.username or scope is None or (call is not None and call.queue in scope)

    return reply(
        Supervised(
            watches=tuple(row for row in desk.watches() if watched(row)),
            forced=tuple(
                ForcedRow(queue=f.queue, open=bool(f.open), until=f.until, by=f.by, at=f.at, reason=f.reason)
                for f in desk.forced_queues()
                if seen(f.queue)
            ),
            emergencies=tuple(
                EmergencyRow(queue=e.queue, prompt=e.prompt, text=e.text, until=e.until, by=e.by, at=e.at)
                for e in desk.emergencies()
                if seen(e.queue)
            ),
            queues=tuple(sorted(scope)) if scope is not None else None,
            flows={str(name): said for name, said in deps.centre.transfer_flows.items()},
            reasons=deps.centre.not_ready_reasons,
        )
    )


async def phone(request: web.Request) -> web.Response:
    """The supervisor's own phone accounts."""
    deps, account = request.app[DEPS], session_of(request).account
    user = account.username
    browser, passwords = f"{user}-web", deps.phone.passwords
    if user not in passwords:
        raise ApiError(
            409,
            "no_phone_account",
            f"the user {user} has no phone account",
            remedy="name the user under supervisors in centre.yaml",
        )
    return reply(
        SupervisorPhone(
            ws_url=deps.phone.ws_url,
            uri=f"sip:{browser}@{deps.phone.domain}",
            username=browser,
            password=await page_password(request, browser),
            display_name=account.name or user,
            sip={
                "registrar": deps.phone.registrar,
                "tls_registrar": deps.phone.tls_registrar,
                "username": user,
                "password": passwords[user],
            },
        )
    )


async def watch(request: web.Request) -> web.Response:
    """Call the supervisor's telephone, for a part in a call."""
    call_id = CallId(read_path(request, CallParams).call_id)
    body = await read_body(request, WatchBody)
    deps, account = request.app[DEPS], session_of(request).account
    sip_account = account.username + ("-web" if body.device == "browser" else "")
    if account.username not in deps.phone.passwords:
        raise ApiError(
            409,
            "no_phone_account",
            f"the user {account.username} has no phone account",
            remedy="name the user under supervisors in centre.yaml",
        )
    tell(request, queue=_of_call(request, call_id), after={"mode": body.mode.value}, reason=body.reason)
    row = await desk_of(request).watch(
        call_id, by=account.username, account=sip_account, mode=body.mode, again=body.again
    )
    tell(request, after={"agent": row.agent_id or ""})
    return reply(Watched(watch=row))


async def change(request: web.Request) -> web.Response:
    """Do something else in the call one has a part in. What is over already is not refused: the call may just have ended."""
    body = await read_body(request, ModeBody)
    desk, by = desk_of(request), session_of(request).account.username
    before = next((row for row in desk.watches() if row.by == by), None)
    if before is not None:
        queue = _of_call(request, before.call_id)
        # The caller may be in a queue by now that is not this supervisor's.
        check_queues(request, session_of(request), "watch_change", (queue,) if queue is not None else ())
        tell(request, subject=f"call:{before.call_id}", queue=queue, before={"mode": before.mode.value})
    try:
        row = await desk.change_watch(by=by, mode=body.mode)
    except Refused as refused:
        if refused.error_id not in _OVER:
            raise
        tell_nothing(request)
        return reply(WatchedStill(watch=None))
    tell(request, after={"mode": row.mode.value})
    return reply(WatchedStill(watch=row))


async def stop(request: web.Request) -> web.Response:
    """Have no part in the call any more. What is over already is not refused: a page asks when the call may just have ended."""
    try:
        call_id = await desk_of(request).stop_watch(by=session_of(request).account.username)
    except Refused as refused:
        if refused.error_id != "not_watching":
            raise
        tell_nothing(request)
        return reply(Stopped(call_id=None))
    tell(request, subject=f"call:{call_id}", queue=_of_call(request, call_id))
    return reply(Stopped(call_id=call_id))


async def end(request: web.Request) -> web.Response:
    """Hang a live call up."""
    call_id = CallId(read_path(request, CallParams).call_id)
    body = await read_body(request, EndBody)
    queue = _of_call(request, call_id)
    done = await desk_of(request).end_call(call_id, by=session_of(request).account.username)
    tell(request, queue=queue, before=done.before, after=done.after, reason=body.reason)
    return reply(Done())


async def send(request: web.Request) -> web.Response:
    """Send a live call elsewhere."""
    call_id = CallId(read_path(request, CallParams).call_id)
    body = await read_body(request, SendBody)
    queue = _of_call(request, call_id)
    if body.to.kind is DestinationKind.QUEUE:
        check_queues(request, session_of(request), "call_send", (QueueName(body.to.name),))
    done = await desk_of(request).send_call(
        call_id, body.to.send_to(), by=session_of(request).account.username, note=body.note
    )
    tell(request, queue=queue, before=done.before, after=done.after, reason=body.reason)
    return reply(Done())


_REFUSED = {
    403: "not_your_queue",
    404: "unknown_call: it is over",
    409: "the floor refused; the error's id says why, nothing changed",
    **NO_DESK,
}
_NOW = {
    409: "the floor refused; the error's id says why, nothing changed",
    403: "not_your_queue",
    **NO_DESK,
}

OPERATIONS = (
    Operation(
        name="supervision",
        method=hdrs.METH_GET,
        path="/api/v1/supervision",
        handler=overview,
        summary="What supervisors have under way: parts in calls, queues opened or closed by hand, announcements",
        answer=Supervised,
        errors=NO_DESK,
    ),
    Operation(
        name="supervisor_phone",
        method=hdrs.METH_GET,
        path="/api/v1/supervision/phone",
        handler=phone,
        summary="The supervisor's own phone accounts",
        answer=SupervisorPhone,
        errors={409: "no_phone_account"},
    ),
    Operation(
        name="call_watch",
        method=hdrs.METH_POST,
        path="/api/v1/calls/{call_id}/watch",
        handler=watch,
        summary="Listen to a call, whisper to its agent, talk along, or take it over: one's own telephone rings",
        params=CallParams,
        body=WatchBody,
        answer=Watched,
        errors=_REFUSED,
    ),
    Operation(
        name="watch_change",
        method=hdrs.METH_POST,
        path="/api/v1/supervision/mode",
        handler=change,
        summary="Listen, whisper, talk along or take over, in the call one has a part in; null where there is none any more",
        body=ModeBody,
        answer=WatchedStill,
        errors=_NOW,
    ),
    Operation(
        name="watch_stop",
        method=hdrs.METH_POST,
        path="/api/v1/supervision/stop",
        handler=stop,
        summary="Have no part in the call any more",
        answer=Stopped,
        errors=NO_DESK,
    ),
    Operation(
        name="call_end",
        method=hdrs.METH_POST,
        path="/api/v1/calls/{call_id}/hangup",
        handler=end,
        summary="Hang a live call up",
        params=CallParams,
        body=EndBody,
        answer=Done,
        errors=_REFUSED,
    ),
    Operation(
        name="call_send",
        method=hdrs.METH_POST,
        path="/api/v1/calls/{call_id}/send",
        handler=send,
        summary="Send a live call to an agent, a queue, a number or a flow",
        params=CallParams,
        body=SendBody,
        answer=Done,
        errors=_REFUSED,
    ),
)
