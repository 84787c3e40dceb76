"""What waiting callers hear, on real Asterisk: compared with the sound files themselves; and that an offer never waits for it."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.browser import eventually
from tests.acceptance.people import call_in, caller, sip_agent
from tests.integration.asterisk_rig import until
from tests.support.centre import ApiPerson, TestCentre, running_centre
from tests.support.speech import heard, prompt, spoken

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]

OFFERS = 8
VISIT_SECONDS = 2


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    """A centre whose waiting callers visit the bridge often, so that the test need not wait for them."""
    env = {"CTI_SURVIVAL__WAIT_VISIT_SECONDS": str(VISIT_SECONDS)}
    with running_centre(tmp_path_factory.mktemp("quick") / "data", env=env) as running:
        yield running


def announcements(centre: TestCentre) -> list[dict[str, str]]:
    """What the bridge says it had announced."""
    lines = (line for file in (centre.data / "log").glob("*.log") for line in file.read_text().splitlines())
    return [json.loads(line) for line in lines if '"announced"' in line]


@pytest.mark.beside
async def test_callers_hear_their_place_in_their_own_language(quick: TestCentre, tmp_path: Path) -> None:
    async with PhoneRoom() as room, ApiPerson(quick, "supervisor") as supervisor:
        calls = []
        for number, keys in [("+15550100002", "1"), ("+15550100061", "1"), ("+15550100062", "92")]:
            call = await call_in(await caller(quick, room, number), "5000", keys=keys)
            await call.record(tmp_path / f"{len(calls)}.wav")
            calls.append(call)
            await supervisor.until(
                "/state", lambda s: sum(c["state"] == "waiting" for c in s["calls"].values()) == len(calls)
            )
        state = await supervisor.get("/state")
        places = {row["caller_number"]: row["place"] for row in state["calls"].values()}
        await until(lambda: {line["call_id"] for line in announcements(quick)} >= set(state["calls"]), "announcements")
        await asyncio.sleep(5)  # the longest of them, and what a busy machine adds
        for call in calls:
            await call.stop_recording()
            await call.hang_up()
    assert places == {"+15550100002": 1, "+15550100061": 2, "+15550100062": 1}
    expected = [
        ("en", ["you_are_next"]),
        ("en", ["you_are_number", "number_2", "in_line"]),
        ("zh", ["you_are_next"]),
    ]
    for number, (language, names) in enumerate(expected):
        recording = heard(tmp_path / f"{number}.wav")
        found = [spoken(recording, prompt(language, name)) for name in names]
        assert all(likeness > 0.7 for _, likeness in found), (number, names, found)
        assert [when for when, _ in found] == sorted(when for when, _ in found)
    assert spoken(heard(tmp_path / "0.wav"), prompt("zh", "you_are_next"))[1] < 0.5


async def test_an_offer_in_the_middle_of_an_announcement_rings_at_once_and_no_caller_is_lost(
    quick: TestCentre,
) -> None:
    rng = random.Random(7)
    lasts = prompt("en", "you_are_next").size / 8000
    delays: list[float] = []
    async with PhoneRoom() as room, sip_agent(quick, room, "1008", ready=False) as hugo:
        phone = await caller(quick, room, "+15550100002")
        for _ in range(OFFERS):
            known = len(announcements(quick))
            call = await call_in(phone, "5001", keys="")
            await eventually(lambda known=known: len(announcements(quick)) > known, why="announcement")
            began = time.monotonic()
            await asyncio.sleep(rng.uniform(0.1, lasts - 0.6))
            asked = time.monotonic()
            ready = asyncio.create_task(hugo.ready())
            ringing = await hugo.rings()
            rang = time.monotonic()
            assert rang - began < lasts, "the announcement was over"
            delays.append(rang - asked)
            await ready
            await ringing.answer()
            await ringing.confirmed.wait()
            await asyncio.sleep(0.5)
            assert not call.ended.is_set()
            await ringing.hang_up()
            async with asyncio.timeout(60):
                await call.ended.wait()
            await hugo.wrap_up()
            await hugo.api.post("/agent/state", {"state": "not_ready", "reason": "break"})
        # The last call's facts are on their way to the database.
        async with asyncio.timeout(60):
            while True:
                rows = await quick.query(
                    "SELECT outcome, count(*) AS n FROM report.calls WHERE did = '5001' GROUP BY outcome"
                )
                if sum(row["n"] for row in rows) >= OFFERS:
                    break
                await asyncio.sleep(0.1)
    print(f"from ready to ring in the middle of an announcement, ms: {[round(1000 * d) for d in sorted(delays)]}")
    assert statistics.median(delays) < 0.2
    assert [(row["outcome"], row["n"]) for row in rows] == [("answered", OFFERS)]
