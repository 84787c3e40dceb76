"""A flow sends its caller to one agent, and takes the caller back where that agent does not take the call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cti.ids import AgentId, CallId, FlowName
from cti.model import facts as f
from cti.model.call import CallState
from cti.model.commands import SendToFlow
from cti.model.facts import AgentState
from cti.services import agents, desk, flow_transfers, timers
from cti.services.desk import CallOver
from cti.services.transfers import KEPT
from tests.support.floor_rig import FloorRig


def send(floor: FloorRig, call_id: CallId, name: str = "1002") -> str:
    """The flow's session asks, and goes on as the runner does."""
    status = flow_transfers.send_to_agent(floor.board, call_id, name, floor.now, step="to_bo")
    if status == "sent":
        done = f.FlowStepDone(
            at=floor.now,
            call_id=call_id,
            flow=FlowName("main"),
            step="to_bo",
            verb="transfer",
            result="sent",
            next_step=None,
        )
        desk.step_done(floor.board, done)
    floor.drain()
    return status


def arrives(floor: FloorRig, call_id: CallId) -> desk.FlowCall:
    answer = desk.caller_arrived(
        floor.board, call_id, floor.now, channel=floor.channel(call_id), number=None, did="5000"
    )
    floor.drain()
    return answer


def waiting(floor: FloorRig) -> CallId:
    caller = floor.call()
    assert send(floor, caller) == "sent"
    floor.waits(caller)
    return caller


def test_only_that_agent_is_offered_the_call() -> None:
    floor = FloorRig()
    floor.ready("1001")
    floor.ready("1002")
    caller = waiting(floor)
    assert floor.delivered() == [(caller, "1002")]
    floor.ring(caller, "1002")
    floor.answer(caller, "1002")
    assert floor.live(caller).state is CallState.TALKING
    assert floor.live(caller).agent_id == "1002"


@pytest.mark.parametrize(("end", "cause", "status"), [("BUSY", 21, "busy"), ("NOANSWER", 19, "no_answer")])
def test_who_is_not_taken_goes_on_in_the_flow(end: str, cause: int, status: str) -> None:
    floor = FloorRig()
    floor.ready("1001")
    floor.ready("1002")
    caller = waiting(floor)
    floor.ring(caller, "1002")
    commands = floor.not_answered(caller, status=end, cause=cause)
    assert [type(command) for command in commands if isinstance(command, SendToFlow)] == [SendToFlow]
    assert floor.delivered() == [(caller, "1002")], "nobody else was asked"
    back = arrives(floor, caller)
    assert (back.flow, back.resume_at, back.returned, back.finished) == ("main", "to_bo", status, False)
    assert floor.live(caller).state is CallState.MENU
    again = arrives(floor, caller)
    assert again.resume_at == "to_bo", "a session after a crash takes the step up again"


def test_an_agent_who_is_not_free_in_time() -> None:
    floor = FloorRig()
    floor.ready("1002")
    caller = waiting(floor)
    floor.ring(caller, "1002")
    agents.set_agent(floor.board, AgentId("1002"), AgentState.NOT_READY, floor.now, reason="break", device=None)
    floor.drain()
    floor.pass_time(KEPT.total_seconds() + 16)
    timers.tick(floor.board, floor.now)
    floor.drain()
    if floor.live(caller).state is CallState.OFFERED:
        floor.not_answered(caller)
    assert arrives(floor, caller).returned == "no_answer"


@pytest.mark.parametrize(
    ("name", "status"),
    [("1009", "unknown"), ("", "unknown"), ("own", "unknown"), ("1001", "no_answer"), ("1002", "busy")],
)
def test_who_cannot_be_reached_is_told_at_once(name: str, status: str) -> None:
    floor = FloorRig()
    floor.ready("1002")
    first = floor.call(number="+15550100009")
    floor.queue(first)
    floor.ring(first, "1002")
    floor.answer(first, "1002")
    caller = floor.call()
    before = list(floor.facts)
    assert send(floor, caller, name) == status
    assert floor.facts == before
    assert floor.live(caller).state is CallState.MENU


def test_the_customers_own_agent() -> None:
    floor = FloorRig()
    floor.ready("1001")
    floor.ready("1002")
    caller = floor.call()
    known = floor.board.cards[caller]
    floor.board.cards[caller] = replace(known, cards=(replace(known.cards[0], own_agent="1002"),))
    assert send(floor, caller, "own") == "sent"
    floor.waits(caller)
    assert floor.delivered() == [(caller, "1002")]
    assert send(floor, caller, "own") == "sent", "asked again after a restart changes nothing"
    with pytest.raises(CallOver):
        flow_transfers.send_to_agent(floor.board, CallId("t1-0.0"), "1002", floor.now, step="x")


def test_a_queue_afterwards_is_for_everybody() -> None:
    floor = FloorRig()
    floor.ready("1002")
    caller = waiting(floor)
    floor.ring(caller, "1002")
    floor.not_answered(caller, status="BUSY", cause=21)
    arrives(floor, caller)
    floor.ready("1001")
    floor.queue(caller)
    assert floor.delivered()[-1] == (caller, "1001")
    assert (floor.live(caller).sent_from, floor.live(caller).addressed) == ("", False)
