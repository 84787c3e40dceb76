"""Headless Chromium on the pages: what a person would see, press and hear, with the moments at which it happened.

The pages are the shipped ones. A script put in before them (by the browser's own tools, not through the pages' policy)
notes on the page's own clock when SIP messages and drawn elements arrived; it changes nothing. Sound is read from the
audio element that plays the far end; the microphone is a WAV file with a tone.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import shutil
import struct
import time
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, WebError, async_playwright

from tests.support.centre import TestCentre

MICROPHONE_HERTZ = 440

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)

OBSERVER = r"""
(() => {
  const notes = (window.__notes = []);
  const note = (what, more) => notes.push({ what, at: performance.now(), wall: Date.now() / 1000, ...more });
  document.addEventListener(
    "securitypolicyviolation",
    (event) => note("csp", { text: `${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}` }),
    true,
  );
  const sip = (way, text) => {
    if (typeof text !== "string") return;
    const first = /^(?:SIP\/2\.0 (\d+)|([A-Z]+) sips?:)/.exec(text);
    if (!first) return;
    const header = (name) => new RegExp(`^${name}:\\s*(.*?)\\s*$`, "im").exec(text)?.[1] ?? "";
    note("sip", { way, kind: first[1] ?? first[2], of: header("CSeq").split(" ")[1] ?? "", offer: header("X-CTI-Offer") });
  };
  window.WebSocket = class extends window.WebSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", (event) => sip("in", event.data));
    }
    send(data) {
      sip("out", data);
      super.send(data);
    }
  };
  const kept = {};
  // What a person hears: the page makes its ring tone of oscillators, and nothing else of them.
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...given) {
    look();
    note("ring_tone", { offer: document.querySelector("[data-testid=pop]")?.dataset.offer ?? "" });
    start.apply(this, given);
  };
  const look = () => {
    const pop = document.querySelector("[data-testid=pop]");
    const offer = pop?.dataset.offer ?? "";
    if (offer !== (kept.offer ?? "")) {
      kept.offer = offer;
      if (offer) {
        note("pop", { offer, text: pop.innerText });
        requestAnimationFrame(() => {
          const after = new MessageChannel();
          after.port1.onmessage = () => note("pop_drawn", { offer });
          after.port2.postMessage(0);
        });
      }
    }
    const step = document.querySelector("[data-testid=agent-page]")?.dataset.step ?? "";
    if (step !== (kept.step ?? "")) note("step", { step: (kept.step = step) });
    const link = document.querySelector("[data-testid=link]")?.dataset.state ?? "";
    if (link !== (kept.link ?? "")) note("link", { state: (kept.link = link), text: document.querySelector("[data-testid=link]").innerText });
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
  document.addEventListener("click", (event) => {
    const id = event.target.closest?.("[data-testid]")?.dataset.testid;
    if (id) note("click", { id });
  }, true);
  document.addEventListener("keydown", (event) => note("key", { key: event.key }), true);
})();
"""

HEARD = r"""
async () => {
  const audio = document.querySelector("[data-testid=remote-audio]");
  const stream = audio?.srcObject;
  if (!stream || audio.paused) return null;
  const sound = (window.__sound ??= new AudioContext());
  await sound.resume();
  if (window.__heard?.stream !== stream) {
    const meter = sound.createAnalyser();
    meter.fftSize = 16384;
    meter.smoothingTimeConstant = 0;
    sound.createMediaStreamSource(stream).connect(meter);
    window.__heard = { stream, meter, from: sound.currentTime };
  }
  const { meter, from } = window.__heard;
  if (sound.currentTime - from < 0.6) return null;
  const bins = new Float32Array(meter.frequencyBinCount);
  meter.getFloatFrequencyData(bins);
  const step = sound.sampleRate / meter.fftSize;
  let peak = 0;
  for (let bin = 1; bin < bins.length; bin++) if (bins[bin] > bins[peak]) peak = bin;
  let total = 0;
  let near = 0;
  for (let bin = 1; bin < bins.length; bin++) {
    const power = 10 ** (bins[bin] / 10);
    total += power;
    if (Math.abs(bin - peak) * step <= 20) near += power;
  }
  return { hertz: peak * step, decibels: bins[peak], share: near / total };
}
"""


def write_tone(path: Path, hertz: int = MICROPHONE_HERTZ, *, seconds: int = 10, rate: int = 48000) -> None:
    """A tone at half level. Whole seconds of a whole frequency, so that it repeats without a click."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        one = b"".join(struct.pack("<h", int(16000 * math.sin(2 * math.pi * hertz * i / rate))) for i in range(rate))
        file.writeframes(one * seconds)


class Window:
    """One person's page, in a browser profile of its own."""

    def __init__(self, page: Page, centre: TestCentre) -> None:
        self.page = page
        self.centre = centre
        self._said: list[tuple[float, str]] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._said.append((time.time(), f"uncaught: {error}")))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = (message.location or {}).get("url", "")
            self._said.append((time.time(), f"{message.type}: {message.text} [{where}]"))

    # -- looking

    def one(self, testid: str) -> Any:
        """The element with this test id."""
        return self.page.get_by_test_id(testid)

    async def until(self, testid: str, fits: str | re.Pattern[str] = "", *, within: float = 60, **data: str) -> None:
        """Wait until the element is there with these data attributes and this text in it."""
        wanted = "".join(f'[data-{name.replace("_", "-")}="{value}"]' for name, value in data.items())
        found = self.page.locator(f'[data-testid="{testid}"]{wanted}')
        if fits:
            found = found.filter(has_text=fits)
        await found.first.wait_for(state="attached", timeout=within * 1000)

    async def text(self, testid: str) -> str:
        """What the element says."""
        return str(await self.one(testid).first.inner_text())

    async def notes(self, what: str = "", **fits: Any) -> list[dict[str, Any]]:
        """What the observer noted, oldest first."""
        notes = await self.page.evaluate("() => window.__notes")
        return [n for n in notes if (not what or n["what"] == what) and all(n.get(k) == v for k, v in fits.items())]

    async def note(self, what: str, *, within: float = 60, **fits: Any) -> dict[str, Any]:
        """The last such note, waited for."""
        deadline = time.monotonic() + within
        while True:
            found = await self.notes(what, **fits)
            if found:
                return found[-1]
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} {fits} within {within} s; noted: {await self.notes()}")
            await asyncio.sleep(0.02)

    # -- hearing

    async def hears(self, hertz: float, *, within: float = 60) -> dict[str, float]:
        """Wait until the far end sounds as this tone and little else."""
        deadline = time.monotonic() + within
        heard = None
        while time.monotonic() < deadline:
            heard = await self.page.evaluate(HEARD)
            if heard and abs(heard["hertz"] - hertz) < 8 and heard["share"] > 0.8 and heard["decibels"] > -60:
                return dict(heard)
            await asyncio.sleep(0.1)
        raise AssertionError(f"not {hertz} Hz on the page within {within} s, but {heard}")

    async def hears_something(self, *, within: float = 60) -> None:
        """Wait until the far end is to be heard at all."""
        deadline = time.monotonic() + within
        heard = None
        while time.monotonic() < deadline:
            heard = await self.page.evaluate(HEARD)
            if heard and heard["decibels"] is not None and heard["decibels"] > -60:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"silence on the page for {within} s: {heard}")

    async def hears_nothing(self, *, within: float = 20) -> None:
        """Wait until the far end is silent."""
        deadline = time.monotonic() + within
        heard = None
        while time.monotonic() < deadline:
            heard = await self.page.evaluate(HEARD)
            if heard and (heard["decibels"] is None or heard["decibels"] < -70):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"not silent within {within} s: {heard}")

    # -- what went wrong

    async def faults(self, *allowed: str) -> list[str]:
        """Violations of the policy, console errors and warnings, uncaught errors, but those that match a pattern."""
        said = [text for _, text in self._said]
        with contextlib.suppress(Exception):
            said += [f"policy: {note['text']}" for note in await self.notes("csp")]
        return [text for text in said if not any(re.search(pattern, text) for pattern in (*ALWAYS_ALLOWED, *allowed))]


ALWAYS_ALLOWED = (
    # The log-in page asks whether one is logged in already; the browser writes each such 401 to its console.
    r"status of 401 .*\[https?://[^/]+/api/v1/me\]$",
)
SERVER_GONE = (
    r"WebSocket connection to .* failed",
    r"Failed to load resource: net::ERR_",
    r"WebSocket is already in CLOSING or CLOSED state",
)
"""What a browser itself says on its console while the server is away."""


class AgentWindow(Window):
    """The agent page of one agent, calls taken in this browser."""

    async def log_in(self, extension: str) -> None:
        """Log in as a person does, then let the phone sign on."""
        await log_in(self, extension)
        await self.page.wait_for_url("**/agent")
        await self.until("agent-page")
        await self.one("device-browser").check()
        await self.until("phone-state", line="ready")

    async def ready(self) -> None:
        """Press Ready."""
        await self.one("state-ready").click()
        await self.until("agent-state", state="ready")

    async def ready_or_called(self) -> None:
        """Press Ready while somebody waits: the call comes at once."""
        await self.one("state-ready").click()

    async def pops(self, *, within: float = 60) -> str:
        """Wait for the next screen pop; gives its offer."""
        await self.one("pop").wait_for(timeout=within * 1000)
        return str(await self.one("pop").get_attribute("data-offer"))

    async def answer(self) -> None:
        """Press the key that answers, and be connected."""
        await self.page.keyboard.press("a")
        await self.until("agent-page", step="talking")

    async def wrap_up(self, key: str = "1", note: str = "") -> None:
        """Choose the outcome by its key, write a note, press Done."""
        await self.until("agent-page", step="wrap_up")
        await self.page.keyboard.press(key)
        if note:
            await self.one("note").fill(note)
        await self.one("done").click()
        # Ready; where somebody waits, the next call is there at once.
        after = self.page.locator('[data-testid="agent-page"]:not([data-step="wrap_up"])')
        await after.wait_for(state="attached")

    async def leave(self) -> None:
        """Go offline, whatever is going on."""
        with contextlib.suppress(Exception):
            await self.page.evaluate(
                """async () => {
                  const post = (path, body) => fetch(`/api/v1${path}`, {
                    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
                  const mine = async () => (await (await fetch("/api/v1/agent")).json()).agent;
                  await post("/agent/state", {state: "offline"});
                  for (let tries = 0; tries < 50; tries++) {
                    const agent = await mine();
                    const call = agent.call_id && `/agent/calls/${encodeURIComponent(agent.call_id)}`;
                    if (agent.state === "offline") return;
                    if (agent.state === "wrap_up") await post(`${call}/wrapup`, {disposition: "other", note: ""});
                    else if (agent.state === "talking" || agent.state === "held") await post(`${call}/hangup`, {});
                    await new Promise((done) => setTimeout(done, 100));
                  }
                }"""
            )


async def log_in(window: Window, name: str) -> None:
    """Fill in the log-in form."""
    login = window.centre.login(name)
    await window.page.goto(window.centre.told["urls"]["web"])
    await window.one("login-username").fill(login["username"])
    await window.one("login-password").fill(login["password"])
    await window.one("login-submit").click()


class Browsers:
    """One Chromium, many profiles. At the end every page is looked at for faults."""

    def __init__(self, browser: Browser, centre: TestCentre) -> None:
        self._browser = browser
        self._centre = centre
        self.windows: list[Window] = []
        self.allowed: list[str] = []
        """Patterns of console lines that belong to what the test does."""

    async def _page(self, *, raw_voice: bool = True, **options: Any) -> Page:
        context = await self._browser.new_context(
            viewport={"width": 1280, "height": 720}, locale="en-US", permissions=["microphone"], **options
        )
        context.set_default_timeout(60_000)
        await context.add_init_script(OBSERVER)
        # A steady tone is just what noise suppression takes away.
        if raw_voice:
            await context.add_init_script('try { localStorage.setItem("cti.voice", "raw") } catch {}')
        context.on("weberror", _ignore)
        return await context.new_page()

    async def agent(self, extension: str, **options: Any) -> AgentWindow:
        """Somebody logged in on /agent."""
        window = AgentWindow(await self._page(**options), self._centre)
        self.windows.append(window)
        await window.log_in(extension)
        return window

    async def supervisor(self, **options: Any) -> Window:
        """Somebody logged in on /supervisor."""
        window = Window(await self._page(**options), self._centre)
        self.windows.append(window)
        await log_in(window, "supervisor")
        await window.page.wait_for_url("**/supervisor")
        await window.until("supervisor-page", live="true")
        return window

    async def visitor(self, path: str, **options: Any) -> Window:
        """Somebody who is not logged in."""
        window = Window(await self._page(**options), self._centre)
        self.windows.append(window)
        await window.page.goto(self._centre.told["urls"]["web"] + path)
        return window

    async def assert_no_faults(self) -> None:
        """No page broke its policy, logged an error or let one escape."""
        faults = [(w.page.url, await w.faults(*self.allowed)) for w in self.windows]
        assert not [one for one in faults if one[1]], faults

    async def keep_pictures(self, folder: Path) -> None:
        """What the pages looked like when a test failed, and what they said."""
        for number, window in enumerate(self.windows):
            with contextlib.suppress(Exception):
                await window.page.screenshot(path=folder / f"failed-{number}.png", timeout=5000)
                print(f"{folder}/failed-{number}.png", await window.faults(), *(await window.notes())[-25:], sep="\n  ")

    async def leave(self) -> None:
        """Every agent goes offline."""
        for window in self.windows:
            if isinstance(window, AgentWindow):
                await window.leave()


def _ignore(_error: WebError) -> None:
    """Uncaught errors are kept by the window."""


@contextlib.asynccontextmanager
async def chromium(centre: TestCentre, folder: Path) -> AsyncIterator[Browsers]:
    """A headless Chromium whose microphone hears a tone of `MICROPHONE_HERTZ`."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program is not None, "chromium is not on PATH"
    tone = folder / "microphone.wav"
    await asyncio.to_thread(write_tone, tone)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, headless=True, args=[*SWITCHES, f"--use-file-for-fake-audio-capture={tone}"]
        )
        people = Browsers(browser, centre)
        try:
            yield people
            await people.assert_no_faults()
        except BaseException:
            await people.keep_pictures(folder)
            raise
        finally:
            await people.leave()
            await browser.close()


async def eventually(fits: Callable[[], Any], *, within: float = 60, why: str = "") -> Any:
    """Ask until the answer is true."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        answer = fits()
        if answer:
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError(f"not so within {within} s: {why}")
