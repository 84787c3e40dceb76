"""Random days on the floor while its centre is changed under it: whoever is there stays there, in the same order."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model.call import CallState
from cti.model.facts import AgentState
from cti.services import live_centre
from cti.services.audit import findings
from cti.services.rows import Rows
from cti.services.switchboard import Switchboard
from tests.property.services.test_floor import AGENTS, TEXT, Floor
from tests.support.examples import NIGHTLY
from tests.support.floor_rig import centre


def _swapped(*swaps: tuple[str, str]) -> str:
    text = TEXT
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    return text


SALES = "  sales: {titles: {en: Sales}, wrap_up: 0, strategy: ring_all, preferred: {last: 3600, hold: 8}}\n"
NO_SALES = ((SALES, ""), ("[support, sales]", "[support]"), ("[sales]", "[support]"))
ADA = '  "1001": {name: Ada, queues: [support, sales]}\n'
VARIANTS = (
    TEXT,
    _swapped(*NO_SALES),
    _swapped((ADA, "")),
    _swapped((ADA, ""), *NO_SALES),
    _swapped((ADA, ADA + '  "1004": {name: Dan, queues: [support], skills: {en: 3}}\n'), ("wrap_up: 10", "wrap_up: 2")),
    _swapped(("strategy: ring_all", "strategy: fewest_calls"), ("{name: Cai, queues: [sales]}", "{name: Cai, queues: [support]}")),
    _swapped(("{titles: {en: Support}, wrap_up", "{titles: {en: Support}, ceiling: 20, max_length: 3, wrap_up")),
)  # fmt: skip
EVERYBODY = (*AGENTS, "1004")


class ChangingFloor(Floor):
    """The same floor; somebody keeps changing its configuration."""

    def __init__(self) -> None:
        super().__init__()
        self.configured = TEXT
        self.rows = Rows(self.rig.board)
        self.rows.change(self.rig.now)

    def order(self) -> dict[QueueName, list[CallId]]:
        engine = self.rig.board.engine
        queues = {ticket.queue for ticket in engine.tickets()}
        return {queue: [ticket.call_id for ticket in engine.waiting(queue)] for queue in queues}

    @rule(variant=st.sampled_from(VARIANTS))
    def the_centre_is_changed(self, variant: str) -> None:
        rig, board = self.rig, self.rig.board
        calls, order = dict(board.calls), self.order()
        offers = {call.call_id: call.offer_id for call in calls.values() if call.offer_id is not None}
        rig.drain()
        # A ceiling that comes or goes is a change of the order, asked for.
        ceiling = "ceiling" in variant or "ceiling" in self.configured
        self.configured = variant
        live_centre.configure(board, centre(variant), rig.now, version="v", by="sue")
        rig.drain()
        assert set(board.calls) == set(calls)
        for call_id, before in calls.items():
            now = board.calls[call_id]
            assert (now.queue, now.queued_at, now.head_start, now.agent_id) == (
                before.queue, before.queued_at, before.head_start, before.agent_id,
            )  # fmt: skip
            if call_id in offers:
                assert now.offer_id == offers[call_id]
        if not ceiling:
            after = self.order()
            for queue, line in order.items():
                still = [call_id for call_id in line if call_id in after.get(queue, [])]
                assert [call_id for call_id in after.get(queue, []) if call_id in line] == still
        assert board.configured.agents.keys() <= board.agents.keys() == board.centre.agents.keys()

    @rule()
    def what_retired_goes(self) -> None:
        live_centre.settle(self.rig.board, self.rig.now)
        self.rig.drain()
        self.rows.change(self.rig.now)
        view = self.rows.view(self.rig.now)
        assert set(view.agents) == set(self.rig.board.agents)
        assert set(view.queues) == set(self.rig.board.centre.queues)

    # what the rules of the parent do to people and queues that may be gone

    def caller_queues(self, tier: str, queue: str, reaches: bool) -> None:
        if QueueName(queue) in self.rig.board.centre.queues:
            super().caller_queues(tier, queue, reaches)

    def supervisor_moves(self, index: int, queue: str) -> None:
        if QueueName(queue) in self.rig.board.centre.queues:
            super().supervisor_moves(index, queue)

    def agent_rejects(self, agent: str) -> None:
        if AgentId(agent) in self.rig.board.agents:
            super().agent_rejects(agent)

    def wrap_up_is_finished(self, agent: str) -> None:
        if AgentId(agent) in self.rig.board.agents:
            super().wrap_up_is_finished(agent)

    def replaying_the_journal_gives_the_same_floor(self) -> None:
        again = Switchboard(centre(self.configured), node=NodeName("t1"), now=self.rig.now)
        again.recover(self.rig.facts, self.rig.now)
        assert again.illegal == 0
        assert again.calls == self.rig.board.calls
        assert {t.call_id for t in again.engine.tickets()} == {t.call_id for t in self.rig.board.engine.tickets()}
        for agent_id, agent in again.agents.items():
            mine = self.rig.board.agents[agent_id]
            if mine.offer_id or mine.call_id:
                assert (agent.offer_id, agent.call_id) == (mine.offer_id, mine.call_id)


@pytest.mark.timeout(3600 if NIGHTLY else 60)
@pytest.mark.parametrize("seed", range(1, 101 if NIGHTLY else 5))
def test_a_long_random_day_of_changes(seed: int) -> None:
    rng = random.Random(seed)
    floor = ChangingFloor()
    floor.the_floor_opens()
    for _ in range(8_000 if NIGHTLY else 700):
        act, index, agent = rng.randrange(100), rng.randrange(31), rng.choice(EVERYBODY)
        if act < 15:
            floor.caller_queues(rng.choice(["", "vip"]), rng.choice(["support", "sales"]), rng.random() < 0.8)
        elif act < 22:
            floor.wait_is_entered(index)
        elif act < 30:
            floor.agent_chooses(agent, rng.choice([*[AgentState.READY] * 7, AgentState.NOT_READY]))
        elif act < 40:
            floor.device_changes(agent, rng.random() < 0.95, False)
        elif act < 46:
            floor.rings(index)
        elif act < 58:
            floor.is_answered(index)
        elif act < 63:
            floor.is_not_answered(index, rng.choice([0, 17, 19, 20, 21]))
        elif act < 66:
            floor.agent_rejects(agent)
        elif act < 68:
            floor.supervisor_moves(index, rng.choice(["support", "sales"]))
        elif act < 73:
            floor.talk_ends(index, rng.random() < 0.5)
        elif act < 77:
            floor.caller_hangs_up(index)
        elif act < 81:
            floor.wrap_up_is_finished(agent)
        elif act < 87:
            floor.the_centre_is_changed(rng.choice(VARIANTS))
        elif act < 92:
            floor.what_retired_goes()
        else:
            floor.time_passes(rng.choice([0.0, 0.5, 3.0, 11.0, 25.0]))
        floor.everyone_is_in_exactly_one_place()
        floor.each_agent_has_at_most_one_call_or_offer()
    floor.each_offer_ended_at_most_once()
    floor.a_closed_call_is_whole()
    floor.replaying_the_journal_gives_the_same_floor()
    # When everybody has gone, so has what retired, and the books add up.
    board = floor.rig.board
    for call_id in list(board.calls):
        floor.rig.hang_up_caller(call_id)
    floor.rig.pass_time(900)
    live_centre.settle(board, floor.rig.now)
    assert board.centre is board.configured
    assert board.retiring_since == {}
    assert list(findings(board, floor.rig.now)) == []
    assert {f.CentreApplied, f.CallAnswered, f.OfferEnded} <= {type(fact) for fact in floor.rig.facts}
    assert all(call.state is not CallState.ENDED for call in board.calls.values())


ChangingFloor.TestCase.settings = settings(
    max_examples=2000 if NIGHTLY else 12,
    stateful_step_count=200 if NIGHTLY else 40,
    suppress_health_check=list(HealthCheck),
)
TestChangingFloor = ChangingFloor.TestCase
