"""Properties of the journal's bytes: what is written is read; a cut file gives a prefix; damage is never a record."""

from __future__ import annotations

import typing
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.journal.codec import Opaque, Position, decode, encode, frame, replay
from cti.model.fact_types import FACT_TYPES
from cti.model.facts import Fact
from tests.support.examples import examples

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20)
ZONES = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001


def values(kind: Any) -> st.SearchStrategy[Any]:
    while hasattr(kind, "__supertype__"):
        kind = kind.__supertype__
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and arguments[1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(values(item) for item in arguments))
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if origin is not None:
        return st.one_of(*(values(item) for item in arguments))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    return {
        str: TEXT,
        datetime: MOMENTS,
        bool: st.booleans(),
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        type(None): st.none(),
    }[kind]


def facts_of(cls: type[Fact]) -> st.SearchStrategy[Fact]:
    hints = typing.get_type_hints(cls)
    return st.fixed_dictionaries({field.name: values(hints[field.name]) for field in fields(cls)}).map(
        lambda given: cls(**given)
    )


FACTS = st.sampled_from(list(FACT_TYPES.values())).flatmap(facts_of)


@pytest.mark.parametrize("cls", FACT_TYPES.values(), ids=FACT_TYPES)
def test_every_kind_of_fact_comes_back(cls: type[Fact]) -> None:
    @examples(20, nightly=2_000)
    @given(facts_of(cls))
    def check(fact: Fact) -> None:
        payload = encode(fact)
        assert decode(payload) == fact
        assert encode(decode(payload)) == payload  # type: ignore[arg-type]

    check()


@given(FACTS, TEXT, st.integers() | TEXT | st.none())
def test_fields_of_a_newer_version_are_ignored(fact: Fact, name: str, value: object) -> None:
    body = orjson.loads(encode(fact))
    if name not in body:
        body[name] = value if not isinstance(value, int) else value % 2**60
    assert decode(orjson.dumps(body)) == fact


@given(st.text(st.characters(), max_size=30))
def test_any_text_is_storable_and_stable(text: str) -> None:
    cls = FACT_TYPES["WrapUpEnded"]
    fact = cls(at=datetime(2026, 1, 1, tzinfo=timezone.utc), call_id="a1-1.1", agent_id="1001", note=text)  # type: ignore[call-arg]  # noqa: UP017
    payload = encode(fact)
    assert b"\\u0000" not in payload or "\\u0000" in text
    again = decode(payload)
    assert isinstance(again, cls)
    assert encode(again) == payload


@given(st.binary(max_size=200) | TEXT.map(str.encode))
def test_reading_never_raises(junk: bytes) -> None:
    decode(junk)
    replay(junk)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
    )
)
def test_strange_values_in_known_facts_are_opaque_or_read(value: object) -> None:
    for name in ("CallStarted", "OfferMade", "CallQueued"):
        result = decode(orjson.dumps({"fact": name, "at": value, "call_id": value, "skills": value}))
        assert isinstance(result, Opaque)
        assert result.name == name


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6), st.data())
def test_a_cut_file_gives_a_prefix(payloads: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(frame(payload) for payload in payloads)
    cut = data.draw(st.integers(0, len(whole)))
    found = replay(whole[:cut], Position(7))
    assert [record.payload for record in found.records] == payloads[: len(found.records)]
    assert [record.position for record in found.records] == list(range(7, 7 + len(found.records)))
    assert whole[: found.good_length] == b"".join(frame(record.payload) for record in found.records)
    if cut == len(whole):
        assert len(found.records) == len(payloads)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6), st.integers(0, 64))
def test_a_tail_of_zeros_is_no_record(payloads: list[bytes], zeros: int) -> None:
    whole = b"".join(frame(payload) for payload in payloads)
    assert replay(whole + bytes(zeros)).good_length == len(whole)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6), st.data())
def test_one_changed_byte_ends_the_reading_there(payloads: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(b"".join(frame(payload) for payload in payloads))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    found = replay(bytes(whole))
    assert found.good_length <= place
    assert [record.payload for record in found.records] == payloads[: len(found.records)]
