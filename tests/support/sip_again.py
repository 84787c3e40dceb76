"""Requests over UDP that are sent again until somebody answers (RFC 3261, 17.1.2): what is lost once is not lost for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

FIRST, LAST = 0.5, 16.0
"""Seconds until a request is sent again, twice as long each time; after the last pause nobody waits any more."""


class Unanswered:
    """What was asked and not answered yet, by a key of one's own."""

    def __init__(self) -> None:
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def send(self, key: str, send: Callable[[], None], pause: float = FIRST) -> None:
        """Call `send`, and again until `answered` is told of this key."""
        self.answered(key)  # who asks once more with the same key asks once
        send()
        if pause <= LAST:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(pause, self.send, key, send, pause * 2)

    def answered(self, key: str) -> None:
        """Somebody has answered."""
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()

    def close(self) -> None:
        """Nothing is sent any more."""
        for key in list(self._timers):
            self.answered(key)
