"""The floor on virtual time: the walk of a call, and the pains the field is known for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.ids import AgentId, ChannelName, NodeName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.commands import ReturnToWait
from cti.model.facts import AgentState, Device, HangupBy, OfferEnd
from cti.reports.call_record import fold
from cti.services import agents, audit
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import FloorRig, centre


@pytest.fixture
def rig() -> FloorRig:
    return FloorRig()


def test_the_walk_of_a_call(rig: FloorRig) -> None:
    rig.ready("1001")
    call_id = rig.call()
    rig.pass_time(4)
    commands = rig.queue(call_id)
    assert [type(c).__name__ for c in commands] == ["Deliver"]
    assert rig.board.pops[AgentId("1001")].match == "found"
    assert rig.board.agents[AgentId("1001")].state is AgentState.RESERVED
    rig.pass_time(0.2)
    rig.ring(call_id, "1001")
    assert rig.board.agents[AgentId("1001")].state is AgentState.RINGING
    rig.pass_time(3)
    rig.answer(call_id, "1001")
    assert rig.live(call_id).state is CallState.TALKING
    rig.pass_time(30)
    rig.part(call_id, rig.leg("1001"), "1001")
    rig.hang_up_caller(call_id)
    assert call_id not in rig.board.calls
    assert rig.board.agents[AgentId("1001")].state is AgentState.WRAP_UP
    rig.pass_time(10)
    assert rig.board.agents[AgentId("1001")].state is AgentState.READY
    record = fold([x for x in rig.facts if getattr(x, "call_id", None) == call_id], short_abandon={})
    assert (record.outcome, record.hangup_by) == (f.Outcome.ANSWERED, HangupBy.AGENT)
    assert (record.wait_seconds, record.ring_seconds, record.talk_seconds, record.wrap_seconds) == pytest.approx(
        (3.2, 3.0, 30, 10)
    )


def test_a_vip_who_came_second_is_served_first(rig: FloorRig) -> None:
    first, second = rig.call(), None
    rig.queue(first)
    rig.pass_time(20)
    second = rig.call(number="+15550100001", tier="vip")
    rig.queue(second)
    rig.ready("1001")
    assert rig.delivered() == [(second, "1001")]


def test_a_strict_tier_goes_before_every_head_start_and_keeps_it_over_a_restart(rig: FloorRig) -> None:
    vip, strict = rig.call(tier="vip"), rig.call(tier="rescue")
    rig.queue(vip)
    rig.pass_time(300)
    rig.queue(strict)
    again = FloorRig()
    again.now = rig.now
    again.board.recover(rig.facts, rig.now)
    again.waits(vip)
    again.waits(strict)
    for floor in (rig, again):
        floor.ready("1001")
        assert floor.delivered() == [(strict, "1001")]


def test_a_rejecting_agent_is_not_rung_again_at_once(rig: FloorRig) -> None:
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    offer = rig.board.agents[AgentId("1001")].offer_id
    assert offer is not None
    agents.reject(rig.board, AgentId("1001"), offer, rig.now)
    rig.drain()
    assert rig.returned() == [call_id]
    assert rig.board.withdrawn[AgentId("1001")] == "rejected"
    rig.signal(s.WaitEntered(at=rig.now, call_id=call_id, channel=rig.channel(call_id)))
    assert len(rig.delivered()) == 1
    rig.ready("1002")
    assert rig.delivered()[-1] == (call_id, "1002")


def test_a_failed_offer_keeps_the_place(rig: FloorRig) -> None:
    rig.ready("1001")
    first = rig.call()
    rig.queue(first)
    second = rig.call()
    rig.queue(second)
    rig.pass_time(15)
    rig.not_answered(first)
    assert [t.call_id for t in rig.board.engine.waiting(rig.live(first).queue)] in ([first, second], [first])
    rig.ready("1002")
    assert (first, "1002") in rig.delivered()


def test_an_agent_who_misses_too_often_is_set_not_ready(rig: FloorRig) -> None:
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    for _ in range(3):
        rig.pass_time(15)
        rig.not_answered(call_id)
        rig.pass_time(11)
    agent = rig.board.agents[AgentId("1001")]
    assert (agent.state, agent.reason) == (AgentState.NOT_READY, "missed_calls")


def test_a_caller_gone_frees_the_agent_at_once(rig: FloorRig) -> None:
    rig.ready("1001")
    first = rig.call()
    rig.queue(first)
    rig.hang_up_caller(first)
    assert rig.board.agents[AgentId("1001")].state is AgentState.READY
    assert rig.board.withdrawn[AgentId("1001")] == "caller_gone"
    second = rig.call()
    rig.queue(second)
    assert rig.delivered()[-1] == (second, "1001")


def test_a_late_signal_of_an_old_offer_changes_nothing(rig: FloorRig) -> None:
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    old = rig.live(call_id).offer_id
    assert old is not None
    rig.not_answered(call_id)
    rig.ready("1002")
    facts = len(rig.facts)
    rig.signal(
        s.OfferReturned(
            at=rig.now, call_id=call_id, offer_id=old, channel=rig.channel(call_id), status="NOANSWER", cause=19
        )
    )
    assert len(rig.facts) == facts
    assert rig.live(call_id).offered_agent == "1002"


def test_a_delivery_that_was_lost_on_the_way_is_made_again(rig: FloorRig) -> None:
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.waits(call_id)
    assert rig.delivered() == [(call_id, "1001")] * 2
    assert [x.end for x in rig.of(f.OfferEnded)] == [OfferEnd.SUPERSEDED]  # type: ignore[attr-defined]
    assert rig.board.agents[AgentId("1001")].missed == 0


def test_an_unregistered_phone_is_not_offered_a_call(rig: FloorRig) -> None:
    rig.ready("1001")
    rig.signal(
        s.DeviceReachable(at=rig.now, agent_id=AgentId("1001"), device=Device.SIP, reachable=False, in_use=False)
    )
    call_id = rig.call()
    rig.queue(call_id)
    assert rig.delivered() == []
    rig.ready("1001")
    assert rig.delivered() == [(call_id, "1001")]


def test_not_ready_while_talking_takes_effect_afterwards(rig: FloorRig) -> None:
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.ring(call_id, "1001")
    rig.answer(call_id, "1001")
    agents.set_agent(rig.board, AgentId("1001"), AgentState.NOT_READY, rig.now, reason="lunch", device=None)
    assert rig.board.agents[AgentId("1001")].state is AgentState.TALKING
    rig.hang_up_caller(call_id)
    rig.pass_time(10)
    agent = rig.board.agents[AgentId("1001")]
    assert (agent.state, agent.reason) == (AgentState.NOT_READY, "lunch")


def test_hold_is_measured_apart_from_talk(rig: FloorRig) -> None:
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.ring(call_id, "1001")
    rig.answer(call_id, "1001")
    rig.pass_time(10)
    for held in (True, False):
        rig.signal(
            s.HoldChanged(at=rig.now, channel=rig.leg("1001"), call_id=call_id, agent_id=AgentId("1001"), held=held)
        )
        rig.pass_time(7)
    rig.hang_up_caller(call_id)
    record = fold([x for x in rig.facts if getattr(x, "call_id", None) == call_id], short_abandon={})
    assert (record.talk_seconds, record.hold_seconds) == pytest.approx((17, 7))
    assert record.hangup_by is HangupBy.CALLER


def test_a_talk_that_is_told_after_its_agent_was_offered_the_next_caller_ends_that_offer(rig: FloorRig) -> None:
    """A race in virtual time: answered in the moment in which the offer ran out."""
    first, second = rig.call(), rig.call(number="+15550100003")
    rig.ready("1001")
    rig.queue(first)
    rig.ring(first, "1001")
    rig.ready("1002")
    rig.not_answered(first)
    rig.queue(second)
    rig.pass_time(10)
    assert rig.delivered()[1:] == [(first, AgentId("1002")), (second, AgentId("1001"))]
    commands = rig.answer(first, "1001")
    assert ReturnToWait(call_id=second, channel=rig.channel(second)) in commands
    assert (rig.live(first).talkers, rig.live(second).state) == (("1001",), CallState.WAITING)
    assert {(end.call_id, end.end) for end in rig.of(f.OfferEnded)[1:]} == {  # type: ignore[attr-defined]
        (first, OfferEnd.SUPERSEDED),
        (second, OfferEnd.SUPERSEDED),
    }
    assert audit.findings(rig.board, rig.now) == []


def test_a_lease_that_runs_out_frees_both_and_brings_the_caller_back(rig: FloorRig) -> None:
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.pass_time(21)
    assert [x.end for x in rig.of(f.OfferEnded)] == [OfferEnd.EXPIRED]  # type: ignore[attr-defined]
    assert rig.returned() == [call_id]
    assert rig.live(call_id).state in (CallState.WAITING, CallState.OFFERED)


@pytest.mark.parametrize(
    ("status", "cause", "end"),
    [
        ("BUSY", 17, OfferEnd.BUSY),
        ("BUSY", 21, OfferEnd.REJECTED),
        ("NOANSWER", 0, OfferEnd.NO_ANSWER),
        ("NOANSWER", 19, OfferEnd.NO_ANSWER),
        ("CHANUNAVAIL", 20, OfferEnd.UNREACHABLE),
        ("CONGESTION", 34, OfferEnd.UNREACHABLE),
    ],
)
def test_missed_rejected_busy_and_unreachable_are_told_apart(
    rig: FloorRig, status: str, cause: int, end: OfferEnd
) -> None:
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.not_answered(call_id, status=status, cause=cause)
    assert [x.end for x in rig.of(f.OfferEnded)] == [end]  # type: ignore[attr-defined]


def test_a_request_for_an_offer_that_is_over_is_refused_and_changes_nothing(rig: FloorRig) -> None:
    rig.ready("1001")
    with pytest.raises(Refused) as refused:
        agents.reject(rig.board, AgentId("1001"), f.OfferId(1), rig.now)
    assert refused.value.error_id == "offer_over"
    assert refused.value.remedy


def test_after_a_restart_the_floor_is_what_it_was(rig: FloorRig) -> None:
    rig.ready("1001")
    talking, ringing, waiting = rig.call(), rig.call(), rig.call(tier="vip")
    rig.queue(talking)
    rig.ring(talking, "1001")
    rig.answer(talking, "1001")
    rig.ready("1002")
    rig.queue(ringing)
    rig.pass_time(3)
    rig.queue(waiting)
    again = Switchboard(centre(), node=NodeName("t1"), now=rig.now)
    again.recover(rig.facts, rig.now)
    assert again.illegal == 0
    assert again.calls == rig.board.calls
    assert again.agents == rig.board.agents
    assert again.out.facts == []
    assert again.engine.last_offer_id == rig.board.engine.last_offer_id
    assert {x.offer_id for x in again.engine.leases()} == {x.offer_id for x in rig.board.engine.leases()}
    shown = {agent_id: (pop.offer_id, pop.call_id, pop.match) for agent_id, pop in again.pops.items()}
    assert shown == {agent_id: (pop.offer_id, pop.call_id, "looking_up") for agent_id, pop in rig.board.pops.items()}
    assert len(shown) == 2


def snapshot(rig: FloorRig, *channels: s.LiveChannel) -> s.Snapshot:
    devices = tuple(
        s.DeviceReachable(at=rig.now, agent_id=AgentId(a), device=Device.SIP, reachable=True, in_use=False)
        for a in ("1001", "1002")
    )
    return s.Snapshot(at=rig.now, channels=channels, devices=devices, restarted=False)


def caller_channel(rig: FloorRig, call_id: str, context: str, bridge: str | None = None) -> s.LiveChannel:
    call = rig.board.calls[f.CallId(call_id)]
    return s.LiveChannel(
        channel=call.channel,
        unique_id=call_id,
        call_id=call.call_id,
        offer_id=None,
        agent_id=None,
        device=None,
        context=context,
        state="Up",
        bridge_id=bridge,
        queue=call.queue,
        caller_number=call.caller_number,
        did=call.did,
        seconds=10,
    )


def test_a_snapshot_closes_calls_that_are_gone_and_keeps_the_order_of_those_that_wait(rig: FloorRig) -> None:
    from cti.services.reconcile import adopt_snapshot

    gone, first, second = rig.call(), rig.call(), rig.call()
    for call_id in (gone, first, second):
        rig.queue(call_id)
        rig.pass_time(1)
    again = FloorRig()
    again.now = rig.now + timedelta(seconds=5)
    again.board.recover(rig.facts, again.now)
    adopt_snapshot(
        again.board,
        snapshot(again, caller_channel(rig, first, "cti-wait-run"), caller_channel(rig, second, "cti-wait-run")),
        again.now,
    )
    again.drain()
    assert set(again.board.calls) == {first, second}
    again.ready("1002")
    assert again.delivered() == [(first, "1002")]


def test_a_snapshot_finds_talk_that_began_unseen(rig: FloorRig) -> None:
    from cti.services.reconcile import adopt_snapshot

    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    leg = s.LiveChannel(
        channel=ChannelName("PJSIP/1001-00000009"),
        unique_id="t1-1.9",
        call_id=call_id,
        offer_id=rig.live(call_id).offer_id,
        agent_id=AgentId("1001"),
        device=Device.SIP,
        context="cti-deliver-run",
        state="Up",
        bridge_id="b7",
        queue=None,
        caller_number=None,
        did="",
        seconds=2,
    )
    adopt_snapshot(rig.board, snapshot(rig, caller_channel(rig, call_id, "cti-deliver-run", "b7"), leg), rig.now)
    rig.drain()
    assert rig.live(call_id).state is CallState.TALKING
    assert rig.board.agents[AgentId("1001")].state is AgentState.TALKING


def test_a_call_younger_than_the_snapshot_is_not_closed_by_it(rig: FloorRig) -> None:
    from cti.services.reconcile import adopt_ledger, adopt_snapshot, unexplained

    old = rig.call()
    rig.queue(old)
    rig.pass_time(60)
    taken = snapshot(rig)
    started = f.CallStarted(
        at=rig.now + timedelta(seconds=0.3),
        call_id=f.CallId("t1-9.9"),
        node=NodeName("t1"),
        caller_number="+15550100002",
        did="5000",
        channel="PJSIP/trunk-99",
        inferred=True,
    )
    rig.pass_time(0.5)
    adopt_ledger(rig.board, [started], rig.now)
    assert unexplained(rig.board, taken)
    adopt_snapshot(rig.board, taken, rig.now)
    assert set(rig.board.calls) == {"t1-9.9"}
    assert not unexplained(rig.board, taken)


def test_a_call_that_began_a_moment_before_asterisk_died_is_closed(rig: FloorRig) -> None:
    from dataclasses import replace

    from cti.services.reconcile import adopt_snapshot, dead_before, unexplained

    young = rig.call()
    rig.queue(young)
    rig.pass_time(0.3)
    lost_at = rig.now
    rig.pass_time(0.5)  # it is back at once
    taken = replace(snapshot(rig), restarted=True)
    dead = dead_before(taken, lost_at)
    assert dead == lost_at
    assert unexplained(rig.board, taken, dead)
    assert dead_before(replace(taken, restarted=False), lost_at) is None
    late = replace(taken, channels=(replace(caller_channel(rig, young, "cti-flow-run", ""), seconds=3.0),))
    adopt_snapshot(rig.board, taken, rig.now, dead=dead)
    assert not rig.board.calls
    assert dead_before(late, lost_at) == taken.at - timedelta(seconds=4), (
        "the new Asterisk took calls before we noticed"
    )


def test_a_caller_who_hangs_up_while_they_are_put_in_line_has_not_left_before_they_came(rig: FloorRig) -> None:
    """The end is told after the flow's step and happened before it, by Asterisk's clock: seen on a busy machine."""
    call_id = rig.call()
    rig.pass_time(5)
    hung_up_at = rig.now
    rig.pass_time(0.028)
    rig.queue(call_id)
    rig.signal(
        s.ChannelGone(
            at=hung_up_at, channel=rig.channel(call_id), call_id=call_id, agent_id=None, is_caller=True, cause=16
        )
    )
    record = fold([x for x in rig.facts if getattr(x, "call_id", None) == call_id], short_abandon={})
    assert record.queued_at is not None
    assert record.ended_at == record.queued_at == hung_up_at + timedelta(seconds=0.028)


def test_who_hung_up_unheard_has_left_then_whatever_became_of_an_offer_since(rig: FloorRig) -> None:
    """The link was away: an offer ran out after the caller had gone, and Asterisk's ledger tells when that was."""
    call_id = rig.call()
    rig.ready("1001")
    rig.queue(call_id)
    assert rig.live(call_id).state is CallState.OFFERED
    rig.pass_time(3)
    hung_up_at = rig.now
    rig.pass_time(40)
    assert rig.live(call_id).since > hung_up_at
    rig.signal(
        s.ChannelGone(
            at=hung_up_at, channel=rig.channel(call_id), call_id=call_id, agent_id=None, is_caller=True, cause=16
        )
    )
    record = fold([x for x in rig.facts if getattr(x, "call_id", None) == call_id], short_abandon={})
    assert record.ended_at == hung_up_at
    assert record.wait_seconds == 3
