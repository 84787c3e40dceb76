"""Sessions and the server against the fake Asterisk: outcomes, deadlines, limits, isolation, early closes."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import structlog

from cti.asterisk.agi.hold import HoldingLeg
from cti.asterisk.agi.server import BURST, AgiServer, Handler
from cti.asterisk.agi.session import AgiLeg, AgiRefused, AgiSession, AgiTimeout, Streamed
from cti.asterisk.agi.wire import AgiCommandError, AgiProtocolError, AgiRequest
from cti.errors import ConfigError
from cti.services.ports import CallerLeg, LegGone, NoDigit, Played, Pressed
from tests.support.agi_client import DEFAULT_CALL, AgiClient, FakeCaller, environment


class Meter:
    """Keeps what the server counted."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self.commands: list[str] = []
        self.changed = asyncio.Event()

    def session_opened(self, script: str) -> None:
        self.opened.append(script)
        self.changed.set()

    def session_ended(self, script: str, end: str, seconds: float) -> None:
        assert seconds >= 0
        self.ended.append((script, end))
        self.changed.set()

    def connection_refused(self, reason: str) -> None:
        self.refused.append(reason)
        self.changed.set()

    def command_done(self, verb: str, seconds: float) -> None:
        self.commands.append(verb)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def serving(handler: Handler, **options: object) -> AsyncIterator[tuple[AgiServer, Meter]]:
    meter = Meter()
    server = AgiServer("127.0.0.1", 0, {"call": handler}, meter=meter, **options)  # type: ignore[arg-type]
    async with server:
        yield server, meter
    assert server.connections == server.sessions == 0


async def outcome_of(act: Callable[[AgiSession], Awaitable[object]], caller: FakeCaller) -> object:
    """What `act` gave (or raised) in a session with `caller`."""
    result: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        try:
            result.set_result(await act(session))
        except Exception as error:
            result.set_result(error)

    async with serving(handler) as (server, _):
        await caller.call(server.port)
        return await asyncio.wait_for(result, 20)


async def test_a_call_through_the_leg() -> None:
    seen: list[object] = []

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        assert request.args == (DEFAULT_CALL, "+15550100", "100")
        leg: CallerLeg = HoldingLeg(session)
        assert await session.answer()
        seen.append(await leg.play(["p/en/welcome", "p/en/menu"], interrupt="12"))
        seen.append(await leg.digit(timedelta(seconds=3)))
        seen.append(await leg.digit(timedelta(seconds=3)))
        seen.append(await leg.play(["p/en/bye"], interrupt=""))
        seen.append(await leg.set_variables([("CTI_QUEUE", "support"), ("CTI_NEXT", "wait")]))

    caller = FakeCaller(keys="2#")
    async with serving(handler) as (server, meter):
        await caller.call(server.port)
        await meter.until(lambda: bool(meter.ended))
    assert seen == [Played(digit="2"), Pressed(digit="#"), seen[2], Played(), True]
    assert isinstance(seen[2], NoDigit)
    assert caller.played == ["p/en/welcome", "p/en/bye"]
    assert caller.variables == {"CTI_QUEUE": "support", "CTI_NEXT": "wait"}
    assert meter.ended == [("call", "finished")]
    assert meter.commands.count("STREAM FILE") == 2


async def test_variables_that_can_be_listed_go_in_one_command_in_order() -> None:
    odd = "a, b"

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        leg = AgiLeg(session)
        values = [("CTI_SAY", odd), ("CTI_QUEUE", "support"), ("CTI_RECORD", ""), ("CHANNEL(language)", "zh")]
        assert await leg.set_variables([*values, ("CTI_RING", "15"), ("CTI_NEXT", "wait")])

    caller = FakeCaller()
    async with serving(handler) as (server, meter):
        await caller.call(server.port)
        await meter.until(lambda: bool(meter.ended))
    assert [words[2:] for words in caller.commands] == [
        ["CTI_SAY", odd],
        ["ARRAY(CTI_QUEUE,CTI_RECORD)", "support,"],
        ["CHANNEL(language)", "zh"],
        ["ARRAY(CTI_RING,CTI_NEXT)", "15,wait"],
    ]


@pytest.mark.parametrize("at", range(6))
async def test_hang_up_at_any_command_is_an_outcome(at: int) -> None:
    ended: list[object] = []

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        leg = AgiLeg(session)
        ended.append(await session.answer())
        ended.append(isinstance(await leg.play(["a", "b"], interrupt="1"), LegGone))
        ended.append(isinstance(await leg.digit(timedelta(seconds=1)), LegGone))
        ended.append(await leg.set_variables([("A", "1"), ("B", "2")]))
        assert session.gone

    caller = FakeCaller(hang_up_at=at)
    async with serving(handler) as (server, meter):
        await caller.call(server.port)
        await meter.until(lambda: bool(meter.ended))
    assert meter.ended == [("call", "gone")]
    assert len(ended) == 4
    assert ended[3] is False
    assert len(caller.commands) <= max(at, 1)


async def test_every_verb() -> None:
    async def act(session: AgiSession) -> object:
        assert await session.get_variable("X") is None
        assert await session.set_variable("X", 'a "b" \\ (c)')
        return [
            await session.get_variable("X"),
            await session.verbose("hello", 3),
            await session.exec("StartMusicOnHold", "default"),
            await session.stream_file("a b", escape_digits="*#"),
            await session.hangup(),
        ]

    outcome = await outcome_of(act, FakeCaller())
    assert outcome == ['a "b" \\ (c)', True, 0, Streamed(digit=None, endpos=16000), True]


async def test_missing_sounds_are_told() -> None:
    missing: list[str] = []

    async def act(session: AgiSession) -> object:
        return await AgiLeg(session, on_missing=missing.append).play(["a", "b", "c"], interrupt="")

    assert await outcome_of(act, FakeCaller(missing=frozenset("b"))) == Played()
    assert missing == ["b"]


@pytest.mark.parametrize(
    ("act", "answers", "error"),
    [
        (lambda s: s.command("NO SUCH"), {}, AgiRefused),
        (lambda s: s.command("SAY"), {"SAY": "520-Usage:\nUsage: SAY X\n520 End."}, AgiRefused),
        (lambda s: s.exec("System", "rm"), {}, AgiCommandError),
        (lambda s: s.set_variable("CHANNEL(x)", "1"), {}, AgiCommandError),
        (lambda s: s.stream_file("a", escape_digits="A"), {}, AgiCommandError),
        (lambda s: s.verbose("a\nHANGUP"), {}, AgiCommandError),
        (lambda s: s.answer(), {"ANSWER": "200 result=*"}, AgiProtocolError),
        (lambda s: s.answer(), {"ANSWER": "200 result=0\n200 result=0"}, AgiProtocolError),
        (lambda s: s.answer(), {"ANSWER": "nonsense"}, AgiProtocolError),
    ],
)
async def test_faults(
    act: Callable[[AgiSession], Awaitable[object]], answers: dict[str, str], error: type[Exception]
) -> None:
    async def twice(session: AgiSession) -> object:
        try:
            return await act(session)
        finally:
            assert session.gone is (error is not AgiCommandError)
            if error is AgiCommandError:
                assert await session.verbose("still alive")

    assert isinstance(await outcome_of(twice, FakeCaller(answers=answers)), error)


async def test_an_application_that_is_not_loaded() -> None:
    async def act(session: AgiSession) -> object:
        with pytest.raises(AgiRefused, match="StartMusicOnHold"):
            await session.exec("StartMusicOnHold")
        return await session.verbose("still alive")

    assert await outcome_of(act, FakeCaller(answers={"EXEC": "200 result=-2"})) is True


async def test_a_dead_channel_is_gone() -> None:
    async def act(session: AgiSession) -> object:
        return [await session.verbose("x"), session.gone, await session.verbose("x")]

    dead = {"VERBOSE": "511 Command Not Permitted on a dead channel or intercept routine"}
    assert await outcome_of(act, FakeCaller(answers=dead)) == [False, True, False]


async def test_silence_ends_the_session_at_the_deadline() -> None:
    errors: list[Exception] = []

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        try:
            await session.command("NOOP", deadline=timedelta(milliseconds=30))
        except AgiTimeout as error:
            errors.append(error)
            assert await session.set_variable("CTI_NEXT", "wait") is False
            raise

    async with serving(handler) as (server, meter):
        client = await AgiClient.connect(server.port)
        await client.send(environment())
        assert await client.command() == ["NOOP"]
        assert await client.closed()
        await client.close()
        await meter.until(lambda: bool(meter.ended))
    assert meter.ended == [("call", "timeout")]
    assert errors[0].outcome_unknown  # type: ignore[attr-defined]


async def test_a_second_command_at_once_is_refused_and_a_cancelled_one_closes() -> None:
    found: list[object] = []

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        first = asyncio.create_task(session.command("NOOP"))
        await asyncio.wait({first}, timeout=0)
        while session._reply is None:
            await asyncio.wait({first}, timeout=0.001)
        with pytest.raises(AgiCommandError):
            await session.verbose("x")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        found.append(session.gone)

    async with serving(handler) as (server, meter):
        client = await AgiClient.connect(server.port)
        await client.send(environment())
        await client.command()
        assert await client.closed()
        await client.close()
        await meter.until(lambda: bool(meter.ended))
    assert found == [True]


async def test_a_failing_handler_ends_only_its_own_session_and_logs_no_number() -> None:
    release = asyncio.Event()

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        if request.args[0] == DEFAULT_CALL:
            raise ValueError("no customer +15550100, pressed 4711")
        await release.wait()
        assert await session.set_variable("CTI_NEXT", "wait")

    with structlog.testing.capture_logs() as logs:
        async with serving(handler) as (server, meter):
            good = FakeCaller()
            other = asyncio.create_task(good.call(server.port, "call", ["a1-1.2", "", "100"]))
            await meter.until(lambda: len(meter.opened) == 1)
            bad = await FakeCaller().call(server.port)
            assert bad.commands == []
            release.set()
            await other
    assert good.variables == {"CTI_NEXT": "wait"}
    assert sorted(meter.ended) == [("call", "failed"), ("call", "finished")]
    (entry,) = [entry for entry in logs if entry["event"] == "agi session failed"]
    assert entry["call_id"] == DEFAULT_CALL
    assert entry["error"] == "ValueError"
    assert entry["message"] == "no customer +########, pressed ####"
    assert any(line.endswith("handler") for line in entry["where"])


async def test_unknown_script_and_full_house_are_closed() -> None:
    stay = asyncio.Event()

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        await stay.wait()

    async with serving(handler, max_sessions=2) as (server, meter):
        assert (await FakeCaller().call(server.port, "nothing")).commands == []
        await meter.until(lambda: meter.refused == ["no_script"])
        waiting = [asyncio.create_task(FakeCaller().call(server.port)) for _ in range(2)]
        await meter.until(lambda: len(meter.opened) == 2)
        await FakeCaller().call(server.port)
        assert meter.refused == ["no_script", "full"]
        stay.set()
        await asyncio.gather(*waiting)
        assert (await FakeCaller().call(server.port)).hung_up is False
        await meter.until(lambda: len(meter.opened) == 3)


async def test_silent_connections_take_no_session_s_place_and_the_oldest_goes() -> None:
    async def handler(request: AgiRequest, session: AgiSession) -> None:
        await session.set_variable("CTI_NEXT", "wait")

    async with serving(handler, max_sessions=2, most_unasked=3, grace_seconds=0) as (server, meter):
        silent = [await AgiClient.connect(server.port) for _ in range(8)]
        await meter.until(lambda: meter.refused.count("crowded_out") == 5)
        caller = FakeCaller()
        await caller.call(server.port)
        assert caller.variables["CTI_NEXT"] == "wait"
        assert await silent[0].closed()
        for client in silent:
            await client.close()


async def test_a_burst_of_whole_connections_after_a_stall_is_served_to_the_last() -> None:
    async def handler(request: AgiRequest, session: AgiSession) -> None:
        await session.set_variable("CTI_NEXT", "wait")

    async with serving(handler, most_unasked=20, grace_seconds=30) as (server, meter):
        callers = []
        for number in range(60):  # all of it while the loop stands still
            caller = socket.create_connection(("127.0.0.1", server.port))
            caller.sendall(environment("call", [f"a1-1.{number}"]))
            callers.append(caller)
        await meter.until(lambda: len(meter.opened) == 60)
        assert meter.refused == []
        for caller in callers:
            caller.close()
        await meter.until(lambda: server.connections == 0 or len(meter.ended) == 60)


async def test_of_a_flood_that_is_too_great_even_the_young_go() -> None:
    async def handler(request: AgiRequest, session: AgiSession) -> None:
        raise AssertionError("never complete")

    async with serving(handler, most_unasked=3, grace_seconds=30) as (server, meter):
        silent = [await AgiClient.connect(server.port) for _ in range(3 * BURST + 5)]
        await meter.until(lambda: meter.refused.count("crowded_out") == 5)
        assert server.connections == 3 * BURST
        for client in silent:
            await client.close()


async def test_a_flood_of_lines_ends_the_session_at_once() -> None:
    ended = asyncio.Event()

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        await session.closed()
        ended.set()

    async with serving(handler) as (server, meter):
        for lines in (b"HANGUP\n", b"100\n", b"\n"):
            ended.clear()
            client = await AgiClient.connect(server.port)
            await client.send(environment() + lines * 20_000)
            assert await client.closed()
            await client.close()
        await meter.until(lambda: server.connections == 0)


async def test_a_trickled_environment_is_cut_off() -> None:
    async def handler(request: AgiRequest, session: AgiSession) -> None:
        raise AssertionError("never complete")

    async with serving(handler, environment_seconds=0.1) as (server, meter):
        client = await AgiClient.connect(server.port)
        began = time.monotonic()
        closed = asyncio.create_task(client.closed())
        try:
            while not closed.done():
                await client.send(b"a")
                await asyncio.wait({closed}, timeout=0.01)
        except ConnectionError:
            pass
        assert await closed
        await client.close()
        assert time.monotonic() - began < 30
        await meter.until(lambda: bool(meter.refused))
    assert meter.refused == ["environment_late"]


async def test_a_close_at_every_byte_is_handled() -> None:
    """The environment cut at each byte, politely and rudely; the server counts each once and serves the next call."""
    block = environment()

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        await session.set_variable("CTI_NEXT", "wait")

    async with serving(handler) as (server, meter):
        for start in range(0, len(block), 40):

            async def cut(at: int) -> None:
                client = await AgiClient.connect(server.port)
                await client.send(block[:at])
                if at % 2:
                    client.abort()
                await client.close()

            await asyncio.gather(*(cut(at) for at in range(start, min(start + 40, len(block)))))
        await meter.until(lambda: len(meter.refused) == len(block))
        assert set(meter.refused) == {"environment_cut"}
        caller = await FakeCaller().call(server.port)
        assert caller.variables == {"CTI_NEXT": "wait"}


async def test_a_reply_cut_at_every_byte_is_a_gone_leg() -> None:
    outcomes: list[object] = []

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        outcomes.append(await session.get_variable("X"))

    reply = b"200 result=1 (a value)\n"
    async with serving(handler) as (server, meter):
        for at in range(len(reply)):
            client = await AgiClient.connect(server.port)
            await client.send(environment())
            await client.command()
            await client.send(reply[:at])
            await client.close()
        await meter.until(lambda: len(meter.ended) == len(reply))
    assert [type(outcome) for outcome in outcomes] == [LegGone] * len(reply)


async def test_garbage_from_the_network_never_reaches_a_handler() -> None:
    async def handler(request: AgiRequest, session: AgiSession) -> None:
        raise AssertionError("no environment came")

    async with serving(handler) as (server, meter):
        for junk in (b"\x00" * 50_000, b"a\n" * 500, b"x" * 40_000):
            client = await AgiClient.connect(server.port)
            try:
                await client.send(junk)
            except ConnectionError:
                pass
            assert await client.closed()
            await client.close()
        await meter.until(lambda: len(meter.refused) == 3)
    assert meter.refused == ["protocol"] * 3


async def test_an_unasked_reply_behind_the_environment_fails_the_first_command() -> None:
    async def handler(request: AgiRequest, session: AgiSession) -> None:
        await session.answer()

    async with serving(handler) as (server, meter):
        client = await AgiClient.connect(server.port)
        await client.send(environment() + b"200 result=0\n")
        await client.closed()
        await client.close()
        await meter.until(lambda: bool(meter.ended or meter.refused))
    assert meter.ended + [(r, "") for r in meter.refused] in ([("call", "protocol")], [("protocol", "")])


async def test_the_loop_is_never_held() -> None:
    """Many clients that close early, trickle or send junk: a task that only yields sees no gap (panoramisk's froze)."""

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        await session.answer()

    block = environment()
    gaps: list[float] = []
    stop = False

    async def watch() -> None:
        last = time.thread_time()  # the loop's own work: other programs on the machine do not count
        while not stop:
            await asyncio.sleep(0)
            now = time.thread_time()
            gaps.append(now - last)
            last = now

    async with serving(handler) as (server, _):
        watcher = asyncio.create_task(watch())

        async def rude(number: int) -> None:
            client = await AgiClient.connect(server.port)
            await client.send(block[: number * 7 % len(block)] if number % 3 else b"\xff" * 20_000)
            client.abort()

        for _ in range(5):
            await asyncio.gather(*(rude(number) for number in range(40)), return_exceptions=True)
        stop = True
        await watcher
    assert max(gaps) < 0.5


async def test_close_waits_for_handlers_and_then_ends_them() -> None:
    meter = Meter()
    finish = asyncio.Event()

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        await (finish.wait() if request.args[0] == DEFAULT_CALL else asyncio.Event().wait())
        await session.set_variable("CTI_NEXT", "wait")

    server = AgiServer("127.0.0.1", 0, {"call": handler}, meter=meter)
    await server.start()
    port = server.port
    quick, stuck = FakeCaller(), FakeCaller()
    calls = [asyncio.create_task(quick.call(port)), asyncio.create_task(stuck.call(port, "call", ["a1-1.9"]))]
    half = await AgiClient.connect(port)
    await half.send(b"agi_network: yes\n")
    await meter.until(lambda: len(meter.opened) == 2)
    closing = asyncio.create_task(server.close(timedelta(milliseconds=300)))
    finish.set()
    await closing
    await asyncio.gather(*calls)
    assert await half.closed()
    await half.close()
    assert quick.variables == {"CTI_NEXT": "wait"}
    assert stuck.variables == {}
    assert sorted(meter.ended) == [("call", "cancelled"), ("call", "finished")]
    assert (server.connections, server.sessions) == (0, 0)
    await server.close()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await AgiClient.connect(port)


async def test_a_taken_port_is_a_setting_error() -> None:
    async def handler(request: AgiRequest, session: AgiSession) -> None: ...

    async with serving(handler) as (server, _):
        second = AgiServer("127.0.0.1", server.port, {"call": handler})
        with pytest.raises(ConfigError, match=r"ports\.agi"):
            await second.start()


async def test_a_hundred_callers_at_once_leave_nothing_behind() -> None:
    async def handler(request: AgiRequest, session: AgiSession) -> None:
        leg = AgiLeg(session)
        await session.answer()
        await leg.play(["a", "b"], interrupt="1")
        await leg.digit(timedelta(seconds=1))
        await leg.set_variables([("CTI_CALL_SEEN", request.args[0]), ("CTI_NEXT", "wait")])

    async with serving(handler) as (server, meter):
        callers = [FakeCaller(keys="1", hang_up_at=n % 8 if n % 3 == 0 else None) for n in range(100)]
        await asyncio.gather(*(caller.call(server.port, "call", [f"a1-1.{n}"]) for n, caller in enumerate(callers)))
        await meter.until(lambda: len(meter.ended) == 100)
        for number, caller in enumerate(callers):
            if caller.hang_up_at is None:
                assert caller.variables == {"CTI_CALL_SEEN": f"a1-1.{number}", "CTI_NEXT": "wait"}


@pytest.mark.parametrize(
    "scenario",
    [
        test_a_hundred_callers_at_once_leave_nothing_behind,
        test_a_close_at_every_byte_is_handled,
        test_a_reply_cut_at_every_byte_is_a_gone_leg,
        test_a_trickled_environment_is_cut_off,
        test_silence_ends_the_session_at_the_deadline,
        test_close_waits_for_handlers_and_then_ends_them,
        test_unknown_script_and_full_house_are_closed,
        test_a_burst_of_whole_connections_after_a_stall_is_served_to_the_last,
    ],
)
def test_the_same_under_uvloop(scenario: Callable[[], Coroutine[object, object, None]]) -> None:
    uvloop = pytest.importorskip("uvloop")
    uvloop.run(scenario())
