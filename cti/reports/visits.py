"""Stays of a call in queues: what figures of queues are sums over.

A stay begins when the call gets a place in a queue, and in survival when it comes into the queue of the telephone system; a
callback's first stay begins where the stay began whose place it took over. It ends with an answer, with leaving for anywhere
else, or with the call. A new ticket in the same queue (an offer that failed, a pick-up, survival) is the same stay; after a talk
it is a new one. Waits are counted within the stay: a caller who is sent on to another queue begins there at 0.

end            what it means
answered       an agent talked to the caller; with this agent
abandoned, short_abandon   the caller hung up (or was sent to voicemail and left no message), later or sooner than the limit
voicemail, overflow, moved   left for voicemail (and left a message), a flow, a number or nothing; for another queue
callback       the place went over to a callback, or from a callback to the caller who called again: counted there
lost           our side ended the call, or the callback reached nobody
turned_away    could not join; it has no length

A caller whom a colleague sent to one agent is no stay of the queue's while that agent alone may have them (`direct`): it has a
row, which adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cti.ids import AgentId, QueueName
from cti.model import facts as f
from cti.model.callback import is_callback
from cti.model.centre import ServiceLevelOf
from cti.model.facts import HangupBy, Outcome
from cti.reports.call_record import CallRecord
from cti.reports.counted import QueueRules, RulesAt, milliseconds

ELSEWHERE = frozenset({"voicemail", "overflow", "moved"})
NOT_OFFERED = frozenset({"callback", "turned_away"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One stay. `end` is empty while it lasts."""

    queue: QueueName
    entered_at: datetime
    left_at: datetime
    end: str = ""
    agent: AgentId | None = None
    direct: bool = False
    """Every ticket of it was for one agent alone, to whom a colleague sent the caller."""
    promise: f.WaitPromised | None = None
    """What was expected on joining."""


def visits_of(told: Sequence[f.CallFact], record: CallRecord, limit: RulesAt) -> tuple[Visit, ...]:
    """The stays of a call that has ended, in order. `told` as `call_record.in_order` gives it."""
    left_message = any(isinstance(fact, f.VoicemailLeft) for fact in told)
    return tuple(
        replace(visit, end=_ending(visit, record, left_message=left_message, limit=limit))
        for visit in _stays(told, record)
    )


def _stays(told: Sequence[f.CallFact], record: CallRecord) -> Iterator[Visit]:
    now: Visit | None = None
    first = True
    for fact in told:
        if record.ended_at is not None and fact.at > record.ended_at:
            break
        match fact:
            case f.CallQueued():
                direct = fact.addressed and fact.preferred is not None
                if now is not None and now.queue == fact.queue:
                    now = replace(now, direct=now.direct and direct)
                    continue
                if now is not None:
                    yield replace(now, end="moved", left_at=fact.at)
                taken_over = first and is_callback(fact.call_id) and fact.since is not None
                entered = fact.since if taken_over and fact.since is not None else fact.at
                now = Visit(queue=fact.queue, entered_at=entered, left_at=fact.at, direct=direct)
                first = False
            case f.SurvivalEntered() if fact.queue is not None:
                if now is not None and now.queue != fact.queue:
                    yield replace(now, end="moved", left_at=fact.at)
                    now = None
                if now is None:
                    now = Visit(queue=fact.queue, entered_at=fact.at, left_at=fact.at)
                first = False
            case f.WaitPromised() if now is not None and now.promise is None and fact.queue == now.queue:
                now = replace(now, promise=fact)
            case f.CallDequeued() if now is not None:
                yield replace(now, end=_way(fact), left_at=fact.at)
                now = None
            case f.CallDequeued() if fact.queue is not None and _refused(fact):
                yield Visit(queue=fact.queue, entered_at=fact.at, left_at=fact.at, end="turned_away")
            case f.CallAnswered() if now is not None:
                yield replace(now, end="answered", agent=fact.agent_id, left_at=max(fact.at, now.entered_at))
                now = None
    if now is not None:
        yield replace(now, left_at=record.ended_at or now.left_at)


def _way(fact: f.CallDequeued) -> str:
    kind = (fact.to or fact.reason).partition(":")[0]
    if kind in ("callback", "call"):
        return "callback"
    if kind in ("voicemail", "queue"):
        return "voicemail" if kind == "voicemail" else "moved"
    return "" if kind.startswith("cancelled") else "overflow"


def _refused(fact: f.CallDequeued) -> bool:
    """Whether the queue would not have the caller; an agent or a flow sends callers away from no queue."""
    return fact.reason not in ("transfer", "flow") and (fact.to or fact.reason).partition(":")[0] != "callback"


def _ending(visit: Visit, record: CallRecord, *, left_message: bool, limit: RulesAt) -> str:
    given_up = visit.end == "voicemail" and not left_message
    if visit.end and not given_up:
        return visit.end
    if not given_up:
        if left_message:
            return "voicemail"
        if record.outcome is Outcome.CALLBACK:
            return "callback"
        if record.hangup_by is HangupBy.SYSTEM or record.outcome in (Outcome.FAILED, Outcome.REJECTED):
            return "lost"
    short = visit.left_at - visit.entered_at <= limit(visit.queue, visit.entered_at).short_abandon
    return "short_abandon" if short else "abandoned"


def amounts_of(visit: Visit, rules: QueueRules) -> dict[str, int]:
    """What a stay adds to the figures of its queue."""
    if visit.end == "turned_away":
        return {"turned_away": 1}
    if visit.direct or visit.end in NOT_OFFERED:
        return {}
    wait = visit.left_at - visit.entered_at
    answered, abandoned, short = visit.end == "answered", visit.end == "abandoned", visit.end == "short_abandon"
    base = {
        ServiceLevelOf.DECIDED: answered or abandoned,
        ServiceLevelOf.OFFERED: True,
        ServiceLevelOf.OFFERED_WITHOUT_SHORT: not short,
        ServiceLevelOf.ANSWERED: answered,
    }[rules.level_of]
    amounts = {
        "offered": 1,
        "answered": int(answered),
        "abandoned": int(abandoned),
        "short_abandoned": int(short),
        "sent_elsewhere": int(visit.end in ELSEWHERE),
        "lost": int(visit.end == "lost"),
        "in_time": int(answered and wait <= rules.service_level),
        "level_base": int(base),
        "decided": int(answered or abandoned),
        "answer_wait_ms": milliseconds(wait) if answered else 0,
        "abandon_wait_ms": milliseconds(wait) if abandoned else 0,
    }
    if answered and visit.promise is not None:
        real = max(0.0, (visit.left_at - visit.promise.at).total_seconds())
        amounts["promises"] = 1
        amounts["promise_error_ms"] = round(abs(visit.promise.mean - real) * 1000)
        amounts["promise_inside"] = int(visit.promise.low <= real <= visit.promise.high)
    return amounts
