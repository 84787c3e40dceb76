"""How fast the drain is: facts and calls a second into an embedded PostgreSQL, and how late a call's row appears.

    python benchmarks/drain.py [--calls 12000] [--late 200]

First a full journal is drained (catching up after an outage; 12,000 calls are ten minutes at 20 calls a second): facts,
the calls' rows, all figures with their sums by half hour. Beside it, in the same run and of the same journal, what nobody can
do without: the facts alone into an empty table of the same shape, by plain COPY, a batch a transaction. Elapsed time, and
processor time of this process and of the database's. Then calls end at a steady rate and the time from the durable append of
`CallEnded` to the visible row is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import orjson

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.processor import server_seconds
from cti.ids import AgentId, CallId, FlowName, NodeName, OfferId, QueueName
from cti.journal.codec import Position
from cti.journal.writer import JournalWriter
from cti.model.facts import (
    CallAnswered,
    CallEnded,
    CallQueued,
    CallStarted,
    Device,
    Fact,
    FlowStepDone,
    HangupBy,
    OfferEnd,
    OfferEnded,
    OfferMade,
    OfferRang,
    TalkEnded,
    WrapUpEnded,
)
from cti.store.drain import Drain
from cti.store.embedded import EmbeddedPostgres
from cti.store.migrate import migrate

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def _call(number: int) -> list[Fact]:
    call_id, start = CallId(f"a1-1700000000.{number}"), T0 + timedelta(seconds=number / 20)
    agent, offer = AgentId(str(1001 + number % 200)), OfferId(1_000_000_000 + number)
    queue = QueueName(f"queue{number % 10}")
    answer, end = start + timedelta(seconds=20), start + timedelta(seconds=80)
    steps = [
        FlowStepDone(
            at=start, call_id=call_id, flow=FlowName("main"), step=f"s{n}", verb="menu", result="1", choice="x"
        )
        for n in range(4)
    ]
    return [
        CallStarted(
            at=start, call_id=call_id, node=NodeName("a1"), caller_number=f"+1555{number % 7000:07}", did="200"
        ),
        *steps,
        CallQueued(at=start, call_id=call_id, queue=queue),
        OfferMade(
            at=start, call_id=call_id, offer_id=offer, agent_id=agent, queue=queue, device=Device.SIP, deadline=end
        ),
        OfferRang(at=start, call_id=call_id, offer_id=offer, agent_id=agent),
        CallAnswered(at=answer, call_id=call_id, agent_id=agent, offer_id=offer),
        OfferEnded(at=answer, call_id=call_id, offer_id=offer, agent_id=agent, end=OfferEnd.ANSWERED),
        TalkEnded(at=end, call_id=call_id, agent_id=agent),
        CallEnded(at=end, call_id=call_id, hangup_by=HangupBy.CALLER),
        WrapUpEnded(at=end + timedelta(seconds=9), call_id=call_id, agent_id=agent, disposition="resolved"),
    ]


BATCH = 2000
"""As the drain has it."""


async def _timed(what: Callable[[], Awaitable[object]], server: int) -> tuple[float, float, float]:
    """Seconds that it took, processor seconds of this process, and of the database's processes."""
    begin, cpu, theirs = time.perf_counter(), time.process_time(), server_seconds(server)
    await what()
    return time.perf_counter() - begin, time.process_time() - cpu, server_seconds(server) - theirs


async def _plainly(dsn: str, journal: JournalWriter) -> None:
    """The facts alone, copied."""
    connection = await asyncpg.connect(dsn)
    at = journal.first
    while records := journal.records_from(at, limit=BATCH):
        rows = []
        for record in records:
            body = orjson.loads(record.payload)
            at_moment = datetime.fromisoformat(body["at"])
            rows.append(
                (journal.journal_id, record.position, body["fact"], body["call_id"], at_moment, record.payload.decode())
            )
        await connection.copy_records_to_table("plain_facts", records=rows)
        at = Position(records[-1].position + 1)
    await connection.close()


async def _main(folder: Path, dsn: str, server: int, calls: int, late_calls: int) -> None:
    begin = time.perf_counter()
    await migrate(dsn)
    print(f"schema made in {time.perf_counter() - begin:.3f} s", end="; ")
    begin = time.perf_counter()
    await migrate(dsn)
    print(f"found up to date in {(time.perf_counter() - begin) * 1e3:.1f} ms")
    async with JournalWriter(folder) as journal:
        journal.recover()
        drain = Drain(journal, dsn)
        facts = 0
        for number in range(calls):
            facts += len(_call(number))
            await journal.append(_call(number))
        link = await asyncpg.connect(dsn)
        await link.execute(
            "CREATE TABLE plain_facts AS SELECT journal_id, position, kind, call_id, at, body FROM cti.facts LIMIT 0"
        )
        await link.close()
        plain = await _timed(lambda: _plainly(dsn, journal), server)

        async def catch_up() -> None:
            while await drain.drain_once():
                pass

        took = await _timed(catch_up, server)
        for name, (seconds, ours, theirs) in (("plain COPY", plain), ("drain", took)):
            print(
                f"{name:10}: {calls / seconds:6.0f} calls/s, {facts / seconds:6.0f} facts/s ({calls} calls, {seconds:.1f} s);"
                f" processor {ours / calls * 1e3:.2f} + database's {theirs / calls * 1e3:.2f} ms a call"
            )
        print(f"drain / plain COPY: {took[0] / plain[0]:.1f} x the time; load {os.getloadavg()[0]:.1f}", flush=True)
        begin = time.perf_counter()
        await drain.rebuild()
        print(f"rebuild: {calls / (time.perf_counter() - begin):.0f} calls/s")

        task = asyncio.create_task(drain.run())
        link = await asyncpg.connect(dsn)
        late = []
        for number in range(calls, calls + late_calls):
            story = _call(number)
            await journal.append(story[:-1])
            begin = time.perf_counter()
            while not await link.fetchval("SELECT 1 FROM report.calls WHERE call_id = $1", f"a1-1700000000.{number}"):  # noqa: ASYNC110
                await asyncio.sleep(0.0005)
            late.append(time.perf_counter() - begin)
            await journal.append(story[-1:])
        late.sort()
        middle, most = late[len(late) // 2], late[int(len(late) * 0.99)]
        print(f"row visible after the end: p50 {middle * 1e3:.1f} ms, p99 {most * 1e3:.1f} ms, N {len(late)}")
        await link.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=12000)
    parser.add_argument("--late", type=int, default=200)
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="cti-drain-"))
    server = EmbeddedPostgres(place / "postgres")
    try:
        begun = time.perf_counter()
        server.start()
        print(f"PostgreSQL made and started in {time.perf_counter() - begun:.2f} s", end="; ")
        server.stop()
        begun = time.perf_counter()
        address = server.start()
        print(f"started again in {time.perf_counter() - begun:.2f} s")
        asyncio.run(_main(place / "journal", address, server.pid, arguments.calls, arguments.late))
    finally:
        server.stop()
        shutil.rmtree(place)
