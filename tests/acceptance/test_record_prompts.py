"""A prompt recorded over the API and at a telephone, and callers who hear it with the next play."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from cti.demo.softphone import PhoneRoom
from cti.prompts.sound import Audio
from cti.prompts.wave_file import write_wave
from tests.acceptance.browser import chromium, log_in
from tests.acceptance.people import caller, key_in
from tests.acceptance.test_more_steps import ended
from tests.support.centre import PROMPTS, ApiPerson, TestCentre
from tests.support.pages import comes_true
from tests.support.played import PlayedLog
from tests.support.sound import assert_tone

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

WELCOME = "/prompts/en/welcome"


@pytest.fixture(scope="module")
def own_sounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    """A centre with sounds of its own, so that no other centre hears what is recorded here."""
    folder = tmp_path_factory.mktemp("recorded")
    if PROMPTS.is_dir():
        shutil.copytree(PROMPTS, folder / "prompts", ignore=shutil.ignore_patterns("recorded", "versions", ".lock"))
    centre = TestCentre(folder / "data", env={"CTI_PROMPTS": str(folder / "prompts")})
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def request(centre: TestCentre, method: str, path: str, **more: Any) -> Any:
    """The API as the admin's browser uses it."""
    base = centre.told["urls"]["api"]
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{base}/login", json=centre.login("admin")) as answer:
            token = (await answer.json())["token"]
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        async with http.request(method, base + path, headers=headers, **more) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


async def welcomed(centre: TestCentre, room: PhoneRoom, number: str, file: Path, hertz: float) -> None:
    """A caller hears this tone where the welcome was."""
    call = await (await caller(centre, room, number)).dial("5000")
    async with asyncio.timeout(60):
        await call.confirmed.wait()
    await call.record(file)
    await asyncio.sleep(2.5)
    await call.stop_recording()
    await call.hang_up()
    assert_tone(file, hertz)


async def test_callers_hear_an_upload_with_the_next_play_and_then_what_was_said_at_a_telephone(
    own_sounds: TestCentre, tmp_path: Path
) -> None:
    centre = own_sounds
    played = PlayedLog(centre)
    await played.begin()
    sound = Audio(0.3 * np.sin(2 * np.pi * 700 * np.arange(5 * 44100) / 44100), 44100)
    said = await request(
        centre, "PUT", f"{WELCOME}/recording", data=write_wave(sound), headers={"Content-Type": "audio/wav"}
    )
    assert said["sound"]["state"] == "recorded"
    async with PhoneRoom() as room:
        await welcomed(centre, room, "+15550100080", tmp_path / "upload.wav", 700)
        # An emergency is told before anything else, to those who come.
        alarm = Audio(0.3 * np.sin(2 * np.pi * 1100 * np.arange(5 * 44100) / 44100), 44100)
        await request(
            centre,
            "PUT",
            "/prompts/en/opening_hours/recording",
            data=write_wave(alarm),
            headers={"Content-Type": "audio/wav"},
        )
        await request(centre, "POST", "/announcement", json={"prompt": "opening_hours"})
        await welcomed(centre, room, "+15550100080", tmp_path / "emergency.wav", 1100)
        await request(centre, "POST", "/announcement", json={})

        account = centre.agent("1001")["sip"]
        phone = await room.phone(user=account["username"], password=account["password"], server=account["server"])
        code = await request(centre, "POST", f"{WELCOME}/code")
        assert code["dial"] == "*77"
        played.mark()
        wrong = await phone.dial(code["dial"])
        await played.until("en/studio_code")
        await key_in(wrong, "000000" if code["code"] != "000000" else "111111")
        await played.until("en/studio_code_wrong")
        await wrong.hang_up()
        await ended(wrong)
        assert (await request(centre, "GET", WELCOME))["sound"]["recordings"] == 1

        played.mark()
        call = await phone.dial(code["dial"])
        await played.until("en/studio_code")
        await key_in(call, code["code"])
        await played.until("en/studio_now", "en/welcome", "en/studio_record")
        await call.play_tone(500)  # before the recording begins, which silence ends
        await call.press("1")
        await asyncio.sleep(6)  # more than callers listen to below, whatever a busy machine loses of it
        await call.press("#")
        await played.until("en/studio_recorded", "en/studio_keep")
        await call.press("1")
        await played.until("en/studio_kept")
        await ended(call)

        said = await request(centre, "GET", WELCOME)
        assert [(row["number"], row["how"], row["by"], row["current"]) for row in said["recordings"]] == [
            (2, "phone", "admin", True), (1, "upload", "admin", False),
        ]  # fmt: skip
        await welcomed(centre, room, "+15550100081", tmp_path / "phone.wav", 500)
        await request(centre, "POST", f"{WELCOME}/recordings/1")
        await welcomed(centre, room, "+15550100082", tmp_path / "again.wav", 700)
    # The page and the person who may not record see the same.
    async with ApiPerson(centre, "supervisor") as supervisor:
        listed = await supervisor.get("/prompts")
    (row,) = [row for row in listed["prompts"] if row["name"] == "welcome"]
    assert {sound["language"]: sound["state"] for sound in row["sounds"]} == {"en": "recorded", "zh": "synthetic"}
    assert not list((centre.data / "recordings").glob("prompt-*"))


@pytest.mark.needs("chromium")
async def test_the_page_plays_takes_uploads_and_goes_back_by_keyboard(own_sounds: TestCentre, tmp_path: Path) -> None:
    centre = own_sounds
    file, noise = tmp_path / "goodbye.wav", tmp_path / "noise.wav"
    file.write_bytes(write_wave(Audio(0.3 * np.sin(2 * np.pi * 600 * np.arange(44100) / 22050), 22050)))
    noise.write_bytes(b"no sound at all")
    async with chromium(centre, tmp_path) as people:
        people.allowed.append("status of 422")
        window = await people.visitor("/")
        await log_in(window, "admin")
        await window.page.wait_for_url("**/supervisor")
        await window.one("to-prompts").click()
        await window.until("prompts-page", ready="true")
        await window.page.screenshot(path=tmp_path / "prompts.png")
        await window.one("search").fill("after_hours")
        await window.until("prompt-zh-after_hours", "Voice")
        assert await window.page.locator("tbody tr").count() == 2
        # From the search field by the keyboard alone: play, then open.
        await window.one("play-en-after_hours").focus()
        await window.page.keyboard.press("Enter")
        await comes_true(window.page, "document.querySelector('[data-testid=player]').currentTime > 0.2")
        await window.page.keyboard.press("Enter")
        await window.page.keyboard.press("Tab")
        await window.page.keyboard.press("Enter")
        await window.until("recordings", "Nobody has recorded it yet")
        await window.one("upload-file").set_input_files(noise)
        await window.until("trouble", "no sound that the browser can read")
        await window.one("upload-file").set_input_files(file)
        await window.until("told", "Callers hear it from now on")
        await window.until("prompt-en-after_hours", "Recorded")
        await window.until("recording-1", "heard now")
        await window.one("by-phone").focus()
        await window.page.keyboard.press("Enter")
        await window.until("code", re.compile(r"\*77[\s\S]*\d{6}"))
        await window.page.screenshot(path=tmp_path / "prompt.png")
        await window.one("give-up").focus()
        await window.page.keyboard.press("Enter")
        await window.until("told", "Callers hear the voice from now on")
        await window.until("prompt-en-after_hours", "Voice")
        await window.one("language").click()
        await window.one("theme").click()
        await window.one("use-1").click()
        await window.until("told", "来电者从现在起会听到录音 1")
        await window.one("search").fill("")
        await window.page.screenshot(path=tmp_path / "prompts-zh.png")
