"""The audit of the books: each way in which they can disagree is found, repaired and recorded, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

import cti.acd.engine
from cti.acd.inputs import AgentBusy, CallerLeft, CallerNotReady, CallerReady, OfferSettled
from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model import facts as f
from cti.model.call import CallState
from cti.model.facts import OfferEnd
from cti.services import audit as audit_module
from cti.services import desk
from cti.services.audit import EVERYTHING_EVERY, LASTS, PORTION, REPAIRS, Audit, findings
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import FloorRig

ADA, BO = AgentId("1001"), AgentId("1002")


class Floor:
    """A floor with everybody somewhere, and its audit."""

    def __init__(self) -> None:
        self.rig = FloorRig()
        self.rig.ready("1001")
        self.talking = self.rig.call()
        self.rig.queue(self.talking)
        self.rig.ring(self.talking, "1001")
        self.rig.answer(self.talking, "1001")
        self.rig.ready("1002")
        self.offered = self.rig.call()
        self.rig.queue(self.offered)
        self.rig.pass_time(1)
        self.waiting = self.rig.call()
        self.rig.queue(self.waiting)
        self.rig.sound = False
        self.audit = Audit(self.rig.board)

    @property
    def board(self) -> Switchboard:
        return self.rig.board

    def repairs(self) -> list[str]:
        """Audit, wait, audit again: the kinds of what was repaired."""
        self.audit.turn(self.rig.now)
        self.rig.drain()
        assert not self.rig.of(f.BreachRepaired), "seen once is not a breach"
        self.rig.now += LASTS
        self.audit.turn(self.rig.now)
        self.rig.drain()
        return [fact.kind for fact in self.rig.facts if isinstance(fact, f.BreachRepaired)]


@pytest.fixture
def floor() -> Floor:
    return Floor()


def lose_ticket(floor: Floor) -> None:
    floor.board.engine.handle(CallerLeft(call_id=floor.waiting), floor.rig.now)


def forget_call(floor: Floor) -> None:
    del floor.board.calls[floor.waiting]


def settle_behind_its_back(floor: Floor) -> None:
    lease = floor.board.engine.lease_of_call(floor.offered)
    assert lease is not None
    floor.board.engine.handle(CallerNotReady(call_id=floor.waiting), floor.rig.now)
    floor.board.engine.handle(OfferSettled(offer_id=lease.offer_id, end=OfferEnd.NO_ANSWER), floor.rig.now)


def forget_offer(floor: Floor) -> None:
    call = floor.board.calls[floor.offered]
    floor.board.calls[floor.offered] = replace(call, state=CallState.WAITING, offer_id=None, offered_agent=None)


def forget_reservation(floor: Floor) -> None:
    floor.board.agents[BO] = replace(floor.board.agents[BO], offer_id=None, offer_call=None)


def let_a_lease_grow_old(floor: Floor) -> None:
    floor.rig.now += timedelta(seconds=60)


def reserve_for_nothing(floor: Floor) -> None:
    floor.board.agents[ADA] = replace(
        floor.board.agents[ADA], call_id=None, offer_id=OfferId(1_000_000_000), offer_call=floor.waiting
    )
    floor.board.calls[floor.talking] = replace(floor.board.calls[floor.talking], state=CallState.AFTER)


def offer_to_one_who_talks(floor: Floor) -> None:
    floor.board.agents[BO] = replace(floor.board.agents[BO], call_id=floor.talking)
    floor.board.calls[floor.talking] = replace(floor.board.calls[floor.talking], agent_id=BO)


def talk_with_nobody(floor: Floor) -> None:
    floor.board.agents[ADA] = replace(floor.board.agents[ADA], call_id=CallId("gone"))


def talk_with_one_who_left(floor: Floor) -> None:
    floor.board.calls[floor.talking] = replace(floor.board.calls[floor.talking], state=CallState.AFTER)


def forget_talk(floor: Floor) -> None:
    floor.board.agents[ADA] = replace(floor.board.agents[ADA], call_id=None)


def talk_twice(floor: Floor) -> None:
    floor.rig.ring(floor.offered, "1002")
    floor.rig.answer(floor.offered, "1002", bridge="b2")
    floor.board.calls[floor.talking] = replace(floor.board.calls[floor.talking], agent_id=BO, talkers=(BO,))


def ask_for_nobody(floor: Floor) -> None:
    floor.board.agents[ADA] = replace(floor.board.agents[ADA], asked_call=floor.offered)


def lose_timer(floor: Floor) -> None:
    floor.rig.hang_up_caller(floor.talking)
    floor.board.wrap_until.clear()


def leave_timer(floor: Floor) -> None:
    floor.board.wrap_until[ADA] = floor.rig.now + timedelta(seconds=10)


def tell_the_engine_nonsense(floor: Floor) -> None:
    floor.rig.not_answered(floor.offered)
    floor.rig.hang_up_caller(floor.offered)
    floor.rig.hang_up_caller(floor.waiting)
    floor.rig.pass_time(1)
    assert floor.board.engine.is_free(BO)
    floor.board.engine.handle(AgentBusy(agent_id=BO), floor.rig.now)


WAYS: dict[str, Callable[[Floor], None]] = {
    "caller_without_ticket": lose_ticket,
    "ticket_without_caller": forget_call,
    "offer_without_lease": settle_behind_its_back,
    "lease_without_offer": forget_offer,
    "lease_without_agent": forget_reservation,
    "lease_overdue": let_a_lease_grow_old,
    "agent_reserved_without_offer": reserve_for_nothing,
    "agent_offered_while_talking": offer_to_one_who_talks,
    "agent_in_no_call": talk_with_one_who_left,
    "talk_without_agent": forget_talk,
    "agent_in_two_calls": talk_twice,
    "agent_asked_by_nobody": ask_for_nobody,
    "wrap_up_without_timer": lose_timer,
    "timer_without_wrap_up": leave_timer,
    "agent_out_of_step": tell_the_engine_nonsense,
}


def test_sound_books_give_no_finding(floor: Floor) -> None:
    assert findings(floor.board, floor.rig.now) == []
    assert floor.repairs() == []


@pytest.mark.parametrize("kind", WAYS)
def test_each_breach_is_found_and_repaired(floor: Floor, kind: str) -> None:
    WAYS[kind](floor)
    floor.rig.drain()
    assert kind in {breach.kind for breach in findings(floor.board, floor.rig.now)}
    assert kind in floor.repairs()
    floor.rig.now += timedelta(seconds=6)
    floor.audit.turn(floor.rig.now)
    floor.rig.drain()
    floor.rig.now += timedelta(seconds=6)
    floor.audit.turn(floor.rig.now)
    floor.rig.drain()
    for agent_id, until in list(floor.board.wrap_until.items()):
        if until <= floor.rig.now:
            floor.board.finish_wrap_up(agent_id, floor.rig.now)
    assert [b for b in findings(floor.board, floor.rig.now) if b.kind != "lease_overdue"] == []


def test_every_kind_is_broken_here() -> None:
    assert set(WAYS) | {"caller_overlooked"} == set(REPAIRS)


def test_a_caller_who_was_overlooked_is_decided_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = FloorRig()
    audit = Audit(rig.board)
    rig.ready("1001")
    caller = rig.call()
    # The flow puts the caller into the queue, not deliverable yet; then the matching is made to forget whom it was told of.
    desk.enqueue(rig.board, caller, QueueName("support"), rig.now, skills=(), head_start_of_flow=timedelta())
    real = cti.acd.engine.match

    def forgetful(books: object, now: object) -> tuple[()]:
        books.fresh_agents.clear()  # type: ignore[attr-defined]
        books.fresh_callers.clear()  # type: ignore[attr-defined]
        return ()

    monkeypatch.setattr(cti.acd.engine, "match", forgetful)
    rig.board.route(CallerReady(call_id=caller), rig.now)
    monkeypatch.setattr(cti.acd.engine, "match", real)
    assert [b.kind for b in findings(rig.board, rig.now)] == ["caller_overlooked"]
    audit.turn(rig.now)
    rig.now += LASTS
    audit.turn(rig.now)
    rig.drain()
    assert rig.live(caller).state is CallState.OFFERED
    assert [fact.kind for fact in rig.facts if isinstance(fact, f.BreachRepaired)] == ["caller_overlooked"]


def test_a_talk_whose_agent_is_in_another_call_is_over(floor: Floor) -> None:
    talk_twice(floor)
    floor.repairs()
    assert floor.rig.live(floor.talking).state is CallState.AFTER
    assert floor.board.agents[BO].call_id == floor.offered
    assert BO not in floor.board.wrap_until


def test_a_caller_without_a_ticket_gets_the_place_back(floor: Floor) -> None:
    before = floor.board.engine.ticket(floor.waiting)
    lose_ticket(floor)
    floor.repairs()
    assert floor.board.engine.ticket(floor.waiting) == before
    assert floor.waiting in floor.rig.returned()
    breach = floor.rig.of(f.BreachRepaired)[0]
    assert isinstance(breach, f.BreachRepaired)
    assert (breach.calls, breach.agents) == ((floor.waiting,), ())


def test_what_the_repairs_changed_is_the_same_after_a_restart(floor: Floor) -> None:
    talk_with_nobody(floor)
    forget_reservation(floor)
    floor.repairs()
    again = Switchboard(floor.board.centre, node=floor.board.node, now=floor.rig.now)
    again.recover(floor.rig.facts, floor.rig.now)
    assert again.agents == floor.board.agents
    assert again.calls == floor.board.calls


def test_what_passes_by_itself_is_no_breach(floor: Floor) -> None:
    leave_timer(floor)
    floor.audit.turn(floor.rig.now)
    floor.board.wrap_until.clear()
    floor.rig.now += timedelta(seconds=6)
    floor.audit.turn(floor.rig.now)
    leave_timer(floor)
    floor.rig.now += timedelta(seconds=6)
    floor.audit.turn(floor.rig.now)
    floor.rig.drain()
    assert not floor.rig.of(f.BreachRepaired)


def test_whoever_a_turn_touched_is_looked_at_at_once(floor: Floor) -> None:
    floor.audit.turn(floor.rig.now)
    forget_talk(floor)
    floor.board.out.facts.append(f.CallHeld(at=floor.rig.now, call_id=floor.talking, agent_id=ADA))
    floor.rig.now += timedelta(milliseconds=1)
    floor.audit.turn(floor.rig.now)
    floor.board.out.facts.clear()
    floor.rig.now += LASTS
    floor.audit.turn(floor.rig.now)
    floor.rig.drain()
    assert [fact.kind for fact in floor.rig.facts if isinstance(fact, f.BreachRepaired)] == ["talk_without_agent"]


def test_a_turn_looks_at_whom_it_touched_and_a_portion_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = FloorRig()
    for _ in range(450):
        rig.queue(rig.call())
    looked: list[CallId] = []
    look = audit_module._look_at_call
    monkeypatch.setattr(audit_module, "_look_at_call", lambda *given: (looked.append(given[1]), look(*given)))
    rig.now += EVERYTHING_EVERY
    audit = Audit(rig.board)
    waiting = set(rig.board.calls)
    # Nothing touched: portions, until everybody had a turn; then nobody until the next round.
    sizes = []
    for _ in range(4):
        before = len(looked)
        audit.turn(rig.now)
        sizes.append(len(looked) - before)
    assert sizes == [PORTION, PORTION, 450 - 2 * PORTION, 0]
    assert set(looked) == waiting
    call = rig.call()
    looked.clear()
    rig.board.out.facts.append(f.LanguageChosen(at=rig.now, call_id=call, language="en"))
    audit.turn(rig.now)
    assert looked == [call]
    assert findings(rig.board, rig.now) == []
