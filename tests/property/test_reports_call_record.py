"""Properties of the call's row over arbitrary, even nonsensical, histories."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cti.model.facts import (
    CallAnswered,
    CallDequeued,
    CallEnded,
    CallFact,
    CallHeld,
    CallQueued,
    CallRetrieved,
    CallStarted,
    CustomerMatched,
    Device,
    FlowFinished,
    HangupBy,
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
from cti.reports.call_record import CallRecord, fold
from tests.support.examples import examples

T0 = datetime(2026, 3, 1, tzinfo=UTC)
AGENTS = st.sampled_from(["1001", "1002"])
OFFERS = st.sampled_from([1, 2, 3])
QUEUES = st.sampled_from(["support", "sales"])
AT = st.integers(0, 40).map(lambda quarters: T0 + timedelta(seconds=quarters / 4))


def of(kind: type[CallFact], **values: st.SearchStrategy[Any]) -> st.SearchStrategy[CallFact]:
    return st.builds(kind, at=AT, inferred=st.booleans(), call_id=st.just("a1-1.1"), **values)


FACTS = st.one_of(
    of(CallStarted, node=st.just("a1"), caller_number=st.sampled_from([None, "+15550100001"])),
    of(FlowFinished),
    of(CustomerMatched, match=st.sampled_from(Match), customer_id=st.sampled_from([None, 1, 2])),
    of(CallQueued, queue=QUEUES),
    of(CallDequeued, reason=st.sampled_from(["voicemail", "callback", "overflow", "other"])),
    of(OfferMade, offer_id=OFFERS, agent_id=AGENTS, queue=QUEUES, device=st.just(Device.SIP), deadline=st.just(T0)),
    of(OfferRang, offer_id=OFFERS, agent_id=AGENTS),
    of(OfferEnded, offer_id=OFFERS, agent_id=AGENTS, end=st.sampled_from(OfferEnd)),
    of(CallAnswered, agent_id=AGENTS, offer_id=st.none() | OFFERS),
    of(CallHeld, agent_id=AGENTS),
    of(CallRetrieved, agent_id=AGENTS),
    of(TalkEnded, agent_id=AGENTS),
    of(RecordingStarted, path=st.sampled_from(["a", "b"])),
    of(SurvivalEntered, queue=st.none() | QUEUES),
    of(VoicemailLeft, path=st.just("v")),
    of(CallEnded, hangup_by=st.sampled_from(HangupBy), outcome=st.sampled_from([None, Outcome.FAILED])),
    of(WrapUpEnded, agent_id=AGENTS, disposition=st.sampled_from(["", "resolved"])),
)
HISTORIES = st.lists(FACTS, min_size=1, max_size=14)


@examples(100, nightly=10_000)
@given(HISTORIES, st.randoms(use_true_random=False), st.data())
def test_order_and_repetition_change_nothing(history: list[CallFact], random: Any, data: st.DataObject) -> None:
    again = history + data.draw(st.lists(st.sampled_from(history), max_size=5))
    random.shuffle(again)
    assert fold(again) == fold(history)


@examples(100, nightly=10_000)
@given(HISTORIES)
def test_seconds_are_never_negative_and_sums_hold(history: list[CallFact]) -> None:
    record = fold(history)
    seconds = {name: getattr(record, name) for name in CallRecord.__slots__ if name.endswith("_seconds")}
    assert all(value is None or value >= 0 for value in seconds.values())
    assert (record.talk_seconds is None) == (record.hold_seconds is None) == (record.answered_at is None)
    if record.answered_at is not None and record.ended_at is not None:
        assert record.talk_seconds is not None
        assert record.hold_seconds is not None
        there = max(0.0, (record.ended_at - record.answered_at).total_seconds())
        assert record.talk_seconds + record.hold_seconds <= there + 1e-6
    if record.queued_at and record.answered_at and record.answered_at >= record.queued_at:
        assert record.wait_seconds == (record.answered_at - record.queued_at).total_seconds()


@examples(100, nightly=10_000)
@given(HISTORIES)
def test_one_outcome_exactly_when_the_call_has_ended(history: list[CallFact]) -> None:
    record = fold(history)
    ended = any(isinstance(fact, CallEnded) for fact in history)
    assert (record.outcome is not None) == (record.ended_at is not None) == (record.hangup_by is not None) == ended
    if record.outcome is Outcome.ANSWERED:
        assert record.agent is not None
        assert record.answered_at is not None
    if record.outcome in (Outcome.ABANDONED, Outcome.SHORT_ABANDON, Outcome.SELF_SERVED):
        assert record.answered_at is None
    if record.queued_at is None and record.outcome is not Outcome.ANSWERED:
        assert record.wait_seconds is None


@given(HISTORIES, st.timedeltas(-timedelta(days=400), timedelta(days=400)))
def test_moving_the_whole_history_moves_only_the_moments(history: list[CallFact], shift: timedelta) -> None:
    before = fold(history)
    after = fold(dataclasses.replace(fact, at=fact.at + shift) for fact in history)
    for name in CallRecord.__slots__:
        old, new = getattr(before, name), getattr(after, name)
        assert new == (old + shift if isinstance(old, datetime) else old), name


@examples(100, nightly=10_000)
@given(HISTORIES, st.integers(0, 20))
def test_a_longer_limit_only_turns_abandons_into_short_ones(history: list[CallFact], limit: int) -> None:
    def told(seconds: float) -> Outcome | None:
        return fold(history, short_abandon={q: timedelta(seconds=seconds) for q in ("support", "sales")}).outcome  # type: ignore[misc]

    less, more = told(limit), told(limit + 1)
    assert less == more or (less, more) == (Outcome.ABANDONED, Outcome.SHORT_ABANDON)
