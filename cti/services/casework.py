"""What is to be done for customers (tiers, complaints, follow-up calls, tasks), as the web may ask it: the seam to `cti.crm`.

Rows are plain values, ready for JSON. Every call raises `cti.errors.RemoteError` when the database cannot be asked now,
`CaseRefused` when the request cannot be done, `RulesInvalid` for rules, plans and answers that do not fit. Users are
named by their user name; an agent's is the extension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from cti.casework.rows import (
    Asker,
    BroughtIn,
    CaseEvent,
    CauseCounts,
    ChurnRow,
    ComplaintChange,
    ComplaintDetail,
    ComplaintFilter,
    ComplaintRow,
    CustomerTier,
    FollowUpResult,
    FollowUpRow,
    NewComplaint,
    NewTask,
    NewTransaction,
    NextFollowUp,
    PlanRow,
    Preview,
    Rules,
    TierRun,
    WebCallback,
    Work,
    WorkCounts,
)
from cti.ids import CallId, CustomerId, QueueName

RuleKind = Literal["tiers", "complaints", "churn"]


class Tiers(Protocol):
    """Tiers by rule."""

    async def compute(self, *, by: str, body: Mapping[str, Any] | None = None, apply: bool = True) -> TierRun:
        """Compute every customer's tier now. `body`: by these rules, not yet in force. `apply` False: only look."""
        ...

    async def last_run(self) -> TierRun | None:
        """The last computation that was applied."""
        ...

    async def of(self, customer_id: CustomerId) -> CustomerTier:
        """One customer's tier, with its explanation and history."""
        ...

    async def override(
        self, customer_id: CustomerId, tier: str, *, reason: str, by: str, expires_at: datetime | None
    ) -> CustomerTier:
        """Give the customer a tier whatever the rules say."""
        ...

    async def take_back(self, customer_id: CustomerId, *, by: str) -> CustomerTier:
        """End the override: the computed tier counts again, or the one the customer had before."""
        ...

    async def bring_in(self, rows: Sequence[NewTransaction]) -> BroughtIn:
        """Add purchases; one whose reference is known already changes nothing."""
        ...


class Complaints(Protocol):
    """Complaints."""

    async def register(self, new: NewComplaint, *, by: str) -> tuple[ComplaintDetail, bool]:
        """Register one; False beside it: it was there already, by its key."""
        ...

    async def list(self, which: ComplaintFilter) -> Sequence[ComplaintRow]:
        """Complaints, newest first."""
        ...

    async def counts(self, who: Asker | None = None) -> Mapping[str, int]:
        """How many that `who` sees (None: all) in each state that is open, "overdue", and "closed" in the last 30 days."""
        ...

    async def one(self, complaint_id: int, who: Asker | None = None) -> ComplaintDetail:
        """One complaint; one that `who` does not see is unknown to them."""
        ...

    async def change(
        self, complaint_id: int, change: ComplaintChange, *, by: Asker, revision: int | None
    ) -> ComplaintDetail:
        """Move it, or change something of it. `revision`: as seen; another one is refused (`edit_conflict`)."""
        ...

    async def causes(self, *, since: datetime, until: datetime, level: int, who: Asker | None = None) -> CauseCounts:
        """Pareto and tree of the complaints that were opened in some time."""
        ...


class FollowUps(Protocol):
    """Follow-up calls."""

    async def plans(self) -> Sequence[PlanRow]:
        """Every plan."""
        ...

    async def keep_plan(
        self, body: Mapping[str, Any], *, by: str, plan_id: int | None = None, active: bool = True
    ) -> PlanRow:
        """Add a plan, or change one."""
        ...

    async def generate(self) -> Mapping[str, int]:
        """Put on the lists what the plans say, drop what is overdue or may not be called; how many, by kind. Idempotent."""
        ...

    async def list(
        self,
        *,
        states: Sequence[str],
        plan_id: int | None,
        customer_id: CustomerId | None,
        limit: int,
        who: Asker | None = None,
    ) -> Sequence[FollowUpRow]:
        """Follow-ups, due first."""
        ...

    async def preview(self, follow_up_id: int, who: Asker | None = None) -> Preview:
        """One follow-up as the agent sees it before calling."""
        ...

    async def take_next(self, who: Asker) -> NextFollowUp:
        """Give the agent the next follow-up that may be called now; the one in hand first."""
        ...

    async def result(self, follow_up_id: int, result: FollowUpResult, *, by: Asker) -> FollowUpRow:
        """Write down what came of the call."""
        ...


class Tasks(Protocol):
    """Everybody's own queue of tasks."""

    async def counts(self, who: Asker) -> WorkCounts:
        """For the page's footer; one query."""
        ...

    async def list(
        self,
        who: Asker,
        *,
        kinds: Sequence[str],
        whose: Literal["mine", "free", "both", "all"],
        later: bool,
        limit: int,
    ) -> Sequence[Work]:
        """What is to be done, the most pressing first. `later`: what is snoozed or not due yet, too. "all" is for supervisors."""
        ...

    async def make(self, task: NewTask, *, by: Asker) -> Work:
        """Make a task."""
        ...

    async def take(self, work_id: str, *, by: Asker) -> Work:
        """Take it: it is theirs from now on. Refused (`taken`) where somebody else has it."""
        ...

    async def finish(self, work_id: str, *, by: Asker, note: str, dropped: bool) -> None:
        """It is done, or will not be. Refused for complaints and follow-ups, which end in their own way."""
        ...

    async def pass_on(self, work_id: str, *, by: Asker, owner: str | None, queue: str | None, note: str) -> Work:
        """Give it to somebody, or to a queue's agents."""
        ...

    async def snooze(self, work_id: str, *, by: Asker, until: datetime) -> Work:
        """Not to be shown before then."""
        ...

    async def recording(self, work_id: str, *, by: Asker) -> str:
        """What was said: "voicemail:<path>" or "recording:<path>"; empty where nothing was."""
        ...


class Churn(Protocol):
    """Early warning."""

    async def list(self, *, handled: bool | None, limit: int) -> Sequence[ChurnRow]:
        """Highest score first. `handled`: only those about whom something was done since they are on the list, or not."""
        ...

    async def compute(self) -> int:
        """Compute every score now; how many are on the list."""
        ...

    async def act(self, customer_id: CustomerId, *, action: str, note: str, by: Asker) -> ChurnRow:
        """Write down what was done."""
        ...


class WebCallbacks(Protocol):
    """Calls asked for on the web page."""

    async def known(self, key: str) -> bool | None:
        """Whether the request with this key is in the queue's line (True), became a task (False), or is new (None)."""
        ...

    async def keep(self, asked: WebCallback, *, callback_id: CallId | None, refused: str) -> None:
        """Keep what came of it; without a callback, make a task of it."""
        ...


class CallbackDesk(Protocol):
    """The floor, as the web callback asks it."""

    async def ask_web_callback(self, *, number: str, queue: QueueName, language: str, key: str) -> CallId:
        """Put a callback into the queue's line; again with the same key or number: the same one. Raises `Refused`."""
        ...


class RuleBook(Protocol):
    """Rules with their versions."""

    async def rules(self, kind: RuleKind) -> Rules:
        """The rules in force."""
        ...

    async def set_rules(
        self,
        kind: Literal["tiers", "complaints", "churn"],
        body: Mapping[str, Any],
        *,
        by: str,
        note: str,
        version: int,
    ) -> Rules:
        """Put rules in force. `version`: of the rules they replace; another one is refused (`edit_conflict`)."""
        ...

    async def events(self, *, after: int, limit: int) -> Sequence[CaseEvent]:
        """What happened after the event with this number, in order: for programs that follow."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Casework:
    """All of it."""

    rules: RuleBook
    tiers: Tiers
    complaints: Complaints
    follow_ups: FollowUps
    tasks: Tasks
    churn: Churn
    web: WebCallbacks
    desk: CallbackDesk | None = None
    """None: nobody is called back from the web page; what is asked for becomes a task."""
    sounds: Mapping[str, Path] = field(default_factory=dict)
    """Folders of "voicemail" and "recording"."""
