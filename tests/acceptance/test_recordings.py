"""Recordings on real Asterisk: who is in which channel, what a pause keeps out, what a dead bridge does not undo, and that a
damaged file is never called a recording."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom
from tests.acceptance.people import SipAgent, call_in, caller, sip_agent
from tests.acceptance.test_bridge_killed import kill_bridge
from tests.support.centre import ApiPerson, TestCentre
from tests.support.demo_centre import demo_tree, text_of
from tests.support.recorded import fetch, kept, samples_of, share

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

CALLER, ADA, BO = 440, 620, 850
SECRET_CALLER, SECRET_AGENT = 1500, 1900
"""What is said while the recording is paused."""
KEYED = "4929170036"
"""What is keyed then: by the caller, and by the agent."""
NUMBER = "+15550100002"


def centre_text() -> str:
    """The demo centre; the desk of sales records by hand only, and Bo's talks are never recorded there."""
    tree = demo_tree()
    for queue in tree["queues"].values():
        queue |= {"ring_timeout": 8, "wrap_up": 2}
    tree["queues"]["sales"] |= {"record": "on_demand", "calendar": ""}
    return text_of(tree)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    data = tmp_path_factory.mktemp("recorded") / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(centre_text(), encoding="utf-8")
    centre = TestCentre(data, env={"CTI_RECORDINGS__AGENTS_LISTEN": "true", "CTI_RECORDINGS__SEAL": "true"})
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def talk(
    centre: TestCentre, room: PhoneRoom, agent: SipAgent, did: str = "5000"
) -> tuple[PhoneCall, PhoneCall, str]:
    """A caller and an agent who both speak; with the call's id."""
    phone = await caller(centre, room, NUMBER)
    call = await call_in(phone, did, keys="1" if did == "5000" else "")
    leg = await agent.rings()
    await leg.answer()
    await call.play_tone(CALLER)
    await leg.play_tone(ADA)
    mine = await agent.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
    return call, leg, mine["agent"]["call_id"]


def written(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file of a centre that is not the database's own."""
    for file in folder.rglob("*"):
        if file.is_file() and "postgres" not in file.relative_to(folder).parts[:1]:
            yield file, file.read_bytes()


async def test_two_channels_a_pause_that_keeps_everything_out_and_a_player(recorded: TestCentre) -> None:
    centre = recorded
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        ApiPerson(centre, "supervisor") as supervisor,
    ):
        call, leg, call_id = await talk(centre, room, ada)
        own = f"/calls/{call_id}/recording"
        now = await ada.api.until(own, lambda a: a["recording"])
        assert (now["paused"], now["on_demand"]) == (False, True)
        await asyncio.sleep(2)
        # -- payment data: spoken and keyed in both directions
        now = await ada.api.post(own, {"action": "pause"})
        assert now["paused"]
        assert now["paused_until"]
        await call.play_tone(SECRET_CALLER)
        await leg.play_tone(SECRET_AGENT)
        await call.press(KEYED)
        await leg.press(KEYED)
        await ada.api.post(f"/agent/calls/{call_id}/keys", {"keys": KEYED})
        await asyncio.sleep(4)
        await call.play_tone(CALLER)
        await leg.play_tone(ADA)
        await asyncio.sleep(0.5)
        # -- over: told by a page of another system, which has nothing but the call's token
        async with aiohttp.ClientSession() as http:
            url = f"{centre.told['urls']['api']}/recording-events"
            async with http.post(url, json={"token": now["page_token"], "action": "resume"}) as answer:
                assert (answer.status, (await answer.json())["paused"]) == (200, False)
            async with http.post(url, json={"token": "x" * 40, "action": "resume"}) as answer:
                assert answer.status == 403
        await asyncio.sleep(1.5)
        # -- held by the server: not in the file
        await ada.api.post(f"/agent/calls/{call_id}/hold", {"on": True})
        await ada.api.until("/agent", lambda a: a["call"]["state"] == "held")
        await asyncio.sleep(2)
        await ada.api.post(f"/agent/calls/{call_id}/hold", {"on": False})
        await ada.api.until("/agent", lambda a: a["call"]["state"] == "talking")
        await asyncio.sleep(2)
        await call.hang_up()
        row = await kept(supervisor, call_id)
        await supervisor.until(f"/recordings/{call_id}", lambda a: a["sealed"])
        detail = await supervisor.get(f"/recordings/{call_id}")
        assert (row["channels"], row["agents"], row["queue"]) == (2, ["1001"], "support")
        kinds = [mark["kind"] for mark in detail["marks"]]
        assert kinds[:1] == ["answered"]
        assert [kind for kind in kinds if kind != "answered"] == ["paused", "resumed", "held", "retrieved"]
        ((begin, end),) = detail["pauses"]
        # As long as on the clock, though nothing was sent while keys were pressed.
        (paused, resumed) = await centre.query(
            "SELECT at FROM cti.facts WHERE call_id = $1 AND kind IN ('RecordingPaused', 'RecordingResumed') ORDER BY at",
            call_id,
        )
        assert end - begin == pytest.approx((resumed["at"] - paused["at"]).total_seconds(), abs=0.15)
        assert row["silence"] == pytest.approx(end - begin, abs=0.3)

        # -- a page that looks at the control once too late gets an answer, no error
        late = await ada.api.get(f"/calls/{call_id}/recording")
        assert (late["live"], late["recording"], late["page_token"]) == (False, False, "")

        # -- the sound: sealed where it lies, whole when it is asked for, in pieces too
        assert not list((centre.data / "recordings").glob(f"{call_id}*.wav"))
        assert not list((centre.data / "recordings" / "live").iterdir())
        status, content, headers = await fetch(centre, ada.api, f"/recordings/{call_id}/sound")
        assert (status, headers["Content-Type"], len(content)) == (200, "audio/wav", row["bytes"])
        status, piece, headers = await fetch(
            centre, ada.api, f"/recordings/{call_id}/sound", Range="bytes=70000-140001"
        )
        assert (status, piece) == (206, content[70000:140002])
        assert headers["Content-Range"] == f"bytes 70000-140001/{len(content)}"
        status, _, _ = await fetch(centre, ada.api, f"/recordings/{call_id}/sound", Range=f"bytes={len(content)}-")
        assert status == 416
        samples, rate = samples_of(content)
        assert rate == 8000
        assert len(samples) / 8000 == pytest.approx(detail["seconds"], abs=0.1)
        first = samples[2000:12000]
        assert share(first[:, 0], CALLER) > 0.9
        assert share(first[:, 1], ADA) > 0.9
        gap = samples[int((begin + 0.3) * 8000) : int((end - 0.3) * 8000)]
        assert gap.size
        assert np.abs(gap).max() == 0
        for tone in (SECRET_CALLER, SECRET_AGENT, 697, 941, 1209, 1336):
            assert share(samples[:, 0], tone) < 0.001
            assert share(samples[:, 1], tone) < 0.001
        last = samples[-8000:-800]
        assert share(last[:, 0], CALLER) > 0.9
        assert share(last[:, 1], ADA) > 0.9
        waves = await ada.api.get(f"/recordings/{call_id}/peaks")
        assert len(waves["channels"]) == 2
        assert max(waves["channels"][0]) > 20
        stretch = waves["channels"][0]
        middle = stretch[
            int((begin + 0.5) / waves["seconds"] * len(stretch)) : int((end - 0.5) / waves["seconds"] * len(stretch))
        ]
        assert max(middle) == 0

        # -- what was keyed is nowhere: not in a log, the journal, the ledger, a table
        for file, held in written(centre.data):
            assert KEYED.encode() not in held, file
        assert KEYED.encode() not in centre.log.read_bytes()
        for table in ("cti.facts", "cti.calls", "cti.recordings"):
            rows = await centre.query(f"SELECT count(*) AS n FROM {table} t WHERE t::text LIKE '%' || $1 || '%'", KEYED)
            assert rows[0]["n"] == 0, table

        # -- who may hear it, and that hearing is written down
        async with ApiPerson(centre, "1002") as bo:
            status, _, _ = await fetch(centre, bo, f"/recordings/{call_id}/sound")
            assert status == 403
        heard = await centre.told_by(
            "SELECT body FROM cti.facts WHERE kind = 'Acted' AND body ->> 'act' = 'recording_sound' AND body ->> 'subject' = $1",
            f"recording:{call_id}",
        )
        assert len(heard) == 1  # a range soon after is the same listening


async def test_a_pause_outlives_the_bridge_and_a_talk_by_hand_is_one_file(recorded: TestCentre) -> None:
    centre = recorded
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        sip_agent(centre, room, "1005", ready=False) as emil,
        ApiPerson(centre, "supervisor") as supervisor,
    ):
        call, leg, call_id = await talk(centre, room, ada)
        own = f"/calls/{call_id}/recording"
        await ada.api.until(own, lambda a: a["recording"])
        await asyncio.sleep(1.5)
        await ada.api.post(own, {"action": "pause"})
        await call.play_tone(SECRET_CALLER)
        await leg.play_tone(SECRET_AGENT)
        await kill_bridge(centre)
        now = await ada.api.until(own, lambda a: a["recording"])
        assert now["paused"]
        assert now["paused_until"]
        await asyncio.sleep(1)
        await call.play_tone(CALLER)
        await leg.play_tone(ADA)
        await asyncio.sleep(0.5)
        assert not (await supervisor.post(own, {"action": "resume"}))["paused"]
        await asyncio.sleep(2)
        await call.hang_up()
        await kept(supervisor, call_id)
        _, content, _ = await fetch(centre, supervisor, f"/recordings/{call_id}/sound")
        samples, rate = samples_of(content)
        assert rate == 8000
        for tone in (SECRET_CALLER, SECRET_AGENT):
            assert share(samples[:, 0], tone) < 0.001
            assert share(samples[:, 1], tone) < 0.001
        assert share(samples[-8000:-800, 0], CALLER) > 0.9

        # -- by hand: begun, ended, begun again; one file, without what was between
        await ada.api.post("/agent/state", {"state": "not_ready", "reason": "break"})
        await emil.ready()
        phone = await caller(centre, room, NUMBER)
        call = await call_in(phone, "5000", keys="2")
        leg = await emil.rings()
        await leg.answer()
        await call.play_tone(SECRET_CALLER)
        mine = await emil.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        call_id = mine["agent"]["call_id"]
        own = f"/calls/{call_id}/recording"
        now = await emil.api.get(own)
        assert (now["recording"], now["on_demand"]) == (False, True)
        await asyncio.sleep(1)
        await call.play_tone(CALLER)
        await asyncio.sleep(0.3)
        began = time.monotonic()
        assert (await emil.api.post(own, {"action": "start"}))["recording"]
        await asyncio.sleep(1.5)
        assert not (await emil.api.post(own, {"action": "stop"}))["recording"]
        most = time.monotonic() - began
        await call.play_tone(SECRET_CALLER)
        await asyncio.sleep(1)
        await call.play_tone(CALLER)
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await emil.api.post(own, {"action": "start"})
        await asyncio.sleep(1.5)
        await call.hang_up()
        most += time.monotonic() - began
        row = await kept(supervisor, call_id)
        assert 2.3 < row["seconds"] < most + 0.7
        _, content, _ = await fetch(centre, supervisor, f"/recordings/{call_id}/sound")
        samples, rate = samples_of(content)
        assert rate == 16_000  # by hand nobody knows the line
        assert share(samples[:, 0], CALLER, rate) > 0.85
        assert share(samples[:, 0], SECRET_CALLER, rate) < 0.02


async def test_a_file_that_is_deleted_or_cut_is_flagged_and_never_called_a_recording(recorded: TestCentre) -> None:
    centre = recorded
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada,
        ApiPerson(centre, "supervisor") as supervisor,
    ):
        for damage, trouble in (("delete", "missing"), ("cut", "short")):
            await ada.ready()
            call, _, call_id = await talk(centre, room, ada)
            await ada.api.until(f"/calls/{call_id}/recording", lambda a: a["recording"])
            await asyncio.sleep(3)
            live = list((centre.data / "recordings" / "live").glob(f"{call_id}.*"))
            assert sorted(file.suffixes[-2:] for file in live) == [[".caller", ".sln"], [".others", ".sln"]]
            for file in live:
                if damage == "delete":
                    file.unlink()
                else:
                    os.truncate(file, 0)
            await asyncio.sleep(0.5)
            await call.hang_up()
            row = await kept(supervisor, call_id, "flagged", "kept")
            assert (row["state"], row["trouble"]) == ("flagged", trouble)
            status, _, _ = await fetch(centre, supervisor, f"/recordings/{call_id}/sound")
            assert status == (404 if damage == "delete" else 200)
            # It is an alert until somebody has seen to it.
            await supervisor.until("/alerts", lambda a: "-.recordings_flagged" in [x["alert"] for x in a["alerts"]], 10)
            await supervisor.post("/alerts/-.recordings_flagged/acknowledge")
            await supervisor.until("/alerts", lambda a: not a["alerts"])
        found = await centre.query(
            "SELECT count(*) AS n FROM cti.facts WHERE kind = 'RecordingKept' AND body ->> 'call_id' = $1", call_id
        )
        assert found[0]["n"] == 0
        async with (
            aiohttp.ClientSession() as http,
            http.get(centre.told["urls"]["api"].replace("/api/v1", "/metrics")) as answer,
        ):
            told = await answer.text()
        assert 'cti_recordings_total{found="missing"} 1.0' in told
        assert 'cti_recordings_total{found="short"} 1.0' in told


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for a few seconds of sound."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a full disk needs a small one, and only root may mount it")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k,mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


async def test_a_full_disk_is_told_and_the_call_goes_on(small_disk: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(centre_text(), encoding="utf-8")
    centre = TestCentre(data, env={"CTI_FOLDERS__RECORDINGS": str(small_disk)})
    centre.start()
    try:
        async with (
            PhoneRoom() as room,
            sip_agent(centre, room, "1001") as ada,
            ApiPerson(centre, "supervisor") as supervisor,
        ):
            call, _, call_id = await talk(centre, room, ada)
            # 96 KB are three seconds; it is told while people still talk.
            row = await kept(supervisor, call_id, "flagged", "kept", within=60)
            assert (row["state"], row["trouble"]) == ("flagged", "disk_full")
            assert (await ada.api.get("/agent"))["agent"]["state"] == "talking"
            await call.hang_up()
            await ada.api.until("/agent", lambda a: a["agent"]["state"] == "wrap_up")
            await asyncio.sleep(6)
            row = await kept(supervisor, call_id, "flagged", "kept")
            assert row["state"] == "flagged"
    finally:
        centre.stop()
