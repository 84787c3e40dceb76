"""The feed: snapshots, deltas, audiences, presence, and clients that do not behave."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import os
import socket
import struct
from datetime import timedelta

import pytest
from aiohttp import WSMsgType

from cti.ids import AgentId, CallId
from cti.model.facts import AgentState
from cti.services.floor import Change, LinkView
from cti.web.auth.sessions import LIFETIME
from cti.web.feed import HUB, MOST_PER_SESSION
from tests.integration.web_api.conftest import until

A1, A2 = AgentId("1001"), AgentId("1002")


async def first(feed):
    said = await feed.receive_json()
    assert (said["type"], said["seq"]) == ("snapshot", 1)
    return said["view"]


async def closed_with(feed):
    """The close code, whatever messages come before it."""
    while True:
        message = await feed.receive(timeout=60)
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
            return feed.close_code


async def test_a_supervisor_gets_everything_then_every_change(site):
    async with await site.feed("supervisor") as feed:
        view = await first(feed)
        assert set(view["agents"]) == {str(1001 + i) for i in range(8)}
        assert view["link"] == {"connected": True, "unknown_since": None}
        call = site.floor.make_call("a1-1.1")
        site.floor.apply(Change(calls={call.call_id: call}))
        site.floor.apply(Change(calls_gone=(call.call_id,)))
        delta = await feed.receive_json()
        assert (delta["type"], delta["seq"]) == ("delta", 2)
        assert delta["change"]["calls"]["a1-1.1"]["queued_at"] == "2026-03-02T09:30:00Z"
        delta = await feed.receive_json()
        assert (delta["seq"], delta["change"]["calls_gone"]) == (3, ["a1-1.1"])


async def test_an_agent_gets_only_what_is_own_without_gaps_in_the_numbers(site):
    floor = site.floor
    async with await site.feed("1001") as feed:
        view = await first(feed)
        assert (set(view["agents"]), view["calls"], view["pops"]) == ({"1001"}, {}, {})
        floor.set_row(A2, state=AgentState.READY)
        other = floor.make_call("a1-1.2", state="talking", agent_id=A2)
        floor.apply(Change(calls={other.call_id: other}, pops={A2: floor.make_pop(A2, other, 2)}))
        floor.apply(Change(queues={"vip": dataclasses.replace(floor.queues["vip"], waiting=3)}))
        mine = floor.make_call("a1-1.1", state="offered", agent_id=A1)
        floor.apply(
            Change(
                calls={mine.call_id: mine},
                agents={
                    A1: dataclasses.replace(floor.agents[A1], state=AgentState.RESERVED),
                    A2: dataclasses.replace(floor.agents[A2], state=AgentState.TALKING),
                },
                pops={A1: floor.make_pop(A1, mine, 1), A2: None},
                withdrawn={A2: "caller_gone"},
            )
        )
        said = await feed.receive_json()
        assert said["seq"] == 2  # the own row: this page opened
        assert said["change"]["agents"]["1001"]["page_connected"] is True
        said = await feed.receive_json()
        assert (said["seq"], said["change"]["queues"]["vip"]["waiting"], said["change"]["agents"]) == (3, 3, {})
        said = await feed.receive_json()
        change = said["change"]
        assert said["seq"] == 4
        assert (set(change["agents"]), set(change["calls"]), set(change["pops"])) == ({"1001"}, {"a1-1.1"}, {"1001"})
        assert change["withdrawn"] == {}
        # The call goes to somebody else: for this agent it is gone, and the other's row is not shown.
        floor.apply(
            Change(
                calls={mine.call_id: dataclasses.replace(mine, agent_id=A2)},
                pops={A1: None},
                withdrawn={A1: "no_answer"},
            )
        )
        change = (await feed.receive_json())["change"]
        assert (change["calls"], change["calls_gone"]) == ({}, ["a1-1.1"])
        assert (change["pops"], change["withdrawn"]) == ({"1001": None}, {"1001": "no_answer"})


async def test_everybody_hears_that_the_link_is_lost(site):
    async with await site.feed("supervisor") as supervisor, await site.feed("1001") as agent:
        site.floor.apply(Change(link=LinkView(connected=False, unknown_since=site.clock.now())))
        for feed in (supervisor, agent):
            while (said := await feed.receive_json())["type"] != "delta" or said["change"]["link"] is None:
                pass
            assert said["change"]["link"] == {"connected": False, "unknown_since": "2026-03-02T09:30:00Z"}


async def test_a_feed_opened_between_changes_misses_none_and_sees_none_twice(site):
    async def follow():
        async with await site.feed("supervisor") as feed:
            calls = set((await first(feed))["calls"])
            seq = 1
            while "a1-1.299" not in calls:
                said = await feed.receive_json()
                seq += 1
                assert said["seq"] == seq
                fresh = set(said["change"]["calls"])
                assert not fresh & calls
                calls |= fresh
            return calls

    await site.token("supervisor")
    tasks = []
    for i in range(300):
        call = site.floor.make_call(f"a1-1.{i}")
        site.floor.apply(Change(calls={call.call_id: call}))
        if i % 30 == 0:
            tasks.append(asyncio.create_task(follow()))
        await asyncio.sleep(0)
    for calls in await asyncio.gather(*tasks):
        assert len(calls) == 300


async def test_a_page_that_comes_back_gets_a_fresh_snapshot(site):
    async with await site.feed("1001") as feed:
        await first(feed)
    mine = site.floor.make_call("a1-1.1", state="talking", agent_id=A1)
    site.floor.apply(Change(calls={mine.call_id: mine}))
    async with await site.feed("1001") as feed:
        assert set((await first(feed))["calls"]) == {"a1-1.1"}


async def test_presence_is_counted_over_several_pages(site):
    async with await site.feed("1001") as one:
        await first(one)
        async with await site.feed("1001") as two:
            await first(two)
            assert site.floor.pages[A1] == 2
        await until(lambda: site.floor.pages[A1] == 1)
        assert site.floor.agents[A1].page_connected
    await until(lambda: site.floor.pages[A1] == 0)
    assert not site.floor.agents[A1].page_connected
    async with await site.feed("supervisor") as feed:
        await first(feed)
    assert set(site.floor.pages) == {A1}


async def test_a_page_that_vanishes_is_noticed(site):
    feed = await site.feed("1001")
    await first(feed)
    feed._response.connection.transport.abort()
    await until(lambda: site.floor.pages[A1] == 0)
    await until(lambda: site.metric("cti_feed_clients") == 0)


async def test_ping_is_answered_with_the_servers_time(site):
    async with await site.feed("supervisor") as feed:
        await first(feed)
        await feed.send_str('{"type":"ping"}')
        assert await feed.receive_json() == {"type": "pong", "at": "2026-03-02T09:30:00Z"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"type":"dance"}', '{"type":"pop_seen"}', '{"type":"pop_seen","offer_id":"x"}', "\x00"]
)
async def test_a_message_that_means_nothing_is_answered_and_the_feed_goes_on(site, text):
    async with await site.feed("supervisor") as feed:
        await first(feed)
        await feed.send_str(text)
        assert (await feed.receive_json())["error"]["id"] == "invalid_message"
        await feed.send_str('{"type":"ping"}')
        assert (await feed.receive_json())["type"] == "pong"


async def test_a_pop_seen_is_measured_once(site):
    call = site.floor.make_call("a1-1.1", state="offered", agent_id=A1)
    site.floor.apply(Change(calls={call.call_id: call}, pops={A1: site.floor.make_pop(A1, call, 7)}))
    async with await site.feed("1001") as feed:
        await first(feed)
        site.clock.move(timedelta(milliseconds=30))
        for offer_id in (8, 7, 7):
            await feed.send_json({"type": "pop_seen", "offer_id": offer_id})
        await feed.send_str('{"type":"ping"}')
        while (await feed.receive_json())["type"] != "pong":
            pass
    assert site.metric("cti_pop_latency_seconds_count") == 1
    assert site.metric("cti_pop_latency_seconds_sum") == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("send", "code"),
    [
        (lambda feed: feed.send_bytes(b"{}"), 1003),
        (lambda feed: feed.send_str("x" * 5000), 1009),
    ],
)
async def test_a_client_that_sends_the_wrong_thing_is_closed(site, send, code):
    async with await site.feed("supervisor") as feed:
        await first(feed)
        await send(feed)
        assert await closed_with(feed) == code


async def test_a_client_that_talks_too_much_is_closed(site):
    async with await site.feed("supervisor") as feed:
        await first(feed)
        for _ in range(70):
            await feed.send_str('{"type":"ping"}')
        assert await closed_with(feed) == 4029
    await until(lambda: site.metric("cti_feed_clients") == 0)


async def test_logging_out_closes_the_feed_and_so_does_the_end_of_the_session(site):
    async with await site.feed("1001") as feed:
        await first(feed)
        await site.ask("POST", "/api/v1/logout", "1001")
        assert await closed_with(feed) == 4401
    await until(lambda: site.floor.pages[A1] == 0)
    await site.token("supervisor")
    working = timedelta(minutes=30)  # who does nothing for longer than `access.idle_minutes` is logged out before
    for _ in range(LIFETIME // working - 1):
        site.clock.move(working)
        await site.ask("GET", "/api/v1/me", "supervisor")
    site.clock.move(working - timedelta(milliseconds=50))
    async with await site.feed("supervisor") as feed:
        await first(feed)
        assert await closed_with(feed) == 4401


async def test_a_session_may_not_open_feeds_without_end(site):
    feeds = [await site.feed("supervisor") for _ in range(MOST_PER_SESSION)]
    answer, said = await site.ask(
        "GET", "/api/v1/feed", "supervisor", headers={"Connection": "Upgrade", "Upgrade": "websocket"}
    )
    assert (answer.status, said["error"]["id"]) == (503, "too_many_feeds")
    for feed in feeds:
        await feed.close()


async def test_stopping_the_server_says_going_away(make_site):
    site = await make_site()
    feed = await site.feed("1001")
    await first(feed)
    stopping = asyncio.create_task(site.client.server.close())
    assert await closed_with(feed) == 1001
    await stopping
    assert site.floor.pages[A1] == 0


async def test_when_the_feed_itself_falls_behind_everybody_starts_over(site):
    async with await site.feed("supervisor") as feed:
        await first(feed)
        for i in range(1100):  # more than a subscriber may be behind, in one turn of the loop
            call = site.floor.make_call(f"a1-1.{i}")
            site.floor.apply(Change(calls={call.call_id: call}, calls_gone=(CallId(f"a1-1.{i - 1}"),)))
        seq, said = 1, {"type": "delta"}
        while said["type"] == "delta":
            said = await feed.receive_json()
            seq += 1
            assert said["seq"] == seq
        assert said["type"] == "snapshot"
        assert set(said["view"]["calls"]) == {"a1-1.1099"}


async def test_an_error_in_the_floor_is_survived(site, monkeypatch):
    monkeypatch.setattr("cti.web.feed.RETRY_SECONDS", 0.01)

    class Broken:
        agents = None

    async with await site.feed("supervisor") as feed:
        await first(feed)
        site.floor._subscribers[0].put(Broken())
        assert (await feed.receive_json())["type"] == "snapshot"


class RawClient:
    """A WebSocket client by hand, that reads only when told to."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, site, user):
        token = await site.token(user)
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", site.client.port))
        reader, writer = await asyncio.open_connection(sock=plain, limit=1024)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /api/v1/feed HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        line = await reader.readline()
        assert b" 101 " in line
        while (await reader.readline()).strip():
            pass
        return cls(reader, writer)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def frame(self):
        head, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return head & 0x0F, await self.reader.readexactly(size)


async def test_an_error_in_sending_to_one_is_not_the_others(site, monkeypatch):
    async with await site.feed("supervisor") as one, await site.feed("supervisor") as other:
        await first(one)
        await first(other)
        broken = next(iter(site.client.app[HUB].clients))

        def fails():
            raise ValueError("a fault of ours")

        monkeypatch.setattr(broken, "flush", fails)
        for number in ("1", "2"):
            call = site.floor.make_call(f"a1-1.{number}")
            site.floor.apply(Change(calls={call.call_id: call}))
        told = [asyncio.ensure_future(feed.receive_json()) for feed in (one, other)]
        done, waiting = await asyncio.wait(told, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        feed = (one, other)[told.index(next(iter(done)))]
        assert [next(iter(done)).result()["seq"], (await feed.receive_json(timeout=60))["seq"]] == [2, 3]
        for task in waiting:
            task.cancel()


async def test_a_client_that_does_not_read_is_dropped_and_slows_nobody(make_site):
    site = await make_site(feed_queue=20)
    async with await RawClient.open(site, "1001") as slow:
        await until(lambda: site.floor.pages.get(A1) == 1)
        await nobody_is_slowed(site, slow)


async def nobody_is_slowed(site, slow):
    fat = "x" * 20_000
    async with await site.feed("supervisor") as fast, await site.feed("1001") as same_agent:
        await first(fast)
        await first(same_agent)
        behind = []
        sent = 0
        while site.floor.pages[A1] == 2 and not site.metric("cti_feed_drops_total", code="4008"):
            sent += 1
            assert sent < 2000
            call = site.floor.make_call("a1-1.1", agent_id=A1, choice=f"{sent} {fat}")
            start = asyncio.get_running_loop().time()
            site.floor.apply(Change(calls={call.call_id: call}))
            for feed in (fast, same_agent):
                while True:
                    said = await feed.receive_json(timeout=60)
                    if said["change"]["calls"].get("a1-1.1", {}).get("choice", "").startswith(f"{sent} "):
                        break
            behind.append(asyncio.get_running_loop().time() - start)
        assert site.metric("cti_feed_drops_total", code="4008") == 1
        assert max(behind) < 1.0
        # The dropped one begins to read now: it finds an unbroken row of messages, then why it was dropped.
        seq = 0
        while True:
            kind, content = await asyncio.wait_for(slow.frame(), 30)
            if kind == 8:
                break
            if kind == 1:
                seq += 1
                assert b'"seq":%d,' % seq in content[:40]
        assert struct.unpack("!H", content[:2])[0] == 4008
        slow.writer.transport.abort()
        await until(lambda: site.floor.pages[A1] == 1)
        call = site.floor.make_call("a1-1.1", agent_id=A1, choice="still here")
        site.floor.apply(Change(calls={call.call_id: call}))
        while (await fast.receive_json())["change"]["calls"].get("a1-1.1", {}).get("choice") != "still here":
            pass


async def test_a_client_that_never_reads_again_is_cut(make_site):
    site = await make_site(feed_queue=5)
    async with await RawClient.open(site, "1001"):
        await until(lambda: site.floor.pages.get(A1) == 1)
        fat = "x" * 50_000
        for i in range(400):
            call = site.floor.make_call("a1-1.1", agent_id=A1, choice=f"{i} {fat}")
            site.floor.apply(Change(calls={call.call_id: call}))
            await asyncio.sleep(0)
            if site.metric("cti_feed_drops_total", code="4008"):
                break
        await until(lambda: site.floor.pages[A1] == 0, seconds=5)
        assert site.client.server.app[HUB].clients == ()
