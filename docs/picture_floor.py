"""Pictures of what supervisors do on the floor's page: each sheet and dialog on a live call, in English and light, and in Chinese
and dark; used by `take_screenshots`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from docs.pictures import Picture, say
from tests.acceptance.browser import Window
from tests.support.centre import ApiPerson

Step = Callable[[Window, ApiPerson], Awaitable[None]]
WITHIN = 120.0
"""Seconds to look for a call that fits: callers come and go meanwhile."""
SETTLED = 1.0


async def _row(page: Window, floor: ApiPerson, kind: str, fits: Callable[[dict[str, Any]], bool]) -> str:
    """The id of a call in that list of the page that fits."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        state = await floor.get("/state")
        for call_id, call in state["calls"].items():
            row = page.page.locator(f"[data-testid^={kind}][data-call='{call_id}']")
            if fits(call) and await row.count():
                return str(call_id)
        await asyncio.sleep(0.3)
    raise AssertionError(f"no call for {kind} within {WITHIN} s")


async def _talking_call(page: Window, floor: ApiPerson, *, least: float = 4.0) -> None:
    """Open the sheet of somebody who talks, and has just begun to: so that the call is still there afterwards."""

    def fits(call: dict[str, Any]) -> bool:
        since = datetime.fromisoformat(call["since"]) if call["state"] == "talking" else None
        return since is not None and least < (datetime.now(UTC) - since).total_seconds() < 15

    call_id = await _row(page, floor, "call-row", fits)
    await page.page.locator(f"[data-testid=call-row][data-call='{call_id}'] [data-testid=open-call]").click()
    await page.until("call-sheet", state="talking", within=5)


async def move(page: Window, floor: ApiPerson) -> None:
    """What can be done with a waiting caller's place."""
    call_id = await _row(page, floor, "waiting-", lambda call: call["state"] == "waiting")
    await page.page.locator(f"[data-testid^=waiting-][data-call='{call_id}'] [data-testid^=place-]").click()
    await page.until("placing", within=5)


async def timeline(page: Window, floor: ApiPerson) -> None:
    """The story of a call as a time line."""
    await _talking_call(page, floor)
    await page.until("time-line")
    await page.one("time-line").scroll_into_view_if_needed()


async def listen(page: Window, floor: ApiPerson) -> None:
    """A part in a call: the page's own telephone listens."""
    await _talking_call(page, floor, least=0.0)
    await page.one("watch-listen").click()
    await page.until("call-acts", mode="listen", state="there", phone="talking", within=30)


async def send(page: Window, floor: ApiPerson) -> None:
    """Where a call can be sent."""
    await _talking_call(page, floor, least=0.0)
    await page.one("call-send").click()
    await page.until("send-dialog")


async def audit(page: Window, _floor: ApiPerson) -> None:
    """What supervisors have done."""
    await page.page.locator("[data-testid^=queue-open-]").first.click()
    await page.one("queue-log").click()
    await page.one("log-subject").fill("")
    await page.one("log-show").click()
    await page.page.locator("[data-testid=act]").first.wait_for()


async def alerts(page: Window, _floor: ApiPerson) -> None:
    """What is beyond its threshold, and who has seen to it."""
    await page.page.keyboard.press("a")
    await page.until("alerts")


async def queue(page: Window, _floor: ApiPerson) -> None:
    """A queue: its service level of now, an hour and the day, and its acts."""
    await page.page.locator("[data-testid^=queue-open-]").first.click()
    await page.until("queue-levels")


async def agent(page: Window, floor: ApiPerson) -> None:
    """An agent's day, and what can be done."""
    state = await floor.get("/state")
    busy = max(state["agents"].values(), key=lambda one: one["calls_today"])
    await page.one(f"agent-{busy['agent_id']}").click()
    await page.until("agent-acts")


async def figure(page: Window, _floor: ApiPerson) -> None:
    """A figure of the strip: the day's line, the definition, the calls."""
    await page.one("figure-service-level").click()
    await asyncio.sleep(SETTLED)


PARTS: dict[str, Step] = {
    "move": move,
    "timeline": timeline,
    "listen": listen,
    "send": send,
    "queue": queue,
    "agent": agent,
    "figure": figure,
    "alerts": alerts,
    "audit": audit,
}
"""Each becomes the picture `supervisor-<name>`."""


async def something_done(floor: ApiPerson) -> None:
    """Acts for the audit log, and an announcement and a message that can be seen."""
    state = await floor.get("/state")
    agent_id = next(iter(state["agents"]))
    await floor.post("/messages", {"agents": [agent_id], "text": "Call me when you have a minute, please."})
    name = next(iter(state["queues"]))
    await floor.post(f"/queues/{name}/open", {"open": False, "until": None, "reason": "Fire drill"})
    await floor.post(f"/queues/{name}/open", {"open": None, "until": None, "reason": "It is over"})


async def every_part(page: Window, floor: ApiPerson, picture: Picture, suffix: str) -> list[str]:
    """A picture of each part as the page is now (language and colours); gives those that could not be taken."""
    missed = []
    for name, step in PARTS.items():
        for tries in range(3):
            try:
                await step(page, floor)
                await asyncio.sleep(SETTLED)
                await picture(page, f"supervisor-{name}{suffix}")
            except Exception as error:  # the call has ended meanwhile, or it stands in the way: anew
                say(f"supervisor-{name}{suffix}, again: {str(error).splitlines()[0]}")
                if tries == 2:
                    missed.append(f"supervisor-{name}{suffix}")
                continue
            finally:
                await _close(page, floor)
            break
    return missed


async def _close(page: Window, floor: ApiPerson) -> None:
    await floor.post("/supervision/stop")
    for _ in range(3):
        await page.page.keyboard.press("Escape")
        await asyncio.sleep(0.2)
