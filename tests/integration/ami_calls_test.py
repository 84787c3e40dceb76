"""Whole calls through a real Asterisk, seen and commanded through the adapter; limits of AMI that the codec relies on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cti.asterisk.ami.adapter import AmiTelephony
from cti.asterisk.ami.client import AmiLink
from cti.asterisk.ami.errors import AmiLoginRefused
from cti.asterisk.ami.translate import accounts_of
from cti.clock import SystemClock
from cti.ids import AgentId, OfferId
from cti.model import signals as s
from cti.model.commands import Deliver
from cti.model.facts import Device
from tests.contract.ami.test_ami_telephony import Inbox
from tests.integration import ami_asterisk as tiny

pytestmark = [pytest.mark.real, pytest.mark.beside]
AGENT = AgentId("1001")


@pytest.fixture
async def asterisk(tmp_path: Path) -> AsyncIterator[tiny.TinyAsterisk]:
    async with tiny.tiny_asterisk(tmp_path) as asterisk:
        yield asterisk


@pytest.fixture
async def peers(asterisk: tiny.TinyAsterisk) -> AsyncIterator[tiny.SippPeers]:
    peers = tiny.SippPeers(asterisk)
    yield peers
    await peers.stop()


def link_to(asterisk: tiny.TinyAsterisk, secret: str = tiny.SECRET) -> AmiLink:
    return AmiLink(host="127.0.0.1", port=asterisk.ami_port, username="cti", secret=secret)


@contextlib.asynccontextmanager
async def telephony_of(asterisk: tiny.TinyAsterisk, inbox: Inbox) -> AsyncIterator[AmiTelephony]:
    telephony = AmiTelephony(
        link_to(asterisk), accounts=accounts_of([AGENT]), deliver=inbox.deliver, clock=SystemClock()
    )
    task = asyncio.create_task(telephony.run())
    try:
        yield telephony
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_call_from_ring_to_goodbye(asterisk: tiny.TinyAsterisk, peers: tiny.SippPeers) -> None:
    inbox = Inbox()
    async with telephony_of(asterisk, inbox) as telephony:
        _, snapshot = await inbox.first(s.Snapshot)
        assert not any(device.reachable for device in snapshot.devices)
        (phone,) = tiny.free_ports(1)
        await peers.run(tiny.register_scenario(AGENT, phone))
        await inbox.first(s.DeviceReachable, where=lambda d: d.device is Device.SIP and d.reachable and not d.in_use)

        agent = await peers.start(tiny.agent_scenario(hold=True), port=phone)
        caller = await peers.start(tiny.caller_scenario(talk_ms=0, hangs_up=False), address="127.0.0.2")
        _, waits = await inbox.first(s.WaitEntered)
        await telephony.perform(
            Deliver(
                call_id=waits.call_id,
                channel=waits.channel,
                offer_id=OfferId(7),
                agent_id=AGENT,
                device=Device.SIP,
            )
        )
        place, rang = await inbox.first(s.AgentLegRinging)
        assert (rang.call_id, rang.offer_id) == (waits.call_id, 7)
        # Proof of talk: both channels in one bridge.
        place, one = await inbox.first(s.BridgeJoined, after=place)
        place, two = await inbox.first(s.BridgeJoined, after=place + 1)
        assert one.bridge_id == two.bridge_id
        assert {one.channel, two.channel} == {waits.channel, rang.agent_channel}
        assert {one.agent_id, two.agent_id} == {AGENT, None}
        place, held = await inbox.first(s.HoldChanged, after=place)
        assert (held.held, held.agent_id, held.call_id) == (True, AGENT, waits.call_id)
        await inbox.first(s.HoldChanged, after=place, where=lambda h: not h.held)
        place, asked = await inbox.first(s.HangupAsked, after=place)
        assert asked.channel == rang.agent_channel
        _, parted = await inbox.first(s.BridgeParted, after=place)
        assert parted.channel == rang.agent_channel
        _, gone = await inbox.first(s.ChannelGone, after=place, where=lambda g: g.is_caller)
        assert gone.call_id == waits.call_id
        assert not [x for x in inbox.signals if isinstance(x, s.HangupAsked) and x.channel == waits.channel]
        for process in (agent, caller):
            out, _ = await process.communicate()
            assert process.returncode == 0, out.decode()[-2000:]

        await peers.run(tiny.register_scenario(AGENT, phone, expires=0))
        await inbox.first(s.DeviceReachable, after=place, where=lambda d: d.device is Device.SIP and not d.reachable)
        assert telephony.translator.odd == 0


async def test_a_snapshot_in_the_middle_of_talk(asterisk: tiny.TinyAsterisk, peers: tiny.SippPeers) -> None:
    """The bridge process comes up while two people talk: who, with whom, in which bridge, since when."""
    first = Inbox()
    (phone,) = tiny.free_ports(1)
    async with telephony_of(asterisk, first) as telephony:
        await first.first(s.Snapshot)
        await peers.run(tiny.register_scenario(AGENT, phone))
        await peers.start(tiny.agent_scenario(hangs_up=False), port=phone)
        await peers.start(tiny.caller_scenario(talk_ms=20_000, hangs_up=True), address="127.0.0.2")
        _, waits = await first.first(s.WaitEntered)
        await telephony.perform(
            Deliver(
                call_id=waits.call_id,
                channel=waits.channel,
                offer_id=OfferId(8),
                agent_id=AGENT,
                device=Device.SIP,
            )
        )
        await first.first(s.BridgeJoined, where=lambda j: j.channel == waits.channel)
    second = Inbox()
    async with telephony_of(asterisk, second):
        _, snapshot = await second.first(s.Snapshot)
    caller = next(c for c in snapshot.channels if c.unique_id == c.call_id)
    agent = next(c for c in snapshot.channels if c.agent_id == AGENT)
    assert len(snapshot.channels) == 2
    assert caller.call_id == agent.call_id == waits.call_id
    assert caller.offer_id == agent.offer_id == 8
    assert caller.bridge_id is not None
    assert caller.bridge_id == agent.bridge_id
    assert caller.context == "cti-deliver-run"
    assert caller.queue == "support"
    device = next(d for d in snapshot.devices if d.device is Device.SIP)
    assert (device.reachable, device.in_use) == (True, True)


async def test_survival_is_seen(asterisk: tiny.TinyAsterisk, peers: tiny.SippPeers) -> None:
    inbox = Inbox()
    async with telephony_of(asterisk, inbox):
        await inbox.first(s.Snapshot)
        await peers.start(tiny.caller_scenario(talk_ms=100, hangs_up=True), address="127.0.0.2", service="5002")
        _, survival = await inbox.first(s.SurvivalBegan)
        assert survival.queue == "support"
        place, asked = await inbox.first(s.HangupAsked)
        assert asked.channel == survival.channel
        _, gone = await inbox.first(s.ChannelGone, after=place)
        assert gone.call_id == survival.call_id


async def test_wrong_password(asterisk: tiny.TinyAsterisk) -> None:
    with pytest.raises(AmiLoginRefused, match="Authentication failed"):
        await link_to(asterisk, "wrong").open()


async def test_limits_are_asterisks_own(asterisk: tiny.TinyAsterisk) -> None:
    session = await link_to(asterisk).open()
    try:
        filler = "x" * (1024 - len("Filler: \r\n"))
        assert (await session.ask({"Action": "Ping", "Filler": filler})).get("Ping") == "Pong"
        assert (await session.ask({"Action": "Ping", "Filler": ["x"] * 126})).get("Ping") == "Pong"
        assert await session.ask_list({"Action": "PJSIPShowContacts"}) == []
    finally:
        await session.close()
