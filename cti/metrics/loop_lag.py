"""How late the event loop is: the one figure that shows every blocking mistake."""

from __future__ import annotations

import asyncio

from cti.metrics.registry import Metrics


async def watch_loop_lag(metrics: Metrics, *, every: float = 0.02) -> None:
    """Observe, for ever, by how many seconds a timer of `every` seconds fires late. Run it as a task of its own."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        metrics.loop_lag.observe(max(0.0, loop.time() - due))
