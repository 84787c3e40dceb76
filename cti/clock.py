"""Time enters the house here and nowhere else; pure rooms are given `now`."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Protocol


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """Wall-clock time, aware, UTC: for facts and records."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back: for deadlines and timers."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Wall-clock time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return time.monotonic()


BUSY_RATE = 0.02
"""By how much a second of ours may differ from a real one while somebody is on the line."""
IDLE_RATE = 0.5
"""The same while nobody is, to come back to a clock that was put back."""
FOLLOW_EVERY = 1.0
LARGEST_STEP = 2 * 3600.0


class SteadyClock:
    """Wall-clock time that does not jump when the machine's clock is set.

    It begins with the machine's time and goes on with the monotonic clock. When the machine's clock is stepped, every deadline
    and every duration in the house would be wrong by the step: wrap-ups end early, calls last an hour or less than
    nothing. So a difference is worked off slowly while calls are on the line (`BUSY_RATE`), at once forward and at half
    speed backward while there are none. `now` never steps back. Time zones and summer time are no steps: all of it is UTC.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._since = monotonic()
        self._at = wall()
        self._behind = 0.0
        """What is still to be worked off, as seen at `_since`."""
        self._rate = BUSY_RATE

    def now(self) -> datetime:
        """Wall-clock time, aware, UTC; see the class about steps."""
        return datetime.fromtimestamp(self._seconds(), UTC)

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return self._monotonic()

    def ahead(self) -> timedelta:
        """By how much this clock is ahead of the machine's, for stamps that others took from that one."""
        return timedelta(seconds=self._seconds() - self._wall())

    def not_before(self, moment: datetime) -> None:
        """Go on from `moment` if it is later than now: what happened before a restart is not in the future after it.

        One that is more than `LARGEST_STEP` later is not believed: it would take longer than that to come back from it.
        """
        later = moment.timestamp() - self._seconds()
        if 0 < later <= LARGEST_STEP:
            self._at += later

    def follow(self, *, idle: bool) -> None:
        """Come nearer to the machine's clock. Call it every second or so; `idle`: no call is on the line."""
        here, moment = self._seconds(), self._monotonic()
        behind = self._wall() - here
        if behind > 0 and idle:
            here, behind = here + behind, 0.0
        self._at, self._since, self._behind = here, moment, behind
        self._rate = IDLE_RATE if idle else BUSY_RATE

    async def keep(self, idle: Callable[[], bool]) -> NoReturn:
        """Follow the machine's clock for ever."""
        while True:
            await asyncio.sleep(FOLLOW_EVERY)
            self.follow(idle=idle())

    def _seconds(self) -> float:
        passed = self._monotonic() - self._since
        return self._at + passed + math.copysign(min(self._rate * passed, abs(self._behind)), self._behind)
