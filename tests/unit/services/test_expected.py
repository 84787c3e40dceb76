"""Expected waits on the floor: shown on rows, learned from facts, and a place that no failed offer can raise."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cti.centre_file import parse_centre
from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model.facts import AgentState, Match
from cti.services import agents
from cti.services.expected import QueueWaits, shown, wait_of
from cti.services.learning import Learning
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


def test_the_first_promise_that_is_a_fact_counts_from_when_it_was_made(rig: FloorRig) -> None:
    rig.ready("1002")
    first, second = rig.call(), rig.call()
    rig.queue(first)
    rig.ring(first, "1002")
    rig.answer(first, "1002")
    rig.queue(second)
    learning = rig.board.learning = Learning()  # as after a restart: what was only kept in memory is gone
    for mean in (0.0, 2.0, 1.0):
        rig.pass_time(5)
        wait = f.WaitPromised(at=rig.now, call_id=second, queue=SUPPORT, place=1, low=0.0, mean=mean, high=2 * mean)
        learning.learn(wait, rig.board.calls[second])
    rig.part(first, rig.leg("1002"), "1002")
    rig.hang_up_caller(first)
    rig.pass_time(10.001)
    rig.ring(second, "1002")
    rig.answer(second, "1002")
    told = learning.estimates.accuracy[SUPPORT]
    assert (told.promises, told.kept) == (1, 0)
    assert told.waited == pytest.approx(15, abs=0.1)
    assert told.bias == pytest.approx(2 - told.waited)


RELAXING = """
name: Relaxing
numbers:
  "5000": {flow: main, survival_queue: support}
queues:
  support:
    titles: {en: Support}
    relax: [{after: 120, skills: {zh: 0}}]
agents:
  "1001": {name: Ada, queues: [support], skills: {zh: 5}}
  "1002": {name: Bo, queues: [support]}
  "1003": {name: Cy, queues: [support]}
"""


def relaxing(*at_work: str) -> Switchboard:
    """One who speaks the language and two who do not; those named talk with somebody."""
    now = FloorRig().now
    board = Switchboard(parse_centre(RELAXING, source="relaxing.yaml"), node=NodeName("t1"), now=now)
    for name in at_work:
        status = board.agents[AgentId(name)]
        board.agents[AgentId(name)] = replace(status, call_id=CallId("other"), chosen=AgentState.READY)
    for _ in range(2000):
        board.learning.estimates.handled(SUPPORT, 600.0)
        board.learning.estimates.left(SUPPORT, 300.0, abandoned=False)
    return board


def mean_of(board: Switchboard, place: int, *, waited: float = 0.0) -> float:
    now = FloorRig().now
    waits = QueueWaits(board, SUPPORT, now)
    wait = waits.of(place, (("zh", 3),), since=now - timedelta(seconds=waited))
    assert wait is not None
    return wait.mean


def test_agents_who_may_serve_after_a_relaxation_count_from_then_on() -> None:
    everyone = relaxing("1001", "1002", "1003")
    # One serves for two minutes, a fifth of the way; then three do.
    assert mean_of(everyone, 1) == pytest.approx(120 + 0.8 * 200, rel=0.02)
    assert mean_of(everyone, 1, waited=60) == pytest.approx(60 + 0.9 * 200, rel=0.02)
    assert mean_of(everyone, 1, waited=120) == pytest.approx(200, rel=0.02)
    # Who requires nothing has all three from the beginning.
    wait = QueueWaits(everyone, SUPPORT, FloorRig().now).of(1)
    assert wait is not None
    assert wait.mean == pytest.approx(200, rel=0.02)


def test_a_step_nobody_is_logged_in_for_is_not_waited_for() -> None:
    assert mean_of(relaxing("1002", "1003"), 1) == pytest.approx(300, rel=0.02)
    assert mean_of(relaxing("1001"), 1) == pytest.approx(600, rel=0.02)
    nobody = QueueWaits(relaxing(), SUPPORT, FloorRig().now)
    assert nobody.of(1, (("zh", 3),)) is None
