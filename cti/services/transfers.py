"""Blind transfers: an agent sends the caller on and leaves.

The caller waits again, is sent out, or is in a flow again; the call stays the same call, with its customer, its choices and
the sender's note. To an agent: a ticket that only that agent may have, for `KEPT`; then it is the sender's, if the sender may
be asked, then everybody's of the queue. What an agent refuses or misses comes back at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cti.acd.inputs import CallerMoved
from cti.ids import AgentId, CallId, FlowName, QueueName
from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.centre import TargetKind
from cti.model.commands import ReturnToWait, SendOut, SendToFlow, SendToVoicemail, SetQueue
from cti.model.facts import AgentState, DestinationKind
from cti.services import flow_returns, recording_choice, trunk_lines
from cti.services.admission import refusal
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from cti.services.talk_view import SendTo
from cti.services.talks import addressed, end_talk, hang_up_leg, kept_since, own_call, requeue
from cti.services.terms import ticket_fact

KEPT = timedelta(seconds=30)
"""How long a caller who was sent to an agent waits for that agent alone."""
MARGIN = timedelta(seconds=15)
"""The engine keeps the caller a little longer than we do: that they go on is decided here, to the sender first."""
LATE = "late"
"""Why a caller came back: the agent they were sent to was not free in time."""


def transfer(
    board: Switchboard, agent_id: AgentId, call_id: CallId, to: SendTo, now: datetime, *, note: str = "", by: str = ""
) -> None:
    """Send the caller on. `by`: the supervisor who does it in the agent's place. Raises `Refused`."""
    call = own_call(board, agent_id, call_id)
    if call.consult is not None:
        raise Refused("consult_under_way", "a consultation is under way", remedy="complete or cancel the consultation")
    # Who was just joined is in no bridge with the caller yet; their leg is there.
    if len(call.talkers) > 1 or call.outsiders or board.parties.staying(call_id):
        raise Refused("others_in_call", "others are in the call", remedy="leave the call to them, or drop them first")
    if to.kind is DestinationKind.NUMBER:
        _to_number(board, call, agent_id, to.name, now, note, by=by)
        return
    send = {
        DestinationKind.AGENT: _to_agent,
        DestinationKind.QUEUE: _to_queue,
        DestinationKind.FLOW: _to_flow,
        DestinationKind.VOICEMAIL: _to_voicemail,
    }[to.kind]
    send(board, call, agent_id, to.name, now, note)


def _leave(board: Switchboard, call: Call, sent: f.CallTransferred, now: datetime) -> Call:
    """The sender is out of the call; whoever calls this says where the caller is."""
    board.record(sent)
    call = end_talk(board, board.calls[call.call_id], now, at=now)
    board.left_first.pop(call.call_id, None)
    return call


def _follow(board: Switchboard, call: Call, agent_id: AgentId) -> None:
    """In the room the sender's leg does not end by itself when the caller is taken out."""
    if call.room:
        hang_up_leg(board, call.call_id, agent_id)


def _sent(call: Call, agent_id: AgentId, kind: DestinationKind, to: str, note: str, now: datetime) -> f.CallTransferred:
    return f.CallTransferred(at=now, call_id=call.call_id, agent_id=agent_id, kind=kind, to=to, note=note)


def _to_queue(board: Switchboard, call: Call, agent_id: AgentId, name: str, now: datetime, note: str) -> None:
    queue = QueueName(name)
    settings = board.configured.queues.get(queue)
    if settings is None:
        raise Refused("unknown_queue", f"there is no queue {name}", remedy="use one of GET /api/v1/agent/destinations")
    way = refusal(board, ticket_fact(board, call, queue, now, since=kept_since(call, now)))
    if way is not None:
        raise Refused(
            f"queue_{way.reason.value}",
            f"the queue {name} takes nobody now: {way.reason.value}",
            remedy="choose another queue, or an agent",
        )
    in_room = call
    call = _leave(board, call, _sent(call, agent_id, DestinationKind.QUEUE, queue, note, now), now)
    requeue(board, call, queue, now, by=agent_id)
    _bring_to_wait(board, in_room, queue)
    _follow(board, in_room, agent_id)


def _bring_to_wait(board: Switchboard, call: Call, queue: QueueName) -> None:
    settings = board.centre.queues[queue]
    board.out.commands += [
        SetQueue(
            call_id=call.call_id,
            channel=call.channel,
            queue=queue,
            ring_timeout=settings.ring_timeout,
            record=recording_choice.wanted(board, call.call_id, queue),
        ),
        ReturnToWait(call_id=call.call_id, channel=call.channel),
    ]


def _to_agent(board: Switchboard, call: Call, agent_id: AgentId, name: str, now: datetime, note: str) -> None:
    to = AgentId(name)
    config = board.configured.agents.get(to)
    if config is None or to not in board.agents:
        raise Refused("unknown_agent", f"there is no agent {name}", remedy="use one of GET /api/v1/agent/destinations")
    if to == agent_id:
        raise Refused("to_oneself", "the caller is with this agent already", remedy="choose a colleague")
    why = why_not_waited_for(board, to)
    if why:
        raise Refused(f"agent_{why}", f"agent {name} cannot be waited for: {why}", remedy="choose somebody else")
    queue = call.queue if call.queue in board.centre.queues else next(iter(config.queues), None)
    if queue is None:
        raise Refused("no_queue", "neither the call nor the agent has a queue", remedy="put the agent into a queue")
    in_room = call
    call = _leave(board, call, _sent(call, agent_id, DestinationKind.AGENT, to, note, now), now)
    requeue(board, call, queue, now, preferred=to, hold=KEPT + MARGIN, by=agent_id)
    _bring_to_wait(board, in_room, queue)
    _follow(board, in_room, agent_id)


def why_not_waited_for(board: Switchboard, agent_id: AgentId) -> str:
    """Why no caller should wait for this agent now; empty: they may be free in a moment."""
    agent = board.agents[agent_id]
    if agent.state is AgentState.OFFLINE or agent.chosen is AgentState.OFFLINE:
        return "offline"
    if agent.state is AgentState.NOT_READY or agent.chosen is AgentState.NOT_READY:
        return "not_ready"
    device = board.devices.get((agent_id, agent.device))
    return "" if device is not None and device.reachable else "unreachable"


def may_send_to_number(
    board: Switchboard,
    number: str,
    now: datetime,
    *,
    queue: QueueName | None,
    agent_id: AgentId | None = None,
    supervisor: str = "",
) -> None:
    """Whether a caller of this queue can be connected to this outside number now, by whom. Raises `Refused`."""
    why = trunk_lines.why_not(board, number)
    if why:
        raise Refused(f"number_{why}", f"that number cannot be dialled: {why}", remedy="see outbound.allow")
    if trunk_lines.room(board) < 1:
        raise Refused("lines_taken", "every line to the outside is taken", remedy="try again in a moment")
    trunk_lines.may_cost(board, number, now, queue=queue, agent_id=agent_id, supervisor=supervisor)


def may_send_to_flow(board: Switchboard, name: str) -> FlowName:
    """The flow, if callers may be sent to it by hand. Raises `Refused`."""
    flow = FlowName(name)
    if flow not in board.configured.transfer_flows:
        raise Refused(
            "unknown_flow", f"no flow {name} is open to transfers", remedy="name it under transfer_flows of the centre"
        )
    return flow


def _to_number(
    board: Switchboard, call: Call, agent_id: AgentId, name: str, now: datetime, note: str, *, by: str = ""
) -> None:
    may_send_to_number(board, name, now, queue=call.queue, agent_id=None if by else agent_id, supervisor=by)
    in_room = call
    call = _leave(board, call, _sent(call, agent_id, DestinationKind.NUMBER, name, note, now), now)
    to = f"{TargetKind.NUMBER.value}:{name}"
    by_whom = f.SentBy.SUPERVISOR if by else f.SentBy.AGENT
    board.record(
        f.CallDequeued(at=now, call_id=call.call_id, queue=call.queue, reason="transfer", to=to),
        f.CallSentOut(at=now, call_id=call.call_id, number=name, by=by or agent_id, by_whom=by_whom),
    )
    board.out.commands.append(SendOut(call_id=call.call_id, channel=call.channel, number=name, back=True))
    _follow(board, in_room, agent_id)


def _to_flow(board: Switchboard, call: Call, agent_id: AgentId, name: str, now: datetime, note: str) -> None:
    may_send_to_flow(board, name)
    in_room = call
    call = _leave(board, call, _sent(call, agent_id, DestinationKind.FLOW, name, note, now), now)
    to = f"{TargetKind.FLOW.value}:{name}"
    board.record(f.CallDequeued(at=now, call_id=call.call_id, queue=call.queue, reason="transfer", to=to))
    board.out.commands.append(SendToFlow(call_id=call.call_id, channel=call.channel))
    _follow(board, in_room, agent_id)


def _to_voicemail(board: Switchboard, call: Call, agent_id: AgentId, name: str, now: datetime, note: str) -> None:
    to = TargetKind.VOICEMAIL.value
    in_room = call
    call = _leave(board, call, _sent(call, agent_id, DestinationKind.VOICEMAIL, to, note, now), now)
    board.record(f.CallDequeued(at=now, call_id=call.call_id, queue=call.queue, reason="transfer", to=to))
    board.out.commands.append(SendToVoicemail(call_id=call.call_id, channel=call.channel))
    _follow(board, in_room, agent_id)


# ---- coming back


def came_from_outside(board: Switchboard, call: Call, now: datetime, *, at: datetime) -> bool:
    """A caller who was sent to a number is in the wait context: nobody answered there. Whether it was so."""
    if call.state is not CallState.OUT or call.transfer is None or call.transfer.kind is not DestinationKind.NUMBER:
        return False
    sender = call.transfer.by
    queue = call.queue
    if queue is None or queue not in board.centre.queues:
        config = board.centre.agents.get(sender)
        queue = next(iter(config.queues), None) if config is not None else None
    if queue is None:
        return False
    board.record(f.CallCameBack(at=at, call_id=call.call_id, reason="no_answer", to=_asked_next(board, call, now)))
    call = board.calls[call.call_id]
    _for_sender_or_all(board, call, queue, now)
    return True


def _asked_next(board: Switchboard, call: Call, now: datetime) -> AgentId | None:
    """The sender, if the caller has not come back to them before and they may be asked."""
    sent = call.transfer
    if sent is None or sent.returned or sent.by == call.preferred or sent.by not in board.agents:
        return None
    return None if why_not_waited_for(board, sent.by) else sent.by


def _for_sender_or_all(board: Switchboard, call: Call, queue: QueueName, now: datetime) -> None:
    to = call.transfer.by if call.transfer is not None else None
    if to not in board.agents or why_not_waited_for(board, to):
        to = None
    if to is not None:
        _free(board, to, call.call_id, now)
    requeue(board, call, queue, now, preferred=to, hold=KEPT + MARGIN, by="returned", there=True)


def _free(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime) -> None:
    """The caller is back: there is no work after this call yet."""
    if board.agents[agent_id].wrap_call == call_id:
        board.finish_wrap_up(agent_id, now, by="returned")


def not_taken(board: Switchboard, call: Call, now: datetime) -> None:
    """A caller who is kept for an agent waits, and that agent has refused or missed the call, or was not free in time: on
    to the sender, then to everybody."""
    if not call.addressed or call.state is not CallState.WAITING or call.queue is None:
        return
    refused = board.engine.held_for(call.call_id) is None
    late = call.hold_until is not None and call.hold_until - MARGIN <= now
    if not refused and not late:
        return
    reason = _last_end(board, call) if refused else LATE
    if flow_returns.go_back(board, call, now, reason):
        return
    to = _asked_next(board, call, now)
    if call.transfer is not None:
        board.record(f.CallCameBack(at=now, call_id=call.call_id, reason=reason, to=to))
    if to is not None:
        _free(board, to, call.call_id, now)
    hold = KEPT + MARGIN
    ticket = ticket_fact(board, board.calls[call.call_id], call.queue, now, by="returned")
    board.record(addressed(ticket, to, hold))
    call = board.calls[call.call_id]
    board.route(
        CallerMoved(
            call_id=call.call_id,
            queue=call.queue or ticket.queue,
            head_start=timedelta(seconds=call.head_start),
            strict=call.strict,
            skills=call.skills,
            requires=call.requires,
            preferred=call.preferred,
            hold_until=call.hold_until,
            addressed=call.addressed,
        ),
        now,
    )


def _last_end(board: Switchboard, call: Call) -> str:
    ends = [fact for fact in board.history.get(call.call_id, ()) if isinstance(fact, f.OfferEnded)]
    return ends[-1].end.value if ends else LATE


def next_due(board: Switchboard) -> datetime | None:
    """When the first caller who is kept for an agent has waited long enough."""
    if not board.parties.addressed:
        return None
    moments = [
        call.hold_until - MARGIN
        for call_id in board.parties.addressed
        if (call := board.calls.get(call_id)) is not None
        and call.addressed
        and call.state is CallState.WAITING
        and call.hold_until is not None
    ]
    return min(moments, default=None)


def tick(board: Switchboard, now: datetime) -> None:
    """Send on whoever has waited long enough for one agent."""
    for call_id in list(board.parties.addressed):
        call = board.calls.get(call_id)
        if call is None or not call.addressed or call.state not in (CallState.WAITING, CallState.OFFERED):
            del board.parties.addressed[call_id]
        elif call.hold_until is not None and call.hold_until - MARGIN <= now:
            not_taken(board, call, now)
