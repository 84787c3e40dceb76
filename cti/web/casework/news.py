"""Complaints that are escalated, told at once over the feeds of those whom it concerns: the owner's pages, or the supervisors'.

It is a message beside the numbered ones (`escalated`), and only a word: the task that says the same is in the owner's or the
supervisors' queue already, so that who has no page open loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from cti.casework.rows import Escalation
from cti.web.auth.accounts import Account
from cti.web.auth.permissions import Role
from cti.web.cuts import EVERYTHING, Cut
from cti.web.feed import HUB, SLOW
from cti.web.wire import encode

REMINDED = 1
"""The step at which only the owner is told."""


def concerns(account: Account, escalation: Escalation, cut: Cut = EVERYTHING) -> bool:
    """Whether somebody with this account, who sees so much of the floor, is told."""
    mine = escalation.owner is not None and escalation.owner in (account.agent_id, account.username)
    theirs = cut.queues is None or escalation.queue is None or escalation.queue in cut.queues
    return mine or (escalation.step > REMINDED and account.role in (Role.SUPERVISOR, Role.ADMIN) and theirs)


def teller(app: web.Application) -> Callable[[Escalation], None]:
    """What tells the open feeds of this application."""

    def tell(escalation: Escalation) -> None:
        hub = app[HUB]
        message = encode(
            {
                "type": "escalated",
                "complaint_id": escalation.complaint_id,
                "step": escalation.step,
                "subject": escalation.subject,
                "due_at": escalation.due_at,
            }
        )
        for client in hub.clients:
            if concerns(client.session.account, escalation, client.cut) and not client.say(message):
                hub.drop(client, SLOW, b"too slow")

    return tell
