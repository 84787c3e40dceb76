"""Less skill is asked for as a caller waits: at the declared moments, at once when nobody has it, place kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cti.acd.decisions import Offer, Why
from cti.acd.engine import Engine
from cti.acd.inputs import AgentBusy, AgentFree, CallerJoined, CentreChanged, OfferSettled, Tick
from cti.model.centre import Agent, Centre, Queue, Relaxation
from cti.model.facts import AgentState, OfferEnd

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SKILLS = {"expert": {"en": 5, "zh": 4}, "good": {"en": 5}, "plain": {"en": 2}}


def at(seconds):
    return NINE + timedelta(seconds=seconds)


def floor(*steps):
    relax = tuple(Relaxation(after=timedelta(seconds=after), skills=skills) for after, skills in steps)
    return Centre(
        name="test",
        queues={"support": Queue(name="support", titles={}, skills={"en": 4}, relax=relax)},
        agents={a: Agent(agent_id=a, name=a, queues=("support",), skills=s) for a, s in SKILLS.items()},
        tiers={},
        numbers={},
    )


TWO_STEPS = floor((30, {"zh": 0}), (60, {"en": 1}))


def join(engine, call_id, seconds, *skills, queued=None):
    event = CallerJoined(
        call_id=call_id,
        queue="support",
        queued_at=at(seconds if queued is None else queued),
        skills=tuple(skills),
        deliverable=True,
    )
    return pairs(engine.handle(event, at(seconds)))


def pairs(decisions):
    return [(d.call_id, d.agent_id) for d in decisions if isinstance(d, Offer)]


def opened(centre, **agents):
    """An engine with these agents in these states."""
    engine = Engine(centre)
    for agent_id, state in agents.items():
        if state == "ready":
            engine.handle(AgentFree(agent_id=agent_id, idle_since=at(0)), at(0))
        else:
            engine.handle(AgentBusy(agent_id=agent_id, state=AgentState(state)), at(0))
    return engine


def test_a_step_comes_when_it_was_declared_to_and_not_before():
    engine = opened(TWO_STEPS, expert="talking", good="talking", plain="ready")
    assert join(engine, "c1", 10, ("zh", 3)) == []
    assert engine.next_due(at(10)) == at(40)
    assert engine.handle(Tick(), at(39)) == ()
    engine.handle(Tick(), at(40))
    assert engine.next_due(at(40)) == at(70)
    (offer,) = engine.handle(Tick(), at(70))
    assert (offer.agent_id, offer.record.relaxed) == ("plain", 2)


def test_the_place_is_kept():
    engine = opened(TWO_STEPS, expert="talking", good="talking")
    join(engine, "zh", 0, ("zh", 3))
    join(engine, "en", 1)
    assert pairs(engine.handle(AgentFree(agent_id="good", idle_since=at(20)), at(20))) == [("en", "good")]
    join(engine, "later", 21)
    engine.handle(Tick(), at(30))
    assert [t.call_id for t in engine.waiting("support")] == ["zh", "later"]
    engine.handle(AgentBusy(agent_id="good"), at(31))
    assert engine.handle(OfferSettled(offer_id=engine.leases()[0].offer_id, end=OfferEnd.ANSWERED), at(31)) == ()
    assert pairs(engine.handle(AgentFree(agent_id="good", idle_since=at(40)), at(40))) == [("zh", "good")]


def test_a_step_is_skipped_at_once_while_nobody_who_fits_is_logged_in():
    engine = opened(TWO_STEPS, good="ready", plain="ready")
    assert join(engine, "c1", 0, ("zh", 3)) == [("c1", "good")]


def test_the_last_who_fits_logs_out_and_the_caller_is_offered_at_once():
    engine = opened(TWO_STEPS, expert="talking", plain="ready")
    assert join(engine, "c1", 0, ("zh", 3)) == []
    assert engine.why_waiting("c1", at(1)) == Why.NO_AGENT_FREE
    assert pairs(engine.handle(AgentBusy(agent_id="expert", state=AgentState.OFFLINE), at(5))) == [("c1", "plain")]


def test_who_fits_logs_in_and_is_waited_for_again():
    engine = opened(TWO_STEPS, plain="talking")
    join(engine, "c1", 0, ("zh", 3))
    engine.handle(AgentBusy(agent_id="expert", state=AgentState.NOT_READY), at(5))
    assert pairs(engine.handle(AgentFree(agent_id="plain", idle_since=at(6)), at(6))) == []
    assert pairs(engine.handle(AgentFree(agent_id="expert", idle_since=at(7)), at(7))) == [("c1", "expert")]


def test_when_no_step_helps_nobody_has_the_skill():
    engine = opened(floor((30, {"zh": 1})), good="ready", plain="ready")
    assert join(engine, "c1", 0, ("zh", 3)) == []
    assert engine.why_waiting("c1", at(0)) == Why.NOBODY_HAS_SKILL


def test_who_waited_elsewhere_before_is_as_far_as_the_wait():
    engine = opened(TWO_STEPS, expert="talking", good="ready")
    assert join(engine, "c1", 100, ("zh", 3), queued=60) == [("c1", "good")]


def test_steps_go_on_under_an_offer():
    engine = opened(TWO_STEPS, expert="ready", plain="ready")
    assert join(engine, "c1", 0) == [("c1", "expert")]
    lease = engine.lease_of_call("c1")
    engine.handle(Tick(), at(10))
    engine.handle(AgentBusy(agent_id="expert"), at(11))
    expired = engine.handle(Tick(), at(20))
    assert [type(d).__name__ for d in expired] == ["Expired"]
    assert engine.lease(lease.offer_id) is None
    assert pairs(engine.handle(Tick(), at(60))) == [("c1", "plain")]


def test_steps_may_be_declared_while_callers_wait():
    engine = opened(floor(), expert="talking", good="talking", plain="ready")
    join(engine, "c1", 0)
    assert pairs(engine.handle(CentreChanged(centre=TWO_STEPS), at(59))) == []
    assert pairs(engine.handle(Tick(), at(60))) == [("c1", "plain")]


def test_without_steps_nothing_is_ever_due():
    engine = opened(floor(), expert="talking")
    join(engine, "c1", 0)
    assert engine.next_due(at(1)) is None
    assert replace(TWO_STEPS.queues["support"], relax=()).relax == ()
