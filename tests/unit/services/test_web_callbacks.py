"""Calls asked for on the web: a callback that no call asked for, in the line like any other, once however often it is asked."""

from __future__ import annotations

import pytest

from cti.ids import CallId, CustomerId, QueueName
from cti.model.callback import is_callback
from cti.model.facts import Match, Outcome
from cti.reports.call_record import fold
from cti.services import web_callbacks
from cti.services.floor import Refused
from cti.services.ports import CustomerCard, LookUp
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import centre
from tests.unit.services.test_callback_rules import NUMBER, OTHER, Line

SUPPORT = QueueName("support")


def ask(line: Line, number: str = NUMBER, key: str = "key-1", queue: QueueName = SUPPORT, tier: str = "") -> CallId:
    card = CustomerCard(
        customer_id=CustomerId(7), name="Zoë", tier=tier, language="", phones=(number,), company="", notes=""
    )
    known = LookUp(match=Match.FOUND, cards=(card,)) if tier else LookUp(match=Match.UNKNOWN)
    made = web_callbacks.ask(line.board, number, queue, line.now, key=key, language="en", known=known)
    line.drain()
    return made


def test_it_waits_at_the_end_of_the_line_and_is_called_when_its_turn_comes() -> None:
    line = Line()
    before = line.asked(OTHER)
    line.busy("1001")
    line.busy("1002")
    made = ask(line)
    assert is_callback(made)
    call = line.live(made)
    assert call.absent
    assert (call.caller_number, call.queue, call.language) == (NUMBER, "support", "en")
    assert list(line.board.callbacks) == [before, made]


def test_an_agent_who_is_free_has_the_customer_called_at_once() -> None:
    line = Line()
    line.ready("1001")
    made = ask(line)
    (dialled,) = line.look()
    assert (dialled.call_id, dialled.number, dialled.channel_id) == (made, NUMBER, f"{made}-1")
    line.reached(made)
    assert line.live(made).offered_agent == "1001"
    line.ring(made, "1001")
    line.answer(made, "1001")
    line.hang_up_caller(made)
    line.drain()
    record = fold([fact for fact in line.facts if getattr(fact, "call_id", None) == made])
    assert record.outcome is Outcome.ANSWERED


def test_asked_again_it_is_the_same_one() -> None:
    line = Line()
    made = ask(line)
    assert ask(line) == made
    assert ask(line, key="another key") == made  # the same number waits there already
    assert ask(line, OTHER, key="key-2") != made
    assert len(line.board.callbacks) == 2


def test_the_customers_tier_is_worth_what_it_is_worth_to_callers() -> None:
    line = Line()
    plain, vip = ask(line), ask(line, OTHER, key="key-2", tier="vip")
    assert line.live(plain).head_start == 0
    assert line.live(vip).head_start == 600
    assert line.live(vip).tier == "vip"


@pytest.mark.parametrize(
    ("number", "queue", "why"),
    [("+4400000000", "support", "not_allowed"), ("", "support", "no_number"), (NUMBER, "nowhere", "unknown_queue")],
)
def test_what_cannot_be_is_refused_and_changes_nothing(number: str, queue: str, why: str) -> None:
    line = Line()
    with pytest.raises(Refused) as caught:
        ask(line, number, queue=QueueName(queue))
    assert caught.value.error_id == why
    assert not line.board.callbacks
    line.drain()
    assert not [fact for fact in line.facts if getattr(fact, "call_id", "")]


def test_the_web_cannot_crowd_out_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_callbacks, "MOST_WAITING", 1)
    line = Line()
    ask(line)
    with pytest.raises(Refused, match="too many"):
        ask(line, OTHER, key="key-2")


def test_it_is_there_again_after_a_restart_and_the_key_still_finds_it() -> None:
    line = Line()
    made = ask(line, tier="vip")
    line.drain()
    again = Line()
    again.board = Switchboard(centre(), node=line.board.node, now=line.now)
    again.board.centre = line.board.centre
    again.board.recover(line.facts, line.now)
    assert again.board.calls[made].queue == "support"
    assert web_callbacks.ask(again.board, NUMBER, SUPPORT, line.now, key="key-1") == made
