"""Casework on a real database: tiers, complaints with deadlines, follow-up lists, tasks, early warning, the intake."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cti.casework.reading import RulesInvalid
from cti.casework.rows import (
    Asker,
    CaseRefused,
    ComplaintChange,
    ComplaintFilter,
    Escalation,
    FollowUpResult,
    NewComplaint,
    NewTask,
    NewTransaction,
    WebCallback,
)
from cti.crm.casework import CaseOffice
from cti.crm.casework_demo import load as load_cases
from cti.crm.demo import load
from cti.errors import IllegalTransition
from cti.ids import AgentId, CallId, CustomerId, FlowName, NodeName, QueueName
from cti.journal.writer import JournalWriter
from cti.model.facts import (
    CallbackFailed,
    CallEnded,
    CallQueued,
    CallStarted,
    CustomerMatched,
    DialAsked,
    DialFailed,
    Direction,
    Fact,
    FlowStepDone,
    HangupBy,
    LanguageChosen,
    Match,
    MessageRecorded,
    SurveyAnswered,
    VoicemailLeft,
)
from cti.services.casework import Casework
from cti.store.drain import Drain
from cti.store.pool import open_pool
from tests.support.fake_floor import StandingClock
from tests.support.flow_corpus import demo_centre
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]

T0 = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""A Monday."""
ADA = Asker(username="1001", queues=(QueueName("support"), QueueName("sales"), QueueName("vip")))
EMIL = Asker(username="1005", queues=(QueueName("sales"),))
BOSS = Asker(username="supervisor", supervises=True)


class Office:
    """Casework over one database, with a clock that moves when told."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.clock = StandingClock(T0)
        self.forgotten = 0
        self.office = CaseOffice(pool, clock=self.clock, centre=demo_centre, forget=self._forget)
        self.all: Casework = self.office.casework()
        self.pool = pool

    def _forget(self) -> None:
        self.forgotten += 1

    async def customer(self, reference: str) -> CustomerId:
        return CustomerId(
            await self.pool.fetchval("SELECT customer_id FROM crm.customers WHERE reference = $1", reference)
        )

    async def buys(self, reference: str, *purchases: tuple[float, float]) -> None:
        """(days ago, amount)."""
        got = await self.all.tiers.bring_in(
            [
                NewTransaction(at=self.clock.now() - timedelta(days=days), amount=amount, customer_reference=reference)
                for days, amount in purchases
            ]
        )
        assert got.added == len(purchases)


@pytest.fixture
async def office(migrated: str) -> AsyncIterator[Office]:
    pool = await open_pool(migrated)
    await load(pool)
    yield Office(pool)
    await pool.close()


RULES: dict[str, Any] = {
    "enabled": True,
    "method": "abc",
    "tiers": [{"tier": "vip", "share": 0.5}, {"tier": "gold", "share": 0.8}, {"tier": "silver", "share": 0.95}],
    "otherwise": "regular",
}


async def test_tiers_are_computed_explained_overridden_and_given_back(office: Office) -> None:
    tiers, rules = office.all.tiers, office.all.rules
    await office.buys("demo-002", (10, 6000), (40, 1000))
    await office.buys("demo-006", (20, 2500))
    await office.buys("demo-010", (30, 500), (31, -100))
    with pytest.raises(CaseRefused, match="not enabled"):
        await tiers.compute(by="supervisor")
    tried = await tiers.compute(by="supervisor", body=RULES, apply=False)
    assert tried.tried_only
    assert tried.customers == 3
    assert (await tiers.of(await office.customer("demo-002"))).tier == "regular"
    with pytest.raises(RulesInvalid, match="platinum"):
        await rules.set_rules("tiers", {**RULES, "otherwise": "platinum"}, by="supervisor", note="", version=0)
    await rules.set_rules("tiers", RULES, by="supervisor", note="by value", version=0)
    with pytest.raises(CaseRefused, match="meanwhile"):
        await rules.set_rules("tiers", RULES, by="supervisor", note="", version=0)
    run = await tiers.compute(by="supervisor")
    assert run.tiers == {"vip": 1, "gold": 1, "regular": 1}
    assert run.changed == 3
    assert office.forgotten == 1
    assert await tiers.last_run() == run
    daniel = await office.customer("demo-002")
    found = await tiers.of(daniel)
    assert (found.tier, found.source) == ("vip", "rule")
    assert found.told["en"] == "vip: 2 orders / 7,000 in 12 months: in the top 34 %"
    assert "位于前" in found.told["zh"]
    assert found.history[-1].before == "regular"
    assert (await tiers.of(await office.customer("demo-001"))).source == "import"  # nothing bought: kept
    assert (await tiers.compute(by="")).changed == 0

    with pytest.raises(CaseRefused, match="reason"):
        await tiers.override(daniel, "gold", reason=" ", by="supervisor", expires_at=None)
    later = office.clock.now() + timedelta(days=7)
    changed = await tiers.override(daniel, "silver", reason="pays late", by="supervisor", expires_at=later)
    assert (changed.tier, changed.source) == ("silver", "override")
    assert changed.override is not None
    assert changed.override.author == "supervisor"
    assert (await tiers.compute(by="")).changed == 0
    assert (await tiers.of(daniel)).tier == "silver"
    office.clock.move(timedelta(days=8))
    assert await office.office.deadlines() == 1
    assert (await tiers.of(daniel)).tier == "vip"
    zoe = await office.customer("demo-001")
    await tiers.override(zoe, "regular", reason="test", by="supervisor", expires_at=None)
    back = await tiers.take_back(zoe, by="supervisor")
    assert (back.tier, back.source, back.override) == ("vip", "import", None)
    with pytest.raises(CaseRefused, match="nobody overrode"):
        await tiers.take_back(zoe, by="supervisor")
    assert await office.pool.fetchval("SELECT count(*) FROM crm.changes WHERE what = 'tier'") >= 6


async def test_purchases_come_in_once_and_say_what_is_wrong(office: Office) -> None:
    rows = [
        NewTransaction(at=T0, amount=10, customer_reference="demo-001", reference="o-1"),
        NewTransaction(at=T0, amount=10, customer_reference="nobody", reference="o-2"),
        NewTransaction(at=T0, amount=10, customer_id=999_999),
    ]
    got = await office.all.tiers.bring_in(rows)
    assert (got.added, got.known, [row for row, _ in got.problems]) == (1, 0, [2, 3])
    got = await office.all.tiers.bring_in(rows[:1])
    assert (got.added, got.known) == (0, 1)
    assert (await office.all.tiers.bring_in([])).added == 0


async def test_a_complaint_from_registration_to_the_customers_verdict(office: Office) -> None:
    complaints, zoe = office.all.complaints, await office.customer("demo-001")
    new = NewComplaint(
        source="call", subject="Late again", text="%_ <b>", key="k1", number="(555) 010-0001", cause="delivery/late"
    )
    made, fresh = await complaints.register(new, by="1001")
    assert fresh
    assert made.complaint.customer_id == zoe
    assert (made.complaint.severity, made.complaint.state) == ("high", "new")  # a vip's
    again, fresh = await complaints.register(new, by="1001")
    assert not fresh
    assert again.complaint.complaint_id == made.complaint.complaint_id
    number = made.complaint.complaint_id

    async def change(by: Asker = ADA, revision: int | None = None, **what: Any) -> Any:
        return await complaints.change(number, ComplaintChange(**what), by=by, revision=revision)

    with pytest.raises(CaseRefused, match="no cause"):
        await change(cause="delivery/never")
    with pytest.raises(IllegalTransition, match="cannot be moved by accept"):
        await change(move="accept")
    one = await change(owner="1001", revision=1)
    assert (one.complaint.state, one.complaint.owner) == ("assigned", "1001")
    with pytest.raises(CaseRefused, match="meanwhile"):
        await change(move="start", revision=1)
    with pytest.raises(CaseRefused, match="1001's"):
        await change(by=EMIL, move="start")
    await change(move="start")
    await change(note="Called the courier")
    with pytest.raises(CaseRefused, match="what was done"):
        await change(move="resolve")
    one = await change(move="resolve", resolution="New parcel sent")
    assert one.moves == ("accept", "refuse")
    one = await change(move="refuse", note="Still nothing")
    assert (one.complaint.state, one.complaint.verdict) == ("in_progress", "dissatisfied")
    await change(move="resolve", resolution="Refunded")
    one = await change(move="accept", verdict="satisfied", note="Thank you")
    assert (one.complaint.state, one.complaint.verdict) == ("closed", "satisfied")
    assert [event.kind for event in one.history][:4] == ["registered", "moved:assign", "assigned", "moved:start"]

    assert [row.complaint_id for row in await complaints.list(ComplaintFilter(words="%x_"))] == []
    assert [row.complaint_id for row in await complaints.list(ComplaintFilter(words="late AGAIN"[:10]))] == [number]
    assert len(await complaints.list(ComplaintFilter(cause="delivery", customer_id=zoe, states=("closed",)))) == 1
    assert (await complaints.counts())["closed"] == 1
    counts = await complaints.causes(since=T0 - timedelta(days=1), until=T0 + timedelta(days=1), level=1)
    assert [(bar.path, bar.count) for bar in counts.bars] == [("delivery", 1)]
    assert counts.tree.count == 1


async def test_deadlines_remind_the_owner_then_tell_the_supervisors_each_once(office: Office) -> None:
    complaints, tasks = office.all.complaints, office.all.tasks
    owned, _ = await complaints.register(
        NewComplaint(source="web", subject="Owned", severity="high", owner="1001"), by=""
    )
    await complaints.register(NewComplaint(source="web", subject="Nobody's", severity="high"), by="")
    assert await office.office.deadlines() == 0
    office.clock.move(timedelta(hours=20, minutes=1))
    told: list[Escalation] = []
    office.office.tell = told.append
    assert await office.office.deadlines() == 2
    assert [(one.subject, one.step, one.owner) for one in told] == [("Owned", 1, "1001"), ("Nobody's", 2, None)]
    assert await office.office.deadlines() == 0
    mine = await tasks.list(ADA, kinds=("escalation",), whose="mine", later=False, limit=10)
    assert [task.title for task in mine] == ["Owned"]
    theirs = await tasks.list(BOSS, kinds=("escalation",), whose="free", later=False, limit=10)
    assert [task.title for task in theirs] == ["Nobody's"]
    assert not await tasks.list(ADA, kinds=("escalation",), whose="free", later=False, limit=10)
    office.clock.move(timedelta(hours=6))
    assert await office.office.deadlines() == 1
    assert (await complaints.one(owned.complaint.complaint_id)).complaint.escalation == 2
    assert (await complaints.counts())["overdue"] == 2
    assert len(await complaints.list(ComplaintFilter(overdue=True))) == 2
    events = await office.all.rules.events(after=0, limit=100)
    assert [event.kind for event in events].count("escalated") == 3


PLAN: dict[str, Any] = {
    "name": "Three days after a purchase",
    "trigger": "purchase",
    "after_days": 3,
    "attempts": 2,
    "spacing_minutes": [60],
    "from": "09:00",
    "to": "18:00",
    "questions": [
        {"name": "happy", "kind": "scale", "titles": {"en": "How happy are you?", "zh": "您满意吗？"}},
        {"name": "again", "kind": "yes_no", "titles": "Would you buy again?", "needed": False},
    ],
}


async def test_follow_up_calls_are_planned_once_previewed_made_and_tried_again(office: Office) -> None:
    follow_ups = office.all.follow_ups
    plan = await follow_ups.keep_plan(PLAN, by="supervisor")
    with pytest.raises(CaseRefused, match="already"):
        await follow_ups.keep_plan(PLAN, by="supervisor")
    with pytest.raises(RulesInvalid, match="trigger"):
        await follow_ups.keep_plan({"name": "x", "after_days": 1, "trigger": "moon"}, by="supervisor")
    office.clock.move(timedelta(minutes=1))
    for reference in ("demo-001", "demo-002", "demo-003"):
        await office.buys(reference, (0, 100))
    await office.pool.execute(
        "INSERT INTO crm.consents (customer_id, channel, status, at) VALUES ($1, 'call', 'refused', now())",
        await office.customer("demo-003"),
    )
    assert await follow_ups.generate() == {"made": 0, "dropped": 0}
    office.clock.move(timedelta(days=3))
    assert await follow_ups.generate() == {"made": 2, "dropped": 0}
    assert await asyncio.gather(*(follow_ups.generate() for _ in range(3))) == [{"made": 0, "dropped": 0}] * 3

    first = (await follow_ups.take_next(ADA)).preview
    assert first is not None
    assert first.may_call
    assert first.follow_up.number == "+15550100001"
    assert first.local_time == "15:01"
    assert first.questions[0]["name"] == "happy"
    assert (await follow_ups.take_next(ADA)).preview == first  # the one in hand
    second = (await follow_ups.take_next(EMIL)).preview
    assert second is not None
    assert second.follow_up.customer_name == "Daniel Brooks"
    empty = await follow_ups.take_next(BOSS)
    assert empty.hindrance is not None
    assert empty.hindrance.reason == "nothing_due"

    with pytest.raises(RulesInvalid, match="happy"):
        await follow_ups.result(first.follow_up.follow_up_id, FollowUpResult(outcome="reached"), by=ADA)
    done = await follow_ups.result(
        first.follow_up.follow_up_id, FollowUpResult(outcome="reached", answers={"happy": 5}), by=ADA
    )
    assert (done.state, done.answers) == ("done", {"happy": 5})
    with pytest.raises(CaseRefused, match="is done"):
        await follow_ups.result(done.follow_up_id, FollowUpResult(outcome="no_answer"), by=ADA)
    with pytest.raises(CaseRefused, match="1005's"):
        await follow_ups.result(second.follow_up.follow_up_id, FollowUpResult(outcome="busy"), by=ADA)
    missed = await follow_ups.result(second.follow_up.follow_up_id, FollowUpResult(outcome="no_answer"), by=EMIL)
    assert (missed.state, missed.attempts, missed.owner) == ("due", 1, None)
    assert (await follow_ups.take_next(EMIL)).preview is None
    office.clock.move(timedelta(hours=1))
    again = (await follow_ups.take_next(EMIL)).preview
    assert again is not None
    assert [one.outcome for one in again.earlier] == ["no_answer"]
    over = await follow_ups.result(again.follow_up.follow_up_id, FollowUpResult(outcome="busy"), by=EMIL)
    assert over.state == "unreached"
    (row,) = await follow_ups.plans()
    assert row.plan_id == plan.plan_id
    assert row.counts == {"done": 1, "unreached": 1}

    # A third customer says never to call again: what is still due for them goes.
    await office.buys("demo-006", (0, 10), (0.5, 10))
    office.clock.move(timedelta(days=4))
    await follow_ups.generate()
    third = (await follow_ups.take_next(ADA)).preview
    assert third is not None
    await follow_ups.result(third.follow_up.follow_up_id, FollowUpResult(outcome="refused", do_not_call=True), by=ADA)
    assert (await follow_ups.take_next(ADA)).preview is None
    assert (await follow_ups.generate())["dropped"] == 1


async def test_nobody_is_called_outside_the_hours_where_they_are(office: Office) -> None:
    follow_ups = office.all.follow_ups
    await follow_ups.keep_plan(PLAN, by="supervisor")
    office.clock.move(timedelta(minutes=1))
    await office.buys("demo-001", (0, 100))
    await office.pool.execute("UPDATE crm.customers SET time_zone = 'Asia/Shanghai' WHERE reference = 'demo-001'")
    office.clock.move(timedelta(days=3))
    await follow_ups.generate()
    got = await follow_ups.take_next(ADA)
    assert got.hindrance is not None
    assert got.hindrance.reason == "outside_hours"
    (row,) = await follow_ups.list(states=("due",), plan_id=None, customer_id=None, limit=10)
    preview = await follow_ups.preview(row.follow_up_id)
    assert (preview.may_call, preview.why_not, preview.local_time) == (False, "outside_hours", "23:01")
    assert preview.may_call_from == datetime(2026, 3, 6, 1, 0, tzinfo=UTC)
    office.clock.move(timedelta(hours=10))
    assert (await follow_ups.take_next(ADA)).preview is not None


async def test_tasks_are_taken_passed_on_snoozed_and_done(office: Office) -> None:
    tasks = office.all.tasks
    made = await tasks.make(
        NewTask(
            kind="callback", title="Call back at four", due_at=T0 + timedelta(hours=1), number="(555) 010-0001", key="a"
        ),
        by=ADA,
    )
    assert (made.owner, made.number, made.overdue, made.may_finish) == ("1001", "+15550100001", False, True)
    assert (await tasks.make(NewTask(kind="callback", title="x", due_at=T0, key="a"), by=ADA)).work_id == made.work_id
    shared = await tasks.make(NewTask(kind="to_do", title="For sales", due_at=T0, queue="sales"), by=BOSS)
    complaint, _ = await office.all.complaints.register(NewComplaint(source="web", subject="Broken"), by="")
    work = f"complaint-{complaint.complaint.complaint_id}"

    async def titles(who: Asker, whose: Any = "both", later: bool = False) -> list[str]:
        return [one.title for one in await tasks.list(who, kinds=(), whose=whose, later=later, limit=50)]

    assert await titles(ADA) == ["Call back at four", "Broken", "For sales"]
    assert await titles(Asker(username="1004", queues=(QueueName("support"),))) == ["Broken"]
    counts = await tasks.counts(ADA)
    assert (counts.kinds, counts.mine, counts.free, counts.overdue) == (
        {"callback": 1, "to_do": 1, "complaint": 1},
        1,
        2,
        0,
    )
    with pytest.raises(CaseRefused, match="only supervisors"):
        await titles(ADA, "all")
    assert len(await titles(BOSS, "all")) == 3

    taken = await tasks.take(shared.work_id, by=EMIL)
    assert (taken.owner, taken.state) == ("1005", "taken")
    with pytest.raises(CaseRefused, match="1005 has it"):
        await tasks.take(shared.work_id, by=ADA)
    assert (await tasks.take(work, by=ADA)).state == "assigned"
    with pytest.raises(CaseRefused, match="resolved"):
        await tasks.finish(work, by=ADA, note="", dropped=False)
    passed = await tasks.pass_on(work, by=ADA, owner=None, queue="support", note="not mine")
    assert (passed.owner, passed.queue, passed.state) == (None, "support", "new")
    with pytest.raises(CaseRefused, match="no agent"):
        await tasks.pass_on(work, by=ADA, owner="4711", queue=None, note="")
    await tasks.snooze(made.work_id, by=ADA, until=T0 + timedelta(hours=2))
    assert "Call back at four" not in await titles(ADA)
    assert "Call back at four" in await titles(ADA, later=True)
    office.clock.move(timedelta(hours=2))
    assert (await tasks.counts(ADA)).overdue == 1
    await tasks.finish(made.work_id, by=ADA, note="Reached", dropped=False)
    with pytest.raises(CaseRefused, match="nothing that is to be done"):
        await tasks.take(made.work_id, by=ADA)
    with pytest.raises(CaseRefused, match="1005's"):
        await tasks.finish(shared.work_id, by=ADA, note="", dropped=False)
    await asyncio.gather(*(tasks.take(work, by=who) for who in (ADA, ADA)))


async def test_a_follow_up_dialled_in_vain_is_an_attempt(office: Office, migrated: str, tmp_path: Path) -> None:
    follow_ups = office.all.follow_ups
    await follow_ups.keep_plan(PLAN, by="supervisor")
    office.clock.move(timedelta(minutes=1))
    await office.buys("demo-001", (0, 100))
    office.clock.move(timedelta(days=3))
    await follow_ups.generate()
    (row,) = await follow_ups.list(states=("due",), plan_id=None, customer_id=None, limit=10)
    number, now = row.follow_up_id, office.clock.now()

    def call(name: str, status: str, follow_up: str) -> list[Fact]:
        call_id, agent = CallId(f"a1-d{name}"), AgentId("1001")
        return [
            CallStarted(at=now, call_id=call_id, node=NodeName("a1"), direction=Direction.OUTBOUND),
            DialAsked(at=now, call_id=call_id, agent_id=agent, number="+15550100001", follow_up_id=follow_up),
            DialFailed(at=now, call_id=call_id, agent_id=agent, status=status),
            CallEnded(at=now, call_id=call_id, hangup_by=HangupBy.SYSTEM),
        ]

    async with JournalWriter(tmp_path / "journal") as journal:
        journal.recover()
        drain = Drain(journal, migrated)

        async def take_in(*facts: Fact) -> int:
            await journal.append(facts)
            while await drain.drain_once():
                pass
            return await office.office.intake.take_in()

        # Not the customer's doing, no follow-up, no such one, nonsense: nothing is counted.
        assert await take_in(
            *call("1", "line_down", str(number)), *call("2", "busy", ""), *call("3", "busy", "999999"),
            *call("4", "no_answer", "x'; --"),
        ) == 0  # fmt: skip
        assert await take_in(*call("5", "no_answer", str(number))) == 1
        (tried,) = await follow_ups.list(states=("due",), plan_id=None, customer_id=None, limit=10)
        assert (tried.attempts, tried.outcome, tried.due_at > now) == (1, "no_answer", True)
        # The agent writes about it, with the call and without: it is that attempt.
        for told in (CallId("a1-d5"), None):
            after = await follow_ups.result(
                number, FollowUpResult(outcome="busy", call_id=told, note="" if told else "A machine."), by=ADA
            )
            assert after.attempts == 1
        # The other way round: the result was there before the fact.
        await follow_ups.result(number, FollowUpResult(outcome="busy", call_id=CallId("a1-d6")), by=ADA)
        assert await take_in(*call("6", "busy", str(number))) == 0
        await drain.close()
    preview = await follow_ups.preview(number)
    assert [(one.attempt, one.outcome, one.call_id, one.note) for one in preview.earlier] == [
        (1, "busy", "a1-d5", "A machine."), (2, "busy", "a1-d6", ""),
    ]  # fmt: skip
    assert preview.follow_up.state == "unreached"


async def test_what_calls_leave_comes_in_once(office: Office, migrated: str, tmp_path: Path) -> None:
    zoe, node = await office.customer("demo-001"), NodeName("a1")

    def call(number: int, *facts: Any) -> list[Fact]:
        call_id, at = CallId(f"a1-1.{number}"), T0 + timedelta(minutes=number)
        begin = [
            CallStarted(at=at, call_id=call_id, node=node, caller_number="+15550100001", did="5006"),
            CustomerMatched(at=at, call_id=call_id, match=Match.FOUND, customer_id=zoe, tier="vip"),
            LanguageChosen(at=at, call_id=call_id, language="zh"),
            CallQueued(at=at, call_id=call_id, queue=QueueName("support")),
        ]
        made = [make(at=at + timedelta(seconds=20), call_id=call_id) for make in facts]
        return [*begin, *made, CallEnded(at=at + timedelta(seconds=30), call_id=call_id, hangup_by=HangupBy.CALLER)]

    def message(flow: str, kind: str = "message", **more: Any) -> Any:
        return lambda **at: MessageRecorded(
            kind=kind, path=f"{flow}.wav", flow=FlowName(flow), step="tell", **at, **more
        )

    def chose(**at: Any) -> FlowStepDone:
        return FlowStepDone(flow=FlowName("complaint"), step="matter", verb="menu", result="1", choice="Delivery", **at)

    facts = [
        *call(1, lambda **at: VoicemailLeft(path="v.wav", seconds=9, **at)),
        *call(2, chose, message("complaint", seconds=8)),
        *call(3, message("main")),
        *call(
            4,
            message("survey", kind="comment"),
            lambda **at: SurveyAnswered(flow=FlowName("survey"), step="s", question="q", score=1, **at),
        ),
        *call(5, lambda **at: CallbackFailed(attempt=3, status="busy", **at)),
        *call(6, lambda **at: CallbackFailed(attempt=1, status="busy", retry_at=T0 + timedelta(hours=1), **at)),
    ]
    async with JournalWriter(tmp_path / "journal") as journal:
        journal.recover()
        await journal.append(facts)
        drain = Drain(journal, migrated)
        while await drain.drain_once():
            pass
        assert await office.office.intake.take_in() == 4
        await journal.append(call(1, lambda **at: VoicemailLeft(path="v.wav", seconds=9, **at))[4:5])
        while await drain.drain_once():
            pass
        assert await office.office.intake.take_in() == 0
        await drain.close()
    work = await office.all.tasks.list(ADA, kinds=(), whose="both", later=True, limit=50)
    assert {(one.kind, one.recording) for one in work} == {
        ("voicemail", "voicemail:v.wav"), ("voicemail", "recording:main.wav"),
        ("complaint", "recording:complaint.wav"), ("callback", None),
    }  # fmt: skip
    assert {(one.customer_id, one.number, one.language, one.queue) for one in work} == {
        (zoe, "+15550100001", "zh", "support")
    }
    (complaint,) = await office.all.complaints.list(ComplaintFilter())
    assert (complaint.source, complaint.cause, complaint.severity, complaint.subject) == (
        "line",
        "delivery",
        "high",
        "Delivery",
    )


async def test_who_may_leave_is_listed_with_reasons_and_what_was_done(office: Office) -> None:
    churn, zoe = office.all.churn, await office.customer("demo-001")
    await office.buys("demo-001", *((70 + 15 * n, 50) for n in range(9)))
    await office.buys("demo-002", *((15 * n, 50) for n in range(12)))
    await office.all.complaints.register(NewComplaint(source="call", subject="x", customer_id=zoe), by="1001")
    assert await churn.compute() == 1
    (row,) = await churn.list(handled=None, limit=10)
    assert row.customer_id == zoe
    assert [reason["sign"] for reason in row.reasons] == ["falling", "complaint"]
    assert row.score == pytest.approx(100 * (1 - 0.45 * (1 - 0.45 * 0.8)), abs=0.05)
    row = await churn.act(zoe, action="offer", note="10 % off", by=BOSS)
    assert [action.action for action in row.actions] == ["offer"]
    assert not await churn.list(handled=False, limit=10)
    assert len(await churn.list(handled=True, limit=10)) == 1
    with pytest.raises(CaseRefused, match="not on the list"):
        await churn.act(await office.customer("demo-002"), action="offer", note="", by=BOSS)


async def test_the_nights_work_is_done_once_a_day(office: Office) -> None:
    await office.all.rules.set_rules("tiers", RULES, by="supervisor", note="", version=0)
    await office.buys("demo-002", (10, 6000))
    await office.office.night()
    assert (await office.all.tiers.of(await office.customer("demo-002"))).tier == "vip"
    await office.buys("demo-006", (1, 90_000))
    office.clock.move(timedelta(hours=10))
    await office.office.night()
    assert (await office.all.tiers.of(await office.customer("demo-002"))).tier == "vip"
    office.clock.move(timedelta(hours=14))
    await office.office.night()
    assert (await office.all.tiers.of(await office.customer("demo-002"))).tier == "silver"


async def test_a_call_asked_for_on_the_web_is_kept_once(office: Office) -> None:
    web = office.all.web
    asked = WebCallback(
        key="k", number="+15550100001", queue=QueueName("support"), name="Zoë", language="en", about="?", consent="yes"
    )
    assert await web.known("k") is None
    await web.keep(asked, callback_id=None, refused="no_trunk")
    await web.keep(asked, callback_id=CallId("a1-x-cb"), refused="")
    assert await web.known("k") is False
    (task,) = await office.all.tasks.list(ADA, kinds=("web_callback",), whose="free", later=False, limit=5)
    assert (task.number, task.customer_name) == ("+15550100001", "Zoë Chen")


async def test_the_demo_has_something_of_everything(office: Office) -> None:
    office.clock.move(datetime.now(UTC) - T0)
    assert await load_cases(office.pool) > 300
    assert await load_cases(office.pool) == 0
    await office.office.follow_ups.generate()
    assert await office.office.churn.compute() >= 4
    counts = await office.all.complaints.counts()
    assert all(
        counts[state] for state in ("new", "assigned", "in_progress", "waiting", "resolved", "closed", "overdue")
    )
    assert (await office.all.tiers.compute(by="", body=RULES, apply=False)).customers == 60
    kinds = (await office.all.tasks.counts(ADA)).kinds
    assert {"callback", "to_do", "complaint", "web_callback"} <= set(kinds)
    waiting = await office.all.follow_ups.list(states=("due",), plan_id=None, customer_id=None, limit=50)
    assert len(waiting) >= 7


async def test_a_supervisor_of_certain_queues_sees_and_changes_what_is_of_these(office: Office) -> None:
    lena = Asker(username="lena", supervises=True, scope=("support",), people=("1001",))
    nobody = Asker(username="nobody", supervises=True, scope=())
    tasks, complaints = office.all.tasks, office.all.complaints
    made = {
        title: await tasks.make(
            NewTask(kind="to_do", title=title, due_at=T0, queue=queue, owner=owner, number="+14155550777"), by=BOSS
        )
        for title, queue, owner in (
            ("ours", "support", None), ("theirs", "sales", None), ("hers", "sales", "lena"), ("ada", None, "1001"),
            ("emil", None, "1005"),
        )
    }  # fmt: skip
    found = await tasks.list(lena, kinds=(), whose="all", later=True, limit=50)
    assert {work.title for work in found} == {"ours", "hers", "ada"}
    assert (await tasks.counts(lena)).free == 1
    assert await tasks.list(nobody, kinds=(), whose="all", later=True, limit=50) == ()
    for title in ("theirs", "emil"):
        with pytest.raises(CaseRefused) as error:
            await tasks.take(made[title].work_id, by=lena)
        assert error.value.status == 404
        with pytest.raises(CaseRefused):
            await tasks.recording(made[title].work_id, by=lena)
    passed = await tasks.pass_on(made["ours"].work_id, by=lena, owner=None, queue="sales", note="")
    assert passed.queue == "sales"
    numbers = []
    for queue in ("support", "sales"):
        new = NewComplaint(source="call", subject=queue, text="x", queue=queue, cause="other")
        numbers.append((await complaints.register(new, by="1001"))[0].complaint.complaint_id)
    assert [row.complaint_id for row in await complaints.list(ComplaintFilter(who=lena))] == [numbers[0]]
    assert ((await complaints.counts(lena))["new"], (await complaints.counts())["new"]) == (1, 2)
    since, until = T0 - timedelta(days=1), T0 + timedelta(days=1)
    assert (await complaints.causes(since=since, until=until, level=1, who=lena)).total == 1
    assert (await complaints.one(numbers[0], lena)).complaint.subject == "support"
    for refused in (complaints.one(numbers[1], lena), complaints.change(numbers[1], ComplaintChange(note="x"), by=lena, revision=None)):  # fmt: skip
        with pytest.raises(CaseRefused) as error:
            await refused
        assert error.value.status == 404
    assert await office.all.follow_ups.list(states=(), plan_id=None, customer_id=None, limit=5, who=lena) == ()
