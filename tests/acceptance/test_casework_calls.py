"""Casework on a real line: what a caller says on the complaint line becomes a complaint that can be listened to; who asks on
the web to be called is called, once, and talks to an agent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.browser import eventually
from tests.acceptance.people import call_in, caller, key_in, sip_agent
from tests.acceptance.test_callbacks import CARRIERS_PORT, carrier_of, centre_text, rings, talk_and_leave
from tests.support.centre import ApiPerson, TestCentre

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

COMPLAINS, ASKS = "+15550100083", "+15550100084"


@pytest.fixture(scope="module")
def own_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    data = tmp_path_factory.mktemp("casework") / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(centre_text(), encoding="utf-8")
    centre = TestCentre(data)
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def test_what_is_said_on_the_complaint_line_becomes_a_complaint(own_centre: TestCentre) -> None:
    centre = own_centre
    async with PhoneRoom() as room, ApiPerson(centre, "supervisor") as supervisor:
        call = await call_in(await caller(centre, room, COMPLAINS), "5006", keys="2")
        await call.play_tone(500)  # before the recording begins: who says nothing for four seconds has said nothing
        await key_in(call, "5")  # skips the prompt
        folder = centre.data / "recordings"
        # Two seconds of sound: what is shorter than a second and a half is no message.
        await eventually(lambda: any(file.stat().st_size > 32_000 for file in folder.glob("*.wav")), why="message")
        await call.hang_up()
        found = await supervisor.until(
            "/complaints?q=&state=new&limit=50", lambda said: _of(said, COMPLAINS), within=60
        )
        (complaint,) = _of(found, COMPLAINS)
        assert (complaint["source"], complaint["cause"], complaint["subject"]) == ("line", "billing", "Invoice")
        detail = await supervisor.get(f"/complaints/{complaint['complaint_id']}")
        assert (folder / detail["recording"]).is_file()
        work = f"complaint-{complaint['complaint_id']}"
        sound = f"{centre.told['urls']['api']}/tasks/{work}/recording"
        headers = {"Authorization": f"Bearer {supervisor._token}"}
        async with aiohttp.ClientSession() as http, http.get(sound, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (200, "audio/wav")
            assert len(await answer.read()) > 16_000
        taken = await supervisor.post(f"/tasks/{work}/take")
        assert (taken["owner"], taken["state"]) == ("supervisor", "assigned")
        # What is changed of it stands in the audit log as it was and as it is; not who complained.
        detail = await supervisor.get(f"/complaints/{complaint['complaint_id']}")
        revision, was = detail["complaint"]["revision"], detail["complaint"]["severity"]
        await supervisor.post(
            f"/complaints/{complaint['complaint_id']}",
            {"revision": revision, "severity": "critical"},
        )
        log = await supervisor.until("/acts?act=complaint_change", lambda said: said["acts"])
        (act,) = log["acts"]
        assert act["subject"] == f"complaint:{complaint['complaint_id']}"
        assert (act["before"]["severity"], act["after"]["severity"]) == (was, "critical")
        assert COMPLAINS not in str(act)


async def test_who_asks_on_the_web_is_called_once_and_talks_to_an_agent(own_centre: TestCentre) -> None:
    centre = own_centre
    body = {"key": "key-of-the-page-1", "number": "(555) 010-0084", "consent": True, "name": "Zoë", "about": "a lamp"}
    async with (
        PhoneRoom() as room,
        ApiPerson(centre, "supervisor") as supervisor,
        sip_agent(centre, room, "1002", ready=False) as bo,
    ):
        carrier = await carrier_of(centre, room)
        async with aiohttp.ClientSession() as anybody:
            for _ in range(2):
                async with anybody.post(f"{centre.told['urls']['api']}/web-callback", json=body) as answer:
                    assert (answer.status, await answer.json()) == (200, {"in_line": True})
        state = await supervisor.until("/state", lambda s: s["calls"])
        (row,) = state["calls"].values()
        assert (row["callback"], row["queue"], row["caller_number"]) == ("waiting", "support", ASKS)
        await bo.ready()
        called = await rings(carrier)
        assert called.invite.startswith(f"INVITE sip:{ASKS}@")
        await called.answer()
        await called.confirmed.wait()
        await asyncio.sleep(2)
        await called.press("1")
        ringing = await bo.rings()
        assert (await bo.api.get("/agent"))["pop"]["number"] == ASKS
        await talk_and_leave(bo, ringing)
        record = await centre.record(where=f"caller_number = '{ASKS}'")
        assert (record["outcome"], record["agent"], record["direction"]) == ("answered", "1002", "outbound")


def _of(said: dict, number: str) -> list[dict]:
    return [row for row in said["complaints"] if row["number"] == number]
