"""Consultations: the caller on hold, a third party asked; then all together, or the caller goes over to the third party.

The order of the commands keeps everybody from silence. Completing brings the caller into the room first; the agent's leg is hung
up when the caller and the third party are proved to be in one bridge. A third party who is gone by then leaves the caller
with the agent. While the third party's telephone rings, who asks hears that in the room. Who is asked is reserved: the ACD offers
them nothing (`AgentStatus.asked_call`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cti.ids import AgentId, CallId, ChannelName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call
from cti.model.commands import DialParty, EnterRoom, HangUp, HoldParty
from cti.model.dial_commands import Ringback
from cti.model.facts import ConsultEnd, DestinationKind, Device
from cti.model.talk import Consult, party_leg
from cti.services import consult_ends, holds, screen_pops, trunk_lines
from cti.services.destinations import why_not_now
from cti.services.floor import Refused
from cti.services.ring_all import LEG_SHOWS
from cti.services.switchboard import Switchboard
from cti.services.talk_view import CALLER, SendTo
from cti.services.talks import (
    TALK,
    asked_no_longer,
    free_asked,
    hang_up_leg,
    leave_if_done,
    left_alone,
    nobody_is_joining,
    own_call,
    somebody_left,
)

RING = timedelta(seconds=25)
"""How long a third party rings."""
MARGIN = timedelta(seconds=5)
"""A leg of which nothing was heard so long after that has failed."""


def begin(board: Switchboard, agent_id: AgentId, call_id: CallId, to: SendTo, now: datetime) -> None:
    """Call somebody about the caller. Raises `Refused`."""
    call = own_call(board, agent_id, call_id)
    if call.consult is not None:
        raise Refused("consult_under_way", "a consultation is under way", remedy="complete or cancel it first")
    if call.leaving is not None:
        raise Refused("leaving", "the agent is leaving the call", remedy="nothing to do")
    nobody_is_joining(board, call)
    if to.kind is DestinationKind.AGENT:
        dial = _dial_agent(board, call, agent_id, to, now)
    else:
        dial = _dial_number(board, call, agent_id, to, now)
    if not call.held_by_server:
        holds.hold_caller(board, call, agent_id, now)
    consulted = dial.agent_id
    board.record(
        f.ConsultStarted(
            at=now,
            call_id=call_id,
            agent_id=agent_id,
            party=to.name,
            kind=to.kind,
            leg_id=dial.channel_id,
            consulted=consulted,
            deadline=now + RING,
        )
    )
    board.out.commands.append(dial)
    board.parties.consulting[call_id] = None
    if consulted is not None:
        board.sync_agent(consulted, now)
        board.pops[consulted] = screen_pops.pop_of_consult(board, board.calls[call_id], agent_id, consulted, now)
        board.withdrawn.pop(consulted, None)
        board.dirty_pops.add(consulted)


def _dial_agent(board: Switchboard, call: Call, agent_id: AgentId, to: SendTo, now: datetime) -> DialParty:
    asked = AgentId(to.name)
    config = board.configured.agents.get(asked)
    if config is None or asked not in board.agents:
        raise Refused("unknown_agent", f"there is no agent {to.name}", remedy="GET /api/v1/agent/destinations has them")
    if asked == agent_id or asked in call.talkers:
        raise Refused("in_this_call", "that agent is in this call already", remedy="choose a colleague")
    why = why_not_now(board, asked)
    if why and why != "wrap_up":
        raise Refused(f"agent_{why}", f"agent {to.name} cannot be called now: {why}", remedy="try somebody else")
    if any(
        board.parties.names.get(leg_id) == to.name and now < at + LEG_SHOWS
        for leg_id, at in board.parties.let_go.items()
    ):
        # The telephone may ring yet, or the command that ends it be lost: it would ring twice.
        raise Refused("agent_busy", f"agent {to.name} is just being let go", remedy="try again in a moment")
    device = board.agents[asked].device
    external = device is Device.EXTERNAL
    if external and trunk_lines.room(board) < 1:
        raise Refused("lines_taken", "every line to the outside is taken", remedy="try again in a moment")
    if external and (never := trunk_lines.why_not(board, config.number)):
        raise Refused("agent_unreachable", f"agent {to.name} cannot be called: {never}", remedy="try somebody else")
    if external:
        trunk_lines.may_cost(board, config.number, now, queue=call.queue, agent_id=asked)
    return DialParty(
        call_id=call.call_id,
        channel_id=party_leg(call.call_id, call.consults + 1),
        agent_id=asked,
        device=device,
        number=config.number if external else "",
        ring_timeout=RING,
        shown=trunk_lines.caller_id(board) if external else agent_id,
        caller=call.channel,
    )


def _dial_number(board: Switchboard, call: Call, agent_id: AgentId, to: SendTo, now: datetime) -> DialParty:
    if to.kind is not DestinationKind.NUMBER:
        raise Refused("not_a_person", "only agents and numbers can be consulted", remedy="transfer the caller there")
    if why := trunk_lines.why_not(board, to.name):
        raise Refused(f"number_{why}", f"that number cannot be dialled: {why}", remedy="see outbound.allow")
    if to.name in call.outsiders:
        raise Refused("in_this_call", "that number is in this call already", remedy="choose another")
    if trunk_lines.room(board) < 1:
        raise Refused("lines_taken", "every line to the outside is taken", remedy="try again in a moment")
    trunk_lines.may_cost(board, to.name, now, queue=call.queue, agent_id=agent_id)
    return DialParty(
        call_id=call.call_id,
        channel_id=party_leg(call.call_id, call.consults + 1),
        number=to.name,
        ring_timeout=RING,
        shown=trunk_lines.caller_id(board),
        caller=call.channel,
    )


def _consult_of(call: Call, agent_id: AgentId) -> Consult:
    if call.consult is None:
        raise Refused("no_consult", "there is no consultation", remedy="reload: it may be over")
    if call.consult.by != agent_id:
        raise Refused("not_yours", "another agent asks", remedy="only who began the consultation can end it")
    return call.consult


def _answered(call: Call, agent_id: AgentId) -> Consult:
    consult = _consult_of(call, agent_id)
    if consult.answered_at is None:
        raise Refused("not_answered_yet", "the third party has not answered", remedy="wait, or cancel")
    return consult


def _all_into_room(board: Switchboard, call: Call, agent_id: AgentId, leg_id: str, now: datetime) -> None:
    """Whoever of caller and third party is on hold comes into the room."""
    if call.held_by_server:
        holds.retrieve(board, call, agent_id, now)
    elif (channel := consult_ends.party_channel(board, call, leg_id)) is not None:
        board.out.commands.append(EnterRoom(call_id=call.call_id, channel=channel, party=True))


def complete(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime, *, note: str = "") -> None:
    """Leave the two alone. Raises `Refused`."""
    call = own_call(board, agent_id, call_id)
    consult = _answered(call, agent_id)
    board.record(
        f.CallTransferred(at=now, call_id=call_id, agent_id=agent_id, kind=consult.kind, to=consult.party, note=note)
    )
    call = consult_ends.end(board, board.calls[call_id], consult, ConsultEnd.COMPLETED, now, at=now)
    _all_into_room(board, call, agent_id, consult.leg_id, now)
    if consult.consulted is not None:
        screen_pops.handed_over(board, call_id, consult.consulted)


def join(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime) -> None:
    """All together. Raises `Refused`."""
    call = own_call(board, agent_id, call_id)
    consult = _answered(call, agent_id)
    call = consult_ends.end(board, call, consult, ConsultEnd.JOINED, now, at=now)
    _all_into_room(board, call, agent_id, consult.leg_id, now)


def cancel(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime) -> None:
    """Back to the caller; the third party goes. Raises `Refused`."""
    call = own_call(board, agent_id, call_id)
    consult = _consult_of(call, agent_id)
    consult_ends.let_go(board, call, consult, now)
    call = consult_ends.end(board, call, consult, ConsultEnd.CANCELLED, now, at=now)
    if call.held_by_server:
        holds.retrieve(board, call, agent_id, now)


def abandon(board: Switchboard, call: Call, now: datetime, *, at: datetime) -> None:
    """Nobody asks any more (the page of who asked is gone): the third party goes, the caller stays where they are."""
    if call.consult is not None:
        consult_ends.let_go(board, call, call.consult, now)
        consult_ends.end(board, call, call.consult, ConsultEnd.CANCELLED, now, at=at)


def swap(board: Switchboard, agent_id: AgentId, call_id: CallId, now: datetime) -> None:
    """The other one. Raises `Refused`."""
    call = own_call(board, agent_id, call_id)
    consult = _answered(call, agent_id)
    channel = consult_ends.party_channel(board, call, consult.leg_id)
    if channel is None:
        raise Refused("no_leg", "the third party's line is not known", remedy="try again in a moment")
    if call.held_by_server:
        board.out.commands.append(HoldParty(call_id=call_id, channel=channel))
        holds.retrieve(board, call, agent_id, now)
    else:
        holds.hold_caller(board, call, agent_id, now)
        board.out.commands.append(EnterRoom(call_id=call_id, channel=channel, party=True))


def drop(board: Switchboard, agent_id: AgentId, call_id: CallId, party: str, now: datetime) -> None:
    """One party out: the caller (which ends the call), another agent, a number, or who is consulted. Raises `Refused`."""
    call = own_call(board, agent_id, call_id)
    if party == CALLER:
        board.left_first.setdefault(call_id, f.HangupBy.AGENT)
        board.out.commands.append(HangUp(channel=call.channel))
        return
    if call.consult is not None and call.consult.party == party:
        cancel(board, agent_id, call_id, now)
        return
    if AgentId(party) in call.talkers and party != agent_id:
        hang_up_leg(board, call_id, AgentId(party))
        return
    for channel, (leg_call, leg_id) in board.parties.legs.items():
        if leg_call == call_id and party in call.outsiders and board.parties.names.get(leg_id) == party:
            board.out.commands.append(HangUp(channel=channel))
            return
    raise Refused("no_such_party", "nobody of that name is in the call", remedy="reload: they may have left")


# ---- what the telephones say


def party_leg_heard(board: Switchboard, signal: s.PartyLeg, now: datetime) -> None:
    """The third party's leg was dialled, rings, or failed."""
    call = board.calls.get(signal.call_id)
    consult = call.consult if call is not None else None
    if call is None or consult is None or consult.leg_id != signal.leg_id:
        if signal.event == "dialled":
            # Cancelled while it was being asked for.
            board.out.commands.append(HangUp(channel=signal.channel))
        return
    if signal.event == "dialled":
        board.parties.legs[signal.channel] = (call.call_id, signal.leg_id)
        board.parties.names[signal.leg_id] = consult.party
        if consult.consulted is not None:
            board.legs[signal.channel] = (call.call_id, consult.consulted)
    elif signal.event == "ringing" and not consult.ringing and consult.answered_at is None:
        board.record(
            f.ConsultRang(at=signal.at, call_id=call.call_id, party=consult.party, consulted=consult.consulted)
        )
        board.out.commands.append(Ringback(call_id=call.call_id, channel_id=consult_ends.ringer(consult)))
    elif signal.event == "failed" and consult.answered_at is None and signal.status != "ANSWER":
        ends = {"BUSY": ConsultEnd.BUSY, "NOANSWER": ConsultEnd.NO_ANSWER, "CANCEL": ConsultEnd.NO_ANSWER}
        failed(board, call, consult, ends.get(signal.status, ConsultEnd.UNREACHABLE), now, at=signal.at)


def not_sent(board: Switchboard, command: DialParty, now: datetime) -> None:
    """The command to call the third party was surely not carried out."""
    call = board.calls.get(command.call_id)
    if call is not None and call.consult is not None and call.consult.leg_id == command.channel_id:
        failed(board, call, call.consult, ConsultEnd.UNREACHABLE, now, at=now)


def failed(board: Switchboard, call: Call, consult: Consult, end: ConsultEnd, now: datetime, *, at: datetime) -> None:
    """The third party is not there (any more): the agent takes the caller back, or the caller waits if nobody is left."""
    board.parties.failed[call.call_id] = (consult, end)
    call = consult_ends.end(board, call, consult, end, now, at=at)
    if not somebody_left(call) and call.state in TALK:
        left_alone(board, call, now, at=at, there=False)
    elif call.held_by_server and end is ConsultEnd.GONE and consult.by in call.talkers:
        # Who was asked has hung up: back to the caller at once. Who did not answer: the agent decides.
        holds.retrieve(board, call, consult.by, now)


def joined_bridge(board: Switchboard, call: Call, signal: s.BridgeJoined, now: datetime) -> None:
    """A leg entered a bridge of this call: the third party is there, or hears the caller now."""
    leg = board.parties.legs.get(signal.channel)
    consult = call.consult
    if leg is not None and consult is not None and leg[1] == consult.leg_id and consult.answered_at is None:
        consult_ends.stop_ringing(board, consult)
        board.record(
            f.ConsultAnswered(at=signal.at, call_id=call.call_id, party=consult.party, consulted=consult.consulted)
        )
        if consult.consulted is not None:
            board.sync_agent(consult.consulted, now)
    members = board.bridges.get(signal.bridge_id, {})
    if call.channel not in members or call.state not in TALK:
        return
    for channel in members:
        call = board.calls[call.call_id]
        known = board.parties.legs.get(channel)
        if known is None or (call.consult is not None and known[1] == call.consult.leg_id):
            continue
        party = board.parties.names.get(known[1], "")
        if channel not in board.legs and party and party not in call.outsiders:
            board.record(f.PartyJoined(at=signal.at, call_id=call.call_id, party=party))
            leave_if_done(board, board.calls[call.call_id])


def leg_gone(board: Switchboard, call: Call, channel: ChannelName, leg_id: str, now: datetime, *, at: datetime) -> None:
    """A third party's channel is gone."""
    consult = call.consult
    if consult is not None and consult.leg_id == leg_id:
        if consult.answered_at is not None:
            failed(board, call, consult, ConsultEnd.GONE, now, at=at)
        return
    party = board.parties.names.pop(leg_id, "")
    if party in call.outsiders:
        board.record(f.PartyLeft(at=at, call_id=call.call_id, party=party))
        call = board.calls[call.call_id]
        if not somebody_left(call) and call.held_by_server:
            left_alone(board, call, now, at=at, there=False)
    elif (asked := AgentId(party)) in board.agents and board.agents[asked].asked_call == call.call_id:
        # Was to take the caller over, or to join, and went in that moment: the agent has the caller.
        asked_no_longer(board, call, asked, ConsultEnd.GONE, now, at=at)


def asker_gone(board: Switchboard, call: Call, now: datetime, *, at: datetime) -> None:
    """Who consulted has hung up: the third party takes the caller, if they are there; otherwise they go, too."""
    consult = call.consult
    if consult is None or consult.by in call.talkers:
        return
    if consult.answered_at is not None:
        board.record(
            f.CallTransferred(at=at, call_id=call.call_id, agent_id=consult.by, kind=consult.kind, to=consult.party)
        )
        call = consult_ends.end(board, board.calls[call.call_id], consult, ConsultEnd.COMPLETED, now, at=at)
        _all_into_room(board, call, consult.by, consult.leg_id, now)
        return
    consult_ends.let_go(board, call, consult, now)
    call = consult_ends.end(board, call, consult, ConsultEnd.CANCELLED, now, at=at)
    if not somebody_left(call):
        left_alone(board, call, now, at=at, there=False)


def call_over(board: Switchboard, call: Call, now: datetime, *, at: datetime) -> None:
    """The caller is gone: nobody is asked any more. To be called while the call is live."""
    if call.consult is not None:
        consult_ends.let_go(board, call, call.consult, now)
        call = consult_ends.end(board, call, call.consult, ConsultEnd.CALLER_GONE, now, at=at)
    free_asked(board, call, ConsultEnd.CALLER_GONE, now, at=at)
    board.parties.consulting.pop(call.call_id, None)
    board.parties.failed.pop(call.call_id, None)


# ---- time


def next_due(board: Switchboard) -> datetime | None:
    """When the first third party has not answered for too long."""
    if not board.parties.consulting:
        return None
    moments = [
        call.consult.deadline + MARGIN
        for call_id in board.parties.consulting
        if (call := board.calls.get(call_id)) is not None
        and call.consult is not None
        and call.consult.answered_at is None
    ]
    return min(moments, default=None)


def tick(board: Switchboard, now: datetime) -> None:
    """Give up on third parties of whom nothing was heard in time."""
    for call_id in list(board.parties.consulting):
        call = board.calls.get(call_id)
        if call is None or call.consult is None:
            del board.parties.consulting[call_id]
        elif call.consult.answered_at is None and call.consult.deadline + MARGIN <= now:
            consult_ends.let_go(board, call, call.consult, now)
            failed(board, call, call.consult, ConsultEnd.NO_ANSWER, now, at=now)
