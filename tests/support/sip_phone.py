"""A SIP phone in a few lines, for tests: registers, answers OPTIONS, and does with calls what it is told. No audio.

SIPp cannot register and take calls from one port in one scenario, and Asterisk calls a phone back where it registered
from; so agents' phones in tests are this one.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.sip_again import Unanswered


@dataclass(slots=True)
class PhoneCall:
    """One call to the phone."""

    call_id: str
    invite: dict[str, str]
    """Headers of the INVITE, names in lower case."""
    source: tuple[str, int]
    sdp: str = ""
    """The body of the INVITE."""
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    accepted: bool = False
    """Whether we sent the answer. From then on a CANCEL comes too late: the other side acknowledges and hangs up."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the answer was acknowledged: a dialog in both directions."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    end: str = ""
    """How it ended: "bye" (they), "hung up" (we), "cancelled", "refused"."""


class SipPhone(asyncio.DatagramProtocol):
    """`behaviour` of calls: "answer", "ring" (for ever), or a final status such as "486 Busy Here"."""

    def __init__(self, account: str, password: str, server: tuple[str, int], *, behaviour: str = "answer") -> None:
        self.account = account
        self.password = password
        self.server = server
        self.behaviour = behaviour
        self.talk_seconds: float | None = None
        """Hang up by ourselves after so long; None leaves it to the other side."""
        self.alive = True
        """False: deaf and mute, as a phone whose network is gone."""
        self.calls: list[PhoneCall] = []
        self.arrived: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self.answered_count = 0
        self._by_id: dict[str, PhoneCall] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._registered: asyncio.Future[None] | None = None
        self._sequence = itertools.count(1)
        self._register_id = f"reg-{secrets.token_hex(6)}"
        self._options_seen = asyncio.Event()
        self._unanswered = Unanswered()
        self.media_port = 9
        """Where sound is to be sent: nobody listens there."""

    @property
    def address(self) -> tuple[str, int]:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    async def __aenter__(self) -> SipPhone:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._unanswered.close()
        if self._transport is not None:
            self._transport.close()

    async def register(self, expires: int = 300) -> None:
        """Register (or with 0 take it back) and wait until Asterisk has also seen the phone alive."""
        self._registered = asyncio.get_running_loop().create_future()
        self._options_seen.clear()
        self._send_register(expires, "")
        async with asyncio.timeout(60):
            await self._registered
            if expires:
                await self._options_seen.wait()

    def hang_up(self, call: PhoneCall) -> None:
        """End an answered call from our side."""
        self._unanswered.send(f"{call.call_id} BYE", self._request(call, "BYE"))
        call.end = call.end or "hung up"
        call.ended.set()

    def _request(self, call: PhoneCall, method: str, *headers: str, body: str = "") -> Callable[[], None]:
        """A request of ours within a call that came to us; it is sent, the same one again, as often as this is called."""
        host, port = self.address
        contact = re.search(r"<([^>]+)>", call.invite["contact"])
        assert contact is not None
        lines = [
            f"{method} {contact[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(6)}",
            f"From: {call.invite['to']};tag={call.tag}",
            f"To: {call.invite['from']}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {next(self._sequence) + 10} {method}",
            "Max-Forwards: 70",
            *headers,
        ]

        def send() -> None:
            if self.alive and self._transport is not None and not self._transport.is_closing():
                self._send(lines, call.source, body)

        return send

    # -- the wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the port is open; a test that gets no processor for a while loses nothing that came meanwhile."""
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.alive:
            return
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        lines = head.split("\r\n")
        if len(lines) < 2:
            return
        headers: dict[str, str] = {}
        vias: list[str] = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            if name == "via":
                vias.append(value.strip())
            headers.setdefault(name, value.strip())
        if lines[0].startswith("SIP/2.0"):
            self._answer_to_us(int(lines[0].split()[1]), headers)
            return
        method = lines[0].split()[0]
        call = self._by_id.get(headers.get("call-id", ""))
        if method == "OPTIONS":
            self._reply("200 OK", headers, vias, addr)
            self._options_seen.set()
        elif method == "INVITE" and call is None:
            self._new_call(PhoneCall(call_id=headers["call-id"], invite=headers, source=addr, sdp=body), vias)
        elif method == "INVITE" and call is not None:
            if call.accepted:
                self._reply("200 OK", headers, vias, addr, tag=call.tag, sdp=True)
        elif method == "ACK" and call is not None:
            self._unanswered.answered(f"{call.call_id} ACK")
            if not call.answered.is_set() and not call.ended.is_set() and self.behaviour == "answer":
                self.answered_count += 1
                call.answered.set()
                if self.talk_seconds is not None:
                    asyncio.get_running_loop().call_later(self.talk_seconds, self._hang_up_if_live, call)
        elif method == "CANCEL" and call is not None:
            self._reply("200 OK", headers, vias, addr, tag=call.tag)
            if call.accepted or call.ended.is_set():
                return
            self._reply("487 Request Terminated", call.invite, [call.invite["via"]], addr, tag=call.tag)
            call.end = "cancelled"
            call.ended.set()
        elif method == "BYE":
            self._unanswered.answered(f"{headers.get('call-id')} ACK")
            self._reply("200 OK" if call else "481 No Call", headers, vias, addr, tag=call.tag if call else "x")
            if call is not None:
                call.end = call.end or "bye"
                call.ended.set()

    def _new_call(self, call: PhoneCall, vias: list[str]) -> None:
        self._by_id[call.call_id] = call
        self.calls.append(call)
        self.arrived.put_nowait(call)
        if self.behaviour in ("answer", "ring"):
            self._reply("180 Ringing", call.invite, vias, call.source, tag=call.tag)
            if self.behaviour == "answer":
                self._accept(call, vias)
        else:
            self._say_last(call, vias, self.behaviour)
            call.end = "refused"
            call.ended.set()

    def _accept(self, call: PhoneCall, vias: list[str]) -> None:
        """Say yes, again and again until it is acknowledged (RFC 3261, 13.3.1.4): an acknowledgement may be lost as well."""
        call.accepted = True
        self._say_last(call, vias, "200 OK", sdp=True)

    def _say_last(self, call: PhoneCall, vias: list[str], status: str, *, sdp: bool = False) -> None:
        def send() -> None:
            if self.alive and self._transport is not None and not self._transport.is_closing():
                self._reply(status, call.invite, vias, call.source, tag=call.tag, sdp=sdp)

        self._unanswered.send(f"{call.call_id} ACK", send)

    def _hang_up_if_live(self, call: PhoneCall) -> None:
        if not call.ended.is_set() and self._transport is not None and not self._transport.is_closing():
            self.hang_up(call)

    def _reply(
        self,
        status: str,
        headers: dict[str, str],
        vias: list[str],
        addr: tuple[str, int],
        *,
        tag: str = "phone",
        sdp: bool = False,
    ) -> None:
        host, port = self.address
        to = headers["to"] if ";tag=" in headers["to"] else f"{headers['to']};tag={tag}"
        lines = [f"SIP/2.0 {status}"]
        lines += [f"Via: {via}" for via in vias]
        lines += [f"From: {headers['from']}", f"To: {to}", f"Call-ID: {headers['call-id']}", f"CSeq: {headers['cseq']}"]
        lines += [f"Contact: <sip:{self.account}@{host}:{port}>"]
        body = ""
        if sdp:
            body = self._sdp()
            lines.append("Content-Type: application/sdp")
        self._send(lines, addr, body)

    def _sdp(self, version: int = 1, direction: str = "sendrecv") -> str:
        host = self.address[0]
        return (
            f"v=0\r\no=phone 1 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {self.media_port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
            f"a={direction}\r\n"
        )

    def _send(self, lines: list[str], addr: tuple[str, int], body: str = "") -> None:
        assert self._transport is not None
        text = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
        self._transport.sendto(text.encode(), addr)

    def _send_register(self, expires: int, authorization: str) -> None:
        host, port = self.address
        lines = [
            f"REGISTER sip:{self.server[0]}:{self.server[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(6)}",
            f"From: <sip:{self.account}@{self.server[0]}>;tag=r1",
            f"To: <sip:{self.account}@{self.server[0]}>",
            f"Call-ID: {self._register_id}",
            f"CSeq: {next(self._sequence)} REGISTER",
            f"Contact: <sip:{self.account}@{host}:{port}>;expires={expires}",
            f"Expires: {expires}",
            "Max-Forwards: 70",
        ]
        if authorization:
            lines.append(f"Authorization: {authorization}")
        self._expires = expires
        self._send(lines, self.server)

    def _answer_to_us(self, status: int, headers: dict[str, str]) -> None:
        self._unanswered.answered(f"{headers.get('call-id')} {headers.get('cseq', '').rpartition(' ')[2]}")
        if headers.get("call-id") != self._register_id or self._registered is None or self._registered.done():
            return
        if status == 401:
            challenge = dict(re.findall(r'(\w+)="?([^",]+)"?', headers["www-authenticate"]))
            self._send_register(self._expires, self._digest(challenge))
        elif status == 200:
            self._registered.set_result(None)
        elif status >= 300:
            self._registered.set_exception(AssertionError(f"register refused: {status}"))

    def _digest(self, challenge: dict[str, str]) -> str:
        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        uri = f"sip:{self.server[0]}:{self.server[1]}"
        realm, nonce = challenge["realm"], challenge["nonce"]
        first = md5(f"{self.account}:{realm}:{self.password}")
        second = md5(f"REGISTER:{uri}")
        fields = f'username="{self.account}", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm=MD5'
        if "qop" in challenge:
            cnonce = secrets.token_hex(4)
            response = md5(f"{first}:{nonce}:00000001:{cnonce}:auth:{second}")
            return f'Digest {fields}, qop=auth, nc=00000001, cnonce="{cnonce}", response="{response}"'
        return f'Digest {fields}, response="{md5(f"{first}:{nonce}:{second}")}"'
