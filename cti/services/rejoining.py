"""Agents whose page goes while others of the call talk on: the talk is theirs until the page is back, then they are called into it.

Theory of operation. In a room nobody waits for an agent who is gone, so nothing is held. The agent stays one of those who
talk, and is offered nothing, for as long as a caller would be held. The page is back as in `resumption`; its telephone is
then called into the room and takes the call by itself. Otherwise the agent's talk is over, and the agent is not ready. When the
last of the others goes meanwhile, so does the call, as if the agent had hung up: who stayed has ended it. A restarted bridge
does not know of it: whoever is not in the room then has left.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cti.ids import AgentId
from cti.model import facts as f
from cti.model.call import Call
from cti.model.dial_commands import Rejoin
from cti.model.facts import AgentState, Device
from cti.services import talks
from cti.services.heartbeats import Away

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard

PAGE_GONE = "page_gone"
"""The reason of the agent's *not ready* afterwards."""


def is_away(board: Switchboard, call: Call, agent_id: AgentId) -> bool:
    """Whether this agent is one of those who talk, and not there."""
    return (call.call_id, agent_id) in board.presence.away


def may_be_away(board: Switchboard, call: Call, agent_id: AgentId) -> bool:
    """Whether others talk on in the room without this agent."""
    agent = board.agents.get(agent_id)
    others = [one for one in call.talkers if one != agent_id and not is_away(board, call, one)]
    return (
        agent is not None
        and agent.device is Device.BROWSER
        and agent.call_id == call.call_id
        and agent_id in call.talkers
        and call.room
        and call.state in talks.TALK
        and call.leaving != agent_id
        and (call.consult is None or call.consult.by != agent_id)
        and bool(others or call.outsiders)
    )


def goes(board: Switchboard, call: Call, agent_id: AgentId, now: datetime) -> None:
    """The page is gone."""
    board.presence.away[call.call_id, agent_id] = Away(since=now, until=now + board.centre.presence.resume)
    board.left_first.pop(call.call_id, None)


def attend(board: Switchboard, call: Call, agent_id: AgentId, now: datetime) -> None:
    """Call the agent back into the call if the page is there again."""
    away = board.presence.away.get((call.call_id, agent_id))
    if away is None or away.tried_at is not None or talks.leg_of(board, call.call_id, agent_id) is not None:
        return
    line, device = board.presence.line(agent_id), board.devices.get((agent_id, Device.BROWSER))
    registered = line.pulse is None or line.pulse.registered
    if line.back_since(away.since) and registered and device is not None and device.reachable and not device.in_use:
        away.tried_at = now
        board.out.commands.append(Rejoin(call_id=call.call_id, agent_id=agent_id, caller=call.channel))


def refused(board: Switchboard, command: Rejoin) -> None:
    """The telephone system would not call the agent."""
    away = board.presence.away.get((command.call_id, command.agent_id))
    if away is not None:
        away.tried_at = None


def joined(board: Switchboard, call: Call, agent_id: AgentId) -> None:
    """An agent's leg is in a bridge of the call: who was away is back."""
    board.presence.away.pop((call.call_id, agent_id), None)


def leg_gone(board: Switchboard, call: Call, agent_id: AgentId) -> None:
    """A leg of somebody who is away has ended: the old one; or the new one, which was not taken."""
    refused(board, Rejoin(call_id=call.call_id, agent_id=agent_id))


def tick(board: Switchboard, now: datetime) -> None:
    """End the talk of those who did not come back."""
    for (call_id, agent_id), away in list(board.presence.away.items()):
        call = board.calls.get(call_id)
        if call is None or agent_id not in call.talkers:
            del board.presence.away[call_id, agent_id]
        elif away.until <= now:
            del board.presence.away[call_id, agent_id]
            not_ready(board, agent_id, now)
            talks.hang_up_leg(board, call_id, agent_id)
            talks.agent_gone(board, call, agent_id, now, at=now)


def not_ready(board: Switchboard, agent_id: AgentId, now: datetime) -> None:
    """Nobody is offered a call whose page is gone."""
    agent = board.agents[agent_id]
    if agent.chosen is AgentState.READY:
        board.record(
            f.AgentChanged(at=now, agent_id=agent_id, state=AgentState.NOT_READY, reason=PAGE_GONE, device=agent.device)
        )
