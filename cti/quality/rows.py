"""What quality tells and takes, as plain values ready for JSON. Users are named by their user name, agents by extension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from cti.errors import CtiError
from cti.quality.agreement import Comparison
from cti.quality.scoring import Marks
from cti.quality.surveys import Figure, Scores, Share


class QualityRefused(CtiError):
    """A request cannot be done; `error_id` says why, nothing changed. `status` is the HTTP status that fits."""

    def __init__(self, error_id: str, message: str, *, status: int = 409, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.error_id = error_id
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who asks. `agent` None: somebody who supervises. `queues` None: all of them."""

    username: str
    agent: str | None = None
    queues: tuple[str, ...] | None = None

    @property
    def supervises(self) -> bool:
        """Whether it is not an agent."""
        return self.agent is None


# -- forms -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRow:
    """A form in one version. `revision` rises with every change; `used`: the version cannot be changed any more."""

    form_id: int
    revision: int
    version: int
    versions: int
    body: Mapping[str, Any]
    used: bool
    archived: bool
    author: str
    note: str
    changed_at: datetime


# -- samples -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """A sampling plan, with how many of its calls wait and how many were scored."""

    plan_id: int
    revision: int
    active: bool
    body: Mapping[str, Any]
    seed: int
    """The lots depend on it: the same calls and seed give the same draw."""
    author: str
    changed_at: datetime
    drawn_until: date | None
    waiting: int
    scored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRow:
    """A call that a plan draws, and why."""

    call_id: str
    agent: str
    queue: str
    scorer: str | None
    why: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """A call to be scored, or that was. `why` explains how it came here: `kind` is a plan's, "chosen" (a person chose it),
    or "calibration"."""

    sample_id: int
    plan_id: int | None
    plan: str
    calibration_id: int | None
    call_id: str
    agent: str
    queue: str
    tier: str
    form_id: int
    form_titles: Mapping[str, str]
    why: Mapping[str, Any]
    scorer: str | None
    drawn_at: datetime
    due_at: datetime
    overdue: bool
    state: Literal["open", "begun", "done", "dropped"]
    score_id: int | None
    total: float | None
    passed: bool | None
    call_at: datetime | None
    talk_seconds: float | None
    recorded: bool


# -- scores ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A remark, at a second of the recording where there is one, about an item where there is one."""

    text: str
    second: float | None = None
    item: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """A score, as lists show it."""

    score_id: int
    sample_id: int
    call_id: str
    agent: str
    queue: str
    tier: str
    form_id: int
    form_version: int
    form_titles: Mapping[str, str]
    scorer: str
    state: Literal["draft", "submitted", "released"]
    revision: int
    total: float | None
    passed: bool | None
    failed: tuple[str, ...]
    submitted_at: datetime | None
    released_at: datetime | None
    read_at: datetime | None
    review: Literal["none", "asked", "answered"]
    replies: int
    call_at: datetime | None
    calibration_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreChange:
    """One line of a score's history: what was there before a revision, who revised it and why."""

    revision: int
    at: datetime
    by: str
    act: str
    reason: str
    total: float | None
    answers: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What agent and scorer said to each other about a score."""

    reply_id: int
    kind: Literal["comment", "review", "answer"]
    author: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDetail:
    """A score, whole. Agents see no history of revisions."""

    score: ScoreRow
    form: Mapping[str, Any]
    answers: Mapping[str, Any]
    remarks: tuple[Remark, ...]
    comment: str
    marks: Marks
    why: Mapping[str, Any]
    history: tuple[ScoreChange, ...]
    replies: tuple[Reply, ...]
    talk_seconds: float | None
    recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a scorer sends: the whole of it each time. `revision` as seen."""

    revision: int
    answers: Mapping[str, Any]
    remarks: tuple[Remark, ...] = ()
    comment: str = ""


# -- calibration -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRow:
    """Several scorers score one call, without seeing each other's scores before the end."""

    calibration_id: int
    title: str
    call_id: str
    agent: str
    form_id: int
    form_titles: Mapping[str, str]
    scorers: tuple[str, ...]
    submitted: tuple[str, ...]
    author: str
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationDetail:
    """The same with the comparison, once it is closed."""

    calibration: CalibrationRow
    form: Mapping[str, Any]
    comparison: Comparison | None


# -- feedback ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Praise or coaching for an agent."""

    note_id: int
    agent: str
    kind: Literal["praise", "coaching"]
    text: str
    call_id: str | None
    second: float | None
    author: str
    written_at: datetime
    read_at: datetime | None
    acknowledged_at: datetime | None
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackCounts:
    """What is new for an agent; for a supervisor what waits for an answer."""

    notes: int
    scores: int
    to_acknowledge: int
    reviews: int
    to_score: int


# -- figures -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureRow:
    """Scores of one group: an agent, an item, a queue, a team... `mean` of 0 to 100."""

    key: str
    scores: int
    mean: Figure
    passed: Share
    failed: int
    """Scores with a fatal item failed; of an item: how often it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigurePoint:
    """One group in one week (or day)."""

    key: str
    start: date
    scores: int
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Scores by group, and over time."""

    overall: FigureRow
    rows: tuple[FigureRow, ...]
    trend: tuple[FigurePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAt:
    """Something a supervisor should look at today."""

    kind: Literal["fatal", "low_survey", "review", "overdue", "low_mean"]
    count: int
    agent: str = ""
    call_id: str = ""
    score_id: int | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDay:
    """An agent's day."""

    agent: str
    calls: int
    handling_seconds: float | None
    csat: Share
    scores: int
    mean: float | None
    praise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamSummary:
    """A team's day: figures, praise, and what to look at. `team` empty: everybody."""

    day: date
    team: str
    calls: int
    handling_seconds: float | None
    csat: Share
    scores: int
    mean: float | None
    agents: tuple[AgentDay, ...]
    praise: tuple[Note, ...]
    look_at: tuple[LookAt, ...]


# -- surveys -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyGroup:
    """Answers to one question by callers of one group."""

    key: str
    question: str
    scores: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyPoint:
    """Answers to one question in one week or day. `csat` a share of 0 to 1; None: no question of satisfaction."""

    question: str
    start: date
    answers: int
    mean: float
    csat: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveys:
    """What callers thought. `response`: callers who answered something, of those who came to a survey's first question."""

    questions: tuple[SurveyGroup, ...]
    groups: tuple[SurveyGroup, ...]
    trend: tuple[SurveyPoint, ...]
    response: Share
    response_by: Mapping[str, Share] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LowScore:
    """A call whose caller gave a low score. `complaint_id`: of a complaint that is linked to it; `handled`: or of a task."""

    call_id: str
    at: datetime
    question: str
    score: int
    flow: str
    queue: str
    agent: str
    tier: str
    caller_number: str | None
    customer_id: int | None
    customer_name: str
    comment: bool
    complaint_id: int | None
    handled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What a caller said in a survey. `recording_id`: of its sound, as `/api/v1/recordings` knows it."""

    call_id: str
    recording_id: str
    at: datetime
    flow: str
    seconds: float
    queue: str
    agent: str
    lowest: int | None
