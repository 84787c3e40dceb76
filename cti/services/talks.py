"""Who is in a talk, on which legs, and what follows when one of them goes. What agents may ask is in `holds`, `consults`
and `transfers`.

Theory of operation. A talk begins with two legs in one bridge of the deliver context. From the first hold by the server on it
is in the call's room: legs then come and go by our commands, so a leg that leaves a bridge means nothing there, and a
talk ends when the agent's channel does. Whoever enters a bridge together with the caller talks with them. A caller with
whom nobody is left, and who was not hung up on, waits again with the time they have waited; the dialplan does the same by
itself when no bridge process is there (`cti-held`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cti.acd.inputs import CallerReady
from cti.ids import AgentId, CallId, ChannelName, QueueName
from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.commands import HangUp, ReturnToWait
from cti.model.requirement import ANYBODY
from cti.services import consult_ends
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from cti.services.terms import ticket_fact

TALK = frozenset({CallState.TALKING, CallState.HELD})
ALONE = "alone"
"""Why a caller came back: nobody was left on the line."""


def own_call(board: Switchboard, agent_id: AgentId, call_id: CallId) -> Call:
    """The call the agent talks in. Raises `Refused`."""
    if agent_id not in board.agents:
        raise Refused("unknown_agent", f"there is no agent {agent_id}", remedy="use an extension of centre.yaml")
    call = board.calls.get(call_id)
    if call is None or agent_id not in call.talkers or call.state not in TALK:
        raise Refused("not_your_call", "the agent is not in that call", remedy="reload: the call may be over")
    if call.direction is f.Direction.INTERNAL:
        raise Refused(
            "internal_call", "a call between colleagues has no caller to move", remedy="hang up and call again"
        )
    if not board.linked:
        raise Refused(
            "telephones_out_of_sight", "there is no link to the telephone system", remedy="try again in a moment"
        )
    return call


def leg_of(board: Switchboard, call_id: CallId, agent_id: AgentId) -> ChannelName | None:
    """The channel of an agent in, or consulted about, a call."""
    return next((channel for channel, leg in board.legs.items() if leg == (call_id, agent_id)), None)


def hang_up_leg(board: Switchboard, call_id: CallId, agent_id: AgentId) -> None:
    """End an agent's leg; nothing where there is none."""
    channel = leg_of(board, call_id, agent_id)
    if channel is not None:
        board.out.commands.append(HangUp(channel=channel))


def end_talk(board: Switchboard, call: Call, now: datetime, *, at: datetime, agent_id: AgentId | None = None) -> Call:
    """The talk with this agent, or with all of them, is over. Gives the call after it."""
    for one in call.talkers if agent_id is None else (agent_id,):
        if one in call.talkers and call.state in TALK:
            board.record(f.TalkEnded(at=at, call_id=call.call_id, agent_id=one))
            board.sync_agent(one, now)
            call = board.calls[call.call_id]
    return call


def somebody_left(call: Call) -> bool:
    """Whether anybody is, or may still come to be, with the caller."""
    return bool(call.talkers or call.outsiders or call.consult)


def kept_since(call: Call, at: datetime) -> datetime | None:
    """From when on waiting counts for a caller who is sent on: the time in queues counts, the talk does not."""
    return at - timedelta(seconds=call.waited) if call.waited else None


def requeue(
    board: Switchboard,
    call: Call,
    queue: QueueName,
    now: datetime,
    *,
    preferred: AgentId | None = None,
    hold: timedelta = timedelta(),
    by: str = "",
    there: bool = False,
) -> None:
    """Give a caller whose talk is over a ticket again. `there`: they are in the wait context already."""
    same = queue == call.queue
    ticket = ticket_fact(
        board,
        call,
        queue,
        now,
        skills=call.skills if same else (),
        requires=call.requires if same else ANYBODY,
        since=kept_since(call, now),
        by=by,
    )
    board.record(addressed(ticket, preferred, hold))
    call = board.calls[call.call_id]
    board.join_queue(call, now, deliverable=False)
    if there:
        board.looks.come(call.call_id)
        board.route(CallerReady(call_id=call.call_id), now)


def addressed(ticket: f.CallQueued, preferred: AgentId | None, hold: timedelta) -> f.CallQueued:
    """The ticket as one for this agent alone, for so long; for nobody in particular where there is none."""
    return f.CallQueued(
        at=ticket.at,
        call_id=ticket.call_id,
        queue=ticket.queue,
        head_start=ticket.head_start,
        skills=ticket.skills,
        strict=ticket.strict,
        requires=ticket.requires,
        since=ticket.since,
        preferred=preferred,
        hold=hold.total_seconds() if preferred is not None else 0.0,
        addressed=preferred is not None,
        by=ticket.by,
        reason=ticket.reason,
    )


def left_alone(board: Switchboard, call: Call, now: datetime, *, at: datetime, there: bool) -> None:
    """Nobody is left with the caller: back to the queue, place kept; without a queue the call ends.

    `there`: the dialplan has brought the caller to the wait context already.
    """
    call = end_talk(board, call, now, at=at)
    end_room(board, call)
    for party in call.outsiders:
        board.record(f.PartyLeft(at=at, call_id=call.call_id, party=party))
        call = board.calls[call.call_id]
    if call.consult is not None:
        consult_ends.let_go(board, call, call.consult, now)
        call = consult_ends.end(board, call, call.consult, f.ConsultEnd.GONE, now, at=at)
    free_asked(board, call, f.ConsultEnd.GONE, now, at=at)
    board.left_first.pop(call.call_id, None)
    if call.queue is None or call.queue not in board.centre.queues:
        board.out.commands.append(HangUp(channel=call.channel))
        return
    board.record(f.CallCameBack(at=at, call_id=call.call_id, reason=ALONE))
    requeue(board, board.calls[call.call_id], call.queue, now, by=ALONE, there=there)
    if not there:
        board.out.commands.append(ReturnToWait(call_id=call.call_id, channel=call.channel))


def agent_gone(board: Switchboard, call: Call, agent_id: AgentId, now: datetime, *, at: datetime) -> None:
    """An agent's channel is gone, while the caller's is there."""
    held = call.held_by_server
    call = end_talk(board, call, now, at=at, agent_id=agent_id)
    if somebody_left(call):
        board.left_first.pop(call.call_id, None)
    elif held and call.state is CallState.AFTER:
        left_alone(board, call, now, at=at, there=False)


def free_asked(board: Switchboard, call: Call, end: f.ConsultEnd, now: datetime, *, at: datetime) -> None:
    """Whoever was to take the caller over, or to join, and has not come into one bridge with them, is asked no longer."""
    for agent_id, agent in list(board.agents.items()):
        if agent.asked_call == call.call_id:
            asked_no_longer(board, call, agent_id, end, now, at=at)


def asked_no_longer(
    board: Switchboard, call: Call, agent_id: AgentId, end: f.ConsultEnd, now: datetime, *, at: datetime
) -> None:
    """An agent who was asked about a call is free again, and their page no longer shows the caller."""
    board.record(f.ConsultEnded(at=at, call_id=call.call_id, party=agent_id, end=end, consulted=agent_id))
    board.withdraw_pop(agent_id, end.value)
    board.sync_agent(agent_id, now)


def nobody_is_joining(board: Switchboard, call: Call) -> None:
    """Raises `Refused` while somebody who was asked has a leg and is not in the talk yet: they would be nobody's consultation."""
    there = {*call.outsiders, *call.talkers}
    if any(board.parties.names.get(leg_id) not in there for leg_id in board.parties.staying(call.call_id)):
        raise Refused("consult_under_way", "whoever was asked is just joining", remedy="try again in a moment")


def leave_if_done(board: Switchboard, call: Call) -> None:
    """The caller and the third party hear each other: whoever handed the caller over goes."""
    leaver = call.leaving
    others = [agent_id for agent_id in call.talkers if agent_id != leaver]
    if leaver is not None and (others or call.outsiders):
        hang_up_leg(board, call.call_id, leaver)


def end_room(board: Switchboard, call: Call) -> None:
    """The caller is gone: let everybody go who is left in the room."""
    if not call.room:
        return
    legs = [channel for channel, (call_id, _) in board.legs.items() if call_id == call.call_id]
    legs += [channel for channel, (call_id, _) in board.parties.legs.items() if call_id == call.call_id]
    board.out.commands.extend(HangUp(channel=channel) for channel in dict.fromkeys(legs))
