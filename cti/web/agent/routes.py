"""An agent's desk: state, offers, the call, wrap-up, the phone account."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.ids import AgentId, CallId, CustomerId, OfferId
from cti.web.agent.rows import row_of
from cti.web.agent.schemas import (
    STATES,
    AgentAnswer,
    CallParams,
    CustomerBody,
    Desk,
    OfferParams,
    PhoneAccount,
    SipAccount,
    StateBody,
    WrapUpBody,
)
from cti.web.auth.guard import agent_of
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Operation
from cti.web.phone_logins import page_password
from cti.web.views import people_of
from cti.web.wire import read_body, read_path, reply


def _answer(request: web.Request, agent_id: AgentId) -> web.Response:
    return reply({"agent": row_of(request, agent_id)})


async def desk(request: web.Request) -> web.Response:
    """Everything on the agent's desk."""
    deps, agent_id = request.app[DEPS], agent_of(request)
    row = row_of(request, agent_id)
    view = deps.floor.view()
    call = next((call for call in view.calls.values() if agent_id in people_of(call)), None)
    # A call may be of a queue that is not the agent's own: transferred, or picked up.
    queues = deps.centre.queues.values()
    return reply(
        {
            "agent": row,
            "call": call,
            "pop": view.pops.get(agent_id),
            "talk": view.talks.get(agent_id),
            "reasons": deps.centre.not_ready_reasons,
            "dispositions": {queue.name: queue.dispositions for queue in queues},
            "desks": {queue.name: queue.desk for queue in queues},
        }
    )


async def set_state(request: web.Request) -> web.Response:
    """Ready, not ready or offline."""
    deps, agent_id = request.app[DEPS], agent_of(request)
    body = await read_body(request, StateBody)
    if body.state == "not_ready":
        if body.reason not in deps.centre.not_ready_reasons:
            raise ApiError(
                400,
                "unknown_reason",
                "not ready needs one of the centre's reasons",
                remedy=f"send reason: {', '.join(deps.centre.not_ready_reasons)}",
                details=({"field": "reason", "message": "not a reason of this centre"},),
            )
    elif body.reason:
        raise ApiError(400, "invalid_input", f"{body.state} has no reason", remedy="leave reason out")
    await deps.floor.set_agent(agent_id, STATES[body.state], reason=body.reason, device=body.device)
    return _answer(request, agent_id)


async def reject(request: web.Request) -> web.Response:
    """Not take an offer; the caller keeps the place."""
    agent_id = agent_of(request)
    offer = read_path(request, OfferParams)
    await request.app[DEPS].floor.reject(agent_id, OfferId(offer.offer_id))
    return _answer(request, agent_id)


async def hang_up(request: web.Request) -> web.Response:
    """End the agent's call."""
    agent_id = agent_of(request)
    call = read_path(request, CallParams)
    await request.app[DEPS].floor.hang_up(agent_id, CallId(call.call_id))
    return _answer(request, agent_id)


async def choose_customer(request: web.Request) -> web.Response:
    """Say which customer a call is with."""
    agent_id = agent_of(request)
    call = read_path(request, CallParams)
    body = await read_body(request, CustomerBody)
    await request.app[DEPS].floor.choose_customer(agent_id, CallId(call.call_id), CustomerId(body.customer_id))
    return _answer(request, agent_id)


async def finish_wrap_up(request: web.Request) -> web.Response:
    """The work after the call is done."""
    agent_id = agent_of(request)
    call = read_path(request, CallParams)
    body = await read_body(request, WrapUpBody)
    await request.app[DEPS].floor.finish_wrap_up(
        agent_id, CallId(call.call_id), disposition=body.disposition, note=body.note
    )
    return _answer(request, agent_id)


async def extend_wrap_up(request: web.Request) -> web.Response:
    """More time for the work after the call."""
    agent_id = agent_of(request)
    call = read_path(request, CallParams)
    await request.app[DEPS].floor.extend_wrap_up(agent_id, CallId(call.call_id))
    return _answer(request, agent_id)


async def phone(request: web.Request) -> web.Response:
    """The agent's own phone accounts."""
    deps, agent_id = request.app[DEPS], agent_of(request)
    browser = f"{agent_id}-web"
    passwords = deps.phone.passwords
    if agent_id not in passwords:
        raise ApiError(
            409,
            "no_phone_account",
            f"agent {agent_id} has no phone account yet",
            remedy="restart with `cti up`, which makes missing accounts",
        )
    return reply(
        PhoneAccount(
            ws_url=deps.phone.ws_url,
            uri=f"sip:{browser}@{deps.phone.domain}",
            username=browser,
            password=await page_password(request, browser),
            display_name=deps.centre.agents[agent_id].name,
            sip=SipAccount(
                registrar=deps.phone.registrar,
                tls_registrar=deps.phone.tls_registrar,
                username=agent_id,
                password=passwords[agent_id],
            ),
        )
    )


_REFUSED = {409: "the floor refused; the error's id says why, nothing changed"}

OPERATIONS = (
    Operation(
        name="agent",
        method=hdrs.METH_GET,
        path="/api/v1/agent",
        handler=desk,
        summary="The agent's desk: own row, own call, screen pop",
        answer=Desk,
    ),
    Operation(
        name="agent_state",
        method=hdrs.METH_POST,
        path="/api/v1/agent/state",
        handler=set_state,
        summary="Become ready, not ready (with a reason) or offline",
        body=StateBody,
        answer=AgentAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="agent_phone",
        method=hdrs.METH_GET,
        path="/api/v1/agent/phone",
        handler=phone,
        summary="The agent's own phone accounts",
        answer=PhoneAccount,
        errors={409: "no_phone_account", 503: "the telephone system cannot be told; what is signed on stays so"},
    ),
    Operation(
        name="offer_reject",
        method=hdrs.METH_POST,
        path="/api/v1/agent/offers/{offer_id}/reject",
        handler=reject,
        summary="Not take an offer; the caller keeps the place",
        params=OfferParams,
        answer=AgentAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_hang_up",
        method=hdrs.METH_POST,
        path="/api/v1/agent/calls/{call_id}/hangup",
        handler=hang_up,
        summary="End the agent's call",
        params=CallParams,
        answer=AgentAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_customer",
        method=hdrs.METH_POST,
        path="/api/v1/agent/calls/{call_id}/customer",
        handler=choose_customer,
        summary="Say which customer a call is with: chosen among several, found, or just made",
        answer=AgentAnswer,
        body=CustomerBody,
        params=CallParams,
        errors=_REFUSED,
    ),
    Operation(
        name="call_wrap_up",
        method=hdrs.METH_POST,
        path="/api/v1/agent/calls/{call_id}/wrapup",
        handler=finish_wrap_up,
        summary="Finish the work after a call, with its disposition",
        params=CallParams,
        body=WrapUpBody,
        answer=AgentAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_wrap_up_extend",
        method=hdrs.METH_POST,
        path="/api/v1/agent/calls/{call_id}/wrapup/extend",
        handler=extend_wrap_up,
        summary="More time for the work after a call",
        params=CallParams,
        answer=AgentAnswer,
        errors=_REFUSED,
    ),
)
