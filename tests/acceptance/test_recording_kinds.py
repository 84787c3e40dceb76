"""What is recorded of calls of every kind: callers who were asked, calls that agents make, lines that carry more than 3.4 kHz, and
what becomes of it when a customer is forgotten."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom
from tests.acceptance.browser import MICROPHONE_HERTZ, chromium
from tests.acceptance.people import SipAgent, call_in, caller, sip_agent
from tests.acceptance.test_callbacks import CARRIERS_PORT, carrier_of, rings
from tests.support.centre import REPOSITORY, ApiPerson, TestCentre
from tests.support.demo_centre import demo_tree, text_of
from tests.support.recorded import kept, share, sound_of

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

CALLER, ADA = 440, 620
NUMBER = "+15550100002"
"""Of a customer of the demo."""
DIALLED = "+15550100081"
CONSENT = """flow: consent
languages: [en, zh]
start: ask
failure: bye
steps:
  ask: {collect: welcome, length: 1, as: said, tries: 1, go: said, no_input: silent, invalid: silent}
  silent: {queue: sales}
  said: {queue: sales, data: {recording_consent: answer.said}}
  bye: {hang_up: silently}
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    """The demo centre; sales records whoever agreed, on 5013, and seals."""
    data = tmp_path_factory.mktemp("asked") / "data"
    data.mkdir()
    tree = demo_tree()
    tree["numbers"]["5013"] = {"flow": "consent", "survival_queue": "sales"}
    tree["queues"]["sales"] |= {"record": "after_consent", "calendar": "", "ring_timeout": 10, "wrap_up": 2}
    tree["agents"]["1005"]["queues"] = ["sales"]
    tree["agents"]["1002"]["record"] = "always"
    tree["outbound"] = {"allow": ["+1555"]}
    (data / "centre.yaml").write_text(text_of(tree), encoding="utf-8")
    flows = data.parent / "flows"
    shutil.copytree(REPOSITORY / "ivr_flows", flows)
    (flows / "consent.yaml").write_text(CONSENT)
    centre = TestCentre(data, env={"CTI_FLOWS": str(flows), "CTI_RECORDINGS__SEAL": "true"})
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def talk(
    centre: TestCentre, room: PhoneRoom, agent: SipAgent, key: str
) -> tuple[PhoneCall, PhoneCall, dict[str, Any]]:
    """A caller who answers the question with this key talks with the agent; what is being recorded two seconds later."""
    await agent.ready()
    call = await call_in(await caller(centre, room, NUMBER), "5013", keys=key)
    leg = await agent.rings()
    await leg.answer()
    await call.play_tone(CALLER)
    await leg.play_tone(ADA)
    mine = await agent.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
    await asyncio.sleep(2.5)
    return (
        call,
        leg,
        await agent.api.get(f"/calls/{mine['agent']['call_id']}/recording") | {"call_id": mine["agent"]["call_id"]},
    )


async def test_only_who_agreed_is_recorded_and_is_forgotten_by_a_command(asked: TestCentre) -> None:
    centre = asked
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1005", ready=False) as emil,
        ApiPerson(centre, "supervisor") as supervisor,
    ):
        call, _, now = await talk(centre, room, emil, "1")
        assert now["recording"]
        agreed = now["call_id"]
        await call.hang_up()
        row = await kept(supervisor, agreed)
        samples, rate = await sound_of(centre, supervisor, agreed)
        assert (row["queue"], rate) == ("sales", 8000)
        assert share(samples[:, 0], CALLER, rate) > 0.9
        assert share(samples[:, 1], ADA, rate) > 0.9
        # Refused, and not answered: nothing, not even by hand.
        for key in ("2", ""):
            call, _, now = await talk(centre, room, emil, key)
            assert (now["recording"], now["on_demand"]) == (False, False)
            with pytest.raises(AssertionError, match=r"caller_refused|not_on_demand"):
                await emil.api.post(f"/calls/{now['call_id']}/recording", {"action": "start"})
            await call.hang_up()
            await emil.api.until("/agent", lambda a: a["agent"]["state"] in ("wrap_up", "ready"))
            refused = now["call_id"]
        assert not list((centre.data / "recordings").rglob(f"{refused}*"))
        assert (await supervisor.get(f"/recordings?call_id={refused}"))["recordings"] == []
        # The customer is forgotten by command while the bridge runs: it deletes the sealed file, and says so in the audit log.
        await supervisor.until(f"/recordings/{agreed}", lambda a: a["sealed"])
        (file,) = (centre.data / "recordings").glob(f"{agreed}*.sealed")
        (customer,) = await centre.query("SELECT customer_id FROM cti.calls WHERE call_id = $1", agreed)
        done = await asyncio.to_thread(centre.cti, "customers", "forget", str(customer["customer_id"]), "--yes")
        assert done.returncode == 0, done.stderr
        assert not file.exists()
        await supervisor.until(f"/recordings?call_id={agreed}", lambda a: a["recordings"][0]["state"] == "deleted")
        audit = await centre.told_by(
            "SELECT * FROM report.acts WHERE act = 'recording_delete' AND subject = $1", f"recording:{agreed}"
        )
        assert len(audit) == 1


async def test_a_call_that_an_agent_makes_is_recorded_on_the_called_ones_side(asked: TestCentre) -> None:
    centre = asked
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1002") as bo,
        ApiPerson(centre, "supervisor") as supervisor,
    ):
        carrier = await carrier_of(centre, room)
        begun = await bo.api.post("/agent/dial", {"number": DIALLED})
        own = await bo.rings()
        await own.answer()
        theirs = await rings(carrier)
        await asyncio.sleep(1)  # ringing is not in it
        began = time.monotonic()
        await theirs.answer()
        await bo.api.until("/agent", lambda a: a["agent"]["state"] == "talking" and a["call"]["state"] == "talking")
        await own.play_tone(ADA)
        await theirs.play_tone(CALLER)
        await asyncio.sleep(2.5)
        await theirs.hang_up()
        talked = time.monotonic() - began
        row = await kept(supervisor, begun["call_id"])
        samples, rate = await sound_of(centre, supervisor, begun["call_id"])
    assert (row["direction"], row["agents"]) == ("outbound", ["1002"])
    assert 1.5 < row["seconds"] < talked + 0.7
    later = samples[-rate:]
    assert share(later[:, 0], CALLER, rate) > 0.9
    assert share(later[:, 1], ADA, rate) > 0.9


@pytest.mark.needs("chromium")
async def test_a_browser_on_either_side_is_sound_and_a_callers_wide_line_is_kept_wide(
    asked: TestCentre, tmp_path: Path
) -> None:
    """Opus on one side and 8 kHz on the other; then opus on the caller's side."""
    centre = asked
    async with (
        PhoneRoom() as room,
        chromium(centre, tmp_path) as people,
        ApiPerson(centre, "supervisor") as supervisor,
    ):
        ada = await people.agent("1001")
        await ada.ready()
        call = await call_in(await caller(centre, room, "+15550100001"), "5000", keys="1")
        await call.play_tone(CALLER)
        await ada.pops()
        await ada.answer()
        await ada.hears(CALLER)
        (call_id,) = (await supervisor.get("/state"))["calls"]
        await asyncio.sleep(2)
        await call.hang_up()
        await kept(supervisor, call_id)
        samples, rate = await sound_of(centre, supervisor, call_id)
        assert rate == 8000
        later = samples[-2 * rate : -rate // 4]
        assert share(later[:, 0], CALLER, rate) > 0.9
        assert share(later[:, 1], MICROPHONE_HERTZ, rate) > 0.8
        await ada.leave()
    async with (
        PhoneRoom() as room,
        sip_agent(centre, room, "1001") as ada_by_sip,
        chromium(centre, tmp_path) as people,
        ApiPerson(centre, "supervisor") as supervisor,
    ):
        visitor = await people.visitor("/call")
        await visitor.one("number-5001").check()  # straight to the queue
        await visitor.one("call-start").click()
        leg = await ada_by_sip.rings(40)
        await leg.answer()
        await leg.play_tone(ADA)
        mine = await ada_by_sip.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await asyncio.sleep(2.5)
        files = list((centre.data / "recordings" / "live").glob(f"{mine['agent']['call_id']}.*"))
        await leg.hang_up()
        await kept(supervisor, mine["agent"]["call_id"])
        samples, rate = await sound_of(centre, supervisor, mine["agent"]["call_id"])
    assert sorted(file.suffixes[-2:] for file in files) == [[".caller", ".sln16"], [".others", ".sln16"]]
    assert rate == 16_000
    later = samples[-2 * rate : -rate // 4]
    assert share(later[:, 0], MICROPHONE_HERTZ, rate) > 0.8
    assert share(later[:, 1], ADA, rate) > 0.9
    assert np.abs(later).max() > 1000
