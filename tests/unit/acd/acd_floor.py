"""A small floor in few words, for tests of the engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cti.acd.decisions import Offer
from cti.acd.engine import Engine
from cti.acd.inputs import AgentBusy, AgentFree, CallerJoined
from cti.model.centre import Agent, Centre, Queue
from cti.model.facts import AgentState

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(seconds):
    return NINE + timedelta(seconds=seconds)


def a_centre(agents, **settings):
    """Queues support and sales; `settings` are those of support. An agent is (queues, skills) or (queues, skills, tiers)."""
    return Centre(
        name="test",
        queues={
            "support": Queue(name="support", titles={}, **settings),
            "sales": Queue(name="sales", titles={}),
        },
        agents={
            a: Agent(agent_id=a, name=a, queues=queues, skills=skills, tiers=dict(*tiers))
            for a, (queues, skills, *tiers) in agents.items()
        },
        tiers={},
        numbers={},
    )


def opened(centre, **states):
    """An engine whose agents are in these states; free ones idle in the order they are named."""
    engine = Engine(centre)
    for n, (agent_id, state) in enumerate(states.items()):
        if state == "ready":
            engine.handle(AgentFree(agent_id=agent_id, idle_since=at(n - 100)), at(0))
        else:
            engine.handle(AgentBusy(agent_id=agent_id, state=AgentState(state)), at(0))
    return engine


def join(engine, call_id, seconds, **fields):
    fields = {"queue": "support", "deliverable": True, "queued_at": at(seconds)} | fields
    return pairs(engine.handle(CallerJoined(call_id=call_id, **fields), at(seconds)))


def free(engine, agent_id, seconds):
    return pairs(engine.handle(AgentFree(agent_id=agent_id, idle_since=at(seconds)), at(seconds)))


def busy(engine, agent_id, seconds, state="not_ready"):
    return pairs(engine.handle(AgentBusy(agent_id=agent_id, state=AgentState(state)), at(seconds)))


def pairs(decisions):
    """Offers as (call, agents in one string with spaces)."""
    return [(d.call_id, " ".join(d.agent_ids)) for d in decisions if isinstance(d, Offer)]
