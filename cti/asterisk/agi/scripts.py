"""Runs a person's existing synchronous AGI script, written for pyst2, on a session of our server.

The script is a function that takes an `asterisk.agi.AGI`. It runs in a worker thread; each of its commands travels
through the session in the event loop, so the codec's checks and deadlines hold for it too. pyst2 0.5.1 cannot do this by
itself: its `asterisk.fastagi` does not import on Python 3, `AGI()` installs a signal handler (main thread only) and wants
text streams of a process, and `_quote` escapes nothing. `SessionAgi` mends exactly those and leaves the rest, the
exceptions above all, as scripts know them.

A script past its deadline loses its session at once, and its next command raises `AGISIGHUPHangup`. One that does not end
by that is ended where it runs Python; only one that waits for ever outside of Python (for a socket, say) keeps its thread.
The loop is never held.
"""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import contextlib
import ctypes
import io
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import asterisk.agi
import structlog
from asterisk.agi import AGI, AGIAppError, AGIException, AGIHangup, AGISIGHUPHangup

from cti.asterisk.agi.session import AgiSession
from cti.asterisk.agi.wire import AgiRequest, Reply, encode_line, quote
from cti.errors import CtiError
from cti.services.ports import LegGone

Script = Callable[[AGI], object]
"""A synchronous script. What it returns is dropped; it speaks to the caller through its AGI."""

_CALL_LENGTH = timedelta(hours=4)
"""Deadline of one command of a script that has none: a script's own EXEC may last as long as a call."""

MOST_INTERRUPTS = 5
"""How often a script is told to end that catches whatever it is told."""


class ScriptEnd(StrEnum):
    """How a script ended."""

    FINISHED = "finished"
    GONE = "gone"
    """The leg had gone, and the script ended with pyst2's hang-up exception."""
    FAILED = "failed"
    OVERDUE = "overdue"
    """The deadline passed; the session is closed."""


class _Overdue(BaseException):
    """Raised in the thread of a script whose time was up and that did not end by itself."""


class _Run:
    """One script in its thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread = 0
        """Its identifier while the script runs."""

    def begin(self) -> None:
        """In the thread: the script begins."""
        self._thread = threading.get_ident()

    def ended(self) -> None:
        """In the thread: the script has ended."""
        with self._lock:
            self._thread = 0

    def interrupt(self) -> bool:
        """Raise `_Overdue` in the script, as soon as it runs Python again; False when it has ended."""
        with self._lock:
            if self._thread:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(_Overdue))
            return bool(self._thread)


class ScriptRunner:
    """Threads for scripts, one each, `workers` of them at most at the same time. `close` when the server is closed."""

    def __init__(self, *, workers: int = 64, grace: timedelta = timedelta(seconds=2)) -> None:
        self._room = asyncio.Semaphore(workers)
        self._grace = grace.total_seconds()
        self._closed = False
        self._log = structlog.get_logger("cti.agi.scripts")

    async def run(self, script: Script, session: AgiSession, *, deadline: timedelta) -> ScriptEnd:
        """Run `script` on `session` to its end, or to its deadline. Never raises for what a script does.

        A wait for others to end counts against the deadline. After `OVERDUE` the session is closed; a script that has not
        ended `grace` later is ended wherever it runs Python, so that one that computes for ever does not go on doing so.
        """
        loop = asyncio.get_running_loop()
        ends: asyncio.Future[ScriptEnd] = loop.create_future()
        run = _Run()
        expires = loop.time() + deadline.total_seconds()

        def settle(end: ScriptEnd) -> None:
            self._room.release()
            if not ends.done():
                ends.set_result(end)

        def thread() -> None:
            end = ScriptEnd.FAILED
            with contextlib.suppress(_Overdue):
                end = self._work(run, script, session, loop)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, end)

        try:
            try:
                async with asyncio.timeout_at(expires):
                    await self._room.acquire()
                    if self._closed:
                        self._room.release()
                        return ScriptEnd.FAILED
                    # Daemons: one that never returns must not keep the process from ending.
                    threading.Thread(target=thread, name="agi-script", daemon=True).start()
                    return await asyncio.shield(ends)
            except TimeoutError:
                session.abort()
                self._log.error("agi script overdue", call_id=session.request.call_id, script=session.request.script)
                loop.call_later(self._grace, self._end, loop, run, MOST_INTERRUPTS)
                return ScriptEnd.OVERDUE
        except asyncio.CancelledError:
            session.abort()
            loop.call_later(self._grace, self._end, loop, run, MOST_INTERRUPTS)
            raise

    def _end(self, loop: asyncio.AbstractEventLoop, run: _Run, times: int) -> None:
        """A script may catch what ends it: it is told a few times."""
        if run.interrupt() and times > 1 and not loop.is_closed():
            loop.call_later(self._grace, self._end, loop, run, times - 1)

    def _work(self, run: _Run, script: Script, session: AgiSession, loop: asyncio.AbstractEventLoop) -> ScriptEnd:
        request = session.request
        try:
            run.begin()
            script(SessionAgi(session, loop))
        except _Overdue:
            return ScriptEnd.OVERDUE
        except AGIHangup:
            return ScriptEnd.GONE
        except AGIAppError as error:
            # pyst2 raises this for any result=-1, which is how a hang-up in a command shows.
            return ScriptEnd.GONE if session.gone else self._failed(request, error)
        except BaseException as error:
            # SystemExit too: scripts end with sys.exit(), and that must end neither this thread nor the loop.
            if isinstance(error, SystemExit) and error.code in (None, 0):
                return ScriptEnd.FINISHED
            return self._failed(request, error)
        finally:
            run.ended()
        return ScriptEnd.FINISHED

    def _failed(self, request: AgiRequest, error: BaseException) -> ScriptEnd:
        frames = traceback.extract_tb(error.__traceback__)
        self._log.error(
            "agi script failed",
            call_id=request.call_id,
            script=request.script,
            error=type(error).__name__,
            where=[f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames[-6:]],
        )
        return ScriptEnd.FAILED

    def close(self) -> None:
        """Take no more scripts. Running ones end with their sessions."""
        self._closed = True


class ScriptFolder:
    """People's scripts as they stand, `<folder>/<name>.py`, each run afresh for every caller.

    A script is run as a program would be (`__name__` is "__main__"); the `AGI` it imports from pyst2 speaks over the caller's
    session, and can be subclassed. What it prints, or writes to `sys.stdout` and `sys.stderr`, reaches nobody: no log grows by
    it. Modules of its own that import pyst2 or `sys` get the real ones.
    """

    def __init__(self, folder: Path, runner: ScriptRunner) -> None:
        self._folder = folder
        self._runner = runner

    async def run(
        self, name: str, session: AgiSession, deadline: timedelta
    ) -> Literal["done", "failed", "overdue"] | LegGone:
        """Run the script `name` to its end, or to the deadline. Never raises for what a script does, or lacks."""
        file = self._folder / f"{name}.py"

        def script(agi: SessionAgi) -> None:
            code = compile(file.read_bytes(), str(file), "exec")
            names = {"__name__": "__main__", "__file__": str(file), "__builtins__": _builtins_for(agi)}
            exec(code, names)  # noqa: S102 - the operator's own program, from the operator's folder

        match await self._runner.run(script, session, deadline=deadline):
            case ScriptEnd.FINISHED:
                return LegGone() if session.gone else "done"
            case ScriptEnd.GONE:
                return LegGone()
            case ScriptEnd.OVERDUE:
                return "overdue"
            case _:
                return "failed"


def _builtins_for(agi: SessionAgi) -> dict[str, Any]:
    """Python's own names, whose `import` gives a script an `AGI` of its caller's session."""

    class CallersAgi(SessionAgi):
        def __init__(self, *_streams: object, **_more: object) -> None:
            SessionAgi.__init__(self, agi.session, agi.loop)

    module = ModuleType("asterisk.agi")
    module.__dict__.update(vars(asterisk.agi))
    module.__dict__["AGI"] = CallersAgi
    silent = ModuleType("sys")
    silent.__dict__.update(vars(sys))
    silent.__dict__.update(stdin=io.StringIO(), stdout=_Silence(), stderr=_Silence())
    package = ModuleType("asterisk")
    package.__dict__.update(vars(asterisk))
    package.__dict__["agi"] = module

    def import_(
        name: str,
        globals_: Mapping[str, object] | None = None,
        locals_: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        found = builtins.__import__(name, globals_, locals_, fromlist, level)
        if level == 0 and name == "asterisk.agi":
            return module if fromlist else package
        if level == 0 and name == "sys":
            return silent
        return package if level == 0 and name == "asterisk" else found

    def print_(*_values: object, **_how: object) -> None:
        """To nobody."""

    return {**vars(builtins), "__import__": import_, "print": print_}


class SessionAgi(AGI):  # type: ignore[misc]  # pyst2 has no types
    """pyst2's AGI whose streams are one of our sessions. Made and used in a worker thread."""

    def __init__(self, session: AgiSession, loop: asyncio.AbstractEventLoop) -> None:
        # AGI.__init__ is not called: it would install a signal handler and read a process's standard input.
        streams = _SessionStreams(session, loop)
        self.stdin = streams
        self.stdout = streams
        self.stderr = _Silence()
        self.session = session
        self.loop = loop
        self._got_sighup = False
        request = session.request
        self.env = dict(request.headers)
        self.env |= {f"agi_arg_{number}": value for number, value in enumerate(request.args, 1)}

    def _quote(self, string: object) -> str:
        """A quoted argument, with quotes and backslashes escaped (pyst2's own escapes nothing)."""
        return quote(str(string))

    def test_hangup(self) -> None:
        """Raise `AGISIGHUPHangup` when the leg has gone: a FastAGI session gets no signal."""
        if self.session.gone:
            raise AGISIGHUPHangup("the caller's channel has left this session")


class _SessionStreams:
    """stdin and stdout of a script: a written line is a command, the lines read next are its reply."""

    def __init__(self, session: AgiSession, loop: asyncio.AbstractEventLoop) -> None:
        self._session = session
        self._loop = loop
        self._written = ""
        self._lines: deque[str] = deque()

    def write(self, text: str) -> int:
        self._written += text
        return len(text)

    def flush(self) -> None:
        line, self._written = self._written.removesuffix("\n"), ""
        if not line:
            return
        encode_line(line)  # refuse in the script's own thread, with its own stack
        exchange = self._session.command_line(line, deadline=_CALL_LENGTH)
        try:
            reply = self._wait(asyncio.run_coroutine_threadsafe(exchange, self._loop))
        except (CtiError, concurrent.futures.CancelledError, RuntimeError) as error:
            exchange.close()
            raise AGISIGHUPHangup("the session is closed") from error
        if isinstance(reply, LegGone):
            raise AGISIGHUPHangup("the caller's channel has left this session")
        self._lines.extend(reply.lines)

    def _wait(self, reply: concurrent.futures.Future[Reply | LegGone]) -> Reply | LegGone:
        while True:
            try:
                return reply.result(timeout=1.0)
            except TimeoutError:
                if self._loop.is_closed():  # nobody will ever answer this thread
                    raise RuntimeError("the event loop is closed") from None

    def readline(self) -> str:
        if not self._lines:
            raise AGIException("no reply is due")
        return self._lines.popleft() + "\n"


class _Silence:
    """stdout and stderr of a script: pyst2 writes every command and digit to it, and those do not belong in a log."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None
