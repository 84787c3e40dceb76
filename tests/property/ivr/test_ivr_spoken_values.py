"""Amounts, money, dates and times, read back by independent readers through the texts of the manifest."""

from __future__ import annotations

import re
from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cti.ivr.prompt_book import PromptBook, parse_prompts
from cti.ivr.spoken_values import CURRENCIES, LARGEST_SAID, VALUE_GRAMMARS, value_words
from tests.support.flow_corpus import SHIPPED

BOOK = parse_prompts((SHIPPED / "prompts.yaml").read_text(encoding="utf-8"), "prompts.yaml")
assert isinstance(BOOK, PromptBook)
EN, ZH = VALUE_GRAMMARS["en"], VALUE_GRAMMARS["zh"]
WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = {
    word: (n + 2) * 10
    for n, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])
}
HAN = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"两": 2}


def english(said: tuple[str, ...]) -> str:
    return " ".join(BOOK.prompts[word]["en"].text.rstrip(".,") for word in said)


def chinese(said: tuple[str, ...]) -> str:
    return "".join(BOOK.prompts[word]["zh"].text.rstrip("。") for word in said)


def read_english(text: str) -> Decimal:
    whole, _, decimals = text.removeprefix("minus ").partition(" point ")
    total = group = 0
    for word in whole.split():
        if word in ("thousand", "million", "billion"):
            total, group = total + group * 1000 ** (1 + ["thousand", "million", "billion"].index(word)), 0
        elif word == "hundred":
            group *= 100
        else:
            group += WORDS.index(word) if word in WORDS else TENS[word]
    digits = "".join(str(WORDS.index(word)) for word in decimals.split())
    return Decimal(f"{'-' if text.startswith('minus') else ''}{total + group}.{digits or '0'}")


def read_chinese(text: str) -> Decimal:
    """Sections of 亿 and 万, places within them; every rule of where 零 must and must not stand is checked on the way."""
    whole, _, decimals = text.removeprefix("负").partition("点")
    total, rest = 0, whole
    for unit, size in (("亿", 10**8), ("万", 10**4)):
        if unit in rest:
            section, rest = rest.split(unit)
            total += _section(section, first=total == 0) * size
            if rest:
                value = read_plain(rest)
                assert rest.startswith("零") == (value < size // 10), text
    total += _section(rest, first=total == 0) if rest else 0
    digits = "".join(str(HAN[sign]) for sign in decimals)
    return Decimal(f"{'-' if text.startswith('负') else ''}{total}.{digits or '0'}")


def read_plain(text: str) -> int:
    return int(read_chinese(text.lstrip("零"))) if text.lstrip("零") else 0


def _section(text: str, *, first: bool) -> int:
    assert "零零" not in text
    text = text if text == "零" else text.removeprefix("零")
    if text.startswith("十"):
        assert first, text
        text = "一" + text
    value, digit, before = 0, None, 10_000
    for sign in text:
        if sign in "千百十":
            unit = {"千": 1000, "百": 100, "十": 10}[sign]
            assert unit < before
            assert digit is not None
            value, before, digit = value + digit * unit, unit, None
        elif sign == "零":
            assert digit is None
            if text != "零":
                before = before // 10
            digit = 0 if text == "零" else None
        else:
            digit = HAN[sign]
    assert digit is None or before <= 10 or "零" in text or value == 0, text
    return value + (digit or 0)


amounts = st.decimals(min_value=-(LARGEST_SAID - 1), max_value=LARGEST_SAID - 1, places=4, allow_nan=False)
whole = st.integers(0, int(LARGEST_SAID) - 1)


@given(whole | st.builds(lambda a, b, c: a * 10**b + c, st.integers(0, 99), st.integers(0, 10), st.integers(0, 2000)))
@example(102_030_405)
@example(100_010_000)
def test_whole_numbers(value: int) -> None:
    value %= int(LARGEST_SAID)
    assert read_english(english(EN.amount(Decimal(value)))) == value
    assert read_chinese(chinese(ZH.amount(Decimal(value)))) == value


@given(amounts)
def test_numbers_with_decimals(value: Decimal) -> None:
    assert read_english(english(EN.amount(value))) == value
    assert read_chinese(chinese(ZH.amount(value))) == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2, "二"), (12, "十二"), (110, "一百一十"), (1015, "一千零一十五"), (2002, "两千零二"), (20_000, "两万"),
        (100_005, "十万零五"), (1_000_000, "一百万"), (10_010_000, "一千零一万"), (200_000_000, "两亿"),
        (100_000_001, "一亿零一"), (22_222, "两万两千二百二十二"),
    ],
)  # fmt: skip
def test_mandarin_as_it_is_said(value: int, said: str) -> None:
    assert chinese(ZH.amount(Decimal(value))) == said


@pytest.mark.parametrize(
    ("value", "code", "en", "zh"),
    [
        ("19.90", "USD", "nineteen dollars and ninety cents", "十九美元九十美分"),
        ("1", "USD", "one dollar", "一美元"),
        ("2", "CNY", "two yuan", "两元"),
        ("19.95", "CNY", "nineteen yuan and ninety five fen", "十九元九角五分"),
        ("19.05", "CNY", "nineteen yuan and five fen", "十九元零五分"),
        ("0.20", "CNY", "twenty fen", "两角"),
        ("0.01", "EUR", "one cent", "一欧分"),
        ("-3.005", "EUR", "minus three euros and one cent", "负三欧元一欧分"),
        ("0", "GBP", "zero pounds", "零英镑"),
        ("12.40", "JPY", "twelve yen", "十二日元"),
        ("22", "CNY", "twenty two yuan", "二十二元"),
    ],
)
def test_money(value: str, code: str, en: str, zh: str) -> None:
    assert english(EN.money(Decimal(value), CURRENCIES[code])) == en
    assert chinese(ZH.money(Decimal(value), CURRENCIES[code])) == zh


@pytest.mark.parametrize(
    ("day", "en", "zh"),
    [
        (date(2026, 3, 5), "Thursday March fifth twenty twenty six", "二零二六年三月五日星期四"),
        (date(2000, 12, 31), "Sunday December thirty-first two thousand", "二零零零年十二月三十一日星期日"),
        (date(2005, 2, 20), "Sunday February twentieth two thousand five", "二零零五年二月二十日星期日"),
        (date(1905, 7, 1), "Saturday July first nineteen oh five", "一九零五年七月一日星期六"),
        (date(1900, 1, 1), "Monday January first nineteen hundred", "一九零零年一月一日星期一"),
    ],
)
def test_dates(day: date, en: str, zh: str) -> None:
    assert english(EN.date(day)) == en
    assert chinese(ZH.date(day)) == zh


@pytest.mark.parametrize(
    ("at", "en", "zh"),
    [
        (time(14, 30), "two thirty p.m", "下午两点三十分"),
        (time(9, 5), "nine oh five a.m", "上午九点零五分"),
        (time(0, 0), "twelve a.m", "凌晨零点"),
        (time(12, 0), "twelve p.m", "中午十二点"),
        (time(23, 59), "eleven fifty nine p.m", "晚上十一点五十九分"),
        (time(2, 2), "two oh two a.m", "凌晨两点零二分"),
    ],
)
def test_times_of_day(at: time, en: str, zh: str) -> None:
    assert english(EN.clock(at)) == en
    assert chinese(ZH.clock(at)) == zh


@given(amounts, st.sampled_from(sorted(CURRENCIES)), st.dates(), st.times())
def test_whatever_is_said_is_in_the_manifest(value: Decimal, code: str, day: date, at: time) -> None:
    for language, grammar in VALUE_GRAMMARS.items():
        said = {*grammar.amount(value), *grammar.money(value, CURRENCIES[code]), *grammar.date(day), *grammar.clock(at)}
        assert said <= value_words(language)
        assert all(language in BOOK.prompts[word] for word in said)


def test_every_word_of_a_grammar_has_a_text() -> None:
    for language in VALUE_GRAMMARS:
        missing = {word for word in value_words(language) if language not in BOOK.prompts.get(word, {})}
        assert not missing


def test_too_large_is_refused() -> None:
    for grammar in VALUE_GRAMMARS.values():
        for value in (LARGEST_SAID, -LARGEST_SAID, Decimal("NaN"), Decimal("Infinity")):
            with pytest.raises(ValueError, match="too large"):
                grammar.amount(value)
            with pytest.raises(ValueError, match="too large"):
                grammar.money(value, CURRENCIES["USD"])


def test_regular_words_only() -> None:
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", word) for language in VALUE_GRAMMARS for word in value_words(language))
