"""`replacer`: what `dataclasses.replace` gives, for the classes that use it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import agent, call
from cti.model import facts as f
from cti.model.changed import replacer
from cti.model.facts import AgentState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CALL = call.begin_call(
    f.CallStarted(at=NOW, call_id=CallId("a1-1.1"), node=NodeName("a1"), caller_number=None, did="5000", channel="x")
)
AGENT = agent.AgentStatus(agent_id=AgentId("1001"), since=NOW, idle_since=NOW)


def test_it_changes_what_is_named_and_nothing_else():
    queued = call.replace(CALL, queue=QueueName("support"), queued_at=NOW)
    assert queued == dataclasses.replace(CALL, queue=QueueName("support"), queued_at=NOW)
    assert CALL.queue is None
    later = NOW + timedelta(seconds=1)
    assert agent.replace(AGENT, chosen=AgentState.READY, since=later) == dataclasses.replace(
        AGENT, chosen=AgentState.READY, since=later
    )
    assert call.replace(CALL) == CALL
    assert call.replace(CALL) is not CALL
    assert hash(call.replace(CALL)) == hash(CALL)


def test_a_field_that_is_not_there_is_refused():
    with pytest.raises(TypeError, match="nonsense"):
        call.replace(CALL, nonsense=1)


def test_a_class_that_does_something_when_it_is_made_is_refused():
    @dataclass(frozen=True, slots=True)
    class Checked:
        one: int
        two: int

        def __post_init__(self) -> None:
            raise AssertionError

    with pytest.raises(TypeError):
        replacer(Checked)
