"""One open feed: what waits to be sent to it, and the sending. A client that reads slowly fills only its own queue."""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import WSMsgType, web

from cti.ids import AgentId
from cti.web.auth.sessions import Session
from cti.web.cuts import EVERYTHING, Cut

AT_ONCE_BYTES = 16 * 1024
"""So much the connection's buffer takes without a wait, when it is empty."""


def text_frame(size: int) -> bytes:
    """The head of a whole, unmasked text frame of so many bytes (RFC 6455, 5.2)."""
    if size < 126:
        return bytes((0x81, size))
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2)
    return b"\x81\x7f" + size.to_bytes(8)


class Client:
    """One open feed. `audience` is the agent whose part it gets; None: `cut` says what."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        *,
        session: Session,
        audience: AgentId | None,
        most: int,
        most_bytes: int,
        cut: Cut = EVERYTHING,
    ) -> None:
        self.ws = ws
        self.session = session
        self.audience = audience
        self.cut = cut
        self.transport: asyncio.Transport | None = None
        self.closing: asyncio.Task[None] | None = None
        """Set once the server closes this feed: the task that does it."""
        self._most = most
        self._most_bytes = most_bytes
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._sending = False
        self._seq = 0
        self.writer: asyncio.Task[None] | None = None

    def number(self, kind: bytes, field: bytes, content: bytes, *, at_once: bool = True) -> bool:
        """Queue a numbered message; False when the queue is full. Not `at_once`: it is sent with the next `flush`."""
        self._seq += 1
        return self.say(b'{"type":"%b","seq":%d,"%b":%b}' % (kind, self._seq, field, content), at_once=at_once)

    def say(self, message: bytes, *, at_once: bool = True) -> bool:
        """Queue a message; False when the queue is full. `at_once` as for `number`."""
        full = len(self._waiting) >= self._most or self._bytes + len(message) > self._most_bytes
        if full and self._waiting:  # a message alone is always taken, however large: a snapshot may be
            return False
        self._waiting.append(message)
        self._bytes += len(message)
        if at_once:
            self._wake.set()
        return True

    def flush(self) -> None:
        """Send what is queued: here and now where the connection takes it at once, else by the writer's task."""
        transport = self.transport
        if (
            self._sending
            or self._bytes > AT_ONCE_BYTES
            or transport is None
            or transport.is_closing()
            or self.ws.closed
            or transport.get_write_buffer_size()
        ):
            self._wake.set()  # what waits for a slow client is its own task's, nobody else's
            return
        # Whole frames, straight to the connection: two coroutines for each of a thousand clients cost as much as the rest.
        waiting, self._waiting, self._bytes = self._waiting, deque(), 0
        transport.write(b"".join(part for message in waiting for part in (text_frame(len(message)), message)))

    async def _send(self) -> None:
        self._sending = True
        try:
            while self._waiting:
                message = self._waiting.popleft()
                self._bytes -= len(message)
                await self.ws.send_frame(message, WSMsgType.TEXT)
        finally:
            self._sending = False

    async def write(self) -> None:
        """Send what is queued, for as long as the connection lasts."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._send()
        except ConnectionError:
            return  # the reading side sees the same end
