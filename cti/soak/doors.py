"""An attacker at every port of a centre: silence, half of everything, one byte after the other, garbage, early ends, floods.

It runs as a process of its own (`python -m cti.soak.doors`, told on its standard input what to attack), so that it takes its
processor time and not that of the people on the line, and says at the end what became of its connections.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import os
import random
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from cti.certificates import encrypted
from cti.errors import CtiError
from cti.settings import Settings

POLITE = 5
"""Niceness of the attacker: a real one has a machine of its own."""
TYPING = 0.05
"""Seconds between two bytes of who sends them one by one."""
PATIENCE = 2.0
"""Seconds that garbage waits for what is made of it."""
OPEN_WITHIN = 5.0


class Speaks(StrEnum):
    """What is spoken behind a door."""

    AGI = "agi"
    PAGES = "pages"
    FEED = "feed"
    MANAGER = "manager"
    """Asterisk's manager interface."""
    PHONES = "phones"
    """Asterisk's HTTP port, where browser telephones speak SIP over a WebSocket."""
    SIP = "sip"
    """SIP over UDP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One port. `token`: a log-in's, for the feed."""

    name: str
    speaks: Speaks
    host: str
    port: int
    tls: bool = False
    token: str = ""


@dataclass(slots=True, kw_only=True)
class Seen:
    """What became of the connections to one door."""

    opened: int = 0
    not_opened: int = 0
    """Refused, or not taken within some seconds."""
    closed: int = 0
    """By the door."""
    most_open: int = 0
    open: int = 0


@dataclass(slots=True, kw_only=True)
class Attack:
    """One attack: `width` connections at once in every way at every door."""

    doors: Sequence[Door]
    seconds: float
    width: int
    pause: float
    """Seconds between the end of one connection and its next."""
    seed: int
    seen: dict[str, Seen] = field(default_factory=dict)

    async def run(self) -> None:
        """Attack until the time is over."""
        rng = random.Random(self.seed)  # noqa: S311 - to be repeated
        works: list[Awaitable[None]] = []
        for door in self.doors:
            self.seen[door.name] = Seen()
            if door.speaks is Speaks.SIP:
                works.append(self._datagrams(door, random.Random(rng.random())))  # noqa: S311
                continue
            works += [
                self._again(door, way, random.Random(rng.random()))  # noqa: S311
                for way in ways_of(door)
                for _ in range(self.width)
            ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.seconds):
                await asyncio.gather(*works)

    async def _again(self, door: Door, way: Way, rng: random.Random) -> None:
        seen = self.seen[door.name]
        await asyncio.sleep(rng.random() * self.pause)
        while True:
            try:
                async with asyncio.timeout(OPEN_WITHIN):
                    line = await _open(door, tls=door.tls and not way.raw)
            except (OSError, TimeoutError, EOFError):
                seen.not_opened += 1
                await asyncio.sleep(self.pause)
                continue
            seen.opened += 1
            seen.open += 1
            seen.most_open = max(seen.most_open, seen.open)
            try:
                await way.go(line, door, rng)
            except (OSError, EOFError):
                seen.closed += 1
            finally:
                seen.open -= 1
                line.writer.transport.abort()
            await asyncio.sleep(self.pause * (0.5 + rng.random()))

    async def _datagrams(self, door: Door, rng: random.Random) -> None:
        """Garbage, and the beginnings of requests."""
        seen = self.seen[door.name]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            while True:
                whole = _greeting(door)
                piece = rng.choice((rng.randbytes(rng.randrange(1, 1400)), whole[: rng.randrange(len(whole))], b"\r\n"))
                with contextlib.suppress(OSError):
                    sender.sendto(piece, (door.host, door.port))
                    seen.opened += 1
                await asyncio.sleep(self.pause / self.width)


@dataclass(frozen=True, slots=True)
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def closed(self) -> None:
        """Read until the other side closes. Raises EOFError."""
        while await self.reader.read(65536):
            pass
        raise EOFError

    async def send(self, data: bytes) -> None:
        if self.writer.transport.is_closing():
            raise EOFError
        self.writer.write(data)
        await self.writer.drain()


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to attack. `raw`: without TLS, at a door that speaks it."""

    name: str
    go: Callable[[_Line, Door, random.Random], Awaitable[None]]
    raw: bool = False


async def _open(door: Door, *, tls: bool) -> _Line:
    context = _any_certificate() if tls else None
    reader, writer = await asyncio.open_connection(door.host, door.port, ssl=context)
    return _Line(reader, writer)


@functools.cache
def _any_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _client_hello() -> bytes:
    sent = ssl.MemoryBIO()
    half = _any_certificate().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="centre.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        half.do_handshake()
    return sent.read()


def _greeting(door: Door) -> bytes:
    """What a good visitor would begin with: whole, and nothing comes of it."""
    host = f"{door.host}:{door.port}"
    upgrade = (
        f"Host: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
    )
    match door.speaks:
        case Speaks.AGI:
            text = f"agi_network: yes\nagi_network_script: nothing-of-this-name\nagi_request: agi://{host}/x\n\n"
        case Speaks.PAGES:
            text = f"GET /readyz HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n"
        case Speaks.FEED:
            text = f"GET /api/v1/feed HTTP/1.1\r\n{upgrade}\r\n"
        case Speaks.PHONES:
            text = f"GET /ws HTTP/1.1\r\n{upgrade}Sec-WebSocket-Protocol: sip\r\n\r\n"
        case Speaks.MANAGER:
            text = "Action: Login\r\nUsername: cti\r\nSecret: wrong\r\n\r\n"
        case _:
            text = (
                f"OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\n"
                f"From: <sip:x@{host}>;tag=x\r\nTo: <sip:x@{host}>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
            )
    return text.encode("ascii")


# -- at every door


async def _silent(line: _Line, door: Door, rng: random.Random) -> None:
    await line.closed()


async def _half(line: _Line, door: Door, rng: random.Random) -> None:
    greeting = _greeting(door)
    await line.send(greeting[: rng.randrange(1, len(greeting) - 1)])
    await line.closed()


async def _one_by_one(line: _Line, door: Door, rng: random.Random) -> None:
    closed = asyncio.create_task(line.closed())
    try:
        greeting = _greeting(door)[:-3]
        for byte in greeting + b"x" * 100_000:
            await line.send(bytes((byte,)))
            await asyncio.wait({closed}, timeout=TYPING)
            if closed.done():
                break
    finally:
        closed.cancel()
        await asyncio.gather(closed, return_exceptions=True)
    raise EOFError


async def _garbage(line: _Line, door: Door, rng: random.Random) -> None:
    begin = _greeting(door)[: rng.choice((0, 0, 5, 20))]
    await line.send(begin + rng.randbytes(rng.randrange(1, 60_000)))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await line.closed()


async def _lines(line: _Line, door: Door, rng: random.Random) -> None:
    """A quarter of a megabyte of short lines behind a whole greeting."""
    short = rng.choice((b"\n", b"\r\n", b"HANGUP\n", b"200 result=0\n", b"X: y\r\n", b"100\n"))
    await line.send(_greeting(door) + short * (250_000 // len(short)))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await line.closed()


async def _early_reset(line: _Line, door: Door, rng: random.Random) -> None:
    line.writer.write(_greeting(door))
    raw = line.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await asyncio.sleep(rng.choice((0.0, 0.001, 0.01)))


async def _early_end(line: _Line, door: Door, rng: random.Random) -> None:
    line.writer.write(_greeting(door))
    await asyncio.sleep(0)


async def _knock(line: _Line, door: Door, rng: random.Random) -> None:
    """Ten more connections, opened and ended."""
    for _ in range(10):
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                more = await _open(door, tls=False)
            more.writer.transport.abort()


# -- at doors with TLS


async def _half_hello(line: _Line, door: Door, rng: random.Random) -> None:
    hello = _client_hello()
    await line.send(hello[: rng.randrange(1, len(hello))])
    await line.closed()


async def _hello_only(line: _Line, door: Door, rng: random.Random) -> None:
    """The other side does its part of the handshake, which is the dear one, and we do not do ours."""
    await line.send(_client_hello())
    await line.closed()


async def _bad_hello(line: _Line, door: Door, rng: random.Random) -> None:
    hello = bytearray(_client_hello())
    for _ in range(rng.randrange(1, 40)):
        hello[rng.randrange(5, len(hello))] = rng.randrange(256)
    await line.send(bytes(hello) + rng.randbytes(rng.randrange(2000)))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await line.closed()


# -- at the pages


async def _deaf(line: _Line, door: Door, rng: random.Random) -> None:
    """Thousands of requests at once, and none of the answers read."""
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    request = f"GET {rng.choice(('/', '/metrics', '/healthz'))} HTTP/1.1\r\nHost: {door.host}\r\n\r\n".encode()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            await line.send(request * 5000)
    while not line.writer.transport.is_closing():  # noqa: ASYNC110 - the transport tells nobody else
        await asyncio.sleep(0.5)
    raise EOFError


async def _slow_body(line: _Line, door: Door, rng: random.Random) -> None:
    closed = asyncio.create_task(line.closed())
    head = f"POST /api/v1/login HTTP/1.1\r\nHost: {door.host}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
    try:
        await line.send(head.encode())
        while not closed.done():
            await line.send(b" ")
            await asyncio.wait({closed}, timeout=0.2)
    finally:
        closed.cancel()
        await asyncio.gather(closed, return_exceptions=True)
    raise EOFError


async def _endless_head(line: _Line, door: Door, rng: random.Random) -> None:
    await line.send(b"GET / HTTP/1.1\r\n")
    while True:
        await line.send(f"X-{rng.randrange(10**9)}: {'y' * 100}\r\n".encode())
        await asyncio.sleep(0.01)


async def _ask(line: _Line, door: Door, rng: random.Random) -> None:
    """Whole requests, one after the other, as fast as they are answered."""
    for _ in range(50):
        path = rng.choice(("/", "/metrics", "/readyz", "/api/v1/state", "/api/v1/centre", "/nothing", "/%00"))
        await line.send(f"GET {path} HTTP/1.1\r\nHost: {door.host}:{door.port}\r\n\r\n".encode())
        head = await line.reader.readuntil(b"\r\n\r\n")
        length = next((int(row[15:]) for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")), 0)
        await line.reader.readexactly(length)


# -- at the feed, logged in


def _frame(kind: int, content: bytes, *, masked: bool = True, last: bool = True) -> bytes:
    size = len(content)
    length = bytes((size | 0x80 * masked,)) if size < 126 else bytes((126 | 0x80 * masked,)) + size.to_bytes(2)
    return bytes((kind | 0x80 * last,)) + length + (bytes(4) if masked else b"") + content


async def _feed(line: _Line, door: Door) -> None:
    whole = _greeting(door)[:-2] + f"Authorization: Bearer {door.token}\r\n\r\n".encode()
    await line.send(whole)
    answer = await line.reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in answer:
        raise EOFError


async def _frames(line: _Line, door: Door, rng: random.Random) -> None:
    """A quarter of a megabyte of frames of one kind, many times."""
    await _feed(line, door)
    kind = rng.choice((
        _frame(9, b""), _frame(1, b"x"), _frame(10, b""), _frame(0, b""), _frame(1, b'{"type":"ping"}'),
        _frame(1, b"y" * 5000), _frame(1, b"x", masked=False), _frame(3, b""), _frame(1, b"", last=False), _frame(2, b"x"),
        b"\xff", _frame(8, b"")[:-1],
    ))  # fmt: skip
    reading = asyncio.create_task(line.closed())
    try:
        for _ in range(20):
            await line.send(kind * (250_000 // len(kind)))
            await asyncio.wait({reading}, timeout=0.1)
            if reading.done():
                raise EOFError
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _half_frame(line: _Line, door: Door, rng: random.Random) -> None:
    await _feed(line, door)
    whole = _frame(1, b"x" * rng.randrange(2, 4000))
    await line.send(whole[: rng.randrange(1, len(whole))])
    await line.closed()


async def _deaf_feed(line: _Line, door: Door, rng: random.Random) -> None:
    await _feed(line, door)
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while not line.writer.transport.is_closing():  # noqa: ASYNC110 - the transport tells nobody else
        await asyncio.sleep(0.5)
    raise EOFError


def ways_of(door: Door) -> tuple[Way, ...]:
    """All ways to attack this door."""
    common: Mapping[str, Any] = {
        "silent": _silent, "half": _half, "one by one": _one_by_one, "garbage": _garbage, "lines": _lines,
        "reset": _early_reset, "end": _early_end, "knock": _knock,
    }  # fmt: skip
    hidden = {
        "hello only": _hello_only,
        "half hello": _half_hello,
        "bad hello": _bad_hello,
        "plain": _half,
        "raw": _silent,
    }
    pages = {"deaf": _deaf, "slow body": _slow_body, "endless head": _endless_head, "ask": _ask}
    feed = {"frames": _frames, "half frame": _half_frame, "deaf": _deaf_feed}
    return (
        *(Way(name=name, go=go) for name, go in common.items()),
        *(Way(name=name, go=go, raw=True) for name, go in (hidden if door.tls else {}).items()),
        *(Way(name=name, go=go) for name, go in (pages if door.speaks is Speaks.PAGES else {}).items()),
        *(Way(name=name, go=go) for name, go in (feed if door.speaks is Speaks.FEED and door.token else {}).items()),
    )


def doors_of(settings: Settings, *, token: str) -> tuple[Door, ...]:
    """Every port of a centre on this machine. `token`: of somebody who may open feeds; empty: of nobody."""
    host = "127.0.0.1" if settings.network.bind in ("0.0.0.0", "") else settings.network.bind  # noqa: S104 - compared only
    tls, port = encrypted(settings), settings.ports.of
    doors = [
        Door(name="agi", speaks=Speaks.AGI, host=settings.asterisk.agi_host, port=port("agi")),
        Door(name="pages", speaks=Speaks.PAGES, host=host, port=port("web"), tls=tls),
        Door(name="feed", speaks=Speaks.FEED, host=host, port=port("web"), tls=tls, token=token),
        Door(name="manager", speaks=Speaks.MANAGER, host="127.0.0.1", port=port("ami")),
        Door(name="phones", speaks=Speaks.PHONES, host=host, port=port("ws"), tls=tls),
        Door(name="sip", speaks=Speaks.SIP, host=host, port=port("sip")),
    ]
    if tls:
        doors.append(Door(name="plain pages", speaks=Speaks.PAGES, host=host, port=port("redirect")))
    return tuple(doors)


class Attacker:
    """The attack as a process. `begin`, then `ended` once the time is over; `stop` ends it early."""

    def __init__(self, doors: Sequence[Door], *, seconds: float, width: int, seed: int, pause: float = 0.3) -> None:
        told = {"seconds": seconds, "width": width, "seed": seed, "pause": pause}
        self._told = json.dumps({**told, "doors": [asdict(door) for door in doors]}).encode()
        self._process: asyncio.subprocess.Process | None = None

    async def begin(self) -> None:
        """Start attacking."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cti.soak.doors",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(self._told)
        self._process.stdin.close()

    async def ended(self) -> dict[str, Seen]:
        """What became of the connections, by door. Raises `CtiError` when the attacker failed."""
        assert self._process is not None
        out, _ = await self._process.communicate()
        if self._process.returncode:
            raise CtiError("the attacker failed; it says why above")
        return {name: Seen(**seen) for name, seen in json.loads(out).items()}

    async def stop(self) -> None:
        """End it now, if it runs."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def main() -> None:
    """What the process does."""
    os.nice(POLITE)
    told = json.loads(sys.stdin.buffer.read())
    doors = [Door(**{**door, "speaks": Speaks(door["speaks"])}) for door in told.pop("doors")]
    attack = Attack(doors=doors, **told)
    asyncio.run(attack.run())
    print(json.dumps({name: asdict(seen) for name, seen in attack.seen.items()}))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
