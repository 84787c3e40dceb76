"""A restarted bridge's floor, rebuilt from the facts of its journal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cti.acd.engine import Engine
from cti.acd.inputs import LeaseRestored
from cti.ids import AgentId, OfferId
from cti.model import facts as f
from cti.model.agent import AgentStatus, apply_agent
from cti.model.call import CallState
from cti.model.reassigned import with_reassigned
from cti.model.retiring import with_retiring
from cti.services.screen_pops import pop_of

if TYPE_CHECKING:
    from cti.services.switchboard import Switchboard

RESTORED_LEASE = timedelta(seconds=10)
"""How long an offer stands that ran out while we were away: until the link to the telephone system is up again."""


def recover(board: Switchboard, facts: Iterable[f.Fact], now: datetime) -> None:
    """See `Switchboard.recover`."""
    last = 0
    made: dict[AgentId, f.OfferMade] = {}
    for fact in facts:
        if isinstance(fact, f.OfferMade):
            last = max(last, fact.offer_id)
            made.update(dict.fromkeys((fact.agent_id, *fact.others), fact))
        elif isinstance(fact, f.DialAsked):
            board.presence.remember_dial(fact)
        board.replay(fact)
    board.tolls.book.now(now)  # count what dialling out has cost while nothing waits for us
    _keep_what_is_in_use(board)
    _reassign(board, now)
    if last:
        board.engine.last_offer_id = OfferId(last)
    # Before the callers: whether somebody is logged in decides for whom they are held and what is asked for.
    for agent_id in board.agents:
        board.sync_agent(agent_id, now)
    waiting = [c for c in board.calls.values() if c.state in (CallState.WAITING, CallState.OFFERED)]
    for call in sorted(waiting, key=lambda c: (c.queued_at or c.started_at, c.call_id)):
        board.join_queue(call, now, deliverable=False)
        if call.offer_id is not None and call.offered_agent is not None:
            board.route(
                LeaseRestored(
                    offer_id=call.offer_id,
                    call_id=call.call_id,
                    agent_id=call.offered_agent,
                    deadline=_deadline(call.offer_deadline, now),
                    others=call.others,
                ),
                now,
            )
    # Who rings or talks has the same customer on the screen as before; the cards come with the next look-up.
    for agent_id, offer in made.items():
        agent = board.agents.get(agent_id)
        shown = board.calls.get(offer.call_id)
        if agent is not None and shown is not None and offer.call_id in (agent.offer_call, agent.call_id):
            board.pops[agent_id] = pop_of(board, shown, offer, agent_id, offer.at)
            board.dirty_pops.add(agent_id)
    board.tally.roll(now)
    board.begin_counting(now)


def _deadline(deadline: datetime | None, now: datetime) -> datetime:
    """An offer that ran out while we were away stands until the telephone system has said what came of it."""
    return deadline if deadline is not None and deadline > now else now + RESTORED_LEASE


def _reassign(board: Switchboard, now: datetime) -> None:
    """Agents who have other queues or skills for a while have them still, unless the time was over meanwhile."""
    board.supervision.let_agents_back(now)
    board.supervision.reassigned_anew = False
    centre = with_reassigned(board.centre, board.configured, board.supervision.reassigned)
    if centre is not board.centre:
        board.centre = centre
        board.engine = Engine(centre)


def _keep_what_is_in_use(board: Switchboard) -> None:
    """Queues and agents of live calls that the centre's file does not have any more retire as they would have."""
    calls = board.calls.values()
    queues = {call.queue for call in calls if call.queue is not None} - board.centre.queues.keys()
    engaged = [
        (agent_id, call.call_id)
        for call in calls
        for agent_id in (call.agent_id, call.offered_agent, *call.others)
        if agent_id is not None and agent_id not in board.agents
    ]
    if not queues and not engaged:
        return
    agents = sorted({agent_id for agent_id, _ in engaged})
    board.centre = with_retiring(board.centre, board.centre, queues=sorted(queues), agents=agents)
    board.engine = Engine(board.centre)
    for agent_id, call_id in engaged:
        history = board.history[call_id]
        agent = AgentStatus(agent_id=agent_id, since=history[0].at, idle_since=history[0].at)
        for fact in history:
            if agent_id in (getattr(fact, "agent_id", None), *getattr(fact, "others", ())):
                agent = apply_agent(agent, fact)
        board.agents[agent_id] = agent
