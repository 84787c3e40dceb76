"""The carrier as a second, real Asterisk: SIP over TLS with a certificate of its own authority, SRTP, a tone and a recording.

It calls the centre and is called by it. Who talks with it hears `TONE_HERTZ`, and what is heard from them is written to a file.
Its configuration is its own and has nothing of the product's: two that agree in a mistake would prove nothing.
"""

from __future__ import annotations

import contextlib
import ipaddress
import tempfile
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cti.asterisk.install import AsteriskBinary
from cti.asterisk.process import AsteriskProcess
from cti.asterisk.render import RenderedPaths
from cti.clock import SystemClock

TONE_HERTZ = 480
MODULES = (
    "res_timing_timerfd", "pbx_config", "bridge_simple", "res_pjproject", "res_sorcery_config", "res_sorcery_memory",
    "res_sorcery_astdb", "res_pjsip", "res_pjsip_pubsub", "res_pjsip_dlg_options", "res_speech", "bridge_holding", "res_pjsip_session", "res_pjsip_authenticator_digest", "res_pjsip_caller_id",
    "res_pjsip_endpoint_identifier_ip", "res_pjsip_endpoint_identifier_user", "res_pjsip_nat", "res_pjsip_sdp_rtp", "chan_pjsip",
    "res_rtp_asterisk", "res_crypto", "res_srtp", "codec_ulaw", "format_pcm", "format_wav", "format_sln", "app_mixmonitor",
    "app_playtones", "app_verbose", "app_dial", "app_stack", "func_channel", "func_strings", "res_clioriginate",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """Files of a certificate (PEM)."""

    authority: Path
    certificate: Path
    key: Path


def issue(folder: Path, address: str) -> Issued:
    """A certificate for an address, by an authority that nobody else has."""
    now = SystemClock().now()

    def built(
        name: str, issuer: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=key is by, path_length=None), critical=True)
        )
        if key is not by:
            told = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
            builder = builder.add_extension(told, critical=False)
        return builder.sign(by, hashes.SHA256())

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    folder.mkdir(parents=True, exist_ok=True)
    files = Issued(authority=folder / "authority.pem", certificate=folder / "certificate.pem", key=folder / "key.pem")
    pem = serialization.Encoding.PEM
    files.authority.write_bytes(built("authority", "authority", root, root).public_bytes(pem))
    files.certificate.write_bytes(built(address, "authority", own, root).public_bytes(pem))
    files.key.write_bytes(
        own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    return files


class CarrierAsterisk:
    """A running one. `calls`, `heard`, `said`."""

    def __init__(self, process: AsteriskProcess, folder: Path, log: Path) -> None:
        self._process = process
        self._folder = folder
        self._log = log

    async def calls(self, did: str, *, over: str = "centre") -> None:
        """Begin a call to the centre: `over` "centre" (SRTP) or "plain" (plain RTP, signalled by TLS too)."""
        await self._process.cli(f"channel originate Local/{did}{over}@dial/n extension {over}@silence")

    async def hang_up(self) -> None:
        """End all its calls."""
        await self._process.cli("channel request hangup all")

    def said(self) -> str:
        """Its log, with a line `talk <name> secure=<0|1>` for each call that was answered, `refused <Q.850 cause>` for others."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def heard(self, name: str, *, last_bytes: int) -> Path:
        """The end of what came in on the talk of this name ("centre", "plain", or the number that was dialled), as a WAV file."""
        path = self._folder / f"{name}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((self._folder / f"{name}.sln").read_bytes()[-last_bytes:])
        return path

    def heard_bytes(self, name: str) -> int:
        """So much of it is written by now: 16,000 a second."""
        with contextlib.suppress(FileNotFoundError):
            return (self._folder / f"{name}.sln").stat().st_size
        return 0


@contextlib.asynccontextmanager
async def carrier_asterisk(
    folder: Path, binary: AsteriskBinary, *, address: str, ports: tuple[int, int], centre: tuple[str, int],
    issued: tuple[Issued, Issued], trusts: Path, rtp_first: int,
) -> AsyncIterator[CarrierAsterisk]:  # fmt: skip
    """A carrier at `address` for the `centre`'s port of SIP over TLS, whose certificate must be the one in `trusts`.

    It listens at the first of its `ports` with the first certificate, at the second with the second.
    """
    etc, state, log, sounds = (folder / name for name in ("etc", "state", "log", "heard"))
    for one in (etc, state, state / "spool", state / "keys", log, sounds):
        one.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="carrier") as run:
        texts = {
            "asterisk.conf": f"""[directories]
astetcdir => {etc}
astmoddir => {binary.modules}
astvarlibdir => {state}
astdbdir => {state}
astkeydir => {state}
astcachedir => {state}
astdatadir => {binary.share}
astagidir => {state}/agi
astspooldir => {state}/spool
astrundir => {run}
astlogdir => {log}
astsbindir => {run}
[options]
systemname = carrier
transmit_silence = yes
""",
            "modules.conf": "[modules]\nautoload = no\n" + "".join(f"require = {one}.so\n" for one in MODULES),
            "logger.conf": "[general]\n[logfiles]\nasterisk.log => notice,warning,error\n",
            "rtp.conf": f"[general]\nrtpstart = {rtp_first}\nrtpend = {rtp_first + 99}\n",
            "indications.conf": "[general]\ncountry = us\n[us]\ndescription = us\nringcadence = 2000,4000\ndial = 350+440\n",
            "pjsip.conf": f"""[tls]
type = transport
protocol = tls
bind = {address}:{ports[0]}
cert_file = {issued[0].certificate}
priv_key_file = {issued[0].key}
ca_list_file = {trusts}
verify_server = yes
method = tlsv1_2
[other]
type = transport
protocol = tls
bind = {address}:{ports[1]}
cert_file = {issued[1].certificate}
priv_key_file = {issued[1].key}
method = tlsv1_2
[side](!)
type = endpoint
disallow = all
allow = ulaw
transport = tls
direct_media = no
media_address = {address}
bind_rtp_to_media_address = yes
from_user = +15550100001
aors = centre
[centre](side)
context = from-centre
media_encryption = sdes
[plain](side)
context = nowhere
media_encryption = no
[centre]
type = aor
contact = sip:{centre[0]}:{centre[1]}\\;transport=tls
[centre-match]
type = identify
endpoint = centre
match = {centre[0]}
""",
            "extensions.conf": f"""[dial]
exten => _[0-9].,1,Set(SIDE=${{FILTER(a-z,${{EXTEN}})}})
 same => n,Dial(PJSIP/${{FILTER(0-9,${{EXTEN}})}}@${{SIDE}},30,G(talk^${{SIDE}}^1))
 same => n,Log(NOTICE,refused ${{HANGUPCAUSE}})
[silence]
exten => _[a-z].,1,Wait(120)
[talk]
exten => _[a-z].,1,Wait(120)
 same => n,Log(NOTICE,talk ${{EXTEN}} secure=${{CHANNEL(rtp,secure)}})
 same => n,MixMonitor(,r({sounds}/${{EXTEN}}.sln))
 same => n,Playtones({TONE_HERTZ})
 same => n,Wait(120)
[from-centre]
exten => _[+0-9].,1,Answer()
 same => n,Log(NOTICE,talk ${{FILTER(0-9,${{EXTEN}})}} secure=${{CHANNEL(rtp,secure)}})
 same => n,MixMonitor(,r({sounds}/${{EXTEN:1}}.sln))
 same => n,Playtones({TONE_HERTZ})
 same => n,Wait(120)
""",
        }
        for name, text in texts.items():
            (etc / name).write_text(text)
        paths = RenderedPaths(
            etc=etc, run=Path(run), state=state, log=log, ledger=log / "cel.csv", recordings=sounds, voicemail=sounds,
            music=sounds, moment_music=sounds, changed=(),
        )  # fmt: skip
        process = AsteriskProcess(binary, paths)
        await process.start(within=timedelta(seconds=60))
        try:
            yield CarrierAsterisk(process, sounds, log / "asterisk.log")
        finally:
            await process.stop()
