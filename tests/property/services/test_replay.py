"""What the journal tells gives the same floor again: random days, the books audited after every turn, then a second
switchboard recovered from the recorded facts and compared: calls, agents, tickets, places, offers, timers."""

from __future__ import annotations

import contextlib
import random
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cti.centre_file import parse_centre
from cti.errors import IllegalTransition
from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.facts import AgentState, Device
from cti.services import agents, call_control, desk, priority, timers
from cti.services.audit import findings
from cti.services.decisions import DecisionLog
from cti.services.floor import Refused
from cti.services.switchboard import Switchboard
from tests.support.examples import NIGHTLY
from tests.support.floor_rig import FloorRig

CENTRE = parse_centre(
    """
name: Replayed centre
numbers:
  "5000": {flow: main, survival_queue: support}
queues:
  support: {titles: {en: Support}, wrap_up: 10, ring_timeout: 15, refusal_pause: 4, skills: {en: 3},
            relax: [{after: 20, skills: {en: 1}}]}
  sales: {titles: {en: Sales}, wrap_up: 0, strategy: ring_all, ceiling: 40}
tiers:
  vip: {head_start: 600}
  rescue: {strict: 5}
agents:
  "1001": {name: Ada, queues: [support, sales], skills: {en: 5}}
  "1002": {name: Bo, queues: [support], skills: {en: 2, zh: 4}, miss_limit: 2}
  "1003": {name: Cy, queues: [sales, support], skills: {en: 4}}
  "1004": {name: Di, queues: [sales], skills: {}}
""",
    source="replayed.yaml",
)
AGENTS = tuple(CENTRE.agents)
QUEUES = tuple(CENTRE.queues)
CHOICES = (AgentState.READY, AgentState.READY, AgentState.READY, AgentState.NOT_READY, AgentState.OFFLINE)


class Clock:
    """The rig's time."""

    def __init__(self, rig: FloorRig) -> None:
        self._rig = rig

    def now(self):
        return self._rig.now

    def monotonic(self) -> float:
        return self._rig.now.timestamp()


class Day:
    """One random day: `act` does something, `facts` is what the journal holds, notes included."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.rig = FloorRig()
        self.board = self.rig.board = Switchboard(CENTRE, node=NodeName("t1"), now=self.rig.now)
        self.log = DecisionLog(self.board, Clock(self.rig))
        self.facts: list[f.Fact] = []
        self.legs = 0

    def take(self) -> None:
        """After a turn: the books add up, and its facts are journalled, explanations behind them."""
        assert findings(self.board, self.rig.now) == []
        out = self.board.out
        self.facts += out.facts
        self.facts += self.log.turn(out.facts, out.offers, self.rig.now)
        self.rig.drain()

    def some(self, *states: CallState) -> CallId | None:
        found = sorted(call.call_id for call in self.board.calls.values() if call.state in states)
        return self.rng.choice(found) if found else None

    def signal(self, signal: s.Signal) -> None:
        call_control.handle_signal(self.board, signal, self.rig.now)
        self.take()

    def act(self) -> None:
        acts = (
            (16, self.arrive), (12, self.enter_wait), (10, self.choose), (4, self.change_device), (8, self.ring),
            (12, self.answer), (6, self.miss), (4, self.reject), (4, self.hold), (10, self.end_talk), (5, self.give_up),
            (2, self.survive), (3, self.reprioritise), (3, self.move), (4, self.wrap_up), (2, self.extend),
            (2, self.speak), (14, self.pass_time),
        )  # fmt: skip
        weights, doings = [weight for weight, _ in acts], [doing for _, doing in acts]
        self.rng.choices(doings, weights)[0]()
        self.take()

    # -- what may happen

    def arrive(self) -> None:
        if len(self.board.calls) > 9:
            return
        call_id = self.arrived(self.rng.choice(("", "", "vip", "rescue")))
        if self.rng.random() < 0.9:
            skills = self.rng.choice(((), (), (("zh", 2),)))
            desk.enqueue(
                self.board,
                call_id,
                QueueName(self.rng.choice(QUEUES)),
                self.rig.now,
                skills=skills,
                head_start_of_flow=timedelta(seconds=self.rng.choice((0, 0, 30))),
            )
            self.take()
            if self.rng.random() < 0.8:
                self.signal(s.WaitEntered(at=self.rig.now, call_id=call_id, channel=self.rig.channel(call_id)))

    def arrived(self, tier: str) -> CallId:
        before = len(self.rig.facts)
        call_id = self.rig.call(tier=tier)
        self.facts += self.rig.facts[before:]
        return call_id

    def enter_wait(self) -> None:
        if (call_id := self.some(CallState.WAITING, CallState.OFFERED)) is not None:
            self.signal(s.WaitEntered(at=self.rig.now, call_id=call_id, channel=self.rig.channel(call_id)))

    def choose(self) -> None:
        agent = AgentId(self.rng.choice(AGENTS))
        if self.rng.random() < 0.7:
            self.signal(
                s.DeviceReachable(at=self.rig.now, agent_id=agent, device=Device.SIP, reachable=True, in_use=False)
            )
        with contextlib.suppress(Refused):
            agents.set_agent(self.board, agent, self.rng.choice(CHOICES), self.rig.now, reason="", device=None)

    def change_device(self) -> None:
        self.signal(
            s.DeviceReachable(
                at=self.rig.now,
                agent_id=AgentId(self.rng.choice(AGENTS)),
                device=Device.SIP,
                reachable=self.rng.random() < 0.8,
                in_use=self.rng.random() < 0.2,
            )
        )

    def leg(self, call_id: CallId) -> tuple[str, AgentId] | None:
        """Somebody in the offer picks up or rings: a channel for them."""
        lease = self.board.engine.lease_of_call(call_id)
        if lease is None:
            return None
        agent = self.rng.choice(lease.agent_ids)
        self.legs += 1
        channel = f"PJSIP/{agent}-{self.legs:08x}"
        call = self.board.calls[call_id]
        self.signal(
            s.AgentLegDialled(
                at=self.rig.now,
                call_id=call_id,
                offer_id=call.offer_id,
                channel=call.channel,
                agent_channel=channel,
                agent_id=agent,
            )
        )
        return channel, agent

    def ring(self) -> None:
        call_id = self.some(CallState.OFFERED)
        if call_id is not None and (leg := self.leg(call_id)) is not None:
            offer = self.board.calls[call_id].offer_id
            self.signal(s.AgentLegRinging(at=self.rig.now, call_id=call_id, offer_id=offer, agent_channel=leg[0]))

    def answer(self) -> None:
        call_id = self.some(CallState.OFFERED)
        if call_id is None or (leg := self.leg(call_id)) is None:
            return
        channel, agent = leg
        own = self.rig.channel(call_id)
        for one, who in ((channel, agent), (own, None)):
            self.signal(
                s.BridgeJoined(at=self.rig.now, bridge_id=f"b-{call_id}", channel=one, call_id=call_id, agent_id=who)
            )

    def miss(self) -> None:
        call_id = self.some(CallState.OFFERED)
        if call_id is None:
            return
        call = self.board.calls[call_id]
        assert call.offer_id is not None
        self.signal(
            s.OfferReturned(
                at=self.rig.now,
                call_id=call_id,
                offer_id=call.offer_id,
                channel=call.channel,
                status=self.rng.choice(("NOANSWER", "BUSY", "CHANUNAVAIL", "CANCEL")),
                cause=self.rng.choice((0, 17, 19, 20, 21)),
            )
        )

    def reject(self) -> None:
        agent = AgentId(self.rng.choice(AGENTS))
        offer = self.board.agents[agent].offer_id
        if offer is not None:
            with contextlib.suppress(Refused):
                agents.reject(self.board, agent, offer, self.rig.now)

    def hold(self) -> None:
        call_id = self.some(CallState.TALKING, CallState.HELD)
        if call_id is None:
            return
        call = self.board.calls[call_id]
        channel = next((channel for channel, leg in self.board.legs.items() if leg == (call_id, call.agent_id)), None)
        if channel is not None:
            held = call.state is CallState.TALKING
            self.signal(
                s.HoldChanged(at=self.rig.now, channel=channel, call_id=call_id, agent_id=call.agent_id, held=held)
            )

    def end_talk(self) -> None:
        call_id = self.some(CallState.TALKING, CallState.HELD)
        if call_id is None:
            return
        agent = self.board.calls[call_id].agent_id
        if self.rng.random() < 0.5:
            for channel, (leg_call, _) in list(self.board.legs.items()):
                if leg_call == call_id:
                    self.signal(
                        s.BridgeParted(
                            at=self.rig.now,
                            bridge_id=f"b-{call_id}",
                            channel=channel,
                            call_id=call_id,
                            agent_id=agent,
                        )
                    )
        if self.rng.random() < 0.9:
            self.gone(call_id)

    def gone(self, call_id: CallId) -> None:
        self.signal(
            s.ChannelGone(
                at=self.rig.now,
                channel=self.rig.channel(call_id),
                call_id=call_id,
                agent_id=None,
                is_caller=True,
                cause=16,
            )
        )

    def give_up(self) -> None:
        if (call_id := self.some(*[state for state in CallState if state is not CallState.ENDED])) is not None:
            self.gone(call_id)

    def survive(self) -> None:
        call_id = self.some(CallState.MENU, CallState.WAITING, CallState.OFFERED)
        if call_id is not None:
            self.signal(
                s.SurvivalBegan(at=self.rig.now, call_id=call_id, channel=self.rig.channel(call_id), queue=None)
            )

    def reprioritise(self) -> None:
        call_id = self.some(CallState.WAITING, CallState.OFFERED)
        if call_id is not None:
            with contextlib.suppress(Refused):
                priority.change_priority(
                    self.board,
                    call_id,
                    self.rig.now,
                    by="supervisor",
                    reason="asked for",
                    head_start=timedelta(seconds=self.rng.choice((0, 60, 900))),
                    strict=self.rng.choice((None, 0, 3)),
                    front=self.rng.random() < 0.3,
                )

    def move(self) -> None:
        call_id = self.some(CallState.WAITING, CallState.OFFERED)
        if call_id is not None:
            with contextlib.suppress(Refused):
                queue = QueueName(self.rng.choice(QUEUES))
                priority.change_queue(self.board, call_id, queue, self.rig.now, by="supervisor", reason="")

    def wrap_up(self) -> None:
        self.board.finish_wrap_up(AgentId(self.rng.choice(AGENTS)), self.rig.now)

    def extend(self) -> None:
        agent = AgentId(self.rng.choice(AGENTS))
        call_id = self.board.agents[agent].wrap_call
        if call_id is not None:
            with contextlib.suppress(Refused):
                agents.extend_wrap_up(self.board, agent, call_id, self.rig.now)

    def speak(self) -> None:
        call_id = self.some(*[state for state in CallState if state is not CallState.ENDED])
        if call_id is not None:
            with contextlib.suppress(IllegalTransition):
                desk.choose_language(self.board, call_id, self.rng.choice(("en", "zh")), self.rig.now)

    def pass_time(self) -> None:
        end = self.rig.now + timedelta(seconds=self.rng.choice((0.0, 0.5, 3.0, 11.0, 25.0)))
        while (due := timers.next_due(self.board, self.rig.now)) is not None and due <= end:
            self.rig.now = max(due, self.rig.now)
            timers.tick(self.board, self.rig.now)
            self.take()
            if timers.next_due(self.board, self.rig.now) == due:
                break
        self.rig.now = end

    # -- again

    def replayed(self) -> Switchboard:
        again = Switchboard(CENTRE, node=NodeName("t1"), now=self.rig.now)
        again.recover(self.facts, self.rig.now)
        return again


def same(day: Day) -> None:
    """The floor that the journal gives is the floor that is there."""
    board, again = day.board, day.replayed()
    assert again.illegal == 0
    assert again.calls == board.calls
    for agent_id, agent in board.agents.items():
        if any(getattr(fact, "agent_id", None) == agent_id for fact in day.facts):
            assert again.agents[agent_id] == agent
    assert {ticket.call_id: ticket for ticket in again.engine.tickets()} == {
        ticket.call_id: ticket for ticket in board.engine.tickets()
    }
    for queue in QUEUES:
        assert again.engine.waiting(queue) == board.engine.waiting(queue)
    for call_id in board.calls:
        assert again.engine.place(call_id) == board.engine.place(call_id)
    assert set(again.engine.leases()) == set(board.engine.leases())
    assert again.engine.last_offer_id == board.engine.last_offer_id
    assert again.wrap_until == board.wrap_until
    assert list(again.closed) == list(board.closed)
    for queue in QUEUES:
        assert again.learning.estimates.handling(queue).mean == board.learning.estimates.handling(queue).mean
        assert again.learning.estimates.patience(queue).rate == board.learning.estimates.patience(queue).rate
    assert again.learning.estimates.accuracy == board.learning.estimates.accuracy
    assert not again.out.facts


@settings(max_examples=2000 if NIGHTLY else 25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(min_value=0, max_value=2**32), st.integers(min_value=1, max_value=120))
def test_any_day_replayed_is_the_same_day(seed: int, steps: int) -> None:
    day = Day(seed)
    for _ in range(steps):
        day.act()
    same(day)


@pytest.mark.timeout(3600 if NIGHTLY else 60)
@pytest.mark.parametrize("seed", range(200 if NIGHTLY else 3))
def test_a_long_day_is_the_same_at_every_hour(seed: int) -> None:
    day = Day(seed)
    for step in range(1, (5000 if NIGHTLY else 600) + 1):
        day.act()
        if step % 100 == 0:
            same(day)
    reached = {type(fact) for fact in day.facts}
    assert {
        f.OfferMade,
        f.OfferEnded,
        f.CallAnswered,
        f.CallHeld,
        f.TalkEnded,
        f.WrapUpEnded,
        f.PriorityChanged,
    } <= reached
    decisions = [fact for fact in day.facts if isinstance(fact, f.Decided)]
    made = [fact for fact in day.facts if isinstance(fact, f.OfferMade)]
    assert any(decision.offer_id is None for decision in decisions)
    assert {fact.offer_id for fact in decisions if fact.offer_id is not None} <= {fact.offer_id for fact in made}
