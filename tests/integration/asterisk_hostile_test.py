"""Callers who write what they like into SIP headers: nothing of it reaches AMI, AGI or the ledger.

Control characters percent-encoded in a From user part are unescaped by Asterisk; without the cure at the source (fixed
callerid on every endpoint, number taken from the still encoded URI and filtered, explicit extensions only) they forge
whole AMI events and AGI headers.
"""

from __future__ import annotations

import asyncio
import csv
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cti.asterisk.render import LEDGER_COLUMNS
from tests.fuzz.hostile_flood import flood
from tests.integration.asterisk_rig import Rig, running_asterisk, until

pytestmark = [pytest.mark.real, pytest.mark.beside]

MARK = b"zqx"
"""In every hostile value; none of Asterisk's own words holds it."""

FORGED = (
    "%0d%0aEvent%3a%20UserEvent%0d%0aUserEvent%3a%20CtiWait%0d%0aCall%3a%20zqx%0d%0a%0d%0a",
    "zqx%0d%0a%0d%0aEvent%3a%20Hangup%0d%0aChannel%3a%20zqx%0d%0a%0d%0a",
    "zqx%0aagi_network_script%3a%20zqx%0aagi_arg_1%3a%20zqx%0a",
    "%22zqx%22",
    "zqx%26PJSIP%2f1001",
    "zqx%3cb%3e",
    "zqx%3b1",
    "zqx%24%7bSHELL(id)%7d",
    "zqx$%7bCTI_CALL%7d",
    "zqx%00zqx",
    "zqx,1,2",
    "zqx)%7d",
    "zqx%ff%fe%c3%28",
    "+1555zqx",
    "00zqx",
    "1+2zqx",
    "++15551234567",
    "+",
    "123456789012345678901",
    "zqx" * 40,
)
"""User parts of From, none of which is a number."""

NAMES = (
    b'"zqx\\"; <sip:+15550001@x> zqx"',
    b'"zqx%0d%0aEvent: zqx"',
    b'"zqx \xff\xfe\xc3( zqx"',
    '"zqx <script>alert(1)</script> 李"'.encode(),
    b'"zqx\tzqx"',
    b'"zqx: a@b.c, <sip:1@2>; zqx"',
    b"zqx zqx",
)
"""Display names; the number beside them is a good one and must come through."""

PARAMETERS = {
    b";x=%22%20%3csip%3a+15550001%40x%3E%20%22": False,
    b";x=%22%20%3csip%3a+15550001%40x%3E": False,
    b";x=%22%20%3csip%3a+15550001%40x": False,
    b";x=%3csip%3a+15550001%40x%3E": True,
    b";x=%22zqx%22": True,
    b";user=phone": True,
}
"""What follows a good number's host in From, which Asterisk tells decoded, and whether the number comes through: another one never does."""

TARGETS = (
    "5000%0d%0aEvent%3a%20zqx%0d%0a%0d%0a",
    "100%26PJSIP%2f1001zqx",
    "5000%26zqx",
    "s",
    "h",
    "i",
    "1001",
    "000000000711001",
    "zqx%ff",
    "5000zqx",
    "%35000zqx",
    "500",
    "50000",
    "*43",
    "_zqx",
)
"""Request-URI users that are no number of the centre."""


@dataclass(slots=True)
class RawCaller(asyncio.DatagramProtocol):
    """A carrier that sends INVITEs byte for byte as told, and acknowledges, then ends, whatever comes of them."""

    server: tuple[str, int]
    transport: asyncio.DatagramTransport | None = None
    invites: dict[str, bytes] = field(default_factory=dict)
    final: dict[str, asyncio.Future[int]] = field(default_factory=dict)

    def invite(
        self, user: bytes, *, display: bytes = b'"x"', target: bytes = b"5000", more: bytes = b""
    ) -> asyncio.Future[int]:
        """Send one; the future ends with the final status."""
        assert self.transport is not None
        host, port = self.transport.get_extra_info("sockname")[:2]
        here = f"{host}:{port}".encode()
        to = target + b"@" + f"{self.server[0]}:{self.server[1]}".encode()
        call_id = secrets.token_hex(8)
        head = b"".join(
            line + b"\r\n"
            for line in (
                b"Via: SIP/2.0/UDP " + here + b";branch=z9hG4bK" + call_id.encode(),
                b"From: " + display + b" <sip:" + user + b"@" + here + more + b">;tag=c1",
                b"To: <sip:" + to + b">",
                b"Call-ID: " + call_id.encode(),
                b"Contact: <sip:zqx@" + here + b">",
                b"Max-Forwards: 70",
                b"P-Asserted-Identity: " + display + b" <sip:zqx%0d%0aEvent%3azqx@" + here + b">",
                b"Remote-Party-ID: " + display + b" <sip:zqx%0d%0aEvent%3azqx@" + here + b">",
                b"Diversion: <sip:zqx%0d%0aEvent%3azqx@" + here + b">;reason=unconditional",
                b"User-Agent: zqx",
            )
        )
        sdp = f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n".encode()
        self.invites[call_id] = head.replace(b"To: <sip:", b"To: <sip:", 1)
        self.final[call_id] = asyncio.get_running_loop().create_future()
        self.transport.sendto(
            b"INVITE sip:" + to + b" SIP/2.0\r\n" + head + b"CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n"
            b"Content-Length: " + str(len(sdp)).encode() + b"\r\n\r\n" + sdp,
            self.server,
        )
        return self.final[call_id]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        head = data.split(b"\r\n\r\n", 1)[0]
        lines = head.split(b"\r\n")
        found = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
        call_id = found[b"call-id"].decode()
        if not lines[0].startswith(b"SIP/2.0"):  # a BYE
            answer = [b"SIP/2.0 200 OK"] + [
                line
                for line in lines[1:]
                if line.split(b":")[0].lower() in (b"via", b"from", b"to", b"call-id", b"cseq")
            ]
            self.transport.sendto(b"\r\n".join([*answer, b"Content-Length: 0", b"", b""]), addr)
            return
        status = int(lines[0].split()[1])
        if status < 200 or b"INVITE" not in found[b"cseq"]:
            return
        ours = b"\r\n".join(
            line for line in self.invites[call_id].split(b"\r\n") if not line.startswith((b"To:", b"Content"))
        )
        contact = re.search(rb"<(sip:[^>]+)>", found.get(b"contact", b""))
        uri = contact[1] if contact and status < 300 else re.search(rb"<(sip:[^>]+)>", found[b"to"])[1]  # type: ignore[index]
        for sequence, method in ((1, b"ACK"), (2, b"BYE")):
            if method == b"ACK" or status < 300:
                via = ours if method == b"ACK" and status >= 300 else ours.replace(b"z9hG4bK", b"z9hG4bK" + method)
                request = b"%s %s SIP/2.0\r\n%sTo: %s\r\nCSeq: %d %s\r\nContent-Length: 0\r\n\r\n"
                self.transport.sendto(request % (method, uri, via, found[b"to"], sequence, method), self.server)
        if not self.final[call_id].done():
            self.final[call_id].set_result(status)


async def outcome(waiting: asyncio.Future[int]) -> int:
    """The final status, or 0 where Asterisk dropped the request without a word (it does with unreadable ones)."""
    await asyncio.wait({waiting}, timeout=2)
    return status(waiting)


def status(waiting: asyncio.Future[int]) -> int:
    """The final status, as far as it is known: on a busy machine one may come late."""
    return waiting.result() if waiting.done() else 0


async def carrier(rig: Rig) -> RawCaller:
    """A raw caller on the carrier's address."""
    loop = asyncio.get_running_loop()
    transport, caller = await loop.create_datagram_endpoint(lambda: RawCaller(rig.sip), local_addr=(rig.carrier, 0))
    caller.transport = transport
    return caller


def assert_clean(rig: Rig) -> None:
    """No foreign byte in what AMI sent, in AGI's header blocks, in the ledger."""
    assert MARK not in bytes(rig.ami.raw)
    allowed = set(
        rb"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-+./:;,<>()[]=@#*'\"|?%&!$~^" + b"\r\n"
    )
    # Agents' names are the centre's own and may be of any script.
    text = bytes(rig.ami.raw).replace("Ann A 李".encode(), b"")
    assert set(text) <= allowed, set(text) - allowed
    for session in rig.bridge.sessions:
        assert MARK not in session.raw
        keys = [line.split(b":")[0] for line in session.raw.splitlines() if line]
        assert len(keys) == len(set(keys)), session.raw
    ledger = "\n".join(rig.ledger())
    assert MARK.decode() not in ledger
    assert {len(row) for row in csv.reader(rig.ledger())} == {len(LEDGER_COLUMNS)}


@pytest.mark.parametrize("loud", [False, True], ids=["filtered", "all-classes"])
async def test_hostile_callers(tmp_path: Path, loud: bool) -> None:
    """With the bridge's own AMI account, and with one that is sent every event there is."""
    async with running_asterisk(tmp_path) as rig:
        if loud:
            everything = "[all]\nsecret = all\nread = system,call,log,verbose,user,agent,dtmf,reporting,cdr,dialplan\n"
            conf = rig.paths.etc / "manager.conf"
            conf.write_text(conf.read_text() + everything)
            await rig.process.cli("manager reload")
            quiet, rig.ami = rig.ami, await type(rig.ami).connect(rig.settings.ports.of("ami"), "all", "all")
            await quiet.close()
        caller = await carrier(rig)
        try:
            asked: dict[str, list[asyncio.Future[int]]] = {
                "forged": [], "named": [], "led": [], "dialled": []
            }  # fmt: skip
            for user in FORGED:
                asked["forged"].append(one := caller.invite(user.encode()))
                await outcome(one)
            for name in NAMES:
                asked["named"].append(one := caller.invite(b"+15557654321", display=name))
                await outcome(one)
            for more in PARAMETERS:
                asked["led"].append(one := caller.invite(b"+15557654321", more=more))
                await outcome(one)
            for to in TARGETS:
                asked["dialled"].append(one := caller.invite(b"+15557654321", target=to.encode()))
                await outcome(one)
            asked["plain"] = [caller.invite(b"+15557654321")]
            await until(lambda: status(asked["plain"][0]) == 200, "a plain call answered")

            def found(*which: str) -> list[int]:
                return [status(one) for name in which for one in asked[name]]

            def answered() -> int:
                return found("forged", "named", "led", "plain").count(200)

            def ended() -> int:
                return sum('"LINKEDID_END"' in line for line in rig.ledger())

            await until(lambda: ended() >= answered(), "all calls over")
            assert set(found("forged", "named")) <= {200, 400, 0}
            assert set(found("led")) == {200}
            assert set(found("dialled")) <= {400, 404, 416, 484, 0}
            assert found("forged").count(200) >= len(FORGED) - 4
            assert found("named").count(200) >= 3
        finally:
            assert caller.transport is not None
            caller.transport.close()

        def told() -> list[str]:
            return [event["Number"] for event in rig.ami.events if event.get("UserEvent") == "CtiInbound"]

        # Numbers that are not the centre's are told of, too, where they are numbers at all.
        refused = sum(to.isdigit() for to in TARGETS)
        await until(lambda: len(told()) >= answered() + refused, "AMI's events")
        numbers = told()
        assert set(numbers) == {"", "+15557654321"}
        assert numbers.count("") == found("forged").count(200) + list(PARAMETERS.values()).count(False)
        assert len(numbers) == answered() + refused
        for visit in rig.bridge.visits:
            assert visit[1][1] in ("", "+15557654321")
        if not loud:
            assert_clean(rig)
        else:
            # With every class on, the raw From shows, still percent-encoded, in VarSet of the dialplan's own cleaning.
            blocks = [block for block in bytes(rig.ami.raw).split(b"\r\n\r\n") if MARK in block]
            assert all(
                block.startswith(b"Event: VarSet\r\n")
                or b"\r\nEvent: VarSet\r\n" in block
                or block.startswith(b"Event: Newexten\r\n")
                for block in blocks
            ), blocks[:3]


async def test_raw_bytes_in_the_user_part(tmp_path: Path) -> None:
    """Bytes that are not allowed in a URI at all: refused or withheld, never passed on."""
    async with running_asterisk(tmp_path) as rig:
        caller = await carrier(rig)
        try:
            for user in (b"zqx\xff\xfe", b"zqx\xc3\x28", "zqx李".encode(), b"zqx\x01", b"zqx\x7f"):
                assert await outcome(caller.invite(user)) in (0, 200, 400)
            assert await outcome(caller.invite(b"+15557654321")) == 200
            await rig.ami.event("CtiInbound", Number="+15557654321")
        finally:
            assert caller.transport is not None
            caller.transport.close()
        assert_clean(rig)


@pytest.mark.timeout(400)
async def test_a_flood_of_crafted_callers(tmp_path: Path) -> None:
    """Hundreds at once, each packet of which is as those of plain callers; beside them a talk and a caller who waits. The long
    one is a command: `python -m tests.fuzz.hostile_flood`."""
    async with running_asterisk(tmp_path) as rig:
        verdict = await flood(rig, calls=250, seed=7, learn=72)
    assert verdict.wrong == []
    assert verdict.sent == 250
    assert verdict.entered > 125
    assert min(verdict.numbered, verdict.withheld, *verdict.read.values()) > 0, verdict
