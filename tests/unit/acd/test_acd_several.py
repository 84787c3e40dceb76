"""Ring-all: one offer, several agents, exactly one winner."""

from __future__ import annotations

import pytest
from acd_floor import a_centre, at, busy, free, join, opened, pairs

from cti.acd.decisions import Expired, IgnoredBecause, Released, Why
from cti.acd.inputs import AgentDeclined, AgentFree, CallerLeft, LeaseRestored, OfferSettled, Tick
from cti.errors import IllegalTransition
from cti.model.centre import Strategy
from cti.model.facts import OfferEnd

S = ("support",)
BOTH = ("support", "sales")
FLOOR = a_centre({"a": (S, {}), "b": (BOTH, {}), "c": (S, {"en": 1})}, strategy=Strategy.RING_ALL)


def ringing():
    """c1 rings at a, b and c."""
    engine = opened(FLOOR, b="ready", a="ready", c="ready")
    assert join(engine, "c1", 0) == [("c1", "b a c")]
    (lease,) = engine.leases()
    return engine, lease


def answered(lease, agent_id):
    return OfferSettled(offer_id=lease.offer_id, end=OfferEnd.ANSWERED, agent_id=agent_id)


def declined(lease, agent_id, end=OfferEnd.REJECTED):
    return AgentDeclined(offer_id=lease.offer_id, agent_id=agent_id, end=end)


def test_everybody_free_is_in_one_offer_and_kept_from_other_calls():
    engine, lease = ringing()
    assert lease.agent_ids == ("b", "a", "c")
    assert all(engine.lease_of_agent(agent_id) is lease for agent_id in "abc")
    assert join(engine, "s1", 1, queue="sales") == []
    assert engine.why_waiting("s1", at(1)) == Why.NO_AGENT_FREE


def test_two_agents_answer_one_call_and_one_of_them_has_it():
    """asterisk#176: two agents answer one call."""
    engine, lease = ringing()
    assert engine.handle(answered(lease, "a"), at(3)) == ()
    (late,) = engine.handle(answered(lease, "b"), at(3))
    assert late.reason is IgnoredBecause.OFFER_OVER
    assert engine.ticket("c1") is None
    assert [engine.is_free(agent_id) for agent_id in "abc"] == [False, True, True]


def test_who_did_not_win_is_idle_for_as_long_as_before():
    engine, lease = ringing()
    engine.handle(answered(lease, "a"), at(9))
    assert join(engine, "c2", 10) == [("c2", "b c")]


def test_the_others_are_offered_what_waits_as_soon_as_one_has_won():
    engine, lease = ringing()
    join(engine, "s1", 1, queue="sales")
    assert pairs(engine.handle(answered(lease, "a"), at(3))) == [("s1", "b")]


def test_who_won_must_be_said_and_be_in_the_offer():
    engine, lease = ringing()
    for wrong in (None, "nobody"):
        with pytest.raises(IllegalTransition):
            engine.handle(answered(lease, wrong), at(1))
    engine.handle(declined(lease, "a"), at(1))
    with pytest.raises(IllegalTransition):
        engine.handle(answered(lease, "a"), at(1))
    assert engine.lease(lease.offer_id).agent_ids == ("b", "c")


def test_one_declines_and_the_others_ring_on():
    engine, lease = ringing()
    assert engine.handle(declined(lease, "b"), at(2)) == ()
    left = engine.lease(lease.offer_id)
    assert (left.agent_id, left.agent_ids, left.deadline) == ("a", ("a", "c"), lease.deadline)
    assert engine.lease_of_call("c1") is engine.lease_of_agent("c") is left
    assert engine.is_free("b")
    # The one who declined is free for others, but not for this call.
    assert join(engine, "c2", 3) == [("c2", "b")]
    (again,) = engine.handle(declined(lease, "b"), at(4))
    assert again.reason is IgnoredBecause.NOT_IN_OFFER


def test_the_last_who_declines_ends_the_offer_and_the_call_keeps_its_place():
    engine, lease = ringing()
    for agent_id in "bac":
        decisions = engine.handle(declined(lease, agent_id, OfferEnd.BUSY), at(2))
    assert decisions == (Released(offer_id=lease.offer_id, call_id="c1", agent_id="c", end=OfferEnd.BUSY),)
    assert engine.place("c1") == 1
    assert engine.why_waiting("c1", at(2)) == Why.REFUSED_RECENTLY
    assert pairs(engine.handle(Tick(), at(12))) == [("c1", "b a c")]


def test_an_offer_to_one_may_be_declined_like_an_offer_to_many():
    engine = opened(FLOOR, a="ready")
    join(engine, "c1", 0)
    (lease,) = engine.leases()
    (released,) = engine.handle(declined(lease, "a", OfferEnd.SUPERSEDED), at(1))[:1]
    assert (released.end, released.agent_ids) == (OfferEnd.SUPERSEDED, ("a",))


@pytest.mark.parametrize("end", [OfferEnd.ANSWERED, OfferEnd.CALLER_GONE])
def test_nobody_declines_by_answering(end):
    engine, lease = ringing()
    with pytest.raises(IllegalTransition):
        engine.handle(declined(lease, "a", end), at(1))


def test_a_caller_who_leaves_and_a_deadline_that_passes_free_them_all():
    engine, lease = ringing()
    (released,) = engine.handle(CallerLeft(call_id="c1"), at(1))
    assert released.agent_ids == ("b", "a", "c")
    engine, lease = ringing()
    expired, *offers = engine.handle(Tick(), lease.deadline)
    assert expired == Expired(offer_id=lease.offer_id, call_id="c1", agent_id="b", others=("a", "c"))
    assert offers == []
    assert all(engine.is_free(agent_id) for agent_id in "abc")


def test_who_comes_free_later_does_not_join_the_ringing():
    engine = opened(FLOOR, a="ready")
    assert join(engine, "c1", 0) == [("c1", "a")]
    assert free(engine, "b", 1) == []
    assert engine.is_free("b")


def test_ten_ring_at_most_and_only_the_best_tier():
    floor = a_centre({f"{n:02}": (S, {}) for n in range(15)}, strategy=Strategy.RING_ALL)
    engine = opened(floor, **{f"{n:02}": "ready" for n in range(15)})
    ((_, agents),) = join(engine, "c1", 0)
    assert agents == "00 01 02 03 04 05 06 07 08 09"
    two_tiers = a_centre({"a": (S, {}, {"support": 2}), "b": (S, {}), "c": (S, {})}, strategy=Strategy.RING_ALL)
    engine = opened(two_tiers, a="ready", b="ready", c="ready")
    assert join(engine, "c1", 0) == [("c1", "b c")]
    assert join(engine, "c2", 0) == [("c2", "a")]


def test_after_a_restart_all_of_them_are_bound_again():
    engine = opened(FLOOR, a="ready")
    join(engine, "c1", 0, deliverable=False)
    restored = LeaseRestored(offer_id=2_000_000_000, call_id="c1", agent_id="b", others=("a", "c"), deadline=at(20))
    for wrong in (("b",), ("a", "a"), ("nobody",)):
        with pytest.raises(IllegalTransition):
            engine.handle(
                LeaseRestored(offer_id=2_000_000_000, call_id="c1", agent_id="b", others=wrong, deadline=at(20)),
                at(1),
            )
    engine.handle(restored, at(1))
    assert engine.lease_of_agent("c").agent_ids == ("b", "a", "c")
    assert not engine.is_free("a")
    engine.handle(AgentFree(agent_id="c", idle_since=at(1)), at(2))
    engine.handle(answered(restored, "b"), at(3))
    assert [engine.is_free(agent_id) for agent_id in "abc"] == [True, False, True]


def test_who_goes_not_ready_while_it_rings_is_not_free_after_it():
    engine, lease = ringing()
    busy(engine, "c", 1)
    engine.handle(answered(lease, "a"), at(2))
    assert [engine.is_free(agent_id) for agent_id in "abc"] == [False, True, False]
