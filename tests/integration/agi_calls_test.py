"""Our FastAGI server and ledger reader against a real Asterisk on the product's own configuration."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cti.asterisk.agi.scripts import ScriptEnd, ScriptRunner
from cti.asterisk.agi.server import AgiServer, Handler, NullMeter
from cti.asterisk.agi.session import AgiLeg, AgiRefused, AgiSession, Streamed
from cti.asterisk.agi.wire import COMMAND_BYTES, AgiRequest
from cti.asterisk.cel import LedgerFile, infer_facts, known_calls
from cti.ids import AgentId, QueueName
from cti.model import facts as f
from cti.model.facts import Fact, HangupBy
from cti.services.ports import LegGone, NoDigit, Played, Pressed
from tests.integration.agi_rtp import RtpEnd, rtp_end
from tests.integration.asterisk_rig import Rig, running_asterisk, until
from tests.support.sipp import SCENARIOS, Sipp, run_sipp

pytestmark = [pytest.mark.real, pytest.mark.beside]

CALLER = {"number": "+15551234567", "display": "Caller"}


class Meter(NullMeter):
    """Keeps how sessions ended."""

    def __init__(self) -> None:
        self.opened = 0
        self.ends: list[str] = []
        self.refused: list[str] = []

    def session_opened(self, script: str) -> None:
        self.opened += 1

    def session_ended(self, script: str, end: str, seconds: float) -> None:
        self.ends.append(end)

    def connection_refused(self, reason: str) -> None:
        self.refused.append(reason)


@asynccontextmanager
async def serving(rig: Rig, handler: Handler) -> AsyncIterator[tuple[AgiServer, Meter]]:
    meter = Meter()
    handlers = dict.fromkeys(("call", "wait", "option"), handler)
    async with AgiServer("127.0.0.1", rig.settings.ports.of("agi"), handlers, meter=meter) as server:
        yield server, meter


def scenario(folder: Path, *, media_port: int | None = None, pause: str = "<pause/>") -> Path:
    """The leaving caller, with another pause, or with RTP going to a socket of ours."""
    text = (SCENARIOS / "caller_leaves.xml").read_text()
    assert "<pause/>" in text
    text = text.replace("<pause/>", pause)
    if media_port is not None:
        text = text.replace("[media_port]", str(media_port))
    file = folder / f"caller-{media_port}.xml"
    file.write_text(text)
    return file


def sound(folder: Path, seconds: float) -> tuple[str, bytes]:
    """A sound file of noise in ulaw, and its bytes; the path is without the extension."""
    data = random.Random(7).randbytes(int(seconds * 8000))
    (folder / "noise.ulaw").write_bytes(data)
    return str(folder / "noise"), data


@asynccontextmanager
async def one_caller(rig: Rig, folder: Path, *, pause_ms: int = 8000) -> AsyncIterator[RtpEnd]:
    """A caller with an ear and a keypad."""
    async with rtp_end(rig.carrier) as ear:
        file = scenario(folder, media_port=ear.port)
        async with Sipp(file, local=rig.carrier, remote=rig.sip, keys=CALLER, pause_ms=pause_ms):
            yield ear


async def test_prompts_keys_and_every_command(tmp_path: Path) -> None:
    path, data = sound(tmp_path, 1.0)
    found: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
    missing: list[str] = []

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        try:
            found.set_result(await work(request, session))
        except Exception as error:
            found.set_exception(error)

    async def work(request: AgiRequest, session: AgiSession) -> list[object]:
        leg = AgiLeg(session, on_missing=missing.append)
        assert request.script == "call"
        assert request.call_id == request.unique_id == request.args[0]
        assert request.args[1:3] == (CALLER["number"], "5000")
        assert request.repeated == ()
        seen: list[object] = [await session.answer()]
        seen.append(await session.stream_file(path, escape_digits="5"))
        seen.append(await leg.play([str(tmp_path / "nothing"), path, path, path, path, path], interrupt="1"))
        seen.append(await leg.digit(timedelta(seconds=5)))
        seen.append(await leg.digit(timedelta(milliseconds=50)))
        value = 'a "b" \\ (c), ${EXTEN} 王'
        assert await leg.set_variables([("X", value), ("CTI_NEXT", "hangup")])
        seen.append((await session.get_variable("X")) == value)
        seen.append(await session.get_variable("NOT_SET"))
        longest = "x" * (COMMAND_BYTES - len(b'SET VARIABLE "X" ""\n'))
        assert await session.set_variable("X", longest)
        back = await session.get_variable("X")
        seen.append(isinstance(back, str) and longest.startswith(back) and len(back) > 1000)
        assert await session.set_variable("CHANNEL(language)", "en")
        assert await session.verbose("hello")
        seen.append(await session.exec("NoOp", "x"))
        return seen

    async with running_asterisk(tmp_path, bridge=False) as rig, serving(rig, handler) as (_, meter):
        async with one_caller(rig, tmp_path) as ear:
            await until(lambda: len(ear.heard) > 12_000, "the second sound")
            await ear.press("1")
            await asyncio.sleep(0.3)  # the next command is under way: a key between two commands is not kept
            await ear.press("#")
            answered, streamed, played, pressed, nothing, same, unset, long, done = await asyncio.wait_for(found, 60)
        await until(lambda: bool(meter.ends), "the session's end")
    assert (answered, same, unset, long, done) == (True, True, None, True, 0)
    assert streamed == Streamed(digit=None, endpos=8000)
    assert (played, pressed) == (Played(digit="1"), Pressed(digit="#"))
    assert isinstance(nothing, NoDigit)
    assert missing == [str(tmp_path / "nothing")]
    assert data[:4000] in bytes(ear.heard)  # what was heard is what is in the file, byte for byte
    assert meter.ends == ["finished"]


async def test_a_refused_command_closes_and_the_dialplan_carries_on(tmp_path: Path) -> None:
    errors: list[AgiRefused] = []

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        try:
            await session.command("WAIT FOR DIGIT")
        except AgiRefused as error:
            errors.append(error)
            raise

    async with (
        running_asterisk(tmp_path, bridge=False, survival={"retry_seconds": 0}) as rig,
        serving(rig, handler) as (_, meter),
        one_caller(rig, tmp_path),
    ):
        await rig.ami.event("CtiSurvival")
        assert meter.ends[0] == "failed"
    assert errors[0].fields["code"] == 520
    assert "timeout" in str(errors[0].fields["usage"])


async def test_a_redirect_ends_the_session_and_the_caller_is_still_there(tmp_path: Path) -> None:
    ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        if request.script != "call":
            await session.set_variable("CTI_NEXT", "wait")
            return
        outcome = await session.wait_for_digit(timedelta(seconds=20))
        ended.set_result(isinstance(outcome, LegGone) and not await session.set_variable("CTI_NEXT", "hangup"))

    async with (
        running_asterisk(tmp_path, bridge=False) as rig,
        serving(rig, handler) as (server, _),
        one_caller(rig, tmp_path, pause_ms=15_000),
    ):
        inbound = await rig.ami.event("CtiInbound")
        await until(lambda: server.sessions == 1, "a session")
        await rig.ami.action(Action="Redirect", Channel=inbound["Channel"], Context="cti-wait", Exten="s", Priority="1")
        assert await asyncio.wait_for(ended, 60)
        await rig.ami.event("CtiWait", Call=inbound["Call"])


async def test_a_pyst2_script_over_the_real_thing(tmp_path: Path) -> None:
    path, _ = sound(tmp_path, 0.2)
    ended: asyncio.Future[ScriptEnd] = asyncio.get_running_loop().create_future()
    runner = ScriptRunner(workers=1)
    seen: list[object] = []

    def script(agi: object) -> None:
        agi.answer()  # type: ignore[attr-defined]
        seen.append(agi.stream_file(path))  # type: ignore[attr-defined]
        agi.set_variable("X", 'a "b" c')  # type: ignore[attr-defined]
        seen.append(agi.get_variable("X"))  # type: ignore[attr-defined]
        agi.set_variable("CTI_NEXT", "hangup")  # type: ignore[attr-defined]

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        ended.set_result(await runner.run(script, session, deadline=timedelta(seconds=10)))

    async with running_asterisk(tmp_path, bridge=False) as rig, serving(rig, handler), one_caller(rig, tmp_path):
        assert await asyncio.wait_for(ended, 60) is ScriptEnd.FINISHED
    runner.close()
    assert seen == ["", 'a "b" c']


async def test_a_hundred_callers_who_leave_at_random_leave_nothing_behind(tmp_path: Path) -> None:
    path, _ = sound(tmp_path, 1.0)
    gone: list[bool] = []

    async def handler(request: AgiRequest, session: AgiSession) -> None:
        leg = AgiLeg(session)
        await session.answer()
        while not session.gone:
            await leg.play([path, path], interrupt="0123456789*#")
            await leg.set_variables([("A", "1"), ("B", "2")])
            await leg.digit(timedelta(milliseconds=700))
        gone.append(True)

    async with running_asterisk(tmp_path, bridge=False) as rig, serving(rig, handler) as (server, meter):
        file = scenario(tmp_path, pause='<pause distribution="uniform" min="1" max="4000"/>')
        result = await run_sipp(file, local=rig.carrier, remote=rig.sip, keys=CALLER, calls=100, rate=12, limit=100)
        assert (result.successful, result.failed) == (100, 0), result.output
        await until(lambda: server.connections == 0, "the end of all sessions")
        assert "0 active calls" in await rig.process.cli("core show channels count")
        # Who leaves in the first half second leaves while Answer() waits for audio, before AGI.
        assert len(meter.ends) == meter.opened == len(gone) >= 70
        assert set(meter.ends) == {"gone"}
        assert meter.refused == []
        assert server.sessions == 0


# -- the ledger ---------------------------------------------------------------------------------------------------------


def told(rig: Rig, journal: list[Fact]) -> list[Fact]:
    """What the ledger has that the journal has not; a second look has nothing."""
    read = LedgerFile(rig.paths.ledger).read()
    assert read.skipped == 0
    news = infer_facts(read.events, known_calls(journal))
    assert infer_facts(read.events, known_calls([*journal, *news])) == []
    return news


@pytest.mark.parametrize("agent_hangs_up", [True, False])
async def test_a_call_that_no_bridge_saw(tmp_path: Path, agent_hangs_up: bool) -> None:
    """No bridge at all: survival, the native queue, an agent answers. The ledger has the whole call."""
    async with running_asterisk(tmp_path, bridge=False, survival={"retry_seconds": 0}) as rig:
        async with rig.phone("1001") as phone:
            await phone.register()
            pause = 30_000 if agent_hangs_up else 9_000
            async with Sipp("caller_leaves", local=rig.carrier, remote=rig.sip, keys=CALLER, pause_ms=pause):
                call = await asyncio.wait_for(phone.arrived.get(), 60)
                await asyncio.wait_for(call.answered.wait(), 60)
                entered = await rig.ami.event("BridgeEnter", BridgeNumChannels="2")
                if agent_hangs_up:
                    phone.hang_up(call)
                left = await rig.ami.event("BridgeLeave")
                hangup = await rig.ami.event("Hangup", Uniqueid=(await rig.ami.event("CtiInbound"))["Call"])
            await until(lambda: any(isinstance(fact, f.CallEnded) for fact in told(rig, [])), "the call's end")
        started, survival, answered, parted, ended = told(rig, [])
        assert isinstance(started, f.CallStarted)
        assert (started.caller_number, started.did, started.node) == (CALLER["number"], "5000", "a1")
        assert isinstance(survival, f.SurvivalEntered)
        assert survival.queue == QueueName("support")
        assert isinstance(answered, f.CallAnswered)
        assert answered.agent_id == AgentId("1001")
        assert isinstance(parted, f.TalkEnded)
        assert isinstance(ended, f.CallEnded)
        assert ended.hangup_by is (HangupBy.AGENT if agent_hangs_up else HangupBy.CALLER)
        assert ended.cause == int(hangup["Cause"])
        for fact, event in ((answered, entered), (parted, left), (ended, hangup)):
            assert abs(fact.at.timestamp() - float(event["Timestamp"])) < 0.05
        # A journal that ends anywhere in this call is completed by the rest, once.
        whole = [started, survival, answered, parted, ended]
        for known in range(len(whole) + 1):
            assert told(rig, list(whole[:known])) == whole[known:]


async def test_a_message_left_while_nobody_was_there(tmp_path: Path) -> None:
    survival = {"retry_seconds": 0, "queue_seconds": 5}
    async with running_asterisk(tmp_path, bridge=False, survival=survival) as rig:
        async with one_caller(rig, tmp_path, pause_ms=22_000):
            await until(lambda: any("CTI_VOICEMAIL" in line for line in rig.ledger()), "a message")
            await until(lambda: any(isinstance(fact, f.CallEnded) for fact in told(rig, [])), "the call's end")
        kinds = [type(fact) for fact in told(rig, [])]
        assert kinds == [f.CallStarted, f.SurvivalEntered, f.VoicemailLeft, f.CallEnded]
        (message,) = [fact for fact in told(rig, []) if isinstance(fact, f.VoicemailLeft)]
        assert (rig.paths.voicemail / message.path).is_file()
