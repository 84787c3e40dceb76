"""How much longer a call takes to set up while somebody floods the SIP port: alternately with and without, in one run.

    python benchmarks/sip_flood.py [--minutes 8] [--rate 100] [--addresses 400] [--seconds 10] [--calls-a-second 5]
                                   [--ban] [--together]

A real Asterisk with the product's own configuration and a small FastAGI server in the bridge's place, so that what is measured is
the SIP port. Calls come from the carrier's address at a steady rate; of each the time from the INVITE to the answer (200) is
taken, by the moment at which the kernel got the answer. Blocks of `--seconds` alternate without and with the flood (bad REGISTER
and INVITE of every kind, `tests/support/sip_flood.py`), from so many addresses that none would be shut out; with `--addresses 40 --ban`
from forty that are shut out first, as the bridge does after ten seconds of it (`cti/asterisk/bans.py`). With `--together` all
addresses knock in the same moments, as no strangers do. The flood comes out of a process of its own, which gets the time that
nobody else wants (strangers flood from another machine): it must delay neither Asterisk nor who takes the times. How far it does
all the same, the third kind of block shows: the same flood at a port that is not Asterisk's, where the process itself answers each
request with a challenge. Told are N, p50, p99 and the ratios of p99 by rounds of blocks and over all with their spread, Asterisk's
processor time, and the load of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.integration.asterisk_rig import Rig, running_asterisk
from tests.support.sip_caller import came_at
from tests.support.sip_flood import Knocker, knocker

NET = "127.77"
SAID = {"none": "without", "elsewhere": "with the flood elsewhere", "flood": "with the flood"}
"""The kinds of blocks, in words."""
KINDS = tuple(SAID)


class Callers(asyncio.DatagramProtocol):
    """Callers on the carrier's address: INVITE, and when it is answered ACK and BYE."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.begun: dict[str, float] = {}
        self.took: list[float] = []
        self.lost = 0
        self.refused = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._answered: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the port is open."""
        self._transport = transport  # type: ignore[assignment]

    def _send(self, call_id: str, method: str, sequence: int, to: str = "", body: str = "") -> None:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        uri = f"sip:5000@{self.server[0]}:{self.server[1]}"
        branch = f"{call_id}{'i' if method in ('INVITE', 'ACK!') else method}"
        lines = [
            f"{method.rstrip('!')} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{branch}",
            f"From: <sip:+15551234567@{host}:{port}>;tag=c{call_id}",
            f"To: {to or f'<{uri}>'}",
            f"Call-ID: {call_id}",
            f"CSeq: {sequence} {method.rstrip('!')}",
            f"Contact: <sip:caller@{host}:{port}>",
            "Max-Forwards: 70",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._transport.sendto("\r\n".join([*lines, "", body]).encode(), self.server)

    def call(self) -> None:
        """One more."""
        call_id = secrets.token_hex(8)
        host = self._transport.get_extra_info("sockname")[0] if self._transport is not None else ""
        sdp = f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
        self.begun[call_id] = time.time()
        self._send(call_id, "INVITE", 1, body=sdp)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """asyncio: an answer, or a BYE."""
        at = came_at(self._transport)
        text = data.decode("utf-8", "replace")
        found = re.search(r"\r\nCall-ID: *(\S+)", text)
        to = re.search(r"\r\nTo: *([^\r]*)", text)
        if found is None or to is None or not text.startswith("SIP/2.0 ") or "\r\nCSeq: 1 INVITE" not in text:
            return
        call_id, status = found[1], text[8:11]
        if status[0] == "1":
            return
        if status[0] == "2":
            self._send(call_id, "ACK", 1, to[1])
            if call_id not in self._answered:
                self._answered.add(call_id)
                self._send(call_id, "BYE", 2, to[1])
        else:
            self._send(call_id, "ACK!", 1, to[1])
            self.refused += 1
        if (began := self.begun.pop(call_id, None)) is not None and status[0] == "2":
            self.took.append(at - began)


def processor(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def block(callers: Callers, seconds: float, rate: float) -> list[float]:
    """So many calls; the times of those answered."""
    callers.took.clear()
    began, number = time.monotonic(), 0
    while number < seconds * rate:
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        callers.call()
        number += 1
    deadline = time.monotonic() + 5
    while callers.begun and time.monotonic() < deadline:  # noqa: ASYNC110 - answers have no event of their own
        await asyncio.sleep(0.02)
    callers.lost += len(callers.begun)
    callers.begun.clear()
    return sorted(callers.took)


def at(values: list[float], share: float) -> float:
    """A quantile of sorted values, in milliseconds."""
    return values[min(len(values) - 1, int(len(values) * share))] * 1000


def all_of(rounds: list[dict[str, list[float]]], kind: str) -> list[float]:
    """The times of all blocks of one kind, sorted."""
    return sorted(time_ for one in rounds for time_ in one[kind])


def spread_of_all(rounds: list[dict[str, list[float]]], than: str, draws: int = 1000) -> tuple[float, float]:
    """Between which two the ratio of p99 over all is in 95 of 100 draws of as many rounds with replacement (Efron's bootstrap)."""
    chance, found = random.Random(1), []
    for _ in range(draws):
        drawn = chance.choices(rounds, k=len(rounds))
        found.append(at(all_of(drawn, "flood"), 0.99) / at(all_of(drawn, than), 0.99))
    found.sort()
    return found[draws // 40], found[-1 - draws // 40]


def stranger(number: int) -> str:
    """The address of one of those who flood."""
    return f"{NET}.{1 + number // 200}.{1 + number % 200}"


class Elsewhere(asyncio.DatagramProtocol):
    """A port that is not Asterisk's: whoever knocks is challenged, by the process that knocks."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the port is open."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """asyncio: a request."""
        head = data.decode("utf-8", "replace").split("\r\n")
        same = [line for line in head if line.startswith(("Via:", "From:", "To:", "Call-ID:", "CSeq:"))]
        if len(same) < 5:
            return
        challenge = (
            f'WWW-Authenticate: Digest realm="asterisk",nonce="{secrets.token_hex(16)}",algorithm=MD5,qop="auth"'
        )
        answer = "\r\n".join(["SIP/2.0 401 Unauthorized", *same, challenge, "Content-Length: 0", "", ""])
        self._transport.sendto(answer.encode(), addr)  # type: ignore[attr-defined]


async def flooder(host: str, port: int, rate: float, addresses: int, *, together: bool) -> None:
    """The process that floods: a line "flood", "elsewhere" or "none" says what to do, the end of its input ends it, with what it
    was answered on the last line.
    """
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with contextlib.AsyncExitStack() as stack:
        transport, _ = await loop.create_datagram_endpoint(Elsewhere, local_addr=(f"{NET}.250.1", 0))
        stack.callback(transport.close)
        at_whom = {"flood": (host, port), "elsewhere": transport.get_extra_info("sockname")[:2]}
        crowds: dict[str, list[Knocker]] = {
            kind: [
                await stack.enter_async_context(knocker(stranger(n), server, "1001", seed=n)) for n in range(addresses)
            ]
            for kind, server in at_whom.items()
        }
        floods: list[asyncio.Task[None]] = []
        while order := (await orders.readline()).decode().strip():
            for flood in floods:
                flood.cancel()
            await asyncio.gather(*floods, return_exceptions=True)
            crowd = crowds.get(order, [])
            floods = [asyncio.create_task(one.flood(rate / len(crowd), together=together)) for one in crowd]
        crowd, answers = crowds["flood"], dict[str, int]()
        for one in crowd:
            for (_kind, status), count in one.answered.items():
                answers[status] = answers.get(status, 0) + count
        told = {"sent": sum(one.sent for one in crowd), "answers": answers, "in": sum(len(one.let_in) for one in crowd)}
        print(json.dumps(told))


async def measure(rig: Rig, options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    transport, callers = await loop.create_datagram_endpoint(lambda: Callers(rig.sip), local_addr=(rig.carrier, 0))
    flood = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--flooder", f"{rig.sip[0]}:{rig.sip[1]}",
        "--rate", str(options.rate), "--addresses", str(options.addresses), *(["--together"] if options.together else []),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert flood.stdin is not None
    if options.ban:
        denied = "".join(f"deny = {stranger(n)}\n" for n in range(options.addresses))
        (rig.paths.etc / "cti" / "banned.conf").write_text(f"[cti-banned]\ntype = acl\n{denied}")
        await rig.ami.action(Action="Reload", Module="res_pjsip.so")
    await block(callers, 3, options.calls_a_second)  # warm
    rounds: list[dict[str, list[float]]] = []
    used = dict.fromkeys(KINDS, 0.0)
    ends = time.monotonic() + options.minutes * 60
    pid = rig.process.pid
    assert pid is not None
    turns = list(itertools.permutations(KINDS))
    while time.monotonic() < ends:
        one: dict[str, list[float]] = {}
        for kind in turns[len(rounds) % len(turns)]:
            flood.stdin.write(f"{kind}\n".encode())
            before = processor(pid)
            one[kind] = await block(callers, options.seconds, options.calls_a_second)
            used[kind] += processor(pid) - before
        rounds.append(one)
    told = json.loads((await flood.communicate(b"none\n"))[0])
    transport.close()
    tell(rounds, options)
    span = len(rounds) * options.seconds
    print("Asterisk's processor time:", ", ".join(f"{used[kind] / span:.1%} {SAID[kind]}" for kind in KINDS))
    print(f"bad requests: {told['sent']}, answers {told['answers']}, let in {told['in']}")
    print(f"calls lost {callers.lost}, refused {callers.refused}")


def tell(rounds: list[dict[str, list[float]]], options: argparse.Namespace) -> None:
    """The times, and how they compare."""
    print(
        f"{len(rounds)} rounds of {options.seconds:g} s each, {options.calls_a_second:g} calls a second; load {os.getloadavg()}"
    )
    whole = {kind: all_of(rounds, kind) for kind in KINDS}
    for kind, values in whole.items():
        print(
            f"{SAID[kind]}: N {len(values)}, p50 {at(values, 0.5):.1f} ms, p99 {at(values, 0.99):.1f} ms, most {values[-1] * 1000:.1f}"
        )
    for than in KINDS[:2]:
        ratios = sorted(at(one["flood"], 0.99) / at(one[than], 0.99) for one in rounds)
        quarter = len(ratios) // 4
        low, high = spread_of_all(rounds, than)
        print(
            f"with the flood : {SAID[than]}: p50 {at(whole['flood'], 0.5) / at(whole[than], 0.5):.3f}, "
            f"p99 {at(whole['flood'], 0.99) / at(whole[than], 0.99):.3f}, in 95 of 100 draws of these rounds {low:.3f} to {high:.3f}; "
            f"p99 by rounds {statistics.median(ratios):.3f}, middle half {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f}"
        )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--rate", type=float, default=100, help="bad requests a second")
    parser.add_argument("--addresses", type=int, default=400)
    parser.add_argument("--ban", action="store_true", help="shut the flood's addresses out first")
    parser.add_argument("--together", action="store_true", help="all addresses in the same moments")
    parser.add_argument("--seconds", type=float, default=10, help="of one block")
    parser.add_argument("--calls-a-second", type=float, default=5)
    parser.add_argument("--flooder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flooder:
        host, _, port = options.flooder.rpartition(":")
        await flooder(host, int(port), options.rate, options.addresses, together=options.together)
        return
    with tempfile.TemporaryDirectory() as folder:
        async with running_asterisk(Path(folder)) as rig:
            await measure(rig, options)


if __name__ == "__main__":
    asyncio.run(main())
