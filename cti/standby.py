"""Two bridges for one centre: one owns the floor, the other stands by, warm, and takes over when it goes.

Theory of operation. Both run the same program on the same data folder. Three things say who owns the floor, each for another
kind of trouble:

1. The **lock** of the data folder (`flock`). The kernel gives it back the moment its holder ends, so the death of the owner is
   noticed within `LOOK` seconds, and two processes never write one journal.
2. The **lease** in Postgres, with a token that rises with every owner (`cti.store.lease`). It ends when its holder does not
   renew it. A holder that is alive, does not renew although the database answers, and whose event loop does not turn (the age of
   `owner.json`) is hung: it is killed, which frees the lock.
3. The **token in Asterisk** (`cti.asterisk.ami.fence`). An owner that finds a higher one there has been replaced and ends.

The database away takes nothing from anybody: the owner goes on, and who stands by can still have the lock when the owner dies.
See docs/decisions/0021.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import time
from pathlib import Path

import structlog

from cti.clock import Clock
from cti.errors import CtiError, RemoteError
from cti.model.ownership import Ownership, Standing
from cti.places import Places
from cti.private_file import write_private
from cti.settings import Settings
from cti.store.lease import Holder, LeaseTable

log = structlog.get_logger(__name__)

LOOK = 0.05
"""Seconds between tries to have the lock."""
RENEWALS = 4
"""How often a lease is renewed while it lasts."""
WITHOUT_DATABASE = 2.0
"""Seconds a new owner asks for a lease before it goes on with the lock alone."""


class LostFloor(CtiError):
    """Another bridge owns the floor now. This one ends; whoever started it starts it again, and it stands by."""

    error_id = "lost_floor"


def alone() -> Ownership:
    """The ownership of a bridge beside which nobody stands by."""
    return Ownership(token=0, hold=0.0, heard=0.0, shared=False)


def owner_of(places: Places) -> dict[str, object] | None:
    """What the owner wrote about itself: pid, token, since. None: there was none."""
    try:
        told = json.loads(_owner_file(places).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def stands_by(places: Places) -> int | None:
    """The process id of the bridge that stands by; None: there is none."""
    try:
        pid = int(_waiting_file(places).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return pid if is_bridge(pid) else None


def is_bridge(pid: int) -> bool:
    """Whether this process is a bridge: process ids are used again by the system."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"serve" in line


def hung_after(settings: Settings) -> float:
    """Seconds of standing still after which the guard ends this bridge; 0: never. Sooner where another one stands by: a bridge that
    was ended for nothing costs its callers two seconds there, and every second of hanging is one more to wait."""
    usual, sooner = settings.survival.hung_seconds, settings.standby.hung_seconds
    return min(usual, sooner) if settings.standby.enabled and usual and sooner else usual


class Standby:
    """This process's way to the floor, and its hold on it."""

    def __init__(self, settings: Settings, places: Places, clock: Clock) -> None:
        self._places, self._clock = places, clock
        self._hold = settings.standby.hold_seconds
        self._host = socket.gethostname()
        self._lease = LeaseTable(
            settings.database.url, node=settings.node, holder=secrets.token_hex(8), host=self._host, pid=os.getpid()
        )
        self._lock: int | None = None
        self._quiet_since: float | None = None
        self.ownership: Ownership | None = None

    async def own(self, stop: asyncio.Event) -> Ownership | None:
        """Wait until the floor is ours. None: `stop` was set first."""
        waited = False
        descriptor = os.open(self._places.run / "bridge.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        watch = asyncio.create_task(self._watch_owner())
        try:
            while not _locked(descriptor):
                if not waited:
                    log.info("standing_by", pid=os.getpid())
                    write_private(_waiting_file(self._places), str(os.getpid()).encode())
                    waited = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK)
                if stop.is_set():
                    os.close(descriptor)
                    return None
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            if waited:
                _waiting_file(self._places).unlink(missing_ok=True)
        self._lock = descriptor
        began = self._clock.monotonic()
        token, asked = await self._first_lease()
        self.ownership = Ownership(token=token, hold=self._hold, heard=asked)
        self._tell(token)
        log.info("floor_owned", token=token, after=waited, seconds=round(self._clock.monotonic() - began, 3))
        return self.ownership

    async def keep(self) -> None:
        """Renew the lease for ever. Raises `LostFloor` when another one owns the floor."""
        while True:
            await self._renew()
            self._beat()
            if self._mine().standing(self._clock.monotonic()) is Standing.LOST:
                log.error("floor_lost", token=self._mine().token, to=self._mine().lost_to)
                raise LostFloor("another bridge owns the floor", remedy="nothing: this one ends and stands by again")
            await asyncio.sleep(self._hold / RENEWALS)

    async def release(self) -> None:
        """Give everything back: who stands by takes over at once."""
        if self.ownership is not None:
            with contextlib.suppress(RemoteError):
                await self._lease.release(self.ownership.token)
        await self._lease.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # -- the lease -----------------------------------------------------------------------------------------------------

    async def _first_lease(self) -> tuple[int, float]:
        """A token, and when it was asked for: by the lease or, where the database does not answer, by counting on from the
        last one known here."""
        known = int(str((owner_of(self._places) or {}).get("token", 0)))
        deadline = self._clock.monotonic() + WITHOUT_DATABASE
        while True:
            asked = self._clock.monotonic()
            try:
                token = await self._take(known)
                if token is not None:
                    return token, asked
                deadline = self._clock.monotonic() + WITHOUT_DATABASE  # it answers: the lease of another machine ends
            except RemoteError as error:
                if self._clock.monotonic() > deadline:
                    log.warning("floor_owned_without_lease", error=error.message)
                    return known + 1, asked
            await asyncio.sleep(LOOK)

    async def _take(self, known: int) -> int | None:
        """The lease, where it is free, or its holder was on this machine: the lock is ours, so that one is gone, however long
        its lease still lasts."""
        token = await self._lease.take(hold=self._hold, known=known)
        if token is not None:
            return token
        holder = await self._lease.look()
        if holder is None or holder.host != self._host:
            return None
        return await self._lease.take(hold=self._hold, known=known, instead_of=holder.holder)

    async def _renew(self) -> None:
        mine, asked = self._mine(), self._clock.monotonic()
        try:
            if await self._lease.renew(mine.token, hold=self._hold):
                mine.renewed(asked)
                return
            token = await self._take(mine.token)
            if token is not None:  # a database that was away when we began, or was restored from a copy
                log.info("lease_taken_again", token=token, before=mine.token)
                mine.token = token
                mine.renewed(asked)
                self._tell(token)
                return
            holder = await self._lease.look()
            mine.refused(holder.token if holder is not None else 0)
        except RemoteError:
            mine.unanswered(asked)

    # -- an owner that hangs -------------------------------------------------------------------------------------------

    async def _watch_owner(self) -> None:
        """While the lock is another's: kill a holder that lives, and has not renewed its lease although it could."""
        while True:
            await asyncio.sleep(self._hold / RENEWALS)
            try:
                holder = await self._lease.look()
            except RemoteError:
                self._quiet_since = None  # it cannot renew either
                continue
            if holder is None or holder.remaining > 0 or holder.host != self._host:
                self._quiet_since = None
                continue
            now = self._clock.monotonic()
            if self._quiet_since is None:
                self._quiet_since = now
            elif now - self._quiet_since > self._hold and self._silent() > 2 * self._hold:
                self._kill(holder)
                self._quiet_since = None

    def _silent(self) -> float:
        """Seconds since the owner's event loop turned: one that cannot reach the database is not hung."""
        try:
            return max(0.0, time.time() - _owner_file(self._places).stat().st_mtime)
        except OSError:
            return 0.0

    def _kill(self, holder: Holder) -> None:
        told = owner_of(self._places) or {}
        if told.get("pid") != holder.pid or not is_bridge(holder.pid):
            return
        log.error("hung_owner_killed", pid=holder.pid, token=holder.token)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(holder.pid, signal.SIGKILL)

    # -- small things --------------------------------------------------------------------------------------------------

    def _mine(self) -> Ownership:
        if self.ownership is None:
            raise RuntimeError("the floor is not ours yet")
        return self.ownership

    def _beat(self) -> None:
        """The owner's file is as young as the last turn of its event loop."""
        with contextlib.suppress(OSError):
            os.utime(_owner_file(self._places))

    def _tell(self, token: int) -> None:
        told = {"pid": os.getpid(), "token": token, "since": self._clock.now().isoformat()}
        write_private(_owner_file(self._places), json.dumps(told).encode() + b"\n")


def _owner_file(places: Places) -> Path:
    return places.run / "owner.json"


def _waiting_file(places: Places) -> Path:
    return places.run / "standby.pid"


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
