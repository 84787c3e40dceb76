"""What an offer asks of the telephones: whose devices ring, by which command, and how a callback's agent is let go again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cti.acd.decisions import Offer
from cti.ids import AgentId, ChannelName
from cti.model.call import Call
from cti.model.callback import agents_leg
from cti.model.commands import Deliver, HangUp, RingForCallback
from cti.model.facts import Device
from cti.services import recording_choice, trunk_lines

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard


def rung(board: Switchboard, offer: Offer) -> tuple[AgentId, ...]:
    """Whose devices ring, best first. An agent at an outside number must say by a key that no machine picked up, so such a
    number is only rung alone. So is the first agent of a callback, from whose telephone the customer is called."""
    agents = board.agents
    alone = agents[offer.agent_id].device is Device.EXTERNAL or board.calls[offer.call_id].absent
    if not offer.others or alone:
        return (offer.agent_id,)
    return tuple(agent_id for agent_id in offer.agent_ids if agents[agent_id].device is not Device.EXTERNAL)


def command_of(board: Switchboard, offer: Offer, agents: tuple[AgentId, ...]) -> Deliver | RingForCallback:
    """The command that makes the devices of these agents ring for the offer."""
    call = board.calls[offer.call_id]
    if call.absent:
        return _ring_for(board, call, offer)
    return Deliver(
        call_id=offer.call_id,
        channel=call.channel,
        offer_id=offer.offer_id,
        agent_id=offer.agent_id,
        device=board.agents[offer.agent_id].device,
        others=tuple((agent_id, board.agents[agent_id].device) for agent_id in agents[1:]),
        record=recording_choice.for_agents(board, call.call_id, offer.queue, agents),
    )


def _ring_for(board: Switchboard, call: Call, offer: Offer) -> RingForCallback:
    """The command that calls the agent of this offer."""
    queue, device = board.centre.queues[offer.queue], board.agents[offer.agent_id].device
    agent = board.centre.agents[offer.agent_id]
    return RingForCallback(
        call_id=call.call_id,
        channel_id=agents_leg(call.call_id, offer.offer_id, offer.agent_id),
        offer_id=offer.offer_id,
        agent_id=offer.agent_id,
        device=device,
        number=call.caller_number or "",
        agents_ring=queue.ring_timeout,
        ring_timeout=queue.callback.ring_timeout,
        agent_number=agent.number if device is Device.EXTERNAL else "",
        shown=trunk_lines.caller_id(board) if device is Device.EXTERNAL else call.caller_number or "",
        queue=offer.queue,
        did=call.did,
        record=recording_choice.wanted(board, call.call_id, offer.queue, (offer.agent_id,)),
    )


def offered_leg(call: Call) -> str:
    """The unique id of the agent's leg of the offer under way; empty where there is none."""
    if call.parent is None or call.channel or call.offer_id is None or call.offered_agent is None:
        return ""
    return agents_leg(call.call_id, call.offer_id, call.offered_agent)


def call_off(board: Switchboard, call: Call) -> None:
    """Nobody is to be rung, or dialled, for this offer any more. To be asked before the offer is ended.

    A leg that is not there (yet): Asterisk says so, which changes nothing; one that shows later is hung up then.
    """
    if leg := offered_leg(call):
        board.out.commands.append(HangUp(channel=ChannelName(leg)))
