"""SIP over TLS: a phone registers with the centre's own certificate, is asked whether it lives, and is called, with SRTP offered."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest

from tests.integration.asterisk_rig import Rig, running_asterisk
from tests.support.sip_flood import challenge_of, digest

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]


class TlsPhone:
    """A phone on one connection, which it keeps."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader, self._writer = reader, writer
        self._registrar = f"sip:127.0.0.1:{port};transport=tls"
        self._own = writer.get_extra_info("sockname")[1]

    def _register(self, sequence: int, more: str = "") -> None:
        lines = (
            f"REGISTER {self._registrar} SIP/2.0",
            f"Via: SIP/2.0/TLS 127.0.0.1:{self._own};branch=z9hG4bKt{sequence};rport",
            "From: <sip:1001@127.0.0.1>;tag=t",
            "To: <sip:1001@127.0.0.1>",
            "Call-ID: over-tls",
            f"CSeq: {sequence} REGISTER",
            f"Contact: <sip:1001@127.0.0.1:{self._own};transport=tls>",
            "Max-Forwards: 70",
        )
        self._writer.write(("\r\n".join(lines) + f"\r\n{more}Content-Length: 0\r\n\r\n").encode())

    async def hears(self, *words: str) -> str:
        """What comes, from now until all these words have come."""
        text = ""
        async with asyncio.timeout(60):
            while not all(word in text for word in words):
                text += (await self._reader.read(4096)).decode()
        return text

    async def lives(self) -> None:
        """Answers the question that asks whether it lives. Left open, the phone counts as gone after seconds and is not called."""
        asked = await self.hears("OPTIONS sip:1001@", "\r\n\r\n")
        kept = ("via:", "from:", "to:", "call-id:", "cseq:")
        question = asked[asked.index("OPTIONS sip:") :]
        lines = [line for line in question.split("\r\n") if line.lower().startswith(kept)]
        assert "Via: SIP/2.0/TLS" in lines[0]
        self._writer.write(("\r\n".join(["SIP/2.0 200 OK", *lines, "Content-Length: 0"]) + "\r\n\r\n").encode())

    async def register(self, password: str) -> str:
        """The last answer."""
        self._register(1)
        challenge = challenge_of(await self.hears("401 Unauthorized", "Content-Length"))
        told = digest(challenge, user="1001", password=password, method="REGISTER", uri=self._registrar)
        self._register(2, f"Authorization: {told}\r\n")
        return await self.hears("CSeq: 2 REGISTER", "Content-Length")


def trusting(rig: Rig) -> ssl.SSLContext:
    """Trusts the certificate that was made for this centre, and no other."""
    made = rig.settings.data / "secrets" / "tls" / "certificate.pem"
    context = ssl.create_default_context(cafile=str(made))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


async def let_go(reader: asyncio.StreamReader) -> None:
    """Until the other side has closed."""
    async with asyncio.timeout(60):
        while await reader.read(4096):
            pass


async def test_a_phone_registers_and_is_called_over_tls(tmp_path: Path) -> None:
    async with running_asterisk(tmp_path, tls={"mode": "on"}) as rig:
        port = rig.settings.ports.of("sip_tls")
        # At the browsers' port: who says nothing, and who stops in the middle. Asterisk's own patience would be 15 and 30 s.
        began = time.monotonic()
        strangers = [
            await asyncio.open_connection("127.0.0.1", rig.settings.ports.of("ws"), ssl=trusting(rig)) for _ in range(2)
        ]
        strangers[1][1].write(b"GET /ws HTTP/1.1\r\nUpgr")
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting(rig))
        try:
            assert writer.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")
            phone = TlsPhone(reader, writer, port)
            assert "SIP/2.0 200 OK" in await phone.register(rig.secrets.sip["1001"])
            await phone.lives()
            await rig.ami.event("ContactStatus", AOR="1001", ContactStatus="Reachable")
            rig.ami.send(Action="Originate", Channel="PJSIP/1001", Application="Wait", Data="1", Async="true")
            invite = await phone.hears("INVITE sip:1001@", "m=audio", "a=crypto:", "a=sendrecv")
            assert "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" in invite
        finally:
            writer.close()
        for heard, line in strangers:
            await let_go(heard)
            line.close()
        assert time.monotonic() - began > 9
        # A phone that comes by UDP is served as before.
        async with rig.phone("1002") as other:
            await other.register()
        assert not rig.log_lines("ERROR")
