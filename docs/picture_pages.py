"""Pictures of every page a supervisor works with, in English and light, and in Chinese and dark; used by `take_screenshots`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from docs.pictures import Picture
from tests.acceptance.browser import Browsers, Window

SETTLED = 2.0
"""Seconds for what a page fetches and draws. A picture that is taken too early shows "Loading", and is seen to."""
PAGES = (
    ("wall", "/wall"),
    ("reports-queues", "/reports?view=queues&period=last_7"),
    ("reports-trends", "/reports?view=trends"),
    ("reports-week", "/reports?view=week_map&period=last_28"),
    ("reports-waits", "/reports?view=waits&period=last_7"),
    ("reports-menus", "/reports?view=menus&period=last_7"),
    ("staffing", "/reports?view=staffing"),
    ("service-audit", "/reports?view=audit"),
    ("quality", "/quality"),
    ("customers", "/customers"),
    ("work", "/work"),
    ("flows", "/flows"),
    ("prompts", "/prompts"),
    ("contact", "/contact"),
    ("account", "/account"),
)
SIZES: dict[str, Any] = {"wall": {"width": 1920, "height": 1080}}
"""Of the window, where it is not the usual one."""
USUAL: Any = {"width": 1280, "height": 720}


async def every_page(people: Browsers, picture: Picture, *, prepare: Callable[[Window], Awaitable[None]]) -> None:
    """Each page twice. `prepare` gives the pages something to show that time alone does not."""
    window = await people.supervisor()
    await prepare(window)
    base = window.centre.told["urls"]["web"].rstrip("/")
    for chinese in (False, True):
        await window.page.emulate_media(color_scheme="dark" if chinese else "light")
        if chinese:
            await window.page.goto(f"{base}/supervisor")
            await window.one("language").click()
        for name, path in PAGES:
            await window.page.set_viewport_size(SIZES.get(name, USUAL))
            await window.page.goto(base + path)
            await asyncio.sleep(SETTLED)
            await chosen(window, name)
            await picture(window, name + ("-zh-dark" if chinese else ""))


async def chosen(window: Window, name: str) -> None:
    """Open what a person would look at first."""
    if name == "customers":
        with contextlib.suppress(Exception):
            await window.one("search").fill("reed")
            await window.page.locator("[data-testid=found] a").filter(has_text="Reed").first.click(timeout=10_000)
            await asyncio.sleep(2)
    elif name == "flows":
        with contextlib.suppress(Exception):
            await window.page.locator("nav button").filter(has_text="main ·").first.click(timeout=10_000)
            await asyncio.sleep(2)
    elif name == "quality":
        with contextlib.suppress(Exception):
            await window.page.locator("[data-testid=samples] button:not([disabled])").first.click(timeout=2000)
            await asyncio.sleep(1.5)
