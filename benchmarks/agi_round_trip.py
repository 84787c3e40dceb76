"""FastAGI commands a second: our server beside panoramisk's `fast_agi`, in one run, each in a process of its own.

    python benchmarks/agi_round_trip.py [--rounds 7] [--sessions 400] [--commands 5] [--in-flight 20]

A client of plain sockets plays Asterisk: environment, then a reply for each command until the server closes, with
`--in-flight` sessions at a time. Each round drives every server once, in turn, so that a slow moment of the machine hits all
alike; ratios are taken within a round. "server" is processor time of the server per command (what the machine pays),
"wall" is commands a second seen by the client, which shares the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import multiprocessing.connection
import selectors
import signal
import socket
import statistics
import time
from datetime import timedelta

from panoramisk.fast_agi import Application, Request

from cti.asterisk.agi.server import AgiServer
from cti.asterisk.agi.session import AgiSession
from cti.asterisk.agi.wire import AgiRequest

ENVIRONMENT = (
    b"agi_network: yes\nagi_network_script: call\nagi_request: agi://127.0.0.1/call\nagi_channel: PJSIP/trunk-00000001\n"
    b"agi_language: en\nagi_type: PJSIP\nagi_uniqueid: a1-1700000000.1\nagi_version: 22.10.1\nagi_callerid: 15550100\n"
    b"agi_calleridname: unknown\nagi_callingpres: 0\nagi_callingani2: 0\nagi_callington: 0\nagi_callingtns: 0\n"
    b"agi_dnid: 100\nagi_rdnis: unknown\nagi_context: cti-flow\nagi_extension: s\nagi_priority: 4\nagi_enhanced: 0.0\n"
    b"agi_accountcode: \nagi_threadid: 140039614789312\nagi_arg_1: a1-1700000000.1\nagi_arg_2: +15550100\nagi_arg_3: 100\n\n"
)
REPLY = b"200 result=1\n"
Pipe = multiprocessing.connection.Connection


async def _until_told(pipe: Pipe, port: int) -> None:
    """Give the port, then the processor time used whenever asked, until the other side closes."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def asked() -> None:
        try:
            pipe.recv()
            pipe.send(time.process_time())
        except EOFError:
            loop.remove_reader(pipe.fileno())
            done.set_result(None)

    pipe.send(port)
    loop.add_reader(pipe.fileno(), asked)
    await done


async def ours(pipe: Pipe, commands: int) -> None:
    async def call(request: AgiRequest, session: AgiSession) -> None:
        for _ in range(commands):
            await session.command("SET VARIABLE", "X", "1", deadline=timedelta(seconds=5))

    async with AgiServer("127.0.0.1", 0, {"call": call}) as server:
        await _until_told(pipe, server.port)


async def theirs(pipe: Pipe, commands: int) -> None:
    async def call(request: Request) -> None:
        for _ in range(commands):
            await request.send_command('SET VARIABLE "X" "1"')

    application = Application(loop=asyncio.get_running_loop())
    application.add_route("call", call)
    async with await asyncio.start_server(application.handler, "127.0.0.1", 0) as server:
        await _until_told(pipe, server.sockets[0].getsockname()[1])


SERVERS = {"panoramisk asyncio": (theirs, False), "ours asyncio": (ours, False), "panoramisk uvloop": (theirs, True), "ours uvloop": (ours, True)}  # fmt: skip


def serve(name: str, pipe: Pipe, commands: int) -> None:
    """Run one server in this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    make, fast = SERVERS[name]
    if fast:
        import uvloop

        uvloop.run(make(pipe, commands))
    else:
        asyncio.run(make(pipe, commands))


def drive(port: int, sessions: int, in_flight: int) -> int:
    """Play `sessions` callers; returns the commands answered."""
    selector = selectors.DefaultSelector()
    begun = answered = running = 0
    while begun < sessions or running:
        while running < in_flight and begun < sessions:
            one = socket.create_connection(("127.0.0.1", port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.sendall(ENVIRONMENT)
            selector.register(one, selectors.EVENT_READ)
            begun += 1
            running += 1
        for key, _ in selector.select(timeout=10):
            one = key.fileobj  # type: ignore[assignment]
            data = one.recv(4096)
            if data:
                count = data.count(b"\n")
                answered += count
                one.sendall(REPLY * count)
            else:
                selector.unregister(one)
                one.close()
                running -= 1
    selector.close()
    return answered


def main() -> None:
    """Drive all and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sessions", type=int, default=400)
    parser.add_argument("--commands", type=int, default=5)
    parser.add_argument("--in-flight", type=int, default=20)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    wall: dict[str, list[float]] = {name: [] for name in SERVERS}
    cpu: dict[str, list[float]] = {name: [] for name in SERVERS}
    with contextlib.ExitStack() as stack:
        ready: dict[str, tuple[Pipe, int]] = {}
        for name in SERVERS:
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(name, there, options.commands))
            process.start()
            there.close()
            stack.callback(process.join, 10)
            stack.callback(here.close)
            ready[name] = (here, here.recv())
            drive(ready[name][1], 50, options.in_flight)  # warm
        for _ in range(options.rounds):
            for name, (pipe, port) in ready.items():
                pipe.send(None)
                before = pipe.recv()
                began = time.perf_counter()
                answered = drive(port, options.sessions, options.in_flight)
                took = time.perf_counter() - began
                assert answered == options.sessions * options.commands, (name, answered)
                pipe.send(None)
                cpu[name].append((pipe.recv() - before) / answered * 1e6)
                wall[name].append(answered / took)
    print(
        f"{options.rounds} rounds of {options.sessions} sessions x {options.commands} commands, {options.in_flight} in flight"
    )
    print(f"{'':20} {'server, us/command':>28} {'wall, commands/s':>26}")
    for name in SERVERS:
        print(f"{name:20} {spread(cpu[name], '.0f'):>28} {spread(wall[name], ',.0f'):>26}")
    for name in ("ours asyncio", "panoramisk uvloop", "ours uvloop"):
        base = "panoramisk asyncio"
        less = [one / two for one, two in zip(cpu[base], cpu[name], strict=True)]
        more = [two / one for one, two in zip(wall[base], wall[name], strict=True)]
        print(f"{name} : {base}   server {spread(less, '.2f')}x less   wall {spread(more, '.2f')}x more")


def spread(values: list[float], form: str) -> str:
    """Median and range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


if __name__ == "__main__":
    main()
