"""Faults done to a centre, and how long each was felt."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from cti.soak.doors import Attacker, doors_of
from cti.soak.plan import Fault, Planned
from cti.soak.proxy import Mode
from cti.soak.stage import Stage

LOOK = 0.05
"""Seconds between looks."""
LATE = "cti_loop_lag_seconds"
"""The bridge's own figure of how late its loop is."""
HELD = "cti_loop_held_seconds"
"""And of how much of that it computed itself."""
DOOR_WIDTH = 6
"""Connections at once in every way at every door."""
VISIT_EVERY = 0.25
"""Seconds between two visits of somebody good while the doors are attacked."""
GIVE_UP = 90.0
"""Seconds after which a reaction that has not come is called missing."""
MISSING = 999.0
"""Told instead of a time that never came."""


@dataclass(slots=True, kw_only=True)
class Felt:
    """One fault and what was seen of it. Times in seconds."""

    fault: Fault
    live: int
    """Calls on the line when it began."""
    times: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def line(self) -> str:
        """One line for people."""
        times = ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.times.items())
        return f"{self.fault} with {self.live} calls: {times}" + "".join(f"; {note}" for note in self.notes)


class Harm:
    """Does faults to one stage, one at a time."""

    def __init__(self, stage: Stage, *, seed: int = 1) -> None:
        self._stage = stage
        self._eyes = stage.eyes
        self._seed = seed

    async def do(self, planned: Planned) -> Felt:
        """Do one fault, put things right again, wait until all is well."""
        channels = await self._eyes.channels()
        felt = Felt(fault=planned.fault, live=sum(u == c["call"] for u, c in (channels or {}).items()))
        fatal = None
        if planned.bridge_dies is not None:
            fatal = asyncio.create_task(self._kill_later(planned.bridge_dies))
        match planned.fault:
            case Fault.BRIDGE_KILL:
                await self._bridge(felt, signal.SIGKILL, planned)
            case Fault.BRIDGE_STOP:
                await self._bridge(felt, signal.SIGSTOP, planned)
            case Fault.AMI_CUT | Fault.AMI_STALL | Fault.AMI_SLOW:
                await self._ami(felt, planned)
            case Fault.ASTERISK_KILL:
                await self._asterisk(felt)
            case Fault.JOURNAL_FULL:
                await self._journal(felt, planned)
            case Fault.DOORS:
                await self._doors(felt, planned)
            case _:
                await self._database(felt, planned)
        if fatal is not None:
            await fatal
        return felt

    async def _kill_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._signal("bridge", signal.SIGKILL)

    def _signal(self, name: str, number: signal.Signals) -> int | None:
        pid = self._stage.pid(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid

    async def _bridge(self, felt: Felt, number: signal.Signals, planned: Planned) -> None:
        began = time.monotonic()
        old = self._signal("bridge", number)
        if old is None:
            felt.notes.append("the bridge was only just coming back: nothing to kill")
            return
        if number is signal.SIGSTOP:
            within = planned.seconds
            freeing = asyncio.create_task(self._callers_free(old, began, within))
            felt.times["ended"] = await until(lambda: _is(not _alive(old)), began, within)
            if felt.times["ended"] == MISSING:
                os.kill(old, signal.SIGCONT)
                felt.notes.append(f"nobody ended it within {within:.0f} s")
            felt.times["callers_free"] = await freeing
        felt.times["back"] = await until(lambda: self._eyes.part("asterisk"), began)
        felt.times["same"] = await until(self._same, began)

    async def _callers_free(self, bridge: int, began: float, within: float) -> float:
        """Seconds until no caller is left in a session with the stopped bridge, those who came in later included."""
        with_it: set[str] = set()

        async def free() -> bool:
            channels = await self._eyes.channels() or {}
            asking = {unique for unique, channel in channels.items() if channel["application"] == "AGI"}
            if alive := _alive(bridge):
                with_it.update(asking)
            with_it.intersection_update(asking)
            return not alive and not with_it

        return await until(free, began, within)

    async def _ami(self, felt: Felt, planned: Planned) -> None:
        modes = {Fault.AMI_CUT: Mode.CUT, Fault.AMI_STALL: Mode.STALL, Fault.AMI_SLOW: Mode.SLOW}
        began = time.monotonic()
        self._stage.cut(self._stage.ami_proxy, modes[planned.fault])
        felt.times["noticed"] = await until(self._link_is_down, began, planned.seconds)
        await asyncio.sleep(max(0.0, began + planned.seconds - time.monotonic()))
        self._stage.cut(self._stage.ami_proxy, Mode.PASS)
        restored = time.monotonic()
        felt.times["resynced"] = await until(lambda: self._eyes.part("asterisk"), restored)
        felt.times["same"] = await until(self._same, restored)

    async def _link_is_down(self) -> bool:
        parts = await self._eyes.parts()
        return bool(parts) and not parts["asterisk"]["ok"]

    async def _same(self) -> bool:
        return (await self._eyes.differences()) == []

    async def _database(self, felt: Felt, planned: Planned) -> None:
        stage = self._stage
        before = stage.memory("bridge") or 0.0
        began = time.monotonic()
        match planned.fault:
            case Fault.DATABASE_STOP:
                stage.database_may_run = False
                if stage.database is not None and stage.database.pid:
                    os.kill(stage.database.pid, signal.SIGKILL)
            case Fault.DATABASE_FREEZE:
                stage.freeze_database(signal.SIGSTOP)
            case Fault.DATABASE_HOLE:
                stage.cut(stage.database_proxy, Mode.SWALLOW)
            case Fault.DATABASE_FULL:
                await asyncio.to_thread(stage.fill_disk, planned.fault)
        largest, pending = before, 0.0
        while time.monotonic() < began + planned.seconds:
            if "noticed" not in felt.times and (parts := await self._eyes.parts()) and not parts["database"]["ok"]:
                felt.times["noticed"] = time.monotonic() - began
            largest = max(largest, stage.memory("bridge") or 0.0)
            pending = max(pending, await self._eyes.pending() or 0.0)
            await asyncio.sleep(0.5)
        felt.times.setdefault("noticed", MISSING)
        match planned.fault:
            case Fault.DATABASE_STOP:
                stage.database_may_run = True
            case Fault.DATABASE_FREEZE:
                stage.freeze_database(signal.SIGCONT)
            case Fault.DATABASE_HOLE:
                stage.cut(stage.database_proxy, Mode.PASS)
            case Fault.DATABASE_FULL:
                await asyncio.to_thread(stage.free_disk, planned.fault)
        restored = time.monotonic()
        felt.times["drained"] = await until(self._drained, restored)
        felt.notes.append(f"memory {before:.0f} to {largest:.0f} MB, at most {pending:.0f} facts behind")

    async def _journal(self, felt: Felt, planned: Planned) -> None:
        began = time.monotonic()
        await asyncio.to_thread(self._stage.fill_disk, planned.fault)
        felt.times["noticed"] = await until(self._journal_in_trouble, began, planned.seconds)
        await asyncio.sleep(max(0.0, began + planned.seconds - time.monotonic()))
        await asyncio.to_thread(self._stage.free_disk, planned.fault)
        restored = time.monotonic()
        felt.times["durable"] = await until(lambda: self._eyes.part("journal"), restored)
        felt.times["drained"] = await until(self._drained, restored)

    async def _doors(self, felt: Felt, planned: Planned) -> None:
        """Every port is attacked. Told are the bound that the loop's longest stall stayed within, by the bridge's own metrics (all of
        it, and what the bridge itself computed meanwhile), and how long a good visitor waited for a page at most."""
        before, before_held = await self._eyes.counted(LATE) or {}, await self._eyes.counted(HELD) or {}
        attacker = Attacker(
            doors_of(self._stage.settings, token=await self._eyes.token()),
            seconds=planned.seconds,
            width=DOOR_WIDTH,
            seed=self._seed,
        )
        waits: list[float] = []
        unserved = 0
        await attacker.begin()
        ending = asyncio.create_task(attacker.ended())
        try:
            while not ending.done():
                asked = time.monotonic()
                served = await self._eyes.part("asterisk")
                waits.append(time.monotonic() - asked)
                unserved += not served
                await asyncio.wait({ending}, timeout=VISIT_EVERY)
            seen = await ending
        finally:
            await attacker.stop()
        restored = time.monotonic()
        felt.times["same"] = await until(self._same, restored)
        late = late_since(before, await self._eyes.counted(LATE) or {})
        held = late_since(before_held, await self._eyes.counted(HELD) or {})
        felt.times["stall_within"] = next((bound for bound, over in late.items() if not over), MISSING)
        felt.times["held_within"] = next((bound for bound, over in held.items() if not over), MISSING)
        felt.times["page_median"] = sorted(waits)[len(waits) // 2]
        felt.times["page_most"] = max(waits)
        felt.notes.append(
            f"{sum(one.opened for one in seen.values())} connections ("
            + ", ".join(f"{name} {one.opened}, {one.most_open} at once" for name, one in seen.items())
            + f"); later than 50 ms {late.get(0.05, 0)} times, 100 ms {late.get(0.1, 0)}, of {late.get(0.0, 0)},"
            + f" by the bridge's own work {held.get(0.05, 0)} and {held.get(0.1, 0)} at most;"
            + f" {unserved} of {len(waits)} visits not served"
        )

    async def _journal_in_trouble(self) -> bool:
        parts = await self._eyes.parts()
        return bool(parts) and not parts["journal"]["ok"]

    async def _drained(self) -> bool:
        """Whether the database has all but what came in the last moment."""
        if not await self._eyes.part("database"):
            return False
        lag = await self._eyes.figure("cti_drain_lag_seconds")
        return lag is not None and lag < 1.5

    async def _asterisk(self, felt: Felt) -> None:
        state = await self._eyes.state()
        old = set((state or {}).get("calls", {}))
        began = time.monotonic()
        killed = self._signal("asterisk", signal.SIGKILL)

        async def closed() -> bool:
            now = await self._eyes.state()
            return now is not None and not old & set(now["calls"])

        async def back() -> bool:
            return self._stage.pid("asterisk") not in (None, killed) and await self._eyes.part("asterisk")

        closing = asyncio.create_task(until(closed, began))
        felt.times["back"] = await until(back, began)
        felt.times["closed"] = await closing
        felt.times["same"] = await until(self._same, began)
        now = await self._eyes.state()
        stuck = [
            agent_id
            for agent_id, agent in (now or {"agents": {}})["agents"].items()
            if agent["state"] in ("reserved", "ringing", "talking") and agent["call_id"] in old
        ]
        felt.times["stuck_agents"] = float(len(stuck))


def late_since(before: Mapping[float, int], after: Mapping[float, int]) -> dict[float, int]:
    """How often something was over a bound between two readings of a histogram, by bound, least first; 0.0: how often at all."""
    if after.get(math.inf, 0) < before.get(math.inf, 0):
        before = {}  # another process counts anew
    grown = {bound: count - before.get(bound, 0) for bound, count in sorted(after.items())}
    everything = grown.get(math.inf, 0)
    return {0.0: everything, **{bound: everything - count for bound, count in grown.items() if bound != math.inf}}


async def until(fits: Callable[[], Awaitable[bool]], began: float, within: float = GIVE_UP) -> float:
    """Seconds from `began` until it is so; `MISSING` when it does not become so."""
    while time.monotonic() < began + within:
        if await fits():
            return time.monotonic() - began
        await asyncio.sleep(LOOK)
    return MISSING


async def _is(value: bool) -> bool:
    return value


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
