"""One FastAGI session: commands with deadlines, one at a time, and the caller's leg built on them.

A hang-up is an outcome here, never an exception: once Asterisk said HANGUP, answered 511 or -1, or closed the socket,
every command returns `LegGone` without being sent. Exceptions are left for faults: `AgiTimeout` (Asterisk is silent),
`AgiProtocolError` (a shift), `AgiRefused` (Asterisk does not take the command), `AgiCommandError` (we must not send it).
After the first three the socket is closed at once, so the dialplan carries the call on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import Literal, Protocol, TypeAlias, cast

from cti.asterisk.agi.wire import (
    AgiCommandError,
    AgiConnection,
    AgiProtocolError,
    AgiRequest,
    HangupNotice,
    Reply,
    encode_command,
    encode_line,
    plain_variable,
)
from cti.errors import RemoteError
from cti.services.ports import LegGone, NoDigit, Played, Pressed, TookDown

DIGITS = frozenset("0123456789*#")
QUICK = timedelta(seconds=5)
"""Deadline of a command that Asterisk answers at once."""
LONGEST_SOUND = timedelta(minutes=3)
"""Deadline of playing one file, unless the caller of `stream_file` knows better."""

ALLOWED_APPLICATIONS = frozenset({
    "CELGenUserEvent", "NoOp", "PlayTones", "Ringing", "StartMusicOnHold", "StopMusicOnHold", "StopPlayTones", "UserEvent",
})  # fmt: skip
"""Applications `exec` may run: all end at once. One that lasts (Dial, Queue) keeps running after our socket dies."""

SETTABLE_FUNCTIONS = frozenset({"CHANNEL(language)"})
"""Dialplan functions `set_variable` may write besides plain variables."""

BEEP = "CTI_BEEP"
"""Channel variable with the sound file of the tone before a recording."""
SAMPLES_A_SECOND = 8000

_PLAIN_VALUE = re.compile(r"[A-Za-z0-9+./_&:-]*")
"""What may stand in a list of values."""
_GONE = LegGone()
_NO_DIGIT = NoDigit()


class AgiTimeout(RemoteError):
    """Asterisk did not answer a command in time. The session was closed; whether the command was done is unknown."""

    error_id = "agi_timeout"


class AgiRefused(RemoteError):
    """Asterisk does not know the command (510) or its form (520). The session was closed.

    Our commands are well formed, so this is more likely a shift than anything else; observed when a too long line was
    run as two commands.
    """

    error_id = "agi_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A sound file was played: `digit` stopped it, or None; `endpos` in samples, 0 when there was nothing to play."""

    digit: str | None
    endpos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenDown:
    """A recording ended: by a key (`dtmf`), by silence or its limit (`timeout`), or by the caller's leaving (`hangup`)."""

    how: str
    """As Asterisk says it; anything else than the three is a failure (`writefile`, `waitfor`, `randomerror`)."""
    endpos: int
    """Samples written."""


class SessionMeter(Protocol):
    """Called once for every finished command, in the loop; must not block or raise."""

    def command_done(self, verb: str, seconds: float) -> None:
        """`verb` is the command's name without arguments; `seconds` from sending to the reply."""
        ...


class AgiSession(asyncio.Protocol):
    """One connection from Asterisk, from its environment to its end.

    `on_request(session)` is called when the environment is complete, `on_over(session)` once when the socket is closed,
    both in the loop. Everything else is for the handler that serves the session. Not for use from other threads.
    """

    def __init__(
        self,
        *,
        on_request: Callable[[AgiSession], None],
        on_over: Callable[[AgiSession], None],
        meter: SessionMeter | None = None,
        applications: frozenset[str] = ALLOWED_APPLICATIONS,
    ) -> None:
        self._on_request = on_request
        self._on_over = on_over
        self._meter = meter
        self._applications = applications
        self._wire = AgiConnection()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.Transport | None = None
        self._request: AgiRequest | None = None
        self._reply: asyncio.Future[Reply | LegGone] | None = None
        self._verb = ""
        self._expires = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self.gone = False
        """The leg is out of reach: HANGUP, a dead channel, or a closed socket. Every command now gives `LegGone`."""
        self.fault: AgiProtocolError | None = None
        """What the other side did against the protocol, if it did."""

    # -- the socket's side ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is open."""
        transport = cast(asyncio.Transport, transport)  # uvloop's is one by duck, not by descent
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        if self.gone:  # aborted between accept and here
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self.fault is not None:
            return
        try:
            events = self._wire.feed(data)
        except AgiProtocolError as fault:
            self._fail(fault)
            return
        for event in events:
            if isinstance(event, Reply):
                self._settle(event)
            elif isinstance(event, HangupNotice):
                self._leave()
            else:
                self._request = event
                self._on_request(self)

    def eof_received(self) -> bool:
        """asyncio: Asterisk closed its side; close ours."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is closed."""
        self._leave()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._over.is_set():
            self._over.set()
            self._on_over(self)

    def _fail(self, fault: AgiProtocolError) -> None:
        self.fault = fault
        self.gone = True
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(fault)
        self.abort()

    def _leave(self) -> None:
        self.gone = True
        self._settle(_GONE)

    def _settle(self, outcome: Reply | LegGone) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(outcome)

    # -- the handler's side -----------------------------------------------------------------------------------------

    @property
    def request(self) -> AgiRequest:
        """The environment. Only after `on_request`."""
        if self._request is None:
            raise AgiCommandError("the AGI environment is not complete yet")
        return self._request

    @property
    def requested(self) -> bool:
        """Whether the environment is complete."""
        return self._request is not None

    def close(self) -> None:
        """Close the socket when what was written is out; the dialplan goes on at its next priority. Idempotent."""
        self.gone = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the socket at once. Idempotent."""
        self.gone = True
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Wait until the socket is closed."""
        await self._over.wait()

    def command(
        self, verb: str, *arguments: str | int, deadline: timedelta = QUICK
    ) -> Coroutine[object, object, Reply | LegGone]:
        """Send one command and wait for its reply (200, or 511 as `LegGone`). Nothing is sent before it is awaited.

        Raises `AgiTimeout`, `AgiProtocolError`, `AgiRefused`, `AgiCommandError` (the last at once). Cancelling a command
        closes the session, because its reply would be taken for the next one's.
        """
        return self._exchange(encode_command(verb, arguments), verb, deadline, raw=False)

    def command_line(self, line: str, *, deadline: timedelta = QUICK) -> Coroutine[object, object, Reply | LegGone]:
        """Send a line that is quoted already and give back whatever reply comes (510, 511 and 520 too)."""
        return self._exchange(encode_line(line), line.split(None, 1)[0].upper(), deadline, raw=True)

    async def _exchange(self, data: bytes, verb: str, deadline: timedelta, *, raw: bool) -> Reply | LegGone:
        if self.fault is not None:
            raise self.fault
        if self.gone or self._transport is None or self._loop is None:
            return _GONE
        if self._reply is not None:
            raise AgiCommandError(f"{verb} was sent while another command waits for its reply")
        self._wire.command_sent()
        loop = self._loop
        began = loop.time()
        self._verb = verb
        self._expires = began + deadline.total_seconds()
        # One timer a session that looks at `_expires` when it fires: most commands are answered long before, and a timer
        # for each would cost more than the command.
        if self._timer is None or self._timer.when() > self._expires:
            self._arm(loop)
        future: asyncio.Future[Reply | LegGone] = loop.create_future()
        self._reply = future
        self._transport.write(data)
        try:
            outcome = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                future.exception()  # taken, so that nobody complains about it later
            self.abort()
            raise
        finally:
            self._reply = None
        if self._meter is not None:
            self._meter.command_done(verb, loop.time() - began)
        if isinstance(outcome, LegGone) or raw:
            return outcome
        if outcome.code == 511:
            self.gone = True
            return _GONE
        if outcome.code != 200:
            self.abort()
            raise AgiRefused(
                f"Asterisk refused the AGI command {verb} ({outcome.code})",
                remedy="report it: the command is built by this product, and the module it needs is in modules.conf",
                verb=verb,
                code=outcome.code,
                usage=outcome.usage,
            )
        return outcome

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._expires, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """The timer fired: either the command that waits is late, or the timer is from an earlier one."""
        self._timer = None
        if self._reply is None or self._reply.done():
            return
        if loop.time() < self._expires:
            self._arm(loop)
            return
        self._reply.set_exception(
            AgiTimeout(
                f"Asterisk did not answer the AGI command {self._verb} in time",
                outcome_unknown=True,
                remedy="the session was closed; the dialplan carries the call on",
                verb=self._verb,
            )
        )
        self.abort()

    async def _number(self, verb: str, *arguments: str | int, deadline: timedelta = QUICK) -> int | LegGone:
        """The result as a number; -1 (the channel failed or is gone) ends the session."""
        reply = await self.command(verb, *arguments, deadline=deadline)
        if isinstance(reply, LegGone):
            return reply
        try:
            value = int(reply.result)
        except ValueError:
            fault = AgiProtocolError("garbage", f"the AGI command {verb} gave a result that is no number")
            self._fail(fault)
            raise fault from None
        if value == -1:
            self.gone = True
            return _GONE
        return value

    async def answer(self) -> bool:
        """Answer the call if it is not answered yet. False when the leg is gone."""
        return not isinstance(await self._number("ANSWER", deadline=timedelta(seconds=30)), LegGone)

    async def stream_file(
        self, path: str, *, escape_digits: str = "", deadline: timedelta = LONGEST_SOUND
    ) -> Streamed | LegGone:
        """Play one sound file (path without extension). A key of `escape_digits` stops it and is returned."""
        reply = await self.command("STREAM FILE", path, _escape(escape_digits), deadline=deadline)
        if isinstance(reply, LegGone):
            return reply
        if reply.result == "-1":
            # A hang-up and a file that is not there give the same -1 (22.10.1). The next command tells: a channel that
            # is hung up answers HANGUP, 511, or with the end of the socket.
            alive = await self.command("CHANNEL STATUS")
            return alive if isinstance(alive, LegGone) else Streamed(digit=None, endpos=0)
        return Streamed(digit=_digit(reply.result), endpos=reply.endpos or 0)

    async def record_file(
        self, path: str, *, most: timedelta, silence: timedelta, escape_digits: str = ""
    ) -> TakenDown | LegGone:
        """Record to `path`.wav until a key of `escape_digits`, so much silence (whole seconds), or the limit.

        No beep of Asterisk's own: a key pressed during that one is reported as an error (read in res_agi.c). When the caller
        hangs up meanwhile, the outcome tells how much was recorded, and the leg is gone from then on.
        """
        arguments = (path, "wav", _escape(escape_digits), max(1, round(most.total_seconds() * 1000)))
        pause = f"s={max(1, round(silence.total_seconds()))}"
        reply = await self.command("RECORD FILE", *arguments, pause, deadline=most + QUICK)
        if isinstance(reply, LegGone):
            return reply
        if reply.text == "hangup":
            self.gone = True
        return TakenDown(how=reply.text, endpos=max(0, reply.endpos or 0))

    async def wait_for_digit(self, timeout: timedelta) -> Pressed | NoDigit | LegGone:
        """Wait for one key, at most `timeout`."""
        milliseconds = max(1, round(timeout.total_seconds() * 1000))  # 0 would not wait, -1 would wait for ever
        value = await self._number("WAIT FOR DIGIT", milliseconds, deadline=timeout + QUICK)
        if isinstance(value, LegGone):
            return value
        digit = _digit(str(value))
        return Pressed(digit=digit) if digit else _NO_DIGIT

    async def set_variable(self, name: str, value: str) -> bool:
        """Set a channel variable (plain name, `__` in front makes it inherited; or one of `SETTABLE_FUNCTIONS`).

        False when the leg is gone.
        """
        target = name if name in SETTABLE_FUNCTIONS else plain_variable(name)
        return not isinstance(await self.command("SET VARIABLE", target, value), LegGone)

    async def set_together(self, values: Sequence[tuple[str, str]]) -> bool:
        """Set several plain variables, in order, by one command: each costs both sides a turn. False when the leg is gone.

        Values of letters, digits and `+-./_&:` only: a comma would move those behind it.
        """
        if not all(_PLAIN_VALUE.fullmatch(value) for _, value in values):
            raise AgiCommandError("a value has characters that would be read as more than itself")
        names = ",".join(plain_variable(name) for name, _ in values)
        listed = ",".join(value for _, value in values)
        return not isinstance(await self.command("SET VARIABLE", f"ARRAY({names})", listed), LegGone)

    async def get_variable(self, name: str) -> str | LegGone | None:
        """A channel variable's value, None when it is not set. Plain names only; Asterisk cuts values at 1,023 bytes."""
        reply = await self.command("GET VARIABLE", plain_variable(name))
        if isinstance(reply, LegGone):
            return reply
        return reply.text if reply.result == "1" else None

    async def hangup(self) -> bool:
        """Ask Asterisk to hang up this channel. False when it was gone already."""
        return not isinstance(await self.command("HANGUP"), LegGone)

    async def exec(self, application: str, *arguments: str, deadline: timedelta = QUICK) -> int | LegGone:
        """Run one of the allowed dialplan applications; commas inside an argument part it again.

        Gives what the application returned; raises `AgiRefused` where Asterisk has no such application.
        """
        if application not in self._applications:
            raise AgiCommandError(f"the application {application[:40]!r} is not allowed over AGI")
        value = await self._number("EXEC", application, ",".join(arguments), deadline=deadline)
        if value == -2:
            raise AgiRefused(
                f"Asterisk has no application {application}", remedy=f"load the module of {application}", verb="EXEC"
            )
        return value

    async def verbose(self, message: str, level: int = 1) -> bool:
        """Write to Asterisk's console. Never give it a number or a digit. False when the leg is gone."""
        return not isinstance(await self.command("VERBOSE", message, level), LegGone)


RunScript: TypeAlias = Callable[[str, AgiSession, timedelta], Awaitable[Literal["done", "failed", "overdue"] | LegGone]]


class AgiLeg:
    """The caller's leg over one session; satisfies `cti.services.ports.CallerLeg`.

    `on_missing(sound)` is told of every sound that could not be played: the caller heard nothing in its place.
    `run_script(name, session, deadline)` runs the script of that name; without it every script fails.
    """

    def __init__(
        self,
        session: AgiSession,
        *,
        on_missing: Callable[[str], None] | None = None,
        run_script: RunScript | None = None,
    ) -> None:
        self._session = session
        self._on_missing = on_missing
        self._run_script = run_script

    async def play(self, sounds: Sequence[str], *, interrupt: str) -> Played | LegGone:
        """Play sound files in order (paths without extension); a key of `interrupt` stops them and is returned."""
        for sound in sounds:
            outcome = await self._session.stream_file(sound, escape_digits=interrupt)
            if isinstance(outcome, LegGone):
                return outcome
            if outcome.digit is not None:
                return Played(digit=outcome.digit)
            if outcome.endpos == 0 and self._on_missing is not None:
                self._on_missing(sound)
        return _GONE if self._session.gone else Played()

    async def digit(self, timeout: timedelta) -> Pressed | NoDigit | LegGone:
        """Wait for one key."""
        return await self._session.wait_for_digit(timeout)

    async def record(self, path: str, *, most: timedelta, silence: timedelta, terminators: str) -> TookDown | LegGone:
        """A tone (the dialplan names it in CTI_BEEP), then record to `path`.wav."""
        beep = await self._session.get_variable(BEEP)
        if isinstance(beep, str) and beep:
            await self._session.stream_file(beep)
        outcome = await self._session.record_file(path, most=most, silence=silence, escape_digits=terminators)
        if isinstance(outcome, LegGone):
            return outcome
        return TookDown(
            seconds=outcome.endpos / SAMPLES_A_SECOND,
            failed=outcome.how not in ("dtmf", "timeout", "hangup"),
            gone=outcome.how == "hangup",
        )

    async def run_script(self, name: str, *, deadline: timedelta) -> Literal["done", "failed", "overdue"] | LegGone:
        """Hand the session to a script until it ends."""
        return await self._run_script(name, self._session, deadline) if self._run_script is not None else "failed"

    async def set_variables(self, values: Sequence[tuple[str, str]]) -> bool:
        """Set channel variables in order; False when the leg is gone (the later ones were not set)."""
        rest = list(values)
        while rest:
            together = list(takewhile(_may_stand_together, rest))
            if len(together) > 1:
                done = await self._session.set_together(together)
                del rest[: len(together)]
            else:
                done = await self._session.set_variable(*rest.pop(0))
            if not done:
                return False
        return not self._session.gone


def _may_stand_together(pair: tuple[str, str]) -> bool:
    return pair[0] not in SETTABLE_FUNCTIONS and _PLAIN_VALUE.fullmatch(pair[1]) is not None


def _escape(digits: str) -> str:
    if not DIGITS.issuperset(digits):
        raise AgiCommandError("escape digits may only be 0-9, * and #")
    return digits


def _digit(result: str) -> str | None:
    """The key a result names by its ASCII code; None for 0 and for anything that is no key of ours (A-D)."""
    if not result.isdecimal() or len(result) > 3:
        return None
    digit = chr(int(result))
    return digit if digit in DIGITS else None
