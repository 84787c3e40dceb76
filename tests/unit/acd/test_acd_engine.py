"""The engine by example: one test a promise, named after what goes wrong in the field where it does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cti.acd.decisions import Excluded, Expired, Ignored, IgnoredBecause, Offer, Released, Why
from cti.acd.engine import Engine
from cti.acd.inputs import (
    AgentBusy,
    AgentFree,
    CallerJoined,
    CallerLeft,
    CallerNotReady,
    CallerReady,
    CentreChanged,
    LeaseExtended,
    LeaseRestored,
    OfferSettled,
    Tick,
)
from cti.errors import IllegalTransition
from cti.model.centre import Agent, Centre, Queue
from cti.model.facts import AgentState, OfferEnd

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(seconds):
    return NINE + timedelta(seconds=seconds)


def centre(agents, *, queues=("support", "sales"), skills=None, pause=10):
    return Centre(
        name="test",
        queues={
            name: Queue(
                name=name, titles={}, skills=(skills or {}).get(name, {}), refusal_pause=timedelta(seconds=pause)
            )
            for name in queues
        },
        agents={a: Agent(agent_id=a, name=a, queues=q, skills=s) for a, (q, s) in agents.items()},
        tiers={},
        numbers={},
    )


TWO = centre({"1001": (("support",), {}), "1002": (("support", "sales"), {"zh": 4})})


def joined(call_id, seconds, *, queue="support", head_start=0, skills=(), deliverable=True):
    return CallerJoined(
        call_id=call_id,
        queue=queue,
        queued_at=at(seconds),
        head_start=timedelta(seconds=head_start),
        skills=skills,
        deliverable=deliverable,
    )


def free(agent_id, seconds):
    return AgentFree(agent_id=agent_id, idle_since=at(seconds))


def offers(decisions):
    return [(d.call_id, d.agent_id) for d in decisions if isinstance(d, Offer)]


def test_an_offer_binds_both_sides_until_five_seconds_after_the_ring():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    assert (offer.call_id, offer.agent_id, offer.queue) == ("c1", "1001", "support")
    assert offer.deadline == at(1 + 15 + 5)
    assert engine.lease_of_call("c1") is engine.lease_of_agent("1001") is engine.lease(offer.offer_id)
    assert engine.place("c1") is None
    assert engine.why_waiting("c1", at(1)) == ""
    assert not engine.is_free("1001")
    assert engine.next_due(at(2)) == offer.deadline


def test_offer_ids_have_ten_digits_and_only_rise():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (first,) = engine.handle(joined("c1", 0), at(0))
    assert first.offer_id == int(NINE.timestamp())
    (second,) = engine.handle(OfferSettled(offer_id=first.offer_id, end=OfferEnd.SUPERSEDED), at(0))
    assert second.offer_id == first.offer_id + 1
    engine.last_offer_id = 2_000_000_000
    (third,) = engine.handle(OfferSettled(offer_id=second.offer_id, end=OfferEnd.SUPERSEDED), at(0))
    assert third.offer_id == 2_000_000_001
    engine.last_offer_id = 0
    assert engine.last_offer_id == 2_000_000_001


def test_the_vip_who_came_second_is_served_first():
    engine = Engine(TWO)
    engine.handle(joined("plain", 0), at(0))
    engine.handle(joined("vip", 30, head_start=60), at(30))
    assert [t.call_id for t in engine.waiting("support")] == ["vip", "plain"]
    assert (engine.place("vip"), engine.place("plain")) == (1, 2)
    assert offers(engine.handle(free("1001", 40), at(40))) == [("vip", "1001")]


def test_a_head_start_is_worth_its_seconds_and_no_more():
    engine = Engine(TWO)
    engine.handle(joined("plain", 0), at(0))
    engine.handle(joined("vip", 61, head_start=60), at(61))
    assert offers(engine.handle(free("1001", 70), at(70))) == [("plain", "1001")]


def test_equal_scores_are_served_by_true_arrival_then_by_id():
    engine = Engine(TWO)
    for call_id, seconds, head_start in (("b", 10, 0), ("c", 20, 10), ("a", 10, 0)):
        engine.handle(joined(call_id, seconds, head_start=head_start), at(20))
    assert [t.call_id for t in engine.waiting("support")] == ["a", "b", "c"]


def test_the_longest_idle_agent_is_chosen_across_queues():
    engine = Engine(TWO)
    engine.handle(free("1001", 5), at(10))
    engine.handle(free("1002", 3), at(10))
    assert offers(engine.handle(joined("c1", 11), at(11))) == [("c1", "1002")]


def test_a_caller_nobody_may_serve_blocks_nobody():
    engine = Engine(TWO)
    engine.handle(joined("nobody", 0, skills=(("fr", 1),)), at(0))
    engine.handle(joined("c1", 5), at(5))
    assert offers(engine.handle(free("1001", 6), at(6))) == [("c1", "1001")]
    assert engine.why_waiting("nobody", at(6)) == Why.NOBODY_HAS_SKILL


def test_required_skills_add_to_those_of_the_queue_and_the_higher_level_counts():
    floor = centre(
        {"1001": (("support",), {"en": 3}), "1002": (("support",), {"en": 5})}, skills={"support": {"en": 2}}
    )
    engine = Engine(floor)
    engine.handle(free("1001", 0), at(0))
    engine.handle(free("1002", 1), at(1))
    assert offers(engine.handle(joined("c1", 2, skills=(("en", 4),)), at(2))) == [("c1", "1002")]
    assert offers(engine.handle(joined("c2", 3, skills=(("en", 1),)), at(3))) == [("c2", "1001")]


def test_a_caller_who_cannot_be_moved_is_not_offered_and_keeps_the_place():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    assert engine.handle(joined("c1", 1, deliverable=False), at(1)) == ()
    assert engine.why_waiting("c1", at(1)) == Why.NOT_DELIVERABLE
    assert engine.place("c1") == 1
    assert offers(engine.handle(joined("c2", 2), at(2))) == [("c2", "1001")]
    assert engine.place("c1") == 1
    engine.handle(free("1002", 3), at(3))
    # It was never offered before it was ready, and is at once when it is.
    assert engine.lease_of_call("c1") is None
    assert offers(engine.handle(CallerReady(call_id="c1"), at(4))) == [("c1", "1002")]


def test_readiness_told_during_an_offer_counts_after_it():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    assert engine.handle(CallerNotReady(call_id="c1"), at(2)) == ()
    engine.handle(free("1002", 2), at(2))
    assert engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.NO_ANSWER), at(3)) == ()
    assert offers(engine.handle(CallerReady(call_id="c1"), at(4))) == [("c1", "1002")]


@pytest.mark.parametrize("end", [OfferEnd.REJECTED, OfferEnd.BUSY, OfferEnd.NO_ANSWER, OfferEnd.UNREACHABLE])
def test_who_refused_is_not_rung_again_at_once(end):
    """mikopbx#1043: the rejecting agent rang again immediately."""
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    assert engine.handle(OfferSettled(offer_id=offer.offer_id, end=end), at(5)) == ()
    assert engine.why_waiting("c1", at(5)) == Why.REFUSED_RECENTLY
    assert engine.place("c1") == 1
    assert engine.next_due(at(5)) == at(15)
    assert engine.handle(Tick(), at(14.9)) == ()
    assert offers(engine.handle(Tick(), at(15))) == [("c1", "1001")]


def test_who_refused_one_call_gets_the_next_one_and_the_call_gets_another_agent():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    engine.handle(joined("c2", 2), at(2))
    decisions = engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.REJECTED), at(3))
    assert offers(decisions) == [("c2", "1001")]
    assert decisions[0].record.passed_over == ("c1",)
    assert offers(engine.handle(free("1002", 4), at(4))) == [("c1", "1002")]


def test_a_call_id_that_comes_back_is_not_held_to_its_old_refusals():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.REJECTED), at(2))
    engine.handle(CallerLeft(call_id="c1"), at(3))
    engine.handle(AgentBusy(agent_id="1001"), at(3))
    engine.handle(joined("c1", 4), at(4))
    assert offers(engine.handle(free("1001", 5), at(5))) == [("c1", "1001")]


def test_an_expired_offer_frees_both_sides_and_the_call_keeps_its_place():
    """freeswitch#2540, opensips#3123: agents stuck reserved for ever."""
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    engine.handle(joined("c2", 2), at(2))
    expired, again = engine.handle(Tick(), at(21))
    assert expired == Expired(offer_id=offer.offer_id, call_id="c1", agent_id="1001")
    # The silent agent is not given the same call again at once, but the next one.
    assert (again.call_id, again.agent_id) == ("c2", "1001")
    assert engine.place("c1") == 1
    late = engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.ANSWERED), at(22))
    assert late == (Ignored(reason=IgnoredBecause.OFFER_OVER, at=at(22), offer_id=offer.offer_id),)
    assert engine.lease_of_agent("1001").call_id == "c2"


def test_an_answer_in_the_moment_of_the_deadline_is_an_answer():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    assert engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.ANSWERED), offer.deadline) == ()
    assert engine.ticket("c1") is None


def test_who_answered_is_not_offered_another_call_before_being_free_again():
    """asterisk#176, #313: one agent gets two calls."""
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    engine.handle(joined("c2", 2), at(2))
    assert engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.ANSWERED), at(3)) == ()
    assert engine.why_waiting("c2", at(3)) == Why.NO_AGENT_FREE
    assert offers(engine.handle(free("1001", 90), at(90))) == [("c2", "1001")]


def test_a_caller_who_leaves_while_it_rings_frees_the_agent():
    """freeswitch#2529: caller gone, agent still rung."""
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    engine.handle(joined("c2", 2), at(2))
    released, next_offer = engine.handle(CallerLeft(call_id="c1"), at(3))
    assert released == Released(offer_id=offer.offer_id, call_id="c1", agent_id="1001", end=OfferEnd.CALLER_GONE)
    assert (next_offer.call_id, next_offer.agent_id) == ("c2", "1001")
    assert engine.handle(CallerLeft(call_id="c1"), at(4)) == (
        Ignored(reason=IgnoredBecause.NO_TICKET, at=at(4), call_id="c1"),
    )


def test_an_agent_who_goes_not_ready_under_an_offer_stays_bound_and_is_not_free_after_it():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    engine.handle(AgentBusy(agent_id="1001", state=AgentState.NOT_READY), at(2))
    assert engine.lease_of_agent("1001") is not None
    engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.REJECTED), at(3))
    assert not engine.is_free("1001")
    assert engine.why_waiting("c1", at(3)) == Why.NO_AGENT_FREE


def test_the_reasons_for_waiting():
    engine = Engine(TWO)
    engine.handle(joined("c1", 0), at(0))
    engine.handle(joined("c2", 1), at(1))
    engine.handle(joined("zh5", 2, skills=(("zh", 5),)), at(2))
    assert engine.why_waiting("c1", at(2)) == Why.NO_AGENT_LOGGED_IN
    engine.handle(AgentBusy(agent_id="1001", state=AgentState.WRAP_UP), at(3))
    assert engine.why_waiting("c1", at(3)) == Why.NO_AGENT_FREE
    assert engine.why_waiting("c2", at(3)) == Why.BEHIND_OTHERS
    assert engine.why_waiting("zh5", at(3)) == Why.NOBODY_HAS_SKILL
    engine.handle(AgentBusy(agent_id="1001", state=AgentState.OFFLINE), at(4))
    assert engine.why_waiting("c1", at(4)) == Why.NO_AGENT_LOGGED_IN
    assert engine.why_waiting("never", at(4)) == ""


def test_the_record_of_an_offer_names_candidates_and_why_others_were_not():
    floor = centre(
        {
            "1001": (("support",), {"en": 5}),
            "1002": (("support",), {"en": 5}),
            "1003": (("support",), {}),
            "1004": (("support",), {"en": 5}),
            "1005": (("support",), {"en": 5}),
            "1006": (("sales",), {"en": 5}),
        }
    )
    engine = Engine(floor)
    engine.handle(joined("fr", 1, skills=(("fr", 1),)), at(1))
    engine.handle(free("1004", 14), at(14))
    (first,) = engine.handle(joined("c0", 14), at(14))
    engine.handle(free("1002", 10), at(10))
    engine.handle(free("1001", 20), at(20))
    engine.handle(free("1003", 5), at(20))
    engine.handle(AgentBusy(agent_id="1005", state=AgentState.WRAP_UP), at(20))
    (offer,) = engine.handle(joined("c1", 25, head_start=5, skills=(("en", 3),)), at(30))
    record = offer.record
    assert first.agent_id == "1004"
    assert record.score == 10
    assert [(c.agent_id, c.score) for c in record.candidates] == [("1002", 20), ("1001", 10)]
    assert record.excluded == (
        Excluded(agent_id="1003", reason="lacks_skill"),
        Excluded(agent_id="1004", reason="reserved"),
        Excluded(agent_id="1005", reason="wrap_up"),
    )
    assert record.passed_over == ("fr",)
    assert offer.agent_id == "1002"
    assert engine.explain("fr", at(31)).candidates == ()


def test_a_record_names_no_more_agents_on_a_big_floor():
    staff = {f"{2000 + n}": (("support",), {}) for n in range(300)}
    engine = Engine(centre(staff))
    for n, agent_id in enumerate(staff):
        engine.handle(free(agent_id, n) if n % 2 else AgentBusy(agent_id=agent_id), at(300))
    (offer,) = engine.handle(joined("c1", 300), at(300))
    record = offer.record
    assert [c.agent_id for c in record.candidates] == [f"{2001 + 2 * n}" for n in range(10)]
    assert (record.more_candidates, len(record.excluded), record.more_staff) == (140, 10, 280)
    engine.handle(joined("c2", 301, skills=(("fr", 1),)), at(301))
    whole = engine.explain("c2", at(301))
    assert len(whole.excluded) == 300
    assert whole.more_staff == 0


def test_a_new_centre_drops_nobody_and_matches_at_once():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    engine.handle(joined("s1", 2, queue="sales"), at(2))
    engine.handle(joined("c2", 3), at(3))
    engine.handle(free("1002", 3), at(3))
    only_1003 = centre({"1003": (("support", "sales"), {})}, queues=("support",))
    assert engine.handle(CentreChanged(centre=only_1003), at(4)) == ()
    assert [t.call_id for t in engine.tickets()] == ["c1", "s1", "c2"]
    assert engine.lease_of_agent("1001").offer_id == offer.offer_id
    with pytest.raises(IllegalTransition):
        engine.handle(free("1001", 5), at(5))
    with pytest.raises(IllegalTransition):
        engine.handle(joined("s2", 5, queue="sales"), at(5))
    # The caller of the queue that is no more is served by whoever still has it.
    assert engine.lease_of_agent("1002").call_id == "s1"
    engine.handle(OfferSettled(offer_id=engine.lease_of_agent("1002").offer_id, end=OfferEnd.REJECTED), at(6))
    assert offers(engine.handle(free("1003", 6), at(6))) == [("s1", "1003")]
    assert engine.lease_of_agent("1002") is None


def test_start_up_decides_once_whatever_the_order_of_the_inputs():
    events = [
        free("1001", 0),
        joined("plain", 0),
        joined("vip", 30, head_start=60),
        joined("rung", 5),
        LeaseRestored(offer_id=1_700_000_000, call_id="rung", agent_id="1002", deadline=at(50)),
        free("1002", 0),
    ]
    for order in (events, [*events[1:], events[0]]):
        engine = Engine(TWO)
        engine.hold()
        assert [engine.handle(event, at(40)) for event in order] == [()] * len(order)
        assert engine.overlooked("vip") is None
        assert offers(engine.release(at(40))) == [("vip", "1001")]
        assert engine.overlooked("plain") is None
        assert engine.lease_of_agent("1002").call_id == "rung"
        assert engine.last_offer_id > 1_700_000_000
        assert isinstance(engine.handle(Tick(), at(50))[0], Expired)


def test_a_restored_offer_already_overdue_expires_at_once():
    engine = Engine(TWO)
    engine.handle(joined("c1", 0), at(0))
    restored = LeaseRestored(offer_id=1_700_000_000, call_id="c1", agent_id="1001", deadline=at(5))
    assert engine.handle(restored, at(9)) == (Expired(offer_id=1_700_000_000, call_id="c1", agent_id="1001"),)


def test_an_offer_restored_under_an_old_number_lives_to_its_new_deadline():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    engine.handle(AgentBusy(agent_id="1001"), at(2))
    engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.SUPERSEDED), at(2))
    engine.handle(LeaseRestored(offer_id=offer.offer_id, call_id="c1", agent_id="1001", deadline=at(60)), at(3))
    assert engine.handle(Tick(), at(30)) == ()
    assert engine.lease(offer.offer_id).deadline == at(60)


def test_an_offer_that_is_taken_up_stands_for_longer():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("c1", 1), at(1))
    assert engine.handle(LeaseExtended(offer_id=offer.offer_id, deadline=at(60)), at(9)) == ()
    assert engine.handle(Tick(), at(59)) == ()
    assert engine.lease(offer.offer_id) == engine.lease_of_agent("1001") == engine.lease_of_call("c1")
    (expired,) = engine.handle(Tick(), at(60))
    assert expired.offer_id == offer.offer_id
    (late,) = engine.handle(LeaseExtended(offer_id=offer.offer_id, deadline=at(90)), at(61))
    assert late.reason == IgnoredBecause.OFFER_OVER


@pytest.mark.parametrize(
    "event",
    [
        joined("c1", 0),
        joined("c9", 0, queue="nowhere"),
        free("9999", 0),
        OfferSettled(offer_id=9_999_999_999, end=OfferEnd.ANSWERED),
        LeaseExtended(offer_id=9_999_999_999, deadline=at(9)),
        LeaseRestored(offer_id=1_700_000_000, call_id="c9", agent_id="1002", deadline=at(9)),
        LeaseRestored(offer_id=1_700_000_000, call_id="c1", agent_id="1002", deadline=at(9)),
        LeaseRestored(offer_id=1_700_000_000, call_id="c2", agent_id="1001", deadline=at(9)),
        LeaseRestored(offer_id=17, call_id="c2", agent_id="1002", deadline=at(9)),
        CallerJoined(call_id="c9", queue="support", queued_at=datetime(2026, 3, 2)),  # noqa: DTZ001
    ],
)
def test_illegal_inputs_raise_and_change_nothing(event):
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(0))
    engine.handle(joined("c1", 1), at(1))
    engine.handle(joined("c2", 1), at(1))
    before = (engine.tickets(), engine.leases(), engine.last_offer_id, engine.waiting("support"))
    with pytest.raises(IllegalTransition):
        engine.handle(event, at(2))
    assert (engine.tickets(), engine.leases(), engine.last_offer_id, engine.waiting("support")) == before


def test_a_time_without_zone_is_refused():
    with pytest.raises(IllegalTransition):
        Engine(TWO).handle(Tick(), datetime(2026, 3, 2))  # noqa: DTZ001


def test_a_clock_that_steps_back_neither_offers_nor_ends_anything_early():
    engine = Engine(TWO)
    engine.handle(free("1001", 0), at(100))
    (offer,) = engine.handle(joined("c1", 100), at(100))
    engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.REJECTED), at(101))
    assert engine.handle(Tick(), at(50)) == ()
    (again,) = engine.handle(Tick(), at(111))
    assert again.offer_id == offer.offer_id + 11


# --- strict tiers and the ceiling


def test_a_strict_tier_goes_before_any_wait_and_any_head_start():
    engine = Engine(TWO)
    engine.handle(joined("long", 0, head_start=3000), at(0))
    engine.handle(replace(joined("vip", 500), strict=1), at(500))
    engine.handle(replace(joined("first", 501), strict=2), at(501))
    assert [t.call_id for t in engine.waiting("support")] == ["first", "vip", "long"]
    (offer,) = engine.handle(free("1001", 502), at(502))
    assert (offer.call_id, offer.record.strict) == ("first", 2)


def ceiling(seconds):
    queue = replace(TWO.queues["support"], ceiling=timedelta(seconds=seconds))
    return replace(TWO, queues={**TWO.queues, "support": queue})


def test_who_reached_the_ceiling_goes_before_strict_tiers_and_the_engine_says_when():
    engine = Engine(ceiling(60))
    engine.handle(joined("plain", 0), at(0))
    engine.handle(replace(joined("vip", 1), strict=9), at(1))
    assert engine.next_due(at(1)) == at(60)
    assert engine.place("plain") == 2
    engine.handle(Tick(), at(60))
    assert engine.place("plain") == 1
    assert engine.next_due(at(60)) == at(61)
    (offer,) = engine.handle(free("1001", 60), at(60))
    assert offer.call_id == "plain"
    assert offer.record.raised


def test_the_ceiling_is_reached_under_an_offer_too():
    engine = Engine(ceiling(60))
    engine.handle(free("1001", 0), at(0))
    (offer,) = engine.handle(joined("plain", 50), at(100))
    engine.handle(replace(joined("vip", 100), strict=1), at(101))
    engine.handle(AgentBusy(agent_id="1001"), at(105))
    engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.NO_ANSWER), at(115))
    assert [t.call_id for t in engine.waiting("support")] == ["plain", "vip"]


def test_a_new_ceiling_counts_at_once_and_may_be_taken_away():
    engine = Engine(TWO)
    engine.handle(joined("plain", 0), at(0))
    engine.handle(replace(joined("vip", 1), strict=1), at(1))
    engine.handle(CentreChanged(centre=ceiling(20)), at(30))
    assert engine.place("plain") == 1
    engine.handle(CentreChanged(centre=TWO), at(30))
    assert engine.place("plain") == 2
    assert engine.next_due(at(30)) is None
