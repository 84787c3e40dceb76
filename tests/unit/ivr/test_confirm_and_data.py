"""Digits that are read back, digits nobody may see, and what agents see with the call."""

from __future__ import annotations

import pytest

from cti.ivr import effects as e
from cti.ivr.checker import check_flow
from cti.ivr.flow import Flow
from cti.ivr.rehearsal import Rehearsal, World, rehearse, scripted
from tests.support.flow_corpus import corpus_flows, corpus_prompts, demo_centre, flow_of

CONFIRMED = (
    "  a: {collect: order, length: {min: 2, max: 4}, as: number, confirm: menu, tries: 2, go: b, no_input: q,"
    " invalid: {say: invalid, go: q}}\n  b: {say: [hours, {digits_of: number}], go: q}\n"
)


def flow(steps: str) -> Flow:
    text = f"flow: test\nlanguages: [en, zh]\nstart: a\nfailure: q\nsteps:\n{steps}  q: {{queue: support}}\n"
    return flow_of(text, "test")


def problems(steps: str) -> list[str]:
    found = check_flow(flow(steps), demo_centre(), corpus_prompts(), corpus_flows())
    return [problem.message for problem in found]


def played(flow: Flow, keys: str) -> Rehearsal:
    return rehearse(flow, scripted(keys), world=World(), language="en")


@pytest.mark.parametrize(
    ("keys", "exits", "read_out"),
    [
        ("12#1", ["a.collected", "b.done", "q.queued"], ["12", "12"]),
        ("12341", ["a.collected", "b.done", "q.queued"], ["1234", "1234"]),
        ("12#234#1", ["a.collected", "b.done", "q.queued"], ["12", "34", "34"]),
        ("12#234#2", ["a.invalid", "q.queued"], ["12", "34"]),
        ("12#....", ["a.no_input", "q.queued"], ["12", "12"]),
        ("12#77", ["a.invalid", "q.queued"], ["12", "12"]),
    ],
)
def test_digits_are_read_back_and_confirmed(keys: str, exits: list[str], read_out: list[str]) -> None:
    said = played(flow(CONFIRMED), keys)
    assert said.exits == exits
    heard = "".join(name.removeprefix("en/digit_") if "digit_" in name else " " for name in said.heard)
    assert heard.split() == read_out


def test_confirmed_digits_are_no_use_of_earlier_ones_and_in_no_repr() -> None:
    assert problems(CONFIRMED) == []
    said = played(flow(CONFIRMED), "4711" + "1")
    assert "4711" not in repr(said.exits)


MASKED = (
    "  a: {collect: order, length: 4, as: pin, mask: yes, go: b, no_input: q, invalid: q}\n"
    "  b: {set: {x: 'last(answer.pin, 2)', y: 'x + \"0\"', fine: 'caller.number'}, go: c, failure: q}\n"
)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("  c: {say: {digits_of: pin}, go: q}\n", 'step "c": "pin" is masked and is read out here'),
        ("  c: {say: {digits: y}, go: q}\n", 'step "c": this reads out what is masked'),
        ("  c: {queue: support, data: {Code: y}}\n", 'step "c": agents would see what is masked'),
    ],
)
def test_what_is_masked_is_neither_heard_nor_seen_nor_is_what_is_made_of_it(step: str, told: str) -> None:
    assert problems(MASKED + step) == [told]
    assert problems(MASKED + "  c: {queue: support, data: {Number: fine}}\n") == []


def test_agents_see_what_the_flow_attached_before_the_call_has_its_place() -> None:
    steps = (
        "  a: {collect: order, length: 2, as: order, go: b, no_input: q, invalid: q}\n"
        "  b: {queue: support, say: welcome, data: {Order: 'answer.order', Evening: 'now.hour >= 18', Odd: '1 / 0'}}\n"
    )
    assert problems(steps) == []
    said = played(flow(steps), "42")
    kinds = [type(effect).__name__ for effect in said.effects]
    assert kinds.index("Attach") < kinds.index("Enqueue")
    (attached,) = [effect for effect in said.effects if isinstance(effect, e.Attach)]
    assert dict(attached.data) == {"Order": "42", "Evening": "no"}
    assert "42" not in repr(attached)
