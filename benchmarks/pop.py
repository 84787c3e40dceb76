"""From Asterisk's word that an agent is free to the screen pop at that agent's page, while Asterisk has much to say.

    python -m benchmarks.pop [--pops 300] [--desks 200] [--rates 0 1000 10000]

`cti serve` as it ships (its journal on the disk, its embedded database) is linked to a stand-in for Asterisk in this
process; the feeds (WebSockets) of the two agents whose pops are timed are another process, those of the other desks a third: in a
contact centre each is a machine of its own, and the 200 of them would otherwise wait for each other. Two agents take calls of the recorded kind (tests/recordings/ami)
while four more callers wait, so that the word `DeviceStateChange ... NOT_INUSE` of the last leg makes an offer. Timed is from
before that event is written to the socket until the first bytes of the pop's message are read at the agent's feed, by the
machine's one monotonic clock. The background is written every two milliseconds, in proportion: of 10 events 6 that Asterisk's
filter would let through (4 DeviceStateChange of lines that are not ours, 1 ContactStatus, 1 DialState of unknown channels) and 4
that it would not (VarSet, Newexten, RTCPReceived, RTCPSent), which cost the bridge their parsing all the same.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import multiprocessing
import os
import re
import struct
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from queue import Empty
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import bridge_cpu
from benchmarks.feed import connect
from cti.centre_file import load_centre
from cti.clock import SystemClock
from cti.places import Places
from cti.secrets_file import load_or_make
from cti.settings import Settings
from cti.web.auth.accounts import Accounts
from cti.web.auth.sessions import Sessions
from tests.support.ami_server import FakeAmi

EVERY = 0.002
"""Seconds between writings of the background."""
ACTIVE = ["2001", "2002"]
CALLERS = 6
OFFER = re.compile(rb'"pops":\{"(\d+)":\{[^{}]*?"offer_id":(\d+)')
FREE = re.compile(rb"Device: PJSIP/(\d+)\r\nState: NOT_INUSE")


def background(number: int) -> bytes:
    """Event `number` of the background."""
    kind, line = number % 10, number % 997
    head = "Timestamp: NOW\r\n"
    channel = (
        f"Channel: PJSIP/other-{line:08x}\r\nChannelState: 6\r\nChannelStateDesc: Up\r\nCallerIDNum: 5550{line:04}\r\n"
        f"CallerIDName: <unknown>\r\nConnectedLineNum: <unknown>\r\nConnectedLineName: <unknown>\r\nLanguage: en\r\n"
        f"AccountCode: \r\nContext: other\r\nExten: s\r\nPriority: 4\r\nUniqueid: x1-{number}.0\r\nLinkedid: x1-{number}.0\r\n"
    )
    if kind < 4:
        text = f"Event: DeviceStateChange\r\nPrivilege: call,all\r\n{head}Device: PJSIP/line{line}\r\nState: INUSE\r\n"
    elif kind == 4:
        text = (
            f"Event: ContactStatus\r\nPrivilege: system,all\r\n{head}URI: sip:line{line}@192.0.2.7:5060\r\n"
            f"ContactStatus: Reachable\r\nAOR: line{line}\r\nEndpointName: line{line}\r\nRoundtripUsec: 4000\r\n"
        )
    elif kind == 5:
        text = f"Event: DialState\r\nPrivilege: call,all\r\n{head}{channel}DialStatus: RINGING\r\n"
    elif kind == 6:
        text = f"Event: VarSet\r\nPrivilege: dialplan,all\r\n{head}{channel}Variable: RTPAUDIOQOS\r\nValue: ssrc=1;lp=0\r\n"
    elif kind == 7:
        text = (
            f"Event: Newexten\r\nPrivilege: dialplan,all\r\n{head}{channel}Extension: s\r\nApplication: Playback\r\n"
            f"AppData: silence/1\r\n"
        )
    else:
        text = (
            f"Event: {'RTCPReceived' if kind == 8 else 'RTCPSent'}\r\nPrivilege: reporting,all\r\n{head}{channel}"
            f"To: 192.0.2.7:4001\r\nFrom: 192.0.2.8:4001\r\nRTT: 0.0041\r\nSSRC: 0x4f2a91c3\r\nPT: 200(SR)\r\nReportCount: 1\r\n"
            f"Report0FractionLost: 0\r\nReport0CumulativeLost: 0\r\nReport0IAJitter: 12\r\n"
        )
    return text.encode() + b"\r\n"


class Background:
    """Writes events at a rate until cancelled; `sent` counts them."""

    def __init__(self, ami: FakeAmi) -> None:
        self._ami = ami
        self._made = [background(number) for number in range(9970)]
        self.sent = 0

    async def run(self, rate: int) -> None:
        if not rate:
            return
        began, first, events = time.perf_counter(), self.sent, itertools.cycle(self._made)
        while True:
            await asyncio.sleep(EVERY)
            due = first + int((time.perf_counter() - began) * rate) - self.sent
            if due > 0:
                now = f"{time.time():.6f}".encode()
                self._ami.send(b"".join(itertools.islice(events, due)).replace(b"NOW\r", now + b"\r"))
                self.sent += due


# ---- the desks: a process of their own


async def desk(port: int, agent: str, token: str, ready: Any, seen: Any) -> None:
    reader, writer = await connect(port, token)
    offers: set[bytes] = set()
    while True:
        first, size = await reader.readexactly(2)
        at = time.monotonic_ns()
        if size == 126:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await reader.readexactly(8))
        content = await reader.readexactly(size)
        if first & 0x0F == 9:
            writer.write(bytes([0x8A, 0x80 | len(content), 0, 0, 0, 0]) + content)
        elif content.startswith(b'{"type":"snapshot"'):
            ready.release()
        elif (found := OFFER.search(content)) is not None and found[2] not in offers:
            offers.add(found[2])
            seen.put((agent, at))


def desks(port: int, tokens: dict[str, str], ready: Any, seen: Any) -> None:
    """The process."""

    async def run() -> None:
        await asyncio.gather(*(desk(port, agent, token, ready, seen) for agent, token in tokens.items()))

    asyncio.run(run())


# ---- the measurement


def tokens_of(settings: Settings, agents: list[str]) -> dict[str, str]:
    """A session for each agent, made with the bridge's own key."""
    places = Places(settings)
    secrets = load_or_make(settings.data, load_centre(places.centre))
    accounts = Accounts.load(places.accounts)
    sessions = Sessions(accounts, key=secrets.session_key, revoked_file=places.revoked, clock=SystemClock())
    found = {agent: accounts.get(agent) for agent in agents}
    return {agent: sessions.create(account)[0] for agent, account in found.items() if account is not None}


async def measure(asked: argparse.Namespace) -> None:
    """All rates, one after the other, with one bridge."""
    bridge_cpu.BETWEEN = 0.02
    agents = [str(2001 + number) for number in range(asked.desks)]
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="cti-bench-") as folder:
        os.chmod(folder, 0o711)
        async with bridge_cpu.bridge(Path(folder), agents, asked.profile, ACTIVE) as (calls, pid, settings):
            ami: FakeAmi = calls._ami
            said: dict[str, list[int]] = defaultdict(list)
            plain = ami.send

            def send(data: bytes) -> None:
                for agent in FREE.findall(data) if len(data) < 8192 else ():
                    said[agent.decode()].append(time.monotonic_ns())
                plain(data)

            ami.send = send  # type: ignore[method-assign]
            ready, seen = spawn.Semaphore(0), spawn.Queue()
            tokens = tokens_of(settings, agents)
            timed = {agent: tokens.pop(agent) for agent in ACTIVE}
            children = [
                spawn.Process(target=desks, args=(settings.ports.of("web"), some, ready, seen), daemon=True)
                for some in (timed, tokens)
            ]
            for child in children:
                child.start()
            for _ in agents:
                if not await asyncio.to_thread(ready.acquire, True, 60):
                    raise RuntimeError("a desk did not connect")
            noise = Background(ami)
            for rate in (None, *asked.rates):
                said.clear()
                before, began, sent = bridge_cpu.threads(pid), time.perf_counter(), noise.sent
                task = asyncio.create_task(noise.run(rate or 0))
                count = 10 if rate is None else max(1, asked.pops // CALLERS)
                async with asyncio.timeout(900):
                    await asyncio.gather(*(calls.caller(count) for _ in range(CALLERS)))
                task.cancel()
                seconds = time.perf_counter() - began
                used = {name: value - before[name] for name, value in bridge_cpu.threads(pid).items()}
                await asyncio.sleep(0.5)
                late = sorted(latencies(said, drained(seen)))
                if rate is None:
                    continue  # warm-up
                print(
                    f"{(noise.sent - sent) / seconds:8.0f} events/s, {asked.desks} desks: N {len(late)}"
                    f" p50 {late[len(late) // 2]:.2f} p90 {late[int(len(late) * 0.9)]:.2f}"
                    f" p99 {late[int(len(late) * 0.99)]:.2f} max {late[-1]:.2f} ms; bridge's loop"
                    f" {100 * used['loop'] / seconds:.0f} %, its other threads {100 * used['other threads'] / seconds:.0f} % of a"
                    f" processor; load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
            for child in children:
                child.terminate()


def drained(seen: Any) -> list[tuple[str, int]]:
    """What the desks have said so far."""
    found = []
    while True:
        try:
            found.append(seen.get(timeout=0.2))
        except Empty:
            return found


def latencies(said: dict[str, list[int]], seen: list[tuple[str, int]]) -> list[float]:
    """Milliseconds from the last word before each pop, where a pop followed it."""
    found = []
    for agent, moments in said.items():
        pops = [at for who, at in seen if who == agent]
        for moment, following in itertools.pairwise([*moments, 1 << 62]):
            after = [at for at in pops if moment <= at < following]
            if after:
                found.append((after[0] - moment) / 1e6)
    return found


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pops", type=int, default=300, help="at each rate")
    parser.add_argument("--desks", type=int, default=200)
    parser.add_argument("--rates", type=int, nargs="+", default=[0, 1000, 10000])
    parser.add_argument("--profile", type=Path)
    asyncio.run(measure(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
