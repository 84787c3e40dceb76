"""The row of a call, case by case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cti.model.facts import (
    AgentChanged,
    AgentState,
    CallAnswered,
    CallDequeued,
    CallEnded,
    CallFact,
    CallHeld,
    CallQueued,
    CallRetrieved,
    CallStarted,
    ConsultAnswered,
    ConsultEnd,
    ConsultEnded,
    ConsultStarted,
    CustomerMatched,
    DestinationKind,
    Device,
    FlowEntered,
    FlowFinished,
    HangupBy,
    LanguageChosen,
    Match,
    OfferEnd,
    OfferEnded,
    OfferMade,
    OfferRang,
    Outcome,
    RecordingStarted,
    SurvivalEntered,
    TalkEnded,
    VoicemailLeft,
    WrapUpEnded,
)
from cti.reports.call_record import CallRecord, fold, legs_of

T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
A, B = "1001", "1002"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def fact(kind: type[CallFact], seconds: float, /, **values: Any) -> CallFact:
    return kind(at=at(seconds), call_id="a1-1.1", **values)


def start() -> CallFact:
    return fact(CallStarted, 0, node="a1", caller_number="+15550100001", did="200")


def end(seconds: float, by: HangupBy = HangupBy.CALLER, **values: Any) -> CallFact:
    return fact(CallEnded, seconds, hangup_by=by, **values)


def queued(seconds: float, queue: str = "support") -> CallFact:
    return fact(CallQueued, seconds, queue=queue)


def offer(number: int, seconds: float, agent: str = A, queue: str = "support") -> CallFact:
    return fact(OfferMade, seconds, offer_id=number, agent_id=agent, queue=queue, device=Device.SIP, deadline=at(99))


def rang(number: int, seconds: float, agent: str = A) -> CallFact:
    return fact(OfferRang, seconds, offer_id=number, agent_id=agent)


def offer_end(number: int, seconds: float, how: OfferEnd, agent: str = A) -> CallFact:
    return fact(OfferEnded, seconds, offer_id=number, agent_id=agent, end=how)


def answered(seconds: float, agent: str = A, number: int | None = 1, **values: Any) -> CallFact:
    return fact(CallAnswered, seconds, agent_id=agent, offer_id=number, **values)


def talk_end(seconds: float, agent: str = A, **values: Any) -> CallFact:
    return fact(TalkEnded, seconds, agent_id=agent, **values)


def row(*facts: CallFact, short: float = 5) -> CallRecord:
    return fold(facts, short_abandon={"support": timedelta(seconds=short)})  # type: ignore[dict-item]


def test_the_whole_walk() -> None:
    record = row(
        start(),
        fact(LanguageChosen, 1, language="zh"),
        fact(CustomerMatched, 2, match=Match.FOUND, customer_id=7, tier="vip"),
        queued(10),
        offer(1, 20),
        rang(1, 21),
        answered(24.5),
        offer_end(1, 24.5, OfferEnd.ANSWERED),
        fact(RecordingStarted, 24.6, path="2026/a.wav"),
        fact(CallHeld, 30, agent_id=A),
        fact(CallRetrieved, 34, agent_id=A),
        talk_end(44.5),
        end(44.6, HangupBy.AGENT),
        fact(WrapUpEnded, 60, agent_id=A, disposition="resolved", note="all well"),
    )
    assert record == CallRecord(
        call_id="a1-1.1",
        node="a1",
        direction="inbound",
        started_at=T0,
        queued_at=at(10),
        offered_at=at(20),
        answered_at=at(24.5),
        ended_at=at(44.6),
        caller_number="+15550100001",
        did="200",
        language="zh",
        customer_id=7,
        tier="vip",
        queue="support",
        agent=A,
        outcome=Outcome.ANSWERED,
        wait_seconds=14.5,
        ring_seconds=3.5,
        talk_seconds=16.0,
        hold_seconds=4.0,
        wrap_seconds=15.5,
        hangup_by=HangupBy.AGENT,
        recording="2026/a.wav",
        disposition="resolved",
        note="all well",
    )


def test_the_offer_is_the_one_that_was_answered() -> None:
    record = row(
        start(), queued(1), offer(1, 2), rang(1, 3), offer_end(1, 18, OfferEnd.NO_ANSWER),
        offer(2, 19, B), rang(2, 20, B), answered(22, B, 2), offer(3, 40, A), end(50),
    )  # fmt: skip
    assert (record.offered_at, record.ring_seconds, record.agent, record.wait_seconds) == (at(19), 2.0, B, 21.0)


def test_without_an_answer_the_last_offer_counts() -> None:
    record = row(start(), queued(1), offer(1, 2), rang(1, 3), offer(2, 20, B), rang(2, 21, B), end(26))
    assert (record.offered_at, record.ring_seconds, record.agent) == (at(20), 5.0, None)
    assert (record.outcome, record.wait_seconds, record.talk_seconds) == (Outcome.ABANDONED, 25.0, None)
    released = row(start(), queued(1), offer(1, 2), rang(1, 3), offer_end(1, 9, OfferEnd.REJECTED), end(26))
    assert released.ring_seconds == 6.0


def test_an_offer_that_never_rang_has_no_ring_seconds() -> None:
    assert row(start(), queued(1), offer(1, 2), offer_end(1, 3, OfferEnd.UNREACHABLE), end(9)).ring_seconds is None


@pytest.mark.parametrize(("left", "outcome"), [(5.9, "short_abandon"), (6, "short_abandon"), (6.1, "abandoned")])
def test_short_abandons_are_within_the_queues_limit(left: float, outcome: str) -> None:
    record = row(start(), queued(1), end(left), short=5)
    assert (record.outcome, record.queue) == (outcome, "support")


def test_a_queue_that_is_not_configured_has_the_usual_limit() -> None:
    assert row(start(), queued(1, "gone"), end(5)).outcome is Outcome.SHORT_ABANDON
    assert row(start(), queued(1, "gone"), end(7)).outcome is Outcome.ABANDONED


def test_hanging_up_in_the_menu_is_abandoned_without_a_queue() -> None:
    record = row(start(), end(2))
    assert (record.outcome, record.queue, record.wait_seconds) == (Outcome.ABANDONED, None, None)


def test_the_machine_served_whom_the_flow_finished() -> None:
    assert row(start(), fact(FlowFinished, 8), end(8.1, HangupBy.SYSTEM)).outcome is Outcome.SELF_SERVED
    assert row(start(), fact(FlowFinished, 8), end(8.1)).outcome is Outcome.SELF_SERVED


def test_a_call_we_ended_unserved_failed() -> None:
    assert row(start(), end(3, HangupBy.SYSTEM)).outcome is Outcome.FAILED
    assert row(start(), queued(1), end(30, HangupBy.SYSTEM)).outcome is Outcome.FAILED


def test_voicemail_and_the_reasons_for_leaving_a_queue() -> None:
    mail = row(
        start(), queued(1), fact(CallDequeued, 61, reason="voicemail"), fact(VoicemailLeft, 80, path="x"), end(81)
    )
    assert (mail.outcome, mail.wait_seconds) == (Outcome.VOICEMAIL, 60.0)
    back = row(start(), queued(1), fact(CallDequeued, 31, reason="callback"), end(35))
    assert (back.outcome, back.wait_seconds) == (Outcome.CALLBACK, 30.0)
    over = row(start(), queued(1), fact(CallDequeued, 31, reason="overflow"), end(35, HangupBy.SYSTEM))
    assert over.outcome is Outcome.OVERFLOW
    none = row(start(), queued(1), fact(CallDequeued, 31, reason="voicemail"), end(35))
    assert none.outcome is Outcome.ABANDONED


def test_a_number_that_is_not_ours_is_refused_at_the_door() -> None:
    refused = row(start(), end(0.1, HangupBy.SYSTEM, cause=1))
    assert (refused.outcome, refused.queue, refused.queued_at) == (Outcome.REJECTED, None, None)
    served = row(start(), fact(FlowEntered, 0.1, flow="main", version="1"), end(9, HangupBy.SYSTEM, cause=1))
    assert served.outcome is Outcome.FAILED
    assert row(start(), end(9, HangupBy.CALLER, cause=1)).outcome is Outcome.ABANDONED
    waited = row(
        start(), queued(1), fact(CallDequeued, 61, reason="late", to="hang_up"), end(62, HangupBy.SYSTEM, cause=1)
    )
    assert waited.outcome is Outcome.OVERFLOW


@pytest.mark.parametrize(
    ("to", "outcome"),
    [
        ("callback", Outcome.CALLBACK),
        ("flow:after_hours", Outcome.OVERFLOW),
        ("number:+15550177", Outcome.OVERFLOW),
        ("hang_up", Outcome.OVERFLOW),
        ("voicemail", Outcome.ABANDONED),
    ],
)
def test_the_outcome_of_a_call_that_went_elsewhere(to: str, outcome: Outcome) -> None:
    late = row(start(), queued(1), fact(CallDequeued, 61, reason="late", to=to, queue="support"), end(65))
    assert (late.outcome, late.wait_seconds, late.queue) == (outcome, 60.0, "support")
    turned_away = row(start(), fact(CallDequeued, 3, reason="full", to=to, queue="support"), end(9))
    # Hung up on without ever having had a place: that is the door.
    at_the_door = Outcome.REJECTED if to == "hang_up" else outcome
    assert (turned_away.outcome, turned_away.queue) == (at_the_door, "support")
    assert (turned_away.queued_at, turned_away.wait_seconds) == (None, None)


def test_who_overflows_into_another_queue_is_a_call_of_that_queue() -> None:
    full = fact(CallDequeued, 3, reason="full", to="queue:sales", queue="support")
    served = row(start(), full, fact(CallQueued, 3, queue="sales", by="overflow"), answered(10, number=None), end(90))
    assert (served.outcome, served.queue, served.wait_seconds) == (Outcome.ANSWERED, "sales", 7.0)
    left = row(start(), full, fact(CallQueued, 3, queue="sales", by="overflow"), end(90))
    assert (left.outcome, left.queue) == (Outcome.ABANDONED, "sales")


def test_an_overruling_outcome_is_kept() -> None:
    assert row(start(), end(1, HangupBy.SYSTEM, outcome=Outcome.REJECTED)).outcome is Outcome.REJECTED


def test_survival_counts_as_a_queue() -> None:
    record = row(start(), fact(SurvivalEntered, 12, queue="support"), answered(40, number=None), end(90))
    assert (record.queue, record.queued_at, record.wait_seconds) == ("support", at(12), 28.0)
    assert (record.outcome, record.offered_at, record.ring_seconds) == (Outcome.ANSWERED, None, None)


def test_a_transfer_adds_talk_and_does_not_count_it_twice() -> None:
    record = row(
        start(), queued(1), offer(1, 2), answered(10), answered(30, B, None), talk_end(40), talk_end(70, B), end(70),
        fact(WrapUpEnded, 50, agent_id=A), fact(WrapUpEnded, 75, agent_id=B),
    )  # fmt: skip
    assert (record.agent, record.talk_seconds, record.wrap_seconds) == (A, 60.0, 15.0)


def test_talk_and_hold_left_open_end_with_the_call() -> None:
    record = row(start(), queued(1), answered(10), fact(CallHeld, 20, agent_id=A), end(25))
    assert (record.talk_seconds, record.hold_seconds, record.wrap_seconds) == (10.0, 5.0, None)


def test_the_agents_leg_may_part_after_the_callers() -> None:
    record = row(start(), queued(1), answered(10), end(25), talk_end(25.2), fact(WrapUpEnded, 30, agent_id=A))
    assert (record.talk_seconds, record.wrap_seconds) == (15.0, pytest.approx(4.8))


def test_an_inferred_double_is_the_observed_event() -> None:
    seen = [start(), queued(1), offer(1, 2), answered(10), talk_end(25), end(25)]
    doubles = [
        answered(9.2, number=None, inferred=True),
        talk_end(25.9, inferred=True),
        end(25.4, HangupBy.SYSTEM, inferred=True),
    ]
    assert row(*seen, *doubles) == row(*seen)


def test_inferred_facts_fill_what_nobody_saw() -> None:
    record = row(start(), queued(1), answered(10, number=None, inferred=True), end(70, inferred=True))
    assert (record.outcome, record.talk_seconds) == (Outcome.ANSWERED, 60.0)


def test_a_found_customer_beats_an_unavailable_directory() -> None:
    found = fact(CustomerMatched, 2, match=Match.FOUND, customer_id=7, tier="gold")
    record = row(start(), found, fact(CustomerMatched, 30, match=Match.UNAVAILABLE), end(40))
    assert (record.customer_id, record.tier) == (7, "gold")


def test_a_call_that_is_still_there_has_no_outcome() -> None:
    record = row(start(), queued(1), answered(10))
    assert (record.ended_at, record.outcome, record.wait_seconds) == (None, None, 9.0)


def test_a_lost_beginning_is_tolerated() -> None:
    record = row(queued(5), end(20))
    assert (record.node, record.started_at, record.caller_number) == ("a1", at(5), None)


def test_facts_of_no_call_or_of_two_are_refused() -> None:
    with pytest.raises(ValueError, match="one call"):
        fold([AgentChanged(at=T0, agent_id=A, state=AgentState.READY)])
    with pytest.raises(ValueError, match="one call"):
        fold([start(), CallEnded(at=T0, call_id="other", hangup_by=HangupBy.CALLER)])


def test_a_call_of_two_agents_counts_each_ones_own_talk() -> None:
    """The field's pain: a transfer must not turn two minutes of talk into an hour."""
    facts = (
        start(),
        queued(1),
        offer(1, 2),
        answered(10),
        fact(CallHeld, 20, agent_id=A, server=True),
        fact(ConsultStarted, 20, agent_id=A, party=B, kind=DestinationKind.AGENT, leg_id="a1-1.1-p1", consulted=B, deadline=at(45)),
        fact(ConsultAnswered, 25, party=B, consulted=B),
        fact(ConsultEnded, 30, party=B, end=ConsultEnd.COMPLETED, consulted=B, by=A),
        fact(CallRetrieved, 30, agent_id=A, server=True),
        answered(30, B, None),
        talk_end(30.5),
        talk_end(50, B),
        end(50.1),
    )  # fmt: skip
    record = row(*facts)
    assert (record.agent, record.outcome) == (A, Outcome.ANSWERED)
    assert (record.talk_seconds, record.hold_seconds) == (30.0, 10.0)
    assert [(leg.agent, leg.talk_seconds, leg.hold_seconds) for leg in legs_of(facts)] == [
        (A, 10.5, 10.0),
        (B, 20.0, 0.0),
    ]
