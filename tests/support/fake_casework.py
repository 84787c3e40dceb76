"""Casework in memory: one of everything, always the same. Keeps what was asked for in `asked`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cti.casework import churn, complaints
from cti.casework.causes import Branch, pareto
from cti.casework.rows import (
    BroughtIn,
    CaseEvent,
    CauseCounts,
    ChurnAction,
    ChurnRow,
    ComplaintDetail,
    ComplaintRow,
    CustomerTier,
    FollowUpRow,
    NextFollowUp,
    PlanRow,
    Preview,
    Rules,
    TierRun,
    Work,
    WorkCounts,
)
from cti.ids import CallId, CustomerId
from cti.services.casework import Casework

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ADA = CustomerId(1)

EVENT = CaseEvent(
    event_id=1,
    at=NOW,
    subject="complaint",
    subject_id=1,
    kind="registered",
    author="1001",
    before="",
    after="high",
    note="",
)
COMPLAINT = ComplaintRow(
    complaint_id=1, revision=1, source="call", customer_id=ADA, customer_name="Ada Whitfield", tier="gold",
    number="+15550100001", language="en", subject="Late again", cause="delivery/late", severity="high", state="new",
    owner=None, queue=None, opened_at=NOW, due_at=NOW + timedelta(days=1), overdue=False, escalation=0, verdict=None,
    closed_at=None,
)  # fmt: skip
DETAIL = ComplaintDetail(
    complaint=COMPLAINT, text="", call_id=CallId("a1-1.1"), recording=None, registered_by="1001", resolution="",
    resolved_at=None, verdict_note="", moves=("assign", "start", "dismiss"), history=(EVENT,),
)  # fmt: skip
FOLLOW_UP = FollowUpRow(
    follow_up_id=1, plan_id=1, plan="After a purchase", customer_id=ADA, customer_name="Ada Whitfield", company="",
    tier="gold", language="en", number="+15550100001", occasion="purchase:1", complaint_id=None, state="due", owner=None,
    queue=None, due_at=NOW, attempts=0, outcome="", ended_at=None, note="", answers={},
)  # fmt: skip
PREVIEW = Preview(
    follow_up=FOLLOW_UP, script={"en": "Hello"}, questions=(), earlier=(), may_call=True, may_call_from=None,
    local_time="09:30", why_not="", notes="", recent=(),
)  # fmt: skip
PLAN = PlanRow(
    plan_id=1,
    active=True,
    body={"name": "After a purchase"},
    author="supervisor",
    changed_at=NOW,
    since=NOW,
    counts={"due": 1},
)
WORK = Work(
    work_id="task-1", kind="voicemail", state="open", title="", detail="", customer_id=ADA, customer_name="Ada Whitfield",
    tier="gold", number="+15550100001", language="en", call_id="a1-1.1", complaint_id=None, follow_up_id=None,
    recording="voicemail:v.wav", queue="support", owner=None, created_at=NOW, due_at=NOW, snoozed_until=None,
    overdue=False, urgency=0, may_finish=True,
)  # fmt: skip
TIER = CustomerTier(customer_id=ADA, tier="gold", source="rule", told={"en": "gold", "zh": "gold"}, history=(EVENT,))
RUN = TierRun(
    at=NOW, rules_version=1, customers=3, changed=1, tiers={"gold": 3}, moves=(("silver", "gold", 1),), tried_only=False
)
CHURN = ChurnRow(
    customer_id=ADA, name="Ada Whitfield", company="", tier="gold", own_agent="", score=61.5, since=NOW,
    reasons=({"sign": "falling", "strength": 0.9, "points": 49.5, "figures": {"recent": 0, "usual": 3.0}},),
    actions=(ChurnAction(at=NOW, author="supervisor", action="called", note="", score=61.5),),
)  # fmt: skip
CAUSES = CauseCounts(
    total=2, counts={"delivery/late": 2}, bars=tuple(pareto({"delivery/late": 2})),
    tree=Branch(path="", titles={}, count=2, own=0),
)  # fmt: skip


class FakeCasework:
    """Satisfies every protocol of casework; `refuse` is raised instead of any answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refuse: Exception | None = None
        self.web_known: dict[str, bool] = {}
        self.answers: dict[str, Any] = {}

    def casework(self, **more: Any) -> Casework:
        """The whole of it."""
        parts = {
            name: _Part(self, name) for name in ("rules", "tiers", "complaints", "follow_ups", "tasks", "churn", "web")
        }
        return Casework(**parts, **more)  # type: ignore[arg-type]

    def answer(self, name: str, values: tuple[Any, ...], more: dict[str, Any]) -> Any:
        self.asked.append((name, *values, *more.values()))
        if self.refuse is not None:
            raise self.refuse
        return self.answers.get(name, _ANSWERS.get(name))


def fake_casework(folder: Path) -> Casework:
    """The whole of it, with a voicemail in `folder`."""
    (folder / "v.wav").write_bytes(b"RIFF")
    return FakeCasework().casework(sounds={"voicemail": folder})


class _Part:
    def __init__(self, whole: FakeCasework, name: str) -> None:
        self._whole, self._name = whole, name

    def __getattr__(self, method: str) -> Any:
        async def ask(*values: Any, **more: Any) -> Any:
            return self._whole.answer(f"{self._name}.{method}", values, more)

        return ask


_ANSWERS: dict[str, Any] = {
    "rules.rules": Rules(kind="complaints", version=0, body=complaints.plain(complaints.ComplaintRules())),
    "rules.set_rules": Rules(kind="churn", version=1, body=churn.plain(churn.ChurnRules())),
    "rules.events": (EVENT,),
    "tiers.compute": RUN,
    "tiers.last_run": RUN,
    "tiers.of": TIER,
    "tiers.override": TIER,
    "tiers.take_back": TIER,
    "tiers.bring_in": BroughtIn(added=1, known=0, problems=((2, "no such customer"),)),
    "complaints.register": (DETAIL, True),
    "complaints.list": (COMPLAINT,),
    "complaints.counts": {"new": 1, "overdue": 0},
    "complaints.one": DETAIL,
    "complaints.change": DETAIL,
    "complaints.causes": CAUSES,
    "follow_ups.plans": (PLAN,),
    "follow_ups.keep_plan": PLAN,
    "follow_ups.generate": {"made": 1, "dropped": 0},
    "follow_ups.list": (FOLLOW_UP,),
    "follow_ups.preview": PREVIEW,
    "follow_ups.take_next": NextFollowUp(preview=PREVIEW),
    "follow_ups.result": FOLLOW_UP,
    "tasks.counts": WorkCounts(kinds={"voicemail": 1}, mine=0, free=1, overdue=0),
    "tasks.list": (WORK,),
    "tasks.make": WORK,
    "tasks.take": WORK,
    "tasks.pass_on": WORK,
    "tasks.snooze": WORK,
    "tasks.recording": "voicemail:v.wav",
    "churn.list": (CHURN,),
    "churn.compute": 1,
    "churn.act": CHURN,
}
