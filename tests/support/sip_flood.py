"""Those who knock at the SIP port without a right to: bad REGISTER and INVITE of every kind, at a steady rate, from one address.

What each kind is, `KINDS` says. A request that is challenged is tried once more where the kind says so, with a digest
over the true nonce and a wrong password, as somebody guessing does. Nothing is acknowledged that need not be.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator

KINDS = (
    "register_unknown",  # an account that there is not
    "register_known",  # one that there is
    "register_guess",  # ... and a password guessed
    "register_stranger_guess",  # the same for one that there is not
    "register_made_up",  # a digest over a nonce that nobody gave
    "invite_unknown",
    "invite_known",
    "invite_guess",
    "invite_to_outside",  # of an account, to a number abroad
    "options",
    "malformed",
    "huge",
    "garbage",
)
SILENT = ("malformed", "garbage")
"""What need not be answered."""
_CHALLENGE = re.compile(r'([a-z]+)="?([^",]+)"?')


def digest(challenge: dict[str, str], *, user: str, password: str, method: str, uri: str) -> str:
    """The Authorization header's value that answers a challenge (MD5, qop auth or none)."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    realm, nonce = challenge["realm"], challenge["nonce"]
    ha1, ha2 = md5(f"{user}:{realm}:{password}"), md5(f"{method}:{uri}")
    told = f'Digest username="{user}",realm="{realm}",nonce="{nonce}",uri="{uri}",algorithm=MD5'
    if "opaque" in challenge:
        told += f',opaque="{challenge["opaque"]}"'
    if "qop" not in challenge:
        return f'{told},response="{md5(f"{ha1}:{nonce}:{ha2}")}"'
    response = md5(f"{ha1}:{nonce}:00000001:0a4f:auth:{ha2}")
    return f'{told},response="{response}",qop=auth,nc=00000001,cnonce="0a4f"'


def challenge_of(answer: str) -> dict[str, str]:
    """The parts of an answer's challenge; empty when it has none."""
    for line in answer.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() in ("www-authenticate", "proxy-authenticate"):
            return dict(_CHALLENGE.findall(value))
    return {}


class Knocker(asyncio.DatagramProtocol):
    """One address that sends bad requests and listens to what is answered."""

    def __init__(self, server: tuple[str, int], known: str, seed: int) -> None:
        self.server, self.known = server, known
        self.sent = 0
        self.answered: Counter[tuple[str, str]] = Counter()
        """(kind, status) -> how many."""
        self.let_in: list[str] = []
        """Answers that say yes to something; there must be none."""
        self._random = random.Random(seed)
        self._asked: dict[str, tuple[str, str, str]] = {}
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the port is open."""
        self._transport = transport  # type: ignore[assignment]

    @property
    def local(self) -> tuple[str, int]:
        """Our address."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    def request(
        self, method: str, user: str, call_id: str, *, to: str = "", more: tuple[str, ...] = (), sequence: int = 1
    ) -> bytes:
        """A request as a phone would write it."""
        host, port = self.local
        server = f"{self.server[0]}:{self.server[1]}"
        uri = f"sip:{server}" if method == "REGISTER" else f"sip:{to or '5000'}@{server}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{call_id}{sequence}",
            f"From: <sip:{user}@{server}>;tag=k{call_id}",
            f"To: <sip:{user if method == 'REGISTER' else to or '5000'}@{server}>",
            f"Call-ID: {call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:{user}@{host}:{port}>",
            "Max-Forwards: 70",
            *more,
            "Content-Length: 0",
            "",
            "",
        ]
        return "\r\n".join(lines).encode()

    def knock(self, kind: str) -> None:
        """Send one request of a kind."""
        call_id = secrets.token_hex(8)
        stranger = f"{self._random.randrange(10**7)}"
        user = stranger if kind in ("register_unknown", "register_stranger_guess", "invite_unknown") else self.known
        method = "REGISTER" if kind.startswith("register") else "OPTIONS" if kind == "options" else "INVITE"
        more: tuple[str, ...] = ()
        to = "0037253000000" if kind == "invite_to_outside" else ""
        if kind == "register_made_up":
            made_up = {"realm": "asterisk", "nonce": secrets.token_hex(16), "qop": "auth"}
            uri = f"sip:{self.server[0]}:{self.server[1]}"
            more = (f"Authorization: {digest(made_up, user=user, password='1234', method=method, uri=uri)}",)
        if kind == "huge":
            more = tuple(f"X-Padding-{n}: {'a' * 120}" for n in range(100))
        data = self.request(method, user, call_id, to=to, more=more)
        if kind == "malformed":
            data = self._spoiled(data)
        elif kind == "garbage":
            data = self._random.randbytes(self._random.randrange(1, 1200))
        self._asked[call_id] = (kind, method, user)
        self._send(data)
        self.sent += 1

    def _spoiled(self, data: bytes) -> bytes:
        text = data.decode()
        way = self._random.randrange(7)
        if way == 0:
            text = text.replace("Call-ID", "Call-IX")
        elif way == 1:
            text = text.replace("Content-Length: 0", "Content-Length: 99999999")
        elif way == 2:
            text = text.replace("From: <", "From: <<<")
        elif way == 3:
            text = "".join(line + "\r\n" for line in text.split("\r\n") for _ in range(2 if line[:4] == "From" else 1))
        elif way == 4:
            text = text.replace("SIP/2.0\r\nVia", "SIP/9.9\r\nVia")
        elif way == 5:
            text = text[: self._random.randrange(10, len(text))]
        else:
            text = text.replace("CSeq: 1 ", "CSeq: 99999999999999999999 ")
        return text.encode()

    async def ask(self, method: str, user: str, *, password: str | None = None, to: str = "") -> list[str]:
        """Ask as that user, answer the challenge when there is a password to; the answers, whole."""
        call_id = secrets.token_hex(8)
        first = await self._asking(self.request(method, user, call_id, to=to), call_id)
        if password is None:
            return [first]
        uri = f"sip:{to + '@' if to else '5000@' if method != 'REGISTER' else ''}{self.server[0]}:{self.server[1]}"
        told = digest(challenge_of(first), user=user, password=password, method=method, uri=uri)
        again = self.request(method, user, call_id, to=to, more=(f"Authorization: {told}",), sequence=2)
        return [first, await self._asking(again, call_id)]

    async def _asking(self, data: bytes, call_id: str) -> str:
        self._waiting[call_id] = asyncio.get_running_loop().create_future()
        for wait in (0.5, 1.0, 2.0, 4.0, 8.0):  # UDP loses where a machine is busy
            self._send(data)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    return await asyncio.shield(self._waiting[call_id])
        raise AssertionError(f"no answer to {data[:40]!r}")

    def _send(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(data, self.server)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """asyncio: an answer."""
        text = data.decode("utf-8", "replace")
        if not text.startswith("SIP/2.0 "):
            return
        found = re.search(r"\r\nCall-ID: *([^\r]*)", text, re.IGNORECASE)
        call_id = found[1] if found else ""
        status = text[8:11]
        if (waiting := self._waiting.get(call_id)) is not None:
            if status[0] != "1" and not waiting.done():
                waiting.set_result(text)
            return
        kind, method, user = self._asked.get(call_id, ("?", "", ""))
        self.answered[kind, status] += 1
        if status[0] == "2" and kind != "options":
            self.let_in.append(text)
        if kind.endswith("guess") and status == "401" and (challenge := challenge_of(text)):
            server = f"{self.server[0]}:{self.server[1]}"
            uri = f"sip:{server}" if method == "REGISTER" else f"sip:5000@{server}"
            told = digest(challenge, user=user, password=secrets.token_hex(4), method=method, uri=uri)
            self._asked[call_id] = (f"{kind} again", method, user)
            self._send(self.request(method, user, call_id, more=(f"Authorization: {told}",), sequence=2))
            self.sent += 1

    async def flood(self, rate: float, *, kinds: tuple[str, ...] = KINDS, together: bool = False) -> None:
        """Knock so many times a second, for ever. A request that is tried again counts once more.

        Strangers know nothing of each other: each begins somewhere within its own first gap, unless they come `together`.
        """
        began, base = time.monotonic(), self.sent - (0.0 if together else self._random.random())
        while True:
            due = base + (time.monotonic() - began) * rate
            while self.sent < due:
                self.knock(self._random.choice(kinds))
            if len(self._asked) > 20_000:
                self._asked.clear()
            next_at = began + (self.sent - base) / rate
            await asyncio.sleep(min(max(next_at - time.monotonic(), 0.001), 1.0))


@contextlib.asynccontextmanager
async def knocker(address: str, server: tuple[str, int], known: str, *, seed: int = 1) -> AsyncIterator[Knocker]:
    """Somebody at that address."""
    loop = asyncio.get_running_loop()
    transport, one = await loop.create_datagram_endpoint(lambda: Knocker(server, known, seed), local_addr=(address, 0))
    try:
        yield one
    finally:
        transport.close()
