"""The page /quality and the feedback on the desk in Chromium: a form is designed, a call sampled and scored by keyboard, the
agent reads and answers, the answer reaches the scorer; nothing serious for axe-core in any tab."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.acceptance.browser import SWITCHES
from tests.support.axe import serious_findings
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.support.quality_stage import QualitySite, quality_site

expect.set_options(timeout=60_000)  # as all waits of the pages: it finds what hangs
pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

TABS = ("score", "scored", "calibration", "trends", "survey", "day", "feedback", "forms", "plans")


@pytest.fixture
async def site(migrated: str, tmp_path: Path) -> AsyncIterator[QualitySite]:
    async with quality_site(migrated, tmp_path) as site:
        yield site


class Person:
    """Somebody's page; what the console says is kept."""

    def __init__(self, page: Page, site: QualitySite) -> None:
        self.page, self.site = page, site
        self.said: list[str] = []
        page.on("console", lambda line: self.said.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}"))

    def one(self, testid: str) -> Any:
        return self.page.get_by_test_id(testid)

    async def go(self, path: str, ready: str) -> None:
        await self.page.goto(self.site.url + path)
        await self.page.wait_for_selector(ready)

    async def until(self, testid: str, **data: str) -> None:
        wanted = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
        await self.page.locator(f'[data-testid="{testid}"]{wanted}').first.wait_for(state="attached")


@contextlib.asynccontextmanager
async def people(site: QualitySite, *names: str, **options: Any) -> AsyncIterator[list[Person]]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program is not None, "chromium is not on PATH"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, headless=True, args=list(SWITCHES))
        found = []
        for name in names:
            context = await browser.new_context(viewport={"width": 1280, "height": 720}, locale="en-US", **options)
            context.set_default_timeout(60_000)
            await context.add_cookies([{"name": "cti_session", "value": site.tokens[name], "url": site.url}])
            found.append(Person(await context.new_page(), site))
        try:
            yield found
        finally:
            await browser.close()
    said = [line for person in found for line in person.said if not re.search(r"WebSocket|40[49]|503|8088", line)]
    assert said == []


async def design(boss: Person) -> None:
    """A form of one section with two items, by hand."""
    await boss.one("tab-forms").click()
    await boss.one("form-new").click()
    await boss.one("form-title-en").fill("Short check")
    await boss.one("form-title-zh").fill("简表")
    await boss.one("section-0-en").fill("All of it")
    await boss.one("item-0-0-en").fill("Friendly")
    await boss.one("item-0-0-name").fill("friendly")
    await boss.one("section-0-add").click()
    await boss.one("item-0-1-en").fill("Said goodbye")
    await boss.one("item-0-1-name").fill("goodbye")
    await boss.one("item-0-1-kind").select_option("yes_no")
    await boss.one("form-save").click()
    await boss.until("form-saved")
    await boss.until("form-editor", version="1")


async def test_from_a_form_to_the_agents_answer(site: QualitySite) -> None:
    await site.call("pbx1-1.1", hold=95, score=2)
    async with people(site, "supervisor", "1001") as (boss, ada):
        await boss.go("/quality", "[data-testid=quality-page][data-ready=true]")
        await design(boss)

        await boss.one("tab-plans").click()
        await boss.one("plan-new").click()
        await boss.one("plan-title").fill("Two a week")
        await boss.page.get_by_test_id("plan-editor").locator("select").nth(1).select_option(label="Short check")
        await boss.one("plan-save").click()
        await boss.one("plan-draw").click()
        await boss.until("plan-drawn", count="1")

        await boss.one("tab-score").click()
        await boss.page.locator("[data-testid^=sample-][data-call]").first.click()
        await boss.until("scoring", state="draft")
        await boss.until("no-recording")
        await boss.page.locator("[data-testid=timeline] li").nth(3).wait_for()
        await boss.until("item-friendly", current="true")
        keyboard = boss.page.keyboard
        await keyboard.press("4")
        await boss.until("item-friendly", value="4")
        await keyboard.press("Enter")
        await boss.until("item-goodbye", current="true")
        await keyboard.press("2")
        await boss.until("item-goodbye", value="no")
        await keyboard.press("r")
        await keyboard.type("Hung up without a word")
        await keyboard.press("Enter")
        await boss.until("scoring", saving="saved")
        await boss.until("total", total="37.5")
        await boss.page.reload()  # the draft is the server's
        await boss.page.locator("[data-testid^=sample-][data-call]").first.click()
        await boss.until("item-friendly", value="4")
        await expect(boss.one("remarks")).to_contain_text("Hung up without a word")
        await keyboard.press("Control+Enter")
        await boss.until("scoring", state="released")

        await boss.one("tab-feedback").click()
        await boss.one("note-agent").fill("1001")
        await boss.one("note-kind").select_option("coaching")
        await boss.one("note-text").fill("Say goodbye, please.")
        await boss.one("note-send").click()
        await boss.until("note-sent")

        await ada.go("/agent", "[data-testid=feedback]")
        await ada.until("feedback", new="2")
        await ada.one("feedback-toggle").click()
        await ada.page.locator("[data-testid^=note-answer-]").fill("I will.")
        await ada.page.locator("[data-testid^=note-acknowledge-]").click()
        await ada.page.locator("[data-testid^=my-score-]").click()
        await ada.until("my-score")
        await expect(ada.one("my-score")).to_contain_text("Hung up without a word")
        await ada.until("feedback", new="0")
        for scheme in ("light", "dark"):
            await ada.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            assert await serious_findings(ada.page) == []
        await ada.one("my-reply").fill("The caller hung up first.")
        await ada.one("my-review").click()
        await expect(ada.one("my-score")).to_contain_text("The caller hung up first.")

        await boss.one("tab-scored").click()
        await boss.page.locator("[data-testid^=score-]").first.click()
        await expect(boss.one("replies")).to_contain_text("The caller hung up first.")
        await boss.one("revise").click()
        await boss.one("answer-goodbye-na").click()
        await boss.one("revise-reason").fill("Right: the caller was gone")
        await boss.one("revise-save").click()
        await boss.until("total", total="75")
        await boss.one("reply-text").fill("You are right.")
        await boss.one("reply-answer").click()
        await expect(boss.one("history")).to_contain_text("Right: the caller was gone")

        await ada.go("/quality#mine", "[data-testid=quality-page][data-ready=true]")
        await ada.page.locator("[data-testid^=score-]").first.click()
        await expect(ada.one("replies")).to_contain_text("You are right.")
    done = [one["act"] for one in site.acts.acts]
    assert done == [
        "quality_form_add", "quality_plan_add", "quality_plan_draw", "quality_score_submit", "quality_note_write",
        "quality_score_revise",
    ]  # fmt: skip


async def test_every_tab_in_both_schemes_and_languages_and_a_low_score_becomes_a_complaint(site: QualitySite) -> None:
    for n in range(12):
        await site.call(
            f"pbx1-2.{n}",
            agent=f"100{n % 4 + 1}",
            queue=("support", "sales")[n % 2],
            score=n % 5 + 1,
            comment=n % 5 == 0,
        )
    found: dict[str, list[str]] = {}
    async with people(site, "supervisor") as (boss,):
        await boss.go("/quality#survey", "[data-testid=quality-page][data-ready=true]")
        low = boss.page.locator("[data-testid^=low-pbx1]").first
        await low.get_by_test_id("low-complaint").click()
        await expect(low.get_by_role("link").first).to_contain_text("Complaint #")
        for tab in TABS:
            await boss.one(f"tab-{tab}").click()
            await boss.until("quality-page", tab=tab)
            if tab == "forms":
                await boss.page.locator("[data-testid^=form-][data-testid$='1']").first.click()
            if tab == "plans":
                await boss.one("plan-new").click()
            await boss.page.wait_for_load_state("networkidle")
            for scheme in ("light", "dark"):
                await boss.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
                found[f"{tab} {scheme}"] = await serious_findings(boss.page)
    assert not any(found.values()), "\n".join(f"{name}: {one}" for name, all_ in found.items() for one in all_)
