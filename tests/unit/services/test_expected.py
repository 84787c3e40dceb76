"""Expected waits on the floor: shown on rows, learned from facts, and a place that no failed offer can raise."""

from __future__ import annotations

import pytest

from cti.ids import AgentId, CallId, QueueName
from cti.model.facts import AgentState, Match
from cti.services import agents
from cti.services.expected import QueueWaits, shown, wait_of
from cti.services.ports import LookUp
from cti.services.rows import Rows
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import FloorRig, centre

SUPPORT, SALES = QueueName("support"), QueueName("sales")


@pytest.fixture
def rig() -> FloorRig:
    return FloorRig()


def talk(rig: FloorRig, call_id: CallId, agent: str, seconds: float) -> None:
    """Answer, talk, hang up, and let the wrap-up run out."""
    rig.ring(call_id, agent)
    rig.answer(call_id, agent)
    rig.pass_time(seconds)
    rig.part(call_id, rig.leg(agent), agent)
    rig.hang_up_caller(call_id)
    rig.pass_time(10.001)


def set_not_ready(rig: FloorRig, agent: str) -> None:
    """Lunch after this call."""
    agents.set_agent(rig.board, AgentId(agent), AgentState.NOT_READY, rig.now, reason="lunch", device=None)


def test_nobody_at_work_is_no_answer_and_a_free_agent_is_no_wait(rig: FloorRig) -> None:
    first = rig.call()
    rig.queue(first)
    assert wait_of(rig.board, first, rig.now) is None
    assert QueueWaits(rig.board, SUPPORT, rig.now).of(1) is None
    rig.ready("1002")
    assert wait_of(rig.board, first, rig.now) is None  # under an offer
    assert QueueWaits(rig.board, SALES, rig.now).of(1) is None
    rig.ready("1001")
    assert shown(QueueWaits(rig.board, SALES, rig.now).of(1)) == (0, 0)


def test_rows_tell_the_expected_wait_and_it_grows_with_the_place(rig: FloorRig) -> None:
    rows = Rows(rig.board)
    rig.ready("1002")
    calls = [rig.call() for _ in range(4)]
    for call_id in calls:
        rig.queue(call_id)
    rig.ring(calls[0], "1002")
    rig.answer(calls[0], "1002")
    rows.change(rig.now)
    view = rows.view(rig.now)
    waits = [view.calls[call_id].expected_wait for call_id in calls]
    assert waits[0] is None  # talks
    assert waits[1] is not None
    assert waits[2] is not None
    assert waits[3] is not None
    assert waits[1] < waits[2] < waits[3]
    next_one = view.queues[SUPPORT].expected_wait
    assert next_one is not None
    assert next_one > waits[3]
    # What a caller sees while nothing happens stays as it is: rows are not sent again for the passing of time.
    rig.pass_time(30)
    assert rows.change(rig.now) is None


def test_a_customer_found_late_does_not_take_place_and_wait_from_the_row(rig: FloorRig) -> None:
    rows = Rows(rig.board)
    rig.ready("1002")
    first, second = rig.call(), rig.call()
    rig.queue(first)
    rig.queue(second)
    rows.change(rig.now)
    before = rows.view(rig.now).calls[second]
    assert before.place == 1
    assert before.expected_wait is not None
    # As after a restart: the look-up is made again, its match is known already, so no fact is recorded.
    rig.board.know_customer(second, LookUp(match=Match.UNKNOWN), rig.now)
    rows.change(rig.now)
    after = rows.view(rig.now).calls[second]
    assert (after.place, after.expected_wait) == (before.place, before.expected_wait)


def test_an_agent_who_will_not_be_ready_after_the_call_does_not_count(rig: FloorRig) -> None:
    rig.ready("1002")
    first, second = rig.call(), rig.call()
    rig.queue(first)
    rig.queue(second)
    rig.ring(first, "1002")
    rig.answer(first, "1002")
    assert wait_of(rig.board, second, rig.now) is not None
    set_not_ready(rig, "1002")
    assert wait_of(rig.board, second, rig.now) is None


def test_handling_times_are_learned_with_the_wrap_up_and_survive_a_restart(rig: FloorRig) -> None:
    rig.ready("1002")
    for _ in range(40):
        call_id = rig.call()
        rig.queue(call_id)
        talk(rig, call_id, "1002", 50)
    learned = rig.board.learning.estimates.handling(SUPPORT)
    assert learned.mean == pytest.approx(60, rel=0.35)
    again = Switchboard(centre(), node=rig.board.node, now=rig.now)
    again.recover(rig.facts, rig.now)
    assert again.learning.estimates.handling(SUPPORT).mean == learned.mean


def test_a_promise_is_settled_by_the_answer_and_dropped_by_an_abandon(rig: FloorRig) -> None:
    rig.ready("1002")
    first, second, third = rig.call(), rig.call(), rig.call()
    rig.queue(first)
    rig.ring(first, "1002")
    rig.answer(first, "1002")
    rig.queue(second)
    rig.queue(third)
    patience = rig.board.learning.estimates.patience(SUPPORT).rate
    rig.pass_time(20)
    rig.hang_up_caller(third)
    assert rig.board.learning.estimates.patience(SUPPORT).rate > patience
    rig.part(first, rig.leg("1002"), "1002")
    rig.hang_up_caller(first)
    rig.pass_time(10.001)
    rig.ring(second, "1002")
    rig.answer(second, "1002")
    told = rig.board.learning.estimates.accuracy[SUPPORT]
    assert told.promises == 1
    assert told.waited == pytest.approx(30, abs=0.1)


def test_the_standing_counts_who_is_rung_for_and_only_priority_raises_it(rig: FloorRig) -> None:
    first, second = rig.call(), rig.call()
    rig.queue(first)
    rig.pass_time(1)
    rig.queue(second)
    assert (rig.board.engine.standing(first), rig.board.engine.standing(second)) == (1, 2)
    rig.ready("1002")
    assert rig.board.engine.place(second) == 1
    assert rig.board.engine.standing(second) == 2
    set_not_ready(rig, "1002")
    rig.not_answered(first)
    assert rig.board.engine.standing(second) == 2
    vip = rig.call(number="+15550100001", tier="vip")
    rig.queue(vip)
    assert rig.board.engine.standing(second) == 3
