"""A telephone as a browser is one: SIP over a WebSocket, and an offer of sound over DTLS that is never taken up.

Enough to be let in or not, to be put through, and to hang up. No sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import secrets
from collections.abc import AsyncIterator

import aiohttp

from tests.support.sip_flood import challenge_of, digest

_OFFER = (
    "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=audio 9 UDP/TLS/RTP/SAVPF 0",
    "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0", "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv12",
    f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}", "a=setup:actpass", "a=mid:0", "a=sendrecv", "a=rtcp-mux",
    "a=rtpmap:0 PCMU/8000", "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host", "",
)  # fmt: skip
PATIENCE = 20.0


class WebPhone:
    """One connection, one account."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, account: str, secret: str) -> None:
        self.account, self.secret = account, secret
        self._ws = ws
        self._sequence = itertools.count(1)
        self._answers: asyncio.Queue[str] = asyncio.Queue()
        self.byes = 0
        """Calls that the other side ended."""

    async def read(self) -> None:
        """The task that reads; answers what must be answered."""
        async for message in self._ws:
            text = str(message.data)
            if text.startswith("SIP/2.0"):
                await self._answers.put(text)
            elif text.split(" ", 1)[0] in ("OPTIONS", "BYE"):
                self.byes += text.startswith("BYE")
                kept = ("via:", "from:", "to:", "call-id:", "cseq:")
                lines = [line for line in text.split("\r\n") if line.lower().startswith(kept)]
                await self._ws.send_str("\r\n".join(("SIP/2.0 200 OK", *lines, "Content-Length: 0", "", "")))

    async def _ask(
        self, method: str, to: str, call_id: str, sequence: int, tag: str = "", more: tuple[str, ...] = ()
    ) -> str:
        uri = "sip:127.0.0.1" if method == "REGISTER" else f"sip:{to}@127.0.0.1"
        body = "\r\n".join(_OFFER) if method == "INVITE" else ""
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/WS made-up.invalid;branch=z9hG4bK{secrets.token_hex(8)}",
            f"From: <sip:{self.account}@127.0.0.1>;tag=f{call_id[:6]}",
            f"To: <sip:{to}@127.0.0.1>{tag}",
            f"Call-ID: {call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:{self.account}@made-up.invalid;transport=ws>",
            "Max-Forwards: 70",
            *more,
            *(("Content-Type: application/sdp",) if body else ()),
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        await self._ws.send_str("\r\n".join(lines))
        if method == "ACK":
            return ""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self._answers.get()
                if f"CSeq: {sequence} {method}" in answer and not answer.startswith("SIP/2.0 1"):
                    return answer

    async def _with_secret(self, method: str, to: str, call_id: str, more: tuple[str, ...] = ()) -> str:
        sequence = next(self._sequence)
        first = await self._ask(method, to, call_id, sequence, more=more)
        if method == "INVITE":
            await self._ask("ACK", to, call_id, sequence, _tag(first))
        uri = "sip:127.0.0.1" if method == "REGISTER" else f"sip:{to}@127.0.0.1"
        challenge = challenge_of(first)
        if not challenge:
            return first
        told = digest(challenge, user=self.account, password=self.secret, method=method, uri=uri)
        sequence = next(self._sequence)
        last = await self._ask(method, to, call_id, sequence, more=(*more, f"Authorization: {told}"))
        if method == "INVITE":
            await self._ask("ACK", to, call_id, sequence, _tag(last))
        return last

    async def register(self, expires: int = 120) -> int:
        """The status of the last answer."""
        return _status(
            await self._with_secret("REGISTER", self.account, secrets.token_hex(8), (f"Expires: {expires}",))
        )

    async def call(self, number: str) -> tuple[int, str, str]:
        """Call; gives the status, and what `hang_up` needs."""
        call_id = secrets.token_hex(8)
        answer = await self._with_secret("INVITE", number, call_id)
        return _status(answer), call_id, _tag(answer)

    async def hang_up(self, number: str, call_id: str, tag: str) -> int:
        """End a call of ours."""
        return _status(await self._ask("BYE", number, call_id, next(self._sequence), tag))


def _status(answer: str) -> int:
    return int(answer.split(" ", 2)[1])


def _tag(answer: str) -> str:
    found = re.search(r"^To:.*(;tag=[^;\r\n]+)", answer, flags=re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


@contextlib.asynccontextmanager
async def web_phone(url: str, account: str, secret: str) -> AsyncIterator[WebPhone]:
    """A page's telephone that is connected, and not signed on."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url, protocols=("sip",)) as ws:
        phone = WebPhone(ws, account, secret)
        reading = asyncio.create_task(phone.read())
        try:
            yield phone
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
