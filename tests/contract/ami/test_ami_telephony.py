"""What the services may rely on from a Telephony, run over the scripted server and over a real Asterisk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from cti.asterisk.ami.adapter import AmiTelephony
from cti.asterisk.ami.client import AmiLink
from cti.asterisk.ami.link_timings import LinkTimings
from cti.asterisk.ami.translate import accounts_of
from cti.asterisk.life import AsteriskLife
from cti.clock import SystemClock
from cti.errors import RemoteError
from cti.ids import AgentId, CallId, ChannelName, OfferId
from cti.model import signals as s
from cti.model.commands import Deliver, HangUp, ReturnToWait
from cti.model.facts import Device
from cti.services.ports import Telephony
from tests.integration import ami_asterisk as tiny
from tests.support.ami_server import Action, Connection, CutPoint, FakeAmi, block

AGENT = AgentId("1001")
SignalT = TypeVar("SignalT", bound=s.Signal)


class Switch(Protocol):
    """A telephone system under test, and what the outside world does to it."""

    port: int
    secret: str
    pid_file: Path
    """Names its process, where it has one."""

    async def caller_waits(self) -> tuple[CallId, ChannelName]:
        """A caller comes in and is in the wait context."""

    async def agent_is_busy(self) -> None:
        """Agent 1001 has a SIP phone that answers the next call with "busy"."""

    def cut(self) -> None:
        """Break the link."""

    def shut(self, closed: bool) -> None:
        """Let no new link in, or let them in again."""

    async def restart(self) -> None:
        """Kill the telephone system and start it again: its calls are gone."""

    def freeze(self, frozen: bool) -> None:
        """It hangs, or goes on."""


class FakeSwitch:
    """The scripted server, playing the dialplan's part."""

    def __init__(self, server: FakeAmi) -> None:
        self.server = server
        self.secret = server.secret
        self.port = server.port
        self.pid_file = Path("/nonexistent/asterisk.pid")
        self._count = 0
        self._shut = False
        server.devices.append(b"Event: DeviceStateChange\r\nDevice: PJSIP/1001\r\nState: NOT_INUSE\r\n")
        server.on("Redirect", self._redirect)
        server.on("Hangup", self._hangup)
        server.on("Login", self._login)

    async def caller_waits(self) -> tuple[CallId, ChannelName]:
        self._count += 1
        call_id, channel = CallId(f"t1-1.{self._count}"), ChannelName(f"PJSIP/trunk-{self._count:08x}")
        self.server.channels.append(
            f"Event: Status\r\nChannel: {channel}\r\nUniqueid: {call_id}\r\nContext: cti-wait-run\r\nExten: s\r\n"
            f"Variable: CTI_CALL={call_id}\r\nVariable: CTI_NUMBER=+15550100\r\nVariable: CTI_DID=5001\r\n".encode()
        )
        self._user("CtiInbound", channel, Call=call_id, Number="+15550100", Did="5001")
        self._user("CtiWait", channel, Call=call_id)
        return call_id, channel

    async def agent_is_busy(self) -> None:
        pass

    def cut(self) -> None:
        for connection in self.server.connections:
            connection.close(abruptly=True)

    def shut(self, closed: bool) -> None:
        self._shut = closed

    async def restart(self) -> None:
        self.server.channels.clear()
        self.server.uptime = 0
        self.cut()

    def freeze(self, frozen: bool) -> None:
        self.server.stalled = frozen

    def _user(self, name: str, channel: str, **headers: str) -> None:
        self.server.event(Event="UserEvent", Channel=channel, UserEvent=name, **headers)

    def _login(self, connection: Connection, action: Action) -> None:
        if self._shut:
            connection.close(abruptly=True)
        else:
            self.server._answer(connection, action)

    def _call_of(self, connection: Connection, action: Action) -> str | None:
        for item in self.server.channels:
            if f"Channel: {action['Channel']}\r\n".encode() in item:
                return item.partition(b"Uniqueid: ")[2].partition(b"\r\n")[0].decode()
        connection.answer(action, Response="Error", Message="Channel does not exist")
        return None

    def _redirect(self, connection: Connection, action: Action) -> None:
        call_id, channel, exten = self._call_of(connection, action), action["Channel"], action["Exten"]
        if call_id is None:
            return
        connection.answer(action)
        if action["Context"] == "cti-deliver":
            assert action["Priority"] == "1"
            dial = {
                **{"Channel": channel, "Context": "cti-deliver-run", "Exten": exten},
                **{"ChanVariable": f"CTI_CALL={call_id}", "DestChannel": f"PJSIP/{exten[11:]}-00000099"},
            }
            self.server.event(Event="DialBegin", **dial)
            self.server.event(Event="DialState", **dial, DialStatus="RINGING")
            self.server.event(Event="DialEnd", **dial, DialStatus="BUSY")
            self._user("CtiReturned", channel, Call=call_id, Offer=exten[:10], DialStatus="BUSY", Cause="17")
        self._user("CtiWait", channel, Call=call_id)

    def _hangup(self, connection: Connection, action: Action) -> None:
        call_id = self._call_of(connection, action)
        if call_id is None:
            return
        connection.answer(action)
        self.server.channels.clear()
        self.server.send(
            block(
                **{"Event": "Hangup", "Channel": action["Channel"], "Uniqueid": call_id},
                **{"ChanVariable": f"CTI_CALL={call_id}", "Cause": action["Cause"]},
            )
        )


class RealSwitch:
    """A real Asterisk behind a relay that can be cut, with SIPp around it."""

    secret = tiny.SECRET

    def __init__(self, asterisk: tiny.TinyAsterisk, relay: CutPoint, peers: tiny.SippPeers) -> None:
        self.asterisk = asterisk
        self.relay = relay
        self.peers = peers
        self.port = relay.port
        self.pid_file = asterisk.folder / "run" / "asterisk.pid"

    async def caller_waits(self) -> tuple[CallId, ChannelName]:
        await self.peers.start(tiny.caller_scenario(talk_ms=0, hangs_up=False), address="127.0.0.2")
        return CallId(""), ChannelName("")

    async def agent_is_busy(self) -> None:
        (phone,) = tiny.free_ports(1)
        await self.peers.run(tiny.register_scenario("1001", phone))
        await self.peers.start(tiny.agent_scenario(status="486 Busy Here", ring_ms=100), port=phone)

    def cut(self) -> None:
        self.relay.cut()

    def shut(self, closed: bool) -> None:
        self.relay.refuse = closed

    async def restart(self) -> None:
        await self.asterisk.kill()
        await self.asterisk.start()

    def freeze(self, frozen: bool) -> None:
        self.asterisk.freeze(frozen)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.real)])
async def switch(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Switch]:
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "fake":
            yield FakeSwitch(await stack.enter_async_context(FakeAmi(secret=tiny.SECRET)))
        else:
            asterisk = await stack.enter_async_context(tiny.tiny_asterisk(tmp_path))
            relay = await stack.enter_async_context(CutPoint(asterisk.ami_port))
            peers = tiny.SippPeers(asterisk)
            stack.push_async_callback(peers.stop)
            yield RealSwitch(asterisk, relay, peers)


class Inbox:
    """The services' end: keeps every signal, and lets a test wait for one."""

    def __init__(self) -> None:
        self.signals: list[s.Signal] = []
        self._news = asyncio.Event()

    def deliver(self, signal: s.Signal) -> None:
        self.signals.append(signal)
        self._news.set()

    async def first(
        self, kind: type[SignalT], *, after: int = 0, where: Callable[[SignalT], bool] = lambda _: True
    ) -> tuple[int, SignalT]:
        """The first signal of that kind from position `after` on, and its position."""
        async with asyncio.timeout(60):
            while True:
                for place, signal in enumerate(self.signals[after:], after):
                    if isinstance(signal, kind) and where(signal):
                        return place, signal
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def telephony(switch: Switch, inbox: Inbox) -> AsyncIterator[AmiTelephony]:
    link = AmiLink(
        host="127.0.0.1",
        port=switch.port,
        username="cti",
        secret=switch.secret,
        timings=LinkTimings(longest_retry=timedelta(seconds=0.5)),
    )
    telephony = AmiTelephony(
        link,
        accounts=accounts_of([AGENT]),
        deliver=inbox.deliver,
        clock=SystemClock(),
        life=AsteriskLife(switch.pid_file, host="127.0.0.1"),
    )
    task = asyncio.create_task(telephony.run())
    try:
        yield telephony
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def a_waiting_caller(switch: Switch, inbox: Inbox) -> tuple[CallId, ChannelName, int]:
    await inbox.first(s.Snapshot)
    await switch.caller_waits()
    place, entered = await inbox.first(s.CallerEntered)
    assert (entered.caller_number, entered.did) == ("+15550100", "5001")
    place, waits = await inbox.first(s.WaitEntered, after=place)
    assert (waits.call_id, waits.channel) == (entered.call_id, entered.channel)
    return waits.call_id, waits.channel, place


async def test_it_is_a_telephony(telephony: AmiTelephony) -> None:
    port: Telephony = telephony
    assert isinstance(port.connected(), bool)


async def test_the_first_signal_is_a_snapshot(telephony: AmiTelephony, inbox: Inbox) -> None:
    assert not telephony.connected()
    place, snapshot = await inbox.first(s.Snapshot)
    assert place == 0
    assert not snapshot.restarted
    assert snapshot.channels == ()
    assert {(d.agent_id, d.device) for d in snapshot.devices} == {(AGENT, Device.SIP), (AGENT, Device.BROWSER)}
    assert telephony.connected()
    assert telephony.problem is None


async def test_nothing_is_sent_without_a_link(telephony: AmiTelephony, switch: Switch, inbox: Inbox) -> None:
    await inbox.first(s.Snapshot)
    switch.shut(True)
    switch.cut()
    await inbox.first(s.LinkLost)
    assert not telephony.connected()
    with pytest.raises(RemoteError) as caught:
        await telephony.perform(HangUp(channel=ChannelName("PJSIP/x-00000001")))
    assert not caught.value.outcome_unknown


async def test_an_unknown_channel_is_a_refusal(telephony: AmiTelephony, inbox: Inbox) -> None:
    await inbox.first(s.Snapshot)
    gone = ChannelName("PJSIP/x-00000001")
    for command in (
        HangUp(channel=gone),
        ReturnToWait(call_id=CallId("t1-1.1"), channel=gone),
        Deliver(call_id=CallId("t1-1.1"), channel=gone, offer_id=OfferId(1), agent_id=AGENT, device=Device.SIP),
    ):
        with pytest.raises(RemoteError) as caught:
            await telephony.perform(command)
        assert not caught.value.outcome_unknown


async def test_what_cannot_be_said_is_refused_before_it_is_sent(telephony: AmiTelephony, inbox: Inbox) -> None:
    await inbox.first(s.Snapshot)
    for command in (
        HangUp(channel=ChannelName("x\r\n\r\nAction: Originate")),
        Deliver(
            call_id=CallId("c"),
            channel=ChannelName("x"),
            offer_id=OfferId(10**10),
            agent_id=AGENT,
            device=Device.SIP,
        ),
        Deliver(
            call_id=CallId("c"),
            channel=ChannelName("x"),
            offer_id=OfferId(1),
            agent_id=AgentId("1001,1,Hangup"),
            device=Device.SIP,
        ),
    ):
        with pytest.raises(RemoteError, match="was not sent") as caught:
            await telephony.perform(command)
        assert not caught.value.outcome_unknown
    assert telephony.connected()


async def test_hang_up_ends_the_caller(telephony: AmiTelephony, switch: Switch, inbox: Inbox) -> None:
    call_id, channel, place = await a_waiting_caller(switch, inbox)
    await telephony.perform(HangUp(channel=channel, cause=16))
    _, gone = await inbox.first(s.ChannelGone, after=place)
    assert (gone.call_id, gone.channel, gone.is_caller, gone.cause) == (call_id, channel, True, 16)


async def test_an_offer_to_a_busy_agent_comes_back(telephony: AmiTelephony, switch: Switch, inbox: Inbox) -> None:
    await inbox.first(s.Snapshot)
    await switch.agent_is_busy()
    call_id, channel, place = await a_waiting_caller(switch, inbox)
    await telephony.perform(
        Deliver(call_id=call_id, channel=channel, offer_id=OfferId(42), agent_id=AGENT, device=Device.SIP)
    )
    place, dialled = await inbox.first(s.AgentLegDialled, after=place)
    assert (dialled.call_id, dialled.offer_id, dialled.channel, dialled.agent_id) == (call_id, 42, channel, AGENT)
    rang, ringing = await inbox.first(s.AgentLegRinging, after=place)
    assert (ringing.offer_id, ringing.agent_channel) == (42, dialled.agent_channel)
    ended, leg = await inbox.first(s.AgentLegEnded, after=rang)
    assert leg.status == "BUSY"
    back, returned = await inbox.first(s.OfferReturned, after=ended)
    assert (returned.call_id, returned.offer_id, returned.status, returned.cause) == (call_id, 42, "BUSY", 17)
    await inbox.first(s.WaitEntered, after=back)


async def test_return_to_wait(telephony: AmiTelephony, switch: Switch, inbox: Inbox) -> None:
    call_id, channel, place = await a_waiting_caller(switch, inbox)
    await telephony.perform(ReturnToWait(call_id=call_id, channel=channel))
    _, waits = await inbox.first(s.WaitEntered, after=place + 1)
    assert (waits.call_id, waits.channel) == (call_id, channel)


async def test_after_a_cut_a_snapshot_has_who_is_there(telephony: AmiTelephony, switch: Switch, inbox: Inbox) -> None:
    call_id, channel, place = await a_waiting_caller(switch, inbox)
    switch.cut()
    lost, _ = await inbox.first(s.LinkLost, after=place)
    again, snapshot = await inbox.first(s.Snapshot, after=lost)
    assert again == lost + 1
    assert not snapshot.restarted
    (live,) = snapshot.channels
    assert (live.channel, live.unique_id, live.call_id) == (channel, call_id, call_id)
    assert (live.context, live.caller_number, live.did) == ("cti-wait-run", "+15550100", "5001")
    assert telephony.connected()
    await telephony.perform(HangUp(channel=channel))
    await inbox.first(s.ChannelGone, after=again)


async def test_a_restart_of_the_telephone_system_is_told(telephony: AmiTelephony, switch: Switch, inbox: Inbox) -> None:
    _, _, place = await a_waiting_caller(switch, inbox)
    if isinstance(switch, RealSwitch):
        # Up-time is told in whole seconds; an Asterisk that lived under four cannot be told from its successor.
        await asyncio.sleep(4)
    await switch.restart()
    lost, _ = await inbox.first(s.LinkLost, after=place)
    _, snapshot = await inbox.first(s.Snapshot, after=lost, where=lambda one: not one.gone)
    assert snapshot.restarted
    assert snapshot.channels == ()
    # Of a real process the end is told before another one is up.
    assert [one.gone for one in inbox.signals[lost:] if isinstance(one, s.Snapshot)] == (
        [True, False] if isinstance(switch, RealSwitch) else [False]
    )


async def test_a_stall_is_noticed_within_three_seconds(telephony: AmiTelephony, switch: Switch, inbox: Inbox) -> None:
    _, channel, place = await a_waiting_caller(switch, inbox)
    loop = asyncio.get_running_loop()
    usual = LinkTimings()
    assert usual.ping_interval + usual.ping_patience < timedelta(seconds=3)
    switch.freeze(True)
    began = loop.time()
    try:
        with pytest.raises(RemoteError) as caught:
            await telephony.perform(HangUp(channel=channel))
        assert caught.value.outcome_unknown
        await inbox.first(s.LinkLost, after=place)
        # Only a machine that does little else can hold the link to its timings.
        assert loop.time() - began <= (3.0 if isinstance(switch, RealSwitch) else 20.0)
        assert not telephony.connected()
    finally:
        switch.freeze(False)
    await inbox.first(s.Snapshot, after=place)


async def test_an_event_from_long_ago_is_not_believed(telephony_of_fake: tuple[FakeAmi, AmiTelephony, Inbox]) -> None:
    server, _telephony, inbox = telephony_of_fake
    place, _ = await inbox.first(s.Snapshot)
    waiting = {"Event": "UserEvent", "UserEvent": "CtiWait", "Channel": "PJSIP/trunk-1", "Call": "t1-1.1"}
    server.event(**waiting, Timestamp="1795288312.000000")
    server.event(**{**waiting, "Call": "t1-1.2"}, Timestamp="1795288300.000000")
    lost, _ = await inbox.first(s.LinkLost, after=place)
    await inbox.first(s.Snapshot, after=lost)
    assert [x.call_id for x in inbox.signals if isinstance(x, s.WaitEntered)] == ["t1-1.1"]


@pytest.fixture
async def telephony_of_fake(inbox: Inbox) -> AsyncIterator[tuple[FakeAmi, AmiTelephony, Inbox]]:
    async with FakeAmi(secret=tiny.SECRET) as server:
        link = AmiLink(
            host="127.0.0.1",
            port=server.port,
            username="cti",
            secret=tiny.SECRET,
            timings=LinkTimings(longest_retry=timedelta(seconds=0.5)),
        )
        telephony = AmiTelephony(link, accounts=accounts_of([AGENT]), deliver=inbox.deliver, clock=SystemClock())
        task = asyncio.create_task(telephony.run())
        try:
            yield server, telephony, inbox
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
