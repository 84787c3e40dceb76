"""The units of packaging/systemd under a real systemd, on a machine of namespaces: they start, keep their sandbox, restart what dies or
hangs while a talk goes on, and leave nothing behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneRoom
from cti.settings import load_settings
from tests.acceptance.people import caller, sip_agent
from tests.support.centre import PROMPTS, REPOSITORY, TestCentre
from tests.support.machine import USER_ID, Machine, why_not

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]


@contextmanager
def machine(folder: Path, **environment: str) -> Iterator[tuple[Machine, TestCentre]]:
    """A booted machine, and its centre as it is seen from here."""
    (folder / "probe").mkdir()
    if reason := why_not(folder / "probe"):
        if os.environ.get("CI"):
            pytest.fail(f"{reason}: CI skips nothing")
        pytest.skip(reason)
    centre = TestCentre(folder / "machine" / "data", env=environment)
    told = {name: value for name, value in centre.env.items() if name.startswith("CTI_") and name != "CTI_PROMPTS"}
    asterisk = load_settings(environ=centre.env, overrides={"data": str(centre.data)}).asterisk_root
    with Machine(folder / "machine", asterisk=asterisk, prompts=PROMPTS, environment=told) as made:
        yield made, centre


def processes() -> list[int]:
    """Of the machine's user `cti`. Some are short-lived."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if path.stat().st_uid == USER_ID:
                found.append(int(path.name))
    return found


def status_of(pid: int) -> dict[str, str]:
    """What the kernel says of a process; nothing when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def host_pid(inside: int) -> int:
    """The number here of a process of the machine."""
    for pid in processes():
        numbers = status_of(pid).get("NSpid", "").split()
        if numbers and numbers[-1] == str(inside):
            return pid
    raise AssertionError(f"no process {inside} there")


def main_pid(there: Machine, unit: str) -> int:
    """A unit's main process, by its number here."""
    return host_pid(int(there.shown(unit, "MainPID")))


async def until_ready(there: Machine, centre: TestCentre, *, within: float = 90) -> float:
    """Until calls are served; gives the seconds."""
    secrets = centre.data / "secrets" / "secrets.json"  # the centre makes them, before this looks at them

    def ready() -> bool:
        return secrets.exists() and bool(centre.refresh()["ready"])

    return await asyncio.to_thread(there.until, ready, "calls to be served", within=within)


async def until(there: Machine, fits: object, what: str, *, within: float = 90) -> float:
    """`Machine.until` beside the event loop."""
    return await asyncio.to_thread(there.until, fits, what, within=within)


async def test_the_unit_of_the_whole_starts_keeps_its_sandbox_comes_back_and_ends(tmp_path: Path) -> None:
    with machine(tmp_path) as (there, centre):
        there.start("cti-centre")
        await until_ready(there, centre, within=150)
        told = [said for pid in processes() if (said := status_of(pid)) and not said["State"].startswith("Z")]
        assert len(told) > 5  # Asterisk, PostgreSQL's, the bridge, cti up
        for said in told:
            assert (said["NoNewPrivs"], said["Seccomp"], int(said["CapEff"], 16)) == ("1", "2", 0), said["Name"]
        first = main_pid(there, "cti-centre")
        tried = there.run(
            "nsenter", "--target", there.shown("cti-centre", "MainPID"), "--mount",
            "sh", "-c", "touch /usr/here /etc/here /opt/cti-server/source/here ~root/here; touch /srv/cti-server/here",
        )  # fmt: skip
        assert tried.stderr.count("Read-only file system") + tried.stderr.count("Permission denied") >= 4, tried.stderr
        assert (centre.data / "here").exists()
        async with PhoneRoom() as room:
            call = await (await caller(centre, room, "+15550100071")).dial("5000")
            await asyncio.wait_for(call.confirmed.wait(), 60)
            await call.hang_up()
        os.kill(first, signal.SIGKILL)
        await until(there, lambda: there.shown("cti-centre", "NRestarts") == "1", "a restart")
        assert first not in processes()
        await until_ready(there, centre)
        assert main_pid(there, "cti-centre") != first
        assert there.systemctl("stop", "cti-centre").returncode == 0
        assert there.shown("cti-centre", "Result") == "success"
        await until(there, lambda: not processes(), "the last process to go", within=60)

        # Stopped while it starts is no failure either.
        told_so_far = len((centre.data / "cti-centre.said").read_text())
        there.start("cti-centre")
        await until(there, lambda: len((centre.data / "cti-centre.said").read_text()) > told_so_far, "it to start")
        assert there.systemctl("stop", "cti-centre").returncode == 0
        said = (centre.data / "cti-centre.said").read_text()[told_so_far:]
        assert there.shown("cti-centre", "Result") == "success", said
        await until(there, lambda: not processes(), "the last process to go", within=60)


async def test_a_bridge_of_its_own_is_restarted_and_replaced_when_it_hangs_and_its_talk_goes_on(tmp_path: Path) -> None:
    # Without a database: calls are served, and told of loudly.
    with machine(tmp_path, CTI_DATABASE__URL="postgresql://nobody@127.0.0.1:1/none") as (there, centre):
        (centre.data / "centre.yaml").write_text(
            (REPOSITORY / "cti" / "demo" / "centre.yaml").read_text(encoding="utf-8")
        )
        os.chown(centre.data / "centre.yaml", USER_ID, USER_ID)
        there.start("cti-asterisk", "cti-bridge")
        assert there.shown("cti-bridge", "ActiveState") == "active", "it says by itself when it is ready"
        await until_ready(there, centre)
        async with PhoneRoom() as room, sip_agent(centre, room, "1008") as agent:
            call = await (await caller(centre, room, "+15550100072")).dial("5001")
            ringing = await agent.rings()
            await ringing.answer()
            await agent.api.until("/agent", lambda a: a["agent"]["state"] == "talking")

            # An upgrade: what is new is there after a restart.
            before = main_pid(there, "cti-bridge")
            assert there.systemctl("restart", "cti-bridge").returncode == 0
            await until_ready(there, centre)
            after = main_pid(there, "cti-bridge")
            assert after != before
            await agent.api.until("/agent", lambda a: a["agent"]["state"] == "talking")

            # It hangs, and so does its guard (its limit is 20 s here): systemd replaces it.
            os.kill(after, signal.SIGSTOP)
            began = time.monotonic()
            await until(there, lambda: after not in processes(), "the hung bridge to be ended")
            print(f"systemd ended a stopped bridge after {time.monotonic() - began:.1f} s")
            await until_ready(there, centre)
            assert there.shown("cti-bridge", "NRestarts") == "1"
            await agent.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
            assert not call.ended.is_set()
            await call.hang_up()
            await agent.wrap_up()
        os.kill(main_pid(there, "cti-asterisk"), signal.SIGKILL)
        await until(there, lambda: there.shown("cti-asterisk", "NRestarts") == "1", "Asterisk to be started again")
        await until_ready(there, centre)
        assert there.systemctl("stop", "cti-bridge", "cti-asterisk").returncode == 0
        assert there.shown("cti-bridge", "Result") == "success", (centre.data / "cti-bridge.said").read_text()[-2000:]
        await until(there, lambda: not processes(), "the last process to go", within=60)
