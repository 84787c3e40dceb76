"""What queues of the field are known to get wrong, each as a test on the whole floor (virtual time, scripted telephone).

The names are those of the complaint; in brackets where it was met. The real-parts side of them: `tests/acceptance`,
`tests/integration/asterisk_*`, `tests/faults`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.acd.estimates import ExpectedWait
from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.centre import Announce
from cti.model.facts import AgentState, Device, OfferEnd, Outcome
from cti.reports.call_record import fold
from cti.services import agents, desk, reconcile
from cti.services.announcer import NOTHING, Seen, decide
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import FloorRig, centre

ADA, BO = AgentId("1001"), AgentId("1002")


@pytest.fixture
def rig() -> FloorRig:
    return FloorRig()


class Everything(frozenset[str]):
    """Every prompt there may be."""

    def __contains__(self, name: object) -> bool:
        return True


def talk(rig: FloorRig, agent: str = "1001", bridge: str = "b1") -> CallId:
    rig.ready(agent)
    call_id = rig.call()
    rig.queue(call_id)
    rig.ring(call_id, agent)
    rig.answer(call_id, agent, bridge=bridge)
    return call_id


def record_of(rig: FloorRig, call_id: CallId):  # type: ignore[no-untyped-def]
    limits = {name: queue.short_abandon for name, queue in rig.board.centre.queues.items()}
    return fold([x for x in rig.facts if getattr(x, "call_id", None) == call_id], short_abandon=limits)


def test_two_callers_never_get_one_agent_even_when_they_come_in_the_same_moment(rig: FloorRig) -> None:
    """asterisk#176: an agent with two calls."""
    rig.ready("1001")
    calls = [rig.call(number=f"+1555010000{n}") for n in range(3)]
    for call_id in calls:
        rig.queue(call_id)
    assert len(rig.delivered()) == 1
    rig.ring(calls[0], "1001")
    rig.answer(calls[0], "1001")
    rig.waits(calls[1])
    assert rig.delivered() == [(calls[0], ADA)]


def test_one_caller_is_never_answered_by_two_agents(rig: FloorRig) -> None:
    """asterisk#313: the second bridge of a call that talks already changes nothing."""
    call_id = talk(rig)
    rig.ready("1002")
    rig.signal(s.BridgeJoined(at=rig.now, bridge_id="b2", channel=rig.leg("1002"), call_id=call_id, agent_id=BO))
    assert rig.live(call_id).agent_id == ADA
    assert rig.board.agents[BO].call_id is None


def test_a_caller_who_is_gone_rings_nobody(rig: FloorRig) -> None:
    """freeswitch#2529: the agent is rung for a caller who has hung up."""
    rig.ready("1001")
    gone, there = rig.call(), rig.call(number="+15550100003")
    rig.queue(gone)
    rig.queue(there)
    rig.ring(gone, "1001")
    rig.hang_up_caller(gone)
    assert [x.end for x in rig.of(f.OfferEnded)] == [OfferEnd.CALLER_GONE]  # type: ignore[attr-defined]
    assert rig.delivered()[-1] == (there, ADA)


@pytest.mark.parametrize("end", ["no answer", "caller gone", "lost"])
def test_no_agent_stays_reserved_whatever_became_of_the_offer(rig: FloorRig, end: str) -> None:
    """freeswitch#2540, opensips#3123: reserved for ever."""
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    if end == "no answer":
        rig.not_answered(call_id)
    elif end == "caller gone":
        rig.hang_up_caller(call_id)
    else:
        rig.pass_time(60)
    rig.pass_time(60)
    if call_id in rig.board.calls:
        rig.hang_up_caller(call_id)
    assert rig.board.agents[ADA].state in (AgentState.READY, AgentState.NOT_READY)
    assert rig.board.engine.leases() == ()


def test_no_agent_stays_in_a_call_whose_end_nobody_saw(rig: FloorRig) -> None:
    """freeswitch#1062: in call for ever. The next look at the telephone system ends it."""
    call_id = talk(rig)
    rig.pass_time(30)
    nothing = s.Snapshot(at=rig.now, channels=(), devices=(), restarted=False)
    reconcile.adopt_snapshot(rig.board, nothing, rig.now)
    rig.drain()
    assert call_id not in rig.board.calls
    rig.pass_time(20)
    assert rig.board.agents[ADA].call_id is None
    assert rig.board.agents[ADA].state is AgentState.READY


def test_who_rejected_is_not_rung_again_at_once_by_the_same_call(rig: FloorRig) -> None:
    """mikopbx#1043: the agent rejects and is rung again, and again."""
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    offer = rig.live(call_id).offer_id
    assert offer is not None
    agents.reject(rig.board, ADA, offer, rig.now)
    rig.drain()
    rig.waits(call_id)
    rig.pass_time(9)
    assert len(rig.delivered()) == 1
    rig.pass_time(2)
    assert len(rig.delivered()) == 2


def test_a_caller_nobody_may_serve_does_not_block_the_one_behind(rig: FloorRig) -> None:
    """app_queue serves the head of each queue first, whether anybody can or not."""
    rig.ready("1001")
    first, second = rig.call(), rig.call(number="+15550100003")
    desk.enqueue(
        rig.board, first, QueueName("support"), rig.now, skills=(("zh", 5),), head_start_of_flow=timedelta(hours=1)
    )
    rig.drain()
    rig.waits(first)
    rig.queue(second)
    assert rig.delivered() == [(second, ADA)]


def test_the_announced_wait_does_not_rise_while_nothing_changed_ahead() -> None:
    """app_queue's announcement is a moving average, so it rises while one waits."""
    told, said = NOTHING, []
    for n, mean in enumerate([60.0, 200.0, 400.0]):
        wait = ExpectedWait(mean=mean, low=mean / 2, high=mean * 2)
        at = FloorRig().now + timedelta(seconds=40 * n)
        _, told = decide(Seen(at=at, place=2, wait=wait), told, Announce(), "en", Everything())
        said.append(told.wait)
    assert said == [said[0]] * 3


def test_wrap_up_is_neither_cut_short_nor_begun_again_by_what_comes_late(rig: FloorRig) -> None:
    """asterisk#1006, #607: wrap-up reset, or cut short by another event of the same call."""
    call_id = talk(rig)
    rig.pass_time(30)
    rig.part(call_id, rig.leg("1001"), "1001")
    until = rig.board.wrap_until[ADA]
    rig.pass_time(4)
    rig.part(call_id, rig.channel(call_id), None)
    rig.signal(
        s.ChannelGone(at=rig.now, channel=rig.leg("1001"), call_id=call_id, agent_id=ADA, is_caller=False, cause=16)
    )
    rig.hang_up_caller(call_id)
    assert rig.board.wrap_until[ADA] == until
    assert rig.board.agents[ADA].state is AgentState.WRAP_UP
    rig.pass_time(6)
    assert rig.board.agents[ADA].state is AgentState.READY


def test_an_unregistered_phone_is_not_waiting_for_calls(rig: FloorRig) -> None:
    """The agent's phone is away; the queue believes the agent waits, and each caller is offered to nobody."""
    rig.ready("1001")
    rig.signal(s.DeviceReachable(at=rig.now, agent_id=ADA, device=Device.SIP, reachable=False, in_use=False))
    call_id = rig.call()
    rig.queue(call_id)
    assert rig.delivered() == []
    assert not rig.board.engine.is_free(ADA)


def test_a_link_that_was_away_is_followed_by_a_look_at_everything(rig: FloorRig) -> None:
    """AMI reconnects without looking: calls that ended meanwhile stay, those that talk are still offered."""
    rig.ready("1001")
    gone, waits = rig.call(), rig.call(number="+15550100003")
    rig.queue(gone)
    rig.queue(waits)
    rig.pass_time(10)
    at = rig.board.calls[waits].channel
    seen = s.LiveChannel(
        channel=at,
        unique_id=waits,
        call_id=waits,
        offer_id=None,
        agent_id=None,
        device=None,
        context="cti-wait-run",
        state="Up",
        bridge_id=None,
        queue=None,
        caller_number=None,
        did="5000",
        seconds=10.0,
    )
    device = s.DeviceReachable(at=rig.now, agent_id=ADA, device=Device.SIP, reachable=True, in_use=False)
    reconcile.adopt_snapshot(
        rig.board, s.Snapshot(at=rig.now, channels=(seen,), devices=(device,), restarted=False), rig.now
    )
    rig.drain()
    assert gone not in rig.board.calls
    assert rig.delivered()[-1] == (waits, ADA)


def test_every_call_closes_and_leaves_one_record(rig: FloorRig) -> None:
    """Calls that never close: whatever state a call is in, its channel's end ends it, once."""
    rig.ready("1001")
    ended = []
    for state in ("menu", "waiting", "offered", "talking"):
        call_id = rig.call(number=f"+1555010001{len(ended)}")
        if state != "menu":
            if state == "waiting":
                agents.set_agent(rig.board, ADA, AgentState.NOT_READY, rig.now, reason="lunch", device=None)
            rig.queue(call_id)
        if state == "talking":
            rig.ring(call_id, "1001")
            rig.answer(call_id, "1001", bridge="b9")
        rig.hang_up_caller(call_id)
        ended.append(call_id)
        rig.ready("1001")
        rig.pass_time(60)
    assert rig.board.calls == {}
    assert [x.call_id for x in rig.of(f.CallEnded)] == ended  # type: ignore[attr-defined]


def test_today_s_figures_survive_a_restart(rig: FloorRig) -> None:
    """qpanel#113: figures vanish with the process that counted them."""
    call_id = talk(rig)
    rig.pass_time(30)
    rig.hang_up_caller(call_id)
    rig.pass_time(20)
    again = Switchboard(centre(), node=NodeName("t1"), now=rig.now)
    again.recover(rig.facts, rig.now)
    assert again.tally.agent(ADA) == rig.board.tally.agent(ADA)
    assert again.tally.queue(QueueName("support")).answered == 1


@pytest.mark.parametrize(("waited", "outcome"), [(3, Outcome.SHORT_ABANDON), (30, Outcome.ABANDONED)])
def test_who_hung_up_waiting_is_abandoned_and_who_was_served_is_not(
    rig: FloorRig, waited: int, outcome: Outcome
) -> None:
    """issabel#41: answered calls among the abandoned, abandoned among the answered."""
    call_id = rig.call()
    rig.queue(call_id)
    rig.pass_time(waited)
    rig.hang_up_caller(call_id)
    served = talk(rig)
    rig.hang_up_caller(served)
    assert (record_of(rig, call_id).outcome, record_of(rig, served).outcome) == (outcome, Outcome.ANSWERED)


def test_missed_and_rejected_are_told_apart(rig: FloorRig) -> None:
    """A supervisor cannot tell who was away from who did not want the call."""
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.not_answered(call_id)
    rig.pass_time(11)
    rig.not_answered(call_id, status="BUSY", cause=21)
    ends = [x.end for x in rig.of(f.OfferEnded)]  # type: ignore[attr-defined]
    assert ends == [OfferEnd.NO_ANSWER, OfferEnd.REJECTED]


def test_answered_means_that_both_were_in_one_bridge(rig: FloorRig) -> None:
    """chatwoot#15675: "answered" with no audio bridged."""
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.ring(call_id, "1001")
    rig.signal(s.BridgeJoined(at=rig.now, bridge_id="b1", channel=rig.leg("1001"), call_id=call_id, agent_id=ADA))
    assert rig.of(f.CallAnswered) == []
    assert rig.live(call_id).state is CallState.OFFERED
    rig.signal(s.BridgeJoined(at=rig.now, bridge_id="b1", channel=rig.channel(call_id), call_id=call_id, agent_id=None))
    assert rig.live(call_id).state is CallState.TALKING


def test_an_offer_that_is_over_cannot_be_taken_or_refused_late(rig: FloorRig) -> None:
    """Late clicks on an old screen pop end somebody else's call."""
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    old = rig.live(call_id).offer_id
    assert old is not None
    rig.not_answered(call_id)
    rig.pass_time(11)
    with pytest.raises(Refused):
        agents.reject(rig.board, ADA, old, rig.now)
    assert rig.live(call_id).offer_id not in (None, old)
