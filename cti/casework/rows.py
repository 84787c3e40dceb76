"""What the web and the database say to each other about casework: rows and requests, as plain values, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from cti.casework.causes import Bar, Branch
from cti.casework.follow_ups import Outcome
from cti.casework.tasks import Hindrance, Kind
from cti.errors import CtiError
from cti.ids import CallId, CustomerId, QueueName


class CaseRefused(CtiError):
    """A request cannot be done; `error_id` says why, nothing changed. `status` is the HTTP status that fits."""

    def __init__(self, error_id: str, message: str, *, status: int = 409, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.error_id = error_id
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks. `queues` are those of the agent; supervisors may do what concerns any, or any of their `scope`."""

    username: str
    supervises: bool = False
    queues: tuple[QueueName, ...] = ()
    scope: tuple[str, ...] | None = None
    """The queues that a supervisor has; None: all of them."""
    people: tuple[str, ...] = ()
    """Agents who serve these."""

    def sees(self, queue: str | None, owner: str | None) -> bool:
        """Whether what is of this queue and this owner's is told: their queues', their own, and what is of no queue, unless
        somebody of other queues has it."""
        if self.scope is None or queue in self.scope or owner == self.username:
            return True
        return queue is None and (owner is None or owner in self.people)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rules of one kind as they are in force. `version` 0: those the product comes with."""

    kind: Literal["tiers", "complaints", "churn"]
    version: int
    body: Mapping[str, Any]
    author: str = ""
    note: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvent:
    """One thing that happened."""

    event_id: int
    at: datetime
    subject: str
    subject_id: int
    kind: str
    author: str
    before: str
    after: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TierOverride:
    """The tier somebody gave a customer instead of the computed one."""

    tier: str
    reason: str
    author: str
    at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerTier:
    """A customer's tier and how it came about. `told` is the explanation in words, by language."""

    customer_id: CustomerId
    tier: str
    source: Literal["rule", "override", "import"]
    told: Mapping[str, str]
    computed: str | None = None
    why: Mapping[str, Any] = field(default_factory=dict)
    computed_at: datetime | None = None
    override: TierOverride | None = None
    history: tuple[CaseEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRun:
    """What a computation of tiers came to: customers looked at, customers by tier, and moves "from -> to" with counts."""

    at: datetime
    rules_version: int
    customers: int
    changed: int
    tiers: Mapping[str, int]
    moves: tuple[tuple[str, str, int], ...]
    tried_only: bool
    """Computed to be looked at; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTransaction:
    """A purchase to be brought in. The customer is named by our number or by the reference of the customer file."""

    at: datetime
    amount: float
    customer_id: int | None = None
    customer_reference: str | None = None
    reference: str | None = None
    currency: str = ""
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtIn:
    """What came of bringing purchases in. `problems` are (row from 1, what is wrong)."""

    added: int
    known: int
    problems: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintRow:
    """One complaint, as lists and boards show it."""

    complaint_id: int
    revision: int
    source: str
    customer_id: CustomerId | None
    customer_name: str
    tier: str
    number: str | None
    language: str
    subject: str
    cause: str
    severity: str
    state: str
    owner: str | None
    queue: str | None
    opened_at: datetime
    due_at: datetime
    overdue: bool
    escalation: int
    verdict: str | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintDetail:
    """One complaint, whole. `moves` are those that can be made now."""

    complaint: ComplaintRow
    text: str
    call_id: CallId | None
    recording: str | None
    registered_by: str
    resolution: str
    resolved_at: datetime | None
    verdict_note: str
    moves: tuple[str, ...]
    history: tuple[CaseEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewComplaint:
    """A complaint to be registered. `key` makes the same one come in once only."""

    source: Literal["call", "line", "web", "api"]
    subject: str
    text: str = ""
    key: str | None = None
    customer_id: CustomerId | None = None
    contact_name: str = ""
    number: str | None = None
    language: str = ""
    call_id: CallId | None = None
    recording: str | None = None
    cause: str = ""
    severity: str = ""
    """Empty: by the customer's tier."""
    owner: str | None = None
    queue: str | None = None
    opened_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintFilter:
    """Which complaints. What is None or empty does not count."""

    states: tuple[str, ...] = ()
    owner: str | None = None
    customer_id: CustomerId | None = None
    cause: str | None = None
    severity: str | None = None
    overdue: bool = False
    words: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    """Page back: complaints with a lower number."""
    limit: int = 100
    who: Asker | None = None
    """Only what they see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintChange:
    """What is changed besides a move; None stays. `note` alone is an action that was taken."""

    move: str | None = None
    owner: str | None = None
    cause: str | None = None
    severity: str | None = None
    resolution: str | None = None
    verdict: str | None = None
    note: str = ""
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseCounts:
    """How often each cause was it, in some time. `counts` by path; "" is not classified."""

    total: int
    counts: Mapping[str, int]
    bars: tuple[Bar, ...]
    tree: Branch


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """A plan with how its calls stand."""

    plan_id: int
    active: bool
    body: Mapping[str, Any]
    author: str
    changed_at: datetime
    since: datetime
    counts: Mapping[str, int]
    """Follow-ups by state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpRow:
    """One follow-up call. `may_call_from`: outside the customer's hours, when they begin; None: now."""

    follow_up_id: int
    plan_id: int
    plan: str
    customer_id: CustomerId
    customer_name: str
    company: str
    tier: str
    language: str
    number: str | None
    occasion: str
    complaint_id: int | None
    state: str
    owner: str | None
    queue: str | None
    due_at: datetime
    attempts: int
    outcome: str
    ended_at: datetime | None
    note: str
    answers: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A call that was made for a follow-up."""

    attempt: int
    at: datetime
    author: str
    outcome: str
    note: str
    call_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What the agent sees before calling: the customer, what it is about, what to ask."""

    follow_up: FollowUpRow
    script: Mapping[str, str]
    questions: tuple[Mapping[str, Any], ...]
    earlier: tuple[Attempt, ...]
    may_call: bool
    may_call_from: datetime | None
    local_time: str
    """The time of day where the customer is, "14:05"."""
    why_not: str
    """Why they must not be called: "" (they may), do_not_call, no_consent, no_number, outside_hours."""
    notes: str
    """What the customer file says an agent should know."""
    recent: tuple[Mapping[str, Any], ...]
    """Latest purchases and complaints: {at, kind, what}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextFollowUp:
    """The next follow-up for an agent, or why there is none now."""

    preview: Preview | None = None
    hindrance: Hindrance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpResult:
    """What came of a call. `again_at` with call_later; `do_not_call`: the customer asked never to be called again."""

    outcome: Outcome
    answers: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    again_at: datetime | None = None
    do_not_call: bool = False
    call_id: CallId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing to do: a task, a complaint or a follow-up call. `may_finish`: done by saying so; others end in their own way."""

    work_id: str
    kind: Kind
    state: str
    title: str
    detail: str
    customer_id: CustomerId | None
    customer_name: str
    tier: str
    number: str | None
    language: str
    call_id: str | None
    complaint_id: int | None
    follow_up_id: int | None
    recording: str | None
    queue: str | None
    owner: str | None
    created_at: datetime
    due_at: datetime
    snoozed_until: datetime | None
    overdue: bool
    urgency: int
    may_finish: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCounts:
    """What is to be done now by kind, own and free to take; `overdue` of all of them."""

    kinds: Mapping[str, int]
    mine: int
    free: int
    overdue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """A complaint's deadline is near (`step` 1: its `owner` is reminded) or over (2: the supervisors are told)."""

    complaint_id: int
    step: int
    subject: str
    owner: str | None
    due_at: datetime
    queue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task somebody makes: an appointment to call back, or anything else to do."""

    kind: Literal["callback", "to_do"]
    title: str
    due_at: datetime
    detail: str = ""
    customer_id: CustomerId | None = None
    number: str | None = None
    call_id: CallId | None = None
    queue: str | None = None
    owner: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChurnAction:
    """Something that was done about a warning."""

    at: datetime
    author: str
    action: str
    note: str
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChurnRow:
    """A customer who may be about to leave, with the reasons and what was done."""

    customer_id: CustomerId
    name: str
    company: str
    tier: str
    own_agent: str
    score: float
    since: datetime
    reasons: tuple[Mapping[str, Any], ...]
    actions: tuple[ChurnAction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebCallback:
    """A call that somebody asks for on the web page. `consent` are the words they agreed to."""

    key: str
    number: str
    queue: QueueName
    name: str
    language: str
    about: str
    consent: str
