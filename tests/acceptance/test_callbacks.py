"""Callbacks on a real line: the caller presses a key and hangs up, and is called when the turn comes; at its old place, once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom, Softphone
from tests.acceptance.people import SipAgent, call_in, caller, sip_agent
from tests.acceptance.test_bridge_killed import bridge_back
from tests.support.centre import ApiPerson, TestCentre
from tests.support.demo_centre import demo_tree, text_of
from tests.support.sound import loudness

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

NUMBER = "+15550100081"
AGENTS_NUMBER = "+15550107777"
CARRIERS_PORT = 5070
SALES = "2"
"""The key that leads to sales in the main line's menu."""


def centre_text() -> str:
    """The demo centre, where support calls back and one agent has a number outside."""
    tree = demo_tree()
    tree["queues"]["support"] |= {
        "options": {"1": "callback", "2": {"number": AGENTS_NUMBER}},
        "callback": {"retry": 5},
    }
    # Agents of sales call back themselves; the menu leads there by 2.
    tree["queues"]["sales"] |= {"options": {"1": "callback"}, "callback": {"first": "agent", "retry": 5}}
    tree["agents"]["1004"]["number"] = AGENTS_NUMBER
    tree["outbound"] = {"allow": ["+1555"]}
    return text_of(tree)


@pytest.fixture(scope="module")
def own_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    data = tmp_path_factory.mktemp("callbacks") / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(centre_text(), encoding="utf-8")
    centre = TestCentre(data)
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def carrier_of(centre: TestCentre, room: PhoneRoom) -> Softphone:
    """Whoever is called over the trunk picks up here."""
    return await room.phone(
        user="carrier", server=centre.told["sip"]["server"], address=centre.carrier, port=CARRIERS_PORT, register=False
    )


async def rings(phone: Softphone, within: float = 60) -> PhoneCall:
    async with asyncio.timeout(within):
        return await phone.incoming.get()


def callbacks_in(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [call for call in state["calls"].values() if call["callback"]]


async def ask_to_be_called(
    centre: TestCentre, room: PhoneRoom, supervisor: ApiPerson, *, queue: str = "support"
) -> None:
    """A caller waits, presses the key, is told and hung up."""
    phone = await caller(centre, room, NUMBER)
    waiting = await call_in(phone, "5001" if queue == "support" else "5000", keys="" if queue == "support" else SALES)
    await supervisor.until(
        "/state",
        lambda s: any(c["state"] == "waiting" and c["caller_number"] == NUMBER for c in s["calls"].values()),
    )
    await asyncio.sleep(1)
    await waiting.press("1")
    async with asyncio.timeout(60):
        await waiting.ended.wait()


async def talk_and_leave(agent: SipAgent, ringing: PhoneCall) -> None:
    await ringing.answer()
    await ringing.confirmed.wait()
    await agent.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
    await ringing.hang_up()
    await agent.wrap_up()


async def test_called_back_at_the_old_place(own_centre: TestCentre) -> None:
    centre = own_centre
    async with (
        PhoneRoom() as room,
        ApiPerson(centre, "supervisor") as supervisor,
        sip_agent(centre, room, "1002", ready=False) as bo,
    ):
        carrier = await carrier_of(centre, room)
        await ask_to_be_called(centre, room, supervisor)
        state = await supervisor.until("/state", lambda s: len(s["calls"]) == 1)
        (row,) = callbacks_in(state)
        assert (row["callback"], row["state"], row["place"]) == ("waiting", "waiting", 1)
        asked = await centre.record(where="direction = 'inbound'")
        assert (asked["outcome"], asked["caller_number"]) == ("callback", NUMBER)

        await bo.ready()
        called = await rings(carrier)
        assert called.invite.startswith(f"INVITE sip:{NUMBER}@")
        assert "<sip:+15550105000@" in (called.header("From") or "")
        # Somebody who calls meanwhile gets the free agent: nobody is reserved. The customer is reached all the same.
        await called.answer()
        await called.confirmed.wait()
        await supervisor.until("/state", lambda s: callbacks_in(s)[0]["callback"] == "dialling")
        await asyncio.sleep(2)
        await called.press("1")
        ringing = await bo.rings()
        assert (await bo.api.get("/agent"))["pop"]["number"] == NUMBER
        await talk_and_leave(bo, ringing)
        async with asyncio.timeout(60):
            await called.ended.wait()
        row = await centre.record(where="direction = 'outbound'")
    assert row["call_id"] == f"{asked['call_id']}-cb"
    assert (row["outcome"], row["agent"], row["hangup_by"]) == ("answered", "1002", "agent")
    assert row["queued_at"] == asked["queued_at"]
    assert row["wait_seconds"] == pytest.approx((row["answered_at"] - asked["queued_at"]).total_seconds(), abs=0.1)


async def test_a_machine_a_refusal_and_a_killed_bridge_make_no_second_call(own_centre: TestCentre) -> None:
    centre = own_centre
    async with (
        PhoneRoom() as room,
        ApiPerson(centre, "supervisor") as supervisor,
        sip_agent(centre, room, "1002", ready=False) as bo,
    ):
        carrier = await carrier_of(centre, room)
        began = datetime.now(UTC)
        await ask_to_be_called(centre, room, supervisor)
        await bo.ready()
        refused = await rings(carrier)
        await refused.answer(486)
        state = await supervisor.until("/state", lambda s: callbacks_in(s)[0]["retry_at"])
        assert (callbacks_in(state)[0]["callback"], callbacks_in(state)[0]["attempt"]) == ("waiting", 1)

        called = await rings(carrier)
        old = centre.pid("bridge")
        os.kill(old, signal.SIGKILL)
        await called.answer()
        await called.confirmed.wait()
        await asyncio.sleep(1.5)
        await called.press("1")
        await bridge_back(centre, old)
        ringing = await bo.rings()
        assert carrier.incoming.empty()
        await talk_and_leave(bo, ringing)
        await supervisor.until("/state", lambda s: not s["calls"])
        assert carrier.incoming.empty()
        row = await centre.record(where=f"direction = 'outbound' AND started_at > '{began.isoformat()}'")
        facts = await centre.query(
            "SELECT kind, count(*) AS n FROM cti.facts WHERE kind LIKE 'Callback%' AND call_id = $1 GROUP BY kind",
            row["call_id"],
        )
    assert row["outcome"] == "answered"
    assert {fact["kind"]: fact["n"] for fact in facts} == {
        "CallbackDialled": 2, "CallbackFailed": 1, "CallbackReached": 1,
    }  # fmt: skip


async def test_an_agent_at_an_outside_number_and_a_caller_sent_out(own_centre: TestCentre, tmp_path: Path) -> None:
    centre = own_centre
    async with (
        PhoneRoom() as room,
        ApiPerson(centre, "supervisor") as supervisor,
        ApiPerson(centre, "1004") as dora,
    ):
        carrier = await carrier_of(centre, room)
        await dora.post("/agent/state", {"state": "ready", "device": "external"})
        phone = await caller(centre, room, NUMBER)
        waiting = await call_in(phone, "5001", keys="")
        machine = await rings(carrier)
        assert machine.invite.startswith(f"INVITE sip:{AGENTS_NUMBER}@")
        await machine.answer()
        async with asyncio.timeout(60):
            await machine.ended.wait()  # nobody pressed the key
        assert (await dora.get("/agent"))["agent"]["state"] != "talking"
        called = await rings(carrier, within=60)
        await called.answer()
        await called.confirmed.wait()
        await asyncio.sleep(0.5)
        await waiting.record(tmp_path / "meanwhile.wav")
        await asyncio.sleep(1.5)
        await waiting.stop_recording()
        assert loudness(tmp_path / "meanwhile.wav") > 100, "the caller hears nothing while the agent is asked"
        await called.press("1")
        await dora.until("/agent", lambda a: a["agent"]["state"] == "talking")
        assert not waiting.ended.is_set()
        await called.hang_up()
        async with asyncio.timeout(60):
            await waiting.ended.wait()
        row = await centre.record(where="agent = '1004'")
        assert (row["outcome"], row["hangup_by"]) == ("answered", "agent")
        await dora.post("/agent/state", {"state": "offline"})

        again = await call_in(phone, "5001", keys="")
        await supervisor.until("/state", lambda s: any(c["state"] == "waiting" for c in s["calls"].values()))
        await asyncio.sleep(1)
        await again.press("2")
        outside = await rings(carrier)
        assert outside.invite.startswith(f"INVITE sip:{AGENTS_NUMBER}@")
        assert NUMBER not in outside.invite
        await outside.answer()
        await outside.confirmed.wait()
        await supervisor.until("/state", lambda s: any(c["state"] == "out" for c in s["calls"].values()))
        await again.hang_up()
        async with asyncio.timeout(60):
            await outside.ended.wait()
        row = await centre.record(where="outcome = 'overflow'")
        assert row["caller_number"] == NUMBER


async def test_an_agent_calls_back(own_centre: TestCentre) -> None:
    """First nobody answers, then the customer does: the agent's telephone is rung each time, and misses nothing."""
    centre = own_centre
    async with (
        PhoneRoom() as room,
        ApiPerson(centre, "supervisor") as supervisor,
        sip_agent(centre, room, "1001", ready=False) as ada,
    ):
        carrier = await carrier_of(centre, room)
        began = datetime.now(UTC)
        await ask_to_be_called(centre, room, supervisor, queue="sales")
        await ada.ready()
        ringing = await ada.rings()
        state = await ada.api.get("/agent")
        assert (state["pop"]["number"], state["pop"]["callback"]) == (NUMBER, True)
        assert ringing.header("X-CTI-Call") == state["pop"]["call_id"]
        assert ringing.header("X-CTI-Offer") == str(state["pop"]["offer_id"])
        assert carrier.incoming.empty()
        await ringing.answer()
        refused = await rings(carrier)
        assert refused.invite.startswith(f"INVITE sip:{NUMBER}@")
        assert "<sip:+15550105000@" in (refused.header("From") or "")
        await supervisor.until("/state", lambda s: callbacks_in(s)[0]["callback"] == "dialling")
        await refused.answer(486)
        async with asyncio.timeout(60):
            await ringing.ended.wait()
        state = await supervisor.until("/state", lambda s: callbacks_in(s)[0]["retry_at"])
        assert (callbacks_in(state)[0]["callback"], callbacks_in(state)[0]["attempt"]) == ("waiting", 1)
        state = await ada.api.until("/agent", lambda a: a["agent"]["state"] == "ready")

        # The bridge is killed while the customer's telephone rings: agent and customer talk, and nobody is called again.
        again = await ada.rings()
        await again.answer()
        called = await rings(carrier)
        old = centre.pid("bridge")
        os.kill(old, signal.SIGKILL)
        answered = time.monotonic()
        await called.answer()
        await called.confirmed.wait()
        await bridge_back(centre, old)
        await ada.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await asyncio.sleep(1.5)
        await called.hang_up()
        async with asyncio.timeout(60):
            await again.ended.wait()
        most = time.monotonic() - answered
        await ada.wrap_up()
        await supervisor.until("/state", lambda s: not s["calls"])
        assert carrier.incoming.empty()
        row = await centre.record(where=f"direction = 'outbound' AND started_at > '{began.isoformat()}'")
        asked = await centre.record(where=f"direction = 'inbound' AND started_at > '{began.isoformat()}'")
        facts = await centre.query(
            "SELECT kind, count(*) AS n FROM cti.facts WHERE (kind LIKE 'Callback%' OR kind = 'OfferMade') "
            "AND call_id = $1 GROUP BY kind",
            row["call_id"],
        )
    assert (row["outcome"], row["agent"], row["hangup_by"], row["queue"]) == ("answered", "1001", "caller", "sales")
    assert row["queued_at"] == asked["queued_at"]
    assert 1.4 < row["talk_seconds"] < most
    assert {fact["kind"]: fact["n"] for fact in facts} == {
        "CallbackDialled": 2, "CallbackFailed": 1, "CallbackReached": 1, "OfferMade": 2,
    }  # fmt: skip
