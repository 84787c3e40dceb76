"""Changing flows: what is refused changes nothing, what is applied is kept for ever, calls stay on what they began with."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cti.centre_file import parse_centre
from cti.cli import app
from cti.errors import ConfigError
from cti.flow_versions import FlowVersions
from cti.ids import CallId, FlowName
from cti.ivr.editions import Action
from cti.ivr.parser import version_of
from cti.live_flows import LiveFlows, open_flows
from cti.model import facts as f
from cti.places import Places
from cti.prompts.build import read_book
from cti.services import desk
from cti.services.flow_changes import FlowConflict, FlowInvalid, UnknownFlow
from cti.services.flow_runner import FlowRunner
from cti.services.ports import FlowCall
from cti.settings import load_settings
from tests.support.floor_rig import BEGIN, FloorRig
from tests.support.flow_fakes import RecordingDesk, ScriptedLeg, TickingClock

MAIN, SUB, TWO = FlowName("main"), FlowName("sub"), FlowName("two")
PROMPTS = """
voices: {en: "piper:joe"}
prompts:
  one: {en: One.}
  two: {en: Two.}
  silent: {en: Nobody has spoken this.}
"""
CENTRE = """
name: T
languages: [en]
queues: {support: {titles: {en: Support}}}
agents: {"1001": {name: Ada, queues: [support]}}
numbers:
  "5000": {flow: main, survival_queue: support}
  "5099": {flow: main, survival_queue: support, draft: true}
"""


def main_text(says: str = "one", *, calls: bool = True) -> str:
    go = "ask" if calls else "end"
    steps = "  ask: {sub_flow: sub, returns: {done: end}, go: end}\n" if calls else ""
    return (
        f"flow: main\nlanguages: [en]\nstart: hello\nfailure: end\nsteps:\n  hello: {{say: {says}, go: {go}}}\n"
        f"{steps}  end: {{hang_up: [one]}}\n"
    )


def sub_text(says: str = "one") -> str:
    return (
        f"flow: sub\nlanguages: [en]\nstart: hello\nfailure: end\nsteps:\n  hello: {{say: {says}, go: back}}\n"
        "  back: {return: done}\n  end: {hang_up: [one]}\n"
    )


BAD = main_text().replace("go: ask", "go: nowhere")


class Desk:
    """A data folder, a folder of flows, and a bridge that can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flows = folder / "flows"
        self.flows.mkdir()
        self.write(main=main_text(), sub=sub_text())
        (self.flows / "prompts.yaml").write_text(PROMPTS)
        (folder / "data" / "prompts" / "en").mkdir(parents=True)
        for name in ("one", "two"):
            (folder / "data" / "prompts" / "en" / f"{name}.ulaw").touch()
        (folder / "data" / "centre.yaml").write_text(CENTRE)
        self.settings = load_settings(
            None, overrides={"data": str(folder / "data"), "flows": str(self.flows)}, environ={}
        )
        self.centre = parse_centre(CENTRE, source="centre.yaml")
        self.clock = TickingClock()
        self.start()

    def write(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.flows / f"{name}.yaml").write_text(text)

    def start(self) -> None:
        """As a bridge does."""
        self.library, self.versions = open_flows(Places(self.settings), self.centre, self.clock)
        self.live = LiveFlows(self.library, self.versions, self.folder / "data" / "prompts", self.clock)

    async def apply(self, by: str = "ann", **texts: str) -> None:
        names = {FlowName(name): text for name, text in texts.items()}
        await self.live.apply(names, expected={name: self.library.version(name) for name in names}, by=by, note="n")

    def log(self) -> list[dict]:
        return [json.loads(line) for line in (self.versions.folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def desk_(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# ---- applying


async def test_a_start_takes_what_nobody_has_heard_of_and_nothing_else(desk_: Desk) -> None:
    assert [(row["action"], row["by"], sorted(row["flows"])) for row in desk_.log()] == [
        ("applied", "", ["main", "sub"])
    ]
    desk_.write(main=main_text("two"), two=main_text().replace("flow: main", "flow: two"))
    desk_.start()
    assert desk_.library.version(MAIN) == version_of(main_text()), "an edited file is not live by a restart"
    assert desk_.library.version(TWO)
    desk_.write(two="flow: two\nnonsense")
    desk_.start()
    assert desk_.library.version(TWO), "half-done work in an editor harms nothing"


async def test_an_apply_is_kept_with_author_time_and_note(desk_: Desk) -> None:
    desk_.clock.seconds = 60
    done = await desk_.live.apply(
        {MAIN: main_text("two")}, expected={MAIN: version_of(main_text())}, by="ann", note="Why"
    )
    assert done.changes == ("step hello: say: one -> two",)
    assert done.edition == 2
    change = desk_.live.standing(MAIN).changes[-1]
    assert (change.by, change.note, change.action, change.at) == ("ann", "Why", Action.APPLIED, desk_.clock.now())
    for version in (version_of(main_text()), version_of(main_text("two"))):
        file = desk_.versions.folder / "main" / f"{version}.yaml"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert version_of(await desk_.live.text(MAIN, version)) == version
    again = await desk_.live.apply({MAIN: main_text("two")}, expected={MAIN: None}, by="bob")
    assert (again.flows, again.edition) == ({}, 2), "the same text again is no change"
    desk_.start()
    assert desk_.library.version(MAIN) == version_of(main_text("two"))


async def test_what_fails_changes_nothing(desk_: Desk) -> None:
    for text, place, said in (
        (BAD, (6, 25), "there is no step"),
        (main_text("unheard_of"), (6, 16), "unheard_of"),
        (main_text("silent"), (6, 16), "there is no sound for en/silent yet"),
        ("flow: main\n  : [", None, ""),
    ):
        with pytest.raises(FlowInvalid) as refused:
            await desk_.apply(main=text)
        problem = refused.value.problems[0]
        assert said in problem.message
        assert problem.file == "main.yaml"
        if place is not None:
            assert (problem.at.line, problem.at.column) == place
    with pytest.raises(FlowInvalid, match="never returns"):
        await desk_.apply(sub=sub_text().replace("return: done", "return: other"))
    assert len(desk_.log()) == 1
    assert desk_.library.version(MAIN) == version_of(main_text())


async def test_words_of_a_refused_flow_are_spoken_by_the_next_build(desk_: Desk) -> None:
    with pytest.raises(FlowInvalid, match="cti prompts build"):
        await desk_.apply(main=main_text('{text: {en: "Mind the gap."}}'))
    book = read_book(desk_.flows / "prompts.yaml", desk_.versions.folder)
    assert "Mind the gap." in {said.text for texts in book.prompts.values() for said in texts.values()}
    assert len(desk_.log()) == 1


async def test_a_language_without_a_prompt_refuses_it(desk_: Desk) -> None:
    with pytest.raises(FlowInvalid, match="zh"):
        await desk_.apply(main=main_text(calls=False).replace("[en]", "[en, zh]"))


async def test_flows_that_need_each_other_go_live_together_or_not_at_all(desk_: Desk) -> None:
    new_main = main_text().replace("returns: {done: end}", "returns: {other: end}")
    new_sub = sub_text().replace("return: done", "return: other")
    with pytest.raises(FlowInvalid):
        await desk_.apply(main=new_main)
    await desk_.apply(main=new_main, sub=new_sub)
    assert sorted(desk_.log()[-1]["flows"]) == ["main", "sub"]


async def test_the_second_of_two_people_is_told(desk_: Desk) -> None:
    seen = desk_.library.version(MAIN)
    await desk_.live.apply({MAIN: main_text("two")}, expected={MAIN: seen}, by="ann")
    with pytest.raises(FlowConflict, match="by ann; this change was made from"):
        await desk_.live.apply({MAIN: main_text(calls=False)}, expected={MAIN: seen}, by="bob")
    with pytest.raises(FlowConflict):
        await desk_.live.roll_back(MAIN, None, expected=seen, by="bob")
    with pytest.raises(FlowConflict):
        await desk_.live.apply({TWO: main_text()}, expected={TWO: seen}, by="bob")


async def test_rolling_back_and_forth(desk_: Desk) -> None:
    first, second = version_of(main_text()), version_of(main_text("two"))
    with pytest.raises(UnknownFlow):
        await desk_.live.roll_back(MAIN, None, expected=first, by="ann")
    await desk_.apply(main=main_text("two"))
    await desk_.live.roll_back(MAIN, None, expected=second, by="ann", note="too long")
    desk_.start()
    assert desk_.library.version(MAIN) == first, "over a restart, though the file says something else"
    await desk_.live.roll_back(MAIN, second, expected=first, by="ann")
    assert desk_.library.version(MAIN) == second
    assert [row["action"] for row in desk_.log()] == ["applied", "applied", "rolled_back", "rolled_back"]
    with pytest.raises(UnknownFlow):
        await desk_.live.roll_back(MAIN, "0123456789ab", expected=second, by="ann")


async def test_removing(desk_: Desk) -> None:
    with pytest.raises(FlowInvalid, match=r"sub|there is no flow"):
        await desk_.live.remove(SUB, expected=None, by="ann")
    with pytest.raises(FlowInvalid, match="the number 5000 leads to it"):
        await desk_.live.remove(MAIN, expected=None, by="ann")
    await desk_.apply(main=main_text(calls=False))
    await desk_.live.remove(SUB, expected=None, by="ann")
    assert desk_.library.find(SUB) is None
    desk_.start()
    assert desk_.library.find(SUB) is None, "its file does not bring it back"
    await desk_.live.roll_back(SUB, None, expected="", by="ann")
    assert desk_.library.find(SUB) is not None


# ---- calls


def arrive(rig: FloorRig, call: str, did: str = "5000") -> FlowCall:
    return desk.caller_arrived(
        rig.board, CallId(call), BEGIN + timedelta(seconds=1), channel=f"PJSIP/{call}", number="+15550100001", did=did
    )


async def heard(desk_: Desk, call: FlowCall) -> list[str]:
    clock = TickingClock()
    leg = ScriptedLeg("....", clock)
    await FlowRunner(RecordingDesk(), desk_.library, Path("/s"), clock=clock).run(call, leg)
    return [Path(sound).name for sound in leg.played]


async def test_a_call_stays_on_its_edition_sub_flows_too_over_a_restart(desk_: Desk) -> None:
    rig = FloorRig(CENTRE)
    rig.board.flows = desk_.library
    old = arrive(rig, "t1-1.1")
    await desk_.apply(main=main_text("two"), sub=sub_text("two"))
    await desk_.apply(main=main_text("two", calls=False))
    await desk_.live.remove(SUB, expected=None, by="ann")
    new = arrive(rig, "t1-2.2")
    assert await heard(desk_, old) == ["one", "one", "one"]
    assert await heard(desk_, new) == ["two", "one"]
    desk_.start()
    again = FloorRig(CENTRE)
    again.board.flows = desk_.library
    again.board.recover([fact for facts in rig.board.history.values() for fact in facts], BEGIN)
    resumed = arrive(again, "t1-1.1")
    assert (resumed.edition, resumed.draft) == (old.edition, False)
    assert await heard(desk_, resumed) == ["one", "one", "one"]
    entered = [fact for fact in again.board.history[CallId("t1-1.1")] if isinstance(fact, f.FlowEntered)]
    assert {fact.version for fact in entered} == {version_of(main_text())}


async def test_a_version_whose_text_is_lost_is_served_by_the_live_one(desk_: Desk) -> None:
    rig = FloorRig(CENTRE)
    rig.board.flows = desk_.library
    old = arrive(rig, "t1-1.1")
    await desk_.apply(main=main_text("two", calls=False))
    desk_.start()
    shutil.rmtree(desk_.versions.folder / "main")
    desk_.write(main=main_text("two", calls=False))
    assert desk_.library.get(MAIN).version == version_of(main_text("two", calls=False))
    assert await heard(desk_, old) == ["two", "one"]


async def test_only_test_numbers_hear_a_draft(desk_: Desk) -> None:
    rig = FloorRig(CENTRE)
    rig.board.flows = desk_.library
    with pytest.raises(FlowInvalid):
        await desk_.live.put_draft(MAIN, BAD, by="ann")
    await desk_.live.put_draft(SUB, sub_text("two"), by="ann")
    test, other = arrive(rig, "t1-1.1", "5099"), arrive(rig, "t1-2.2")
    assert (test.draft, test.flow, other.draft) == (True, MAIN, False)
    assert await heard(desk_, test) == ["one", "two", "one"]
    assert await heard(desk_, other) == ["one", "one", "one"]
    await desk_.live.withdraw(SUB, by="ann")
    assert await heard(desk_, test) == ["one", "two", "one"], "a test call stays on what it began with, too"
    assert await heard(desk_, arrive(rig, "t1-3.3", "5099")) == ["one", "one", "one"]
    # Of a flow that nothing leads to yet, the draft is where a test call begins.
    await desk_.live.put_draft(TWO, sub_text("two").replace("flow: sub", "flow: two"), by="ann")
    begun = arrive(rig, "t1-4.4", "5099")
    assert (begun.flow, await heard(desk_, begun)) == (TWO, ["two"])
    assert desk_.library.find(TWO) is None
    await desk_.apply(two=sub_text("two").replace("flow: sub", "flow: two"))
    assert desk_.live.standing(TWO).draft == "", "what is live is a draft no more"


# ---- the disk


def test_a_torn_line_never_happened(desk_: Desk) -> None:
    log = desk_.versions.folder / "log.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"edition": 2, "at"')
    assert len(FlowVersions(desk_.versions.folder).read()) == 1
    desk_.write(two=main_text().replace("flow: main", "flow: two"))
    desk_.start()
    assert log.read_bytes().startswith(whole)
    assert len(desk_.log()) == 2


def test_a_log_that_is_none_is_told(desk_: Desk) -> None:
    (desk_.versions.folder / "log.jsonl").write_text("nonsense\n")
    with pytest.raises(ConfigError, match=r"log.jsonl:1"):
        desk_.start()


async def test_two_processes_do_not_write_over_each_other(desk_: Desk) -> None:
    mine = desk_.live
    desk_.start()
    await desk_.apply(main=main_text("two"))
    with pytest.raises(ConfigError, match="somebody else"):
        await mine.apply({MAIN: main_text(calls=False)}, expected={MAIN: None}, by="bob")
    assert len(desk_.log()) == 2


# ---- the command line, without a bridge


def test_the_commands(desk_: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTI_FLOWS", str(desk_.flows))
    runner = CliRunner()

    def cti(*words: str, code: int = 0) -> str:
        done = runner.invoke(app, ["flow", *words, "--data", str(desk_.folder / "data")])
        assert done.exit_code == code, done.output
        return done.output or str(done.exception or "")

    shown = cti("show", "main")
    assert shown.startswith(main_text())
    desk_.write(main=main_text("two"))
    assert "step hello: say: one -> two" in cti("diff", "main", code=1)
    assert "dial 5099" in cti("draft", "main", "--note", "try it")
    assert "draft" in cti("log", "main")
    done = cti("apply", "--note", "Shorter", "--by", "ann")
    assert "no bridge of this centre runs" in done
    told = cti("log", "main")
    assert "ann  Shorter  (live)" in told
    mine = desk_.folder / "main.yaml"
    mine.write_text(shown.replace("say: one", "say: [one, two]"))
    assert "this change was made from" in cti("apply", str(mine), code=1)
    mine.write_text(BAD)
    assert f"{mine}:6:25" in cti("apply", str(mine), code=1)
    assert f"main: version {version_of(main_text())}" in cti("rollback", "main")
    assert "step hello: say: one -> two" in cti("diff", "main", "live", version_of(main_text("two")), code=1)
    assert cti("diff", "main", "live", "live").strip() == ""
    assert "nothing changed" in cti("draft", "main", "--off")


def test_times_are_utc(desk_: Desk) -> None:
    assert datetime.fromisoformat(desk_.log()[0]["at"]).tzinfo == UTC
