"""A real Asterisk of a few modules for tests of the AMI link: one caller's trunk, two agents' accounts, three contexts.

Smaller than the product's own configuration on purpose: it starts in a second or two, and these tests do not change when
the dialplan does. The contexts and variables are the product's contract. SIP peers are SIPp scenarios.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from cti.asterisk.install import AsteriskBinary, ensure_asterisk
from cti.settings import Settings

SECRET = "tiny-secret"
MODULES = (
    "res_timing_timerfd", "res_sorcery_config", "res_sorcery_memory", "res_sorcery_astdb", "res_pjproject", "res_pjsip",
    "res_pjsip_session", "res_pjsip_pubsub", "res_pjsip_sdp_rtp", "res_pjsip_endpoint_identifier_ip", "res_pjsip_endpoint_identifier_user",
    "res_pjsip_authenticator_digest", "res_pjsip_registrar", "res_pjsip_caller_id", "res_rtp_asterisk", "codec_ulaw",
    "format_pcm", "format_wav", "chan_pjsip", "app_dial", "app_userevent", "app_mixmonitor", "bridge_simple",
    "bridge_holding", "pbx_config", "func_channel", "func_callerid", "func_strings", "func_logic", "res_musiconhold",
    "res_manager_devicestate",
)  # fmt: skip


def _targets(pattern: str, context: str) -> str:
    """The same Goto at every priority: a Redirect that lands while an application returns must not fall through."""
    return "\n".join(f"exten => {pattern},{n},Goto({context},${{EXTEN}},1)" for n in range(1, 13))


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def find_asterisk() -> AsteriskBinary:
    """The Asterisk of this machine, unpacked if need be."""
    return ensure_asterisk(Settings(), lambda step, done, total: None)


class TinyAsterisk:
    """One running Asterisk under `folder`; `start` and `stop` (or `kill`) it, as often as wanted, at the same ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.binary = find_asterisk()
        (self.ami_port,) = free_ports(1)
        self.sip_port, rtp = free_ports(2, socket.SOCK_DGRAM)
        self.rtp_first = min(rtp, 65000) // 2 * 2
        self.process: asyncio.subprocess.Process | None = None
        self._write()

    def _write(self) -> None:
        for name in ("etc", "run", "log", "spool", "lib", "db"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        files = {
            "asterisk.conf": f"""
[directories]
astetcdir => {self.folder}/etc
astmoddir => {self.binary.modules}
astvarlibdir => {self.folder}/lib
astdbdir => {self.folder}/db
astkeydir => {self.folder}/lib
astdatadir => {self.binary.share}
astagidir => {self.folder}/lib
astspooldir => {self.folder}/spool
astrundir => {self.folder}/run
astlogdir => {self.folder}/log
[options]
systemname = t1
nocolor = yes
""",
            "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in MODULES),
            "logger.conf": "[logfiles]\nfull => notice,warning,error,verbose\n",
            "musiconhold.conf": "",
            "sorcery.conf": "",
            "rtp.conf": f"[general]\nrtpstart={self.rtp_first}\nrtpend={self.rtp_first + 99}\nicesupport=no\n",
            "manager.conf": f"""
[general]
enabled = yes
bindaddr = 127.0.0.1
port = {self.ami_port}
timestampevents = yes
channelvars = CTI_CALL,CTI_OFFER,CTI_QUEUE,CTI_RECORDING
[cti]
secret = {SECRET}
read = call,system,user
write = call,system,user,reporting
""",
            "pjsip.conf": f"""
[udp]
type = transport
protocol = udp
bind = 127.0.0.1:{self.sip_port}
[trunk]
type = endpoint
context = cti-inbound
disallow = all
allow = ulaw
callerid = <anonymous>
[trunk]
type = identify
endpoint = trunk
match = 127.0.0.2
"""
            + "".join(
                f"""
[{name}]
type = aor
max_contacts = 2
remove_existing = yes
[{name}]
type = endpoint
aors = {name}
context = cti-agents
disallow = all
allow = ulaw
callerid = <{name}>
"""
                for name in ("1001", "1001-web", "1002")
            ),
            "extensions.conf": f"""
[cti-inbound]
exten => 5001,1,Set(__CTI_CALL=${{UNIQUEID}})
 same => n,Set(CTI_NUMBER=+15550100)
 same => n,Set(CTI_DID=5001)
 same => n,UserEvent(CtiInbound,Call: ${{CTI_CALL}},Number: ${{CTI_NUMBER}},Did: ${{CTI_DID}})
 same => n,Answer()
 same => n,Set(CTI_QUEUE=support)
 same => n,Goto(cti-wait,s,1)
exten => 5002,1,Set(__CTI_CALL=${{UNIQUEID}})
 same => n,UserEvent(CtiSurvival,Call: ${{CTI_CALL}},Queue: support)
 same => n,Answer()
 same => n,WaitExten(60)
[cti-wait]
{_targets("s", "cti-wait-run")}
[cti-wait-run]
exten => s,1,UserEvent(CtiWait,Call: ${{CTI_CALL}})
 same => n,WaitExten(60)
 same => n,Goto(s,1)
[cti-deliver]
{_targets("_XXXXXXXXXX[12]XXXX", "cti-deliver-run")}
[cti-deliver-run]
exten => _XXXXXXXXXX[12]XXXX,1,Set(__CTI_OFFER=${{EXTEN:0:10}})
 same => n,Set(CTI_RECORDING=${{CTI_CALL}}.wav)
 same => n,MixMonitor({self.folder}/spool/${{CTI_RECORDING}},b)
 same => n,Dial(PJSIP/${{EXTEN:11}}${{IF($["${{EXTEN:10:1}}" = "2"]?-web)}},5,mg)
 same => n,GotoIf($["${{DIALSTATUS}}" = "ANSWER"]?bye)
 same => n,UserEvent(CtiReturned,Call: ${{CTI_CALL}},Offer: ${{CTI_OFFER}},DialStatus: ${{DIALSTATUS}},Cause: ${{HANGUPCAUSE}})
 same => n,Goto(cti-wait,s,1)
 same => n(bye),Hangup()
""",
        }
        for name, text in files.items():
            (self.folder / "etc" / name).write_text(text)

    async def start(self) -> None:
        """Start it and wait until its manager port answers."""
        self.process = await asyncio.create_subprocess_exec(
            *self.binary.argv,
            *("-f", "-n", "-C", str(self.folder / "etc" / "asterisk.conf")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.ami_port)
                except OSError:
                    assert self.process.returncode is None, "Asterisk ended at once; see log/full"
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return

    async def kill(self) -> None:
        """End it without a goodbye."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def freeze(self, frozen: bool) -> None:
        """Stop its process in mid air, or let it go on."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP if frozen else signal.SIGCONT)


@contextlib.asynccontextmanager
async def tiny_asterisk(folder: Path) -> AsyncIterator[TinyAsterisk]:
    """A started Asterisk, killed at the end."""
    asterisk = TinyAsterisk(folder)
    try:
        await asterisk.start()
        yield asterisk
    finally:
        with contextlib.suppress(ProcessLookupError):
            if asterisk.process is not None:
                asterisk.freeze(False)
        await asterisk.kill()


# SIPp scenarios: only what a test needs, no audio.

_SDP = """v=0
o=sipp 1 [sdp] IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 0
a={direction}
"""


def _send(lines: str, sdp: str | None = None) -> str:
    body = "" if sdp is None else _SDP.replace("{direction}", sdp).replace("[sdp]", "2" if sdp != "sendrecv" else "3")
    head = "\n".join(line.strip() for line in lines.strip().splitlines())
    kind = "" if sdp is None else "Content-Type: application/sdp\n"
    again = "" if head.startswith(("SIP/2.0", "ACK")) else ' retrans="500"'
    return f"<send{again}><![CDATA[\n\n{head}\n{kind}Content-Length: [len]\n\n{body}\n]]></send>\n"


_REPLY = "[last_Via:]\n[last_From:]\n[last_To:];tag=agent[call_number]\n[last_Call-ID:]\n[last_CSeq:]\nContact: <sip:[local_ip]:[local_port]>"
_REPLY_TAGGED = _REPLY.replace(";tag=agent[call_number]", "")
_MINE = """Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:{me}@[local_ip]>;tag=caller[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
Contact: <sip:{me}@[local_ip]:[local_port]>
Max-Forwards: 70"""


def caller_scenario(*, talk_ms: int, hangs_up: bool) -> str:
    """A caller who is answered, listens for `talk_ms` and hangs up, or waits to be hung up on."""
    mine = _MINE.replace("{me}", "15550100")
    parts = [
        _send(f"INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{mine}\nCSeq: 1 INVITE", "sendrecv"),
        '<recv response="100" optional="true"/><recv response="180" optional="true"/><recv response="183" optional="true"/>\n',
        '<recv response="200"/>\n',
        _send(f"ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{mine}\nCSeq: 1 ACK"),
    ]
    if hangs_up:
        parts.append(f'<pause milliseconds="{talk_ms}"/>\n')
        parts.append(_send(f"BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{mine}\nCSeq: 2 BYE"))
        parts.append('<recv response="200"/>\n')
    else:
        parts.append('<recv request="BYE"/>\n' + _send(f"SIP/2.0 200 OK\n{_REPLY_TAGGED}"))
    return _scenario(parts)


def agent_scenario(*, status: str = "200 OK", ring_ms: int = 300, hold: bool = False, hangs_up: bool = True) -> str:
    """An agent's phone that rings and answers with `status`; if answered, holds and retrieves, and hangs up or is left."""
    parts = ['<recv request="INVITE" rrs="true"/>\n', _send(f"SIP/2.0 180 Ringing\n{_REPLY}")]
    parts.append(f'<pause milliseconds="{ring_ms}"/>\n')
    if status != "200 OK":
        parts.append(_send(f"SIP/2.0 {status}\n{_REPLY}") + '<recv request="ACK"/>\n')
        return _scenario(parts)
    parts.append(
        _send(f"SIP/2.0 200 OK\n{_REPLY}", "sendrecv") + '<recv request="ACK"/>\n<pause milliseconds="300"/>\n'
    )
    mine = (
        "Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nFrom: <sip:1001@[local_ip]>;tag=agent[call_number]\n"
        "To:[$caller]\n[last_Call-ID:]\nContact: <sip:[local_ip]:[local_port]>\nMax-Forwards: 70"
    )
    parts[0] = (
        '<recv request="INVITE" rrs="true"><action><ereg regexp=".*" search_in="hdr" header="From:" '
        'assign_to="caller"/></action></recv>\n'
    )
    sequence = 1
    for direction in ("sendonly", "sendrecv") if hold else ():
        parts.append(_send(f"INVITE [next_url] SIP/2.0\n{mine}\nCSeq: {sequence} INVITE", direction))
        parts.append('<recv response="100" optional="true"/><recv response="200" rrs="true"/>\n')
        parts.append(_send(f"ACK [next_url] SIP/2.0\n{mine}\nCSeq: {sequence} ACK"))
        parts.append('<pause milliseconds="300"/>\n')
        sequence += 1
    if hangs_up:
        parts.append(_send(f"BYE [next_url] SIP/2.0\n{mine}\nCSeq: {sequence} BYE") + '<recv response="200"/>\n')
    else:
        parts.append('<recv request="BYE"/>\n' + _send(f"SIP/2.0 200 OK\n{_REPLY_TAGGED}"))
        parts.append('<Reference variables="caller"/>\n')
    return _scenario(parts)


def register_scenario(account: str, contact_port: int, expires: int = 300) -> str:
    """Register the account at 127.0.0.1:`contact_port`, or take it away with `expires` 0."""
    mine = (
        f"Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nFrom: <sip:{account}@[remote_ip]>;tag=r[call_number]\n"
        f"To: <sip:{account}@[remote_ip]>\nCall-ID: [call_id]\nContact: <sip:{account}@127.0.0.1:{contact_port}>\n"
        f"Expires: {expires}\nMax-Forwards: 70"
    )
    return _scenario(
        [_send(f"REGISTER sip:[remote_ip]:[remote_port] SIP/2.0\n{mine}\nCSeq: 1 REGISTER"), '<recv response="200"/>\n']
    )


def _scenario(parts: list[str]) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="t">\n' + "".join(parts) + "</scenario>\n"


class SippPeers:
    """SIPp processes of one test; each ended by its own id at the end."""

    def __init__(self, asterisk: TinyAsterisk) -> None:
        self.asterisk = asterisk
        self._processes: list[asyncio.subprocess.Process] = []
        self._count = 0

    async def run(self, scenario: str, *, address: str = "127.0.0.1", port: int = 0, service: str = "5001") -> None:
        """Run one SIPp call to its end; raises AssertionError when SIPp says it failed."""
        process = await self.start(scenario, address=address, port=port, service=service)
        out, _ = await process.communicate()
        assert process.returncode == 0, f"sipp failed ({process.returncode})\n{out.decode(errors='replace')[-3000:]}"

    async def start(
        self, scenario: str, *, address: str = "127.0.0.1", port: int = 0, service: str = "5001"
    ) -> asyncio.subprocess.Process:
        """Start one SIPp call."""
        self._count += 1
        file = self.asterisk.folder / f"sipp{self._count}.xml"
        file.write_text(scenario)
        sipp = shutil.which("sipp")
        assert sipp is not None, "sipp is not on PATH"
        port = port or free_ports(1, socket.SOCK_DGRAM)[0]
        process = await asyncio.create_subprocess_exec(
            *(sipp, f"127.0.0.1:{self.asterisk.sip_port}", "-sf", str(file), "-i", address, "-p", str(port)),
            *("-m", "1", "-s", service, "-nostdin", "-timeout", "30", "-timeout_error", "-trace_err"),
            *("-error_file", str(file.with_suffix(".err"))),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.asterisk.folder,
        )
        self._processes.append(process)
        return process

    async def stop(self) -> None:
        """End those that still run."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.communicate()
