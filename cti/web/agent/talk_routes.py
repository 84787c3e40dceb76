"""What an agent does with the call they are in: hold, transfer, consult, conference, keys; and taking a waiting caller."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.ids import CallId
from cti.services.talk_view import Destinations, TalkView
from cti.web.agent.schemas import CallParams
from cti.web.agent.talk_schemas import (
    CompleteBody,
    ConsultBody,
    HoldBody,
    KeysBody,
    PartyParams,
    PickUpBody,
    TransferBody,
    Waiting,
    Waitings,
)
from cti.web.auth.guard import agent_of
from cti.web.deps import DEPS
from cti.web.operations import Answer, Operation
from cti.web.wire import read_body, read_path, reply


class TalkAnswer(Answer):
    """The agent's call after what was asked; None when the agent is in none (any more)."""

    talk: TalkView | None


def _answer(request: web.Request) -> web.Response:
    talks = request.app[DEPS].floor.view().talks
    return reply({"talk": talks.get(agent_of(request))})


def _call(request: web.Request) -> CallId:
    return CallId(read_path(request, CallParams).call_id)


async def hold(request: web.Request) -> web.Response:
    """Hold, or retrieve."""
    agent_id, call_id = agent_of(request), _call(request)
    body = await read_body(request, HoldBody)
    await request.app[DEPS].floor.hold(agent_id, call_id, on=body.on)
    return _answer(request)


async def transfer(request: web.Request) -> web.Response:
    """Send the caller on."""
    agent_id, call_id = agent_of(request), _call(request)
    body = await read_body(request, TransferBody)
    await request.app[DEPS].floor.transfer(agent_id, call_id, body.to.send_to(), note=body.note)
    return _answer(request)


async def consult(request: web.Request) -> web.Response:
    """Call somebody about the caller."""
    agent_id, call_id = agent_of(request), _call(request)
    body = await read_body(request, ConsultBody)
    await request.app[DEPS].floor.consult(agent_id, call_id, body.to.send_to())
    return _answer(request)


async def complete(request: web.Request) -> web.Response:
    """Leave the two alone."""
    agent_id, call_id = agent_of(request), _call(request)
    body = await read_body(request, CompleteBody)
    await request.app[DEPS].floor.complete_consult(agent_id, call_id, note=body.note)
    return _answer(request)


async def cancel(request: web.Request) -> web.Response:
    """Back to the caller."""
    agent_id, call_id = agent_of(request), _call(request)
    await request.app[DEPS].floor.cancel_consult(agent_id, call_id)
    return _answer(request)


async def swap(request: web.Request) -> web.Response:
    """The other one."""
    agent_id, call_id = agent_of(request), _call(request)
    await request.app[DEPS].floor.swap(agent_id, call_id)
    return _answer(request)


async def join(request: web.Request) -> web.Response:
    """All together."""
    agent_id, call_id = agent_of(request), _call(request)
    await request.app[DEPS].floor.join(agent_id, call_id)
    return _answer(request)


async def drop(request: web.Request) -> web.Response:
    """One party out."""
    agent_id, path = agent_of(request), read_path(request, PartyParams)
    await request.app[DEPS].floor.drop(agent_id, CallId(path.call_id), path.party)
    return _answer(request)


async def keys(request: web.Request) -> web.Response:
    """Press keys."""
    agent_id, call_id = agent_of(request), _call(request)
    body = await read_body(request, KeysBody)
    await request.app[DEPS].floor.send_keys(agent_id, call_id, body.keys)
    return _answer(request)


async def pick_up(request: web.Request) -> web.Response:
    """Take a waiting caller."""
    agent_id = agent_of(request)
    body = await read_body(request, PickUpBody)
    await request.app[DEPS].floor.pick_up(agent_id, CallId(body.call_id))
    return _answer(request)


async def waiting(request: web.Request) -> web.Response:
    """Who waits in the agent's queues."""
    deps, agent_id = request.app[DEPS], agent_of(request)
    own = deps.centre.agents[agent_id].queues
    rows = [
        row
        for row in deps.floor.view().calls.values()
        if row.queue in own and row.state in ("waiting", "offered") and row.callback in ("", "reached")
    ]
    rows.sort(key=lambda row: (own.index(row.queue) if row.queue in own else 0, row.place or 0, row.since))
    found = [
        Waiting(
            call_id=row.call_id,
            queue=row.queue,
            number=row.caller_number,
            customer_name=row.customer_name,
            tier=row.tier,
            choice=row.choice,
            queued_at=row.queued_at,
            place=row.place,
            ringing=row.state == "offered",
        )
        for row in rows
        if row.queue is not None
    ]
    return reply(Waitings(calls=tuple(found)))


async def destinations(request: web.Request) -> web.Response:
    """Where callers may be sent."""
    return reply(await request.app[DEPS].floor.destinations(agent_of(request)))


_REFUSED = {409: "the floor refused; the error's id says why, nothing changed"}
_CALL = "/api/v1/agent/calls/{call_id}"

OPERATIONS = (
    Operation(
        name="call_hold",
        method=hdrs.METH_POST,
        path=f"{_CALL}/hold",
        handler=hold,
        summary="Put the caller on hold with music, or take them back",
        params=CallParams,
        body=HoldBody,
        answer=TalkAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_transfer",
        method=hdrs.METH_POST,
        path=f"{_CALL}/transfer",
        handler=transfer,
        summary="Send the caller to an agent, a queue, a number or a flow, and leave (blind transfer)",
        params=CallParams,
        body=TransferBody,
        answer=TalkAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_consult",
        method=hdrs.METH_POST,
        path=f"{_CALL}/consult",
        handler=consult,
        summary="Put the caller on hold and call an agent or a number",
        params=CallParams,
        body=ConsultBody,
        answer=TalkAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_consult_complete",
        method=hdrs.METH_POST,
        path=f"{_CALL}/consult/complete",
        handler=complete,
        summary="Leave the call to the caller and the third party (attended transfer)",
        params=CallParams,
        body=CompleteBody,
        answer=TalkAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_consult_cancel",
        method=hdrs.METH_POST,
        path=f"{_CALL}/consult/cancel",
        handler=cancel,
        summary="Let the third party go and take the caller back",
        params=CallParams,
        answer=TalkAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_consult_swap",
        method=hdrs.METH_POST,
        path=f"{_CALL}/consult/swap",
        handler=swap,
        summary="Talk with the other of caller and third party; the first is on hold meanwhile",
        params=CallParams,
        answer=TalkAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_consult_join",
        method=hdrs.METH_POST,
        path=f"{_CALL}/consult/join",
        handler=join,
        summary="Caller, third party and agent all talk together (conference)",
        params=CallParams,
        answer=TalkAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_party_drop",
        method=hdrs.METH_POST,
        path=f"{_CALL}/parties/{{party}}/drop",
        handler=drop,
        summary="Take one party out of the call",
        params=PartyParams,
        answer=TalkAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_keys",
        method=hdrs.METH_POST,
        path=f"{_CALL}/keys",
        handler=keys,
        summary="Press keys (DTMF) towards whoever the agent talks with",
        params=CallParams,
        body=KeysBody,
        answer=TalkAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_pick_up",
        method=hdrs.METH_POST,
        path="/api/v1/agent/pick-up",
        handler=pick_up,
        summary="Take a caller who waits, or rings at a colleague's, before everybody else",
        body=PickUpBody,
        answer=TalkAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="agent_waiting",
        method=hdrs.METH_GET,
        path="/api/v1/agent/waiting",
        handler=waiting,
        summary="Callers of the agent's queues who can be picked up",
        answer=Waitings,
    ),
    Operation(
        name="agent_destinations",
        method=hdrs.METH_GET,
        path="/api/v1/agent/destinations",
        handler=destinations,
        summary="Agents, queues, flows and numbers that callers may be sent to, or asked about",
        answer=Destinations,
    ),
)
