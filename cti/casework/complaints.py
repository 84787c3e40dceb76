"""Complaints: the moves they can make, when they must be resolved, who is told when they are not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any

from cti.casework.causes import Cause, read_causes
from cti.casework.reading import Fields, RuleProblem, RulesInvalid
from cti.errors import IllegalTransition


class State(StrEnum):
    """Where a complaint stands."""

    NEW = "new"
    """Registered; nobody looks after it yet."""
    ASSIGNED = "assigned"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    """For the customer, or somebody outside."""
    RESOLVED = "resolved"
    """Something was done; the customer has not said yet what of it."""
    CLOSED = "closed"
    DISMISSED = "dismissed"
    """No complaint, or one that is there already."""


class Move(StrEnum):
    """What somebody does with it."""

    ASSIGN = "assign"
    START = "start"
    WAIT = "wait"
    RESOLVE = "resolve"
    ACCEPT = "accept"
    """The customer is satisfied, or partly, or cannot be asked: it is closed."""
    REFUSE = "refuse"
    """The customer is not satisfied: it goes on."""
    DISMISS = "dismiss"
    REOPEN = "reopen"


class Verdict(StrEnum):
    """What the customer says of the resolution."""

    SATISFIED = "satisfied"
    PARTLY = "partly"
    DISSATISFIED = "dissatisfied"


class Severity(StrEnum):
    """How bad it is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


MOVES: Mapping[tuple[State, Move], State] = {
    (State.NEW, Move.ASSIGN): State.ASSIGNED,
    (State.NEW, Move.START): State.IN_PROGRESS,
    (State.NEW, Move.DISMISS): State.DISMISSED,
    (State.ASSIGNED, Move.ASSIGN): State.ASSIGNED,
    (State.ASSIGNED, Move.START): State.IN_PROGRESS,
    (State.ASSIGNED, Move.DISMISS): State.DISMISSED,
    (State.IN_PROGRESS, Move.ASSIGN): State.ASSIGNED,
    (State.IN_PROGRESS, Move.WAIT): State.WAITING,
    (State.IN_PROGRESS, Move.RESOLVE): State.RESOLVED,
    (State.IN_PROGRESS, Move.DISMISS): State.DISMISSED,
    (State.WAITING, Move.ASSIGN): State.ASSIGNED,
    (State.WAITING, Move.START): State.IN_PROGRESS,
    (State.WAITING, Move.RESOLVE): State.RESOLVED,
    (State.RESOLVED, Move.ACCEPT): State.CLOSED,
    (State.RESOLVED, Move.REFUSE): State.IN_PROGRESS,
    (State.CLOSED, Move.REOPEN): State.IN_PROGRESS,
    (State.DISMISSED, Move.REOPEN): State.IN_PROGRESS,
}
"""(state, move) -> state. What is not here cannot be done."""

OPEN = frozenset({State.NEW, State.ASSIGNED, State.IN_PROGRESS, State.WAITING, State.RESOLVED})
"""Somebody still has to do something."""
DUE = frozenset({State.NEW, State.ASSIGNED, State.IN_PROGRESS, State.WAITING})
"""The deadline counts: nothing has been resolved yet."""


def after(state: State, move: Move) -> State:
    """The state after a move. Raises `IllegalTransition` where the table has none."""
    found = MOVES.get((state, move))
    if found is None:
        possible = ", ".join(moves_from(state)) or "nothing"
        raise IllegalTransition(
            f"a complaint that is {state} cannot be moved by {move}",
            remedy=f"possible now: {possible}; reload if it has changed meanwhile",
        )
    return found


def moves_from(state: State) -> tuple[Move, ...]:
    """What can be done in a state, in the order of the table."""
    return tuple(move for (at, move) in MOVES if at is state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What a severity means in time."""

    resolve: timedelta
    remind: timedelta
    """So long before the deadline its owner is reminded."""


_USUAL_TERMS: Mapping[Severity, Term] = {
    Severity.LOW: Term(resolve=timedelta(hours=120), remind=timedelta(hours=24)),
    Severity.MEDIUM: Term(resolve=timedelta(hours=72), remind=timedelta(hours=12)),
    Severity.HIGH: Term(resolve=timedelta(hours=24), remind=timedelta(hours=4)),
    Severity.CRITICAL: Term(resolve=timedelta(hours=4), remind=timedelta(hours=1)),
}

_USUAL_CAUSES = (
    Cause(
        name="delivery",
        titles={"en": "Delivery", "zh": "配送"},
        below=(
            Cause(name="late", titles={"en": "Late", "zh": "延迟"}),
            Cause(name="damaged", titles={"en": "Damaged", "zh": "损坏"}),
            Cause(name="missing", titles={"en": "Missing or wrong items", "zh": "缺货或发错"}),
        ),
    ),
    Cause(
        name="billing",
        titles={"en": "Invoice", "zh": "账单"},
        below=(
            Cause(name="double_charge", titles={"en": "Charged twice", "zh": "重复扣款"}),
            Cause(name="wrong_amount", titles={"en": "Wrong amount", "zh": "金额错误"}),
            Cause(name="refund", titles={"en": "Refund not paid", "zh": "未退款"}),
        ),
    ),
    Cause(
        name="product",
        titles={"en": "Product", "zh": "产品"},
        below=(
            Cause(name="defect", titles={"en": "Defect", "zh": "质量缺陷"}),
            Cause(name="not_as_described", titles={"en": "Not as described", "zh": "与描述不符"}),
        ),
    ),
    Cause(
        name="service",
        titles={"en": "Service", "zh": "服务"},
        below=(
            Cause(name="waiting", titles={"en": "Waited too long", "zh": "等待过久"}),
            Cause(name="manner", titles={"en": "Manner", "zh": "态度"}),
            Cause(name="wrong_information", titles={"en": "Wrong information", "zh": "信息有误"}),
            Cause(name="promise", titles={"en": "Promise not kept", "zh": "承诺未兑现"}),
        ),
    ),
    Cause(name="other", titles={"en": "Something else", "zh": "其他"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintRules:
    """Causes, deadlines, and where complaints come in by themselves."""

    causes: tuple[Cause, ...] = _USUAL_CAUSES
    terms: Mapping[Severity, Term] = field(default_factory=lambda: dict(_USUAL_TERMS))
    flows: tuple[str, ...] = ("complaint",)
    """Flows whose recorded messages are complaints."""
    severity: Severity = Severity.MEDIUM
    """Of a complaint that comes from a flow or the web."""
    severity_by_tier: Mapping[str, Severity] = field(default_factory=lambda: {"vip": Severity.HIGH})
    """The same by the customer's tier."""
    queue: str = ""
    """Whose agents may take complaints that nobody owns; empty: everybody."""
    escalate: timedelta = timedelta(hours=2)
    """So long after the deadline the supervisors are told; the owner is told before it."""


def deadline(rules: ComplaintRules, severity: Severity, opened: datetime) -> datetime:
    """When it must be resolved."""
    return opened + rules.terms[severity].resolve


def escalation(rules: ComplaintRules, severity: Severity, state: State, due: datetime, now: datetime) -> int:
    """How far it must have been escalated by now: 0 nobody, 1 its owner is reminded, 2 the supervisors are told.

    One that nobody looks after has nobody to remind: the supervisors are told as soon as the reminder was due.
    """
    if state not in DUE or now < due - rules.terms[severity].remind:
        return 0
    if state is State.NEW or now >= due + rules.escalate:
        return 2
    return 1


def severity_for(rules: ComplaintRules, tier: str) -> Severity:
    """What a complaint that comes by itself is taken for."""
    return rules.severity_by_tier.get(tier, rules.severity)


# -- reading -----------------------------------------------------------------------------------------------------------


def read_rules(plain: object, *, queues: Collection[str], tiers: Collection[str]) -> ComplaintRules:
    """The rules as `docs/casework.md` describes them. Raises `RulesInvalid` with every problem."""
    problems: list[RuleProblem] = []
    at = Fields(plain, problems)
    usual = ComplaintRules()
    causes = read_causes(at, "causes") if at.has("causes") else usual.causes
    terms = dict(usual.terms)
    if at.has("deadlines"):
        given = at.inside("deadlines")
        for severity in Severity:
            if given.has(severity):
                one = given.inside(severity)
                hours = one.number("hours", least=0.1, most=8760)
                remind = one.number("remind_hours", min(hours / 4, 24), least=0, most=8760)
                if remind >= hours:
                    one.wrong("remind_hours", "must be less than hours")
                one.done()
                terms[severity] = Term(resolve=timedelta(hours=hours), remind=timedelta(hours=remind))
        given.done()
    order = [terms[severity].resolve for severity in Severity]
    if any(worse > better for better, worse in pairwise(order)):
        at.wrong("deadlines", "a worse complaint must not have more time than a lesser one")
    by_tier = dict(usual.severity_by_tier)
    if at.has("severity_by_tier"):
        given = at.inside("severity_by_tier")
        by_tier = {}
        for tier in given.keys():  # noqa: SIM118 - not a mapping
            if tier not in tiers:
                given.wrong(tier, "the centre has no such tier")
            by_tier[tier] = Severity(given.choice(tier, tuple(Severity)))
        given.done()
    queue = at.text("queue", "")
    if queue and queue not in queues:
        at.wrong("queue", "the centre has no such queue")
    rules = ComplaintRules(
        causes=causes,
        terms=terms,
        flows=at.texts("flows") if at.has("flows") else usual.flows,
        severity=Severity(at.choice("severity", tuple(Severity), usual.severity)),
        severity_by_tier=by_tier,
        queue=queue,
        escalate=timedelta(hours=at.number("escalate_hours", usual.escalate.total_seconds() / 3600, most=8760)),
    )
    at.done()
    if problems:
        raise RulesInvalid(problems)
    return rules


def plain(rules: ComplaintRules) -> dict[str, Any]:
    """The rules as JSON: `read_rules` reads it again."""

    def hours(span: timedelta) -> float:
        return round(span.total_seconds() / 3600, 4)

    return {
        "causes": _plain_causes(rules.causes),
        "deadlines": {
            str(severity): {"hours": hours(term.resolve), "remind_hours": hours(term.remind)}
            for severity, term in rules.terms.items()
        },
        "flows": list(rules.flows),
        "severity": str(rules.severity),
        "severity_by_tier": {tier: str(severity) for tier, severity in rules.severity_by_tier.items()},
        "queue": rules.queue,
        "escalate_hours": hours(rules.escalate),
    }


def _plain_causes(causes: Iterable[Cause]) -> list[dict[str, Any]]:
    return [
        {
            "name": cause.name,
            "titles": dict(cause.titles),
            **({"choices": list(cause.choices)} if cause.choices else {}),
            **({"below": _plain_causes(cause.below)} if cause.below else {}),
        }
        for cause in causes
    ]
