"""How often something may be tried: a sliding window per key, with bounded memory. Time is an argument (seconds)."""

from __future__ import annotations

import math
from collections import OrderedDict, deque


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
