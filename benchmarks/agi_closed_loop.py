"""What a flow of five AGI commands costs a real call: INVITE to 486 with it and without, in a closed loop on one Asterisk.

    python benchmarks/agi_closed_loop.py [--calls 5000] [--blocks 5] [--in-flight 20] [--single 150]

Three numbers, called in turn (ABC ABC ...), so that a slow moment of the machine hits all alike. "bare" hangs up with cause 17
at once; "ours" first visits our FastAGI server, "panoramisk" panoramisk's `fast_agi` application on plain asyncio; both
handlers send five `SET VARIABLE`. The servers run in processes of their own, ours on uvloop, as in the product. Callers are
SIPp. The closed loop gives calls a second with `--in-flight` callers (SIPp's start is in the time of all); one caller at a time
gives the time a visit adds (INVITE to 486, mean of a block). Ratios and differences are taken within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import multiprocessing
import re
import secrets
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.agi_round_trip import serve
from cti.asterisk.install import ensure_asterisk
from cti.asterisk.process import AsteriskProcess
from cti.asterisk.render import render
from cti.settings import Settings
from tests.integration.asterisk_rig import TestSecrets, free_settings, small_centre

SCENARIO = Path(__file__).parent / "side_by_side" / "refused.xml"
ARMS = {"bare": "7100", "ours": "7101", "panoramisk": "7102"}
SERVERS = {"ours": "ours uvloop", "panoramisk": "panoramisk asyncio"}
COMMANDS = 5


@contextlib.contextmanager
def servers() -> Iterator[dict[str, int]]:
    """Both FastAGI servers, each in a process of its own; gives their ports."""
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        ports: dict[str, int] = {}
        for arm, name in SERVERS.items():
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(name, there, COMMANDS))
            process.start()
            there.close()
            stack.callback(process.join, 10)
            stack.callback(here.close)
            ports[arm] = here.recv()
        yield ports


def dialplan(ports: dict[str, int]) -> str:
    """The three numbers."""
    lines = ["", "[cti-inbound](+)", f"exten => {ARMS['bare']},1,Hangup(17)"]
    for arm, port in ports.items():
        lines += [f"exten => {ARMS[arm]},1,AGI(agi://127.0.0.1:{port}/call)", " same => n,Hangup(17)"]
    return "\n".join(lines) + "\n"


async def closed_loop(settings: Settings, arm: str, *, calls: int, in_flight: int) -> float:
    """Calls of one kind; gives calls a second."""
    with tempfile.TemporaryDirectory(prefix="cti-bench-") as folder:
        stat = Path(folder) / "stat.csv"
        command = [
            "sipp", f"127.0.0.1:{settings.ports.of('sip')}", "-sf", str(SCENARIO), "-i", settings.trunk.match[0],
            "-s", ARMS[arm], "-m", str(calls), "-l", str(in_flight), "-r", "100000", "-rp", "1000", "-nostdin",
            "-timeout", "120s", "-timeout_error", "-trace_stat", "-stf", str(stat), "-fd", "1",
        ]  # fmt: skip
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        try:
            status = await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        took = time.perf_counter() - began
        with stat.open(newline="") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        if status != 0 or int(last["SuccessfulCall(C)"]) != calls:
            raise RuntimeError(f"{arm}: {last['SuccessfulCall(C)']} of {calls} calls, status {status}")
        return calls / took


def one_by_one(settings: Settings, arm: str, calls: int) -> float:
    """The mean from INVITE to 486 in milliseconds, with one caller at a time."""
    local, did = settings.trunk.match[0], ARMS[arm]
    taken: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind((local, 0))
        phone.connect(("127.0.0.1", settings.ports.of("sip")))
        phone.settimeout(5)
        here = f"{local}:{phone.getsockname()[1]}"
        for _ in range(calls):
            name = secrets.token_hex(8)
            head = (
                f"To: <sip:{did}@127.0.0.1>{{to}}\r\nFrom: <sip:+15551234567@{here}>;tag={name}\r\nCall-ID: {name}\r\n"
            )
            via = f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{name}\r\nMax-Forwards: 70\r\n"
            body = f"v=0\r\no=- 1 1 IN IP4 {local}\r\ns=-\r\nc=IN IP4 {local}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
            more = (
                f"Contact: <sip:caller@{here}>\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            invite = f"INVITE sip:{did}@127.0.0.1 SIP/2.0\r\n{via}{head.format(to='')}CSeq: 1 INVITE\r\n{more}{body}"
            began = time.perf_counter()
            phone.send(invite.encode())
            answer = phone.recv(65536)
            while not answer.startswith(b"SIP/2.0 486") or name.encode() not in answer:
                answer = phone.recv(65536)
            taken.append(1000 * (time.perf_counter() - began))
            tag = re.search(rb"\nTo:[^\r]*(;tag=[^\r;]+)", answer)
            assert tag is not None
            ack = f"{via}{head.format(to=tag[1].decode())}CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
            phone.send(f"ACK sip:{did}@127.0.0.1 SIP/2.0\r\n{ack}".encode())
    return statistics.mean(taken)


async def measure(options: argparse.Namespace) -> None:
    """Run all and print."""
    with tempfile.TemporaryDirectory(prefix="cti-bench-") as folder, servers() as ports:
        settings = free_settings(Path(folder) / "data")
        binary = await asyncio.to_thread(ensure_asterisk, settings, lambda step, done, total: None)
        paths = render(
            settings, small_centre(), TestSecrets(), binary, Path(folder) / "prompts", settings.data / "asterisk"
        )
        file = paths.etc / "cti" / "extensions.conf"
        file.write_text(file.read_text(encoding="utf-8") + dialplan(ports), encoding="utf-8")
        process = AsteriskProcess(binary, paths)
        await process.start()
        try:
            rates: dict[str, list[float]] = {arm: [] for arm in ARMS}
            times: dict[str, list[float]] = {arm: [] for arm in ARMS}
            for arm in ARMS:
                await closed_loop(settings, arm, calls=200, in_flight=options.in_flight)
            for number in range(options.blocks):
                for arm in ARMS:
                    rates[arm].append(
                        await closed_loop(settings, arm, calls=options.calls, in_flight=options.in_flight)
                    )
                for arm in ARMS:
                    times[arm].append(await asyncio.to_thread(one_by_one, settings, arm, options.single))
                print(f"round {number + 1} of {options.blocks}", file=sys.stderr, flush=True)
        finally:
            await process.stop()
    print(
        f"{options.blocks} rounds; closed loop of {options.calls} calls, {options.in_flight} at a time; {options.single} one by one"
    )
    print(f"{'':12} {'calls/s':>24} {'of bare':>24} {'INVITE to 486, ms':>24} {'more than bare, ms':>24}")
    for arm in ARMS:
        share = [one / two for one, two in zip(rates[arm], rates["bare"], strict=True)]
        more = [one - two for one, two in zip(times[arm], times["bare"], strict=True)]
        print(
            f"{arm:12} {spread(rates[arm], '.0f'):>24} {spread(share, '.2f'):>24} {spread(times[arm], '.2f'):>24} {spread(more, '.2f'):>24}"
        )


def spread(values: list[float], form: str) -> str:
    """Median and range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--in-flight", type=int, default=20)
    parser.add_argument("--single", type=int, default=150)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
