"""What is said is read back by independent readers of English and Chinese numerals, through the texts of the manifest."""

from __future__ import annotations

import re

import pytest

from cti.ivr.prompt_book import PromptBook, parse_prompts
from cti.ivr.spoken import GRAMMARS, MOST, WaitRange, words
from tests.support.flow_corpus import SHIPPED

LANGUAGES = tuple(GRAMMARS)
ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
HAN = {sign: value for value, sign in enumerate("零一二三四五六七八九")}


@pytest.fixture(scope="module")
def book() -> PromptBook:
    read = parse_prompts((SHIPPED / "prompts.yaml").read_text(encoding="utf-8"), "prompts.yaml")
    assert isinstance(read, PromptBook)
    return read


def spoken(book: PromptBook, language: str, said: tuple[str, ...]) -> str:
    joint = " " if language == "en" else ""
    return joint.join(book.prompts[name][language].text.rstrip(".。") for name in said)


def read_english(text: str) -> int:
    total = 0
    for word in text.split():
        if word == "hundred":
            total *= 100
        else:
            total += ONES.index(word) if word in ONES else (TENS.index(word) + 2) * 10
    return total


def read_chinese(text: str) -> int:
    """By place: a digit counts once its unit (百, 十, or nothing) is known."""
    assert re.fullmatch("[零一二两三四五六七八九十百]+", text)
    total, digit, last_unit = 0, None, 1000
    for sign in text:
        if sign in "百十":
            unit = 100 if sign == "百" else 10
            assert unit < last_unit
            assert digit is not None or (unit == 10 and total == 0)  # only a leading ten goes without its one
            total += (1 if digit is None else digit) * unit
            digit, last_unit = None, unit
        else:
            assert digit is None or digit == 0
            digit = 2 if sign == "两" else HAN[sign]
    # 一百五 means 150: five after an empty place of ten needs its 零.
    assert digit is None or last_unit != 100 or "零" in text
    return total + (digit or 0)


def read(language: str, text: str) -> int:
    return read_english(text) if language == "en" else read_chinese(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_reads_back_to_itself(book: PromptBook, language: str) -> None:
    said = [spoken(book, language, GRAMMARS[language].number(value)) for value in range(MOST + 1)]
    assert [read(language, text) for text in said] == list(range(MOST + 1))
    assert len(set(said)) == MOST + 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_length_and_place_reads_back_to_itself(book: PromptBook, language: str) -> None:
    grammar = GRAMMARS[language]
    before, after = ("You are number ", " in line") if language == "en" else ("您现在排在第", "位")
    for value in range(MOST + 1):
        minutes = spoken(book, language, grammar.minutes(value))
        unit = "分钟" if language == "zh" else " minute" if value == 1 else " minutes"
        assert minutes.endswith(unit)
        assert read(language, minutes.removesuffix(unit)) == value
        if value > 1:
            place = spoken(book, language, grammar.place(value))
            assert place.startswith(before)
            assert read(language, place.removeprefix(before).removesuffix(after)) == value


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_is_in_the_manifest(book: PromptBook, language: str) -> None:
    assert {name for name in words(language) if language not in book.prompts.get(name, {})} == set()


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "零"), (2, "二"), (10, "十"), (12, "十二"), (22, "二十二"), (100, "一百"), (105, "一百零五"), (110, "一百一十"),
     (115, "一百一十五"), (120, "一百二十"), (202, "二百零二"), (999, "九百九十九")],
)  # fmt: skip
def test_chinese_as_it_is_said(book: PromptBook, value: int, said: str) -> None:
    assert spoken(book, "zh", GRAMMARS["zh"].number(value)) == said


def test_two_is_liang_before_a_measure_word_and_er_in_an_ordinal(book: PromptBook) -> None:
    chinese = GRAMMARS["zh"]
    assert spoken(book, "zh", chinese.minutes(2)) == "两分钟"
    assert spoken(book, "zh", chinese.minutes(12)) == "十二分钟"
    assert spoken(book, "zh", chinese.minutes(22)) == "二十二分钟"
    assert spoken(book, "zh", chinese.place(2)) == "您现在排在第二位"
    assert spoken(book, "zh", chinese.wait(WaitRange(least=2, most=3))) == "预计等待时间两到三分钟"


def test_sentences_in_english(book: PromptBook) -> None:
    def say(least: int, most: int, above: bool = False) -> str:
        return spoken(book, "en", GRAMMARS["en"].wait(WaitRange(least=least, most=most, above=above)))

    assert spoken(book, "en", GRAMMARS["en"].place(1)) == "You are next in line"
    assert spoken(book, "en", GRAMMARS["en"].place(3)) == "You are number three in line"
    assert say(0, 1) == "Your wait should be less than one minute"
    assert say(5, 10) == "Your wait should be between five and ten minutes"
    assert say(2, 2) == "Your wait should be about two minutes"
    assert say(0, 60, above=True) == "Your wait may be more than sixty minutes"


@pytest.mark.parametrize("value", [-1, MOST + 1])
@pytest.mark.parametrize("language", LANGUAGES)
def test_other_numbers_are_refused(language: str, value: int) -> None:
    with pytest.raises(ValueError, match="cannot be said"):
        GRAMMARS[language].number(value)
    with pytest.raises(ValueError, match="cannot be said"):
        GRAMMARS[language].place(value)
