"""How the live feed scales: many dashboards on one stream of changes, beside the plain way, and with clients that stop reading.

`python benchmarks/feed.py [--clients 1000] [--changes 200] [--rate 10] [--stuck 5] [--rounds 3]`

The real web application runs in this process, on uvloop as the product does, over a fake floor; the readers are another
process. Each change carries the moment it was applied; the readers measure from there to having the whole message. In turns
with it, in the same run, the plain way: the same change, made a dict once, sent with aiohttp's `send_json` to one client after
the other. Printed for each round: latency, this process's CPU a change and a message; then the ratios. At last some clients
stop reading.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import dataclasses
import functools
import json
import multiprocessing
import os
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parent.parent))

import cti.web.auth.sessions
from cti.ids import AgentId
from cti.services.floor import Change
from cti.web.app import build_app, serving
from cti.web.auth.sessions import Sessions
from cti.web.deps import DEPS
from cti.web.feed import HUB
from cti.web.gate_limits import GateLimits
from cti.web.wire import encode
from tests.support.fake_floor import FakeFloor, demo_centre, make_deps

MARK = b'"choice":"at '
PING, CLOSE = 0x89, 0x88
PONG = b"\x8a\x80" + bytes(4)
"""Masked, as a client's must be, and empty."""
ALL_FROM_HERE = GateLimits(most_of_address=4000, strangers=4000, strangers_of_address=4000)
"""A thousand dashboards have one address here, and come at once."""


async def connect(
    port: int, token: str, *, receive_buffer: int | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    plain = socket.socket()
    plain.setblocking(False)
    if receive_buffer is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=plain, limit=1 << 20)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /api/v1/feed HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
        f"\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head[:40], head
    return reader, writer


class Reader(asyncio.Protocol):
    """One dashboard: notes how late each whole message is. As cheap as may be: all of them share one process."""

    def __init__(self, changes: int, late: list[float], ready: Any) -> None:
        self._left, self._late, self._ready = changes, late, ready
        self._kept = b""
        self.transport: Any = None
        self.done = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Take the frames that are whole."""
        now = time.time()
        data = self._kept + data
        start = 0
        while len(data) - start >= 2:
            size, head = data[start + 1], 2
            if size >= 126:
                head = 4 if size == 126 else 10
                if len(data) - start < head:
                    break
                size = int.from_bytes(data[start + 2 : start + head])
            end = start + head + size
            if end > len(data):
                break
            if data[start] == PING:
                self.transport.write(PONG)
            elif data[start] == CLOSE and not self.done.done():
                self.done.set_exception(ConnectionError(f"the server ended a feed: {data[start + head : end]!r}"))
            place = data.find(MARK, start, end)
            if place > 0:
                self._late.append(now - float(data[place + len(MARK) : place + len(MARK) + 17]))
                self._left -= 1
                if self._left == 0:
                    self.done.set_result(None)
            elif data.startswith(b'{"type":"snapshot"', start + head):
                self._ready.release()
            start = end
        self._kept = data[start:]

    def connection_lost(self, error: Exception | None) -> None:
        """A dashboard that is cut off before the end would be waited for in vain."""
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server ended a feed"))


async def follow(port: int, token: str, changes: int, late: list[float], ready: Any) -> None:
    """Connect a dashboard, and wait until it has seen every change."""
    reader, writer = await connect(port, token)
    dashboard = Reader(changes, late, ready)
    transport = dashboard.transport = writer.transport
    transport.set_protocol(dashboard)
    if waiting := bytes(reader._buffer):  # type: ignore[attr-defined]
        dashboard.data_received(waiting)
    await dashboard.done
    transport.close()


def readers(port: int, tokens: list[str], changes: int, ready: Any, results: Any) -> None:
    """The readers' process."""

    async def run() -> list[float]:
        late: list[float] = []
        await asyncio.gather(*(follow(port, token, changes, late, ready) for token in tokens))
        return late

    late = sorted(asyncio.run(run()))
    results.put([late[int(len(late) * share)] for share in (0.5, 0.99)] + [late[-1]])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one round: seconds of latency, CPU seconds a change."""

    p50: float
    p99: float
    worst: float
    cpu: float

    def __str__(self) -> str:
        return (
            f"latency ms p50 {self.p50 * 1000:.1f} p99 {self.p99 * 1000:.1f} max {self.worst * 1000:.1f};"
            f" CPU {self.cpu * 1e3:.2f} ms a change"
        )


class Plain:
    """The plain way: every client is sent every change by `send_json`, one after the other."""

    def __init__(self) -> None:
        self.clients: list[web.WebSocketResponse] = []
        self.app = web.Application()
        self.app.router.add_get("/api/v1/feed", self._feed)
        self._changes: asyncio.Queue[Any] = asyncio.Queue()

    async def _feed(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        await ws.send_json({"type": "snapshot", "seq": 1, "view": {}}, dumps=compact)
        self.clients.append(ws)
        async for _ in ws:
            pass
        return ws

    async def run(self) -> None:
        seq = 1
        while True:
            change = await self._changes.get()
            seq += 1
            message = {"type": "delta", "seq": seq, "change": change}
            for ws in self.clients:
                with contextlib.suppress(ConnectionError):
                    await ws.send_json(message, dumps=compact)

    def tell(self, change: Change) -> None:
        """To everybody, in order. As the plain way would have it: values as JSON knows them, made once."""
        self._changes.put_nowait(json.loads(encode(change)))


compact = functools.partial(json.dumps, separators=(",", ":"))
"""As the readers expect it, and shorter and faster than the default."""


async def ours(asked: argparse.Namespace, stuck: int) -> tuple[Figures, float]:
    """A round of the real feed; and how many clients were dropped."""
    with tempfile.TemporaryDirectory() as folder:
        floor = FakeFloor(demo_centre())
        deps = make_deps(floor, Path(folder))
        sessions = Sessions(deps.accounts, key=deps.session_key, revoked_file=deps.revoked_file, clock=deps.clock)
        account = deps.accounts.get("supervisor")
        assert account is not None
        cti.web.auth.sessions.MOST_PER_ACCOUNT = asked.clients + stuck  # a thousand supervisors, here one account
        tokens = [sessions.create(account)[0] for _ in range(asked.clients + stuck)]
        app = build_app(deps)
        figures = await drive(app, tokens, asked, stuck, floor, floor.apply, lambda: len(app[HUB].clients))
        return figures, deps.metrics.registry.get_sample_value("cti_feed_drops_total", {"code": "4008"}) or 0


async def plain(asked: argparse.Namespace) -> Figures:
    """A round of the plain way."""
    way = Plain()
    sender = asyncio.create_task(way.run())
    tokens = ["x"] * asked.clients
    floor = FakeFloor(demo_centre())
    with tempfile.TemporaryDirectory() as folder:
        way.app[DEPS] = make_deps(floor, Path(folder))  # the gate before both counts in its metrics
        figures = await drive(way.app, tokens, asked, 0, floor, way.tell, lambda: len(way.clients))
    sender.cancel()
    return figures


async def drive(
    app: web.Application,
    tokens: list[str],
    asked: argparse.Namespace,
    stuck: int,
    floor: FakeFloor,
    tell: Callable[[Change], None],
    connected: Callable[[], int],
) -> Figures:
    """Serve the application, connect its readers, tell the changes."""
    clients = asked.clients
    async with serving(app, "127.0.0.1", 0, limits=ALL_FROM_HERE) as port:
        spawn = multiprocessing.get_context("spawn")
        ready, results = spawn.Semaphore(0), spawn.Queue()
        child = spawn.Process(target=readers, args=(port, tokens[:clients], asked.changes, ready, results))
        child.start()
        deaf = [await connect(port, token, receive_buffer=4096) for token in tokens[clients:]]
        for _, writer in deaf:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(120):
            while connected() < clients + stuck:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            for _ in range(clients):
                await asyncio.to_thread(ready.acquire)
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        for i in range(asked.changes):
            due = start + i / asked.rate
            if (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            agent_id = AgentId(str(1001 + i % 8))
            call = floor.make_call(f"a1-1.{i % 200}", agent_id=agent_id, choice=f"at {time.time():.6f}")
            row = dataclasses.replace(floor.agents[agent_id], since=datetime.now(UTC))
            tell(Change(calls={call.call_id: call}, agents={agent_id: row}, queues=dict(floor.queues)))
        p50, p99, worst = await asyncio.to_thread(results.get, True, 120)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        for _, writer in deaf:
            writer.transport.abort()
        await asyncio.to_thread(child.join)
        return Figures(p50=p50, p99=p99, worst=worst, cpu=cpu / asked.changes)


def ratio(name: str, pairs: list[tuple[float, float]]) -> str:
    """Median and spread of a ratio over rounds."""
    found = sorted(a / b for a, b in pairs)
    return f"{name} {statistics.median(found):.2f} ({found[0]:.2f}-{found[-1]:.2f})"


async def measure(asked: argparse.Namespace) -> None:
    """Rounds of both, in turns."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    pairs: list[tuple[Figures, Figures]] = []
    for number in range(asked.rounds):
        one, two = (await ours(asked, 0))[0], await plain(asked)
        pairs.append((one, two))
        print(f"round {number + 1}, {asked.clients} clients, {asked.changes} changes at {asked.rate:g}/s")
        print(f"  ours      {one}\n  send_json {two}", flush=True)
    said = [
        ratio(name, [(getattr(one, name), getattr(two, name)) for one, two in pairs]) for name in ("p50", "p99", "cpu")
    ]
    print(f"ours / send_json, N {asked.rounds} rounds: " + ", ".join(said))
    stuck, dropped = await ours(asked, asked.stuck)
    print(f"with {asked.stuck} more that stop reading: {stuck}; dropped {dropped:.0f}; load {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--stuck", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    uvloop.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
