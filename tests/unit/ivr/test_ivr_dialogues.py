"""Example dialogues beside the flows: those shipped come true, and a wrong one is told."""

from __future__ import annotations

import pytest

from cti.ivr.dialogues import Dialogues, differences, parse_dialogues, play
from cti.ivr.drawing import Traffic, draw, svg
from cti.ivr.effects import Play
from cti.ivr.flow import Flow
from tests.support.flow_corpus import FLOWS, SHIPPED, flow_of, shipped

FILES = sorted((SHIPPED / "dialogues").glob("*.yaml"))
EVERY = [*SHIPPED.glob("*.yaml"), *(FLOWS / "good").glob("*.yaml")]


def dialogues_of(text: str) -> Dialogues:
    read = parse_dialogues(text, "d.yaml")
    assert isinstance(read, Dialogues), "\n".join(map(str, read))
    return read


def test_every_shipped_flow_has_dialogues() -> None:
    flows = {file.stem for file in SHIPPED.glob("*.yaml")} - {"prompts"}
    assert flows == {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_dialogues_come_true(file) -> None:
    read = dialogues_of(file.read_text(encoding="utf-8"))
    flow = shipped(read.flow)
    told = [problem for one in read.dialogues for problem in differences(one, play(flow, one), file.name)]
    assert not told, "\n".join(map(str, told))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("steps: [who.unknown, menu.choice, sales.queued]", "(after 2 as expected) support.queued"),
        (
            "steps: [who.unknown]",
            "(after 1 as expected) menu.choice, support.queued, and (after 1 as expected) nothing",
        ),
        ("heard: [en/goodbye]", "what is heard is en/welcome"),
        ("ends: hang_up", "the end is queue support, and hang_up was expected"),
    ],
)
def test_what_came_out_otherwise_is_told(line: str, told: str) -> None:
    read = dialogues_of(f'flow: simple\ndialogues:\n  - name: One\n    keys: ".1"\n    {line}\n')
    (problem,) = differences(read.dialogues[0], play(shipped("simple"), read.dialogues[0]), "d.yaml")
    assert told in str(problem)
    assert str(problem).startswith("d.yaml:3:5: ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("- a", "1:1"),
        ("flow: main", "1:1"),
        ("flow: main\ndialogues: []", "1:1"),
        ("flow: main\ndialogues: [x]", "2:13"),
        ("flow: main\ndialogues: [{keys: '1'}]", "2:13"),
        ("flow: main\ndialogues: [{name: a, keys: '1x'}]", "2:29"),
        ("flow: main\ndialogues: [{name: a, colour: red}]", "2:23"),
        ("flow: main\ndialogues: [{name: a, customer: rich}]", "2:33"),
        ("flow: main\ndialogues: [{name: a, when: noon}]", "2:29"),
        ("flow: main\ndialogues: [{name: a, heard: [[b]]}]", "2:30"),
        ("flow: main\ndialogues: &x []", "2:12"),
    ],
)
def test_a_file_of_dialogues_that_cannot_be_read_is_told_with_its_place(text: str, place: str) -> None:
    problems = parse_dialogues(text, "d.yaml")
    assert isinstance(problems, list)
    assert str(problems[0]).startswith(f"d.yaml:{place}: "), str(problems[0])


def test_the_world_of_a_dialogue_counts() -> None:
    flow = flow_of(
        "flow: test\nlanguages: [en]\nstart: h\nfailure: q\nsteps:\n"
        "  h: {open_hours: office, open: w, closed: bye}\n"
        "  w: {when: [{if: 'now.hour < 12 and caller.number == \"+15550100\"', go: q}], else: bye}\n"
        "  bye: {hang_up: silently}\n  q: {queue: support}\n"
    )
    read = dialogues_of(
        "flow: test\ndialogues:\n"
        '  - {name: a, number: "+15550100", when: "2026-03-02 09:00", ends: queue support}\n'
        '  - {name: b, number: "+15550100", when: "2026-03-02 13:00", ends: hang_up}\n'
        "  - {name: c, closed: [office], steps: [h.closed, bye.done]}\n"
    )
    assert [differences(one, play(flow, one), "d") for one in read.dialogues] == [[], [], []]


# ---- pictures


@pytest.mark.parametrize("file", [file for file in EVERY if file.name != "prompts.yaml"], ids=lambda file: file.stem)
def test_every_step_is_drawn_once_and_none_over_another(file) -> None:
    flow: Flow = flow_of(file.read_text(encoding="utf-8"), file.stem)
    drawing = draw(flow)
    assert {box.step for box in drawing.boxes} == set(flow.steps)
    places = [(box.x, box.y) for box in drawing.boxes]
    assert len(set(places)) == len(places)
    assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in places)
    assert {(line.of, line.to) for line in drawing.lines} == {
        (step.name, exit_.target.step) for step in flow.steps.values() for exit_ in step.exits()
    }
    picture = svg(drawing)
    assert picture.count('class="step"') == len(flow.steps)
    assert "<script" not in picture


def test_a_picture_with_traffic_says_where_callers_give_up() -> None:
    flow = shipped("simple")
    traffic = Traffic(came={"menu": 40}, left={("menu", "choice", "support"): 30}, gone={"menu": 10})
    assert "40 came, 10 hung up (25%)" in svg(draw(flow), traffic)


def test_words_of_a_flow_are_text_in_its_picture() -> None:
    flow = flow_of(
        "flow: test\ntitle: '<b>&\"'\nlanguages: [en]\nstart: q\nfailure: q\nsteps:\n  q: {queue: support}\n"
    )
    assert "<b>" not in svg(draw(flow))


# ---- what the shipped dialogues cover


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_way_out_of_every_step_is_gone_and_everything_is_said_in_every_language(file) -> None:
    flow = shipped(file.stem)
    gone, said = set[tuple[str, str]](), set[tuple[str, str]]()
    for dialogue in dialogues_of(file.read_text(encoding="utf-8")).dialogues:
        rehearsal = play(flow, dialogue)
        gone |= {(trace.step, trace.exit) for trace in rehearsal.traces if trace.flow == flow.name}
        said |= {
            (turn.state.step, turn.state.scene.language)
            for turn in rehearsal.turns
            if isinstance(turn.effect, Play) and turn.effect.sounds and turn.state.flow.name == flow.name
        }
    steps = flow.steps.values()
    assert {(step.name, way.name) for step in steps for way in step.exits()} - gone == set()
    assert {(step.name, tag) for step in steps if step.spoken() for tag in flow.languages} - said == set()
