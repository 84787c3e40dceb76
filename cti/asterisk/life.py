"""Whether the Asterisk behind the link is dead: known from the kernel at once, where it runs on this machine.

A link that is gone and a port that refuses say nothing about the calls: a reload closes both, and everybody talks on. That a
process has ended is another matter. The one named in the pid file is held by a handle (pidfd) while the link is up; the
handle is of that process and never of a later one with its number. Asterisk is taken for dead when all of this is so:

- the process was Asterisk when the link was made: its command line says so, it is not younger than the Asterisk at the other
  end told, and the other end is on this machine;
- the kernel says that it has ended;
- the link is gone, before or within `PARTED` seconds after that. A link that goes on belongs to another process.

Where any of it cannot be known (another machine, another pid file, a system without such handles), nothing is said here, and
the next link tells that Asterisk was restarted. See docs/decisions/0024.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

PARTED = 3.0
"""Seconds a link may outlive its Asterisk: silence on it is noticed sooner."""
WHOLE_SECONDS = timedelta(seconds=2)
"""Asterisk tells its up-time in whole seconds, and takes it from a clock that may be set."""
PROGRAM = "asterisk"


def on_this_machine(host: str) -> bool:
    """Whether an address can only be this machine's."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def process_age(pid: int) -> timedelta | None:
    """How long a process has been running; None: there is none. Linux."""
    try:
        started = int(
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
        )
        return timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def is_asterisk(pid: int) -> bool:
    """Whether a process runs Asterisk, by itself or through a loader of its own."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(os.path.basename(argument) == PROGRAM.encode() for argument in arguments)


class AsteriskLife:
    """Watches the process behind the link. `on_death` is called once for each that died, from the event loop."""

    def __init__(self, pid_file: Path, *, host: str, on_death: Callable[[], None] = lambda: None) -> None:
        self._pid_file = pid_file
        self._local = on_this_machine(host)
        self.on_death = on_death
        self.pid: int | None = None
        """The process that is watched; None: none can be."""
        self._handle = -1
        self._linked = False
        self._dead = False
        self._parting: asyncio.TimerHandle | None = None

    def link_up(self, uptime: timedelta) -> None:
        """A link was made with an Asterisk that has been up for so long."""
        self.close()
        self._linked = True
        pid = self._named() if self._local else None
        if pid is None:
            return
        try:
            handle = os.pidfd_open(pid)
        except (OSError, AttributeError):
            return
        age = process_age(pid)  # of the process that is held: its number cannot be given to another one now
        if age is None or age + WHOLE_SECONDS < uptime or not is_asterisk(pid):
            os.close(handle)
            return
        self.pid, self._handle = pid, handle
        asyncio.get_running_loop().add_reader(handle, self._ended)

    def link_down(self) -> None:
        """The link is gone."""
        self._linked = False
        if self._dead:
            self._told()

    def close(self) -> None:
        """Watch nothing any more."""
        self._drop()
        self._dead = False
        if self._parting is not None:
            self._parting.cancel()
            self._parting = None

    def _named(self) -> int | None:
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return pid if pid > 0 else None

    def _drop(self) -> None:
        if self._handle >= 0:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
        self._handle, self.pid = -1, None

    def _ended(self) -> None:
        log.error("asterisk_ended", pid=self.pid)
        self._drop()
        self._dead = True
        if self._linked:
            self._parting = asyncio.get_running_loop().call_later(PARTED, self._another)
        else:
            self._told()

    def _another(self) -> None:
        log.warning("the_link_outlives_its_asterisk", seconds=PARTED)
        self._parting, self._dead = None, False

    def _told(self) -> None:
        self.close()
        self.on_death()
