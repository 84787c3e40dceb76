"""One call as one row: the definitions of every column of `report.calls`, as a fold over the call's facts.

The fold is a function of the *set* of facts: their order of arrival does not matter, and a fact told twice counts once.
An inferred fact (reconstructed afterwards) that tells within `SAME_EVENT` of an observed fact of the same kind and agent
is the same event seen twice: the observed one counts. Facts are then read in the order of their `at`.

Definitions
-----------
started_at     the call's arrival (`CallStarted`; the earliest fact when that one is missing)
queued_at      when the call first got a ticket, or entered the native queue in survival. A call keeps its first
               `queued_at` whatever offers fail or queues follow. A callback has that of the call that asked for it, whose
               place it took over. NULL: never queued.
answered_at    the first proof of talk (`CallAnswered`): both legs in one bridge. NULL: nobody talked to the caller.
ended_at       the caller's leg is gone (`CallEnded`). NULL: the call is still there.
the offer      `offered_at` and `ring_seconds` belong to the offer that was answered; when none was, to the last one made.
               A call answered without an offer (survival) has neither.
queue          the queue of the offer that was answered; else the last queue the call waited in; never queued: the last
               queue that would not have it. NULL: it asked for none.
agent          who first talked to the caller; of a call that an agent made: who made it. NULL: nobody.
wait_seconds   from queued_at to answered_at. Never answered: to the moment the call left its last queue by another way
               (`CallDequeued`: voicemail, callback, overflow), else to the end. NULL: never queued.
ring_seconds   from the first ring of the device that was answered to the answer; never answered: from the first ring of
               any device of the offer to its end. NULL: no device rang. A callback whose agent is called first: to when
               the agent picked up; the customer's telephone rings after that. A call that an agent made: from the first
               ring of the far side.
talk_seconds   time with at least one agent in talk, without hold, whatever transfers and conferences there were. NULL: never
               answered. What each agent had of it: `legs_of`.
hold_seconds   time within talk in which an agent held the caller. NULL: never answered.
wrap_seconds   from an agent's last talk to the end of that agent's wrap-up, summed over agents. NULL: no wrap-up ended.
outcome        exactly one, of the first rule that holds; NULL while the call is there:
               1. what `CallEnded.outcome` overrules (failed)
               2. answered       somebody talked to the caller
               3. voicemail      a message was left
               4. rejected       turned away at the door: the number is not one of the centre's, so that the telephone system
                  refused the call; or no queue would have it (closed, full, nobody there, too long a wait), and it was hung
                  up on, never having had a place
               5. callback, overflow   it left its last queue, or could not join, and is called back, or was sent to a flow
                  or an outside number, or hung up on (`CallDequeued.to`). Sent to voicemail without leaving a message: as
                  if it had hung up in the queue. A flow may ask for the callback, or connect the caller to the number,
                  without any queue; a call that came back because nobody answered there was not sent away
               6. voicemail      a step of the flow recorded a message (comments in a survey are none)
               7. self_served    the flow came to its own end, and the call was never queued
               8. failed         we, not the caller, ended it without any of these
               9. short_abandon  queued, and gone within the queue's limit (inclusive)
               10. abandoned     queued and gone later; or hung up in the menu before the flow ended (no queue)
               A call that an agent made and nobody answered: busy; no_answer (it rang until it was given up); failed (no
               way to the number, or the agent's own device was not taken).
language, tier, customer_id   what was last known; a look-up that found the customer beats one that did not.

No duration is ever negative: where clocks disagree it is 0. Whole talk = talk_seconds + hold_seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from cti.ids import AgentId, CallId, CustomerId, NodeName, OfferId, QueueName
from cti.model.fact_types import FACT_TYPES
from cti.model.facts import (
    CallAnswered,
    CallbackAsked,
    CallbackDialled,
    CallDequeued,
    CallEnded,
    CallFact,
    CallHeld,
    CallQueued,
    CallRetrieved,
    CallStarted,
    CustomerMatched,
    DialAsked,
    DialFailed,
    Direction,
    Fact,
    FarSideRang,
    FlowEntered,
    FlowFinished,
    HangupBy,
    LanguageChosen,
    Match,
    MessageRecorded,
    OfferEnd,
    OfferEnded,
    OfferMade,
    OfferRang,
    Outcome,
    RecordingStarted,
    SurvivalEntered,
    TalkEnded,
    TransferFailed,
    VoicemailLeft,
    WrapUpEnded,
)

SAME_EVENT = timedelta(seconds=2)
"""An inferred and an observed fact of one kind this close together tell the same event."""

REFUSED_CAUSES = frozenset({1, 21, 34, 42})
"""Q.850 causes by which the telephone system refuses a call: no such number, rejected, no line free, congestion."""

DEFAULT_SHORT_ABANDON = timedelta(seconds=5)
"""Limit for a queue that is not configured (any more)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One agent's part in a call: all stretches of talk with the caller together."""

    agent: AgentId
    answered_at: datetime
    talk_seconds: float
    """Without the time in which this agent held the caller."""
    hold_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call. The fields up to `recording` are the columns of `report.calls`, in their order."""

    call_id: CallId
    node: NodeName
    direction: Direction
    started_at: datetime
    queued_at: datetime | None
    offered_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    caller_number: str | None
    did: str
    language: str | None
    customer_id: CustomerId | None
    tier: str | None
    queue: QueueName | None
    agent: AgentId | None
    outcome: Outcome | None
    wait_seconds: float | None
    ring_seconds: float | None
    talk_seconds: float | None
    hold_seconds: float | None
    wrap_seconds: float | None
    hangup_by: HangupBy | None
    recording: str | None
    disposition: str | None
    """What the agent chose in the wrap-up; not in the view, kept for the customer's history."""
    note: str | None
    """What the agent wrote in the wrap-up; as above."""


_F = TypeVar("_F", bound=CallFact)
_RANK = {cls: rank for rank, cls in enumerate(FACT_TYPES.values())}
Span = tuple[datetime, datetime]


def fold(facts: Iterable[Fact], *, short_abandon: Mapping[QueueName, timedelta] | None = None) -> CallRecord:
    """The record of one call from its facts, in any order, with any repetitions.

    `short_abandon` gives each queue's limit. Raises `ValueError` when there is no fact about a call, or about two calls.
    """
    told = in_order(facts)
    if len({fact.call_id for fact in told}) != 1:
        raise ValueError(f"the facts of one call are needed, not of {len({fact.call_id for fact in told})}")
    call_id = told[0].call_id

    starts = sorted(_of(told, CallStarted), key=lambda fact: fact.inferred)
    ends = sorted(_of(told, CallEnded), key=lambda fact: fact.inferred)
    end = ends[0] if ends else None
    ended_at = end.at if end else None
    queueings = [fact for fact in told if isinstance(fact, CallQueued | SurvivalEntered) and fact.queue is not None]
    queued_at = queueings[0].at if queueings else None
    if queueings and starts and starts[0].parent is not None and isinstance(queueings[0], CallQueued):
        queued_at = queueings[0].since or queued_at
    answers = _of(told, CallAnswered)
    answer = answers[0] if answers else None
    answered_at = answer.at if answer else None

    offer = _offer(told, answer)
    turned_away = [fact.queue for fact in _of(told, CallDequeued) if fact.queue is not None]
    last_queue = queueings[-1].queue if queueings else turned_away[-1] if turned_away else None
    queue = offer.queue if offer and answer else last_queue
    talks, holds = talk_spans(told, ended_at)
    whole_talk, hold = length_of(talks), length_of(within(holds, talks))
    wait = _wait(told, queued_at, answered_at, ended_at)
    customer = _customer(told)
    dialled = next(iter(_of(told, DialAsked)), None)
    languages = _of(told, LanguageChosen)
    recordings = _of(told, RecordingStarted)
    wraps = sorted(_of(told, WrapUpEnded), key=lambda fact: fact.inferred)
    limit = (short_abandon or {}).get(queue, DEFAULT_SHORT_ABANDON) if queue else DEFAULT_SHORT_ABANDON
    return CallRecord(
        call_id=call_id,
        node=starts[0].node if starts else NodeName(call_id.rpartition("-")[0]),
        direction=starts[0].direction if starts else Direction.INBOUND,
        started_at=starts[0].at if starts else told[0].at,
        queued_at=queued_at,
        offered_at=offer.at if offer else None,
        answered_at=answered_at,
        ended_at=ended_at,
        caller_number=next((fact.caller_number for fact in starts if fact.caller_number), None),
        did=next((fact.did for fact in starts if fact.did), ""),
        language=languages[-1].language or None if languages else None,
        customer_id=customer.customer_id if customer else None,
        tier=(customer.tier or None) if customer else None,
        queue=queue,
        agent=dialled.agent_id if dialled else answer.agent_id if answer else None,
        outcome=_unreached(told, end)
        if dialled and answer is None
        else _outcome(told, end, answered=answer is not None, queued=queued_at is not None, wait=wait, limit=limit),
        wait_seconds=_seconds(wait),
        ring_seconds=_seconds(
            _far_ring(told, answered_at, ended_at) if dialled else _ring(told, offer, answer, ended_at)
        ),
        talk_seconds=_seconds(whole_talk - hold) if answer else None,
        hold_seconds=_seconds(hold) if answer else None,
        wrap_seconds=_seconds(_wrap(told, wraps, ended_at)),
        hangup_by=end.hangup_by if end else None,
        recording=recordings[0].path if recordings else None,
        disposition=next((fact.disposition for fact in wraps if fact.disposition), None),
        note=next((fact.note for fact in wraps if fact.note), None),
    )


def legs_of(facts: Iterable[Fact]) -> tuple[Leg, ...]:
    """Everybody who talked with the caller of one call, in the order they came. Facts as for `fold`."""
    told = in_order(facts)
    ends = sorted(_of(told, CallEnded), key=lambda fact: fact.inferred)
    answers = _of(told, CallAnswered)
    legs = []
    for agent in dict.fromkeys(fact.agent_id for fact in answers):
        own = [fact for fact in told if getattr(fact, "agent_id", None) == agent]
        talks, holds = talk_spans(own, ends[0].at if ends else None)
        hold = length_of(within(holds, talks))
        legs.append(
            Leg(
                agent=agent,
                answered_at=next(fact.at for fact in answers if fact.agent_id == agent),
                talk_seconds=max(0.0, (length_of(talks) - hold).total_seconds()),
                hold_seconds=max(0.0, hold.total_seconds()),
            )
        )
    return tuple(legs)


def in_order(facts: Iterable[Fact]) -> list[CallFact]:
    """The facts of calls among these, each once and inferred doubles dropped, by time; at one instant by their order in a
    call's life, then by text."""
    told = {fact for fact in facts if isinstance(fact, CallFact)}
    observed: dict[tuple[type[CallFact], AgentId | None], list[datetime]] = {}
    for fact in told:
        if not fact.inferred:
            observed.setdefault(_kind(fact), []).append(fact.at)
    kept = [
        fact
        for fact in told
        if not (fact.inferred and any(abs(at - fact.at) <= SAME_EVENT for at in observed.get(_kind(fact), ())))
    ]
    ordered = sorted(kept, key=_moment)
    if any(_moment(one) == _moment(other) for one, other in pairwise(ordered)):
        ordered.sort(key=lambda fact: (*_moment(fact), repr(fact)))  # costs much more than the rest, and is rare
    return ordered


def _moment(fact: CallFact) -> tuple[datetime, int]:
    return fact.at, _RANK[type(fact)]


def _kind(fact: CallFact) -> tuple[type[CallFact], AgentId | None]:
    return type(fact), getattr(fact, "agent_id", None)


def _of(told: Sequence[CallFact], kind: type[_F]) -> list[_F]:
    return [fact for fact in told if isinstance(fact, kind)]


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else max(0.0, length.total_seconds())


def _offer(told: Sequence[CallFact], answer: CallAnswered | None) -> OfferMade | None:
    """The offer that was answered; without an answer the last one made."""
    offers = _of(told, OfferMade)
    if answer is None:
        return offers[-1] if offers else None
    offer_id: OfferId | None = answer.offer_id
    if offer_id is None:
        taken = [
            end for end in _of(told, OfferEnded) if end.end is OfferEnd.ANSWERED and end.agent_id == answer.agent_id
        ]
        offer_id = taken[0].offer_id if taken else None
    return next((offer for offer in offers if offer.offer_id == offer_id), None)


def _ring(
    told: Sequence[CallFact], offer: OfferMade | None, answer: CallAnswered | None, ended_at: datetime | None
) -> timedelta | None:
    if offer is None:
        return None
    rung = [fact for fact in _of(told, OfferRang) if fact.offer_id == offer.offer_id]
    # Of several phones that rang, the one that was answered counts; none was: the first.
    own = [fact.at for fact in rung if answer is not None and fact.agent_id == answer.agent_id]
    rings = own or [fact.at for fact in rung]
    if not rings:
        return None
    ends = [fact.at for fact in _of(told, OfferEnded) if fact.offer_id == offer.offer_id]
    until = answer.at if answer else ends[0] if ends else ended_at
    taken_up = [fact.at for fact in _of(told, CallbackDialled) if fact.agent_id is not None and fact.at >= rings[0]]
    if taken_up and until is not None:
        until = min(until, taken_up[0])
    return None if until is None else max(until - rings[0], timedelta())


def _far_ring(told: Sequence[CallFact], answered_at: datetime | None, ended_at: datetime | None) -> timedelta | None:
    """How long the far side of a call that an agent made rang."""
    rings = [fact.at for fact in _of(told, FarSideRang)]
    until = answered_at or next((fact.at for fact in _of(told, DialFailed)), ended_at)
    return max(until - rings[0], timedelta()) if rings and until is not None else None


def _unreached(told: Sequence[CallFact], end: CallEnded | None) -> Outcome | None:
    """What became of a call that an agent made and nobody answered."""
    if end is None:
        return None
    status = next((fact.status for fact in _of(told, DialFailed)), "")
    return {"busy": Outcome.BUSY, "no_answer": Outcome.NO_ANSWER, "cancelled": Outcome.NO_ANSWER}.get(
        status, Outcome.FAILED
    )


def _wait(
    told: Sequence[CallFact], queued_at: datetime | None, answered_at: datetime | None, ended_at: datetime | None
) -> timedelta | None:
    if queued_at is None:
        return None
    until = answered_at
    if until is None:
        last_queued = max(fact.at for fact in told if isinstance(fact, CallQueued | SurvivalEntered))
        leavings = [fact.at for fact in _of(told, CallDequeued) if fact.at > last_queued]
        until = leavings[0] if leavings else ended_at
    return None if until is None else max(until - queued_at, timedelta())


def talk_spans(told: Sequence[CallFact], ended_at: datetime | None) -> tuple[list[Span], list[Span]]:
    """When agents talked (hold included), and when the caller was held: closed spans of every agent.

    What is still open ends with the call; in a call that is still there it does not count yet.
    """
    talks: list[Span] = []
    holds: list[Span] = []
    talking: dict[AgentId, datetime] = {}
    holding: dict[AgentId, datetime] = {}
    for fact in told:
        if ended_at is not None and fact.at > ended_at:
            break
        if isinstance(fact, CallAnswered):
            talking.setdefault(fact.agent_id, fact.at)
        elif isinstance(fact, CallHeld) and fact.agent_id in talking:
            holding.setdefault(fact.agent_id, fact.at)
        elif isinstance(fact, CallRetrieved) and fact.agent_id in holding:
            holds.append((holding.pop(fact.agent_id), fact.at))
        elif isinstance(fact, TalkEnded) and fact.agent_id in talking:
            talks.append((talking.pop(fact.agent_id), fact.at))
            if fact.agent_id in holding:
                holds.append((holding.pop(fact.agent_id), fact.at))
    if ended_at is not None:
        talks += [(since, ended_at) for since in talking.values()]
        holds += [(since, ended_at) for since in holding.values()]
    return talks, holds


def merged_spans(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that do not touch, in order."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def within(spans: Iterable[Span], limits: Iterable[Span]) -> list[Span]:
    """The parts of `spans` that lie in `limits`."""
    outer = merged_spans(limits)
    return [(max(a, c), min(b, d)) for a, b in merged_spans(spans) for c, d in outer if max(a, c) < min(b, d)]


def length_of(spans: Iterable[Span]) -> timedelta:
    """Time covered by at least one of the spans."""
    return sum((end - start for start, end in merged_spans(spans)), timedelta())


def _wrap(told: Sequence[CallFact], wraps: Sequence[WrapUpEnded], ended_at: datetime | None) -> timedelta | None:
    parts = [wrap_of(told, wraps, agent, ended_at) for agent in dict.fromkeys(wrap.agent_id for wrap in wraps)]
    known = [until - since for part in parts if part is not None for since, until in (part,)]
    return sum(known, timedelta()) if known else None


def wrap_of(
    told: Sequence[CallFact], wraps: Sequence[WrapUpEnded], agent: AgentId, ended_at: datetime | None
) -> Span | None:
    """An agent's work after the call, from their last talk on; None: none has ended. `wraps`: observed ones first."""
    # A second end of the same wrap-up changes nothing.
    wrap = next((wrap for wrap in wraps if wrap.agent_id == agent), None)
    if wrap is None:
        return None
    talks = [fact.at for fact in _of(told, TalkEnded) if fact.agent_id == agent]
    answered = any(fact.agent_id == agent for fact in _of(told, CallAnswered))
    since = talks[-1] if talks else ended_at if answered else None
    return None if since is None else (since, max(wrap.at, since))


def _customer(told: Sequence[CallFact]) -> CustomerMatched | None:
    matches = sorted(_of(told, CustomerMatched), key=lambda fact: fact.match is Match.FOUND)
    return matches[-1] if matches else None


_SENT = {
    "callback": Outcome.CALLBACK,
    "overflow": Outcome.OVERFLOW,
    "flow": Outcome.OVERFLOW,
    "number": Outcome.OVERFLOW,
    "hang_up": Outcome.OVERFLOW,
}


def _sent_to(told: Sequence[CallFact]) -> str:
    """Where the call went when it left its last queue, or could not join: the kind of target; empty when it did not."""
    last_queued = max((fact.at for fact in told if isinstance(fact, CallQueued | SurvivalEntered)), default=None)
    sent = ""
    for fact in told:
        if last_queued is not None and fact.at < last_queued:
            continue
        if isinstance(fact, CallDequeued) and not fact.to.startswith("queue:"):
            sent = (fact.to or fact.reason).partition(":")[0]
        elif isinstance(fact, CallbackAsked):
            sent = "callback"
        elif isinstance(fact, TransferFailed):
            sent = ""
    return sent


def _outcome(
    told: Sequence[CallFact],
    end: CallEnded | None,
    *,
    answered: bool,
    queued: bool,
    wait: timedelta | None,
    limit: timedelta,
) -> Outcome | None:
    """The first rule of the module's text that holds."""
    if end is None:
        return None
    if end.outcome is not None:
        return end.outcome
    if answered:
        return Outcome.ANSWERED
    if _of(told, VoicemailLeft):
        return Outcome.VOICEMAIL
    if _turned_away(told, end, queued=queued):
        return Outcome.REJECTED
    if (elsewhere := _SENT.get(_sent_to(told))) is not None:
        return elsewhere
    if any(message.kind == "message" for message in _of(told, MessageRecorded)):
        return Outcome.VOICEMAIL
    if not queued and _of(told, FlowFinished):
        return Outcome.SELF_SERVED
    if end.hangup_by is HangupBy.SYSTEM:
        return Outcome.FAILED
    if queued and wait is not None and wait <= limit:
        return Outcome.SHORT_ABANDON
    return Outcome.ABANDONED


def _turned_away(told: Sequence[CallFact], end: CallEnded, *, queued: bool) -> bool:
    """Whether the call was refused at the door: by the telephone system, or by every queue it came to, and hung up on."""
    if queued or any(isinstance(fact, SurvivalEntered) for fact in told):
        return False
    if _sent_to(told) == "hang_up":
        return True
    spoke = any(isinstance(fact, FlowEntered) for fact in told)
    return not spoke and end.hangup_by is HangupBy.SYSTEM and end.cause in REFUSED_CAUSES
