"""The agent's telephone in Chromium on a line of its own: calls out over the trunk with a number to show, why somebody was not
reached, keys heard at the far side, and what becomes of such a call when the page goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom, Softphone
from tests.acceptance.browser import MICROPHONE_HERTZ, AgentWindow, Browsers, chromium, eventually
from tests.acceptance.people import SipAgent, call_in, caller, sip_agent
from tests.acceptance.test_browser_agent import assert_music
from tests.acceptance.test_browser_refresh import SILENT, WHILE_AWAY, cut_off
from tests.acceptance.test_callbacks import CARRIERS_PORT, carrier_of, rings
from tests.support.centre import ApiPerson, TestCentre
from tests.support.demo_centre import demo_tree, text_of
from tests.support.sound import assert_tone, assert_tones, longest_silence

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

NUMBER = "+15550100081"
SHOWN = "+15550105099"
FAR_HERTZ = 620
THIRD_HERTZ = 880


@pytest.fixture(scope="module")
def _lined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCentre]:
    """A centre whose trunk leads to a carrier that picks up."""
    tree = demo_tree()
    tree["outbound"] = {"allow": ["+1555"], "caller_ids": [SHOWN]}
    tree["agents"]["1003"]["auto_answer"] = True
    data = tmp_path_factory.mktemp("line") / "data"
    data.mkdir()
    (data / "centre.yaml").write_text(text_of(tree), encoding="utf-8")
    centre = TestCentre(data)
    centre.env["CTI_TRUNK__ADDRESS"] = f"{centre.carrier}:{CARRIERS_PORT}"
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()


@pytest.fixture
def lined(_lined: TestCentre) -> TestCentre:
    """The same, asked for the calls of this test."""
    _lined.since = datetime.now(UTC)
    return _lined


@asynccontextmanager
async def ada_and_the_carrier(
    centre: TestCentre, folder: Path
) -> AsyncIterator[tuple[PhoneRoom, Browsers, AgentWindow, Softphone]]:
    """Ada is ready on her page; whoever is called over the trunk picks up at the carrier."""
    async with PhoneRoom() as room, chromium(centre, folder) as people:
        people.allowed += WHILE_AWAY
        ada = await people.agent("1001")
        ada.page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        await ada.ready()
        yield room, people, ada, await carrier_of(centre, room)


async def call_out(ada: AgentWindow, number: str) -> None:
    """Type a number into the box that calls out, and Enter."""
    await ada.page.keyboard.press("n")
    await ada.one("dial-text").fill(number)
    await ada.until("place-number-" + number.replace(" ", "").replace("-", ""))
    await ada.page.keyboard.press("Enter")


async def reached(ada: AgentWindow, carrier: Softphone) -> PhoneCall:
    """Somebody is called out to and answers; both hear each other."""
    await call_out(ada, NUMBER)
    theirs = await rings(carrier)
    await theirs.answer()
    await ada.until("agent-state", state="talking")
    await theirs.play_tone(FAR_HERTZ)
    await ada.hears(FAR_HERTZ)
    return theirs


async def hears(call: PhoneCall, path: Path, hertz: int = MICROPHONE_HERTZ) -> None:
    """The far side hears this tone."""
    await call.record(path)
    await asyncio.sleep(1.5)  # as long as the recording is to be
    await call.stop_recording()
    assert_tone(path, hertz)


async def test_a_page_that_goes_keeps_whom_it_called(lined: TestCentre, tmp_path: Path) -> None:
    """Reloaded, and cut off for seconds: the number hears music, then the same agent; one call, one row."""
    async with ada_and_the_carrier(lined, tmp_path) as (_, _people, ada, carrier):
        theirs = await reached(ada, carrier)
        await theirs.record(tmp_path / "reload.wav")
        await ada.page.reload()
        await ada.until("agent-page", step="talking", within=60)
        await ada.hears(FAR_HERTZ, within=60)
        await theirs.stop_recording()
        assert longest_silence(tmp_path / "reload.wav", below=SILENT) < 3
        await hears(theirs, tmp_path / "again.wav")

        await theirs.record(tmp_path / "cut.wav")
        with cut_off():
            await asyncio.sleep(7)
            await theirs.stop_recording()
            await theirs.record(tmp_path / "music.wav")
            await asyncio.sleep(2)
            await theirs.stop_recording()
        assert_music(tmp_path / "music.wav")
        assert longest_silence(tmp_path / "cut.wav", below=SILENT) < 6.5
        await ada.hears(FAR_HERTZ, within=60)
        await hears(theirs, tmp_path / "back.wav")
        assert not theirs.ended.is_set()
        await ada.page.keyboard.press("e")
        async with asyncio.timeout(60):
            await theirs.ended.wait()
        await ada.wrap_up("1")
        row = await lined.record(where="direction = 'outbound'", wrapped=True)
    assert (row["outcome"], row["agent"], row["hangup_by"]) == ("answered", "1001", "agent")
    assert row["hold_seconds"] > 2
    assert carrier.incoming.empty(), "nobody was called twice"


async def test_consulting_and_in_a_conference_a_page_may_go(lined: TestCentre, tmp_path: Path) -> None:
    """Who is asked is let go, and the caller is kept; together with others the others talk on, and the page comes back to them."""
    async with (
        ada_and_the_carrier(lined, tmp_path) as (room, _people, ada, _carrier),
        sip_agent(lined, room, "1002", ready=False) as bo,
    ):
        call = await call_in(await caller(lined, room, "+15550100062"), "5001", keys="")
        await ada.pops()
        await ada.answer()
        await call.play_tone(FAR_HERTZ)
        await ada.hears(FAR_HERTZ)
        await bo.ready()
        asked = await ask_bo(ada, bo)
        await ada.hears(THIRD_HERTZ, within=60)

        await call.record(tmp_path / "kept.wav")
        await ada.page.reload()
        async with asyncio.timeout(60):
            await asked.ended.wait()
        await ada.until("agent-page", step="talking", within=60)
        await ada.hears(FAR_HERTZ, within=60)
        await call.stop_recording()
        assert longest_silence(tmp_path / "kept.wav", below=SILENT) < 3
        await hears(call, tmp_path / "back.wav")
        await bo.api.until("/agent", lambda a: a["agent"]["state"] == "ready" and not a["agent"]["call_id"])

        asked = await ask_bo(ada, bo)
        await ada.page.keyboard.press("j")
        await ada.until("parties", mode="conference")
        await call.record(tmp_path / "others.wav")
        await ada.page.reload()
        await ada.until("parties", mode="conference", within=60)
        await call.stop_recording()
        assert longest_silence(tmp_path / "others.wav", below=SILENT) < 0.5, "the others talk on"
        await asked.play_tone(FAR_HERTZ)  # as the caller does: Ada hears one tone
        await ada.hears(FAR_HERTZ, within=60)
        await call.record(tmp_path / "together.wav")
        await asyncio.sleep(2)  # as long as the recording is to be
        await call.stop_recording()
        assert_tones(tmp_path / "together.wav", MICROPHONE_HERTZ, FAR_HERTZ)
        assert not asked.ended.is_set()
        assert not call.ended.is_set()

        # Ada leaves: the others have the call.
        await ada.page.keyboard.press("e")
        await ada.wrap_up("1")
        await asked.play_tone(THIRD_HERTZ)
        await hears(call, tmp_path / "left.wav", THIRD_HERTZ)
        await call.hang_up()
        await bo.wrap_up()
        row = await lined.record(where="direction = 'inbound'", wrapped=True)
        rows = await lined.query(
            "SELECT * FROM report.calls WHERE direction = 'inbound' AND started_at >= $1", lined.since
        )
    assert len(rows) == 1
    assert row["outcome"] == "answered"


async def ask_bo(ada: AgentWindow, bo: SipAgent) -> PhoneCall:
    """Ada asks Bo, who answers and says his tone. While it rings she hears that."""
    await ada.page.keyboard.press("t")
    await ada.until("place-agent-1002")
    await ada.page.keyboard.type("1002")
    await ada.one("transfer-search").press("Enter")
    asked = await bo.rings()
    await ada.until("party-1002", state="ringing")
    await ada.hears_something()
    await asked.answer()
    await ada.until("party-1002", state="talking")
    await asked.play_tone(THIRD_HERTZ)
    return asked


async def test_calling_out_says_why_shows_a_number_and_presses_keys(lined: TestCentre, tmp_path: Path) -> None:
    async with ada_and_the_carrier(lined, tmp_path) as (_, people, ada, carrier):
        people.allowed.append(r"status of 409")
        await call_out(ada, "+442079460958")
        await ada.until("problem", "may not be called")
        for status, why in (
            (486, "dial_busy"),
            (404, "dial_no_such_number"),
            (603, "dial_rejected"),
            (503, "dial_line_down"),
        ):
            await call_out(ada, NUMBER)
            await (await rings(carrier)).answer(status)
            await ada.until("notice", why=why)
            await ada.until("agent-state", state="ready")

        await ada.page.keyboard.press("n")
        await ada.one("dial-text").fill(NUMBER)
        await ada.one("dial-caller-id").select_option(SHOWN)
        await ada.one("dial-text").press("Enter")
        theirs = await rings(carrier)
        assert f"<sip:{SHOWN}@" in (theirs.header("From") or "")
        await theirs.answer()
        await ada.until("agent-state", state="talking")
        await hears(theirs, tmp_path / "them.wav")
        await ada.page.keyboard.press("k")
        await ada.page.keyboard.type("47#", delay=300)
        await eventually(lambda: theirs.pressed == "47#", why=f"keys heard: {theirs.pressed}")
        await ada.page.keyboard.press("k")
        await theirs.hang_up()
        await ada.wrap_up("1")
        await lined.record(where="outcome = 'answered'", wrapped=True)
        rows = await lined.query(
            "SELECT outcome, count(*) AS n FROM report.calls WHERE direction = 'outbound' AND started_at >= $1"
            " GROUP BY outcome",
            lined.since,
        )
    assert {row["outcome"]: row["n"] for row in rows} == {"busy": 1, "failed": 3, "answered": 1}


async def test_picked_up_on_the_page_then_taken_on_the_own_telephone(lined: TestCentre, tmp_path: Path) -> None:
    """Out of a colleague's hands; then the calls go to the SIP telephone, and the page is its remote control."""
    async with (
        ada_and_the_carrier(lined, tmp_path) as (room, _people, ada, _carrier),
        sip_agent(lined, room, "1002") as bo,
    ):
        await ada.page.keyboard.press("b")
        await ada.one("reason-break").click()
        call = await call_in(await caller(lined, room, "+15550100063"), "5001", keys="")
        elsewhere = await bo.rings()
        await ada.ready()
        await ada.page.keyboard.press("w")
        await ada.until("waiting-caller")
        await ada.one("take-caller").first.click()
        await ada.pops()
        async with asyncio.timeout(60):
            await elsewhere.ended.wait()
        await ada.answer()
        await hears(call, tmp_path / "picked.wav")
        await call.hang_up()
        await ada.wrap_up("1")

        await bo.api.post("/agent/state", {"state": "not_ready", "reason": "break"})
        account = lined.agent("1001")["sip"]
        phone = await room.phone(user=account["username"], password=account["password"], server=account["server"])
        await ada.page.keyboard.press("b")
        await ada.one("reason-break").click()
        await ada.one("device-sip").check()
        await ada.until("phone-state", line="sip")
        await ada.ready()
        call = await call_in(await caller(lined, room, "+15550100064"), "5001", keys="")
        ringing = await rings(phone)
        await ada.pops()
        await ringing.answer()
        await ada.until("agent-page", step="talking")
        await ringing.play_tone(THIRD_HERTZ)
        await hears(call, tmp_path / "on-the-phone.wav", THIRD_HERTZ)
        await ada.page.keyboard.press("h")
        await ada.until("agent-state", state="held")
        await ada.page.keyboard.press("h")
        await ada.until("agent-state", state="talking")
        await ada.page.keyboard.press("e")
        async with asyncio.timeout(60):
            await ringing.ended.wait()
            await call.ended.wait()
        await ada.wrap_up("1")
        await ada.one("device-browser").check()
        await phone.unregister()


async def test_answered_by_itself_two_tabs_and_a_microphone_that_is_denied(lined: TestCentre, tmp_path: Path) -> None:
    async with PhoneRoom() as room, chromium(lined, tmp_path) as people:
        people.allowed += WHILE_AWAY
        cai = await people.agent("1003")
        await cai.ready()
        # A second tab takes the telephone over, and the next call is taken there, without a key.
        second = AgentWindow(await cai.page.context.new_page(), lined)
        people.windows.append(second)
        await second.page.goto(lined.told["urls"]["agent"])
        await second.until("phone-state", line="elsewhere")
        await second.one("take-phone").click()
        await second.until("phone-state", line="ready")
        await cai.until("phone-state", line="elsewhere")
        call = await call_in(await caller(lined, room, "+15550100065"), "5001", keys="")
        await second.until("agent-page", step="talking", within=60)
        await call.play_tone(FAR_HERTZ)
        await second.hears(FAR_HERTZ)
        await hears(call, tmp_path / "by-itself.wav")
        assert not await second.notes("key")
        await cai.until("agent-page", step="talking")
        await call.hang_up()
        await second.wrap_up("1")
        await second.page.close()
        people.windows.remove(second)
        await cai.until("phone-state", line="ready")
        await cai.leave()

        # Denied: named on the page, and the caller is offered to nobody until it works.
        denied = AgentWindow(await people._page(), lined)
        people.windows.append(denied)
        await denied.page.context.add_init_script(
            "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));"
        )
        await denied.log_in("1002")
        await denied.one("state-ready").click()
        await denied.until("fault", "does not allow the microphone")
        async with ApiPerson(lined, "1002") as bo:
            await bo.post("/agent/state", {"state": "ready", "device": "browser"})
            await bo.until("/agent", lambda a: "microphone" in a["agent"]["problems"], within=60)
            waiting = await call_in(await caller(lined, room, "+15550100066"), "5001", keys="")
            await asyncio.sleep(2)
            assert (await bo.get("/agent"))["agent"]["state"] == "ready"
            await waiting.hang_up()
