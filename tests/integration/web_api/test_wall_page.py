"""The page /wall in Chromium, as a screen that is logged in as itself: alerts with their shapes, sound, pages of queues by turns,
full screen, what is unknown while the telephone system is away, and letters that can be read from five metres."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from cti.clock import SystemClock
from cti.ids import AgentId, CallId, QueueName
from cti.model.centre import Queue
from cti.model.facts import AgentState
from cti.services.floor import AlertRow, CentreRow, Change, LinkView
from cti.web.app import build_app, serving
from cti.web.auth.accounts import Account
from cti.web.auth.permissions import Role
from tests.acceptance.browser import SWITCHES
from tests.support.axe import serious_findings
from tests.support.fake_floor import QUICK_HASHER, SUPPORT, FakeFloor, demo_centre, make_accounts, make_deps
from tests.support.pages import STATIC, comes_true

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

MORE = [QueueName(f"line_{n}") for n in range(1, 6)]
NUMBER_SHARE, NAME_SHARE = 0.06, 0.035
"""Least height of letters as a share of the screen's: on one of 55 inches (0.69 m) 41 mm and 24 mm. Capitals are 0.7 of that, and
what is read at five metres needs 25 mm (1/200 of the distance), a name that is known 16 mm."""


@pytest.fixture
async def wall(tmp_path: Path) -> AsyncIterator[Any]:
    """A screen that is logged in, over a floor of eight queues."""
    assert (STATIC / "wall.html").is_file(), "the pages are not built: make ui"
    program = shutil.which("chromium")
    assert program is not None
    plain = demo_centre()
    queues = {
        **plain.queues,
        **{name: Queue(name=name, titles={"en": name.replace("_", " ").title()}) for name in MORE},
    }
    centre = dataclasses.replace(plain, queues=queues, walls={"hall": ()})
    floor = FakeFloor(centre, clock=SystemClock())
    accounts = make_accounts(tmp_path, centre)
    accounts._accounts["hall"] = Account(username="hall", role=Role.WALL, hash=QUICK_HASHER.hash("demo"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    app = build_app(make_deps(floor, tmp_path, port=port, accounts=accounts, static=STATIC))
    async with serving(app, "127.0.0.1", port), async_playwright() as tools:
        browser = await tools.chromium.launch(executable_path=program, args=list(SWITCHES))
        context = await browser.new_context(
            base_url=f"http://127.0.0.1:{port}", viewport={"width": 1920, "height": 1080}, locale="en-US", reduced_motion="reduce"
        )  # fmt: skip
        context.set_default_timeout(60_000)
        page = await context.new_page()
        alarms: list[str] = []
        page.on("pageerror", lambda error: alarms.append(f"uncaught: {error}"))
        page.on("console", lambda said: alarms.append(said.text) if said.type in ("error", "warning") else None)
        yield SimpleNamespace(page=page, floor=floor, alarms=alarms, context=context)
        await browser.close()


async def says(page: Page, testid: str, name: str, value: str) -> None:
    await page.locator(f"[data-testid={testid}][data-{name}='{value}']").first.wait_for(state="attached")


async def stands(page: Page, number: str) -> None:
    """Stop at this page of queues, however slow the machine is: pages turn by themselves."""
    for _ in range(9):
        await says(page, "wall-page", "page", number)
        await page.keyboard.press("Space")
        await says(page, "wall-page", "stopped", "true")
        if await page.locator("[data-testid=wall-page]").get_attribute("data-page") == number:
            return
        await page.keyboard.press("Space")
        await says(page, "wall-page", "stopped", "false")
    raise AssertionError(f"the wall never stood at page {number}")


def fill(floor: FakeFloor) -> None:
    """Something of everything, a caller's name and number among it."""
    now = floor.clock.now()
    busy = floor.queues[SUPPORT]
    call = floor.make_call("a1-1.1", caller_number="+14155550777", customer_name="Secret Caller")
    floor.apply(
        Change(
            queues={
                SUPPORT: dataclasses.replace(
                    busy, waiting=4, longest_since=now - timedelta(minutes=12), service_level=0.5, service_level_now=0.41,
                    agents={"ready": 2, "talking": 3}, agents_logged_in=5,
                )
            },
            agents={AgentId("1001"): dataclasses.replace(floor.agents[AgentId("1001")], state=AgentState.TALKING)},
            calls={CallId("a1-1.1"): call},
            centre=CentreRow(
                day_start=now - timedelta(hours=4), calls=20, live=1, answered=15, abandoned=2, service_level=0.8,
                longest_wait=90.0, satisfaction=None, rated=0, complaint_rate=None, complaints=0, effective_answer_rate=0.8,
                series={"calls": (1, 4, 9, 6), "abandoned": (0, 1, 1, 0)},
            ),
        )
    )  # fmt: skip


def alert(floor: FakeFloor, queue: QueueName | None, figure: str, level: Any, value: float) -> None:
    row = AlertRow(
        alert=f"{queue or '-'}.{figure}", queue=queue, figure=figure, level=level, since=floor.clock.now(), value=value, limit=1
    )  # fmt: skip
    floor.apply(Change(alerts={row.alert: row}))


async def test_a_screen_is_read_from_afar_and_says_what_is_wrong(wall: Any) -> None:
    page, floor = wall.page, wall.floor
    fill(floor)
    await page.goto("/")
    await page.locator("input[autocomplete=username]").fill("hall")
    await page.locator("input[type=password]").fill("demo")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/wall")  # a screen has no other page
    await says(page, "wall-page", "live", "true")
    wall.alarms.clear()  # of the page of log-in, which asks whether somebody is
    await stands(page, "0")
    await says(page, "wall-queue-support", "waiting", "4")
    assert "Secret" not in await page.content()

    # Letters: numbers and names, on a television and on a small screen.
    for width, height in ((1920, 1080), (1280, 720), (3840, 2160)):
        await page.set_viewport_size({"width": width, "height": height})
        for selector, share in (
            ("[data-testid=wall-queue-support] .number", NUMBER_SHARE), ("[data-testid=wall-queue-support] .name", NAME_SHARE),
            ("[data-testid=wall-agents-talking] strong", NUMBER_SHARE), ("header time", NAME_SHARE),
        ):  # fmt: skip
            sizes = await page.locator(selector).evaluate_all(
                "all => all.map((one) => parseFloat(getComputedStyle(one).fontSize))"
            )
            assert sizes, selector
            assert min(sizes) >= share * height * 0.99, (selector, width, sizes)
        assert await page.evaluate("() => document.documentElement.scrollHeight <= innerHeight")
    await page.set_viewport_size({"width": 1920, "height": 1080})

    # Alerts: in the queue's line, and beside it where the line does not show them. By shape: an octagon is critical.
    await says(page, "wall-sound", "sound", "off")
    await page.keyboard.press("s")
    await says(page, "wall-sound", "sound", "on")
    assert await page.locator("[data-testid=wall-sound]").get_attribute("aria-pressed") == "true"
    await page.evaluate(
        "() => { window.__tones = 0; const start = OscillatorNode.prototype.start;"
        " OscillatorNode.prototype.start = function (...given) { window.__tones++; start.apply(this, given); } }"
    )
    alert(floor, SUPPORT, "waiting", "critical", 4.0)
    cell = page.locator("[data-testid=wall-queue-support] .number.critical")
    await cell.wait_for()
    assert re.sub(r"\s+", " ", await cell.inner_text()).strip().startswith("critical")
    assert await cell.locator("svg.critical path").count() == 2
    await comes_true(page, "window.__tones === 3")  # critical: three tones
    alert(floor, None, "service_level", "warn", 0.41)
    beside = page.locator("[data-testid=wall-alert][data-alert='-.service_level'][data-level=warn]")
    await beside.wait_for()
    assert "Whole centre: Service level 41%" in re.sub(r"\s+", " ", await beside.inner_text())
    await comes_true(page, "window.__tones === 4")  # a warning: one
    floor.apply(Change(alerts={"-.service_level": None}))
    await beside.wait_for(state="detached")
    assert await serious_findings(page) == []

    # The telephone system is away: since when, and no number of a moment.
    floor.apply(Change(link=LinkView(connected=False, unknown_since=floor.clock.now())))
    await says(page, "link", "state", "unknown")
    assert re.search(r"Unknown since \d\d:\d\d", await page.locator("[data-testid=link]").inner_text(), re.IGNORECASE)
    await says(page, "wall-queue-support", "waiting", "")
    told = await page.locator("[data-testid=wall-queue-support] .number").all_inner_texts()
    assert [one.strip() for one in told] == ["?", "?", "?"]
    assert (await page.locator("[data-testid=wall-agents-talking] strong").inner_text()).strip() == "?"
    floor.apply(Change(link=LinkView(connected=True, unknown_since=None)))
    await says(page, "link", "state", "known")
    await says(page, "wall-queue-support", "waiting", "4")
    assert wall.alarms == []


async def test_queues_take_turns_and_full_screen_has_nothing_but_them(wall: Any) -> None:
    page, floor = wall.page, wall.floor
    fill(floor)
    await wall.context.request.post("/api/v1/login", data={"username": "hall", "password": "demo"})
    await page.clock.install()
    await page.goto("/wall")
    await says(page, "wall-page", "pages", "2")
    await stands(page, "0")
    lines = page.locator("[data-testid^=wall-queue-]")
    assert (await lines.count(), await page.locator("[data-testid=wall-queue-line_5]").count()) == (6, 0)
    alert(floor, MORE[-1], "waiting", "critical", 9.0)  # of a queue that is not shown now
    await page.locator("[data-testid=wall-alert][data-level=critical]").wait_for()
    await page.keyboard.press("Space")
    await says(page, "wall-page", "stopped", "false")
    await page.clock.fast_forward(12_500)
    await stands(page, "1")
    await page.locator("[data-testid=wall-queue-line_5] .number.critical").wait_for()
    assert await page.locator("[data-testid=wall-alert]").count() == 0  # it stands in its line
    await page.clock.fast_forward(30_000)
    await says(page, "wall-page", "page", "1")
    await page.keyboard.press("ArrowRight")
    await says(page, "wall-page", "page", "0")
    await page.keyboard.press("f")
    await says(page, "wall-page", "full", "true")
    await page.locator("[data-testid=nav]").wait_for(state="detached")
    await page.locator("[data-testid=wall-sound]").wait_for()  # whether it can be heard is said there, too
    await page.keyboard.press("f")
    await page.locator("[data-testid=nav]").wait_for()
    links = await page.locator("[data-testid=nav] nav a").evaluate_all(
        "all => all.map((one) => one.getAttribute('href'))"
    )
    assert links == ["/wall"]
    other = await wall.context.new_page()
    for path in ("/supervisor", "/work"):  # nothing of these is for a screen
        await other.goto(path, wait_until="commit")
        await other.wait_for_url("**/wall", wait_until="commit")
        await other.locator("[data-testid=wall-page]").wait_for()
    cookies = json.loads(json.dumps(await wall.context.cookies()))
    session = next(one for one in cookies if one["name"].endswith("cti_session"))
    assert session["expires"] - floor.clock.now().timestamp() > 300 * 86_400
