"""Callbacks in a part of the day that the caller chose: the ticket is that of any callback, and it is not dialled before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from cti.ids import CallId, QueueName
from cti.model.call import CallState
from cti.model.callback_window import CallbackWindow
from cti.services import callbacks
from cti.services.desk import CallOver
from cti.services.switchboard import Switchboard
from cti.services.terms import ticket_fact


def ask_callback_in(
    board: Switchboard, call_id: CallId, queue: QueueName, number: str | None, window: CallbackWindow, now: datetime
) -> datetime | None:
    """Promise a call in the menus a callback in this part of the day, while customers of the queue may be called.

    Gives the first moment it may come, by the clock on the centre's wall. None, and nothing changed: it cannot be, there is no
    such moment in the days to come, or the queue is no more. A callback that waits for this number already stays as it is.
    Raises `CallOver`.
    """
    call = board.calls.get(call_id)
    if call is None:
        raise CallOver(f"call {call_id} is not live", call_id=call_id)
    rules = board.centre.queues.get(queue)
    if call.state is not CallState.MENU or call.destination or rules is None:
        return None
    zone = ZoneInfo(board.centre.time_zone)
    calendar = board.centre.calendars.get(rules.callback.calendar or rules.calendar)
    moment = window.first_moment(now, zone, calendar)
    if moment is None:
        return None
    ticket = replace(ticket_fact(board, call, queue, now), not_before=moment if moment > now else None)
    asked = number or call.caller_number
    made = callbacks.ask_callback(board, call, asked, now, confirmed=True, ticket=ticket, in_session=True)
    if made is None:
        return None
    waiting = board.calls.get(made)
    planned = waiting.retry_at if waiting is not None and waiting.absent else None
    return (planned or moment).astimezone(zone)
