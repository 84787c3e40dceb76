"""A trunk that nobody can listen to: a second Asterisk is the carrier, and calls in and is called by SIP over TLS with SRTP.

The agent's telephone speaks TLS and takes nothing but SRTP too. Everybody hears the other's tone: the carrier, the agent, and
the centre's own recording. Plain sound is refused, and a carrier whose certificate nobody vouches for is not called.
"""

from __future__ import annotations

import asyncio
import random
import wave
from pathlib import Path

import pytest

from cti.asterisk.install import ensure_asterisk
from cti.demo.softphone import PhoneRoom
from tests.integration.asterisk_rig import AgiSession, Rig, free_settings, running_asterisk, until
from tests.support.carrier_asterisk import TONE_HERTZ, carrier_asterisk, issue
from tests.support.sip_caller import carrier_line
from tests.support.sound import assert_tone

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(400)]

AGENT_HERTZ = 620
TWO_SECONDS = 32_000
"""Bytes of 16 bits at 8 kHz."""


async def recorded(session: AgiSession) -> None:
    """Into the queue, and recorded from the talk on."""
    await session.set(CTI_QUEUE="support", CTI_RING="10", CTI_RECORD="1", CTI_NEXT="wait")


def as_wave(samples: Path, *, last_bytes: int) -> Path:
    """The end of a file of bare samples."""
    path = samples.with_suffix(".wav")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000 if samples.suffix == ".sln16" else 8000)
        file.writeframes(samples.read_bytes()[-last_bytes:])
    return path


def live(rig: Rig, side: str) -> Path:
    """The centre's recording of one side of the only call."""
    return next((rig.settings.folder("recordings") / "live").glob(f"*.{side}.sln*"))


async def test_nobody_listens_between_the_carrier_and_the_agent(tmp_path: Path) -> None:
    carrier = free_settings(tmp_path / "unused").trunk.match[0]
    port, other_port = 5061, 5062
    issued, strange = issue(tmp_path / "issued", carrier), issue(tmp_path / "strange", carrier)
    trunk = {"match": [carrier], "address": f"{carrier}:{port}", "encrypted": True, "authority": issued.authority}
    async with (
        running_asterisk(tmp_path, tls={"mode": "on"}, trunk=trunk, sip={"srtp": "required"}) as rig,
        PhoneRoom() as room,
    ):
        rig.bridge.handlers["call"] = recorded
        binary = await asyncio.to_thread(ensure_asterisk, rig.settings, lambda step, done, total: None)
        centre = ("127.0.0.1", rig.settings.ports.of("sip_tls"))
        ours = rig.settings.data / "secrets" / "tls" / "certificate.pem"
        ann = await room.phone(
            user="1001", password=rig.secrets.sip["1001"], server=f"{centre[0]}:{centre[1]}", transport="tls", srtp="mandatory"
        )  # fmt: skip
        async with carrier_asterisk(
            tmp_path / "carrier", binary, address=carrier, ports=(port, other_port), centre=centre,
            issued=(issued, strange), trusts=ours, rtp_first=random.randrange(30000, 32000, 100),
        ) as line:  # fmt: skip
            # In: the carrier, the agent and the recording hear who speaks with them.
            await line.calls("5000")
            waits = await rig.ami.event("CtiWait")
            await rig.ami.event("ContactStatus", AOR="1001", ContactStatus="Reachable")
            rig.deliver(waits["Channel"], 1_234_567_890)
            async with asyncio.timeout(60):
                leg = await ann.incoming.get()
                await leg.answer()
                await leg.confirmed.wait()
            assert "RTP/SAVP" in leg.invite
            await rig.ami.event("BridgeEnter", Channel=waits["Channel"])
            await leg.play_tone(AGENT_HERTZ)
            await leg.record(tmp_path / "agent-heard.wav")
            before = line.heard_bytes("centre")
            await until(lambda: line.heard_bytes("centre") > before + 3 * TWO_SECONDS, "the centre's sound", seconds=90)
            await leg.stop_recording()
            assert_tone(tmp_path / "agent-heard.wav", TONE_HERTZ)
            assert_tone(line.heard("centre", last_bytes=TWO_SECONDS), AGENT_HERTZ)
            await leg.hang_up()
            await rig.ami.event("Hangup", Channel=waits["Channel"])
            await until(lambda: live(rig, "caller").stat().st_size > TWO_SECONDS, "the recording to be written")
            assert_tone(as_wave(live(rig, "caller"), last_bytes=TWO_SECONDS // 2), TONE_HERTZ)
            assert_tone(as_wave(live(rig, "others"), last_bytes=TWO_SECONDS // 2), AGENT_HERTZ)
            assert "talk centre secure=1" in line.said()

            # Out: who answers hears themselves, so both ways are there.
            since = len(rig.ami.events)
            rig.ami.send(
                Action="Originate", Channel="PJSIP/+15550100077@trunk", Application="Echo", Async="true", Timeout="20000"
            )  # fmt: skip
            await until(lambda: line.heard_bytes("15550100077") > 2 * TWO_SECONDS, "the echo")
            assert_tone(line.heard("15550100077", last_bytes=TWO_SECONDS), TONE_HERTZ)
            assert "talk 15550100077 secure=1" in line.said()
            await line.hang_up()
            await rig.ami.event("Hangup", since=since)

            # Plain sound is refused, over TLS and over UDP, before anybody is told of a caller.
            first, talks = len(rig.ami.events), line.said().count("secure=")
            await line.calls("5000", over="plain")
            await until(lambda: "refused 58" in line.said(), "the plain call to be refused")
            async with carrier_line(carrier, rig.sip) as plain:
                with pytest.raises(AssertionError, match=r"not answered \(488\)"):
                    await plain.dial("5000", "+15550100003")
            since = len(rig.ami.events)
            # Nobody is called whose certificate another authority has signed.
            rig.ami.send(
                Action="Originate", Channel=f"PJSIP/trunk/sip:+15550100078@{carrier}:{other_port};transport=tls",
                Application="Echo", Async="true", Timeout="10000",
            )  # fmt: skip
            await rig.ami.event("DialEnd", since=since, DialStatus="CONGESTION")
            told = f"{carrier}:{other_port} - The issuer info in the certificate"
            await until(lambda: any(told in one for one in rig.log_lines("ERROR")), "the log to say why")
            assert line.said().count("secure=") == talks
            assert not [event for event in rig.ami.events[first:] if event.get("UserEvent") == "CtiInbound"]
