"""The gate of the pages' port: who is let in, who goes, and that good visitors are served through all of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import inspect
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web

from cti.asterisk.agi.server import BURST, AgiServer
from cti.certificates import CertificateFiles, server_context
from cti.self_signed import make
from cti.settings import Settings
from cti.web import redirect
from cti.web.app import build_app
from cti.web.doors import FILES_OF_CALLS, FILES_OF_OTHERS, limits_by_files, open_doors
from cti.web.gate import Gate, Visitor
from cti.web.gate_limits import GateLimits
from cti.web.lines import sent
from cti.web.turns import Turns
from tests.support.fake_floor import FakeFloor, demo_centre, make_deps

ASKS = b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n"


@dataclass
class House:
    """A server of three things behind a gate."""

    gate: Gate
    tls: bool
    reasons: Counter[str] = field(default_factory=Counter)

    def bears(self, **limits: float) -> None:
        """Other limits from now on. Times of less than a second are for who is to be late, and for nobody else on a busy machine."""
        self.gate.limits = replace(self.gate.limits, **limits)  # type: ignore[arg-type]

    async def line(self, first: bytes = b"", *, raw: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection by hand."""
        context = None
        if self.tls and not raw:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gate.port, ssl=context)
        writer.write(first)
        await writer.drain()
        return reader, writer

    async def page(self) -> str:
        """A good visitor."""
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http,
            http.get(f"http{'s' * self.tls}://127.0.0.1:{self.gate.port}/page") as answer,
        ):
            return await answer.text()

    async def until(self, fits: Callable[[], object]) -> None:
        """Wait until it is so."""
        deadline = time.monotonic() + 60
        while not fits():
            assert time.monotonic() < deadline, (self.reasons, self.gate.connections)
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def house(folder: Path | None = None, **limits: float) -> AsyncIterator[House]:
    """`folder`: for a certificate; without it, in the clear."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def long(request: web.Request) -> web.Response:
        return web.Response(body=bytes(30_000_000))

    async def feed(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
        return ws

    app = web.Application()
    app.router.add_route("*", "/page", page)
    app.router.add_get("/long", long)
    app.router.add_get("/feed", feed)
    context = None
    if folder is not None:
        certificate, key = make(("127.0.0.1",), datetime.now(UTC))
        files = CertificateFiles(certificate=folder / "c.pem", key=folder / "k.pem", own=False)
        files.certificate.write_bytes(certificate)
        files.key.write_bytes(key)
        files.key.chmod(0o600)
        context = server_context(files)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    reasons: Counter[str] = Counter()

    def count(reason: str) -> None:
        reasons[reason] += 1

    gate = Gate(
        runner.server,
        name="test",
        tls=context,
        limits=GateLimits(**limits),
        counted=count,  # type: ignore[arg-type]
    )
    await gate.open("127.0.0.1", 0)
    try:
        yield House(gate, context is not None, reasons)
    finally:
        await gate.close()
        await runner.cleanup()


async def end(lines: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    for _, writer in lines:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_so_many_begin_in_one_turn_and_the_others_in_the_next_in_order():
    turns, begun, turn = Turns(2), [], 0

    def work(name: int) -> Callable[[], None]:
        return lambda: begun.append((name, turn))

    for name in range(5):
        if turns.take():
            work(name)()
        else:
            turns.later(work(name))
    for turn in range(1, 5):  # noqa: B007 - `work` looks at it
        await asyncio.sleep(0)
    assert [name for name, _ in begun] == [0, 1, 2, 3, 4]
    assert max(Counter(turn for _, turn in begun).values()) == 2
    await asyncio.sleep(0)
    assert turns.take()
    assert turns.take()
    assert not turns.take()
    await asyncio.wait_for(turns.mine(), 5)


async def test_who_does_not_say_what_they_want_is_given_some_seconds(tmp_path):
    for folder in (None, tmp_path):
        async with house(folder) as here:
            lines = [
                await here.line(raw=True), await here.line(ASKS[:20]), await here.line(b"\x16\x03\x01\x02", raw=True),
            ]  # fmt: skip
            here.bears(head_seconds=0.3, handshake_seconds=0.3)
            for reader, _ in lines:
                with contextlib.suppress(ConnectionError):
                    async with asyncio.timeout(60):
                        while await reader.read(4096):
                            pass
            await here.until(lambda: here.gate.connections == 0)
            assert here.reasons.total() >= 2
            here.bears(head_seconds=10, handshake_seconds=10)
            assert await here.page() == "0"
            await end(lines)


@contextlib.contextmanager
def nobody_looks_for_rings() -> Iterator[None]:
    """What is not needed goes at once or stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def test_a_connection_that_is_over_leaves_nothing_that_only_the_collector_finds(tmp_path):
    for folder in (None, tmp_path):
        async with house(folder) as here:
            with nobody_looks_for_rings():
                assert await here.page() == "0"
                quiet = await here.line(raw=True)
                asked = await here.line(ASKS)
                await asked[0].readuntil(b"\r\n\r\n")
                await here.until(lambda: here.gate.connections >= 2)
                await end([quiet, asked])
                await here.until(lambda: not here.gate.connections)
                await here.until(lambda: not any(isinstance(one, Visitor) for one in gc.get_objects()))


async def test_one_byte_after_the_other_does_not_prolong_it():
    async with house() as here:
        reader, writer = await here.line(ASKS[:-2] + b"X: ")
        here.bears(head_seconds=0.3)
        closed = asyncio.create_task(reader.read())
        with contextlib.suppress(ConnectionError):
            while not closed.done():
                writer.write(b"x")
                await writer.drain()
                await asyncio.wait({closed}, timeout=0.02)
        assert here.reasons == {"head_late": 1}
        # A later request on the same connection has as long, too.
        here.bears(head_seconds=10)
        again, more = await here.line(ASKS)
        await again.readuntil(b"\r\n\r\n0")
        here.bears(head_seconds=0.3)
        more.write(ASKS[:9])
        async with asyncio.timeout(60):
            assert await again.read() == b""
        assert here.reasons == {"head_late": 2}
        await asyncio.gather(closed, return_exceptions=True)
        await end([(reader, writer), (again, more)])


async def test_of_too_many_strangers_the_oldest_goes_and_who_asks_is_served(tmp_path):
    for folder in (None, tmp_path):
        async with house(folder, strangers_of_address=5, grace_seconds=0) as here:
            lines = [await here.line(raw=True) for _ in range(30)]
            await here.until(lambda: here.reasons["strangers"] == 25)
            assert here.gate.connections == 5
            assert await here.page() == "0"
            await end(lines)
            await here.until(lambda: here.gate.connections == 0)
        async with house(folder, strangers=4, grace_seconds=0) as here:
            lines = [await here.line(raw=True) for _ in range(10)]
            await here.until(lambda: here.reasons["strangers"] == 6)
            assert await here.page() == "0"
            await end(lines)


async def test_quiet_connections_make_room_feeds_do_not():
    async with house(most_of_address=3) as here, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{here.gate.port}/feed"
        async with http.ws_connect(url) as first, http.ws_connect(url) as second:
            quiet, writer = await here.line(ASKS)
            await quiet.readuntil(b"\r\n\r\n0")
            assert await here.page() == "0"
            assert await quiet.read() == b""
            assert here.reasons == {"crowded": 1}
            async with http.ws_connect(url) as third:
                turned_away, other = await here.line()
                with contextlib.suppress(ConnectionError):
                    assert await turned_away.read() == b""
                assert here.reasons["full_of_address"] == 1
                for feed in (first, second, third):
                    await feed.send_str("still here")
                    assert await feed.receive_str() == "still here"
            await end([(quiet, writer), (turned_away, other)])


async def test_as_many_as_there_may_be_and_no_more():
    async with house(most=3) as here, aiohttp.ClientSession() as http, contextlib.AsyncExitStack() as feeds:
        url = f"http://127.0.0.1:{here.gate.port}/feed"
        three = [await feeds.enter_async_context(http.ws_connect(url)) for _ in range(3)]
        turned_away, writer = await here.line()
        with contextlib.suppress(ConnectionError):
            assert await turned_away.read() == b""
        assert here.reasons == {"full": 1}
        for feed in three:
            await feed.send_str("still here")
            assert await feed.receive_str() == "still here"
        await end([(turned_away, writer)])


async def test_who_reads_slowly_gets_it_all_and_who_stops_is_cut_off(tmp_path):
    for folder in (None, tmp_path):
        async with house(folder) as here:
            assert here.gate._looking is not None
            here.gate._looking.cancel()  # looked at here, and by a clock that goes twenty seconds from piece to piece
            limits, now = here.gate.limits, asyncio.get_running_loop().time()
            for pieces in (10, 4):
                reader, writer = await here.line(b"GET /long HTTP/1.1\r\nHost: here\r\n\r\n")
                await reader.readuntil(b"\r\n\r\n")
                (guest,) = here.gate._guests
                visitor = guest.visitor
                assert visitor is not None

                def looked(visitor=visitor, limits=limits, at=now) -> str:
                    return visitor.fault(at, limits)

                for _ in range(pieces):
                    await reader.readexactly(3_000_000)
                    await here.until(lambda look=looked, at=now: look(at=at) == "")
                    now += 20
                if pieces == 10:
                    await here.until(lambda guest=guest: not sent(guest.sock)[0])
                    assert [looked(at=now + later) for later in (0, 40, 80)] == [""] * 3
                else:  # both kernels take what they can; then nothing goes from one look to the next
                    await here.until(
                        lambda look=looked, at=now: look(at=at) == "" and look(at=at + 40) == "not_reading"
                    )
                await end([(reader, writer)])
                await here.until(lambda: here.gate.connections == 0)


async def test_who_takes_nothing_and_who_talks_too_much_is_cut_off(tmp_path):
    for folder in (tmp_path, None):
        async with house(folder, stuck_seconds=0.3) as here:
            reader, writer = await here.line()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(b"GET /long HTTP/1.1\r\nHost: here\r\n\r\n")
            await here.until(lambda: here.reasons["not_reading"] == 1)
            await end([(reader, writer)])
    async with house() as here, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"http://127.0.0.1:{here.gate.port}/feed") as feed:
            await feed.send_str("x" * 4000)
            assert len(await feed.receive_str()) == 4000
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    await feed.send_str("x" * 4000)
            await here.until(lambda: here.reasons["talkative"] == 1)
        await here.until(lambda: here.gate.connections == 0)


async def test_requests_in_pieces_bodies_and_several_at_once_are_answered(tmp_path):
    for folder in (None, tmp_path):
        async with house(folder, strangers_of_address=1000) as here:
            body = b"POST /page HTTP/1.1\r\nHost: here\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000)
            lines = []
            for whole, wanted in ((ASKS, b"0"), (body, b"300000"), (ASKS * 50, b"0")):
                for size in (1 if whole is ASKS else 7001, len(whole)):
                    reader, writer = await here.line()
                    lines.append((reader, writer))
                    for at in range(0, len(whole), size):
                        writer.write(whole[at : at + size])
                        await writer.drain()
                    for _ in range(whole.count(b"Host: ")):
                        head = await reader.readuntil(b"\r\n\r\n")
                        assert b" 200 " in head
                        assert await reader.readexactly(len(wanted)) == wanted
            # Two hundred at once, far more than begin in one turn.
            async with asyncio.TaskGroup() as group:
                for _ in range(200 if folder is None else 20):
                    group.create_task(here.page())
            assert not here.reasons
            await end(lines)


def test_calls_have_files_left_however_few_there_are(monkeypatch):
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.setrlimit", lambda what, pair: taken.append(pair))
    for hard, most in ((6000, 6000 - FILES_OF_OTHERS), (2048, 100)):
        monkeypatch.setattr("resource.getrlimit", lambda what, hard=hard: (1024, hard))
        few = limits_by_files()
        assert (few.most, few.most_of_address, taken.pop()) == (most, min(1000, most), (hard, hard))
    monkeypatch.setattr("resource.getrlimit", lambda what: (1_000_000, 1_000_000))
    assert limits_by_files() == GateLimits()
    assert not taken
    calls = inspect.signature(AgiServer).parameters
    assert calls["max_sessions"].default + BURST * calls["most_unasked"].default == FILES_OF_CALLS


async def test_what_is_no_request_is_counted_and_its_bytes_are_not_logged(caplog):
    async with house() as here:
        for sent in (b"GET /\x8a\xf4 HTTP/1.1\r\n\r\n", b"\x00\xff\r\n\r\n", b"GET /secret HTTP/1.1\x01\r\n\r\n"):
            reader, writer = await here.line(sent)
            assert (await reader.read()).startswith(b"HTTP/1.0 400 ")
            await end([(reader, writer)])
        assert here.reasons == {"bad_request": 3}
        assert await here.page() == "0"
    assert not caplog.records


async def test_a_piece_of_work_that_fails_holds_up_none_of_the_others():
    turns, begun = Turns(1), []
    loop = asyncio.get_running_loop()
    failed: list[object] = []
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))

    def fails() -> None:
        raise ValueError

    assert turns.take()
    for work in (fails, lambda: begun.append(1), fails, lambda: begun.append(2)):
        turns.later(work)
    for _ in range(8):
        await asyncio.sleep(0)
    assert (begun, len(failed)) == ([1, 2], 2)


async def test_a_family_of_addresses_that_the_machine_lacks_is_left_out(monkeypatch):
    real = socket.socket
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]

    async def found(*args: object, **options: object) -> list[object]:
        return list(both)

    def made(family: int = -1, *args: object, **options: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *args, **options)  # type: ignore[arg-type]

    async with house() as here:
        server = here.gate._server
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
        monkeypatch.setattr("cti.web.gate.socket.socket", made)
        gate = Gate(server, name="test")
        await gate.open("localhost", 0)
        assert gate.port
        await gate.close()
        del both[1]
        nowhere = Gate(server, name="test")
        with pytest.raises(OSError, match="family"):
            await nowhere.open("localhost", 0)
        monkeypatch.undo()


async def test_only_a_lack_of_files_makes_a_pause():
    class Listening:
        """A socket that fails to accept."""

        def __init__(self, *errors: int) -> None:
            self.left = list(errors)

        def accept(self) -> None:
            raise OSError(self.left.pop(0), "")

    async with house() as here:
        went = Listening(errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EAGAIN)
        here.gate._accept(went)  # type: ignore[arg-type]
        assert (went.left, here.reasons, here.gate._resting) == ([], {}, None)
        none_left = Listening(errno.EMFILE, errno.EAGAIN)
        here.gate._accept(none_left)  # type: ignore[arg-type]
        assert (none_left.left, here.reasons) == ([errno.EAGAIN], {"no_files": 1})
        assert await here.page() == "0"  # after the pause


async def test_who_is_refused_at_the_plain_port_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(redirect, "LIMITS", GateLimits(head_seconds=0.1))
    counted: list[str] = []
    async with redirect.redirecting(
        "127.0.0.1", 0, to_port=1, known_as=frozenset(), usual="here", counted=counted.append
    ) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await end([(reader, writer)])
    assert counted == ["head_late"]

    @contextlib.asynccontextmanager
    async def opened(*args: object, **options: object) -> AsyncIterator[int]:
        if counts := options.get("counted"):
            counts("full")  # type: ignore[operator]
        yield 1

    monkeypatch.setattr("cti.web.doors.serving", opened)
    monkeypatch.setattr(redirect, "redirecting", opened)
    deps = make_deps(FakeFloor(demo_centre()), tmp_path)
    async with open_doors(build_app(deps), Settings(data=tmp_path), SimpleNamespace(context=None)):  # type: ignore[arg-type]
        pass
    labels = {"door": "redirect", "reason": "full"}
    assert deps.metrics.registry.get_sample_value("cti_door_refusals_total", labels) == 1
