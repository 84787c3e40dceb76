"""Take the pictures in docs/images from the running product: a whole centre with simulated callers and agents, and Chromium.

Nothing in the pictures is drawn for them: calls are SIP calls, agents log in over the API, the person at the desk is Chromium.
Run: make screenshots
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.picture_floor import every_part, something_done
from docs.picture_pages import every_page
from docs.pictures import IMAGES, picture, say
from tests.acceptance.browser import AgentWindow, Browsers, Window, chromium
from tests.support.centre import ApiPerson, TestCentre, running_centre

DAYS = 28
"""Of invented calls before today: what reports show."""
SHARP = 1.5
"""Picture points for one of the page's."""
PHONE: Any = {"width": 390, "height": 844}
LIVELY_WITHIN = 420.0
PATIENCE = 100.0
"""Seconds to wait for the best picture before a good one will do."""
NOTE = "Delivery of order 4711 moved to Thursday; to be told by message in the morning."


def lively(state: dict[str, Any]) -> bool:
    """Enough is going on: some wait, some talk, some have been served, not everybody does the same."""
    calls = [call["state"] for call in state["calls"].values()]
    agents = {agent["state"] for agent in state["agents"].values()}
    answered = sum(queue["answered_today"] for queue in state["queues"].values())
    talking = calls.count("talking") + calls.count("held")
    return calls.count("waiting") >= 2 and talking >= 3 and answered >= 30 and len(agents) >= 4


async def in_dark(window: Window, dark: bool) -> None:
    """The page follows the system's colours."""
    await window.page.emulate_media(color_scheme="dark" if dark else "light")


async def people_pages(people: Browsers) -> None:
    """Log-in and the caller's page, as a stranger sees them."""
    visitor = await people.visitor("/", device_scale_factor=SHARP, raw_voice=False)
    await visitor.until("login-submit")
    await picture(visitor, "login")
    caller = await people.visitor("/call", device_scale_factor=SHARP, raw_voice=False)
    await caller.until("call-start")
    await caller.page.wait_for_selector("[data-testid=call-start]:not([disabled])")
    await picture(caller, "call")
    # Customers have telephones in their hands.
    await caller.page.set_viewport_size(PHONE)
    for name in ("call", "contact"):
        await caller.page.goto(f"{caller.centre.told['urls']['web'].rstrip('/')}/{name}")
        await asyncio.sleep(2)
        await picture(caller, f"{name}-phone")


async def in_chinese(window: Window, name: str) -> None:
    """The same in Chinese and dark, and back."""
    await in_dark(window, True)
    await window.one("language").click()
    await asyncio.sleep(0.4)  # colours and words have changed
    await picture(window, name)
    await window.one("language").click()
    await in_dark(window, False)


async def with_a_colleague(ada: AgentWindow, bo: AgentWindow) -> None:
    """The dialog that hands over, a colleague asked first, and three on the line."""
    await ada.page.keyboard.press("t")
    await ada.until("place-agent-1002")
    await ada.one("place-agent-1002").click()
    await ada.one("transfer-note").fill("Asks whether Thursday is certain.")
    await asyncio.sleep(0.3)
    await picture(ada, "agent-transfer")
    await ada.one("transfer-ask").click()
    await bo.until("agent-page", step="incoming")
    await bo.page.keyboard.press("a")
    await ada.until("party-1002", state="talking")
    await asyncio.sleep(6)  # so that the strip shows a conversation
    await picture(ada, "agent-asking")
    await in_chinese(ada, "agent-asking-zh-dark")
    await ada.page.keyboard.press("j")
    await ada.until("parties", mode="conference")
    await asyncio.sleep(3)
    await picture(ada, "agent-together")
    await bo.page.keyboard.press("e")
    await ada.page.locator("[data-testid=drop-1002]").wait_for(state="detached")


async def take_calls(ada: AgentWindow, bo: AgentWindow, api: ApiPerson) -> None:
    """Be an agent until somebody known with a history calls, and picture that call."""
    ringing = False
    deadline = time.monotonic() + LIVELY_WITHIN
    while time.monotonic() < deadline:
        await ada.pops(within=120)
        pop = (await api.get("/agent"))["pop"]
        if pop is None:
            continue
        customer = pop["customers"][0] if len(pop["customers"]) == 1 else None
        fits = customer is not None and len(customer["contacts"]) >= 2 and pop["tier"] in ("vip", "gold", "silver")
        # The first picture is for readers of English, and of somebody who used the menu.
        fits = fits and pop["language"] == "en" and pop["choice"] and any(c["note"] for c in customer["contacts"])
        if fits and not ringing:
            await asyncio.sleep(1.2)
            await picture(ada, "agent-ringing")
            ringing = True
        try:
            await ada.answer()
            if fits:
                await ada.page.get_by_test_id("note").fill(NOTE)
                await ada.page.keyboard.press("Escape")
                await ada.page.keyboard.press("1")
                await asyncio.sleep(9)  # so that the timer shows a call and not its beginning
                await ada.until("agent-page", step="talking", within=1)
                await picture(ada, "agent")
                await in_chinese(ada, "agent-zh-dark")
                await with_a_colleague(ada, bo)
                await ada.page.keyboard.press("e")
                await ada.until("agent-page", step="wrap_up")
                await asyncio.sleep(1)
                await picture(ada, "agent-wrap-up")
                await in_chinese(ada, "agent-wrap-up-zh-dark")
                await ada.wrap_up("1")
                return
            await asyncio.sleep(3)
            await ada.page.keyboard.press("e")
            await ada.wrap_up("1")
        except Exception as error:  # the caller left meanwhile: the next one then
            say(f"another call: {str(error).splitlines()[0]}")
            if await ada.one("agent-page").get_attribute("data-step") == "wrap_up":
                await ada.wrap_up("1")
    raise SystemExit("nobody with a history called in time")


async def why(floor: ApiPerson, supervisor: Window) -> None:
    """The story of a caller who waits and about whom something was decided."""
    began = time.monotonic()
    while time.monotonic() < began + LIVELY_WITHIN:
        state = await floor.until(
            "/state", lambda s: any(c["state"] == "waiting" for c in s["calls"].values()), within=LIVELY_WITHIN
        )
        for call_id, call in state["calls"].items():
            if call["state"] != "waiting" or call["language"] != "en" or not call["customer_name"]:
                continue
            told = await floor.get(f"/calls/{call_id}/decisions")
            # Rather one whom somebody missed already.
            missed = any(one["offer_id"] for one in told["decisions"])
            if missed or (told["decisions"] and time.monotonic() > began + PATIENCE):
                try:
                    await supervisor.page.locator(
                        f"[data-testid^=waiting-][data-call='{call_id}'] [data-testid=open-call]"
                    ).click()
                    await supervisor.until("call-sheet", state="waiting", within=2)
                    await supervisor.until("why-now", within=2)
                    await picture(supervisor, "supervisor-why")
                except Exception as error:  # served meanwhile: the next one then
                    say(f"another caller: {str(error).splitlines()[0]}")
                    continue
                await supervisor.one("sheet-close").click()
                return
        await asyncio.sleep(0.5)
    raise SystemExit("nobody waited long enough")


async def floor_pages(floor: ApiPerson, supervisor: Window) -> None:
    """The supervisor's page on a lively floor."""
    await floor.until("/state", lively, within=LIVELY_WITHIN)
    await why(floor, supervisor)
    await picture(supervisor, "supervisor")
    await something_done(floor)
    missed = await every_part(supervisor, floor, picture, "")
    await in_dark(supervisor, True)
    await supervisor.one("language").click()
    await asyncio.sleep(0.4)
    await picture(supervisor, "supervisor-zh-dark")
    missed += await every_part(supervisor, floor, picture, "-zh-dark")
    if missed:
        raise SystemExit(f"not taken: {', '.join(missed)}")


async def desk_without_a_call(ada: AgentWindow) -> None:
    """The desk while nobody calls, and its dialogs."""
    await ada.page.keyboard.press("b")
    await ada.one("reason-break").click()
    await ada.until("agent-state", state="not_ready")
    await ada.until("my-tasks")
    await asyncio.sleep(1.5)  # the tasks are read
    await picture(ada, "agent-not-ready")
    await in_chinese(ada, "agent-not-ready-zh-dark")
    await ada.page.keyboard.press(",")
    await ada.one("mic-test").click()
    await asyncio.sleep(1.5)
    await picture(ada, "agent-sound")
    await ada.page.keyboard.press("Escape")


async def something_to_score(floor: ApiPerson) -> None:
    """Calls of today, with what was said, for whoever scores."""
    forms = (await floor.get("/quality/forms"))["forms"]
    calls = (await floor.get("/calls?limit=50&outcome=answered"))["calls"]
    for call in [one for one in calls if one["recording"] and (one["talk_seconds"] or 0) > 15][:5]:
        await floor.post("/quality/samples", {"call_id": call["call_id"], "form_id": forms[0]["form_id"]})


TARGETS = (("service_level", "", 0.8), ("effective_answer_rate", "", 0.9), ("abandonment_rate", "support", 0.05),
           ("satisfaction_rate", "", 0.85), ("complaint_rate", "", 0.01), ("asa", "sales", 15))  # fmt: skip
"""Figures, queues (empty: the centre) and what they should be."""


async def something_agreed(floor: ApiPerson) -> None:
    """Targets for the service audit."""
    for metric, queue, target in TARGETS:
        await floor.put("/audit/targets", {"metric": metric, "queue": queue, "target": target})


async def all_pages(floor: ApiPerson, people: Browsers) -> None:
    """Every page of the floor's, with four weeks behind it and calls going on."""
    await floor.until("/state", lively, within=LIVELY_WITHIN)
    await something_agreed(floor)
    await every_page(people, picture, prepare=lambda _window: something_to_score(floor))


async def take(centre: TestCentre, folder: Path, *, only: str) -> None:
    """All pictures, or those of one part."""
    async with (
        ApiPerson(centre, "supervisor") as floor,
        ApiPerson(centre, "1001") as api,
        chromium(centre, folder) as people,
    ):
        if only == "--pages":
            await all_pages(floor, people)
            return
        if only == "--floor":
            await floor_pages(floor, await people.supervisor(device_scale_factor=SHARP))
            return
        await people_pages(people)
        supervisor = await people.supervisor(device_scale_factor=SHARP)
        ada = await people.agent("1001", device_scale_factor=SHARP, raw_voice=False)
        bo = await people.agent("1002", raw_voice=False)
        await bo.page.keyboard.press("b")
        await bo.one("reason-admin").click()
        await floor.until(
            "/state", lambda s: sum(q["answered_today"] for q in s["queues"].values()) >= 10, within=LIVELY_WITHIN
        )
        await desk_without_a_call(ada)
        await ada.one("state-ready").click()
        await take_calls(ada, bo, api)
        if only != "--desk":
            await floor_pages(floor, supervisor)
            await all_pages(floor, people)


def main() -> None:
    """Start a centre of its own in a temporary folder, take the pictures, stop it. `--floor`: only the supervisor's;
    `--desk`: only the agent's; `--pages`: only the other pages."""
    IMAGES.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cti-pictures-")))
        folder.chmod(0o755)  # the database runs as another user when we are root
        centre = stack.enter_context(running_centre(folder / "centre", args=("--demo", "--history", str(DAYS))))
        asyncio.run(take(centre, folder, only=sys.argv[1] if len(sys.argv) > 1 else ""))


if __name__ == "__main__":
    main()
