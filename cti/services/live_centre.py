"""A new configuration of the centre, taken up by the running floor in one turn of its owner.

Nobody is dropped and nobody's place changes. What the new centre does not have any more retires: a removed queue lives on,
served by its agents, until its last caller has gone (and until those who were in the menus at that moment, on their way to
it perhaps, are through); a removed agent's call and the work after it go on. `board.centre` is the centre with what
retires, and with the queues and skills that supervisors gave agents for a while; `board.configured` is what the file says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from cti.acd.inputs import AgentBusy, CentreChanged
from cti.ids import AgentId, QueueName
from cti.model import facts as f
from cti.model.agent import AgentStatus
from cti.model.call import CallState
from cti.model.centre import Centre
from cti.model.centre_changes import changes
from cti.model.facts import AgentState
from cti.model.reassigned import with_reassigned
from cti.model.retiring import with_retiring
from cti.services import outbound
from cti.services.switchboard import Switchboard

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=1)
"""Between looks whether what retires is needed any more."""
REMOVED = "removed"
"""The reason by which an agent who was taken out of the centre goes offline."""


def waiting(board: Switchboard) -> Mapping[QueueName, int]:
    """Callers (and callbacks) with a ticket, by queue."""
    return Counter(ticket.queue for ticket in board.engine.tickets())


def on_calls(board: Switchboard) -> frozenset[AgentId]:
    """Agents who are offered a call, talk, or do the work after one."""
    return frozenset(agent_id for agent_id, agent in board.agents.items() if _engaged(agent))


def _engaged(agent: AgentStatus) -> bool:
    return agent.offer_id is not None or agent.call_id is not None or agent.wrap_call is not None


def changes_to(board: Switchboard, wanted: Centre) -> tuple[str, ...]:
    """What would change on the floor, in plain words."""
    return changes(board.configured, wanted, waiting=waiting(board), on_calls=on_calls(board))


def configure(board: Switchboard, wanted: Centre, now: datetime, *, version: str, by: str) -> tuple[str, ...]:
    """Take the configuration up. Gives the changes; the fact `CentreApplied` says the same."""
    told = changes_to(board, wanted)
    gone = {name: now for name in board.centre.queues if name not in wanted.queues and name not in board.retiring_since}
    board.retiring_since = {
        name: since for name, since in {**board.retiring_since, **gone}.items() if name not in wanted.queues
    }
    for agent_id, agent in board.agents.items():
        if agent_id not in wanted.agents and agent.chosen is not AgentState.OFFLINE:
            board.record(
                f.AgentChanged(
                    at=now, agent_id=agent_id, state=AgentState.OFFLINE, reason=REMOVED, device=agent.device, by=by
                )
            )
    for agent_id in [agent_id for agent_id in board.agents if agent_id not in wanted.agents]:
        board.sync_agent(agent_id, now)
    board.configured = wanted
    _take_up(board, now)
    board.record(f.CentreApplied(at=now, version=version, by=by, changes=told))
    log.info("centre_applied", version=version, by=by, changes=len(told), retiring=sorted(retiring(board)))
    return told


def retiring(board: Switchboard) -> frozenset[str]:
    """Queues and agents that are only there until they are not needed any more."""
    queues = {str(name) for name in board.centre.queues if name not in board.configured.queues}
    return frozenset(queues | {agent_id for agent_id in board.centre.agents if agent_id not in board.configured.agents})


def settle(board: Switchboard, now: datetime) -> bool:
    """Let go what has retired and is needed no more; True when something went. To be called after every turn."""
    if board.supervision.reassigned_anew:
        _take_up(board, now)
    if board.centre is board.configured or now < board.retiring_looked_at + LOOK_EVERY:
        return False
    board.retiring_looked_at = now
    before = retiring(board)
    if not before:
        return False
    queues, agents = _needed(board)
    if before == {*queues, *agents}:
        return False
    _take_up(board, now)
    log.info("retired", gone=sorted(before - retiring(board)))
    return True


def reassign(board: Switchboard, now: datetime) -> None:
    """Agents have other queues or skills from now on, as `Supervision.reassigned` says."""
    _take_up(board, now)


def _needed(board: Switchboard) -> tuple[list[QueueName], list[AgentId]]:
    """The queues and agents that are not configured any more, and in use."""
    used: set[QueueName] = {ticket.queue for ticket in board.engine.tickets()}
    used |= {name for name in board.wrap_queue.values() if name is not None}
    eldest_in_menu: datetime | None = None
    for call in board.calls.values():
        if call.queue is not None:
            used.add(call.queue)
        if call.state is CallState.MENU and (eldest_in_menu is None or call.started_at < eldest_in_menu):
            eldest_in_menu = call.started_at
    queues = [
        name
        for name in board.centre.queues
        if name not in board.configured.queues
        and (
            name in used
            or (eldest_in_menu is not None and (since := board.retiring_since.get(name)) is not None and eldest_in_menu <= since)
        )
    ]  # fmt: skip
    agents = [
        agent_id
        for agent_id, agent in board.agents.items()
        if agent_id not in board.configured.agents and _engaged(agent)
    ]
    return queues, agents


def _take_up(board: Switchboard, now: datetime) -> None:
    """Make the floor that of the configured centre and of what is still needed besides."""
    queues, agents = _needed(board)
    former = board.centre
    there = with_retiring(board.configured, former, queues=queues, agents=agents)
    board.centre = centre = with_reassigned(there, board.configured, board.supervision.reassigned)
    board.supervision.reassigned_anew = False
    board.retiring_since = {name: since for name, since in board.retiring_since.items() if name in queues}
    board.tally.use(centre, now)
    for agent_id in [agent_id for agent_id in board.agents if agent_id not in centre.agents]:
        _forget(board, agent_id, now)
    for agent_id in centre.agents:
        if agent_id not in board.agents:
            board.agents[agent_id] = AgentStatus(agent_id=agent_id, since=now, idle_since=now)
            board.departed_agents.discard(agent_id)
    # The order in which agents are asked where the strategy is `linear` is that of the file.
    board.agents = {agent_id: board.agents[agent_id] for agent_id in centre.agents}
    board.departed_queues |= {name for name in former.queues if name not in centre.queues}
    board.departed_queues -= centre.queues.keys()
    board.dirty_queues = (board.dirty_queues & centre.queues.keys()) | set(centre.queues)
    board.dirty_agents = (board.dirty_agents & centre.agents.keys()) | set(centre.agents)
    # Rules, hours and people are others now: whoever waits is looked at anew.
    board.looks.edges.clear()
    board.looks.queues = {name: None for name in board.looks.queues if name in centre.queues}
    board.looks.staff(centre.queues)
    board.route(CentreChanged(centre=centre), now)
    outbound.open_trunk(board, now, there=board.can_dial_out)
    for agent_id in centre.agents:
        board.sync_agent(agent_id, now)


def _forget(board: Switchboard, agent_id: AgentId, now: datetime) -> None:
    """The agent has left the centre and is in no call: nothing of them stays on the floor."""
    board.route(AgentBusy(agent_id=agent_id, state=AgentState.OFFLINE), now)
    board.withdraw_pop(agent_id, REMOVED)
    del board.agents[agent_id]
    for table in (board.wrap_until, board.wrap_queue, board.pauses):
        table.pop(agent_id, None)
    board.devices = {key: device for key, device in board.devices.items() if key[0] != agent_id}
    board.forget_told(agent_id)
    board.dirty_agents.discard(agent_id)
    board.departed_agents.add(agent_id)
