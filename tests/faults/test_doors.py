"""Every port is attacked while callers are on the line: their calls, records and a good visitor's pages go on.

The longest stall of the loop is read from the bridge's own metrics. On a quiet machine it is within 100 ms (docs/reliability.md); here it may be
more, for the machine that runs the tests does other things besides, and a process that gets no processor looks like a loop that stands. What the
bridge itself computed in one turn is told apart, and has a bound of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cti.soak.plan import Fault, Planned
from cti.soak.run import Report, Soak
from cti.soak.stage import Stage
from tests.support.centre import PROMPTS

pytestmark = [pytest.mark.real, pytest.mark.alone, pytest.mark.needs("sipp"), pytest.mark.timeout(400)]

SECONDS = 8.0
STALL = 2.0
"""Wider than what is promised, by the reason above."""
HELD = 0.5
"""The same of the bridge's own work: within 0.1 where it was measured; a processor that others share computes at a part of its pace."""


async def attacked(folder: Path) -> Report:
    """A centre of its own, ten callers, one attack."""
    folder.mkdir(exist_ok=True)
    for place in (folder, *list(folder.parents)[:3]):
        place.chmod(place.stat().st_mode | 0o011)  # PostgreSQL is another user's, where we are root
    # A machine that does other things may stand still for seconds, and the guard is not what is tried here.
    extra = {"CTI_PROMPTS": str(PROMPTS), "CTI_SURVIVAL__HUNG_SECONDS": "20"}
    stage = Stage.own(folder, [Fault.DOORS], extra=extra)
    plan = [Planned(wait=0.2, fault=Fault.DOORS, seconds=SECONDS)]
    try:
        await stage.open(start=True)
        report = await Soak(stage, seed=20267, plan=plan, at_once=10, agents=4, pace=0.15).run()
    finally:
        await stage.close()
    print(report.text())
    print(report.felt[0].line())
    return report


async def test_attacked_ports_harm_no_call(tmp_path: Path) -> None:
    report = await attacked(tmp_path / "stage")
    assert report.verdict.clean(), report.text()
    assert (report.leaked, report.differences) == (0, [])
    assert report.outcomes.get("answered", 0) >= 3, report.text()
    (felt,) = report.felt
    assert felt.times["stall_within"] <= STALL, felt.line()
    assert felt.times["held_within"] <= HELD, felt.line()
    assert felt.times["page_median"] < 1.0, felt.line()
