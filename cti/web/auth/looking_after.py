"""What is done about log-ins while nobody asks: open pages whose log-in is over are told so, and what must outlive a restart
is written down."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from cti.web.auth.sessions import Session
from cti.web.deps import ACCESS, SESSIONS
from cti.web.feed import HUB
from cti.web.phone_logins import look_after_phones

log = structlog.get_logger(__name__)

EVERY = 5.0
"""Seconds from one look to the next: so long a page may stay open whose owner's account has changed."""
LOOKS_TO_KEEP = 6
"""Every so many looks the files are written."""


def still(app: web.Application, session: Session) -> bool:
    """Whether a session that was read before holds."""
    return app[ACCESS].still(session) if session.token is not None else app[SESSIONS].still(session)


def look(app: web.Application) -> None:
    """Close the feeds whose log-in is over; the others' log-ins count as used."""
    hub = app[HUB]
    for session in {client.session.nonce: client.session for client in hub.clients}.values():
        if not still(app, session):
            hub.end_session(session.nonce)


async def _keep(app: web.Application) -> None:
    try:
        await app[SESSIONS].keep()
        await app[ACCESS].keep()
    except OSError as error:  # a full disk must not log anybody out
        log.error("log_ins_not_kept", error=str(error))


async def _run(app: web.Application) -> None:
    while True:
        for _ in range(LOOKS_TO_KEEP):
            await asyncio.sleep(EVERY)
            look(app)
            look_after_phones(app)
        await _keep(app)


async def look_after_log_ins(app: web.Application) -> AsyncIterator[None]:
    """While the application runs, and once more at its end."""
    task = asyncio.create_task(_run(app), name="look after log-ins")
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await _keep(app)
