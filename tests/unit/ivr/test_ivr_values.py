"""Values and texts read out by a flow."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cti.ivr import effects as e
from cti.ivr.checker import check_text
from cti.ivr.flow import Text
from cti.ivr.prompt_book import PromptBook, parse_prompts, with_texts
from cti.ivr.rehearsal import World, rehearse, scripted
from cti.ivr.spoken_values import SaidAs, say_value
from tests.support.flow_corpus import SHIPPED, demo_centre, flow_of, shipped


@pytest.fixture(scope="module")
def book() -> PromptBook:
    read = parse_prompts((SHIPPED / "prompts.yaml").read_text(encoding="utf-8"), "prompts.yaml")
    assert isinstance(read, PromptBook)
    return read


def flow(spoken: str, languages: str = "[en, zh]") -> str:
    return (
        f"flow: test\nlanguages: {languages}\nstart: s\nfailure: q\nsteps:\n"
        f"  s: {{set: {{n: '1 / 4', d: '\"2026-03-05T14:30:00Z\"', c: '\"0042\"'}}, go: say, failure: q}}\n"
        f"  say: {{say: [{spoken}], go: q}}\n  q: {{queue: support}}\n"
    )


@pytest.mark.parametrize(
    ("spoken", "language", "heard"),
    [
        ("{number: n}", "en", ["number_0", "point", "number_2", "number_5"]),
        ("{digits: c}", "zh", ["digit_0", "digit_0", "digit_4", "digit_2"]),
        ("{money: 'n * 8', currency: CNY}", "zh", ["number_2_counted", "money_cny"]),
        ("{money: 'n * 4', currency: USD}", "en", ["number_1", "money_usd_one"]),
        ("{date: d}", "en", ["weekday_4", "month_3", "ordinal_5", "number_20", "number_20", "number_6"]),
        ("{time: d}", "en", ["number_2", "number_30", "pm"]),
    ],
)
def test_values(spoken: str, language: str, heard: list[str], book: PromptBook) -> None:
    text = flow(spoken)
    assert check_text(text, "test.yaml", demo_centre(), book) == []
    said = rehearse(flow_of(text), scripted(""), language=language)
    assert [sound.removeprefix(f"{language}/") for sound in said.heard] == heard


def test_what_cannot_be_said_is_left_out() -> None:
    assert say_value("soon", SaidAs.DATE, "", "en") == ()
    assert say_value("25:00", SaidAs.TIME, "", "en") == ()
    assert say_value(Decimal(10) ** 14, SaidAs.NUMBER, "", "en") == ()
    assert say_value(Decimal(1), SaidAs.NUMBER, "", "fr") == ()
    assert say_value(Decimal("4.50"), SaidAs.DIGITS, "", "fr") == ("digit_4", "digit_5", "digit_0")


@pytest.mark.parametrize(
    ("spoken", "told"),
    [
        ("{number: c}", "this is a text, and a number is needed"),
        ("{date: n}", "this is a number, and a text is needed"),
        ("{money: n}", "money needs a currency"),
        ("{money: n, currency: XXX}", "money needs a currency"),
        ("{number: 'now.hour'}", "the time cannot be read out from here"),
        ("{text: {en: Hello}}", 'not there in "zh"'),
        ("{text: {}}", "needs 1 to 1000 characters"),
        ("{}", "nothing to say"),
        ("{number: nobody}", "not known here"),
    ],
)
def test_what_is_wrong_is_told(spoken: str, told: str, book: PromptBook) -> None:
    problems = check_text(flow(spoken), "test.yaml", demo_centre(), book)
    assert any(told in problem.message for problem in problems), [str(problem) for problem in problems]


def test_a_language_without_grammar_is_told(book: PromptBook) -> None:
    problems = check_text(flow("{number: n}", "[en, fr]"), "test.yaml", demo_centre(), book)
    assert any('cannot be read out in "fr"' in problem.message for problem in problems)


def test_texts_of_a_flow_are_prompts_of_their_own(book: PromptBook) -> None:
    flows = [shipped("order_status")]
    texts = [part for step in flows[0].steps.values() for part in step.spoken() if isinstance(part, Text)]
    assert texts
    built = with_texts(book, flows).prompts
    assert all(built[text.name]["zh"].text == text.texts["zh"] for text in texts)


def test_order_status_reads_the_day_and_the_money() -> None:
    answer = e.ServiceAnswered(status="ok", body={"state": "open", "total": 19.9, "due": ""})
    said = rehearse(shipped("order_status"), scripted("4711#..0"), world=World(services={"order_status": answer}))
    assert "en/money_usd" in said.heard
    assert "en/money_usd_minor" in said.heard
