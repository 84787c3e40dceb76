"""Where pictures go, and what taking one means."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.acceptance.browser import Window

IMAGES = Path(__file__).parent / "images"
WITHIN_MS = 120_000
"""A machine that carries a whole centre may take long to draw."""
Picture = Callable[[Window, str], Awaitable[None]]


def say(text: str) -> None:
    """One line of progress."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def picture(window: Window, name: str) -> None:
    """Keep what the window shows."""
    path = IMAGES / f"{name}.png"
    await window.page.mouse.move(0, 0)
    await window.page.evaluate("document.activeElement?.blur()")
    await window.page.screenshot(path=path, timeout=WITHIN_MS)
    say(f"{path.name}: {path.stat().st_size // 1024} kB")
