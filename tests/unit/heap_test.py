"""Memory is given back when the process has grown, and not otherwise."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from cti.metrics import heap

PROGRAM = """
import asyncio
from cti.metrics import heap

async def main():
    before = heap.resident()
    task = asyncio.create_task(heap.give_back(every=0.01, grown=16 << 20))
    await asyncio.sleep(0)
    kept, pieces = [], [bytearray(2000) for _ in range(60_000)]
    kept = pieces[::400]  # what lives on, between what goes
    full = heap.resident()
    del pieces
    while heap.resident() > (before + full) // 2:
        await asyncio.sleep(0.01)
    task.cancel()
    print(full - before > 100_000_000, len(kept))

asyncio.run(main())
"""


RINGS = """
import asyncio, gc
from cti.metrics import heap

async def main():
    gc.disable()
    before = heap.resident()
    task = asyncio.create_task(heap.give_back(every=0.01, grown=16 << 20))
    await asyncio.sleep(0)
    for _ in range(60_000):
        ring = [bytearray(2000)]
        ring.append(ring)
    del ring
    full = heap.resident()
    while heap.resident() > (before + full) // 2:
        await asyncio.sleep(0.01)
    task.cancel()
    print(full - before > 100_000_000)

asyncio.run(main())
"""

needs_trim = pytest.mark.skipif(
    heap.trimmer() is None, reason="this machine's C library does not give memory back on demand"
)


@needs_trim
def test_what_was_freed_between_pieces_that_live_on_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.splitlines()[-1] == "True 150"  # what is logged stands before it


@needs_trim
def test_so_does_what_only_holds_itself() -> None:
    done = subprocess.run([sys.executable, "-c", RINGS], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.splitlines()[-1] == "True"


async def test_who_does_not_grow_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[int] = []
    sizes = iter([100, 105, 90, 99, 101, 95])
    looked = asyncio.Event()

    def size() -> int:
        value = next(sizes, None)
        if value is None:
            looked.set()
            return 95
        return value

    monkeypatch.setattr(heap, "trimmer", lambda: lambda: trims.append(1))
    task = asyncio.create_task(heap.give_back(every=0.001, grown=10, size=size))
    async with asyncio.timeout(60):
        await looked.wait()
    task.cancel()
    assert len(trims) == 1  # 101 is 11 above the least there was; 95 is what was left
