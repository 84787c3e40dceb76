"""Dialogues, key by key: what is played, waited for, traced."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.ivr import effects as e
from cti.ivr.flow import UnexpectedResult
from cti.ivr.interpreter import MAX_STEPS, advance, start
from cti.model.facts import Match
from tests.support.flow_corpus import FLOWS, flow_of, shipped, talk

MENU = """
flow: test
languages: [en, zh]
start: hello
failure: support
steps:
  hello: {say: welcome, go: menu}
  menu:
    menu: menu
    choices:
      1: {label: Support, go: support}
      2: {label: Hours, go: hours}
    tries: 2
    first_digit: 4s
    no_input: {say: nothing, go: support}
    invalid: {say: invalid, go: bye}
  hours: {say: hours, go: menu}
  support: {queue: support, say: goodbye, head_start: 90s, skills: {en: 3}}
  bye: {hang_up: goodbye}
"""

COLLECT = """
flow: test
languages: [en]
start: order
failure: bye
steps:
  order:
    collect: order
    length: {min: 2, max: 4}
    as: order_number
    tries: 2
    first_digit: 5s
    inter_digit: 2s
    overall: 5s
    go: back
    no_input: bye
    invalid: {say: invalid, go: bye}
  back: {say: [you_entered, {digits_of: order_number}], go: bye}
  bye: {hang_up: silently}
"""


def test_a_menu_choice_reaches_its_queue() -> None:
    dialogue = talk(flow_of(MENU), "..1")
    assert dialogue.heard == ["en/welcome", "en/menu", "en/goodbye"]
    assert dialogue.exits == ["hello.done", "menu.choice", "support.queued"]
    assert dialogue.traces[1].choice == "Support"
    assert dialogue.effects[-2] == e.Enqueue(queue="support", skills=(("en", 3),), head_start=timedelta(seconds=90))
    assert dialogue.end == e.AwaitAgent()


def test_a_key_stops_the_prompt_of_its_own_question() -> None:
    dialogue = talk(flow_of(MENU), ".1")
    assert dialogue.heard == ["en/welcome", "en/menu", "en/goodbye"]
    assert not any(isinstance(effect, e.AwaitDigit) for effect in dialogue.effects)


def test_a_key_typed_ahead_skips_announcement_and_question() -> None:
    dialogue = talk(flow_of(MENU), "1")
    assert dialogue.heard == ["en/welcome", "en/goodbye"]
    assert dialogue.queue == "support"


def test_a_hash_skips_an_announcement_and_answers_nothing() -> None:
    dialogue = talk(flow_of(MENU), "#.1")
    assert dialogue.heard == ["en/welcome", "en/menu", "en/goodbye"]
    assert dialogue.exits == ["hello.done", "menu.choice", "support.queued"]


def test_silence_and_wrong_keys_have_their_own_count_words_and_exit() -> None:
    silent = talk(flow_of(MENU), "")
    assert silent.heard == ["en/welcome", "en/menu", "en/nothing", "en/menu", "en/goodbye"]
    assert silent.exits[-2:] == ["menu.no_input", "support.queued"]
    wrong = talk(flow_of(MENU), ".99")
    assert wrong.heard == ["en/welcome", "en/menu", "en/invalid", "en/menu", "en/goodbye"]
    assert wrong.exits[-2:] == ["menu.invalid", "bye.done"]
    mixed = talk(flow_of(MENU), ".9..1")
    assert mixed.heard == ["en/welcome", "en/menu", "en/invalid", "en/menu", "en/nothing", "en/menu", "en/goodbye"]
    assert mixed.queue == "support"


def test_the_way_back_to_the_menu() -> None:
    dialogue = talk(flow_of(MENU), ".2.2.1")
    assert dialogue.exits == ["hello.done", "menu.choice", "hours.done", "menu.choice", "hours.done", "menu.choice",
                              "support.queued"]  # fmt: skip


def test_a_caller_who_goes_round_is_served_in_the_end() -> None:
    dialogue = talk(flow_of(MENU), ".2" + ".2" * 5000)
    assert dialogue.queue == "support"
    assert "runaway" in dialogue.exits[-2]
    assert len(dialogue.traces) == MAX_STEPS + 1


@pytest.mark.parametrize("at", range(7))
def test_hanging_up_is_an_outcome_at_every_point(at: int) -> None:
    dialogue = talk(flow_of(MENU), "." * at + "!")
    if at < 5:
        assert dialogue.end == e.LeaveFlow()
        last = dialogue.traces[-1]
        assert (last.exit, last.next_step) == ("gone", last.step), "a resumed session takes the step up again"
        with pytest.raises(UnexpectedResult):
            advance(dialogue.turns[-1].state, e.Done())


def test_gone_while_queueing_and_looking_up() -> None:
    for text in (MENU, (FLOWS / "good" / "everything.yaml").read_text(encoding="utf-8")):
        flow = flow_of(text, "test" if text == MENU else "everything")
        turn = start(flow, language="en", at="support" if text == MENU else "who")
        while isinstance(turn.effect, e.Play):
            turn = advance(turn.state, e.Heard())
        assert advance(turn.state, e.Gone()).effect == e.LeaveFlow()


def test_collecting_ends_at_the_longest_length() -> None:
    dialogue = talk(flow_of(COLLECT), "1234")
    assert dialogue.heard == ["en/order", "en/you_entered", "en/digit_1", "en/digit_2", "en/digit_3", "en/digit_4"]


@pytest.mark.parametrize("keys", ["12#", "12.", ".1.12#"])
def test_collecting_ends_at_the_terminator_or_in_silence(keys: str) -> None:
    dialogue = talk(flow_of(COLLECT), keys)
    assert dialogue.heard[-2:] == ["en/digit_1", "en/digit_2"]


@pytest.mark.parametrize(
    ("keys", "exits"),
    [
        ("1#1#", ["order.invalid", "bye.done"]),
        ("1.1.", ["order.invalid", "bye.done"]),
        ("1*1*", ["order.invalid", "bye.done"]),
        ("##", ["order.invalid", "bye.done"]),
        ("....", ["order.no_input", "bye.done"]),
        ("1#..12#", ["order.collected", "back.done", "bye.done"]),
    ],
)
def test_collecting_gone_wrong(keys: str, exits: list[str]) -> None:
    assert talk(flow_of(COLLECT), keys).exits == exits


def test_the_overall_time_bounds_a_slow_entry() -> None:
    dialogue = talk(flow_of(COLLECT), "123", pace=timedelta(seconds=2))
    waits = [effect.timeout.total_seconds() for effect in dialogue.effects if isinstance(effect, e.AwaitDigit)]
    assert waits == [2, 2, 1], "five seconds for the entry, two of them for each further key"
    assert dialogue.heard[-1] == "en/digit_3"


def test_no_key_is_visible_in_states_effects_and_traces() -> None:
    dialogue = talk(flow_of(COLLECT), "9876")
    for shown in (repr(dialogue.turns), repr(dialogue.effects), repr(dialogue.traces)):
        assert "9876" not in shown
        assert "digit_" not in shown
    assert "9" not in repr([e.Heard(digit="9"), e.Key(digit="9")])


@pytest.fixture
def everything():
    return flow_of((FLOWS / "good" / "everything.yaml").read_text(encoding="utf-8"), "everything")


@pytest.mark.parametrize(
    ("customer", "first_exit", "language"),
    [
        (e.LookedUp(match=Match.FOUND, tier="regular", language="zh"), "who.found", "zh"),
        (e.LookedUp(match=Match.FOUND, tier="vip", language="zh"), "who.tier_vip", "zh"),
        (e.LookedUp(match=Match.FOUND, tier="gold", language="fr"), "who.tier_gold", "en"),
        (e.LookedUp(match=Match.FOUND), "who.found", "en"),
        (e.LookedUp(match=Match.SEVERAL), "who.several", "en"),
        (e.LookedUp(match=Match.UNKNOWN), "who.unknown", "en"),
        (e.LookedUp(match=Match.WITHHELD), "who.withheld", "en"),
        (e.LookedUp(match=Match.UNAVAILABLE), "who.unavailable", "en"),
    ],
)
def test_a_look_up_leaves_by_what_it_found(everything, customer, first_exit, language) -> None:
    dialogue = talk(everything, "", customer=customer)
    assert dialogue.exits[0] == first_exit
    assert dialogue.language == language
    chosen = [effect.language for effect in dialogue.effects if isinstance(effect, e.ChooseLanguage)]
    asked = customer.match in (Match.SEVERAL, Match.UNKNOWN, Match.WITHHELD)
    assert chosen == (["en"] if asked else [language] * (customer.language == "zh"))


@pytest.mark.parametrize("match", Match)
def test_a_look_up_leaves_only_by_exits_it_has(match: Match) -> None:
    step = shipped("main").steps["who"]
    dialogue = talk(shipped("main"), "", customer=e.LookedUp(match=match))
    assert dialogue.exits[0].removeprefix("who.") in {exit_.name for exit_ in step.exits()}


def test_the_language_chosen_is_spoken_from_there_on(everything) -> None:
    dialogue = talk(everything, ".20")
    assert dialogue.heard == ["en/language", "zh/language", "zh/welcome", "zh/menu", "zh/goodbye"]
    assert e.ChooseLanguage(language="zh") in dialogue.effects


def test_a_question_without_barge_in_plays_to_its_end(everything) -> None:
    turn = start(everything, language="en", at="language")
    assert isinstance(turn.effect, e.Play)
    assert turn.effect.interrupt == ""


def test_a_wrong_key_drops_what_was_typed_behind_it() -> None:
    turn = start(flow_of(MENU), language="en", at="menu")
    assert isinstance(turn.effect, e.Play)
    turn = advance(turn.state, e.Heard(digit="9"))
    assert [sound.name for sound in turn.effect.sounds] == ["invalid", "menu"]
    assert turn.state.scene.typed == ""


def test_a_session_resumes_at_a_step_in_its_language() -> None:
    dialogue = talk(flow_of(MENU), "1", language="zh", at="menu")
    assert dialogue.heard == ["zh/menu", "zh/goodbye"]


def test_a_step_this_version_does_not_have_means_the_beginning() -> None:
    assert start(flow_of(MENU), language="en", at="gone").state.step == "hello"


def test_a_language_the_flow_does_not_speak() -> None:
    assert start(flow_of(MENU), language="fr").state.scene.language == "en"


@pytest.mark.parametrize(
    ("step", "result"),
    [
        ("hello", e.Done()),
        ("menu", e.LookedUp(match=Match.FOUND)),
        ("menu", e.Done()),
        ("support", e.Silence()),
        ("bye", e.Key(digit="1")),
    ],
)
def test_a_result_that_fits_no_effect_is_a_fault_of_the_program(step: str, result: e.Result) -> None:
    with pytest.raises(UnexpectedResult):
        advance(start(flow_of(MENU), language="en", at=step).state, result)
