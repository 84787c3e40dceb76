"""Random days on the floor: whatever happens in whatever order, nobody is lost, doubled or left reserved."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.facts import AgentState, Device, OfferEnd
from cti.services import agents, desk, priority
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from tests.support.examples import NIGHTLY
from tests.support.floor_rig import FloorRig, centre

TEXT = """
name: Random days
numbers:
  "5000": {flow: main, survival_queue: support}
queues:
  support: {titles: {en: Support}, wrap_up: 10, ring_timeout: 15}
  sales: {titles: {en: Sales}, wrap_up: 0, strategy: ring_all, preferred: {last: 3600, hold: 8}}
tiers:
  vip: {head_start: 600}
agents:
  "1001": {name: Ada, queues: [support, sales]}
  "1002": {name: Bo, queues: [support, sales], delays: {no_answer: 5}}
  "1003": {name: Cai, queues: [sales]}
"""
AGENTS = ("1001", "1002", "1003")
agent_ids = st.sampled_from(AGENTS)
picks = st.integers(min_value=0, max_value=30)


class Floor(RuleBasedStateMachine):
    """Callers, agents and a telephone system that answers late, twice, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = FloorRig(TEXT)
        self.legs: dict[CallId, str] = {}

    @initialize()
    def the_floor_opens(self) -> None:
        for agent in AGENTS:
            self.rig.ready(agent)

    def pick(self, index: int, *states: CallState) -> CallId | None:
        found = sorted(c.call_id for c in self.rig.board.calls.values() if c.state in states)
        return found[index % len(found)] if found else None

    def has(self, *states: CallState) -> bool:
        return any(call.state in states for call in self.rig.board.calls.values())

    @rule(
        tier=st.sampled_from(["", "vip"]),
        queue=st.sampled_from(["support", "sales"]),
        reaches=st.sampled_from([True, True, False]),
    )
    def caller_queues(self, tier: str, queue: str, reaches: bool) -> None:
        if len(self.rig.board.calls) > 8:
            return
        call_id = self.rig.call(tier=tier)
        if reaches:
            self.rig.queue(call_id, queue)
        else:
            desk.enqueue(
                self.rig.board, call_id, QueueName(queue), self.rig.now, skills=(), head_start_of_flow=timedelta()
            )
            self.rig.drain()

    @precondition(lambda self: self.has(CallState.WAITING))
    @rule(index=picks)
    def wait_is_entered(self, index: int) -> None:
        call_id = self.pick(index, CallState.WAITING, CallState.OFFERED)
        if call_id is not None:
            self.rig.signal(s.WaitEntered(at=self.rig.now, call_id=call_id, channel=self.rig.channel(call_id)))

    @rule(agent=agent_ids, state=st.sampled_from([AgentState.READY, AgentState.NOT_READY, AgentState.OFFLINE]))
    def agent_chooses(self, agent: str, state: AgentState) -> None:
        try:
            agents.set_agent(self.rig.board, AgentId(agent), state, self.rig.now, reason="", device=None)
        except Refused:
            pass
        self.rig.drain()

    @rule(agent=agent_ids, reachable=st.booleans(), in_use=st.booleans())
    def device_changes(self, agent: str, reachable: bool, in_use: bool) -> None:
        self.rig.signal(
            s.DeviceReachable(
                at=self.rig.now, agent_id=AgentId(agent), device=Device.SIP, reachable=reachable, in_use=in_use
            )
        )

    @precondition(lambda self: self.has(CallState.OFFERED))
    @rule(index=picks)
    def rings(self, index: int) -> None:
        call_id = self.pick(index, CallState.OFFERED)
        if call_id is not None:
            self.rig.ring(call_id, self.one_of_the_offer(call_id, index))

    def one_of_the_offer(self, call_id: CallId, index: int) -> AgentId:
        offered = self.rig.live(call_id).offered_agents
        return offered[index % len(offered)]

    @precondition(lambda self: self.has(CallState.OFFERED))
    @rule(index=picks)
    def is_answered(self, index: int) -> None:
        call_id = self.pick(index, CallState.OFFERED)
        if call_id is not None:
            agent = self.one_of_the_offer(call_id, index)
            self.rig.ring(call_id, agent)
            self.rig.answer(call_id, agent, bridge=f"b-{call_id}")
            assert self.rig.live(call_id).state is CallState.TALKING

    @precondition(lambda self: self.has(CallState.OFFERED))
    @rule(index=picks, cause=st.sampled_from([0, 16, 17, 19, 20, 21]))
    def is_not_answered(self, index: int, cause: int) -> None:
        call_id = self.pick(index, CallState.OFFERED)
        if call_id is not None:
            self.rig.not_answered(call_id, status="NOANSWER", cause=cause)

    @precondition(lambda self: self.has(CallState.OFFERED))
    @rule(index=picks, cause=st.sampled_from([0, 16, 17, 19, 20, 21, 26]))
    def a_leg_ends(self, index: int, cause: int) -> None:
        call_id = self.pick(index, CallState.OFFERED)
        if call_id is not None:
            agent = self.one_of_the_offer(call_id, index)
            self.rig.ring(call_id, agent)
            gone = s.ChannelGone(
                at=self.rig.now, channel=self.rig.leg(agent), call_id=call_id, agent_id=agent, is_caller=False,
                cause=cause,
            )  # fmt: skip
            self.rig.signal(gone)
            self.rig.signal(gone)

    @precondition(lambda self: self.has(CallState.WAITING))
    @rule(index=picks, queue=st.sampled_from(["support", "sales"]))
    def supervisor_moves(self, index: int, queue: str) -> None:
        call_id = self.pick(index, CallState.WAITING)
        if call_id is not None:
            since = self.rig.live(call_id).queued_at
            priority.change_queue(self.rig.board, call_id, QueueName(queue), self.rig.now, by="ruth", reason="asked")
            self.rig.drain()
            assert (self.rig.live(call_id).queue, self.rig.live(call_id).queued_at) == (queue, since)

    @precondition(lambda self: self.has(CallState.WAITING))
    @rule(index=picks)
    def supervisor_puts_first(self, index: int) -> None:
        call_id = self.pick(index, CallState.WAITING)
        if call_id is not None:
            standing = priority.change_priority(
                self.rig.board, call_id, self.rig.now, by="ruth", reason="asked", front=True
            )
            self.rig.drain()
            assert standing.place in (None, 1)

    @precondition(lambda self: self.has(CallState.OFFERED))
    @rule(agent=agent_ids)
    def agent_rejects(self, agent: str) -> None:
        offer = self.rig.board.agents[AgentId(agent)].offer_id
        if offer is not None:
            agents.reject(self.rig.board, AgentId(agent), offer, self.rig.now)
            self.rig.drain()

    @precondition(lambda self: self.has(CallState.TALKING))
    @rule(index=picks, by_agent=st.booleans())
    def talk_ends(self, index: int, by_agent: bool) -> None:
        call_id = self.pick(index, CallState.TALKING, CallState.HELD)
        if call_id is not None:
            agent = self.rig.live(call_id).agent_id
            assert agent is not None
            if by_agent:
                for channel, (leg_call, _agent) in list(self.rig.board.legs.items()):
                    if leg_call == call_id:
                        self.rig.part(call_id, channel, agent, bridge=f"b-{call_id}")
            self.rig.hang_up_caller(call_id)

    @precondition(lambda self: self.has(*CallState))
    @rule(index=picks)
    def caller_hangs_up(self, index: int) -> None:
        call_id = self.pick(index, *[x for x in CallState if x is not CallState.ENDED])
        if call_id is not None:
            self.rig.hang_up_caller(call_id)

    @precondition(lambda self: self.has(CallState.WAITING))
    @rule(index=picks)
    def survival_takes_over(self, index: int) -> None:
        call_id = self.pick(index, CallState.MENU, CallState.WAITING, CallState.OFFERED)
        if call_id is not None:
            self.rig.signal(
                s.SurvivalBegan(at=self.rig.now, call_id=call_id, channel=self.rig.channel(call_id), queue=None)
            )

    @rule(agent=agent_ids)
    def wrap_up_is_finished(self, agent: str) -> None:
        self.rig.board.finish_wrap_up(AgentId(agent), self.rig.now)
        self.rig.drain()

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 11.0, 25.0]))
    def time_passes(self, seconds: float) -> None:
        self.rig.pass_time(seconds)

    @precondition(lambda self: len(self.rig.facts) > 3)
    @rule()
    def replaying_the_journal_gives_the_same_floor(self) -> None:
        again = Switchboard(centre(TEXT), node=NodeName("t1"), now=self.rig.now)
        again.recover(self.rig.facts, self.rig.now)
        assert again.illegal == 0
        assert again.calls == self.rig.board.calls
        for agent_id, agent in again.agents.items():
            mine = self.rig.board.agents[agent_id]
            if mine.offer_id or mine.call_id or mine.wrap_call or mine.chosen is not AgentState.OFFLINE:
                assert agent == mine

    @invariant()
    def everyone_is_in_exactly_one_place(self) -> None:
        board = self.rig.board
        tickets = {t.call_id for t in board.engine.tickets()}
        leases = {x.call_id: x for x in board.engine.leases()}
        for call in board.calls.values():
            waits = call.state in (CallState.WAITING, CallState.OFFERED)
            assert (call.call_id in tickets) == waits, (call.state, call.call_id)
            assert (call.call_id in leases) == (call.state is CallState.OFFERED)
            if call.state is CallState.OFFERED:
                lease = leases[call.call_id]
                assert (lease.offer_id, lease.agent_ids) == (call.offer_id, call.offered_agents)
        assert tickets <= set(board.calls)

    @invariant()
    def each_agent_has_at_most_one_call_or_offer(self) -> None:
        board = self.rig.board
        offered = [agent_id for c in board.calls.values() for agent_id in c.offered_agents]
        talking = [c.agent_id for c in board.calls.values() if c.state in (CallState.TALKING, CallState.HELD)]
        assert len(set(offered)) == len(offered)
        assert len(set(talking)) == len(talking)
        assert not set(offered) & set(talking)
        for agent in board.agents.values():
            assert (agent.offer_id is not None) == (agent.agent_id in offered)
            assert (agent.call_id is not None) == (agent.agent_id in talking)
            assert (agent.agent_id in board.wrap_until) == (agent.wrap_call is not None)

    @invariant()
    def each_offer_ended_at_most_once(self) -> None:
        ended = [x.offer_id for x in self.rig.facts if isinstance(x, f.OfferEnded)]
        made = [x.offer_id for x in self.rig.facts if isinstance(x, f.OfferMade)]
        assert len(set(ended)) == len(ended)
        assert len(set(made)) == len(made)
        assert set(ended) <= set(made)

    @invariant()
    def a_closed_call_is_whole(self) -> None:
        board = self.rig.board
        ends = [x.call_id for x in self.rig.facts if isinstance(x, f.CallEnded)]
        assert len(set(ends)) == len(ends)
        assert set(ends) == set(board.closed)
        answered = {x.offer_id for x in self.rig.facts if isinstance(x, f.CallAnswered)}
        settled = {x.offer_id for x in self.rig.facts if isinstance(x, f.OfferEnded) and x.end is OfferEnd.ANSWERED}
        assert answered == settled


Floor.TestCase.settings = settings(
    max_examples=5000 if NIGHTLY else 40,
    stateful_step_count=300 if NIGHTLY else 60,
    suppress_health_check=list(HealthCheck),
)
TestFloor = Floor.TestCase


@pytest.mark.timeout(3600 if NIGHTLY else 60)
@pytest.mark.parametrize("seed", range(1, 101 if NIGHTLY else 5))
def test_a_long_random_day(seed: int) -> None:
    """Hypothesis explores short odd histories; this walks a long busy one, so that every state is reached many times."""
    rng = random.Random(seed)
    busy = seed % 2 == 1
    """Otherwise one caller at a time, so that several agents are free."""
    floor = Floor()
    floor.the_floor_opens()
    for _ in range(10_000 if NIGHTLY else 800):
        act = rng.randrange(100)
        index = rng.randrange(31)
        agent = rng.choice(AGENTS)
        if act < 15 and (busy or not floor.rig.board.calls):
            floor.caller_queues(rng.choice(["", "vip"]), rng.choice(["support", "sales"]), rng.random() < 0.8)
        elif act < 22:
            floor.wait_is_entered(index)
        elif act < 29:
            floor.agent_chooses(agent, rng.choice([*[AgentState.READY] * 7, AgentState.NOT_READY]))
        elif act < 40:
            floor.device_changes(agent, rng.random() < 0.95, rng.random() < 0.05)
        elif act < 46:
            floor.rings(index)
        elif act < 58:
            floor.is_answered(index)
        elif act < 62:
            floor.is_not_answered(index, rng.choice([0, 16, 17, 19, 20, 21]))
        elif act < 64:
            floor.agent_rejects(agent)
        elif act < 67:
            floor.a_leg_ends(index, rng.choice([17, 20, 21, 26]))
        elif act < 68:
            floor.supervisor_moves(index, rng.choice(["support", "sales"]))
        elif act < 69:
            floor.supervisor_puts_first(index)
        elif act < 74:
            floor.talk_ends(index, rng.random() < 0.5)
        elif act < 78:
            floor.caller_hangs_up(index)
        elif act < 79:
            floor.survival_takes_over(index)
        elif act < 85:
            floor.wrap_up_is_finished(agent)
        else:
            floor.time_passes(rng.choice([0.0, 0.5, 3.0, 11.0, 25.0]))
        floor.everyone_is_in_exactly_one_place()
        floor.each_agent_has_at_most_one_call_or_offer()
    floor.each_offer_ended_at_most_once()
    floor.a_closed_call_is_whole()
    floor.replaying_the_journal_gives_the_same_floor()
    reached = {type(fact) for fact in floor.rig.facts}
    assert {f.CallAnswered, f.TalkEnded, f.WrapUpEnded, f.OfferEnded, f.CallEnded} <= reached
