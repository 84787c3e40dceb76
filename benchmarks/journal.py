"""How fast the journal is: durable facts a second and the latency of one append, at several loads.

    python benchmarks/journal.py [--folder DIR] [--seconds 3]

Open loop at a steady rate (what a bridge does), then closed loop with many appenders (what it can do at most).
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.journal.codec import Position
from cti.journal.writer import JournalWriter
from cti.model.facts import Device, OfferMade


def _fact(number: int) -> OfferMade:
    now = datetime.now(UTC)
    return OfferMade(
        at=now, call_id=CallId(f"a1-1700000000.{number}"), offer_id=OfferId(1_000_000_000 + number),
        agent_id=AgentId("1001"), queue=QueueName("support"), device=Device.SIP, deadline=now,
    )  # fmt: skip


def _line(title: str, count: int, seconds: float, latencies: list[float]) -> None:
    latencies.sort()
    p50, p99, worst = (
        latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1e3 for share in (0.5, 0.99, 1)
    )
    print(f"{title:34} {count / seconds:9.0f} facts/s   p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  worst {worst:7.2f} ms")


async def _steady(journal: JournalWriter, rate: int, seconds: float) -> None:
    latencies: list[float] = []

    async def one(number: int) -> None:
        start = time.perf_counter()
        await journal.append([_fact(number)])
        latencies.append(time.perf_counter() - start)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            late = begin + number / rate - time.perf_counter()
            if late > 0:
                await asyncio.sleep(late)
            group.create_task(one(number))
    _line(f"steady {rate}/s", len(latencies), time.perf_counter() - begin, latencies)


async def _closed(journal: JournalWriter, appenders: int, seconds: float) -> None:
    latencies: list[float] = []
    begin = time.perf_counter()

    async def one() -> None:
        number = 0
        while time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            await journal.append([_fact(number)])
            latencies.append(time.perf_counter() - start)
            number += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(appenders):
            group.create_task(one())
    _line(f"closed loop, {appenders} appenders", len(latencies), time.perf_counter() - begin, latencies)


async def _main(folder: Path, seconds: float) -> None:
    journal = JournalWriter(folder)
    journal.recover()
    for rate in (100, 1000, 5000):
        await _steady(journal, rate, seconds)
    for appenders in (1, 10, 100, 1000):
        await _closed(journal, appenders, seconds)
    begin = time.perf_counter()
    count = sum(1 for _ in journal.read_from(Position(0)))
    print(f"{'read back and decode':34} {count / (time.perf_counter() - begin):9.0f} facts/s")
    await journal.close()
    begin = time.perf_counter()
    journal = JournalWriter(folder)
    facts = journal.recover()
    print(f"{'open and recover':34} {len(facts)} facts in {time.perf_counter() - begin:.2f} s")
    await journal.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seconds", type=float, default=3)
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="cti-journal-", dir=arguments.folder))
    try:
        asyncio.run(_main(place, arguments.seconds))
    finally:
        shutil.rmtree(place)
