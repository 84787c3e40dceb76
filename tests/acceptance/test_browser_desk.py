"""What is the desk page's own, in Chromium over a scripted server: sound is real, the server's part is played.

Mute, hold, devices, the hidden tab, the second tab, a microphone that is not allowed, a call with the keyboard alone, the
reload and the cut network, and that every act asks the server for the right thing.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.scripted_desk import CARD, NUMBER, ScriptedDesk, scripted_desks

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

CUT = (r"WebSocket", r"ERR_FAILED", r"net::", r"JsSIP")
"""What a browser itself says of a broken network."""


async def becomes(ask: Callable[[], Awaitable[Any]], fits: Callable[[Any], bool], *, within: float = 60) -> Any:
    """Ask until the answer fits."""
    deadline = time.monotonic() + within
    answer = None
    while time.monotonic() < deadline:
        answer = await ask()
        if fits(answer):
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(f"did not become so within {within} s; last: {answer}")


async def level_at_the_far_end(desk: ScriptedDesk) -> float:
    """How loud the agent arrives, 0-1; the loudest of half a second, for the fake microphone beeps."""
    loudest = 0.0
    for _ in range(10):
        loudest = max(loudest, float(await desk.page.evaluate("() => window.__peer.level()")))
        await asyncio.sleep(0.12)
    return loudest


async def test_a_call_with_the_keyboard_alone() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        await desk.line.registered.wait()
        keys = desk.page.keyboard
        await keys.press("y")
        assert await desk.asks("/agent/state") == {"state": "ready", "device": "browser"}
        desk.ready()
        desk.offer()
        await desk.until("said-ring", text="Luis Fernández")
        await desk.line.ring(X_CTI_Offer="7", X_CTI_Call="c-1")
        await keys.press("a")
        async with asyncio.timeout(60):
            await desk.line.answered.wait()
        desk.talks()
        await desk.until("mute")
        await becomes(lambda: level_at_the_far_end(desk), lambda heard: heard > 0.01)

        await keys.press("m")
        await desk.until("call-aside", text="You are muted")
        await becomes(lambda: level_at_the_far_end(desk), lambda heard: heard < 0.002)
        await keys.press("m")
        await becomes(lambda: level_at_the_far_end(desk), lambda heard: heard > 0.01)

        await keys.press("h")
        assert await desk.asks("/agent/calls/c-1/hold") == {"on": True}
        desk.set_talk(state="held")
        await desk.until("call-aside", text="hears music")
        assert await desk.one("hold").get_attribute("aria-pressed") == "true"
        await keys.press("h")
        await becomes(
            lambda: asyncio.sleep(0, desk.asked[-1]), lambda last: last == ("/agent/calls/c-1/hold", {"on": False})
        )
        desk.set_talk()

        await keys.press("k")
        await keys.type("12#")
        assert await desk.one("pressed").inner_text() == "12#"
        assert await desk.page.locator("[data-testid^=disposition-]").count() == 0
        await keys.press("Escape")
        await keys.press("2")
        assert await desk.one("disposition-follow_up").get_attribute("aria-pressed") == "true"
        await becomes(lambda: desk.one("quality").get_attribute("data-bars"), lambda bars: bars == "4")
        assert await desk.one("quality").get_attribute("data-codec") == "Opus"
        assert 4.0 < float(await desk.one("quality").get_attribute("data-mos") or 0) <= 4.5

        await keys.press("e")
        async with asyncio.timeout(60):
            await desk.line.ended.wait()
        desk.wrap_up()
        await desk.until("agent-page", step="wrap_up")
        await keys.press("+")
        await desk.asks("/agent/calls/c-1/wrapup/extend")
        await keys.press("d")
        assert await desk.asks("/agent/calls/c-1/wrapup") == {"disposition": "follow_up", "note": ""}
        await desk.assert_no_faults()


async def test_it_rings_in_a_hidden_tab() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        await desk.line.registered.wait()
        desk.ready()
        await desk.until("agent-page", step="ready")
        await desk.page.evaluate(
            """() => {
              Object.defineProperty(document, "hidden", {get: () => true});
              Object.defineProperty(document, "visibilityState", {get: () => "hidden"});
              document.hasFocus = () => false;
              document.dispatchEvent(new Event("visibilitychange"));
            }"""
        )
        await becomes(
            lambda: asyncio.sleep(0, [body for path, body in desk.asked if path == "/agent/heartbeat"]),
            lambda beats: bool(beats) and beats[-1] == {"microphone": "ok", "registered": True, "visible": False},
        )
        desk.offer()
        await desk.line.ring(X_CTI_Offer="7")
        told = await becomes(lambda: desk.page.evaluate("() => window.__told"), bool)
        assert (told[0]["title"], told[0]["body"], told[0]["open"]) == ("Luis Fernández", "Support", True)
        assert await desk.page.title() == "☎ Luis Fernández"
        # A hidden page's timers may run once a minute: that much ringing is planned ahead.
        assert await desk.page.evaluate("() => window.__rang") > 60
        desk.line.cancel()
        desk.withdraw("answered_elsewhere")
        await desk.until("notice", why="answered_elsewhere")
        assert not (await desk.page.evaluate("() => window.__told"))[0]["open"]
        assert "Ready" in await desk.page.title()
        await desk.assert_no_faults()


async def test_of_two_tabs_one_has_the_phone() -> None:
    async with scripted_desks() as desks:
        first = await desks.desk()
        await first.line.registered.wait()
        second = await desks.second_page(first)
        await second.until("elsewhere")
        assert not second.line.registered.is_set()
        await second.until("phone-state", line="elsewhere")
        await first.in_call()
        await second.until("elsewhere", text="in a call")
        await second.one("take-phone").click()
        async with asyncio.timeout(60):
            await second.line.registered.wait()
        await first.until("elsewhere")
        await second.until("phone-state", line="ready")
        # And back, when the one that has it closes.
        first.line.registered.clear()
        await second.page.close()
        async with asyncio.timeout(60):
            await first.line.registered.wait()


async def test_a_microphone_that_is_not_allowed_is_named() -> None:
    async with scripted_desks(without=("--use-fake-ui-for-media-stream",)) as desks:
        desk = await desks.desk(microphone=False)
        await desk.line.registered.wait()
        await desk.one("state-ready").click()
        await desk.until("fault", text="does not allow the microphone")
        assert (await desk.one("mic-state").get_attribute("data-mark")) == "alarm"
        assert "/agent/state" not in [path for path, _ in desk.asked]
        await becomes(
            lambda: asyncio.sleep(0, [body for path, body in desk.asked if path == "/agent/heartbeat"]),
            lambda beats: bool(beats) and beats[-1]["microphone"] == "denied",
        )
        # A call that rings all the same is not lost by pressing Answer: it rings on, and the page says why.
        desk.ready()
        desk.offer()
        await desk.line.ring(X_CTI_Offer="7")
        await desk.page.keyboard.press("a")
        await desk.until("agent-page", step="incoming")
        assert not desk.line.answered.is_set()
        await desk.assert_no_faults()


async def test_devices_are_chosen_also_during_a_call() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        await desk.in_call()
        await desk.page.keyboard.press(",")
        await desk.until("sound-dialog")
        devices = await desk.page.evaluate(
            """async () => (await navigator.mediaDevices.enumerateDevices())
                 .filter((d) => d.deviceId && d.deviceId !== "default").map((d) => [d.kind, d.deviceId])"""
        )
        microphones = [one for kind, one in devices if kind == "audioinput"]
        speakers = [one for kind, one in devices if kind == "audiooutput"]
        assert microphones
        await desk.one("sound-microphone").select_option(microphones[-1])
        await becomes(lambda: level_at_the_far_end(desk), lambda heard: heard > 0.01)
        if speakers:
            await desk.one("sound-loudspeaker").select_option(speakers[-1])
            await becomes(
                lambda: desk.page.evaluate("() => document.querySelector('[data-testid=remote-audio]').sinkId"),
                lambda sink: sink == speakers[-1],
            )
        kept = await desk.page.evaluate("() => JSON.parse(localStorage.getItem('cti.sound'))")
        assert kept["microphone"] == microphones[-1]
        await becomes(lambda: desk.one("mic-level").get_attribute("data-level"), lambda level: int(level or 0) > 2)
        await desk.page.keyboard.press("Escape")
        assert await desk.one("sound-dialog").count() == 0
        await desk.assert_no_faults()


async def test_a_reload_comes_back_to_the_call() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        desk.page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        await desk.in_call()
        await desk.page.keyboard.press("m")
        await desk.one("note").fill("Asked for the invoice of May.")
        desk.line.registered.clear()
        await desk.page.reload()
        await desk.until("agent-page", step="talking")
        await desk.until("returning")
        await desk.line.ring(X_CTI_Resume="1", X_CTI_Call="c-1")
        async with asyncio.timeout(60):
            await desk.line.answered.wait()  # nobody pressed anything
        await desk.until("mute")
        assert await desk.one("returning").count() == 0
        assert await desk.one("mute").get_attribute("aria-pressed") == "true", "who was muted stays muted"
        assert await level_at_the_far_end(desk) < 0.002
        assert await desk.one("note").input_value() == "Asked for the invoice of May."
        await desk.page.keyboard.press("m")
        await becomes(lambda: level_at_the_far_end(desk), lambda heard: heard > 0.01)


async def test_a_cut_network_is_said_and_mends_itself() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        await desk.in_call()
        desk.cut()
        await desk.until("link", text="Unknown since", state="unknown", within=60)
        await desk.until("agent-page", step="talking")
        assert await desk.one("mute").is_enabled(), "what the page can do by itself it still does"
        desk.mend()
        async with asyncio.timeout(60):
            await desk.line.registered.wait()
        await desk.until("link", state="known", within=60)
        # The telephone system brings the call anew; the broken one gives way to it.
        await desk.line.ring(X_CTI_Resume="1", X_CTI_Call="c-1")
        async with asyncio.timeout(60):
            await desk.line.answered.wait()
        await desk.until("mute")
        await becomes(lambda: level_at_the_far_end(desk), lambda heard: heard > 0.01)
        await desk.assert_no_faults(*CUT)


async def test_handing_over_asking_first_and_talking_together() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        await desk.in_call()
        keys = desk.page.keyboard
        await keys.press("t")
        await desk.until("place-agent-1002")
        await keys.type("suppo")
        assert await desk.one("transfer-ask").is_disabled(), "a queue cannot be asked"
        await keys.press("Control+A")
        await keys.type("bo")
        await desk.until("transfer-hint", text="Bo Lindqvist")
        await desk.one("transfer-note").fill("Wants Thursday.")
        await desk.one("transfer-search").press("Enter")
        assert await desk.asks("/agent/calls/c-1/consult") == {"to": {"kind": "agent", "name": "1002"}}
        await becomes(desk.one("transfer-dialog").count, lambda count: count == 0)

        desk.consults("ringing")
        await desk.until("party-1002", state="ringing")
        assert await desk.one("consult-complete").is_disabled()
        assert await desk.one("consult-cancel").is_enabled()
        desk.consults("talking")
        await desk.until("party-caller", state="held")
        await keys.press("s")
        await desk.asks("/agent/calls/c-1/consult/swap")
        desk.consults("held")
        await desk.until("party-1002", state="held")
        await keys.press("j")
        await desk.asks("/agent/calls/c-1/consult/join")
        desk.confers()
        await desk.until("parties", mode="conference")
        await desk.one("drop-1002").click()
        await desk.asks("/agent/calls/c-1/parties/1002/drop")
        desk.consults("talking")
        await desk.until("consult-complete")
        await keys.press("c")
        assert await desk.asks("/agent/calls/c-1/consult/complete") == {"note": "Wants Thursday."}
        desk.consults("failed", reason="no_answer")
        await desk.until("not-reached", text="no answer")

        # A number typed in full, at once, with the note; what the server refuses is said in the dialog.
        desk.answers["/agent/calls/c-1/transfer"] = (409, {"error": {"id": "lines_taken", "message": "", "remedy": ""}})
        await keys.press("t")
        await desk.until("place-agent-1002")
        await keys.type("+1 (555) 010-0199")
        await keys.press("Control+Enter")
        asked = await desk.asks("/agent/calls/c-1/transfer")
        assert asked == {"to": {"kind": "number", "name": "+15550100199"}, "note": ""}
        await desk.until("transfer-problem", text="Every line")
        await desk.assert_no_faults("409")


async def test_calling_out_picking_up_and_click_to_dial() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        await desk.line.registered.wait()
        keys = desk.page.keyboard
        desk.ready()
        await desk.until("agent-page", step="ready")
        await keys.press("n")
        await desk.until("place-agent-1003")
        await keys.type("chidi")
        await keys.press("Enter")
        asked = await desk.asks("/agent/dial")
        assert asked["agent_id"] == "1003"
        assert len(asked["idempotency_key"]) > 8
        # The telephone system calls this page first; nobody has to answer that.
        await desk.line.ring(X_CTI_Dial="1", X_CTI_Call="o-1")
        async with asyncio.timeout(60):
            await desk.line.answered.wait()
        assert await desk.page.evaluate("() => window.__rang") == 0
        await desk.until("agent-page", step="talking")
        desk.line.bye()
        await desk.until("agent-page", step="ready")

        await keys.press("w")
        await desk.until("waiting-caller", text="Mei Tanaka")
        await desk.one("take-caller").first.click()
        assert await desk.asks("/agent/pick-up") == {"call_id": "w-1"}

        desk.offer()
        await desk.until("card-name")
        await desk.until("customer-timeline", text="Sent the invoice again")
        await desk.one("dial").first.click()
        assert await desk.one("dial-text").input_value() == NUMBER
        await desk.until("dial-box", text="when this call is over")
        await desk.assert_no_faults()


async def test_what_is_open_stands_on_the_card_and_is_dialled_for_what_it_is() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        await desk.in_call()
        await desk.until("recording-control", text="Recording", state="on")
        await desk.until("open-matters", count="4")
        first = desk.page.locator("[data-testid^=matter-]").first
        assert await first.get_attribute("data-kind") == "complaint", "overdue first"
        assert await first.locator("a").get_attribute("href") == "/work#complaints/3"
        assert await desk.one("matter-call").count() == 0, "not while talking"
        desk.line.bye()
        desk.wrap_up()
        await desk.until("agent-page", step="wrap_up")
        await desk.one("matter-follow-up-5").get_by_test_id("matter-call").click()
        assert await desk.one("dial-text").input_value() == NUMBER
        desk.withdraw("call_ended")
        await desk.until("agent-page", step="ready")
        await desk.one("dial-text").press("Enter")
        asked = await desk.asks("/agent/dial")
        assert (asked["number"], asked["follow_up_id"], asked["customer_id"]) == (NUMBER, "5", 8)
        await desk.assert_no_faults()


async def test_every_outcome_of_a_look_up_and_of_an_offer_has_its_words() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        desk.ready()
        for match, words in {
            "looking_up": "Looking up",
            "unknown": "Unknown number",
            "withheld": "Number withheld",
            "unavailable": "does not answer",
        }.items():
            desk.offer(None if match == "withheld" else NUMBER, match=match, customers=[])
            await desk.until("customer", match=match, text=words)
        desk.offer(match="several", customers=[CARD, {**CARD, "customer_id": 9, "name": "Marta Fernández"}])
        await desk.one("customer-9").click()
        await desk.until("card-name")
        assert await desk.asks("/agent/calls/c-1/customer") == {"customer_id": 9}
        told = {}
        for number, why in enumerate(("no_answer", "rejected", "unreachable", "answered_elsewhere", "caller_gone"), 10):
            desk.offer(offer=number)
            await desk.until("pop", offer=str(number))
            desk.withdraw(why)
            await desk.until("notice", why=why)
            told[why] = await desk.one("notice").inner_text()
        assert len(set(told.values())) == len(told)
        await desk.assert_no_faults()


async def test_an_unknown_caller_is_found_in_the_file_or_put_into_it() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        desk.ready()
        desk.offer(match="unknown", customers=[])
        desk.talks(customer_name="")
        await desk.one("find-text").fill("marta")
        await desk.one("found-9").click()
        assert await desk.asks("/agent/calls/c-1/customer") == {"customer_id": 9}
        await desk.until("card-name")
        desk.offer(match="unknown", customers=[], offer=8)
        desk.talks(customer_name="")
        desk.answers["/customers"] = (200, {"customer_id": 12})
        await desk.one("new-customer").click()
        await desk.page.keyboard.type("Nora Quist")
        await desk.page.keyboard.press("Enter")
        made = await desk.asks("/customers")
        assert made == {"name": "Nora Quist", "phones": [{"raw": NUMBER, "label": ""}], "language": "en"}
        await becomes(
            lambda: asyncio.sleep(0, [body for path, body in desk.asked if path.endswith("/customer")]),
            lambda chosen: chosen[-1] == {"customer_id": 12},
        )
        await desk.assert_no_faults()


async def test_calls_answer_themselves_where_the_agent_wants_that() -> None:
    async with scripted_desks() as desks:
        desk = await desks.desk()
        await desk.line.registered.wait()
        await desk.page.keyboard.press(",")
        await desk.one("auto-answer").check()
        await desk.page.keyboard.press("Escape")
        desk.ready()
        desk.offer()
        await desk.line.ring(X_CTI_Offer="7")
        async with asyncio.timeout(60):
            await desk.line.answered.wait()
        await desk.assert_no_faults()


async def test_outcomes_in_groups_and_an_outcome_that_is_needed() -> None:
    tree = [
        {"name": "sale", "titles": {"en": "Sale", "zh": "销售"}, "of": [
            {"name": "sale_new", "titles": {"en": "New contract", "zh": "新签"}, "of": []},
            {"name": "sale_more", "titles": {"en": "Extension", "zh": "续签"}, "of": []},
        ]},
        {"name": "other", "titles": {}, "of": []},
    ]  # fmt: skip
    support = {"dispositions": tree, "required": True, "script": {}, "knowledge": []}
    async with scripted_desks() as desks:
        desk = await desks.desk(language="zh", desks={"support": support})
        desk.ready()
        desk.offer()
        desk.talks()
        desk.wrap_up()
        await desk.until("agent-page", step="wrap_up")
        assert await desk.one("done").is_disabled()
        keys = desk.page.keyboard
        await keys.press("d")
        await keys.press("1")
        await desk.until("disposition-sale_more", text="续签")
        await keys.press("0")
        await desk.until("disposition-sale")
        await keys.press("1")
        await keys.press("2")
        await desk.one("note").fill("三年")
        await desk.one("note").press("Control+Enter")
        assert await desk.asks("/agent/calls/c-1/wrapup") == {"disposition": "sale_more", "note": "三年"}
        await desk.assert_no_faults()


async def test_single_keys_can_be_switched_off_and_markup_is_only_text() -> None:
    async with scripted_desks() as desks:
        evil = "<img src=x onerror=alert(1)>"
        knowledge = [
            {"titles": {"en": evil}, "url": "javascript:alert(1)"},
            {"titles": {"en": "Tariffs"}, "url": "https://a.example/t"},
        ]
        script = {"en": f"{evil} javascript:alert(1)\n- see https://b.example/x"}
        support = {"dispositions": [], "required": False, "script": script, "knowledge": knowledge}
        desk = await desks.desk(desks={"support": support})
        await desk.page.keyboard.press(",")
        await desk.one("single-keys").uncheck()
        await desk.page.keyboard.press("Escape")
        desk.ready()
        desk.offer(customers=[{**CARD, "name": evil, "notes": evil}], choice=evil)
        await desk.until("pop-name", text=re.escape(evil).replace("\\", ""))
        await desk.page.keyboard.press("r")
        await desk.page.keyboard.press("a")
        await asyncio.sleep(0)
        assert [path for path, _ in desk.asked if "offers" in path] == []
        assert await desk.page.locator("img").count() == 0
        links = await desk.page.locator("[data-testid=script] a").evaluate_all("all => all.map((a) => a.href)")
        assert links == ["https://a.example/t", "https://b.example/x"]
        await desk.assert_no_faults()
