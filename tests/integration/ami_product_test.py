"""The adapter on the product's own rendered configuration: its account may do, and its event filter lets through, what is needed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cti.asterisk.ami.adapter import AmiTelephony
from cti.asterisk.ami.client import AmiLink
from cti.asterisk.ami.translate import accounts_of
from cti.clock import SystemClock
from cti.ids import AgentId, OfferId
from cti.model import signals as s
from cti.model.commands import Deliver, HangUp, ReturnToWait
from cti.model.facts import Device
from tests.contract.ami.test_ami_telephony import Inbox
from tests.integration.asterisk_rig import AgiSession, Rig, running_asterisk
from tests.support.sipp import Sipp

pytestmark = [pytest.mark.real, pytest.mark.beside]
AGENT, OTHER = AgentId("1001"), AgentId("1002")


async def queue_and_record(session: AgiSession) -> None:
    await session.set(CTI_QUEUE="support", CTI_RING="5", CTI_RECORD="1", CTI_NEXT="wait")


def caller(rig: Rig) -> Sipp:
    keys = {"number": "+15551234567", "display": "Caller"}
    return Sipp("caller_stays", local=rig.carrier, remote=rig.sip, keys=keys)


async def test_a_call_on_the_products_configuration(tmp_path: Path) -> None:
    inbox = Inbox()
    async with running_asterisk(tmp_path) as rig, rig.phone("1001") as phone, rig.phone("1002") as other:
        rig.bridge.handlers["call"] = queue_and_record
        other.behaviour = "486 Busy Here"
        link = AmiLink(
            host="127.0.0.1",
            port=rig.settings.ports.of("ami"),
            username=rig.settings.asterisk.ami_user,
            secret=rig.secrets.ami,
        )
        telephony = AmiTelephony(link, accounts=accounts_of([AGENT, OTHER]), deliver=inbox.deliver, clock=SystemClock())
        task = asyncio.create_task(telephony.run())
        try:
            _, snapshot = await inbox.first(s.Snapshot)
            assert len(snapshot.devices) == 4
            await phone.register()
            await other.register()
            await inbox.first(s.DeviceReachable, where=lambda d: d.agent_id == AGENT and d.reachable)
            await inbox.first(s.DeviceReachable, where=lambda d: d.agent_id == OTHER and d.reachable)
            async with caller(rig) as sipp:
                _, entered = await inbox.first(s.CallerEntered)
                assert (entered.caller_number, entered.did) == ("+15551234567", "5000")
                place, waits = await inbox.first(s.WaitEntered)
                call_id, channel = waits.call_id, waits.channel

                refused = Deliver(
                    call_id=call_id, channel=channel, offer_id=OfferId(1), agent_id=OTHER, device=Device.SIP
                )
                await telephony.perform(refused)
                place, returned = await inbox.first(s.OfferReturned, after=place)
                assert (returned.offer_id, returned.cause) == (1, 17)
                place, _ = await inbox.first(s.WaitEntered, after=place)

                await telephony.perform(ReturnToWait(call_id=call_id, channel=channel))
                place, _ = await inbox.first(s.WaitEntered, after=place + 1)

                await telephony.perform(
                    Deliver(call_id=call_id, channel=channel, offer_id=OfferId(2), agent_id=AGENT, device=Device.SIP)
                )
                _, dialled = await inbox.first(s.AgentLegDialled, after=place)
                assert (dialled.call_id, dialled.offer_id, dialled.agent_id) == (call_id, 2, AGENT)
                joined, one = await inbox.first(s.BridgeJoined, after=place)
                _, two = await inbox.first(s.BridgeJoined, after=joined + 1)
                assert {one.channel, two.channel} == {channel, dialled.agent_channel}
                assert {one.call_id, two.call_id} == {call_id}
                _, recording = await inbox.first(s.RecordingBegan)
                assert recording.path == f"{call_id}.wav"

                await telephony.perform(HangUp(channel=dialled.agent_channel))
                _, gone = await inbox.first(s.ChannelGone, where=lambda g: g.is_caller)
                assert gone.call_id == call_id
                # The caller asked for nothing: not when the agent was hung up, nor by the dialplan's own goodbye.
                assert not [x for x in inbox.signals if isinstance(x, s.HangupAsked) and x.channel == channel]
                await sipp.finished()
            assert telephony.translator.odd == 0
            assert (rig.paths.recordings / "live" / recording.path).with_suffix(".others.sln").exists()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
