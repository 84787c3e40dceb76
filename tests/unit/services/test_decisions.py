"""The log of decisions: one fact an offer, one a refusal and reason, bounded, behind the facts that matter."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cti.centre_file import parse_centre
from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.facts import AgentState
from cti.services import agents, desk
from cti.services.decisions import CLOSED_KEPT, LASTING, LOOK_EVERY, MOST_REFUSALS, DecisionLog
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import FloorRig

ADA, BO = AgentId("1001"), AgentId("1002")
SKILLED = """
name: Skilled
numbers:
  "5000": {flow: main, survival_queue: support}
queues:
  support: {titles: {en: Support}, skills: {zh: 4}, relax: [{after: 60, skills: {zh: 2}}]}
tiers: {}
agents:
  "1001": {name: Ada, queues: [support], skills: {zh: 5}}
  "1002": {name: Bo, queues: [support], skills: {zh: 3}}
  "1003": {name: Cy, queues: [support], skills: {zh: 1, en: 5}}
"""


class Clock:
    def __init__(self, rig: FloorRig) -> None:
        self._rig = rig

    def now(self) -> datetime:
        return self._rig.now

    def monotonic(self) -> float:
        return self._rig.now.timestamp()


class Logged(FloorRig):
    """A rig whose turns are explained."""

    def __init__(self, centre_text: str | None = None) -> None:
        super().__init__()
        if centre_text is not None:
            self.board = Switchboard(parse_centre(centre_text, source="x.yaml"), node=NodeName("t1"), now=self.now)
        self.log = DecisionLog(self.board, Clock(self))
        self.decided: list[f.Decided] = []

    def drain(self):
        self.decided += self.log.turn(self.board.out.facts, self.board.out.offers, self.now)
        return super().drain()

    def idle_turns(self, count: int = 3) -> None:
        for _ in range(count):
            self.now += LOOK_EVERY
            self.drain()


@pytest.fixture
def rig() -> Logged:
    return Logged()


def test_an_offer_names_the_agent_the_next_best_and_who_could_not(rig: Logged) -> None:
    rig.ready("1001")
    rig.pass_time(180)
    rig.ready("1002")
    rig.pass_time(12)
    caller = rig.call()
    rig.queue(caller)
    (decision,) = [one for one in rig.decided if one.offer_id is not None]
    assert decision.agents == (ADA,)
    assert decision.candidates == ((ADA, 192.0), (BO, 12.0))
    assert (decision.strategy, decision.call_id, decision.why) == ("longest_idle", caller, "")
    assert decision.offer_id == rig.live(caller).offer_id
    second = rig.call()
    rig.queue(second)
    assert rig.decided[-1].excluded == ((ADA, "reserved"),)


def test_nobody_free_is_said_once_and_again_when_the_reason_changes(rig: Logged) -> None:
    caller = rig.call()
    rig.queue(caller)
    rig.idle_turns()
    assert [one.why for one in rig.decided] == ["no_agent_logged_in"]
    agents.set_agent(rig.board, ADA, AgentState.NOT_READY, rig.now, reason="", device=None)
    rig.idle_turns()
    assert [one.why for one in rig.decided] == ["no_agent_logged_in", "no_agent_free"]
    assert rig.decided[-1].excluded == ((ADA, "not_ready"), (BO, "offline"))
    rig.idle_turns(50)
    assert len(rig.decided) == 2


def test_after_a_declined_offer_the_refusal_names_who_declined(rig: Logged) -> None:
    rig.ready("1001")
    caller = rig.call()
    rig.queue(caller)
    rig.not_answered(caller)
    rig.idle_turns()
    last = rig.decided[-1]
    assert (last.why, last.offer_id) == ("refused_recently", None)
    assert (ADA, "refused_recently") in last.excluded
    rig.ready("1002")
    assert rig.decided[-1].agents == (BO,)


def test_which_skill_is_lacking_is_told_as_relaxed() -> None:
    rig = Logged(SKILLED)
    for agent in ("1002", "1003"):
        rig.ready(agent)
    caller = rig.call()
    rig.queue(caller)
    offered = rig.decided[0]
    assert (offered.agents, offered.relaxed) == ((BO,), 1)
    assert dict(offered.excluded) == {ADA: "offline", AgentId("1003"): "lacks_skill:zh 2"}


def test_who_is_ready_and_cannot_be_called_is_named_with_the_reason(rig: Logged) -> None:
    rig.ready("1001")
    device = s.DeviceReachable(at=rig.now, agent_id=ADA, device=f.Device.SIP, reachable=False, in_use=False)
    rig.signal(device)
    rig.ready("1002")
    rig.signal(replace(device, agent_id=BO, reachable=True, in_use=True))
    caller = rig.call()
    rig.queue(caller)
    assert rig.decided[-1].excluded == ((ADA, "unreachable"), (BO, "device_in_use"))


def test_a_caller_on_the_way_is_no_refusal_but_one_who_cannot_be_moved_for_long_is(rig: Logged) -> None:
    rig.ready("1001")
    caller = rig.call()
    desk.enqueue(rig.board, caller, QueueName("support"), rig.now, skills=(), head_start_of_flow=timedelta())
    rig.drain()
    rig.idle_turns(5)
    assert rig.decided == []
    rig.now += LASTING
    rig.idle_turns()
    assert [one.why for one in rig.decided] == ["not_deliverable"]


def test_explanations_are_behind_the_turns_own_facts_and_change_nothing_on_replay(rig: Logged) -> None:
    rig.ready("1001")
    caller = rig.call()
    rig.queue(caller)
    assert not any(isinstance(fact, f.Decided) for fact in rig.facts)
    again = Switchboard(rig.board.centre, node=NodeName("t1"), now=rig.now)
    again.recover([*rig.facts, *rig.decided], rig.now)
    assert again.illegal == 0
    assert again.calls == rig.board.calls


def test_a_restart_does_not_tell_the_same_refusal_twice(rig: Logged) -> None:
    caller = rig.call()
    rig.queue(caller)
    rig.idle_turns()
    log = DecisionLog(rig.board, Clock(rig))
    log.remember([*rig.facts, *rig.decided])
    assert log.turn([], [], rig.now) == []


def test_many_callers_change_their_reason_a_few_at_a_time(rig: Logged) -> None:
    callers = [rig.call() for _ in range(60)]
    for caller in callers:
        rig.queue(caller)
    rig.idle_turns(2)
    said = len(rig.decided)
    assert said == 60
    agents.set_agent(rig.board, ADA, AgentState.NOT_READY, rig.now, reason="", device=None)
    rig.now += LOOK_EVERY
    rig.drain()
    assert len(rig.decided) - said <= MOST_REFUSALS
    rig.idle_turns(20)
    assert {one.call_id for one in rig.decided[said:]} == set(callers)


def test_what_is_remembered_is_bounded_and_of_a_live_call_whole(rig: Logged) -> None:
    first = rig.call()
    rig.queue(first)
    kinds = [type(fact).__name__ for fact in rig.log.facts_of(first)]
    assert kinds[0] == "CallStarted"
    assert "Decided" in kinds
    rig.hang_up_caller(first)
    assert isinstance(rig.log.facts_of(first)[-1], f.CallEnded)
    ended = [f.CallEnded(at=rig.now, call_id=CallId(f"x-{n}"), hangup_by=f.HangupBy.CALLER) for n in range(CLOSED_KEPT)]
    rig.log.remember(ended)
    assert rig.log.facts_of(first) == ()


def test_how_things_stand_now_names_everybody(rig: Logged) -> None:
    caller = rig.call()
    assert rig.log.present(caller) is None
    rig.queue(caller)
    present = rig.log.present(caller)
    assert present is not None
    assert present.why == "no_agent_logged_in"
    assert present.excluded == ((ADA, "offline"), (BO, "offline"))


BIG = "name: Big\nnumbers: {'5000': {flow: main, survival_queue: support}}\nqueues:\n  support: {titles: {en: S}}\ntiers: {}\nagents:\n"


def test_a_decision_on_a_big_floor_is_bounded() -> None:
    rig = Logged(BIG + "".join(f"  '{2000 + n}': {{name: A{n}, queues: [support]}}\n" for n in range(200)))
    for n in range(100):
        rig.ready(str(2000 + n))
    caller = rig.call()
    rig.queue(caller)
    decision = rig.decided[-1]
    assert (len(decision.candidates), decision.more_candidates) == (10, 90)
    assert len(decision.excluded) <= 20
