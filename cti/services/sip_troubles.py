"""How often requests are refused at the SIP port, as an alert wants it: in the last minute."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

MINUTE = timedelta(seconds=60)


class SipTroubles:
    """Told once a second by whoever watches the port; where nobody does, nothing is known."""

    def __init__(self) -> None:
        self._told: deque[tuple[datetime, int]] = deque()

    def told(self, now: datetime, refused: int) -> None:
        """So many more were refused (less those let in) since the last time."""
        if refused:
            self._told.append((now, refused))

    def refused(self, now: datetime) -> float:
        """Requests refused in the last minute."""
        while self._told and not now - MINUTE < self._told[0][0] <= now:
            self._told.popleft()
        return float(max(0, sum(count for _, count in self._told)))

    def any(self) -> bool:
        """Whether there may be anything to look at."""
        return bool(self._told)
