"""Stays, agents' parts and figures of calls, one example each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cti.ids import AgentId, CallId, NodeName, OfferId, QueueName
from cti.model import facts as f
from cti.model.centre import ServiceLevelOf
from cti.model.facts import AgentState, Direction, HangupBy, Outcome
from cti.reports.counted import QueueRules
from cti.reports.counting import CountedCall, count, linked
from cti.reports.metric import Grain

T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
CALL = CallId("a1-1.1")
ADA, BO = AgentId("1001"), AgentId("1002")
SUPPORT, SALES = QueueName("support"), QueueName("sales")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def started(call_id: CallId = CALL, **more: Any) -> f.CallStarted:
    return f.CallStarted(at=T0, call_id=call_id, node=NodeName("a1"), caller_number="+15550100001", did="5001", **more)


def queued(seconds: float, queue: QueueName = SUPPORT, **more: Any) -> f.CallQueued:
    return f.CallQueued(at=at(seconds), call_id=more.pop("call_id", CALL), queue=queue, **more)


def answered(seconds: float, agent: AgentId = ADA, offer: int | None = None) -> f.CallAnswered:
    return f.CallAnswered(at=at(seconds), call_id=CALL, agent_id=agent, offer_id=OfferId(offer) if offer else None)


def talk_ended(seconds: float, agent: AgentId = ADA) -> f.TalkEnded:
    return f.TalkEnded(at=at(seconds), call_id=CALL, agent_id=agent)


def ended(seconds: float, by: HangupBy = HangupBy.CALLER, **more: Any) -> f.CallEnded:
    return f.CallEnded(at=at(seconds), call_id=more.pop("call_id", CALL), hangup_by=by, **more)


def left(seconds: float, reason: str, to: str, queue: QueueName | None = SUPPORT) -> f.CallDequeued:
    return f.CallDequeued(at=at(seconds), call_id=CALL, reason=reason, to=to, queue=queue)


def sent_on(seconds: float, kind: f.DestinationKind, to: str) -> f.CallTransferred:
    return f.CallTransferred(at=at(seconds), call_id=CALL, agent_id=ADA, kind=kind, to=to)


def stays(call: CountedCall) -> list[tuple[Any, ...]]:
    """(queue, end, seconds, who answered, whether offered)."""
    return [
        (row.queue, row.outcome, (row.until - row.at).total_seconds(), row.agent, row.amounts.get("offered", 0))  # type: ignore[operator]
        for row in call.rows
        if row.grain is Grain.VISITS
    ]


def amounts(call: CountedCall, grain: Grain = Grain.CALLS) -> dict[str, int]:
    (row,) = (row for row in call.rows if row.grain is grain)
    return dict(row.amounts)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        # Answered; given up soon, and later.
        ([queued(1), answered(9), talk_ended(30), ended(30)], [("support", "answered", 8.0, "1001", 1)]),
        ([queued(1), ended(6)], [("support", "short_abandon", 5.0, None, 1)]),
        ([queued(1), ended(6.5)], [("support", "abandoned", 5.5, None, 1)]),
        # A rule moved the caller to another queue; the wait begins anew there.
        (
            [queued(1), queued(31, SALES, by="overflow"), answered(35), ended(60)],
            [("support", "moved", 30.0, None, 1), ("sales", "answered", 4.0, "1001", 1)],
        ),
        # A pick-up is the same stay.
        (
            [queued(1), queued(8, preferred=BO, addressed=True), answered(9, BO), ended(60)],
            [("support", "answered", 8.0, "1002", 1)],
        ),
        # Sent to a colleague alone: no stay of the queue's; left to everybody in the end: one.
        (
            [queued(1), answered(2), sent_on(20, f.DestinationKind.AGENT, "1002"), talk_ended(20),
             queued(20, preferred=BO, addressed=True), answered(25, BO), ended(60)],
            [("support", "answered", 1.0, "1001", 1), ("support", "answered", 5.0, "1002", 0)],
        ),
        (
            [queued(1), answered(2), sent_on(20, f.DestinationKind.AGENT, "1002"), talk_ended(20),
             queued(20, preferred=BO, addressed=True), queued(50), ended(62)],
            [("support", "answered", 1.0, "1001", 1), ("support", "abandoned", 42.0, None, 1)],
        ),
        # Voicemail with a message, and without one.
        (
            [queued(1), left(9, "option", "voicemail"), f.VoicemailLeft(at=at(30), call_id=CALL, path="a"), ended(31)],
            [("support", "voicemail", 8.0, None, 1)],
        ),
        ([queued(1), left(9, "option", "voicemail"), ended(31)], [("support", "abandoned", 8.0, None, 1)]),
        # Into a flow, out to a number; over to a callback; not let in; the machine's fault.
        ([queued(1), left(9, "late", "number:+15550001"), ended(31)], [("support", "overflow", 8.0, None, 1)]),
        ([queued(1), left(9, "option", "callback"), ended(31)], [("support", "callback", 8.0, None, 0)]),
        ([left(1, "full", "voicemail"), ended(31)], [("support", "turned_away", 0.0, None, 0)]),
        ([left(1, "flow", "flow:x", None), ended(31)], []),
        ([queued(1), ended(9, HangupBy.SYSTEM)], [("support", "lost", 8.0, None, 1)]),
        # Survival goes on in the queue the call was in, or begins a stay.
        (
            [queued(1), f.SurvivalEntered(at=at(20), call_id=CALL, queue=SUPPORT), answered(25), ended(60)],
            [("support", "answered", 24.0, "1001", 1)],
        ),
        (
            [f.SurvivalEntered(at=at(5), call_id=CALL, queue=SUPPORT), f.VoicemailLeft(at=at(40), call_id=CALL, path="a"),
             ended(41)],
            [("support", "voicemail", 36.0, None, 1)],
        ),
    ],
)  # fmt: skip
def test_stays(facts: list[f.CallFact], expected: list[tuple[Any, ...]]) -> None:
    assert stays(count([started(), *facts])) == expected


@pytest.mark.parametrize(
    ("of", "bases"),
    [
        (ServiceLevelOf.DECIDED, (1, 1, 0, 0)),
        (ServiceLevelOf.OFFERED, (1, 1, 1, 1)),
        (ServiceLevelOf.OFFERED_WITHOUT_SHORT, (1, 1, 0, 1)),
        (ServiceLevelOf.ANSWERED, (1, 0, 0, 0)),
    ],
)
def test_a_queue_chooses_what_its_service_level_is_of(of: ServiceLevelOf, bases: tuple[int, ...]) -> None:
    rules = QueueRules(level_of=of)
    endings = (
        [answered(9), ended(30)],
        [ended(60)],
        [ended(2)],
        [left(30, "late", "flow:x"), ended(31)],
    )
    found = [amounts(count([started(), queued(1), *more], lambda _q, _at: rules), Grain.VISITS) for more in endings]
    assert tuple(row.get("level_base", 0) for row in found) == bases
    assert [row.get("in_time", 0) for row in found] == [1, 0, 0, 0]


def test_parts_of_agents_and_what_it_took_of_their_time() -> None:
    call = count([
        started(), queued(1),
        f.OfferMade(at=at(2), call_id=CALL, offer_id=OfferId(1), agent_id=ADA, queue=SUPPORT, device=f.Device.SIP, deadline=at(9)),
        f.OfferRang(at=at(2.5), call_id=CALL, offer_id=OfferId(1), agent_id=ADA),
        f.OfferEnded(at=at(4), call_id=CALL, offer_id=OfferId(1), agent_id=ADA, end=f.OfferEnd.ANSWERED),
        answered(4, ADA, 1), f.CallHeld(at=at(10), call_id=CALL, agent_id=ADA),
        f.ConsultStarted(
            at=at(10), call_id=CALL, agent_id=ADA, party="1002", kind=f.DestinationKind.AGENT, leg_id="x", consulted=BO,
            deadline=at(40),
        ),
        f.ConsultAnswered(at=at(13), call_id=CALL, party="1002", consulted=BO),
        sent_on(20, f.DestinationKind.AGENT, "1002"),
        f.ConsultEnded(at=at(20), call_id=CALL, party="1002", end=f.ConsultEnd.COMPLETED, consulted=BO, by=ADA),
        talk_ended(20), answered(20, BO), talk_ended(50, BO), ended(50),
        f.WrapUpEnded(at=at(26), call_id=CALL, agent_id=ADA),
    ])  # fmt: skip
    ada, bo = (row.amounts for row in call.rows if row.grain is Grain.TALKS)
    assert ada == {
        "handled": 1, "talk_ms": 6000, "hold_ms": 10_000, "wrap_ms": 6000, "handle_ms": 22_000, "transfers_out": 1,
        "consults": 1,
    }  # fmt: skip
    assert bo == {"handled": 1, "talk_ms": 30_000, "handle_ms": 30_000}
    took = {(one.agent, one.state, (one.ended_at - one.began_at).total_seconds()) for one in call.activities}
    assert took == {
        (ADA, AgentState.RESERVED, 0.5), (ADA, AgentState.RINGING, 1.5), (ADA, AgentState.TALKING, 16.0),
        (ADA, AgentState.HELD, 10.0), (ADA, AgentState.WRAP_UP, 6.0), (BO, AgentState.RESERVED, 3.0),
        (BO, AgentState.TALKING, 7.0), (BO, AgentState.TALKING, 30.0),
    }  # fmt: skip
    whole = amounts(call)
    assert (whole["transferred"], whole["resolvable"], "resolved" in whole) == (1, 1, False)


def test_a_callback_is_one_wait_with_the_call_that_asked_for_it() -> None:
    back = CallId(f"{CALL}-cb")
    asked = count([
        started(), queued(1), left(30, "option", "callback"),
        f.CallbackAsked(at=at(30), call_id=CALL, callback_id=back, number="+15550100001"), ended(35),
    ])  # fmt: skip
    kept = [
        started(back, direction=Direction.OUTBOUND, parent=CALL), queued(30, call_id=back, since=at(1)),
        f.WaitPromised(at=at(30), call_id=back, queue=SUPPORT, place=1, low=1, mean=30, high=60),
        f.CallbackDialled(at=at(80), call_id=back, attempt=1, channel="x"),
        f.CallAnswered(at=at(101), call_id=back, agent_id=ADA), ended(150, call_id=back),
    ]  # fmt: skip
    called = count(kept)
    assert "wanted" not in amounts(asked)
    whole = amounts(called)
    assert (whole["wanted"], whole["reached"], whole["callbacks_promised"], whole["callbacks_kept"]) == (1, 1, 1, 1)
    assert "callbacks_late" not in whole
    assert stays(called) == [("support", "answered", 100.0, "1001", 1)]
    late = [f.CallbackDialled(at=at(95), call_id=back, attempt=1, channel="x") if isinstance(one, f.CallbackDialled) else one for one in kept]  # fmt: skip
    assert amounts(count(late))["callbacks_late"] == 1
    # The customer called again first.
    again = count([*kept[:2], ended(60, HangupBy.SYSTEM, call_id=back, outcome=Outcome.CALLBACK)])
    assert amounts(again) == {"calls": 1}
    assert stays(again) == [("support", "callback", 59.0, None, 0)]


def test_repeat_calls_and_first_contact() -> None:
    def on_day(day: float, number: int, queue: QueueName = SUPPORT) -> CountedCall:
        call_id = CallId(f"a1-1.{number}")
        shift = timedelta(days=day)
        facts: list[f.CallFact] = [started(call_id), queued(1, queue, call_id=call_id), ended(30, call_id=call_id)]
        facts.append(f.CallAnswered(at=at(5), call_id=call_id, agent_id=ADA))
        return count([_moved(fact, shift) for fact in facts])

    calls = [on_day(0, 1), on_day(6.9, 2), on_day(14, 3), on_day(14.5, 4, SALES)]
    rows = [row.amounts for row in linked(calls) if row.grain is Grain.CALLS]
    assert [(row.get("resolved", 0), row.get("repeats", 0)) for row in rows] == [(0, 0), (1, 1), (1, 0), (1, 0)]


def _moved(fact: f.CallFact, shift: timedelta) -> f.CallFact:
    import dataclasses

    return dataclasses.replace(fact, at=fact.at + shift)


def test_a_call_that_is_not_over_is_not_counted() -> None:
    with pytest.raises(ValueError, match="not over"):
        count([started(), queued(1)])
