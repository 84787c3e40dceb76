"""A carrier's line that sends requests byte for byte as they were crafted, many calls at once, and ends each properly."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.support.crafted_callers import CraftedCaller

SILENCE = 2.5
"""Seconds after which nobody waits for an answer any more; one that comes all the same is listened to."""
_SO_RCVBUFFORCE = 33
_CONTACT = re.compile(rb"<(sip:[^>]+)>")


@dataclass(slots=True)
class LineCall:
    """A call on the line."""

    caller: CraftedCaller
    call_id: bytes
    head: bytes
    uri: bytes
    status: int = 0
    """The final status; 0: none yet, or never."""
    heard: bool = False
    sender: bytes = b""
    """From as the other side has it: the ids of the call are in it, whatever we wrote."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    to: bytes = b""
    contact: bytes = b""
    ours: bool = False
    """Whether our BYE went out."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    """The call is over, or nothing was answered at all: Asterisk drops what it cannot read without a word."""

    def ended(self) -> None:
        """It is over."""
        self.over.set()
        self.let_go.set()


class CraftedLine(asyncio.DatagramProtocol):
    """The line. An INVITE is sent once: on one machine none is lost, and one that is sent again to a busy Asterisk is a second call."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.calls: dict[bytes, LineCall] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._here = b""
        self._sdp = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the port is open."""
        self._transport = transport  # type: ignore[assignment]
        with contextlib.suppress(OSError):  # more than others may have needs root
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
        host, port = transport.get_extra_info("sockname")[:2]
        self._here = f"{host}:{port}".encode()
        self._sdp = (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n".encode()
        )

    async def call(self, caller: CraftedCaller, *, hold: bool = False) -> LineCall:
        """Make a call; returns when it is over, with `hold` when it is answered (`hang_up` ends it)."""
        one = self._invite(caller)
        loop = asyncio.get_running_loop()
        silence = loop.call_later(SILENCE, self._silent, one)
        await (one.answered if hold else one.let_go).wait()
        silence.cancel()
        return one

    def hang_up(self, one: LineCall) -> None:
        """Our side's end of an answered call."""
        if not one.over.is_set() and not one.ours:
            one.ours = True
            self._request(b"BYE", one, 2)
            asyncio.get_running_loop().call_later(1.0, self._bye_again, one, 4)

    def _bye_again(self, one: LineCall, left: int) -> None:
        if not one.over.is_set() and left:
            self._request(b"BYE", one, 2)
            asyncio.get_running_loop().call_later(1.0, self._bye_again, one, left - 1)

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
        self.calls[call_id] = one
        self._send_invite(one)
        return one

    def _send_invite(self, one: LineCall) -> None:
        more = b"".join(line.replace(b"@HERE@", self._here) + b"\r\n" for line in one.caller.more)
        self._send(
            b"INVITE " + one.uri + b" SIP/2.0\r\n" + one.head + b"From: " + one.sender + b"\r\nTo: " + one.to + b"\r\n" + more
            + b"CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(self._sdp) + self._sdp
        )  # fmt: skip

    def _silent(self, one: LineCall) -> None:
        if not one.heard:
            one.let_go.set()

    def _request(self, method: bytes, one: LineCall, sequence: int) -> None:
        branch = b"z9hG4bK" + (one.call_id if one.status >= 300 else method + one.call_id)
        head = one.head.replace(b"z9hG4bK" + one.call_id, branch, 1)
        uri = one.uri if one.status >= 300 else one.contact
        self._send(
            b"%s %s SIP/2.0\r\n%sFrom: %s\r\nTo: %s\r\nCSeq: %d %s\r\nContent-Length: 0\r\n\r\n"
            % (method, uri, head, one.sender, one.to, sequence, method)
        )

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, self.server)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """asyncio: something from Asterisk."""
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
                one.status = one.status or 200  # the answer did not reach us: this machine was busy
                one.ended()
            return
        if one is None:
            return
        one.heard = True
        status, sequence = int(lines[0].split()[1]), found.get(b"cseq", b"")
        if sequence.endswith(b"BYE"):
            one.ended()
        elif sequence.endswith(b"INVITE") and status >= 200:
            first, one.status = not one.status, status
            one.sender, one.to = found[b"from"], found[b"to"]
            contact = _CONTACT.search(found.get(b"contact", b""))
            one.contact = contact[1] if contact else one.uri
            self._request(b"ACK", one, 1)
            if status >= 300:
                one.ended()
            elif first:
                one.answered.set()
                asyncio.get_running_loop().call_later(one.caller.hang_up_after, self._leave, one)

    def _leave(self, one: LineCall) -> None:
        if one.caller.hang_up_after < 100:
            self.hang_up(one)


@contextlib.asynccontextmanager
async def crafted_line(address: str, server: tuple[str, int]) -> AsyncIterator[CraftedLine]:
    """A line at that address."""
    loop = asyncio.get_running_loop()
    transport, line = await loop.create_datagram_endpoint(lambda: CraftedLine(server), local_addr=(address, 0))
    try:
        yield line
    finally:
        transport.close()
