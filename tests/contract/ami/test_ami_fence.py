"""The owner's token in Asterisk, on a scripted one: announced first of all, obeyed when another's is higher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from cti.asterisk.ami import adapter
from cti.asterisk.ami.adapter import AmiTelephony
from cti.asterisk.ami.client import AmiLink
from cti.asterisk.ami.fence import EVENT, VARIABLE
from cti.asterisk.ami.link_timings import LinkTimings
from cti.clock import SystemClock
from cti.errors import RemoteError
from cti.ids import ChannelName
from cti.model.commands import HangUp
from cti.model.ownership import Ownership, Standing
from tests.support.ami_server import Action, Connection, FakeAmi


class Variables:
    """The global variables of the scripted Asterisk."""

    def __init__(self, server: FakeAmi, owner: str = "") -> None:
        self.owner = owner
        server.on("Getvar", self.get)
        server.on("Setvar", self.set)
        server.on("UserEvent", lambda connection, action: connection.answer(action))
        server.on("Hangup", lambda connection, action: connection.answer(action))

    def get(self, connection: Connection, action: Action) -> None:
        connection.answer(action, Variable=VARIABLE, Value=self.owner)

    def set(self, connection: Connection, action: Action) -> None:
        self.owner = action["Value"]
        connection.answer(action)


@asynccontextmanager
async def linked(server: FakeAmi, ownership: Ownership) -> AsyncIterator[AmiTelephony]:
    link = AmiLink(
        host="127.0.0.1", port=server.port, username="cti", secret="right",
        timings=LinkTimings(longest_retry=timedelta(seconds=0.2)),
    )  # fmt: skip
    telephony = AmiTelephony(link, accounts={}, deliver=lambda _: None, clock=SystemClock(), ownership=ownership)
    task = asyncio.create_task(telephony.run())
    try:
        yield telephony
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def owning(token: int, hold: float = 60.0) -> Ownership:
    return Ownership(token=token, hold=hold, heard=SystemClock().monotonic())


HANG_UP = HangUp(channel=ChannelName("PJSIP/trunk-00000001"))


async def test_the_token_is_said_before_anything_is_asked() -> None:
    async with FakeAmi() as server:
        variables = Variables(server, owner="3")
        async with linked(server, owning(7)) as telephony:
            await server.until(telephony.connected)
            assert variables.owner == "7"
            asked = [action["Action"] for action in server.actions if action["Action"] not in ("Login", "CoreStatus")]
            assert asked.index("UserEvent") < asked.index("Status")
            assert [(a["UserEvent"], a["Token"]) for a in server.asked("UserEvent")] == [(EVENT, "7")]


async def test_a_higher_token_found_there_keeps_the_session_from_beginning() -> None:
    async with FakeAmi() as server:
        variables, mine = Variables(server, owner="8"), owning(7)
        async with linked(server, mine) as telephony:
            await server.until(lambda: mine.lost_to == 8)
            with pytest.raises(RemoteError):
                await telephony.perform(HANG_UP)
            assert not telephony.connected()
        assert variables.owner == "8"
        assert not server.asked("Status")
        assert not server.asked("Hangup")


async def test_a_higher_token_heard_stops_every_command() -> None:
    async with FakeAmi() as server:
        Variables(server)
        mine = owning(7)
        async with linked(server, mine) as telephony:
            await server.until(telephony.connected)
            await telephony.perform(HANG_UP)
            server.event(Event="UserEvent", UserEvent=EVENT, Token="6")  # an owner before us: late, and nothing
            server.event(Event="UserEvent", UserEvent=EVENT, Token="9")
            await server.until(lambda: mine.standing(SystemClock().monotonic()) is Standing.LOST)
            with pytest.raises(RemoteError, match="another bridge"):
                await telephony.perform(HANG_UP)
        assert len(server.asked("Hangup")) == 1


async def test_on_an_old_word_nothing_is_sent() -> None:
    async with FakeAmi() as server:
        Variables(server)
        mine = owning(7, hold=5.0)
        async with linked(server, mine) as telephony:
            await server.until(telephony.connected)
            mine.heard -= 10  # this process was frozen
            waits = asyncio.create_task(telephony.perform(HANG_UP))
            await asyncio.sleep(0)
            assert not server.asked("Hangup")
            mine.renewed(SystemClock().monotonic())
            await waits
        assert len(server.asked("Hangup")) == 1


async def test_where_it_stays_unsure_the_link_is_given_up_and_looks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "SURE_WITHIN", 0.2)
    async with FakeAmi() as server:
        Variables(server)
        mine = owning(7, hold=5.0)
        async with linked(server, mine) as telephony:
            await server.until(telephony.connected)
            mine.heard -= 10
            with pytest.raises(RemoteError, match="another bridge"):
                await telephony.perform(HANG_UP)
            mine.renewed(SystemClock().monotonic())
            await server.until(lambda: len(server.asked("Status")) == 2)
        assert not server.asked("Hangup")


async def test_what_is_no_number_is_no_token() -> None:
    async with FakeAmi() as server:
        Variables(server, owner="x" * 50)
        mine = owning(7)
        async with linked(server, mine) as telephony:
            await server.until(telephony.connected)
            server.event(Event="UserEvent", UserEvent=EVENT, Token="9" * 40)
            server.event(Event="UserEvent", UserEvent=EVENT)
            server.event(Event="UserEvent", UserEvent=EVENT, Token="-1")
            await telephony.perform(HANG_UP)
        assert mine.lost_to is None
