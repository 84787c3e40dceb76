"""The bridge's heartbeat: proof, several times a second, that its event loop turns.

Two listeners: the guard (`cti.guard`), a process of our own that kills a bridge which has fallen silent, wherever it
was started; and systemd, when it started us with `Type=notify` and `WatchdogSec` (the protocol of sd_notify(3): datagrams
to the socket named in NOTIFY_SOCKET).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

BEAT = 0.25
"""Seconds between beats."""
GUARD = Path(__file__).with_name("guard.py")


class Heart:
    """Beats from `run` on, until `stop`. `silence` is after how many seconds the guard takes us for hung; 0: no guard."""

    def __init__(self, silence: float, *, environ: Mapping[str, str] = os.environ) -> None:
        self._silence = silence
        self._guard: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._notify = _Notify(environ.get("NOTIFY_SOCKET", ""))

    def start(self) -> None:
        """Start the guard; it watches from the first beat on. Without it the bridge runs all the same, and says so."""
        if self._silence <= 0:
            return
        listens, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), str(self._silence)], stdin=listens, stdout=subprocess.DEVNULL
            )
        except OSError as error:
            log.error("guard_not_started", error=str(error))
            self._close_pipe()
        finally:
            os.close(listens)

    async def run(self) -> None:
        """Beat for ever. The first one says that we are ready: begin when calls can be served."""
        self._notify.tell("READY=1")
        while True:
            self._notify.tell("WATCHDOG=1")
            if self._pipe >= 0:
                try:
                    os.write(self._pipe, b".")
                except BlockingIOError:  # it has been stopped: it gets up with enough to read
                    pass
                except OSError as error:
                    log.error("guard_is_gone", error=str(error))
                    self._close_pipe()
            await asyncio.sleep(BEAT)

    async def rest(self) -> None:
        """While another bridge owns the floor: systemd is told that this one is well. There is no guard yet, and no calls."""
        self._notify.tell("READY=1\nSTATUS=stands by")
        while True:
            self._notify.tell("WATCHDOG=1")
            await asyncio.sleep(BEAT)

    def stop(self) -> None:
        """No more beats are owed: stopping may take its time. Idempotent."""
        self._notify.tell("STOPPING=1")
        self._notify.close()
        self._close_pipe()
        guard, self._guard = self._guard, None
        if guard is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                guard.wait(1)

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


def settle_memory() -> None:
    """What is here now stays: a full collection that goes through all of it holds everything up for 20 ms and more.

    The second collection has nothing to go through. It tells the collector so, which makes a full collection only when a quarter
    more than the last one saw has come: by what was seen before the freeze, rings of dead connections would stay by the thousand.
    """
    gc.collect()
    gc.freeze()
    gc.collect()


def asked_to_end(stop: asyncio.Event) -> None:
    """A signal asks us to end. The first: in order. The next: at once, as SIGKILL would; what is in the journal stays."""
    if stop.is_set():
        log.warning("bridge_ended_at_once")
        os._exit(1)
    stop.set()


class _Notify:
    """systemd's socket, if there is one. What cannot be told is not told: systemd then acts on the silence."""

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def tell(self, text: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(text.encode("ascii"), self._address)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
