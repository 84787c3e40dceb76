"""From the facts of one call that has ended to everything that is counted of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cti.model import facts as f
from cti.model.callback import is_callback
from cti.model.facts import Direction, Outcome
from cti.reports import survey_scale
from cti.reports.call_record import CallRecord, fold, in_order
from cti.reports.counted import Counted, RulesAt, usual_rules
from cti.reports.metric import Grain
from cti.reports.talks import Activity, Talk, activities_of, talks_of
from cti.reports.visits import Visit, amounts_of, visits_of

REPEAT = timedelta(days=7)
"""A call of the same customer to the same queue within this time is the same matter again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedCall:
    """Everything counted of one call."""

    record: CallRecord
    rows: tuple[Counted, ...]
    activities: tuple[Activity, ...]
    person: str | None
    """Who called, as far as repeat calls go: the customer, else the number; None: not known, or not a call to a queue."""


def count(facts: Iterable[f.Fact], rules: RulesAt = usual_rules) -> CountedCall:
    """Count one call that has ended. Raises `ValueError` as `call_record.fold`, and when the call is still there."""
    told = in_order(facts)
    record = fold(told)
    if record.ended_at is None:
        raise ValueError(f"call {record.call_id} is not over")
    if record.queue is not None:
        limit = rules(record.queue, record.queued_at or record.started_at).short_abandon
        record = fold(told, short_abandon={record.queue: limit})
    visits = visits_of(told, record, rules)
    talks = talks_of(told, record, visits)
    version = next((f"{fact.flow}@{fact.version}" for fact in told if isinstance(fact, f.FlowEntered)), None)
    person = _person(record)
    rows = [_call_row(told, record, visits, version, person)]
    rows += [_visit_row(record, visit, number, version, rules) for number, visit in enumerate(visits)]
    rows += [_talk_row(record, talk, number, version) for number, talk in enumerate(talks)]
    rows += _answer_rows(told, record, version)
    return CountedCall(record=record, rows=tuple(rows), activities=activities_of(told, record), person=person)


def _person(record: CallRecord) -> str | None:
    if record.direction is not Direction.INBOUND or record.queue is None:
        return None
    if record.customer_id is not None:
        return f"c{record.customer_id}"
    return f"n{record.caller_number}" if record.caller_number else None


def _row(record: CallRecord, grain: Grain, version: str | None, at: datetime, amounts: Mapping[str, int]) -> Counted:
    return Counted(
        grain=grain,
        call_id=record.call_id,
        number=0,
        at=at,
        queue=record.queue,
        agent=record.agent,
        tier=record.tier,
        did=record.did or None,
        direction=record.direction.value,
        outcome=record.outcome.value if record.outcome is not None else None,
        flow_version=version,
        amounts={name: amount for name, amount in amounts.items() if amount},
    )


def _call_row(
    told: Sequence[f.CallFact], record: CallRecord, visits: Sequence[Visit], version: str | None, person: str | None
) -> Counted:
    answered = record.answered_at is not None
    outcome, inbound = record.outcome, record.direction is Direction.INBOUND
    made = any(isinstance(fact, f.DialAsked) for fact in told)
    outbound = made and record.direction is Direction.OUTBOUND
    callback = is_callback(record.call_id) and outcome is not Outcome.CALLBACK
    wanted = bool(visits) and outcome is not Outcome.CALLBACK
    transferred = any(isinstance(fact, f.CallTransferred) for fact in told)
    amounts = {
        "calls": True,
        "inbound": inbound,
        "outbound": outbound,
        "internal": record.direction is Direction.INTERNAL,
        "outbound_reached": outbound and answered,
        "answered_calls": answered,
        "wanted": wanted,
        "reached": wanted and answered,
        "self_served": outcome is Outcome.SELF_SERVED,
        "menu_hang_ups": inbound and outcome is Outcome.ABANDONED and record.queued_at is None,
        "voicemails": outcome is Outcome.VOICEMAIL,
        "overflowed": outcome is Outcome.OVERFLOW,
        "rejected": outcome is Outcome.REJECTED,
        "failed": outcome is Outcome.FAILED,
        "survival_calls": any(isinstance(fact, f.SurvivalEntered) for fact in told),
        "recorded": answered and record.recording is not None,
        "transferred": answered and transferred,
        "resolvable": person is not None and answered,
        "resolved": person is not None and answered and not transferred,
        "repeatable": person is not None,
        "callbacks_promised": callback,
        "callbacks_kept": callback and answered,
        "callbacks_late": callback and answered and _late(told),
    }
    row = _row(record, Grain.CALLS, version, record.started_at, {name: int(yes) for name, yes in amounts.items()})
    return replace(row, until=record.ended_at)


def _late(told: Sequence[f.CallFact]) -> bool:
    """Whether the customer of a callback was first dialled later than the longest wait expected on asking."""
    dialled = next((fact.at for fact in told if isinstance(fact, f.CallbackDialled)), None)
    promise = next((fact for fact in told if isinstance(fact, f.WaitPromised)), None)
    if dialled is None or promise is None:
        return False
    ticket = next((fact for fact in told if isinstance(fact, f.CallQueued)), None)
    due = promise.at + timedelta(seconds=promise.high)
    if ticket is not None and ticket.not_before is not None:
        due = max(due, ticket.not_before + timedelta(seconds=promise.high))
    return dialled > due


def _visit_row(record: CallRecord, visit: Visit, number: int, version: str | None, rules: RulesAt) -> Counted:
    amounts = amounts_of(visit, rules(visit.queue, visit.entered_at))
    return replace(
        _row(record, Grain.VISITS, version, visit.entered_at, amounts),
        number=number,
        queue=visit.queue,
        agent=visit.agent,
        outcome=visit.end,
        until=visit.left_at,
    )


def _talk_row(record: CallRecord, talk: Talk, number: int, version: str | None) -> Counted:
    return replace(
        _row(record, Grain.TALKS, version, talk.answered_at, talk.amounts()),
        number=number,
        queue=talk.queue,
        agent=talk.agent,
        until=talk.ended_at,
    )


def _answer_rows(told: Sequence[f.CallFact], record: CallRecord, version: str | None) -> Iterator[Counted]:
    answers = [fact for fact in told if isinstance(fact, f.SurveyAnswered)]
    for number, fact in enumerate(answers):
        yield replace(
            _row(
                record,
                Grain.ANSWERS,
                version,
                fact.at,
                survey_scale.amounts_of(fact.question, fact.score, fact.least, fact.most),
            ),
            number=number,
            words={"flow": fact.flow, "step": fact.step, "question": fact.question, "score": str(fact.score)},
        )


def linked(calls: Iterable[CountedCall]) -> list[Counted]:
    """All rows of these calls, with `resolved` and `repeats` as the calls before and after each make them."""
    whole = list(calls)
    order: dict[tuple[str, str], list[CountedCall]] = {}
    for call in sorted(whole, key=lambda call: (call.record.started_at, call.record.call_id)):
        if call.person is not None and call.record.queue is not None:
            order.setdefault((call.person, call.record.queue), []).append(call)
    near: dict[str, tuple[bool, bool]] = {}
    for chain in order.values():
        for index, call in enumerate(chain):
            at = call.record.started_at
            before = index > 0 and at - chain[index - 1].record.started_at <= REPEAT
            after = index + 1 < len(chain) and chain[index + 1].record.started_at - at <= REPEAT
            near[call.record.call_id] = before, after
    found = []
    for call in whole:
        before, after = near.get(call.record.call_id, (False, False))
        for row in call.rows:
            found.append(_with_links(row, before=before, after=after) if row.grain is Grain.CALLS else row)
    return found


def _with_links(row: Counted, *, before: bool, after: bool) -> Counted:
    amounts = {**row.amounts, "repeats": int(before), "resolved": row.amounts.get("resolved", 0) * (not after)}
    return replace(row, amounts={name: amount for name, amount in amounts.items() if amount})
