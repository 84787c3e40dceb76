"""The page of reports in Chromium: what a supervisor presses and reads, without a mouse too, in both languages."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.support.axe import serious_findings
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.support.report_house import ReportHouse, report_house

expect.set_options(timeout=60_000)  # as all waits of the pages: it finds what hangs
pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

VIEWS = (
    "today", "queues", "agents", "half_hours", "trends", "week_map", "waits", "menus", "callbacks", "surveys", "complaints", "staffing",
    "audit", "mail",
)  # fmt: skip
EXPECTED = ("503", "404", "400")
"""Answers a browser tells of on its console: a database that is away, invented calls without a story, a wrong address."""
WATCH = """
window.__faults = [];
document.addEventListener("securitypolicyviolation", (event) => window.__faults.push(`${event.violatedDirective} ${event.blockedURI}`), true);
"""


class Desk:
    """A supervisor's page."""

    def __init__(self, page: Page, house: ReportHouse) -> None:
        self.page = page
        self.house = house
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on(
            "console",
            lambda said: (
                self.faults.append(said.text)
                if said.type == "error" and not any(code in said.text for code in EXPECTED)
                else None
            ),
        )

    async def view(self, search: str) -> None:
        await self.page.goto(f"{self.house.url}/reports?{search}")
        await self.drawn()

    async def drawn(self) -> None:
        ready = ", ".join(f"[data-testid={one}][data-ready=true]" for one in ("report", "staffing", "audit", "mail"))
        await self.page.wait_for_selector(ready)

    def one(self, testid: str):
        return self.page.get_by_test_id(testid)


@pytest.fixture
async def house(migrated: str, tmp_path: Path) -> AsyncIterator[ReportHouse]:  # noqa: F811
    async with report_house(tmp_path, migrated, days=35, busy=5.0) as found:
        yield found


@contextlib.asynccontextmanager
async def supervisor(house: ReportHouse, language: str = "en") -> AsyncIterator[Desk]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            context = await browser.new_context(
                viewport={"width": 1280, "height": 720}, locale="en-US", accept_downloads=True
            )
            context.set_default_timeout(60_000)
            await context.add_init_script(WATCH + f'localStorage.setItem("cti.language", "{language}");')
            body = {"username": "supervisor", "password": "demo"}
            answer = await context.request.post(f"{house.url}/api/v1/login", data=body, headers={"Origin": house.url})
            assert answer.ok
            desk = Desk(await context.new_page(), house)
            yield desk
            assert desk.faults == []
            assert await desk.page.evaluate("window.__faults") == []
        finally:
            await browser.close()


async def test_a_figure_leads_to_its_calls_and_its_definition(house: ReportHouse) -> None:
    async with supervisor(house) as desk:
        await desk.view("view=queues&period=last_week")
        shown = await desk.one("total-abandoned").get_attribute("data-value")
        row = desk.page.locator("[data-testid=report-table] tr.row", has_text="VIP line")
        abandoned = row.locator("[data-metric=abandoned] button")
        told = int((await abandoned.inner_text()).replace(",", ""))
        assert told < int(shown or 0)
        await abandoned.click()
        await expect(desk.one("drill")).to_have_attribute("data-total", str(told))
        await desk.one("drill-call").first.click()
        await expect(desk.one("call-sheet")).to_be_visible()
        await desk.page.keyboard.press("Escape")
        await expect(desk.one("call-sheet")).to_have_count(0)
        await desk.page.keyboard.press("Escape")
        await expect(desk.one("drill")).to_have_count(0)
        assert await abandoned.evaluate("one => one === document.activeElement")  # the focus is where one was
        level = row.locator("[data-metric=service_level] button")
        await level.click()
        counted = int(await desk.one("drill").get_attribute("data-total") or 0) or None
        await desk.one("part-base").click()
        await expect(desk.one("drill")).not_to_have_attribute("data-total", str(counted))
        await desk.page.keyboard.press("Escape")
        await desk.one("define-service_level").click()
        await expect(desk.one("definition-version")).to_contain_text("1")
        await desk.page.keyboard.press("Escape")


async def test_the_address_is_the_report(house: ReportHouse) -> None:
    async with supervisor(house) as desk:
        page = desk.page
        await desk.view("view=today")
        await expect(desk.one("unfinished")).to_be_visible()
        await desk.one("filter-queue").click()
        await desk.one("choose-queue-vip").check()
        await desk.one("period").select_option("last_7")
        await desk.one("by-0").select_option("day")
        await desk.one("compare").select_option("")
        await page.wait_for_url(re.compile(r"view=today&period=last_7&by=day&compare=none&queue=vip$"))
        await desk.drawn()
        await desk.one("sort-offered").click()
        counts = await page.locator("[data-testid=report-table] tr.row [data-metric=offered]").all_inner_texts()
        numbers = [int(text) for text in counts]
        assert numbers == sorted(numbers, reverse=True)
        address = page.url
        await desk.one("view-agents").click()
        await desk.drawn()
        assert "queue=vip" in page.url  # what one has chosen stays
        await page.go_back()
        await desk.drawn()
        assert page.url == address
        await page.reload()
        await desk.drawn()
        assert await page.locator("[data-testid=report-table] tr.row [data-metric=offered]").all_inner_texts() == counts
        await desk.one("save-open").click()
        await desk.one("save-name").fill("VIP by day")
        await desk.one("save-go").click()
        kept = page.get_by_role("link", name="VIP by day")
        await expect(kept).to_have_attribute("aria-current", "true")
        async with page.expect_download() as waited:
            await desk.one("export-open").click()
            await desk.one("export-csv").click()
        file = await (await waited.value).path()
        assert b"VIP line" in file.read_bytes()
        await desk.view("view=mail")
        await desk.one("mail-add").click()
        await desk.one("mail-to").fill("not an address")
        await desk.one("mail-go").click()
        await expect(desk.one("mail-problem")).to_contain_text("as name@example.com")
        await desk.one("mail-to").fill("ops@example.com")
        await desk.one("mail-go").click()
        await expect(page.locator("[data-testid=schedules] tbody tr")).to_have_count(2)


async def test_charts_are_read_by_keyboard(house: ReportHouse) -> None:
    async with supervisor(house) as desk:
        await desk.view("view=half_hours")
        handle = desk.one("chart-keys")
        await handle.focus()
        before = await handle.get_attribute("aria-valuetext")
        await desk.page.keyboard.press("ArrowRight")
        after = await handle.get_attribute("aria-valuetext")
        assert before != after
        assert "Answered" in (after or "")
        await desk.page.keyboard.press("Enter")
        await expect(desk.one("drill")).to_be_visible()
        await desk.view("view=week_map")
        await desk.one("heat-map-keys").focus()
        await desk.page.keyboard.press("ArrowDown")
        assert "Tue" in (await desk.one("heat-map-keys").get_attribute("aria-label") or "")


async def test_the_audit_and_what_is_done(house: ReportHouse) -> None:
    async with supervisor(house) as desk:
        await desk.view("view=audit")
        await desk.one("target-open").click()
        await desk.one("target-metric").select_option("service_level")
        await desk.one("target-queue").select_option("sales")
        await desk.one("target-value").fill("99.9")
        await desk.one("target-go").click()
        row = desk.one("audit-service_level-sales")
        await expect(row).to_be_visible()
        missed = row.locator("[data-verdict=missed]").first
        await missed.click()
        await desk.one("action-what").fill("One more person on Mondays")
        await desk.one("action-owner").fill("1003")
        await desk.one("action-go").click()
        made = desk.page.locator("[data-testid=actions] tr", has_text="One more person on Mondays")
        await made.get_by_role("button").click()
        await desk.one("settle-result").fill("Back above")
        await desk.one("settle-go").click()
        await expect(made).to_have_attribute("data-state", "done")


async def test_ten_thousand_rows_and_a_database_that_is_away(house: ReportHouse) -> None:
    async with supervisor(house) as desk:
        await desk.view("view=agents&period=last_28&by=agent,half_hour&metrics=handled,aht&compare=none")
        rows = int(await desk.one("report-table").get_attribute("data-rows") or 0)
        assert rows > 1000
        assert await desk.page.locator("[data-testid=report-table] tr.row").count() < 150
        await desk.page.locator(".scroll").evaluate("one => one.scrollTop = one.scrollHeight")
        last = desk.page.locator(f"[data-testid=report-table] tr[aria-rowindex='{rows + 2}']")
        await expect(last).to_be_visible()
        house.reports.away = True
        await desk.one("by-0").select_option("queue")
        await expect(desk.one("report-trouble")).to_be_visible()
        house.reports.away = False
        await desk.one("report-trouble").get_by_role("button").click()
        await expect(desk.one("report-trouble")).to_have_count(0)
        await desk.view("view=today&from=2001-01-01")
        await expect(desk.one("report-empty")).to_be_visible()


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_no_view_stands_in_anybodys_way(house: ReportHouse, language: str) -> None:
    found: dict[str, list[str]] = {}
    async with supervisor(house, language) as desk:
        for view in VIEWS:
            await desk.view(f"view={view}")
            if view == "queues":
                await desk.page.locator("[data-metric=abandoned] button").first.click()
                await desk.page.wait_for_selector("[data-testid=drill-call]")
            for scheme in ("light", "dark"):
                await desk.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                found[f"{view} {scheme}"] = await serious_findings(desk.page)
            wide = await desk.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{view} is {wide} px too wide"
            await asyncio.sleep(0)
    assert not any(found.values()), "\n".join(f"{name}: {one}" for name, all_ in found.items() for one in all_)
