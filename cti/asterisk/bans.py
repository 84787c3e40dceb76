"""Addresses that Asterisk answers with 403 for a while, because they were refused too often. Values and time in, values out.

Who comes from many addresses is no better than who comes from one: where strangers who were each refused more than `FEW` times
were together refused as often as one alone may be, each of them is banned.

UDP can be sent under anybody's address, so a ban must not become the attack: addresses on the list `never` are not banned, nor
those from which a phone has proved itself lately (a registration lasts an hour at most); a ban ends by itself; and where more
addresses come in one minute than can be counted, the further ones are not blamed.
"""

from __future__ import annotations

import heapq
import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cti.asterisk.refusals import Heard, Knock

WINDOW = timedelta(seconds=60)
FEW = 20
"""Refusals in one window that are no part of a flood: an old password in a few phones behind one address, asked again every half
minute with two refusals each time."""
COUNTED = 10_000
"""Addresses of one window that are told apart."""
BANNED = 500
"""Bans at the same time; each costs Asterisk a comparison for every request."""
LONGEST = timedelta(days=1)
REMEMBERED = timedelta(days=1)
"""Who is banned again within so long after the last ban is banned for twice as long as then."""
TRUSTED = timedelta(hours=2)
"""An address from which somebody was let in is not banned for so long."""
TRUSTED_MOST = 20_000
PUBLIC = "webcall"
"""Anybody is given an account whose name begins so: it proves nothing."""
_ENTRY = re.compile(r"deny = (\S+) ; until (\S+) of (\d+) s")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """One address (of IPv6 its /64, which belongs to one customer) and until when."""

    network: str
    until: datetime
    lasting: timedelta


@lru_cache(maxsize=COUNTED)
def network_of(address: str) -> str:
    """What is banned when that address is to be, as it is written. Raises `ValueError`. A flood asks it a thousand times a second."""
    found = ipaddress.ip_address(address)
    return str(ipaddress.ip_network((found, 64 if found.version == 6 else 32), strict=False))


class BanList:
    """Counts refusals by address in windows of a minute, and says who is banned."""

    def __init__(self, *, after: int, lasting: timedelta, never: Iterable[Network] = ()) -> None:
        """`after` refusals in one window there is a ban, 0: never."""
        self._after, self._lasting = after, lasting
        self.never = list(never)
        """Who is not banned whatever they do."""
        self._counts: dict[str, int] = {}
        self._window = datetime.min.replace(tzinfo=UTC)
        self._former: dict[str, Ban] = {}
        self._trusted: dict[str, datetime] = {}
        self.bans: dict[str, Ban] = {}
        """By network."""

    def hear(self, heard: Collection[Heard], now: datetime) -> None:
        """Count what was heard."""
        if not self._window <= now < self._window + WINDOW:
            self._window, self._counts = now, {}
        for one in heard:
            if not one.address:
                continue
            network = network_of(one.address)
            if one.knock is Knock.ACCEPTED and not one.account.startswith(PUBLIC):
                self._trust(network, now)
            if one.direct and (network in self._counts or len(self._counts) < COUNTED):
                # Who is let in was challenged before: both cancel out.
                step = -1 if one.knock is Knock.ACCEPTED else 1
                self._counts[network] = self._counts.get(network, 0) + step

    def _trust(self, network: str, now: datetime) -> None:
        self._trusted.pop(network, None)
        self._trusted[network] = now  # the latest is the last
        if len(self._trusted) > TRUSTED_MOST:
            del self._trusted[next(iter(self._trusted))]

    def keep_trust(self, now: datetime) -> None:
        """Not all that came could be read: who is trusted stays so, for their proofs may be in what was passed over."""
        self._trusted = {network: now if at + TRUSTED > now else at for network, at in self._trusted.items()}

    def ban(self, now: datetime) -> list[Ban]:
        """Ban those who have come too often in this window, the most frequent first; gives the new bans."""
        if not self._after:
            return []
        few = min(FEW, self._after - 1)
        # Twice as many as can be banned, for some are banned already or safe; whether all of ten thousand are safe would take long.
        often = heapq.nlargest(2 * BANNED, ((count, network) for network, count in self._counts.items() if count > few))
        strangers = [(count, network) for count, network in often if not self._safe(network, now)]
        together = sum(count for count, _ in strangers if count < self._after)
        limit = few + 1 if together >= self._after else self._after
        made: list[Ban] = []
        for count, network in strangers:
            if count < limit or len(self.bans) >= BANNED:
                break
            if network in self.bans:
                continue
            before = self._former.get(network)
            lasting = self._lasting if before is None else min(before.lasting * 2, LONGEST)
            self.bans[network] = self._former[network] = Ban(network=network, until=now + lasting, lasting=lasting)
            made.append(self.bans[network])
        return made

    def expire(self, now: datetime) -> list[Ban]:
        """End what is over; gives it."""
        over = [ban for ban in self.bans.values() if ban.until <= now]
        for ban in over:
            del self.bans[ban.network]
        self._former = {name: ban for name, ban in self._former.items() if now < ban.until + REMEMBERED}
        return over

    def _safe(self, network: str, now: datetime) -> bool:
        trusted = self._trusted.get(network)
        if trusted is not None and now < trusted + TRUSTED:
            return True
        found = ipaddress.ip_network(network)
        return any(found.version == one.version and found.overlaps(one) for one in self.never)

    # -- the file

    def written(self) -> str:
        """The list as Asterisk reads it; an empty one has no access list at all."""
        if not self.bans:
            return ""
        lines = [
            f"deny = {ban.network} ; until {ban.until.isoformat()} of {ban.lasting.total_seconds():.0f} s"
            for ban in self.bans.values()
        ]
        return "\n".join(("[cti-banned]", "type = acl", *lines, ""))

    def read(self, text: str, now: datetime) -> None:
        """Take up the bans of a former run that are not over."""
        for network, until, seconds in _ENTRY.findall(text):
            try:
                ban = Ban(
                    network=str(ipaddress.ip_network(network)),
                    until=datetime.fromisoformat(until),
                    lasting=timedelta(seconds=int(seconds)),
                )
            except (ValueError, OverflowError):
                continue
            if ban.until > now and ban.until.tzinfo is not None:
                self.bans[ban.network] = self._former[ban.network] = ban
