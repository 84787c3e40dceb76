"""Counting everything anew by itself: after an upgrade whose definitions are others, after a change of the centre's time zone.

It goes on beside the calls; what did not come to its end is gone on with by the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import asyncpg
import structlog

from cti.errors import CtiError
from cti.ids import QueueName
from cti.reports.counted import QueueRules
from cti.store.figure_check import rebuild, stale
from cti.store.pool import UNREACHABLE, connect, naming

_log = structlog.get_logger(__name__)

LOOK_EVERY = 60.0
"""Seconds between looks whether something has to be counted anew."""
ASK_AGAIN = 3.0
"""Seconds after which it is tried again to tell the live figures what the reports have of today."""
CHUNK_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Anew:
    """How far it is."""

    done: int
    of: int


class Today(Protocol):
    """Tells the live figures what the reports have of today."""

    async def __call__(self, *, last: bool) -> None:
        """`last`: it is all there, nothing more has to be told. Raises `CtiError`."""


async def progress(connection: asyncpg.Connection | asyncpg.Pool) -> Anew | None:
    """How far the counting is; None: nothing is being counted anew."""
    row = await connection.fetchrow("SELECT recount_done AS done, recount_of AS of FROM cti.report_state")
    return None if row is None or row["of"] is None else Anew(done=row["done"], of=row["of"])


class CountsAnew:
    """A task of the application's. `rules`, `zone` and `allowed` as for the drain."""

    def __init__(
        self,
        dsn: str,
        *,
        rules: Callable[[], Mapping[QueueName, QueueRules]],
        zone: Callable[[], str],
        allowed: Callable[[], Mapping[str, timedelta]],
    ) -> None:
        self._dsn = dsn
        self._rules = rules
        self._zone = zone
        self._allowed = allowed

    async def run(self, today: Today, asked: Callable[[], bool]) -> None:
        """Look now and then, and count, for ever. What fails is told, and tried again.

        `asked`: whether the live figures want to know what the reports have of today; then they are told by `today`, before
        everything is counted anew (there may be more then) and after.
        """
        while True:
            told = not asked()
            try:
                needed = await self.needed()
                if not told:
                    await today(last=not needed)
                    told = True
                if needed:
                    await self.once()
                    if asked():
                        await today(last=True)
            except (CtiError, asyncpg.PostgresError, *UNREACHABLE) as error:
                _log.warning("figures_not_counted_anew", error=str(error).partition("\n")[0])
            await asyncio.sleep(LOOK_EVERY if told else ASK_AGAIN)

    async def needed(self) -> bool:
        """Whether everything has to be counted anew."""
        connection = await connect(self._dsn)
        try:
            with naming("it cannot be seen whether figures must be counted anew"):
                return bool(await stale(connection, self._zone()))
        finally:
            await _left(connection)

    async def once(self) -> int | None:
        """Count everything anew where that is needed; how many calls. None: it was not."""
        connection = await connect(self._dsn, command_timeout=CHUNK_TIMEOUT)
        try:
            with naming("it cannot be seen whether figures must be counted anew"):
                why = await stale(connection, self._zone())
            if not why:
                return None
            _log.info("figures_counted_anew", why=why)
            count = await rebuild(
                connection, self._rules(), self._zone(), allowed=self._allowed(), gently=True, go_on=True
            )
            _log.info("figures_are_counted", calls=count)
            return count
        finally:
            await _left(connection)


async def _left(connection: asyncpg.Connection) -> None:
    """Close it; one that is broken must not hide what broke it."""
    try:
        await connection.close(timeout=2.0)
    except (asyncpg.PostgresError, *UNREACHABLE):
        connection.terminate()
