"""The shipped pages in a real Chromium, over the real customer file and casework on PostgreSQL and a floor that is played.

from tests.support.pages import Pages, pages  # noqa: F401 - a fixture
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Dialog, Page, async_playwright

from cti.clock import SystemClock
from cti.crm.casework import CaseOffice
from cti.crm.casework_demo import load as load_cases
from cti.crm.demo import load
from cti.live_flows import LiveFlows, open_flows
from cti.prompts import build_prompts
from cti.prompts.library import PromptLibrary
from cti.web.app import build_app, serving
from cti.web.casework.news import teller
from tests.acceptance.browser import SWITCHES
from tests.support.customers import Customers
from tests.support.fake_floor import FakeFloor, demo_centre, make_deps
from tests.support.flow_fakes import TickingClock
from tests.unit.prompts.prompt_library_test import MANIFEST, Toner

STATIC = Path(__file__).resolve().parents[2] / "cti" / "web" / "static"
FLOW = "flow: hello\nlanguages: [en]\nstart: a\nfailure: b\nsteps:\n  a: {say: hello, go: b}\n  b: {hang_up: [bye]}\n"
FOREIGN = (
    "img:not([data-testid]):not([src^='blob:']), iframe, object, embed, script:not([src]), [onerror], [onload], marquee"
)
"""What no page of ours has, and markup that was taken for markup would bring."""


async def comes_true(page: Page, expression: str) -> None:
    """Wait until the page says so. Our pages' policy forbids them to read a text as a program, and that is what
    `wait_for_function` has them do from its second look on."""
    async with asyncio.timeout(60):
        while not await page.evaluate(expression):  # noqa: ASYNC110 - a page has no event
            await asyncio.sleep(0.02)


class Pages:
    """Pages of people who are logged in; `alarms` is what no page may do: dialogs, errors, a broken policy."""

    def __init__(
        self, context: BrowserContext, base: str, floor: FakeFloor, office: CaseOffice, work: Customers
    ) -> None:
        self.context, self.base, self.floor, self.office, self.work = context, base, floor, office, work
        self.alarms: list[str] = []

    async def page(self, who: str, path: str = "/") -> Page:
        """A page of this user ("" for a customer), with nobody else's cookie."""
        browser = self.context.browser
        assert browser is not None
        context = await browser.new_context(
            base_url=self.base, viewport={"width": 1280, "height": 720}, locale="en-US", reduced_motion="reduce"
        )
        context.set_default_timeout(60_000)
        if who:
            answer = await context.request.post("/api/v1/login", data={"username": who, "password": "demo"})
            assert answer.ok, await answer.text()
        page = await context.new_page()
        page.on("pageerror", lambda error: self.alarms.append(f"uncaught: {error}"))
        page.on("dialog", self._dialog)
        page.on("console", self._console)
        await page.goto(path)
        return page

    async def _dialog(self, dialog: Dialog) -> None:
        self.alarms.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        # A refusal that the page tells in words is written to the console by the browser itself.
        if message.type in ("error", "warning") and not re.search(r"status of (400|404|409|502|503)", message.text):
            self.alarms.append(f"{message.type}: {message.text}")

    async def api(self, page: Page, method: str, path: str, body: Any = None) -> Any:
        """Ask as the page's user does."""
        answer = await page.context.request.fetch(
            f"/api/v1{path}", method=method, data=body, headers={"Origin": self.base}
        )
        assert answer.ok, (path, await answer.text())
        return await answer.json()

    async def nothing_foreign(self, page: Page) -> None:
        """Nothing that was typed has become an element, and nothing of it ran."""
        assert await page.evaluate("() => window.hit ?? null") is None
        found = await page.locator(FOREIGN).evaluate_all("all => all.map((one) => one.outerHTML.slice(0, 200))")
        assert found == [], (page.url, found)
        assert self.alarms == [], (page.url, self.alarms)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
async def pages(customer_work: Customers, tmp_path: Path) -> AsyncIterator[Pages]:
    """The whole site, and one Chromium."""
    assert (STATIC / "work.html").is_file(), "the pages are not built: make ui"
    program = shutil.which("chromium")
    assert program is not None
    await load(customer_work.pool)
    await load_cases(customer_work.pool)
    centre, clock, port = demo_centre(), SystemClock(), _free_port()
    floor = FakeFloor(centre, clock=clock)
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "prompts.yaml").write_text(MANIFEST, encoding="utf-8")
    (folder / "hello.yaml").write_text(FLOW, encoding="utf-8")
    build_prompts(folder / "prompts.yaml", tmp_path / "prompts", open_voice=Toner().open)
    of_flows = demo_centre()
    object.__setattr__(of_flows, "numbers", {})
    object.__setattr__(of_flows, "queues", {})
    places: Any = SimpleNamespace(data=tmp_path / "data", flows=folder)
    library, versions = open_flows(places, of_flows, TickingClock())
    office = CaseOffice(customer_work.pool, clock=clock, centre=lambda: centre)
    await office.churn.compute()
    app = build_app(
        make_deps(
            floor,
            tmp_path,
            port=port,
            customers=customer_work.rooms,
            casework=office.casework(),
            prompts=PromptLibrary(folder / "prompts.yaml", tmp_path / "prompts", open_voice=Toner().open),
            flows=library,
            flow_changes=LiveFlows(library, versions, tmp_path / "prompts", TickingClock()),
            static=STATIC,
        )
    )
    office.tell = teller(app)
    async with serving(app, "127.0.0.1", port), async_playwright() as tools:
        browser = await tools.chromium.launch(executable_path=program, args=list(SWITCHES))
        yield Pages(await browser.new_context(), f"http://127.0.0.1:{port}", floor, office, customer_work)
        await browser.close()
