"""Calls that agents begin: to outside numbers, over the trunk, and to colleagues.

Theory of operation. The page asks, and the agent's own device is rung first, with the call's id as its channel's unique id
(so that a repeated command rings nobody twice); taken, the dialplan calls the far side and joins the two. Dialled on the
agent's own telephone, the dialplan asks here first, and where nobody answers it does not dial outside. Either way the call
has a record of its own, the agent is busy from the beginning, and it is a talk like others once both are in one bridge: the
far side stands where a caller stands, so hold, transfer and the rest work alike.

Only numbers of `Outbound.may_dial` are dialled, only with a free line, shown as one of the centre's or the queue's numbers,
and somebody who asked not to be called only with a reason. Nothing of this is decided by a page.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from cti.ids import AgentId, CallId, ChannelName, OfferId, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import Call, CallState
from cti.model.commands import HangUp
from cti.model.dial_commands import RingToDial
from cti.model.dial_signals import AgentCalls, FarSide
from cti.model.facts import Device, Direction, HangupBy
from cti.services import outbound, recording_choice, trunk_lines
from cti.services.agent_line import Dialled
from cti.services.floor import Pop, Refused
from cti.services.snapshot_times import told_at
from cti.services.switchboard import Switchboard

STATUS = {"BUSY": "busy", "NOANSWER": "no_answer", "CANCEL": "cancelled"}
"""Asterisk's DIALSTATUS -> `DialFailed.status`, where the cause says no more."""
CAUSES = {
    1: "no_such_number", 3: "no_such_number", 22: "no_such_number", 28: "no_such_number",
    17: "busy", 18: "no_answer", 19: "no_answer", 21: "rejected",
    27: "line_down", 34: "line_down", 38: "line_down", 41: "line_down", 42: "line_down", 44: "line_down",
}  # fmt: skip
"""Q.850 cause of the far side's leg -> `DialFailed.status`."""
LONGEST = timedelta(minutes=2)
"""No telephone rings for so long: the agent's own 20 seconds, the far side 60."""
POP_LASTS = timedelta(seconds=60)


def normalised(board: Switchboard, number: str) -> str:
    """The number in E.164; empty where it is none."""
    return (board.normalise(number) or "") if number else ""


# -- what may be dialled


def numbers_to_show(board: Switchboard, queue: QueueName | None) -> tuple[str, ...]:
    """The numbers an agent may show for this queue, the usual one first."""
    settings = board.centre.queues.get(queue) if queue is not None else None
    usual = settings.caller_id if settings is not None else ""
    found = (usual, outbound.caller_id(board), *board.centre.outbound.caller_ids)
    return tuple(dict.fromkeys(number for number in found if number))


def refuse_number(
    board: Switchboard, number: str, now: datetime, agent_id: AgentId, queue: QueueName | None, *, own: str = ""
) -> None:
    """Raise `Refused` where this agent cannot be connected with this number now. `own`: the outside number of the agent, which
    is dialled first."""
    why = outbound.why_not(board, number)
    if why == "no_trunk":
        raise Refused(why, "calls cannot leave the house", remedy="set trunk.address to where outside calls go")
    if why == "no_price":
        raise Refused("number_no_price", "that number has no price", remedy="outbound.prices lists what numbers cost")
    if why:
        raise Refused("not_allowed", "that number may not be dialled", remedy="outbound.allow lists what may be")
    if outbound.room(board) < (2 if own else 1):
        raise Refused("no_line", "all lines are taken", remedy="try again when a call has ended")
    trunk_lines.may_cost(board, number, now, queue=queue, agent_id=agent_id, own=own)


def _refuse_own(board: Switchboard, number: str, now: datetime, agent_id: AgentId) -> None:
    """The same of an agent at an outside number who calls a colleague: their own number is dialled, and nothing else."""
    if outbound.why_not(board, number):
        raise Refused("not_allowed", "the agent's own number may not be dialled", remedy="see outbound.allow")
    if not outbound.has_room(board):
        raise Refused("no_line", "all lines are taken", remedy="try again when a call has ended")
    trunk_lines.may_cost(board, number, now, queue=None, agent_id=agent_id)


def refuse_agent(board: Switchboard, agent_id: AgentId, *, own_device: bool) -> None:
    """Raise `Refused` where this agent cannot dial now. `own_device`: it has to be rung first."""
    agent = board.agents.get(agent_id)
    if agent is None:
        raise Refused("unknown_agent", f"there is no agent {agent_id}", remedy="use an extension of centre.yaml")
    if agent.call_id is not None or agent.offer_id is not None or agent.asked_call is not None:
        raise Refused("agent_in_call", "the agent is in a call, or rung for one", remedy="dial when it is over")
    if agent.wrap_call is not None:
        raise Refused("wrap_up_open", "the work after the last call is not done", remedy="finish it, then dial")
    if not own_device:
        return
    if not board.linked:
        raise Refused(
            "telephones_out_of_sight", "there is no link to the telephone system", remedy="try again in a moment"
        )
    device = board.devices.get((agent_id, agent.device))
    if device is None or not device.reachable or device.in_use:
        raise Refused("device_away", "the agent's own device cannot be rung", remedy="sign the telephone on first")


# -- the page dials


def dial(board: Switchboard, agent_id: AgentId, asked: Dialled, now: datetime, *, number: str, objects: bool) -> CallId:
    """Ring the agent's own device, then call. `objects`: the customer asked not to be called. Raises `Refused`."""
    known = board.presence.dialled.get((agent_id, asked.key)) if asked.key else None
    if known is not None:
        return known
    refuse_agent(board, agent_id, own_device=True)
    shown = ""
    queue = asked.queue or next(iter(board.centre.agents[agent_id].queues), None)
    own = board.centre.agents[agent_id].number if board.agents[agent_id].device is Device.EXTERNAL else ""
    if asked.colleague is not None:
        if asked.colleague not in board.centre.agents or asked.colleague == agent_id:
            raise Refused("unknown_colleague", f"there is no colleague {asked.colleague}", remedy="dial an extension")
        if own:
            _refuse_own(board, own, now, agent_id)
    else:
        refuse_number(board, number, now, agent_id, queue, own=own)
        allowed = numbers_to_show(board, queue)
        shown = asked.caller_id or next(iter(allowed), "")
        if shown not in allowed and shown:
            raise Refused(
                "caller_id_not_allowed", "that number may not be shown", remedy=f"use one of {', '.join(allowed)}"
            )
        if objects and not asked.override:
            raise Refused(
                "do_not_call", "this customer asked not to be called", remedy="give a reason in override_reason"
            )
    board.presence.counted += 1
    call_id = CallId(f"{board.node}-d{int(now.timestamp() * 1000)}.{board.presence.counted}")
    _begin(board, agent_id, call_id, replace(asked, caller_id=shown, queue=queue), now, number=number)
    agent = board.agents[agent_id]
    external = agent.device is Device.EXTERNAL
    board.out.commands.append(
        RingToDial(
            call_id=call_id,
            agent_id=agent_id,
            device=agent.device,
            number=number if asked.colleague is None else "",
            colleague=asked.colleague,
            agent_number=board.centre.agents[agent_id].number if external else "",
            caller_id=shown,
            shown=outbound.caller_id(board) if external else (asked.colleague or number),
            record=asked.colleague is None and recording_choice.wanted(board, call_id, queue, (agent_id,)),
            queue=queue if asked.colleague is None else None,
        )
    )
    return call_id


def _begin(
    board: Switchboard,
    agent_id: AgentId,
    call_id: CallId,
    asked: Dialled,
    now: datetime,
    *,
    number: str,
    keypad: bool = False,
) -> None:
    internal = asked.colleague is not None
    wish = f.DialAsked(
        at=now,
        call_id=call_id,
        agent_id=agent_id,
        number="" if internal else number,
        colleague=asked.colleague,
        caller_id=asked.caller_id,
        queue=None if internal else asked.queue,
        customer_id=asked.customer_id,
        follow_up_id=asked.follow_up_id,
        override=asked.override,
        key=asked.key,
        keypad=keypad,
    )
    board.record(
        f.CallStarted(
            at=now,
            call_id=call_id,
            node=board.node,
            direction=Direction.INTERNAL if internal else Direction.OUTBOUND,
            caller_number=None if internal else number,
        ),
        wish,
    )
    board.presence.remember_dial(wish)
    board.sync_agent(agent_id, now)
    board.presence.dialling[call_id] = now + LONGEST
    if not internal:
        board.out.look_ups.append((call_id, number))
        _pop(board, board.calls[call_id], agent_id, now)


def _pop(board: Switchboard, call: Call, agent_id: AgentId, now: datetime) -> None:
    """Who is called, or who calls, on the agent's screen."""
    internal = call.direction is Direction.INTERNAL
    known = board.centre.agents.get(call.dialled_by or agent_id)
    queue = call.queue or next(iter(board.centre.agents[agent_id].queues), None) or next(iter(board.centre.queues))
    settings = board.centre.queues.get(queue)
    board.pops[agent_id] = Pop(
        offer_id=OfferId(0),
        call_id=call.call_id,
        agent_id=agent_id,
        queue=queue,
        queue_title=settings.titles if settings is not None else {},
        number=call.caller_number,
        match="unknown" if internal else "looking_up",
        customers=(),
        tier="",
        language="",
        choice="",
        queued_at=now,
        offered_at=now,
        deadline=now + POP_LASTS,
        dispositions=settings.dispositions if settings is not None and not internal else (),
        kind="internal" if internal else "outbound",
        transferred_from=call.dialled_by if internal else None,
        transferred_by=known.name if internal and known is not None else "",
    )
    board.withdrawn.pop(agent_id, None)
    board.dirty_pops.add(agent_id)


def not_rung(board: Switchboard, command: RingToDial, now: datetime) -> None:
    """The telephone system would not ring the agent's device."""
    call = board.calls.get(command.call_id)
    if call is not None and call.state is CallState.DIALLING:
        end(board, call, "agent_away", now, at=now)


# -- the agent's own telephone dials


def keypad(
    board: Switchboard, call_id: CallId, channel: str, agent_id: AgentId, dialled: str, now: datetime, *, objects: bool
) -> tuple[str, str]:
    """An agent's telephone dials an outside number. Gives (number, number to show); raises `Refused`."""
    number = normalised(board, dialled)
    refuse_agent(board, agent_id, own_device=False)
    queue = next(iter(board.centre.agents[agent_id].queues), None)
    refuse_number(board, number, now, agent_id, queue)
    if objects:
        raise Refused("do_not_call", "this customer asked not to be called", remedy="dial from the page, with a reason")
    shown = next(iter(numbers_to_show(board, queue)), "")
    asked = Dialled(number=dialled, caller_id=shown, queue=queue)
    _begin(board, agent_id, call_id, asked, now, number=number, keypad=True)
    board.legs[ChannelName(channel)] = (call_id, agent_id)
    return number, shown


def agent_calls(board: Switchboard, signal: AgentCalls, now: datetime) -> None:
    """An agent's telephone calls a colleague."""
    if signal.call_id in board.closed:
        return
    board.legs[signal.channel] = (signal.call_id, signal.agent_id)
    agent = board.agents.get(signal.agent_id)
    if signal.call_id in board.calls or agent is None or signal.colleague not in board.agents:
        return
    if agent.call_id is not None or agent.offer_id is not None:
        return  # a second line of the telephone: it talks, and the floor has the agent in a call already
    _begin(board, signal.agent_id, signal.call_id, Dialled(colleague=signal.colleague), now, number="", keypad=True)


# -- what comes of it


def failure(status: str, cause: int) -> str:
    """Why nobody was reached (`DialFailed.status`), from Asterisk's DIALSTATUS and the Q.850 cause."""
    if status == "CHANUNAVAIL" and cause in (0, 20):
        return "line_down"  # there is nowhere to send the call to
    return STATUS.get(status) or CAUSES.get(cause, "unreachable")


def far_side(board: Switchboard, signal: FarSide, now: datetime) -> None:
    """The far side is called, rings, or was not reached."""
    call = board.calls.get(signal.call_id)
    if call is None or call.state is not CallState.DIALLING:
        return
    if signal.event == "failed":
        end(board, call, failure(signal.status, signal.cause), now, at=signal.at, over=False)
    elif signal.event == "called":
        if signal.agent_id is not None:
            board.legs[signal.channel] = (call.call_id, signal.agent_id)
        board.record(
            f.FarSideCalled(at=signal.at, call_id=call.call_id, channel=signal.channel, leg_id=signal.unique_id)
        )
    else:
        board.record(f.FarSideRang(at=signal.at, call_id=call.call_id))
        if call.colleague is not None and board.pops.get(call.colleague) is None:
            _pop(board, call, call.colleague, now)


def joined(board: Switchboard, signal: s.BridgeJoined, now: datetime) -> bool:
    """A channel entered a bridge. Whether that was the answer to an agent's call."""
    call = board.calls.get(signal.call_id) if signal.call_id is not None else None
    if call is None or call.state is not CallState.DIALLING or call.dialled_by is None:
        return False
    members = board.bridges.get(signal.bridge_id, {})
    own = next((one for one in members if board.legs.get(one) == (call.call_id, call.dialled_by)), None)
    far = next((one for one in members if one != own), None)
    if len(members) != 2 or far is None or (own is None and call.channel not in members):
        return True
    answered(board, call, far if own is not None else call.channel, now, at=signal.at)
    return True


def answered(
    board: Switchboard, call: Call, far: ChannelName, now: datetime, *, at: datetime, inferred: bool = False
) -> None:
    """Both are in one bridge."""
    if call.dialled_by is None:
        return
    if far != call.channel:
        board.record(f.FarSideCalled(at=at, call_id=call.call_id, channel=far, leg_id=call.leg_id, inferred=inferred))
    leg = board.legs.get(far)
    if leg is not None and leg[1] != call.dialled_by and board.agents[leg[1]].call_id is None:
        board.record(f.CallAnswered(at=at, call_id=call.call_id, agent_id=leg[1], inferred=inferred))
        board.sync_agent(leg[1], now)
    board.record(f.CallAnswered(at=at, call_id=call.call_id, agent_id=call.dialled_by, inferred=inferred))
    board.sync_agent(call.dialled_by, now)


def end(board: Switchboard, call: Call, status: str, now: datetime, *, at: datetime, over: bool = True) -> None:
    """Nobody was reached. `over`: the call has ended, too; otherwise the agent still hears why."""
    agent_id = call.dialled_by
    if agent_id is None or call.state is not CallState.DIALLING:
        return
    board.record(f.DialFailed(at=at, call_id=call.call_id, agent_id=agent_id, status=status))
    by = HangupBy.AGENT if status == "cancelled" else HangupBy.SYSTEM
    board.record(f.CallEnded(at=at, call_id=call.call_id, hangup_by=by))
    colleague = call.colleague
    if colleague is not None and (pop := board.pops.get(colleague)) is not None and pop.call_id == call.call_id:
        board.withdraw_pop(colleague, "call_ended")
    # Who called a colleague has no pop; why nobody was reached is told all the same.
    board.pops.pop(agent_id, None)
    board.withdrawn[agent_id] = f"dial_{status}"
    board.dirty_pops.add(agent_id)
    board.sync_agent(agent_id, now)
    if not over and call.channel:
        board.left_first.pop(call.call_id, None)


def leg_gone(board: Switchboard, call: Call, signal: s.ChannelGone, now: datetime) -> bool:
    """A channel of an agent's call has ended. Whether that is told here: while nobody has answered."""
    if call.dialled_by is None or call.state is not CallState.DIALLING:
        return False
    if signal.unique_id == call.call_id:
        end(board, call, "cancelled", now, at=signal.at)
    return True


def given_up(board: Switchboard, call_id: CallId, now: datetime) -> None:
    """Nothing more comes of this call: its telephone is gone, or it has been dialling for longer than anything rings."""
    call = board.calls.get(call_id)
    if call is not None and call.state is CallState.DIALLING:
        hang_up(board, call)
        end(board, call, "cancelled", now, at=now)


def next_due(board: Switchboard, now: datetime) -> datetime | None:
    """When the eldest call that nobody has answered has been dialling for too long."""
    return min(board.presence.dialling.values(), default=None)


def tick(board: Switchboard, now: datetime) -> None:
    """End calls that have been dialling for longer than anything rings: their end was not heard of."""
    for call_id, until in list(board.presence.dialling.items()):
        call = board.calls.get(call_id)
        if call is None or call.state is not CallState.DIALLING:
            del board.presence.dialling[call_id]
        elif until <= now:
            del board.presence.dialling[call_id]
            given_up(board, call_id, now)


def is_own_leg(call: Call, unique_id: str) -> bool:
    """Whether this channel, which bears the call's id, is the agent's who made the call, and not a caller's."""
    return call.dialled_by is not None and unique_id == call.call_id


def unreached(board: Switchboard, signal: s.CustomerUnreached, now: datetime) -> bool:
    """Ringing the agent's own device came to nothing. Whether it was for a call of theirs."""
    call = board.calls.get(CallId(signal.unique_id))
    if call is None or call.dialled_by is None:
        return False
    end(board, call, "agent_away", now, at=signal.at)
    return True


def hang_up(board: Switchboard, call: Call) -> None:
    """The agent gives up while nobody has answered."""
    board.out.commands.append(HangUp(channel=ChannelName(call.call_id)))


def place_of(board: Switchboard, channel: s.LiveChannel) -> Literal["far", "leg"] | None:
    """What a channel of a snapshot is in a call that an agent made: the far side, or a leg; None: no such call."""
    call = board.calls.get(channel.call_id) if channel.call_id is not None else None
    if call is None or call.dialled_by is None:
        return None
    talks = call.state is not CallState.DIALLING
    return "far" if talks and channel.unique_id == call.leg_id else "leg"


def adopt(board: Switchboard, snapshot: s.Snapshot, now: datetime) -> None:
    """After a gap: calls that agents make, and whose far side answered meanwhile."""
    for own in snapshot.channels:
        call = board.calls.get(own.call_id) if own.call_id is not None else None
        if call is None or call.dialled_by is None or own.unique_id != call.call_id:
            continue
        board.legs[own.channel] = (call.call_id, call.dialled_by)
        if call.state is CallState.DIALLING:
            board.presence.dialling.setdefault(call.call_id, now + LONGEST)
        if call.state is not CallState.DIALLING or not own.bridge_id:
            continue
        others = [c for c in snapshot.channels if c.bridge_id == own.bridge_id and c.channel != own.channel]
        if len(others) == 1:
            far = others[0]
            at = told_at(board, call, snapshot, now)
            board.record(
                f.FarSideCalled(at=at, call_id=call.call_id, channel=far.channel, leg_id=far.unique_id, inferred=True)
            )
            answered(board, board.calls[call.call_id], far.channel, now, at=at, inferred=True)


def is_missing(call: Call, there: Collection[str]) -> bool:
    """Whether the leg on which this call stands or falls is gone: the agent's until somebody answers, the far side's then."""
    leg = call.leg_id if call.state is not CallState.DIALLING and call.leg_id else call.call_id
    return leg not in there
