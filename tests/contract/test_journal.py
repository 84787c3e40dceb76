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
import structlog
from cti.journal.writer import JournalWriter
from cti.model.facts import CallStarted

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # a tail cut off is told there, not among the numbers

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


async def killed_while_it_writes(folder: Path, after: float) -> tuple[int, list[int]]:
    """A process that writes there is killed so many seconds after its first acknowledgement; the number it began with, and those it
    said were durable."""
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", PROGRAM, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            begin = await asyncio.to_thread(process.stdout.readline)
            first = await asyncio.to_thread(process.stdout.readline)
            await asyncio.sleep(after)
            process.send_signal(signal.SIGKILL)
            said = process.stdout.read().split()
        finally:
            process.kill()
    return int(begin.removeprefix("begin ")), [int(first), *map(int, said)]


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
        begin, said = await killed_while_it_writes(tmp_path, dice.random() * 0.05)
        assert begin >= acknowledged
        acknowledged = max(acknowledged, *said)
        # A kill in the middle of a record, which the moment above meets seldom: what is torn is cut off and loses nothing before it.
        with max(tmp_path.glob("*.journal")).open("ab") as newest:
            newest.write(bytes(dice.randrange(256) for _ in range(dice.randrange(1, 200))))
    async with JournalWriter(tmp_path, segment_bytes=50_000) as journal:
        facts = journal.recover()
    assert len(facts) >= acknowledged > 100
    assert [getattr(fact, "call_id", "") for fact in facts] == [str(number) for number in range(len(facts))]
