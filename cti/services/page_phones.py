"""Who may use the telephones in pages, and until when. The one owner of these secrets.

Theory of operation. Every account of a browser has a few *places* in Asterisk's own database; the secret at any of them opens it.
A page is given a fresh secret at a place that is free, so pages that were there before keep theirs: one that belongs to another
log-in for as long as that lasts, an older one of the same log-in for `GRACE`, in which its registration ends or is renewed. A
place is closed by a secret that nobody is told: an account without any secret would be answered otherwise than one that does
not exist, and so be told from it.

Visitors get a *line*, an account with one place and besides a *ticket*, which the dialplan takes away when their call begins. So
one secret carries one call even while no bridge is there. A line is free again when its call is over, or `VISITOR_SECONDS`
after it was given and not used. The dialplan compares a ticket with the machine's clock, so it is written in that one's time.

What is held here is what Asterisk should keep; what could not be said is said when there is a link. After a start everything is
read from Asterisk, so that pages that are signed on stay so. Secrets themselves are never held here, and never logged.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import structlog

from cti.clock import Clock
from cti.errors import CtiError, RemoteError
from cti.model.signals import CallerEntered, ChannelGone, LinkLost, Signal, Snapshot
from cti.services.phone_secrets import (
    CLOSED,
    VISITORS,
    Kept,
    LinesBusy,
    PageLogin,
    SecretsStand,
    SecretStore,
    VisitorLine,
    line_names,
    places_of,
)

log = structlog.get_logger(__name__)

GRACE = 150
"""Seconds that an older secret of the same log-in stays good: a registration lasts 120."""
VISITOR_SECONDS = 120
"""Seconds from giving a line to the beginning of its call."""
SWEEP = 1.0
"""Seconds from one look at what is over to the next."""
LINK_PATIENCE = 5.0
"""Seconds a page waits for the link to Asterisk, which at a start comes a moment after the pages."""
AT_ONCE = 50
"""Places that are written without waiting for each other."""
NOT_TAKEN = "Asterisk does not take short-lived secrets of telephones in pages"
TAKE_THEM = (
    "take over the rendered sorcery.conf and restart Asterisk, or set sip.browser_secrets to standing "
    "(docs/own-asterisk.md)"
)
STAND = (
    "Asterisk was started with an older sorcery.conf: until it is started again, telephones in pages have standing "
    "passwords (docs/operations.md, Upgrade)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issued:
    """A secret that a page has. `at` is when it was given, milliseconds since the epoch; no two were given at the same one."""

    login: PageLogin
    at: int

    def mark(self) -> str:
        login = self.login
        return f"login {login.username} {login.role} {login.nonce} {login.epoch} {login.ends} {self.at}"


@dataclass(slots=True, kw_only=True)
class _Line:
    """One account for visitors."""

    until: int = 0
    """Given, and a call may be begun until then by the machine's clock; 0: not given."""
    ends: float = 0.0
    """The same by the clock that does not step: whichever comes first."""
    address: str = ""
    """Whose it is, or was."""
    channel: str = ""
    """Of the call on it."""
    used: int = 0
    """When it was given last: the one unused for longest is given next."""


class PagePhones:
    """Satisfies `cti.services.phone_secrets.PhoneSecrets`."""

    def __init__(
        self,
        store: SecretStore,
        *,
        accounts: Callable[[], Collection[str]],
        lines: int,
        clock: Clock,
        ahead: Callable[[], timedelta] = timedelta,
        behind_proxy: bool = False,
    ) -> None:
        """`accounts`: the pages' accounts as they are now; `lines`: how many visitors may call at once.

        `ahead`: by how much `clock` is ahead of the machine's, which the dialplan reads. `behind_proxy`: all visitors come from
        one address, which therefore says nothing.
        """
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._ahead = ahead
        self._behind_proxy = behind_proxy
        self._lines = {name: _Line() for name in line_names(lines)}
        self._per_address = max(1, lines // 4, min(2, lines // 2))
        """Lines that one address may have, given or in a call."""
        self._held: dict[str, _Issued] = {}
        """Place -> who has its secret."""
        self._known: set[str] = set()
        """Places that Asterisk has."""
        self._stale: set[str] = set()
        """Places, and lines, that are to be closed."""
        self._over: set[str] = set()
        """Log-ins that ended before it was known what Asterisk keeps."""
        self._read = False
        self._adopted = False
        self._trusted = False
        self._ready = asyncio.Event()
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._told = ""
        self._last = 0
        """When a secret was given last, in milliseconds."""

    # -- what pages ask for

    async def for_page(self, account: str, login: PageLogin) -> str:
        """See `PhoneSecrets.for_page`."""
        await self._reach(account)
        async with self._turn:
            await self._close(place for place in places_of(account) if place not in self._known)
            place = self._place_for(account, login)
            secret = _made_up()
            self._last = max(self._last + 1, self._now() * 1000)
            issued = _Issued(login=login, at=self._last)
            self._held.pop(place, None)
            self._stale.add(place)  # until it is sure what Asterisk has
            await self._store.put(place, account=account, secret=secret, mark=issued.mark())
            self._stale.discard(place)
            self._held[place] = issued
        return secret

    def _place_for(self, account: str, login: PageLogin) -> str:
        def rank(place: str) -> tuple[int, int]:
            held = self._held.get(place)
            if held is None:
                return 0, 0
            if self._newer(place) is not None:
                return 1, held.at
            return (2 if held.login.nonce == login.nonce else 3), held.at

        return min(places_of(account), key=rank)

    def _newer(self, place: str) -> int | None:
        """When the log-in that has this place was given a newer secret (milliseconds); None: it was not."""
        held = self._held[place]
        others = (self._held.get(other) for other in places_of(_account(place)) if other != place)
        since = [
            other.at
            for other in others
            if other is not None and other.login.nonce == held.login.nonce and other.at > held.at
        ]
        return min(since) if since else None

    async def for_visitor(self, address: str) -> VisitorLine:
        """See `PhoneSecrets.for_visitor`."""
        await self._reach(VISITORS)
        whose = "" if self._behind_proxy else _neighbours(address)
        async with self._turn:
            while True:
                self._end_lines()
                now = self._machine_now()
                name = self._line_for(whose, now)
                line, secret, until = self._lines[name], _made_up(), now + VISITOR_SECONDS
                line.until, line.address, line.used = 0, whose, now
                self._stale.add(name)
                await self._store.put(name, account=name, secret=secret, mark=f"visitor {until}")
                await self._store.ticket(name, until)
                if line.channel:
                    continue  # its call began meanwhile, by the secret that stood there: it is closed, and another one given
                self._stale.discard(name)
                line.until, line.ends, line.address = until, self._clock.monotonic() + VISITOR_SECONDS, whose
                return VisitorLine(account=name, secret=secret, until=until)

    def _line_for(self, whose: str, now: int) -> str:
        own = {name: line for name, line in self._lines.items() if whose and line.address == whose}
        unused = [name for name, line in own.items() if line.until]
        talking = sum(1 for line in own.values() if line.channel)
        free = [name for name, line in self._lines.items() if not line.until and not line.channel]
        if unused and (len(unused) + talking >= self._per_address or not free):
            return min(unused, key=lambda name: own[name].until)
        if talking >= self._per_address:
            raise LinesBusy(self._per_address, 60, of_address=True)
        if not free:
            given = [line.until for line in self._lines.values() if line.until]
            raise LinesBusy(len(self._lines), max(1, min(given) - now) if given else 60)
        return min(free, key=lambda name: self._lines[name].used)

    async def taken(self) -> bool:
        """Whether the Asterisk that runs lets pages in by these secrets. Raises `RemoteError` without a link."""
        try:
            async with asyncio.timeout(LINK_PATIENCE):
                await self._ready.wait()
        except TimeoutError:
            raise RemoteError(
                "the telephone system cannot be reached, so no telephone in a page can sign on",
                remedy="telephones that are signed on stay so; try again in a moment",
            ) from None
        if not self._trusted:
            await self._look_whether_taken()
        return self._trusted

    async def _look_whether_taken(self) -> None:
        first = next(iter(self._lines))
        self._trusted = await self._store.believes(first, first)
        trouble = STAND if not self._trusted and await self._store.believes(VISITORS, VISITORS) else NOT_TAKEN
        self._tell("" if self._trusted else trouble)

    async def _reach(self, account: str) -> None:
        if await self.taken():
            return
        if await self._store.believes(account, account):
            raise SecretsStand(account)
        raise RemoteError(NOT_TAKEN, remedy=TAKE_THEM)

    # -- what ends

    def ended(self, nonce: str) -> None:
        """See `PhoneSecrets.ended`."""
        if not self._adopted:
            self._over.add(nonce)
        self._end([place for place, held in self._held.items() if held.login.nonce == nonce])

    def look(self, holds: Callable[[PageLogin], bool]) -> None:
        """See `PhoneSecrets.look`."""
        over = {held.login for held in self._held.values() if not holds(held.login)}
        self._end([place for place, held in self._held.items() if held.login in over])

    def _end(self, places: Iterable[str]) -> None:
        for place in places:
            del self._held[place]
            self._stale.add(place)
            self._wake.set()

    def hear(self, signal: Signal) -> None:
        """What the telephone system reports."""
        if isinstance(signal, CallerEntered):
            line = self._lines.get(name := _account_on(signal.channel))
            if line is not None:
                line.channel, line.until = signal.channel, 0
                self._stale.add(name)
                self._wake.set()
        elif isinstance(signal, ChannelGone):
            line = self._lines.get(_account_on(signal.channel))
            if line is not None and line.channel == signal.channel:
                line.channel = line.address = ""
        elif isinstance(signal, LinkLost):
            self._ready.clear()
        elif isinstance(signal, Snapshot):
            self._ready.clear()
            on = {_account_on(channel.channel): channel.channel for channel in signal.channels}
            for name, line in self._lines.items():
                line.channel = on.get(name, "")
                if line.channel:
                    line.until = 0
                    self._stale.add(name)
            self._read = False
            self._wake.set()

    # -- Asterisk made to keep it

    async def run(self) -> NoReturn:
        """Keep Asterisk in step, for ever. The owner's task; cancel it to stop."""
        while True:
            try:
                async with asyncio.timeout(SWEEP):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._settle()
            except CtiError as error:
                self._tell(error.message)

    async def _settle(self) -> None:
        if not self._store.connected():
            return
        async with self._turn:
            if not self._read:
                self._adopt(await self._store.read())
                self._read = True
            self._end_lines()
            self._end_older(self._now())
            wanted = {place for account in self._accounts() for place in places_of(account)} | self._lines.keys()
            await self._close((wanted - self._known) | (self._stale & wanted))
            for place in self._known - wanted:
                await self._store.forget(place)
                self._held.pop(place, None)
            self._known &= wanted
            self._stale &= wanted
            if not self._ready.is_set():
                await self._look_whether_taken()
                if self._read and self._store.connected():
                    self._ready.set()

    def _end_lines(self) -> None:
        machine, steady = self._machine_now(), self._clock.monotonic()
        for name, line in self._lines.items():
            if line.until and (line.until <= machine or line.ends <= steady):
                line.until, line.address = 0, ""
                self._stale.add(name)

    def _end_older(self, now: int) -> None:
        newer = {place: self._newer(place) for place in self._held}
        self._end([place for place, since in newer.items() if since is not None and since + GRACE * 1000 <= now * 1000])

    async def _close(self, places: Iterable[str]) -> None:
        """Make up secrets for these places that nobody is told."""
        todo = sorted(places)
        for begin in range(0, len(todo), AT_ONCE):
            await asyncio.gather(*(self._close_one(place) for place in todo[begin : begin + AT_ONCE]))

    async def _close_one(self, place: str) -> None:
        line = place in self._lines
        if line:
            await self._store.ticket(place, 0)
        await self._store.put(place, account=place if line else _account(place), secret=_made_up(), mark=CLOSED)
        self._known.add(place)
        self._stale.discard(place)

    def _adopt(self, kept: Kept) -> None:
        """Take up what Asterisk keeps: at a start all of it, later only what was not changed behind our back."""
        self._known = set(kept.marks)
        if not self._adopted:
            found = {place: issued for place, mark in kept.marks.items() if (issued := _issued(mark)) is not None}
            # What was given or ended since the start counts, whatever was kept.
            self._held = {
                place: issued
                for place, issued in found.items()
                if place not in self._stale and issued.login.nonce not in self._over
            } | self._held
            for name, line in self._lines.items():
                until = _until(kept.marks.get(name, CLOSED))
                if until and not line.channel and name not in self._stale:
                    line.until = line.used = until
                    # The machine's clock may have been put back since: it is not good for longer than a new one.
                    left = min(until - self._machine_now(), VISITOR_SECONDS)
                    line.ends = self._clock.monotonic() + left
            self._adopted = True
        for place, mark in kept.marks.items():
            held = self._held.get(place)
            if place in self._lines:
                continue
            if held is not None and held.mark() != mark:
                del self._held[place]
                self._stale.add(place)
            elif held is None and mark != CLOSED:
                self._stale.add(place)
        for place in self._held.keys() - kept.marks.keys():
            del self._held[place]
        for name, line in self._lines.items():
            # A ticket that is gone was used while nobody listened.
            if line.until and kept.tickets.get(name, 0) != line.until:
                line.until = 0
            if not line.until and kept.marks.get(name, CLOSED) != CLOSED:
                self._stale.add(name)

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _machine_now(self) -> int:
        """The time by which the dialplan compares."""
        return int((self._clock.now() - self._ahead()).timestamp())

    def _tell(self, trouble: str) -> None:
        """Said once, until it is another."""
        if trouble and trouble != self._told:
            log.warning("page_phones_hampered", why=trouble)
        self._told = trouble


def _made_up() -> str:
    return secrets.token_urlsafe(24)


def _account(place: str) -> str:
    return place.rpartition(".")[0]


def _account_on(channel: str) -> str:
    """The account whose channel that is, `PJSIP/<account>-<eight hex digits>`; empty for another kind."""
    technology, _, rest = channel.partition("/")
    return rest.rpartition("-")[0] if technology == "PJSIP" else ""


def _neighbours(address: str) -> str:
    """Who counts as one with that address: it alone, of IPv6 its /64, which belongs to one customer; empty: it says nothing."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if found.version == 6 and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, 64 if found.version == 6 else 32), strict=False))


def _issued(mark: str) -> _Issued | None:
    """What a mark says of a page's secret; None for a closed place, a line, or one that cannot be read."""
    words = mark.split(" ")
    if len(words) != 7 or words[0] != "login" or not all(word.isdecimal() for word in words[4:]):
        return None
    _, username, role, nonce, *numbers = words
    epoch, ends, at = map(int, numbers)
    return _Issued(login=PageLogin(username=username, role=role, nonce=nonce, epoch=epoch, ends=ends), at=at)


def _until(mark: str) -> int:
    """Until when a call may be begun on a line, by its mark; 0 for any other."""
    kind, _, until = mark.partition(" ")
    return int(until) if kind == "visitor" and until.isdecimal() else 0
