"""Numbers as people and telephones write them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cti.crm.demo import customers
from cti.crm.numbers import normalise, phone


@pytest.mark.parametrize(
    "raw",
    [
        "+15550100001", "15550100001", "5550100001", "(555) 010-0001", "+1 (555) 010-0001", "0015550100001",
        "001 555 010 0001", "011 1 555 010 0001", "tel:+1-555-010-0001", "sip:+15550100001@carrier.example",
        " +1.555.010.0001 ", "+１５５５０１００００１", "+1 555 010 0001 ext. 5",
    ],
)  # fmt: skip
def test_every_way_of_writing_it_is_one_number(raw: str) -> None:
    assert normalise(raw, "US") == "+15550100001"
    found = phone(raw, "US")
    assert found is not None
    assert (found.number, found.raw) == ("+15550100001", raw)


@pytest.mark.parametrize(
    ("raw", "region", "number"),
    [
        ("030 1234567", "DE", "+49301234567"),
        ("0049 30 1234567", "US", "+49301234567"),
        ("+44 (0) 20 7946 0000", "US", "+442079460000"),
        ("138 0013 8000", "CN", "+8613800138000"),
        ("010-12345678", "CN", "+861012345678"),
        ("1001", "US", "1001"),
        ("911", "US", "911"),
        ("123456", "DE", "123456"),
        ("00", "US", "00"),
        ("?ep**00:", "US", "00"),
        ("0ext\uff10", "US", "00"),
        ("+999123456789", "US", "+999123456789"),
        ("99999999999999999999", "US", "99999999999999999999"),
    ],
)
def test_regions_and_oddities(raw: str, region: str, number: str) -> None:
    assert normalise(raw, region) == number


@pytest.mark.parametrize("raw", [None, "", "  ", "anonymous", "+", "unknown"])
def test_no_number_is_none(raw: str | None) -> None:
    assert normalise(raw, "US") is None
    assert raw is None or phone(raw, "US") is None


@given(st.text(max_size=30) | st.text("+0123456789 -()", max_size=24), st.sampled_from(["US", "DE", "CN", "GB"]))
def test_never_raises_and_gives_only_a_plus_and_digits(raw: str, region: str) -> None:
    number = normalise(raw, region)
    assert number is None or number.removeprefix("+").isascii()
    assert number is None or number.removeprefix("+").isdigit()


@example("+1110000000000", "US")
@given(st.from_regex(r"\+[1-9][0-9]{7,13}", fullmatch=True), st.sampled_from(["US", "DE", "CN", "GB"]))
def test_a_normal_form_stays_what_it_is(raw: str, region: str) -> None:
    once = normalise(raw, region)
    assert once is not None
    assert normalise(once, region) == normalise(once, "US") == once


def test_the_demo_file_has_who_the_tests_and_the_panel_name() -> None:
    people = customers()
    assert 55 <= len(people) <= 65
    by_number: dict[str | None, list[str]] = {}
    for one in people:
        for raw in one.phones:
            by_number.setdefault(normalise(raw, "US"), []).append(one.name)
    assert by_number["+15550100001"] == ["Zoë Chen"]
    assert len(by_number["+15550100004"]) == 2
    assert {number: names for number, names in by_number.items() if len(names) > 1}.keys() == {"+15550100004"}
    assert {one.tier for one in people} == {"vip", "gold", "silver", "regular"}
    assert {one.language for one in people} == {"en", "zh"}
    assert (people[0].tier, people[0].language) == ("vip", "en")
    assert people[1].tier == "regular"
    assert people[2].language == "zh"
    assert len({one.reference for one in people}) == len(people)


def test_a_sign_that_no_number_has_makes_it_no_other_number() -> None:
    # Found by fuzzing: the reader gave up at the cent sign, and the digits alone were read as another number.
    read = normalise("0\xa24930125) 555-010", "US")
    assert read is not None
    assert normalise(read, "US") == read
