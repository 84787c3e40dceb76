"""What the engine answers: decisions, the records that explain them, and the values it can be asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from cti.acd.ranking import RAISED, AgentKey, CallerKey
from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model.centre import Strategy
from cti.model.facts import AgentState, OfferEnd
from cti.model.requirement import ANYBODY, Requirement, Skills


class Why(StrEnum):
    """Why a waiting call is not served yet."""

    NO_AGENT_LOGGED_IN = "no_agent_logged_in"
    """Nobody of the call's queue is logged in."""
    NOBODY_HAS_SKILL = "nobody_has_skill"
    """Agents of the queue are logged in, but none has what the call requires."""
    NO_AGENT_FREE = "no_agent_free"
    """Everyone who may serve it is busy; it is next for one of them."""
    BEHIND_OTHERS = "behind_others"
    """Everyone who may serve it is busy, and somebody is before it for each kind of agent it could have."""
    REFUSED_RECENTLY = "refused_recently"
    """Everyone free who may serve it refused or missed it a moment ago."""
    NOT_DELIVERABLE = "not_deliverable"
    """An agent is free, but the caller's channel cannot be moved at this moment."""
    HELD_FOR_AGENT = "held_for_agent"
    """Kept for the preferred agent, who is logged in but not free."""


class Exclusion(StrEnum):
    """Why an agent of the call's queue was no candidate; besides these, the value of the agent's `AgentState`.

    (`reserved` there means: under another offer.)
    """

    LACKS_SKILL = "lacks_skill"
    TIER_LATER = "tier_later"
    """Good enough, but of a tier that is asked only when the caller has waited longer."""
    HELD_FOR_AGENT = "held_for_agent"
    """Free and good enough, but the call is kept for another agent."""
    REFUSED_RECENTLY = "refused_recently"


class IgnoredBecause(StrEnum):
    """Why an input changed nothing."""

    OFFER_OVER = "offer_over"
    """The offer had ended before: this settlement is late, or a repetition."""
    NO_TICKET = "no_ticket"
    """The call has no ticket (any more)."""
    NOT_IN_OFFER = "not_in_offer"
    """The agent is out of the offer already, or never was in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A call's claim to be served. It is kept unchanged through failed offers."""

    call_id: CallId
    queue: QueueName
    queued_at: datetime
    head_start: timedelta
    skills: Skills
    """What the call itself requires; the queue's own requirements come on top."""
    strict: int = 0
    """Strict priority; a higher number goes first."""
    requires: Requirement = ANYBODY
    """What the call requires besides: alternatives."""
    preferred: AgentId | None = None
    hold_until: datetime | None = None
    addressed: bool = False
    """Until `hold_until` nobody but `preferred` may have the call, whatever queues and skills that agent has."""

    def score(self, now: datetime) -> float:
        """Seconds waited plus seconds of head start: who has more is served first (of the same strict priority)."""
        return (now - self.queued_at + self.head_start).total_seconds()


class Lease(NamedTuple):
    """A call and an agent held for each other until `deadline`; with `ring_all`, several agents.

    Leases and offers are named tuples because one is made in every decision: a frozen dataclass takes five times as long.
    """

    offer_id: OfferId
    call_id: CallId
    agent_id: AgentId
    queue: QueueName
    """The queue the offer was made in."""
    deadline: datetime
    others: tuple[AgentId, ...] = ()
    """Agents besides `agent_id` who are still in the offer."""

    @property
    def agent_ids(self) -> tuple[AgentId, ...]:
        """Everybody who is still in the offer, best first."""
        return (self.agent_id, *self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffing:
    """How many agents who could serve a call (in time: tiers and steps of `relax` left out) are in each state.

    Who is under an offer counts as `reserved`.
    """

    counts: Mapping[AgentState, int]
    """States that nobody is in may be missing."""

    @property
    def total(self) -> int:
        """Agents, logged in or not."""
        return sum(self.counts.values())

    @property
    def logged_in(self) -> int:
        """Agents who are not offline."""
        return self.total - self.counts.get(AgentState.OFFLINE, 0)

    def all_in(self, states: Collection[AgentState]) -> bool:
        """Whether each of them is in one of these states; also when there is none."""
        return all(state in states for state, count in self.counts.items() if count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An agent who could have had the call; lower tiers are first, then most `score`, then who was idle for longer.

    Seconds of idleness (`longest_idle`, `ring_all`), points of proficiency (`best_skill`), or minus what the strategy wants
    least of: calls, seconds talked, the last offer's number, position, queues and skills, the number drawn.
    """

    agent_id: AgentId
    score: float
    tier: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """An agent of the call's queue who could not have the call. `reason`: an `Exclusion` or an `AgentState` value."""

    agent_id: AgentId
    reason: str


new = tuple.__new__
"""Makes a named tuple from all its fields in order, at half the cost of calling its class."""


class Evidence(NamedTuple):
    """What a decision record is spelled out from: a snapshot taken before the offer, of values that never change.

    A plain tuple because one is taken with every offer, and spelled out only when somebody reads it.
    """

    at: datetime
    ticket: Ticket
    key: CallerKey
    strategy: Strategy
    relaxed: int
    candidates: tuple[tuple[int, AgentKey], ...]
    """Tier and key (idle since when, and who; before them the strategy's figure unless it is idleness) of each."""
    more_candidates: int
    refused: tuple[AgentId, ...]
    staff: tuple[AgentId, ...]
    statuses: tuple[str, ...]
    """What each of `staff` was doing."""
    unfit: tuple[str, ...]
    """Why each of `staff` could not have the call however free; empty for who could."""
    more_staff: int
    heads: tuple[CallerKey | None, ...]
    """The first of each class of callers."""
    held_for: AgentId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """Why this call went to this agent, as things stood at `at`, before the offer.

    It names the best candidates and the first of the queue's agents (`groups.NAMED`) and counts the others, so that a
    decision costs the same on a big floor as on a small one; `Engine.explain` names everybody around a waiting call.
    """

    at: datetime
    call_id: CallId
    queue: QueueName
    score: float
    """The call's seconds waited plus head start."""
    strict: int
    """The call's strict priority."""
    raised: bool
    """Whether the call had reached its queue's ceiling and so went before all who had not."""
    relaxed: int
    """Steps of the queue's `relax` that counted, by time or because nobody logged in had what was needed before."""
    strategy: Strategy
    """What ranked the candidates."""
    held_for: AgentId | None
    """The agent the call was kept for."""
    candidates: tuple[Candidate, ...]
    """Eligible and free, best first."""
    more_candidates: int
    """Candidates who are not named."""
    excluded: tuple[Excluded, ...]
    """Agents of the queue who could not have the call: those who refused it, then by agent id."""
    more_staff: int
    """Agents of the queue who were not looked at for `excluded`."""
    passed_over: tuple[CallId, ...]
    """Deliverable calls before this one that nobody eligible was free for, in serving order.

    The first of each class (same queue, same requirements): those behind it in its class wait for the same reason.
    """


def spelled_out(evidence: Evidence) -> DecisionRecord:
    """The record that a snapshot stands for."""
    e, ticket = evidence, evidence.ticket
    excluded = [Excluded(agent_id=agent_id, reason=Exclusion.REFUSED_RECENTLY) for agent_id in e.refused]
    told = {*e.refused, *(key[-1] for _, key in e.candidates)}
    for agent_id, status, unfit in zip(e.staff, e.statuses, e.unfit, strict=True):
        reason = unfit or (status if status != AgentState.READY else "")
        if not reason and e.held_for is not None and agent_id != e.held_for:
            reason = Exclusion.HELD_FOR_AGENT
        if reason and agent_id not in told:
            excluded.append(Excluded(agent_id=agent_id, reason=reason))
    return DecisionRecord(
        at=e.at,
        call_id=ticket.call_id,
        queue=ticket.queue,
        score=ticket.score(e.at),
        strict=ticket.strict,
        raised=e.key[0] == RAISED,
        relaxed=e.relaxed,
        strategy=e.strategy,
        held_for=e.held_for,
        candidates=tuple(Candidate(agent_id=k[-1], score=_score_of(k, e.at), tier=tier) for tier, k in e.candidates),
        more_candidates=e.more_candidates,
        excluded=tuple(excluded),
        more_staff=e.more_staff,
        passed_over=tuple(head[-1] for head in sorted(h for h in e.heads if h is not None and h < e.key)),
    )


def _score_of(key: AgentKey, at: datetime) -> float:
    figure = at - key[0] if len(key) == 2 else -key[0]
    return figure.total_seconds() if isinstance(figure, timedelta) else float(figure)


class Offer(NamedTuple):
    """Offer the call to the agent (with `ring_all`: to all of `agent_ids`): all are bound until it is settled or the
    `deadline` passes."""

    lease: Lease
    evidence: Evidence

    @property
    def offer_id(self) -> OfferId:
        """The offer's number."""
        return self.lease.offer_id

    @property
    def call_id(self) -> CallId:
        """The call that is offered."""
        return self.lease.call_id

    @property
    def agent_id(self) -> AgentId:
        """Whom it is offered to; the best of them when they are several."""
        return self.lease.agent_id

    @property
    def others(self) -> tuple[AgentId, ...]:
        """More agents who are to ring at the same time."""
        return self.lease.others

    @property
    def agent_ids(self) -> tuple[AgentId, ...]:
        """Everybody it is offered to, best first."""
        return self.lease.agent_ids

    @property
    def queue(self) -> QueueName:
        """The queue it is made in."""
        return self.lease.queue

    @property
    def deadline(self) -> datetime:
        """When the engine takes it back unless it was settled."""
        return self.lease.deadline

    @property
    def record(self) -> DecisionRecord:
        """Why it was made. Spelled out anew at each reading."""
        return spelled_out(self.evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The offer's deadline passed and nobody settled it: released by the engine, the call keeps its place."""

    offer_id: OfferId
    call_id: CallId
    agent_id: AgentId
    others: tuple[AgentId, ...] = ()

    @property
    def agent_ids(self) -> tuple[AgentId, ...]:
        """Everybody who was in the offer to its end."""
        return (self.agent_id, *self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The offer ended by an input that was not its settlement: the caller left (`caller_gone`), or the last agent in it
    declined (`end` is that agent's; the call keeps its place)."""

    offer_id: OfferId
    call_id: CallId
    agent_id: AgentId
    end: OfferEnd
    others: tuple[AgentId, ...] = ()

    @property
    def agent_ids(self) -> tuple[AgentId, ...]:
        """Everybody who was in the offer to its end."""
        return (self.agent_id, *self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """The input came too late and changed nothing."""

    reason: IgnoredBecause
    at: datetime
    offer_id: OfferId | None = None
    call_id: CallId | None = None


Decision = Offer | Expired | Released | Ignored
