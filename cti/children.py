"""Child processes: started, kept alive, stopped by their own process id; and what a crashed parent left behind."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cti.errors import CtiError


class Child:
    """One child process, its output in a log file."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._env = dict(env)
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it in a process group of its own, so that Ctrl-C at the terminal reaches only the parent."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
                start_new_session=True,
            )

    def keep(self, *, on_restart: Callable[[Child], None]) -> None:
        """Start it again whenever it ends, at once the first time, then more and more slowly."""
        self._keeper = asyncio.create_task(self._keep(on_restart))

    async def _keep(self, on_restart: Callable[[Child], None]) -> None:
        delay = 0.0
        while self._process is not None:
            began = time.monotonic()
            await self._process.wait()
            delay = 0.0 if time.monotonic() - began > 10 else min(5.0, delay * 2 or 0.2)
            await asyncio.sleep(delay)
            try:
                await self.start()
            except OSError:  # no memory or no process to be had just now: try again more slowly
                continue
            on_restart(self)

    def kill(self) -> None:
        """End it at once (SIGKILL), and do not start it again."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self, patience: float = 8.0) -> None:
        """Ask it to end (SIGTERM), and make it when it does not."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(patience):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def port_is_free(host: str, port: int, kind: str) -> bool:
    """Whether we could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as probe:
        if kind == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def hold_lock(file: Path) -> int:
    """Take the lock of a data folder for the life of this process; gives the open descriptor.

    Raises `CtiError` when another process holds it: that centre is running.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise CtiError(
            f"this centre is running already ({file.parent.parent})",
            remedy="stop that one first, or give another folder with --data and other ports with CTI_PORTS__OFFSET",
        ) from None
    return descriptor


def stop_leftovers(state_file: Path, data: Path, say: Callable[[str], None], *, patience: float = 8.0) -> None:
    """Stop what an earlier `cti up` of the same data folder left running when it was killed.

    Only processes whose command line names the data folder are touched: process ids are used again by the system.
    The database is not touched, it is taken over as it is. One that does not end within `patience` seconds is killed.
    """
    try:
        state = json.loads(state_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    pids = state.get("pids") if isinstance(state, dict) else None
    for name, pid in (pids if isinstance(pids, dict) else {}).items():
        if name in ("up", "postgres") or not isinstance(pid, int) or not _is_ours(pid, data):
            continue
        say(f"stopping {name} (process {pid}), left over from a run that was killed")
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + patience
            while not ended(pid):
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    break
                time.sleep(0.05)


def ended(pid: int) -> bool:
    """Whether a process is gone, or has closed everything and only its parent has not looked yet.

    Its command line would be gone too early: memory goes before the sockets do, and those hold the ports we want. Nor is
    the state of its first thread enough: the sockets stay open until the last thread is gone.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return True
    return threads <= 1 and status.rpartition(b")")[2].split()[0] in (b"Z", b"X")


def _is_ours(pid: int, data: Path) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return any(part == str(data) or part.startswith(f"{data}/") for part in line.split("\0"))
