"""All that happens on the floor by the passing of time alone."""

from __future__ import annotations

from datetime import datetime

from cti.services import departures
from cti.services.switchboard import Switchboard


def next_due(board: Switchboard, now: datetime) -> datetime | None:
    """When `tick` has something to do next; a moment that is over means at once."""
    moments = [moment for moment in (board.next_due(now), departures.next_due(board, now)) if moment is not None]
    return min(moments, default=None)


def tick(board: Switchboard, now: datetime) -> None:
    """Do what is due: wrap-ups and breaks that ran out, leases, pauses, decisions; then who has to leave a queue."""
    board.tick(now)
    departures.tick(board, now)
