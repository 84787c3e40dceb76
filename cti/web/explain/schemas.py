"""Decisions and promises on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field

from cti.web.operations import Answer, Params


class CandidateRow(Answer):
    """An agent who could have had the call. `score`: see the strategy; seconds of idleness for `longest_idle`."""

    agent_id: str
    score: float


class LackRow(Answer):
    """A skill and the least level asked for."""

    skill: str
    level: int


class ExcludedRow(Answer):
    """An agent of the queue who could not have the call, and why: `lacks_skill`, `refused_recently`, or a state."""

    agent_id: str
    reason: str
    lacks: list[LackRow] = Field(default_factory=list)


class DecisionRow(Answer):
    """One decision: an offer, or (`offer_id` null) that nobody could have the call, and `why`."""

    at: datetime
    queue: str
    offer_id: int | None
    agents: list[str]
    why: str
    score: float
    strict: int
    relaxed: int
    raised: bool
    strategy: str
    candidates: list[CandidateRow]
    more_candidates: int
    excluded: list[ExcludedRow]
    more_agents: int
    passed_over: list[str]
    end: str | None = None
    """What became of the offer: an OfferEnd value; null while it is open, or its end is not known."""
    ended_at: datetime | None = None


class MomentRow(Answer):
    """Something else that happened to the call. `kind` is stable; what is empty or null does not apply to it."""

    at: datetime
    kind: str
    queue: str = ""
    agent_id: str = ""
    by: str = ""
    text: str = ""
    """A reason, a target, an end."""
    place: int | None = None
    low: float | None = None
    high: float | None = None
    told: bool | None = None


class CallDecisions(Answer):
    """A call's decisions and what else happened to it, each in the order of time."""

    call_id: str
    live: bool
    complete: bool
    """False while the database cannot be asked: only what the floor itself remembers."""
    decisions: list[DecisionRow]
    moments: list[MomentRow]


class CallWhy(Answer):
    """How things stand around a live call at `at`: nobody cut off; `decision` is null unless it waits."""

    call_id: str
    at: datetime
    decision: DecisionRow | None


class AccuracyRow(Answer):
    """How expected waits came out that were followed by an answer. Seconds; null without any."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    promises: int
    mean_error: float | None
    """Expected less real wait."""
    mean_absolute_error: float | None
    inside: float | None
    """Share of real waits within the range, 0-1; 0.8 is aimed at."""
    mean_wait: float | None


class QueueAccuracyAnswer(Answer):
    """One queue's promises made within `from` <= then < `to`: at joining (one a caller), and those that were heard."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    queue: str
    since: Annotated[datetime, Field(alias="from")]
    until: Annotated[datetime, Field(alias="to")]
    joined: AccuracyRow
    told: AccuracyRow


class QueueParams(Params):
    """Names a queue."""

    queue: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class PeriodQuery(Params):
    """Which promises: `from` is included, `to` is not. Without them: today, in the centre's time zone."""

    since: Annotated[AwareDatetime | None, Field(alias="from")] = None
    until: Annotated[AwareDatetime | None, Field(alias="to")] = None
