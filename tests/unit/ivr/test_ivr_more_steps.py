"""Recordings, surveys, callbacks, numbers outside, flows within flows: what the steps ask for and where they lead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cti.ids import FlowName
from cti.ivr import effects as e
from cti.ivr.checker import check_flow
from cti.ivr.flow import Flow, UnexpectedResult
from cti.ivr.interpreter import MAX_DEPTH, advance, come_back, start
from cti.ivr.rehearsal import Rehearsal, World, rehearse, scripted
from cti.model.callback_window import CallbackWindow
from cti.model.facts import Match
from tests.support.flow_corpus import corpus_flows, corpus_prompts, demo_centre, flow_of

MORE = corpus_flows()[FlowName("more_steps")]
OWN = "+15550100001"


def flow(steps: str, *, name: str = "test", languages: str = "[en, zh]") -> Flow:
    return flow_of(
        f"flow: {name}\nlanguages: {languages}\nstart: a\nfailure: q\nsteps:\n{steps}\n  q: {{queue: support}}\n", name
    )


def played(flow: Flow, keys: str = "", **world: object) -> Rehearsal:
    given = replace(World(flows=corpus_flows()), **world)  # type: ignore[arg-type]
    return rehearse(flow, scripted(keys), world=given, language="en")


def test_voicemail_says_its_words_and_sends() -> None:
    said = played(flow("  a: {voicemail: welcome}"), "1")
    assert (said.heard, said.exits, said.ended) == (["en/welcome"], ["a.sent"], "voicemail")
    assert played(flow("  a: {voicemail: silently}")).heard == []


@pytest.mark.parametrize("status", ["recorded", "empty", "failure"])
def test_a_recording_has_three_ways_out(status: str) -> None:
    steps = "  a: {record: welcome, most: 20s, silence: 5s, terminator: any, go: b, empty: c, failure: d}\n"
    steps += "  b: {hang_up: silently}\n  c: {hang_up: silently}\n  d: {hang_up: silently}"
    said = played(flow(steps), recording=status)
    (record,) = [effect for effect in said.effects if isinstance(effect, e.Record)]
    assert (record.most, record.silence, record.terminators) == (
        timedelta(seconds=20),
        timedelta(seconds=5),
        e.ALL_KEYS,
    )
    assert said.exits[0] == f"a.{status}"


SURVEY = flow(
    "  a: {survey: [{name: x, ask: menu, scale: 1-5}, {name: y, ask: hours, scale: 0-2}], again: invalid,"
    " comment: {say: welcome}, go: b, left: c}\n  b: {hang_up: silently}\n  c: {hang_up: silently}"
)


@pytest.mark.parametrize(
    ("keys", "scores", "exit_"),
    [
        ("50", {"x": 5, "y": 0}, "a.done"),
        ("..5..2", {"x": 5, "y": 2}, "a.done"),
        ("653", {"x": 5}, "a.left"),  # six is no score; five is; three is none of the second
        ("5", {"x": 5}, "a.left"),
        ("", {}, "a.left"),
        ("99", {}, "a.left"),
    ],
)
def test_a_survey_keeps_what_was_answered(keys: str, scores: dict[str, int], exit_: str) -> None:
    said = played(SURVEY, keys)
    assert said.scores == scores
    assert said.exits[0] == exit_
    assert [effect.kind for effect in said.effects if isinstance(effect, e.Record)] == ["comment"] * (exit_ == "a.done")


def test_a_survey_says_what_was_wrong_before_it_asks_again() -> None:
    assert played(SURVEY, "95.2").heard == ["en/menu", "en/invalid", "en/menu", "en/hours", "en/welcome"]


CALLBACK = flow(
    "  a: {request_callback: support, say: welcome, confirm: menu, ask: order, tries: 2, go: b, not_possible: c, no_input: d,"
    " invalid: d}\n  b: {say: [{digits_of: callback_number}], go: c}\n  c: {hang_up: silently}\n  d: {hang_up: silently}"
)


def asked(said: Rehearsal) -> list[tuple[str, str | None]]:
    return [(effect.queue, effect.number) for effect in said.effects if isinstance(effect, e.AskCallback)]


def test_the_callers_own_number_is_read_back_and_confirmed() -> None:
    said = played(CALLBACK, ".1", known={"caller.number": OWN})
    digits = [f"en/digit_{digit}" for digit in OWN[1:]]
    assert said.heard == ["en/welcome", *digits, "en/menu", *digits]
    assert asked(said) == [("support", None)]
    assert said.exits == ["a.done", "b.done", "c.done"]


def test_another_number_is_keyed_in_and_read_back() -> None:
    said = played(CALLBACK, "2.5550100077#.1", known={"caller.number": OWN})
    assert asked(said) == [("support", "5550100077")]
    assert said.heard[-10:] == [f"en/digit_{digit}" for digit in "5550100077"]


def test_who_withheld_the_number_keys_one_in() -> None:
    said = played(CALLBACK, "5550100077#1")
    assert said.heard[0] == "en/order"
    assert asked(said) == [("support", "5550100077")]


@pytest.mark.parametrize(
    ("keys", "exit_"),
    [
        ("", "a.no_input"),
        ("33", "a.invalid"),
        ("2123#123#", "a.invalid"),  # no number has three digits
        ("2" + "5550100077#2" * 3, "a.invalid"),  # and not for ever
    ],
)
def test_nobody_talks_about_numbers_for_ever(keys: str, exit_: str) -> None:
    said = played(CALLBACK, keys, known={"caller.number": OWN})
    assert (said.exits[0], asked(said)) == (exit_, [])


def test_a_number_that_cannot_be_called_has_its_exit() -> None:
    assert played(CALLBACK, ".1", known={"caller.number": OWN}, callback=False).exits[0] == "a.not_possible"


def test_keys_of_a_number_are_in_no_repr_and_no_trace() -> None:
    said = played(CALLBACK, "5550199977#1")
    assert "5550199977" not in repr([turn.effect for turn in said.turns]) + repr(said.traces)


TRANSFER = flow(
    '  a: {transfer: {number: "+15550100042"}, say: welcome, busy: b, failure: c}\n'
    "  b: {hang_up: silently}\n  c: {hang_up: silently}"
)


@pytest.mark.parametrize(
    ("world", "way", "ended"),
    [
        ("answered", ["a.sent"], "number +15550100042"),
        ("busy", ["a.busy", "b.done"], "hang_up"),
        ("no_answer", ["a.no_answer", "c.done"], "hang_up"),
        ("failure", ["a.failure", "c.done"], "hang_up"),
    ],
)
def test_a_transfer_comes_back_where_nobody_answers(world: str, way: list[str], ended: str) -> None:
    said = played(TRANSFER, number=world)
    assert (said.exits, said.ended) == (way, ended)


def test_a_transfer_that_cannot_be_is_a_failure() -> None:
    turn = start(TRANSFER, language="en")
    turn = advance(turn.state, e.Heard())
    assert isinstance(turn.effect, e.SendTo)
    assert advance(turn.state, e.Sent(ok=False)).traces[0].exit == "failure"


def test_another_session_takes_the_call_up_where_it_left() -> None:
    turn = come_back(TRANSFER, language="zh", at="a", result=e.NotAnswered(status="busy"))
    assert ([trace.exit for trace in turn.traces], turn.state.scene.language) == (["busy", "done"], "zh")
    # A step that was no transfer (the flow was changed meanwhile) begins.
    other = come_back(SURVEY, language="en", at="a", result=e.NotAnswered(status="busy"))
    assert (other.traces, other.state.step) == ((), "a")


@pytest.mark.parametrize("status", ["done", "failed", "overdue"])
def test_a_script_has_three_ways_out(status: str) -> None:
    steps = "  a: {run_script: check_pin, deadline: 20s, go: b, failed: c, overdue: d}\n"
    said = played(
        flow(steps + "  b: {hang_up: silently}\n  c: {queue: sales}\n  d: {queue: vip}"), scripts={"check_pin": status}
    )
    (ran,) = [effect for effect in said.effects if isinstance(effect, e.RunScript)]
    assert (ran.script, ran.deadline) == ("check_pin", timedelta(seconds=20))
    assert said.exits[0] == f"a.{status}"


def test_a_function_is_asked_as_a_service_is() -> None:
    asks = flow(
        "  a: {python: discount, send: {tier: customer.tier, hour: now.hour}, keep: {percent: number percent}, go: b, failure: c}\n"
        "  b: {when: [{if: 'percent > 10', go: d}], else: c}\n  c: {queue: sales}\n  d: {queue: vip}"
    )
    said = played(asks, functions={"discount": e.ServiceAnswered(status="ok", body={"percent": 15})})
    (call,) = [effect for effect in said.effects if isinstance(effect, e.CallFunction)]
    assert (call.function, dict(call.values), call.deadline) == (
        "discount", {"tier": "", "hour": 14}, timedelta(seconds=2),
    )  # fmt: skip
    assert said.queue == "vip"
    assert played(asks).exits == ["a.failure", "c.queued"]


# ---- flows within flows


def test_a_sub_flow_comes_back_with_a_word() -> None:
    said = played(MORE, "1234.", number="answered", scripts={"check_pin": "overdue"})
    assert said.exits == [
        "who.unknown",
        "ask.collected",
        "read_back.done",
        "known.known",
        "identify.returned",
        "pin.overdue",
        "out.sent",
    ]
    stranger = played(MORE, "")
    assert stranger.exits[-3:] == ["stranger.stranger", "identify.stranger", "message.sent"]


def test_traces_say_which_flow_and_where_a_later_session_begins() -> None:
    said = played(MORE, "1234.")
    told = {trace.step: (trace.flow, trace.resume_at) for trace in said.traces}
    assert told["ask"] == ("identify", "identify")
    assert told["known"] == ("identify", "identify")
    assert told["identify"] == ("more_steps", "")
    gone = played(MORE, "12!").traces[-1]
    assert (gone.step, gone.exit, gone.flow, gone.resume_at) == ("ask", "gone", "identify", "identify")


def test_what_a_sub_flow_learns_of_itself_stays_in_it_and_what_it_learns_of_the_caller_comes_out() -> None:
    said = played(MORE, "", customer=e.LookedUp(match=Match.FOUND, tier="vip", name="Ada"), number="answered")
    scene = said.turns[-1].state.scene
    assert (scene.values["customer.tier"], scene.answers) == ("vip", {})
    inside = [turn.state for turn in said.turns if turn.state.callers]
    assert inside
    assert all(state.flow.name == "identify" for state in inside)


def test_language_and_keys_typed_ahead_go_in_and_come_out() -> None:
    asks = flow(
        "  a: {set_language: zh, go: b}\n  b: {sub_flow: other, go: c}\n"
        "  c: {menu: menu, choices: {7: {label: Seven, go: d}}, no_input: q, invalid: q}\n  d: {hang_up: goodbye}"
    )
    other = flow("  a: {say: welcome, go: b}\n  b: {set_language: en, go: c}\n  c: {return: done}", name="other")
    said = rehearse(asks, scripted("7"), world=World(flows={FlowName("other"): other}), language="en")
    assert said.heard == ["zh/welcome", "en/goodbye"]
    assert said.exits[-2:] == ["c.choice", "d.done"]


def test_a_sub_flow_can_end_the_call_and_fails_by_itself() -> None:
    caller = flow("  a: {sub_flow: other, go: b}\n  b: {hang_up: silently}")
    ends = flow("  a: {queue: sales}", name="other")
    assert rehearse(caller, scripted(""), world=World(flows={FlowName("other"): ends})).ended == "queue sales"
    sums = flow("  a: {say: welcome, go: nowhere}", name="other")
    failed = rehearse(caller, scripted(""), world=World(flows={FlowName("other"): sums}))
    assert (failed.exits, failed.ended) == (["a.failure", "q.queued"], "queue support")
    assert failed.traces[-1].flow == "other"


def test_a_flow_that_is_gone_is_a_failure_of_the_caller() -> None:
    caller = flow("  a: {sub_flow: other, go: b}\n  b: {hang_up: silently}")
    assert rehearse(caller, scripted("")).exits == ["a.failure", "q.queued"]


def test_flows_that_call_one_another_for_ever_come_to_an_end() -> None:
    one = flow("  a: {sub_flow: other, go: b}\n  b: {return: done}")
    other = flow("  a: {sub_flow: test, go: b}\n  b: {return: done}", name="other")
    both = {FlowName("test"): one, FlowName("other"): other}
    said = rehearse(one, scripted(""), world=World(flows=both))
    assert max(len(turn.state.callers) for turn in said.turns) == MAX_DEPTH
    assert said.ended == "queue support"
    for flow_, others in ((one, both), (other, both)):
        assert [problem.code for problem in check_flow(flow_, demo_centre(), corpus_prompts(), others)] == [
            "endless_recursion"
        ]


def test_return_in_the_calls_own_flow_is_its_end() -> None:
    said = played(flow("  a: {return: done}"))
    assert (said.exits, said.ended) == (["a.done"], "hang_up")


@pytest.mark.parametrize("result", [e.CameBack(word="done"), e.Sent(), e.FlowFound(flow=None), e.Done()])
@pytest.mark.parametrize("asking", [SURVEY, CALLBACK, TRANSFER])
def test_a_result_that_does_not_fit_is_refused(asking: Flow, result: e.Result) -> None:
    turn = start(asking, language="en")
    with pytest.raises(UnexpectedResult):
        advance(turn.state, result)


WINDOWS = flow(
    "  a: {request_callback: support, confirm: menu, ask: order, ask_when: hours, tries: 2, go: b, not_possible: c, no_input: d,"
    ' invalid: d, windows: {1: {label: Soon}, 2: {label: Afternoon, from: "13:00", to: "17:00"}}}\n'
    "  b: {say: [{date: callback_day}, {time: callback_time}], go: c}\n  c: {hang_up: silently}\n  d: {hang_up: silently}"
)


@pytest.mark.parametrize(
    ("keys", "window", "label"),
    [
        (".1.2", CallbackWindow(begins=780, ends=1020), "Afternoon"),
        (".11", CallbackWindow(), "Soon"),
        (".191", CallbackWindow(), "Soon"),
    ],
)
def test_a_part_of_the_day_is_chosen_after_the_number(keys: str, window: CallbackWindow, label: str) -> None:
    said = played(WINDOWS, keys, known={"caller.number": OWN})
    (effect,) = [effect for effect in said.effects if isinstance(effect, e.AskCallback)]
    assert (effect.window, effect.number) == (window, None)
    assert said.exits[:2] == ["a.done", "b.done"]
    assert said.traces[0].choice == label
    assert "en/month_3" in said.heard


def test_who_chooses_no_part_of_the_day_is_promised_nothing() -> None:
    for keys, exit_ in ((".1", "a.no_input"), (".133", "a.invalid")):
        said = played(WINDOWS, keys, known={"caller.number": OWN})
        assert (said.exits[0], asked(said)) == (exit_, [])


ENDS = "  busy: {hang_up: silently}\n  away: {hang_up: silently}\n  nobody: {hang_up: silently}\n  failed: {hang_up: silently}"
EXITS = "busy: busy, no_answer: away, unknown: nobody, failure: failed"


@pytest.mark.parametrize("agent", ["answered", "busy", "no_answer", "unknown"])
@pytest.mark.parametrize("whom", ['"1001"', "own"])
def test_a_caller_is_sent_to_an_agent(whom: str, agent: str) -> None:
    said = played(flow(f"  a: {{transfer: {{agent: {whom}}}, say: welcome, {EXITS}}}\n{ENDS}"), ".", agent=agent)
    assert said.exits[0] == f"a.{'sent' if agent == 'answered' else agent}"
    assert said.ended == (f"agent {whom.strip(chr(34))}" if agent == "answered" else "hang_up")


KEYED = flow(
    "  a: {collect: order, length: 4, as: ext, go: to, no_input: failed, invalid: failed}\n"
    f'  to: {{transfer: {{extension: ext, allow: ["1001", "1002"]}}, say: welcome, {EXITS}}}\n{ENDS}'
)


@pytest.mark.parametrize(("keys", "asked_for"), [("1002", ["1002"]), ("1003", []), ("0049", []), ("9110", [])])
def test_only_an_extension_of_the_list_can_be_keyed_in(keys: str, asked_for: list[str]) -> None:
    said = played(KEYED, keys)
    assert [effect.agent for effect in said.effects if isinstance(effect, e.SendToAgent)] == asked_for
    assert said.exits[1] == ("to.sent" if asked_for else "to.unknown")
    assert "1002" not in repr(said.effects)
    assert not any(keys in repr(trace) for trace in said.traces)


def test_who_comes_back_from_an_agent_goes_on_with_what_was_keyed_in() -> None:
    said = played(KEYED, "1002")
    turn = [turn for turn in said.turns if isinstance(turn.effect, e.SendToAgent)][-1]
    back = advance(turn.state, e.NotAnswered(status="no_answer"))
    assert (back.traces[0].exit, back.state.step, back.state.scene.answers) == ("no_answer", "away", {"ext": "1002"})
