"""A centre whose pages and browser telephones are encrypted: a call is taken in a real browser over wss."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.browser import MICROPHONE_HERTZ, chromium
from tests.acceptance.people import call_in, caller
from tests.support.centre import TestCentre, running_centre
from tests.support.sound import assert_tone

pytestmark = [pytest.mark.real, pytest.mark.beside]


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[TestCentre]:
    with running_centre(tmp_path / "data", env={"CTI_TLS__MODE": "on"}) as running:
        yield running


async def test_a_call_is_taken_in_a_browser_that_nobody_can_listen_to(centre: TestCentre, tmp_path: Path) -> None:
    assert centre.told["urls"]["web"].startswith("https://")
    assert centre.told["sip"]["ws_url"].startswith("wss://")
    async with chromium(centre, tmp_path) as people, PhoneRoom() as room:
        ada = await people.agent("1001", ignore_https_errors=True)
        await ada.ready()
        call = await call_in(await caller(centre, room, "+15550100001"), "5001", keys="")
        await ada.pops()
        await ada.answer()
        await ada.note("sip", way="in", kind="ACK")
        await call.play_tone(620)
        await call.record(tmp_path / "caller-heard.wav")
        await ada.hears(620)
        await call.stop_recording()
        assert_tone(tmp_path / "caller-heard.wav", MICROPHONE_HERTZ)
        await call.hang_up()
        await ada.until("agent-page", step="wrap_up")
        await ada.wrap_up("2", "")
