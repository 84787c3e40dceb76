"""What the machine did while a test of real parts ran: told beside a test that failed, for whoever has only the log."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

BEAT = 0.1
"""Seconds between two looks at the clock."""


def _processors() -> tuple[int, int, int]:
    """Ticks of all processors since the machine began: idle, taken by the machine's host for others, and all."""
    try:
        ticks = [int(part) for part in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return 0, 0, 0
    return ticks[3] + ticks[4], ticks[7], sum(ticks)


@dataclass(slots=True)
class Pulse:
    """A thread that wants nothing but to look at the clock; how long it was kept from it is how long anybody was."""

    late: float = 0.0
    """Most seconds a look came late since `begin`."""
    _began: float = field(default_factory=time.monotonic)
    _ticks: tuple[int, int, int] = (0, 0, 0)

    def start(self) -> None:
        """Look from now on, until the process ends."""
        threading.Thread(target=self._beat, name="pulse", daemon=True).start()

    def begin(self) -> None:
        """A test begins."""
        self.late, self._began, self._ticks = 0.0, time.monotonic(), _processors()

    def told(self) -> str:
        """One line about the time since `begin`."""
        idle, stolen, every = (now - before for now, before in zip(_processors(), self._ticks, strict=True))
        share = 100 / max(1, every)
        return (
            f"{time.monotonic() - self._began:.1f} s on {os.cpu_count()} processors: {idle * share:.0f} % idle, {stolen * share:.0f} %"
            f" taken by others on the same host, {os.getloadavg()[0]:.0f} processes wanted to run in the last minute;"
            f" a thread that wanted nothing was kept waiting for {self.late:.2f} s at most"
        )

    def _beat(self) -> None:
        while True:
            before = time.monotonic()
            time.sleep(BEAT)
            self.late = max(self.late, time.monotonic() - before - BEAT)
