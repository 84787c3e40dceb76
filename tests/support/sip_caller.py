"""Many callers on a carrier's line in one process: SIP and RTP as they are on the wire, every byte of sound kept.

A caller sends 20 ms of silence, or a tone, fifty times a second, presses keys by RFC 4733, and keeps what it hears as the
mu-law bytes that came, each packet with the kernel's time of arrival. A softphone would mix, resample and conceal: here the
bytes are those of the sound files, so what was played can be compared with the file exactly.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import random
import re
import secrets
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from tests.support.sip_again import Unanswered

TICK = 0.02
SAMPLES = 160
"""A packet: 20 ms at 8 kHz."""
EVENTS = {**{str(number): number for number in range(10)}, "*": 10, "#": 11}
PRESS_TICKS, GAP_TICKS = 5, 4
"""A key is held for 100 ms, and the next one comes 80 ms after it, as an unhurried finger does."""
SILENCE = b"\xff" * SAMPLES
NOISE_TICKS = 50
_SO_TIMESTAMPNS = 35
_SIOCGSTAMP = 0x8906
_RETRY = (0.5, 1.0, 2.0, 4.0, 4.0)


def _ulaw(sample: int) -> int:
    """One 16-bit sample as mu-law."""
    sign = 0x80 if sample < 0 else 0
    value = min(abs(sample), 32635) + 132
    exponent = value.bit_length() - 8
    return ~(sign | exponent << 4 | value >> (exponent + 3) & 0x0F) & 0xFF


TONE = bytes(_ulaw(int(9000 * math.sin(2 * math.pi * 500 * n / 8000))) for n in range(SAMPLES))
"""500 Hz: ten whole waves a packet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet of sound: when it arrived (seconds since the epoch), and how many bytes were heard with it."""

    at: float
    heard: int


class Caller:
    """One call. Made by `CarrierLine.dial`."""

    def __init__(self, line: CarrierLine, number: str, did: str) -> None:
        self.line, self.number, self.did = line, number, did
        self.heard = bytearray()
        """Every byte of sound, in order."""
        self.packets: list[Packet] = []
        self.lost = 0
        """Packets that never came."""
        self.answered = asyncio.Event()
        self.ended = asyncio.Event()
        self.status = 0
        """The final status of the INVITE."""
        self.by_us = False
        """Whether we ended it."""
        self.speaking = False
        """A tone instead of silence."""
        self.sends: Literal["sound", "noise", "nothing"] = "sound"
        """Fifty packets a second; or, as of telephones that save them, one of comfort noise (RFC 3389) a second; or none."""
        self.vanished = False
        """Its network has gone: nothing is sent any more, nothing answered."""
        self.released: list[float] = []
        """When each key was let go (seconds since the epoch)."""
        self.answered_at = self.ended_at = 0.0
        """When the message came, or went, that answered the call or ended it (seconds since the epoch)."""
        self._call_id = f"{secrets.token_hex(8)}@walk"
        self._tag = secrets.token_hex(4)
        self._to = f"<sip:{did}@{line.server[0]}:{line.server[1]}>"
        self._contact = f"sip:{did}@{line.server[0]}:{line.server[1]}"
        self._branch = f"z9hG4bK{secrets.token_hex(6)}"
        self._heard_from = asyncio.Event()
        self._grown = asyncio.Event()
        self._keys: deque[str] = deque()
        self._tick_of_key = 0
        self._saved = 0
        self._all_released = asyncio.Event()
        self._all_released.set()
        self._remote: tuple[str, int] | None = None
        self._sequence = random.randrange(1000)
        self._clock = random.randrange(100_000)
        self._source = random.randrange(1 << 32)
        self._their_sequence: int | None = None
        self._rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._rtp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._rtp.setblocking(False)
        self._rtp.bind((line.address, 0))
        asyncio.get_running_loop().add_reader(self._rtp, self._listen)

    # -- what a test does

    def press(self, keys: str) -> None:
        """Press keys one after the other, behind those not pressed yet."""
        self._keys.extend(keys)
        if keys:
            self._all_released.clear()

    async def pressed(self) -> None:
        """Until the last key is let go."""
        await self._all_released.wait()

    async def hears(self, heard: int, *, within: float) -> bool:
        """Until so many bytes were heard; False when that takes too long or the call ends."""
        deadline = time.monotonic() + within
        while len(self.heard) < heard:
            self._grown.clear()
            left = deadline - time.monotonic()
            if left <= 0 or self.ended.is_set():
                return False
            waits = [asyncio.ensure_future(self._grown.wait()), asyncio.ensure_future(self.ended.wait())]
            try:
                await asyncio.wait(waits, timeout=min(left, 1.0), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        return True

    def hang_up(self) -> None:
        """End the call; harmless when it is over."""
        if not self.ended.is_set() and self.answered.is_set():
            self.by_us = True
            self.ended_at = time.time()
            first, branch = f"BYE {self._contact} SIP/2.0", f"z9hG4bK{secrets.token_hex(6)}"
            self.line.unanswered.send(self._call_id, lambda: self._send(first, "2 BYE", branch))
        self._over()

    # -- SIP

    async def _invite(self) -> None:
        try:
            for pause in _RETRY:
                self._send(f"INVITE sip:{self.did}@{self.line.server[0]} SIP/2.0", "1 INVITE", self._branch, sdp=True)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._heard_from.wait()
                        return
        finally:
            if not self._heard_from.is_set():
                self._over()

    def _send(self, first: str, sequence: str, branch: str, *, sdp: bool = False) -> None:
        host, port = self.line.local
        user = self.number or "anonymous"
        lines = [
            first,
            f"Via: SIP/2.0/UDP {host}:{port};branch={branch}",
            f"From: <sip:{user}@{host}:{port}>;tag={self._tag}",
            f"To: {self._to}",
            f"Call-ID: {self._call_id}",
            f"CSeq: {sequence}",
            f"Contact: <sip:caller@{host}:{port}>",
            "Max-Forwards: 70",
        ]
        self.line.send(lines, self._sdp() if sdp else "")

    def _sdp(self) -> str:
        port = self._rtp.getsockname()[1]
        return (
            f"v=0\r\no=caller 1 1 IN IP4 {self.line.address}\r\ns=-\r\nc=IN IP4 {self.line.address}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
            "a=fmtp:101 0-15\r\na=ptime:20\r\n"
        )

    def _answer(self, status: int, sequence: str, headers: dict[str, str], body: str) -> None:
        self._heard_from.set()
        if not sequence.endswith("INVITE") or status < 200:
            return
        self._to = headers["to"]
        if status >= 300:
            self.status = status
            self._send(f"ACK sip:{self.did}@{self.line.server[0]} SIP/2.0", "1 ACK", self._branch)
            self._over()
            return
        contact = re.search(r"<([^>]+)>", headers.get("contact", ""))
        self._contact = contact[1] if contact else self._contact
        self._send(f"ACK {self._contact} SIP/2.0", "1 ACK", f"z9hG4bK{secrets.token_hex(6)}")
        if self.status:
            return  # once more, because our ACK was late
        self.status = status
        host, port = re.search(r"c=IN IP4 (\S+)", body), re.search(r"m=audio (\d+)", body)
        if host is not None and port is not None:
            self._remote = (host[1], int(port[1]))
        self.answered.set()

    def _over(self) -> None:
        if not self.ended.is_set():
            self.ended.set()
            self._all_released.set()
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._rtp)
            self._rtp.close()

    # -- RTP

    def _listen(self) -> None:
        for _ in range(50):
            try:
                data, ancillary, _flags, _address = self._rtp.recvmsg(2048, 64)
            except (BlockingIOError, OSError):
                return
            if len(data) <= 12 or data[1] & 0x7F != 0:
                continue
            at = time.time()
            for _level, kind, value in ancillary:
                if kind == _SO_TIMESTAMPNS and len(value) >= 16:
                    seconds, nanoseconds = struct.unpack("qq", value[:16])
                    at = seconds + nanoseconds / 1e9
            sequence = struct.unpack("!H", data[2:4])[0]
            if self._their_sequence is not None:
                self.lost += (sequence - self._their_sequence - 1) % 65536
            self._their_sequence = sequence
            self.heard += data[12:]
            self.packets.append(Packet(at=at, heard=len(self.heard)))
            self._grown.set()

    def tick(self) -> None:
        """20 ms: a packet of sound, or of a key."""
        if self._remote is None or self.vanished or self.ended.is_set():
            return
        if self.sends != "sound":
            self._clock += SAMPLES
            self._saved += 1
            if self.sends == "noise" and self._saved % NOISE_TICKS == 0:
                self._packet(13, b"\x40", marker=False)
            return
        if self._keys and self._tick_of_key < PRESS_TICKS:
            self._tick_of_key += 1
            ended = self._tick_of_key == PRESS_TICKS
            event = struct.pack("!BBH", EVENTS[self._keys[0]], (0x80 if ended else 0) | 10, self._tick_of_key * SAMPLES)
            for _ in range(3 if ended else 1):
                self._packet(101, event, marker=self._tick_of_key == 1)
            if ended:
                self.released.append(time.time())
                self._clock += PRESS_TICKS * SAMPLES
            return
        if self._keys:
            self._tick_of_key += 1
            if self._tick_of_key >= PRESS_TICKS + GAP_TICKS or len(self._keys) == 1:
                self._keys.popleft()
                self._tick_of_key = 0
                if not self._keys:
                    self._all_released.set()
        self._packet(0, TONE if self.speaking else SILENCE, marker=False)
        self._clock += SAMPLES

    def _packet(self, kind: int, payload: bytes, *, marker: bool) -> None:
        self._sequence = (self._sequence + 1) % 65536
        head = struct.pack(
            "!BBHII", 0x80, kind | (0x80 if marker else 0), self._sequence, self._clock & 0xFFFFFFFF, self._source
        )
        with contextlib.suppress(OSError):
            self._rtp.sendto(head + payload, self._remote or ("", 0))


def came_at(transport: asyncio.BaseTransport | None) -> float:
    """When the kernel got the datagram that was read last; a busy test reads it later. The first may not be known: then it is now."""
    assert transport is not None
    try:
        stamp = fcntl.ioctl(transport.get_extra_info("socket").fileno(), _SIOCGSTAMP, bytes(16))
    except OSError:
        return time.time()
    seconds, microseconds = struct.unpack("ll", stamp)
    return float(seconds + microseconds / 1e6)


class CarrierLine(asyncio.DatagramProtocol):
    """The carrier's end of the trunk: all callers share its SIP port."""

    def __init__(self, address: str, server: tuple[str, int]) -> None:
        self.address, self.server = address, server
        self.callers: dict[str, Caller] = {}
        self.unanswered = Unanswered()
        """Calls that we end, by Call-ID."""
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def local(self) -> tuple[str, int]:
        """Our SIP address."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    async def dial(self, did: str, number: str, *, within: float = 60) -> Caller:
        """Call `did`; gives the call when it is answered. An empty number is withheld. Raises `AssertionError`."""
        caller = Caller(self, number, did)
        self.callers[caller._call_id] = caller
        await caller._invite()
        waits = [asyncio.ensure_future(event.wait()) for event in (caller.answered, caller.ended)]
        await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        assert caller.answered.is_set(), f"{number or 'withheld'} -> {did}: not answered ({caller.status or 'silence'})"
        return caller

    def forget(self, caller: Caller) -> None:
        """A call that is over and will not be asked about: in a long run they would be ticked for ever."""
        self.callers.pop(caller._call_id, None)

    def send(self, lines: list[str], body: str = "") -> None:
        """One SIP message to the server."""
        assert self._transport is not None
        kind = ["Content-Type: application/sdp"] if body else []
        text = "\r\n".join([*lines, *kind, f"Content-Length: {len(body)}", "", body])
        self._transport.sendto(text.encode(), self.server)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the port is open."""
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """asyncio: a SIP message."""
        at = came_at(self._transport)
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        lines = head.split("\r\n")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.setdefault(name.strip().lower(), value.strip())
        caller = self.callers.get(headers.get("call-id", ""))
        if caller is not None and caller.vanished:
            return
        if lines[0].startswith("SIP/2.0 "):
            if headers.get("cseq", "").endswith("BYE"):
                self.unanswered.answered(headers.get("call-id", ""))
            if caller is not None:
                caller._answer(int(lines[0].split()[1]), headers.get("cseq", ""), headers, body)
                caller.answered_at = caller.answered_at or (at if caller.answered.is_set() else 0.0)
                caller.ended_at = caller.ended_at or (at if caller.ended.is_set() else 0.0)
            return
        method = lines[0].split()[0]
        if method == "ACK":
            return
        status = "200 OK" if caller is not None or method == "OPTIONS" else "481 No Such Call"
        answer = [f"SIP/2.0 {status}"]
        answer += [
            line for line in lines[1:] if line.partition(":")[0].lower() in ("via", "from", "to", "call-id", "cseq")
        ]
        answer.append(f"Contact: <sip:caller@{self.local[0]}:{self.local[1]}>")
        self.send(answer, caller._sdp() if method == "INVITE" and caller is not None else "")
        if method == "BYE" and caller is not None:
            caller.ended_at = caller.ended_at or at
            caller._over()

    async def keep_time(self) -> None:
        """Every 20 ms, all callers' packets."""
        began, ticks = time.monotonic(), 0
        while True:
            ticks += 1
            await asyncio.sleep(max(0.0, began + ticks * TICK - time.monotonic()))
            if time.monotonic() - began - ticks * TICK > 0.5:  # the machine stood still: do not send all that at once
                began, ticks = time.monotonic(), 0
            for caller in list(self.callers.values()):
                caller.tick()


@contextlib.asynccontextmanager
async def carrier_line(address: str, server: tuple[str, int]) -> AsyncIterator[CarrierLine]:
    """A carrier at `address`, for calls to `server`. All its calls are over at the end."""
    loop = asyncio.get_running_loop()
    transport, line = await loop.create_datagram_endpoint(lambda: CarrierLine(address, server), local_addr=(address, 0))
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    clock = asyncio.create_task(line.keep_time())
    try:
        yield line
    finally:
        for caller in line.callers.values():
            caller.hang_up()
        line.unanswered.close()
        clock.cancel()
        await asyncio.gather(clock, return_exceptions=True)
        transport.close()
