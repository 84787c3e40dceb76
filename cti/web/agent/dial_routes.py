"""An agent dials a number or a colleague, says that the page is there, and tells how a call sounds."""

from __future__ import annotations

from aiohttp import hdrs, web

from cti.ids import AgentId, CallId, CustomerId, QueueName
from cti.services.agent_line import Dialled, Microphone, Pulse, Sound
from cti.web.agent.dial_schemas import (
    DialAnswer,
    DialBody,
    HeartbeatAnswer,
    HeartbeatBody,
    QualityAnswer,
    QualityBody,
)
from cti.web.agent.rows import row_of
from cti.web.agent.schemas import CallParams
from cti.web.auth.guard import agent_of
from cti.web.deps import DEPS
from cti.web.operations import Operation
from cti.web.wire import read_body, read_path, reply


async def dial(request: web.Request) -> web.Response:
    """Ring the agent's device and connect it with a number or a colleague."""
    agent_id = agent_of(request)
    body = await read_body(request, DialBody)
    call_id = await request.app[DEPS].line.dial(
        agent_id,
        Dialled(
            number=body.number,
            colleague=AgentId(body.agent_id) if body.agent_id else None,
            customer_id=CustomerId(body.customer_id) if body.customer_id is not None else None,
            caller_id=body.caller_id,
            queue=QueueName(body.queue) if body.queue else None,
            follow_up_id=body.follow_up_id,
            override=body.override_reason.strip(),
            key=body.idempotency_key,
        ),
    )
    return reply(DialAnswer(call_id=call_id, agent=row_of(request, agent_id)))


async def heartbeat(request: web.Request) -> web.Response:
    """The page is there."""
    agent_id = agent_of(request)
    body = await read_body(request, HeartbeatBody)
    row = row_of(request, agent_id)
    request.app[DEPS].line.pulse(
        agent_id,
        Pulse(microphone=Microphone(body.microphone), registered=body.registered, visible=body.visible),
    )
    return reply(HeartbeatAnswer(agent=row))


async def quality(request: web.Request) -> web.Response:
    """How a call of the agent sounds."""
    agent_id = agent_of(request)
    call = read_path(request, CallParams)
    body = await read_body(request, QualityBody)
    kept = await request.app[DEPS].line.sounded(
        agent_id,
        CallId(call.call_id),
        Sound(rtt_ms=body.rtt_ms, jitter_ms=body.jitter_ms, loss=body.loss, mos=body.mos, final=body.final),
    )
    return reply(QualityAnswer(kept=kept))


_REFUSED = {409: "the floor refused; the error's id says why, nothing changed"}

OPERATIONS = (
    Operation(
        name="agent_dial",
        method=hdrs.METH_POST,
        path="/api/v1/agent/dial",
        handler=dial,
        summary="Ring the agent's own device, then call a number or a colleague",
        body=DialBody,
        answer=DialAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="agent_heartbeat",
        method=hdrs.METH_POST,
        path="/api/v1/agent/heartbeat",
        handler=heartbeat,
        summary="The page is there: its microphone and its telephone",
        body=HeartbeatBody,
        answer=HeartbeatAnswer,
        errors=_REFUSED,
    ),
    Operation(
        name="call_quality",
        method=hdrs.METH_POST,
        path="/api/v1/agent/calls/{call_id}/quality",
        handler=quality,
        summary="How a call sounds at the agent's page",
        params=CallParams,
        body=QualityBody,
        answer=QualityAnswer,
        errors=_REFUSED,
    ),
)
