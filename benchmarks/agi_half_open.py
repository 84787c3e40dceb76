"""How long 1,000 half-open FastAGI connections hold up the loop of the bridge, from their opening to their time-out.

    python benchmarks/agi_half_open.py [--connections 1000] [--rounds 3] [--sessions 200]

A client in a process of its own opens the connections, sends half an environment on each and then nothing; the server's own
time-out ends them. Meanwhile a caller's session of five commands runs again and again. A watch in the server's loop looks
at the clock every millisecond: its longest delay is the longest time anything held up the loop. Beside it the same watch
with no connection at all, in the same run: what the machine itself does to a loop.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import multiprocessing.connection
import socket
import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.agi_round_trip import ENVIRONMENT, drive
from cti.asterisk.agi.server import AgiServer
from cti.asterisk.agi.session import AgiSession
from cti.asterisk.agi.wire import AgiRequest

Pipe = multiprocessing.connection.Connection
EVERY = 0.001


def client(pipe: Pipe, connections: int) -> None:
    """Open half a session so often as told to; answer when all are there and when all are closed by the other side."""
    while (port := pipe.recv()) is not None:
        half = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        for one in half:
            one.sendall(ENVIRONMENT[:300])
        pipe.send("open")
        for one in half:
            one.settimeout(60)
            assert one.recv(1) == b""
            one.close()
        pipe.send("closed")


def callers(pipe: Pipe, sessions: int) -> None:
    """Callers with a session of five commands, one after the other, while told to."""
    while (port := pipe.recv()) is not None:
        began = time.perf_counter()
        drive(port, sessions, 1)
        pipe.send((time.perf_counter() - began) / sessions)


async def answer(pipe: Pipe) -> object:
    """What the other process says next."""
    return await asyncio.to_thread(pipe.recv)


async def watch(stalls: list[float]) -> None:
    """Note how late the loop comes back, in seconds."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY
        await asyncio.sleep(EVERY)
        stalls.append(loop.time() - due)


async def measure(options: argparse.Namespace, half: Pipe, whole: Pipe) -> None:
    """Run all and print."""

    async def call(request: AgiRequest, session: AgiSession) -> None:
        for _ in range(5):
            await session.command("SET VARIABLE", "X", "1", deadline=timedelta(seconds=5))

    async with AgiServer("127.0.0.1", 0, {"call": call}, most_unasked=options.connections + 100) as server:
        print(f"{'':8} {'longest stall, ms':>20} {'99.9 %, ms':>12} {'a session of 5 commands, ms':>30}")
        for number in range(options.rounds):
            for name in ("alone", "half-open"):
                stalls: list[float] = []
                watching = asyncio.create_task(watch(stalls))
                if name == "half-open":
                    half.send(server.port)
                    assert await answer(half) == "open"
                times = []
                while server.connections > 10 or not times:
                    whole.send(server.port)
                    times.append(await answer(whole))
                if name == "half-open":
                    assert await answer(half) == "closed"
                watching.cancel()
                ms = sorted(1000 * one for one in stalls)
                session = 1000 * statistics.mean(float(str(one)) for one in times)
                print(
                    f"{name:9} {ms[-1]:>19.1f} {ms[int(len(ms) * 0.999)]:>12.1f} {session:>30.2f}   round {number + 1}"
                )


def main() -> None:
    """Read the options and measure, on uvloop as the product does."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=200)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    pipes = []
    for target, count in ((client, options.connections), (callers, options.sessions)):
        here, there = context.Pipe()
        context.Process(target=target, args=(there, count), daemon=True).start()
        there.close()
        pipes.append(here)
    import uvloop

    uvloop.run(measure(options, *pipes))
    for pipe in pipes:
        pipe.send(None)


if __name__ == "__main__":
    main()
