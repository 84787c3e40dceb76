"""Tiers of agents, alternatives of skills, priorities that change and callers who move while they wait."""

from __future__ import annotations

from datetime import timedelta

import pytest
from acd_floor import a_centre, at, busy, free, join, opened, pairs

from cti.acd.decisions import IgnoredBecause, Staffing
from cti.acd.inputs import CallerMoved, CallerReprioritised, CentreChanged, OfferSettled, Tick
from cti.errors import IllegalTransition
from cti.model.centre import Relaxation, Strategy
from cti.model.facts import AgentState, OfferEnd
from cti.model.requirement import all_of, parse_requirement

S = ("support",)
BOTH = ("support", "sales")
SECOND = {"support": 2}

# --- tiers


def test_a_lower_tier_goes_before_whatever_the_strategy_says():
    engine = opened(a_centre({"a": (S, {}, SECOND), "b": (S, {})}), a="ready", b="ready")
    assert join(engine, "c1", 0) == [("c1", "b")]
    assert join(engine, "c2", 1) == [("c2", "a")]
    (first, second) = (engine.leases()[0], engine.leases()[1])
    assert (first.agent_id, second.agent_id) == ("b", "a")


def test_the_record_names_candidates_by_tier():
    engine = opened(a_centre({"a": (S, {}, SECOND), "b": (S, {})}), a="ready", b="ready")
    join(engine, "c1", 0, deliverable=False)
    candidates = engine.explain("c1", at(0)).candidates
    assert [(c.agent_id, c.tier) for c in candidates] == [("b", 1), ("a", 2)]


FIRST_BUSY = {"a": (S, {}), "b": (S, {}, SECOND), "c": (S, {}, {"support": 3})}


def test_the_next_tier_is_asked_after_the_wait_the_queue_gives_it():
    engine = opened(a_centre(FIRST_BUSY, tier_wait=timedelta(seconds=20)), a="talking", b="ready", c="ready")
    assert join(engine, "c1", 0) == []
    explained = engine.explain("c1", at(0))
    assert {e.agent_id: e.reason for e in explained.excluded} == {"a": "talking", "b": "tier_later", "c": "tier_later"}
    assert engine.next_due(at(0)) == at(20)
    assert pairs(engine.handle(Tick(), at(20))) == [("c1", "b")]
    engine.handle(OfferSettled(offer_id=engine.leases()[0].offer_id, end=OfferEnd.ANSWERED), at(20))
    join(engine, "c2", 21)
    assert pairs(engine.handle(Tick(), at(41))) == []
    assert pairs(engine.handle(Tick(), at(61))) == [("c2", "c")]


def test_a_tier_nobody_of_which_is_logged_in_is_not_waited_for():
    engine = opened(a_centre(FIRST_BUSY, tier_wait=timedelta(seconds=20)), b="talking", c="ready")
    assert join(engine, "c1", 0) == []
    assert busy(engine, "b", 5, "offline") == [("c1", "c")]


def test_tiers_and_relaxation_share_one_line_of_time():
    agents = {"a": (S, {"en": 5}), "b": (S, {"en": 5}, SECOND), "c": (S, {"en": 1})}
    relax = (Relaxation(after=timedelta(seconds=30), skills={"en": 1}),)
    engine = opened(
        a_centre(agents, tier_wait=timedelta(seconds=20), skills={"en": 4}, relax=relax),
        a="talking",
        b="talking",
        c="ready",
    )
    assert join(engine, "c1", 0) == []
    assert pairs(engine.handle(Tick(), at(20))) == []
    assert engine.relaxed_requirement("c1") == all_of({"en": 4})
    assert pairs(engine.handle(Tick(), at(30))) == [("c1", "c")]
    assert engine.relaxed_requirement("c1") == all_of({"en": 1})


# --- alternatives


def test_whoever_meets_one_alternative_may_serve():
    agents = {"en": (S, {"en": 4}), "zh": (S, {"zh": 3}), "neither": (S, {"en": 3, "zh": 2})}
    engine = opened(a_centre(agents), neither="ready", zh="ready", en="ready")
    wants = {"requires": parse_requirement("en>=4 or zh>=3")}
    assert join(engine, "c1", 0, **wants) == [("c1", "zh")]
    assert join(engine, "c2", 0, **wants) == [("c2", "en")]
    assert join(engine, "c3", 0, **wants) == []
    assert join(engine, "c4", 0) == [("c4", "neither")]


def test_the_queue_s_and_the_call_s_alternatives_are_both_asked_for():
    agents = {"a": (S, {"en": 5}), "b": (S, {"en": 5, "tech": 1}), "c": (S, {"zh": 5, "tech": 1})}
    centre = a_centre(agents, requires=parse_requirement("en>=4 or zh>=4"))
    engine = opened(centre, a="ready", b="ready", c="ready")
    assert join(engine, "c1", 0, requires=parse_requirement("tech"), skills=(("zh", 2),)) == [("c1", "c")]


def test_the_best_skill_is_counted_in_the_best_alternative_an_agent_meets():
    agents = {"a": (S, {"en": 4, "zh": 2}), "b": (S, {"zh": 5}), "c": (S, {"en": 3, "zh": 2})}
    engine = opened(a_centre(agents, strategy=Strategy.BEST_SKILL), a="ready", c="ready", b="ready")
    assert join(engine, "c1", 0, requires=parse_requirement("en>=3 or zh>=5")) == [("c1", "b")]
    assert join(engine, "c2", 0, requires=parse_requirement("en>=3 or zh>=5")) == [("c2", "a")]


def test_an_alternative_an_agent_does_not_meet_earns_no_points():
    agents = {"a": (S, {"en": 3, "zh": 5}), "b": (S, {"en": 4})}
    engine = opened(a_centre(agents, strategy=Strategy.BEST_SKILL), a="ready", b="ready")
    assert join(engine, "c1", 0, requires=parse_requirement("en>=3 or (zh>=3 and fr)")) == [("c1", "b")]


def test_alternatives_too_many_to_join_are_refused_and_nothing_changes():
    some = parse_requirement(" or ".join(f"(a{n} and b{n})" for n in range(8)))
    more = parse_requirement(" or ".join(f"(c{n} and d{n})" for n in range(8)))
    plain = a_centre({"a": (S, {})})
    engine = opened(plain, a="talking")
    join(engine, "c1", 0, requires=more)
    with pytest.raises(IllegalTransition):
        engine.handle(CentreChanged(centre=a_centre({"a": (S, {})}, requires=some)), at(1))
    assert (engine.place("c1"), engine.staffing("support").total) == (1, 1)
    engine = opened(a_centre({"a": (S, {})}, requires=some), a="talking")
    with pytest.raises(IllegalTransition):
        join(engine, "c2", 2, requires=more)
    assert engine.tickets() == ()


# --- priority and queue, changed while waiting


def test_a_priority_that_changes_moves_the_place():
    engine = opened(a_centre({"a": (S, {})}), a="talking")
    for n in range(3):
        join(engine, f"c{n}", n)
    engine.handle(CallerReprioritised(call_id="c2", strict=50), at(5))
    assert [t.call_id for t in engine.waiting("support")] == ["c2", "c0", "c1"]
    engine.handle(CallerReprioritised(call_id="c2", head_start=timedelta(seconds=1.5)), at(6))
    assert [t.call_id for t in engine.waiting("support")] == ["c0", "c2", "c1"]
    assert engine.ticket("c2").queued_at == at(2)
    (ignored,) = engine.handle(CallerReprioritised(call_id="gone"), at(6))
    assert ignored.reason is IgnoredBecause.NO_TICKET


def test_an_offer_stays_when_the_priority_changes_and_the_place_follows_after_it():
    engine = opened(a_centre({"a": (S, {})}), a="ready")
    join(engine, "c1", 0)
    (lease,) = engine.leases()
    join(engine, "c2", 1)
    engine.handle(CallerReprioritised(call_id="c1", head_start=timedelta(seconds=-60)), at(2))
    assert engine.leases() == (lease,)
    busy(engine, "a", 3)
    engine.handle(OfferSettled(offer_id=lease.offer_id, end=OfferEnd.NO_ANSWER), at(3))
    assert [t.call_id for t in engine.waiting("support")] == ["c2", "c1"]


def test_who_moves_keeps_the_wait():
    engine = opened(a_centre({"a": (S, {}), "b": (("sales",), {})}), a="talking", b="talking")
    join(engine, "c1", 0)
    join(engine, "s1", 10, queue="sales")
    engine.handle(CallerMoved(call_id="c1", queue="sales"), at(20))
    assert [t.call_id for t in engine.waiting("sales")] == ["c1", "s1"]
    assert engine.length("support") == 0
    assert free(engine, "b", 21) == [("c1", "b")]


def test_who_moves_may_find_somebody_at_once():
    engine = opened(a_centre({"a": (S, {}), "b": (("sales",), {})}), a="talking", b="ready")
    join(engine, "c1", 0)
    assert pairs(engine.handle(CallerMoved(call_id="c1", queue="sales"), at(20))) == [("c1", "b")]


def test_an_offer_stays_when_the_caller_moves():
    engine = opened(a_centre({"a": (S, {}), "b": (("sales",), {})}), a="ready")
    join(engine, "c1", 0)
    (lease,) = engine.leases()
    engine.handle(CallerMoved(call_id="c1", queue="sales"), at(1))
    assert (engine.leases(), engine.lease_of_call("c1").queue) == ((lease,), "support")
    engine.handle(OfferSettled(offer_id=lease.offer_id, end=OfferEnd.NO_ANSWER), at(2))
    assert engine.place("c1") == 1
    assert free(engine, "b", 3) == [("c1", "b")]


def test_nobody_moves_to_a_queue_that_is_not_there():
    engine = opened(a_centre({"a": (S, {})}), a="talking")
    join(engine, "c1", 0)
    with pytest.raises(IllegalTransition):
        engine.handle(CallerMoved(call_id="c1", queue="nowhere"), at(1))
    assert engine.place("c1") == 1


# --- who could serve


def test_staffing_counts_who_could_serve_sooner_or_later():
    agents = {
        "a": (S, {"en": 5}),
        "b": (S, {"en": 2}, SECOND),
        "c": (S, {"en": 1}),
        "d": (S, {"en": 5}),
        "e": (("sales",), {"en": 5}),
    }
    relax = (Relaxation(after=timedelta(seconds=30), skills={"en": 2}),)
    centre = a_centre(agents, skills={"en": 4}, relax=relax, tier_wait=timedelta(seconds=9))
    engine = opened(centre, a="ready", b="wrap_up", c="ready")
    join(engine, "c1", 0)
    staffing = engine.staffing("support")
    assert {s: n for s, n in staffing.counts.items() if n} == {"reserved": 1, "wrap_up": 1, "offline": 1}
    assert (staffing.total, staffing.logged_in) == (3, 2)
    assert staffing.all_in({AgentState.OFFLINE, AgentState.RESERVED, AgentState.WRAP_UP})
    assert not staffing.all_in({AgentState.OFFLINE})
    assert engine.staffing_of("c1") == staffing
    assert engine.staffing("support", requires=all_of({"fr": 1})).all_in(set())
    assert engine.staffing("nowhere") == engine.staffing_of("gone") == Staffing(counts={})
