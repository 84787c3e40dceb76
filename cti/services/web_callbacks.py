"""Calls asked for on the web page: a callback that no call asked for, put at the end of a queue's line.

It is like any other callback from then on (see `callbacks`): called when its turn comes, within the hours of its queue,
never twice, over a restart of the bridge, too. Its id follows from the page's own key of the request, so a request that is
sent again finds the callback it made; so does one for a number that waits to be called by that queue already.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from cti.ids import CallId, QueueName
from cti.model import facts as f
from cti.model.callback import callback_id
from cti.model.facts import Direction
from cti.services import callbacks, outbound
from cti.services.floor import Refused
from cti.services.ports import LookUp
from cti.services.switchboard import Switchboard
from cti.services.terms import ticket_fact

MOST_WAITING = 500
"""Callbacks that may wait in all lines together before the web page is refused: it must not crowd out who called."""


def asked_by(board: Switchboard, key: str) -> CallId:
    """Stands for the call that did not take place: what the callback's id is made of."""
    return CallId(f"{board.node}-web.{hashlib.sha256(key.encode()).hexdigest()[:20]}")


def ask(
    board: Switchboard,
    number: str,
    queue: QueueName,
    now: datetime,
    *,
    key: str,
    language: str = "",
    known: LookUp | None = None,
) -> CallId:
    """Put a callback into the line of `queue`, with what its customer's tier is worth; give its id.

    Raises `Refused`: unknown_queue, no_trunk, no_number, not_allowed (not on the list of what may be dialled), line_full.
    """
    parent = asked_by(board, key)
    new_id = callback_id(parent)
    if new_id in board.calls or new_id in board.closed:
        return new_id
    if queue not in board.centre.queues:
        raise Refused("unknown_queue", f"there is no queue {queue!r}", remedy="choose one of the centre's")
    read = board.normalise(number)
    problem = outbound.why_not(board, read)
    if problem or read is None:
        raise Refused(problem or "no_number", "this number cannot be called back", remedy="give another number")
    waiting = callbacks.waiting_at(board, read, queue)
    if waiting is not None:
        return waiting.call_id
    if len(board.callbacks) >= MOST_WAITING:
        raise Refused("line_full", "too many callbacks wait", remedy="try again later, or call")
    board.record(
        f.CallStarted(
            at=now,
            call_id=new_id,
            node=board.node,
            direction=Direction.OUTBOUND,
            caller_number=read,
            did=next(iter(board.centre.numbers), ""),
            parent=parent,
        )
    )
    if language in board.centre.languages:
        board.record(f.LanguageChosen(at=now, call_id=new_id, language=language))
    if known is not None:
        board.know_customer(new_id, known, now)
    else:
        board.out.look_ups.append((new_id, read))
    board.record(ticket_fact(board, board.calls[new_id], queue, now, by="web"))
    board.join_queue(board.calls[new_id], now, deliverable=False)
    return new_id
