"""A new configuration under a running floor: nobody is dropped, nobody's place changes, what is gone retires."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.centre_file import parse_centre
from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model.call import CallState
from cti.model.centre import Centre
from cti.model.facts import AgentState
from cti.services import agents, live_centre
from cti.services.rows import Rows
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import BEGIN, CENTRE_TEXT, FloorRig

ADA, BO, CY = AgentId("1001"), AgentId("1002"), AgentId("1003")
SUPPORT, SALES = QueueName("support"), QueueName("sales")
WITHOUT_SALES = """
name: Test centre
numbers:
  "5000": {flow: main, survival_queue: support}
queues:
  support: {titles: {en: Support}, wrap_up: 10, ring_timeout: 15, dispositions: [resolved, other]}
tiers:
  vip: {head_start: 600}
agents:
  "1001": {name: Ada, queues: [support]}
  "1002": {name: Bo, queues: [support]}
"""


def centre_of(text: str = CENTRE_TEXT, *swaps: tuple[str, str]) -> Centre:
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    return parse_centre(text, source="new.yaml")


class Rig(FloorRig):
    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows(self.board)
        self.rows.change(self.now)

    def apply(self, text: str = CENTRE_TEXT, *swaps: tuple[str, str]) -> tuple[str, ...]:
        told = live_centre.configure(self.board, centre_of(text, *swaps), self.now, version="v", by="sue")
        self.drain()
        return told

    def settle(self, seconds: float = 2) -> bool:
        self.pass_time(seconds)
        done = live_centre.settle(self.board, self.now)
        self.drain()
        return done

    def line(self, queue: QueueName = SUPPORT) -> list[CallId]:
        return [ticket.call_id for ticket in self.board.engine.waiting(queue)]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_places_stay_and_a_new_agent_takes_the_next_in_line(rig: Rig) -> None:
    first = rig.call()
    rig.queue(first)
    rig.pass_time(5)
    vip = rig.call(tier="vip")
    rig.queue(vip)
    rig.pass_time(5)
    last = rig.call()
    rig.queue(last)
    before = rig.line()
    assert before == [vip, first, last]
    told = rig.apply(CENTRE_TEXT + '  "1003": {name: Cy, queues: [support]}\n')
    assert told == ("agent 1003 is new: Cy, support",)
    assert rig.line() == before
    (fact,) = rig.of(f.CentreApplied)
    assert isinstance(fact, f.CentreApplied)
    assert (fact.version, fact.by, fact.changes) == ("v", "sue", told)
    change = rig.rows.change(rig.now)
    assert change is not None
    assert set(change.agents) >= {CY}
    rig.ready("1003")
    assert rig.delivered() == [(vip, CY)]


def test_a_call_in_talk_and_its_wrap_up_survive_with_the_new_settings(rig: Rig) -> None:
    rig.ready("1001")
    call = rig.call()
    rig.queue(call)
    rig.ring(call, "1001")
    rig.answer(call, "1001")
    rig.apply(CENTRE_TEXT, ("wrap_up: 10", "wrap_up: 25"))
    assert rig.live(call).state is CallState.TALKING
    rig.hang_up_caller(call)
    assert rig.board.wrap_until[ADA] == rig.now + timedelta(seconds=25)


def test_the_moment_of_the_change_is_since_when_the_live_figures_judge_by_it(rig: Rig) -> None:
    rig.pass_time(17.5)
    rig.apply(CENTRE_TEXT, ("wrap_up: 10", "wrap_up: 10, service_level: 40"))
    assert rig.board.tally.ruled_since() == {SUPPORT: rig.now}


def test_an_offer_goes_on_when_its_queue_and_agent_are_taken_out(rig: Rig) -> None:
    rig.ready("1001")
    call = rig.call()
    rig.queue(call, "sales")
    rig.ring(call, "1001")
    told = rig.apply(WITHOUT_SALES, ('  "1001": {name: Ada, queues: [support]}\n', ""))
    assert "queue sales goes: 1 caller waits in it and stays" in told
    assert "agent 1001 goes: the call goes on" in told
    rig.answer(call, "1001")
    assert rig.live(call).agent_id == ADA
    assert not rig.settle()
    rig.hang_up_caller(call)
    rig.settle()
    # The work after the call is theirs to finish; then nothing of them is left.
    rig.pass_time(60)
    rig.settle()
    assert ADA not in rig.board.agents
    assert rig.board.centre is rig.board.configured
    change = rig.rows.change(rig.now)
    assert change is not None
    assert (change.agents_gone, change.queues_gone) == ((ADA,), (SALES,))
    view = rig.rows.view(rig.now)
    assert (set(view.agents), set(view.queues)) == ({BO}, {SUPPORT})


def test_a_removed_queue_is_served_by_its_agents_until_its_last_caller_has_gone(rig: Rig) -> None:
    calls = [rig.call() for _ in range(2)]
    for call in calls:
        rig.queue(call, "sales")
        rig.pass_time(1)
    told = rig.apply(WITHOUT_SALES)
    assert "queue sales goes: 2 callers wait in it and stay" in told
    assert "agent 1001: queues support, sales -> support" in told
    assert rig.line(SALES) == calls
    rig.ready("1002")  # never served sales
    assert rig.delivered() == []
    rig.ready("1001")
    assert rig.delivered() == [(calls[0], ADA)]
    rig.hang_up_caller(calls[0])
    assert not rig.settle()
    rig.hang_up_caller(calls[1])
    assert rig.settle()
    assert SALES not in rig.board.centre.queues
    assert rig.board.engine.waiting(SALES) == ()


def test_when_nobody_of_a_removed_queue_is_left_everybody_serves_it(rig: Rig) -> None:
    call = rig.call()
    rig.queue(call, "sales")
    rig.apply(WITHOUT_SALES, ('  "1001": {name: Ada, queues: [support]}\n', ""))
    rig.ready("1002")
    assert rig.delivered() == [(call, BO)]


def test_who_was_in_the_menu_still_gets_to_a_queue_that_was_taken_out(rig: Rig) -> None:
    call = rig.call()
    rig.apply(WITHOUT_SALES)
    assert not rig.settle()
    rig.queue(call, "sales")
    assert rig.line(SALES) == [call]
    rig.hang_up_caller(call)
    assert rig.settle()


def test_an_idle_agent_who_is_removed_goes_at_once_and_comes_back_as_new(rig: Rig) -> None:
    rig.ready("1002")
    told = rig.apply(CENTRE_TEXT, ('  "1002": {name: Bo, queues: [support]}\n', ""))
    assert told == ("agent 1002 goes",)
    assert BO not in rig.board.agents
    fact = rig.of(f.AgentChanged)[-1]
    assert isinstance(fact, f.AgentChanged)
    assert (fact.state, fact.reason, fact.by) == (AgentState.OFFLINE, "removed", "sue")
    call = rig.call()
    rig.queue(call)
    assert rig.delivered() == []
    rig.apply()
    assert rig.board.agents[BO].state is AgentState.OFFLINE
    change = rig.rows.change(rig.now)
    assert change is not None
    assert change.agents_gone == ()
    rig.ready("1002")
    assert rig.delivered() == [(call, BO)]


def test_a_free_agent_who_now_serves_the_queue_takes_its_caller_at_once(rig: Rig) -> None:
    rig.ready("1002")
    call = rig.call()
    rig.queue(call, "sales")
    rig.apply(CENTRE_TEXT, ("name: Bo, queues: [support]", "name: Bo, queues: [support, sales]"))
    assert rig.delivered() == [(call, BO)]


def test_nothing_changed_changes_nothing(rig: Rig) -> None:
    call = rig.call()
    rig.queue(call)
    assert rig.apply() == ()
    assert rig.line() == [call]


def test_a_restart_finds_callers_of_a_queue_that_the_file_does_not_have(rig: Rig) -> None:
    rig.ready("1001")
    talking = rig.call()
    rig.queue(talking, "sales")
    rig.ring(talking, "1001")
    rig.answer(talking, "1001")
    waiting = rig.call()
    rig.queue(waiting, "sales")
    text = WITHOUT_SALES.replace('  "1001": {name: Ada, queues: [support]}\n', "")
    board = Switchboard(parse_centre(text, source="x"), node=NodeName("t1"), now=BEGIN)
    board.recover(rig.facts, rig.now)
    assert [t.call_id for t in board.engine.waiting(SALES)] == [waiting]
    assert board.agents[ADA].call_id == talking
    assert board.calls[talking].agent_id == ADA
    agents.set_agent(board, BO, AgentState.NOT_READY, rig.now, reason="", device=None)
    assert live_centre.retiring(board) == {SALES, ADA}
