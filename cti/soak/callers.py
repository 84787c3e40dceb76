"""Callers: SIPp processes with sound. Each call has a number of its own and leaves a line of how it went."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cti.errors import ConfigError
from cti.soak.ledgers import SipCall

_TONE_BYTES = 8000
"""One second of G.711, said again and again."""

_SCENARIO = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="soak">
  <send retrans="500"><![CDATA[

      INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
      From: <sip:[field0]@[local_ip]:[local_port]>;tag=c[call_number]
      To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: 1 INVITE
      Contact: <sip:caller@[local_ip]:[local_port]>
      Max-Forwards: 70
      Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=caller 1 1 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [rtpstream_audio_port] RTP/AVP 0 101
      a=rtpmap:0 PCMU/8000
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-15

    ]]><action><log message="[field0] called"/></action></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="183" optional="true"/>
  <recv response="200"><action><log message="[field0] answered"/></action></recv>
  <send><![CDATA[

      ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
      From: <sip:[field0]@[local_ip]:[local_port]>;tag=c[call_number]
      To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: 1 ACK
      Contact: <sip:caller@[local_ip]:[local_port]>
      Max-Forwards: 70
      Content-Length: [len]

    ]]></send>
  <nop><action><exec rtp_stream="TONE,-1,0"/></action></nop>
  <recv request="BYE" timeout="STAY" ontimeout="leave"><action><log message="[field0] dropped"/></action></recv>
  <send next="over"><![CDATA[

      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

    ]]></send>
  <label id="leave"/>
  <send retrans="500"><![CDATA[

      BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
      From: <sip:[field0]@[local_ip]:[local_port]>;tag=c[call_number]
      To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: 2 BYE
      Contact: <sip:caller@[local_ip]:[local_port]>
      Max-Forwards: 70
      Content-Length: 0

    ]]></send>
  <recv response="200"><action><log message="[field0] left"/></action></recv>
  <label id="over"/>
</scenario>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Callers of one kind: whom they call, how many begin in a second, how long they stay (seconds)."""

    service: str
    rate: float
    stay: float

    @property
    def at_once(self) -> float:
        """How many are on the line on average."""
        return self.rate * self.stay


def crowds(at_once: int, *, pace: float = 1.0) -> tuple[Crowd, ...]:
    """So many callers at once: in the menu, straight to the queue, and some who stay long; with a lesser `pace` all shorter."""
    shares = (("5000", 0.3, 25.0), ("5001", 0.45, 30.0), ("5001", 0.25, 60.0))
    return tuple(
        Crowd(service=service, rate=round(at_once * share / (stay * pace), 3), stay=stay * pace)
        for service, share, stay in shares
    )


class Callers:
    """One crowd, calling from `begin` until `stop`; then those on the line stay as long as they meant to."""

    def __init__(self, crowd: Crowd, *, local: str, remote: tuple[str, int], first_number: int, calls: int) -> None:
        if shutil.which("sipp") is None:
            raise ConfigError("SIPp is not installed", remedy="Debian: apt-get install sip-tester")
        self._crowd = crowd
        self._local = local
        self._remote = remote
        self._first = first_number
        self._calls = calls
        self._folder = Path(tempfile.mkdtemp(prefix="cti-soak-"))
        self._process: asyncio.subprocess.Process | None = None

    async def begin(self) -> None:
        """Start calling."""
        tone = self._folder / "tone.raw"
        tone.write_bytes(bytes((0x10, 0x90)) * (_TONE_BYTES // 2))
        scenario = _SCENARIO.replace("TONE", str(tone)).replace("STAY", str(round(self._crowd.stay * 1000)))
        (self._folder / "soak.xml").write_text(scenario, encoding="ascii")
        numbers = "".join(f"+{self._first + place}\n" for place in range(self._calls))
        (self._folder / "numbers.csv").write_text(f"SEQUENTIAL\n{numbers}", encoding="ascii")
        self._process = await asyncio.create_subprocess_exec(
            "sipp", f"{self._remote[0]}:{self._remote[1]}", "-sf", "soak.xml", "-inf", "numbers.csv",
            "-i", self._local, "-mi", self._local, "-s", self._crowd.service,
            "-m", str(self._calls), "-r", str(round(self._crowd.rate * 1000)), "-rp", "1000000", "-l", "2000",
            "-nostdin", "-watchdog_minor_maxtriggers", "1000000", "-watchdog_major_maxtriggers", "1000000", "-trace_logs", "-log_file", "calls.log", "-trace_err", "-error_file", "errors.log",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            cwd=self._folder, start_new_session=True,
        )  # fmt: skip

    async def stop(self, patience: float = 30.0) -> None:
        """No new calls; wait until those on the line have ended (SIPp's own slow end on SIGUSR1)."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(10)
        try:
            async with asyncio.timeout(self._crowd.stay + patience):
                await process.wait()
        except TimeoutError:
            await self.end()

    async def end(self) -> None:
        """End the process now."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def calls(self) -> list[SipCall]:
        """How every call went, so far."""
        events: dict[str, list[str]] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in (self._folder / "calls.log").read_text(encoding="ascii", errors="replace").splitlines():
                number, _, event = line.strip().partition(" ")
                if event:
                    events.setdefault(number, []).append(event)
        over = self._process is None or self._process.returncode is not None
        return [
            SipCall(
                number=number,
                answered="answered" in told,
                ended=next((word for word in ("dropped", "left") if word in told), "failed" if over else "open"),
            )
            for number, told in events.items()
        ]

    def errors(self) -> str:
        """The last of what SIPp complained of."""
        with contextlib.suppress(FileNotFoundError):
            return (self._folder / "errors.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        return ""

    def forget(self) -> None:
        """Remove the files."""
        shutil.rmtree(self._folder, ignore_errors=True)
