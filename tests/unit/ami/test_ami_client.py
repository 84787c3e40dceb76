"""The link against a scripted server: deadlines, loss, silence, order; each defect of panoramisk 1.4 that must not show."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest

from cti.asterisk.ami import client
from cti.asterisk.ami.client import AmiLink, AmiSession
from cti.asterisk.ami.errors import (
    AmiActionInvalid,
    AmiLinkLost,
    AmiLoginRefused,
    AmiProtocolError,
    AmiRefused,
    AmiRequestTimeout,
    AmiUnreachable,
)
from cti.asterisk.ami.link_timings import LinkTimings
from cti.errors import RemoteError
from tests.support.ami_server import Action, Connection, FakeAmi, block

FAST = LinkTimings(
    connect=timedelta(seconds=1),
    login=timedelta(seconds=0.5),
    boot=timedelta(seconds=0.5),
    action=timedelta(seconds=0.3),
    ping_interval=timedelta(seconds=0.05),
    ping_patience=timedelta(seconds=0.15),
    ping_reply=timedelta(seconds=0.6),
    ping_busy=timedelta(seconds=0.6),
    first_retry=timedelta(seconds=0.01),
    longest_retry=timedelta(seconds=0.05),
)


def test_panoramisk_is_pinned_and_known_to_one_file() -> None:
    assert version("panoramisk") == "1.4"
    root = Path(client.__file__).parents[2]
    users = [file for file in root.rglob("*.py") if re.search(r"^\s*(from|import) panoramisk", file.read_text(), re.M)]
    assert users == [Path(client.__file__)]


def link_to(server: FakeAmi, *, secret: str = "right", timings: LinkTimings = FAST) -> AmiLink:
    return AmiLink(
        host="127.0.0.1", port=server.port, username="cti", secret=secret, timings=timings, jitter=lambda: 0.5
    )


@asynccontextmanager
async def session_to(server: FakeAmi, timings: LinkTimings = FAST) -> AsyncIterator[AmiSession]:
    session = await link_to(server, timings=timings).open()
    try:
        yield session
    finally:
        await session.close()


@asynccontextmanager
async def kept(link: AmiLink, serve: Callable[[AmiSession], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.create_task(link.run(serve))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def silent(connection: Connection, action: Action) -> None:
    """Never answer."""


# -- logging in


async def test_log_in_waits_for_fully_booted_and_tells_uptime() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        assert session.uptime == timedelta(seconds=100)
        assert server.actions[0]["Action"] == "Login"
        assert server.actions[0]["Events"] == "call,user,system"


async def test_nothing_but_login_and_ping_before_fully_booted() -> None:
    async with FakeAmi() as server:
        server.boots = False
        opening = asyncio.create_task(link_to(server).open())
        await server.until(lambda: len(server.asked("Ping")) >= 2)
        assert not opening.done()
        server.event(Event="FullyBooted", Uptime="1")
        session = await opening
        assert {action["Action"] for action in server.actions} == {"Login", "Ping"}
        await session.close()


async def test_never_booted_is_an_error_that_says_what_to_do() -> None:
    async with FakeAmi() as server:
        server.boots = False
        with pytest.raises(RemoteError, match="FullyBooted") as caught:
            await link_to(server).open()
        assert "read class `system`" in caught.value.remedy


async def test_link_lost_while_booting() -> None:
    async with FakeAmi() as server:
        server.boots = False
        opening = asyncio.create_task(link_to(server).open())
        await server.until(lambda: bool(server.asked("Ping")))
        server.connections[0].close()
        with pytest.raises(AmiLinkLost):
            await opening


async def test_wrong_password_is_an_error_that_says_what_to_do() -> None:
    async with FakeAmi() as server:
        with pytest.raises(AmiLoginRefused, match="Authentication failed") as caught:
            await link_to(server, secret="wrong").open()
        assert "secrets.json" in str(caught.value)
        assert not caught.value.outcome_unknown


async def test_wrong_password_does_not_stop_the_trying() -> None:
    async with FakeAmi() as server:
        served = asyncio.Event()

        async def serve(session: AmiSession) -> None:
            served.set()
            await session.next_events()

        link = link_to(server, secret="later")
        async with kept(link, serve):
            await server.until(lambda: len(server.asked("Login")) >= 2)
            assert isinstance(link.problem, AmiLoginRefused)
            server.secret = "later"
            await asyncio.wait_for(served.wait(), 20)
            assert link.problem is None


async def test_nobody_there() -> None:
    server = FakeAmi()
    await server.listen()
    await server.stop()
    with pytest.raises(AmiUnreachable, match=r"127\.0\.0\.1") as caught:
        await link_to(server).open()
    assert "manager.conf" in caught.value.remedy


async def test_another_service_there() -> None:
    async with FakeAmi() as server:
        server.greeting = b"220 mail.example.com ESMTP\r\n"
        with pytest.raises(AmiProtocolError, match="not Asterisk"):
            await link_to(server).open()


async def test_a_service_that_says_nothing() -> None:
    async with FakeAmi() as server:
        server.greeting = b""
        server.stalled = True
        with pytest.raises(AmiProtocolError, match="does not greet"):
            await link_to(server).open()


# -- asking


async def test_refusal_is_not_done_and_known_not_to_be() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        with pytest.raises(AmiRefused, match="does not exist") as caught:
            await session.ask({"Action": "Hangup", "Channel": "PJSIP/none-1"})
        assert not caught.value.outcome_unknown


async def test_answers_out_of_order_find_their_questions() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        held: list[Action] = []

        def hold(connection: Connection, action: Action) -> None:
            held.append(action)
            if len(held) == 3:
                for one in reversed(held):
                    connection.answer(one, Message=f"for {one['Channel']}")

        server.on("Hangup", hold)
        answers = await asyncio.gather(*(session.ask({"Action": "Hangup", "Channel": str(n)}) for n in range(3)))
        assert [answer.get("Message") for answer in answers] == ["for 0", "for 1", "for 2"]


async def test_deadline_then_late_answer_is_dropped() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        server.on("Redirect", silent)
        with pytest.raises(AmiRequestTimeout) as caught:
            await session.ask({"Action": "Redirect", "Channel": "c"})
        assert caught.value.outcome_unknown
        assert caught.value.fields["action"] == "Redirect"
        server.connections[0].answer(server.asked("Redirect")[0])
        server.event(Event="After")
        assert [event.event for event in await session.next_events()] == ["After"]
        assert session.late_answers == 1


async def test_late_list_is_dropped_whole() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        server.on("Status", silent)
        with pytest.raises(AmiRequestTimeout):
            await session.ask_list({"Action": "Status"})
        server.connections[0].list_of(server.asked("Status")[0], [b"Event: Status\r\nChannel: a\r\n"])
        server.event(Event="After")
        assert [event.event for event in await session.next_events()] == ["After"]


async def test_lists_are_complete_and_events_between_are_not_part_of_them() -> None:
    async with FakeAmi() as server, session_to(server) as session:

        def interleaved(connection: Connection, action: Action) -> None:
            identity = {"ActionID": action["ActionID"]}
            connection.answer(action, EventList="start")
            connection.send(block(Event="Status", Channel="a", **identity))
            connection.send(block(Event="Hangup", Channel="z"))
            connection.send(block(Event="Status", Channel="b", **identity))
            connection.send(block(Event="StatusComplete", EventList="Complete", ListItems="2", **identity))

        server.on("Status", interleaved)
        items = await session.ask_list({"Action": "Status"})
        assert [item.get("Channel") for item in items] == ["a", "b"]
        assert [event.get("Channel") for event in await session.next_events()] == ["z"]


async def test_empty_lists() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        assert await session.ask_list({"Action": "Status"}) == []
        server.on("X", lambda connection, action: connection.answer(action, Message="none"))
        assert await session.ask_list({"Action": "X"}) == []
        server.on("PJSIPShowContacts", lambda c, a: c.answer(a, Response="Error", Message="No Contacts found"))
        assert await session.ask_list({"Action": "PJSIPShowContacts"}) == []


async def test_list_broken_off() -> None:
    async with FakeAmi() as server, session_to(server) as session:

        def broken(connection: Connection, action: Action) -> None:
            connection.answer(action, EventList="start")
            connection.send(block(Event="StatusComplete", ActionID=action["ActionID"], EventList="cancelled"))

        server.on("Status", broken)
        with pytest.raises(RemoteError, match="broke off"):
            await session.ask_list({"Action": "Status"})


async def test_line_breaks_in_values_never_reach_the_wire() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        with pytest.raises(AmiActionInvalid):
            await session.ask({"Action": "Hangup", "Channel": "x\r\n\r\nAction: Originate"})
        with pytest.raises(AmiRefused):
            await session.ask({"Action": "Hangup", "Channel": "y"})
        assert [action["Action"] for action in server.actions if action["Action"] != "Ping"] == ["Login", "Hangup"]


async def test_an_answer_with_anothers_id_is_not_ours() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        server.event(Event="OriginateResponse", ActionID="somebody-1", Response="Failure")
        (event,) = await session.next_events()
        assert event.event == "OriginateResponse"


# -- loss


async def test_futures_fail_when_the_link_is_lost() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        server.on("Redirect", lambda connection, action: connection.close())
        with pytest.raises(AmiLinkLost) as caught:
            await session.ask({"Action": "Redirect", "Channel": "c"})
        assert caught.value.outcome_unknown
        assert await session.next_events() == []
        assert session.lost
        with pytest.raises(AmiLinkLost) as after:
            await session.ask({"Action": "Redirect", "Channel": "c"})
        assert not after.value.outcome_unknown


async def test_close_in_mid_message_delivers_what_was_whole() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        server.send(block(Event="Whole") + b"Event: Half\r\nChannel: PJSIP/10")
        server.connections[0].close()
        events = []
        while batch := await session.next_events():
            events += [event.event for event in batch]
        assert events == ["Whole"]


async def test_unanswered_actions_are_never_sent_again() -> None:
    """panoramisk would repeat the Originate after the reconnect: two calls."""
    async with FakeAmi() as server:
        server.on("Originate", lambda connection, action: connection.close(abruptly=True))
        sessions = 0
        back = asyncio.Event()

        async def serve(session: AmiSession) -> None:
            nonlocal sessions
            sessions += 1
            if sessions == 1:
                with pytest.raises(AmiLinkLost):
                    await session.ask({"Action": "Originate", "ChannelId": "x"})
            else:
                await session.ask_list({"Action": "Status"})
                back.set()
            await session.next_events()

        async with kept(link_to(server), serve):
            await asyncio.wait_for(back.wait(), 20)
        assert len(server.asked("Originate")) == 1


async def test_stall_is_noticed() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        loop = asyncio.get_running_loop()
        server.stalled = True
        began = loop.time()
        assert await asyncio.wait_for(session.next_events(), 20) == []
        assert loop.time() - began < 1
        assert session.reason is not None
        assert "ping" in session.reason.message


def test_the_shipped_timings_notice_a_stall_within_three_seconds() -> None:
    timings = LinkTimings()
    assert timings.ping_interval + timings.ping_patience < timedelta(seconds=3)


async def test_ping_unanswered_while_events_flow_is_noticed_too() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        server.on("Ping", silent)
        heard = 0
        async with asyncio.timeout(60):
            server.event(Event="Tick")
            while batch := await session.next_events():
                heard += len(batch)
                await asyncio.sleep(0.02)
                server.event(Event="Tick")
        assert heard > 5


async def test_refused_ping_ends_the_link() -> None:
    async with FakeAmi() as server:
        server.on("Ping", lambda connection, action: connection.answer(action, Response="Error", Message="no"))
        async with session_to(server) as session:
            assert await asyncio.wait_for(session.next_events(), 20) == []
            assert isinstance(session.reason, AmiRefused)


async def test_reconnects_again_and_again() -> None:
    async with FakeAmi() as server:
        served = 0
        enough = asyncio.Event()

        async def serve(session: AmiSession) -> None:
            nonlocal served
            served += 1
            if served == 4:
                enough.set()
            server.connections[-1].close(abruptly=True)
            assert await session.next_events() == []

        async with kept(link_to(server), serve):
            await asyncio.wait_for(enough.wait(), 20)


async def test_server_away_and_back() -> None:
    async with FakeAmi() as server:
        up: asyncio.Queue[AmiSession] = asyncio.Queue()

        async def serve(session: AmiSession) -> None:
            up.put_nowait(session)
            while await session.next_events():
                pass

        link = link_to(server)
        async with kept(link, serve):
            await asyncio.wait_for(up.get(), 20)
            await server.stop()
            async with asyncio.timeout(60):
                while not isinstance(link.problem, AmiUnreachable):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await server.listen()
            await asyncio.wait_for(up.get(), 20)


async def test_a_session_that_cannot_be_served_is_closed_and_tried_again() -> None:
    async with FakeAmi() as server:
        served = asyncio.Event()

        async def serve(session: AmiSession) -> None:
            if len(server.asked("Login")) == 1:
                raise RemoteError("no snapshot")
            served.set()
            await session.next_events()

        async with kept(link_to(server), serve):
            await asyncio.wait_for(served.wait(), 20)
            assert len(server.connections) == 1


def test_back_off_doubles_to_its_limit_and_jitters() -> None:
    timings = LinkTimings()
    pauses = [timings.pause(n, 1.0) for n in range(1, 12)]
    assert pauses[0] == 0.2
    assert all(later >= earlier for earlier, later in pairwise(pauses))
    assert pauses[-1] == timings.longest_retry.total_seconds()
    assert timings.pause(10_000, 0.0) == timings.longest_retry.total_seconds() / 2


async def test_cancelling_closes_the_connection() -> None:
    async with FakeAmi() as server:
        up = asyncio.Event()

        async def serve(session: AmiSession) -> None:
            up.set()
            await session.next_events()

        async with kept(link_to(server), serve):
            await asyncio.wait_for(up.wait(), 20)
        await server.until(lambda: not server.connections)


# -- events


async def test_events_keep_their_order_and_shutdown_is_one_of_them() -> None:
    """panoramisk runs coroutine callbacks as they finish, and drops the link at Shutdown."""
    async with FakeAmi() as server, session_to(server) as session:
        for n in range(500):
            server.event(Event="Tick", N=str(n))
        server.event(Event="Shutdown", Shutdown="Cleanly", Restart="False")
        server.event(Event="Last")
        events = []
        while "Last" not in [event.event for event in events]:
            events += await session.next_events()
        assert [event.get("N") for event in events[:500]] == [str(n) for n in range(500)]
        assert [event.event for event in events[500:]] == ["Shutdown", "Last"]
        assert not session.lost


async def test_a_letter_cut_in_two_by_the_network_is_whole() -> None:
    """panoramisk makes "Zo" of this "Zoë"."""
    async with FakeAmi() as server, session_to(server) as session:
        data = block(Event="X", Name="Zoë", Next="王")
        at = data.index("ë".encode()) + 1
        server.send(data[:at])
        await server.connections[0].writer.drain()
        server.on("Redirect", lambda connection, action: connection.send(data[at:]))
        with pytest.raises(AmiRequestTimeout):
            await session.ask({"Action": "Redirect", "Channel": "c"})
        (event,) = await session.next_events()
        assert (event.get("Name"), event.get("Next")) == ("Zoë", "王")


async def test_flood_of_four_megabytes() -> None:
    async with FakeAmi() as server, session_to(server) as session:
        filler = "x" * 380
        data = b"".join(block(Event="Flood", N=str(n), Filler=filler) for n in range(10_000))
        assert len(data) > 4_000_000
        server.send(data)
        server.event(Event="Last")
        count = 0
        async with asyncio.timeout(60):
            while True:
                for event in await session.next_events():
                    if event.event == "Last":
                        break
                    assert event.get("N") == str(count)
                    count += 1
                else:
                    continue
                break
        assert count == 10_000
        assert not session.lost


async def test_a_reader_hopelessly_behind_starts_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BACKLOG_LIMIT", 50)
    async with FakeAmi() as server, session_to(server) as session:
        for _ in range(80):
            server.event(Event="Tick")
        await server.until(lambda: not server.connections)
        assert len(await session.next_events()) == 50
        assert await session.next_events() == []
        assert "snapshot" in str(session.reason)
