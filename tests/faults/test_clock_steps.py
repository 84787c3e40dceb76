"""The machine's clock is set an hour forward and two back while people talk and wait: nothing is early, nothing lasts an hour."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.people import call_in, caller, sip_agent
from tests.support.centre import ApiPerson, running_centre

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]
STEPPED = Path(__file__).with_name("stepped")
WRONG = 15.0
"""Seconds a duration may be off: a step is worked off by 2 %, and the machine may be busy. The steps are of hours."""


async def test_an_hour_forward_and_two_back(tmp_path: Path) -> None:
    step = tmp_path / "step"
    step.write_text("0")
    env = {
        "STEPPED_CLOCK": str(step),
        "PYTHONPATH": os.pathsep.join((str(STEPPED), *filter(None, [os.environ.get("PYTHONPATH")]))),
    }
    with running_centre(tmp_path / "data", env=env) as centre:
        async with (
            PhoneRoom() as room,
            sip_agent(centre, room, "1002") as bo,
            ApiPerson(centre, "supervisor") as supervisor,
        ):
            first = await call_in(await caller(centre, room, "+15550100081"), "5001", keys="")
            ringing = await bo.rings()
            await ringing.answer()
            await ringing.confirmed.wait()
            answered = time.monotonic()
            await bo.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
            second = await call_in(await caller(centre, room, "+15550100082"), "5001", keys="")
            await supervisor.until("/state", lambda s: [c["state"] for c in s["calls"].values()].count("waiting") == 1)
            queued = time.monotonic()
            step.write_text("3600")
            await asyncio.sleep(4)  # whatever is wrongly due now is done in this time
            states = sorted(c["state"] for c in (await supervisor.get("/state"))["calls"].values())
            assert states == ["talking", "waiting"]
            assert not first.ended.is_set()
            await first.hang_up()
            talked = time.monotonic() - answered
            await bo.api.until("/agent", lambda a: a["agent"]["state"] == "wrap_up")
            step.write_text("-3600")
            await asyncio.sleep(4)
            assert (await bo.api.get("/agent"))["agent"]["state"] == "wrap_up", "its time is 30 s"
            await bo.wrap_up()
            ringing = await bo.rings()
            waited = time.monotonic() - queued
            step.write_text("3600")
            await ringing.answer()
            await ringing.confirmed.wait()
            began = time.monotonic()
            await bo.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
            step.write_text("-3600")
            await asyncio.sleep(2)
            await second.hang_up()
            talked_again = time.monotonic() - began
            await bo.wrap_up()
        one = await centre.record(where="caller_number = '+15550100081'", wrapped=True)
        two = await centre.record(where="caller_number = '+15550100082'", wrapped=True)
    for row in (one, two):
        assert row["outcome"] == "answered"
        assert row["started_at"] <= row["queued_at"] <= row["offered_at"] <= row["answered_at"] <= row["ended_at"]
    assert one["talk_seconds"] == pytest.approx(talked, abs=WRONG)
    assert two["wait_seconds"] == pytest.approx(waited, abs=WRONG)
    assert two["talk_seconds"] == pytest.approx(talked_again, abs=WRONG)
    assert 0 <= one["wrap_seconds"] < 60
    print(f"talk {one['talk_seconds']} (by hand {talked:.1f}), wait {two['wait_seconds']} ({waited:.1f}),"
          f" talk {two['talk_seconds']} ({talked_again:.1f})")  # fmt: skip
