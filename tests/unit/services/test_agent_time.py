"""What ends by itself for an agent: limited breaks, pauses after failed offers, wrap-up by agent, by queue and extended."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cti.ids import AgentId, CallId
from cti.model import facts as f
from cti.model.centre import Delays
from cti.model.facts import AgentState
from cti.services import agents
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import FloorRig

ADA = AgentId("1001")


@pytest.fixture
def rig() -> FloorRig:
    return FloorRig()


def change_agent(rig: FloorRig, **values: object) -> None:
    centre = rig.board.centre
    rig.board.centre = replace(centre, agents={**centre.agents, ADA: replace(centre.agents[ADA], **values)})  # type: ignore[arg-type]


def talk_and_part(rig: FloorRig) -> CallId:
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.ring(call_id, "1001")
    rig.answer(call_id, "1001")
    rig.pass_time(30)
    rig.hang_up_caller(call_id)
    return call_id


def until(rig: FloorRig) -> datetime:
    return rig.board.wrap_until[ADA]


def test_a_break_with_a_limit_ends_by_itself_and_counts_idle_from_its_end(rig: FloorRig) -> None:
    rig.board.centre = replace(rig.board.centre, not_ready_limits={"break": timedelta(minutes=15)})
    rig.ready("1001")
    agents.set_agent(rig.board, ADA, AgentState.NOT_READY, rig.now, reason="break", device=None)
    assert rig.board.agents[ADA].until == rig.now + timedelta(minutes=15)
    began = rig.now
    rig.pass_time(899)
    assert rig.board.agents[ADA].state is AgentState.NOT_READY
    rig.pass_time(2)
    agent = rig.board.agents[ADA]
    assert (agent.state, agent.idle_since, agent.until) == (AgentState.READY, began + timedelta(minutes=15), None)
    assert rig.board.engine.is_free(ADA)


def test_a_break_that_was_ended_by_hand_is_not_ended_again(rig: FloorRig) -> None:
    rig.board.centre = replace(rig.board.centre, not_ready_limits={"break": timedelta(minutes=15)})
    rig.ready("1001")
    agents.set_agent(rig.board, ADA, AgentState.NOT_READY, rig.now, reason="break", device=None)
    agents.set_agent(rig.board, ADA, AgentState.NOT_READY, rig.now, reason="lunch", device=None)
    rig.pass_time(3600)
    assert rig.board.agents[ADA].reason == "lunch"


@pytest.mark.parametrize(
    ("status", "cause", "seconds"), [("CHANUNAVAIL", 20, 40), ("BUSY", 17, 20), ("NOANSWER", 19, 30), ("BUSY", 21, 10)]
)
def test_each_way_to_fail_has_its_own_pause(rig: FloorRig, status: str, cause: int, seconds: int) -> None:
    delays = Delays(
        rejected=timedelta(seconds=10),
        busy=timedelta(seconds=20),
        no_answer=timedelta(seconds=30),
        unreachable=timedelta(seconds=40),
    )
    change_agent(rig, delays=delays, miss_limit=0)
    rig.ready("1001")
    first = rig.call()
    rig.queue(first)
    rig.not_answered(first, status=status, cause=cause)
    # Another call, which this agent has not refused, has to wait for the end of the pause too.
    rig.hang_up_caller(first)
    second = rig.call(number="+15550100003")
    rig.queue(second)
    rig.pass_time(seconds - 1)
    assert rig.delivered() == [(first, "1001")]
    rig.pass_time(1)
    assert rig.delivered() == [(first, "1001"), (second, "1001")]


def test_the_agents_own_wrap_up_counts_before_the_queues(rig: FloorRig) -> None:
    change_agent(rig, wrap_up=timedelta(seconds=3))
    talk_and_part(rig)
    assert until(rig) == rig.now + timedelta(seconds=3)


def test_wrap_up_is_extended_step_by_step_and_never_over_its_longest(rig: FloorRig) -> None:
    call_id = talk_and_part(rig)
    began, queues = rig.now, rig.board.centre.queues
    longest = {name: replace(q, wrap_up_longest=timedelta(seconds=60)) for name, q in queues.items()}
    rig.board.centre = replace(rig.board.centre, queues=longest)
    agents.extend_wrap_up(rig.board, ADA, call_id, rig.now)
    assert until(rig) == began + timedelta(seconds=40)
    agents.extend_wrap_up(rig.board, ADA, call_id, rig.now)
    assert until(rig) == began + timedelta(seconds=60)
    with pytest.raises(Refused) as refused:
        agents.extend_wrap_up(rig.board, ADA, call_id, rig.now)
    assert refused.value.error_id == "wrap_up_at_its_longest"
    rig.pass_time(59)
    assert rig.board.agents[ADA].state is AgentState.WRAP_UP
    rig.pass_time(1)
    assert rig.board.agents[ADA].state is AgentState.READY


def test_wrap_up_cannot_be_extended_for_another_call_or_after_its_end(rig: FloorRig) -> None:
    call_id = talk_and_part(rig)
    with pytest.raises(Refused):
        agents.extend_wrap_up(rig.board, ADA, CallId("t1-other"), rig.now)
    rig.pass_time(11)
    with pytest.raises(Refused):
        agents.extend_wrap_up(rig.board, ADA, call_id, rig.now)


def test_a_restart_forgets_neither_break_nor_pause_nor_extension(rig: FloorRig) -> None:
    call_id = talk_and_part(rig)
    agents.extend_wrap_up(rig.board, ADA, call_id, rig.now)
    rig.drain()
    again = Switchboard(rig.board.centre, node=rig.board.node, now=rig.now)
    again.recover([fact for fact in rig.facts if isinstance(fact, f.Fact)], rig.now)
    assert again.wrap_until == rig.board.wrap_until
    assert again.agents[ADA] == rig.board.agents[ADA]
