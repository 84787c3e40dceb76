"""How often something may be tried, with bounded memory. Time is an argument (seconds)."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass


class Attempts:
    """At most `limit` tries of one key within `window` seconds."""

    def __init__(self, limit: int, window: float, *, keys: int = 10_000) -> None:
        self._limit = limit
        self._window = window
        self._keys = keys
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str, now: float) -> int:
        """Whole seconds until the key may be tried again; 0 when it may now."""
        tries = self._tries.get(key)
        if tries is None:
            return 0
        while tries and tries[0] <= now - self._window:
            tries.popleft()
        if len(tries) < self._limit:
            return 0
        return max(1, math.ceil(tries[0] + self._window - now))

    def add(self, key: str, now: float) -> None:
        """Count one try. The key tried longest ago is forgotten when there are too many keys."""
        tries = self._tries.setdefault(key, deque(maxlen=self._limit))
        tries.append(now)
        self._tries.move_to_end(key)
        while len(self._tries) > self._keys:
            self._tries.popitem(last=False)

    def forgive(self, key: str) -> None:
        """Forget the key's tries."""
        self._tries.pop(key, None)

    def take_back(self, key: str) -> None:
        """Undo the latest count of the key."""
        tries = self._tries.get(key)
        if tries:
            tries.pop()


@dataclass(slots=True)
class _Wrong:
    count: int
    last: float


class Delays:
    """After `free` wrong tries each further one makes the key wait twice as long: `first` seconds, up to `longest`.

    `quiet` seconds without a try are forgiven. The delay counts from the latest try that was let through, so asking while
    one has to wait makes it no longer: nobody is kept out by somebody else's hammering alone.
    """

    def __init__(self, *, free: int, first: float, longest: float, quiet: float, keys: int = 50_000) -> None:
        self._free = free
        self._first = first
        self._longest = longest
        self._quiet = quiet
        self._keys = keys
        self._wrong: OrderedDict[str, _Wrong] = OrderedDict()

    def wait(self, key: str, now: float) -> int:
        """Whole seconds until the key may be tried again; 0 when it may now."""
        wrong = self._wrong.get(key)
        if wrong is None or wrong.count < self._free:
            return 0
        if now - wrong.last >= self._quiet:
            del self._wrong[key]
            return 0
        delay = min(self._longest, self._first * 2.0 ** min(wrong.count - self._free, 40))
        return max(0, math.ceil(wrong.last + delay - now))

    def add(self, key: str, now: float) -> None:
        """Count one wrong try. The key tried longest ago is forgotten when there are too many keys."""
        wrong = self._wrong.get(key)
        if wrong is None or now - wrong.last >= self._quiet:
            self._wrong[key] = _Wrong(1, now)
        else:
            wrong.count += 1
            wrong.last = now
        self._wrong.move_to_end(key)
        while len(self._wrong) > self._keys:
            self._wrong.popitem(last=False)

    def forgive(self, key: str) -> None:
        """Forget the key's tries."""
        self._wrong.pop(key, None)

    def take_back(self, key: str) -> None:
        """Undo the latest count of the key."""
        wrong = self._wrong.get(key)
        if wrong is not None:
            wrong.count -= 1
            if wrong.count <= 0:
                del self._wrong[key]


PERSON = {"free": 5, "first": 60.0, "longest": 900.0, "quiet": 3600.0}
"""Wrong tries for one account from one address, or from one device that its owner has used."""
ACCOUNT = {"free": 20, "first": 15.0, "longest": 300.0, "quiet": 3600.0}
"""For one account from everywhere: at most 20 + 12 an hour from however many addresses."""
ADDRESS_TRIES, ADDRESS_WINDOW = 30, 300.0
"""From one address, for whatever accounts, within so many seconds."""


class LoginLimits:
    """What a log-in has to pass.

    A device that the owner of the account has logged in from before is counted by itself: whoever guesses from elsewhere
    slows the account down for strangers, and not for its owner at the usual desk. Accounts that do not exist are
    counted like others, so the answers do not tell them apart.
    """

    def __init__(self) -> None:
        self._person = Delays(**PERSON)  # type: ignore[arg-type]
        self._account = Delays(**ACCOUNT)  # type: ignore[arg-type]
        self._address = Attempts(ADDRESS_TRIES, ADDRESS_WINDOW)

    def wait(self, username: str, address: str, device: str | None, now: float) -> int:
        """Seconds until this log-in may be tried; 0 when it may now. `device`: name of a known device of this account."""
        if device is not None:
            return self._person.wait(f"device {device} {username}", now)
        return max(
            self._person.wait(f"address {address} {username}", now),
            self._account.wait(username, now),
            self._address.wait(address, now),
        )

    def begin(self, username: str, address: str, device: str | None, now: float) -> None:
        """Count the try as wrong before it is checked, so that tries made at the same time count too."""
        if device is not None:
            self._person.add(f"device {device} {username}", now)
            return
        self._person.add(f"address {address} {username}", now)
        self._account.add(username, now)
        self._address.add(address, now)

    def take_back(self, username: str, address: str, device: str | None) -> None:
        """The try was not wrong, and not yet right either."""
        if device is not None:
            self._person.take_back(f"device {device} {username}")
            return
        self._person.take_back(f"address {address} {username}")
        self._account.take_back(username)
        self._address.take_back(address)

    def right(self, username: str, address: str, device: str | None) -> None:
        """Logged in: forget the account's wrong tries from here."""
        self.take_back(username, address, device)
        self._person.forgive(f"device {device} {username}" if device is not None else f"address {address} {username}")
