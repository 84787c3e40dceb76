"""Quality put together: what the web is given of it, and what goes on in the background."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from typing import Any

from cti.clock import Clock
from cti.model.centre import Centre
from cti.quality.rows import Reader, TeamSummary
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

    async def team_day(self, day: date, team: str, queues: Collection[str] | None) -> TeamSummary:
        """A team's day, for its mail; of calls of these queues only, None: of all."""
        who = Reader(username="", queues=None if queues is None else tuple(queues))
        return await self.rooms.figures.summary(who, day=day, team=team)

    async def begin(self) -> None:
        """Make the first form, where there has never been one."""
        await self._office.forms.begin()

    async def draw(self) -> int:
        """Draw from the days that are over; how many calls."""
        return await self._office.samples.draw_due()

    async def run(self) -> None:
        """Make the first form, and draw by the clock."""
        await self._office.run()
