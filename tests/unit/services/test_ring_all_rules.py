"""One offer to several agents: all ring, one wins, and every way in which it ends frees everybody."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.ids import AgentId, CallId, ChannelName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.commands import Deliver, HangUp
from cti.model.facts import AgentState, Device, OfferEnd
from cti.reports.call_record import fold
from cti.services import agents
from cti.services.audit import findings
from cti.services.floor import Refused
from tests.support.floor_rig import FloorRig

TEXT = """
name: Together
numbers:
  "5000": {flow: main, survival_queue: support}
queues:
  support: {titles: {en: Support}, strategy: ring_all, wrap_up: 5, ring_timeout: 15}
  sales: {titles: {en: Sales}, wrap_up: 0}
agents:
  "1001": {name: Ada, queues: [support, sales]}
  "1002": {name: Bo, queues: [support], miss_limit: 1}
  "1003": {name: Cai, queues: [support, sales], delays: {no_answer: 30}}
"""
A, B, C = AgentId("1001"), AgentId("1002"), AgentId("1003")


def offered(*, external: AgentId | None = None) -> tuple[FloorRig, CallId]:
    """Three agents are ready; a caller's offer goes to all of them."""
    rig = FloorRig(TEXT)
    for agent_id in (A, B, C):
        if agent_id == external:
            there = s.DeviceReachable(
                at=rig.now, agent_id=agent_id, device=Device.EXTERNAL, reachable=True, in_use=False
            )
            rig.board.record(
                f.AgentChanged(at=rig.now, agent_id=agent_id, state=AgentState.READY, device=Device.EXTERNAL)
            )
            rig.signal(there)
        else:
            rig.ready(agent_id)
        rig.pass_time(1)
    call_id = rig.call()
    rig.queue(call_id)
    return rig, call_id


def states(rig: FloorRig) -> list[str]:
    return [rig.board.agents[agent_id].state.value for agent_id in (A, B, C)]


def leg_gone(rig: FloorRig, call_id: CallId, agent: AgentId, cause: int) -> None:
    rig.signal(
        s.ChannelGone(at=rig.now, channel=rig.leg(agent), call_id=call_id, agent_id=agent, is_caller=False, cause=cause)
    )


def whole(rig: FloorRig) -> None:
    """The books agree, and a restarted floor knows the same."""
    assert findings(rig.board, rig.now) == []
    again = FloorRig(TEXT)
    again.board.recover(rig.facts, rig.now)
    assert again.board.illegal == 0
    assert again.board.agents == rig.board.agents
    assert again.board.calls == rig.board.calls


def test_all_ring_one_answers_the_others_are_ready_again_without_a_miss() -> None:
    rig, call_id = offered()
    (deliver,) = [c for c in rig.commands if isinstance(c, Deliver)]
    assert (deliver.agent_id, deliver.others) == (A, ((B, Device.SIP), (C, Device.SIP)))
    assert set(rig.board.pops) == {A, B, C}
    assert {pop.agent_id for pop in rig.board.pops.values()} == {A, B, C}
    assert states(rig) == ["reserved"] * 3
    for agent in (A, B, C):
        rig.pass_time(0.1)
        rig.ring(call_id, agent)
    assert states(rig) == ["ringing"] * 3
    whole(rig)
    rig.pass_time(3)
    rig.answer(call_id, B)
    assert states(rig) == ["ready", "talking", "ready"]
    assert set(rig.board.pops) == {B}
    assert rig.board.withdrawn == {A: "answered_elsewhere", C: "answered_elsewhere"}
    assert [rig.board.agents[agent].missed for agent in (A, B, C)] == [0, 0, 0]
    (ended,) = rig.of(f.OfferEnded)
    assert isinstance(ended, f.OfferEnded)
    assert (ended.end, ended.agent_id, ended.others) == (OfferEnd.ANSWERED, B, (A, C))
    whole(rig)
    for agent in (A, C):  # the legs that were let go
        leg_gone(rig, call_id, agent, 26)
    assert states(rig) == ["ready", "talking", "ready"]
    rig.pass_time(20)
    rig.part(call_id, rig.leg(B), B)
    rig.hang_up_caller(call_id)
    rig.pass_time(6)
    assert states(rig) == ["ready"] * 3
    record = fold([x for x in rig.facts if getattr(x, "call_id", None) == call_id])
    assert (record.outcome, record.agent, record.talk_seconds) == (f.Outcome.ANSWERED, B, 20)
    assert record.ring_seconds == pytest.approx(3.1)  # Bo's phone, not the first that rang
    assert rig.board.tally.agent(B).calls == 1
    assert rig.board.tally.agent(A).calls == 0
    whole(rig)


def test_a_loser_gets_the_next_call_at_once() -> None:
    rig, call_id = offered()
    for agent in (A, B, C):
        rig.ring(call_id, agent)
    rig.answer(call_id, A)
    rig.serial += 1
    second = rig.call(number="+15550100003")
    commands = rig.queue(second)
    assert [(c.agent_id, [a for a, _ in c.others]) for c in commands if isinstance(c, Deliver)] == [(B, [C])]


def test_nobody_answers_each_has_missed_and_who_did_not_ring_was_out_of_reach() -> None:
    rig, call_id = offered()
    for agent in (A, B):
        rig.ring(call_id, agent)
    rig.pass_time(15)
    rig.signal(
        s.OfferReturned(
            at=rig.now, call_id=call_id, offer_id=rig.live(call_id).offer_id or 0, channel=rig.channel(call_id),
            status="NOANSWER", cause=19,
        )
    )  # fmt: skip
    ends = {x.agent_id: x.end for x in rig.facts if isinstance(x, f.OfferDeclined | f.OfferEnded)}
    assert ends == {C: OfferEnd.UNREACHABLE, A: OfferEnd.NO_ANSWER}
    (ended,) = [x for x in rig.facts if isinstance(x, f.OfferEnded)]
    assert ended.others == (B,)
    assert [rig.board.agents[agent].missed for agent in (A, C)] == [1, 1]
    assert rig.board.agents[B].chosen is AgentState.NOT_READY  # the limit is one
    assert rig.live(call_id).state is CallState.WAITING
    whole(rig)
    # The same call does not ring them again at once; after the pauses it does.
    assert rig.waits(call_id) == []
    rig.pass_time(10.5)
    assert [c.agent_id for c in rig.commands if isinstance(c, Deliver)][1:] in ([A], [C])


def test_pauses_are_each_agents_own() -> None:
    rig, call_id = offered()
    for agent in (A, B, C):
        rig.ring(call_id, agent)
    rig.not_answered(call_id)
    paused = [rig.board.agents[agent].paused_until for agent in (A, B, C)]
    assert paused == [None, None, rig.now + timedelta(seconds=30)]
    whole(rig)


@pytest.mark.parametrize(("cause", "end"), [(21, OfferEnd.REJECTED), (17, OfferEnd.BUSY), (20, OfferEnd.UNREACHABLE)])
def test_who_refuses_is_out_alone_and_the_last_ends_the_offer(cause: int, end: OfferEnd) -> None:
    rig, call_id = offered()
    for agent in (A, B, C):
        rig.ring(call_id, agent)
    leg_gone(rig, call_id, A, cause)
    assert (rig.live(call_id).state, rig.live(call_id).offered_agents) == (CallState.OFFERED, (B, C))
    assert rig.board.agents[A].missed == 1
    assert rig.board.withdrawn == {A: end.value}
    assert states(rig)[1:] == ["ringing", "ringing"]
    whole(rig)
    leg_gone(rig, call_id, C, cause)
    leg_gone(rig, call_id, B, cause)
    call = rig.live(call_id)
    assert (call.state, call.offer_id) == (CallState.WAITING, None)
    (ended,) = [x for x in rig.facts if isinstance(x, f.OfferEnded)]
    assert (ended.agent_id, ended.end, ended.others) == (B, end, ())
    # The deliver context says so, too; nothing changes by it.
    before = len(rig.facts)
    rig.signal(
        s.OfferReturned(
            at=rig.now, call_id=call_id, offer_id=ended.offer_id, channel=call.channel, status="BUSY", cause=cause
        )
    )
    assert len(rig.facts) == before
    whole(rig)


@pytest.mark.parametrize("cause", [0, 16, 19, 26])
def test_a_leg_that_the_dial_ended_says_nothing_of_its_agent(cause: int) -> None:
    rig, call_id = offered()
    rig.ring(call_id, A)
    leg_gone(rig, call_id, A, cause)
    assert rig.live(call_id).offered_agents == (A, B, C)


def test_refusing_on_the_page_stops_ones_own_phone_only() -> None:
    rig, call_id = offered()
    offer_id = rig.live(call_id).offer_id or 0
    rig.ring(call_id, A)
    agents.reject(rig.board, A, offer_id, rig.now)
    assert [c for c in rig.drain() if isinstance(c, HangUp)] == [HangUp(channel=rig.leg(A))]
    assert rig.live(call_id).offered_agents == (B, C)
    with pytest.raises(Refused, match="over"):
        agents.reject(rig.board, A, offer_id, rig.now)
    # Before the phone is called at all: it is stopped when it is.
    agents.reject(rig.board, B, offer_id, rig.now)
    assert rig.drain() == []
    rig.ring(call_id, B)
    assert HangUp(channel=rig.leg(B)) in rig.commands
    agents.reject(rig.board, C, offer_id, rig.now)
    assert [type(c).__name__ for c in rig.drain()] == ["ReturnToWait"]
    assert rig.live(call_id).state is CallState.WAITING
    whole(rig)


def test_the_caller_hangs_up_and_all_are_free() -> None:
    rig, call_id = offered()
    for agent in (A, B, C):
        rig.ring(call_id, agent)
    rig.hang_up_caller(call_id)
    assert states(rig) == ["ready"] * 3
    assert [rig.board.agents[agent].missed for agent in (A, B, C)] == [0, 0, 0]
    assert rig.board.withdrawn == dict.fromkeys((A, B, C), "caller_gone")
    whole(rig)


def test_an_offer_to_several_over_a_restart() -> None:
    rig, call_id = offered()
    for agent in (A, B, C):
        rig.ring(call_id, agent)
    leg_gone(rig, call_id, C, 21)
    again = FloorRig(TEXT)
    again.now, again.serial = rig.now, rig.serial
    again.board.recover(rig.facts, rig.now)
    lease = again.board.engine.lease_of_call(call_id)
    assert lease is not None
    assert lease.agent_ids == (A, B)
    assert set(again.board.pops) == {A, B}
    again.answer(call_id, B)
    assert again.board.agents[A].state is AgentState.READY
    assert again.board.agents[B].state is AgentState.TALKING
    assert findings(again.board, again.now) == []


def test_a_lease_that_runs_out_frees_everybody() -> None:
    rig, call_id = offered()
    rig.pass_time(60)
    assert {x.end for x in rig.facts if isinstance(x, f.OfferEnded | f.OfferDeclined)} == {OfferEnd.EXPIRED}
    assert call_id in rig.returned()
    assert findings(rig.board, rig.now) == []


def test_somebody_else_has_the_caller() -> None:
    """Found in a bridge with an agent who is out of the offer: the truth counts, the offer is over for all."""
    rig, call_id = offered()
    for agent in (A, B, C):
        rig.ring(call_id, agent)
    leg_gone(rig, call_id, A, 21)
    rig.answer(call_id, A)
    assert rig.live(call_id).agent_id == A
    assert states(rig) == ["talking", "ready", "ready"]
    whole(rig)


def test_outside_numbers_are_not_rung_together_with_others() -> None:
    rig, call_id = offered(external=B)
    (deliver,) = [c for c in rig.commands if isinstance(c, Deliver)]
    assert (deliver.agent_id, deliver.others) == (A, ((C, Device.SIP),))
    assert states(rig) == ["reserved", "ready", "reserved"]
    assert rig.board.engine.lease_of_agent(B) is None
    whole(rig)
    rig, call_id = offered(external=A)
    (deliver,) = [c for c in rig.commands if isinstance(c, Deliver)]
    assert (deliver.agent_id, deliver.device, deliver.others) == (A, Device.EXTERNAL, ())
    assert not rig.live(call_id).several
    assert states(rig) == ["reserved", "ready", "ready"]
    assert ChannelName(rig.channel(call_id)) == deliver.channel


def test_an_offer_that_was_answered_while_nobody_watched_does_not_run_out_before_it_is_seen() -> None:
    rig, call_id = offered()
    for agent in (A, B, C):
        rig.ring(call_id, agent)
    again = FloorRig(TEXT)
    again.now, again.serial = rig.now + timedelta(minutes=1), rig.serial
    again.board.recover(rig.facts, again.now)
    assert again.board.out.facts == []
    again.answer(call_id, C)
    (ended,) = [x for x in again.facts if isinstance(x, f.OfferEnded)]
    assert (ended.end, ended.agent_id, ended.others) == (OfferEnd.ANSWERED, C, (A, B))
    other, call_id = offered()
    again = FloorRig(TEXT)
    again.now = other.now + timedelta(minutes=1)
    again.board.recover(other.facts, again.now)
    again.pass_time(11)
    assert [x.end for x in again.facts if isinstance(x, f.OfferEnded)] == [OfferEnd.EXPIRED]
