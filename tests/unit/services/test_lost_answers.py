"""Commands whose answer was lost, that were refused, or that came too late: nobody is stuck, no telephone rings twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cti.ids import AgentId, CallId, OfferId
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.commands import Deliver, HangUp, ReturnToWait
from cti.model.facts import Device
from cti.services import agents, call_control, not_done
from tests.support.floor_rig import BEGIN, FloorRig
from tests.unit.services.test_callback_rules import Line

IN_USE = s.DeviceReachable(at=BEGIN, agent_id=AgentId("1001"), device=Device.SIP, reachable=True, in_use=True)


def offered(rig: FloorRig) -> tuple[CallId, Deliver]:
    """A caller who is offered to Ada."""
    rig.ready("1001")
    caller = rig.call()
    rig.queue(caller, "sales")
    return caller, next(command for command in rig.commands if isinstance(command, Deliver))


def visits(rig: FloorRig, call_id: CallId) -> None:
    call_control.looks_in(rig.board, call_id, rig.now)
    rig.drain()


def test_a_caller_whose_commands_were_all_lost_is_offered_again_at_the_next_visit() -> None:
    rig = FloorRig()
    caller, _ = offered(rig)
    visits(rig, caller)  # an offer under way is left alone
    assert rig.live(caller).state is CallState.OFFERED
    rig.pass_time(21)
    assert rig.returned() == [caller]  # and nobody says that it was done
    rig.pass_time(60)
    assert len(rig.delivered()) == 1
    visits(rig, caller)
    assert len(rig.delivered()) == 2
    visits(rig, caller)
    assert len(rig.delivered()) == 2


def test_a_refused_delivery_of_a_caller_who_is_there_is_not_the_end() -> None:
    rig = FloorRig()
    caller, deliver = offered(rig)
    assert not_done.take_back(rig.board, deliver, rig.now)
    rig.drain()
    assert rig.live(caller).state is CallState.WAITING
    visits(rig, caller)
    assert len(rig.delivered()) == 2


def test_what_moves_a_channel_is_asked_for_again_only_while_nothing_says_that_it_was_done() -> None:
    rig = FloorRig()
    caller, deliver = offered(rig)
    rig.pass_time(21)
    back = ReturnToWait(call_id=caller, channel=rig.channel(caller))
    assert not_done.look_again(rig.board, back, rig.now)
    assert rig.drain() == [back]
    rig.waits(caller)
    assert not not_done.look_again(rig.board, back, rig.now)
    assert not not_done.look_again(rig.board, deliver, rig.now)
    rig.hang_up_caller(caller)
    assert not not_done.look_again(rig.board, back, rig.now)
    end = HangUp(channel=deliver.channel)
    assert not_done.look_again(rig.board, end, rig.now)


def test_a_delivery_that_waited_too_long_is_not_sent() -> None:
    rig = FloorRig()
    caller, deliver = offered(rig)
    assert not_done.still_wanted(rig.board, deliver)
    rig.pass_time(21)
    assert not not_done.still_wanted(rig.board, deliver)
    assert not_done.still_wanted(rig.board, HangUp(channel=deliver.channel))
    assert rig.live(caller).state is CallState.WAITING


def two_wait_for_one() -> tuple[FloorRig, CallId, OfferId]:
    """One agent, who is offered the first of two callers: the floor, the second caller, and the offer."""
    rig = FloorRig()
    rig.ready("1001")
    first, second = rig.call(), rig.call(number="+15550100003")
    rig.queue(first, "sales")
    rig.queue(second, "sales")
    offer = rig.live(first).offer_id
    assert offer is not None
    return rig, second, offer


def test_a_refusing_agent_s_telephone_is_stopped_before_it_is_rung_for_the_next() -> None:
    rig, second, offer = two_wait_for_one()
    rig.signal(IN_USE)
    rig.commands.clear()
    agents.reject(rig.board, AgentId("1001"), offer, rig.now)
    rig.drain()
    assert [type(command) for command in rig.commands] == [ReturnToWait]  # it rings still, as far as is known
    rig.signal(replace(IN_USE, in_use=False))
    assert rig.delivered() == [(second, "1001")]


def test_who_refuses_before_the_telephone_is_known_to_ring_is_rung_for_the_next_when_it_would_be_known() -> None:
    """A race in virtual time: the ReturnToWait was lost, the events were a second late, and the telephone rang for two calls."""
    rig, second, offer = two_wait_for_one()
    agents.reject(rig.board, AgentId("1001"), offer, rig.now)
    rig.drain()
    assert rig.delivered()[1:] == []
    rig.signal(IN_USE)  # late: nobody has ended it
    rig.pass_time(3)
    assert rig.delivered()[1:] == []
    rig.signal(replace(IN_USE, in_use=False))
    assert rig.delivered()[1:] == [(second, "1001")]


def test_an_outside_number_is_in_use_while_a_leg_of_ours_is() -> None:
    line = Line()
    line.board.devices[AgentId("1001"), Device.EXTERNAL] = s.DeviceReachable(
        at=line.now, agent_id=AgentId("1001"), device=Device.EXTERNAL, reachable=True, in_use=False
    )
    line.board.record(
        f.AgentChanged(at=line.now, agent_id=AgentId("1001"), state=f.AgentState.READY, device=Device.EXTERNAL)
    )
    line.board.sync_agent(AgentId("1001"), line.now)
    first = line.call()
    line.queue(first, "sales")
    line.ring(first, "1001")
    leg = line.leg("1001")
    offer = line.live(first).offer_id
    assert offer is not None
    second = line.call(number="+15550100003")
    line.queue(second, "sales")
    agents.reject(line.board, AgentId("1001"), offer, line.now)
    line.drain()
    assert line.delivered() == [(first, "1001")]
    line.signal(
        s.ChannelGone(at=line.now, channel=leg, call_id=first, agent_id=None, is_caller=False, cause=26)
    )  # fmt: skip
    assert line.delivered()[-1] == (second, "1001")


def test_who_is_in_line_by_themselves_meanwhile_is_not_sent_there() -> None:
    rig = FloorRig()
    caller, deliver = offered(rig)
    back = ReturnToWait(call_id=caller, channel=deliver.channel)
    agents.reject(rig.board, AgentId("1001"), deliver.offer_id, rig.now)
    assert not_done.still_wanted(rig.board, back)
    visits(rig, caller)  # the answer to another command was lost, and this one stood behind it for 5 s
    assert not not_done.still_wanted(rig.board, back)


def test_news_that_a_caller_waits_which_is_older_than_their_offer_ends_nothing() -> None:
    """A race in virtual time: a visit told first, and the agent's telephone rang for two calls."""
    rig = FloorRig()
    caller, deliver = offered(rig)
    older = s.WaitEntered(
        at=rig.now - timedelta(milliseconds=1), call_id=caller, channel=deliver.channel, unique_id=str(caller)
    )
    rig.signal(older)
    assert rig.live(caller).offer_id == deliver.offer_id
    rig.signal(replace(older, at=rig.now))  # a jump overwrote the Redirect
    assert rig.live(caller).offer_id != deliver.offer_id
