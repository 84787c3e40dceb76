"""call_service: what is sent, what is kept, and every way it can go wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cti.ivr import effects as e
from cti.ivr.dialogues import parse_dialogues, play
from cti.ivr.rehearsal import World, rehearse, scripted
from tests.support.flow_corpus import flow_of

FLOW = flow_of(
    """flow: test
languages: [en]
start: ask
failure: q
steps:
  ask: {collect: [order], length: 4, as: order, go: look, no_input: q, invalid: q}
  look:
    call_service: orders
    say: [welcome]
    send: {order: 'answer.order', hour: 'now.hour', known: 'customer.known'}
    keep: {state: text order.state, total: number order.items.0.price, late: flag late}
    go: which
    not_found: nobody
    failure: q
  which: {when: [{if: 'state == "shipped" and total < 20 and not late', go: bye}], else: q}
  nobody: {hang_up: [goodbye]}
  bye: {hang_up: silently}
  q: {queue: support}
"""
)
GOOD = {"order": {"state": "shipped", "items": [{"price": 19.9}]}, "late": False}


def answered(answer: e.ServiceAnswered | None) -> Any:
    services = {} if answer is None else {"orders": answer}
    return rehearse(FLOW, scripted("1234."), world=World(services=services))


def test_what_is_sent_and_what_is_kept() -> None:
    said = answered(e.ServiceAnswered(status="ok", body=GOOD))
    (asked,) = [effect for effect in said.effects if isinstance(effect, e.CallService)]
    assert asked.values == {"order": "1234", "hour": Decimal(14), "known": False}
    assert said.exits == ["ask.collected", "look.done", "which.case_1", "bye.done"]
    assert "1234" not in repr(asked)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "shipped",
        {},
        {"order": None, "late": False},
        {**GOOD, "late": 1},
        {**GOOD, "order": {"state": "shipped", "items": []}},
        {**GOOD, "order": {"state": ["shipped"], "items": [{"price": 1}]}},
        {**GOOD, "order": {"state": "shipped", "items": [{"price": "cheap"}]}},
        {**GOOD, "order": {"state": "shipped", "items": [{"price": float("nan")}]}},
        {**GOOD, "order": {"state": "shipped", "items": [{"price": 10**40}]}},
        {**GOOD, "order": {"state": "x" * 5000, "items": [{"price": 1}]}},
    ],
)
def test_an_answer_of_another_shape_is_a_failure(body: Any) -> None:
    assert answered(e.ServiceAnswered(status="ok", body=body)).exits[1] == "look.failure"


@pytest.mark.parametrize(
    ("answer", "exit_"),
    [
        (None, "look.failure"),
        (e.ServiceAnswered(status="failed"), "look.failure"),
        (e.ServiceAnswered(status="not_found"), "look.not_found"),
    ],
)
def test_gone_and_not_found_have_their_exits(answer: e.ServiceAnswered | None, exit_: str) -> None:
    assert answered(answer).exits[1] == exit_


def test_dialogues_say_what_services_answer() -> None:
    read = parse_dialogues(
        "flow: test\ndialogues:\n"
        '  - {name: a, keys: "1234.", services: {orders: {order: {state: shipped, items: [{price: "5"}]}, late: false}}}\n'
        '  - {name: b, keys: "1234.", services: {orders: not_found}}\n',
        "d.yaml",
    )
    assert not isinstance(read, list)
    assert [play(FLOW, one).exits[-1] for one in read.dialogues] == ["bye.done", "nobody.done"]
