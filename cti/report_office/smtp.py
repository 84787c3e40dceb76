"""Mail through a mail server. The standard library's client, in threads; every step has a deadline.

A mail is handed over in two steps, so that the caller can write down that the text is about to go out: whatever fails
before may be tried again; if the line breaks while the text goes out, nobody knows, and it must not be tried blindly.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY

from cti.errors import CtiError
from cti.settings import Mail

SECONDS = 30.0
"""For each answer of the mail server."""


class MailTrouble(CtiError):
    """A mail was not sent. `again`: it may be tried later; `unknown`: it may have been sent."""

    error_id = "mail_failed"

    def __init__(self, message: str, *, again: bool, unknown: bool = False) -> None:
        super().__init__(message)
        self.again = again
        self.unknown = unknown


class MailServer:
    """The mail server of the settings."""

    def __init__(self, settings: Mail) -> None:
        self._settings = settings

    @property
    def sender(self) -> str:
        """From whom mails are."""
        return self._settings.sender

    async def send(
        self, message: EmailMessage, to: Sequence[str], about_to: Callable[[], Awaitable[None]]
    ) -> list[str]:
        """Send it; `about_to` is awaited just before the text goes out. Gives the addresses that were refused.

        Raises `MailTrouble`.
        """
        content = message.as_bytes(policy=SMTP_POLICY)
        try:
            client, refused = await asyncio.to_thread(self._open, to)
        except (OSError, smtplib.SMTPException) as error:
            raise _trouble(error) from error
        try:
            await about_to()
            try:
                await asyncio.to_thread(_hand_over, client, content)
            except smtplib.SMTPDataError as error:
                raise _trouble(error) from error
            except (OSError, smtplib.SMTPException) as error:
                raise MailTrouble(
                    f"the line broke while the mail went out: {_text(error)}", again=False, unknown=True
                ) from error
            except asyncio.CancelledError:
                raise
        finally:
            await asyncio.shield(asyncio.to_thread(_close, client))
        return refused

    def _open(self, to: Sequence[str]) -> tuple[smtplib.SMTP, list[str]]:
        settings = self._settings
        context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
        client = (
            smtplib.SMTP_SSL(settings.host, settings.port, timeout=SECONDS, context=context)
            if settings.security == "tls"
            else smtplib.SMTP(settings.host, settings.port, timeout=SECONDS)
        )
        try:
            if settings.security == "starttls":
                client.starttls(context=context)
            if settings.username:
                client.login(settings.username, _password(settings))
            client.ehlo_or_helo_if_needed()
            code, answer = client.mail(settings.sender)
            if code != 250:
                raise smtplib.SMTPSenderRefused(code, answer, settings.sender)
            refused = {}
            for address in to:
                code, answer = client.rcpt(address)
                if code not in (250, 251):
                    refused[address] = (code, answer)
            if len(refused) == len(to):
                raise smtplib.SMTPRecipientsRefused(refused)
        except BaseException:
            _close(client)
            raise
        return client, [
            f"{address}: {code} {answer.decode(errors='replace')}" for address, (code, answer) in refused.items()
        ]


def _password(settings: Mail) -> str:
    if settings.password_file is None:
        return ""
    return settings.password_file.read_text(encoding="utf-8").strip()


def _hand_over(client: smtplib.SMTP, content: bytes) -> None:
    code, answer = client.data(content)
    if code != 250:
        raise smtplib.SMTPDataError(code, answer)


def _close(client: smtplib.SMTP) -> None:
    try:
        client.quit()
    except (OSError, smtplib.SMTPException):
        client.close()


def _text(error: BaseException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        answer = error.smtp_error
        return f"{error.smtp_code} {answer.decode(errors='replace') if isinstance(answer, bytes) else answer}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(
            f"{address}: {code} {answer.decode(errors='replace')}"
            for address, (code, answer) in error.recipients.items()
        )
    return str(error) or type(error).__name__


def _trouble(error: Exception) -> MailTrouble:
    codes = (
        [code for code, _ in error.recipients.values()]
        if isinstance(error, smtplib.SMTPRecipientsRefused)
        else [error.smtp_code]
        if isinstance(error, smtplib.SMTPResponseException)
        else []
    )
    # 4xx is "later"; 5xx is "never", but a refused log-in is a setting that somebody will mend.
    for_ever = (
        bool(codes) and all(code >= 500 for code in codes) and not isinstance(error, smtplib.SMTPAuthenticationError)
    )
    return MailTrouble(
        f"the mail server refused: {_text(error)}" if codes else f"the mail server cannot be reached: {_text(error)}",
        again=not for_ever,
    )
