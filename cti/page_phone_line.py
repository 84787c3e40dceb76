"""Telephones in pages: their secrets joined with the link to Asterisk, or nothing where passwords stand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NoReturn, Protocol

from cti.asterisk.ami.kept_secrets import AsteriskLink, KeptSecrets
from cti.asterisk.render import AsteriskSecrets
from cti.certificates import encrypted
from cti.clock import SteadyClock
from cti.model.centre import Centre
from cti.model.signals import Signal
from cti.services.page_phones import PagePhones
from cti.services.phone_secrets import PhoneSecrets
from cti.settings import Settings

STANDING = "standing"


def page_accounts(names: Iterable[str]) -> frozenset[str]:
    """The accounts of pages, by the names of all SIP accounts of a centre."""
    return frozenset(f"{name}-web" for name in names if name != "webcall" and not name.endswith("-web"))


class Follower(Protocol):
    """Takes a centre to Asterisk. `AsteriskFollower.follow` is one."""

    async def __call__(self, centre: Centre, secrets: AsteriskSecrets, *, standing: bool) -> Sequence[str]:
        """`standing`: with standing passwords of telephones in pages. Gives what is left for a person to do."""
        ...


class PagePhoneLine:
    """What the composition has of it. `secrets` is None where passwords stand."""

    def __init__(self, settings: Settings, link: AsteriskLink, *, names: Iterable[str], clock: SteadyClock) -> None:
        """`names`: of all SIP accounts, as they are when they are asked for."""
        self._phones: PagePhones | None = None
        if settings.sip.browser_secrets != STANDING:
            self._phones = PagePhones(
                KeptSecrets(link),
                accounts=lambda: page_accounts(names),
                lines=settings.sip.webcall_lines,
                clock=clock,
                ahead=clock.ahead,
                # Plain pages are this machine's own, or those of a proxy; one that is believed tells visitors apart.
                behind_proxy=not settings.network.proxies
                and (not encrypted(settings) or settings.network.public_url != ""),
            )

    @property
    def secrets(self) -> PhoneSecrets | None:
        """For the web."""
        return self._phones

    def followed(self, follow: Follower) -> Callable[[Centre, AsteriskSecrets], Awaitable[Sequence[str]]]:
        """The same, so that an Asterisk that was started without our secrets never reads accounts that need them."""

        async def careful(centre: Centre, secrets: AsteriskSecrets) -> Sequence[str]:
            return await follow(centre, secrets, standing=self._phones is not None and not await self._phones.taken())

        return careful

    def hear(self, signal: Signal) -> None:
        """What the telephone system reports."""
        if self._phones is not None:
            self._phones.hear(signal)

    async def run(self) -> NoReturn:
        """Keep Asterisk in step, for ever. The owner's task; cancel it to stop."""
        if self._phones is not None:
            await self._phones.run()
        while True:
            await asyncio.Event().wait()
