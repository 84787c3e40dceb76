"""Mails that are due are made and sent: each once, over restarts; what fails is tried again and shown on the page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

import structlog

from cti.clock import Clock
from cti.errors import CtiError
from cti.report_office.rhythm import dues
from cti.report_office.smtp import MailServer, MailTrouble
from cti.services.report_desk import MailState, ReportFile
from cti.store.report_shelf import DueMail, ReportShelf

_log = structlog.get_logger(__name__)

LONGEST_REST = 30.0
"""Seconds between looks at what is due; a change is looked at at once."""
RETRIES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 60, 120, 240, 480))
"""How long after each failed try comes the next; after the last it is given up."""
INTERRUPTED = "the server was stopped while the mail went out"

MakeMail = Callable[[DueMail], Awaitable[tuple[str, str, ReportFile]]]
"""Subject, text and file of a mail."""


class Mailing:
    """The background work of schedules."""

    def __init__(
        self, shelf: ReportShelf, server: MailServer, make: MakeMail, *, zone: Callable[[], str], clock: Clock
    ) -> None:
        self._shelf = shelf
        self._server = server
        self._make = make
        self._zone = zone
        self._clock = clock
        self._changed = asyncio.Event()

    def look(self) -> None:
        """Something has changed: look now."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled. A database that is away is waited for."""
        begun = False
        while True:
            rest = LONGEST_REST
            try:
                if not begun:
                    if lost := await self._shelf.interrupted(INTERRUPTED):
                        _log.warning("report_mails_unknown", mails=lost)
                    begun = True
                rest = await self.turn()
            except CtiError as error:
                _log.warning("report_mails_wait", error=error.message)
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._changed.wait()

    async def turn(self) -> float:
        """Do what is due now; gives the seconds until there may be something to do."""
        now = self._clock.now()
        for schedule in await self._shelf.due_schedules(now):
            if schedule.next_at is None:
                continue
            due, coming = dues(schedule.wish, schedule.next_at, now, self._zone())
            await self._shelf.book(schedule.schedule_id, schedule.next_at, due, coming)
        for mail in await self._shelf.due_mails(now):
            await self._send(mail)
        coming_ = await self._shelf.next_moment()
        if coming_ is None:
            return LONGEST_REST
        return min(LONGEST_REST, max(0.2, (coming_ - self._clock.now()).total_seconds()))

    async def _send(self, mail: DueMail) -> None:
        own = mail.message_id or self._message_id(mail)
        if not await self._shelf.begin(mail.mail_id, own):
            return
        try:
            subject, text, file = await self._make(mail)
            message = _message(self._server.sender, mail, subject, text, file, own)
        except (CtiError, ValueError) as error:
            await self._later(mail, error.message if isinstance(error, CtiError) else str(error), again=True)
            return

        async def about_to() -> None:
            await self._shelf.mark(mail.mail_id, MailState.SENDING)

        try:
            refused = await self._server.send(message, mail.to, about_to)
        except MailTrouble as trouble:
            if trouble.unknown:
                _log.warning("report_mail_unknown", mail=mail.mail_id, error=trouble.message)
                await self._shelf.mark(mail.mail_id, MailState.UNKNOWN, trouble=trouble.message)
            else:
                await self._later(mail, trouble.message, again=trouble.again)
            return
        await self._shelf.mark(mail.mail_id, MailState.SENT, trouble="; ".join(refused), sent_at=self._clock.now())
        _log.info("report_mail_sent", mail=mail.mail_id, recipients=len(mail.to), refused=len(refused))

    async def _later(self, mail: DueMail, trouble: str, *, again: bool) -> None:
        _log.warning("report_mail_failed", mail=mail.mail_id, tries=mail.attempts + 1, error=trouble)
        if again and mail.attempts < len(RETRIES):
            next_at: datetime = self._clock.now() + RETRIES[mail.attempts]
            await self._shelf.mark(mail.mail_id, MailState.DUE, trouble=trouble, next_at=next_at)
        else:
            await self._shelf.mark(mail.mail_id, MailState.FAILED, trouble=trouble)

    def _message_id(self, mail: DueMail) -> str:
        # The same in every try, so that a mail server that got it twice can tell.
        domain = self._server.sender.rpartition("@")[2].strip(">") or "localhost"
        return f"<report-{mail.mail_id}-{int(mail.due_at.timestamp())}@{domain}>"


def _message(sender: str, mail: DueMail, subject: str, text: str, file: ReportFile, message_id: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(mail.to)
    message["Subject"] = " ".join(subject.split())
    message["Date"] = format_datetime(mail.due_at)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    main, _, sub = file.media.partition(";")[0].partition("/")
    message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    return message
