"""An agent's page is reloaded, closed, killed or cut off in the middle of a call: the caller stays, hears music, then the same
agent again. One call, one row, one recording."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from cti.demo.softphone import PhoneCall, PhoneRoom
from tests.acceptance.browser import MICROPHONE_HERTZ, SERVER_GONE, AgentWindow, Browsers, chromium, log_in
from tests.acceptance.people import call_in, caller
from tests.acceptance.test_browser_agent import assert_music
from tests.support.centre import ApiPerson, TestCentre
from tests.support.sound import assert_tone, longest_silence

pytestmark = [pytest.mark.real, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

CALLER_HERTZ = 620
SILENT = 60.0
"""Root mean square, 16-bit scale."""
WHILE_AWAY = (*SERVER_GONE, r"Failed to fetch", r"net::ERR_", r"WebSocket", r"status of 40\d")


def descendants(pid: int) -> list[tuple[int, str]]:
    """Processes below this one, with their command lines."""
    found: list[tuple[int, str]] = []
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    left = [pid]
    while left:
        for child in children.get(left.pop(), []):
            left.append(child)
            with contextlib.suppress(OSError):
                found.append((child, (Path("/proc") / str(child) / "cmdline").read_text().replace("\0", " ")))
    return found


@contextlib.contextmanager
def cut_off() -> object:
    """Nothing enters or leaves this test's browser: its network process stands still, connections stay open."""
    (network,) = [pid for pid, line in descendants(os.getpid()) if "network.mojom.NetworkService" in line]
    os.kill(network, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(network, signal.SIGCONT)


class Talk:
    """Ada and a caller who hear each other."""

    def __init__(self, centre: TestCentre, ada: AgentWindow, call: PhoneCall, folder: Path) -> None:
        self.centre = centre
        self.ada = ada
        self.call = call
        self.folder = folder

    async def goes_on(self, window: AgentWindow) -> None:
        """The same two hear each other again, without a key."""
        await window.until("agent-page", step="talking", within=60)
        await window.hears(CALLER_HERTZ, within=60)
        await self.call.record(self.folder / "again.wav")
        await asyncio.sleep(1.5)
        await self.call.stop_recording()
        assert_tone(self.folder / "again.wav", MICROPHONE_HERTZ)
        assert not self.call.ended.is_set()

    async def ends(self, window: AgentWindow) -> asyncpg.Record:
        """The agent hangs up and is done; gives the one row."""
        await window.page.keyboard.press("e")
        async with asyncio.timeout(60):
            await self.call.ended.wait()
        await window.wrap_up("1")
        row = await self.centre.record(where="agent = '1001'", wrapped=True)
        rows = await self.centre.query(
            "SELECT count(*) FROM report.calls WHERE started_at >= $1 AND direction = 'inbound'", self.centre.since
        )
        assert rows[0][0] == 1
        assert (row["outcome"], row["hangup_by"]) == ("answered", "agent")
        kinds = await self.centre.query(
            "SELECT kind, count(*) AS n FROM cti.facts WHERE call_id = $1 GROUP BY kind", row["call_id"]
        )
        told = {one["kind"]: one["n"] for one in kinds}
        assert (told["CallAnswered"], told["TalkEnded"], told["CallHeld"], told["CallRetrieved"]) == (1, 1, 1, 1)
        return row


@contextlib.asynccontextmanager
async def talk(centre: TestCentre, people: Browsers, folder: Path, number: str, room: PhoneRoom) -> AsyncIterator[Talk]:
    """A talk in the browser."""
    people.allowed += WHILE_AWAY
    ada = await people.agent("1001")
    await ada.ready()
    call = await call_in(await caller(centre, room, number), "5001", keys="")
    await ada.pops()
    await ada.answer()
    await call.play_tone(CALLER_HERTZ)
    await ada.hears(CALLER_HERTZ)
    yield Talk(centre, ada, call, folder)


async def test_reloaded_in_a_call(centre: TestCentre, tmp_path: Path) -> None:
    async with (
        PhoneRoom() as room,
        chromium(centre, tmp_path) as people,
        talk(centre, people, tmp_path, "+15550100061", room) as one,
    ):
        await one.call.record(tmp_path / "meanwhile.wav")
        began = time.monotonic()
        await one.ada.page.reload()
        await one.ada.until("agent-page", step="talking", within=60)
        took = time.monotonic() - began
        await one.ada.hears(CALLER_HERTZ, within=60)
        await one.call.stop_recording()
        gap = longest_silence(tmp_path / "meanwhile.wav", below=SILENT)
        await one.goes_on(one.ada)
        row = await one.ends(one.ada)
        most = time.monotonic() - began
    print(
        f"reload: back after {took:.2f} s, longest silence for the caller {gap:.2f} s, held {row['hold_seconds']:.2f} s"
    )
    assert gap < 1.5
    assert 0 < row["hold_seconds"] < most


async def test_closed_and_opened_again(centre: TestCentre, tmp_path: Path) -> None:
    async with (
        PhoneRoom() as room,
        chromium(centre, tmp_path) as people,
        talk(centre, people, tmp_path, "+15550100062", room) as one,
    ):
        context = one.ada.page.context
        await one.call.record(tmp_path / "closing.wav")
        began = time.monotonic()
        await one.ada.page.close()
        async with ApiPerson(centre, "supervisor") as supervisor:
            state = await supervisor.until("/state", lambda s: any(c["held_reason"] for c in s["calls"].values()))
        (row,) = state["calls"].values()
        assert (row["state"], row["held_reason"], row["agent_id"]) == ("held", "page_gone", "1001")
        await asyncio.sleep(2)
        await one.call.stop_recording()
        assert longest_silence(tmp_path / "closing.wav", below=SILENT) < 1.5
        await one.call.record(tmp_path / "music.wav")
        await asyncio.sleep(1.5)
        await one.call.stop_recording()
        assert_music(tmp_path / "music.wav")
        again = AgentWindow(await context.new_page(), centre)
        people.windows.append(again)
        await again.page.goto(centre.told["urls"]["agent"])
        await one.goes_on(again)
        most = time.monotonic() - began
        done = await one.ends(again)
    assert 3 < done["hold_seconds"] < most


async def test_cut_off_for_ten_seconds(centre: TestCentre, tmp_path: Path) -> None:
    async with (
        PhoneRoom() as room,
        chromium(centre, tmp_path) as people,
        talk(centre, people, tmp_path, "+15550100063", room) as one,
    ):
        await one.call.record(tmp_path / "cut.wav")
        with cut_off():
            await asyncio.sleep(7)
            await one.call.stop_recording()
            await one.call.record(tmp_path / "music.wav")
            await asyncio.sleep(3)
            await one.call.stop_recording()
        back = time.monotonic()
        assert_music(tmp_path / "music.wav")
        gap = longest_silence(tmp_path / "cut.wav", below=SILENT)
        await one.ada.until("agent-page", step="talking", within=60)
        async with ApiPerson(centre, "supervisor") as supervisor:
            await supervisor.until(
                "/state", lambda s: [c["state"] for c in s["calls"].values()] == ["talking"], within=60
            )
        took = time.monotonic() - back
        await one.goes_on(one.ada)
        row = await one.ends(one.ada)
    print(
        f"cut for 10 s: silence {gap:.2f} s, then music; back {took:.2f} s after the cut, held {row['hold_seconds']:.2f} s"
    )
    assert gap < 6.5


async def test_the_browser_is_killed(centre: TestCentre, tmp_path: Path) -> None:
    """Another browser is opened instead, and the caller is there."""
    (tmp_path / "killed").mkdir()
    async with PhoneRoom() as room, chromium(centre, tmp_path) as people:
        people.allowed += WHILE_AWAY
        doomed = chromium(centre, tmp_path / "killed")
        browsers = await doomed.__aenter__()
        async with talk(centre, browsers, tmp_path, "+15550100064", room) as one:
            await one.call.record(tmp_path / "killing.wav")
            for pid, line in descendants(os.getpid()):
                if "killed/microphone.wav" in line:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            browsers.windows.clear()
            with contextlib.suppress(Exception):
                await doomed.__aexit__(None, None, None)
            await asyncio.sleep(2)
            await one.call.stop_recording()
            gap = longest_silence(tmp_path / "killing.wav", below=SILENT)
            again = AgentWindow(await people._page(), centre)
            people.windows.append(again)
            await log_in(again, "1001")
            await one.goes_on(again)
            row = await one.ends(again)
    print(f"killed: silence {gap:.2f} s, held {row['hold_seconds']:.2f} s")
    assert gap < 1.5
