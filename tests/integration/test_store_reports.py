"""Reports out of Postgres say what the same facts say folded in memory: by every dimension, over a day of 25 hours, after calls
were told again, and after everything was counted anew."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import dataclasses
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from cti.errors import CtiError
from cti.ids import AgentId, CallId, CustomerId, FlowName, NodeName, OfferId, QueueName
from cti.journal.writer import JournalWriter
from cti.model import facts as f
from cti.model.centre import Agent, Centre
from cti.model.facts import AgentState, Device, HangupBy, Match
from cti.reports.agent_times import Chosen, amounts_of, beyond_allowed, by_half_hour, stretches
from cti.reports.counted import Counted, QueueRules
from cti.reports.counting import CountedCall, count, linked
from cti.reports.folding import Sums, figure, sums
from cti.reports.metric import DIMENSIONS_OF, Dimension, Grain
from cti.reports.metrics import METRICS
from cti.reports.slots import day_start
from cti.services.reporting import CallsQuery, Compare, Part, ReportQuery, Spread
from cti.store import figure_check
from cti.store.agent_hours import recount
from cti.store.anew import CountsAnew
from cti.store.drain import Drain
from cti.store.figure_check import check
from cti.store.figures import counting
from cti.store.pool import open_pool
from cti.store.reports import StoredReports
from tests.support.postgres import ThrowawayPostgres, database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

ZONE = ZoneInfo("Europe/Berlin")
DAY = date(2026, 10, 25)
"""Of 25 hours."""
SINCE, UNTIL = day_start(DAY - timedelta(days=1), ZONE), day_start(DAY + timedelta(days=2), ZONE)
PEOPLE = {AgentId("1001"): ("red",), AgentId("1002"): ("blue",), AgentId("1003"): ()}
CENTRE = Centre(
    name="T",
    time_zone=ZONE.key,
    queues={},
    agents={who: Agent(agent_id=who, name=who, queues=(), groups=groups) for who, groups in PEOPLE.items()},
    tiers={},
    numbers={},
)
LUNCH_MS = 5_400_000
RULES = {QueueName("support"): QueueRules(service_level=timedelta(seconds=30), short_abandon=timedelta(seconds=6))}


class Now:
    """A clock that stands at the end."""

    def now(self) -> datetime:
        return UNTIL

    def monotonic(self) -> float:
        return 0.0


def a_call(rng: random.Random, number: int) -> list[f.Fact]:
    """Some call of those three days."""
    call_id = CallId(f"a1-1700000000.{number}")
    at = SINCE + timedelta(seconds=rng.uniform(0, (UNTIL - SINCE).total_seconds() - 4000))
    queue = QueueName(rng.choice(["support", "sales"]))
    facts: list[f.Fact] = [
        f.CallStarted(
            at=at, call_id=call_id, node=NodeName("a1"), caller_number=f"+155501000{rng.randrange(20):02d}", did="5001"
        ),
        f.FlowEntered(at=at, call_id=call_id, flow=FlowName("main"), version=rng.choice(["1", "2"])),
        f.FlowStepDone(
            at=at, call_id=call_id, flow=FlowName("main"), step="menu", verb="menu", result="choice", next_step="line"
        ),
    ]
    if rng.random() < 0.6:
        facts.append(
            f.CustomerMatched(
                at=at, call_id=call_id, match=Match.FOUND, customer_id=CustomerId(rng.randrange(9)),
                tier=rng.choice(["vip", "gold"]),
            )
        )  # fmt: skip
    if rng.random() < 0.1:
        return [*facts, f.FlowFinished(at=at, call_id=call_id), _end(at + timedelta(seconds=3), call_id)]
    facts.append(f.CallQueued(at=at, call_id=call_id, queue=queue))
    facts.append(f.WaitPromised(at=at, call_id=call_id, queue=queue, place=1, low=2, mean=20, high=60))
    for offer in range(rng.choice([0, 1, 1, 1, 2])):
        at += timedelta(seconds=rng.expovariate(1 / 20))
        who, made = AgentId(rng.choice(["1001", "1002", "1003"])), OfferId(1_000_000_000 + number * 10 + offer)
        facts += [
            f.OfferMade(
                at=at, call_id=call_id, offer_id=made, agent_id=who, queue=queue, device=Device.SIP, deadline=at
            ),
            f.OfferRang(at=at, call_id=call_id, offer_id=made, agent_id=who),
        ]
        at += timedelta(seconds=rng.uniform(0.5, 6))
        facts += [
            f.OfferEnded(at=at, call_id=call_id, offer_id=made, agent_id=who, end=f.OfferEnd.ANSWERED),
            f.CallAnswered(at=at, call_id=call_id, agent_id=who, offer_id=made),
        ]
        if rng.random() < 0.3:
            facts.append(f.CallHeld(at=at + timedelta(seconds=2), call_id=call_id, agent_id=who))
            facts.append(f.CallRetrieved(at=at + timedelta(seconds=rng.uniform(3, 9)), call_id=call_id, agent_id=who))
        at += timedelta(seconds=rng.uniform(10, 900))
        if offer or rng.random() < 0.2:
            facts.append(
                f.CallTransferred(
                    at=at, call_id=call_id, agent_id=who, kind=f.DestinationKind.QUEUE, to="sales"
                )
            )  # fmt: skip
        facts.append(f.TalkEnded(at=at, call_id=call_id, agent_id=who))
        facts.append(f.WrapUpEnded(at=at + timedelta(seconds=rng.uniform(1, 60)), call_id=call_id, agent_id=who))
        queue = QueueName("sales")
        facts.append(f.CallQueued(at=at, call_id=call_id, queue=queue))
    if rng.random() < 0.2:
        facts.append(
            f.SurveyAnswered(
                at=at, call_id=call_id, flow=FlowName("survey"), step="q", question=rng.choice(["solved", "nps"]),
                score=rng.randrange(10),
            )
        )  # fmt: skip
    return [*facts, _end(at + timedelta(seconds=rng.uniform(0.5, 30)), call_id)]


def _end(at: datetime, call_id: CallId) -> f.CallEnded:
    return f.CallEnded(at=at, call_id=call_id, hangup_by=HangupBy.CALLER)


def a_day_of(rng: random.Random, agent: AgentId) -> list[f.Fact]:
    """What an agent chose, in order, and off in the end."""
    moments = sorted(SINCE + timedelta(seconds=rng.uniform(0, 250_000)) for _ in range(12))
    facts: list[f.Fact] = []
    for at in moments:
        state = rng.choice([AgentState.READY, AgentState.NOT_READY, AgentState.OFFLINE])
        reason = "lunch" if state is AgentState.NOT_READY else ""
        facts.append(f.AgentChanged(at=at, agent_id=agent, state=state, reason=reason))
    return [*facts, f.AgentChanged(at=UNTIL - timedelta(hours=1), agent_id=agent, state=AgentState.OFFLINE)]


def times_of(calls: Sequence[CountedCall], changes: Sequence[f.Fact]) -> list[Counted]:
    """Agents' time as rows."""
    rows = []
    for agent in PEOPLE:
        chosen = [
            Chosen(at=fact.at, state=fact.state, reason=fact.reason)
            for fact in changes
            if isinstance(fact, f.AgentChanged) and fact.agent_id == agent
        ]
        took = [one for call in calls for one in call.activities if one.agent == agent]
        times = by_half_hour(stretches(chosen, took, since=SINCE, until=UNTIL), ZONE)
        beyond = beyond_allowed(times, {}, lambda reason, _day: LUNCH_MS if reason == "lunch" else None, ZONE)
        for (slot, state, reason), ms in times.items():
            over = beyond.get((slot, state, reason), 0)
            rows.append(
                Counted(
                    grain=Grain.TIMES, call_id=CallId(""), number=0, at=slot, queue=None, agent=agent, tier=None, did=None,
                    direction="", outcome=None, flow_version=None, amounts=amounts_of(state, ms, over),
                    words={"state": state.value, "reason": reason or None},
                )
            )  # fmt: skip
    return rows


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[JournalWriter]:
    async with JournalWriter(tmp_path / "journal") as writer:
        writer.recover()
        yield writer


def as_told(rows: Sequence[Counted], by: Sequence[Dimension], names: Sequence[str]) -> dict[object, object]:
    """What a report must say: only of parts where there is something."""
    parts = sums(rows, by, ZONE, team=lambda agent: next(iter(PEOPLE[AgentId(agent)]), None))
    told = {keys: {name: figure(METRICS[name], part) for name in names} for keys, part in parts.items()}
    return {keys: row for keys, row in told.items() if any(n for _, n in row.values())}


async def test_what_postgres_says_is_what_the_facts_say(journal: JournalWriter, migrated: str) -> None:
    rng = random.Random(7)
    histories = [a_call(rng, number) for number in range(200)]
    changes = [fact for agent in PEOPLE for fact in a_day_of(rng, agent)]
    late = [fact for history in histories[:40] for fact in history[3:5]]
    early = [fact for history in histories for fact in history if fact not in late]
    rng.shuffle(early)
    drain = Drain(
        journal, migrated, rules=lambda: RULES, zone=lambda: ZONE.key, batch=150,
        allowed=lambda: {"lunch": timedelta(milliseconds=LUNCH_MS)},
    )  # fmt: skip
    # In any order, and some of it only when its call was counted already.
    for told in (early[: len(early) // 2], changes, early[len(early) // 2 :], late):
        await journal.append(told)
    while await drain.drain_once():
        pass
    calls = [count(history, lambda queue, _at: RULES.get(queue, QueueRules())) for history in histories]
    rows = [*linked(calls), *times_of(calls, changes)]
    pool = await open_pool(migrated)
    link = await asyncpg.connect(migrated)
    try:
        reports = StoredReports(pool, lambda: CENTRE, clock=Now())
        for again in (False, True):
            if again:
                assert await drain.rebuild() == len(histories)
            for grain, dimensions in DIMENSIONS_OF.items():
                names = tuple(
                    name
                    for name, metric in METRICS.items()
                    if metric.amount.grain is grain and (metric.over is None or metric.over.grain is grain)
                )
                if grain is Grain.COMPLAINTS:
                    continue
                whole: Sums = sums([row for row in rows if row.grain is grain], (), ZONE)[()]
                for by in (*((one,) for one in sorted(dimensions)), (Dimension.AGENT, Dimension.DAY)):
                    if not set(by) <= dimensions:
                        continue
                    # On half-hours it is answered out of the sums, a second later out of the rows themselves.
                    for until in (UNTIL, UNTIL + timedelta(seconds=1)):
                        report = await reports.query(ReportQuery(metrics=names, since=SINCE, until=until, by=by))
                        found = {
                            tuple(row.keys.values()): {name: (one.value, one.n) for name, one in row.figures.items()}
                            for row in report.rows
                            if any(one.n for one in row.figures.values())
                        }
                        mine = [row for row in rows if row.grain is grain]
                        assert found == as_told(mine, by, names), (grain, by)
                        totals = {name: (one.value, one.n) for name, one in report.totals.items()}
                        assert totals == {name: figure(METRICS[name], whole) for name in names}
            found_check = await check(link)
            assert found_check.differences == ()
            assert await link.fetchval("SELECT sum(over_seconds) FROM report.agent_times WHERE reason = 'lunch'") > 0
            assert found_check.calls == len(histories)
        # A day of 25 hours has fifty half-hours, the one before forty-eight.
        one_day = ReportQuery(
            metrics=("offered",), since=day_start(DAY, ZONE), until=day_start(DAY + timedelta(days=1), ZONE),
            by=(Dimension.HALF_HOUR,), compare=Compare.WEEK_BEFORE,
        )  # fmt: skip
        report = await reports.query(one_day)
        assert len(report.rows) == 50
        assert report.totals_before is not None
        assert report.totals_before["offered"].n == 0
        # The calls behind a figure are as many as it says, page by page.
        for name, part in (("abandoned", Part.COUNTED), ("service_level", Part.BASE), ("handled", Part.COUNTED)):
            seen, after = 0.0, ""
            while True:
                page = await reports.calls(
                    CallsQuery(metric=name, since=SINCE, until=UNTIL, part=part, limit=37, after=after)
                )
                seen += sum(call.amount for call in page.calls)
                assert all(call.row is not None for call in page.calls)
                if not (after := page.next):
                    break
            metric = METRICS[name]
            amount = metric.amount if part is Part.COUNTED or metric.over is None else metric.over
            assert (
                seen == page.total == sum(row.amounts.get(amount.name, 0) for row in rows if row.grain is amount.grain)
            )
        spread = await reports.spread(Spread.WAIT, since=SINCE, until=UNTIL, filters={Dimension.QUEUE: ("support",)})
        assert spread.n == sum(one.count for one in spread.bins) > 0
        funnel = await reports.funnel(since=SINCE, until=UNTIL, flow="main", version="1")
        assert 0 < funnel.calls == funnel.steps[0].came < len(histories)
        # What is broken is found.
        await link.execute(
            "UPDATE cti.half_hour_visits SET offered = offered + 1 WHERE slot = (SELECT min(slot) FROM cti.half_hour_visits)"
        )
        await link.execute(
            "UPDATE cti.counted_talks SET talk_ms = talk_ms + 1 WHERE call_id = (SELECT min(call_id) FROM cti.counted_talks)"
        )
        wrong = {one.where for one in (await check(link)).differences}
        assert wrong == {"half_hour_visits", "half_hour_talks", "counted_talks"}
    finally:
        await link.close()
        await pool.close()
        await drain.close()


async def test_limits_that_change_judge_only_what_comes_after(journal: JournalWriter, migrated: str) -> None:
    rules = dict(RULES)
    drain = Drain(journal, migrated, rules=lambda: rules, zone=lambda: "UTC")
    number = CallId("a1-1.1")
    at = datetime.now(UTC) - timedelta(hours=1)
    queue = QueueName("support")
    facts = [
        f.CallStarted(at=at, call_id=number, node=NodeName("a1"), caller_number="+15550100001", did="1"),
        f.CallQueued(at=at, call_id=number, queue=queue),
        _end(at + timedelta(seconds=10), number),
    ]
    await journal.append(facts)
    while await drain.drain_once():
        pass
    rules[queue] = QueueRules(short_abandon=timedelta(seconds=60))
    later = datetime.now(UTC) + timedelta(hours=1)
    await journal.append(
        [dataclasses.replace(fact, call_id=CallId("a1-1.2"), at=fact.at - at + later) for fact in facts]
    )
    while await drain.drain_once():
        pass
    link = await asyncpg.connect(migrated)
    try:
        for _ in range(2):
            rows = await link.fetch("SELECT call_id, outcome FROM report.calls ORDER BY call_id")
            assert [tuple(row) for row in rows] == [("a1-1.1", "abandoned"), ("a1-1.2", "short_abandon")]
            await drain.rebuild()
        await drain.rebuild(by_todays_rules=True)
        rows = await link.fetch("SELECT outcome FROM report.calls ORDER BY call_id")
        assert [row[0] for row in rows] == ["short_abandon", "short_abandon"]
    finally:
        await link.close()
        await drain.close()


async def test_time_that_goes_on_is_counted_up_to_now(journal: JournalWriter, migrated: str) -> None:
    at = UNTIL - timedelta(hours=5)
    drain = Drain(journal, migrated, zone=lambda: ZONE.key)
    changed = f.AgentChanged(at=at, agent_id=AgentId("1001"), state=AgentState.NOT_READY, reason="lunch")
    await journal.append([changed])
    while await drain.drain_once():
        pass
    pool = await open_pool(migrated)
    try:
        reports = StoredReports(pool, lambda: CENTRE, clock=Now())
        names = ("not_ready_time", "ready_time", "signed_in_time")
        whole = ReportQuery(metrics=names, since=SINCE, until=UNTIL + timedelta(days=1), by=(Dimension.REASON,))
        report = await reports.query(whole)
        assert [(row.keys, row.figures["not_ready_time"].value) for row in report.rows] == [
            ({"reason": "lunch"}, 18000.0)
        ]
        assert (report.totals["signed_in_time"].value, report.totals["ready_time"].value) == (18000.0, 0.0)
        assert report.unfinished  # it reaches into the future
        part = ReportQuery(
            metrics=names, since=UNTIL - timedelta(hours=1), until=UNTIL, by=(Dimension.HALF_HOUR,),
            filters={Dimension.TEAM: ("red",)},
        )  # fmt: skip
        assert [row.figures["not_ready_time"].value for row in (await reports.query(part)).rows] == [1800.0, 1800.0]
        nobody = dataclasses.replace(part, filters={Dimension.TEAM: (None,)})
        assert (await reports.query(nobody)).totals["not_ready_time"].value == 0.0
        # A figure that cannot be chosen so is nothing, never the whole.
        other = dataclasses.replace(part, filters={Dimension.QUEUE: ("support",)})
        assert (await reports.query(other)).totals["not_ready_time"].value is None
    finally:
        await pool.close()
        await drain.close()


async def test_everything_is_counted_anew_by_itself_after_an_upgrade_or_a_change_of_the_clock(
    journal: JournalWriter, migrated: str
) -> None:
    rng = random.Random(11)
    histories = [a_call(rng, number) for number in range(30)]
    zone = ["Europe/Berlin"]
    drain = Drain(journal, migrated, rules=lambda: RULES, zone=lambda: zone[0])
    await journal.append([fact for history in histories for fact in history])
    while await drain.drain_once():
        pass
    anew = CountsAnew(migrated, rules=lambda: RULES, zone=lambda: zone[0], allowed=dict)
    pool = await open_pool(migrated)
    try:
        reports = StoredReports(pool, lambda: CENTRE, clock=Now())
        asked = ReportQuery(metrics=("offered", "asa"), since=SINCE, until=UNTIL)
        before = await reports.query(asked)
        assert not before.unfinished
        assert await anew.needed() is False
        assert await anew.once() is None
        # As an older version would have left it: by other definitions.
        await pool.execute("UPDATE cti.report_state SET definition_version = 1")
        assert (await reports.query(asked)).unfinished
        assert await anew.once() == len(histories)
        after = await reports.query(asked)
        assert (after.totals, after.unfinished, after.anew) == (before.totals, False, None)
        async with pool.acquire() as link:
            assert (await check(link)).differences == ()
        zone[0] = "Asia/Shanghai"
        assert await anew.needed() is True
        assert await anew.once() == len(histories)
        assert await pool.fetchval("SELECT zone FROM cti.report_state") == "Asia/Shanghai"
        # One that did not come to its end is begun again; how far it is can be read meanwhile.
        await pool.execute("UPDATE cti.report_state SET definition_version = 0, recount_done = 10, recount_of = 40")
        assert (await reports.query(asked)).anew == 0.25
        assert await anew.needed() is True
        assert await anew.once() == len(histories)
        assert (await reports.query(asked)).anew is None
        assert await anew.needed() is False
    finally:
        await pool.close()
        await drain.close()


async def test_agents_pasts_are_counted_anew_in_short_turns_that_a_restart_goes_on_with(
    journal: JournalWriter, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(5)
    drain = Drain(journal, migrated, rules=lambda: RULES, zone=lambda: ZONE.key)
    states = (AgentState.READY, AgentState.NOT_READY, AgentState.OFFLINE)
    await journal.append([fact for number in range(20) for fact in a_call(rng, number)])
    await journal.append(
        [
            f.AgentChanged(at=SINCE - timedelta(hours=7 * number), agent_id=who, state=(state := rng.choice(states)),
                           reason="lunch" if state is AgentState.NOT_READY else "")
            for who in PEOPLE for number in range(120)
        ]
    )  # fmt: skip
    while await drain.drain_once():
        pass
    anew = CountsAnew(migrated, rules=lambda: RULES, zone=lambda: ZONE.key, allowed=dict)
    pool = await open_pool(migrated)
    turns: list[str] = []
    counted, dies_at = recount, "1002"

    async def recounted(connection: asyncpg.Connection, touched: dict[str, datetime], *how: Any, **until: Any) -> None:
        (agent,) = touched
        turns.append(agent)
        if agent == dies_at:
            raise ConnectionResetError
        await counted(connection, touched, *how, **until)

    monkeypatch.setattr(figure_check, "recount", recounted)
    folded: list[str] = []
    stored = figure_check.store_counted

    async def noted(connection: asyncpg.Connection, calls: Sequence[CountedCall], *how: Any, **parts: Any) -> None:
        folded.extend(call.record.call_id for call in calls)
        await stored(connection, calls, *how, **parts)

    monkeypatch.setattr(figure_check, "store_counted", noted)
    try:
        before = await pool.fetch("SELECT * FROM cti.agent_times ORDER BY slot, agent, state, reason")
        await pool.execute("UPDATE cti.report_state SET definition_version = 1")
        await pool.execute(
            "INSERT INTO cti.agent_marks VALUES ('9999', now(), 'ready', '')"
        )  # nobody knows of this one
        with pytest.raises(CtiError):
            await anew.once()
        assert len(folded) == 20
        assert (turns.count("1001"), turns.count("1002")) == (3, 1)  # 35 days
        assert await anew.needed() is True
        turns.clear()
        folded.clear()
        dies_at = ""
        assert await anew.once() == 20
        assert (folded, set(turns)) == ([], {"1002", "1003"})
        assert await pool.fetch("SELECT * FROM cti.agent_times ORDER BY slot, agent, state, reason") == before
        assert await pool.fetchval("SELECT count(*) FROM cti.agent_marks") == len(PEOPLE)
        monkeypatch.undo()
        async with pool.acquire() as link:
            assert (await check(link)).differences == ()
    finally:
        await pool.close()
        await drain.close()


async def test_a_rule_that_changes_while_everything_is_counted_anew_holds(
    journal: JournalWriter, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(3)
    drain = Drain(journal, migrated, rules=lambda: RULES, allowed=lambda: {"lunch": timedelta(hours=1)})
    await journal.append([fact for number in range(6) for fact in a_call(rng, number)])
    while await drain.drain_once():
        pass
    pool = await open_pool(migrated)
    seen: list[tuple[timedelta, int | None]] = []
    counted, stored = recount, figure_check.store_counted

    async def change(seconds: int) -> None:
        """As the drain writes it down, between two turns."""
        await pool.execute("INSERT INTO cti.queue_rules VALUES ('support', now(), $1, 6, 'offered')", float(seconds))
        await pool.execute("INSERT INTO cti.reason_rules VALUES ('lunch', now(), $1)", float(seconds))

    async def noted(connection: asyncpg.Connection, calls: Any, how: Any, **parts: Any) -> None:
        seen.append((how.rules(QueueName("support"), datetime.max.replace(tzinfo=UTC)).service_level, None))
        await stored(connection, calls, how, **parts)
        await change(41 + len(seen))

    async def recounted(
        connection: asyncpg.Connection, touched: Any, zone: ZoneInfo, allowed: Any, **until: Any
    ) -> None:
        seen.append((timedelta(0), allowed("lunch", datetime.max.replace(tzinfo=UTC))))
        await counted(connection, touched, zone, allowed, **until)

    monkeypatch.setattr(figure_check, "CHUNK", 3)
    monkeypatch.setattr(figure_check, "store_counted", noted)
    monkeypatch.setattr(figure_check, "recount", recounted)
    try:
        await drain.rebuild()
        assert [level.total_seconds() for level, _ in seen[:2]] == [30, 42]
        assert {allowed for _, allowed in seen[2:]} == {43_000}
        # Since when a rule holds is said by whoever changed it, unless a clock went back.
        support, later = QueueName("support"), datetime.now(UTC) + timedelta(hours=1)
        of_then = "SELECT since FROM cti.queue_rules WHERE queue = 'support' AND service_level = $1"
        for level, since in ((50, later), (51, later - timedelta(hours=2))):
            rules = {support: QueueRules(service_level=timedelta(seconds=level))}
            async with pool.acquire() as link:
                await counting(link, rules, "UTC", ruled_since={support: since})
            assert (await pool.fetchval(of_then, float(level)) == since) is (level == 50)
    finally:
        await pool.close()
        await drain.close()
