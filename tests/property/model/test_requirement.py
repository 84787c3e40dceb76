"""What a call requires, against evaluating the words of it one by one."""

from __future__ import annotations

import random
from typing import TypeAlias

from hypothesis import event, given
from hypothesis import strategies as st

from cti.model.requirement import (
    ANYBODY,
    Requirement,
    RequirementError,
    all_of,
    both,
    either,
    meets,
    parse_requirement,
    relaxed,
    skills_in,
    text_of,
)
from tests.support.centres import SKILLS, requirements
from tests.support.examples import examples

Tree: TypeAlias = tuple[str, int] | tuple[str, "Tree", "Tree"]
HAVE = st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 5), max_size=6)
STEPS = st.dictionaries(st.sampled_from(SKILLS), st.integers(0, 5), max_size=3)
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.tuples(st.sampled_from(SKILLS), st.integers(1, 5)),
    lambda inner: st.tuples(st.sampled_from(("and", "or")), inner, inner),
    max_leaves=7,
)


def written(tree: Tree, rng: random.Random) -> str:
    """The tree as a person might write it."""
    if len(tree) == 2:
        skill, level = tree
        space = rng.choice(("", " "))
        return skill if level == 1 and rng.random() < 0.5 else f"{skill}{space}>={space}{level}"
    word, left, right = tree
    sides = [written(side, rng) for side in (left, right)]
    for place, side in enumerate((left, right)):
        # "and" binds tighter; brackets where they are needed, and sometimes where they are not.
        if (len(side) == 3 and word == "and" and side[0] == "or") or rng.random() < 0.3:
            sides[place] = f"({sides[place]})"
    return f" {word} ".join(sides)


def _read(text: str) -> Requirement | RequirementError:
    try:
        return parse_requirement(text)
    except RequirementError as error:
        return error


def true_of(tree: Tree, have: dict[str, int]) -> bool:
    if len(tree) == 2:
        return have.get(tree[0], 0) >= tree[1]
    word, left, right = tree
    sides = (true_of(left, have), true_of(right, have))
    return all(sides) if word == "and" else any(sides)


@examples(60, nightly=10_000)
@given(TREES, HAVE, st.randoms(use_true_random=False))
def test_what_is_written_is_what_is_asked_for(tree: Tree, have: dict[str, int], rng: random.Random) -> None:
    needed = _read(written(tree, rng))
    if isinstance(needed, RequirementError):
        event("more than may be written")
        assert "multiplies out" in needed.message
    else:
        assert meets(have, needed) == true_of(tree, have)


@examples(60, nightly=10_000)
@given(requirements())
def test_text_reads_back_the_same(needed: Requirement) -> None:
    assert parse_requirement(text_of(needed)) == needed


@examples(60, nightly=10_000)
@given(requirements(), requirements(), HAVE)
def test_both_and_either(one: Requirement, other: Requirement, have: dict[str, int]) -> None:
    assert meets(have, both(one, other)) == (meets(have, one) and meets(have, other))
    assert meets(have, either(one, other)) == (meets(have, one) or meets(have, other))
    assert both(one, other) == both(other, one)
    assert either(one, other) == either(other, one)
    assert both(one, ANYBODY) == one == either(one, one)
    assert either(one, ANYBODY) == ANYBODY


@examples(60, nightly=10_000)
@given(requirements(), STEPS, HAVE)
def test_relaxed_asks_for_no_more_than_the_step(
    needed: Requirement, step: dict[str, int], have: dict[str, int]
) -> None:
    loose = relaxed(needed, step)
    naive = any(
        all(have.get(skill, 0) >= min(level, step.get(skill, level)) for skill, level in alternative)
        for alternative in needed
    )
    assert meets(have, loose) == naive
    assert naive or not meets(have, needed)
    assert skills_in(loose) <= skills_in(needed)
    assert relaxed(loose, step) == loose


@examples(60, nightly=10_000)
@given(st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 5), max_size=4), HAVE)
def test_all_of(skills: dict[str, int], have: dict[str, int]) -> None:
    assert meets(have, all_of(skills)) == all(have.get(skill, 0) >= level for skill, level in skills.items())
    assert all_of(list(skills.items()) * 2) == all_of(skills)


@examples(60, nightly=10_000)
@given(st.text("en zh>=0123456789()and or_", max_size=30))
def test_nothing_written_breaks_the_reader(text: str) -> None:
    needed = _read(text)
    if isinstance(needed, RequirementError):
        assert 1 <= needed.column <= len(text) + 1
        assert needed.message
        assert needed.remedy
    else:
        assert parse_requirement(text_of(needed)) == needed
