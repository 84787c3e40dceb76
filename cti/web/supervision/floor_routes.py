"""What supervisors do with agents and queues: states, queues and skills, opening and closing, announcements, messages."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiohttp import hdrs, web
from ruamel.yaml import YAML

from cti.errors import CtiError
from cti.ids import AgentId, QueueName
from cti.model.centre import Agent
from cti.services.configuration import Applied, ConfigConflict, ConfigInvalid
from cti.services.supervision import MessageState
from cti.web.agent.rows import row_of
from cti.web.agent.schemas import STATES
from cti.web.auth.acts import tell
from cti.web.auth.guard import agent_of, session_of
from cti.web.auth.scopes import check_queues, scope_of
from cti.web.deps import DEPS
from cti.web.errors import ApiError
from cti.web.operations import Done, Operation
from cti.web.supervision.routes import NO_DESK, desk_of
from cti.web.supervision.schemas import (
    AgentAfter,
    AgentChangeBody,
    AgentForAWhileBody,
    AgentParams,
    AgentSetBody,
    AnnounceBody,
    ForceBody,
    MessageBody,
    MessageParams,
    MessageRow,
    Messages,
    QueueOnly,
)
from cti.web.wire import read_body, read_path, reply


def _by(request: web.Request) -> str:
    return session_of(request).account.username


async def set_agent(request: web.Request) -> web.Response:
    """Change an agent's state."""
    agent_id = AgentId(read_path(request, AgentParams).agent_id)
    body = await read_body(request, AgentSetBody)
    deps = request.app[DEPS]
    if body.state == "not_ready" and body.reason not in deps.centre.not_ready_reasons:
        raise ApiError(
            400,
            "unknown_reason",
            "not ready needs one of the centre's reasons",
            remedy=f"send reason: {', '.join(deps.centre.not_ready_reasons)}",
        )
    done = await desk_of(request).set_agent_of(
        agent_id, STATES[body.state], by=_by(request), reason=body.reason if body.state == "not_ready" else ""
    )
    tell(request, before=done.before, after=done.after, reason=body.why, queue=_a_queue(request, agent_id))
    return reply(AgentAfter(agent=row_of(request, agent_id)))


def _a_queue(request: web.Request, agent_id: AgentId) -> QueueName | None:
    """The queue by which this supervisor acts on the agent."""
    deps = request.app[DEPS]
    agent, scope = deps.centre.agents.get(agent_id), scope_of(session_of(request), deps.centre)
    if agent is None:
        return None
    return next((queue for queue in agent.queues if scope is None or queue in scope), None)


def _usual(request: web.Request, agent_id: AgentId) -> Agent | None:
    """The agent as the centre's file has them, whatever they were given for a while."""
    deps = request.app[DEPS]
    return deps.centre.agents.get(agent_id) if deps.supervision is None else deps.supervision.usual_agent(agent_id)


async def change_agent(request: web.Request) -> web.Response:
    """Give an agent other queues or skills: a new version of the centre's file, at once."""
    agent_id = AgentId(read_path(request, AgentParams).agent_id)
    body = await read_body(request, AgentChangeBody)
    deps = request.app[DEPS]
    agent = _usual(request, agent_id)
    if agent is None:
        raise ApiError(404, "unknown_agent", f"there is no agent {agent_id}", remedy="use an extension of centre.yaml")
    if body.queues is None and body.skills is None:
        raise ApiError(400, "invalid_input", "nothing to change was named", remedy="send queues, skills, or both")
    if body.queues is not None:
        moved = {*map(QueueName, body.queues)} ^ {*agent.queues}
        check_queues(request, session_of(request), "agent_change", moved)
    before = {"queues": " ".join(agent.queues), "skills": _skills(agent.skills)}
    former = deps.configuration.current()
    text = _edited(former.text, agent_id, body.queues, body.skills)
    try:
        done: Applied = await deps.configuration.apply(text, expected=former.version, by=_by(request))
    except ConfigInvalid as error:
        raise ApiError(400, error.error_id, error.message, remedy=error.remedy) from None
    except ConfigConflict as error:
        raise ApiError(409, error.error_id, error.message, remedy="try again") from None
    now = _usual(request, agent_id) or agent
    after = {"queues": " ".join(now.queues), "skills": _skills(now.skills), "version": done.version}
    changed = {key for key in before if before[key] != after[key]}
    tell(
        request,
        before={key: value for key, value in before.items() if key in changed},
        after={key: value for key, value in after.items() if key in changed or key == "version"},
        queue=_a_queue(request, agent_id),
        reason=body.reason,
    )
    return reply(AgentAfter(agent=row_of(request, agent_id), version=done.version, changes=done.changes))


async def reassign_agent(request: web.Request) -> web.Response:
    """Give an agent other queues or skills for a while, or take that back."""
    agent_id = AgentId(read_path(request, AgentParams).agent_id)
    body = await read_body(request, AgentForAWhileBody)
    desk, deps = desk_of(request), request.app[DEPS]
    agent, usual = deps.centre.agents.get(agent_id), desk.usual_agent(agent_id)
    if agent is None or usual is None:
        raise ApiError(404, "unknown_agent", f"there is no agent {agent_id}", remedy="use an extension of centre.yaml")
    wanted = usual.queues if body.queues is None else tuple(map(QueueName, body.queues))
    check_queues(request, session_of(request), "agent_reassign", {*wanted} ^ {*agent.queues})
    done = await desk.reassign_agent(
        agent_id,
        by=_by(request),
        queues=[QueueName(queue) for queue in body.queues] if body.queues is not None else None,
        skills=body.skills,
        until=body.until,
        shift=body.shift,
        reason=body.reason,
    )
    queue = next(iter({*wanted} ^ {*agent.queues}), None) or _a_queue(request, agent_id)
    tell(request, before=done.before, after=done.after, queue=queue, reason=body.reason)
    return reply(AgentAfter(agent=row_of(request, agent_id)))


def _skills(skills: Mapping[str, int]) -> str:
    return " ".join(f"{name}:{level}" for name, level in sorted(skills.items()))


def _edited(text: str, agent_id: AgentId, queues: list[str] | None, skills: Mapping[str, int] | None) -> str:
    """The centre's file with this agent's queues and skills exchanged; comments and order stay. What a group gives besides
    stays the group's."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 200
    tree: Any = yaml.load(text)
    agents = (tree or {}).get("agents") or {}
    mine = next((agents[key] for key in agents if str(key) == agent_id), None)
    if mine is None:
        raise ApiError(404, "unknown_agent", f"there is no agent {agent_id}", remedy="use an extension of centre.yaml")
    if queues is not None:
        mine["queues"] = list(queues)
        for queue in [queue for queue in (mine.get("tiers") or {}) if queue not in queues]:
            del mine["tiers"][queue]
    if skills is not None:
        mine["skills"] = dict(skills)
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


async def force(request: web.Request) -> web.Response:
    """Open or close a queue against its calendar."""
    queue = QueueName(read_path(request, QueueOnly).queue)
    body = await read_body(request, ForceBody)
    done = await desk_of(request).force_queue(queue, body.open, by=_by(request), until=body.until, reason=body.reason)
    tell(request, queue=queue, before=done.before, after=done.after, reason=body.reason)
    return reply(Done())


async def announce(request: web.Request) -> web.Response:
    """Tell a queue's callers something before anything else."""
    await _announce(request, QueueName(read_path(request, QueueOnly).queue))
    return reply(Done())


async def announce_everywhere(request: web.Request) -> web.Response:
    """Tell every caller something before anything else."""
    await _announce(request, None)
    return reply(Done())


async def _announce(request: web.Request, queue: QueueName | None) -> None:
    body = await read_body(request, AnnounceBody)
    deps = request.app[DEPS]
    if body.prompt and body.text:
        raise ApiError(400, "invalid_input", "a prompt or words, not both", remedy="send prompt or text")
    prompt, languages = body.prompt, sorted(body.text)
    unknown = [language for language in languages if language not in deps.centre.languages]
    if unknown:
        raise ApiError(
            400,
            "unknown_language",
            f"{unknown[0]} is no language of this centre",
            remedy=f"use {', '.join(deps.centre.languages)}",
        )
    if body.prompt and deps.prompts is not None:
        known = [row for row in await deps.prompts.all() if row.name == body.prompt]
        if not known:
            raise ApiError(400, "unknown_prompt", f"there is no prompt {body.prompt}", remedy="GET /api/v1/prompts")
        languages = sorted({row.language for row in known})
    if body.text:
        if deps.emergency_voice is None:
            raise ApiError(503, "no_voice", "nothing can be spoken here", remedy="choose a prompt of the library")
        try:
            prompt = await deps.emergency_voice(body.text)
        except CtiError as error:
            raise ApiError(
                400, "not_spoken", error.message, remedy="choose other words, or a prompt of the library"
            ) from error
    done = await desk_of(request).set_emergency(
        queue,
        prompt,
        by=_by(request),
        until=body.until,
        text=" / ".join(body.text[language] for language in sorted(body.text)),
        reason=body.reason,
        languages=languages,
    )
    subject = f"queue:{queue}" if queue is not None else "centre"
    tell(request, subject=subject, queue=queue, before=done.before, after=done.after, reason=body.reason)


async def send_message(request: web.Request) -> web.Response:
    """Tell agents something."""
    body = await read_body(request, MessageBody)
    deps, session = request.app[DEPS], session_of(request)
    if bool(body.agents) == bool(body.queue):
        raise ApiError(400, "invalid_input", "agents or a queue must be named, not both", remedy="send agents or queue")
    agents = [AgentId(one) for one in body.agents]
    queue = QueueName(body.queue) if body.queue else None
    scope = scope_of(session, deps.centre)
    if scope is not None:
        if queue is not None:
            check_queues(request, session, "message_send", (queue,))
        for agent_id in agents:
            agent = deps.centre.agents.get(agent_id)
            check_queues(
                request,
                session,
                "message_send",
                () if agent and not scope.isdisjoint(agent.queues) else (QueueName(""),),
            )
    sent = await desk_of(request).send_message(
        agents, queue, body.text, by=_by(request), lasts=timedelta(minutes=body.minutes)
    )
    subject = f"queue:{queue}" if queue is not None else " ".join(f"agent:{one}" for one in agents)[:200]
    tell(request, subject=subject, queue=queue, after={"message": body.text})
    return reply(_row(MessageState(message=sent, seen=())))


def _row(state: MessageState) -> MessageRow:
    one = state.message
    return MessageRow(
        message_id=one.message_id,
        at=one.at,
        by=one.by,
        text=one.text,
        queue=one.queue,
        agents=one.agents,
        seen=state.seen,
        until=one.until,
    )


async def messages(request: web.Request) -> web.Response:
    """Messages to agents, and who has seen them."""
    deps = request.app[DEPS]
    scope = scope_of(session_of(request), deps.centre)
    by = _by(request)
    found = [
        state
        for state in desk_of(request).messages()
        if scope is None or state.message.by == by or state.message.queue in scope
    ]
    return reply(Messages(messages=tuple(map(_row, found))))


async def seen(request: web.Request) -> web.Response:
    """The agent has seen a message."""
    message_id = read_path(request, MessageParams).message_id
    await desk_of(request).message_seen(agent_of(request), message_id)
    return reply(Done())


_REFUSED = {
    403: "not_your_queue",
    404: "unknown_agent, unknown_queue",
    409: "the floor refused; the error's id says why, nothing changed",
    **NO_DESK,
}

OPERATIONS = (
    Operation(
        name="agent_set",
        method=hdrs.METH_POST,
        path="/api/v1/agents/{agent_id}/state",
        handler=set_agent,
        summary="Change an agent's state; during a call it takes effect after it",
        params=AgentParams,
        body=AgentSetBody,
        answer=AgentAfter,
        errors={400: "unknown_reason", **_REFUSED},
    ),
    Operation(
        name="agent_change",
        method=hdrs.METH_POST,
        path="/api/v1/agents/{agent_id}/membership",
        handler=change_agent,
        summary="Give an agent other queues or skills: a version of the centre's file, at once",
        params=AgentParams,
        body=AgentChangeBody,
        answer=AgentAfter,
        errors={400: "config_invalid", **_REFUSED},
    ),
    Operation(
        name="agent_reassign",
        method=hdrs.METH_POST,
        path="/api/v1/agents/{agent_id}/reassignment",
        handler=reassign_agent,
        summary="Give an agent other queues or skills for a while, or take that back",
        params=AgentParams,
        body=AgentForAWhileBody,
        answer=AgentAfter,
        errors=_REFUSED,
    ),
    Operation(
        name="queue_force",
        method=hdrs.METH_POST,
        path="/api/v1/queues/{queue}/open",
        handler=force,
        summary="Open or close a queue against its calendar, until a time",
        params=QueueOnly,
        body=ForceBody,
        answer=Done,
        errors=_REFUSED,
    ),
    Operation(
        name="queue_announce",
        method=hdrs.METH_POST,
        path="/api/v1/queues/{queue}/announcement",
        handler=announce,
        summary="Tell a queue's callers something before anything else, until a time",
        params=QueueOnly,
        body=AnnounceBody,
        answer=Done,
        errors={400: "unknown_prompt, unknown_language, not_spoken", **_REFUSED, 503: "no_voice or no_supervision"},
    ),
    Operation(
        name="centre_announce",
        method=hdrs.METH_POST,
        path="/api/v1/announcement",
        handler=announce_everywhere,
        summary="Tell every caller something before anything else, until a time",
        body=AnnounceBody,
        answer=Done,
        errors={400: "unknown_prompt, unknown_language, not_spoken", **_REFUSED, 503: "no_voice or no_supervision"},
    ),
    Operation(
        name="message_send",
        method=hdrs.METH_POST,
        path="/api/v1/messages",
        handler=send_message,
        summary="Put a message on the pages of agents",
        body=MessageBody,
        answer=MessageRow,
        errors=_REFUSED,
    ),
    Operation(
        name="messages",
        method=hdrs.METH_GET,
        path="/api/v1/messages",
        handler=messages,
        summary="Messages to agents, the newest first, and who has seen them",
        answer=Messages,
        errors=NO_DESK,
    ),
    Operation(
        name="message_seen",
        method=hdrs.METH_POST,
        path="/api/v1/agent/messages/{message_id}/seen",
        handler=seen,
        summary="The agent has seen a message",
        params=MessageParams,
        answer=Done,
        errors={409: "unknown_message", **NO_DESK},
    ),
)
