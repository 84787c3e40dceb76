"""How fast the drain is: facts and calls a second into an embedded PostgreSQL, and how late a call's row appears.

    python benchmarks/drain.py [--calls 5000]

First a full journal is drained (catching up after an outage), then calls end at a steady rate and the time from the
durable append of `CallEnded` to the visible row is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from cti.ids import AgentId, CallId, FlowName, NodeName, OfferId, QueueName
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
    call_id, start = CallId(f"a1-1700000000.{number}"), T0 + timedelta(seconds=number)
    agent, offer, queue = AgentId("1001"), OfferId(1_000_000_000 + number), QueueName("support")
    answer, end = start + timedelta(seconds=20), start + timedelta(seconds=80)
    steps = [
        FlowStepDone(
            at=start, call_id=call_id, flow=FlowName("main"), step=f"s{n}", verb="menu", result="1", choice="x"
        )
        for n in range(4)
    ]
    return [
        CallStarted(at=start, call_id=call_id, node=NodeName("a1"), caller_number="+15550100001", did="200"),
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


async def _main(folder: Path, dsn: str, calls: int) -> None:
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
        begin = time.perf_counter()
        while await drain.drain_once():
            pass
        took = time.perf_counter() - begin
        print(f"catching up: {facts / took:.0f} facts/s, {calls / took:.0f} calls/s ({calls} calls, {took:.1f} s)")
        begin = time.perf_counter()
        await drain.rebuild()
        print(f"rebuild: {calls / (time.perf_counter() - begin):.0f} calls/s")

        task = asyncio.create_task(drain.run())
        link = await asyncpg.connect(dsn)
        late = []
        for number in range(calls, calls + 200):
            story = _call(number)
            await journal.append(story[:-1])
            begin = time.perf_counter()
            while not await link.fetchval("SELECT 1 FROM report.calls WHERE call_id = $1", f"a1-1700000000.{number}"):  # noqa: ASYNC110
                await asyncio.sleep(0.0005)
            late.append(time.perf_counter() - begin)
            await journal.append(story[-1:])
        late.sort()
        print(f"row visible after the end: p50 {late[100] * 1e3:.1f} ms, p99 {late[197] * 1e3:.1f} ms")
        await link.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000)
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
        asyncio.run(_main(place / "journal", address, arguments.calls))
    finally:
        server.stop()
        shutil.rmtree(place)
