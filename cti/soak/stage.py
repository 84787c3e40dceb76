"""The centre under test: one that runs already, or one of our own with proxies on its ways; and eyes on it.

What is looked at comes from three sides: the bridge's own API, Asterisk's manager interface on a link of our own that no fault
touches, and the processes' memory as the kernel tells it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from cti.asterisk.ami.client import AmiLink, AmiSession
from cti.asterisk.ami.snapshot import STATUS
from cti.centre_file import load_centre
from cti.certificates import client_context
from cti.errors import ConfigError, CtiError, RemoteError
from cti.places import Places
from cti.secrets_file import load_or_make
from cti.settings import Settings, load_settings
from cti.soak.plan import NEEDS_OWN_DATABASE, NEEDS_PROXY, Fault
from cti.soak.proxy import Mode, Proxy
from cti.status import describe
from cti.store.embedded import EmbeddedPostgres
from cti.store.pool import connect

_PORTS = (8080, 5060, 5061, 8088, 5038, 4573, 8099, 8078)
_DISKS = {Fault.DATABASE_FULL: "320m", Fault.JOURNAL_FULL: "48m"}
"""Size of the small disk of what will find it full."""


class Eyes:
    """What the bridge says of itself, and an observer of our own on Asterisk."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        centre = load_centre(Places(settings).centre)
        self._secrets = load_or_make(settings.data, centre)
        self.told = describe(settings, centre, self._secrets)
        self.tls = client_context(settings)
        """For whoever asks the bridge; None: it is asked in the clear."""
        connector = aiohttp.TCPConnector(ssl=self.tls or True)
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1.5), connector=connector)
        self._token = ""
        self._ami: AmiSession | None = None

    async def close(self) -> None:
        """Close what is open."""
        await self._http.close()
        if self._ami is not None:
            await self._ami.close()

    async def parts(self) -> dict[str, Any]:
        """The parts of /readyz; empty when the bridge does not answer."""
        try:
            async with self._http.get(self.told["urls"]["readyz"]) as response:
                return dict((await response.json())["parts"])
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError):
            return {}

    async def part(self, name: str) -> bool:
        """Whether a part is well."""
        return bool((await self.parts()).get(name, {}).get("ok"))

    async def pending(self) -> float | None:
        """Facts that are not in the database yet; None when the bridge does not answer."""
        return await self.figure("cti_drain_pending_facts")

    async def figure(self, name: str) -> float | None:
        """One figure of /metrics."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.get(self.told["urls"]["metrics"]) as response:
                for line in (await response.text()).splitlines():
                    if line.startswith(f"{name} "):
                        return float(line.split()[1])
        return None

    async def counted(self, name: str) -> dict[float, int] | None:
        """A histogram of /metrics: how many were at most so much, by bound; None when the bridge does not answer."""
        begin, found = f'{name}_bucket{{le="', {}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.get(self.told["urls"]["metrics"]) as response:
                for line in (await response.text()).splitlines():
                    if line.startswith(begin):
                        bound, _, count = line.removeprefix(begin).partition('"} ')
                        found[float(bound)] = int(float(count))
        return found or None

    async def token(self) -> str:
        """A log-in of the supervisor; empty when the bridge does not answer."""
        return self._token if await self.state() is not None else ""

    async def state(self) -> dict[str, Any] | None:
        """The floor; None when the bridge does not answer."""
        api = self.told["urls"]["api"]
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError, KeyError):
            for _ in range(2):
                headers = {"Authorization": f"Bearer {self._token}"}
                async with self._http.get(f"{api}/state", headers=headers) as response:
                    if response.status == 200:
                        return dict(await response.json())
                user = next(u for u in self.told["logins"]["users"] if u["username"] == "supervisor")
                login = {"username": user["username"], "password": user["password"]}
                async with self._http.post(f"{api}/login", json=login) as response:
                    self._token = (await response.json())["token"]
        return None

    async def channels(self) -> dict[str, dict[str, str]] | None:
        """Asterisk's channels by unique id, asked over our own link; None when Asterisk is away."""
        for _ in range(2):
            try:
                if self._ami is None or self._ami.lost:
                    self._ami = await AmiLink(
                        host="127.0.0.1",
                        port=self._settings.ports.of("ami"),
                        username=self._settings.asterisk.ami_user,
                        secret=self._secrets.ami,
                        event_classes="system",
                    ).open()
                items = await self._ami.ask_list(STATUS)
            except RemoteError:
                if self._ami is not None:
                    await self._ami.close()
                self._ami = None
                continue
            return {
                item.get("Uniqueid"): {
                    "call": item.variable("CTI_CALL", "Variable") or "",
                    "bridge": item.get("BridgeID"),
                    "context": item.get("Context"),
                    "application": item.get("Application"),
                }
                for item in items
            }
        return None

    async def differences(self) -> list[str] | None:
        """How the bridge's picture differs from Asterisk's; empty: it does not; None: one of them does not answer."""
        channels, state = await self.channels(), await self.state()
        if channels is None or state is None:
            return None
        callers = {unique for unique, channel in channels.items() if unique == channel["call"]}
        joined: dict[str, set[str]] = {}
        for unique, channel in channels.items():
            if channel["bridge"]:
                joined.setdefault(channel["bridge"], set()).add(unique)
        talking = {unique for members in joined.values() if len(members) > 1 for unique in members & callers}
        calls = {call_id: call for call_id, call in state["calls"].items() if not call["callback"]}
        told = {call_id for call_id, call in calls.items() if call["state"] == "talking"}
        return [
            *(f"{one}: in Asterisk only" for one in sorted(callers - calls.keys())),
            *(f"{one}: in the bridge only" for one in sorted(calls.keys() - callers)),
            *(f"{one}: talks in one of them only" for one in sorted((talking ^ told) & callers & calls.keys())),
        ]


class Stage:
    """A centre to be soaked. Make it with `attach` or `own`, then `open`; `close` ends what it started."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.places = Places(settings)
        self.eyes: Eyes
        self.ami_proxy: Proxy | None = None
        self.database_proxy: Proxy | None = None
        self.database: EmbeddedPostgres | None = None
        self.database_may_run = True
        self._environ = dict(environ)
        self._disks: dict[Fault, Path] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.carrier = settings.trunk.match[0] if settings.trunk.match else "127.0.0.2"

    @classmethod
    def attach(cls, settings: Settings) -> Stage:
        """A centre that runs (`cti up` on this machine)."""
        return cls(settings, os.environ)

    @classmethod
    def own(cls, folder: Path, faults: Sequence[Fault], *, extra: Mapping[str, str] | None = None) -> Stage:
        """A new centre in `folder`, on ports of its own, with what the faults need."""
        offset = _free_offset()
        address = random.Random(offset + os.getpid())  # noqa: S311 - some loopback address
        octets = [address.randrange(2, 250) for _ in range(4)]
        environ = {
            **os.environ,
            "CTI_PORTS__OFFSET": str(offset),
            "CTI_PORTS__RTP_FIRST": str(10000 + octets[3] * 20 + offset % 2),
            "CTI_PORTS__RTP_LAST": "19999",
            "CTI_TRUNK__MATCH": json.dumps([f"127.{octets[0]}.{octets[1]}.{octets[2]}"]),
            **(extra or {}),
        }
        if NEEDS_PROXY & set(faults):
            environ["CTI_ASTERISK__AMI_HOST"] = f"127.{octets[2]}.{octets[0]}.{octets[1]}"
        if Fault.DOORS in faults:
            environ.setdefault("CTI_TLS__MODE", "on")  # the doors that speak TLS, and the plain one beside them
        journal = folder / "journal"
        if Fault.JOURNAL_FULL in faults:
            journal.mkdir(parents=True)
            environ["CTI_FOLDERS__JOURNAL"] = str(journal / "here")
        data = folder / "data"
        stage = cls(load_settings(environ=environ, overrides={"data": str(data)}), environ)
        if Fault.JOURNAL_FULL in faults:
            stage._disks[Fault.JOURNAL_FULL] = journal
        if NEEDS_OWN_DATABASE & set(faults):
            place = folder / "database"
            place.mkdir(parents=True)
            if Fault.DATABASE_FULL in faults:
                stage._disks[Fault.DATABASE_FULL] = place
            stage.database = EmbeddedPostgres(place / "postgres")
        return stage

    @property
    def owned(self) -> bool:
        """Whether the centre is ours."""
        return self.ami_proxy is not None or self._process is not None

    async def open(self, *, start: bool) -> None:
        """Be ready. With `start` the centre is started; without, it must run. Raises `CtiError`."""
        if start:
            await self._start()
        self.eyes = Eyes(self.settings)
        deadline = time.monotonic() + (180 if start else 5)
        while not ((await self.eyes.part("asterisk")) and self.pid("up")):
            if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                await self.close()
                raise CtiError(
                    "the centre is not ready", remedy=f"cti doctor --data {self.settings.data}; start it with: cti up"
                )
            await asyncio.sleep(0.2)

    async def _mount(self) -> None:
        for fault, place in list(self._disks.items()):
            size = f"size={_DISKS[fault]},mode=0755"
            made = await asyncio.to_thread(
                subprocess.run,
                ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)],
                check=False,
                capture_output=True,
            )
            if made.returncode:
                del self._disks[fault]
                raise ConfigError("no small disk could be mounted", remedy="a full disk is tried as root only")

    async def _start(self) -> None:
        settings = self.settings
        await self._mount()
        if settings.asterisk.ami_host != "127.0.0.1":
            port = settings.ports.of("ami")
            self.ami_proxy = Proxy(settings.asterisk.ami_host, port, ("127.0.0.1", port))
            await self.ami_proxy.start()
        if self.database is not None:
            dsn = await asyncio.to_thread(self.database.start)
            folder = Path(dsn.partition("host=")[2])
            self.database_proxy = Proxy("127.0.0.1", 0, folder / ".s.PGSQL.5432")
            await self.database_proxy.start()
            self._environ["CTI_DATABASE__URL"] = f"postgresql://postgres@127.0.0.1:{self.database_proxy.port}/cti"
            self._keeper = asyncio.create_task(self._keep_database(self.database))
        settings.data.mkdir(parents=True, exist_ok=True)
        with (settings.data.parent / "up.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once, and is to outlive this task
                [sys.executable, "-m", "cti", "up", "--data", str(settings.data)],
                env=self._environ, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 180
        while self.pid("up") != self._process.pid:
            if time.monotonic() > deadline or self._process.poll() is not None:
                text = (settings.data.parent / "up.log").read_text(errors="replace")
                await self.close()
                raise CtiError(f"the centre did not start:\n{text[-3000:]}")
            await asyncio.sleep(0.2)

    async def _keep_database(self, database: EmbeddedPostgres) -> None:
        """Start the database again when it has died, as `cti up` does with its own, while it may run."""
        while True:
            await asyncio.sleep(1)
            if self.database_may_run:
                with contextlib.suppress(CtiError, OSError):
                    await asyncio.to_thread(database.start)

    async def close(self) -> None:
        """End what was started."""
        if hasattr(self, "eyes"):
            await self.eyes.close()
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                await asyncio.to_thread(process.wait, 40)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for proxy in (self.ami_proxy, self.database_proxy):
            if proxy is not None:
                await proxy.close()
        if self.database is not None:
            self.freeze_database(signal.SIGCONT)
            await asyncio.to_thread(self.database.stop)
        for place in self._disks.values():
            await asyncio.to_thread(subprocess.run, ["umount", "-l", str(place)], check=False)

    # -- processes

    def pid(self, name: str) -> int | None:
        """Process id of a part, as `cti up` last wrote it; None when it does not run."""
        pid = self.places.read_state().get("pids", {}).get(name)
        if not isinstance(pid, int):
            return None
        try:
            state = (
                Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
            )
        except OSError:
            return None
        return None if state in "ZX" else pid

    def memory(self, name: str) -> float | None:
        """Resident memory of a part in MB; None when it does not run."""
        pid = self.pid(name)
        if pid is None:
            return None
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        return None

    def freeze_database(self, how: signal.Signals) -> None:
        """SIGSTOP or SIGCONT to PostgreSQL, its main process first when it stops and last when it goes on."""
        if self.database is None or not self.database.pid:
            return
        main = self.database.pid
        others = _children(main)
        for pid in [main, *others] if how is signal.SIGSTOP else [*others, main]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)

    def fill_disk(self, fault: Fault) -> None:
        """Leave no byte on the small disk of this fault."""
        with (self._disks[fault] / "balloon").open("ab", buffering=0) as balloon, contextlib.suppress(OSError):
            for size in (65536, 512):
                with contextlib.suppress(OSError):
                    while True:
                        balloon.write(bytes(size))

    def free_disk(self, fault: Fault) -> None:
        """Give the space back."""
        (self._disks[fault] / "balloon").unlink(missing_ok=True)

    # -- the database, asked past the proxy

    async def query(self, sql: str, *arguments: Any) -> list[Any]:
        """Ask the centre's database, not by the way that faults are done to. Rows by name. Raises `RemoteError`."""
        dsn = self.database.dsn if self.database is not None else self.places.read_state()["dsn"]
        connection = await connect(dsn)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    def cut(self, proxy: Proxy | None, mode: Mode) -> None:
        """Change what a proxy does."""
        if proxy is None:
            raise ConfigError("this fault needs a centre that the soak starts itself", remedy="leave --data away")
        proxy.become(mode)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    return []


def _free_offset() -> int:
    """A port offset at which all ports of a centre are free now."""
    rng = random.Random(os.getpid() * 1_000_003 + time.monotonic_ns())  # noqa: S311 - some number
    for _ in range(200):
        offset = rng.randrange(1500, 18000, 7)
        try:
            for port in _PORTS:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return offset
    raise CtiError("no free ports for a centre of our own")
