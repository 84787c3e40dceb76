"""The link to Asterisk's manager interface: connect, log in, ask with a deadline, notice silence, connect again, for ever.

The only file that knows panoramisk. Its `Manager` opens the connection and hands actions over; bytes are handled by our
own protocol, given through `Manager(protocol_factory=...)`, the seam panoramisk documents. What panoramisk 1.4 (pinned)
does otherwise and must not do here, each with a test in tests/unit/ami_client_test.py:

- it sends unanswered actions again after a reconnect (one Originate placed two calls): here every future fails on loss
  with `outcome_unknown=True` and nothing is ever sent twice;
- it runs coroutine callbacks in tasks of their own, out of order: here events go into one queue with one reader;
- it never looks at the reply to its ping: here silence ends the link within `ping_interval + ping_patience` (see `pulse`);
- a wrong password only leaves a flag: here it is `AmiLoginRefused`, which says what to do;
- it drops the link at `Event: Shutdown`: here that is an event, and the end of the stream is the end;
- it decodes before it splits, losing letters cut by the network, and it lets CR LF through in values: see `wire`.

Reading never waits for anybody: bytes are cut into messages, answers go to their futures, events into the queue. Asterisk
cuts off a client that reads too slowly (about 4 MB behind), so nothing else happens on that path.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn, cast

import structlog
from panoramisk.manager import Manager

from cti.asterisk.ami.errors import (
    AmiLinkLost,
    AmiLoginRefused,
    AmiProtocolError,
    AmiRefused,
    AmiRequestTimeout,
    AmiUnreachable,
)
from cti.asterisk.ami.link_timings import LinkTimings
from cti.asterisk.ami.pulse import Pulse
from cti.asterisk.ami.wire import AmiMessage, AmiReader, encode_action
from cti.errors import RemoteError

log = structlog.get_logger(__name__)

LATER_EVENTS = frozenset({"OriginateResponse"})
"""What an action that was answered at once brings about later: it bears the action's id and is an event all the same."""
BACKLOG_LIMIT = 100_000
"""Events waiting for their reader. Beyond it the reader is hopelessly behind: the link is dropped and the picture is
taken anew from a snapshot, which is cheaper than the backlog and right."""

_NOTHING_TO_LIST = re.compile(r"No [A-Za-z ]+ found\.?", re.ASCII)
"""Some lists (PJSIPShowContacts, PJSIPShowEndpoints) answer with an error when they are empty."""

LIST_LIMIT = 200_000
"""Items of one action list; Asterisk cannot have more channels than that."""


@dataclass(slots=True, kw_only=True)
class _Pending:
    """An action that was sent and not yet answered."""

    name: str
    as_list: bool
    future: asyncio.Future[list[AmiMessage]]
    items: list[AmiMessage] = field(default_factory=list)


class _Protocol(asyncio.Protocol):
    """Bytes of one connection. Has what panoramisk's Manager touches: `send`, `close`, and attributes it sets."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.reader = AmiReader()
        self.transport: asyncio.Transport | None = None
        self.events: deque[AmiMessage] = deque()
        self.wake = asyncio.Event()
        self.lost = asyncio.Event()
        self.booted: AmiMessage | None = None
        self.booted_or_lost = asyncio.Event()
        self.reason: RemoteError | None = None
        self.heard: Callable[[], None] = lambda: None
        self.late_answers = 0
        # A token per connection: no answer meant for an earlier link, and no guess of an outsider, can match.
        self._prefix = f"cti-{secrets.token_hex(4)}-"
        self._mark = f"\r\nActionID: {self._prefix}".encode()
        self._count = 0
        self._pending: dict[str, _Pending] = {}

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one by duck, not by descent
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard()
        try:
            messages = self.reader.feed(data)
        except AmiProtocolError as problem:
            self.abort(problem)
            return
        for message in messages:
            # Most events have no ActionID: one search for ours is all that they cost here.
            action_id = message.action_id if self._mark in message.block else ""
            if action_id.startswith(self._prefix) and message.event not in LATER_EVENTS:
                self._answered(action_id, message)
            elif message.block.startswith(b"Event:"):
                if self.booted is None and message.event == "FullyBooted":
                    self.booted = message
                    self.booted_or_lost.set()
                elif len(self.events) >= BACKLOG_LIMIT:
                    self.abort(AmiLinkLost(f"{BACKLOG_LIMIT} events wait to be read: starting over from a snapshot"))
                    return
                else:
                    self.events.append(message)
        if self.events:
            self.wake.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.reason is None:
            self.reason = AmiLinkLost(f"Asterisk closed the manager link ({exc or 'end of stream'})")
        self._fail_pending()
        self.lost.set()
        self.wake.set()
        self.booted_or_lost.set()

    # -- panoramisk's side

    def send(self, action: Mapping[str, Any], as_list: bool | None = None) -> asyncio.Future[list[AmiMessage]]:
        """Send now; the future ends with the answer, `AmiRefused` or `AmiLinkLost`. Nothing is kept for sending again."""
        name = str(action.get("Action", ""))
        if isinstance(self.reason, AmiProtocolError):
            raise self.reason  # the greeting came before we could say anything, and it was not AMI's
        if self.transport is None or self.reason is not None or self.transport.is_closing():
            raise AmiLinkLost(f"{name} was not sent: the link to Asterisk is down", action=name)
        self._count += 1
        action_id = f"{self._prefix}{self._count}"
        data = encode_action({**action, "ActionID": action_id})
        future: asyncio.Future[list[AmiMessage]] = self.loop.create_future()
        self._pending[action_id] = _Pending(name=name, as_list=bool(as_list), future=future)
        future.add_done_callback(lambda _: self._pending.pop(action_id, None))
        self.transport.write(data)
        return future

    def close(self) -> None:
        """End the connection."""
        self.abort(AmiLinkLost("the manager link was closed on our side"))

    # -- the session's side

    def abort(self, reason: RemoteError) -> None:
        """End the connection at once, for `reason`; what was asked fails now, what was read can still be taken."""
        if self.reason is None:
            self.reason = reason
        self._fail_pending()
        if self.transport is not None:
            self.transport.abort()

    def _answered(self, action_id: str, message: AmiMessage) -> None:
        pending = self._pending.get(action_id)
        if pending is None or pending.future.done():
            self.late_answers += 1
            return
        if message.block.startswith(b"Response:"):
            why = message.get("Message").strip()  # PJSIPShowContacts puts a line feed into it
            if message.response == "Error" and pending.as_list and _NOTHING_TO_LIST.fullmatch(why):
                pending.future.set_result([])
            elif message.response == "Error":
                pending.future.set_exception(AmiRefused(f"Asterisk refused {pending.name}: {why}", action=pending.name))
            elif not pending.as_list:
                pending.future.set_result([message])
            elif message.get("EventList") != "start":
                pending.future.set_result([])
        elif pending.as_list:
            mark = message.get("EventList")
            if mark == "Complete":
                pending.future.set_result(pending.items)
            elif mark == "cancelled" or len(pending.items) >= LIST_LIMIT:
                pending.future.set_exception(RemoteError(f"Asterisk broke off the list of {pending.name}"))
            else:
                pending.items.append(message)

    def _fail_pending(self) -> None:
        for pending in list(self._pending.values()):
            if pending.future.done():
                continue
            if isinstance(self.reason, AmiProtocolError):
                pending.future.set_exception(self.reason)
                continue
            pending.future.set_exception(
                AmiLinkLost(
                    f"the link to Asterisk was lost before {pending.name} was answered",
                    outcome_unknown=True,
                    action=pending.name,
                )
            )


class _NeverAgain:
    """As panoramisk's `forgetable_actions`: contains every action, so that none is kept for sending again."""

    def __contains__(self, _action: object) -> bool:
        return True


class _Manager(Manager):  # type: ignore[misc]  # panoramisk has no types
    """panoramisk's Manager for exactly one connection: connecting again is `AmiLink.run`'s business, not its own."""

    def __init__(self, *, host: str, port: int, protocol: _Protocol) -> None:
        super().__init__(
            host=host,
            port=port,
            protocol_factory=lambda: protocol,
            forgetable_actions=_NeverAgain(),
            loop=asyncio.get_running_loop(),
            log=logging.getLogger("panoramisk"),
        )

    def connection_made(self, f: asyncio.Task[Any]) -> None:
        if f.cancelled() or f.exception() is not None:
            return
        super().connection_made(f)
        # Its pinger never checks a reply; AmiSession pings.
        pinger: asyncio.TimerHandle = self.pinger
        pinger.cancel()


class AmiSession:
    """One logged-in connection to a booted Asterisk. Made by `AmiLink.open`; never comes back once lost."""

    def __init__(self, manager: _Manager, protocol: _Protocol, timings: LinkTimings) -> None:
        self._manager = manager
        self._protocol = protocol
        self._timings = timings
        self._pinger: asyncio.Task[None] | None = None
        self._long_questions = 0
        """Asked and not answered yet; what is asked after them is answered after them."""
        self.uptime = timedelta()
        """How long Asterisk had been up when this session was logged in, in whole seconds."""

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._protocol.reason is not None

    @property
    def reason(self) -> RemoteError | None:
        """Why the connection is gone; None while it is up."""
        return self._protocol.reason

    @property
    def late_answers(self) -> int:
        """Answers that came after their deadline and were dropped."""
        return self._protocol.late_answers

    @property
    def oversized(self) -> int:
        """Messages dropped because they were too long to be Asterisk's."""
        return self._protocol.reader.oversized

    async def ask(self, fields: Mapping[str, str | Sequence[str]], *, deadline: timedelta | None = None) -> AmiMessage:
        """Send one action and return its response.

        Raises `AmiRefused` (not done), `AmiRequestTimeout` (may have been done), `AmiLinkLost` (look at
        `outcome_unknown`), `AmiActionInvalid` (nothing sent).
        """
        return (await self._exchange(fields, as_list=False, deadline=deadline))[0]

    async def ask_list(
        self, fields: Mapping[str, str | Sequence[str]], *, deadline: timedelta | None = None
    ) -> list[AmiMessage]:
        """Send an action that answers with a list and return its items, complete. Raises as `ask`."""
        return await self._exchange(fields, as_list=True, deadline=deadline)

    async def next_events(self) -> list[AmiMessage]:
        """Wait for events and return all that are here, in Asterisk's order; an empty list when the link is over.

        Events read before the loss are still returned first. For one reader.
        """
        protocol = self._protocol
        while not protocol.events:
            if protocol.lost.is_set():
                return []
            protocol.wake.clear()
            await protocol.wake.wait()
        batch = list(protocol.events)
        protocol.events.clear()
        return batch

    def abort(self, reason: RemoteError) -> None:
        """End the connection at once, for `reason`."""
        self._protocol.abort(reason)

    async def close(self) -> None:
        """End the connection and everything that belongs to it. May be called again."""
        if self._pinger is not None:
            self._pinger.cancel()
            await asyncio.gather(self._pinger, return_exceptions=True)
            self._pinger = None
        self._manager.close()
        if self._protocol.transport is not None:
            self._protocol.close()
            await self._protocol.lost.wait()  # follows abort at once, it waits for nothing outside

    async def start(self, username: str, secret: str, event_classes: str) -> None:
        """Log in and wait until Asterisk is fully booted. Raises `RemoteError`."""
        try:
            await self.ask(
                {"Action": "Login", "Username": username, "Secret": secret, "Events": event_classes},
                deadline=self._timings.login,
            )
        except AmiRefused as refusal:
            raise AmiLoginRefused(
                f"Asterisk refused the manager log-in of {username!r}: {refusal.message.partition(': ')[2]}",
                remedy="manager.conf must have that user with the secret of secrets.json and permit this address; "
                "render the configuration again and run `manager reload` in Asterisk",
            ) from None
        except AmiRequestTimeout:
            if self._protocol.reader.banner is None:
                raise AmiProtocolError(
                    "something accepts connections on the manager port but does not greet",
                    remedy="check asterisk.ami_host and ports.ami; if they are right, Asterisk hangs",
                ) from None
            raise
        self._pinger = asyncio.create_task(self._keep_alive(), name="ami-ping")
        self._pinger.add_done_callback(self._pinger_ended)
        try:
            async with asyncio.timeout(self._timings.boot.total_seconds()):
                await self._protocol.booted_or_lost.wait()
        except TimeoutError:
            raise RemoteError(
                f"Asterisk did not say FullyBooted within {self._timings.boot.total_seconds():g} s",
                remedy="the manager user needs read class `system`; otherwise look at Asterisk's log, it hangs in loading",
            ) from None
        booted = self._protocol.booted
        if booted is None:
            raise self.reason or AmiLinkLost("the link to Asterisk was lost while it was booting")
        uptime = booted.get("Uptime")
        self.uptime = timedelta(seconds=int(uptime) if uptime.isdecimal() else 0)

    def _pinger_ended(self, pinger: asyncio.Task[None]) -> None:
        """A link that nobody watches is worse than none: should the watch ever fail, the link ends."""
        if not pinger.cancelled() and (error := pinger.exception()) is not None:
            self._protocol.abort(AmiLinkLost(f"the watch over the link failed: {error!r}"))

    async def _exchange(
        self, fields: Mapping[str, str | Sequence[str]], *, as_list: bool, deadline: timedelta | None
    ) -> list[AmiMessage]:
        seconds = (deadline or self._timings.action).total_seconds()
        future: asyncio.Future[list[AmiMessage]] = self._manager.send_action(dict(fields), as_list=as_list)
        takes_long = seconds > self._timings.action.total_seconds()
        self._long_questions += takes_long
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise AmiRequestTimeout(action=str(fields.get("Action", "")), seconds=seconds) from None
        finally:
            self._long_questions -= takes_long

    async def _keep_alive(self) -> None:
        """Ping until the link is lost; end the link when nothing comes back."""
        loop, protocol, timings = self._protocol.loop, self._protocol, self._timings
        pause = timings.ping_interval.total_seconds()
        pulse = Pulse(
            loop.time(),
            patience=timings.ping_patience.total_seconds(),
            behind=timings.ping_reply.total_seconds(),
            busy=timings.ping_busy.total_seconds(),
        )
        protocol.heard = pulse.heard
        while protocol.reason is None:
            try:
                pong: asyncio.Future[list[AmiMessage]] = self._manager.send_action({"Action": "Ping"}, as_list=False)
            except AmiLinkLost:
                return
            number = pulse.sent(busy=self._long_questions > 0 or protocol.booted is None)
            pong.add_done_callback(partial(self._ponged, pulse, number))
            await asyncio.sleep(pause)
            pulse.woke(loop.time(), meant=pause)
            if (late := pulse.late()) is not None:
                protocol.abort(AmiLinkLost(f"Asterisk has not answered a ping for {late:.1f} s: the link is dead"))

    def _ponged(self, pulse: Pulse, number: int, pong: asyncio.Future[list[AmiMessage]]) -> None:
        """A ping was answered, refused, or failed with its link, whose end says it."""
        problem = None if pong.cancelled() else pong.exception()
        if isinstance(problem, AmiRefused):
            self._protocol.abort(problem)
        elif problem is None:
            pulse.answered(number)


class AmiLink:
    """Keeps a session to one Asterisk, for ever."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        username: str,
        secret: str,
        event_classes: str = "call,user,system",
        timings: LinkTimings | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.host = host
        self.port = port
        self._username = username
        self._secret = secret
        self._event_classes = event_classes
        self.timings = timings or LinkTimings()
        self._jitter = jitter
        self.problem: RemoteError | None = None
        """Why there is no link at the moment (`str()` says what to do); None while there is one or before the first try."""

    async def open(self) -> AmiSession:
        """One attempt: connect, log in, wait for FullyBooted. Raises `RemoteError` that says what to do."""
        protocol = _Protocol()
        manager = _Manager(host=self.host, port=self.port, protocol=protocol)
        seconds = self.timings.connect.total_seconds()
        session = AmiSession(manager, protocol, self.timings)
        try:
            try:
                async with asyncio.timeout(seconds):
                    await manager.connect()
            except OSError as error:  # TimeoutError is one
                why = f"no answer within {seconds:g} s" if isinstance(error, TimeoutError) else error.strerror or error
                raise AmiUnreachable(
                    f"no connection to Asterisk's manager interface at {self.host}:{self.port}: {why}",
                    remedy="is Asterisk running, and does manager.conf have enabled=yes with this port and address?",
                ) from None
            await session.start(self._username, self._secret, self._event_classes)
        except BaseException:
            await session.close()
            raise
        return session

    async def run(self, serve: Callable[[AmiSession], Awaitable[None]]) -> NoReturn:
        """Open a session, let `serve` live on it until it returns or raises `RemoteError`, and open the next; for ever."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            session = None
            began = loop.time()
            try:
                session = await self.open()
                self.problem = None
                log.info("ami link up", host=self.host, port=self.port, uptime=session.uptime.total_seconds())
                await serve(session)
                self.problem = session.reason
            except RemoteError as problem:
                self.problem = problem
            finally:
                if session is not None:
                    await session.close()
            lived = loop.time() - began
            failures = 1 if session is not None and lived > self.timings.steady.total_seconds() else failures + 1
            pause = self.timings.pause(failures, self._jitter())
            if isinstance(self.problem, AmiUnreachable):
                pause = min(pause, self.timings.unreachable_retry.total_seconds())
            if (
                failures & (failures - 1) == 0
            ):  # the first, second, fourth ...: an hour away must not be a thousand lines
                log.warning("ami link down", problem=str(self.problem), attempt=failures, retry_in=round(pause, 2))
            await asyncio.sleep(pause)
