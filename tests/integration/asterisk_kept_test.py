"""The far side of a call that an agent made, and a caller in a room, when the agent's leg is cut off and no bridge is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.asterisk_rig import Rig, running_asterisk
from tests.integration.asterisk_rooms_test import caller, hold, redirect, talk
from tests.support.sip_phone import SipPhone

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("sipp"), pytest.mark.timeout(400)]

CUT_OFF, HUNG_UP = "44", "16"
"""Q.850 causes: what Asterisk itself gives a leg it hears nothing of, and what a hang-up is."""


async def called(rig: Rig, ann: SipPhone, number: int) -> tuple[str, str]:
    """Ann's telephone was rung and has called Bo. Gives her channel and his."""
    since, call_id = len(rig.ami.events), f"a1-dial.{number}"
    rig.ami.send(
        Action="Originate", Channel="PJSIP/1001", ChannelId=call_id, Context="cti-colleague", Exten="1002",
        Priority="1", Variable=f"__CTI_CALL={call_id}", Async="true",
    )  # fmt: skip
    own = await asyncio.wait_for(ann.arrived.get(), 60)
    assert own is not None
    joined = [await rig.ami.event("BridgeEnter", since=since, Uniqueid=call_id)]
    far = await rig.ami.event("DialEnd", since=since, DialStatus="ANSWER", Channel=joined[0]["Channel"])
    await rig.ami.event("BridgeEnter", since=since, Channel=far["DestChannel"])
    return joined[0]["Channel"], far["DestChannel"]


async def test_who_was_called_is_kept_by_the_dialplan(tmp_path: Path) -> None:
    async with running_asterisk(tmp_path) as rig, rig.phone("1001") as ann, rig.phone("1002") as bo:
        await ann.register()
        await bo.register()
        own, far = await called(rig, ann, 1)
        since = len(rig.ami.events)
        await rig.ami.action(Action="Hangup", Channel=own, Cause=HUNG_UP)
        await rig.ami.event("Hangup", since=since, Channel=far)
        assert not [event for event in rig.ami.events[since:] if event.get("UserEvent") == "CtiWait"]

        own, far = await called(rig, ann, 2)
        since = len(rig.ami.events)
        await rig.ami.action(Action="Hangup", Channel=own, Cause=CUT_OFF)
        waits = await rig.ami.event("CtiWait", since=since, Channel=far)
        assert waits["Call"] == "a1-dial.2"
        # The page is back: the far side is brought to it, and a hang-up there ends it, a cut does not.
        for cause, then in ((CUT_OFF, "CtiWait"), (HUNG_UP, "Hangup")):
            since = len(rig.ami.events)
            redirect(rig, far, "cti-deliver-run", "123456789011001")
            leg = await rig.ami.event("DialEnd", since=since, DialStatus="ANSWER", Channel=far)
            await rig.ami.event("BridgeEnter", since=since, Channel=far)
            since = len(rig.ami.events)
            await rig.ami.action(Action="Hangup", Channel=leg["DestChannel"], Cause=cause)
            await rig.ami.event(then, since=since, Channel=far)

        # Redirected by the bridge, as soon as it knows: both at once are no hang-up either.
        own, far = await called(rig, ann, 3)
        since = len(rig.ami.events)
        redirect(rig, far, "cti-wait", "s")
        await rig.ami.event("CtiWait", since=since, Channel=far)
        await rig.ami.event("Hangup", since=since, Channel=own)
        # Whoever belongs to no queue is told so, and hung up.
        redirect(rig, far, "cti-sorry", "s")
        await rig.ami.event("Hangup", since=since, Channel=far, Context="cti-sorry-run")
        assert not rig.log_lines("ERROR")


async def test_a_caller_in_a_room_is_kept_by_the_dialplan(tmp_path: Path) -> None:
    async with running_asterisk(tmp_path) as rig, rig.phone("1001") as ann:
        await ann.register()
        for cause, then in ((CUT_OFF, "CtiWait"), (HUNG_UP, "Hangup")):
            async with caller(rig):
                since = len(rig.ami.events)
                channel, agents, _, _ = await talk(rig, ann, since)
                await hold(rig, channel, agents, since)
                redirect(rig, channel, "cti-room", "s")
                await rig.ami.event("BridgeEnter", since=since, Channel=channel, BridgeTechnology="softmix")
                since = len(rig.ami.events)
                await rig.ami.action(Action="Hangup", Channel=agents, Cause=cause)
                await rig.ami.event(then, since=since, Channel=channel)
                waited = [event for event in rig.ami.events[since:] if event.get("UserEvent") == "CtiWait"]
                assert bool(waited) is (then == "CtiWait")
        assert not rig.log_lines("ERROR")
