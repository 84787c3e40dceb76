"""Whether Asterisk is dead: told only of the process that was behind the link, and only when that link is gone as well."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cti.asterisk import life as module
from cti.asterisk.life import AsteriskLife, on_this_machine, process_age

Run = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def run() -> Iterator[Run]:
    """Start a process that does nothing, under a name."""
    made: list[subprocess.Popen[bytes]] = []

    def start(name: str = "/usr/sbin/asterisk") -> subprocess.Popen[bytes]:
        process = subprocess.Popen([name, "-c", "import time; time.sleep(600)"], executable=sys.executable)
        made.append(process)
        # The kernel lets go of us a moment before it has written the new command line.
        deadline = time.monotonic() + 10
        while name.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
        return process

    yield start
    for process in made:
        process.kill()
        process.wait()


class Watched:
    """A life with a pid file, and how often it told of a death."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.file = folder / "asterisk.pid"
        self.deaths = 0
        self.told = asyncio.Event()
        self.life = AsteriskLife(self.file, host=host, on_death=self._died)

    def _died(self) -> None:
        self.deaths += 1
        self.told.set()

    def link_to(self, pid: int, uptime: float = 0.0) -> None:
        self.file.write_text(f"{pid}\n")
        self.life.link_up(timedelta(seconds=uptime))

    async def handle_fires(self) -> None:
        """Until the kernel has told that the process ended."""
        async with asyncio.timeout(60):
            while self.life.pid is not None:  # noqa: ASYNC110 - the loop's reader sets it
                await asyncio.sleep(0.005)


async def test_ended_and_then_the_link_goes(run: Run, tmp_path: Path) -> None:
    watched, process = Watched(tmp_path), run()
    watched.link_to(process.pid)
    assert watched.life.pid == process.pid
    process.kill()
    await watched.handle_fires()
    assert watched.deaths == 0, "the link is there: it may be another's"
    watched.life.link_down()
    assert watched.deaths == 1
    watched.life.link_down()
    assert watched.deaths == 1


async def test_the_link_goes_and_then_it_ends(run: Run, tmp_path: Path) -> None:
    watched, process = Watched(tmp_path), run()
    watched.link_to(process.pid)
    watched.life.link_down()
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(watched.told.wait(), 10)
    assert watched.deaths == 1


async def test_a_link_that_goes_says_nothing_about_a_process_that_lives(run: Run, tmp_path: Path) -> None:
    watched, process = Watched(tmp_path), run()
    for _ in range(3):  # the manager port is reloaded again and again
        watched.link_to(process.pid)
        watched.life.link_down()
        await asyncio.sleep(0)
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(0.05)
    assert watched.deaths == 0
    watched.life.close()


async def test_a_link_that_goes_on_belongs_to_another_process(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PARTED", 0.01)
    watched, process = Watched(tmp_path), run()
    watched.link_to(process.pid)
    process.kill()
    await watched.handle_fires()
    await asyncio.sleep(0.05)
    watched.life.link_down()  # much later, for a reason of its own
    await asyncio.sleep(0)
    assert watched.deaths == 0


async def test_a_new_link_watches_the_new_process_only(run: Run, tmp_path: Path) -> None:
    watched, old, new = Watched(tmp_path), run(), run()
    watched.link_to(old.pid)
    watched.life.link_down()
    watched.link_to(new.pid)
    old.kill()
    old.wait()
    await asyncio.sleep(0.05)
    watched.life.link_down()
    assert watched.deaths == 0
    new.kill()
    await asyncio.wait_for(watched.told.wait(), 10)


async def test_what_is_not_surely_our_asterisk_is_not_watched(run: Run, tmp_path: Path) -> None:
    watched, process, other = Watched(tmp_path), run(), run("/usr/bin/something")
    watched.life.link_up(timedelta())
    assert watched.life.pid is None, "no pid file"
    watched.link_to(other.pid)
    assert watched.life.pid is None, "another program"
    watched.link_to(process.pid, uptime=3600)
    assert watched.life.pid is None, "younger than the Asterisk at the other end"
    watched.link_to(2**22 + 12345)
    assert watched.life.pid is None, "gone"
    watched.file.write_text("-1\n")
    watched.life.link_up(timedelta())
    assert watched.life.pid is None
    elsewhere = Watched(tmp_path, host="192.0.2.7")
    elsewhere.link_to(process.pid)
    assert elsewhere.life.pid is None, "on another machine"
    for one in (watched, elsewhere):
        one.life.link_down()
        one.life.close()
        assert one.deaths == 0


async def test_without_such_handles_nothing_is_said(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int) -> int:
        raise OSError(38, "not here")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    watched, process = Watched(tmp_path), run()
    watched.link_to(process.pid)
    assert watched.life.pid is None
    process.kill()
    process.wait()
    watched.life.link_down()
    assert watched.deaths == 0


def test_addresses_of_this_machine_and_ages() -> None:
    assert all(map(on_this_machine, ("127.0.0.1", "127.88.1.2", "localhost", "::1")))
    assert not any(map(on_this_machine, ("10.0.0.1", "0.0.0.0", "pbx.example.com", "")))
    age = process_age(os.getpid())
    assert age is not None
    assert timedelta() <= age < timedelta(hours=2)
    assert process_age(2**22 + 12345) is None
