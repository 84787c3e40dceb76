"""Faults done to a whole centre while callers with sound and agents with phones are on it; three ledgers are compared.

The short profile runs with the other tests. The long one: CTI_FAULTS=long pytest -s tests/faults/test_faults.py (hours), or `cti-soak`,
which is the same harness as a command (docs/reliability.md).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from cti.soak.harm import MISSING
from cti.soak.plan import Fault, plan
from cti.soak.run import Report, Soak
from cti.soak.stage import Stage
from tests.support.centre import PROMPTS

LONG = os.environ.get("CTI_FAULTS") == "long"
SEED = int(os.environ.get("CTI_SEED", "20261"))
ROUNDS = int(os.environ.get("CTI_ROUNDS", "30" if LONG else "1"))
"""How often each kind of fault is done."""
LASTING = 60.0 if LONG else 8.0
AT_ONCE = 55 if LONG else 14
PACE = 1.0 if LONG else 0.4

pytestmark = [
    pytest.mark.real,
    pytest.mark.alone,
    pytest.mark.needs("sipp"),
    pytest.mark.timeout(40000 if LONG else 400),
]


def small_disk(folder: Path) -> bool:
    """Whether a disk of our own can be mounted: a full one is not tried otherwise."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode == 0:
        subprocess.run(["umount", str(folder)], check=True)
    return done.returncode == 0


async def soaked(folder: Path, kinds: Sequence[Fault], *, kill_inside: bool = False) -> Report:
    """One run on a centre of its own."""
    folder.mkdir(exist_ok=True)
    for place in (folder, *list(folder.parents)[:3]):
        place.chmod(place.stat().st_mode | 0o011)  # PostgreSQL is another user's, where we are root
    planned = plan(
        SEED, kinds, ROUNDS * len(kinds), gap=(2, 12) if LONG else (1, 4), lasting=LASTING, kill_inside=kill_inside
    )
    stage = Stage.own(folder, kinds, extra={"CTI_PROMPTS": str(PROMPTS)})
    try:
        await stage.open(start=True)
        report = await Soak(
            stage, seed=SEED, plan=planned, at_once=AT_ONCE, agents=4 if not LONG else 6, pace=PACE
        ).run()
    finally:
        await stage.close()
    print(report.text())
    return report


def times(report: Report, fault: Fault, name: str) -> list[float]:
    """How long one reaction took, each time."""
    return [felt.times[name] for felt in report.felt if felt.fault is fault and name in felt.times]


async def test_no_fault_of_ours_loses_a_call_or_a_record(tmp_path: Path) -> None:
    kinds = [
        Fault.BRIDGE_KILL, Fault.BRIDGE_KILL, Fault.BRIDGE_STOP,
        Fault.AMI_CUT, Fault.AMI_STALL, Fault.AMI_SLOW,
        Fault.DATABASE_STOP, Fault.DATABASE_FREEZE, Fault.DATABASE_HOLE,
    ]  # fmt: skip
    if small_disk(tmp_path / "probe"):
        kinds.append(Fault.DATABASE_FULL)
    report = await soaked(tmp_path / "stage", kinds)
    verdict = report.verdict
    assert verdict.clean(), report.text()
    assert (report.leaked, report.differences) == (0, [])
    assert report.outcomes.get("answered", 0) >= 5, report.text()
    # Limits are those of docs/reliability.md and as much again, for a machine that does other things besides.
    assert max(times(report, Fault.BRIDGE_STOP, "callers_free")) < 10
    for fault in (Fault.AMI_CUT, Fault.AMI_STALL):
        assert max(times(report, fault, "noticed")) < 6, report.text()
    for fault in (Fault.AMI_CUT, Fault.AMI_STALL, Fault.AMI_SLOW):
        assert max(times(report, fault, "resynced")) < 6, report.text()
    for fault in kinds:
        assert all(seconds < 60 for seconds in times(report, fault, "drained")), report.text()
        assert MISSING not in times(report, fault, "back") + times(report, fault, "same"), report.text()


async def test_a_killed_asterisk_is_back_and_leaves_nobody_stuck(tmp_path: Path) -> None:
    report = await soaked(tmp_path / "stage", [Fault.ASTERISK_KILL])
    verdict = report.verdict
    assert verdict.clean(drops_allowed=True), report.text()
    assert (report.leaked, report.differences) == (0, [])
    assert max(times(report, Fault.ASTERISK_KILL, "stuck_agents")) == 0
    assert max(times(report, Fault.ASTERISK_KILL, "closed")) < 10, report.text()
    assert max(times(report, Fault.ASTERISK_KILL, "back")) < 20, report.text()
