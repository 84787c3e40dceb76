"""The demo's invented weeks: they repeat, they are whole, and a floor can be rebuilt from them."""

from datetime import UTC, datetime

from cti.centre_file import load_centre
from cti.demo.history import Known, weeks
from cti.ids import CustomerId, NodeName
from cti.model import facts as f
from cti.model.kinds import AgentState
from cti.places import DEMO_CENTRE
from cti.services.switchboard import Switchboard

NOW = datetime(2026, 3, 4, 20, 10, tzinfo=UTC)
NODE = NodeName("pbx1")


def invented(days: int = 7) -> list[f.Fact]:
    known = [
        Known(customer_id=CustomerId(n), number=f"+1555010{n:04d}", tier="vip" if n < 4 else "regular", language="en")
        for n in range(1, 30)
    ]
    return sorted(weeks(load_centre(DEMO_CENTRE), known, NOW, days=days, node=NODE), key=lambda fact: fact.at)


def test_the_same_seed_gives_the_same_weeks():
    assert invented(2) == invented(2)


def test_every_call_is_whole_and_over_before_now():
    facts = invented()
    begun = [fact.call_id for fact in facts if isinstance(fact, f.CallStarted)]
    ended = [fact.call_id for fact in facts if isinstance(fact, f.CallEnded)]
    assert len(begun) == len(set(begun)) > 400
    assert sorted(begun) == sorted(ended)
    assert all(fact.at < NOW for fact in facts)


def test_nobody_has_two_talks_at_once():
    until: dict[str, datetime] = {}
    for fact in invented():
        if isinstance(fact, f.CallAnswered):
            assert until.get(fact.agent_id, fact.at) <= fact.at
        elif isinstance(fact, f.TalkEnded):
            until[fact.agent_id] = fact.at


def test_most_are_answered_some_give_up():
    facts = invented()
    queued = sum(isinstance(fact, f.CallQueued) for fact in facts)
    answered = sum(isinstance(fact, f.CallAnswered) for fact in facts)
    assert 0.8 < answered / queued < 0.98


def test_a_floor_is_rebuilt_from_them_with_nobody_on_it():
    board = Switchboard(load_centre(DEMO_CENTRE), node=NODE, now=NOW)
    board.recover(invented(2), NOW)
    assert not board.calls
    assert {agent.state for agent in board.agents.values()} == {AgentState.OFFLINE}
