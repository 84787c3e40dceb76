"""Whether a talk is recorded: the rule of its queue, the agent's own, and what the caller said to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cti.ids import AgentId, CallId, QueueName
from cti.model.recording_rule import NEVER, RecordingRule, RecordWhen, consent_of

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard


def wanted(board: Switchboard, call_id: CallId, queue: QueueName | None, agents: Sequence[AgentId] = ()) -> bool:
    """Whether the call's talk is recorded from its beginning, when it is of this queue and with one of these agents."""
    return rule(board, queue, agents).wants(call_id, consent(board, call_id))


def for_agents(board: Switchboard, call_id: CallId, queue: QueueName, agents: Sequence[AgentId]) -> bool | None:
    """The same for an offer; None while no agent has a rule of their own: the caller's channel knows the queue's."""
    if all(agent.recording is None for agent in board.centre.agents.values()):
        return None
    return wanted(board, call_id, queue, agents)


def consent(board: Switchboard, call_id: CallId) -> bool | None:
    """What the caller said to being recorded."""
    call = board.calls.get(call_id)
    return consent_of(dict(call.data)) if call is not None else None


def rule(board: Switchboard, queue: QueueName | None, agents: Sequence[AgentId] = ()) -> RecordingRule:
    """The rule that counts: an agent's own before the queue's; of several agents who ring at once, "never" before all."""
    settings = board.centre.queues.get(queue) if queue is not None else None
    of_queue = settings.recording_rule if settings is not None else NEVER
    known = [board.centre.agents[agent_id] for agent_id in agents if agent_id in board.centre.agents]
    own = [agent.recording if agent.recording is not None else of_queue for agent in known]
    return min(own, key=lambda one: tuple(RecordWhen).index(one.when), default=of_queue)
