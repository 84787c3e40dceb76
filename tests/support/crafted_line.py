"""A carrier's line that sends requests byte for byte as they were crafted, many calls at once, and ends each properly.

What became of each is known in the end: which answers it had, or why Asterisk has dropped it without one. The one word that
Asterisk says of such a request, in its log, holds the request's size and the header at fault and nothing else of it; so no two
requests on the way are of one size.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.crafted_callers import CraftedCaller

RESENT = (1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
"""Seconds between the copies of a request that was not heard of: who drops one by SIP's rules, being busy, expects another."""
PATIENCE = 60.0
"""Seconds for the end of a call that was heard of."""
_BUFFER = 1 << 25
"""Bytes that wait for us in the kernel; some 10,000 packets."""
_SO_RCVBUFFORCE = 33
_LOOK = 0.05
"""Seconds between looks at what Asterisk's log tells of dropped requests."""
_CONTACT = re.compile(rb"<(sip:[^>]+)>")
_DROPPED = re.compile(
    rb"Dropping (\d+) bytes packet from UDP ([0-9.]+:\d+) : (?:[^']* parsing '([^\n]*?)' ?header|([^\n]*))"
)


@dataclass(slots=True)
class LineCall:
    """A call on the line."""

    caller: CraftedCaller
    call_id: bytes
    head: bytes
    uri: bytes
    status: int = 0
    """The final status; 0: none yet, or never."""
    finals: dict[bytes, int] = field(default_factory=dict)
    """Final statuses by the other side's tag: more than one if a request that was sent again was taken for another."""
    dropped: str = ""
    """The header for which Asterisk has dropped the request, by its log."""
    sent: int = 0
    """Copies of the request that went out."""
    stuck: str = ""
    """What never came, if the call was given up."""
    heard: bool = False
    sender: bytes = b""
    """From as the other side has it: the ids of the call are in it, whatever we wrote."""
    request: bytes = b""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    to: bytes = b""
    contact: bytes = b""
    ours: bool = False
    """Whether our BYE went out."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    """The call is over, was dropped, or was given up."""

    def ended(self) -> None:
        """It is over."""
        self.over.set()
        self.let_go.set()


class CraftedLine:
    """The line. Its socket is read until it is empty whenever there is anything, and before a request is sent again: one that
    is sent again although it was answered is a second call."""

    def __init__(self, server: tuple[str, int], address: str, notices: Path | None = None) -> None:
        self.server = server
        self.calls: dict[bytes, LineCall] = {}
        self.unsent = 0
        """Packets that the kernel did not take."""
        self.strange: Counter[str] = Counter()
        """Packets of ours that Asterisk dropped and that are no requests on the way, by the header at fault."""
        self._on_way: dict[int, LineCall] = {}
        """By size: requests of which nothing is known yet, or that were sent more than once."""
        self._notices = notices.open("rb") if notices is not None else None
        self._part = b""
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        with contextlib.suppress(OSError):  # more than others may have needs root
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.bind((address, 0))
        host, self.port = self._socket.getsockname()
        self._here = f"{host}:{self.port}".encode()
        self._sdp = (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n".encode()
        )
        self._loop.add_reader(self._socket, self._read)
        self._look_again()

    def close(self) -> None:
        """Hear no more."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._notices is not None:
            self._notices.close()

    async def call(self, caller: CraftedCaller, *, hold: bool = False) -> LineCall:
        """Make a call; returns when it is over, with `hold` when it is answered (`hang_up` ends it)."""
        one = self._invite(caller)
        patience = self._loop.call_later(PATIENCE, self._give_up, one, "an end")
        await (one.answered if hold else one.let_go).wait()
        patience.cancel()
        return one

    def hang_up(self, one: LineCall) -> None:
        """Our side's end of an answered call."""
        if not one.over.is_set() and not one.ours:
            one.ours = True
            self._bye(one)

    def _bye(self, one: LineCall) -> None:
        if not one.over.is_set() and not one.stuck:
            self._request(b"BYE", one, 2)
            self._loop.call_later(1.0, self._bye, one)

    def _give_up(self, one: LineCall, what: str) -> None:
        if not one.let_go.is_set():
            one.stuck = what
            one.let_go.set()

    def _invite(self, caller: CraftedCaller) -> LineCall:
        call_id = secrets.token_hex(8).encode()
        where = b"%s:%d" % (self.server[0].encode(), self.server[1])
        uri = b"sip:" + caller.target + b"@" + where
        head = b"".join(
            line + b"\r\n"
            for line in (
                b"Via: SIP/2.0/UDP " + self._here + b";branch=z9hG4bK" + call_id,
                b"Call-ID: " + call_id,
                b"Max-Forwards: 70",
                b"Contact: <sip:c@" + self._here + b">",
            )
        )
        sender = caller.sender.replace(b"@HERE@", self._here) + b";tag=" + call_id
        one = LineCall(caller, call_id, head, uri, sender=sender, to=b"<" + uri + b">")
        more = b"".join(line.replace(b"@HERE@", self._here) + b"\r\n" for line in caller.more)
        rest = (
            b"From: " + one.sender + b"\r\nTo: " + one.to + b"\r\n" + more
            + b"CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(self._sdp) + self._sdp
        )  # fmt: skip
        first = b"INVITE " + one.uri + b" SIP/2.0\r\n"
        longer = 0
        while len(first) + len(head) + len(rest) + longer in self._on_way:
            longer += 1
        branch = b"z9hG4bK" + call_id
        one.head = head.replace(branch, branch + b"x" * longer, 1)
        one.request = first + one.head + rest
        self.calls[call_id] = self._on_way[len(one.request)] = one
        self._send_invite(one)
        return one

    def _send_invite(self, one: LineCall) -> None:
        if one.sent:
            self._read()
            self._look()
        if one.heard or one.let_go.is_set() or self._socket.fileno() < 0:
            return
        if one.sent > len(RESENT):
            self._give_up(one, "any answer")
            return
        self._send(one.request)
        one.sent += 1
        self._loop.call_later((*RESENT, 1.0)[one.sent - 1], self._send_invite, one)

    def _known(self, one: LineCall) -> None:
        """Something is known of this request. The size of one that was sent again stays taken: each copy may be told of."""
        if one.sent < 2 and self._on_way.get(len(one.request)) is one:
            del self._on_way[len(one.request)]

    def _look(self) -> None:
        """Read what the log tells of dropped requests since."""
        if self._notices is None or not (text := self._notices.read()):
            return
        *lines, self._part = (self._part + text).split(b"\n")
        for line in lines:
            found = _DROPPED.search(line)
            if found is None or found[2] != self._here:
                continue
            why = found[4] if found[3] is None else found[3] or b"nothing"
            header = "X-…" if why.startswith(b"X-") else why.decode("ascii", "backslashreplace")[:30]
            one = self._on_way.get(int(found[1]))
            if one is None or one.heard:
                self.strange[header] += 1
            else:
                one.dropped = header
                self._known(one)
                one.let_go.set()

    def _look_again(self) -> None:
        self._look()
        if self._notices is not None:
            self._timer = self._loop.call_later(_LOOK, self._look_again)

    def _request(self, method: bytes, one: LineCall, sequence: int) -> None:
        branch = b"z9hG4bK" + (one.call_id if one.status >= 300 else method + one.call_id)
        head = one.head.replace(b"z9hG4bK" + one.call_id, branch, 1)
        uri = one.uri if one.status >= 300 else one.contact
        self._send(
            b"%s %s SIP/2.0\r\n%sFrom: %s\r\nTo: %s\r\nCSeq: %d %s\r\nContent-Length: 0\r\n\r\n"
            % (method, uri, head, one.sender, one.to, sequence, method)
        )

    def _send(self, data: bytes) -> None:
        if self._socket.fileno() >= 0:
            try:
                self._socket.sendto(data, self.server)
            except OSError:  # as good as lost on the way; whatever matters is sent again
                self.unsent += 1

    def _read(self) -> None:
        """Read until there is nothing left."""
        while self._socket.fileno() >= 0:
            try:
                data = self._socket.recv(65535)
            except OSError:
                return
            self._received(data)

    def _received(self, data: bytes) -> None:
        lines = data.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
        found = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
        one = self.calls.get(found.get(b"call-id", b""))
        if not lines[0].startswith(b"SIP/2.0"):
            kept = (b"via", b"from", b"to", b"call-id", b"cseq")
            same = [line for line in lines[1:] if line.split(b":")[0].strip().lower() in kept]
            body = self._sdp if lines[0].startswith(b"INVITE ") else b""  # whether we live
            same += [b"Contact: <sip:c@" + self._here + b">", b"Content-Type: application/sdp"] if body else []
            if not lines[0].startswith(b"ACK "):
                self._send(b"\r\n".join([b"SIP/2.0 200 OK", *same, b"Content-Length: %d" % len(body), b"", body]))
            if one is not None and lines[0].startswith(b"BYE "):
                one.heard = True
                self._known(one)
                one.status = one.status or 200  # the answer did not reach us: this machine was busy
                one.finals.setdefault(_tag(found.get(b"from", b"")), 200)
                one.ended()
            return
        if one is None:
            return
        one.heard = True
        self._known(one)
        status, sequence = int(lines[0].split()[1]), found.get(b"cseq", b"")
        if sequence.endswith(b"BYE"):
            one.ended()
        elif sequence.endswith(b"INVITE") and status >= 200:
            tag = _tag(found[b"to"])
            first = not one.finals
            if not first and tag not in one.finals and status < 300:  # a copy of the request was taken for another call
                second = LineCall(
                    one.caller, one.call_id, one.head, one.uri, status, sender=found[b"from"], to=found[b"to"], contact=self._contact(one, found)
                )  # fmt: skip
                one.finals[tag] = status
                self._request(b"ACK", second, 1)
                self._request(b"BYE", second, 2)
                return
            one.finals.setdefault(tag, status)
            one.status = status
            one.sender, one.to = found[b"from"], found[b"to"]
            one.contact = self._contact(one, found)
            self._request(b"ACK", one, 1)
            if status >= 300:
                one.ended()
            elif first:
                one.answered.set()
                self._loop.call_later(one.caller.hang_up_after, self._leave, one)

    @staticmethod
    def _contact(one: LineCall, found: dict[bytes, bytes]) -> bytes:
        contact = _CONTACT.search(found.get(b"contact", b""))
        return contact[1] if contact else one.uri

    def _leave(self, one: LineCall) -> None:
        if one.caller.hang_up_after < 100:
            self.hang_up(one)


def _tag(header: bytes) -> bytes:
    """The tag of a From or To as Asterisk writes them."""
    return header.rpartition(b";tag=")[2]


@contextlib.asynccontextmanager
async def crafted_line(
    address: str, server: tuple[str, int], notices: Path | None = None
) -> AsyncIterator[CraftedLine]:
    """A line at that address. `notices`: the log in which Asterisk tells of dropped packets; without it none is known of."""
    line = CraftedLine(server, address, notices)
    try:
        yield line
    finally:
        line.close()
