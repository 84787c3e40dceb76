"""A caller's ear and keypad: an RTP socket that keeps what it hears and presses keys by RFC 4733."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

EVENT_TYPE = 101
EVENTS = {**{str(number): number for number in range(10)}, "*": 10, "#": 11}


class RtpEnd(asyncio.DatagramProtocol):
    """Bound to one address; the other side is whoever sends first."""

    def __init__(self) -> None:
        self.heard = bytearray()
        """Payload of the PCMU packets, in order of arrival."""
        self._transport: asyncio.DatagramTransport | None = None
        self._remote: tuple[str, int] | None = None
        self._first = asyncio.Event()
        self._sequence = random.randrange(1000)
        self._clock = random.randrange(100_000)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) > 12 and data[1] & 0x7F == 0:
            self.heard += data[12:]
        self._remote = addr
        self._first.set()

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    async def press(self, key: str) -> None:
        """One key press of 100 ms, once audio has come."""
        async with asyncio.timeout(60):
            await self._first.wait()
        self._clock += 8000
        for step in (*range(1, 6), 5, 5):
            ended = 0x80 if step == 5 else 0
            self._send(EVENT_TYPE, struct.pack("!BBH", EVENTS[key], ended | 10, step * 160), marker=step == 1)
            await asyncio.sleep(0.02)  # RTP's own pace

    def _send(self, kind: int, payload: bytes, *, marker: bool) -> None:
        assert self._transport is not None
        self._sequence += 1
        header = struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), self._sequence, self._clock, 0x1234)
        self._transport.sendto(header + payload, self._remote)


@asynccontextmanager
async def rtp_end(host: str) -> AsyncIterator[RtpEnd]:
    transport, end = await asyncio.get_running_loop().create_datagram_endpoint(RtpEnd, local_addr=(host, 0))
    try:
        yield end
    finally:
        transport.close()
