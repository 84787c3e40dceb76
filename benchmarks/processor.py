"""Processor time of a database server, which says more than elapsed time on a machine that others use too."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def server_seconds(server: int) -> float:
    """Processor seconds of a process, of those it has started and of those it had started; 0 for process 0."""
    ticks = 0
    for entry in Path("/proc").iterdir() if server else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(entry.name) == server:
                    ticks += sum(int(field) for field in fields[11:15])
                elif int(fields[1]) == server:
                    ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
