"""People's pyst2 scripts on our sessions, and pyst2's own AGI as an independent reader of the same exchange."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import structlog
from asterisk.agi import AGI, AGIAppError, AGIError, AGIInvalidCommand, AGIUsageError

from cti.asterisk.agi.scripts import ScriptEnd, ScriptRunner
from cti.asterisk.agi.server import AgiServer
from cti.asterisk.agi.session import AgiSession
from cti.asterisk.agi.wire import AgiConnection, AgiRequest, Reply, encode_command
from tests.support.agi_client import DEFAULT_CALL, FakeCaller, environment, parse_arguments


async def run(
    script: Callable[[AGI], object], caller: FakeCaller, *, deadline: timedelta = timedelta(seconds=10)
) -> ScriptEnd:
    """Run one script against `caller` and give how it ended."""
    ended: asyncio.Future[ScriptEnd] = asyncio.get_running_loop().create_future()
    runner = ScriptRunner(workers=2)

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        ended.set_result(await runner.run(script, session, deadline=deadline))

    try:
        async with AgiServer("127.0.0.1", 0, {"call": handler}) as server:
            await caller.call(server.port)
            return await asyncio.wait_for(ended, 20)
    finally:
        runner.close()


async def test_a_script_as_people_write_them() -> None:
    seen: dict[str, object] = {}

    def script(agi: AGI) -> None:
        seen["thread"] = threading.current_thread() is not threading.main_thread()
        seen["call"] = agi.env["agi_arg_1"]
        agi.answer()
        agi.verbose('he said "hello" \\ and left', 1)
        seen["key"] = agi.stream_file("demo", "12")
        seen["digit"] = agi.wait_for_digit(2000)
        seen["nothing"] = agi.wait_for_digit(100)
        agi.set_variable("CTI_NEXT", 'a "quoted" value')
        seen["back"] = agi.get_variable("CTI_NEXT")
        seen["unset"] = agi.get_variable("NOT_THERE")
        seen["exec"] = agi.appexec("NoOp", "x")

    caller = FakeCaller(keys="15")
    before = signal.getsignal(signal.SIGHUP)
    assert await run(script, caller) is ScriptEnd.FINISHED
    assert signal.getsignal(signal.SIGHUP) is before
    assert seen == {
        "thread": True, "call": DEFAULT_CALL, "key": "1", "digit": "5", "nothing": "", "back": 'a "quoted" value',
        "unset": "", "exec": "0",
    }  # fmt: skip
    assert caller.variables == {"CTI_NEXT": 'a "quoted" value'}
    assert ["VERBOSE", 'he said "hello" \\ and left', "1"] in caller.commands


@pytest.mark.parametrize("at", [0, 1, 2, 3])
async def test_a_hang_up_is_what_scripts_know(at: int) -> None:
    def script(agi: AGI) -> None:
        for _ in range(5):
            agi.stream_file("demo")

    assert await run(script, FakeCaller(hang_up_at=at)) is ScriptEnd.GONE


@pytest.mark.parametrize(
    "broken",
    [
        lambda agi: 1 / 0,
        lambda agi: sys.exit(3),
        lambda agi: agi.verbose("a\nHANGUP"),
        lambda agi: agi.execute("NO SUCH THING"),
        lambda agi: agi.get_result(),
    ],
)
async def test_a_failing_script_harms_nobody(broken: Callable[[AGI], object]) -> None:
    with structlog.testing.capture_logs() as logs:
        assert await run(broken, FakeCaller()) is ScriptEnd.FAILED
    assert [entry["call_id"] for entry in logs] == [DEFAULT_CALL]


async def test_sys_exit_is_a_normal_end() -> None:
    assert await run(lambda agi: sys.exit(0), FakeCaller()) is ScriptEnd.FINISHED


async def test_usage_errors_of_both_forms() -> None:
    caught: list[str] = []

    def script(agi: AGI) -> None:
        for command in ("SAY", "TELL"):
            try:
                agi.execute(command)
            except AGIError as error:
                caught.append(type(error).__name__ if isinstance(error, AGIUsageError) else "AGIError")
            except Exception as error:
                caught.append(type(error).__name__)

    answers = {"SAY": "520-Invalid\nUsage: SAY\n520 End of proper usage.", "TELL": "520 Proper usage not available."}
    assert await run(script, FakeCaller(answers=answers)) is ScriptEnd.FINISHED
    assert caught == ["AGIUsageError", "AGIException"]  # pyst2 alone would wait for ever at the second


async def test_an_overdue_script_loses_its_session_and_not_the_loop() -> None:
    stop = threading.Event()
    after: list[str] = []
    done = threading.Event()

    def script(agi: AGI) -> None:
        stop.wait(10)
        try:
            agi.verbose("late")
        except AGIAppError as error:
            after.append(type(error).__name__)
        done.set()

    caller = FakeCaller()
    assert await run(script, caller, deadline=timedelta(milliseconds=50)) is ScriptEnd.OVERDUE
    stop.set()
    assert await asyncio.to_thread(done.wait, 5)
    assert after == ["AGISIGHUPHangup"]
    assert caller.commands == []


async def test_scripts_that_hang_keep_no_other_from_running() -> None:
    runner = ScriptRunner(grace=timedelta(milliseconds=20))
    stop = threading.Event()
    ends: list[ScriptEnd] = []

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        hangs = len(ends) < 20
        script = (lambda _agi: stop.wait(20)) if hangs else (lambda agi: agi.verbose("served"))
        ends.append(ScriptEnd.OVERDUE)
        ends[-1] = await runner.run(script, session, deadline=timedelta(milliseconds=50 if hangs else 5000))

    try:
        async with AgiServer("127.0.0.1", 0, {"call": handler}) as server:
            for _ in range(20):
                await FakeCaller().call(server.port)
            caller = FakeCaller()
            await caller.call(server.port)
            assert caller.commands == [["VERBOSE", "served", "1"]]
        assert ends == [*[ScriptEnd.OVERDUE] * 20, ScriptEnd.FINISHED]
    finally:
        stop.set()
        runner.close()


@pytest.mark.parametrize("stubborn", [False, True])
async def test_one_that_computes_for_ever_is_ended(stubborn: bool) -> None:
    runner = ScriptRunner(grace=timedelta(milliseconds=20))
    ended = threading.Event()

    def script(agi: AGI) -> None:
        left = 2 if stubborn else 0
        try:
            while True:
                try:
                    while True:
                        pass
                except BaseException:
                    if not left:
                        raise
                    left -= 1
        finally:
            ended.set()

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        assert await runner.run(script, session, deadline=timedelta(milliseconds=50)) is ScriptEnd.OVERDUE

    async with AgiServer("127.0.0.1", 0, {"call": handler}) as server:
        await FakeCaller().call(server.port)
        assert await asyncio.to_thread(ended.wait, 20)
    runner.close()


REPLIES = [
    "200 result=0", "200 result=1", "200 result=1 (a value)", "200 result=49 endpos=1234", "200 result=0 (timeout)",
    "510 Invalid or unknown command", "520-Invalid command syntax.\nUsage: SAY X\n520 End of proper usage.",
    "200 result=1 (with = sign and (brackets))", "200 result=-1",
]  # fmt: skip


@pytest.mark.parametrize("text", REPLIES)
def test_pyst2_reads_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same environment and reply through pyst2's synchronous AGI and through our codec."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    block = environment(headers={"agi_calleridname": "Zoë 王"})
    written = io.StringIO()
    theirs = AGI(stdin=io.StringIO(block.decode() + text + "\n"), stdout=written, stderr=io.StringIO())
    ours = AgiConnection()
    (request,) = ours.feed(block)
    assert isinstance(request, AgiRequest)
    arguments = {f"agi_arg_{number}": value for number, value in enumerate(request.args, 1)}
    assert {**request.headers, **arguments} == theirs.env

    line = encode_command("SET VARIABLE", ("CTI_NEXT", "wait"))
    ours.command_sent()
    (reply,) = ours.feed(text.encode() + b"\n")
    assert isinstance(reply, Reply)
    try:
        result = theirs.execute("SET VARIABLE", '"CTI_NEXT"', '"wait"')
    except AGIInvalidCommand:
        assert reply.code == 510
    except AGIUsageError:
        assert (reply.code, reply.usage) == (520, "Usage: SAY X")
    except AGIAppError:
        assert (reply.code, reply.result) == (200, "-1")
    else:
        assert reply.code == 200
        assert result["result"] == (reply.result, reply.text)
        assert result.get("endpos", ("", ""))[0] == ("" if reply.endpos is None else str(reply.endpos))
    assert parse_arguments(written.getvalue().strip()) == parse_arguments(line.decode().strip())
