"""set, when, open_hours: what a flow can decide by itself."""

from __future__ import annotations

import pytest

from cti.ivr import effects as e
from cti.ivr.interpreter import start
from cti.model.facts import Match
from tests.support.flow_corpus import FLOWS, flow_of, talk

CONDITIONS = flow_of((FLOWS / "good" / "conditions.yaml").read_text(encoding="utf-8"), "conditions")
HOURS = flow_of(
    "flow: test\nlanguages: [en]\nstart: h\nfailure: q\nsteps:\n"
    "  h: {open_hours: office, open: q, closed: bye}\n  bye: {hang_up: silently}\n  q: {queue: support}\n"
)


@pytest.mark.parametrize(
    ("keys", "tier", "exits"),
    [
        ("", "vip", ["who.found", "which.case_1", "support.queued"]),
        (".60#", "gold", ["who.found", "which.else", "ask.collected", "reckon.done", "decide.case_1", "goodbye.done"]),
        (".61#", "gold", ["who.found", "which.else", "ask.collected", "reckon.done", "decide.else", "support.queued"]),
    ],
)
def test_conditions_lead_the_way(keys: str, tier: str, exits: list[str]) -> None:
    said = talk(CONDITIONS, keys, customer=e.LookedUp(match=Match.FOUND, tier=tier))
    assert said.exits == exits


def test_what_cannot_be_computed_takes_the_exit_of_failure() -> None:
    flow = flow_of(
        "flow: test\nlanguages: [en]\nstart: s\nfailure: q\nsteps:\n"
        "  s: {set: {x: 'number(caller.number)'}, go: bye, failure: q}\n"
        "  bye: {hang_up: silently}\n  q: {queue: support}\n"
    )
    assert talk(flow).exits == ["s.failure", "q.queued"]


@pytest.mark.parametrize(("open_now", "last"), [(True, "h.open"), (False, "h.closed")])
def test_hours(open_now: bool, last: str) -> None:
    assert talk(HOURS, open_now=open_now).exits[0] == last


def test_after_a_restart_a_caller_is_asked_again_for_what_is_kept_nowhere() -> None:
    assert start(CONDITIONS, language="en", at="decide").state.step == "who"
    assert start(CONDITIONS, language="en", at="ask").state.step == "ask"


def test_digits_are_in_no_repr_of_a_turn() -> None:
    said = talk(CONDITIONS, ".987654#", customer=e.LookedUp(match=Match.UNKNOWN))
    assert "987654" not in repr(said.turns) + repr(said.traces)
