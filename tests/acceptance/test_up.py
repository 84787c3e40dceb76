"""`cti up` as a newcomer and an operator meet it: two centres side by side, quick restarts, clean ends, clear refusals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from cti.asterisk.install import find_asterisk
from cti.demo.softphone import PhoneRoom
from cti.settings import load_settings
from tests.acceptance.people import caller, sip_agent
from tests.support.centre import TestCentre, running_centre

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"


def of_folder(folder: Path) -> list[str]:
    """The command lines that name a folder: those of its centre."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [command for command in found if str(folder) in command]


def wait_for(centre: TestCentre, process: subprocess.Popen[bytes], word: str) -> None:
    """Until a centre that starts says it."""
    deadline = time.monotonic() + 150
    while word not in centre.log.read_text() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert word in centre.log.read_text(), centre.log.read_text()


async def test_two_centres_side_by_side_each_serve_their_own_callers(centre: TestCentre, tmp_path: Path) -> None:
    other = TestCentre(tmp_path / "other")
    await asyncio.to_thread(other.start)
    try:
        assert other.told["urls"]["web"] != centre.told["urls"]["web"]
        async with PhoneRoom() as room:
            for one, extension in ((centre, "1004"), (other, "1008")):
                async with sip_agent(one, room, extension) as agent:
                    phone = await caller(one, room, "+15550100002")
                    call = await phone.dial("5001")
                    ringing = await agent.rings()
                    await ringing.answer()
                    await ringing.confirmed.wait()
                    await agent.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
                    await call.hang_up()
                    await agent.wrap_up()
                    assert (await one.record(where=f"agent = '{extension}'"))["outcome"] == "answered"
        assert len(await other.query("SELECT * FROM report.calls")) == 1
    finally:
        await asyncio.to_thread(other.stop)
    assert centre.cti("status").returncode == 0, "stopping one centre must not touch the other"


def test_ctrl_c_stops_everything_and_the_second_start_is_quick(tmp_path: Path) -> None:
    centre = TestCentre(tmp_path / "data")
    first = centre.start(database_made=False)
    pids = {name: pid for name, pid in centre.told["pids"].items() if pid}
    assert {"up", "bridge", "asterisk", "postgres"} <= set(pids)
    assert all(alive(pid) for pid in pids.values())
    assert centre.stop() == 0
    assert not [name for name, pid in pids.items() if alive(pid)]
    assert not (centre.data / "run" / "state.json").exists()
    second = centre.start()
    logins = json.loads((centre.data / "secrets" / "secrets.json").read_text())["logins"]
    try:
        print(f"seconds to ready: first {first:.1f}, second {second:.1f}")
        assert centre.login("1001")["password"] == logins["1001"], "log-ins are generated once"
        for secret in (centre.data / "secrets").iterdir():
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600, secret
        log = (centre.log.read_text() + (centre.data / "log" / "bridge.log").read_text()).replace("\n", " ")
        asterisk_log = (centre.data / "asterisk" / "log" / "asterisk.log").read_text()
        secrets = json.loads((centre.data / "secrets" / "secrets.json").read_text())
        hidden = [secrets["ami"], secrets["session_key"], *secrets["sip"].values()]
        assert not [s for s in hidden if s in log or s in asterisk_log], "a secret was logged"
    finally:
        centre.stop()


@pytest.mark.parametrize(("asked", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_first_start_that_is_ended_while_it_prepares_ends_then_and_is_no_failure_to_a_service_manager(
    tmp_path: Path, asked: signal.Signals, code: int
) -> None:
    # No prompts made beforehand: to speak them all takes half a minute.
    centre = TestCentre(tmp_path / "data", env={"CTI_PROMPTS": str(tmp_path / "prompts")})
    with centre.starting() as process:
        wait_for(centre, process, " spoken ")
        assert of_folder(tmp_path)
        process.send_signal(asked)
        assert process.wait(120) == code, centre.log.read_text()
        assert not of_folder(tmp_path)
    done, of = re.findall(r"prompts: prompt \S+ spoken\s+(\d+)/(\d+)", centre.log.read_text())[-1]
    assert int(done) < int(of), "it went on to the end"
    assert "stopped" in centre.log.read_text()


def test_a_second_ctrl_c_does_not_wait_for_a_step_that_takes_long(tmp_path: Path) -> None:
    slow = tmp_path / "bin" / "apt-get"  # as where the mirror cannot be reached
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 300\n")
    slow.chmod(0o755)
    centre = TestCentre(
        tmp_path / "data",
        env={"PATH": f"{slow.parent}:{os.environ['PATH']}", "CTI_ASTERISK__ROOT": str(tmp_path / "asterisk")},
    )
    if find_asterisk(load_settings(environ=centre.env))[0] is not None:
        pytest.skip("an Asterisk is installed here: none is unpacked")
    with centre.starting() as process:
        wait_for(centre, process, "PostgreSQL started")
        process.send_signal(signal.SIGINT)
        wait_for(centre, process, " stopped")
        assert process.poll() is None, "nothing took long: this shows nothing"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # nobody waits for it any more


def test_killed_as_a_whole_it_starts_again_over_what_was_left(tmp_path: Path) -> None:
    centre = TestCentre(tmp_path / "data")
    centre.start()
    pids = {name: pid for name, pid in centre.told["pids"].items() if pid}
    assert centre._process is not None
    centre._process.kill()
    centre._process.wait()
    assert alive(pids["asterisk"])
    assert alive(pids["bridge"])
    centre._process = None
    centre.start()
    try:
        again = centre.told["pids"]
        assert again["up"] != pids["up"]
        assert not alive(pids["bridge"]) or again["bridge"] == pids["bridge"]
    finally:
        centre.stop()
    assert not [name for name, pid in {**pids, **again}.items() if pid and alive(pid)]


def test_asterisk_that_dies_is_started_again(tmp_path: Path) -> None:
    with running_centre(tmp_path / "data") as centre:
        old = centre.told["pids"]["asterisk"]
        os.kill(old, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            done = centre.cti("status", "--json")
            if done.returncode == 0 and json.loads(done.stdout)["pids"].get("asterisk") not in (old, None):
                return
            time.sleep(0.2)
        raise AssertionError("Asterisk did not come back")


def test_a_taken_port_and_a_running_centre_are_refused_with_the_remedy(centre: TestCentre, tmp_path: Path) -> None:
    second = centre.cti("up")
    assert second.returncode == 1
    assert "running already" in second.stderr
    assert centre.refresh()["pids"]["bridge"]  # what is known of the one that runs is not taken away
    thief = TestCentre(tmp_path / "thief")
    thief.env["CTI_PORTS__OFFSET"] = str(centre.offset)
    refused = thief.cti("up")
    assert refused.returncode == 1
    assert "ports." in refused.stderr
    assert "CTI_PORTS__OFFSET" in refused.stderr


async def test_health_pages_and_headers(centre: TestCentre) -> None:
    urls = centre.told["urls"]
    async with aiohttp.ClientSession() as http:
        for name in ("healthz", "readyz"):
            async with http.get(urls[name]) as response:
                assert response.status == 200
        async with http.get(urls["metrics"]) as response:
            text = await response.text()
            assert "cti_link_up 1.0" in text
        for page in ("web", "agent", "supervisor", "call"):
            async with http.get(urls[page], headers={"Accept": "text/html"}) as response:
                assert response.status == 200, f"{page}: {await response.text()}"
                policy = response.headers["Content-Security-Policy"]
                assert "unsafe" not in policy
                assert "default-src 'none'" in policy
        async with http.get(f"{urls['api']}/state") as response:
            assert response.status == 401
