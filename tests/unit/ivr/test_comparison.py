"""The difference between two texts of a flow, in words."""

from __future__ import annotations

from cti.ivr.comparison import differences, text_difference

BEFORE = """
# a comment
flow: main
languages: [en]
start: menu
steps:
  menu: {menu: [welcome], tries: 3, choices: {1: {label: One, go: end}, 2: {label: Two, go: old}}}
  old: {say: hello, go: end}
  end: {hang_up: [bye]}
"""
AFTER = """
flow: main
languages: [en, zh]
start: hello
steps:
  hello: {say: hello, go: menu}
  menu:
    menu: [welcome, again]
    choices: {1: {label: First, go: end}, 3: {label: Three, go: hello}}
    barge_in: false
  end: {hang_up: [bye]}
"""


def test_changes_are_told_step_by_step() -> None:
    assert differences(BEFORE, AFTER) == (
        "languages: [en] -> [en, zh]",
        "start: menu -> hello",
        "step hello is new (say)",
        "step menu: menu: [welcome] -> [welcome, again]",
        "step menu: choices.1.label: One -> First",
        "step menu: choices.3 is new: {label: Three, go: hello}",
        "step menu: choices.2 goes: it was {label: Two, go: old}",
        "step menu: barge_in is new: false",
        "step menu: tries goes: it was 3",
        "step old goes",
    )


def test_layout_and_comments_are_no_difference() -> None:
    assert differences(BEFORE, BEFORE.replace("# a comment", "").replace(", ", ",  ")) == ()


def test_what_cannot_be_read_counts_as_empty() -> None:
    assert "step end is new (hang_up)" in differences(": [", AFTER)
    assert "step end goes" in differences(AFTER, "")
    assert differences("[1]", "5") == ()


def test_long_values_are_cut() -> None:
    (line,) = differences("title: short", f"title: {'x' * 500}")
    assert len(line) < 100


def test_as_text() -> None:
    found = text_difference("a\nb\n", "a\nc\n", names=("x 1", "x 2"))
    assert found == "--- x 1\n+++ x 2\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    assert text_difference("a\n", "a\n", names=("x", "y")) == ""
