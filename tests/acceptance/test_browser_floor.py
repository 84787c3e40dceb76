"""The caller's page and the supervisor's page in Chromium, on a whole centre; and what all pages do without the bridge."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneRoom
from tests.acceptance.browser import MICROPHONE_HERTZ, SERVER_GONE, Window, chromium
from tests.acceptance.people import call_in, caller, sip_agent
from tests.support.centre import TestCentre
from tests.support.sound import assert_tone

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

AGENT_HERTZ = 620


async def test_anyone_can_call_from_the_browser(centre: TestCentre, tmp_path: Path) -> None:
    async with (
        PhoneRoom() as room,
        chromium(centre, tmp_path) as people,
        sip_agent(centre, room, "1004") as dora,
    ):
        visitor = await people.visitor("/call")
        await visitor.one("number-5000").check()
        await visitor.one("call-start").click()
        await visitor.until("call-state", state="talking")
        # The menu speaks: there is sound, and it is not a tone of ours.
        await visitor.hears_something()
        await visitor.one("keypad-1").click()
        ringing = await dora.rings()
        mine = await dora.api.get("/agent")
        assert mine["pop"]["choice"] == "Support"
        await ringing.answer()
        async with asyncio.timeout(60):
            await ringing.confirmed.wait()
        await ringing.play_tone(AGENT_HERTZ)
        await ringing.record(tmp_path / "agent-heard.wav")
        await visitor.hears(AGENT_HERTZ)
        await asyncio.sleep(2)  # as long as the recording is to be
        await ringing.stop_recording()
        assert_tone(tmp_path / "agent-heard.wav", MICROPHONE_HERTZ)
        await visitor.one("call-hangup").click()
        async with asyncio.timeout(60):
            await ringing.ended.wait()
        await visitor.until("call-state", state="ended")
        await dora.wrap_up()
        row = await centre.record(where="agent = '1004'")
    assert (row["outcome"], row["hangup_by"], row["did"], row["queue"]) == ("answered", "caller", "5000", "support")


async def floor(supervisor: Window) -> dict[str, str]:
    """States of the calls on the page, by call id."""
    found = {}
    for row in await supervisor.page.locator("[data-testid^=waiting-][data-call], [data-testid=call-row]").all():
        found[str(await row.get_attribute("data-call"))] = str(await row.get_attribute("data-state"))
    return found


async def test_the_supervisor_sees_the_floor_live(centre: TestCentre, tmp_path: Path) -> None:
    async with (
        PhoneRoom() as room,
        chromium(centre, tmp_path) as people,
        sip_agent(centre, room, "1004", ready=False) as dora,
    ):
        supervisor = await people.supervisor()
        await supervisor.page.evaluate("window.__same = true")
        await supervisor.until("waiting-count", re.compile("^0$"))
        phone = await caller(centre, room, "+15550100005")
        call = await call_in(phone, "5001", keys="")
        await supervisor.until("waiting-1", "王芳", state="waiting")
        await supervisor.until("waiting-count", re.compile("^1$"))
        await supervisor.until("agent-1004", state="offline")
        # By keyboard alone: why not yet.
        await supervisor.page.keyboard.press("2")
        await supervisor.page.keyboard.press("Enter")
        await supervisor.until("call-sheet", "王芳", state="waiting")
        await supervisor.until("why-now", "Nobody of this queue is logged in")
        await supervisor.until("story", "Not offered: Nobody logged in")
        await supervisor.page.keyboard.press("Escape")
        await supervisor.one("call-sheet").wait_for(state="detached")
        waiting = await supervisor.one("waiting-1").get_attribute("data-call")
        assert await supervisor.page.evaluate("document.activeElement.dataset.key") == waiting
        # The filter by keyboard: what does not match goes, and comes back with Escape.
        await supervisor.page.keyboard.press("/")
        await supervisor.page.keyboard.type("no such caller")
        await supervisor.one("waiting-1").wait_for(state="detached")
        await supervisor.page.keyboard.press("Escape")
        await supervisor.until("waiting-1", "王芳", state="waiting")
        await supervisor.page.keyboard.press("Escape")
        # The wall says the same, and nothing but the wall in full screen.
        wall = await people.supervisor()
        await wall.one("to-wall").click()
        await wall.until("wall-page", live="true")
        await wall.until("wall-queue-support", "Support", waiting="1")
        await wall.page.keyboard.press("f")
        await wall.until("wall-page", full="true")
        await wall.one("nav").wait_for(state="detached")
        # Sheets of a figure, a queue and an agent.
        for opens, sheet, says in (
            ("figure-calls", "figure-sheet", "Calls today"),
            ("queue-open-support", "queue-sheet", "30 min"),
            ("agent-1004", "agent-sheet", "Dora Silva"),
        ):
            await supervisor.one(opens).click()
            await supervisor.until(sheet, says)
            await supervisor.page.keyboard.press("Escape")
            await supervisor.one(sheet).wait_for(state="detached")
        # By keyboard alone: minutes for the caller, over to sales, back to support.
        await supervisor.one("place-1").focus()
        await supervisor.page.keyboard.press("Enter")
        await supervisor.until("placing", "王芳", call=str(waiting))
        for key in ("Tab", "Tab", "Enter"):
            await supervisor.page.keyboard.press(key)
        await supervisor.one("placing").wait_for(state="detached")
        for queue, title in (("sales", "Sales"), ("support", "Support")):
            await supervisor.one("place-1").click()
            await supervisor.one("placing-reason").fill("asked for it")
            await supervisor.one(f"placing-queue-{queue}").press("Enter")
            await supervisor.until("waiting-1", title)
        await supervisor.one("place-1").click()
        await supervisor.page.keyboard.press("Escape")
        await supervisor.one("placing").wait_for(state="detached")
        await dora.ready()
        ringing = await dora.rings()
        await supervisor.until("waiting-1", "Dora Silva", state="offered")
        await supervisor.until("agent-1004", state="ringing")
        await ringing.answer()
        await supervisor.until("call-row", "Dora Silva", state="talking")
        await supervisor.until("agent-1004", state="talking")
        await supervisor.until("waiting-count", re.compile("^0$"))
        await supervisor.page.locator("[data-testid=call-row] [data-testid=open-call]").click()
        await supervisor.until("story", re.compile("Offered to Dora Silva.*answered after"), within=60)
        await supervisor.until("story", "Priority changed by supervisor")
        await supervisor.one("sheet-close").click()
        await call.hang_up()
        await supervisor.until("agent-1004", state="wrap_up")
        await supervisor.until("calls-count", re.compile("^0$"))
        await supervisor.one("calls-past").click()
        await supervisor.page.locator(f"[data-testid=past-call][data-call='{waiting}'] [data-testid=open-call]").click()
        await supervisor.until("story", "Call ended by the caller")
        await supervisor.one("sheet-close").click()
        await supervisor.one("calls-live").click()
        await dora.wrap_up()
        await supervisor.until("agent-1004", state="ready")
        assert await supervisor.page.evaluate("window.__same"), "the page was loaded again"
        told = await centre.query(
            "SELECT kind, body->>'head_start' AS head_start, body->>'queue' AS queue, body->>'by' AS by,"
            " body->>'reason' AS reason FROM cti.facts WHERE call_id = $1"
            " AND kind IN ('PriorityChanged', 'CallQueued') ORDER BY position",
            waiting,
        )
    assert [tuple(row)[2:] for row in told] == [
        ("support", "", ""),
        (None, "supervisor", "+5 min"),
        ("sales", "supervisor", "asked for it"),
        ("support", "supervisor", "asked for it"),
    ]
    assert float(told[1]["head_start"]) == float(told[0]["head_start"]) + 300 == float(told[3]["head_start"])


async def test_a_killed_bridge_is_said_and_forgotten_while_the_call_goes_on(centre: TestCentre, tmp_path: Path) -> None:
    async with PhoneRoom() as room, chromium(centre, tmp_path) as people:
        people.allowed.extend(SERVER_GONE)
        ada = await people.agent("1001")
        supervisor = await people.supervisor()
        await ada.ready()
        phone = await caller(centre, room, "+15550100001")
        call = await call_in(phone, "5001", keys="")
        await ada.pops()
        await ada.answer()
        await call.play_tone(AGENT_HERTZ)
        await ada.hears(AGENT_HERTZ)
        await supervisor.until("call-row", state="talking")
        for window in (ada, supervisor):
            await window.page.evaluate("window.__same = true")

        killed = centre.pid("bridge")
        os.kill(killed, signal.SIGKILL)
        for window in (ada, supervisor):
            said = await window.note("link", state="unknown")
            assert re.search(r"\d:\d\d:\d\d", said["text"]), said["text"]
        # Nobody in the call notices.
        await ada.hears(AGENT_HERTZ)
        assert not call.ended.is_set()
        await ada.until("agent-page", step="talking")
        for window in (ada, supervisor):
            await window.until("link", state="known", within=60)
        await supervisor.until("supervisor-page", live="true")
        await supervisor.until("call-row", "Ada Park", state="talking")
        await supervisor.until("agent-1001", state="talking")
        await ada.until("agent-page", step="talking")
        assert centre.pid("bridge") != killed
        await call.record(tmp_path / "caller-heard.wav")
        await ada.hears(AGENT_HERTZ)
        await asyncio.sleep(1)
        await call.stop_recording()
        assert_tone(tmp_path / "caller-heard.wav", MICROPHONE_HERTZ)
        assert await ada.text("pop-name") == "Zoë Chen"

        await ada.one("hangup").click()
        async with asyncio.timeout(60):
            await call.ended.wait()
        over = await ada.note("sip", way="out", kind="BYE")
        connected = await ada.note("sip", way="in", kind="ACK")
        await ada.wrap_up("1", "Was there all the time.")
        for window in (ada, supervisor):
            assert await window.page.evaluate("window.__same"), "a page was loaded again"
        row = await centre.record(where="agent = '1001'", wrapped=True)
        rows = await centre.query("SELECT count(*) AS n FROM report.calls WHERE call_id = $1", row["call_id"])
    assert rows[0]["n"] == 1
    assert (row["outcome"], row["hangup_by"], row["caller_number"]) == ("answered", "agent", "+15550100001")
    # One talk, not two halves of it: a bridge takes seconds to come back. How exact talk is measured is told by tests that have the
    # machine for themselves; here the page may see the end late.
    assert row["talk_seconds"] == pytest.approx((over["at"] - connected["at"]) / 1000, abs=2)
