"""`cti up`: a whole centre on one machine, in the foreground. Starts what is needed, watches it, stops exactly that.

Theory of operation: this process is the parent of Asterisk, of the embedded database and of the bridge (`cti serve`). A child
that dies is started again; the bridge may be killed at any moment and no call notices. Preparing runs in parallel where
nothing depends on it, so a second start takes seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import structlog
from rich.console import Console
from rich.markup import escape

from cti import flow_versions
from cti.asterisk.install import AsteriskBinary, ensure_asterisk
from cti.asterisk.process import AsteriskProcess
from cti.asterisk.render import render
from cti.centre_file import load_centre
from cti.certificates import speaks_sip_tls
from cti.children import Child, hold_lock, port_is_free, stop_leftovers
from cti.clock import SystemClock
from cti.demo.history_file import invent
from cti.errors import ConfigError, CtiError
from cti.ids import NodeName
from cti.log_files import LogFiles
from cti.model.centre import Centre
from cti.panel import panel
from cti.places import DEMO_CENTRE, Places
from cti.prompts import build_prompts
from cti.secrets_file import Secrets, load_or_make
from cti.settings import Settings
from cti.status import describe, ready
from cti.store.embedded import EmbeddedPostgres

READY_WITHIN = 60.0
"""Seconds the whole may take to answer calls, after everything is prepared."""
SHOP_HOST = "127.0.0.1"
LOOK_AFTER_DATABASE = 2.0
"""Seconds between looks whether the embedded database still runs. Calls do not wait for it; only their records do."""


class Up:
    """One run of the whole centre."""

    def __init__(
        self,
        settings: Settings,
        *,
        config: Path | None,
        demo: bool,
        console: Console,
        history: int = 0,
        standby: bool = False,
    ) -> None:
        self.settings = settings
        self.places = Places(settings)
        self._config = config
        self._demo = demo
        self._history = history
        self._with_standby = standby or settings.standby.enabled
        self._console = console
        self._began = time.monotonic()
        self._database: EmbeddedPostgres | None = None
        self._database_start: asyncio.Task[str] | None = None
        self._asterisk: AsteriskProcess | None = None
        self._make_asterisk: Callable[[], AsteriskProcess] | None = None
        self._database_watch: asyncio.Task[None] | None = None
        self._log_watch: asyncio.Task[None] | None = None
        self._bridge: Child | None = None
        self._standby: Child | None = None
        self._shop: Child | None = None
        self._traffic: Child | None = None
        self._dsn = settings.database.url
        self._stop = asyncio.Event()
        self._stopped = False
        self._code = 0
        """The exit code of a start that was ended."""
        self._lock: int | None = None

    def say(self, text: str) -> None:
        """One line of progress, with the seconds since the start."""
        self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/]  {text}", highlight=False)

    async def run(self) -> int:
        """Start, show the panel, watch until stopped. Gives the exit code: 130 when Ctrl-C ended the start; to be stopped by
        a service manager is no failure, at whatever moment.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_end, number)
        try:
            starting = asyncio.create_task(self._start())
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
            try:
                await starting
            except (asyncio.CancelledError, Exception):
                if not self._stop.is_set():
                    raise
                # Whatever failed in that moment: Ctrl-C in a terminal ends the programs that we have started, too.
                return self._code
            await stopping
            return 0
        finally:
            await self._shut_down()

    def _asked_to_end(self, number: int) -> None:
        """Ctrl-C: in order. Again: at once, and the calls there are end; what is in the journal stays."""
        self._code = 130 if number == signal.SIGINT else 0
        if self._stopped:
            # Nothing runs but a step of preparing that takes long, where Debian's mirror does not answer for example.
            os._exit(self._code)
        if self._stop.is_set():
            self.say("[yellow]at once[/]")
            for part in (self._traffic, self._standby, self._bridge, self._shop, self._asterisk):
                if part is not None:
                    part.kill()
        self._stop.set()

    def _go_on(self) -> None:
        """Raise when asked to end: what prepares in a thread is not cancelled, so it asks between its steps."""
        if self._stop.is_set():
            raise CtiError("asked to end while preparing")

    # -- starting ------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        centre, secrets = self._prepare()
        self.say(f"centre [b]{centre.name}[/]: {len(centre.agents)} agents, {len(centre.queues)} queues")
        stop_leftovers(self.places.state_file, self.settings.data, self.say)
        self._check_ports()
        self._log_watch = asyncio.create_task(self._log_files().run(self._log_begun_anew))
        await asyncio.gather(
            self._prepare_asterisk(centre, secrets), self._start_database(centre), self._build_prompts()
        )
        await asyncio.gather(self._start_asterisk(), self._start_bridge(), self._start_shop(centre))
        await self._wait_ready()
        if self._database is not None:
            self._database_watch = asyncio.create_task(self._keep_database(self._database))
        if self._with_standby:
            await self._start_standby()
        if self._demo:
            await self._start_traffic()
        self._write_state()
        self._console.print(panel(describe(self.settings, centre, secrets), demo=self._demo))
        self.say("ready")

    def _prepare(self) -> tuple[Centre, Secrets]:
        places = self.places
        places.make()
        self._lock = hold_lock(places.run / "up.lock")
        if self.settings.centre is None and not places.centre.exists():
            places.centre.write_text(self._demo_text(), encoding="utf-8")
        centre = load_centre(places.centre)
        secrets = load_or_make(self.settings.data, centre)
        return centre, secrets

    def _demo_text(self) -> str:
        """The demo centre, its shop where this centre's ports have it."""
        text = DEMO_CENTRE.read_text(encoding="utf-8")
        usual = f"//{SHOP_HOST}:{type(self.settings.ports)().shop}/"
        return text.replace(usual, f"//{SHOP_HOST}:{self.settings.ports.of('shop')}/")

    def _check_ports(self) -> None:
        ports = self.settings.ports
        wanted = [("web", "tcp"), ("ws", "tcp"), ("ami", "tcp"), ("agi", "tcp"), ("sip", "udp")]
        wanted += [("sip_tls", "tcp")] if speaks_sip_tls(self.settings) else []
        for name, kind in wanted:
            port = ports.of(name)
            if not port_is_free(self.settings.network.bind, port, kind):
                raise ConfigError(
                    f"port {port}/{kind} is taken (setting ports.{name})",
                    remedy=f"stop what uses it, or set ports.{name} or ports.offset, for example CTI_PORTS__OFFSET=1000",
                )

    async def _prepare_asterisk(self, centre: Centre, secrets: Secrets) -> None:
        last = [""]

        def progress(step: str, done: int, total: int) -> None:
            self._go_on()
            share = f" {done}/{total}" if total else ""
            if step != last[0] or done == total:
                last[0] = step
                self.say(f"Asterisk: {step}{share}")

        binary: AsteriskBinary = await asyncio.to_thread(ensure_asterisk, self.settings, progress)
        for warning in binary.warnings:
            self.say(f"[yellow]{warning}[/]")
        rendered = render(self.settings, centre, secrets, binary, self.places.prompts, self.places.asterisk)
        self.say(f"Asterisk {binary.version} configured")
        self._make_asterisk = lambda: AsteriskProcess(binary, rendered, on_exit=self._asterisk_gone)

    async def _start_database(self, centre: Centre) -> None:
        from cti.crm.casework_demo import load as load_cases
        from cti.crm.demo import callers
        from cti.crm.demo import load as load_demo
        from cti.store.migrate import migrate
        from cti.store.pool import open_pool

        if not self._dsn:
            self._database = EmbeddedPostgres(self.places.postgres)
            # A task of its own: should anything else fail meanwhile, stopping waits for it instead of missing it.
            self._database_start = asyncio.create_task(asyncio.to_thread(self._database.start))
            self._dsn = await asyncio.shield(self._database_start)
            self.say("PostgreSQL started")
        migrated = await migrate(self._dsn)
        if migrated.before != migrated.after:
            self.say(f"database schema {migrated.after} made")
        if self.settings.centre is None:
            pool = await open_pool(self._dsn, size=1)
            try:
                loaded = await load_demo(pool, region=centre.region)
                await load_cases(pool)
                if self._history:
                    await self._invent_history(centre, await callers(pool))
            finally:
                await pool.close()
            if loaded:
                self.say(f"demo customers loaded: {loaded}")

    async def _invent_history(self, centre: Centre, callers: Sequence[tuple[int, str, str, str]]) -> None:
        """Weeks of invented calls for a data folder that has no journal yet."""
        if any(self.places.journal.iterdir()):
            self.say("there were calls here already: no history is invented")
            return
        facts = await invent(
            self.places.journal,
            centre,
            callers,
            SystemClock().now(),
            days=self._history,
            node=NodeName(self.settings.node),
        )
        self.say(f"{self._history} days of calls invented: {facts} facts")

    async def _build_prompts(self) -> None:
        shown = [0.0]

        def progress(step: str, done: int, total: int) -> None:
            self._go_on()
            if time.monotonic() - shown[0] > 2 or done == total:
                shown[0] = time.monotonic()
                self.say(f"prompts: {step} {done}/{total}")

        kept = self.places.data / flow_versions.FOLDER
        await asyncio.to_thread(
            partial(build_prompts, self.places.prompt_manifest, self.places.prompts, progress, kept=kept)
        )

    async def _start_asterisk(self) -> None:
        if self._make_asterisk is None:
            raise CtiError("Asterisk was not prepared")
        self._asterisk = self._make_asterisk()
        await self._asterisk.start()
        self.say("Asterisk is up")

    async def _start_bridge(self) -> None:
        self._bridge = Child(
            "bridge", self._command("serve"), log=self.places.log / "bridge.log", env=self._environment()
        )
        await self._bridge.start()
        self._bridge.keep(on_restart=self._bridge_restarted)

    async def _start_standby(self) -> None:
        """The second bridge. After the first one is ready, so that which of them begins is no matter of luck."""
        log = self.places.log / "standby.log"
        self._standby = Child("standby", self._command("serve"), log=log, env=self._environment())
        await self._standby.start()
        self._standby.keep(on_restart=self._bridge_restarted)
        self.say("a second bridge stands by")

    async def _start_shop(self, centre: Centre) -> None:
        """The demo's shop, where a service of this centre is asked at its place."""
        place = f"//{SHOP_HOST}:{self.settings.ports.of('shop')}/"
        if not any(place in service.url for service in centre.services.values()):
            return
        command = [sys.executable, "-m", "cti.demo.shop", "--data", str(self.settings.data)]
        command += ["--port", str(self.settings.ports.of("shop"))]
        self._shop = Child("shop", command, log=self.places.log / "shop.log", env=os.environ)
        await self._shop.start()
        self._shop.keep(on_restart=lambda _child: self._write_state())

    async def _start_traffic(self) -> None:
        self._traffic = Child("demo", self._command("demo"), log=self.places.log / "demo.log", env=self._environment())
        await self._traffic.start()
        self._traffic.keep(on_restart=lambda _child: self._write_state())
        self.say("simulated callers and agents are on the line")

    def _command(self, verb: str) -> list[str]:
        command = [sys.executable, "-m", "cti", verb, "--data", str(self.settings.data)]
        return [*command, "--config", str(self._config)] if self._config is not None else command

    def _environment(self) -> dict[str, str]:
        # A database address holds a password: environment, not command line, where every user of the machine can read it.
        shared = {"CTI_STANDBY__ENABLED": "true"} if self._with_standby else {}
        return {**os.environ, "CTI_DATABASE__URL": self._dsn, "PYTHONUNBUFFERED": "1", **shared}

    async def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        parts: dict[str, object] = {}
        while time.monotonic() < deadline:
            ok, parts = await ready(self.settings)
            if ok:
                return
            await asyncio.sleep(0.1)
        raise CtiError(
            f"not ready after {READY_WITHIN:.0f} s: {json.dumps(parts)}",
            remedy=f"look into {self.places.log}, or run: cti doctor --data {self.settings.data}",
        )

    # -- watching ------------------------------------------------------------------------------------------------

    def _log_files(self) -> LogFiles:
        """What this process's children write; Asterisk's own the bridge keeps short."""
        ours = [self.places.log / f"{name}.log" for name in ("bridge", "standby", "shop", "demo")]
        logs = self.settings.logs
        return LogFiles(ours, most_bytes=logs.megabytes * 1024 * 1024, kept=logs.kept)

    def _log_begun_anew(self, file: Path) -> None:
        self.say(f"{file.name} had grown long and was begun anew; older ones lie beside it")

    def _bridge_restarted(self, child: Child) -> None:
        self.say(f"[yellow]the bridge ended and was started again (pid {child.pid})[/]; calls were not touched")
        self._write_state()

    def _asterisk_gone(self, code: int) -> None:
        if self._stop.is_set() or self._asterisk is None:
            return
        self.say(f"[yellow]Asterisk ended (code {code}) and is started again[/]")
        self._restarting = asyncio.ensure_future(self._restart_asterisk())

    async def _restart_asterisk(self) -> None:
        try:
            await self._start_asterisk()
        except CtiError as error:
            self.say(f"[red]Asterisk does not come back: {error}[/]")
        self._write_state()

    async def _keep_database(self, database: EmbeddedPostgres) -> None:
        """Start the database again when it has died; what was recorded meanwhile is drained into it then."""
        trouble = ""
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_AFTER_DATABASE)
                return
            before = database.pid
            try:
                await asyncio.to_thread(database.start)
            except (CtiError, OSError) as error:
                if str(error) != trouble:
                    trouble = str(error)
                    self.say(f"[red]PostgreSQL does not come back[/]: {escape(trouble)}")
                continue
            if database.pid != before:
                trouble = ""
                self.say(
                    f"[yellow]PostgreSQL ended and was started again (pid {database.pid})[/]; calls were not touched"
                )
                self._write_state()

    def _write_state(self) -> None:
        pids = {
            "up": os.getpid(),
            "bridge": self._bridge.pid if self._bridge else None,
            "standby": self._standby.pid if self._standby else None,
            "asterisk": self._asterisk.pid if self._asterisk else None,
            "postgres": self._database.pid if self._database else None,
            "demo": self._traffic.pid if self._traffic else None,
            "shop": self._shop.pid if self._shop else None,
        }
        self.places.write_state({"pids": pids, "data": str(self.settings.data), "dsn": self._dsn})

    # -- stopping ------------------------------------------------------------------------------------------------

    async def _shut_down(self) -> None:
        self._stop.set()
        self.say("stopping")
        if self._log_watch is not None:
            self._log_watch.cancel()
        if self._traffic is not None:
            await self._traffic.stop()
        # Both at once: neither is to take over from the other now.
        await asyncio.gather(*(child.stop() for child in (self._standby, self._bridge) if child is not None))
        if self._shop is not None:
            await self._shop.stop()
        if self._asterisk is not None:
            await self._asterisk.stop()
        if self._database_watch is not None:
            await self._database_watch  # it may be starting the database this moment
        if self._database_start is not None:
            await asyncio.wait({self._database_start})
        if self._database is not None:
            await asyncio.to_thread(self._database.stop)
        if self._lock is not None:  # without the lock it is another run's, which goes on
            self.places.state_file.unlink(missing_ok=True)
        self._stopped = True
        self.say("stopped")


async def up(
    settings: Settings,
    *,
    config: Path | None,
    demo: bool,
    console: Console,
    history: int = 0,
    standby: bool = False,
) -> int:
    """Run the whole centre until Ctrl-C."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))  # `say` tells the rest
    return await Up(settings, config=config, demo=demo, console=console, history=history, standby=standby).run()
