"""Supervisors at their page in Chromium: a part in a real call by the page's own telephone, and acts by keyboard."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom
from tests.acceptance.browser import MICROPHONE_HERTZ, Window, chromium
from tests.acceptance.people import call_in, caller, sip_agent
from tests.acceptance.test_moving_calls import ended, in_state
from tests.acceptance.test_supervise import centre_text
from tests.support.centre import ApiPerson, TestCentre
from tests.support.sound import assert_tone, assert_tones

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

CALLER, ADA = 1040, 620


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    data = tmp_path_factory.mktemp("watched-page") / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(centre_text(told=False), encoding="utf-8")
    centre = TestCentre(data)
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


async def heard(leg: PhoneCall, path: Path, *tones: int) -> None:
    """What comes in on this leg is these tones."""
    await asyncio.sleep(0.5)
    await leg.record(path)
    await asyncio.sleep(1.5)
    await leg.stop_recording()
    if len(tones) == 1:
        assert_tone(path, tones[0])
    else:
        assert_tones(path, *tones)


async def press(page: Window, testid: str, key: str = "Enter") -> None:
    """By keyboard: no mouse is needed."""
    await page.one(testid).focus()
    await page.page.keyboard.press(key)


async def test_a_call_is_listened_to_whispered_into_and_taken_over_from_the_page(
    watched: TestCentre, tmp_path: Path
) -> None:
    centre = watched
    async with (
        PhoneRoom() as room,
        chromium(centre, tmp_path) as people,
        sip_agent(centre, room, "1001") as ada,
        ApiPerson(centre, "supervisor") as api,
    ):
        page = await people.supervisor()
        phone = await caller(centre, room, "+15550100002")
        call = await call_in(phone, "5001", keys="")
        leg = await ada.rings()
        await leg.answer()
        await leg.confirmed.wait()
        await in_state(ada, "talking", state="talking")
        await call.play_tone(CALLER)
        await leg.play_tone(ADA)
        await page.until("call-row", state="talking")
        await page.page.locator("[data-testid=call-row] [data-testid=open-call]").click()
        await press(page, "watch-listen")
        await page.until("call-acts", mode="listen", state="there", phone="talking", within=60)
        await page.hears_something()
        await heard(call, tmp_path / "listen-caller.wav", ADA)
        await heard(leg, tmp_path / "listen-agent.wav", CALLER)
        # This centre does not want its agents to know.
        assert (await ada.api.get("/agent"))["agent"]["watched"] is False
        # A reload ends the page's telephone, and not the part: it is taken again, on the same sheet.
        await page.page.reload()
        await page.until("call-acts", mode="listen", state="there", phone="talking", within=60)
        await page.hears_something()
        assert len((await api.get("/supervision"))["watches"]) == 1
        await press(page, "watch-whisper")
        await page.until("call-acts", mode="whisper")
        await heard(leg, tmp_path / "whisper-agent.wav", CALLER, MICROPHONE_HERTZ)
        await heard(call, tmp_path / "whisper-caller.wav", ADA)
        await press(page, "watch-take_over")
        await press(page, "take-do")
        await ended(leg)
        await page.until("call-acts", mode="take_over")
        await page.hears(CALLER)
        await heard(call, tmp_path / "taken-caller.wav", MICROPHONE_HERTZ)
        await page.until("time-line", re.compile("Time line"))
        # Hanging up asks first.
        await press(page, "call-end")
        await page.one("end-reason").fill("was rude")
        await page.one("end-reason").press("Enter")
        await ended(call)
        await page.until("call-sheet", state="ended")
        await page.one("time-line-open").click()
        await page.until("time-line-list", re.compile("Took over|Take over"))
        await ada.wrap_up()
        await people.assert_no_faults()


async def test_agents_and_queues_are_changed_by_keyboard_and_it_is_written_down(
    watched: TestCentre, tmp_path: Path
) -> None:
    centre = watched
    async with (
        PhoneRoom() as room,
        chromium(centre, tmp_path) as people,
        sip_agent(centre, room, "1008") as hugo,
        ApiPerson(centre, "supervisor") as api,
    ):
        page = await people.supervisor()
        await page.until("agent-1008", state="ready")
        await press(page, "agent-1008")
        await press(page, "agent-state")
        await page.one("state-why").fill("needs a rest")
        await page.one("state-why").press("Enter")
        await page.until("agent-1008", state="not_ready")
        assert (await hugo.api.get("/agent"))["agent"]["reason"] == "break"
        await press(page, "agent-message")
        await page.one("message-text").fill("See me at four")
        await page.one("message-text").press("Enter")
        await hugo.api.until("/agent", lambda a: [n["text"] for n in a["agent"]["notices"]] == ["See me at four"])
        await press(page, "agent-queues")
        await page.one("serves-sales").check()
        await page.one("agent-skills").fill("en 5, zh 2")
        await press(page, "queues-do")
        await api.until("/state", lambda s: set(s["agents"]["1008"]["queues"]) == {"support", "sales"})
        assert "zh: 2" in (centre.data / "centre.yaml").read_text(encoding="utf-8")
        await page.until("acts-said", re.compile("Kept"))
        # For a while: the file stays as it is, the page says until when, and the act is undone.
        file = (centre.data / "centre.yaml").read_text(encoding="utf-8")
        await press(page, "agent-queues")
        await page.one("serves-sales").uncheck()
        await page.one("queues-lasts").select_option("shift")
        await press(page, "queues-do")
        await page.until("agent-acts", reassigned="shift")
        state = await api.until("/state", lambda s: s["agents"]["1008"]["queues"] == ["support"])
        assert set(state["agents"]["1008"]["reassigned"]["usual_queues"]) == {"support", "sales"}
        assert (centre.data / "centre.yaml").read_text(encoding="utf-8") == file
        await press(page, "acts-undo")
        await page.until("agent-acts", reassigned="")
        await api.until("/state", lambda s: set(s["agents"]["1008"]["queues"]) == {"support", "sales"})
        await page.page.keyboard.press("Escape")
        await press(page, "queue-open-sales")
        await press(page, "queue-open")
        await page.one("force-why").fill("storm")
        await page.one("force-why").press("Enter")
        await page.until("queue-acts", forced="closed")
        await api.until("/state", lambda s: s["queues"]["sales"]["forced"] == "closed")
        await press(page, "queue-log")
        await page.until("audit-log", re.compile("storm"))
        await page.one("log-subject").fill("")
        await press(page, "log-show")
        await page.until("audit-log", re.compile("needs a rest"))
        await people.assert_no_faults()
