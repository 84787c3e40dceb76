"""Quality on a real database: forms and their versions, draws, scores, calibration, feedback, figures, surveys."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import orjson
import pytest

from cti.ids import AgentId, NodeName
from cti.quality.example import EXAMPLE
from cti.quality.forms import QualityInvalid
from cti.quality.rows import FormRow, QualityRefused, Reader, Remark, Scored, ScoreDetail
from cti.quality_rooms import QualityWork
from cti.store.pool import open_pool
from cti.store.reports import teams_of
from tests.support.fake_floor import StandingClock, demo_centre
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.support.quality_stage import count_answer, count_talk
from tests.unit.quality.test_quality_rules import GOOD

pytestmark = [pytest.mark.real, pytest.mark.beside]

T0 = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""A Wednesday; the centre's zone is UTC."""
BOSS, ANN, BEN = (Reader(username=name) for name in ("supervisor", "ann", "ben"))
ADA = Reader(username="1001", agent="1001")
BO = Reader(username="1002", agent="1002")
NODE = NodeName("pbx1")


class Stage:
    """Quality over one database, calls put straight into it, and a clock that moves when told."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool, self.clock = pool, StandingClock(T0)
        self.work = QualityWork(pool, clock=self.clock, centre=demo_centre)
        self.all = self.work.rooms
        self._facts = 0

    async def call(
        self, call_id: str, at: datetime, *, agent: str | None = "1001", queue: str = "support", talk: float = 120,
        hold: float = 0, tier: str = "gold",
    ) -> None:  # fmt: skip
        await self.pool.execute(
            "INSERT INTO cti.calls (call_id, node, direction, started_at, answered_at, ended_at, did, tier, queue, agent,"
            " outcome, talk_seconds, hold_seconds, wrap_seconds, hangup_by) VALUES ($1, 'pbx1', 'inbound', $2, $3, $4,"
            " '5000', $5, $6, $7, $8, $9, $10, 10, 'caller')",
            call_id, at, at + timedelta(seconds=20) if agent else None, at + timedelta(seconds=30 + talk), tier, queue,
            agent, "answered" if agent else "abandoned", talk, hold,
        )  # fmt: skip
        if agent is not None:
            await count_talk(self.pool, call_id, at, agent=agent, queue=queue, tier=tier, talk=talk, hold=hold, wrap=10)

    async def fact(self, kind: str, call_id: str, at: datetime, /, **body: Any) -> None:
        self._facts += 1
        await self.pool.execute(
            "INSERT INTO cti.facts (journal_id, position, kind, call_id, at, body) VALUES ('j', $1, $2, $3, $4, $5)",
            self._facts, kind, call_id, at, orjson.dumps({"call_id": call_id, "at": at, **body}).decode(),
        )  # fmt: skip
        if kind == "SurveyAnswered":
            said = {name: body[name] for name in ("flow", "question", "score")}
            await count_answer(self.pool, call_id, at, **said)

    async def form(self) -> FormRow:
        await self.work.begin()
        return (await self.all.forms.list(archived=False))[0]

    async def plan(self, **more: Any) -> int:
        form = await self.form()
        body = {"title": "Weekly", "kind": "random", "form_id": form.form_id, "scorers": ["ann", "ben"], **more}
        return (await self.all.samples.keep_plan(body, by="supervisor")).plan_id

    async def begun(self, call_id: str = "c1", who: Reader = ANN, **more: Any) -> ScoreDetail:
        form = await self.form()
        await self.call(call_id, T0 - timedelta(hours=2), **more)
        sample = await self.all.samples.choose(
            call_id, agent=None, form_id=form.form_id, scorer=who.username, by="supervisor", note="", due_at=T0
        )
        return await self.all.scores.begin(sample.sample_id, who)

    async def submitted(
        self, call_id: str = "c1", *, release: bool = True, who: Reader = ANN, change: dict[str, Any] | None = None,
        **more: Any,
    ) -> ScoreDetail:  # fmt: skip
        draft = await self.begun(call_id, who, **more)
        scored = Scored(revision=draft.score.revision, answers={**GOOD, **(change or {})})
        return await self.all.scores.submit(draft.score.score_id, scored, who, release=release)


@pytest.fixture
async def stage(migrated: str) -> AsyncIterator[Stage]:
    pool = await open_pool(migrated)
    yield Stage(pool)
    await pool.close()


def refused(error_id: str) -> Any:
    return pytest.raises(QualityRefused, check=lambda error: error.error_id == error_id)


# -- forms -------------------------------------------------------------------------------------------------------------


async def test_a_version_that_was_scored_with_stays_and_two_editors_do_not_overwrite_each_other(stage: Stage) -> None:
    form = await stage.form()
    await stage.work.begin()
    assert len(await stage.all.forms.list(archived=True)) == 1
    body = copy.deepcopy(EXAMPLE)
    body["passing"] = 70
    changed = await stage.all.forms.change(form.form_id, body, revision=form.revision, by="ann", note="easier")
    assert (changed.version, changed.versions, changed.body["passing"]) == (1, 1, 70)
    with refused("edit_conflict"):
        await stage.all.forms.change(form.form_id, EXAMPLE, revision=form.revision, by="ben", note="")
    draft = await stage.begun()
    body["passing"] = 90
    newer = await stage.all.forms.change(form.form_id, body, revision=changed.revision, by="ann", note="harder")
    assert (newer.version, newer.versions, newer.used) == (2, 2, False)
    assert (await stage.all.forms.one(form.form_id, 1)).used
    assert (await stage.all.scores.one(draft.score.score_id, ANN)).form["passing"] == 70
    with pytest.raises(asyncpg.RaiseError, match="not changed any more"):
        await stage.pool.execute("UPDATE quality.form_versions SET body = '{}' WHERE version = 1")
    with pytest.raises(QualityInvalid):
        await stage.all.forms.add({"titles": {}}, by="ann", note="")
    await stage.plan()
    with refused("form_in_use"):
        await stage.all.forms.archive(form.form_id, True, revision=newer.revision)
    other = await stage.all.forms.add(EXAMPLE, by="ann", note="")
    assert (await stage.all.forms.archive(other.form_id, True, revision=1)).archived
    assert [one.form_id for one in await stage.all.forms.list(archived=False)] == [form.form_id]


# -- the draw ----------------------------------------------------------------------------------------------------------


async def test_a_week_is_drawn_day_by_day_fairly_once_and_explained(stage: Stage) -> None:
    monday = datetime(2026, 3, 2, 8, tzinfo=UTC)
    for day in range(4):
        for n in range(10):
            agent = ("1001", "1001", "1001", "1002", "1003")[n % 5]
            await stage.call(f"d{day}-{n}", monday + timedelta(days=day, minutes=n), agent=agent)
    await stage.call("short", monday, talk=5)
    await stage.call("lost", monday, agent=None)
    stage.clock.at = monday
    plan_id = await stage.plan(per_agent=4)
    stage.clock.at = T0  # Wednesday: Monday and Tuesday are over
    seen = await stage.all.samples.preview(plan_id)
    assert Counter(one.agent for one in seen) == {"1001": 2, "1002": 2, "1003": 2}
    drawn = await asyncio.gather(stage.work.draw(), stage.work.draw())
    assert sum(drawn) == 6
    rows = await stage.all.samples.list(
        states=["open"], scorer=None, agent=None, plan_id=plan_id, queues=None, before=None, limit=100
    )
    assert Counter(one.agent for one in rows) == {"1001": 2, "1002": 2, "1003": 2}
    assert Counter(one.scorer for one in rows) == {"ann": 3, "ben": 3}
    assert all(one.call_id.startswith(("d0", "d1")) for one in rows)
    assert {one.due_at for one in rows} == {T0 + timedelta(days=7)}
    why = rows[0].why
    assert (why["kind"], why["quota"]) == ("random", 2)
    assert 1 <= why["lot"] <= why["among"]
    assert await stage.work.draw() == 0
    stage.clock.at = monday + timedelta(days=7, hours=1)  # the week is over
    assert await stage.work.draw() == 6
    taken = await stage.pool.fetch(
        "SELECT agent, count(*) AS n, count(DISTINCT call_id) AS calls FROM quality.samples GROUP BY 1"
    )
    assert {(row["agent"], row["n"], row["calls"]) for row in taken} == {("1001", 4, 4), ("1002", 4, 4), ("1003", 4, 4)}


async def test_plans_find_low_scores_complaints_long_holds_and_new_agents(stage: Stage) -> None:
    at = T0 - timedelta(days=1)
    await stage.call("plain", at)
    await stage.call("unhappy", at)
    await stage.fact("SurveyAnswered", "unhappy", at, flow="survey", step="q", question="friendly", score=1)
    await stage.fact("SurveyAnswered", "plain", at, flow="survey", step="q", question="friendly", score=5)
    await stage.call("held", at, hold=300)
    await stage.call("complained", T0 - timedelta(days=30))
    await stage.pool.execute(
        "INSERT INTO crm.complaints (source, subject, text, call_id, cause, severity, state, opened_at, due_at,"
        " registered_by, changed_at) VALUES ('call', 'Late', '', 'complained', '', 'high', 'new', $1, $1, 'x', $1)",
        at,
    )
    await stage.call("beginner", at, agent="1003")
    found = {}
    for kind, more in (
        ("low_survey", {}),
        ("complaint", {}),
        ("long_hold", {}),
        ("new_agent", {"agents": ["1003", "1001"], "first_days": 20}),
    ):
        plan_id = await stage.plan(kind=kind, **more)
        found[kind] = await stage.all.samples.draw(plan_id)
        assert await stage.all.samples.draw(plan_id) == ()
    assert {kind: [one.call_id for one in rows] for kind, rows in found.items()} == {
        "low_survey": ["unhappy"], "complaint": ["complained"], "long_hold": ["held"], "new_agent": ["beginner"],
    }  # fmt: skip
    assert found["low_survey"][0].why["score"] == 1
    assert found["complaint"][0].why["complaint_id"] > 0
    assert found["long_hold"][0].why["hold_seconds"] == 300
    assert found["new_agent"][0].why["day"] == 1


async def test_a_call_is_chosen_once_assigned_dropped_and_taken_up_again(stage: Stage) -> None:
    form = await stage.form()
    await stage.call("c1", T0)
    ask: dict[str, Any] = {"form_id": form.form_id, "scorer": None, "by": "ann", "note": "a friend asked", "due_at": T0}
    with refused("unknown_call"):
        await stage.all.samples.choose("nowhere", agent=None, **ask)
    with refused("not_in_call"):
        await stage.all.samples.choose("c1", agent="1007", **ask)
    await stage.fact("TalkEnded", "c1", T0, agent_id="1007")
    second = await stage.all.samples.choose("c1", agent="1007", **ask)
    one = await stage.all.samples.choose("c1", agent=None, **ask)
    assert (one.agent, second.agent, one.why["note"]) == ("1001", "1007", "a friend asked")
    with refused("already_chosen"):
        await stage.all.samples.choose("c1", agent=None, **ask)
    assert (await stage.all.samples.change(one.sample_id, scorer="ben", due_at=None, dropped=None)).scorer == "ben"
    with refused("taken"):
        await stage.all.scores.begin(one.sample_id, ANN)
    assert (await stage.all.samples.change(one.sample_id, scorer=None, due_at=None, dropped=True)).state == "dropped"
    with refused("dropped"):
        await stage.all.scores.begin(one.sample_id, BEN)
    again = await stage.all.samples.choose("c1", agent=None, **ask)
    assert (again.sample_id, again.state) == (one.sample_id, "open")


# -- scores ------------------------------------------------------------------------------------------------------------


async def test_a_score_from_draft_to_the_agents_answer(stage: Stage) -> None:
    scores = stage.all.scores
    draft = await stage.begun()
    number = draft.score.score_id
    kept = await scores.draft(
        number, Scored(revision=1, answers={"listening": 4}, remarks=(Remark(text="Well said", second=12.5),)), ANN
    )
    assert (kept.score.revision, kept.marks.total, kept.remarks[0].second) == (2, 75.0, 12.5)
    with refused("edit_conflict"):
        await scores.draft(number, Scored(revision=1, answers={}), ANN)
    with refused("unknown_score"):  # nobody sees another's draft
        await scores.submit(number, Scored(revision=2, answers=GOOD), BEN, release=None)
    with pytest.raises(QualityInvalid):
        await scores.draft(number, Scored(revision=2, answers={"listening": 9}), ANN)
    with refused("incomplete"):
        await scores.submit(number, Scored(revision=2, answers={"listening": 4}), ANN, release=None)
    done = await scores.submit(number, Scored(revision=2, answers=GOOD, comment="Good"), ANN, release=None)
    assert (done.score.state, done.score.total, done.score.passed) == ("submitted", 100.0, True)
    assert await scores.list(ADA) == ()
    with refused("unknown_score"):
        await scores.one(number, ADA)
    released = await scores.release(number, BOSS, revision=done.score.revision)
    assert released.score.state == "released"
    (row,) = await scores.list(ADA)
    assert row.read_at is None
    assert await scores.list(BO) == ()
    assert (await stage.all.feedback.counts(ADA)).scores == 1
    mine = await scores.seen(number, ADA)
    assert (mine.history, mine.why, mine.comment) == ((), {}, "Good")
    assert (await stage.all.feedback.counts(ADA)).scores == 0
    with refused("wrong_kind"):
        await scores.reply(number, ADA, kind="answer", text="No")
    asked = await scores.reply(number, ADA, kind="review", text="I did say goodbye")
    assert asked.score.review == "asked"
    assert (await stage.all.feedback.counts(ANN)).reviews == 1
    with refused("already_asked"):
        await scores.reply(number, ADA, kind="review", text="Please")
    revised = await scores.revise(
        number, Scored(revision=asked.score.revision, answers={**GOOD, "farewell": "no"}), BOSS, reason="Listened again"
    )
    assert (revised.score.total, revised.score.state) == (95.0, "released")
    answered = await scores.reply(number, ANN, kind="answer", text="Not this time")
    assert (answered.score.review, [one.kind for one in answered.replies]) == ("answered", ["review", "answer"])
    assert [(one.act, one.total, one.reason) for one in answered.history] == [
        ("submitted", 100.0, ""), ("released", 100.0, ""), ("revised", 95.0, "Listened again"),
    ]  # fmt: skip
    assert (await stage.all.feedback.counts(ADA)).scores == 1  # there is something new to read
    gone = await scores.delete(number, BOSS, revision=answered.score.revision, reason="Wrong agent")
    assert gone.score_id == number
    assert await scores.list(BOSS) == ()
    kept_acts = await stage.pool.fetch(
        "SELECT act FROM quality.score_history WHERE score_id = $1 ORDER BY revision", number
    )
    assert [one["act"] for one in kept_acts] == ["submitted", "released", "revised", "deleted"]


async def test_who_may_see_what(stage: Stage) -> None:
    draft = await stage.begun("c1")
    with refused("unknown_score"):
        await stage.all.scores.one(draft.score.score_id, BEN)
    await stage.submitted("c2", queue="sales")
    sales = Reader(username="kim", queues=("sales",))
    support = Reader(username="lee", queues=("support",))
    assert [one.call_id for one in await stage.all.scores.list(sales)] == ["c2"]
    assert await stage.all.scores.list(support) == ()
    with refused("unknown_score"):
        await stage.all.scores.one((await stage.all.scores.list(sales))[0].score_id, support)


async def test_calibration_is_blind_until_it_is_closed(stage: Stage) -> None:
    form = await stage.form()
    await stage.call("c1", T0)
    opened = await stage.all.calibrations.open(
        title="March", call_id="c1", agent=None, form_id=form.form_id, scorers=["ann", "ben", "supervisor"],
        due_at=T0 + timedelta(days=2), by="supervisor",
    )  # fmt: skip
    number = opened.calibration.calibration_id
    given = {"ann": GOOD, "ben": {**GOOD, "listening": 3, "farewell": "no"}}
    scores = {}
    for who in (ANN, BEN):
        (sample,) = await stage.all.samples.list(
            states=["open"], scorer=who.username, agent=None, plan_id=None, queues=None, before=None, limit=10
        )
        begun = await stage.all.scores.begin(sample.sample_id, who)
        scored = Scored(revision=begun.score.revision, answers=given[who.username])
        done = await stage.all.scores.submit(begun.score.score_id, scored, who, release=True)
        assert done.score.state == "submitted"  # never to the agent
        scores[who.username] = done.score.score_id
    with refused("unknown_score"):
        await stage.all.scores.one(scores["ann"], BEN)
    open_ = await stage.all.calibrations.one(number, BEN)
    assert (open_.comparison, open_.calibration.submitted) == (None, ("ann", "ben"))
    closed = await stage.all.calibrations.close(number)
    assert closed.comparison is not None
    said = {one.name: one.agreement for one in closed.comparison.items}
    assert (said["listening"], said["farewell"], said["greeting"]) == (0.0, 0.0, 1.0)
    assert closed.comparison.agreement == pytest.approx(9 / 11)
    assert closed.comparison.spread == pytest.approx(11.25)
    assert (await stage.all.scores.one(scores["ann"], BEN)).score.scorer == "ann"
    with refused("closed"):
        await stage.all.calibrations.close(number)
    assert await stage.pool.fetchval("SELECT count(*) FROM report.quality_scores") == 0


# -- feedback and figures ----------------------------------------------------------------------------------------------


async def test_notes_reach_the_agent_and_nobody_else(stage: Stage) -> None:
    feedback = stage.all.feedback
    with refused("unknown_agent"):
        await feedback.write(agent="9999", kind="praise", text="x", call_id=None, second=None, by="ann")
    note = await feedback.write(agent="1001", kind="coaching", text="Ask first", call_id="c1", second=8, by="ann")
    assert (await feedback.counts(ADA)).notes == (await feedback.counts(ADA)).to_acknowledge == 1
    assert await feedback.list(BO, agent="1001", before=None, limit=10) == ()
    with refused("unknown_note"):
        await feedback.seen(note.note_id, BO)
    assert (await feedback.seen(note.note_id, ADA)).read_at == T0
    done = await feedback.acknowledge(note.note_id, ADA, answer="I will")
    assert (done.acknowledged_at, done.answer) == (T0, "I will")
    assert (await feedback.counts(ADA)).to_acknowledge == 0
    with refused("not_yours"):
        await feedback.withdraw(note.note_id, by="ben")
    await feedback.withdraw(note.note_id, by="ann")
    assert await feedback.list(ADA, agent=None, before=None, limit=10) == ()


async def test_figures_by_agent_item_and_queue_and_the_days_summary(stage: Stage) -> None:
    await stage.submitted("c1")
    await stage.submitted("c2", change={"farewell": "no"}, queue="sales")
    await stage.submitted("c3", change={"respect": "no"}, agent="1002", release=False)
    await stage.fact("SurveyAnswered", "c3", T0, flow="survey", step="q", question="friendly", score=1)
    await stage.all.feedback.write(agent="1001", kind="praise", text="Thanks!", call_id=None, second=None, by="ann")
    window: dict[str, Any] = {"since": T0 - timedelta(days=7), "until": T0 + timedelta(days=1), "each": "week",
                              "agent": None, "queue": None, "form_id": None}  # fmt: skip
    by_agent = await stage.all.figures.figures(BOSS, by="agent", **window)
    assert {one.key: (one.scores, one.mean.value, one.failed) for one in by_agent.rows} == {
        "1001": (2, 97.5, 0), "1002": (1, 0.0, 1),
    }  # fmt: skip
    assert (by_agent.overall.passed.count, by_agent.overall.passed.total) == (2, 3)
    assert by_agent.trend[0].start == date(2026, 3, 2)
    by_item = await stage.all.figures.figures(BOSS, by="item", **window)
    assert {one.key: one.mean.value for one in by_item.rows}["farewell"] == pytest.approx(66.67)
    assert {one.key for one in (await stage.all.figures.figures(BOSS, by="queue", **window)).rows} == {
        "sales",
        "support",
    }
    own = await stage.all.figures.figures(BO, by="agent", **window)
    assert own.rows == ()  # not released yet
    day = await stage.all.figures.summary(BOSS, day=T0.date(), team="")
    assert (day.calls, day.scores, len(day.praise)) == (3, 3, 1)
    assert [(one.kind, one.agent) for one in day.look_at] == [
        ("fatal", "1002"), ("low_survey", "1002"), ("low_mean", "1002"),
    ]  # fmt: skip
    assert {one.agent: one.praise for one in day.agents} == {"1001": 1, "1002": 0}


async def test_a_teams_day_is_of_the_reports_teams_and_everybodys_of_those_who_left_too(stage: Stage) -> None:
    there = demo_centre()
    ada, bo = (there.agents[AgentId(name)] for name in ("1001", "1002"))
    agents = {ada.agent_id: replace(ada, groups=("red", "blue")), bo.agent_id: replace(bo, groups=("blue",))}
    work = QualityWork(stage.pool, clock=stage.clock, centre=lambda: replace(there, agents=agents))
    for number, agent in enumerate(("1001", "1002", "1003")):  # the last is not of the centre any more
        await stage.call(f"c{number}", T0, agent=agent, queue=("support", "support", "sales")[number])
    ben = Reader(username="ben", queues=("sales",))
    for who, team, known in (
        (BOSS, "red", {"1001"}), (BOSS, "blue", {"1002"}), (BOSS, "", {"1001", "1002", "1003"}), (ben, "", {"1003"}),
        (ben, "red", set()),
    ):  # fmt: skip
        day = await work.rooms.figures.summary(who, day=T0.date(), team=team)
        assert {one.agent for one in day.agents} == known
        assert day.calls == len(known)


async def test_a_score_counts_in_the_one_team_in_which_the_reports_count_the_talk(stage: Stage) -> None:
    there = demo_centre()
    groups = {"1001": ("red", "blue"), "1002": ("blue",), "1003": ()}
    agents = {AgentId(name): replace(there.agents[AgentId(name)], groups=mine) for name, mine in groups.items()}
    centre = replace(there, agents=agents)
    # The last is not of the centre any more.
    for number, agent in enumerate(("1001", "1001", "1002", "1003", "1004")):
        await stage.submitted(f"c{number}", agent=agent)
    window: dict[str, Any] = {"since": T0 - timedelta(days=7), "until": T0 + timedelta(days=1)}
    work = QualityWork(stage.pool, clock=stage.clock, centre=lambda: centre)
    scores = await work.rooms.figures.figures(
        BOSS, by="team", each="week", agent=None, queue=None, form_id=None, **window
    )
    assert {one.key: one.scores for one in scores.rows} == {"red": 2, "blue": 1, "": 2}
    assert sum(one.scores for one in scores.rows) == scores.overall.scores == 5
    assert {one.key: one.scores for one in scores.trend} == {"red": 2, "blue": 1, "": 2}
    teams = teams_of(centre)  # what a report by team divides talks by
    talks = await stage.pool.fetch("SELECT agent, handled FROM cti.counted_talks")
    counted = Counter(teams.get(row["agent"], "") for row in talks for _ in range(row["handled"]))
    assert counted == {"red": 2, "blue": 1, "": 2}


async def test_surveys_by_group_with_response_low_scores_and_comments(stage: Stage) -> None:
    for n, (queue, score, version) in enumerate(
        [("support", 5, "1"), ("support", 4, "1"), ("support", 1, "2"), ("sales", 3, "2"), ("sales", None, "2")]
    ):
        call, at = f"s{n}", T0 - timedelta(minutes=n)
        await stage.call(call, at, queue=queue)
        await stage.fact("FlowEntered", call, at, flow="survey", version=version)
        if score is not None:
            await stage.fact("SurveyAnswered", call, at, flow="survey", step="q", question="friendly", score=score)
        await stage.fact("FlowStepDone", call, at, flow="survey", step="q", verb="survey", result="left", next_step=None,
                         seconds=5, choice="")  # fmt: skip
    await stage.fact("MessageRecorded", "s2", T0, flow="survey", step="q", kind="comment", path="x/y", seconds=4)
    window: dict[str, Any] = {"since": T0 - timedelta(days=1), "until": T0 + timedelta(days=1)}
    ask: dict[str, Any] = {**window, "question": None, "queue": None, "agent": None, "each": "day"}
    found = await stage.all.surveys.figures(by="queue", queues=None, **ask)
    (whole,) = found.questions
    assert (whole.scores.answers, whole.scores.csat.count, whole.scores.nps.value) == (4, 2, None)
    assert {one.key: one.scores.answers for one in found.groups} == {"support": 3, "sales": 1}
    assert (found.response.count, found.response.total) == (4, 5)
    assert (found.response_by["sales"].count, found.response_by["sales"].total) == (1, 2)
    assert sum(one.answers for one in found.trend) == 4
    by_version = await stage.all.surveys.figures(by="version", queues=None, **ask)
    assert {one.key: one.scores.answers for one in by_version.groups} == {"survey 1": 2, "survey 2": 2}
    for by in ("agent", "tier", "flow"):
        assert (
            sum(one.scores.answers for one in (await stage.all.surveys.figures(by=by, queues=None, **ask)).groups) == 4
        )
    only_sales = await stage.all.surveys.figures(by="queue", queues=("sales",), **ask)
    assert only_sales.questions[0].scores.answers == 1
    (low,) = await stage.all.surveys.low(at_most=2, queues=None, limit=10, **window)
    assert (low.call_id, low.score, low.comment, low.handled) == ("s2", 1, True, False)
    (said,) = await stage.all.surveys.comments(queues=None, limit=10, **window)
    assert (said.call_id, said.recording_id, said.lowest) == ("s2", "message-x/y", 1)


async def test_everything_in_the_schema_has_a_comment(stage: Stage) -> None:
    bare = await stage.pool.fetch(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a"
        " ON a.attrelid = c.oid AND a.attnum > 0 WHERE c.relkind IN ('r', 'v') AND (n.nspname = 'quality' OR n.nspname ="
        " 'report' AND c.relname LIKE 'quality%') AND (col_description(c.oid, a.attnum) IS NULL"
        " OR obj_description(c.oid) IS NULL)"
    )
    assert [tuple(row) for row in bare] == []


async def test_whoever_talked_long_enough_may_be_drawn_not_only_who_talked_first(stage: Stage) -> None:
    await stage.call("c1", T0 - timedelta(hours=1), talk=200)
    await count_talk(
        stage.pool, "c1", T0 - timedelta(minutes=50), agent="1002", queue="support", tier="gold", talk=90, hold=0,
        wrap=10, number=1,
    )  # fmt: skip
    await count_talk(
        stage.pool, "c1", T0 - timedelta(minutes=40), agent="1003", queue="support", tier="gold", talk=10, hold=0,
        wrap=10, number=2,
    )  # fmt: skip
    plan_id = await stage.plan(per_agent=7, least_talk_seconds=30)
    drawn = await stage.all.samples.draw(plan_id)
    assert sorted((one.call_id, one.agent) for one in drawn) == [("c1", "1001"), ("c1", "1002")]
