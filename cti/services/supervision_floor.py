"""What supervisors do on the floor besides talking: ending and moving calls, agents' states, queues opened and closed by hand,
emergency announcements, messages. Pure moves of the switchboard, each a fact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cti.ids import AgentId, CallId, QueueName
from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.centre import VOICEMAIL, Target, TargetKind
from cti.model.commands import HangUp
from cti.model.facts import AgentState, DestinationKind
from cti.model.supervision_facts import EmergencySet, MessageSeen, MessageSent, QueueForced
from cti.services import agents, centre_notices, departures, pick_ups, priority, supervision_agents, transfers
from cti.services.floor import Refused
from cti.services.supervision import Changed
from cti.services.switchboard import Switchboard
from cti.services.talk_view import SendTo
from cti.services.talks import TALK

LONGEST_MESSAGE = timedelta(days=2)


def _live(board: Switchboard, call_id: CallId) -> Call:
    call = board.calls.get(call_id)
    if call is None:
        raise Refused("unknown_call", f"call {call_id} is not live", remedy="nothing to do: it is over")
    return call


def _where(call: Call) -> dict[str, str]:
    told = {"state": call.state.value, "queue": call.queue or "", "agent": ",".join(call.talkers)}
    return {key: value for key, value in told.items() if value}


def end_call(board: Switchboard, call_id: CallId, now: datetime) -> Changed:
    """Hang a live call up. Raises `Refused`."""
    call = _live(board, call_id)
    if not call.channel:
        raise Refused("nobody_there", "nobody is on the line", remedy="take the callback off the list instead")
    board.left_first.setdefault(call_id, f.HangupBy.SYSTEM)
    board.out.commands.append(HangUp(channel=call.channel))
    return Changed(before=_where(call), after={"state": "ended"})


def send_call(board: Switchboard, call_id: CallId, to: SendTo, now: datetime, *, by: str, note: str) -> Changed:
    """Send a live call elsewhere. From a talk it goes as if the agent had sent it; out of a queue, as the queue's rules send.

    Raises `Refused`.
    """
    call = _live(board, call_id)
    before = _where(call)
    if call.state in TALK and call.talkers:
        sender = call.agent_id if call.agent_id in call.talkers else call.talkers[-1]
        transfers.transfer(board, AgentId(sender or ""), call_id, to, now, note=note, by=by)
    elif to.kind is DestinationKind.QUEUE:
        priority.change_queue(board, call_id, QueueName(to.name), now, by=by, reason=note)
    elif to.kind is DestinationKind.AGENT:
        pick_ups.pick_up(board, AgentId(to.name), call_id, now)
    else:
        _send_waiting(board, call, to, now, by=by)
    return Changed(before=before, after={to.kind.value: to.name})


def _send_waiting(board: Switchboard, call: Call, to: SendTo, now: datetime, *, by: str) -> None:
    """Who waits, or is being offered, to voicemail, a flow or a number. Raises `Refused`."""
    match to.kind:
        case DestinationKind.NUMBER:
            transfers.may_send_to_number(board, to.name, now, queue=call.queue, supervisor=by)
            target = Target(kind=TargetKind.NUMBER, name=to.name)
        case DestinationKind.FLOW:
            target = Target(kind=TargetKind.FLOW, name=transfers.may_send_to_flow(board, to.name))
        case _:
            target = VOICEMAIL
    if not departures.send_on(board, call, target, now, by=by):
        raise Refused(
            "nobody_there" if call.absent else "not_waiting",
            "only who talks or waits on the line can be sent elsewhere",
            remedy="wait until the caller waits for an agent, or talks with one",
        )


def set_agent(
    board: Switchboard, agent_id: AgentId, state: AgentState, now: datetime, *, by: str, reason: str
) -> Changed:
    """Change an agent's state; during a call it takes effect after it. Raises `Refused`."""
    known = board.agents.get(agent_id)
    if known is None:
        raise Refused("unknown_agent", f"there is no agent {agent_id}", remedy="use an extension of centre.yaml")
    agents.set_agent(board, agent_id, state, now, reason=reason, device=None)
    after = board.agents[agent_id]
    return Changed(
        before={"state": known.chosen.value, "reason": known.reason},
        after={"state": after.chosen.value, "reason": after.reason},
    )


def _known_queue(board: Switchboard, queue: QueueName) -> None:
    if queue not in board.centre.queues:
        raise Refused(
            "unknown_queue", f"there is no queue {queue}", remedy=f"use one of {', '.join(sorted(board.centre.queues))}"
        )


def _future(until: datetime | None, now: datetime) -> None:
    if until is not None and until <= now:
        raise Refused("already_over", "the time until which it is to be is over", remedy="name a later time")


_WORDS = {True: "open", False: "closed", None: "calendar"}


def force_queue(
    board: Switchboard,
    queue: QueueName,
    open_: bool | None,
    now: datetime,
    *,
    by: str,
    until: datetime | None,
    reason: str,
) -> Changed:
    """Open or close a queue against its calendar. Who waits is served all the same. Raises `Refused`."""
    _known_queue(board, queue)
    _future(until, now)
    before = _WORDS[board.supervision.forced_open(queue, now)]
    if before != _WORDS[open_] or open_ is not None:
        board.record(QueueForced(at=now, queue=queue, open=open_, until=until, by=by, reason=reason))
    board.dirty_queues.add(queue)
    after = {"queue": _WORDS[open_]}
    return Changed(before={"queue": before}, after=after | ({"until": until.isoformat()} if until is not None else {}))


def set_emergency(
    board: Switchboard,
    queue: QueueName | None,
    prompt: str,
    now: datetime,
    *,
    by: str,
    until: datetime | None,
    text: str,
    reason: str,
    languages: Sequence[str] = (),
) -> Changed:
    """Tell callers something before anything else; an empty prompt takes it back. Raises `Refused`."""
    if queue is not None:
        _known_queue(board, queue)
    _future(until, now)
    was = board.supervision.emergencies.get(queue)
    board.record(
        EmergencySet(
            at=now,
            queue=queue,
            prompt=prompt,
            text=text,
            languages=tuple(languages),
            until=until,
            by=by,
            reason=reason,
        )
    )
    board.dirty_queues.update(board.centre.queues if queue is None else (queue,))
    after = {"announcement": text or prompt} | ({"until": until.isoformat()} if until is not None else {})
    return Changed(before={"announcement": (was.text or was.prompt) if was is not None else ""}, after=after)


def send_message(
    board: Switchboard,
    named: Sequence[AgentId],
    queue: QueueName | None,
    text: str,
    now: datetime,
    *,
    by: str,
    lasts: timedelta,
) -> MessageSent:
    """Put a message on the pages of agents. Raises `Refused`."""
    if queue is not None:
        _known_queue(board, queue)
        meant = tuple(
            agent_id
            for agent_id, agent in board.centre.agents.items()
            if queue in agent.queues and board.agents[agent_id].state is not AgentState.OFFLINE
        )
    else:
        meant = tuple(dict.fromkeys(named))
    unknown = [agent_id for agent_id in meant if agent_id not in board.agents]
    if unknown:
        raise Refused("unknown_agent", f"there is no agent {unknown[0]}", remedy="use an extension of centre.yaml")
    if not meant:
        raise Refused("nobody_to_tell", "nobody of that queue is logged in", remedy="choose agents by name")
    return centre_notices.put(
        board, now, by=by, text=text, agents=meant, queue=queue, until=now + min(lasts, LONGEST_MESSAGE)
    )


def message_seen(board: Switchboard, agent_id: AgentId, message_id: str, now: datetime) -> None:
    """The agent has seen the message; again, or after it was taken off: no change. Raises `Refused`."""
    message = board.supervision.messages.get(message_id)
    if message is None or agent_id not in message.agents:
        raise Refused("unknown_message", "there is no such message for this agent", remedy="nothing to do")
    if agent_id not in board.supervision.seen[message_id]:
        board.record(MessageSeen(at=now, message_id=message_id, agent_id=agent_id))
        board.dirty_agents.add(agent_id)


def next_due(board: Switchboard) -> datetime | None:
    """When the first of these ends by itself."""
    return board.supervision.next_due()


def tick(board: Switchboard, now: datetime) -> None:
    """What has run out is over: the pages are told. No fact: the moment is in the fact that began it."""
    state = board.supervision
    supervision_agents.tick(board, now)
    for queue, forced in list(state.forced.items()):
        if forced.until is not None and forced.until <= now:
            del state.forced[queue]
            board.dirty_queues.update({queue} & board.centre.queues.keys())
    for scope, emergency in list(state.emergencies.items()):
        if emergency.until is not None and emergency.until <= now:
            del state.emergencies[scope]
            board.dirty_queues.update(board.centre.queues if scope is None else {scope} & board.centre.queues.keys())
    for message_id, message in list(state.messages.items()):
        if message.until <= now:
            del state.messages[message_id], state.seen[message_id]
            board.dirty_agents.update(agent_id for agent_id in message.agents if agent_id in board.agents)


def is_waiting(call: Call) -> bool:
    """Whether the caller waits for an agent."""
    return call.state in (CallState.WAITING, CallState.OFFERED)
