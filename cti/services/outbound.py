"""Calls over the trunk that we begin: what may be dialled, how many at a time, and sending a caller to an outside number.

Everything that leaves over the trunk passes `trunk_lines`: a number of the centre's list (`Outbound.may_dial`), a trunk that
has an address, a free place under `most_at_once`, room under the caps of what may be dialled and spent. The dialplan checks once
more that it is digits.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.callback import agents_leg_of
from cti.model.commands import SendOut
from cti.model.facts import Device, OfferEnd
from cti.model.signals import DeviceReachable, LiveChannel
from cti.services.switchboard import Switchboard
from cti.services.trunk_lines import beyond, caller_id, in_use, room, whose, why_not

__all__ = ["beyond", "caller_id", "in_use", "room", "whose", "why_not"]
"""Known from here, too."""


def open_trunk(board: Switchboard, now: datetime, *, there: bool) -> None:
    """Say whether calls can leave over the trunk; to be told again when the centre changes.

    Agents whose outside number may be dialled can be reached at it then: nobody can tell better, and they chose it.
    """
    board.can_dial_out = there
    for agent_id, agent in board.centre.agents.items():
        reachable = not why_not(board, agent.number)
        if reachable or (agent_id, Device.EXTERNAL) in board.devices:
            board.devices[agent_id, Device.EXTERNAL] = DeviceReachable(
                at=now, agent_id=agent_id, device=Device.EXTERNAL, reachable=reachable, in_use=False
            )
            board.dirty_agents.add(agent_id)
            board.dirty_queues.update(agent.queues)
            board.sync_agent(agent_id, now)


def agents_leg(board: Switchboard, channel: LiveChannel) -> LiveChannel | None:
    """The channel of a snapshot with its agent, if it is one's leg; None otherwise.

    The leg of an agent at an outside number is the trunk's: the call tells whose it must be.
    """
    if channel.agent_id is not None:
        return channel
    call = board.calls.get(channel.call_id) if channel.call_id is not None else None
    if call is None or call.device is not Device.EXTERNAL or call.state is CallState.OUT:
        return None
    if agents_leg_of(call.call_id, call.leg_id) is not None:
        return None  # the agent was called first and that leg names them: this is the customer's
    agent_id = call.offered_agent or call.agent_id
    return replace(channel, agent_id=agent_id, device=Device.EXTERNAL) if agent_id is not None else None


def has_room(board: Switchboard) -> bool:
    """Whether one more may."""
    return room(board) > 0


def send_out(board: Switchboard, call: Call, number: str, now: datetime, reason: str, *, by: str = "") -> bool:
    """Connect a caller who is in the menus or waits to an outside number. False, and nothing changed, where that cannot be.

    `reason` is why the caller leaves the queue ("late", "option", ...), as in `CallDequeued`. A caller under an offer leaves
    it. `by` is the supervisor who sends them. What the number does then is the dialplan's: answered, the call ends with that talk; not answered, voicemail.
    """
    call = board.calls.get(call.call_id, call)
    if call.absent or why_not(board, number) or not has_room(board):
        return False
    if call.state not in (CallState.MENU, CallState.WAITING, CallState.OFFERED):
        return False
    if beyond(board, [(number, whose(call.queue, supervisor=by))], now) is not None:
        return False
    leave(board, call, now, reason=reason, to=f"number:{number}")
    by_whom = f.SentBy.SUPERVISOR if by else f.SentBy.NOT_TOLD
    board.record(f.CallSentOut(at=now, call_id=call.call_id, number=number, by=by, by_whom=by_whom))
    board.out.commands.append(SendOut(call_id=call.call_id, channel=call.channel, number=number))
    return True


def leave(board: Switchboard, call: Call, now: datetime, *, reason: str, to: str) -> None:
    """Take a caller out of the queue, if in one, from under an offer too. The call is in the menus then, as far as the
    table knows: whoever calls this sends it somewhere."""
    if call.offer_id is not None:
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=now, deliverable=False)
    if board.calls[call.call_id].state is CallState.WAITING:
        board.record(f.CallDequeued(at=now, call_id=call.call_id, queue=call.queue, reason=reason, to=to))
        board.leave_queue(call.call_id, now)
