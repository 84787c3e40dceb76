"""One offer to several agents: who is out of it while the others ring, and what became of each when nobody answered.

Theory of operation: the dialplan calls all devices with one Dial. The device that answers first is joined to the caller,
which is the proof of talk; Asterisk ends the other legs. A leg that ends by its own side (refused, busy, out of reach)
while others still ring takes its agent out of the offer, and only its agent. Legs that end because the Dial is over say
nothing of their agents: the deliver context says then how it ended for all who were left.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cti.acd.inputs import AgentBusy, AgentDeclined
from cti.ids import AgentId, CallId, ChannelName
from cti.model import facts as f
from cti.model.call import Call
from cti.model.commands import HangUp, ReturnToWait
from cti.model.facts import Device, OfferEnd
from cti.services import agent_time, offers
from cti.services.switchboard import Switchboard

LEG_ENDS = {
    17: OfferEnd.BUSY,
    21: OfferEnd.REJECTED,
    3: OfferEnd.UNREACHABLE,
    18: OfferEnd.UNREACHABLE,
    20: OfferEnd.UNREACHABLE,
    27: OfferEnd.UNREACHABLE,
    38: OfferEnd.UNREACHABLE,
    41: OfferEnd.UNREACHABLE,
    42: OfferEnd.UNREACHABLE,
    58: OfferEnd.UNREACHABLE,
}
"""Q.850 causes by which a device itself ends a leg that was not answered. 16, 19, 26 and 0 are the Dial's own doing."""


LEG_SHOWS = timedelta(seconds=2)
"""Within which it is known of a telephone that it rings, even on a slow link."""


def unseen(board: Switchboard, call: Call, agent_id: AgentId) -> timedelta:
    """How long an agent who refuses is offered nothing at least: where it is not known yet that their telephone rings, the
    command that ends the ringing may be lost, and nothing would say that it rings still when it is to ring for the next."""
    device = board.agents[agent_id].device
    if device is Device.EXTERNAL:
        known = (call.call_id, agent_id) in board.legs.values()
    else:
        told = board.devices.get((agent_id, device))
        known = told is not None and told.in_use
    return timedelta() if known else LEG_SHOWS


def out_of_offer(
    board: Switchboard,
    call: Call,
    agent_id: AgentId,
    end: OfferEnd,
    now: datetime,
    *,
    at: datetime,
    least: timedelta = timedelta(),
) -> None:
    """One agent of an offer to several is out of it. When nobody is left, the offer has ended that way.

    `least`: how long the agent is offered nothing at least.
    """
    if call.offer_id is None or agent_id not in call.offered_agents:
        return
    if len(call.offered_agents) == 1:
        board.end_offer(call, end, now, at=at, deliverable=False, least=least)
        return
    pause = board.pause_after(agent_id, end, at, least)
    board.record(
        f.OfferDeclined(
            at=at, call_id=call.call_id, offer_id=call.offer_id, agent_id=agent_id, end=end, pause_until=pause
        )
    )
    board.withdraw_pop(agent_id, end.value)
    agent_time.limit_misses(board, agent_id, at)
    # Busy first, as with every offer that ends: the agent's idle time is another one now.
    board.route(AgentBusy(agent_id=agent_id), now)
    board.route(AgentDeclined(offer_id=call.offer_id, agent_id=agent_id, end=end), now)
    board.tell_again(agent_id, now)


def reject(board: Switchboard, call: Call, agent_id: AgentId, now: datetime) -> None:
    """An agent does not want the call: the phone stops, the others go on ringing; after the last the caller waits again."""
    _stop_ringing(board, call, agent_id)
    out_of_offer(board, call, agent_id, OfferEnd.REJECTED, now, at=now, least=unseen(board, call, agent_id))


def talks_elsewhere(board: Switchboard, agent_id: AgentId, with_call: CallId, now: datetime) -> None:
    """An agent hears another caller than the one they are offered, if they are offered one: the same, and nobody's refusal."""
    lease = board.engine.lease_of_agent(agent_id)
    call = board.calls.get(lease.call_id) if lease is not None else None
    if call is None or call.call_id == with_call or call.dialling:
        return
    if call.absent:
        offers.call_off(board, call)
    else:
        _stop_ringing(board, call, agent_id)
    out_of_offer(board, call, agent_id, OfferEnd.SUPERSEDED, now, at=now)


def _stop_ringing(board: Switchboard, call: Call, agent_id: AgentId) -> None:
    # Before the offer ends: out of it, the agent may be rung for the next caller.
    if len(call.offered_agents) == 1:
        board.out.commands.append(ReturnToWait(call_id=call.call_id, channel=call.channel))
    else:
        legs = [channel for channel, leg in board.legs.items() if leg == (call.call_id, agent_id)]
        board.out.commands += [HangUp(channel=channel) for channel in legs]


def leg_dialled(board: Switchboard, call: Call, agent_id: AgentId, leg: ChannelName) -> None:
    """A device is being called; whoever is out of the offer by now is not to be rung."""
    if call.several and agent_id not in call.offered_agents:
        board.out.commands.append(HangUp(channel=leg))


def leg_gone(board: Switchboard, call: Call, agent_id: AgentId, cause: int, now: datetime, *, at: datetime) -> None:
    """An agent's leg ended before anybody answered."""
    end = LEG_ENDS.get(cause)
    if call.several and end is not None:
        out_of_offer(board, call, agent_id, end, now, at=at)


def returned(board: Switchboard, call: Call, end: OfferEnd, now: datetime, *, at: datetime) -> None:
    """Nobody answered. Who rang has missed the call; who did not ring could not be reached."""
    if end is not OfferEnd.SUPERSEDED:
        rang = [agent_id for agent_id in call.offered_agents if board.agents[agent_id].ringing]
        for agent_id in call.offered_agents if rang else ():
            if agent_id not in rang:
                out_of_offer(board, call, agent_id, OfferEnd.UNREACHABLE, now, at=at)
                call = board.calls[call.call_id]
        end = OfferEnd.NO_ANSWER if rang else OfferEnd.UNREACHABLE
    board.end_offer(call, end, now, at=at, deliverable=False)
