"""Reading YAML: positions, and texts that mean harm."""

from __future__ import annotations

import pytest

from cti.ivr.document import Listing, Scalar, Table, read_document
from cti.ivr.parser import parse_flow
from cti.ivr.problems import Position, Problem
from cti.ivr.prompt_book import PromptBook, parse_prompts


def test_nodes_know_where_they_stand() -> None:
    node = read_document('a: 1\nb:\n  - x\n  - "no"\n', "f.yaml")
    assert isinstance(node, Table)
    assert node.get("a") == Scalar("1", Position(1, 4))
    assert node.get("b") == Listing((Scalar("x", Position(3, 5)), Scalar("no", Position(4, 5), True)), Position(3, 3))
    assert node.get("c") is None


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000,
        "{a: " * 10_000,
        "- " * 10_000,
        "a: &x [1]\nb: *x",
        "&a [*a]",
        "? [a, b]\n: c",
        "a: \x00",
        "a: \x07",
        "\ud800",
        "%YAML 9.9\n---\na: b",
        "%TAG ! x\n---\na",
        "--- a\n--- b",
        "!!python/object/apply:os.system ['true']",
        "a: 'unclosed",
        "x" * 300_000,
        "",
        "\n\n# only a comment\n",
        "\ufeff",
        "a: |\n  b\n c",
        "? ",
        "a: b: c",
        "@",
        "`",
        "<<: {a: 1}",
        "-",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_hostile_text_is_a_problem_and_soon(text: str) -> None:
    for read in (parse_flow, parse_prompts):
        found = read(text, "flow.yaml")
        assert isinstance(found, list)
        assert found
        assert all(problem.at >= Position(1, 1) for problem in found)


def test_a_control_character_has_its_place() -> None:
    found = read_document("a: b\nc: d\x07e\n", "f.yaml")
    assert isinstance(found, Problem)
    assert found.at == Position(2, 5)


def test_a_manifest() -> None:
    book = parse_prompts("voices: {en: piper:joe}\nprompts:\n  hello:\n    en: >-\n      Good\n      day.\n", "p.yaml")
    assert isinstance(book, PromptBook)
    assert book.prompts["hello"]["en"].text == "Good day."


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("voices: {en: piper:joe}\nprompts:\n  hello: {zh: 你好}\n", "no_voice", 3),
        ("voices: {en: sox:joe}\nprompts:\n  hello: {en: hi}\n", "value", 1),
        ("voices: {en: piper:joe}\nprompts:\n  Hello: {en: hi}\n", "value", 3),
        ("voices: {en: piper:joe}\nprompts:\n  hello: hi\n", "shape", 3),
        ("voices: {en: piper:joe}\nprompts:\n  hello: {en: ''}\n", "value", 3),
        ("voices: {en: piper:joe}\nprompts:\n  ../etc: {en: hi}\n", "value", 3),
        ("voices: {en: piper:joe}\nprompts:\n  hello: {../en: hi}\n", "value", 3),
        ("voices: {en: piper:joe}\n", "missing_field", 1),
        ("voice: {en: piper:joe}\nprompts:\n  hello: {en: hi}\n", "unknown_key", 1),
    ],
)
def test_a_manifest_that_is_wrong(text: str, code: str, line: int) -> None:
    found = parse_prompts(text, "p.yaml")
    assert isinstance(found, list)
    assert (code, line) in [(problem.code, problem.at.line) for problem in found]
