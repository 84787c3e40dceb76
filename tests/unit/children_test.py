"""Child processes: kept alive, stopped by their own id, and nobody else's touched."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cti.children import Child, ended, hold_lock, port_is_free, stop_leftovers
from cti.errors import CtiError

SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
LISTENS = (
    "import socket, signal, time, sys\n"
    "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
    "time.sleep(60)"
)


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    made: list[subprocess.Popen[bytes]] = []

    def start(code: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)
        made.append(process)
        return process

    yield start
    for process in made:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _state(tmp_path: Path, **pids: object) -> Path:
    file = tmp_path / "state.json"
    file.write_text(json.dumps({"pids": pids}))
    return file


def test_leftovers_of_this_folder_are_stopped(tmp_path: Path, spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    data = tmp_path / "data"
    bridge, asterisk = spawn(SLEEP, "--data", str(data)), spawn(SLEEP, "-C", f"{data}/asterisk/asterisk.conf")
    said: list[str] = []
    began = time.monotonic()
    stop_leftovers(_state(tmp_path, bridge=bridge.pid, asterisk=asterisk.pid), data, said.append, patience=40)
    assert (bridge.wait(20), asterisk.wait(20)) == (-signal.SIGTERM, -signal.SIGTERM)
    assert len(said) == 2
    assert time.monotonic() - began < 40, "one that ended is not waited for, though its parent has not looked yet"


def test_one_with_threads_has_not_ended_when_its_first_thread_has(
    spawn: Callable[..., subprocess.Popen[bytes]],
) -> None:
    child = spawn(
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start();"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    stat = Path(f"/proc/{child.pid}/stat")
    deadline = time.monotonic() + 60
    while b") Z" not in stat.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert b") Z" in stat.read_bytes()
    assert not ended(child.pid)
    child.kill()
    child.wait(20)
    assert ended(child.pid)


def test_others_are_not_touched(tmp_path: Path, spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    data = tmp_path / "data"
    stranger, neighbour = spawn(SLEEP, "x"), spawn(SLEEP, "--data", f"{data}2")
    database, parent = spawn(SLEEP, str(data)), spawn(SLEEP, str(data))
    said: list[str] = []
    state = _state(tmp_path, bridge=stranger.pid, asterisk=neighbour.pid, postgres=database.pid, up=parent.pid)
    stop_leftovers(state, data, said.append)
    assert [process.poll() for process in (stranger, neighbour, database, parent)] == [None] * 4
    assert said == []


def test_a_stubborn_one_is_killed(tmp_path: Path, spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = spawn(STUBBORN, "--data", str(tmp_path))
    assert process.stdout is not None
    process.stdout.readline()
    stop_leftovers(_state(tmp_path, bridge=process.pid), tmp_path, lambda _text: None, patience=0.2)
    assert process.wait(20) == -signal.SIGKILL


def test_its_ports_are_free_afterwards(tmp_path: Path, spawn: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = spawn(LISTENS, "--data", str(tmp_path))
    assert process.stdout is not None
    port = int(process.stdout.readline())
    assert not port_is_free("127.0.0.1", port, "tcp")
    stop_leftovers(_state(tmp_path, bridge=process.pid), tmp_path, lambda _text: None)
    assert port_is_free("127.0.0.1", port, "tcp")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"pids": null}', '{"pids": {"bridge": "x", "demo": null}}', "\x00"]
)
def test_a_state_nobody_can_read_stops_nobody(tmp_path: Path, text: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(text)
    stop_leftovers(file, tmp_path, pytest.fail)
    stop_leftovers(tmp_path / "none.json", tmp_path, pytest.fail)


def test_one_centre_a_folder(tmp_path: Path) -> None:
    lock = tmp_path / "run" / "up.lock"
    lock.parent.mkdir()
    first = hold_lock(lock)
    with pytest.raises(CtiError, match="running already") as caught:
        hold_lock(lock)
    assert str(tmp_path) in caught.value.message
    assert "--data" in caught.value.remedy
    os.close(first)
    os.close(hold_lock(lock))


def test_the_lock_ends_with_its_holder_and_is_not_inherited(
    tmp_path: Path, spawn: Callable[..., subprocess.Popen[bytes]]
) -> None:
    lock = tmp_path / "up.lock"
    code = (
        "import subprocess, sys, pathlib\nfrom cti.children import hold_lock\n"
        "hold_lock(pathlib.Path(sys.argv[1]))\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}], stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\nchild.wait()"
    )
    holder = spawn(code, str(lock))
    assert holder.stdout is not None
    grandchild = int(holder.stdout.readline())
    with pytest.raises(CtiError):
        hold_lock(lock)
    holder.kill()
    holder.wait()
    try:
        os.close(hold_lock(lock))
    finally:
        os.kill(grandchild, signal.SIGKILL)


def test_ports() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as used:
        used.bind(("127.0.0.1", 0))
        assert not port_is_free("127.0.0.1", used.getsockname()[1], "udp")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not port_is_free("127.0.0.1", port, "tcp")
    assert port_is_free("127.0.0.1", port, "tcp")


async def test_a_child_is_started_again_and_stopped(tmp_path: Path) -> None:
    again = asyncio.Event()
    child = Child("c", [sys.executable, "-c", SLEEP], log=tmp_path / "log" / "c.log", env=os.environ)
    await child.start()
    child.keep(on_restart=lambda _child: again.set())
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(60):
        await again.wait()
    assert child.pid not in (None, first)
    await child.stop()
    assert child.pid is None


async def test_a_child_that_is_to_end_at_once_is_not_started_again(tmp_path: Path) -> None:
    log = tmp_path / "c.log"
    child = Child("c", [sys.executable, "-c", STUBBORN], log=log, env=os.environ)
    await child.start()
    started: list[int | None] = []
    child.keep(on_restart=lambda again: started.append(again.pid))
    child.kill()
    await child.stop()
    assert child.pid is None
    assert started == []


async def test_a_child_that_will_not_end_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "c.log"
    child = Child("c", [sys.executable, "-c", STUBBORN], log=log, env=os.environ)
    await child.start()
    async with asyncio.timeout(60):
        while b"up" not in log.read_bytes():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await child.stop(patience=0.1)
    assert child.pid is None


async def test_stopping_one_that_has_ended_or_never_began(tmp_path: Path) -> None:
    child = Child("c", [sys.executable, "-c", ""], log=tmp_path / "c.log", env=os.environ)
    await child.stop()
    await child.start()
    async with asyncio.timeout(60):
        while child.pid is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await child.stop()
