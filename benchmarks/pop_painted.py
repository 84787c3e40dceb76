"""From the offer to the screen pop painted in Chromium, with two hundred desks connected.

    python -m benchmarks.pop_painted [--pops 200] [--desks 200] [--rates 0 10000]

The bridge and its stand-in for Asterisk are those of `benchmarks.pop`. Two of the desks are the shipped page in headless
Chromium, the others are feeds in a process of their own. Timed is from the offer, as the pop itself says it (`offered_at`; the
wall clock of the one machine), to the first moment after the frame that drew it: a message posted in the animation frame after
the pop was put into the page. Wanted: 100 ms in 99 of 100.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from playwright.async_api import Page, async_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import bridge_cpu
from benchmarks.pop import ACTIVE, CALLERS, Background, desks, tokens_of
from tests.acceptance.browser import OBSERVER, SWITCHES

SETTLED = 0.1
"""Seconds between the events of one call: a pop must be painted before the call goes on, or nobody could see it."""
FEED = r"""
(() => {
  const offered = (window.__offered = {});
  window.WebSocket = class extends window.WebSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", (event) => {
        for (const [, offer, at] of String(event.data).matchAll(/"offer_id":"?(\d+)"?.*?"offered_at":"([^"]+)"/g)) offered[offer] ??= at;
      });
    }
  };
})();
"""
"""Remembers when the server says that each pop was offered."""


async def page_of(browser: object, port: int, token: str) -> Page:
    """The desk of an agent who is logged in."""
    context = await browser.new_context()  # type: ignore[attr-defined]
    await context.add_cookies([{"name": "cti_session", "value": token, "url": f"http://127.0.0.1:{port}"}])
    await context.add_init_script(OBSERVER)
    await context.add_init_script(FEED)
    page: Page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{port}/agent")
    await page.get_by_test_id("agent-page").wait_for(state="attached")
    return page


async def painted(page: Page) -> list[float]:
    """Milliseconds from each offer to its pop drawn; forgets them."""
    notes = await page.evaluate("() => window.__notes.splice(0).filter((n) => n.what === 'pop_drawn')")
    offered = await page.evaluate("() => window.__offered")
    origin = await page.evaluate("performance.timeOrigin")
    return [
        origin + note["at"] - datetime.fromisoformat(offered[note["offer"]]).timestamp() * 1000
        for note in notes
        if note["offer"] in offered
    ]


async def measure(asked: argparse.Namespace) -> None:
    """All rates, one after the other, with one bridge."""
    bridge_cpu.BETWEEN = SETTLED
    agents = [str(2001 + number) for number in range(asked.desks)]
    spawn = multiprocessing.get_context("spawn")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("Chromium is not there: apt-get install chromium")
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cti-bench-")))
        os.chmod(folder, 0o711)
        calls, _, settings = await stack.enter_async_context(bridge_cpu.bridge(folder, agents, None, ACTIVE))
        port, tokens = settings.ports.of("web"), tokens_of(settings, agents)
        timed = {agent: tokens.pop(agent) for agent in ACTIVE}
        ready, seen = spawn.Semaphore(0), spawn.Queue()
        child = spawn.Process(target=desks, args=(port, tokens, ready, seen), daemon=True)
        child.start()
        stack.callback(child.terminate)
        for _ in tokens:
            if not await asyncio.to_thread(ready.acquire, True, 60):
                raise RuntimeError("a desk did not connect")
        driver = await stack.enter_async_context(async_playwright())
        browser = await driver.chromium.launch(executable_path=chromium, args=list(SWITCHES))
        stack.push_async_callback(browser.close)
        pages = [await page_of(browser, port, token) for token in timed.values()]
        noise = Background(calls._ami)
        for rate in (None, *asked.rates):
            began, sent = time.perf_counter(), noise.sent
            task = asyncio.create_task(noise.run(rate or 0))
            count = 2 if rate is None else max(1, asked.pops // CALLERS)
            async with asyncio.timeout(900):
                await asyncio.gather(*(calls.caller(count) for _ in range(CALLERS)))
            task.cancel()
            seconds = time.perf_counter() - began
            late = sorted([value for page in pages for value in await painted(page)])
            if rate is None:
                continue  # warm-up
            print(
                f"{(noise.sent - sent) / seconds:8.0f} events/s, {asked.desks} desks: offer -> painted, N {len(late)}"
                f" p50 {late[len(late) // 2]:.1f} p90 {late[int(len(late) * 0.9)]:.1f} p99 {late[int(len(late) * 0.99)]:.1f}"
                f" max {late[-1]:.1f} ms; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=re.sub(r"(?s)\n\n.*", "", __doc__ or ""))
    parser.add_argument("--pops", type=int, default=200, help="at each rate")
    parser.add_argument("--desks", type=int, default=200)
    parser.add_argument("--rates", type=int, nargs="+", default=[0, 10000])
    asyncio.run(measure(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
