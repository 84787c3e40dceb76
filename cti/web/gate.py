"""Who is let in at a port of the web server, how many at once, and how long they may take.

aiohttp answers whoever comes as fast as they come, and waits an hour for the rest of a request. Here a port is listened to by hand:

- Nobody costs more than a socket before their first byte. Then so many connections are begun, so many pieces of what was sent are
  read and so many requests are answered in one turn of the event loop; the others wait for the next turn. So a flood takes
  time from those who flood, and a caller's turn comes after a few milliseconds all the same.
- Who has not said what they want (a *stranger*: half a TLS handshake, half a request) is given some seconds. Where there are too many
  of them, from one address or in all, the one that has been here longest goes: a browser says what it wants at once.
- Where an address, or the house, has too many connections, the one that has been quiet longest goes, unless it is being served
  or is a feed; if there is none, the newcomer is turned away.
- Who takes nothing of what they asked for, or sends more on a feed than a page ever does, is cut off.

All times in seconds of the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from cti.web.gate_limits import REMEDIES, GateLimits
from cti.web.http_log import HTTP_LOG, is_no_request
from cti.web.lines import HELLO_BYTES, sent, whole_hello
from cti.web.turns import Turns

log = structlog.get_logger(__name__)

ACCEPTED_AT_ONCE = 32
"""Connections taken from the kernel in one turn of the loop: each costs a socket and no more."""
BEGUN_AT_ONCE = 8
"""Connections begun in one turn: a TLS handshake takes half a millisecond."""
READ_AT_ONCE = 8
"""Pieces of what was sent that are read in one turn: a large one takes two milliseconds."""
ANSWERED_AT_ONCE = 4
"""Requests that begin to be answered in one turn."""
LOOK_EVERY = 1.0
LOOK_FOR_HELLO = 0.1
"""Between two looks whether the beginning of a handshake has become whole: nearly always it comes in one piece."""
FEED_AHEAD = 2.0
"""Seconds' worth that a feed may say at once: what is read in one piece is read in one turn, small frame by small frame."""
NO_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
NO_FILES_PAUSE = 1.0
"""After the process had no file left for one more connection."""
TELL_EVERY = 5.0
"""Between two lines of the log about one reason: a flood must not become a flood of lines."""


class _Guest:
    """One connection, from the kernel's hands to its end."""

    __slots__ = ("address", "begun", "came", "sock", "stranger", "visitor")

    def __init__(self, sock: socket.socket, address: str, came: float) -> None:
        self.sock = sock
        self.address = address
        self.came = came
        self.begun = False
        """Whether the event loop's own transport has the socket."""
        self.stranger = True
        self.visitor: Visitor | None = None


class Visitor(web.RequestHandler):
    """aiohttp's side of a connection, under the rules of the gate."""

    def __init__(self, gate: Gate, guest: _Guest, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as `web.AppRunner` takes it
            logger=HTTP_LOG,
            keepalive_timeout=gate.limits.idle_seconds,
        )
        self._gate = gate
        self._guest = guest
        self._request_handler = gate.answering
        self._line: asyncio.Transport | None = None
        self._held: list[bytes] | None = None
        """What came and waits for its turn."""
        self.head_since: float | None = None
        """When a request began that is not whole."""
        self.since: float | None = None
        """Since when it may speak: its TLS handshake was over."""
        self.stuck_since: float | None = None
        """Since when nothing of what is sent is taken, as far as was looked; None: nothing waits to be taken."""
        self._left = self._took = 0
        """At the last look: bytes that the transport had left; bytes that the other side had taken."""
        self._all_taken = 0
        """Requests so far when all answers were given and taken: nothing to look for until there are more."""
        self._said_until = 0.0
        """Up to when a feed has used what it may say."""

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or this is a feed."""
        return self._request_in_progress or bool(self._messages) or self._upgraded

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: open, and encrypted where it is to be."""
        self._line = transport  # type: ignore[assignment]  # uvloop's is one by duck, not by descent
        self.since = self._loop.time()
        super().connection_made(transport)

    async def start(self) -> None:
        """aiohttp: answers one request after the other."""
        try:
            await super().start()
        except TypeError:
            if self._request_factory is not None:  # else one came in the moment of the end: aiohttp 3.14 trips over it
                raise

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """aiohttp: something went wrong; what came is no HTTP, or ours failed."""
        if is_no_request(exc):
            self._gate.tell("bad_request", address=self._guest.address)
        return super().handle_error(request, status, exc, message)

    def connection_lost(self, exc: BaseException | None) -> None:
        """asyncio: over."""
        self._held = self._line = None
        super().connection_lost(exc)
        self._gate.gone(self._guest)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came. aiohttp calls it itself with none, to go on with what it has."""
        if not data:
            super().data_received(data)
        elif self._held is not None:
            self._held.append(data)
        elif self._gate.reading.take():
            self._read(data)
        else:
            self._held = [data]
            self._pause_transport_reading()
            self._gate.reading.later(self._read_held)

    def _read_held(self) -> None:
        held, self._held = self._held, None
        if held is None:
            return  # it is over
        self._read(b"".join(held))
        if not self._reading_paused and not self._buffer_paused:
            self._resume_transport_reading()

    def _read(self, data: bytes) -> None:
        now = self._loop.time()
        if self._upgraded:
            limits = self._gate.limits
            self._said_until = max(self._said_until, now) + len(data) / limits.feed_bytes
            if self._said_until - now > FEED_AHEAD:
                self._gate.end(self._guest, "talkative")
                return
            super().data_received(data)
            return
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self.head_since = None
            self._gate.introduced(self._guest)
        elif self.head_since is None and not self.busy:
            self.head_since = now
        self._gate.stirred(self._guest)

    def fault(self, now: float, limits: GateLimits) -> str:
        """Why this connection is to be ended now; empty: it is not."""
        if self._request_in_progress:
            self.head_since = None  # what came was of its body
        elif self.head_since is not None and now - self.head_since > limits.head_seconds:
            return "head_late"
        return "not_reading" if self._stuck(now) > limits.stuck_seconds else ""

    def _stuck(self, now: float) -> float:
        """For how long nothing has been taken of what waits to be.

        The kernel is asked, not the transport alone: what waits below TLS no transport tells, and to a slow reader the kernel sends
        for half a minute out of its own megabytes before it takes any more from us.
        """
        if not self._paused and (self._upgraded or self._all_taken == self._request_count):
            self.stuck_since = None
            return 0.0
        left = 0 if self._line is None else self._line.get_write_buffer_size()
        waits, took = sent(self._guest.sock)
        if not left and not waits:
            self.stuck_since = None
            if not self.busy:
                self._all_taken = self._request_count
        elif self.stuck_since is None or left < self._left or took > self._took:
            self.stuck_since = now  # slow, it may be, but it reads
        self._left, self._took = left, took
        return 0.0 if self.stuck_since is None else now - self.stuck_since

    def cut(self) -> None:
        """End it now."""
        if self._line is not None:
            self._line.abort()


class Gate:
    """One port. `counted` is told why whenever a connection was ended or not begun. `open`, then `close`."""

    def __init__(
        self,
        server: web.Server,
        *,
        name: str,
        tls: ssl.SSLContext | None = None,
        limits: GateLimits | None = None,
        counted: Callable[[str], None] | None = None,
    ) -> None:
        self.limits = limits or GateLimits()
        self.reading = Turns(READ_AT_ONCE)
        self._beginning = Turns(BEGUN_AT_ONCE)
        self._answers = Turns(ANSWERED_AT_ONCE)
        self._server = server
        self._name = name
        self._tls = tls
        self._counted = counted
        self._listening: list[socket.socket] = []
        self._guests: dict[_Guest, None] = {}
        """All, who has been quiet longest first."""
        self._of_address: dict[str, dict[_Guest, None]] = {}
        """The same by address."""
        self._strangers: dict[_Guest, None] = {}
        """In the order they came."""
        self._strangers_of: Counter[str] = Counter()
        self._works: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._told: dict[str, tuple[float, int]] = {}

    @property
    def port(self) -> int:
        """The port listened on: the real one when 0 was asked for."""
        return int(self._listening[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Open connections, those included that have not said anything yet."""
        return len(self._guests)

    async def answering(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request, in its turn."""
        await self._answers.mine()
        answer: Awaitable[web.StreamResponse] = self._server.request_handler(request)
        return await answer

    async def open(self, host: str, port: int) -> None:
        """Begin to listen. A family of addresses that this machine does not have, such as IPv6 where it is off, is left out.

        Raises OSError when the port is taken, the address is not ours, or nothing is left.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        lacking: OSError | None = None
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                try:
                    sock = socket.socket(family, kind, protocol)
                except OSError as error:
                    lacking = error
                    continue
                self._listening.append(sock)
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind(address)
                sock.listen(512)
            if lacking is not None and not self._listening:
                raise lacking
        except OSError:
            self._shut()
            raise
        self._listen()
        self._looking = loop.call_later(LOOK_EVERY, self._look)

    async def close(self) -> None:
        """Stop listening and let the strangers go; who is being served is the server's to end."""
        for timer in (self._looking, self._resting):
            if timer is not None:
                timer.cancel()
        loop = asyncio.get_running_loop()
        for sock in self._listening:
            loop.remove_reader(sock)
        self._shut()
        for guest in list(self._strangers):
            self._cut(guest)
        if self._works:
            await asyncio.wait(set(self._works), timeout=1.0)

    def _shut(self) -> None:
        for sock in self._listening:
            sock.close()
        self._listening.clear()

    # -- coming in

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._listening:
            loop.add_reader(sock, self._accept, sock)

    def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, peer = listening.accept()
            except BlockingIOError:
                return  # nobody waits any more
            except OSError as error:
                if error.errno not in NO_FILES:
                    continue  # this one went before it was taken, or its network did
                # What is open goes on.
                self.tell("no_files", error=str(error))
                for one in self._listening:
                    loop.remove_reader(one)
                self._resting = loop.call_later(NO_FILES_PAUSE, self._listen)
                return
            sock.setblocking(False)
            self._admit(sock, str(peer[0]), loop)

    def _admit(self, sock: socket.socket, address: str, loop: asyncio.AbstractEventLoop) -> None:
        limits = self.limits
        theirs = self._of_address.get(address, {})
        for most, guests, reason in (
            (limits.most_of_address, theirs, "full_of_address"),
            (limits.most, self._guests, "full"),
        ):
            if len(guests) >= most and not self._make_room(guests):
                sock.close()
                self.tell(reason, address=address)
                return
        now = loop.time()
        oldest = None
        if self._strangers_of[address] >= limits.strangers_of_address:
            oldest = next(one for one in self._strangers if one.address == address)
        elif len(self._strangers) >= limits.strangers:
            oldest = next(iter(self._strangers))
        if oldest is not None and oldest.came + limits.grace_seconds < now:
            self.end(oldest, "strangers")
        guest = _Guest(sock, address, now)
        self._guests[guest] = self._strangers[guest] = None
        self._of_address.setdefault(address, {})[guest] = None
        self._strangers_of[address] += 1
        loop.add_reader(sock, self._knocked, guest)

    def _make_room(self, guests: dict[_Guest, None]) -> bool:
        quiet = next((one for one in guests if one.visitor is None or not one.visitor.busy), None)
        if quiet is None:
            return False
        self.end(quiet, "crowded")
        return True

    def _knocked(self, guest: _Guest) -> None:
        """The first byte is there, or the end. A TLS handshake is begun when what the other side has to say first is whole: our
        answer is the dear part of it, and so it is given in this connection's turn."""
        if guest not in self._guests:
            return  # pushed out meanwhile
        loop = asyncio.get_running_loop()
        loop.remove_reader(guest.sock)
        try:
            first = guest.sock.recv(1 if self._tls is None else 5 + HELLO_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            first = b"" if self._tls is None else b"\x16"
        except OSError:
            first = b""
        if not first or (self._tls is not None and not first.startswith(b"\x16")):
            if first:
                self.tell("handshake", address=guest.address)
            guest.sock.close()
            self.gone(guest)
        elif self._tls is not None and not whole_hello(first):
            loop.call_later(LOOK_FOR_HELLO, self._knocked, guest)
        elif self._beginning.take():
            self._begin(guest)
        else:
            self._beginning.later(lambda: self._begin(guest))

    def _begin(self, guest: _Guest) -> None:
        if guest not in self._guests:
            return  # pushed out while it waited
        guest.begun = True
        work = asyncio.get_running_loop().create_task(self._take_in(guest), name="gate")
        self._works.add(work)
        work.add_done_callback(self._works.discard)

    async def _take_in(self, guest: _Guest) -> None:
        loop = asyncio.get_running_loop()
        visitor = guest.visitor = Visitor(self, guest, self._server)
        try:
            await loop.connect_accepted_socket(
                lambda: visitor,
                guest.sock,
                ssl=self._tls,
                ssl_handshake_timeout=self.limits.handshake_seconds if self._tls is not None else None,
            )
        except (OSError, TimeoutError) as error:
            if guest in self._guests:
                self.tell("handshake", error=type(error).__name__)
            guest.sock.close()
            self.gone(guest)

    # -- being here

    def introduced(self, guest: _Guest) -> None:
        """It has said what it wants."""
        if guest.stranger:
            guest.stranger = False
            self._no_stranger(guest)

    def stirred(self, guest: _Guest) -> None:
        """It sent something: others have been quiet for longer now."""
        if guest in self._guests:
            for guests in (self._guests, self._of_address[guest.address]):
                del guests[guest]
                guests[guest] = None

    def _look(self) -> None:
        """Who is late?"""
        loop = asyncio.get_running_loop()
        self._looking = loop.call_later(LOOK_EVERY, self._look)
        now = loop.time()
        for guest in list(self._strangers):
            since = guest.visitor.since if guest.visitor is not None else None
            shaking = self._tls is not None and since is None
            patience = self.limits.handshake_seconds if shaking else self.limits.head_seconds
            if now - (guest.came if self._tls is None or since is None else since) > patience:
                self.end(guest, "head_late")
        for guest in list(self._guests):
            if guest.visitor is not None and (fault := guest.visitor.fault(now, self.limits)):
                self.end(guest, fault)

    # -- going

    def end(self, guest: _Guest, reason: str) -> None:
        """End a connection, and say why."""
        self.tell(reason, address=guest.address)
        self._cut(guest)

    def _cut(self, guest: _Guest) -> None:
        if not guest.begun:
            asyncio.get_running_loop().remove_reader(guest.sock)
            guest.sock.close()
        else:
            with contextlib.suppress(OSError):  # also where its transport is still shaking hands
                guest.sock.shutdown(socket.SHUT_RDWR)
            if guest.visitor is not None:
                guest.visitor.cut()
        self.gone(guest)

    def gone(self, guest: _Guest) -> None:
        """It is over. Idempotent."""
        if guest not in self._guests:
            return
        del self._guests[guest]
        guest.visitor = None  # who stay in a ring keep TLS's buffers until somebody looks for rings
        theirs = self._of_address[guest.address]
        del theirs[guest]
        if not theirs:
            del self._of_address[guest.address]
        if guest.stranger:
            guest.stranger = False
            self._no_stranger(guest)

    def _no_stranger(self, guest: _Guest) -> None:
        del self._strangers[guest]
        self._strangers_of[guest.address] -= 1
        if not self._strangers_of[guest.address]:
            del self._strangers_of[guest.address]

    def tell(self, reason: str, **fields: object) -> None:
        """Count it; say it, unless it was said just now."""
        if self._counted is not None:
            self._counted(reason)
        now = asyncio.get_running_loop().time()
        at, untold = self._told.get(reason, (-TELL_EVERY, 0))
        if now - at < TELL_EVERY:
            self._told[reason] = (at, untold + 1)
            return
        self._told[reason] = (now, 0)
        if untold:
            fields["not_logged_before"] = untold
        fields.update(door=self._name, reason=reason, connections=len(self._guests), remedy=REMEDIES[reason])
        log.warning("connection_ended", **fields)
