"""The embedded PostgreSQL: starts, stops exactly what it started, survives crashes, lives beside others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from cti.errors import RemoteError
from cti.store.embedded import EmbeddedPostgres

pytestmark = [pytest.mark.real, pytest.mark.beside]


@pytest.fixture
def folder() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="cti-test-pg-"))
    yield place
    shutil.rmtree(place)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


async def ask(dsn: str, query: str = "SELECT current_database()") -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_start_stop_start_keeps_the_data_and_is_fast(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    dsn = server.start()
    assert await ask(dsn) == "cti"
    await ask(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.start() == dsn  # a second start changes nothing
    pid = server.pid
    server.stop()
    assert gone(pid)
    begin = time.monotonic()
    with EmbeddedPostgres(folder / "pg") as again:
        assert time.monotonic() - begin < 20
        assert await ask(again.dsn, "SELECT answer FROM kept") == 42
        pid = again.pid
    assert gone(pid)


async def test_two_instances_live_side_by_side(folder: Path) -> None:
    with EmbeddedPostgres(folder / "one") as one, EmbeddedPostgres(folder / "two") as two:
        await ask(one.dsn, "CREATE TABLE here AS SELECT 1 AS n")
        assert await ask(two.dsn, "SELECT to_regclass('here') IS NULL") is True
        one.stop()
        assert await ask(two.dsn) == "cti"


async def test_who_finds_it_running_leaves_it_running(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg") as owner:
        with EmbeddedPostgres(folder / "pg") as guest:
            assert guest.pid == owner.pid
            assert not guest.owned
            assert await ask(guest.dsn) == "cti"
        assert await ask(owner.dsn) == "cti"
        assert owner.owned


async def test_the_servers_of_a_dead_owner_are_taken_over(folder: Path) -> None:
    program = (
        "import pathlib, sys, time; from cti.store.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(pathlib.Path(sys.argv[1])); server.start(); print(server.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program, str(folder / "pg")], stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert owner.stdout is not None
    pid = 0
    while not pid:
        line = owner.stdout.readline().strip()
        pid = int(line) if line.isdigit() else 0
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert alive(pid)
    with EmbeddedPostgres(folder / "pg") as heir:
        assert heir.pid == pid
        assert heir.owned
        assert await ask(heir.dsn) == "cti"
    assert gone(pid)


async def test_after_a_crash_of_the_server_what_was_committed_is_there(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    await ask(server.start(), "CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(server.pid, signal.SIGKILL)
    assert gone(server.pid)
    assert (folder / "pg" / "cluster" / "postmaster.pid").exists()
    assert await ask(server.start(), "SELECT n FROM kept") == 7
    server.stop()


async def test_a_stale_pid_that_is_another_process_now_is_not_believed(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    server.start()
    crashed = server.pid
    os.kill(crashed, signal.SIGKILL)
    assert gone(crashed)
    file = folder / "pg" / "cluster" / "postmaster.pid"
    file.write_text(file.read_text().replace(str(crashed), str(os.getpid()), 1))
    with EmbeddedPostgres(folder / "pg") as again:
        assert again.pid != os.getpid()
        assert await ask(again.dsn) == "cti"
    assert alive(os.getpid())
    server.stop()  # nothing left to stop; it only collects its dead child


async def test_a_deep_folder_gets_a_short_socket(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    with EmbeddedPostgres(deep / "pg") as server:
        assert await ask(server.dsn) == "cti"
        sockets = Path(server.dsn.partition("host=")[2])
        assert sockets.stat().st_mode & 0o077 == 0
    shutil.rmtree(sockets)


def test_nobody_else_may_enter_the_sockets_folder(folder: Path) -> None:
    with EmbeddedPostgres(folder / "pg"):
        assert (folder / "pg" / "socket").stat().st_mode & 0o077 == 0
        assert (folder / "pg" / "cluster").stat().st_mode & 0o077 == 0


def test_a_broken_cluster_is_an_error_with_a_remedy_and_leaves_no_process(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "pg")
    server.start()
    server.stop()
    (folder / "pg" / "cluster" / "global" / "pg_control").unlink()
    with pytest.raises(RemoteError, match="ended at once") as raised:
        server.start()
    assert raised.value.remedy
    assert server.pid == 0


def test_an_interrupted_first_start_begins_anew(folder: Path) -> None:
    (folder / "pg" / "cluster.new").mkdir(parents=True)
    (folder / "pg" / "cluster.new" / "half").write_text("")
    (folder / "pg" / "owner").write_text(json.dumps([1, 2]))
    with EmbeddedPostgres(folder / "pg") as server:
        assert server.owned
