"""Calls that agents begin, on a real line: from the page (over the API), from the telephone's own keypad, to a colleague;
and what is refused. Times and outcomes are those of the record."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom, Softphone
from tests.acceptance.people import SipAgent, call_in, caller, sip_agent
from tests.acceptance.test_callbacks import CARRIERS_PORT, carrier_of, rings
from tests.support.centre import ApiPerson, TestCentre
from tests.support.demo_centre import demo_tree, text_of
from tests.support.sound import assert_tone

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

NUMBER = "+15550100081"
SHOWN = "+15550105099"


@pytest.fixture(scope="module")
def own_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    tree = demo_tree()
    tree["outbound"] = {"allow": ["+1555"], "caller_ids": [SHOWN]}
    tree["agents"]["1003"]["auto_answer"] = True
    data = tmp_path_factory.mktemp("dialling") / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(text_of(tree), encoding="utf-8")
    centre = TestCentre(data, env={"CTI_SURVIVAL__HUNG_SECONDS": "0"})  # a bridge is stopped here, and goes on later
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def refused(agent: SipAgent, **body: str) -> str:
    """The id of a refusal to dial."""
    with pytest.raises(AssertionError) as told:
        await agent.api.post("/agent/dial", body)
    return str(told.value).split('"id":"', 1)[1].split('"', 1)[0]


async def both_hear(one: PhoneCall, other: PhoneCall, folder: Path) -> None:
    """A tone from each is heard by the other, and nothing else."""
    await one.play_tone(440)
    await other.play_tone(620)
    await asyncio.sleep(0.5)
    await one.record(folder / "one.wav")
    await other.record(folder / "other.wav")
    await asyncio.sleep(1.5)
    await one.stop_recording()
    await other.stop_recording()
    assert_tone(folder / "one.wav", 620)
    assert_tone(folder / "other.wav", 440)


async def connected(phone: Softphone) -> PhoneCall:
    """Somebody's telephone rings and is answered."""
    call = await rings(phone)
    await call.answer()
    async with asyncio.timeout(60):
        await call.confirmed.wait()
    return call


async def test_dialled_from_the_page_rung_first_then_connected(own_centre: TestCentre, tmp_path: Path) -> None:
    centre = own_centre
    async with PhoneRoom() as room, sip_agent(centre, room, "1002") as bo:
        carrier = await carrier_of(centre, room)
        assert await refused(bo, number="+44 20 7946 0958") == "not_allowed"
        assert await refused(bo, number=NUMBER, caller_id="+15550999999") == "caller_id_not_allowed"
        assert await refused(bo, agent_id="1002") == "unknown_colleague"

        body = {"number": "+1 555 010-0081", "caller_id": SHOWN, "idempotency_key": "row 17"}
        begun, again = await bo.api.post("/agent/dial", body), await bo.api.post("/agent/dial", body)
        assert begun["call_id"] == again["call_id"]
        assert begun["agent"]["state"] in ("ready", "dialling")  # the row follows the floor by a moment
        own = await bo.rings()
        assert own.header("X-CTI-Dial") == "1"
        assert own.header("X-CTI-Call") == begun["call_id"]
        desk = await bo.api.until("/agent", lambda a: a["agent"]["state"] == "dialling" and a["call"])
        assert (desk["call"]["state"], desk["call"]["direction"]) == ("dialling", "outbound")
        assert (desk["pop"]["kind"], desk["pop"]["number"]) == ("outbound", NUMBER)
        await own.answer()
        theirs = await rings(carrier)
        assert theirs.invite.startswith(f"INVITE sip:{NUMBER}@")
        assert f"<sip:{SHOWN}@" in (theirs.header("From") or "")
        await asyncio.sleep(1)
        await theirs.answer()
        await bo.api.until("/agent", lambda a: a["agent"]["state"] == "talking" and a["call"]["state"] == "talking")
        await both_hear(own, theirs, tmp_path)
        await theirs.hang_up()
        await bo.wrap_up()
        row = await centre.record(where="direction = 'outbound'", wrapped=True)
    assert row["call_id"] == begun["call_id"]
    assert (row["outcome"], row["agent"], row["caller_number"], row["hangup_by"]) == (
        "answered", "1002", NUMBER, "caller",
    )  # fmt: skip
    assert row["ring_seconds"] >= 0.9
    assert row["talk_seconds"] >= 2
    assert row["wait_seconds"] is None


async def test_nobody_is_reached(own_centre: TestCentre) -> None:
    centre = own_centre
    outcomes: list[tuple[Any, ...]] = []
    async with PhoneRoom() as room, sip_agent(centre, room, "1002") as bo:
        carrier = await carrier_of(centre, room)
        for status in (486, None):
            begun = await bo.api.post("/agent/dial", {"number": NUMBER})
            own = await bo.rings()
            await own.answer()
            theirs = await rings(carrier)
            if status is not None:
                await theirs.answer(status)
            else:
                await own.hang_up()  # gives up while it rings
            async with asyncio.timeout(60):
                await own.ended.wait()
            row = await centre.record(where=f"call_id = '{begun['call_id']}'")
            outcomes.append((row["outcome"], row["agent"], row["talk_seconds"]))
            await bo.api.until("/agent", lambda a: a["agent"]["state"] == "ready" and a["agent"]["reachable"]["sip"])
        begun = await bo.api.post("/agent/dial", {"number": NUMBER})
        own = await bo.rings()
        await own.answer(486)
        row = await centre.record(where=f"call_id = '{begun['call_id']}'")
        outcomes.append((row["outcome"], row["agent"], row["talk_seconds"]))
    assert outcomes == [("busy", "1002", None), ("no_answer", "1002", None), ("failed", "1002", None)]


async def test_the_keypad_is_asked_about_and_fails_closed(own_centre: TestCentre, tmp_path: Path) -> None:
    centre = own_centre
    async with PhoneRoom() as room, sip_agent(centre, room, "1002") as bo:
        carrier = await carrier_of(centre, room)
        own = await bo.phone.dial(NUMBER.removeprefix("+"))
        theirs = await connected(carrier)
        async with asyncio.timeout(60):
            await own.confirmed.wait()
        await bo.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await both_hear(own, theirs, tmp_path)
        await own.hang_up()
        await bo.wrap_up()
        row = await centre.record(where="direction = 'outbound'", wrapped=True)
        assert (row["outcome"], row["agent"], row["hangup_by"]) == ("answered", "1002", "agent")

        own = await bo.phone.dial("442079460958")
        async with asyncio.timeout(60):
            await own.ended.wait()
        assert carrier.incoming.empty()

        # Without the bridge: colleagues yes, outside no.
        bridge = centre.pid("bridge")
        os.kill(bridge, signal.SIGSTOP)
        try:
            own = await bo.phone.dial(NUMBER.removeprefix("+"))
            async with asyncio.timeout(60):
                await own.ended.wait()
            assert carrier.incoming.empty()
        finally:
            os.kill(bridge, signal.SIGCONT)


async def test_a_colleague_is_called(own_centre: TestCentre, tmp_path: Path) -> None:
    centre = own_centre
    async with (
        PhoneRoom() as room,
        ApiPerson(centre, "supervisor") as supervisor,
        sip_agent(centre, room, "1002") as bo,
        sip_agent(centre, room, "1003") as cy,
    ):
        begun = await bo.api.post("/agent/dial", {"agent_id": "1003"})
        own = await bo.rings()
        await own.answer()
        theirs = await cy.rings()
        assert theirs.header("X-CTI-Internal") == "1"
        pop = (await cy.api.until("/agent", lambda a: a["pop"]))["pop"]
        assert (pop["kind"], pop["transferred_from"]) == ("internal", "1002")
        await theirs.answer()
        await cy.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await bo.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await both_hear(own, theirs, tmp_path)
        # Busy for callers meanwhile.
        phone = await caller(centre, room, "+15550100006")
        waiting = await call_in(phone, "5001", keys="")
        state = await supervisor.until("/state", lambda s: any(c["state"] == "waiting" for c in s["calls"].values()))
        assert {c["direction"]: c["state"] for c in state["calls"].values()} == {
            "internal": "talking", "inbound": "waiting",
        }  # fmt: skip
        await waiting.hang_up()
        await own.hang_up()
        await cy.api.until("/agent", lambda a: a["agent"]["state"] == "ready")
        await bo.api.until("/agent", lambda a: a["agent"]["state"] == "ready")
        row = await centre.record(where="direction = 'internal'")
        assert (row["call_id"], row["outcome"], row["agent"]) == (begun["call_id"], "answered", "1002")

        # From the telephone itself, and to one that takes calls by itself: it is asked to.
        own = await bo.phone.dial("1003")
        theirs = await connected(cy.phone)
        await cy.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await theirs.hang_up()
        await bo.api.until("/agent", lambda a: a["agent"]["state"] == "ready")
        row = await centre.record(where=f"direction = 'internal' AND call_id <> '{begun['call_id']}'")
        assert (row["outcome"], row["agent"]) == ("answered", "1002")

        await bo.api.post("/agent/state", {"state": "not_ready", "reason": "break"})
        call = await call_in(await caller(centre, room, "+15550100007"), "5001", keys="")
        offered = await cy.rings()
        assert "answer-after=0" in (offered.header("Call-Info") or "")
        assert offered.header("X-CTI-Answer") == "auto"
        await offered.answer()
        await cy.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await offered.hang_up()
        await cy.wrap_up()
        assert call is not None
