"""Quality (inspection of talks, feedback, surveys) as the web may ask it: the seam to `cti.store.quality`.

Rows are plain values, ready for JSON. Every call raises `cti.errors.RemoteError` when the database cannot be asked now,
`QualityRefused` when the request cannot be done, `QualityInvalid` for forms, plans and answers that do not fit. Scorers
are named by their user name, agents by their extension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, Protocol

from cti.quality.rows import (
    CalibrationDetail,
    CalibrationRow,
    Comment,
    DrawnRow,
    FeedbackCounts,
    Figures,
    FormRow,
    LowScore,
    Note,
    PlanRow,
    Reader,
    SampleRow,
    Scored,
    ScoreDetail,
    ScoreRow,
    Surveys,
    TeamSummary,
)


class Forms(Protocol):
    """Inspection forms."""

    async def list(self, *, archived: bool) -> Sequence[FormRow]:
        """Forms in the version that new scores use. `archived`: those put aside, too."""
        ...

    async def one(self, form_id: int, version: int | None = None) -> FormRow:
        """One form, in a version of it."""
        ...

    async def add(self, body: Mapping[str, Any], *, by: str, note: str) -> FormRow:
        """Make a form."""
        ...

    async def change(self, form_id: int, body: Mapping[str, Any], *, revision: int, by: str, note: str) -> FormRow:
        """Change a form: in place as long as nobody scored with this version, otherwise as a new version.
        `revision`: as seen; another one is refused (`edit_conflict`)."""
        ...

    async def archive(self, form_id: int, archived: bool, *, revision: int) -> FormRow:
        """Put a form aside, or take it back. Refused (`form_in_use`) while a plan that draws uses it."""
        ...


class Samples(Protocol):
    """What is to be scored."""

    async def plans(self) -> Sequence[PlanRow]:
        """Every sampling plan."""
        ...

    async def keep_plan(
        self,
        body: Mapping[str, Any],
        *,
        by: str,
        plan_id: int | None = None,
        revision: int = 0,
        active: bool = True,
    ) -> PlanRow:
        """Add a plan, or change one (`revision` as seen)."""
        ...

    async def preview(self, plan_id: int) -> Sequence[DrawnRow]:
        """What the plan would draw now, today included, and why; nothing is kept."""
        ...

    async def draw(self, plan_id: int) -> Sequence[DrawnRow]:
        """Draw it."""
        ...

    async def list(
        self,
        *,
        states: Sequence[str],
        scorer: str | None,
        agent: str | None,
        plan_id: int | None,
        queues: Sequence[str] | None,
        before: int | None,
        limit: int,
    ) -> Sequence[SampleRow]:
        """Samples: what waits by deadline, the rest newest first. `scorer`: theirs and nobody's."""
        ...

    async def one(self, sample_id: int) -> SampleRow:
        """One sample."""
        ...

    async def choose(
        self, call_id: str, *, agent: str | None, form_id: int, scorer: str | None, by: str, note: str, due_at: datetime
    ) -> SampleRow:
        """Have a call scored that nobody drew. Refused (`already_chosen`) when it is on the list."""
        ...

    async def change(
        self, sample_id: int, *, scorer: str | None, due_at: datetime | None, dropped: bool | None
    ) -> SampleRow:
        """Give it to somebody, move its deadline, drop it or take it up again."""
        ...


class Scores(Protocol):
    """Scores."""

    async def list(
        self,
        who: Reader,
        *,
        agent: str | None = None,
        scorer: str | None = None,
        queue: str | None = None,
        form_id: int | None = None,
        item: str | None = None,
        review: str | None = None,
        states: Sequence[str] = ("submitted", "released"),
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[ScoreRow]:
        """Scores, newest first. An agent's are the own that were released. `item`: where this item lost points."""
        ...

    async def one(self, score_id: int, who: Reader) -> ScoreDetail:
        """One score."""
        ...

    async def begin(self, sample_id: int, who: Reader) -> ScoreDetail:
        """Begin to score a sample, or go on with it. Refused (`taken`) when somebody else does."""
        ...

    async def draft(self, score_id: int, scored: Scored, who: Reader) -> ScoreDetail:
        """Keep a draft, whole or not."""
        ...

    async def submit(self, score_id: int, scored: Scored, who: Reader, *, release: bool | None) -> ScoreDetail:
        """Submit it. `release`: whether the agent sees it at once; None: as the plan says."""
        ...

    async def revise(self, score_id: int, scored: Scored, who: Reader, *, reason: str) -> ScoreDetail:
        """Change a submitted score; what it was is kept."""
        ...

    async def release(self, score_id: int, who: Reader, *, revision: int) -> ScoreDetail:
        """Let the agent see it."""
        ...

    async def delete(self, score_id: int, who: Reader, *, revision: int, reason: str) -> ScoreRow:
        """Delete it; the call is to be scored again. Its history stays."""
        ...

    async def seen(self, score_id: int, who: Reader) -> ScoreDetail:
        """The agent opened it."""
        ...

    async def reply(
        self, score_id: int, who: Reader, *, kind: Literal["comment", "review", "answer"], text: str
    ) -> ScoreDetail:
        """An agent comments or asks for a review; the others answer."""
        ...


class Calibrations(Protocol):
    """Several people score one call."""

    async def list(self, *, limit: int, queues: Sequence[str] | None = None) -> Sequence[CalibrationRow]:
        """Rounds, open ones first. `queues`: those about calls of these."""
        ...

    async def open(
        self,
        *,
        title: str,
        call_id: str,
        agent: str | None,
        form_id: int,
        scorers: Sequence[str],
        due_at: datetime,
        by: str,
    ) -> CalibrationDetail:
        """Open a round: each scorer gets the call onto the list."""
        ...

    async def one(self, calibration_id: int, who: Reader) -> CalibrationDetail:
        """One round; compared when it is closed."""
        ...

    async def close(self, calibration_id: int) -> CalibrationDetail:
        """Close it: from now on everybody sees all scores, and none is added."""
        ...


class Feedback(Protocol):
    """Praise and coaching."""

    async def counts(self, who: Reader) -> FeedbackCounts:
        """What is new; one query."""
        ...

    async def list(self, who: Reader, *, agent: str | None, before: int | None, limit: int) -> Sequence[Note]:
        """Notes, newest first; an agent's are the own."""
        ...

    async def write(
        self,
        *,
        agent: str,
        kind: Literal["praise", "coaching"],
        text: str,
        call_id: str | None,
        second: float | None,
        by: str,
    ) -> Note:
        """Write to an agent."""
        ...

    async def seen(self, note_id: int, who: Reader) -> Note:
        """The agent saw it."""
        ...

    async def acknowledge(self, note_id: int, who: Reader, *, answer: str) -> Note:
        """The agent says so, and what there is to say."""
        ...

    async def withdraw(self, note_id: int, *, by: str) -> Note:
        """Take it back; its author can."""
        ...


class QualityFigures(Protocol):
    """Figures of scores."""

    async def figures(
        self,
        who: Reader,
        *,
        by: Literal["agent", "item", "team", "queue", "form", "scorer"],
        since: datetime,
        until: datetime,
        agent: str | None,
        queue: str | None,
        form_id: int | None,
        each: Literal["day", "week"],
    ) -> Figures:
        """Scores of a time by group, and their trend. An agent's are the own that were released."""
        ...

    async def summary(self, who: Reader, *, day: date, team: str) -> TeamSummary:
        """A team's day; `team` is a group of the centre, empty: everybody."""
        ...


class SurveyFigures(Protocol):
    """What callers thought."""

    async def figures(
        self,
        *,
        since: datetime,
        until: datetime,
        by: Literal["queue", "agent", "tier", "version", "flow"],
        question: str | None,
        queue: str | None,
        agent: str | None,
        each: Literal["day", "week"],
        queues: Sequence[str] | None,
    ) -> Surveys:
        """Answers of a time by question and group, and their trend."""
        ...

    async def low(
        self, *, since: datetime, until: datetime, at_most: int, queues: Sequence[str] | None, limit: int
    ) -> Sequence[LowScore]:
        """Calls with a low score, newest first."""
        ...

    async def comments(
        self, *, since: datetime, until: datetime, queues: Sequence[str] | None, limit: int
    ) -> Sequence[Comment]:
        """What callers said, newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspections:
    """All of it."""

    forms: Forms
    samples: Samples
    scores: Scores
    calibrations: Calibrations
    feedback: Feedback
    figures: QualityFigures
    surveys: SurveyFigures
