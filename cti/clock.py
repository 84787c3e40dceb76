"""Time enters the house here and nowhere else; pure rooms are given `now`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


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
