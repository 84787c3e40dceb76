"""Random days on a floor whose queues have every limit: nobody is lost, doubled, or sent away from under an offer."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.centre_file import parse_centre
from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model.call import CallState
from cti.model.centre import Centre
from cti.model.commands import SendOut, SendToFlow, SendToVoicemail
from cti.model.facts import AgentState
from cti.services import agents, departures, desk
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import FloorRig

BEGIN = datetime(2026, 3, 2, 16, 50, tzinfo=UTC)  # ten minutes before closing time, on a Monday
QUEUES = tuple(QueueName(name) for name in ("a", "b", "c"))
AGENTS = ("1001", "1002", "1003")
MAX_WAIT = timedelta(seconds=120)


@cache
def centre() -> Centre:
    text = """
name: Limits
numbers: {"5000": {flow: main, survival_queue: a}}
calendars: {office: {hours: {mon-fri: "09:00-17:00"}}}
outbound: {allow: ["+1555"]}
queues:
  a:
    titles: {en: A}
    max_length: 2
    max_wait: 120
    when_full: {queue: b}
    when_late: {queue: c}
    overflow: [{after: 30, to: {queue: b}}]
    options: {"1": callback, "2": voicemail, "3": {queue: c}, "4": {flow: x}, "5": {number: "+15550177"}}
  b:
    titles: {en: B}
    max_length: 1
    max_wait: 120
    join_empty: [offline]
    leave_empty: [offline, not_ready]
    when_full: {queue: c}
    when_empty: {queue: a}
    overflow: [{after: 20, to: {queue: a}}, {after: 60, to: hang_up}]
  c:
    titles: {en: C}
    calendar: office
    max_wait: 120
    when_closed: {queue: a}
    when_late: {number: "+15550177"}
    overflow: [{expected: 40, to: {flow: x}}, {length: 3, to: {queue: a}}]
agents:
  "1001": {name: A, queues: [a, b]}
  "1002": {name: B, queues: [b, c]}
  "1003": {name: C, queues: [c, a]}
"""
    return parse_centre(text, source="limits.yaml")


def floor_of() -> FloorRig:
    rig = FloorRig()
    rig.now = BEGIN
    rig.board = Switchboard(centre(), node=NodeName("t1"), now=BEGIN)
    rig.board.can_dial_out = True
    return rig


class Day:
    """One random day; `step` does one thing, `check` says what must hold after each."""

    def __init__(self, chance: random.Random) -> None:
        self.rig = floor_of()
        self.chance = chance
        self.late: dict[CallId, datetime] = {}

    def step(self) -> None:
        rig, chance = self.rig, self.chance
        waiting = [call for call in rig.board.calls.values() if call.state is CallState.WAITING and not call.absent]
        offered = [call for call in rig.board.calls.values() if call.state is CallState.OFFERED]
        match chance.choice(("call", "call", "time", "time", "agent", "key", "miss", "answer", "leave", "again")):
            case "call":
                call_id = rig.call(number=chance.choice(("+15550100002", "+15550100003", None)))
                queue = chance.choice(QUEUES)
                target = desk.enqueue(rig.board, call_id, queue, rig.now, skills=(), head_start_of_flow=timedelta())
                rig.drain()
                if target is None:
                    rig.waits(call_id)
            case "time":
                rig.pass_time(chance.choice((0.5, 5, 29, 61)))
            case "agent":
                agent = chance.choice(AGENTS)
                if chance.random() < 0.3:
                    rig.ready(agent)
                else:
                    state = chance.choice((AgentState.NOT_READY, AgentState.OFFLINE))
                    agents.set_agent(rig.board, AgentId(agent), state, rig.now, reason="", device=None)
            case "key" if waiting:
                departures.press(rig.board, chance.choice(waiting).call_id, chance.choice("12345#"), rig.now)
            case "miss" if offered:
                rig.not_answered(chance.choice(offered).call_id)
            case "answer" if offered:
                call = chance.choice(offered)
                assert call.offered_agent is not None
                rig.ring(call.call_id, call.offered_agent)
                rig.answer(call.call_id, call.offered_agent, bridge=call.call_id)
            case "leave" if rig.board.calls:
                live = [call for call in rig.board.calls.values() if call.channel]
                if live:
                    rig.hang_up_caller(chance.choice(live).call_id)
            case "again" if waiting:
                rig.waits(chance.choice(waiting).call_id)
        rig.drain()

    def check(self) -> None:
        rig = self.rig
        board = rig.board
        for call in board.calls.values():
            has_ticket = board.engine.ticket(call.call_id) is not None
            assert has_ticket == (call.state in (CallState.WAITING, CallState.OFFERED)), call
            if call.destination:
                assert not has_ticket
            if has_ticket:
                ticket = board.engine.ticket(call.call_id)
                assert ticket is not None
                assert (ticket.queue, ticket.queued_at) == (call.queue, call.queued_at)
            # Whoever is on the way back from an offer that ran out is not there, and is looked at on arrival.
            if call.state is CallState.WAITING and call.parent is None and board.looks.is_there(call.call_id):
                assert call.queued_at is not None
                assert rig.now - max(call.queued_at, call.started_at) <= MAX_WAIT, call
        length = {
            name: sum(
                call.queue == name and call.state in (CallState.WAITING, CallState.OFFERED) and not call.absent
                for call in board.calls.values()
            )
            for name in QUEUES
        }
        assert length[QueueName("a")] <= 2
        assert length[QueueName("b")] <= 1
        self._facts()

    def _facts(self) -> None:
        """Who left a queue was not under an offer then, and is told one destination a time."""
        for call in self.rig.board.calls.values():
            offered = False
            for fact in self.rig.board.history[call.call_id]:
                if isinstance(fact, f.OfferMade):
                    offered = True
                elif isinstance(fact, f.OfferEnded):
                    offered = False
                elif isinstance(fact, f.CallDequeued):
                    assert not offered
            queues = [x.queue for x in self.rig.board.history[call.call_id] if isinstance(x, f.CallQueued)]
            assert len(queues) <= len(QUEUES)
            assert len(set(queues)) == len(queues)


def run(seed: int, steps: int) -> Day:
    day = Day(random.Random(seed))
    for _ in range(steps):
        day.step()
        day.check()
    return day


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_any_day(seed: int) -> None:
    run(seed, 80)


@pytest.mark.parametrize("seed", range(3))
def test_a_long_day_and_the_same_after_a_restart(seed: int) -> None:
    day = run(seed, 400)
    assert {fact.reason for fact in day.rig.facts if isinstance(fact, f.CallDequeued)} >= {
        "full", "empty", "closed", "option", "overflow",
    }  # fmt: skip
    kinds = {type(command) for command in day.rig.commands}
    assert kinds & {SendToVoicemail, SendToFlow, SendOut}
    again = floor_of()
    again.board.recover(day.rig.facts, day.rig.now)
    assert again.board.illegal == 0
    assert again.board.calls == day.rig.board.calls
    # What was due stays due: after the restart the same callers leave at the same moments.
    for rig in (day.rig, again):
        rig.now = day.rig.now
        for call in list(rig.board.calls.values()):
            if call.state is CallState.WAITING and not call.absent:
                rig.waits(call.call_id)
    assert {c.call_id for c in day.rig.board.calls.values() if c.destination} == {
        c.call_id for c in again.board.calls.values() if c.destination
    }
