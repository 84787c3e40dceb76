"""The terms of a ticket: what it is worth, what it asks for, since when it waits, for whom it is held; and moves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.ids import AgentId, CallId, QueueName
from cti.model import facts as f
from cti.model.call import CallState
from cti.model.requirement import parse_requirement
from cti.services import desk, priority
from cti.services.floor import Refused
from cti.services.ports import CustomerCard, LookUp, Talk
from cti.services.terms import move, ticket_fact
from tests.support.floor_rig import FloorRig

TEXT = """
name: Terms
numbers:
  "5000": {flow: main, survival_queue: support, head_start: 7}
queues:
  support: {titles: {en: Support}, head_start: 30, weight: 1, wrap_up: 0, skills: {en: 1}, preferred: {last: 3600, hold: 20}}
  sales: {titles: {en: Sales}, count_menu: true, weight: 3, wrap_up: 0}
tiers:
  vip: {head_start: 600, strict: 2}
agents:
  "1001": {name: Ada, queues: [support, sales], skills: {en: 5, zh: 3}}
  "1002": {name: Bo, queues: [support], skills: {en: 4, interpreter: 1}}
  "1003": {name: Cai, queues: [sales], skills: {en: 4}}
"""
SUPPORT, SALES = QueueName("support"), QueueName("sales")


@pytest.fixture
def rig() -> FloorRig:
    return FloorRig(TEXT)


def queued(rig: FloorRig, call_id: CallId) -> f.CallQueued:
    (fact,) = [x for x in rig.of(f.CallQueued) if isinstance(x, f.CallQueued) and x.call_id == call_id][-1:]
    return fact


def card(own_agent: str = "", tier: str = "") -> LookUp:
    one = CustomerCard(
        customer_id=1, name="Zoë", tier=tier, language="", phones=(), company="", notes="", own_agent=own_agent
    )
    return LookUp(match=f.Match.FOUND, cards=(one,))


def restarted(rig: FloorRig) -> FloorRig:
    again = FloorRig(TEXT)
    again.now = rig.now
    again.board.recover(rig.facts, rig.now)
    assert again.board.illegal == 0
    return again


def test_everything_that_gives_priority_adds_up(rig: FloorRig) -> None:
    call_id = rig.call(tier="vip")
    desk.enqueue(
        rig.board, call_id, SUPPORT, rig.now, skills=(("zh", 2),), head_start_of_flow=timedelta(seconds=100),
        requires=parse_requirement("en>=4 and (zh>=3 or interpreter)"),
    )  # fmt: skip
    rig.drain()
    fact = queued(rig, call_id)
    assert (fact.head_start, fact.strict) == (100 + 600 + 7 + 30, 10 + 2)
    assert (fact.skills, fact.since, fact.preferred, fact.by) == ((("zh", 2),), None, None, "")
    for floor in (rig, restarted(rig)):
        ticket = floor.board.engine.ticket(call_id)
        assert ticket is not None
        assert ticket.requires == parse_requirement("en>=4 and (zh>=3 or interpreter)")
        assert (ticket.head_start.total_seconds(), ticket.strict, ticket.skills) == (737, 12, (("zh", 2),))


def test_the_menus_count_where_the_queue_says_so(rig: FloorRig) -> None:
    call_id = rig.call()
    began = rig.now
    rig.pass_time(45)
    rig.queue(call_id, "sales")
    assert queued(rig, call_id).since == rig.live(call_id).queued_at == began
    assert rig.live(call_id).joined_at == rig.now
    other = rig.call()
    rig.pass_time(5)
    rig.queue(other, "support")
    assert queued(rig, other).since is None
    assert rig.live(other).queued_at == rig.now


def test_a_moved_call_keeps_its_place_its_own_priority_and_what_it_asks_for(rig: FloorRig) -> None:
    call_id = rig.call(tier="vip")
    desk.enqueue(rig.board, call_id, SUPPORT, rig.now, skills=(("en", 4),), head_start_of_flow=timedelta(seconds=100))
    since = rig.now
    rig.waits(call_id)
    rig.pass_time(60)
    move(rig.board, rig.live(call_id), SALES, rig.now, by="overflow")
    rig.drain()
    fact = queued(rig, call_id)
    assert (fact.queue, fact.since, fact.by) == (SALES, since, "overflow")
    assert (fact.head_start, fact.strict, fact.skills) == (707, 32, (("en", 4),))
    for floor in (rig, restarted(rig)):
        call = floor.live(call_id)
        assert (call.state, call.queue, call.queued_at) == (CallState.WAITING, SALES, since)
        ticket = floor.board.engine.ticket(call_id)
        assert ticket is not None
        assert (ticket.queue, ticket.queued_at) == (SALES, since)
        floor.waits(call_id)
        floor.ready("1003")
        assert floor.delivered() == [(call_id, "1003")]


def test_a_given_since_overrules(rig: FloorRig) -> None:
    call_id = rig.call()
    earlier = rig.now - timedelta(minutes=10)
    assert ticket_fact(rig.board, rig.live(call_id), SALES, rig.now, since=earlier).since == earlier


def test_the_own_agent_comes_before_the_last_one_and_both_must_be_of_the_queue(rig: FloorRig) -> None:
    call_id = rig.call()
    call = rig.live(call_id)
    rig.board.last_talks.learn(f.TalkEnded(at=rig.now, call_id=call_id, agent_id=AgentId("1002")), call)

    def held(queue: QueueName = SUPPORT) -> AgentId | None:
        return ticket_fact(rig.board, call, queue, rig.now).preferred

    assert held() == "1002"
    assert held(SALES) is None  # holds nobody for anybody
    rig.board.cards[call_id] = card(own_agent="1001")
    assert held() == "1001"
    fact = ticket_fact(rig.board, call, SUPPORT, rig.now)
    assert fact.hold == 20
    for stranger in ("1003", "7777"):  # of another queue; of no centre
        rig.board.cards[call_id] = card(own_agent=stranger)
        assert held() == "1002"
    rig.board.cards[call_id] = LookUp(match=f.Match.SEVERAL, cards=card(own_agent="1001").cards * 2)
    assert held() == "1002"


def test_the_last_agent_is_remembered_for_as_long_as_the_queue_says(rig: FloorRig) -> None:
    first = rig.call()
    rig.queue(first)
    rig.ready("1002")
    rig.ring(first, "1002")
    rig.answer(first, "1002")
    rig.pass_time(30)
    rig.part(first, rig.leg("1002"), "1002")
    rig.hang_up_caller(first)
    for floor in (rig, restarted(rig)):
        floor.serial = 10
        again = floor.call()
        floor.pass_time(3590)
        assert ticket_fact(floor.board, floor.live(again), SUPPORT, floor.now).preferred == "1002"
        floor.pass_time(20)
        assert ticket_fact(floor.board, floor.live(again), SUPPORT, floor.now).preferred is None
        other = floor.call(number="+15550100003")
        assert ticket_fact(floor.board, floor.live(other), SUPPORT, floor.now).preferred is None
        unknown = floor.call(number=None)
        assert ticket_fact(floor.board, floor.live(unknown), SUPPORT, floor.now).preferred is None


def test_what_the_directory_knows_counts_when_it_is_younger_than_the_memory(rig: FloorRig) -> None:
    call_id = rig.call()
    call = rig.live(call_id)
    known = LookUp(match=f.Match.UNKNOWN, last_talk=Talk(agent_id=AgentId("1001"), at=rig.now - timedelta(minutes=20)))
    rig.board.cards[call_id] = known
    assert ticket_fact(rig.board, call, SUPPORT, rig.now).preferred == "1001"
    earlier = rig.now - timedelta(minutes=30)
    rig.board.last_talks.learn(f.TalkEnded(at=earlier, call_id=call_id, agent_id=AgentId("1002")), call)
    assert ticket_fact(rig.board, call, SUPPORT, rig.now).preferred == "1001"
    rig.board.last_talks.learn(f.TalkEnded(at=rig.now, call_id=call_id, agent_id=AgentId("1002")), call)
    assert ticket_fact(rig.board, call, SUPPORT, rig.now).preferred == "1002"


def test_held_for_the_own_agent_who_talks_then_for_anybody(rig: FloorRig) -> None:
    busy = rig.call()
    rig.queue(busy)
    rig.ready("1001")
    rig.ring(busy, "1001")
    rig.answer(busy, "1001")
    rig.ready("1002")
    rig.serial += 1
    call_id = rig.call(number="+15550100013")
    rig.board.cards[call_id] = card(own_agent="1001")
    assert rig.queue(call_id) == []
    assert rig.board.engine.why_waiting(call_id, rig.now) == "held_for_agent"
    rig.pass_time(19)
    assert rig.delivered() == [(busy, "1001")]
    rig.pass_time(1.5)
    assert rig.delivered() == [(busy, "1001"), (call_id, "1002")]


def test_held_for_the_own_agent_over_a_restart_and_given_when_free(rig: FloorRig) -> None:
    rig.ready("1001")
    busy = rig.call()
    rig.queue(busy)
    rig.ring(busy, "1001")
    rig.answer(busy, "1001")
    rig.serial += 1
    call_id = rig.call(number="+15550100013")
    rig.board.cards[call_id] = card(own_agent="1001")
    rig.queue(call_id)
    rig.pass_time(5)
    again = restarted(rig)
    again.serial = rig.serial
    again.waits(call_id)
    again.ready("1002")
    assert again.delivered() == []
    again.part(busy, rig.channel(busy), None)
    again.hang_up_caller(busy)
    again.pass_time(0.1)
    again.ready("1001")
    assert again.delivered() == [(call_id, "1001")]


# -- by hand


def waiting(rig: FloorRig, n: int, queue: str = "support") -> list[CallId]:
    calls = []
    for _ in range(n):
        calls.append(rig.call())
        rig.queue(calls[-1], queue)
        rig.pass_time(10)
    return calls


def test_to_the_front_and_who_did_it(rig: FloorRig) -> None:
    calls = waiting(rig, 4)
    standing = priority.change_priority(rig.board, calls[3], rig.now, by="ruth", reason="a promise", front=True)
    assert (standing.place, standing.queue, standing.strict) == (1, "support", 10)
    rig.drain()
    (fact,) = rig.of(f.PriorityChanged)
    assert isinstance(fact, f.PriorityChanged)
    assert (fact.by, fact.reason, fact.before, fact.head_start) == ("ruth", "a promise", (37.0, 10), 37.0 + 31)
    again = restarted(rig)
    again.waits(calls[0])
    for call_id in calls[1:]:
        again.waits(call_id)
    for floor in (rig, again):
        assert [ticket.call_id for ticket in floor.board.engine.waiting(SUPPORT)] == [calls[3], *calls[:3]]
        floor.ready("1002")
        assert floor.delivered() == [(calls[3], "1002")]
    # Once more changes nothing: it is first already.
    rig.not_answered(calls[3])
    priority.change_priority(rig.board, calls[3], rig.now, by="ruth", reason="again", front=True)
    assert len(rig.of(f.PriorityChanged)) == 1


def test_to_the_front_of_a_strict_class_and_before_nobody(rig: FloorRig) -> None:
    (alone,) = waiting(rig, 1)
    standing = priority.change_priority(rig.board, alone, rig.now, by="ruth", reason="x", front=True)
    assert (standing.place, standing.head_start) == (1, 37.0)
    vip = rig.call(tier="vip")
    rig.queue(vip)
    assert [ticket.call_id for ticket in rig.board.engine.waiting(SUPPORT)] == [vip, alone]
    standing = priority.change_priority(rig.board, alone, rig.now, by="ruth", reason="x", front=True)
    assert (standing.place, standing.strict) == (1, 12)


def test_minutes_and_strict_replace_what_the_call_had(rig: FloorRig) -> None:
    calls = waiting(rig, 3)
    minutes = timedelta(seconds=37 + 15)
    assert priority.change_priority(rig.board, calls[2], rig.now, by="r", reason="x", head_start=minutes).place == 2
    assert priority.change_priority(rig.board, calls[2], rig.now, by="r", reason="x", strict=99).place == 1
    assert priority.change_priority(rig.board, calls[2], rig.now, by="r", reason="x", strict=0).place == 3
    call = rig.live(calls[2])
    assert (call.head_start, call.strict) == (52.0, 0)


def test_moved_by_hand_with_priority_given_by_hand(rig: FloorRig) -> None:
    calls = waiting(rig, 2)
    priority.change_priority(rig.board, calls[1], rig.now, by="r", reason="x", head_start=timedelta(seconds=337))
    standing = priority.change_queue(rig.board, calls[1], SALES, rig.now, by="ruth", reason="wants to buy")
    assert (standing.queue, standing.place, standing.head_start, standing.strict) == ("sales", 1, 307.0, 30)
    rig.drain()
    fact = queued(rig, calls[1])
    assert (fact.by, fact.reason) == ("ruth", "wants to buy")
    assert rig.live(calls[1]).queued_at == rig.now - timedelta(seconds=10)
    before = len(rig.of(f.CallQueued))
    priority.change_queue(rig.board, calls[1], SALES, rig.now, by="ruth", reason="again")
    rig.drain()
    assert len(rig.of(f.CallQueued)) == before


def test_what_cannot_be_changed_is_refused_and_changes_nothing(rig: FloorRig) -> None:
    menu, (offered,) = rig.call(), waiting(rig, 1)
    rig.ready("1002")
    rig.drain()
    before = len(rig.facts)
    for call_id, error_id in ((CallId("gone"), "unknown_call"), (menu, "not_waiting"), (offered, "under_offer")):
        with pytest.raises(Refused) as refused:
            priority.change_priority(rig.board, call_id, rig.now, by="r", reason="x", front=True)
        assert (refused.value.error_id, bool(refused.value.remedy)) == (error_id, True)
        with pytest.raises(Refused) as refused:
            priority.change_queue(rig.board, call_id, SALES, rig.now, by="r", reason="x")
        assert refused.value.error_id == error_id
    (waits,) = waiting(rig, 1)
    with pytest.raises(Refused) as refused:
        priority.change_queue(rig.board, waits, QueueName("nowhere"), rig.now, by="r", reason="x")
    assert refused.value.error_id == "unknown_queue"
    with pytest.raises(Refused):
        priority.change_priority(rig.board, waits, rig.now, by="r", reason="x", strict=100)
    rig.drain()
    assert not [x for x in rig.facts[before:] if isinstance(x, f.PriorityChanged)]


def test_the_memory_of_talks_is_bounded_and_keeps_the_newest() -> None:
    from cti.services.acquaintance import LastTalks

    rig = FloorRig(TEXT)
    talks = LastTalks(most=2)
    for number in ("+1", "+2", "+1", "+3"):
        call = rig.live(rig.call(number=number))
        talks.learn(f.TalkEnded(at=rig.now, call_id=call.call_id, agent_id=AgentId("1001")), call)
        rig.pass_time(1)
    assert len(talks) == 2
    assert talks.of("+2") is None
    assert talks.of("+1") is not None
    assert talks.of(None) is None


def test_too_many_alternatives_together_lose_nobody() -> None:
    skills = ("a", "b", "c", "d", "e", "f", "g", "h")
    wide = " and ".join(f"({one}1 or {one}2)" for one in skills[:4])
    more = " and ".join(f"({one}1 or {one}2)" for one in skills[4:])
    rig = FloorRig(TEXT.replace("titles: {en: Sales},", f'titles: {{en: Sales}}, requires: "{wide}",'))
    call_id = rig.call()
    desk.enqueue(
        rig.board, call_id, SUPPORT, rig.now, skills=(), head_start_of_flow=timedelta(),
        requires=parse_requirement(more),
    )  # fmt: skip
    rig.waits(call_id)
    assert len(rig.live(call_id).requires) == 16
    priority.change_queue(rig.board, call_id, SALES, rig.now, by="r", reason="x")
    assert rig.live(call_id).requires == ((),)
    ticket = rig.board.engine.ticket(call_id)
    assert ticket is not None
    assert ticket.queue == SALES
