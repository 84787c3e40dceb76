"""Two agents at once in Chromium on a whole centre: asked first, together, handed over with note and customer; keys of the
page as tones at the caller; a reload in the middle of a call; calls begun on the page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.browser import MICROPHONE_HERTZ, chromium, eventually
from tests.acceptance.people import call_in, caller
from tests.support.centre import TestCentre
from tests.support.sound import assert_tone, strongest

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

CALLER_HERTZ = 620
LUIS = "+15550100001"


async def test_a_colleague_is_asked_joins_and_gets_the_call_with_everything_known(
    centre: TestCentre, tmp_path: Path
) -> None:
    async with PhoneRoom() as room, chromium(centre, tmp_path) as people:
        ada = await people.agent("1001")
        bo = await people.agent("1002")
        await ada.ready()
        phone = await caller(centre, room, LUIS)
        call = await call_in(phone, "5001", keys="")
        await ada.pops()
        await ada.answer()
        await call.play_tone(CALLER_HERTZ)
        await ada.hears(CALLER_HERTZ)
        await ada.until("customer", file="true")
        await bo.ready()

        # Keys of the page are tones to the other side.
        await ada.page.keyboard.press("k")
        await ada.page.keyboard.type("47#", delay=300)
        await eventually(lambda: call.pressed == "47#", why=f"keys heard: {call.pressed}")
        await ada.page.keyboard.press("k")

        # Ask first.
        await ada.page.keyboard.press("t")
        await ada.until("place-agent-1002")
        await ada.page.keyboard.type("1002")
        await ada.one("transfer-note").fill("Wants the blue one.")
        await ada.one("transfer-search").press("Enter")
        await ada.until("party-1002", state="ringing")
        await ada.until("party-caller", state="held")
        await bo.until("agent-page", step="incoming")
        await bo.until("customer", match="found")
        await bo.page.keyboard.press("a")
        await bo.until("agent-page", step="talking")
        await ada.until("party-1002", state="talking")
        await bo.hears(MICROPHONE_HERTZ)
        await ada.hears(MICROPHONE_HERTZ)

        # All together: the caller hears both (they say the same tone), both hear the caller among it.
        await ada.page.keyboard.press("j")
        await ada.until("parties", mode="conference")
        await bo.until("parties", mode="conference")
        await call.record(tmp_path / "together.wav")
        await asyncio.sleep(1.5)  # as long as the recording is to be
        await call.stop_recording()
        assert_tone(tmp_path / "together.wav", MICROPHONE_HERTZ)

        # Ada leaves: Bo has the call.
        await ada.page.keyboard.press("e")
        await ada.until("agent-page", step="wrap_up")
        await bo.hears(CALLER_HERTZ)
        await ada.wrap_up("1")
        await bo.page.keyboard.press("e")
        async with asyncio.timeout(60):
            await call.ended.wait()
        await bo.until("agent-page", step="wrap_up")
        await bo.wrap_up("1")


async def test_handed_over_from_the_dialog_with_a_note(centre: TestCentre, tmp_path: Path) -> None:
    async with PhoneRoom() as room, chromium(centre, tmp_path) as people:
        ada = await people.agent("1001")
        await ada.ready()
        phone = await caller(centre, room, LUIS)
        call = await call_in(phone, "5001", keys="")
        await ada.pops()
        await ada.answer()
        bo = await people.agent("1002")
        await bo.ready()
        await ada.page.keyboard.press("t")
        await ada.until("place-agent-1002")
        await ada.one("place-agent-1002").click()
        await ada.one("transfer-note").fill("Asks for the blue one; <b>twice</b>.")
        await ada.one("transfer-now").click()
        await ada.until("agent-page", step="wrap_up")
        await bo.pops()
        assert await bo.text("handed-note") == "Asks for the blue one; <b>twice</b>."
        await bo.until("handed-over", "Ada Park")
        await bo.answer()
        await call.play_tone(CALLER_HERTZ)
        await bo.hears(CALLER_HERTZ)
        await ada.wrap_up("1")
        await call.hang_up()
        await bo.wrap_up("1")


async def test_a_reload_in_the_middle_of_a_call_comes_back_to_it(centre: TestCentre, tmp_path: Path) -> None:
    async with PhoneRoom() as room, chromium(centre, tmp_path) as people:
        ada = await people.agent("1001")
        ada.page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        await ada.ready()
        phone = await caller(centre, room, LUIS)
        call = await call_in(phone, "5001", keys="")
        await ada.pops()
        await ada.answer()
        await call.play_tone(CALLER_HERTZ)
        await ada.hears(CALLER_HERTZ)
        await ada.one("note").fill("Half a sentence")
        await ada.page.reload()
        await ada.hears(CALLER_HERTZ, within=60)  # nobody pressed anything
        await ada.until("agent-page", step="talking")
        assert not call.ended.is_set()
        assert await ada.one("note").input_value() == "Half a sentence"
        await call.record(tmp_path / "after.wav")
        await asyncio.sleep(1.5)  # as long as the recording is to be
        await call.stop_recording()
        hertz, share = strongest(tmp_path / "after.wav")
        assert abs(hertz - MICROPHONE_HERTZ) < 8, (hertz, share)
        await ada.page.keyboard.press("e")
        async with asyncio.timeout(60):
            await call.ended.wait()
        await ada.wrap_up("1")


async def test_a_colleague_is_called_from_the_page(centre: TestCentre, tmp_path: Path) -> None:
    async with chromium(centre, tmp_path) as people:
        ada = await people.agent("1001")
        bo = await people.agent("1002")
        await ada.ready()
        await bo.page.keyboard.press("b")
        await bo.one("reason-break").click()
        await bo.until("agent-state", state="not_ready")
        await ada.page.keyboard.press("n")
        await ada.until("place-agent-1002")
        await ada.page.keyboard.type("1002")
        await ada.page.keyboard.press("Enter")
        await ada.until("agent-page", step="talking")
        await ada.until("agent-state", state="dialling")
        await bo.until("agent-page", step="incoming")
        await bo.until("pop-name", "Ada Park")
        await bo.page.keyboard.press("a")
        await bo.hears(MICROPHONE_HERTZ)
        await ada.hears(MICROPHONE_HERTZ)
        await ada.until("agent-state", state="talking")
        await bo.page.keyboard.press("e")
        await ada.until("idle")
        await bo.until("idle")
