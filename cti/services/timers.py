"""All that happens on the floor by the passing of time alone."""

from __future__ import annotations

from datetime import datetime

from cti.services import (
    alarms,
    consults,
    departures,
    dialling,
    heartbeats,
    resumption,
    supervision_floor,
    tolls,
    transfers,
)
from cti.services.switchboard import Switchboard


def next_due(board: Switchboard, now: datetime) -> datetime | None:
    """When `tick` has something to do next; a moment that is over means at once."""
    moments = (
        board.next_due(now),
        departures.next_due(board, now),
        transfers.next_due(board),
        consults.next_due(board),
        resumption.next_due(board, now),
        dialling.next_due(board, now),
        heartbeats.next_due(board, now),
        board.alarms.next_due(board.centre.alerts, capped=board.centre.outbound.tolls.any()),
        supervision_floor.next_due(board),
        tolls.next_due(board, now),
    )
    return min((moment for moment in moments if moment is not None), default=None)


def tick(board: Switchboard, now: datetime) -> None:
    """Do what is due: wrap-ups and breaks that ran out, leases, pauses, decisions; then who has to leave a queue."""
    board.tick(now)
    transfers.tick(board, now)
    consults.tick(board, now)
    departures.tick(board, now)
    resumption.tick(board, now)
    dialling.tick(board, now)
    heartbeats.tick(board, now)
    tolls.tick(board, now)
    alarms.tick(board, now)
    supervision_floor.tick(board, now)
