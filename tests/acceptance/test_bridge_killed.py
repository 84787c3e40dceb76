"""The bridge is killed at any instant (SIGKILL) and no caller notices: the promise everything else stands on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom
from tests.acceptance.people import call_in, caller, sip_agent
from tests.support.centre import ApiPerson, TestCentre, running_centre
from tests.support.sound import assert_tone, longest_silence

pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def own_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    # Nobody goes to survival while a bridge comes back, however long that takes on this machine: what is proved here is that
    # calls, places and order outlive it. Survival has a test of its own.
    env = {"CTI_SURVIVAL__RETRY_SECONDS": "60", "CTI_SURVIVAL__WAIT_MISSES": "12"}
    with running_centre(tmp_path_factory.mktemp("killed") / "data", env=env) as centre:
        yield centre


async def bridge_back(centre: TestCentre, old: int) -> None:
    """Wait until another bridge than process `old` is ready."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        told = await asyncio.to_thread(centre.refresh)
        if told["pids"].get("bridge") not in (old, None) and told["ready"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the bridge did not come back")


async def kill_bridge(centre: TestCentre) -> float:
    """SIGKILL; returns when a new bridge is ready, with the seconds it took."""
    old = centre.pid("bridge")
    began = time.monotonic()
    os.kill(old, signal.SIGKILL)
    await bridge_back(centre, old)
    return time.monotonic() - began


async def test_calls_in_the_menu_waiting_and_talking_survive_and_the_order_holds(
    own_centre: TestCentre, tmp_path: Path
) -> None:
    centre = own_centre
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1002") as bo,
        sip_agent(centre, room, "1004", ready=False) as dora,
        ApiPerson(centre, "supervisor") as supervisor,
    ):
        talker = await caller(centre, room, "+15550100002")
        talk = await call_in(talker, "5001", keys="")
        talk_agent = await bo.rings()
        await talk_agent.answer()
        await talk_agent.confirmed.wait()
        await talk.play_tone(440)
        await talk_agent.play_tone(620)
        waiting: list[tuple[str, PhoneCall]] = []
        for number in ("+15550100081", "+15550100082", "+15550100001"):
            phone = await caller(centre, room, number)
            waiting.append((number, await call_in(phone, "5001", keys="")))
            count = len(waiting)
            await supervisor.until(
                "/state", lambda s, n=count: sum(c["state"] == "waiting" for c in s["calls"].values()) == n
            )
        menu_phone = await caller(centre, room, "+15550100084")
        menu = await call_in(menu_phone, "5000", keys="")
        await supervisor.until("/state", lambda s: any(c["state"] == "menu" for c in s["calls"].values()))
        await talk_agent.record(tmp_path / "agent-heard.wav")
        await talk.record(tmp_path / "caller-heard.wav")
        await menu.record(tmp_path / "menu-heard.wav")
        await waiting[0][1].record(tmp_path / "waiting-heard.wav")
        back = [await kill_bridge(centre)]
        before = await supervisor.until("/state", lambda s: len(s["calls"]) == 5)
        places = {c["caller_number"]: c["place"] for c in before["calls"].values() if c["state"] == "waiting"}
        assert places == {"+15550100001": 1, "+15550100081": 2, "+15550100082": 3}
        assert {c["state"] for c in before["calls"].values() if c["caller_number"] == "+15550100002"} == {"talking"}
        back.append(await kill_bridge(centre))
        # The menu speaks again to the caller who was in it.
        await supervisor.until(
            "/state",
            lambda s: any(c["state"] == "menu" and c["caller_number"] == "+15550100084" for c in s["calls"].values()),
            within=60,
        )
        await asyncio.sleep(3)
        await menu.press("1")
        await supervisor.until(
            "/state",
            lambda s: any(
                c["state"] == "waiting" and c["caller_number"] == "+15550100084" for c in s["calls"].values()
            ),
            within=60,
        )
        for name, recorded in (
            ("agent-heard", talk_agent), ("caller-heard", talk), ("menu-heard", menu), ("waiting-heard", waiting[0][1]),
        ):  # fmt: skip
            assert not recorded.ended.is_set(), f"{name}: the call was dropped"
            await recorded.stop_recording()
        assert_tone(tmp_path / "agent-heard.wav", 440)
        assert_tone(tmp_path / "caller-heard.wav", 620)
        assert longest_silence(tmp_path / "agent-heard.wav") < 0.3
        assert longest_silence(tmp_path / "menu-heard.wav") < 3.0
        assert longest_silence(tmp_path / "waiting-heard.wav") < 3.0
        # Hang up the talk right when a third kill has happened: its end is seen by nobody but Asterisk's ledger.
        old = centre.pid("bridge")
        os.kill(old, signal.SIGKILL)
        await talk.hang_up()
        talk_ended = time.time()
        await bridge_back(centre, old)
        await bo.api.post("/agent/state", {"state": "offline"})
        await dora.ready()
        served = []
        for _ in range(4):
            ringing = await dora.rings()
            served.append((await dora.api.get("/agent"))["pop"]["number"])
            await ringing.answer()
            await ringing.confirmed.wait()
            await dora.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
            await ringing.hang_up()
            await dora.wrap_up()
        assert served == ["+15550100001", "+15550100081", "+15550100082", "+15550100084"]
        await supervisor.until("/state", lambda s: not s["calls"])
        async with asyncio.timeout(60):  # the drain gathers facts for a moment
            rows = []
            while len(rows) < 5:
                rows = await centre.query("SELECT * FROM report.calls ORDER BY started_at")
    print("seconds until a killed bridge was ready again:", [round(x, 2) for x in back])
    assert [r["outcome"] for r in rows] == ["answered"] * 5
    assert len({r["call_id"] for r in rows}) == 5
    by_number = {r["caller_number"]: r for r in rows}
    talked = by_number["+15550100002"]
    assert talked["hangup_by"] == "caller"
    assert talked["ended_at"].timestamp() == pytest.approx(talk_ended, abs=0.15)
    for row in rows:
        assert row["queued_at"] <= row["offered_at"] <= row["answered_at"] <= row["ended_at"]
        assert row["talk_seconds"] == pytest.approx((row["ended_at"] - row["answered_at"]).total_seconds(), abs=0.1)
    facts = await centre.query("SELECT call_id, count(*) FROM cti.facts WHERE kind = 'CallEnded' GROUP BY call_id")
    assert {x["count"] for x in facts} == {1}
