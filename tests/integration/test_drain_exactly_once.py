"""The drain: every fact in Postgres exactly once, whatever dies and whenever; rows true to their facts."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from cti.ids import AgentId, CallId, CustomerId, NodeName, OfferId, QueueName
from cti.journal.codec import Position, frame
from cti.journal.segments import TORN_GAP
from cti.journal.writer import JournalWriter
from cti.model.facts import (
    CallAnswered,
    CallEnded,
    CallQueued,
    CallStarted,
    CustomerMatched,
    Device,
    Fact,
    HangupBy,
    Match,
    OfferMade,
    OfferRang,
    TalkEnded,
    WrapUpEnded,
)
from cti.reports.call_record import fold
from cti.store import queries
from cti.store.drain import Drain
from cti.store.migrate import migrate
from cti.store.pool import open_pool
from tests.support.postgres import ThrowawayPostgres, database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]

T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def a_call(number: int, *, agent: str = "1001") -> list[Fact]:
    """One whole call: queued after 1 s, answered after `number % 50` more, 60 s of talk, 12 s of wrap-up."""
    call_id, start, who = CallId(f"a1-1700000000.{number}"), T0 + timedelta(minutes=number), AgentId(agent)
    answer = start + timedelta(seconds=1 + number % 50)
    end = answer + timedelta(seconds=60)
    offer = OfferId(1_000_000_000 + number)
    queue = QueueName("support")
    return [
        CallStarted(at=start, call_id=call_id, node=NodeName("a1"), caller_number="+15550100001", did="200"),
        CustomerMatched(at=start, call_id=call_id, match=Match.FOUND, customer_id=CustomerId(1), tier="vip"),
        CallQueued(at=start + timedelta(seconds=1), call_id=call_id, queue=queue),
        OfferMade(
            at=answer, call_id=call_id, offer_id=offer, agent_id=who, queue=queue, device=Device.SIP, deadline=end
        ),
        OfferRang(at=answer, call_id=call_id, offer_id=offer, agent_id=who),
        CallAnswered(at=answer, call_id=call_id, agent_id=who, offer_id=offer),
        TalkEnded(at=end, call_id=call_id, agent_id=who),
        CallEnded(at=end, call_id=call_id, hangup_by=HangupBy.CALLER),
        WrapUpEnded(at=end + timedelta(seconds=12), call_id=call_id, agent_id=who, disposition="resolved", note="好的"),
    ]


LENGTH = len(a_call(0))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[JournalWriter]:
    async with JournalWriter(tmp_path / "journal") as writer:
        writer.recover()
        yield writer


@pytest.fixture
async def link(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated)
    yield connection
    await connection.close()


async def check_whole(link: asyncpg.Connection, calls: int) -> None:
    assert await link.fetchval("SELECT count(*) FROM cti.facts") == calls * LENGTH
    assert await link.fetchval("SELECT count(DISTINCT (call_id, kind)) FROM cti.facts") == calls * LENGTH
    rows = await link.fetch("SELECT * FROM report.calls ORDER BY started_at")
    assert len(rows) == calls
    for number, row in enumerate(rows):
        assert row["outcome"] == "answered"
        assert (row["wait_seconds"], row["talk_seconds"], row["wrap_seconds"]) == (number % 50, 60.0, 12.0)
        assert row["started_at"] == T0 + timedelta(minutes=number)


async def test_facts_and_rows_arrive(journal: JournalWriter, migrated: str, link: asyncpg.Connection) -> None:
    drain = Drain(journal, migrated)
    task = asyncio.create_task(drain.run())
    for number in range(20):
        await journal.append(a_call(number))
    assert await drain.flush(10)
    state = drain.state()
    assert (state.connected, state.behind, state.error, state.drained) == (True, 0, "", 20 * LENGTH)
    await until(lambda: drain.lag() == 0.0)
    await check_whole(link, 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not drain.state().connected


async def test_an_open_call_has_no_row_and_the_wrap_up_updates_it(
    journal: JournalWriter,
    migrated: str,
    link: asyncpg.Connection,
) -> None:
    drain = Drain(journal, migrated)
    facts = a_call(3)
    await journal.append(facts[:7])
    while await drain.drain_once():
        pass
    assert await link.fetchval("SELECT count(*) FROM report.calls") == 0
    await journal.append(facts[7:8])
    while await drain.drain_once():
        pass
    assert await link.fetchval("SELECT wrap_seconds IS NULL AND talk_seconds = 60 FROM report.calls") is True
    await journal.append(facts[8:])
    while await drain.drain_once():
        pass
    assert await link.fetchval("SELECT wrap_seconds FROM report.calls") == 12.0
    await drain.close()


async def test_the_drain_may_die_at_any_moment(journal: JournalWriter, migrated: str, link: asyncpg.Connection) -> None:
    dice = random.Random(7)
    calls = 60
    for number in range(calls):
        await journal.append(a_call(number))
    for _ in range(60):
        drain = Drain(journal, migrated, batch=dice.choice([1, 7, 50]))
        task = asyncio.create_task(drain.run())
        await asyncio.sleep(dice.random() * 0.04)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    drain = Drain(journal, migrated)
    while await drain.drain_once():
        pass
    await drain.close()
    await check_whole(link, calls)


async def test_links_cut_in_the_middle_lose_and_double_nothing(
    journal: JournalWriter,
    migrated: str,
    link: asyncpg.Connection,
) -> None:
    dice = random.Random(11)
    calls = 80
    drain = Drain(journal, migrated, batch=13)
    task = asyncio.create_task(drain.run())
    cut = 0
    for number in range(calls):
        await journal.append(a_call(number))
        if number % 8 == 0:
            await until(lambda: drain.state().connected)
            await asyncio.sleep(dice.random() * 0.02)
            cut += await link.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    assert cut >= 8
    assert await drain.flush(20)
    await check_whole(link, calls)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_two_drains_at_once_double_nothing(
    journal: JournalWriter, migrated: str, link: asyncpg.Connection
) -> None:
    """An old bridge's backend may still be committing when the new bridge's drain begins."""
    for number in range(50):
        await journal.append(a_call(number))
    drains = [Drain(journal, migrated, batch=20) for _ in range(3)]
    tasks = [asyncio.create_task(drain.run()) for drain in drains]
    assert all(await asyncio.gather(*(drain.flush(20) for drain in drains)))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await check_whole(link, 50)


async def test_postgres_stops_and_starts_and_calls_never_wait(tmp_path: Path) -> None:
    server = ThrowawayPostgres()
    try:
        dsn = server.server.dsn
        await migrate(dsn)
        async with JournalWriter(tmp_path / "journal") as journal:
            drain = Drain(journal, dsn, batch=50)
            task = asyncio.create_task(drain.run())
            for number in range(60):
                if number % 20 == 10:
                    await asyncio.to_thread(server.server.stop)
                elif number % 20 == 19:
                    await until(lambda: bool(drain.state().error))
                    assert drain.state().behind > 0
                    assert drain.lag() > 0
                    await asyncio.to_thread(server.server.start)
                async with asyncio.timeout(60):
                    await journal.append(a_call(number))
            assert await drain.flush(20)
            assert drain.state().error == ""
            connection = await asyncpg.connect(dsn)
            await check_whole(connection, 60)
            await connection.close()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        server.close()


PROGRAM = """
import asyncio, pathlib, sys
from cti.journal.writer import JournalWriter
from cti.store.drain import Drain
from tests.integration.test_drain_exactly_once import a_call, LENGTH

async def main():
    journal = JournalWriter(pathlib.Path(sys.argv[1]), segment_bytes=20_000)
    done = [fact for fact in journal.recover() if type(fact).__name__ == "WrapUpEnded"]
    print("at", 1 + max([int(fact.call_id.rpartition(".")[2]) for fact in done], default=-1), flush=True)
    drain = Drain(journal, sys.argv[2], batch=20)
    task = asyncio.create_task(drain.run())
    for number in range(int(input()), 100_000):
        for fact in a_call(number):
            await journal.append([fact])
        print(number, flush=True)

asyncio.run(main())
"""


async def test_kill_9_of_the_whole_process(tmp_path: Path, migrated: str, link: asyncpg.Connection) -> None:
    """What the journal acknowledged before the kill is in Postgres after it, once, though segments were deleted."""
    dice = random.Random(3)
    acknowledged = -1
    for _ in range(6):
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", PROGRAM, str(tmp_path / "journal"), migrated],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], text=True, bufsize=1,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        line = ""
        while not line.startswith("at "):
            line = await asyncio.to_thread(process.stdout.readline)
            assert line, "the child died"
        assert int(line[3:]) > acknowledged
        process.stdin.write(f"{acknowledged + 1}\n")
        process.stdin.flush()
        # However slow the machine is, each run gets something done.
        said = [await asyncio.to_thread(process.stdout.readline) for _ in range(dice.randint(10, 60))]
        await asyncio.sleep(dice.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().splitlines()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        acknowledged = max([acknowledged, *(int(text) for text in said if text.strip().isdigit())])
    async with JournalWriter(tmp_path / "journal", segment_bytes=20_000) as journal:
        journal.recover()
        drain = Drain(journal, migrated)
        while await drain.drain_once():
            pass
        await drain.close()
        kept = len(list((tmp_path / "journal").glob("*.journal")))
        total = journal.end
    assert acknowledged > 50
    assert kept < 8
    # A call begun again after the kill repeats some facts under new positions: the rows are right all the same.
    assert await link.fetchval("SELECT count(*) FROM cti.facts") >= (acknowledged + 1) * LENGTH
    torn = await link.fetchval("SELECT count(*) FROM (SELECT position / $1 FROM cti.facts GROUP BY 1) x", TORN_GAP)
    if torn == 1:
        assert await link.fetchval("SELECT count(*) FROM cti.facts") == total
    rows = await link.fetch("SELECT * FROM report.calls ORDER BY started_at LIMIT $1", acknowledged + 1)
    assert [row["call_id"] for row in rows] == [f"a1-1700000000.{number}" for number in range(acknowledged + 1)]
    assert all((row["talk_seconds"], row["wrap_seconds"]) == (60.0, 12.0) for row in rows)


async def test_a_torn_tails_gap_and_strange_records_do_not_stop_it(
    tmp_path: Path,
    migrated: str,
    link: asyncpg.Connection,
) -> None:
    folder = tmp_path / "journal"
    async with JournalWriter(folder) as journal:
        await journal.append(a_call(0))
    (segment,) = folder.glob("*.journal")
    with segment.open("ab") as file:
        file.write(frame(b'{"fact":"CallTeleported","at":"2030-01-01T00:00:00.000000Z","call_id":"x"}'))
        file.write(frame(b'{"fact":"CallMarked","call_id":"a\\u0000b","at":7}'))  # PostgreSQL refuses NUL
        file.write(frame(b"\xff\xfe not even JSON"))
        file.write(frame(b'{"fact":"CallPriced","call_id":"y","price":1e99999}'))
        file.write(b"torn")
    async with JournalWriter(folder) as journal:
        drain = Drain(journal, migrated)
        task = asyncio.create_task(drain.run())
        assert await drain.flush(10)
        assert drain.state().behind == 0
        await journal.append(a_call(1))
        assert await drain.flush(10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await link.fetchval("SELECT count(*) FROM report.calls") == 2
    strange = await link.fetch("SELECT kind, body::text FROM cti.facts WHERE position BETWEEN $1 AND $2", LENGTH, 99)
    assert len(strange) == 4
    assert strange[0]["kind"] == "CallTeleported"


async def test_an_old_copy_of_the_journal_is_refused_aloud(
    journal: JournalWriter, migrated: str, link: asyncpg.Connection
) -> None:
    await link.execute("INSERT INTO cti.cursors (journal_id, next) VALUES ($1, 1000)", journal.journal_id)
    drain = Drain(journal, migrated)
    task = asyncio.create_task(drain.run())
    await journal.append(a_call(0))
    await until(lambda: "old copy" in drain.state().error or "already has it" in drain.state().error)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await link.fetchval("SELECT count(*) FROM cti.facts") == 0
    assert len(journal.records_from(Position(0), limit=100)) == LENGTH


async def test_rebuild_makes_every_row_again_by_todays_definitions(
    journal: JournalWriter,
    migrated: str,
    link: asyncpg.Connection,
) -> None:
    limits = {QueueName("support"): timedelta(seconds=0)}
    drain = Drain(journal, migrated, lambda: limits)
    for number in range(5):
        facts = a_call(number)
        await journal.append([*facts[:3], CallEnded(at=facts[2].at + timedelta(seconds=4), call_id=facts[0].call_id, hangup_by=HangupBy.CALLER)])  # type: ignore[attr-defined]  # fmt: skip
    while await drain.drain_once():
        pass
    assert await link.fetchval("SELECT count(*) FROM report.calls WHERE outcome = 'abandoned'") == 5
    limits[QueueName("support")] = timedelta(seconds=4)
    await link.execute("DELETE FROM cti.calls WHERE call_id LIKE '%.2'")
    assert await drain.rebuild() == 5  # by the limit of then
    assert await link.fetchval("SELECT count(*) FROM report.calls WHERE outcome = 'abandoned'") == 5
    assert await drain.rebuild(by_todays_rules=True) == 5
    assert await link.fetchval("SELECT count(*) FROM report.calls WHERE outcome = 'short_abandon'") == 5
    await drain.close()


async def test_queries(journal: JournalWriter, migrated: str) -> None:
    drain = Drain(journal, migrated)
    for number in range(30):
        await journal.append(a_call(number, agent="1001" if number % 3 else "1002"))
    lost = a_call(40)
    ended = CallEnded(
        at=lost[2].at + timedelta(seconds=30), call_id=CallId("a1-1700000000.40"), hangup_by=HangupBy.CALLER
    )
    await journal.append([*lost[:3], ended])
    await journal.append(a_call(41)[:3])  # still open
    while await drain.drain_once():
        pass
    await drain.close()
    pool = await open_pool(migrated)
    seen: list[str] = []
    page = await queries.recent_calls(pool, limit=7)
    while True:
        assert tuple(page.rows[0]) == queries.COLUMNS
        seen += [row["call_id"] for row in page.rows]
        if page.next is None:
            break
        page = await queries.recent_calls(pool, limit=7, before=page.next)
    assert len(seen) == len(set(seen)) == 31
    assert seen[0].endswith(".40")
    assert (await queries.recent_calls(pool, before=CallId("nobody"))).rows == ()
    assert len((await queries.recent_calls(pool, outcome="abandoned")).rows) == 1
    assert len((await queries.recent_calls(pool, agent=AgentId("1002"), queue=QueueName("support"))).rows) == 10
    assert (await queries.recent_calls(pool, queue=QueueName("sales"))).rows == ()
    detail = await queries.call_detail(pool, CallId("a1-1700000000.5"))
    assert detail is not None
    assert detail.row is not None
    assert (detail.disposition, detail.note, len(detail.facts)) == ("resolved", "好的", LENGTH)
    assert detail.facts[0]["fact"] == "CallStarted"
    still = await queries.call_detail(pool, CallId("a1-1700000000.41"))
    assert still is not None
    assert still.row is None
    assert await queries.call_detail(pool, CallId("nobody")) is None
    day = await queries.day_counters(
        pool, since=T0, until=T0 + timedelta(days=1), service_levels={QueueName("support"): timedelta(seconds=20)}
    )
    assert day.queues == {QueueName("support"): queries.QueueDay(answered=30, abandoned=1, in_time=21)}
    assert day.agents[AgentId("1002")] == queries.AgentDay(calls=10, talk_seconds=600.0)
    nothing = await queries.day_counters(
        pool, since=T0 + timedelta(days=1), until=T0 + timedelta(days=2), service_levels={}
    )
    assert (nothing.queues, nothing.agents) == ({}, {})
    records = await queries.ended_calls(pool, since=T0, until=T0 + timedelta(minutes=10))
    assert records == [fold(a_call(number, agent="1001" if number % 3 else "1002")) for number in range(10)]
    await pool.close()
