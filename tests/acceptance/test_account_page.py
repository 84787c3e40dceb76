"""The page of one's own account, by keyboard in a real browser: second factor, a token, the log-in with a code."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from cti.clock import SystemClock
from cti.settings import Access
from cti.web.app import build_app, serving
from cti.web.auth.access_file import code_at, step_of
from tests.acceptance.browser import SWITCHES
from tests.support.axe import serious_findings
from tests.support.fake_floor import FakeFloor, demo_centre, make_deps

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

STATIC = Path(__file__).resolve().parents[2] / "cti" / "web" / "static"


@pytest.mark.parametrize(("locale", "scheme"), [("en-US", "light"), ("zh-CN", "dark")])
async def test_set_up_a_second_factor_make_a_token_and_log_in_with_a_code(
    tmp_path: Path, locale: str, scheme: str
) -> None:
    """An administrator whose role needs a second factor: nothing else opens before; every step by keyboard, axe at each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clock = SystemClock()
    deps = make_deps(
        FakeFloor(demo_centre(), clock=clock),
        tmp_path,
        port=port,
        static=STATIC,
        access=Access(second_factor=("admin",)),
    )
    async with serving(build_app(deps), "127.0.0.1", port), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SWITCHES)
        context = await browser.new_context(
            base_url=f"http://127.0.0.1:{port}",
            viewport={"width": 1280, "height": 720},
            locale=locale,
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        context.set_default_timeout(60_000)
        page = await context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))

        async def log_in() -> None:
            await page.goto("/")
            await page.fill("[data-testid=login-username]", "admin")
            await page.fill("[data-testid=login-password]", "demo")
            await page.keyboard.press("Enter")

        await log_in()
        await page.wait_for_selector("[data-testid=must-enrol]")
        await page.goto("/supervisor")  # nothing else opens: it leads back
        await page.wait_for_url("**/account")
        await page.focus("[data-testid=factor-begin]")
        await page.keyboard.press("Enter")
        await page.fill("[data-testid=again-password]", "wrong")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[data-testid=again-error]:not(:empty)")
        await page.fill("[data-testid=again-password]", "demo")
        await page.keyboard.press("Enter")
        seed = await page.inner_text("[data-testid=factor-seed]")
        assert await serious_findings(page) == []
        await page.fill("[data-testid=factor-digits]", code_at(seed, step_of(clock.now())))
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[data-testid=recovery]")
        codes = await page.locator("[data-testid=recovery] code").all_inner_texts()
        assert len(codes) == 10
        assert await serious_findings(page) == []
        await page.focus("[data-testid=recovery-done]")
        await page.keyboard.press("Enter")

        await page.focus("[data-testid=token-make]")
        await page.keyboard.press("Enter")
        await page.fill("[data-testid=token-name]", "Wall script")
        await page.focus("[data-testid=scope-floor-read]")
        await page.keyboard.press("Space")
        assert await serious_findings(page) == []
        await page.fill("[data-testid=again-password]", "demo")
        await page.fill("[data-testid=again-code]", codes[0])
        await page.keyboard.press("Enter")
        token = await page.inner_text("[data-testid=token-shown]")
        answer = await context.request.get("/api/v1/state", headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 200
        await page.focus("[data-testid=token-revoke]")
        await page.keyboard.press("Enter")
        await page.focus("[data-testid=token-revoke-yes]")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[data-testid=token-row]", state="detached")
        await context.clear_cookies()
        answer = await context.request.get("/api/v1/state", headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 401

        await log_in()
        await page.wait_for_selector("[data-testid=login-code]")
        assert await serious_findings(page) == []
        await page.fill("[data-testid=login-code]", codes[1])
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/supervisor")
        assert errors == []
        await browser.close()
