"""Rooms and hold on a real Asterisk without a bridge: nobody stays alone in silence, and nobody is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.asterisk_rig import Rig, running_asterisk
from tests.support.sip_phone import PhoneCall, SipPhone
from tests.support.sipp import Sipp

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("sipp"), pytest.mark.timeout(400)]


def redirect(rig: Rig, channel: str, context: str, exten: str, **extra: str) -> None:
    rig.ami.send(Action="Redirect", Channel=channel, Context=context, Exten=exten, Priority="1", **extra)


async def talk(rig: Rig, ann: SipPhone, since: int) -> tuple[str, str, str, PhoneCall]:
    """A caller and Ann talk. Gives the caller's channel, Ann's, the call's id, and Ann's leg."""
    waits = await rig.ami.event("CtiWait", since=since)
    channel, call_id = waits["Channel"], waits["Call"]
    rig.deliver(channel, 1_234_567_890, "1001")
    leg = await asyncio.wait_for(ann.arrived.get(), 60)
    await rig.ami.event("BridgeEnter", since=since, Channel=channel)
    agents = next(
        event["Channel"]
        for event in rig.ami.events[since:]
        if event.get("Event") == "BridgeEnter" and event["Channel"].startswith("PJSIP/1001-")
    )
    return channel, agents, call_id, leg


def caller(rig: Rig) -> Sipp:
    return Sipp(
        "caller_presses_1",
        local=rig.carrier,
        remote=rig.sip,
        service="5000",
        keys={"number": "+15550100060", "display": "x"},
        echo=True,
    )


async def hold(rig: Rig, channel: str, agents: str, since: int) -> None:
    """Both legs leave their bridge by one command: the caller hears music, the agent is in the room."""
    redirect(
        rig, channel, "cti-held", "s",
        ExtraChannel=agents, ExtraContext="cti-room", ExtraExten="party", ExtraPriority="1",
    )  # fmt: skip
    await rig.ami.event("CtiHeld", since=since, Channel=channel)
    await rig.ami.event("BridgeEnter", since=since, Channel=agents, BridgeTechnology="softmix")


async def test_nobody_is_left_alone(tmp_path: Path) -> None:
    async with running_asterisk(tmp_path) as rig, rig.phone("1001") as ann, rig.phone("1002") as bo:
        await ann.register()
        await bo.register()
        # Held, and the agent hangs up: music until the caller waits again, all by the dialplan.
        async with caller(rig):
            since = len(rig.ami.events)
            channel, agents, call_id, leg = await talk(rig, ann, 0)
            await hold(rig, channel, agents, since)
            since = len(rig.ami.events)
            await asyncio.sleep(7)  # two looks find the agent in the room
            assert not [event for event in rig.ami.events[since:] if event.get("UserEvent") == "CtiAlone"]
            ann.hang_up(leg)
            await rig.ami.event("CtiAlone", since=since, Channel=channel)
            await rig.ami.event("CtiWait", since=since, Channel=channel)
            # Sent into a room that is empty: the same.
            since = len(rig.ami.events)
            redirect(rig, channel, "cti-room", "s")
            await rig.ami.event("CtiAlone", since=since, Channel=channel)
            await rig.ami.event("CtiWait", since=since, Channel=channel)
            await rig.ami.action(Action="Hangup", Channel=channel)
            await rig.ami.event("Hangup", since=since, Channel=channel)
        # Three in a room: the first agent goes, the others talk; the last goes, and the caller's call ends.
        async with caller(rig):
            since = len(rig.ami.events)
            channel, agents, call_id, leg = await talk(rig, ann, since)
            await hold(rig, channel, agents, since)
            rig.ami.send(
                Action="Originate", Channel="PJSIP/1002", ChannelId=f"{call_id}-p1", Context="cti-room",
                Exten="party", Priority="1", Variable=f"__CTI_CALL={call_id},CTI_PARTY=1", Async="true",
            )  # fmt: skip
            asked = await asyncio.wait_for(bo.arrived.get(), 60)
            entered = await rig.ami.event("BridgeEnter", since=since, Uniqueid=f"{call_id}-p1")
            redirect(rig, channel, "cti-room", "s")
            await rig.ami.event("BridgeEnter", since=since, Channel=channel, BridgeTechnology="softmix")
            assert entered["BridgeName"] == call_id
            ann.hang_up(leg)
            await rig.ami.event("Hangup", since=since, Channel=agents)
            await asyncio.sleep(1)
            assert not [
                event
                for event in rig.ami.events[since:]
                if event.get("Event") == "BridgeLeave"
                and event["Channel"] == channel
                and event["BridgeTechnology"] == "softmix"
            ]
            bo.hang_up(asked)
            await rig.ami.event("Hangup", since=since, Channel=channel, Context="cti-bye-run")
        # A third party who is held while the room empties is let go, not queued.
        async with caller(rig):
            since = len(rig.ami.events)
            channel, agents, call_id, leg = await talk(rig, ann, since)
            await hold(rig, channel, agents, since)
            rig.ami.send(
                Action="Originate", Channel="PJSIP/1002", ChannelId=f"{call_id}-p1", Context="cti-room",
                Exten="party", Priority="1", Variable=f"__CTI_CALL={call_id},CTI_PARTY=1", Async="true",
            )  # fmt: skip
            third = (await rig.ami.event("BridgeEnter", since=since, Uniqueid=f"{call_id}-p1"))["Channel"]
            redirect(rig, third, "cti-held", "party")
            redirect(rig, channel, "cti-room", "s")
            await rig.ami.event("CtiHeld", since=since, Channel=third)
            await rig.ami.event("BridgeEnter", since=since, Channel=channel, BridgeTechnology="softmix")
            ann.hang_up(leg)
            await rig.ami.event("Hangup", since=since, Channel=channel, Context="cti-bye-run")
            await rig.ami.event("Hangup", since=since, Channel=third, Context="cti-bye-run")
        assert not rig.log_lines("ERROR")
