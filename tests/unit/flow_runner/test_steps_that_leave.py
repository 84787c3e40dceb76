"""Sessions that record, ask, promise, and send callers away and take them up again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cti.ids import CallId, FlowName
from cti.ivr.checker import live
from cti.model.callback_window import CallbackWindow
from cti.model.centre import VOICEMAIL, Target, TargetKind
from cti.model.facts import MessageRecorded, SurveyAnswered
from cti.services.flow_library import FlowLibrary
from cti.services.flow_runner import FlowRunner
from cti.services.ports import Answered, FlowCall, LegGone, TookDown
from tests.support.flow_corpus import SHIPPED, demo_centre
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
OUT = """flow: out
languages: [en]
start: code
failure: sorry
steps:
  code: {collect: welcome, length: 4, as: code, go: far, no_input: sorry, invalid: sorry}
  far: {transfer: {number: "+15550100042"}, busy: again, failure: sorry}
  again: {say: [not_a_choice, {digits_of: code}], go: sorry}
  sorry: {voicemail: silently}
"""
DIRECT = """flow: direct
languages: [en]
start: code
failure: sorry
steps:
  code: {collect: welcome, length: 4, as: code, go: to, no_input: sorry, invalid: sorry}
  to: {transfer: {agent: "1001"}, busy: again, no_answer: later, failure: sorry}
  again: {say: [not_a_choice, {digits_of: code}], go: later}
  later:
    request_callback: support
    confirm: menu_support
    ask: menu_sales
    ask_when: menu_hours
    windows: {1: {label: Soon}, 2: {label: Afternoon, from: "13:00", to: "17:00"}}
    go: promised
    not_possible: sorry
    no_input: sorry
    invalid: sorry
  promised: {say: [{date: callback_day}, {time: callback_time}], go: bye}
  bye: {hang_up: silently}
  sorry: {voicemail: silently}
"""
CALLS = """flow: calls
languages: [en]
start: inside
failure: bye
steps:
  inside: {sub_flow: identify, go: bye}
  bye: {hang_up: silently}
"""
IDENTIFY = """flow: identify
languages: [en]
start: ask
failure: bye
steps:
  ask: {collect: welcome, length: 4, as: code, go: back, no_input: bye, invalid: bye}
  back: {return: known}
  bye: {hang_up: silently}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> FlowLibrary:
    folder = tmp_path_factory.mktemp("flows")
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    for name, text in (("out", OUT), ("direct", DIRECT), ("calls", CALLS), ("identify", IDENTIFY)):
        (folder / f"{name}.yaml").write_text(text)
    return FlowLibrary.load(folder, demo_centre())


class Session:
    """A runner with a folder for recordings, and one run after the other."""

    def __init__(self, library: FlowLibrary, folder: Path, flow: str) -> None:
        self.clock = TickingClock()
        self.desk = RecordingDesk()
        self.leg = ScriptedLeg("", self.clock)
        self.call = replace(CALL, flow=FlowName(flow))
        self.runner = FlowRunner(self.desk, library, Path("/sounds"), clock=self.clock, recordings=folder)

    async def run(self, keys: str, **call: object) -> str:
        recordings, self.leg = self.leg.recordings, ScriptedLeg(keys, self.clock)
        self.leg.recordings = recordings
        return await self.runner.run(replace(self.call, **call), self.leg)  # type: ignore[arg-type]

    def kept(self) -> list[object]:
        return [value for what, value in self.desk.log if what == "keep"]

    def way(self) -> list[object]:
        return [value for what, value in self.desk.log if what == "step"]


async def test_a_complaint_is_recorded_and_a_callback_promised(library: FlowLibrary, tmp_path: Path) -> None:
    session = Session(library, tmp_path, "complaint")
    assert await session.run("1.1") == "hangup"
    (message,) = session.kept()
    assert isinstance(message, MessageRecorded)
    assert (message.kind, message.path, message.seconds) == ("message", "a1-1.1-complaint-1.wav", 5.0)
    assert (message.flow, message.step) == ("complaint", "complaint")
    assert (tmp_path / message.path).is_file()
    assert ("callback", ("support", None)) in session.desk.log
    assert session.way()[-3:] == ["call_back.done", "promised.done", "bye.done"]


async def test_a_second_recording_never_writes_over_the_first(library: FlowLibrary, tmp_path: Path) -> None:
    session = Session(library, tmp_path, "complaint")
    await session.run("1!")
    await session.run("1.!", resume_at="complaint")
    names = [message.path for message in session.kept()]
    assert names == ["a1-1.1-complaint-1.wav", "a1-1.1-complaint-2.wav"][: len(names)]
    assert len({*tmp_path.iterdir()}) == len(names)


@pytest.mark.parametrize(
    ("outcome", "left", "kept"),
    [
        (TookDown(seconds=1.0), "complaint.empty", 0),
        (TookDown(seconds=0.0, failed=True), "complaint.failure", 0),
        (TookDown(seconds=9.0, gone=True), "complaint.gone", 1),
        (TookDown(seconds=0.5, gone=True), "complaint.gone", 0),
        (LegGone(), "complaint.gone", 1),  # nobody said how long it is: the file does
    ],
)
async def test_what_becomes_of_a_recording(
    library: FlowLibrary, tmp_path: Path, outcome: TookDown | LegGone, left: str, kept: int
) -> None:
    session = Session(library, tmp_path, "complaint")
    session.leg.recordings = [outcome]
    await session.run("1.")
    assert left in session.way()
    assert len(session.kept()) == kept
    assert len(list(tmp_path.iterdir())) == kept


async def test_without_a_folder_nothing_is_recorded_and_the_caller_is_served(
    library: FlowLibrary, tmp_path: Path
) -> None:
    session = Session(library, tmp_path, "complaint")
    session.runner = FlowRunner(session.desk, library, Path("/sounds"), clock=session.clock)
    assert await session.run("1.") == "wait"
    assert "complaint.failure" in session.way()


async def test_scores_are_kept_one_by_one(library: FlowLibrary, tmp_path: Path) -> None:
    session = Session(library, tmp_path, "survey")
    assert await session.run("154.") == "hangup"
    scores = [(kept.question, kept.score) for kept in session.kept() if isinstance(kept, SurveyAnswered)]
    assert scores == [("solved", 5), ("friendly", 4)]
    (comment,) = [kept for kept in session.kept() if isinstance(kept, MessageRecorded)]
    assert comment.kind == "comment"
    early = Session(library, tmp_path, "survey")
    assert await early.run("12!") == "gone"
    assert [kept.score for kept in early.kept() if isinstance(kept, SurveyAnswered)] == [2]


async def test_a_number_where_nobody_answers_leads_back_with_what_was_keyed_in(
    library: FlowLibrary, tmp_path: Path
) -> None:
    session = Session(library, tmp_path, "out")
    assert await session.run("1234") == "elsewhere"
    number = Target(kind=TargetKind.NUMBER, name="+15550100042")
    assert session.desk.log[-2:] == [("send_to", (number, "far")), ("step", "far.sent")]
    assert await session.run("", resume_at="far", returned="busy") == "elsewhere"
    assert session.leg.played == ["/sounds/en/not_a_choice", *(f"/sounds/en/digit_{digit}" for digit in "1234")]
    assert session.way() == ["code.collected", "far.sent", "far.busy", "again.done", "sorry.sent"]
    assert ("send_to", (VOICEMAIL, "")) in session.desk.log


async def test_after_a_restart_the_digits_are_asked_for_again(library: FlowLibrary, tmp_path: Path) -> None:
    session = Session(library, tmp_path, "out")
    assert await session.run("4321", resume_at="far", returned="busy") == "elsewhere"
    assert session.way()[0] == "code.collected"


async def test_a_number_that_may_not_be_dialled_is_a_failure_at_once(library: FlowLibrary, tmp_path: Path) -> None:
    session = Session(library, tmp_path, "out")
    session.desk.possible = False
    await session.run("1234")
    assert "far.failure" in session.way()


async def test_steps_of_a_sub_flow_say_where_a_later_session_begins(library: FlowLibrary, tmp_path: Path) -> None:
    session = Session(library, tmp_path, "calls")
    assert await session.run("1234") == "hangup"
    told = [(step.flow, step.step, step.result, step.next_step, step.resume_at) for step in session.desk.steps]
    assert told == [
        ("identify", "ask", "collected", "back", "inside"),
        ("identify", "back", "known", None, "inside"),
        ("calls", "inside", "returned", "bye", ""),
        ("calls", "bye", "done", None, ""),
    ]


SCRIPTED = """flow: scripted
languages: [en]
start: a
failure: bye
steps:
  a: {run_script: check_pin, deadline: 9s, go: b, failed: bye, overdue: late}
  b: {python: discount, send: {n: '1 + 1'}, keep: {percent: number percent}, deadline: 3s, go: c, not_found: bye, failure: bye}
  c: {say: [{number: percent}], go: bye}
  late: {say: not_a_choice, go: bye}
  bye: {hang_up: silently}
"""


class Answering:
    """Functions that give what a test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, object], float]] = []

    async def call(self, name: str, values: Mapping[str, object], *, deadline: float) -> Answered:
        self.asked.append((name, dict(values), deadline))
        return Answered(status="ok", body={"percent": 7})


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> FlowLibrary:
    folder = tmp_path_factory.mktemp("scripted")
    (folder / "scripted.yaml").write_text(SCRIPTED)
    (folder / "scripts").mkdir()
    (folder / "scripts" / "check_pin.py").write_text("")
    shutil.copy(SHIPPED / "prompts.yaml", folder)
    library, problems = FlowLibrary.check(folder, demo_centre())
    assert library is not None
    assert problems == []
    return library


async def test_a_script_runs_and_a_function_is_called(scripted: FlowLibrary, tmp_path: Path) -> None:
    session = Session(scripted, tmp_path, "scripted")
    functions = Answering()
    session.runner = FlowRunner(session.desk, scripted, Path("/sounds"), clock=session.clock, functions=functions)
    assert await session.run("") == "hangup"
    assert session.leg.scripts == ["check_pin"]
    assert functions.asked == [("discount", {"n": 2}, 3.0)]
    assert session.way() == ["a.done", "b.done", "c.done", "bye.done"]
    alone = Session(scripted, tmp_path, "scripted")
    assert await alone.run("") == "hangup"
    assert alone.way() == ["a.done", "b.failure", "bye.done"]


async def test_who_comes_back_after_a_script_was_overdue_goes_on_behind_it(
    scripted: FlowLibrary, tmp_path: Path
) -> None:
    session = Session(scripted, tmp_path, "scripted")
    session.leg.script_ends = "overdue"
    assert await session.runner.run(session.call, session.leg) == "gone"
    assert session.way() == ["a.overdue", "late.gone"]
    assert session.desk.steps[-1].next_step == "late"


def test_a_flow_goes_down_with_the_one_it_calls_but_not_when_an_earlier_version_lives(tmp_path: Path) -> None:
    for name, text in (("calls", CALLS), ("identify", IDENTIFY.replace("return: known", "return: Known"))):
        (tmp_path / f"{name}.yaml").write_text(text)
    shutil.copy(SHIPPED / "prompts.yaml", tmp_path)
    library, problems = FlowLibrary.check(tmp_path, demo_centre())
    assert library is not None
    assert not live(problems)
    assert [flow.name for flow in library] == []
    (tmp_path / "identify.yaml").write_text(IDENTIFY)
    assert library.reload() == []
    assert {flow.name for flow in library} == {"calls", "identify"}
    (tmp_path / "identify.yaml").write_text(IDENTIFY.replace("queue", "que").replace("length: 4", "length: 99"))
    assert [Path(problem.file).stem for problem in library.reload()] == ["identify"]
    assert library.find(FlowName("nobody")) is None


async def test_who_an_agent_did_not_take_goes_on_with_what_was_keyed_in(library: FlowLibrary, tmp_path: Path) -> None:
    session = Session(library, tmp_path, "direct")
    assert await session.run("4711") == "wait"
    assert ("agent", ("1001", "to")) in session.desk.log
    assert session.way()[-1] == "to.sent"
    assert await session.run(".12", resume_at="to", returned="busy") == "hangup"
    assert session.way()[2:] == ["to.busy", "again.done", "later.done", "promised.done", "bye.done"]
    assert "/sounds/en/digit_7" in session.leg.played
    promised = ("callback", ("support", None, CallbackWindow(begins=780, ends=1020)))
    assert promised in session.desk.log
    assert "/sounds/en/month_3" in session.leg.played, "when the call may come is said"


@pytest.mark.parametrize(
    ("status", "way"), [("busy", "to.busy"), ("no_answer", "to.no_answer"), ("unknown", "to.unknown")]
)
async def test_an_agent_who_cannot_be_asked(library: FlowLibrary, tmp_path: Path, status: str, way: str) -> None:
    session = Session(library, tmp_path, "direct")
    session.desk.agent = status  # type: ignore[assignment]
    session.desk.possible = False
    assert await session.run("4711" + "." * 9) == "elsewhere" or status == "unknown"
    assert way in session.way()
