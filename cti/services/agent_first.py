"""Callbacks that call the agent first: an agent is offered the callback like a call, picks up, and the customer is dialled.

Theory of operation. Whose turn it is, the engine decides as for everybody: a callback that may be called now can be
delivered, though nobody is on it. The offer's command calls the agent's device with a channel id of ours, one for each
offer. What follows is the dialplan's, so that a bridge that is killed meanwhile loses nobody: when the agent has picked up
it says so (`CallbackDialled`, an attempt), calls the customer, and joins the two, which is the proof of talk. The lease lasts
until then. If the customer is not reached the attempt has failed and the agent is free, without a miss; if the agent refuses
or misses the call, nobody was dialled, and the ticket goes to the next agent at its old place.

Nobody is dialled twice: an offer makes one channel, and that channel dials once. Legs of offers that are over are hung up when
they show.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from cti.acd.inputs import LeaseExtended
from cti.acd.ranking import LEASE_MARGIN
from cti.ids import AgentId, ChannelName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call
from cti.model.callback import agents_leg_of
from cti.model.commands import HangUp, RingForCallback
from cti.model.facts import OfferEnd
from cti.services import callbacks, offers
from cti.services.ring_all import LEG_ENDS, unseen
from cti.services.snapshot_times import told_at
from cti.services.switchboard import Switchboard

RINGING, UP = "Ringing", "Up"
"""States of an agent's channel in a snapshot."""
YOUNG = timedelta(seconds=2)
"""A leg that was asked for so shortly before a snapshot may have begun while it was being taken."""
RANG = frozenset({16, 19})
"""Q.850 causes of a leg that was there and was not taken: hung up without a key, rang for as long as it may."""
HUNG_UP = "agent_hung_up"
"""Why an attempt failed whose agent hung up while the customer's telephone rang."""


def is_offered_leg(call: Call, unique_id: str) -> bool:
    """Whether this is the leg of the agent whom the callback is offered to now."""
    return bool(unique_id) and offers.offered_leg(call) == unique_id


def superfluous(board: Switchboard, signal: s.AgentLegDialled) -> bool:
    """Hang up an agent's leg whose offer is over; whether it was one."""
    own = agents_leg_of(signal.call_id, signal.unique_id)
    call = board.calls.get(signal.call_id)
    if own is None or (call is not None and own[0] == call.offer_id):
        return False
    board.legs.pop(signal.agent_channel, None)
    board.out.commands.append(HangUp(channel=signal.agent_channel))
    return True


def picked_up(board: Switchboard, signal: s.AgentPickedUp, now: datetime) -> None:
    """The agent is there and the customer is being dialled."""
    call = board.calls.get(signal.call_id)
    if call is None or not is_offered_leg(call, signal.unique_id):
        if call is None or call.absent:
            # Not heard of in time: better a call that ends than two.
            board.out.commands.append(HangUp(channel=signal.channel))
        return
    if not call.dialling:
        board.legs[signal.channel] = (call.call_id, signal.agent_id)
        dialled(board, call, now, at=signal.at)


def dialled(board: Switchboard, call: Call, now: datetime, *, at: datetime, inferred: bool = False) -> None:
    """The customer is being dialled from the agent's telephone: an attempt, for which the agent waits."""
    offer_id, agent_id = call.offer_id, call.offered_agent
    if offer_id is None or agent_id is None:
        return
    until = at + callbacks.rules_of(board, call).ring_timeout + LEASE_MARGIN
    board.record(
        f.CallbackDialled(
            at=at,
            inferred=inferred,
            call_id=call.call_id,
            attempt=call.attempt + 1,
            channel=offers.offered_leg(call),
            agent_id=agent_id,
            offer_until=until,
        )
    )
    board.route(LeaseExtended(offer_id=offer_id, deadline=until), now)


def reached(
    board: Switchboard, call: Call, leg: ChannelName, members: Mapping[ChannelName, datetime], *, at: datetime
) -> Call:
    """The call, with the customer on the line if agent and customer are in one bridge: `leg` is the agent's."""
    others = [channel for channel in members if channel != leg]
    if len(others) != 1 or others[0] in board.legs or not call.dialling:
        return call
    board.record(f.CallbackReached(at=at, call_id=call.call_id, channel=others[0]))
    return board.calls[call.call_id]


def leg_gone(board: Switchboard, call: Call, signal: s.ChannelGone, now: datetime) -> None:
    """A channel of an offered callback is gone; the agent's own ends the offer."""
    if not is_offered_leg(call, signal.unique_id):
        return
    if call.dialling:
        # The customer's telephone rang, if only shortly: an attempt, and the agent's refusal.
        callbacks.attempt_failed(board, call, HUNG_UP, now, at=signal.at, end=OfferEnd.REJECTED)
        return
    rang = signal.cause in RANG or (call.offered_agent is not None and board.agents[call.offered_agent].ringing)
    end = LEG_ENDS.get(signal.cause, OfferEnd.NO_ANSWER if rang else OfferEnd.UNREACHABLE)
    board.end_offer(call, end, now, at=signal.at, deliverable=False)


def unreached(board: Switchboard, signal: s.CustomerUnreached, now: datetime) -> None:
    """Dialling came to nothing, the customer or the agent."""
    for call_id in board.callbacks:
        call = board.calls[call_id]
        if is_offered_leg(call, signal.unique_id) and not call.dialling:
            # Where there is a leg, its own end says better why.
            if (call_id, call.offered_agent) not in board.legs.values():
                board.end_offer(call, OfferEnd.UNREACHABLE, now, at=signal.at, deliverable=False)
            return
    callbacks.customer_unreached(board, signal, now)


def not_sent(board: Switchboard, command: RingForCallback, now: datetime) -> None:
    """The command to call the agent was surely not carried out."""
    call = board.calls.get(command.call_id)
    if call is not None and call.absent and call.offer_id == command.offer_id and not call.dialling:
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=now, deliverable=False)


def reject(board: Switchboard, call: Call, now: datetime) -> None:
    """The agent does not want the callback, or does not wait for the customer any longer."""
    offers.call_off(board, call)
    if call.dialling:
        callbacks.attempt_failed(board, call, HUNG_UP, now, at=now, end=OfferEnd.REJECTED)
    else:
        least = max((unseen(board, call, agent_id) for agent_id in call.offered_agents), default=timedelta())
        board.end_offer(call, OfferEnd.REJECTED, now, at=now, deliverable=False, least=least)


# -- after a gap -------------------------------------------------------------------------------------------------------


def adopt(board: Switchboard, snapshot: s.Snapshot, now: datetime) -> list[tuple[Call, AgentId]]:
    """Correct the callbacks that agents are called first for by what there is; gives those who talk, and with whom.

    To be asked before the callers are looked at, with `board.legs` as the snapshot has them. What only it tells of was so when it was
    asked for, at the latest then.
    """
    found: dict[str, s.LiveChannel] = {}
    for channel in snapshot.channels:
        own = agents_leg_of(channel.call_id, channel.unique_id) if channel.call_id is not None else None
        if own is None or channel.call_id is None:
            continue
        call = board.calls.get(channel.call_id)
        if call is not None and (is_offered_leg(call, channel.unique_id) or call.leg_id == channel.unique_id):
            found[channel.unique_id] = channel
        else:
            board.legs.pop(channel.channel, None)
            board.out.commands.append(HangUp(channel=channel.channel))
    talks: list[tuple[Call, AgentId]] = []
    for call_id in list(board.callbacks):
        call = board.calls[call_id]
        leg = offers.offered_leg(call)
        if not leg:
            continue
        there = found.get(leg)
        if there is None:
            if (call.dialled_at if call.dialling else call.offered_at or now) < snapshot.at - YOUNG:  # type: ignore[operator]
                _leg_lost(board, call, now)
        elif there.state == RINGING and call.offer_id is not None and call.offered_agent is not None:
            if not board.agents[call.offered_agent].ringing:
                board.record(
                    f.OfferRang(
                        at=told_at(board, call, snapshot, now),
                        call_id=call_id,
                        offer_id=call.offer_id,
                        agent_id=call.offered_agent,
                        inferred=True,
                    )
                )
        elif there.bridge_id or (there.state == UP and there.device is not f.Device.EXTERNAL):
            # Who picked up at an outside number must press a key first; the ledger would have told that.
            talks += _place(board, call, there, snapshot, now)
    return talks


def _leg_lost(board: Switchboard, call: Call, now: datetime) -> None:
    """The agent's leg is gone without a word, or never was: nobody is to blame."""
    if call.dialling:
        callbacks.attempt_failed(board, call, "lost", now, at=now)
    else:
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=now, deliverable=False)


def _place(
    board: Switchboard, call: Call, leg: s.LiveChannel, snapshot: s.Snapshot, now: datetime
) -> list[tuple[Call, AgentId]]:
    """An agent who has picked up: the customer is being dialled, or is there."""
    if not call.dialling:
        dialled(board, call, now, at=told_at(board, call, snapshot, now), inferred=True)
        call = board.calls[call.call_id]
    others = [
        c for c in snapshot.channels if leg.bridge_id and c.bridge_id == leg.bridge_id and c.channel != leg.channel
    ]
    if len(others) != 1 or call.offered_agent is None:
        return []
    at = told_at(board, call, snapshot, now)
    board.record(f.CallbackReached(at=at, call_id=call.call_id, channel=others[0].channel, inferred=True))
    return [(board.calls[call.call_id], call.offered_agent)]
