"""`cti serve`: the bridge alone against an Asterisk and a Postgres that others started, and what happens when these go."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cti.demo.softphone import PhoneRoom
from cti.store.embedded import EmbeddedPostgres
from tests.acceptance.people import caller, sip_agent
from tests.support.centre import REPOSITORY, TestCentre

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]


@asynccontextmanager
async def program(centre: TestCentre, *arguments: str, log: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A `cti` command in the background, ended by SIGTERM; it must end well."""
    with log.open("ab") as file:
        process = await asyncio.to_thread(
            subprocess.Popen, [sys.executable, "-m", "cti", *arguments, "--data", str(centre.data)],
            env=centre.env, cwd=REPOSITORY, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) in (0, -signal.SIGTERM), log.read_text()[-2000:]


async def until_ready(centre: TestCentre, *, ready: bool = True, within: float = 60) -> dict[str, object]:
    """`cti status --json` until the bridge says it can serve calls (or cannot)."""
    deadline = time.monotonic() + within
    done = None
    while time.monotonic() < deadline:
        done = await asyncio.to_thread(centre.cti, "status", "--json")
        if (done.returncode == 0) == ready and done.stdout:
            centre.told = json.loads(done.stdout)
            return dict(centre.told["parts"])
        await asyncio.sleep(0.2)
    raise AssertionError(
        f"not {'ready' if ready else 'unready'} within {within} s: {done and done.stdout[-800:]}{done and done.stderr}"
    )


async def one_call(centre: TestCentre, room: PhoneRoom, number: str) -> None:
    """A whole call by one agent."""
    async with sip_agent(centre, room, "1008") as agent:
        call = await (await caller(centre, room, number)).dial("5001")
        ringing = await agent.rings()
        await ringing.answer()
        await ringing.confirmed.wait()
        await agent.api.until("/agent", lambda a: a["agent"]["state"] == "talking")
        await call.hang_up()
        await agent.wrap_up()


async def test_the_bridge_alone_and_a_database_that_goes_and_comes(tmp_path: Path) -> None:
    database = EmbeddedPostgres(tmp_path / "postgres")
    dsn = await asyncio.to_thread(database.start)
    centre = TestCentre(tmp_path / "data", env={"CTI_DATABASE__URL": dsn})
    centre.data.mkdir()
    (centre.data / "centre.yaml").write_text((REPOSITORY / "cti" / "demo" / "centre.yaml").read_text(encoding="utf-8"))
    assert centre.cti("migrate").returncode == 0
    assert "up to date" in centre.cti("migrate").stdout
    try:
        async with (
            program(centre, "asterisk", "start", log=tmp_path / "asterisk.log"),
            program(centre, "serve", log=tmp_path / "serve.log"),
            PhoneRoom() as room,
        ):
            await until_ready(centre)
            await one_call(centre, room, "+15550100091")
            assert (await centre.record(wrapped=True))["caller_number"] == "+15550100091"
            # The database goes away: calls go on, and are there when it is back, once each.
            await asyncio.to_thread(database.stop)
            await one_call(centre, room, "+15550100092")
            await one_call(centre, room, "+15550100093")
            parts = await until_ready(centre)
            assert parts["parts"]["database"]["ok"] is False  # type: ignore[index]
            await asyncio.to_thread(database.start)
            row = await centre.record(where="caller_number = '+15550100093'", wrapped=True, within=60)
            assert row["outcome"] == "answered"
            rows = await centre.query("SELECT caller_number, count(*) FROM report.calls GROUP BY 1 ORDER BY 1")
            assert [(r["caller_number"], r["count"]) for r in rows] == [
                ("+15550100091", 1), ("+15550100092", 1), ("+15550100093", 1),
            ]  # fmt: skip
    finally:
        await asyncio.to_thread(database.stop)


async def test_a_bridge_before_its_asterisk_and_after_it(tmp_path: Path) -> None:
    # No database at all: the bridge starts, serves calls, and says what is missing.
    centre = TestCentre(tmp_path / "data", env={"CTI_DATABASE__URL": "postgresql://nobody@127.0.0.1:1/none"})
    centre.data.mkdir()
    (centre.data / "centre.yaml").write_text((REPOSITORY / "cti" / "demo" / "centre.yaml").read_text(encoding="utf-8"))
    assert centre.cti("asterisk", "render").returncode == 0
    async with program(centre, "serve", log=tmp_path / "serve.log"), PhoneRoom() as room:
        parts = await until_ready(centre, ready=False)
        async with program(centre, "asterisk", "start", log=tmp_path / "asterisk.log"):
            await until_ready(centre)
            await one_call(centre, room, "+15550100094")
        parts = await until_ready(centre, ready=False)
        assert parts["parts"]["asterisk"]["ok"] is False  # type: ignore[index]
        assert parts["parts"]["asterisk"]["detail"]  # type: ignore[index]
        async with program(centre, "asterisk", "start", log=tmp_path / "asterisk.log"):
            await until_ready(centre)
            await one_call(centre, room, "+15550100095")
