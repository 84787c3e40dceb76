"""What agents ask of the floor: to be ready, to refuse an offer, to hang up, to be done with the work after a call."""

from __future__ import annotations

from datetime import datetime

from cti.ids import AgentId, CallId, OfferId
from cti.model import facts as f
from cti.model.agent import CHOSEN_STATES
from cti.model.call import CallState
from cti.model.commands import HangUp, ReturnToWait
from cti.model.facts import AgentState, Device, OfferEnd
from cti.services import agent_first, agent_time, dialling, outbound, ring_all
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard


def _known(board: Switchboard, agent_id: AgentId) -> None:
    if agent_id not in board.agents:
        raise Refused("unknown_agent", f"there is no agent {agent_id}", remedy="use an extension of centre.yaml")


def set_agent(
    board: Switchboard, agent_id: AgentId, state: AgentState, now: datetime, *, reason: str, device: Device | None
) -> None:
    """Ready, not ready or offline. During a call or an offer the choice waits until it is over."""
    _known(board, agent_id)
    if state not in CHOSEN_STATES:
        raise Refused(
            "state_not_choosable",
            f"{state.value} is not chosen by an agent",
            remedy="choose ready, not_ready or offline",
        )
    reasons = board.centre.not_ready_reasons
    if state is AgentState.NOT_READY and reason and reason not in reasons:
        raise Refused(
            "unknown_reason", "that reason is not one of the centre's", remedy=f"use one of {', '.join(reasons)}"
        )
    agent = board.agents[agent_id]
    chosen = device or agent.device
    if chosen is not agent.device and (agent.offer_id is not None or agent.call_id is not None):
        raise Refused(
            "device_in_use",
            "the device cannot change during an offer or a call",
            remedy="change it when the call is over",
        )
    if chosen is Device.EXTERNAL and (why := outbound.why_not(board, board.centre.agents[agent_id].number)):
        raise Refused(
            "no_outside_number",
            f"the agent cannot be called at an outside number: {why}",
            remedy="centre.yaml needs the agent's number and outbound.allow, the settings trunk.address",
        )
    if (agent.chosen, agent.reason, agent.device) != (state, reason, chosen):
        until = agent_time.not_ready_limit(board.centre, state, reason, now)
        board.record(f.AgentChanged(at=now, agent_id=agent_id, state=state, reason=reason, device=chosen, until=until))
    board.sync_agent(agent_id, now)


def reject(board: Switchboard, agent_id: AgentId, offer_id: OfferId, now: datetime) -> None:
    """Refuse the offer: the caller goes back to wait with the same place, the agent is not asked for this call again at once."""
    _known(board, agent_id)
    agent = board.agents[agent_id]
    call = board.calls.get(agent.offer_call) if agent.offer_call is not None else None
    if agent.offer_id != offer_id or call is None:
        raise Refused(
            "offer_over", "that offer is over", remedy="nothing to do: it was answered, withdrawn or has run out"
        )
    if call.several:
        ring_all.reject(board, call, agent_id, now)
        return
    if call.absent:
        agent_first.reject(board, call, now)
        return
    # First the telephone stops ringing: the end of the offer may have the same agent rung for the next caller.
    board.out.commands.append(ReturnToWait(call_id=call.call_id, channel=call.channel))
    least = ring_all.unseen(board, call, agent_id)
    board.end_offer(call, OfferEnd.REJECTED, now, at=now, deliverable=False, least=least)


def hang_up(board: Switchboard, agent_id: AgentId, call_id: CallId) -> None:
    """End the agent's leg; the dialplan then ends the caller's."""
    _known(board, agent_id)
    if board.agents[agent_id].call_id != call_id:
        raise Refused("not_your_call", "the agent is not in that call", remedy="reload: the call may be over")
    if board.calls[call_id].state is CallState.DIALLING:
        dialling.hang_up(board, board.calls[call_id])
        return
    call = board.calls[call_id]
    if call.held_by_server and call.consult is None and call.talkers == (agent_id,) and not call.outsiders:
        # The caller hears music and would wait for the next agent: who says "end the call" means the caller's, too.
        board.left_first.setdefault(call_id, f.HangupBy.AGENT)
        board.out.commands.append(HangUp(channel=call.channel))
        return
    for channel, (leg_call, leg_agent) in board.legs.items():
        if (leg_call, leg_agent) == (call_id, agent_id):
            board.out.commands.append(HangUp(channel=channel))
            board.left_first.setdefault(call_id, f.HangupBy.AGENT)
            return
    board.out.commands.append(HangUp(channel=board.calls[call_id].channel))


def finish_wrap_up(
    board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime, *, disposition: str, note: str
) -> None:
    """The agent is done with the work after this call."""
    _known(board, agent_id)
    if board.agents[agent_id].wrap_call != call_id:
        raise Refused("no_wrap_up", "the agent has no work to finish for that call", remedy="the time may have run out")
    wrap_queue = board.wrap_queue.get(agent_id)
    if not disposition and wrap_queue is not None and board.centre.queues[wrap_queue].desk.required:
        raise Refused(
            "disposition_required", "this queue wants to know how the contact ended", remedy="choose a disposition"
        )
    known = {name for queue in board.centre.queues.values() for name in queue.dispositions}
    if disposition and disposition not in known:
        raise Refused(
            "unknown_disposition", "no queue has that disposition", remedy=f"use one of {', '.join(sorted(known))}"
        )
    board.finish_wrap_up(agent_id, now, disposition=disposition, note=note)


def extend_wrap_up(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime) -> None:
    """More time for the work after this call, by what the queue allows at a time."""
    _known(board, agent_id)
    if board.agents[agent_id].wrap_call != call_id:
        raise Refused("no_wrap_up", "the agent has no work to finish for that call", remedy="the time may have run out")
    name = board.wrap_queue.get(agent_id)
    queue = board.centre.queues.get(name) if name is not None else None
    until = agent_time.extended(board, agent_id, call_id, queue)
    if until is None:
        raise Refused(
            "wrap_up_at_its_longest",
            "the work after this call cannot take longer",
            remedy="finish it, and become not ready for what is left to do",
        )
    board.record(f.WrapUpExtended(at=now, call_id=call_id, agent_id=agent_id, until=until))
