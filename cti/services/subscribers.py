"""Who follows the floor: each has a bounded queue of its own, so that a slow one holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from cti.services.floor import Change

SUBSCRIBER_QUEUE = 1000
"""Changes a subscriber may fall behind before it is let go."""


class Subscribers:
    """The followers of one floor."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Change | None]] = set()

    def add(self) -> AsyncIterator[Change]:
        """Changes from this call on, not from the first step of the iterator."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue(SUBSCRIBER_QUEUE)
        self._queues.add(queue)
        return self._follow(queue)

    async def _follow(self, queue: asyncio.Queue[Change | None]) -> AsyncIterator[Change]:
        try:
            while (change := await queue.get()) is not None:
                yield change
        finally:
            self._queues.discard(queue)

    def tell(self, change: Change) -> None:
        """This has changed."""
        for queue in list(self._queues):
            try:
                queue.put_nowait(change)
            except asyncio.QueueFull:
                # The slow one is let go: its iterator ends when it has read what it has, and it starts afresh.
                self._queues.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

    def end(self) -> None:
        """There will be no more changes."""
        for queue in self._queues:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)
