"""Commands that the telephone system surely did not carry out: what the floor had counted on is taken back, one way each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from cti.model.commands import Command, Deliver, DialCustomer, DialParty, RingForCallback
from cti.model.dial_commands import Rejoin, Resume, RingToDial
from cti.model.facts import OfferEnd
from cti.model.supervision_commands import DialWatcher
from cti.services import agent_first, callbacks, consults, dialling, resumption, supervision_watch
from cti.services.switchboard import Switchboard


def _deliver_refused(board: Switchboard, command: Deliver, now: datetime) -> None:
    call = board.calls.get(command.call_id)
    if call is not None and call.offer_id == command.offer_id:
        # The channel cannot be redirected: it is on its way out, and its end comes as a signal, or it will say
        # itself when it waits again. Until then it is not offered to anybody.
        board.end_offer(call, OfferEnd.SUPERSEDED, now, at=now, deliverable=False)


def _not_resumed(board: Switchboard, command: Resume | Rejoin, now: datetime) -> None:
    resumption.refused(board, command)


TAKES_BACK: dict[type[object], Callable[[Switchboard, Any, datetime], None]] = {
    Deliver: _deliver_refused,
    Resume: _not_resumed,
    Rejoin: _not_resumed,
    RingToDial: dialling.not_rung,
    DialCustomer: callbacks.not_sent,
    DialParty: consults.not_sent,
    RingForCallback: agent_first.not_sent,
    DialWatcher: supervision_watch.not_sent,
}
"""By the kind of command. After every other one there is nothing to take back: what is there is told by signals."""


def take_back(board: Switchboard, command: Command, now: datetime) -> bool:
    """The command was surely not carried out; whether that changed anything here."""
    take = TAKES_BACK.get(type(command))
    if take is None:
        return False
    take(board, command, now)
    return True
