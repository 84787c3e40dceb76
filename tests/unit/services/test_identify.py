"""An agent says which customer a call is with."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cti.ids import AgentId, CustomerId, QueueName
from cti.model import facts as f
from cti.model.desk import Disposition, QueueDesk
from cti.model.facts import Match
from cti.reports.call_record import fold
from cti.services import agents
from cti.services.floor import Refused
from cti.services.identify import choose_customer
from cti.services.ports import CustomerCard, LookUp
from tests.support.floor_rig import FloorRig

ADA = AgentId("1001")


def card(number: int) -> CustomerCard:
    return CustomerCard(
        customer_id=CustomerId(number), name=f"C{number}", tier="gold", language="", phones=(), company="", notes=""
    )


@pytest.fixture
def rig() -> FloorRig:
    return FloorRig()


def test_chosen_among_several_while_it_rings_and_kept_for_whoever_gets_the_call_next(rig: FloorRig) -> None:
    rig.ready("1001")
    rig.ready("1002")
    call_id = rig.call()
    rig.board.know_customer(call_id, LookUp(match=Match.SEVERAL, cards=(card(1), card(2))), rig.now)
    rig.queue(call_id)
    agent_id = rig.board.calls[call_id].offered_agent
    assert agent_id is not None
    choose_customer(rig.board, agent_id, call_id, card(2), rig.now)
    choose_customer(rig.board, agent_id, call_id, card(2), rig.now)
    rig.drain()
    assert sum(isinstance(fact, f.CustomerMatched) and fact.by == agent_id for fact in rig.facts) == 1
    call = rig.board.calls[call_id]
    assert (call.match, call.customer_id, call.tier) == (Match.FOUND, 2, "gold")
    assert [one.name for one in rig.board.pops[agent_id].customers] == ["C2"]
    # The look-up comes again after a restart of the bridge: what was chosen stays.
    rig.board.know_customer(call_id, LookUp(match=Match.SEVERAL, cards=(card(1), card(2))), rig.now)
    assert [one.name for one in rig.board.cards[call_id].cards] == ["C2"]


@pytest.mark.parametrize("late", [Match.UNAVAILABLE, Match.UNKNOWN, Match.SEVERAL])
def test_what_the_agent_said_outlives_a_customer_file_that_answers_late(rig: FloorRig, late: Match) -> None:
    rig.ready("1001")
    call_id = rig.call(number="+15550109999")
    rig.queue(call_id)
    choose_customer(rig.board, ADA, call_id, card(2), rig.now)
    cards = (card(1), card(3)) if late is Match.SEVERAL else ()
    rig.board.know_customer(call_id, LookUp(match=late, cards=cards), rig.now)
    assert [one.name for one in rig.board.pops[ADA].customers] == ["C2"]
    assert rig.board.calls[call_id].customer_id == 2


def test_only_who_has_to_do_with_the_call_may_say_it(rig: FloorRig) -> None:
    rig.ready("1001")
    call_id = rig.call()
    with pytest.raises(Refused) as refused:
        choose_customer(rig.board, ADA, call_id, card(1), rig.now)
    assert refused.value.error_id == "not_your_call"


def test_said_in_the_work_after_the_call_it_is_in_the_record(rig: FloorRig) -> None:
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.ring(call_id, "1001")
    rig.answer(call_id, "1001")
    rig.pass_time(30)
    rig.hang_up_caller(call_id)
    choose_customer(rig.board, ADA, call_id, card(7), rig.now)
    rig.drain()
    record = fold([fact for fact in rig.facts if getattr(fact, "call_id", None) == call_id])
    assert (record.customer_id, record.tier) == (7, "gold")


def test_a_queue_that_wants_a_disposition_gets_one_or_its_time_runs_out(rig: FloorRig) -> None:
    centre = rig.board.centre
    desk = QueueDesk(dispositions=(Disposition(name="billing", of=(Disposition(name="late"),)),), required=True)
    name = QueueName("support")
    support = replace(centre.queues[name], dispositions=("late",), desk=desk, wrap_up=timedelta(seconds=30))
    rig.board.centre = replace(centre, queues={**centre.queues, name: support})
    rig.ready("1001")
    call_id = rig.call()
    rig.queue(call_id)
    rig.ring(call_id, "1001")
    rig.answer(call_id, "1001")
    rig.hang_up_caller(call_id)
    for disposition, error in (("", "disposition_required"), ("billing", "unknown_disposition")):
        with pytest.raises(Refused) as refused:
            agents.finish_wrap_up(rig.board, ADA, call_id, rig.now, disposition=disposition, note="")
        assert refused.value.error_id == error
    rig.pass_time(31)
    assert rig.board.agents[ADA].wrap_call is None
