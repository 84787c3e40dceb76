"""A caller held for one agent: nobody else may have the call until the hold is over, and it blocks nobody."""

from __future__ import annotations

import pytest
from acd_floor import a_centre, at, busy, free, join, opened, pairs

from cti.acd.decisions import Why
from cti.acd.inputs import (
    AgentFree,
    CallerJoined,
    CallerMoved,
    CallerNotReady,
    CallerReady,
    CentreChanged,
    OfferSettled,
    Tick,
)
from cti.errors import IllegalTransition
from cti.model.centre import Relaxation
from cti.model.facts import OfferEnd
from cti.model.requirement import all_of

S = ("support",)
BOTH = ("support", "sales")
FLOOR = a_centre({"own": (BOTH, {"en": 3}), "b": (S, {"en": 5}), "far": (("sales",), {})})


def held(engine, call_id="c1", seconds=0, until=30, agent="own", **fields):
    return join(engine, call_id, seconds, preferred=agent, hold_until=at(until), **fields)


def test_the_preferred_agent_has_the_call_although_another_is_idle_for_longer():
    engine = opened(FLOOR, b="ready", own="ready")
    assert held(engine) == [("c1", "own")]


def test_until_then_nobody_else_has_it_and_after_that_everybody_may():
    engine = opened(FLOOR, own="talking", b="ready")
    assert held(engine) == []
    assert (engine.held_for("c1"), engine.why_waiting("c1", at(0))) == ("own", Why.HELD_FOR_AGENT)
    assert engine.next_due(at(0)) == at(30)
    assert pairs(engine.handle(Tick(), at(29))) == []
    assert pairs(engine.handle(Tick(), at(30))) == [("c1", "b")]


def test_while_held_it_blocks_nobody_and_keeps_its_place():
    engine = opened(FLOOR, own="talking", b="talking")
    held(engine)
    join(engine, "c2", 1)
    assert (engine.place("c1"), engine.place("c2")) == (1, 2)
    assert free(engine, "b", 2) == [("c2", "b")]
    join(engine, "c3", 3)
    assert free(engine, "own", 4) == [("c1", "own")]


def test_the_preferred_agent_serves_in_the_common_order():
    engine = opened(FLOOR, own="talking")
    join(engine, "first", 0)
    held(engine, seconds=1)
    assert free(engine, "own", 2) == [("first", "own")]


def test_who_is_not_logged_in_is_not_waited_for():
    engine = opened(FLOOR, own="offline", b="ready")
    assert held(engine) == [("c1", "b")]
    engine = opened(FLOOR, own="talking", b="ready")
    held(engine)
    assert busy(engine, "own", 5, "offline") == [("c1", "b")]


@pytest.mark.parametrize("agent", ["far", "nobody"])
def test_who_does_not_serve_the_queue_is_not_waited_for(agent):
    engine = opened(FLOOR, own="talking", b="ready", far="talking")
    assert held(engine, agent=agent) == [("c1", "b")]


def test_who_is_good_enough_at_the_last_step_is_waited_for_and_served_at_once():
    relaxing = (Relaxation(after=at(60) - at(0), skills={"en": 3}),)
    floor = a_centre({"own": (S, {"en": 3}), "b": (S, {"en": 5})}, skills={"en": 5}, relax=relaxing)
    assert held(opened(floor, b="ready", own="ready")) == [("c1", "own")]
    never = a_centre({"own": (S, {"en": 2}), "b": (S, {"en": 5})}, skills={"en": 5}, relax=relaxing)
    assert held(opened(never, b="ready", own="ready")) == [("c1", "b")]


def test_a_refusal_ends_the_hold():
    engine = opened(FLOOR, own="ready", b="ready")
    held(engine)
    (lease,) = engine.leases()
    decisions = engine.handle(OfferSettled(offer_id=lease.offer_id, end=OfferEnd.REJECTED), at(2))
    assert pairs(decisions) == [("c1", "b")]
    assert engine.held_for("c1") is None


def test_the_record_says_for_whom_the_call_was_kept():
    engine = opened(FLOOR, b="ready", own="ready")
    (offer,) = engine.handle(
        CallerJoined(
            call_id="c1", queue="support", queued_at=at(0), deliverable=True, preferred="own", hold_until=at(9)
        ),
        at(0),
    )
    record = offer.record
    assert (record.held_for, [c.agent_id for c in record.candidates]) == ("own", ["own"])
    assert [(e.agent_id, e.reason) for e in record.excluded] == [("b", "held_for_agent")]


def test_who_cannot_be_moved_is_not_offered_to_the_preferred_agent_either():
    engine = opened(FLOOR, own="ready", b="ready")
    held(engine, deliverable=False)
    assert engine.why_waiting("c1", at(0)) == Why.NOT_DELIVERABLE
    assert pairs(engine.handle(CallerReady(call_id="c1"), at(1))) == [("c1", "own")]
    engine = opened(FLOOR, own="talking")
    held(engine)
    engine.handle(CallerNotReady(call_id="c1"), at(1))
    assert free(engine, "own", 2) == []


def test_a_new_centre_keeps_the_hold_or_ends_it():
    engine = opened(FLOOR, own="talking", b="ready")
    held(engine)
    assert pairs(engine.handle(CentreChanged(centre=a_centre({"own": (S, {}), "b": (S, {})})), at(1))) == []
    assert pairs(engine.handle(CentreChanged(centre=a_centre({"b": (S, {})})), at(2))) == [("c1", "b")]


def test_moving_a_call_may_hold_it_for_somebody():
    engine = opened(FLOOR, own="talking", b="talking", far="ready")
    join(engine, "c1", 0)
    moved = CallerMoved(call_id="c1", queue="sales", preferred="own", hold_until=at(20))
    assert pairs(engine.handle(moved, at(5))) == []
    assert pairs(engine.handle(Tick(), at(20))) == [("c1", "far")]


def test_a_hold_without_time_zone_is_refused():
    with pytest.raises(IllegalTransition):
        join(opened(FLOOR), "c1", 0, preferred="own", hold_until=at(0).replace(tzinfo=None))


def test_requirements_are_not_forgotten_over_a_hold():
    engine = opened(FLOOR, own="talking", b="ready")
    held(engine, until=5, requires=all_of({"zh": 1}))
    assert pairs(engine.handle(Tick(), at(5))) == []
    assert engine.why_waiting("c1", at(5)) == Why.NOBODY_HAS_SKILL


def test_a_caller_who_was_sent_to_an_agent_is_kept_for_them_whatever_queues_they_have():
    engine = opened(FLOOR, own="ready", b="ready")
    assert held(engine, agent="far", addressed=True) == []  # logged out, and of another queue: still nobody else's
    assert engine.held_for("c1") == "far"
    assert pairs(engine.handle(AgentFree(agent_id="far", idle_since=at(1)), at(2))) == [("c1", "far")]
    lease = engine.lease_of_call("c1")
    assert pairs(engine.handle(OfferSettled(offer_id=lease.offer_id, end=OfferEnd.REJECTED), at(3)))[0][0] == "c1"
    assert engine.held_for("c1") is None


def test_who_asks_for_a_caller_again_is_forgiven_the_refusal():
    engine = opened(FLOOR, own="ready")
    assert held(engine, until=0) == [("c1", "own")]
    lease = engine.lease_of_call("c1")
    assert pairs(engine.handle(OfferSettled(offer_id=lease.offer_id, end=OfferEnd.REJECTED), at(3))) == []
    moved = CallerMoved(call_id="c1", queue="support", preferred="own", hold_until=at(20), addressed=True)
    assert pairs(engine.handle(moved, at(4))) == [("c1", "own")]
