"""What the port `Journal` promises, shown on the real thing: what is awaited survives a kill, in the order of the calls."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from cti.ids import CallId, NodeName
from cti.journal.writer import JournalWriter
from cti.model.facts import CallStarted
from cti.services.ports import Journal

PROGRAM = """
import asyncio, pathlib, sys
from datetime import UTC, datetime
from cti.journal.writer import JournalWriter
from cti.model.facts import CallStarted

async def main():
    journal = JournalWriter(pathlib.Path(sys.argv[1]), segment_bytes=50_000)
    number = len(journal.recover())
    print("begin", number, flush=True)
    while True:
        waits = []
        for _ in range(7):
            waits.append(journal.append([CallStarted(at=datetime.now(UTC), call_id=str(number), node="a1")]))
            number += 1
        await asyncio.gather(*waits)
        print(number, flush=True)

asyncio.run(main())
"""


async def test_the_writer_is_a_journal(tmp_path: Path) -> None:
    async with JournalWriter(tmp_path) as writer:
        journal: Journal = writer
        await journal.append(
            [CallStarted(at=datetime(2026, 1, 1, tzinfo=UTC), call_id=CallId("x"), node=NodeName("a1"))]
        )


async def test_what_was_awaited_survives_kill_9_in_order(tmp_path: Path) -> None:
    dice = random.Random(5)
    acknowledged = 0
    for _ in range(5):
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        assert int(line.removeprefix("begin ")) >= acknowledged
        await asyncio.to_thread(process.stdout.readline)
        await asyncio.sleep(dice.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        acknowledged = max([acknowledged, *map(int, said)])
    async with JournalWriter(tmp_path, segment_bytes=50_000) as journal:
        facts = journal.recover()
    assert len(facts) >= acknowledged > 100
    assert [getattr(fact, "call_id", "") for fact in facts] == [str(number) for number in range(len(facts))]
