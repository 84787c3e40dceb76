"""Side by side with Asterisk's own app_queue, on one real Asterisk, the same phones, the same callers, in one run.

    python benchmarks/app_queue.py [--agents 40] [--calls 300] [--loop-calls 600] [--blocks 2] [--only free,entry,loop]

Callers and agents are SIPp. Systems take turns (ABAB), so that a slow moment of the machine hits all alike. The bridge runs
and its manager session is connected whoever is measured; a second session that only watches is connected in the first
two parts. All times are Asterisk's own stamps, except where a line says otherwise.

free   An agent becomes free, a queue stands: callers in a closed loop, half as many again as agents. From `Hangup` of the
       agent's leg to `DialBegin` of the next call to that agent. Counted while at least as many callers stood in the queue as
       agents were free.
entry  A caller comes, agents are free: 10 callers a second. From the place in the queue to `DialBegin` of the agent's leg.
       app_queue: from `QueueCallerJoin`. Ours: from the ticket (the bridge's clock; the machine is the same), which is earlier than
       the user event CtiWait with which the caller stands in the wait context; from that it is printed too.
loop   Calls a second that end, in a closed loop, each answered at once and ended at once by the agent: once with as many
       callers as agents, and once with `--in-flight`, where the machine is the limit (it carries both SIPp too). Beside
       ours a dialplan of `Answer` and `Dial`. Moments of the callers' hang-ups from Asterisk's event ledger, the middle
       eight tenths of each block. No watching session. `Answer` waits half a second for a caller's first sound, and SIPp
       sends none; that is in the time of both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import math
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.side_by_side.floor import BARE, NATIVE, OURS, WATCHER, Floor, running_floor
from benchmarks.side_by_side.moments import Watcher, entry_to_ring, free_to_next_offer, per_second
from cti.asterisk.install import ensure_asterisk
from cti.errors import CtiError
from cti.settings import Settings
from tests.support.sipp import Sipp

NAMES = {OURS: "ours", NATIVE: "app_queue", BARE: "Dial"}


def at_share(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def line(name: str, seconds: Sequence[float]) -> str:
    """Milliseconds of one system."""
    ms = [1000 * value for value in seconds]
    spread = statistics.stdev(ms) if len(ms) > 1 else 0.0
    return (
        f"  {name:<28} N={len(ms):<5} median {statistics.median(ms):8.2f}  mean {statistics.fmean(ms):8.2f}"
        f"  p99 {at_share(ms, 0.99):8.2f}  sd {spread:7.2f}  {min(ms):.2f}..{max(ms):.2f} ms"
    )


@dataclass(slots=True)
class Tally:
    """What callers met, over all parts."""

    calls: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    errors: str = ""


async def call(floor: Floor, number: str, *, calls: int, rate: float, limit: int, tally: Tally) -> None:
    """Callers until all their calls are over."""
    async with Sipp(
        "caller_stays", local=floor.carrier, remote=floor.sip, service=number, calls=calls, rate=rate, limit=limit,
        keys={"number": "+15550100061", "display": "SIPp"}, timeout_seconds=180,
    ) as sipp:  # fmt: skip
        result = await sipp.finished()
    if not Path(f"/proc/{floor.pids['asterisk']}").exists():
        raise RuntimeError(f"Asterisk ended: {floor.paths.console_file.read_text()[-300:]}")
    tally.calls[number] = tally.calls.get(number, 0) + calls
    tally.failed[number] = tally.failed.get(number, 0) + calls - result.successful
    if result.successful < calls:
        tally.errors = result.output[-1500:]


def watcher(floor: Floor) -> Watcher:
    """The second manager session."""
    return Watcher(floor.settings.ports.of("ami"), WATCHER, floor.watch_secret)


async def free(floor: Floor, calls: int, blocks: int, tally: Tally) -> None:
    """See the module."""
    found: dict[str, list[float]] = {OURS: [], NATIVE: []}
    skipped = dict.fromkeys(found, 0)
    agents = frozenset(floor.agents)
    callers = len(agents) * 3 // 2
    async with floor.talking('<pause distribution="uniform" min="1500" max="4500"/>'), watcher(floor) as watch:
        for _ in range(blocks):
            for number in found:
                await call(floor, number, calls=calls // blocks + callers, rate=callers, limit=callers, tally=tally)
                times, edge = free_to_next_offer(watch.seen(agents))
                found[number] += times
                skipped[number] += edge
    print(
        f"an agent becomes free -> the next caller is offered ({len(agents)} agents, {callers} callers, talk 1.5 to 4.5 s)"
    )
    for number, times in found.items():
        print(line(NAMES[number], times), f" ({skipped[number]} with nobody waiting)")
    print(f"  ratio of the means {statistics.fmean(found[NATIVE]) / statistics.fmean(found[OURS]):.1f}   (wanted: 100)")


async def tickets(floor: Floor, wanted: set[str]) -> dict[str, float]:
    """Caller's unique id -> when the bridge gave a place in the queue."""
    connection = await asyncpg.connect(floor.dsn)
    try:
        for _ in range(100):
            rows = await connection.fetch("SELECT call_id, queued_at FROM report.calls")
            known = {row["call_id"]: row["queued_at"].timestamp() for row in rows if row["queued_at"] is not None}
            if wanted <= known.keys():
                break
            await asyncio.sleep(0.1)
    finally:
        await connection.close()
    return {call_id: at for call_id, at in known.items() if call_id in wanted}


async def entry(floor: Floor, calls: int, blocks: int, tally: Tally) -> None:
    """See the module."""
    ours: list[float] = []
    waiting: list[float] = []
    native: list[float] = []
    agents = frozenset(floor.agents)
    async with floor.talking('<pause milliseconds="1000"/>'), watcher(floor) as watch:
        for _ in range(blocks):
            for number in (OURS, NATIVE):
                await call(floor, number, calls=calls // blocks, rate=10, limit=len(agents), tally=tally)
                seen = watch.seen(agents)
                if number == NATIVE:
                    native += entry_to_ring(seen, seen.entered)
                else:
                    waiting += entry_to_ring(seen, seen.entered)
                    ours += entry_to_ring(seen, await tickets(floor, set(seen.entered)))
    print("a caller comes into the queue -> an agent's phone is called (10 callers a second, agents free)")
    print(line("ours, from the ticket", ours))
    print(line("ours, from the wait context", waiting))
    print(line("app_queue", native))
    ms = 1000 * (at_share(ours, 0.99) - at_share(native, 0.99))
    print(f"  p99: ours - app_queue = {ms:+.2f} ms   (wanted: at most +5)")


async def loop(floor: Floor, calls: int, blocks: int, in_flight: int, tally: Tally) -> None:
    """See the module."""
    found: dict[str, list[float]] = {BARE: [], OURS: []}
    used: dict[str, list[float]] = {number: [] for number in found}
    ledger = floor.paths.ledger
    async with floor.talking(""):
        for _ in range(blocks):
            for number in found:
                begin, cpu = (ledger.stat().st_size if ledger.exists() else 0), processor_seconds(floor)
                await call(floor, number, calls=calls, rate=1000, limit=in_flight, tally=tally)
                spent = {name: after - cpu[name] for name, after in processor_seconds(floor).items()}
                used[number].append(sum(spent.values()) / calls)
                with ledger.open(newline="", encoding="utf-8", errors="replace") as file:
                    file.seek(begin)
                    trunk = f"PJSIP/{floor.settings.trunk.name}-"
                    ends = [float(r[1]) for r in csv.reader(file) if r[0] == "HANGUP" and r[4].startswith(trunk)]
                found[number].append(per_second(ends))
                each = ", ".join(f"{name} {1000 * seconds / calls:.2f}" for name, seconds in spent.items())
                print(
                    f"  {NAMES[number]:<10} {found[number][-1]:7.1f} calls/s   processor ms a call: {each}", flush=True
                )
    print(f"closed loop of {in_flight} callers, calls answered and ended at once, {calls} calls a block")
    for number, rates in found.items():
        print(
            f"  {NAMES[number]:<10} {len(rates)} blocks  median {statistics.median(rates):7.1f}"
            f"  mean {statistics.fmean(rates):7.1f}  {min(rates):.1f}..{max(rates):.1f} calls/s"
        )
    ratio = statistics.fmean(found[OURS]) / statistics.fmean(found[BARE])
    print(f"  ours / Dial = {ratio:.3f}   (wanted: 0.85)")


def processor_seconds(floor: Floor) -> dict[str, float]:
    """What each part and its children have used so far; SIPp and others not."""
    tick = os.sysconf("SC_CLK_TCK")
    parents = {pid: name for name, pid in floor.pids.items()}
    used = dict.fromkeys(floor.pids, 0.0)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            name = parents.get(int(stat.parent.name)) or parents.get(int(fields[1]))
            if name is not None:
                used[name] += (int(fields[11]) + int(fields[12])) / tick
    return used


async def measure(asked: argparse.Namespace) -> int:
    """All parts; 1 when calls were lost."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="cti-bench-") as folder:
        os.chmod(folder, 0o711)
        async with running_floor(Path(folder), asked.agents) as floor:
            print(f"machine: {os.cpu_count()} processors, load {os.getloadavg()[0]:.2f} at the start", flush=True)
            parts = asked.only.split(",")
            if "free" in parts:
                await free(floor, asked.calls, asked.blocks, tally)
            if "entry" in parts:
                await entry(floor, asked.calls, asked.blocks, tally)
            if "loop" in parts:
                for callers in dict.fromkeys((asked.agents, asked.in_flight)):
                    await loop(floor, asked.loop_calls, asked.blocks, callers, tally)
            if asked.keep:
                shutil.copy(floor.settings.data / "log" / "bridge.log", asked.keep)
            print(f"load {os.getloadavg()[0]:.2f} at the end")
    for number, calls in tally.calls.items():
        print(f"{NAMES[number]}: {calls} calls, {tally.failed[number]} failed")
    if any(tally.failed.values()):
        print(tally.errors)
        return 1
    return 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=40)
    parser.add_argument("--calls", type=int, default=300, help="of each system in each of the first two parts")
    parser.add_argument("--loop-calls", type=int, default=600, help="of each system in each block of the closed loop")
    parser.add_argument("--in-flight", type=int, default=150, help="callers in the second closed loop")
    parser.add_argument("--blocks", type=int, default=2, help="turns of each system")
    parser.add_argument("--only", default="free,entry,loop")
    parser.add_argument("--keep", type=Path, help="copy the bridge's log there")
    asked = parser.parse_args()
    if shutil.which("sipp") is None:
        print("skipped: SIPp is not installed (Debian package sip-tester)")
        return 0
    try:
        ensure_asterisk(Settings(), lambda step, done, total: None)
    except CtiError as error:
        print(f"skipped: there is no Asterisk here: {error}")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # who is asked to end stops what was started
    return asyncio.run(measure(asked))


if __name__ == "__main__":
    sys.exit(main())
