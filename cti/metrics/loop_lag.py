"""How late the event loop is: the one figure that shows every blocking mistake, and whether it was ours or the machine's."""

from __future__ import annotations

import asyncio
import time

from cti.metrics.registry import Metrics


async def watch_loop_lag(metrics: Metrics, *, every: float = 0.02) -> None:
    """Observe, for ever, by how many seconds a timer of `every` seconds fires late, and how much of that this process can have
    caused: no more than the processor time that all its threads took since the timer was set. Run it as a task of its own."""
    loop = asyncio.get_running_loop()
    while True:
        due, used = loop.time() + every, time.process_time()
        await asyncio.sleep(every)
        late = max(0.0, loop.time() - due)
        metrics.loop_lag.observe(late)
        metrics.loop_held.observe(min(late, time.process_time() - used))
