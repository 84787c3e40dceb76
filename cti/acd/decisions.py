"""What the engine answers: decisions, the records that explain them, and the values it can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cti.acd.ranking import AgentKey, CallerKey
from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model.centre import Strategy
from cti.model.facts import AgentState, OfferEnd
from cti.model.requirement import ANYBODY, Requirement


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
    skills: tuple[tuple[str, int], ...]
    """What the call itself requires; the queue's own requirements come on top."""
    strict: int = 0
    """Strict priority; a higher number goes first."""
    requires: Requirement = ANYBODY
    """What the call requires besides: alternatives."""
    preferred: AgentId | None = None
    hold_until: datetime | None = None

    def score(self, now: datetime) -> float:
        """Seconds waited plus seconds of head start: who has more is served first (of the same strict priority)."""
        return (now - self.queued_at + self.head_start).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A call and an agent held for each other until `deadline`."""

    offer_id: OfferId
    call_id: CallId
    agent_id: AgentId
    queue: QueueName
    deadline: datetime
    others: tuple[AgentId, ...] = ()

    @property
    def agent_ids(self) -> tuple[AgentId, ...]:
        """Everybody in the offer, best first."""
        return (self.agent_id, *self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An agent who could have had the call; most `score` is first, and of equal scores who was idle for longer.

    Seconds of idleness (`longest_idle`), points of proficiency (`best_skill`), or minus what the strategy wants least of:
    calls, seconds talked, the last offer's number, position, queues and skills, the number drawn.
    """

    agent_id: AgentId
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """An agent of the call's queue who could not have the call. `reason`: an `Exclusion` or an `AgentState` value."""

    agent_id: AgentId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """Why this call went to this agent, as things stood at `at`, before the offer.

    It names the best candidates and the first of the queue's agents (`groups.NAMED`) and counts the others, so that a
    decision costs the same on a big floor as on a small one; `Engine.explain` names everybody around a waiting call.
    It is taken as a snapshot of plain tuples and spelled out only when it is read.
    """

    at: datetime
    call_id: CallId
    queue: QueueName
    queued_at: datetime
    head_start: timedelta
    idle: tuple[AgentKey, ...]
    """The candidates' keys: idle since when, and who; before them the strategy's figure unless it is `longest_idle`."""
    more_candidates: int
    """Candidates who are not named."""
    refused: tuple[AgentId, ...]
    staff: tuple[AgentId, ...]
    statuses: tuple[str, ...]
    """What each of `staff` was doing."""
    fits: tuple[bool, ...]
    """Whether each of `staff` has what the call requires."""
    more_staff: int
    """Agents of the queue who are not in `staff`."""
    ahead: tuple[CallerKey, ...]
    strategy: Strategy = Strategy.LONGEST_IDLE
    """What ranked the candidates."""
    strict: int = 0
    """The call's strict priority."""
    relaxed: int = 0
    """Steps of the queue's `relax` that counted, by time or because nobody logged in had what was needed before."""
    raised: bool = False
    """Whether the call had reached its queue's ceiling and so went before all who had not."""

    @property
    def score(self) -> float:
        """The call's seconds waited plus head start."""
        return (self.at - self.queued_at + self.head_start).total_seconds()

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Eligible and free, best first."""
        return tuple(Candidate(agent_id=key[-1], score=self._score_of(key)) for key in self.idle)

    def _score_of(self, key: AgentKey) -> float:
        figure = self.at - key[0] if len(key) == 2 else -key[0]
        return figure.total_seconds() if isinstance(figure, timedelta) else float(figure)

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """Agents of the queue who could not have the call: those who refused it, then by agent id."""
        refused = [Excluded(agent_id=agent_id, reason=Exclusion.REFUSED_RECENTLY) for agent_id in self.refused]
        others = [
            Excluded(agent_id=agent_id, reason=status if fits else Exclusion.LACKS_SKILL)
            for agent_id, status, fits in zip(self.staff, self.statuses, self.fits, strict=True)
            if not fits or status != AgentState.READY
        ]
        return (*refused, *others)

    @property
    def passed_over(self) -> tuple[CallId, ...]:
        """Deliverable calls before this one that nobody eligible was free for, in serving order.

        The first of each class (same queue, same requirements): those behind it in its class wait for the same reason.
        """
        return tuple(key[-1] for key in sorted(self.ahead))


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Offer the call to the agent: both are bound until the offer is settled or `deadline` passes."""

    offer_id: OfferId
    call_id: CallId
    agent_id: AgentId
    queue: QueueName
    deadline: datetime
    record: DecisionRecord
    others: tuple[AgentId, ...] = ()

    @property
    def agent_ids(self) -> tuple[AgentId, ...]:
        """Everybody in the offer, best first."""
        return (self.agent_id, *self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The offer's deadline passed and nobody settled it: released by the engine, the call keeps its place."""

    offer_id: OfferId
    call_id: CallId
    agent_id: AgentId
    others: tuple[AgentId, ...] = ()

    @property
    def agent_ids(self) -> tuple[AgentId, ...]:
        """Everybody in the offer, best first."""
        return (self.agent_id, *self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The offer ended by an input that was not its settlement: the caller left (`caller_gone`)."""

    offer_id: OfferId
    call_id: CallId
    agent_id: AgentId
    end: OfferEnd
    others: tuple[AgentId, ...] = ()

    @property
    def agent_ids(self) -> tuple[AgentId, ...]:
        """Everybody in the offer, best first."""
        return (self.agent_id, *self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """The input came too late and changed nothing."""

    reason: IgnoredBecause
    at: datetime
    offer_id: OfferId | None = None
    call_id: CallId | None = None


Decision = Offer | Expired | Released | Ignored
