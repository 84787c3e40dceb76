"""The FastAGI server: routes sessions to handlers by the script of the agi:// address, and keeps them apart.

Whatever happens to a session ends that session alone, and its end is always the socket's: Asterisk then goes on at the
next priority, where the dialplan asks its own variable what to do. Nothing here hangs a caller up.

A connection is refused (closed at once) beyond `max_sessions`; closed when its environment is not complete in
`environment_seconds` (counted from the connect, so trickled bytes do not prolong it), and on the first fault against the protocol.
Connections that have not sent their environment take no session's place: beyond `most_unasked` the oldest of them goes, if it
has had `grace_seconds`. Asterisk sends its environment at once, so a flood of others does not keep it out; and where this process has
stood still, so many callers are accepted in one turn of the loop, before anything of theirs is read, that age alone tells them apart.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from itertools import islice
from typing import Protocol, Self, cast

import structlog

from cti.asterisk.agi.session import AgiSession, AgiTimeout
from cti.asterisk.agi.wire import AgiProtocolError, AgiRequest
from cti.errors import ConfigError

Handler = Callable[[AgiRequest, AgiSession], Awaitable[None]]
"""Serves one session. When it returns or raises, the session is closed. `request.call_id` says whose it is."""

ENDS = ("finished", "gone", "failed", "timeout", "protocol", "cancelled")
"""How a served session may end: the handler returned; it returned after the leg had gone; it raised; Asterisk fell
silent; Asterisk left the protocol; the server closed."""

REFUSALS = ("full", "crowded_out", "environment_late", "environment_cut", "protocol", "no_script")
"""Why a connection never became a session. `crowded_out`: too many others had sent no environment; `environment_cut`: closed before its
blank line."""

_REMEDIES = {
    "full": "more callers in a flow at once than one bridge takes: see `max_sessions`",
    "crowded_out": "somebody floods the FastAGI port: let only Asterisk reach it",
    "environment_late": "somebody holds the FastAGI port: let only Asterisk reach it",
}

_DIGITS = re.compile(r"\d")


class AgiMeter(Protocol):
    """Metrics hooks, called in the loop; they must not block or raise."""

    def session_opened(self, script: str) -> None:
        """A handler begins."""
        ...

    def session_ended(self, script: str, end: str, seconds: float) -> None:
        """A handler is over; `end` is one of `ENDS`."""
        ...

    def connection_refused(self, reason: str) -> None:
        """A connection was closed without a handler; `reason` is one of `REFUSALS`."""
        ...

    def command_done(self, verb: str, seconds: float) -> None:
        """One AGI command got its reply."""
        ...


class NullMeter:
    """Counts nothing."""

    def session_opened(self, script: str) -> None:
        """A handler begins."""

    def session_ended(self, script: str, end: str, seconds: float) -> None:
        """A handler is over."""

    def connection_refused(self, reason: str) -> None:
        """A connection was closed without a handler."""

    def command_done(self, verb: str, seconds: float) -> None:
        """One AGI command got its reply."""


BURST = 4
"""Times `most_unasked`: beyond so many without an environment the oldest goes, however young it is."""
SWEEP = 16
"""Late connections closed in one turn of the loop."""
REPORT_EVERY = 0.1
"""Seconds between two lines of the log about refused connections; the next line says how many there were between."""


class AgiServer:
    """Listens for Asterisk. `handlers` maps a script name ("call") to its handler.

    Use `start` and `close`, or `async with`. All sessions belong to the server: when `close` returns, none is left.
    """

    def __init__(
        self,
        host: str,
        port: int,
        handlers: Mapping[str, Handler],
        *,
        max_sessions: int = 2000,
        most_unasked: int = 256,
        grace_seconds: float = 0.5,
        environment_seconds: float = 3.0,
        meter: AgiMeter | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._handlers = dict(handlers)
        self._max_sessions = max_sessions
        self._most_unasked = most_unasked
        self._grace_seconds = grace_seconds
        self._environment_seconds = environment_seconds
        self._meter: AgiMeter = meter or NullMeter()
        self._log = structlog.get_logger("cti.agi")
        self._server: asyncio.Server | None = None
        self._closing = False
        self._open: set[AgiSession] = set()
        self._unasked: dict[AgiSession, float] = {}
        """Connections without a complete environment, oldest first, and until when each may take."""
        self._sweeper: asyncio.TimerHandle | None = None
        self._told_at = -REPORT_EVERY
        self._untold = 0
        self._tasks: dict[AgiSession, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Begin to listen. Raises `ConfigError` when the address is taken or not ours."""
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connected, self._host, self._port, backlog=512
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen for FastAGI on {self._host}:{self._port}: {error.strerror or error}",
                remedy="set ports.agi (or ports.offset) to a free port, or stop the program that has it",
            ) from None

    async def close(self, grace: timedelta = timedelta(seconds=2)) -> None:
        """Stop listening, let running handlers finish within `grace`, then end the rest. Idempotent."""
        self._closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        for session in [session for session in self._open if session not in self._tasks]:
            session.abort()
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=max(0.0, grace.total_seconds()))
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        for session in list(self._open):
            session.abort()
            await session.closed()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    @property
    def port(self) -> int:
        """The port listened on: the real one when 0 was asked for."""
        if self._server is None:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Open connections, sessions and those still sending their environment."""
        return len(self._open)

    @property
    def sessions(self) -> int:
        """Running handlers."""
        return len(self._tasks)

    # -- one connection ---------------------------------------------------------------------------------------------

    def _connected(self) -> asyncio.Protocol:
        if self._closing or len(self._open) - len(self._unasked) >= self._max_sessions:
            return _Refuse(lambda: self._refused("full"))
        loop = asyncio.get_running_loop()
        now = loop.time()
        if len(self._unasked) >= self._most_unasked:
            oldest, until = next(iter(self._unasked.items()))
            age = now - until + self._environment_seconds
            if age >= self._grace_seconds or len(self._unasked) >= BURST * self._most_unasked:
                del self._unasked[oldest]
                self._refused("crowded_out")
                oldest.abort()
        session = AgiSession(on_request=self._begin, on_over=self._over, meter=self._meter)
        self._open.add(session)
        self._unasked[session] = now + self._environment_seconds
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._environment_seconds, self._sweep, loop)
        return session

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connections whose environment is late: a few a turn of the loop, for a flood of them is late at once."""
        self._sweeper = None
        now = loop.time()
        for session, until in list(islice(self._unasked.items(), SWEEP)):
            if until > now:
                self._sweeper = loop.call_at(until, self._sweep, loop)
                return
            del self._unasked[session]
            self._refused("environment_late")
            session.abort()
        if self._unasked:
            self._sweeper = loop.call_later(0, self._sweep, loop)

    def _refused(self, reason: str, **fields: object) -> None:
        self._meter.connection_refused(reason)
        now = asyncio.get_running_loop().time()
        if now - self._told_at < REPORT_EVERY:
            self._untold += 1  # the metric counts each; a flood must not become a flood of lines
            return
        if self._untold:
            fields["not_logged_before"] = self._untold
        self._told_at, self._untold = now, 0
        if remedy := _REMEDIES.get(reason):
            fields["remedy"] = remedy
        if reason == "full":
            self._log.warning("agi connection refused", reason=reason, sessions=len(self._open), **fields)
        else:
            self._log.warning("agi connection closed before its session", reason=reason, **fields)

    def _over(self, session: AgiSession) -> None:
        self._open.discard(session)
        if self._unasked.pop(session, None) is None or session.requested:
            return  # served, or refused and counted already
        if session.fault is not None:
            self._refused("protocol", fault=session.fault.reason)
        elif not self._closing:
            self._refused("environment_cut")

    def _begin(self, session: AgiSession) -> None:
        self._unasked.pop(session, None)
        request = session.request
        if request.repeated:
            # A caller's text carried line ends into the environment: the first of each header counted.
            self._log.warning("agi headers repeated", call_id=request.call_id, headers=request.repeated)
        handler = self._handlers.get(request.script)
        if handler is None or self._closing:
            self._refused("full" if self._closing else "no_script", call_id=request.call_id)
            session.close()
            return
        task = asyncio.get_running_loop().create_task(
            self._serve(session, request, handler), name=f"agi {request.script} {request.call_id}"
        )
        self._tasks[session] = task

    async def _serve(self, session: AgiSession, request: AgiRequest, handler: Handler) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._meter.session_opened(request.script)
        end = "cancelled"
        try:
            await handler(request, session)
            end = "gone" if session.gone else "finished"
        except AgiTimeout as error:
            end = "timeout"
            self._report(request, end, error)
        except AgiProtocolError as error:
            end = "protocol"
            self._report(request, end, error)
        except Exception as error:
            # The isolation of sessions: whatever a handler does wrong ends its own session and nothing else.
            end = "failed"
            self._report(request, end, error)
        finally:
            del self._tasks[session]
            session.close()
            self._meter.session_ended(request.script, end, loop.time() - began)

    def _report(self, request: AgiRequest, end: str, error: Exception) -> None:
        """Log a fault with the call's id. The message's digits are masked: it may quote a number or pressed keys."""
        frames = traceback.extract_tb(error.__traceback__)
        self._log.error(
            "agi session failed",
            call_id=request.call_id,
            script=request.script,
            end=end,
            error=type(error).__name__,
            message=_DIGITS.sub("#", str(error))[:500],
            where=[f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames[-6:]],
        )


class _Refuse(asyncio.Protocol):
    """A connection that is closed as soon as it is there."""

    def __init__(self, refused: Callable[[], None]) -> None:
        self._refused = refused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one by duck, not by descent
        self._refused()
        transport.abort()
