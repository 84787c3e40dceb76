"""Each strategy by example. That the engine follows them in every history is shown in `tests/property/acd`."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from cti.acd.decisions import Offer
from cti.acd.engine import Engine
from cti.acd.inputs import AgentBusy, AgentFree, AgentTallied, CallerJoined, CallerLeft, CentreChanged, OfferSettled
from cti.model.centre import Agent, Centre, Queue, Strategy
from cti.model.facts import AgentState, OfferEnd

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(seconds):
    return NINE + timedelta(seconds=seconds)


def floor(strategy, **agents):
    staff = {
        name: Agent(agent_id=name, name=name, queues=queues, skills=skills, weight=weight)
        for name, (queues, skills, weight) in agents.items()
    }
    queues = {name: Queue(name=name, titles={}, strategy=strategy) for name in ("support", "sales")}
    return Centre(name="test", queues=queues, agents=staff, tiers={}, numbers={})


def three(strategy):
    return floor(
        strategy,
        b=(("support",), {"en": 5}, 1.0),
        a=(("support", "sales"), {"en": 3}, 1.0),
        c=(("support",), {"en": 3, "zh": 3}, 2.0),
    )


def opened(centre, *order):
    """An engine whose agents became free one second after the other."""
    engine = Engine(centre)
    for n, agent_id in enumerate(order or centre.agents):
        engine.handle(AgentFree(agent_id=agent_id, idle_since=at(n)), at(10))
    return engine


def call(engine, call_id, seconds, *, skills=()):
    event = CallerJoined(
        call_id=call_id, queue="support", queued_at=at(seconds), skills=tuple(skills), deliverable=True
    )
    (offer,) = engine.handle(event, at(seconds))
    return offer


def talk(engine, offer, seconds, until):
    engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.ANSWERED), at(seconds))
    engine.handle(AgentBusy(agent_id=offer.agent_id, state=AgentState.WRAP_UP), at(until))
    engine.handle(AgentFree(agent_id=offer.agent_id, idle_since=at(until)), at(until))


def served(engine, talks):
    """Who got calls that came one after the other, each talked for so many seconds."""
    out, now = [], 100
    for n, length in enumerate(talks):
        offer = call(engine, f"c{n}", now)
        out.append(offer.agent_id)
        talk(engine, offer, now, now + length)
        now += length + 1
    return "".join(out)


def test_longest_idle():
    assert served(opened(three(Strategy.LONGEST_IDLE), "c", "a", "b"), [5, 5, 5, 5]) == "cabc"


def test_fewest_calls_with_ties_by_idleness():
    engine = opened(three(Strategy.FEWEST_CALLS), "c", "a", "b")
    engine.handle(AgentTallied(agent_id="c", calls=2), at(20))
    assert served(engine, [5, 5, 5, 5, 5]) == "ababc"


def test_least_talk_time():
    engine = opened(three(Strategy.LEAST_TALK_TIME), "c", "a", "b")
    engine.handle(AgentTallied(agent_id="b", talk=timedelta(seconds=12)), at(20))
    assert served(engine, [10, 50, 4, 5]) == "cacb"


def test_hold_is_talk_time_and_wrap_up_is_not():
    engine = opened(three(Strategy.LEAST_TALK_TIME), "a", "b")
    offer = call(engine, "c1", 20)
    engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.ANSWERED), at(20))
    engine.handle(AgentBusy(agent_id="a", state=AgentState.HELD), at(25))
    engine.handle(AgentBusy(agent_id="a", state=AgentState.WRAP_UP), at(30))
    engine.handle(AgentFree(agent_id="a", idle_since=at(90)), at(90))
    assert call(engine, "c2", 91).agent_id == "b"
    assert call(engine, "c3", 92).record.candidates[0].score == -10


def test_round_robin_remembers_offers_that_were_not_answered():
    engine = opened(three(Strategy.ROUND_ROBIN), "a", "b", "c")
    offer = call(engine, "c1", 20)
    assert offer.agent_id == "a"
    (again,) = engine.handle(OfferSettled(offer_id=offer.offer_id, end=OfferEnd.NO_ANSWER), at(30))
    assert again.agent_id == "b"
    engine.handle(CallerLeft(call_id="c1"), at(31))
    assert served(engine, [5, 5, 5, 5]) == "cabc"


def test_linear_is_the_order_of_the_file_after_a_change_too():
    engine = opened(three(Strategy.LINEAR))
    assert served(engine, [5, 5]) == "bb"
    other = three(Strategy.LINEAR)
    agents = dict(reversed(other.agents.items()))
    engine.handle(
        CentreChanged(centre=Centre(name="", queues=other.queues, agents=agents, tiers={}, numbers={})), at(190)
    )
    assert call(engine, "c9", 200).agent_id == "c"


def test_best_skill_counts_what_the_call_needs():
    assert call(opened(three(Strategy.BEST_SKILL)), "c1", 20, skills=[("en", 2)]).agent_id == "b"
    engine = opened(three(Strategy.BEST_SKILL), "a", "b", "c")
    assert call(engine, "c1", 20, skills=[("zh", 1)]).agent_id == "c"
    plain = call(engine, "c2", 21)
    assert (plain.agent_id, plain.record.candidates[0].score) == ("a", 0)


def test_least_flexible_keeps_the_versatile():
    offer = call(opened(three(Strategy.LEAST_FLEXIBLE), "a", "c", "b"), "c1", 20)
    assert [c.agent_id for c in offer.record.candidates] == ["b", "a", "c"]
    assert [c.score for c in offer.record.candidates] == [-2, -3, -3]


def test_random_draws_by_weight_and_the_same_for_the_same_call():
    drawn = Counter()
    for n in range(1500):
        engine = opened(three(Strategy.RANDOM))
        drawn[call(engine, f"c{n}", 20).agent_id] += 1
    assert drawn["c"] / 1500 == pytest.approx(0.5, abs=0.04)
    assert drawn["a"] / 1500 == pytest.approx(0.25, abs=0.04)
    assert call(opened(three(Strategy.RANDOM), "c", "b", "a"), "c7", 20).agent_id == (
        call(opened(three(Strategy.RANDOM), "a", "b", "c"), "c7", 50).agent_id
    )


@pytest.mark.parametrize("strategy", Strategy)
def test_the_record_ranks_as_the_strategy_does(strategy):
    engine = opened(three(strategy), "a", "b", "c")
    offer = call(engine, "c1", 30, skills=[("en", 1)])
    assert isinstance(offer, Offer)
    assert offer.record.strategy is strategy
    assert offer.record.candidates[0].agent_id == offer.agent_id
    assert len(offer.record.candidates) == 3
