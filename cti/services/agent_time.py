"""What ends by itself for an agent: the work after a call, a limited *not ready*, the pause after an offer that failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cti.ids import AgentId, CallId
from cti.model import facts as f
from cti.model.centre import Agent, Centre, Queue
from cti.model.facts import AgentState, OfferEnd

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard


def due(board: Switchboard) -> Iterator[datetime]:
    """Every moment at which something of this ends."""
    yield from board.wrap_until.values()
    yield from board.pauses.values()
    yield from (until for _, until in _limited(board))


def tick(board: Switchboard, now: datetime) -> None:
    """End what is over."""
    for agent_id, until in list(board.wrap_until.items()):
        if until <= now:
            board.finish_wrap_up(agent_id, now, at=until, by="timer")
    for agent_id, until in _limited(board):
        if until <= now:
            # At the moment it was to end, or the longest-idle agent would be whoever's timer fired last.
            device = board.agents[agent_id].device
            board.record(f.AgentChanged(at=until, agent_id=agent_id, state=AgentState.READY, device=device, by="timer"))
            board.sync_agent(agent_id, now)
    for agent_id, until in list(board.pauses.items()):
        if until <= now:
            del board.pauses[agent_id]
            board.dirty_agents.add(agent_id)
            board.sync_agent(agent_id, now)


def _limited(board: Switchboard) -> list[tuple[AgentId, datetime]]:
    """Who is *not ready* for a limited time, and until when; asked at every turn, so it does not look at everybody."""
    if not board.limited:
        return []
    found = []
    for agent_id in sorted(board.limited):
        agent = board.agents.get(agent_id)
        if agent is None or agent.until is None:
            board.limited.discard(agent_id)
        else:
            found.append((agent_id, agent.until))
    return found


def pause_after(agent: Agent | None, end: OfferEnd, at: datetime) -> datetime | None:
    """Until when the agent is offered nothing after an offer that ended so; None: not at all."""
    if agent is None:
        return None
    pause = {
        OfferEnd.REJECTED: agent.delays.rejected,
        OfferEnd.BUSY: agent.delays.busy,
        OfferEnd.NO_ANSWER: agent.delays.no_answer,
        OfferEnd.EXPIRED: agent.delays.no_answer,
        OfferEnd.UNREACHABLE: agent.delays.unreachable,
    }.get(end, timedelta())
    return at + pause if pause else None


def limit_misses(board: Switchboard, agent_id: AgentId, at: datetime) -> None:
    """Who has missed so many offers in a row is not ready any more."""
    config, agent = board.centre.agents.get(agent_id), board.agents.get(agent_id)
    limit = config.miss_limit if config is not None else 0
    if agent is not None and limit and agent.missed >= limit and agent.chosen is AgentState.READY:
        missed, not_ready = "missed_calls", AgentState.NOT_READY
        board.record(f.AgentChanged(at=at, agent_id=agent_id, state=not_ready, reason=missed, device=agent.device))


def wrap_up_of(agent: Agent | None, queue: Queue | None) -> timedelta:
    """How long the work after a call may take."""
    if agent is not None and agent.wrap_up is not None:
        return agent.wrap_up
    return queue.wrap_up if queue is not None else timedelta()


def begin_wrap_up(board: Switchboard, fact: f.TalkEnded) -> None:
    """The work after a call begins; a talk with a colleague leaves none."""
    call = board.calls.get(fact.call_id)
    queue = board.centre.queues.get(call.queue) if call is not None and call.queue is not None else None
    internal = call is not None and call.direction is f.Direction.INTERNAL
    lasts = timedelta() if internal else wrap_up_of(board.centre.agents.get(fact.agent_id), queue)
    board.wrap_until[fact.agent_id] = fact.at + lasts
    board.wrap_queue[fact.agent_id] = queue.name if queue is not None else None


def not_ready_limit(centre: Centre, state: AgentState, reason: str, at: datetime) -> datetime | None:
    """When *not ready* for this reason ends by itself; None: not before the agent says so."""
    limit = centre.not_ready_limits.get(reason) if state is AgentState.NOT_READY else None
    return None if limit is None else at + limit


def extended(board: Switchboard, agent_id: AgentId, call_id: CallId, queue: Queue | None) -> datetime | None:
    """The new end of the work after a call when it is extended once; None when it cannot be extended further."""
    until, agent = board.wrap_until.get(agent_id), board.agents[agent_id]
    if until is None or queue is None or agent.wrap_call != call_id or not queue.wrap_up_extension:
        return None
    longest = agent.since + max(queue.wrap_up_longest, wrap_up_of(board.centre.agents.get(agent_id), queue))
    new = min(until + queue.wrap_up_extension, longest)
    return new if new > until else None
