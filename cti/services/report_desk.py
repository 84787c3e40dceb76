"""What leaves the house and what is planned from reports, as the web sees it: kept reports, files, mails, staffing, audit.

A report is kept as the search of its page's address ("view=queues&period=last_week&by=queue&metrics=..."): one text says
what a person sees, what a file holds and what a mail brings.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from cti.errors import CtiError
from cti.staffing.need import Target as StaffingTarget
from cti.staffing.plan import DayPlan


class DeskRefused(CtiError):
    """A request that cannot be granted; nothing was changed. `status` is the HTTP status that says so."""

    def __init__(self, error_id: str, message: str, *, status: int = 400, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.error_id = error_id
        self.status = status


class FileFormat(StrEnum):
    """How a report leaves the house."""

    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """A report as a file."""

    name: str
    """For saving; plain ASCII."""
    media: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedReport:
    """A view that somebody kept."""

    report_id: int
    name: str
    owner: str
    shared: bool
    search: str


class Rhythm(StrEnum):
    """How often a report is mailed."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleWish:
    """What is wanted of a schedule."""

    report_id: int
    rhythm: Rhythm
    day: int
    """Weekly: 1 (Monday) to 7; monthly: 1 to 28; daily: 1."""
    at: str
    """Local time of day, "07:30"."""
    format: FileFormat
    language: str
    to: tuple[str, ...]
    active: bool


class MailState(StrEnum):
    """What came of one mail."""

    DUE = "due"
    """To be sent, or to be tried again."""
    SENDING = "sending"
    """Handed to the mail server at this moment."""
    SENT = "sent"
    FAILED = "failed"
    """Given up."""
    UNKNOWN = "unknown"
    """The server may have taken it before the line or the bridge was gone; it is not sent again by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One mail of a schedule."""

    due_at: datetime
    state: MailState
    attempts: int
    next_at: datetime | None
    sent_at: datetime | None
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A kept report that is mailed."""

    schedule_id: int
    name: str
    author: str
    wish: ScheduleWish
    next_at: datetime | None
    deliveries: tuple[Delivery, ...]
    """The latest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffingQuestion:
    """Of what a plan is made."""

    queue: str
    """Empty: all queues together."""
    weekday: int
    """1 is Monday."""
    weeks: int
    growth: float
    target: StaffingTarget
    learn_patience: bool
    """Take the callers' patience out of the same weeks, whatever the target says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffingPlan:
    """The answer."""

    plan: DayPlan
    present: tuple[float, ...]
    """Agents who could serve, by half hour, on the days it was learnt from."""
    patience: float | None
    """As found in these weeks, in seconds; None: nobody gave up."""
    zone: str


class Verdict(StrEnum):
    """A figure against its target."""

    MET = "met"
    NEAR = "near"
    MISSED = "missed"
    NONE = "none"
    """There is no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What an indicator should be."""

    target_id: int
    metric: str
    queue: str
    """Empty: the whole centre."""
    good: str
    """up or down."""
    target: float
    tolerance: float
    since: datetime
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCell:
    """One period."""

    period: str
    value: float | None
    n: int
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One target over the periods."""

    target_id: int
    metric: str
    queue: str
    target: float
    cells: tuple[AuditCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Every target over the periods; the last one is not over yet."""

    zone: str
    step: str
    periods: tuple[str, ...]
    definition_version: int
    rows: tuple[AuditRow, ...]
    unfinished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionWish:
    """A corrective action to be taken."""

    metric: str
    queue: str
    period: str
    cause: str
    what: str
    owner: str
    due: date


class ActionState(StrEnum):
    """Of a corrective action."""

    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A corrective action."""

    action_id: int
    wish: ActionWish
    state: ActionState
    result: str
    author: str
    at: datetime
    closed_at: datetime | None
    overdue: bool


class ReportDesk(Protocol):
    """All of it. Raises `DeskRefused`, and `cti.errors.RemoteError` when the database is away."""

    async def file(
        self, search: str, format: FileFormat, language: str, *, queues: Collection[str] | None = None
    ) -> ReportFile:
        """A report as a file. `queues`: over these only, and it says so. Raises `DeskRefused` for a search that is none."""
        ...

    async def saved(self, user: str) -> Sequence[SavedReport]:
        """The user's own and what others share, by name."""
        ...

    async def save(self, user: str, name: str, search: str, *, shared: bool) -> SavedReport:
        """Keep a view; one of the same name of this user is replaced."""
        ...

    async def forget(self, user: str, report_id: int, *, any_owner: bool) -> SavedReport:
        """Give up a kept report, and its mails."""
        ...

    async def schedules(self) -> Sequence[Schedule]:
        """Every schedule, with its latest mails."""
        ...

    async def schedule(self, user: str, wish: ScheduleWish, *, schedule_id: int | None = None) -> Schedule:
        """Mail a kept report from now on, or change how; times that have passed are not made up for."""
        ...

    async def unschedule(self, schedule_id: int) -> Schedule:
        """Stop mailing."""
        ...

    async def send_now(self, schedule_id: int) -> None:
        """Send one now, besides what is due."""
        ...

    def mails(self) -> bool:
        """Whether there is a mail server."""
        ...

    async def staffing(self, question: StaffingQuestion) -> StaffingPlan:
        """Agents needed."""
        ...

    async def goals(self) -> Sequence[Goal]:
        """Targets in force."""
        ...

    async def set_goal(
        self, user: str, metric: str, queue: str, target: float, tolerance: float
    ) -> tuple[Goal, Goal | None]:
        """Set a target; gives the new one and the one it replaces."""
        ...

    async def drop_goal(self, target_id: int) -> Goal:
        """Take a target away."""
        ...

    async def audit(self, step: str, periods: int) -> Audit:
        """Every target over the last periods."""
        ...

    async def actions(self) -> Sequence[Action]:
        """Open ones, then those closed within a year."""
        ...

    async def act(self, user: str, wish: ActionWish) -> Action:
        """Take a corrective action."""
        ...

    async def settle(
        self, action_id: int, *, state: ActionState, result: str, owner: str, due: date
    ) -> tuple[Action, Action]:
        """Change one; gives it as it was and as it is."""
        ...
