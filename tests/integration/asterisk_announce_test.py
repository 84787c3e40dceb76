"""Announcements in the real dialplan: played after the visit, cut short by a key or a Redirect, and never at survival's cost."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.integration.asterisk_redirect_test import IN_FLIGHT, Driver
from tests.integration.asterisk_rig import AgiSession, Rig, running_asterisk, until
from tests.support.sipp import Sipp

pytestmark = pytest.mark.real

CALLS = 800
RATE = 40
DEADLINE_SECONDS = 600
"""What hangs is found; a slow machine is let be."""
BRIEF = 0.2
"""Seconds of the sound that Redirects are timed against."""


def tone(folder: Path, seconds: float) -> str:
    """A sound file of that length; gives its name as the dialplan takes it."""
    (folder / "tone.ulaw").write_bytes(bytes([0x20, 0xA0]) * round(4000 * seconds))
    return str(folder / "tone")


def stays(rig: Rig) -> Sipp:
    return Sipp("caller_stays", local=rig.carrier, remote=rig.sip, keys={"number": "+15551234567", "display": "Caller"})


async def test_visits_and_survival_come_no_later_for_an_announcement(tmp_path: Path) -> None:
    """With 3 s of announcement in 5 s between visits; the bridge goes in the middle of one."""
    sound, visits = tone(tmp_path, 3.0), list[float]()

    async def says(session: AgiSession) -> None:
        visits.append(time.monotonic())
        await session.set(CTI_SAY=f"{sound}", CTI_NEXT="wait")

    survival = {"wait_visit_seconds": 5, "wait_misses": 2, "queue_seconds": 5}
    async with running_asterisk(tmp_path, survival=survival) as rig, stays(rig):
        rig.bridge.handlers["wait"] = says
        wait = await rig.ami.event("CtiWait")
        await rig.bridge.visited("wait", count=3)
        assert [later - earlier for earlier, later in pairwise(visits)] == pytest.approx([5, 5], abs=1.2)
        await until(lambda: len(visits) == 3, "the third visit")
        await rig.bridge.stop()
        await rig.ami.event("CtiSurvival", Call=wait["Call"], Queue="support")
        # One visit missed after 5 s, the next after 3.
        assert time.monotonic() - visits[-1] < 9.5


async def test_what_was_said_is_not_said_again_without_the_bridge(tmp_path: Path) -> None:
    async def says_once(session: AgiSession) -> None:
        await session.set(CTI_SAY=tone(tmp_path, 0.3), CTI_NEXT="wait")

    survival = {"wait_visit_seconds": 2, "wait_misses": 100}
    async with running_asterisk(tmp_path, survival=survival) as rig, stays(rig):
        rig.bridge.handlers["wait"] = says_once
        wait = await rig.ami.event("CtiWait")
        await rig.bridge.visited("wait")
        await rig.bridge.stop()
        async with asyncio.timeout(60):
            while True:
                misses = await rig.ami.action(Action="Getvar", Channel=wait["Channel"], Variable="CTI_MISSES")
                if misses["Value"] == "2":
                    break
        said = await rig.ami.action(Action="Getvar", Channel=wait["Channel"], Variable="CTI_SAY")
        assert said["Value"] == ""


class Interrupter(Driver):
    """Every visit announces; the offer comes as the sound begins, as it ends, or somewhere in it."""

    sound = ""

    async def on_visit(self, session: AgiSession) -> None:
        """The bridge answers, and the Redirect is timed from its last word."""
        self.visits[session.channel] += 1
        await session.set(CTI_SAY=self.sound, CTI_NEXT="wait")
        moment = self.chance.choices((0.0, BRIEF, self.chance.uniform(0, BRIEF)), (40, 40, 20))[0]
        asyncio.get_running_loop().call_later(moment + self.chance.uniform(0, 0.025), self._deliver, session.channel)

    def _plan(self, channel: str) -> None:
        self.waits[channel] += 1


@pytest.mark.timeout(DEADLINE_SECONDS + 30)
async def test_no_redirect_in_an_announcement_loses_a_caller(tmp_path: Path) -> None:
    survival = {"wait_visit_seconds": 2, "wait_misses": 100}
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        running_asterisk(tmp_path, survival=survival) as rig,
        rig.phone("1001") as phone,
    ):
        phone.talk_seconds = 0.2
        await phone.register()
        driver = Interrupter(rig, random.Random(5))
        driver.sound = tone(tmp_path, BRIEF)
        rig.ami.on_event = driver.on_event
        rig.bridge.handlers["wait"] = driver.on_visit
        async with Sipp(
            "caller_stays", local=rig.carrier, remote=rig.sip, keys={"number": "+15551234567", "display": "Caller"},
            calls=CALLS, rate=RATE, limit=IN_FLIGHT, timeout_seconds=DEADLINE_SECONDS,
        ) as callers:  # fmt: skip
            result = await callers.finished()
        assert result.successful == CALLS
        await until(lambda: len(driver.ended) >= CALLS, "the last hang-up")
        warnings = rig.log_lines("WARNING", "ERROR")
    lost = driver.ended - driver.answered
    print(f"{len(driver.answered)} answered, {len(lost)} lost, {len(driver.overlooked)} overlooked")
    assert lost == set(), "\n".join(line for channel in lost for line in driver.history[channel])
    assert driver.overlooked == [], "\n".join(line for channel in driver.overlooked for line in driver.history[channel])
    assert not [line for line in warnings if "fallthrough" in line or "such priority" in line or "invalid" in line]
