"""How the live feed scales: many clients, one floor, and some clients that stop reading.

`python benchmarks/feed.py [--clients 100] [--changes 1500] [--rate 100] [--stuck 5]`

The real web application runs in this process over a fake floor; the readers are another process. Each change carries
the moment it was applied; the readers measure from there to having the whole message. Printed: latency with none and
with some stuck clients, and this process's CPU per change and per message.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import dataclasses
import multiprocessing
import os
import resource
import socket
import struct
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from cti.ids import AgentId
from cti.services.floor import Change
from cti.web.app import build_app, serving
from cti.web.auth.sessions import Sessions
from cti.web.feed import HUB
from tests.support.fake_floor import FakeFloor, demo_centre, make_deps

MARK = b'"choice":"at '


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


async def follow(port: int, token: str, changes: int, late: list[float], ready: Any) -> None:
    reader, writer = await connect(port, token)
    seen = 0
    while seen < changes:
        _, size = await reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await reader.readexactly(8))
        content = await reader.readexactly(size)
        place = content.find(MARK)
        if content.startswith(b'{"type":"snapshot"'):
            ready.release()
        elif place > 0:
            seen += 1
            at = float(content[place + len(MARK) : place + len(MARK) + 17])
            late.append(time.time() - at)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def readers(port: int, tokens: list[str], changes: int, ready: Any, results: Any) -> None:
    async def run() -> list[float]:
        late: list[float] = []
        await asyncio.gather(*(follow(port, token, changes, late, ready) for token in tokens))
        return late

    late = sorted(asyncio.run(run()))
    results.put([late[int(len(late) * share)] for share in (0.5, 0.99)] + [late[-1]])


async def measure(clients: int, changes: int, rate: float, stuck: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        floor = FakeFloor(demo_centre())
        deps = make_deps(floor, Path(folder))
        sessions = Sessions(deps.accounts, key=deps.session_key, revoked_file=deps.revoked_file, clock=deps.clock)
        account = deps.accounts.get("supervisor")
        assert account is not None
        tokens = [sessions.create(account)[0] for _ in range(clients + stuck)]
        app = build_app(deps)
        async with serving(app, "127.0.0.1", 0) as port:
            spawn = multiprocessing.get_context("spawn")
            ready, results = spawn.Semaphore(0), spawn.Queue()
            child = spawn.Process(target=readers, args=(port, tokens[:clients], changes, ready, results))
            child.start()
            deaf = [await connect(port, token, receive_buffer=4096) for token in tokens[clients:]]
            for _, writer in deaf:
                writer.transport.pause_reading()  # type: ignore[attr-defined]
            async with asyncio.timeout(60):
                while len(app[HUB].clients) < clients + stuck:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                for _ in range(clients):
                    await asyncio.to_thread(ready.acquire)
            before, start = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
            for i in range(changes):
                due = start + i / rate
                if (pause := due - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                agent_id = AgentId(str(1001 + i % 8))
                call = floor.make_call(f"a1-1.{i % 200}", agent_id=agent_id, choice=f"at {time.time():.6f}")
                row = dataclasses.replace(floor.agents[agent_id], since=datetime.now(UTC))
                floor.apply(Change(calls={call.call_id: call}, agents={agent_id: row}, queues=dict(floor.queues)))
            p50, p99, worst = await asyncio.to_thread(results.get, True, 60)
            after = resource.getrusage(resource.RUSAGE_SELF)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            dropped = deps.metrics.registry.get_sample_value("cti_feed_drops_total", {"code": "4008"}) or 0
            print(
                f"{clients} clients, {stuck} stuck, {changes} changes at {rate:g}/s: latency ms p50 {p50 * 1000:.1f}"
                f" p99 {p99 * 1000:.1f} max {worst * 1000:.1f}; CPU {cpu / changes * 1e3:.2f} ms a change,"
                f" {cpu / changes / clients * 1e6:.1f} us a message; dropped {dropped:.0f}"
            )
            for _, writer in deaf:
                writer.transport.abort()
            await asyncio.to_thread(child.join)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--changes", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--stuck", type=int, default=5)
    given = parser.parse_args()
    for stuck in (0, given.stuck):
        asyncio.run(measure(given.clients, given.changes, given.rate, stuck))


if __name__ == "__main__":
    main()
