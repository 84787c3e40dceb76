"""Processor time of the bridge a call, without a real Asterisk: the whole bridge process against recorded manager events.

    python benchmarks/bridge_cpu.py [--calls 1000] [--agents 40] [--callers 40] [--profile profile.out]

`cti serve` as it ships, with its embedded database and its journal on the disk, is linked to a stand-in for Asterisk that
answers its actions, visits its AGI door and sends it the events of tests/recordings/ami, names and numbers exchanged, in a
closed loop of callers whose calls are answered and ended at once. What is counted is the bridge's own processor time by
thread, so that the figure hardly depends on what else the machine does. With `--profile` the bridge runs under cProfile
(several times slower) and leaves a profile of its event loop there, in processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.side_by_side.floor import OURS, REPOSITORY, benchmark_centre, write_flow
from cti.asterisk.ami.translate import EVENTS_USED
from cti.centre_file import load_centre
from cti.children import Child
from cti.ids import AgentId
from cti.journal.writer import JournalWriter
from cti.model.facts import AgentChanged, AgentState, Device
from cti.places import Places
from cti.secrets_file import load_or_make
from cti.settings import Settings
from cti.status import ready
from cti.store.embedded import EmbeddedPostgres
from cti.store.migrate import migrate
from tests.integration.asterisk_rig import free_settings
from tests.support.agi_client import environment
from tests.support.ami_server import Action, Connection, FakeAmi

RECORDING = REPOSITORY / "tests" / "recordings" / "ami" / "asterisk-22.10.1-answered.ami"
CALL, LEG, CALLER_CHANNEL, AGENT_CHANNEL = b"t1-1795288311.0", b"t1-1795288311.1", b"trunk-00000000", b"1001-00000001"
STEPS = (
    ("UserEvent: CtiInbound",),
    ("UserEvent: CtiWait",),
    ("Event: DialBegin",),
    ("State: RINGING", "Event: DialState"),
    ("State: INUSE", "Event: DialEnd"),
    ("Event: BridgeEnter",),
    ("Event: HangupRequest",),
    ("Event: BridgeLeave",),
    ("Event: Hangup",),
    ("State: NOT_INUSE",),
)
"""The events of one call, in the packets they come in; each is looked for in the recording by a line of it."""
BETWEEN = 0.003
"""Seconds between the packets of one call."""
PROFILED = """
import cProfile, sys, time
profile = cProfile.Profile(time.thread_time)
sys.argv[1:] = {arguments}
from cti.cli import main
try:
    profile.runcall(main)
finally:
    profile.dump_stats({file})
"""


def recorded() -> list[bytes]:
    """The packets of one call, of what the bridge is sent."""
    blocks = RECORDING.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").split(b"\r\n\r\n")
    used = [block for block in blocks if block.removeprefix(b"Event: ").split(b"\r\n")[0].decode() in EVENTS_USED]
    packets = []
    for wanted in STEPS:
        packet = b""
        for line in wanted:
            found = [block for block in used if line.encode() in block.split(b"\r\n")]
            if line.startswith("State"):  # the agent's phone, once
                found = [block for block in found if b"Device: PJSIP/1001" in block][-1:]
            assert found, line
            packet += b"".join(block + b"\r\n\r\n" for block in found)
        packets.append(packet)
    return packets


def told(packet: bytes, call: str, leg: str, number: int, agent: str, exten: str) -> bytes:
    """The packet with this call's names."""
    for old, new in (
        (b"1001-00000001", f"{agent}-{number:08x}"),
        (b"trunk-00000000", f"trunk-{number:08x}"),
        (CALL, call),
        (LEG, leg),
        (b"PJSIP/1001\r", f"PJSIP/{agent}\r"),
        (b"000000004211001", exten),
        (b"0000000042", exten[:10]),
        (b"Did: 5001", f"Did: {OURS}"),
    ):
        packet = packet.replace(old, new.encode())
    return re.sub(rb"(?m)^Timestamp: \S+", f"Timestamp: {time.time():.6f}\r".encode()[:-1], packet)


class Calls:
    """Callers in a closed loop."""

    def __init__(self, ami: FakeAmi, agi_port: int, agents: list[str]) -> None:
        self._ami, self._agi_port = ami, agi_port
        self._packets = recorded()
        self._offered: dict[str, asyncio.Future[str]] = {}
        self._count = 0
        self.waits: list[float] = []
        """Seconds from the wait context to the Redirect."""
        ami.devices = [
            b"Event: DeviceStateChange\r\nDevice: PJSIP/%b\r\nState: NOT_INUSE\r\n" % agent.encode() for agent in agents
        ]
        ami.on("Redirect", self._redirect)

    def _redirect(self, connection: Connection, action: Action) -> None:
        connection.answer(action, Message="Redirect successful")
        self._offered[action["Channel"]].set_result(action["Exten"])

    async def caller(self, calls: int) -> None:
        """One after the other."""
        for _ in range(calls):
            await self._call()

    async def _call(self) -> None:
        self._count += 1
        number = self._count
        call, leg = f"t1-{int(time.time())}.{2 * number}", f"t1-{int(time.time())}.{2 * number + 1}"
        channel = f"PJSIP/trunk-{number:08x}"
        enter, wait, *after = self._packets
        offered = self._offered[channel] = asyncio.get_running_loop().create_future()

        def send(packet: bytes, agent: str = "1001", exten: str = "s") -> None:
            self._ami.send(told(packet, call, leg, number, agent, exten))

        send(enter)
        await self._visit(call, channel)
        send(wait)
        began = time.perf_counter()
        exten = await offered
        self.waits.append(time.perf_counter() - began)
        for packet in after:
            await asyncio.sleep(BETWEEN)
            send(packet, exten[11:], exten)
        del self._offered[channel]

    async def _visit(self, call: str, channel: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._agi_port)
        writer.write(
            environment(args=(call, "+15550100061", OURS), headers={"agi_uniqueid": call, "agi_channel": channel})
        )
        while await reader.readline():
            writer.write(b"200 result=1\n")
        writer.close()


@contextlib.asynccontextmanager
async def bridge(
    folder: Path, agents: list[str], profile: Path | None, ready_ones: list[str] | None = None
) -> AsyncIterator[tuple[Calls, int, Settings]]:
    """The bridge, linked to the stand-in, its agents (or `ready_ones` of them) ready; its process id and settings."""
    flows = folder / "flows"
    write_flow(flows)
    settings = free_settings(folder / "data", flows=flows, prompts=REPOSITORY / ".build" / "prompts")
    places = Places(settings)
    places.make()
    places.centre.write_text(benchmark_centre(tuple(agents)), encoding="utf-8")
    secrets = load_or_make(settings.data, load_centre(places.centre))
    now = datetime.now(UTC)
    async with JournalWriter(places.journal) as journal:
        await journal.append(
            [
                AgentChanged(at=now, agent_id=AgentId(a), state=AgentState.READY, device=Device.SIP)
                for a in ready_ones or agents
            ]
        )
    async with contextlib.AsyncExitStack() as stack:
        database = EmbeddedPostgres(places.postgres)
        dsn = await asyncio.to_thread(database.start)
        stack.push_async_callback(asyncio.to_thread, database.stop)
        await migrate(dsn)
        ami = FakeAmi(secret=secrets.ami)
        ami.port = settings.ports.of("ami")
        await stack.enter_async_context(ami)
        calls = Calls(ami, settings.ports.of("agi"), agents)
        arguments = ["serve", "--data", str(settings.data)]
        child = Child(
            "bridge",
            [sys.executable, "-c", PROFILED.format(arguments=arguments, file=repr(str(profile)))]
            if profile
            else [sys.executable, "-m", "cti", *arguments],
            log=places.log / "bridge.log",
            env={
                **os.environ,
                "CTI_DATABASE__URL": dsn,
                "CTI_FLOWS": str(flows),
                "CTI_PROMPTS": str(settings.prompts),
                **{f"CTI_PORTS__{n.upper()}": str(settings.ports.of(n)) for n in ("web", "sip", "ws", "ami", "agi")},
            },
        )  # fmt: skip
        await child.start()
        stack.push_async_callback(child.stop)
        async with asyncio.timeout(60):
            while not (await ready(settings))[0]:
                if child.pid is None:
                    raise RuntimeError((places.log / "bridge.log").read_text()[-2000:])
                await asyncio.sleep(0.1)
        assert child.pid is not None
        yield calls, child.pid, settings
        address = f"http://127.0.0.1:{settings.ports.of('web')}/metrics"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            print(tails(await answer.text()))
        if (places.log / "bridge.log").read_text().count('"level": "error"'):
            print((places.log / "bridge.log").read_text()[-1500:])


def threads(pid: int) -> dict[str, float]:
    """Processor seconds of a process by thread: its main one, and the others together."""
    used = {"loop": 0.0, "other threads": 0.0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            nanoseconds = int((task / "schedstat").read_text().split()[0])
            used["loop" if task.name == str(pid) else "other threads"] += nanoseconds / 1e9
    return used


def tails(text: str) -> str:
    """How often the bridge's loop, and its journal, were late, by its own metrics."""
    said = []
    for name, title in (("cti_loop_lag_seconds", "loop late"), ("cti_journal_commit_seconds", "commit")):
        counts = {float(at): float(n) for at, n in re.findall(rf'{name}_bucket{{le="([^"]+)"}} (\S+)', text)}
        whole = max(counts.values(), default=0.0)
        said.append(
            f"{title} (of {whole:.0f}): "
            + ", ".join(f"over {1000 * at:.0f} ms {whole - counts[at]:.0f}" for at in (0.01, 0.05, 0.1, 0.2, 0.5))
        )
    return "; ".join(said)


async def measure(asked: argparse.Namespace) -> None:
    """Warm up, then count."""
    agents = [str(2001 + n) for n in range(asked.agents)]
    with tempfile.TemporaryDirectory(prefix="cti-bench-") as folder:
        os.chmod(folder, 0o711)
        async with bridge(Path(folder), agents, asked.profile) as (calls, pid, _):
            for block, count in (("warm-up", asked.callers * 3), *(("measured", asked.calls),) * asked.blocks):
                calls.waits.clear()
                before, began = threads(pid), time.perf_counter()
                async with asyncio.timeout(600):
                    await asyncio.gather(*(calls.caller(count // asked.callers) for _ in range(asked.callers)))
                seconds = time.perf_counter() - began
                done = count // asked.callers * asked.callers
                spent = {name: used - before[name] for name, used in threads(pid).items()}
                print(
                    f"{block:<9} {done} calls, {done / seconds:.1f} a second:"
                    f" {1000 * sum(spent.values()) / done:.2f} ms of processor a call ("
                    + ", ".join(f"{name} {1000 * used / done:.2f}" for name, used in spent.items())
                    + f"); wait context to Redirect: median {1000 * statistics.median(calls.waits):.1f},"
                    f" longest {1000 * max(calls.waits):.0f} ms",
                    flush=True,
                )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=800, help="in each block")
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--agents", type=int, default=40)
    parser.add_argument("--callers", type=int, default=40)
    parser.add_argument("--profile", type=Path)
    asked = parser.parse_args()
    asyncio.run(measure(asked))
    return 0


if __name__ == "__main__":
    sys.exit(main())
