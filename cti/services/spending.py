"""What dialling out costs, as the pages and programs see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CapRow:
    """One cap. Money is in the centre's currency."""

    limit: str
    """"dials_an_hour", "minutes_a_day", "cost_an_hour" or "cost_a_day"."""
    cap: float
    used: float
    """Within the window that ends now; of costs with what calls that ring would cost at least."""
    share: float
    """0 to 1, and above where calls go on. At least 1 while calls are refused because of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentRow:
    """What one has spent."""

    scope: str
    """"centre", "queue", "agent" or "supervisor"."""
    name: str
    """The queue, the extension, the user; empty for the centre."""
    dials_today: int
    minutes_today: float
    cost_today: float
    cost_this_hour: float
    """Of the last 60 minutes."""
    running: int
    """Calls over the trunk now."""
    caps: tuple[CapRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was spent today, by whom: the centre first, then who spent most."""

    since: datetime
    """Midnight in the centre's time zone."""
    currency: str
    """Empty where there is no price list."""
    rows: tuple[SpentRow, ...]


class Spending(Protocol):
    """Tells what was spent."""

    def spent(self) -> Spent:
        """As it is now, or was up to 5 seconds ago."""
        ...
