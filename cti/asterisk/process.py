"""Asterisk as a process of ours: start, wait until it takes calls, command line, stop, and notice when it dies."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from cti.asterisk.install import AsteriskBinary
from cti.asterisk.render import RenderedPaths
from cti.errors import CtiError, RemoteError

_CLI_SECONDS = 10.0
_LOG_TAIL_BYTES = 4000


class AsteriskFailed(CtiError):
    """Asterisk did not start or died; the message has the end of its log."""

    error_id = "asterisk_failed"


class AsteriskProcess:
    """One Asterisk, in the foreground of a session of its own (a Ctrl-C meant for us does not reach it).

    `on_exit` is called with the exit status when Asterisk ends without `stop` having been called (negative: the signal
    that killed it). One instance starts one process; make a new one to start again.
    """

    def __init__(
        self, binary: AsteriskBinary, paths: RenderedPaths, *, on_exit: Callable[[int], None] | None = None
    ) -> None:
        self._binary = binary
        self._paths = paths
        self._on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self, *, within: timedelta = timedelta(seconds=30)) -> None:
        """Start Asterisk and wait until it is fully booted and takes calls.

        Raises `AsteriskFailed` with the end of the log when it ends early or is not ready within `within`; it is
        stopped then.
        """
        if self._process is not None:
            raise AsteriskFailed("this Asterisk was started before", remedy="make a new AsteriskProcess")
        await self._refuse_second()
        self._paths.log.mkdir(parents=True, exist_ok=True)
        # Opening a log file takes microseconds and nothing else runs yet.
        with self._paths.console_file.open("ab") as console:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._binary.argv,
                    "-fn",
                    "-C",
                    str(self._paths.asterisk_conf),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    start_new_session=True,
                    preexec_fn=_raise_file_limit,
                    env=_environment(),
                )
            except OSError as error:
                raise AsteriskFailed(
                    f"{self._binary.argv[0]} does not start: {error}", remedy="run `cti doctor`"
                ) from error
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._booted()
        except TimeoutError:
            await self.stop()
            raise AsteriskFailed(
                f"Asterisk was not ready within {within.total_seconds():.0f} s\n{self.log_tail()}",
                remedy=f"read {self._paths.log_file} and {self._paths.console_file}",
            ) from None
        except BaseException:
            await self.stop()
            raise
        self._watch = asyncio.create_task(self._wait_for_end(), name="asterisk-watch")

    async def stop(self, *, graceful: timedelta = timedelta(seconds=5)) -> None:
        """End it: ask, then kill. Calls on it end. Nothing happens when it is not running."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)  # Asterisk's "stop now": hangs up, flushes, removes its socket
            try:
                async with asyncio.timeout(graceful.total_seconds()):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._watch is not None:
            await self._watch
            self._watch = None

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL); `on_exit` is told."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def wait(self) -> int:
        """Wait for its end and return the exit status."""
        if self._process is None:
            raise AsteriskFailed("Asterisk was not started")
        return await self._process.wait()

    async def cli(self, command: str) -> str:
        """Run one command of Asterisk's command line and return what it prints.

        Raises `RemoteError` when Asterisk does not answer within 10 s.
        """
        process = await asyncio.create_subprocess_exec(
            *self._binary.argv,
            "-C",
            str(self._paths.asterisk_conf),
            "-rx",
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment(),
        )
        try:
            async with asyncio.timeout(_CLI_SECONDS):
                output, _ = await process.communicate()
        except TimeoutError:
            raise RemoteError(f"Asterisk did not answer {command!r} within {_CLI_SECONDS:.0f} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        text = output.decode("utf-8", "replace")
        if process.returncode != 0:
            raise RemoteError(f"Asterisk's command line failed at {command!r}: {text.strip()[-300:]}")
        return text

    def log_tail(self) -> str:
        """The last lines Asterisk wrote, for people."""
        parts = []
        for file in (self._paths.console_file, self._paths.log_file):
            with suppress(OSError), file.open("rb") as handle:
                handle.seek(0, os.SEEK_END)
                handle.seek(max(0, handle.tell() - _LOG_TAIL_BYTES))
                parts.append(handle.read().decode("utf-8", "replace").strip())
        return "\n".join(part for part in parts if part)

    async def _booted(self) -> None:
        """Wait until the command line says that everything is loaded; raise when the process ends before."""
        process = self._process
        assert process is not None
        socket = self._paths.run / "asterisk.ctl"
        while True:
            if process.returncode is not None:
                raise AsteriskFailed(
                    f"Asterisk ended at its start (status {process.returncode})\n{self.log_tail()}",
                    remedy=f"read {self._paths.log_file}; a port may be taken (`cti doctor` tells which)",
                )
            if socket.exists():
                with suppress(RemoteError):
                    if "fully booted" in await self.cli("core waitfullybooted"):
                        return
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await process.wait()

    async def _refuse_second(self) -> None:
        """Raise when an Asterisk already runs on this configuration; sweep the socket of one that was killed."""
        socket = self._paths.run / "asterisk.ctl"
        if not socket.exists():
            return
        try:
            async with asyncio.timeout(2):
                _, writer = await asyncio.open_unix_connection(str(socket))
        except (OSError, TimeoutError):
            socket.unlink(missing_ok=True)
            return
        writer.close()
        raise AsteriskFailed(
            f"an Asterisk already runs on {self._paths.etc}",
            remedy="stop the other one, or use another data folder and ports.offset",
        )

    async def _wait_for_end(self) -> None:
        assert self._process is not None
        status = await self._process.wait()
        if not self._stopping and self._on_exit is not None:
            self._on_exit(status)


def _raise_file_limit() -> None:
    """Each call takes several file descriptors; take all the system allows (at most 65,536)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(65536, hard) if hard != resource.RLIM_INFINITY else 65536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _environment() -> dict[str, str]:
    """The environment without what would change Asterisk's answers or take it to other libraries."""
    return {key: value for key, value in os.environ.items() if key not in ("LD_LIBRARY_PATH", "LD_PRELOAD")} | {
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
    }
