"""A centre written as a file reads back as the same centre, and what differs between two is told whenever it does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from cti.centre_file import parse_centre
from cti.centre_text import text_of_centre
from cti.model.centre import Centre
from cti.model.centre_changes import changes
from tests.support.centres import centres
from tests.support.examples import examples

EXAMPLE = 'name: A\nqueues: {q: {titles: {en: Q}}}\nnumbers: {"5000": {flow: main, survival_queue: q}}\n'


@pytest.mark.parametrize(
    "title", ["?\u013e", "4\x85 5", "- a", "a: b", "#1", " a ", "'", '"', "\u2028", "x #y", "no", "1", "\\n", "[a"]
)
def test_titles_that_yaml_would_take_for_signs(title: str) -> None:
    centre = parse_centre(EXAMPLE, source="centre.yaml")
    (did,) = centre.numbers
    odd = replace(centre, numbers={did: replace(centre.numbers[did], title=title)})
    assert parse_centre(text_of_centre(odd), source="centre.yaml") == odd


@examples(8, nightly=2000)
@given(centres())
def test_what_is_written_reads_back_the_same(centre: Centre) -> None:
    text = text_of_centre(centre)
    again = parse_centre(text, source="centre.yaml")
    assert again == centre
    assert [list(again.agents), list(again.queues), list(again.numbers), list(again.tiers)] == [
        list(centre.agents), list(centre.queues), list(centre.numbers), list(centre.tiers),
    ]  # fmt: skip
    assert text_of_centre(again) == text


@examples(6, nightly=1000)
@given(centres(), centres())
def test_changes_are_told_when_there_are_any_and_only_then(one: Centre, other: Centre) -> None:
    assert changes(one, one) == ()
    lines = changes(one, other)
    assert bool(lines) == (one != other or list(one.agents) != list(other.agents))
    assert all(line and "\n" not in line for line in lines)
    grown = replace(one, queues={**one.queues, **other.queues})
    new = [name for name in grown.queues if name not in one.queues]
    assert [line for line in changes(one, grown) if line.endswith("is new")] == [f"queue {name} is new" for name in new]
