"""A bridge's start after a fault, step by step: what callers wait for when it was killed.

    python benchmarks/start.py [--starts 7] [--calls 2000]

`cti serve` as it ships, with its embedded database and a journal of so many calls, is killed and started again and again
beside a stand-in for Asterisk. Each step's time is since the process was begun, by the bridge's own log or from outside:

    loaded         the modules are imported and the settings read
    journal read   the floor is rebuilt from the journal
    AGI answers    a connection to the AGI port is taken: a caller's visit is served from here on
    adopted        the list of what is in Asterisk was read: offers go on
    pages          /readyz says so: agents' pages come back

and `processor` is what it had used of the processor by then, which hardly depends on what else the machine does. The first
start is told apart: it may have to compile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.side_by_side.floor import OURS, REPOSITORY, benchmark_centre, write_flow
from cti.centre_file import load_centre
from cti.ids import AgentId, CallId, NodeName
from cti.journal.writer import JournalWriter
from cti.model.facts import AgentChanged, AgentState, CallEnded, CallStarted, Device, HangupBy
from cti.places import Places
from cti.secrets_file import load_or_make
from cti.settings import Settings
from cti.status import ready
from cti.store.embedded import EmbeddedPostgres
from cti.store.migrate import migrate
from tests.integration.asterisk_rig import free_settings
from tests.support.ami_server import FakeAmi

EVENTS = {"bridge_starting": "loaded", "journal_recovered": "journal read", "snapshot_adopted": "adopted"}
"""Steps that the bridge's log tells."""
STEPS = ("loaded", "journal read", "AGI answers", "adopted", "pages", "processor")
LOOK = 0.003
"""Seconds between two looks from outside."""


async def write_journal(places: Places, agents: tuple[str, ...], calls: int) -> None:
    """A floor of agents who are ready, and calls that are over."""
    now = datetime.now(UTC) - timedelta(minutes=30)
    async with JournalWriter(places.journal) as journal:
        await journal.append(
            [AgentChanged(at=now, agent_id=AgentId(a), state=AgentState.READY, device=Device.SIP) for a in agents]
        )
        for number in range(calls):
            call_id, at = CallId(f"b-{number}.0"), now + timedelta(seconds=number * 0.5)
            await journal.append(
                [
                    CallStarted(at=at, call_id=call_id, node=NodeName("b"), did=OURS),
                    CallEnded(at=at + timedelta(seconds=20), call_id=call_id, hangup_by=HangupBy.CALLER),
                ]
            )


def taken(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def used(pid: int) -> float:
    """Processor seconds of all threads of a process."""
    seconds = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            seconds += int((task / "schedstat").read_text().split()[0]) / 1e9
    return seconds


async def start(settings: Settings, env: dict[str, str], log: Path) -> dict[str, float]:
    """Start the bridge, and kill it when it serves; each step's seconds since the process was begun."""
    log.unlink(missing_ok=True)
    steps: dict[str, float] = {}
    began, epoch = time.perf_counter(), time.time()
    with log.open("ab") as told:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cti", "serve", "--data", str(settings.data), stdout=told, stderr=told, env=env
        )
    try:
        async with asyncio.timeout(60):
            while not taken(settings.ports.of("agi")):  # noqa: ASYNC110 - another process, which tells nobody
                await asyncio.sleep(LOOK)
            steps["AGI answers"] = time.perf_counter() - began
            while not (await ready(settings))[0]:  # noqa: ASYNC110 - as above
                await asyncio.sleep(LOOK)
            steps["pages"] = time.perf_counter() - began
            while "snapshot_adopted" not in log.read_text():  # noqa: ASYNC110 - as above
                await asyncio.sleep(LOOK)
        steps["processor"] = used(child.pid)
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()
    for line in log.read_text().splitlines():
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if name := EVENTS.get(event.get("event", "")):
                steps.setdefault(name, datetime.fromisoformat(event["timestamp"]).timestamp() - epoch)
    return steps


async def measure(asked: argparse.Namespace) -> None:
    """Prepare, start again and again, tell."""
    agents = tuple(str(2001 + n) for n in range(40))
    with tempfile.TemporaryDirectory(prefix="cti-bench-") as folder:
        os.chmod(folder, 0o711)
        flows = Path(folder) / "flows"
        write_flow(flows)
        settings = free_settings(Path(folder) / "data", flows=flows, prompts=REPOSITORY / ".build" / "prompts")
        places = Places(settings)
        places.make()
        places.centre.write_text(benchmark_centre(agents), encoding="utf-8")
        secrets = load_or_make(settings.data, load_centre(places.centre))
        await write_journal(places, agents, asked.calls)
        database = EmbeddedPostgres(places.postgres)
        dsn = await asyncio.to_thread(database.start)
        ami = FakeAmi(secret=secrets.ami)
        ami.port = settings.ports.of("ami")
        env = {
            **os.environ,
            "CTI_DATABASE__URL": dsn,
            "CTI_FLOWS": str(flows),
            "CTI_PROMPTS": str(settings.prompts),
            **{f"CTI_PORTS__{n.upper()}": str(settings.ports.of(n)) for n in ("web", "sip", "ws", "ami", "agi")},
        }
        try:
            await migrate(dsn)
            async with ami:
                first, *others = [
                    await start(settings, env, places.log / "bridge.log") for _ in range(asked.starts + 1)
                ]
        finally:
            await asyncio.to_thread(database.stop)
    print(f"{asked.calls} calls in the journal; load {os.getloadavg()[0]:.0f}; N = {len(others)}, and the first start")
    print(f"{'seconds':<14}{'first':>8}{'shortest':>10}{'median':>8}{'longest':>9}")
    for step in STEPS:
        times = sorted(one[step] for one in others)
        print(f"{step:<14}{first[step]:8.2f}{times[0]:10.2f}{statistics.median(times):8.2f}{times[-1]:9.2f}")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--calls", type=int, default=2000, help="in the journal")
    asyncio.run(measure(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
