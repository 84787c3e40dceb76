"""The bridge is killed again and again while SIPp callers are in the menu, waiting and talking; three ledgers are compared.

The short profile runs with the other tests. The long one: CTI_FAULTS=long pytest -s tests/faults (100 kills, about 15 minutes).
"""

from __future__ import annotations

import asyncio
import csv
import os
import random
import signal
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneError, PhoneRoom
from tests.acceptance.people import SipAgent, sip_agent
from tests.support.centre import TestCentre, running_centre
from tests.support.sipp import Sipp

LONG = os.environ.get("CTI_FAULTS") == "long"
SEED = int(os.environ.get("CTI_SEED", "20261"))
KILLS = int(os.environ.get("CTI_KILLS", "100" if LONG else "4"))
RATE = 2.0
STAY_SECONDS = 25
CALLS = int(RATE * (KILLS * 7 + 10))

pytestmark = [pytest.mark.real, pytest.mark.needs("sipp"), pytest.mark.timeout(1800 if LONG else 200)]


async def take_calls(agent: SipAgent) -> None:
    """Answer whatever rings and stay until the caller leaves."""
    while True:
        call = await agent.phone.incoming.get()
        try:
            await call.answer()
        except PhoneError:
            continue  # the caller left first
        await call.ended.wait()


async def kill_now_and_then(centre: TestCentre, rng: random.Random, kills: int) -> None:
    """SIGKILL the bridge at random moments, also while it is only just coming back."""
    for _ in range(kills):
        await asyncio.sleep(rng.uniform(2, 12))
        told = await asyncio.to_thread(centre.refresh)
        pid = told["pids"].get("bridge")
        if pid is not None:
            with suppress(ProcessLookupError):  # it is only just coming back from the last one
                os.kill(pid, signal.SIGKILL)


def entered(ledger: Path) -> list[str]:
    """Call ids that Asterisk's own event ledger saw come in."""
    with ledger.open(newline="") as file:
        return [row[2] for row in csv.reader(file) if row and row[0] == "CTI_INBOUND"]


def inversions(rows: list[dict[str, object]]) -> int:
    """Pairs served against their order although both waited at the time, by more than half a second.

    Among the bridge's own offers: a caller whom repeated kills drove into Asterisk's native queue stands in another line.
    """
    answered = [r for r in rows if r["outcome"] == "answered" and r["offered_at"] is not None]
    found = 0
    for first in answered:
        for second in answered:
            waited_both = second["queued_at"] < first["answered_at"]  # type: ignore[operator]
            later = (first["queued_at"] - second["queued_at"]).total_seconds() > 0.5  # type: ignore[operator]
            sooner = (second["answered_at"] - first["answered_at"]).total_seconds() > 0.5  # type: ignore[operator]
            found += waited_both and later and sooner
    return found


async def test_nobody_is_dropped_and_no_record_is_lost_or_doubled(tmp_path: Path) -> None:
    with running_centre(tmp_path / "data") as centre:
        host, port = centre.told["sip"]["server"].rsplit(":", 1)
        rng = random.Random(SEED)
        async with PhoneRoom() as room, AsyncExitStack() as stack:
            people = [await stack.enter_async_context(sip_agent(centre, room, e)) for e in ("1002", "1004", "1008")]
            # Answering takes no bridge; nobody finishes a wrap-up by hand, so that runs out by itself.
            working = [asyncio.create_task(take_calls(agent)) for agent in people]
            async with Sipp(
                "caller_leaves",
                local=centre.carrier,
                remote=(host, int(port)),
                service="5001",
                calls=CALLS,
                rate=RATE,
                limit=200,
                keys={"number": "+15550100061", "display": "SIPp"},
                pause_ms=STAY_SECONDS * 1000,
                timeout_seconds=1700 if LONG else 150,
            ) as sipp:
                killing = asyncio.create_task(kill_now_and_then(centre, rng, KILLS))
                result = await sipp.finished()
                await killing
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            deadline = time.monotonic() + 30
            rows: list[dict[str, object]] = []
            while time.monotonic() < deadline:
                rows = [dict(r) for r in await centre.query("SELECT * FROM report.calls")]
                if len(rows) >= CALLS:
                    break
                await asyncio.sleep(0.3)
        ledger = entered(centre.data / "asterisk" / "log" / "cel-custom" / "cti.csv")
        doubled = await centre.query(
            "SELECT call_id FROM cti.facts WHERE kind = 'CallEnded' GROUP BY call_id HAVING count(*) > 1"
        )
    outcomes = {o: sum(r["outcome"] == o for r in rows) for o in {r["outcome"] for r in rows}}
    print(
        f"seed {SEED}: {KILLS} kills, {CALLS} calls; SIP: {result.failed} dropped; Asterisk's ledger: {len(ledger)};"
        f" Postgres: {len(rows)} {outcomes}; {inversions(rows)} order inversions;"
        f" lost calls at most {3 / CALLS:.2%} with 95 % confidence if none was seen"
    )
    assert (result.successful, result.failed) == (CALLS, 0), result.output
    assert sorted(ledger) == sorted(str(r["call_id"]) for r in rows)
    assert len({r["call_id"] for r in rows}) == len(rows) == CALLS
    assert doubled == []
    assert inversions(rows) == 0
    assert outcomes.get("answered", 0) >= 3
    assert set(outcomes) <= {"answered", "abandoned", "short_abandon"}
