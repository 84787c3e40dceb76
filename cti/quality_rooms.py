"""Quality put together: what the web is given of it, and what goes on in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cti.clock import Clock
from cti.model.centre import Centre
from cti.store.quality.office import QualityOffice


class QualityWork:
    """`rooms` for the web; `run` draws samples, for ever."""

    def __init__(
        self,
        pool: Any,  # asyncpg's
        *,
        clock: Clock,
        centre: Callable[[], Centre],
    ) -> None:
        self._office = QualityOffice(pool, clock=clock, centre=centre)
        self.rooms = self._office.inspections()

    async def begin(self) -> None:
        """Make the first form, where there has never been one."""
        await self._office.forms.begin()

    async def draw(self) -> int:
        """Draw from the days that are over; how many calls."""
        return await self._office.samples.draw_due()

    async def run(self) -> None:
        """Make the first form, and draw by the clock."""
        await self._office.run()
