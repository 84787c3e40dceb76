"""The agent's page in Chromium, on a whole centre: the pop before the ring, sound both ways, the buttons, the row."""

from __future__ import annotations

import asyncio
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.browser import MICROPHONE_HERTZ, AgentWindow, chromium
from tests.acceptance.people import call_in, caller, sip_agent
from tests.support.centre import ApiPerson, TestCentre
from tests.support.sipp import Sipp
from tests.support.sound import assert_tone, strongest

pytestmark = [pytest.mark.real, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

CALLER_HERTZ = 620


def loudness(path: Path, *, skip: float = 0.3) -> float:
    """Root mean square of a recording, 1 is full scale, the first `skip` seconds left out."""
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64) / 32768
    return float(np.sqrt(np.mean(samples[int(skip * rate) :] ** 2)))


def assert_silence(path: Path) -> None:
    """Nothing of the agent is heard."""
    assert loudness(path) < 0.005, f"{path}: as loud as {loudness(path):.3f}"


def assert_music(path: Path) -> None:
    """Something is heard, and it is not the agent."""
    hertz, share = strongest(path)
    assert loudness(path) > 0.001, f"{path}: silent"
    assert not (abs(hertz - MICROPHONE_HERTZ) < 8 and share > 0.8), f"{path}: the held caller hears the agent"


async def assert_pop_before_ring(ada: AgentWindow, offer: str) -> None:
    """The pop was on the page when it began to ring, and the phone really is called."""
    pop = await ada.note("pop", offer=offer)
    await ada.note("sip", way="in", kind="INVITE", offer=offer)
    await ada.note("ring_tone", offer=offer)
    tones = await ada.notes("ring_tone")
    assert {tone["offer"] for tone in tones} == {offer}, "it rang without a pop"
    assert pop["at"] <= min(tone["at"] for tone in tones)


@pytest.mark.alone
async def test_the_pop_comes_before_the_ring_and_both_hear_each_other(centre: TestCentre, tmp_path: Path) -> None:
    async with PhoneRoom() as room, chromium(centre, tmp_path) as people:
        ada = await people.agent("1001")
        phone = await caller(centre, room, "+15550100001")
        began = time.time()
        call = await call_in(phone, "5000", keys="1")
        async with ApiPerson(centre, "supervisor") as supervisor:
            await supervisor.until("/state", lambda s: [c["state"] for c in s["calls"].values()] == ["waiting"])
        await asyncio.sleep(1.5)  # the caller waits: nobody is ready
        await ada.ready_or_called()
        offer = await ada.pops()
        assert await ada.text("pop-name") == "Zoë Chen"
        assert (await ada.text("pop-number")).replace(" ", "").replace("-", "") == "+15550100001"
        assert await ada.one("pop-tier").get_attribute("data-tier") == "vip"
        assert await ada.text("pop-choice") == "Support"
        assert "0:0" in await ada.text("pop-waited")
        await assert_pop_before_ring(ada, offer)
        await ada.answer()
        connected = await ada.note("sip", way="in", kind="ACK")

        await call.play_tone(CALLER_HERTZ)
        await call.record(tmp_path / "caller-heard.wav")
        await ada.hears(CALLER_HERTZ)
        await asyncio.sleep(2)  # as long as the recording is to be
        await call.stop_recording()
        assert_tone(tmp_path / "caller-heard.wav", MICROPHONE_HERTZ)

        await ada.page.keyboard.press("e")
        async with asyncio.timeout(60):
            await call.ended.wait()
        over = await ada.note("sip", way="out", kind="BYE")
        await ada.until("agent-page", step="wrap_up")
        wrapping = time.time()
        await ada.wrap_up("2", "Sent the invoice again.")
        done = (await ada.notes("click", id="done"))[-1]["wall"]
        assert await ada.one("agent-state").get_attribute("data-state") == "ready"
        row = await centre.record(where="agent = '1001'", wrapped=True)
        written = await centre.query(
            "SELECT body->>'disposition' AS disposition, body->>'note' AS note FROM cti.facts"
            " WHERE call_id = $1 AND kind = 'WrapUpEnded'",
            row["call_id"],
        )
    assert (row["outcome"], row["hangup_by"], row["agent"], row["queue"]) == ("answered", "agent", "1001", "support")
    assert (row["caller_number"], row["tier"], row["language"]) == ("+15550100001", "vip", "en")
    assert row["started_at"].timestamp() == pytest.approx(began, abs=0.15)
    assert row["answered_at"].timestamp() == pytest.approx(connected["wall"], abs=0.1)
    assert row["talk_seconds"] == pytest.approx((over["at"] - connected["at"]) / 1000, abs=0.1)
    assert row["hold_seconds"] == 0
    assert row["wrap_seconds"] == pytest.approx(done - over["wall"], abs=0.1)
    assert row["wait_seconds"] > 1.5
    assert wrapping <= done
    assert [(w["disposition"], w["note"]) for w in written] == [("follow_up", "Sent the invoice again.")]


@pytest.mark.alone
async def test_mute_and_hold_are_heard_and_measured_and_the_caller_may_end_it(
    centre: TestCentre, tmp_path: Path
) -> None:
    async with PhoneRoom() as room, chromium(centre, tmp_path) as people:
        ada = await people.agent("1001")
        await ada.ready()
        phone = await caller(centre, room, "+15550100006")
        call = await call_in(phone, "5001", keys="")
        await assert_pop_before_ring(ada, await ada.pops())
        await ada.answer()
        connected = await ada.note("sip", way="in", kind="ACK")
        await call.play_tone(CALLER_HERTZ)
        await ada.hears(CALLER_HERTZ)

        await ada.one("mute").click()
        await ada.until("call-aside", "")
        await call.record(tmp_path / "muted.wav")
        await asyncio.sleep(1)
        await call.stop_recording()
        await ada.one("mute").click()
        await call.record(tmp_path / "unmuted.wav")
        await asyncio.sleep(1.2)
        await call.stop_recording()

        await ada.one("hold").click()
        await ada.until("agent-state", state="held")
        await call.record(tmp_path / "held.wav")
        await asyncio.sleep(1.5)
        await call.stop_recording()
        await ada.one("hold").click()
        await ada.until("agent-state", state="talking")
        await ada.hears(CALLER_HERTZ)
        holds = await ada.notes("click", id="hold")

        await call.hang_up()
        over = await ada.note("sip", way="in", kind="BYE")
        await ada.wrap_up("1")
        row = await centre.record(where="agent = '1001' AND caller_number = '+15550100006'", wrapped=True)
    assert_silence(tmp_path / "muted.wav")
    assert_tone(tmp_path / "unmuted.wav", MICROPHONE_HERTZ)
    assert_music(tmp_path / "held.wav")
    held = holds[1]["wall"] - holds[0]["wall"]
    assert (row["outcome"], row["hangup_by"]) == ("answered", "caller")
    assert row["hold_seconds"] == pytest.approx(held, abs=0.1)
    assert row["talk_seconds"] == pytest.approx((over["at"] - connected["at"]) / 1000 - held, abs=0.1)


@pytest.mark.beside
async def test_a_rejected_caller_keeps_waiting_and_reaches_another_agent(centre: TestCentre, tmp_path: Path) -> None:
    async with (
        PhoneRoom() as room,
        chromium(centre, tmp_path) as people,
        sip_agent(centre, room, "1002", ready=False) as bo,
    ):
        ada = await people.agent("1001")
        await ada.ready()
        phone = await caller(centre, room, "+15550100007")
        call = await call_in(phone, "5001", keys="")
        offer = await ada.pops()
        await bo.ready()
        await ada.page.keyboard.press("r")
        ringing = await bo.rings()
        await ada.until("idle")
        assert await ada.one("agent-state").get_attribute("data-state") == "ready"
        assert ringing.header("X-CTI-Offer") not in (None, offer)
        await ringing.answer()
        async with asyncio.timeout(60):
            await ringing.confirmed.wait()
        assert not call.ended.is_set()
        await ringing.hang_up()
        row = await centre.record(where="agent = '1002' AND caller_number = '+15550100007'")
        ends = await centre.query(
            "SELECT body->>'agent_id' AS agent, body->>'end' AS end FROM cti.facts"
            " WHERE call_id = $1 AND kind = 'OfferEnded' ORDER BY position",
            row["call_id"],
        )
    assert [(e["agent"], e["end"]) for e in ends] == [("1001", "rejected"), ("1002", "answered")]


@pytest.mark.beside
async def test_a_caller_who_leaves_stops_the_ringing(centre: TestCentre, tmp_path: Path) -> None:
    async with PhoneRoom() as room, chromium(centre, tmp_path) as people:
        ada = await people.agent("1001")
        await ada.ready()
        phone = await caller(centre, room, "+15550100008")
        call = await call_in(phone, "5001", keys="")
        await ada.pops()
        await ada.note("sip", way="in", kind="INVITE")
        await call.hang_up()
        await ada.until("idle")
        assert await ada.text("notice") != ""
        await ada.note("sip", way="in", kind="CANCEL")
        assert await ada.one("agent-state").get_attribute("data-state") == "ready"


@pytest.mark.beside
@pytest.mark.needs("sipp")
async def test_a_sipp_caller_presses_1_and_reaches_the_page(centre: TestCentre, tmp_path: Path) -> None:
    host, port = centre.told["sip"]["server"].rsplit(":", 1)
    async with chromium(centre, tmp_path) as people:
        ada = await people.agent("1001")
        await ada.ready()
        async with Sipp(
            "caller_presses_1",
            local=centre.carrier,
            remote=(host, int(port)),
            service="5000",
            keys={"number": "+15550100009", "display": "SIPp"},
        ) as sipp:
            await assert_pop_before_ring(ada, await ada.pops())
            assert await ada.text("pop-choice") == "Support"
            await ada.answer()
            await ada.page.keyboard.press("e")
            result = await sipp.finished()
        assert (result.successful, result.failed) == (1, 0), result.output
        await ada.wrap_up("1")
        row = await centre.record(where="caller_number = '+15550100009'", wrapped=True)
    assert (row["outcome"], row["hangup_by"], row["agent"]) == ("answered", "agent", "1001")
