"""A whole centre for a test: `cti up` in a folder and on ports of its own, and people to use it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from cti.centre_file import load_centre
from cti.certificates import client_context
from cti.children import ended
from cti.places import Places
from cti.secrets_file import load_or_make
from cti.settings import load_settings
from cti.status import describe
from tests.support.clusters import place_cluster

REPOSITORY = Path(__file__).resolve().parents[2]
PROMPTS = REPOSITORY / ".build" / "prompts"
"""Built once, shared by all test centres."""
PORTS = (8080, 5060, 5061, 8088, 5038, 4573, 8099, 8078)


def _free(offset: int) -> bool:
    for port in PORTS:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                try:
                    probe.bind(("127.0.0.1", port + offset))
                except OSError:
                    return False
    return True


def free_offset() -> int:
    """A port offset at which all of a centre's ports are free now, below those of sound: a call of a neighbour must not take
    one between this look and the start."""
    rng = random.Random(os.getpid() * 1_000_003 + time.monotonic_ns())
    for _ in range(200):
        offset = rng.randrange(1500, 4900, 7)
        if _free(offset):
            return offset
    raise RuntimeError("no free ports")


class TestCentre:
    """A running centre. `told` is what `cti status --json` says."""

    __test__ = False

    def __init__(self, data: Path, *, env: dict[str, str] | None = None, args: tuple[str, ...] = ()) -> None:
        self.data = data
        self.offset = free_offset()
        octets = random.Random(self.offset + os.getpid())
        sound = octets.randrange(14000, 28000, 200)
        self.carrier = f"127.{octets.randrange(10, 250)}.{octets.randrange(1, 250)}.{octets.randrange(2, 250)}"
        self.env = {
            **os.environ,
            "CTI_PORTS__OFFSET": str(self.offset),
            "CTI_TRUNK__MATCH": json.dumps([self.carrier]),
            "CTI_PROMPTS": str(PROMPTS),
            "CTI_PORTS__RTP_FIRST": str(sound - self.offset),
            "CTI_PORTS__RTP_LAST": str(sound - self.offset + 3999),
            # A machine that does the work of several tests may stand still for seconds; one with a standby has the usual time.
            **({} if "--standby" in args else {"CTI_SURVIVAL__HUNG_SECONDS": "20"}),
            "COLUMNS": "120",
            **(env or {}),
        }
        self._args = args
        self._process: subprocess.Popen[bytes] | None = None
        self.log = data.parent / f"{data.name}.up.log"
        self.told: dict[str, Any] = {}
        self.since = datetime.fromtimestamp(0, UTC)
        """When the present test began: what `record` finds is not an earlier test's, which the drain may still be behind."""

    def cti(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a `cti` command on this centre."""
        return subprocess.run(
            [sys.executable, "-m", "cti", *arguments, "--data", str(self.data)],
            env=self.env, cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def start(self, *, within: float = 120, database_made: bool = True) -> float:
        """`cti up`; gives the seconds until it was ready. With `database_made` a first start finds a database with the schema."""
        began = time.monotonic()
        if database_made and "CTI_DATABASE__URL" not in self.env:
            self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            place_cluster(self.data / "postgres")
        self._process = self._begin()
        while time.monotonic() - began < within:
            if self._process.poll() is not None:
                break
            if (self.data / "run" / "state.json").exists():
                told = self.refresh()
                if told["ready"] and told["pids"].get("up") == self._process.pid:  # not what a killed run left
                    return time.monotonic() - began
            time.sleep(0.1)
        text = self.log.read_text(errors="replace")
        self.stop()
        bridge = self.data / "log" / "bridge.log"
        said = bridge.read_text(errors="replace") if bridge.exists() else ""
        raise AssertionError(f"the centre did not start:\n{text[-4000:]}\nits bridge:\n{said[-3000:]}")

    def _begin(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "cti", "up", "--data", str(self.data), *self._args],
                env=self.env, cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @contextlib.contextmanager
    def starting(self) -> Iterator[subprocess.Popen[bytes]]:
        """`cti up`, not waited for: to end it before it is ready."""
        self._process = process = self._begin()
        try:
            yield process
        finally:
            self.stop()

    def refresh(self) -> dict[str, Any]:
        """What `cti status --json` would say now, without a process of its own: that takes a second of both cores."""
        settings = load_settings(environ=self.env, overrides={"data": str(self.data)})
        centre = load_centre(Places(settings).centre)
        self.told = describe(settings, centre, load_or_make(settings.data, centre))
        try:
            with urllib.request.urlopen(
                self.told["urls"]["readyz"], timeout=2, context=client_context(settings)
            ) as answer:
                self.told |= {"ready": answer.status == 200, "parts": json.load(answer)}
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.told |= {"ready": False, "parts": {"bridge": repr(error)}}
        return self.told

    def pid(self, name: str, *, within: float = 60) -> int:
        """The process of this name as it runs now: at the moment of a restart there may be none, or a dead one."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            found = self.refresh()["pids"].get(name)
            if found and not ended(found):
                return int(found)
            time.sleep(0.05)
        raise AssertionError(f"no {name} within {within} s: {self.told['pids']}; {self.log.read_text()[-2000:]}")

    def stop(self) -> int | None:
        """Ctrl-C, as a person would."""
        process, self._process = self._process, None
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
                raise
        return process.returncode

    # -- people and figures

    def agent(self, extension: str) -> dict[str, Any]:
        """What `status` says of one agent."""
        return next(a for a in self.told["agents"] if a["agent_id"] == extension)

    def login(self, name: str) -> dict[str, str]:
        """A log-in."""
        user = next(u for u in self.told["logins"]["users"] if u["username"] == name)
        return {"username": user["username"], "password": user["password"]}

    async def query(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Ask the centre's database."""
        connection = await asyncpg.connect(self.told["database"]["url"])
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def told_by(self, sql: str, *arguments: Any, within: float = 60) -> list[asyncpg.Record]:
        """Ask the centre's database until it answers with a row: facts reach it by way of the journal."""
        deadline = time.monotonic() + within
        while not (rows := await self.query(sql, *arguments)):
            if time.monotonic() > deadline:
                raise AssertionError(f"no row within {within} s: {sql} {arguments}")
            await asyncio.sleep(0.1)
        return rows

    async def record(self, *, where: str = "true", within: float = 60, wrapped: bool = False) -> asyncpg.Record:
        """The newest row of report.calls that fits, of this test's calls (`since`), as soon as it is there."""
        of_this_test = f"started_at >= '{self.since.isoformat()}'"
        sql = f"SELECT * FROM report.calls WHERE ({where}) AND {of_this_test} ORDER BY started_at DESC LIMIT 1"
        found: list[asyncpg.Record] = []
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            found = await self.query(sql)
            if found and (not wrapped or found[0]["wrap_seconds"] is not None):
                return found[0]
            await asyncio.sleep(0.1)
        raise AssertionError(f"no such row within {within} s: {where}; newest: {found}")

    async def records(self, columns: str, wanted: Iterable[str], *, within: float) -> list[asyncpg.Record]:
        """Every row of report.calls (`columns`: call_id among them), as soon as these calls are there, or at the latest then."""
        missing, deadline = set(wanted), time.monotonic() + within
        while True:
            rows = await self.query(f"SELECT {columns} FROM report.calls")
            if missing <= {row["call_id"] for row in rows} or time.monotonic() > deadline:
                return rows
            await asyncio.sleep(0.5)

    async def recording(self, row: asyncpg.Record, *, within: float = 60) -> Path:
        """The file of a call's recording, as soon as it is there: its channels are put together after the call."""
        found = self.data / "recordings" / str(row["recording"])
        deadline = time.monotonic() + within
        while not found.exists():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {found.name} within {within} s: {sorted(found.parent.rglob('*'))}")
            await asyncio.sleep(0.1)
        return found


class ApiPerson:
    """Somebody who uses the HTTP API: an agent's program, a supervisor's script."""

    def __init__(self, centre: TestCentre, name: str) -> None:
        self._centre = centre
        self._name = name
        self._http: aiohttp.ClientSession | None = None
        self._token = ""

    async def __aenter__(self) -> ApiPerson:
        self._http = aiohttp.ClientSession()
        answer = await self.post("/login", self._centre.login(self._name))
        self._token = answer["token"]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._http is not None
        await self._http.close()

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        assert self._http is not None
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        url = f"{self._centre.told['urls']['api']}{path}"
        async with self._http.request(method, url, json=body, headers=headers) as response:
            text = await response.text()
            assert response.status < 300, f"{method} {path}: {response.status} {text}"
            return json.loads(text) if text else None

    async def get(self, path: str) -> Any:
        """GET under /api/v1."""
        return await self._ask("GET", path)

    async def post(self, path: str, body: Any = None) -> Any:
        """POST under /api/v1."""
        return await self._ask("POST", path, body if body is not None else {})

    async def put(self, path: str, body: Any) -> Any:
        """PUT under /api/v1."""
        return await self._ask("PUT", path, body)

    async def feed(self) -> AsyncIterator[dict[str, Any]]:
        """What the live feed says, until it is closed."""
        assert self._http is not None
        url = f"{self._centre.told['urls']['api']}/feed"
        async with self._http.ws_connect(
            url, headers={"Authorization": f"Bearer {self._token}"}, max_msg_size=0
        ) as feed:
            async for message in feed:
                yield message.json()

    async def until(self, path: str, fits: Callable[[Any], Any], within: float = 60) -> Any:
        """GET again and again until the answer fits."""
        deadline = time.monotonic() + within
        answer = None
        while time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError):
                answer = await self.get(path)
                if fits(answer):
                    return answer
            await asyncio.sleep(0.05)
        raise AssertionError(f"{path} did not become so within {within} s; last: {json.dumps(answer)[:1500]}")


@contextlib.contextmanager
def running_centre(
    data: Path, *, env: dict[str, str] | None = None, args: tuple[str, ...] = ()
) -> Iterator[TestCentre]:
    """A started centre, stopped at the end."""
    centre = TestCentre(data, env=env, args=args)
    centre.start()
    try:
        yield centre
    finally:
        centre.stop()
