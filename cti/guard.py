"""The guard: a small process beside the bridge that ends it when it hangs.

A bridge that hangs keeps its connections, and Asterisk and its callers would wait for it. When it is killed its sockets close, the
dialplan goes on without it at once, and whoever started the bridge starts it again. It must be another process: one that
is stopped or stuck does nothing for itself.

Run as `python guard.py SILENCE` by the bridge, with a pipe as standard input. The watch begins with the first byte; after it, no
byte for SILENCE seconds and then none for half a second more is the end of the parent. The second look is for the case that
guard and bridge were stopped together (Ctrl-Z, a frozen container): then both wake up, and the bridge speaks first. The
end of the pipe is the end of the guard. Only the standard library, so that it starts at once and takes little memory.
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


def silent(beats: int, seconds: float) -> bool:
    """Whether nothing comes within `seconds`. Raises `EOFError` at the end of the pipe."""
    if not select.select([beats], [], [], seconds)[0]:
        return True
    if not os.read(beats, 4096):
        raise EOFError
    return False


def watch(beats: int, bridge: int, silence: float) -> None:
    """Until the pipe ends or the bridge was killed."""
    if not os.read(beats, 4096):
        return
    with contextlib.suppress(EOFError):
        while True:
            if silent(beats, silence) and silent(beats, SECOND_LOOK):
                break
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
