"""What the live floor has beside the dispatcher put together: who is told of alerts, and how complaints are counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path

from cti.clock import Clock
from cti.errors import CtiError
from cti.outside.alerts import AlertWebhook
from cti.outside.webhook import DurableFacts
from cti.services.dispatcher import Dispatcher

POSITION = "alert_webhook.position"
"""The file that says how far the webhook was told."""
COUNT_EVERY = 30.0
"""Seconds between counts of today's complaints."""


class FloorWork:
    """`run` in the background."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        complaints: Callable[[datetime], Awaitable[Sequence[datetime]]],
        *,
        journal: DurableFacts,
        folder: Path,
        clock: Clock,
    ) -> None:
        self._dispatcher = dispatcher
        self._complaints = complaints
        """When complaints came from a moment on; raises `RemoteError`."""
        self.webhook = AlertWebhook(
            journal,
            lambda: dispatcher.board.centre.alerts.webhook,
            position_file=folder / POSITION,
            clock=clock,
        )

    async def run(self) -> None:
        """Tell the webhook and count complaints, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.webhook.run())
            group.create_task(self._count())

    async def _count(self) -> None:
        """While the database is away the last count stays."""
        while True:
            with contextlib.suppress(CtiError):
                since = self._dispatcher.board.tally.begins
                await self._dispatcher.complained(await self._complaints(since))
            await asyncio.sleep(COUNT_EVERY)
