"""When what only a snapshot tells of is said to have been."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cti.model import signals as s
from cti.model.call import Call

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard


def told_at(board: Switchboard, call: Call, snapshot: s.Snapshot, now: datetime) -> datetime:
    """When it was asked for, for then it was so; what signals tell of later moments is still to come. Never before what is known of
    the call already: no times run backwards."""
    known = (fact.at for fact in board.history.get(call.call_id, ()))
    return min(now, max(snapshot.asked_at or now, call.since, *known))
