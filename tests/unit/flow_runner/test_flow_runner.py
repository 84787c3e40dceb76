"""Flow sessions over fakes of the desk and the leg, and the library of flows."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cti.errors import ConfigError
from cti.ids import CallId, CustomerId, FlowName
from cti.ivr.checker import live
from cti.model.centre import Queue, Target, TargetKind
from cti.model.facts import Match
from cti.services.flow_library import FlowLibrary
from cti.services.flow_runner import FlowRunner
from cti.services.ports import CustomerCard, FlowCall, LookUp
from tests.support.flow_corpus import FLOWS, SHIPPED, demo_centre
from tests.support.flow_fakes import RecordingDesk, ScriptedLeg, TickingClock

CALL = FlowCall(
    call_id=CallId("a1-1.1"),
    caller_number="+15550100001",
    did="5000",
    language="en",
    flow=FlowName("main"),
    resume_at=None,
    finished=False,
)
SOUNDS = Path("/sounds/of/this/centre")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> FlowLibrary:
    folder = tmp_path_factory.mktemp("flows")
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    shutil.copy(FLOWS / "runner" / "main.yaml", folder / "main.yaml")
    return FlowLibrary.load(folder, demo_centre())


class Session:
    """One run, and what came of it."""

    def __init__(
        self, library: FlowLibrary, keys: str, call: FlowCall = CALL, desk: RecordingDesk | None = None
    ) -> None:
        self.clock = TickingClock()
        self.desk = desk or RecordingDesk()
        self.leg = ScriptedLeg(keys, self.clock)
        self.call = call
        self.runner = FlowRunner(self.desk, library, SOUNDS, clock=self.clock)

    async def run(self) -> str:
        before = asyncio.all_tasks()
        try:
            return await self.runner.run(self.call, self.leg)
        finally:
            assert asyncio.all_tasks() == before, "a session leaves nothing running"


@pytest.mark.parametrize("keys", ["11", "..1..1", ".1.1"])
async def test_a_caller_gets_into_the_queue(library: FlowLibrary, keys: str) -> None:
    session = Session(library, keys)
    assert await session.run() == "wait"
    assert session.desk.log == [
        ("look_up", "a1-1.1"),
        ("step", "who.unknown"),
        ("language", "en"),
        ("step", "language.chosen"),
        ("step", "menu.choice"),
        ("enqueue", ("support", (), timedelta())),
        ("step", "support.queued"),
    ]
    choice = session.desk.steps[2]
    assert (choice.choice, choice.next_step, choice.verb, choice.flow) == ("Support", "support", "menu", "main")
    assert session.desk.steps[-1].next_step is None


async def test_sounds_are_absolute_paths_without_extension(library: FlowLibrary) -> None:
    session = Session(library, "22")
    await session.run()
    assert session.leg.played[-1] == "/sounds/of/this/centre/zh/connecting_sales"
    assert session.leg.played[0] == "/sounds/of/this/centre/en/welcome"


async def test_steps_carry_their_time(library: FlowLibrary) -> None:
    session = Session(library, "11")
    await session.run()
    assert [step.seconds for step in session.desk.steps] == [0.0, 0.5, 0.5, 0.5]
    assert (session.desk.steps[-1].at - session.clock.now()).total_seconds() == 0


async def test_a_silent_caller_is_served(library: FlowLibrary) -> None:
    session = Session(library, "")
    assert await session.run() == "wait"
    assert ("enqueue", ("support", (), timedelta())) in session.desk.log
    assert ("language", "en") in session.desk.log


@pytest.mark.parametrize("name", ["main", "simple", "support_direct"])
@pytest.mark.parametrize("rest", ["", "1" * 20, ".3" * 20])
async def test_hanging_up_at_every_point(library: FlowLibrary, name: str, rest: str) -> None:
    whole = Session(library, rest, replace(CALL, flow=FlowName(name)))
    assert await whole.run() == "wait"
    script = rest.ljust(whole.leg.operations, ".")
    for at in range(whole.leg.operations):
        session = Session(library, script[:at] + "!", replace(CALL, flow=FlowName(name)))
        assert await session.run() == "gone"
        last = session.desk.steps[-1]
        assert (last.result, last.next_step) == ("gone", last.step)
        assert not any(what == "enqueue" for what, _ in session.desk.log)


@pytest.mark.parametrize("at", range(4))
async def test_a_call_that_ended_meanwhile(library: FlowLibrary, at: int) -> None:
    # The telephone system told the dispatcher of the hang-up before the session heard of it.
    class Ending(RecordingDesk):
        def _say(self, what: str, value: object) -> None:
            self.over = self.over or len(self.log) >= at
            super()._say(what, value)

    assert await Session(library, "11", desk=Ending()).run() == "gone"


async def test_a_failing_desk_ends_the_session_unfinished(library: FlowLibrary) -> None:
    class Full(RecordingDesk):
        def _say(self, what: str, value: object) -> None:
            if what == "step":
                self.fail = OSError("no space on the disk")
            super()._say(what, value)

    with pytest.raises(OSError, match="no space"):
        await Session(library, "11", desk=Full()).run()


async def test_the_steps_are_on_the_disk_before_the_queue(library: FlowLibrary) -> None:
    class Slow(RecordingDesk):
        written = 0

        async def step_done(self, fact) -> None:
            self.steps.append(fact)
            for _ in range(20):
                await asyncio.sleep(0)
            self.written += 1

        async def enqueue(self, *args, **more) -> None:
            assert self.written == len(self.steps) == 3
            await super().enqueue(*args, **more)

    desk = Slow()
    assert await Session(library, "11", desk=desk).run() == "wait"
    assert desk.written == len(desk.steps) == 4


async def test_a_cancelled_session_leaves_nothing_running(library: FlowLibrary) -> None:
    session = Session(library, "1")
    reached = asyncio.Event()

    async def hang(timeout: timedelta) -> None:
        reached.set()
        await asyncio.Event().wait()

    session.leg.digit = hang  # type: ignore[method-assign]
    task = asyncio.create_task(session.run())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_finished_flow_only_sends_on(library: FlowLibrary) -> None:
    session = Session(library, "", replace(CALL, finished=True))
    assert await session.run() == "wait"
    assert session.desk.log == []
    assert session.leg.operations == 0


async def test_resuming_at_a_step(library: FlowLibrary) -> None:
    session = Session(library, "2", replace(CALL, resume_at="menu", language="zh"))
    assert await session.run() == "wait"
    assert session.leg.played[0] == "/sounds/of/this/centre/zh/menu_support"
    assert ("enqueue", ("sales", (), timedelta())) in session.desk.log


@pytest.mark.parametrize(
    ("answer", "exit_"),
    [
        (LookUp(match=Match.UNAVAILABLE), "unavailable"),
        (LookUp(match=Match.SEVERAL), "several"),
        (LookUp(match=Match.WITHHELD), "unknown"),
        (LookUp(match=Match.FOUND), "found"),
    ],
)
async def test_every_answer_of_the_look_up(library: FlowLibrary, answer: LookUp, exit_: str) -> None:
    session = Session(library, "", desk=RecordingDesk(answer))
    assert await session.run() == "wait"
    assert session.desk.log[1] == ("step", f"who.{exit_}")


async def test_a_vip_is_queued_at_once_in_their_language(library: FlowLibrary) -> None:
    card = CustomerCard(
        customer_id=CustomerId(7), name="王芳", tier="vip", language="zh", phones=(), company="", notes=""
    )
    session = Session(library, "", desk=RecordingDesk(LookUp(match=Match.FOUND, cards=(card,))))
    assert await session.run() == "wait"
    assert session.desk.log == [
        ("look_up", "a1-1.1"),
        ("language", "zh"),
        ("step", "who.tier_vip"),
        ("enqueue", ("vip", (), timedelta())),
        ("step", "vip_desk.queued"),
    ]


def folder_with(tmp_path: Path, **flows: str) -> Path:
    (tmp_path / "prompts.yaml").write_text((FLOWS / "prompts.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    for name, text in flows.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


BYE = "flow: bye\nlanguages: [en]\nstart: bye\nfailure: bye\nsteps:\n  bye: {hang_up: [goodbye]}\n"
QUIET = BYE.replace("[goodbye]", "silently")


@pytest.mark.parametrize("kind", [TargetKind.VOICEMAIL, TargetKind.CALLBACK, TargetKind.HANG_UP, TargetKind.NUMBER])
async def test_whom_no_queue_would_have_the_session_sends_elsewhere(library: FlowLibrary, kind: TargetKind) -> None:
    session = Session(library, ".1")
    session.desk.turned_away = [Target(kind=kind)]
    assert await session.run() == "elsewhere"
    assert [what for what, _ in session.desk.log].count("enqueue") == 1


async def test_a_closed_queue_s_flow_goes_on_in_the_same_session_and_language(library: FlowLibrary) -> None:
    session = Session(library, ".21")
    session.desk.turned_away = [Target(kind=TargetKind.FLOW, name="after_hours")]
    assert await session.run() == "hangup"
    assert [Path(sound).name for sound in session.leg.played[-3:]] == ["after_hours", "opening_hours", "goodbye"]
    assert Path(session.leg.played[-1]).parent.name == "zh"
    assert [step.flow for step in session.desk.steps][-2:] == ["after_hours", "after_hours"]
    assert session.desk.log[-1][0] == "finished"


def test_a_queue_that_leads_into_a_flow_that_is_not_there_is_refused(tmp_path: Path) -> None:
    centre = replace(demo_centre(), numbers={})
    with pytest.raises(ConfigError, match="the queue sales sends callers to the flow"):
        FlowLibrary.load(folder_with(tmp_path, bye=BYE), centre)


NO_NUMBERS = replace(
    demo_centre(),
    numbers={},
    queues={name: Queue(name=name, titles=queue.titles) for name, queue in demo_centre().queues.items()},
)
"""Nothing of this centre leads into a flow."""


async def test_a_flow_that_hangs_up(tmp_path: Path) -> None:
    library = FlowLibrary.load(folder_with(tmp_path, bye=BYE), NO_NUMBERS)
    session = Session(library, "", replace(CALL, flow=FlowName("bye")))
    assert await session.run() == "hangup"
    assert session.desk.log == [("step", "bye.done"), ("finished", "a1-1.1")]


async def test_an_unknown_flow_is_raised(library: FlowLibrary) -> None:
    with pytest.raises(ConfigError, match="there is no flow"):
        await Session(library, "", replace(CALL, flow=FlowName("mian"))).run()


def test_versions(tmp_path: Path) -> None:
    library = FlowLibrary.load(folder_with(tmp_path, bye=BYE), NO_NUMBERS)
    first = library.get(FlowName("bye"))
    assert library.version(FlowName("bye")) == first.version
    assert library.version(FlowName("none")) == ""
    assert library.reload() == []
    assert library.get(FlowName("bye")) is first, "the same text is the same version"
    folder_with(tmp_path, bye=QUIET)
    assert library.reload() == []
    second = library.get(FlowName("bye"))
    assert second.version != first.version
    assert library.get(FlowName("bye"), first.version) is first, "calls that began with it stay on it"
    folder_with(tmp_path, bye=QUIET.replace("start: bye", "start: by"))
    assert not live(library.reload())
    assert library.get(FlowName("bye")) is second, "a flow that fails is not taken live"
    with pytest.raises(ConfigError, match="in version 0000"):
        library.get(FlowName("bye"), "0000")


async def test_a_call_stays_on_its_version(tmp_path: Path) -> None:
    hello = "flow: hello\nlanguages: [en]\nstart: a\nfailure: b\nsteps:\n  a: {say: welcome, go: b}\n  b: {hang_up: [goodbye]}\n"
    library = FlowLibrary.load(folder_with(tmp_path, hello=hello), NO_NUMBERS)
    session = Session(library, "", replace(CALL, flow=FlowName("hello")))
    play = session.leg.play

    async def change_and_play(sounds, *, interrupt):
        folder_with(tmp_path, hello=hello.replace("[goodbye]", "[hours]"))
        library.reload()
        return await play(sounds, interrupt=interrupt)

    session.leg.play = change_and_play  # type: ignore[method-assign]
    await session.run()
    assert [Path(sound).name for sound in session.leg.played] == ["welcome", "goodbye"]


def test_a_library_with_faults_is_refused_with_all_of_them(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, bye=BYE.replace("start: bye", "start: by"), two="flow: two\n")
    with pytest.raises(ConfigError) as caught:
        FlowLibrary.load(folder, NO_NUMBERS)
    assert "bye.yaml:3:8: start: there is no step" in str(caught.value)
    assert "two.yaml:1:1:" in str(caught.value)


def test_a_number_without_a_flow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leads to the flow"):
        FlowLibrary.load(folder_with(tmp_path, bye=BYE), demo_centre())


@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), (b"\xff\xfe", "not UTF-8")])
def test_a_manifest_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "prompts.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        FlowLibrary.load(tmp_path, NO_NUMBERS)
