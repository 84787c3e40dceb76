"""A way between bridge and Asterisk on which the answers to some actions are lost. Events, lists and pings always come."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from pathlib import Path

from cti.soak.proxy import CHUNK, Proxy

ACTS = frozenset({b"Redirect", b"Originate", b"Hangup", b"Setvar"})
"""Actions that do something to a call."""
_ACTION = re.compile(rb"^Action: *(\w+)", re.MULTILINE)
_ID = re.compile(rb"^ActionID: *(\S+)", re.MULTILINE)


class LossyProxy(Proxy):
    """Loses a share of the answers (`Response:` with an ActionID) to actions that do something; a seed says which."""

    def __init__(self, host: str, port: int, target: tuple[str, int] | Path, *, share: float, seed: int) -> None:
        super().__init__(host, port, target)
        self.share = share
        self.asked = self.lost = 0
        self.kinds: Counter[str] = Counter()
        """How many of each action were asked for."""
        self._chance = random.Random(seed)
        self._doomed: set[bytes] = set()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        left = b""
        while True:
            data = await source.read(CHUNK)
            if not data:
                raise EOFError
            *messages, left = (left + data).split(b"\r\n\r\n")
            passed = [message + b"\r\n\r\n" for message in messages if self._passes(message)]
            sink.write(b"".join(passed))
            await sink.drain()

    def _passes(self, message: bytes) -> bool:
        known = _ID.search(message)
        if known is None:
            return True
        action = _ACTION.search(message)
        if action is not None and message.startswith(b"Action"):
            if action[1] in ACTS:
                self.asked += 1
                self.kinds[action[1].decode()] += 1
                if self._chance.random() < self.share:
                    self._doomed.add(known[1])
            return True
        if message.startswith(b"Response:") and known[1] in self._doomed:
            self._doomed.discard(known[1])
            self.lost += 1
            return False
        return True
