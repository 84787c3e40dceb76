"""The watch at the SIP port: who knocks without a right to is counted, told, and shut out for a while.

Once a second: what Asterisk noted of challenges and refusals (`cti.asterisk.refusals`) goes into metrics and the alert
`sip_refused`; addresses that are refused too often (`cti.asterisk.bans`) are written into `cti/banned.conf` in Asterisk's
configuration, which reads that file again without touching anything else (measured: it holds 11 ms later). Asterisk's logs
are kept short on the way. Nothing here is needed for a call: whatever fails is told and tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import structlog

from cti.asterisk.bans import BanList, Network
from cti.asterisk.refusals import KEEP_BYTES, Heard, Knock, NoticeFile
from cti.clock import Clock
from cti.errors import CtiError
from cti.metrics.registry import Metrics
from cti.private_file import write_private
from cti.services.switchboard import Switchboard
from cti.settings import Settings

log = structlog.get_logger(__name__)

EVERY = 1.0
"""Seconds between two looks."""
ASK_AGAIN = 60.0
"""Seconds after which a carrier's name that was not known is asked for again."""
OTHER_KEEP_BYTES = 4 * KEEP_BYTES
"""Of Asterisk's log of warnings and errors, which a flood hardly touches."""
BANS = "cti/banned.conf"
MODULE = "res_pjsip.so"


class Reloadable(Protocol):
    """An Asterisk that can be told to read its files again. `AmiTelephony` is one."""

    async def reload(self, module: str) -> None:
        """Have it read a module's configuration again. Raises `RemoteError`."""
        ...


async def networks(told: str) -> list[Network]:
    """An address, a network or a name, as networks. A name that is not known now is none."""
    with contextlib.suppress(ValueError):
        return [ipaddress.ip_network(told, strict=False)]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(told, None)
    except (OSError, UnicodeError):
        log.warning("carrier_not_known_by_name", name=told)
        return []
    return [ipaddress.ip_network(str(place[4][0]).partition("%")[0]) for place in found]


class SipGuard:
    """`run` in the background."""

    def __init__(
        self, settings: Settings, *, asterisk: Reloadable, etc: Path, board: Switchboard, metrics: Metrics, clock: Clock
    ) -> None:
        """`etc`: the folder of Asterisk's configuration, as rendered."""
        log_folder = etc / "log"
        self._notices = NoticeFile(log_folder / "notices.log")
        self._other = [
            NoticeFile(log_folder / name, keep_bytes=OTHER_KEEP_BYTES) for name in ("asterisk.log", "console.log")
        ]
        self._file = etc / BANS
        self._asterisk = asterisk
        self._board = board
        self._metrics = metrics
        self._clock = clock
        self._carrier = list(settings.trunk.match)
        """Addresses and names that are not on the list of those never banned yet."""
        self._list = BanList(
            after=settings.sip.ban_after,
            lasting=timedelta(minutes=settings.sip.ban_minutes),
            never=settings.sip.never_ban,
        )
        self._stale = False
        """Asterisk does not know the list as it is."""
        self._troubled = ""

    async def run(self) -> None:
        """Look every second, for ever."""
        if not self._notices.there():
            # Asterisk may only be starting; one of one's own writes no such file.
            log.info("sip_port_not_watched_yet", file=str(self._notices.path))
        while not self._notices.there():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(EVERY)
        self._take_up()
        await self._guarded(self._trust_who_was_let_in)
        asked = 0.0
        while True:
            if self._carrier and self._clock.monotonic() >= asked:
                asked = self._clock.monotonic() + ASK_AGAIN
                await self._guarded(self._know_the_carrier)
            await asyncio.sleep(EVERY)
            await self._guarded(self._one_turn)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Whatever it is: no call needs it, so it must not end the bridge."""
        try:
            await work()
        except Exception as error:
            self._trouble(f"{type(error).__name__}: {error}")

    async def _trust_who_was_let_in(self) -> None:
        """What was there before tells who may be trusted, not who has just come."""
        self._list.hear(await asyncio.to_thread(self._notices.let_in_before), self._clock.now())
        await self._look()

    async def _know_the_carrier(self) -> None:
        """Names are asked again until they are known: the resolver may come later than we do."""
        for one in list(self._carrier):
            if found := await networks(one):
                self._list.never += found
                self._carrier.remove(one)

    async def _one_turn(self) -> None:
        passed_over = self._notices.passed_over
        heard = await self._look()
        if self._notices.passed_over != passed_over:
            self._list.keep_trust(self._clock.now())
        await self.turn(heard)

    async def turn(self, heard: list[Heard]) -> None:
        """One look: what was heard counts, bans begin and end."""
        now = self._clock.now()
        counts = Counter(one.knock for one in heard)
        for knock, count in counts.items():
            self._metrics.sip_knocks.labels(knock.value).inc(count)
        troubles = self._board.alarms.sip
        known = troubles.any()
        troubles.told(
            now, counts[Knock.CHALLENGED] + counts[Knock.WRONG] + counts[Knock.MALFORMED] - counts[Knock.ACCEPTED]
        )
        if known or troubles.any():
            self._board.supervision.wake()
        self._list.hear(heard, now)
        for ban in self._list.expire(now):
            self._stale = True
            log.info("sip_ban_over", address=ban.network)
        for ban in self._list.ban(now):
            self._stale = True
            log.warning("sip_address_banned", address=ban.network, seconds=ban.lasting.total_seconds())
        if self._stale:
            await self._tell()

    async def _tell(self) -> None:
        """Have Asterisk know the list."""
        try:
            await asyncio.to_thread(write_private, self._file, self._list.written().encode())
            await self._asterisk.reload(MODULE)
        except (CtiError, OSError) as error:
            self._trouble(f"the list of banned addresses was not taken: {error}")
            return
        self._stale = False
        self._metrics.sip_banned.set(len(self._list.bans))

    async def _look(self) -> list[Heard]:
        try:
            heard = await asyncio.to_thread(self._notices.take)
            for file in (self._notices, *self._other):
                if await asyncio.to_thread(file.keep_short):
                    log.warning("asterisk_log_begun_anew", file=file.path.name, kept=file.path.name + ".1")
        except OSError as error:
            self._trouble(f"Asterisk's notices cannot be read: {error}")
            return []
        return heard

    def _take_up(self) -> None:
        """Bans of a run before this one go on."""
        try:
            text = self._file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return
        self._list.read(text, self._clock.now())
        self._stale = bool(text)
        self._metrics.sip_banned.set(len(self._list.bans))

    def _trouble(self, what: str) -> None:
        """Told once, until it is another."""
        if what != self._troubled:
            self._troubled = what
            log.warning("sip_guard_hampered", why=what)
