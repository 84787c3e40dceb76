"""One soak: people on the line, faults by the plan, and at the end the comparison of the three ledgers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cti.demo.softphone import PhoneRoom
from cti.errors import RemoteError
from cti.soak.callers import Callers, crowds
from cti.soak.crew import SoakAgent
from cti.soak.harm import MISSING, Felt, Harm
from cti.soak.ledgers import (
    STORED_COLUMNS,
    AsteriskCall,
    SipCall,
    StoredCall,
    Verdict,
    asterisk_calls,
    compare,
    upper_bound,
)
from cti.soak.plan import Fault, Planned
from cti.soak.stage import Stage

NUMBERS = 15552000000
"""The first number of our callers: none of a customer."""
SAMPLE = 10.0
"""Seconds between looks at memory and calls."""
DRAINED_WITHIN = 60.0


@dataclass(slots=True, kw_only=True)
class Sample:
    """How things were at one moment, `at` seconds after the beginning."""

    at: float
    calls: int
    bridge_mb: float | None
    asterisk_mb: float | None


@dataclass(slots=True, kw_only=True)
class Report:
    """What one soak showed."""

    seed: int
    began: str
    seconds: float
    verdict: Verdict
    felt: list[Felt]
    samples: list[Sample]
    outcomes: dict[str, int]
    call_minutes: float
    agents_answered: int
    leaked: int
    """Channels still there 5 s after the last caller had left."""
    most_at_once: int
    differences: list[str] = field(default_factory=list)
    """Between the bridge's picture and Asterisk's, at the end."""

    def missed(self) -> list[str]:
        """Reactions that never came."""
        return [
            f"{felt.fault}: {name}" for felt in self.felt for name, seconds in felt.times.items() if seconds == MISSING
        ]

    def clean(self) -> bool:
        """Whether nothing is to be complained of."""
        drops_allowed = any(felt.fault is Fault.ASTERISK_KILL for felt in self.felt)
        whole = self.verdict.clean(drops_allowed=drops_allowed)
        return whole and not self.leaked and not self.differences and not self.missed()

    def as_json(self) -> dict[str, Any]:
        """Everything, for a file."""
        return asdict(self)

    def text(self) -> str:
        """For people."""
        verdict = self.verdict
        lines = [
            f"seed {self.seed}; {self.seconds / 60:.1f} minutes; {verdict.calls} calls,"
            f" {self.call_minutes:.0f} call-minutes, at most {self.most_at_once} at once; outcomes {self.outcomes};"
            f" agents answered {self.agents_answered}",
            f"dropped: {upper_bound(len(verdict.dropped), verdict.calls)}",
            f"refused: {upper_bound(len(verdict.refused), verdict.calls)}",
            f"records lost: {upper_bound(len(verdict.lost), verdict.calls)};"
            f" doubled: {len(verdict.doubled)}; invented: {len(verdict.invented)};"
            f" unlike Asterisk's: {len(verdict.unlike)}; backwards: {len(verdict.negative)}",
            f"order inversions: {verdict.inversions}; through Asterisk's own queue: {verdict.survived},"
            f" with a message: {verdict.messages};"
            f" channels leaked: {self.leaked}; differences at the end: {len(self.differences)}",
        ]
        for name in ("dropped", "refused", "lost", "doubled", "invented", "unlike", "negative"):
            found = getattr(verdict, name)
            if found:
                lines.append(f"  {name}: {', '.join(found[:8])}{' ...' if len(found) > 8 else ''}")
        lines += [f"  differs: {one}" for one in self.differences[:8]]
        for fault in sorted({felt.fault for felt in self.felt}):
            lines.append(_summary(fault, [felt for felt in self.felt if felt.fault is fault]))
        curve = [f"{sample.bridge_mb:.0f}" for sample in _thinned(self.samples) if sample.bridge_mb is not None]
        lines.append(f"memory of the bridge, MB: {' '.join(curve)}")
        return "\n".join(lines)


def _summary(fault: Fault, felt: Sequence[Felt]) -> str:
    parts = []
    for name in felt[0].times or {}:
        seen = sorted(one.times[name] for one in felt if name in one.times)
        good = [seconds for seconds in seen if seconds != MISSING]
        never = f", never {len(seen) - len(good)}" if len(good) < len(seen) else ""
        if good:
            parts.append(f"{name} median {good[len(good) // 2]:.2f} most {good[-1]:.2f}{never}")
        else:
            parts.append(f"{name} never ({len(seen)})")
    live = [one.live for one in felt]
    return f"{fault}: N = {len(felt)}, {min(live)} to {max(live)} calls on the line; seconds: {'; '.join(parts)}"


def _thinned(samples: Sequence[Sample], most: int = 24) -> Sequence[Sample]:
    step = max(1, len(samples) // most)
    return samples[::step]


class Soak:
    """One run. `say` gets a line of progress now and then."""

    def __init__(
        self,
        stage: Stage,
        *,
        seed: int,
        plan: Sequence[Planned],
        at_once: int,
        seconds: float = 0.0,
        agents: int = 6,
        pace: float = 1.0,
        say: Callable[[str], None] = print,
    ) -> None:
        """The run lasts until the plan is done and `seconds` are over; `pace` as in `crowds`."""
        self._stage = stage
        self._seed = seed
        self._plan = plan
        self._at_once = at_once
        self._seconds = seconds
        self._agents = agents
        self._pace = pace
        self._say = say
        self._felt: list[Felt] = []
        self._samples: list[Sample] = []
        self._most = 0
        self._enough = asyncio.Event()

    def finish(self) -> None:
        """No more faults and no new calls: come to the end and to the report."""
        self._enough.set()

    async def run(self) -> Report:
        """Do it. Raises `CtiError` when the people cannot be had."""
        stage = self._stage
        began_at, began = datetime.now(UTC), time.monotonic()
        told = stage.eyes.told
        host, _, port = told["sip"]["server"].rpartition(":")
        kinds = crowds(self._at_once, pace=self._pace)
        longest = max(self._seconds, sum(p.wait + p.seconds + 30 for p in self._plan)) + 600
        callers = [
            Callers(
                kind,
                local=stage.carrier,
                remote=(host, int(port)),
                first_number=NUMBERS + (place + 1) * 10_000_000,
                calls=int(kind.rate * longest) + 10,
            )
            for place, kind in enumerate(kinds)
        ]
        working: list[asyncio.Task[None]] = []
        agents = [SoakAgent(agent, told["urls"]["api"], stage.eyes.tls) for agent in self._people(told)]
        sampler = asyncio.create_task(self._sample(began))
        try:
            async with PhoneRoom() as room:
                working = [asyncio.create_task(agent.run(room, told["sip"]["server"])) for agent in agents]
                for one in callers:
                    await one.begin()
                await self._pass(max(kind.stay for kind in kinds))  # then as many are on the line as wanted
                await self._harm()
                await self._pass(began + self._seconds - time.monotonic())
                self._say("no new calls; waiting for those on the line")
                await asyncio.gather(*(one.stop() for one in callers))
                for task in working:
                    task.cancel()
                await asyncio.gather(*working, return_exceptions=True)
            report = await self._compare(began_at, began, callers, agents)
        finally:
            sampler.cancel()
            for task in working:
                task.cancel()
            await asyncio.gather(sampler, *working, return_exceptions=True)
            for one in callers:
                await one.end()
                one.forget()
        return report

    def _people(self, told: dict[str, Any]) -> list[dict[str, Any]]:
        """The agents of the queue that is called straight, no more than wanted."""
        return [agent for agent in told["agents"] if "support" in agent["queues"]][: self._agents]

    async def _pass(self, seconds: float) -> None:
        """Let time pass, unless it is enough already."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), max(0.0, seconds))

    async def _harm(self) -> None:
        harm = Harm(self._stage, seed=self._seed)
        for number, planned in enumerate(self._plan, 1):
            await self._pass(planned.wait)
            if self._enough.is_set():
                return
            felt = await harm.do(planned)
            self._felt.append(felt)
            self._say(f"{number}/{len(self._plan)} {felt.line()}")

    async def _sample(self, began: float) -> None:
        told = 0.0
        while True:
            channels = await self._stage.eyes.channels() or {}
            calls = sum(unique == channel["call"] for unique, channel in channels.items())
            self._most = max(self._most, calls)
            at = time.monotonic() - began
            memory = self._stage.memory("bridge"), self._stage.memory("asterisk")
            self._samples.append(Sample(at=round(at), calls=calls, bridge_mb=memory[0], asterisk_mb=memory[1]))
            if at - told > 60:
                told = at
                shown = [f"{mb:.0f} MB" if mb is not None else "away" for mb in memory]
                self._say(f"{at / 60:.0f} min: {calls} calls on the line; bridge {shown[0]}, Asterisk {shown[1]}")
            await asyncio.sleep(SAMPLE)

    async def _compare(
        self, began_at: datetime, began: float, callers: Sequence[Callers], agents: Sequence[SoakAgent]
    ) -> Report:
        stage = self._stage
        await asyncio.sleep(5)
        channels = await stage.eyes.channels() or {}
        leaked = len(channels)
        sip: list[SipCall] = [call for one in callers for call in one.calls()]
        ledger = self._ledger()
        wanted = {i for i, call in ledger.items() if call.began_at >= began_at.timestamp() - 1}
        deadline = time.monotonic() + DRAINED_WITHIN
        stored: list[StoredCall] = []
        while time.monotonic() < deadline:
            with contextlib.suppress(RemoteError):
                stored = await self._stored(began_at)
            if wanted <= {row.call_id for row in stored}:
                break
            await asyncio.sleep(0.5)
        ends = {
            str(row["call_id"]): int(row["n"])
            for row in await stage.query(
                "SELECT call_id, count(*) AS n FROM cti.facts WHERE kind = 'CallEnded' AND at >= $1 GROUP BY 1",
                began_at,
            )
        }
        verdict = compare(
            sip,
            {i: call for i, call in ledger.items() if i in wanted},
            stored,
            ends=ends,
            numbers=f"+{NUMBERS // 100_000_000}",
        )
        outcomes: dict[str, int] = {}
        for row in stored:
            outcomes[row.outcome] = outcomes.get(row.outcome, 0) + 1
        minutes = sum((call.ended_at or call.began_at) - call.began_at for call in ledger.values()) / 60
        return Report(
            seed=self._seed,
            began=began_at.isoformat(timespec="seconds"),
            seconds=time.monotonic() - began,
            verdict=verdict,
            felt=self._felt,
            samples=self._samples,
            outcomes=outcomes,
            call_minutes=minutes,
            agents_answered=sum(agent.answered for agent in agents),
            leaked=leaked,
            most_at_once=self._most,
            differences=await stage.eyes.differences() or [],
        )

    def _ledger(self) -> dict[str, AsteriskCall]:
        path: Path = self._stage.places.ledger
        with path.open(encoding="utf-8", errors="replace", newline="") as lines:
            return asterisk_calls(lines)

    async def _stored(self, since: datetime) -> list[StoredCall]:
        sql = f"SELECT {STORED_COLUMNS} FROM report.calls WHERE started_at >= $1"  # noqa: S608 - a constant of ours
        rows = await self._stage.query(sql, since)
        return [StoredCall.of_row(row) for row in rows]
