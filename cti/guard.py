"""The guard: a small process beside the bridge that ends it when it hangs.

A bridge that hangs keeps its connections, and Asterisk and its callers would wait for it. When it is killed its sockets close, the
dialplan goes on without it at once, and whoever started the bridge starts it again. It must be another process: one that
is stopped or stuck does nothing for itself.

Run as `python guard.py SILENCE` by the bridge, with a pipe as standard input. The watch begins with the first byte; after it, no
byte for SILENCE seconds and then none for half a second more is the end of the parent. The second look is for the case that
guard and bridge were stopped together (Ctrl-Z, a frozen container): then both wake up, and the bridge speaks first. A bridge
that wants to run and is not given a processor does not hang: it is given more time (`MOST_EXCUSED`). The end of the pipe is the end of the guard. Only the standard library, so that it starts at once and takes little memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys

SECOND_LOOK = 0.5
"""Seconds. The bridge's beats come several times in `SILENCE`, so this many are enough for one that is alive."""
MOST_EXCUSED = 20.0
"""Seconds of silence after which an overloaded machine is no excuse."""
PROC = "/proc"
BUSY_SHARE = 0.5
"""Who had the processor for this share of its silence hangs in a loop; who had less of it was kept from it."""


def silent(beats: int, seconds: float) -> bool:
    """Whether nothing comes within `seconds`. Raises `EOFError` at the end of the pipe."""
    if not select.select([beats], [], [], seconds)[0]:
        return True
    if not os.read(beats, 4096):
        raise EOFError
    return False


def running(pid: int) -> tuple[bool, float]:
    """Whether the process wants the processor, and how many seconds it has had it so far. Of one that is gone: no.

    It wants it when any of its threads does (another may hold the interpreter's lock while it is kept from the processor),
    or when the main one waits for the disk.
    """
    main, used = _stat(f"{PROC}/{pid}/stat")
    try:
        threads = os.listdir(f"{PROC}/{pid}/task")
    except OSError:
        return False, 0.0
    return main == "D" or any(_stat(f"{PROC}/{pid}/task/{thread}/stat")[0] == "R" for thread in threads), used


def _stat(path: str) -> tuple[str, float]:
    """State, and seconds of the processor so far: of a process (the state is its main thread's) or of a thread."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return "", 0.0
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hangs(beats: int, bridge: int, silence: float) -> bool:
    """Wait for a beat; True when none comes and there is no excuse. Raises `EOFError`."""
    used = running(bridge)[1]
    if not silent(beats, silence):
        return False
    waited = silence
    while True:
        if not silent(beats, SECOND_LOOK):
            return False
        waited += SECOND_LOOK
        wants, now = running(bridge)
        if not wants or now - used > BUSY_SHARE * waited or waited > MOST_EXCUSED:
            return True


def watch(beats: int, bridge: int, silence: float) -> None:
    """Until the pipe ends or the bridge was killed."""
    if not os.read(beats, 4096):
        return
    with contextlib.suppress(EOFError):
        while not hangs(beats, bridge, silence):
            pass
        if os.getppid() != bridge:
            return  # it is gone, and somebody else may have its number
        told = {"event": "bridge_hung_and_killed", "level": "critical", "pid": bridge, "silent_seconds": silence}
        sys.stderr.write(json.dumps(told) + "\n")
        sys.stderr.flush()
        with contextlib.suppress(ProcessLookupError):
            os.kill(bridge, signal.SIGKILL)


def main() -> None:
    """Entry point. Signals meant for the bridge are not for its guard, which ends with it."""
    bridge = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch(0, bridge, float(sys.argv[1]))


if __name__ == "__main__":
    main()
