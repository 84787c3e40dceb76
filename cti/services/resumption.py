"""Callers whose agent's page is gone: held with music for the same agent, who takes them back when the page is there again.

Theory of operation. An agent's browser telephone dies with its page: reloaded, closed, crashed, or cut off with its network.
Nobody has hung up then. Two things tell it:

- the page's feed and its registration with Asterisk are both gone: both connections closed, as when a page goes. (One alone
  proves nothing: a restarted bridge closes every feed, and sound needs no registration.) The caller is sent to the wait
  context at once.
- Asterisk heard nothing of the browser for seconds and ended its leg. Its far end never asked to hang up, which a leg that
  is hung up always does before it leaves the bridge. The dialplan judges by the leg's cause and brings the caller to the
  wait context by itself, with a bridge or without.

So are those whom an agent has called, the number and the colleague: the far side stands where a caller stands, and the
dialplan keeps it (`cti-kept`) as it keeps a caller. A consultation ends with the page: the third party is let go, and the
caller is held. In a conference the others talk on, and the agent is called back into it (`rejoining`).

The call is `HELD` with the reason `page_gone` until `held_until`; it stays the agent's. The page is back when it shows
itself after that moment (a new feed, a heartbeat) and its telephone can be called: then the caller is sent to it, and it
takes the call by itself. Otherwise, when the time is over, the caller goes back to the queue, before everybody else, with
all the time waited, and the agent is not ready. Who belongs to no queue is told so, and the call ends. After a restart of the bridge the journal says who is held, and
Asterisk's channels where they are.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cti.acd.inputs import CallerReady
from cti.ids import AgentId, ChannelName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call, CallState
from cti.model.callback import agents_leg_of
from cti.model.commands import HangUp, ReturnToWait, SetQueue
from cti.model.dial_commands import Apologise, Rejoin, Resume
from cti.model.dial_signals import PhoneSigned
from cti.model.facts import Device
from cti.services import consults, heartbeats, priority, recording_choice, rejoining, talks
from cti.services.heartbeats import Held

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard

PAGE_GONE = rejoining.PAGE_GONE
"""The reason of the hold, and of the agent's *not ready* afterwards."""
SLACK = timedelta(seconds=12)
"""How long a delivery that is under way when the time is over may still take."""
NORMAL = frozenset({0, 16, 31})
"""Q.850 causes of a leg whose far end hung up, or that we ended."""
_TALKS = (CallState.TALKING, CallState.HELD)


def is_held(call: Call) -> bool:
    """Whether the caller is held for a page that is gone."""
    return call.state is CallState.HELD and call.held_reason == PAGE_GONE


# -- the page goes


def page_changed(board: Switchboard, agent_id: AgentId, now: datetime) -> None:
    """The page's feed or its registration changed: hold its caller when both are gone, bring the caller when it is back."""
    call = _call_of(board, agent_id)
    if call is None:
        return
    if is_held(call):
        attend(board, agent_id, now)
        return
    if rejoining.is_away(board, call, agent_id):
        rejoining.attend(board, call, agent_id, now)
        return
    line = board.presence.line(agent_id)
    gone = line.signed_off_at is not None and line.pages == 0
    # Or another page is there already: the one that had the talk went before it came.
    talking_since = call.since
    reloaded = (
        line.signed_off_at is not None
        and line.signed_off_at > talking_since
        and line.opened_at is not None
        and line.opened_at > talking_since
    )
    if not (gone or reloaded) or not line.seen:
        return
    if may_be_held(board, call, agent_id):
        in_room = call.room
        hold(board, call, agent_id, now, at=now)
        board.out.commands.append(ReturnToWait(call_id=call.call_id, channel=call.channel))
        if in_room:
            # There no leg ends with another; by itself it would be seconds until it is known to be silent.
            talks.hang_up_leg(board, call.call_id, agent_id)
    elif rejoining.may_be_away(board, call, agent_id):
        rejoining.goes(board, call, agent_id, now)
        talks.hang_up_leg(board, call.call_id, agent_id)


def may_be_held(board: Switchboard, call: Call, agent_id: AgentId) -> bool:
    """Whether this agent's end of the talk leaves the far side alone, on a line that can be moved.

    A third party who is only asked is no company: whoever asked takes them along. The colleague of an internal call is the far
    side of who called; when the colleague's own page goes, nothing is held.
    """
    agent = board.agents.get(agent_id)
    far = call.colleague if call.direction is f.Direction.INTERNAL else None
    alone = not call.outsiders and all(other in (agent_id, far) for other in call.talkers)
    asks = call.consult is None or call.consult.by == agent_id
    return (
        agent is not None
        and agent.device is Device.BROWSER
        and agent.call_id == call.call_id
        and call.state in _TALKS
        and not is_held(call)
        and agent_id in call.talkers
        and alone
        and asks
        and (call.direction is not f.Direction.INTERNAL or agent_id == call.dialled_by)
        and bool(call.channel)
    )


def hold(board: Switchboard, call: Call, agent_id: AgentId, now: datetime, *, at: datetime) -> None:
    """The caller is held for this agent's page from `at` on. Who is asked about the caller is let go."""
    consults.abandon(board, call, now, at=at)
    until = now + board.centre.presence.resume
    board.record(f.CallHeld(at=at, call_id=call.call_id, agent_id=agent_id, reason=PAGE_GONE, until=until))
    board.left_first.pop(call.call_id, None)
    board.presence.held[call.call_id] = Held(since=now)


def parted(board: Switchboard, call: Call, signal: s.BridgeParted, now: datetime) -> bool:
    """A leg has left the talk. Whether that was no end of it: the page is gone, or the caller is held for it."""
    if is_held(call):
        return True
    leg = board.legs.get(signal.channel)
    if leg is None or call.call_id in board.left_first or not may_be_held(board, call, leg[1]):
        return False
    hold(board, call, leg[1], now, at=signal.at)
    return True


def leg_gone(board: Switchboard, call: Call, agent_id: AgentId, signal: s.ChannelGone, now: datetime) -> bool:
    """An agent's channel has ended. Whether that was no end of the talk: as in `parted`, of a talk in a room."""
    if is_held(call):
        return True
    if rejoining.is_away(board, call, agent_id):
        rejoining.leg_gone(board, call, agent_id)
        return True
    if talks.leg_of(board, call.call_id, agent_id) is not None:
        return True  # an old one: the agent is there on another
    if signal.cause in NORMAL or call.call_id in board.left_first:
        return False
    if rejoining.may_be_away(board, call, agent_id):
        rejoining.goes(board, call, agent_id, now)
        return True
    if not may_be_held(board, call, agent_id):
        return False
    hold(board, call, agent_id, now, at=signal.at)
    board.out.commands.append(ReturnToWait(call_id=call.call_id, channel=call.channel))
    return True


# -- the caller waits for it


def waits(board: Switchboard, call: Call, now: datetime, *, unique_id: str = "") -> bool:
    """The caller is in the wait context, on the channel with this unique id. Whether that was news of a caller who is held."""
    if is_held(call):
        if unique_id and agents_leg_of(call.call_id, call.leg_id) is not None:
            # A callback that stood on the leg of its agent, which is gone.
            board.record(f.FarSideCalled(at=now, call_id=call.call_id, channel=call.channel, leg_id=unique_id))
            call = board.calls[call.call_id]
        held = board.presence.held.setdefault(call.call_id, Held(since=call.since))
        held.there, held.trying = True, False
        if call.agent_id is not None and not _over(call, now):
            attend(board, call.agent_id, now)
        return True
    return False


def attend(board: Switchboard, agent_id: AgentId, now: datetime) -> None:
    """Bring a held caller back to the agent if the page is there again."""
    call = _call_of(board, agent_id)
    held = board.presence.held.get(call.call_id) if call is not None and is_held(call) else None
    if call is None or held is None or held.trying or not held.there:
        return
    line, device = board.presence.line(agent_id), board.devices.get((agent_id, Device.BROWSER))
    registered = line.pulse is None or line.pulse.registered
    if line.back_since(held.since) and registered and device is not None and device.reachable and not device.in_use:
        held.there, held.trying = False, True
        board.out.commands.append(Resume(call_id=call.call_id, channel=call.channel, agent_id=agent_id))


def resumed(board: Switchboard, call: Call, agent_id: AgentId, *, at: datetime) -> bool:
    """Caller and agent are in one bridge. Whether that ends the hold."""
    if not is_held(call) or call.agent_id != agent_id:
        return False
    board.record(f.CallRetrieved(at=at, call_id=call.call_id, agent_id=agent_id))
    board.presence.held.pop(call.call_id, None)
    return True


def refused(board: Switchboard, command: Resume | Rejoin) -> None:
    """The telephone system would not send the caller: they are on their way out, or say that they wait when they do."""
    if isinstance(command, Rejoin):
        rejoining.refused(board, command)
        return
    held = board.presence.held.get(command.call_id)
    if held is not None:
        held.trying = False


def adopt(board: Switchboard, call: Call, now: datetime, *, there: bool) -> bool:
    """After a gap: where the caller is. Whether the caller is held for a page."""
    if not is_held(call):
        return False
    held = board.presence.held.setdefault(call.call_id, Held(since=call.since))
    held.there, held.trying = there, not there
    return True


# -- the page does not come


def next_due(board: Switchboard, now: datetime) -> datetime | None:
    """When the next caller has been held for long enough."""
    if not (board.presence.held or board.presence.away):
        return None  # asked at every turn, and mostly there is nobody
    calls = [board.calls[call_id] for call_id in board.presence.held if call_id in board.calls]
    moments = [_ends(board, call) for call in calls if call.held_until is not None]
    moments += [away.until for away in board.presence.away.values()]
    return now if len(calls) < len(board.presence.held) else min(moments, default=None)


def tick(board: Switchboard, now: datetime) -> None:
    """Give back to their queue those who were held for long enough."""
    for call_id in list(board.presence.held):
        call = board.calls.get(call_id)
        if call is None or not is_held(call):
            del board.presence.held[call_id]
        elif _ends(board, call) <= now:
            give_back(board, call, now)
    rejoining.tick(board, now)


def _over(call: Call, now: datetime) -> bool:
    return call.held_until is not None and call.held_until <= now


def _ends(board: Switchboard, call: Call) -> datetime:
    until = call.held_until or call.since
    return until + SLACK if board.presence.held[call.call_id].trying else until


def give_back(board: Switchboard, call: Call, now: datetime) -> None:
    """The talk with this agent is over, the caller is first in the queue, and the agent is not ready."""
    held = board.presence.held.pop(call.call_id, None)
    agent_id = call.agent_id
    if agent_id is None:
        return
    for one in call.talkers:
        board.record(f.TalkEnded(at=now, call_id=call.call_id, agent_id=one))
        if one != agent_id:
            board.sync_agent(one, now)
    rejoining.not_ready(board, agent_id, now)
    for channel, (leg_call, leg_agent) in list(board.legs.items()):
        if (leg_call, leg_agent) == (call.call_id, agent_id):
            board.out.commands.append(HangUp(channel=ChannelName(channel)))
    _back_to_queue(board, board.calls[call.call_id], now, there=held is not None and held.there)
    board.sync_agent(agent_id, now)


def _back_to_queue(board: Switchboard, call: Call, now: datetime, *, there: bool) -> None:
    """A caller whom nobody talks with any more waits again: with the time waited, before everybody else."""
    queue = _queue_of(board, call)
    if queue is None:
        board.out.commands.append(Apologise(call_id=call.call_id, channel=call.channel))
        return
    if call.dialled_by is not None or call.parent is not None:
        # Known to the dialplan with the first visit else; an offer may come before.
        settings = board.centre.queues[queue]
        board.out.commands.append(
            SetQueue(
                call_id=call.call_id,
                channel=call.channel,
                queue=queue,
                ring_timeout=settings.ring_timeout,
                record=recording_choice.wanted(board, call.call_id, queue),
            )
        )
    talks.requeue(board, call, queue, now, by=PAGE_GONE)
    if board.engine.ticket(call.call_id) is not None:
        priority.change_priority(board, call.call_id, now, by=PAGE_GONE, reason=PAGE_GONE, front=True)
    if there:
        board.looks.come(call.call_id)
        board.route(CallerReady(call_id=call.call_id), now)
    else:
        board.out.commands.append(ReturnToWait(call_id=call.call_id, channel=call.channel))


def _queue_of(board: Switchboard, call: Call) -> QueueName | None:
    """The call's queue while there is one; else that of its number. A call that an agent made may have none."""
    if call.queue is not None and call.queue in board.centre.queues:
        return call.queue
    if call.dialled_by is not None:
        return None
    number = board.centre.numbers.get(call.did)
    return number.survival_queue if number is not None else next(iter(board.centre.queues), None)


def _call_of(board: Switchboard, agent_id: AgentId) -> Call | None:
    agent = board.agents.get(agent_id)
    return board.calls.get(agent.call_id) if agent is not None and agent.call_id is not None else None


# -- signals


def phone_signed(board: Switchboard, signal: PhoneSigned, now: datetime) -> None:
    """A browser telephone signed on or off."""
    if signal.device is Device.BROWSER and signal.agent_id in board.agents:
        heartbeats.signed(board, signal.agent_id, now, there=signal.there)
        page_changed(board, signal.agent_id, now)


def device_changed(board: Switchboard, agent_id: AgentId, now: datetime) -> None:
    """The device of an agent may be reachable again."""
    call = _call_of(board, agent_id)
    if call is not None and is_held(call):
        attend(board, agent_id, now)
    elif call is not None:
        rejoining.attend(board, call, agent_id, now)
