"""The disk is full while people talk, or a file of a recording is gone: it is told within ten seconds, nothing of it is ever called
recorded, and the talk goes on.

The short profile runs with the other tests. The long one: CTI_FAULTS=long pytest -s tests/faults/test_recording_faults.py (20 of
each, about five minutes).
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom
from tests.acceptance.people import SipAgent, call_in, caller, sip_agent
from tests.support.centre import ApiPerson, TestCentre
from tests.support.recorded import kept, share, sound_of
from tests.support.sound import assert_tone

LONG = os.environ.get("CTI_FAULTS") == "long"
SEED = int(os.environ.get("CTI_SEED", "20265"))
ROUNDS = int(os.environ.get("CTI_ROUNDS", "20" if LONG else "1"))
"""Each has two faults: one recording's files are deleted, and the disk is full under another."""
WITHIN = 10.0
NUMBERS = ("+15550100001", "+15550100002")
AGENTS = ("1001", "1004")
TONES = ((440, 620), (520, 850))
DID = "5000"

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800 if LONG else 200)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for a minute of sound."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a full disk needs a small one, and only root may mount it")
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(disk: Path) -> Path:
    """Take what room there is."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


class Talk:
    """A caller and an agent who both speak."""

    def __init__(self, agent: SipAgent, tones: tuple[int, int]) -> None:
        self.agent = agent
        self.tones = tones
        self.call_id = ""
        self.call: PhoneCall | None = None
        self.leg: PhoneCall | None = None

    async def begin(self, centre: TestCentre, room: PhoneRoom, number: str) -> None:
        await self.agent.ready()
        self.call = await call_in(await caller(centre, room, number), DID, keys="1")
        self.leg = await self.agent.rings(30)
        await self.leg.answer()
        await self.call.play_tone(self.tones[0])
        await self.leg.play_tone(self.tones[1])
        mine = await self.agent.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        self.call_id = mine["agent"]["call_id"]
        await self.agent.api.until(f"/calls/{self.call_id}/recording", lambda a: a["recording"])

    async def goes_on(self, folder: Path) -> None:
        """Both hear each other."""
        assert self.call is not None
        assert self.leg is not None
        for leg, name, tone in ((self.call, "caller", self.tones[1]), (self.leg, "agent", self.tones[0])):
            path = folder / f"{self.call_id}.{name}.wav"
            await leg.record(path)
            await asyncio.sleep(1)  # as long as it is to be
            await leg.stop_recording()
            assert_tone(path, tone)

    async def end(self) -> None:
        assert self.call is not None
        await self.call.hang_up()
        await self.agent.wrap_up()
        await self.agent.api.post(
            "/agent/state", {"state": "not_ready", "reason": "break"}
        )  # the next call is another's


async def flagged(person: ApiPerson, call_id: str, since: float) -> tuple[str, float]:
    """What is wrong, and seconds until it was told."""
    row = await kept(person, call_id, "flagged", "kept", within=30)
    assert row["state"] == "flagged"
    return row["trouble"], time.monotonic() - since


async def test_a_full_disk_and_a_missing_file_are_told_and_never_called_recorded(
    small_disk: Path, tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    took: dict[str, list[float]] = {"full": [], "missing": []}
    damaged: list[str] = []
    centre = TestCentre(tmp_path / "data", env={"CTI_FOLDERS__RECORDINGS": str(small_disk)})
    centre.start()
    try:
        async with (
            PhoneRoom() as room,
            sip_agent(centre, room, AGENTS[0], ready=False) as ada,
            sip_agent(centre, room, AGENTS[1], ready=False) as cem,
            ApiPerson(centre, "supervisor") as supervisor,
        ):
            for _ in range(ROUNDS):
                pair = (Talk(ada, TONES[0]), Talk(cem, TONES[1]))
                for one, number in zip(pair, NUMBERS, strict=True):
                    await one.begin(centre, room, number)
                await asyncio.sleep(rng.uniform(2, 5))
                gone, full = pair
                for file in (small_disk / "live").glob(f"{gone.call_id}.*"):
                    file.unlink()
                since = time.monotonic()
                trouble, seconds = await flagged(supervisor, gone.call_id, since)
                assert trouble == "missing"
                took["missing"].append(seconds)
                filler = fill(small_disk)
                since = time.monotonic()
                trouble, seconds = await flagged(supervisor, full.call_id, since)
                assert trouble == "disk_full"
                took["full"].append(seconds)
                await asyncio.gather(*(one.goes_on(tmp_path) for one in pair))
                for one in pair:
                    damaged.append(one.call_id)
                    await one.end()
                filler.unlink()
            # There is room again: a recording is whole again, and those of before are still none.
            again = Talk(ada, TONES[0])
            await again.begin(centre, room, NUMBERS[0])
            await asyncio.sleep(2)
            await again.end()
            await kept(supervisor, again.call_id, "kept")
            samples, rate = await sound_of(centre, supervisor, again.call_id)
            assert share(samples[rate:, 0], again.tones[0], rate) > 0.9
        false = await centre.query(
            "SELECT call_id FROM cti.facts WHERE kind = 'RecordingKept' AND body ->> 'call_id' = ANY ($1::text[])",
            damaged,
        )
        states = await centre.query(
            "SELECT DISTINCT state FROM report.recordings WHERE call_id = ANY ($1::text[])", damaged
        )
        ended = await centre.query(
            "SELECT count(*) AS n FROM report.calls WHERE call_id = ANY ($1::text[]) AND outcome = 'answered'", damaged
        )
    finally:
        await asyncio.to_thread(centre.stop)
    for what, seconds_of in took.items():
        seconds_of.sort()
        print(
            f"\n{what}: N={len(seconds_of)} seed={SEED}: told after {seconds_of[len(seconds_of) // 2]:.1f} s (middle),"
            f" {seconds_of[-1]:.1f} s (worst); false 'recorded': {len(false)}"
        )
        assert seconds_of[-1] <= WITHIN
    assert not false
    assert [row["state"] for row in states] == ["flagged"]
    assert ended[0]["n"] == len(damaged)
