"""No serious finding of axe-core on any page of the product, in both colour schemes: a list that grows with the pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.acceptance.browser import Window, chromium, log_in
from tests.support.axe import serious_findings
from tests.support.centre import TestCentre
from tests.support.scripted_desk import CARD, ScriptedDesk, scripted_desks

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

PAGES: tuple[tuple[str, str, str], ...] = (
    # who, path, and what must be there before it is looked at
    ("", "/", "[data-testid=login-submit]"),
    ("", "/call", "[data-testid=call-start]:not([disabled])"),
    ("1001", "/agent", "[data-testid=my-tasks]"),
    ("supervisor", "/supervisor", "[data-testid=supervisor-page][data-live=true]"),
    ("supervisor", "/wall", "[data-testid=wall-page][data-live=true] table"),
    ("supervisor", "/customers", "[data-testid=customers-page][data-ready=true]"),
    ("", "/contact", "h1"),
    ("supervisor", "/flows", "h1, h2"),
    ("supervisor", "/prompts", "h1, h2"),
    ("supervisor", "/customers", "[data-testid=customers-page][data-ready=true]"),
    ("supervisor", "/work", "h1, h2"),
    ("supervisor", "/quality", "[data-testid=quality-page][data-ready=true]"),
    ("supervisor", "/reports", "[data-testid=report]"),
    ("supervisor", "/account", "[data-testid=factor-state]"),
)
"""Every page of the product. A new page is a line here."""


async def _ringing(desk: ScriptedDesk) -> None:
    desk.ready()
    desk.offer()
    await desk.until("pop")


async def _several(desk: ScriptedDesk) -> None:
    desk.ready()
    desk.offer(match="several", customers=[CARD, {**CARD, "customer_id": 9, "name": "Marta Fernández"}])
    await desk.until("customer-9")


async def _missed(desk: ScriptedDesk) -> None:
    await _ringing(desk)
    desk.withdraw("no_answer")
    await desk.until("notice", why="no_answer")


async def _talking(desk: ScriptedDesk) -> None:
    await desk.in_call()


async def _handed_over(desk: ScriptedDesk) -> None:
    await desk.in_call()
    desk.set_talk(transferred_from="1003", note="Put off twice already.", state="held")
    await desk.until("handed-note")


async def _consulting(desk: ScriptedDesk) -> None:
    await desk.in_call()
    desk.consults()
    await desk.until("consult-complete")


async def _conference(desk: ScriptedDesk) -> None:
    await desk.in_call()
    desk.confers()
    await desk.until("drop-1002")
    await desk.page.keyboard.press("k")
    await desk.until("keypad")


async def _transfer(desk: ScriptedDesk) -> None:
    await desk.in_call()
    await desk.page.keyboard.press("t")
    await desk.page.keyboard.type("bo")
    await desk.until("place-agent-1002")


async def _wrap_up(desk: ScriptedDesk) -> None:
    await desk.in_call()
    desk.line.bye()
    desk.wrap_up()
    await desk.until("done")


async def _dialog(desk: ScriptedDesk, key: str, testid: str) -> None:
    await desk.page.keyboard.press(key)
    await desk.until(testid)


async def _calling(desk: ScriptedDesk) -> None:
    await _dialog(desk, "n", "place-agent-1002")


async def _not_ready(desk: ScriptedDesk) -> None:
    await _dialog(desk, "b", "reason-lunch")


async def _cut(desk: ScriptedDesk) -> None:
    desk.cut()
    await desk.until("link", state="unknown", within=60)


STATES: dict[str, Callable[[ScriptedDesk], Awaitable[None]]] = {
    "ringing": _ringing,
    "several customers": _several,
    "missed": _missed,
    "talking": _talking,
    "handed over, on hold": _handed_over,
    "asking a colleague": _consulting,
    "three on the line": _conference,
    "transfer": _transfer,
    "wrap-up": _wrap_up,
    "sound": lambda desk: _dialog(desk, ",", "sound-dialog"),
    "keys": lambda desk: _dialog(desk, "?", "keys-dialog"),
    "waiting callers": lambda desk: _dialog(desk, "w", "waiting-dialog"),
    "calling out": _calling,
    "reasons": _not_ready,
    "cut off": _cut,
}


async def test_every_page(centre: TestCentre, tmp_path: Path) -> None:
    found: dict[str, list[str]] = {}
    async with chromium(centre, tmp_path) as people:
        for who in dict.fromkeys(who for who, _, _ in PAGES):
            window: Window = await people.visitor("/")
            if who:
                await log_in(window, who)
                await window.page.wait_for_url("**/agent" if who == "1001" else "**/supervisor")
            for path, ready in ((path, ready) for one, path, ready in PAGES if one == who):
                await window.page.goto(centre.told["urls"]["web"] + path)
                await window.page.wait_for_selector(ready)
                for scheme in ("light", "dark"):
                    await window.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                    found[f"{path} {scheme}"] = await serious_findings(window.page)
            await window.page.context.close()
            people.windows.remove(window)
    assert not any(found.values()), "\n".join(f"{name}: {one}" for name, all_ in found.items() for one in all_)


async def test_every_state_of_the_desk() -> None:
    found: dict[str, list[str]] = {}
    async with scripted_desks() as desks:
        for number, (name, come) in enumerate(STATES.items()):
            desk = await desks.desk(language="zh" if number % 2 else "en")
            await desk.line.registered.wait()
            await come(desk)
            for scheme in ("light", "dark"):
                await desk.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                found[f"{name} {scheme}"] = await serious_findings(desk.page)
            await desk.page.context.close()
    assert not any(found.values()), "\n".join(f"{name}: {one}" for name, all_ in found.items() for one in all_)
