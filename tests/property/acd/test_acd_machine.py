"""Random histories of a small floor: the engine decides what the plain oracle decides, and the promises hold.

`CTI_HYPOTHESIS=nightly` runs a million steps and more (the last test counts them); without it a few seconds' worth, the
same every time. A step is one rule of the machine below; most tell the engine one thing, some several.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from acd_oracle import Oracle
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cti.acd.decisions import Expired, Ignored, Offer, Released
from cti.acd.engine import Engine
from cti.acd.inputs import (
    AgentBusy,
    AgentDeclined,
    AgentFree,
    AgentTallied,
    CallerJoined,
    CallerLeft,
    CallerMoved,
    CallerNotReady,
    CallerReady,
    CallerReprioritised,
    CentreChanged,
    LeaseRestored,
    OfferSettled,
    Tick,
)
from cti.errors import IllegalTransition
from cti.model.centre import Agent, Centre, Queue, Relaxation, Strategy
from cti.model.facts import AgentState, OfferEnd
from cti.model.requirement import ANYBODY, parse_requirement
from tests.support.examples import NIGHTLY

PROFILE = settings(
    max_examples=10_000 if NIGHTLY else 80,
    stateful_step_count=150 if NIGHTLY else 50,
    database=None,
    phases=(Phase.generate,) if os.environ.get("CTI_HYPOTHESIS") == "no-shrink" else tuple(Phase),
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.timeout(0 if NIGHTLY else 60)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
AGENTS = {
    "1001": (("support",), {"en": 5}),
    "1002": (("support",), {"en": 5}),
    "1003": (("support", "sales"), {"en": 3, "zh": 4}),
    "1004": (("sales",), {}),
    "1005": (("support", "sales", "vip"), {"en": 5, "zh": 5}),
}


def steps(*pairs):
    return tuple(Relaxation(after=timedelta(seconds=after), skills=skills) for after, skills in pairs)


def a_centre(
    agents=AGENTS,
    *,
    vip=True,
    support_skills=None,
    pause=10,
    ceiling=None,
    ways=(Strategy.LONGEST_IDLE,),
    relax=(),
    tiers=None,
    tier_wait=0,
    requires=ANYBODY,
):
    queues = [
        Queue(
            name="support",
            titles={},
            refusal_pause=timedelta(seconds=pause),
            skills=support_skills or {},
            requires=requires,
            ceiling=ceiling and timedelta(seconds=ceiling),
            strategy=ways[0],
            relax=steps(*relax),
            tier_wait=timedelta(seconds=tier_wait),
        ),
        Queue(name="sales", titles={}, refusal_pause=timedelta(), ring_timeout=timedelta(seconds=5), strategy=ways[-1]),
    ]
    if vip:
        queues.append(
            Queue(
                name="vip",
                titles={},
                refusal_pause=timedelta(seconds=3),
                skills={"en": 4},
                ceiling=timedelta(seconds=9),
                relax=steps((6, {"en": 1})),
            )
        )
    return Centre(
        name="test",
        queues={queue.name: queue for queue in queues},
        agents={
            a: Agent(agent_id=a, name=a, queues=q, skills=s, weight=1 + int(a) % 3, tiers=(tiers or {}).get(a, {}))
            for a, (q, s) in agents.items()
        },
        tiers={},
        numbers={},
    )


EN_OR_ZH = parse_requirement("en>=5 or zh>=4")
TIERS = {"1002": {"support": 2}, "1003": {"support": 3, "sales": 2}, "1005": {"support": 2, "vip": 4}}
CENTRES = [
    a_centre(),
    a_centre({a: v for a, v in AGENTS.items() if a not in ("1001", "1005")}),
    a_centre(AGENTS | {"1004": (("support", "vip"), {"en": 5})}, support_skills={"en": 4}, pause=25, ceiling=15),
    a_centre(vip=False),
    a_centre(support_skills={"en": 4}, relax=((4, {"en": 3, "zh": 4}), (12, {"zh": 0}), (13.5, {"en": 0}))),
    a_centre({a: v for a, v in AGENTS.items() if a != "1005"}, relax=((7, {"zh": 2}),), ceiling=7),
    *(a_centre(ways=pair, support_skills={"en": 4}, pause=5, relax=((8, {"en": 2}),)) for pair in pairwise(Strategy)),
    a_centre(tiers=TIERS, requires=EN_OR_ZH),
    a_centre(tiers=TIERS, tier_wait=4, relax=((4, {"zh": 0}), (6, {"en": 2})), support_skills={"en": 3}),
    a_centre(tiers=TIERS | {"1001": {"support": 2}}, tier_wait=6, ways=(Strategy.BEST_SKILL, Strategy.RING_ALL)),
    a_centre(tiers=TIERS, ways=(Strategy.RING_ALL, Strategy.RANDOM), requires=EN_OR_ZH, relax=((5, {"en": 1}),)),
    a_centre(ways=(Strategy.RING_ALL,), pause=0, vip=False),
    a_centre(ways=(Strategy.RING_ALL,), tiers=TIERS, tier_wait=3, ceiling=12),
]
SKILLS = [(), (), (("en", 3),), (("en", 4),), (("zh", 4),), (("en", 2), ("zh", 5))]
seconds = st.integers(0, 40).map(lambda n: timedelta(seconds=n / 2))
a_queue = st.sampled_from(["support", "support", "sales", "vip"])
a_head_start = st.sampled_from([0, 0, 0, 60, 300, -30])
a_strict = st.sampled_from([0, 0, 0, 1, 2])
some_skills = st.sampled_from(SKILLS)
some_requirement = st.sampled_from(
    [ANYBODY] * 4 + [parse_requirement(text) for text in ("en>=4 or zh>=5", "(en>=3 and zh) or en>=5", "zh>=4")]
)
a_preference = st.none() | st.tuples(
    st.sampled_from([*sorted(AGENTS), *sorted(AGENTS), "1009"]), st.sampled_from([-1, 3, 10, 30])
)
short = st.sampled_from([0, 0, 0, 0.5, 1, 3, 8]).map(lambda n: timedelta(seconds=n))


def plain(decision):
    match decision:
        case Offer():
            return ("offer", decision.offer_id, decision.call_id, decision.agent_ids, decision.deadline)
        case Expired():
            return ("expired", decision.offer_id, decision.call_id, decision.agent_ids)
        case Released():
            return ("released", decision.offer_id, decision.call_id, decision.agent_ids, decision.end)
        case Ignored():
            return ("ignored",)


def state_of(engine):
    """Everything that can be asked of an engine, to see that nothing changed."""
    return (
        engine.tickets(),
        engine.leases(),
        engine.last_offer_id,
        {queue: engine.waiting(queue) for queue in ("support", "sales", "vip")},
        {agent: (engine.is_free(agent), engine.lease_of_agent(agent)) for agent in AGENTS},
    )


def held(preference, now):
    """The fields by which a call prefers an agent."""
    if preference is None:
        return {}
    return {"preferred": preference[0], "hold_until": now + timedelta(seconds=preference[1])}


TAKEN = {"steps": 0, "inputs": 0, "offers": 0, "several": 0, "held": 0, "holding": 0}


class Floor(RuleBasedStateMachine):
    @initialize(
        centre=st.sampled_from(CENTRES), there=st.sets(st.sampled_from(sorted(AGENTS))), busy=st.sampled_from([0, 0, 1])
    )
    def open(self, centre, there, busy):
        self.first = centre
        self.now = START
        self.engine = Engine(centre)
        self.oracle = Oracle(centre)
        self.inputs = []
        self.outputs = []
        self.ever = []
        self.offers = []
        for agent_id in sorted(there & centre.agents.keys()):
            self.do(AgentBusy(agent_id=agent_id) if busy else AgentFree(agent_id=agent_id, idle_since=self.now))

    def do(self, event, wait=timedelta()):
        self.now += wait
        decisions = self.engine.handle(event, self.now)
        self.inputs.append((event, self.now))
        self.outputs.append(decisions)
        TAKEN["inputs"] += 1
        assert [plain(decision) for decision in decisions] == self.oracle.handle(event, self.now)
        self.check_records(decisions)
        self.offers += [d.offer_id for d in decisions if isinstance(d, Offer)]
        return decisions

    def check_records(self, decisions):
        for decision in decisions:
            if isinstance(decision, Offer):
                record = decision.record
                assert record.candidates[0].agent_id == decision.agent_id
                TAKEN["offers"] += 1
                TAKEN["several"] += len(decision.agent_ids) > 1
                TAKEN["held"] += record.held_for is not None
                ranked = [(candidate.tier, -candidate.score) for candidate in record.candidates]
                assert ranked == sorted(ranked)
                assert [c.agent_id for c in record.candidates][: len(decision.agent_ids)] == list(decision.agent_ids)
                named = [c.agent_id for c in record.candidates] + [e.agent_id for e in record.excluded]
                staff = {a for a, v in self.oracle.centre.agents.items() if decision.queue in v.queues}
                assert len(named) == len(set(named))
                assert set(named) == staff
                assert record.more_candidates == record.more_staff == 0

    def refuses(self, event):
        before = state_of(self.engine)
        with pytest.raises(IllegalTransition):
            self.engine.handle(event, self.now)
        assert state_of(self.engine) == before

    def some_call(self, data):
        return data.draw(st.sampled_from(self.ever[-12:]), "call")

    # --- what happens on a floor

    @rule(
        queue=a_queue,
        ago=seconds,
        head_start=a_head_start,
        skills=some_skills,
        deliverable=st.booleans(),
        wait=short,
        strict=a_strict,
        requires=some_requirement,
        preference=a_preference,
    )
    def join(self, queue, ago, head_start, skills, deliverable, wait, strict, requires=ANYBODY, preference=None):
        call_id = f"a1-{len(self.ever):04}"
        event = CallerJoined(
            call_id=call_id,
            queue=queue,
            queued_at=self.now - ago,
            head_start=timedelta(seconds=head_start),
            strict=strict,
            skills=skills,
            requires=requires,
            deliverable=deliverable,
            **held(preference, self.now),
        )
        if queue not in self.oracle.centre.queues:
            self.refuses(event)
            return
        self.ever.append(call_id)
        self.do(event, wait)
        self.refuses(event)

    @rule(
        calls=st.lists(
            st.tuples(a_queue, seconds, a_head_start, some_skills, a_strict, some_requirement, a_preference),
            min_size=2,
            max_size=8,
        )
    )
    def rush(self, calls):
        for queue, ago, head_start, skills, strict, requires, preference in calls:
            self.join(queue, ago, head_start, skills, True, timedelta(), strict, requires, preference)

    @precondition(lambda self: self.ever)
    @rule(data=st.data(), is_ready=st.booleans(), wait=short)
    def ready_or_not(self, data, is_ready, wait):
        self.do((CallerReady if is_ready else CallerNotReady)(call_id=self.some_call(data)), wait)

    @precondition(lambda self: self.ever)
    @rule(data=st.data(), head_start=a_head_start, strict=a_strict, wait=short)
    def reprioritise(self, data, head_start, strict, wait):
        call_id = self.some_call(data)
        lease = self.engine.lease_of_call(call_id)
        before = self.engine.ticket(call_id)
        self.do(CallerReprioritised(call_id=call_id, head_start=timedelta(seconds=head_start), strict=strict), wait * 0)
        assert lease is None or self.engine.lease(lease.offer_id) is lease
        assert before is None or self.engine.ticket(call_id).queued_at == before.queued_at

    @precondition(lambda self: self.ever)
    @rule(
        data=st.data(),
        queue=a_queue,
        head_start=a_head_start,
        strict=a_strict,
        skills=some_skills,
        requires=some_requirement,
        preference=a_preference,
    )
    def move(self, data, queue, head_start, strict, skills, requires, preference):
        call_id = self.some_call(data)
        event = CallerMoved(
            call_id=call_id,
            queue=queue,
            head_start=timedelta(seconds=head_start),
            strict=strict,
            skills=skills,
            requires=requires,
            **held(preference, self.now),
        )
        if queue not in self.oracle.centre.queues and call_id in self.oracle.calls:
            self.refuses(event)
            return
        lease = self.engine.lease_of_call(call_id)
        self.do(event)
        assert lease is None or self.engine.lease(lease.offer_id) is lease

    @precondition(lambda self: self.ever)
    @rule(data=st.data(), wait=short)
    def leave(self, data, wait):
        call_id = self.some_call(data)
        self.do(CallerLeft(call_id=call_id), wait)
        assert self.engine.ticket(call_id) is None
        assert self.engine.lease_of_call(call_id) is None

    @rule(agent_id=st.sampled_from(sorted(AGENTS)), ago=seconds, wait=short)
    def free(self, agent_id, ago, wait):
        event = AgentFree(agent_id=agent_id, idle_since=self.now - ago)
        if agent_id in self.oracle.centre.agents:
            self.do(event, wait)
        else:
            self.refuses(event)

    @rule(agents=st.sets(st.sampled_from(sorted(AGENTS)), min_size=2), queue=a_queue)
    def a_quiet_moment_and_then_a_call(self, agents, queue):
        for call_id in list(self.oracle.calls):
            self.do(CallerLeft(call_id=call_id))
        for agent_id in sorted(agents):
            self.free(agent_id, timedelta(), timedelta())
        self.join(queue, timedelta(), 0, (), True, timedelta(), 0)

    @precondition(lambda self: any(self.engine.held_for(call_id) for call_id in self.ever[-12:]))
    @rule(data=st.data(), ready=st.booleans())
    def somebody_is_waited_for_and_comes(self, data, ready):
        held = [call_id for call_id in self.ever[-12:] if self.engine.held_for(call_id)]
        call_id = data.draw(st.sampled_from(held), "call")
        if ready:
            self.do(CallerReady(call_id=call_id))
        agent_id = self.engine.held_for(call_id)
        if agent_id is not None:
            self.free(agent_id, timedelta(), timedelta())

    @rule(agents=st.lists(st.sampled_from(sorted(AGENTS)), min_size=2, max_size=5, unique=True))
    def several_free(self, agents):
        for agent_id in agents:
            self.free(agent_id, timedelta(), timedelta())

    @rule(
        agent_id=st.sampled_from(sorted(AGENTS)),
        state=st.sampled_from([AgentState.OFFLINE, AgentState.NOT_READY, AgentState.WRAP_UP, AgentState.TALKING]),
        wait=short,
    )
    def busy(self, agent_id, state, wait):
        self.do(AgentBusy(agent_id=agent_id, state=state), wait)

    @rule(agent_id=st.sampled_from(sorted(AGENTS)), calls=st.integers(0, 3), talk=seconds)
    def tally(self, agent_id, calls, talk):
        assert self.do(AgentTallied(agent_id=agent_id, calls=calls, talk=talk)) == ()

    @precondition(lambda self: self.oracle.offers)
    @rule(data=st.data(), end=st.sampled_from(OfferEnd), wait=short)
    def settle(self, data, end, wait):
        offer_id = data.draw(st.sampled_from(sorted(self.oracle.offers)), "offer")
        call_id, agents = self.oracle.offers[offer_id].call_id, list(self.oracle.offers[offer_id].agents)
        winner = data.draw(st.sampled_from(agents), "winner") if end is OfferEnd.ANSWERED else None
        if winner is not None:
            self.refuses(OfferSettled(offer_id=offer_id, end=end, agent_id="1009"))
            if len(agents) > 1:
                self.refuses(OfferSettled(offer_id=offer_id, end=end))
        self.do(OfferSettled(offer_id=offer_id, end=end, agent_id=winner), wait)
        for lease in (self.engine.lease_of_call(call_id), *map(self.engine.lease_of_agent, agents)):
            assert lease is None or lease.offer_id != offer_id, "an exit frees all sides"

    @precondition(lambda self: self.oracle.offers)
    @rule(data=st.data(), end=st.sampled_from(OfferEnd), wait=short)
    def decline(self, data, end, wait):
        offer_id = data.draw(st.sampled_from(sorted(self.oracle.offers)), "offer")
        agent_id = data.draw(st.sampled_from([*self.oracle.offers[offer_id].agents, *AGENTS]), "agent")
        event = AgentDeclined(offer_id=offer_id, agent_id=agent_id, end=end)
        if end in (OfferEnd.ANSWERED, OfferEnd.CALLER_GONE):
            self.refuses(event)
            return
        self.do(event, wait)
        lease = self.engine.lease_of_agent(agent_id)
        assert lease is None or lease.offer_id != offer_id

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), end=st.sampled_from(OfferEnd))
    def settle_late(self, data, end):
        over = [offer_id for offer_id in self.offers[-20:] if offer_id not in self.oracle.offers]
        if over:
            before = state_of(self.engine)
            (ignored,) = self.do(OfferSettled(offer_id=data.draw(st.sampled_from(over)), end=end))
            assert isinstance(ignored, Ignored)
            assert state_of(self.engine) == before

    @precondition(lambda self: len(self.oracle.offers) > 1)
    @rule(ends=st.lists(st.sampled_from(OfferEnd), min_size=2, max_size=5))
    def settle_several(self, ends):
        for offer_id, end in zip(sorted(self.oracle.offers), ends, strict=False):
            if offer_id not in self.oracle.offers:
                continue
            self.do(OfferSettled(offer_id=offer_id, end=end, agent_id=self.oracle.offers[offer_id].agents[-1]))
        self.refuses(OfferSettled(offer_id=self.engine.last_offer_id + 1, end=ends[0]))

    @rule(wait=seconds)
    def time_passes(self, wait):
        due = self.engine.next_due(self.now)
        decisions = self.do(Tick(), wait)
        if due is None or self.now < due:
            assert decisions == ()

    @rule()
    def time_passes_until_something_is_due(self):
        due = self.engine.next_due(self.now)
        if due is not None:
            self.do(Tick(), due - self.now)
            after = self.engine.next_due(self.now)
            assert after is None or after > self.now

    @rule(centre=st.sampled_from(CENTRES))
    def change_centre(self, centre):
        before = {queue: self.engine.waiting(queue) for queue in ("support", "sales", "vip")}
        leases = self.engine.leases()
        decisions = self.do(CentreChanged(centre=centre))
        served = {decision.call_id for decision in decisions}
        for queue, tickets in before.items():
            # Nobody is lost or added; the order is the same unless a ceiling is (`places_follow_the_serving_order`).
            kept = {t.call_id for t in tickets} - served
            assert kept == {t.call_id for t in self.engine.waiting(queue)}
        assert self.engine.leases()[: len(leases)] == leases

    @rule(
        data=st.data(),
        agents=st.lists(st.sampled_from(sorted(AGENTS)), min_size=1, max_size=3),
        rest=st.integers(1, 20).map(lambda n: timedelta(seconds=n)),
    )
    def restore_lease(self, data, agents, rest):
        call_id = data.draw(st.sampled_from([*self.ever[-6:], "a1-none"]), "call")
        call, people = self.oracle.calls.get(call_id), [self.oracle.people.get(agent_id) for agent_id in agents]
        event = LeaseRestored(
            offer_id=self.engine.last_offer_id + 5,
            call_id=call_id,
            agent_id=agents[0],
            others=tuple(agents[1:]),
            deadline=self.now + rest,
        )
        bound = call is None or call.offer is not None or any(p is None or p.offer is not None for p in people)
        if bound or len(set(agents)) < len(agents):
            self.refuses(event)
        else:
            self.do(event)

    # --- what is always true

    @invariant()
    def nobody_is_bound_twice(self):
        leases = self.engine.leases()
        assert len({lease.call_id for lease in leases}) == len(leases)
        bound = [agent_id for lease in leases for agent_id in lease.agent_ids]
        assert len(set(bound)) == len(bound)
        for lease in leases:
            assert self.engine.lease_of_call(lease.call_id) is lease
            for agent_id in lease.agent_ids:
                assert self.engine.lease_of_agent(agent_id) is lease
                assert not self.engine.is_free(agent_id)
            assert self.oracle.offers[lease.offer_id].agents == list(lease.agent_ids)
            assert lease.deadline > self.now

    @invariant()
    def every_caller_is_in_exactly_one_place(self):
        waiting = [t.call_id for queue in ("support", "sales", "vip") for t in self.engine.waiting(queue)]
        offered = [lease.call_id for lease in self.engine.leases()]
        assert sorted(waiting + offered) == sorted(t.call_id for t in self.engine.tickets())
        assert sorted(waiting + offered) == sorted(self.oracle.calls)

    @invariant()
    def nobody_waits_beside_an_agent_who_may_serve(self):
        assert self.oracle.next_pair() is None
        for agent_id in AGENTS:
            expected = agent_id in self.oracle.people and self.oracle.is_available(agent_id)
            assert self.engine.is_free(agent_id) == expected

    @invariant()
    def places_follow_the_serving_order(self):
        order = self.oracle.in_order()
        for queue in ("support", "sales", "vip"):
            expected = [c for c in order if self.oracle.calls[c].queue.name == queue]
            assert [ticket.call_id for ticket in self.engine.waiting(queue)] == expected
            assert self.engine.length(queue) == len(expected)
            assert [self.engine.place(call_id) for call_id in expected] == list(range(1, len(expected) + 1))

    @invariant()
    def reasons_are_true(self):
        TAKEN["steps"] += 1
        TAKEN["holding"] += any(self.engine.held_for(call_id) for call_id in self.ever[-12:])
        for call_id in self.ever[-8:]:
            assert self.engine.why_waiting(call_id, self.now) == self.oracle.why(call_id)
            assert self.engine.overlooked(call_id) is None
        for call_id in self.ever[-2:]:
            counts = self.engine.staffing_of(call_id).counts
            call = self.oracle.calls.get(call_id)
            assert {s: n for s, n in counts.items() if n} == ({} if call is None else self.oracle.staffing(call))

    def teardown(self):
        if hasattr(self, "inputs"):
            again = Engine(self.first)
            assert [again.handle(event, at) for event, at in self.inputs] == self.outputs


TestFloor = Floor.TestCase
TestFloor.settings = PROFILE


def test_how_many_steps_were_taken():
    print(TAKEN)
    if NIGHTLY:
        assert TAKEN["steps"] >= 1_000_000
