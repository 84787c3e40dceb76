"""axe-core in the page under test: what stands in the way of people who use a screen reader, a keyboard, or weak eyes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Page

SCRIPT = Path(__file__).resolve().parents[2] / "cti" / "web" / "ui" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")


async def serious_findings(page: Page) -> list[str]:
    """Serious and critical findings of axe-core on the page as it stands: rule, place, and what is wrong."""
    assert SCRIPT.is_file(), "axe-core is not installed: make ui"
    # Evaluated by the browser's own tools: the page's policy would rightly not load it.
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    result: dict[str, Any] = await page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{finding['id']}: {node['target']}: {node['html'][:160]} - {(node.get('failureSummary') or '')[:300]}"
        for finding in result["violations"]
        if finding["impact"] in SERIOUS
        for node in finding["nodes"]
    ]
