"""Good flows pass; each bad one gives exactly the problems its first lines expect, at the place they say."""

from __future__ import annotations

import re

import pytest

from cti.ivr.checker import check_text, live
from tests.support.flow_corpus import FLOWS, SCRIPTS, SHIPPED, corpus_flows, corpus_prompts, demo_centre

GOOD = sorted(FLOWS.glob("good/*.yaml"))
BAD = sorted(FLOWS.glob("bad/*.yaml"))


def test_the_corpora_are_there() -> None:
    assert len(GOOD) >= 6
    assert len(BAD) >= 40


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_good_flow_passes(file) -> None:
    assert (
        check_text(
            file.read_text(encoding="utf-8"), file.name, demo_centre(), corpus_prompts(), corpus_flows(), SCRIPTS
        )
        == []
    )


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_flow_is_told_where_and_why(file) -> None:
    text = file.read_text(encoding="utf-8")
    expected = re.findall(r"^# expect: (\d+:\d+ \w+: .+)$", text, re.MULTILINE)
    assert expected, "a bad flow says what is expected of the checker: line:column code: message"
    problems = check_text(text, file.name, demo_centre(), corpus_prompts(), corpus_flows(), SCRIPTS)
    assert [f"{one.at.line}:{one.at.column} {one.code}: {one.message}" for one in problems] == expected
    for problem in problems:
        assert problem.remedy
        assert str(problem).startswith(f"{file.name}:{problem.at.line}:{problem.at.column}: ")


def test_a_warning_keeps_no_flow_from_going_live() -> None:
    text = (FLOWS / "bad" / "unknown_tier.yaml").read_text(encoding="utf-8")
    problems = check_text(text, "unknown_tier.yaml", demo_centre(), corpus_prompts(), corpus_flows(), SCRIPTS)
    assert problems
    assert live(problems)


def test_shipped_flows_fit_one_screen() -> None:
    for file in SHIPPED.glob("*.yaml"):
        if file.name != "prompts.yaml":
            assert len(file.read_text(encoding="utf-8").splitlines()) <= 50, file.name
