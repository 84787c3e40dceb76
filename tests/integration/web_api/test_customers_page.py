"""The customers' page in Chromium over the real customer file: naughty texts, two editors, a database that goes away, a file,
a number that is clicked, and nothing that stands in people's way (axe-core), in both languages and colour schemes."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from cti.crm.demo import load
from cti.services.customer_file import CustomField
from cti.web.app import build_app, serving
from tests.acceptance.browser import SWITCHES
from tests.support.axe import serious_findings
from tests.support.customers import Customers, customer_work  # noqa: F401 - a fixture
from tests.support.fake_floor import FakeFloor, demo_centre, make_deps
from tests.support.pages import comes_true
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

STATIC = Path(__file__).resolve().parents[3] / "cti" / "web" / "static"
EVIL = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>{{hit}}\'"` Ω李👩‍👩‍👧'


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
async def page(customer_work: Customers, tmp_path: Path) -> AsyncIterator[Page]:
    await load(customer_work.pool)
    port = _free_port()
    deps = make_deps(FakeFloor(demo_centre()), tmp_path, port=port, customers=customer_work.rooms, static=STATIC)
    async with serving(build_app(deps), "127.0.0.1", port), async_playwright() as tools:
        browser = await tools.chromium.launch(executable_path="/usr/bin/chromium", args=list(SWITCHES))
        context = await browser.new_context(
            base_url=f"http://127.0.0.1:{port}",
            viewport={"width": 1280, "height": 720},
            locale="en-US",
            reduced_motion="reduce",
        )
        context.set_default_timeout(60_000)
        shown = await context.new_page()
        await shown.goto("/")
        answer = await context.request.post("/api/v1/login", data={"username": "supervisor", "password": "demo"})
        assert answer.ok
        yield shown
        await browser.close()


async def card(page: Page, number: int) -> None:
    await page.goto(f"/customers#{number}")
    await page.reload()  # a page that only changes its hash keeps what it showed
    await page.wait_for_selector("[data-testid=card-name]")


async def test_naughty_texts_run_nothing_and_lose_nothing(page: Page, customer_work: Customers) -> None:
    alarms: list[str] = []
    page.on("pageerror", lambda error: alarms.append(str(error)))
    page.on("dialog", lambda dialog: alarms.append(dialog.message))
    await customer_work.rooms.file.define_fields([CustomField(name="free", title=EVIL, kind="text")])
    await page.goto("/customers#new")
    for field in ("name", "company", "reference", "notes"):
        await page.fill(f"[data-testid=edit-{field}]", EVIL)
    await page.fill("[data-testid=edit-tags]", EVIL[:30])
    await page.get_by_label(EVIL).fill(EVIL)
    await page.click("[data-testid=add-phone]")
    await page.fill("[data-testid=edit-phone-0]", "(555) 010-7777")
    await page.get_by_label("Label 1").fill(EVIL[:40])
    await page.select_option("[data-testid=consent-call]", "refused")
    await page.get_by_label("How we know: Calls").fill(EVIL)
    await page.click("[data-testid=save]")
    assert await page.text_content("[data-testid=card-name]") == EVIL
    await page.wait_for_selector("[data-testid=do-not-call]")
    await page.click("[data-testid=tab-notes]")
    await page.fill("[data-testid=note-text]", EVIL)
    await page.click("[data-testid=note-add]")
    await page.wait_for_selector("[data-testid=notes] li")
    await page.click("[data-testid=edit]")
    await page.fill("[data-testid=edit-company]", EVIL + "2")
    await page.click("[data-testid=save]")
    await page.click("[data-testid=tab-history]")
    await page.wait_for_selector("[data-testid=history] del")
    await page.click("[data-testid=tab-same]")
    await page.fill("[data-testid=search]", "window.hit")
    await page.wait_for_selector("[data-testid=found] li")
    (row,) = await customer_work.rooms.file.search("5550107777")
    kept = await customer_work.rooms.file.get(row.customer_id)
    assert kept is not None
    assert (kept.name, kept.company, kept.reference, kept.notes) == (EVIL, EVIL + "2", EVIL, EVIL)
    assert kept.fields == {"free": EVIL}
    assert kept.consents[0].how == EVIL
    assert [note.text for note in await customer_work.rooms.file.notes(kept.customer_id)] == [EVIL]
    assert await page.evaluate("() => window.hit ?? null") is None
    assert alarms == []
    # A number that is clicked is told to whoever shows the card.
    await page.evaluate("() => document.addEventListener('cti-dial', (event) => (window.wish = event.detail))")
    await page.click("[data-testid=dial]")
    assert await page.evaluate("() => window.wish") == {"number": "+15550107777", "customer_id": kept.customer_id}


async def test_two_editors_and_a_database_that_goes_away(page: Page, customer_work: Customers) -> None:
    file = customer_work.rooms.file
    await card(page, 1)
    await page.click("[data-testid=edit]")
    await page.fill("[data-testid=edit-email]", "mine@example.com")
    await page.fill("[data-testid=edit-company]", "Mine")
    await file.change(1, {"email": "theirs@example.com"}, version=1, by="1002")  # type: ignore[arg-type]
    await page.click("[data-testid=save]")
    await page.wait_for_selector("[data-testid=conflict]")
    assert not await page.is_checked("[data-testid=mine-email]"), "what the other changed stays unless it is chosen"
    assert await page.is_checked("[data-testid=mine-company]")
    assert await serious_findings(page) == []
    await page.check("[data-testid=mine-email]")
    await page.click("[data-testid=settle]")
    await page.wait_for_selector("[data-testid=card-name]")
    kept = await file.get(1)  # type: ignore[arg-type]
    assert kept is not None
    assert (kept.email, kept.company) == ("mine@example.com", "Mine")
    await page.click("[data-testid=edit]")
    await page.fill("[data-testid=edit-notes]", "a long text\nthat took a while")
    await page.click("[data-testid=tab-notes]")
    await page.fill("[data-testid=note-text]", "a note, too")
    await customer_work.pool.close()
    await page.click("[data-testid=save]")
    await page.wait_for_selector("[data-testid=said]")
    assert "Nothing is lost" in (await page.text_content("[data-testid=said]") or "")
    assert await page.input_value("[data-testid=edit-notes]") == "a long text\nthat took a while"
    await page.click("[data-testid=note-add]")
    assert await page.input_value("[data-testid=note-text]") == "a note, too"


async def test_a_file_by_keyboard_and_mouse_and_nothing_in_the_way(page: Page, customer_work: Customers) -> None:
    await page.goto("/customers#import")
    await page.set_input_files(
        "[data-testid=import-file]",
        files=[
            {
                "name": "客户.csv",
                "mimeType": "text/csv",
                "buffer": "编号,姓名,手机\nX1,王芳,13900000001\nX2,,1\n".encode("gb18030"),
            }
        ],
    )
    await page.wait_for_selector("[data-testid=import-run]:not([disabled])")
    found = {"import": await serious_findings(page)}
    async with page.expect_response("**/imports/*/run"):  # before it is asked for there is nothing to take
        await page.click("[data-testid=import-run]")
    await customer_work.imports.take_all(1)
    await page.wait_for_selector("[data-testid=import-progress][data-state=done]")
    assert "Line 3" in (await page.text_content("[data-testid=import-problems]") or "")
    await page.keyboard.press("/")
    await page.keyboard.type("王")
    await comes_true(page, "document.querySelectorAll('[data-row]').length === 2")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-testid=card-name]")
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await page.click("[data-testid=language]")
        for tab in ("timeline", "notes", "history", "same", "privacy"):
            await page.click(f"[data-testid=tab-{tab}]")
            found[f"{tab} {scheme}"] = await serious_findings(page)
        await page.click("[data-testid=edit]")
        found[f"edit {scheme}"] = await serious_findings(page)
        await page.keyboard.press("Escape")
        await page.wait_for_selector("[data-testid=card-name]")
    assert not any(found.values()), found
