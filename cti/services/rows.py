"""Rows for the pages, computed from the switchboard: what is dirty is computed again, what came out equal is not sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

from cti.acd.gates import written
from cti.ids import AgentId, CallId, QueueName
from cti.model.call import Call, CallState
from cti.model.centre import Target, TargetKind
from cti.model.facts import AgentState, Device
from cti.model.requirement import ANYBODY, Requirement, Skills, all_of, both
from cti.reports.agent_times import BUSY as BUSY_STATES
from cti.services.admission import is_open
from cti.services.call_paths import CallPaths
from cti.services.centre_row import CentreFigures
from cti.services.expected import QueueWaits, shown
from cti.services.floor import AgentRow, CallRow, CentreRow, Change, FloorView, LinkView, QueueRow
from cti.services.floor import CallState as RowState
from cti.services.supervision_rows import by_hand, notices_of, reassigned, watchers_told
from cti.services.switchboard import Switchboard
from cti.services.talk_rows import people_in, talk_of
from cti.services.talk_view import TalkView

VOICEMAIL = written(Target(kind=TargetKind.VOICEMAIL))
_ROW_STATES: Mapping[CallState, RowState] = {
    CallState.MENU: "menu",
    CallState.WAITING: "waiting",
    CallState.OFFERED: "offered",
    CallState.DIALLING: "dialling",
    CallState.TALKING: "talking",
    CallState.HELD: "held",
    CallState.AFTER: "menu",
    CallState.SURVIVAL: "survival",
    CallState.OUT: "out",
    CallState.ENDED: "ended",
}

_TALK = frozenset({CallState.TALKING, CallState.HELD})
_SENT_ON = frozenset({CallState.MENU, CallState.WAITING, CallState.OUT, CallState.SURVIVAL})
"""Whoever talked with the caller before has nothing to do with them any more."""


def _row_state(call: Call) -> RowState:
    if call.state is CallState.MENU and call.destination == VOICEMAIL:
        return "voicemail"
    return _ROW_STATES[call.state]


class Rows:
    """The last rows sent, and what has changed since."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._pages: dict[AgentId, int] = {}
        self._queues: dict[QueueName, QueueRow] = {}
        self._agents: dict[AgentId, AgentRow] = {}
        self._calls: dict[CallId, CallRow] = {}
        self._talks: dict[AgentId, TalkView] = {}
        self._paths = CallPaths()
        self._figures = CentreFigures(board)
        self._link = LinkView(connected=False, unknown_since=None)
        self._link_sent = False

    def page(self, agent_id: AgentId, *, connected: bool) -> None:
        """An agent's page came or went."""
        if agent_id in self._board.agents:
            self._pages[agent_id] = max(0, self._pages.get(agent_id, 0) + (1 if connected else -1))
            self._board.dirty_agents.add(agent_id)

    def link(self, view: LinkView) -> None:
        """The link to the telephone system changed."""
        if view != self._link:
            self._link, self._link_sent = view, False

    def pending(self) -> bool:
        """Whether `change` may have something to give."""
        board = self._board
        return bool(
            board.dirty_calls or board.dirty_agents or board.dirty_queues or board.dirty_pops or not self._link_sent
        ) or bool(board.departed_agents or board.departed_queues or board.alarms.changed or self._figures.pending())

    def view(self, now: datetime) -> FloorView:
        """Everything, as of the last `change`."""
        return FloorView(
            at=now,
            queues=dict(self._queues),
            agents=dict(self._agents),
            calls=dict(self._calls),
            pops=dict(self._board.pops),
            link=self._link,
            talks=dict(self._talks),
            centre=self._figures.row,
            alerts=dict(self._board.alarms.rows),
        )

    def agent(self, agent_id: AgentId) -> AgentRow | None:
        """One agent's row, as of the last `change`."""
        return self._agents.get(agent_id)

    def centre_of(self, queues: Collection[QueueName], now: datetime) -> CentreRow:
        """The centre's row of certain queues."""
        return self._figures.of(queues, now)

    def urgent(self) -> Change | None:
        """Changed screen pops, and their agents' rows: cheap, for it stands between a decision and its Redirect.

        The rest of what changed stays for `change`, whose cost grows with the queue.
        """
        board = self._board
        pops = {agent_id: board.pops.get(agent_id) for agent_id in board.dirty_pops}
        withdrawn = {agent_id: board.withdrawn.pop(agent_id, "") for agent_id, pop in pops.items() if pop is None}
        agents = {agent_id: self._agent_row(agent_id) for agent_id in board.dirty_agents & pops.keys()}
        board.dirty_agents -= agents.keys()
        board.dirty_pops = set()
        agents = {key: row for key, row in agents.items() if self._agents.get(key) != row}
        self._agents.update(agents)
        return Change(agents=agents, pops=pops, withdrawn=withdrawn) if pops else None

    def change(self, now: datetime) -> Change | None:
        """What differs from what was last given, None when nothing does."""
        board = self._board
        # A waiting call's place and expected wait come from its queue, so the one is not told without the other.
        dirty_queues = board.dirty_queues | {
            ticket.queue for call_id in board.dirty_calls if (ticket := board.engine.ticket(call_id)) is not None
        }
        dirty_calls = board.dirty_calls | {
            ticket.call_id for queue in dirty_queues for ticket in board.engine.waiting(queue)
        }
        dirty_agents = board.dirty_agents
        talks = self._changed_talks(dirty_calls)
        places = {
            ticket.call_id: place
            for queue in dirty_queues
            for place, ticket in enumerate(board.engine.waiting(queue), start=1)
        }
        waits = {name: QueueWaits(board, name, now) for name in dirty_queues if name in board.centre.queues}
        queues = {name: self._queue_row(name, waits[name], now) for name in waits}
        agents = {agent_id: self._agent_row(agent_id) for agent_id in dirty_agents}
        queues_gone = tuple(sorted(board.departed_queues & self._queues.keys()))
        agents_gone = tuple(sorted(board.departed_agents & self._agents.keys()))
        board.departed_queues, board.departed_agents = set(), set()
        calls = {
            call_id: self._call_row(board.calls[call_id], places.get(call_id), now, waits)
            for call_id in dirty_calls
            if call_id in board.calls
        }
        gone = tuple(call_id for call_id in dirty_calls if call_id not in board.calls and call_id in self._calls)
        pops = {agent_id: board.pops.get(agent_id) for agent_id in board.dirty_pops}
        withdrawn = {agent_id: board.withdrawn.pop(agent_id, "") for agent_id, pop in pops.items() if pop is None}
        board.dirty_queues, board.dirty_calls, board.dirty_agents, board.dirty_pops = set(), set(), set(), set()
        queues = {key: row for key, row in queues.items() if self._queues.get(key) != row}
        agents = {key: row for key, row in agents.items() if self._agents.get(key) != row}
        calls = {key: row for key, row in calls.items() if self._calls.get(key) != row}
        self._queues.update(queues)
        self._agents.update(agents)
        self._calls.update(calls)
        for call_id in gone:
            del self._calls[call_id]
            self._paths.forget(call_id)
        for name in queues_gone:
            del self._queues[name]
        for agent_id in agents_gone:
            del self._agents[agent_id]
            self._pages.pop(agent_id, None)
        link = None if self._link_sent else self._link
        self._link_sent = True
        centre = self._figures.change(now)
        alerts = {alert: board.alarms.rows.get(alert) for alert in sorted(board.alarms.changed)}
        board.alarms.changed = set()
        if not (
            queues or agents or calls or gone or queues_gone or agents_gone or pops or link or talks or centre or alerts
        ):
            return None
        return Change(
            queues=queues,
            agents=agents,
            calls=calls,
            calls_gone=gone,
            queues_gone=queues_gone,
            agents_gone=agents_gone,
            pops=pops,
            withdrawn=withdrawn,
            talks=talks,
            link=link,
            centre=centre,
            alerts=alerts,
        )

    def _changed_talks(self, dirty_calls: set[CallId]) -> dict[AgentId, TalkView | None]:
        """What those see whom a changed call, or a change of their own, may concern."""
        board = self._board
        concerned = set(board.dirty_agents)
        concerned.update(agent_id for agent_id, talk in self._talks.items() if talk.call_id in dirty_calls)
        for call_id in dirty_calls:
            if (call := board.calls.get(call_id)) is not None:
                concerned.update(people_in(call))
        changed: dict[AgentId, TalkView | None] = {}
        for agent_id in concerned:
            talk = talk_of(board, agent_id)
            if talk != self._talks.get(agent_id):
                changed[agent_id] = talk
                if talk is None:
                    del self._talks[agent_id]
                else:
                    self._talks[agent_id] = talk
        return changed

    def _queue_row(self, name: QueueName, waits: QueueWaits, now: datetime) -> QueueRow:
        board = self._board
        queue = board.centre.queues[name]
        waiting = board.engine.waiting(name)
        members = [board.agents[agent_id] for agent_id, agent in board.centre.agents.items() if name in agent.queues]
        day = board.tally.queue(name)
        states = Counter(agent.state for agent in members)
        return QueueRow(
            queue=name,
            title=queue.titles,
            waiting=len(waiting),
            longest_since=min((ticket.queued_at for ticket in waiting), default=None),
            agents_ready=sum(
                1 for a in members if a.state is AgentState.READY and self._reachable(a.agent_id, a.device)
            ),
            agents_busy=sum(states[state] for state in BUSY_STATES),
            agents_logged_in=len(members) - states[AgentState.OFFLINE],
            answered_today=day.answered,
            abandoned_today=day.abandoned,
            in_time_today=day.in_time,
            service_level=day.service_level,
            target_seconds=queue.service_level.total_seconds(),
            expected_wait=shown(waits.of(len(waiting) + 1)),
            open=is_open(board, queue, now),
            **by_hand(board, name, now),
            service_level_now=day.service_level_now,
            service_level_hour=day.service_level_hour,
            offered_now=day.offered_now,
            short_abandoned_today=day.short,
            elsewhere_today=day.elsewhere,
            turned_away_today=day.turned_away,
            agents={state.value: states[state] for state in AgentState if states[state]},
            reasons=dict(sorted(Counter(a.reason for a in members if a.state is AgentState.NOT_READY).items())),
        )

    def _reachable(self, agent_id: AgentId, device: Device) -> bool:
        known = self._board.devices.get((agent_id, device))
        return known is not None and known.reachable

    def _agent_row(self, agent_id: AgentId) -> AgentRow:
        board = self._board
        agent, config = board.agents[agent_id], board.centre.agents[agent_id]
        day, hours = board.tally.agent(agent_id), board.tally.hours(agent_id)
        return AgentRow(
            agent_id=agent_id,
            name=config.name,
            state=agent.state,
            reason=agent.reason if agent.state is agent.chosen else "",
            since=agent.since,
            device=agent.device,
            reachable={device: self._reachable(agent_id, device) for device in Device},
            page_connected=self._pages.get(agent_id, 0) > 0,
            queues=config.queues,
            call_id=agent.call_id or agent.offer_call or agent.wrap_call,
            calls_today=day.calls,
            talk_seconds_today=day.talk_seconds,
            wrap_up_until=board.wrap_until.get(agent_id) if agent.state is AgentState.WRAP_UP else None,
            not_ready_until=agent.until if agent.state is AgentState.NOT_READY else None,
            paused_until=board.pauses.get(agent_id) if agent.state is AgentState.READY else None,
            problems=tuple(problem.value for problem in board.presence.problems.get(agent_id, ())),
            notices=notices_of(board, agent_id),
            watched=watchers_told(board, agent_id, agent.call_id),
            reassigned=reassigned(board, agent_id),
            hold_seconds_today=day.hold_seconds,
            wrap_seconds_today=hours.wrap_up,
            busy_seconds_today=hours.busy,
            ready_seconds_today=hours.ready,
            not_ready_seconds_today=hours.not_ready,
        )

    def _needed(self, call: Call) -> Skills:
        """What the call and its queue ask of an agent together; alternatives apart."""
        queue = self._board.centre.queues.get(call.queue) if call.queue is not None else None
        return all_of((*(queue.skills.items() if queue is not None else ()), *call.skills))[0]

    def _alternatives(self, call: Call) -> Requirement:
        """All of what is asked for, where whoever meets one of several may serve; else nothing."""
        queue = self._board.centre.queues.get(call.queue) if call.queue is not None else None
        asked = both(queue.requires if queue is not None else ANYBODY, call.requires)
        return () if asked == ANYBODY else both(asked, all_of(self._needed(call)))

    def _call_row(self, call: Call, place: int | None, now: datetime, waits: Mapping[QueueName, QueueWaits]) -> CallRow:
        board = self._board
        waiting = call.state is CallState.WAITING
        known = board.cards.get(call.call_id)
        of_queue = waits.get(call.queue) if waiting and call.queue is not None else None
        return CallRow(
            call_id=call.call_id,
            state=_row_state(call),
            since=call.since,
            started_at=call.started_at,
            caller_number=call.caller_number,
            did=call.did,
            language=call.language,
            customer_name=known.cards[0].name if known is not None and len(known.cards) == 1 else "",
            tier=call.tier,
            queue=call.queue,
            queued_at=call.queued_at,
            place=place if waiting else None,
            head_start=call.head_start,
            skills=self._needed(call),
            why_waiting=board.engine.why_waiting(call.call_id, now) if waiting else "",
            choice=" > ".join(call.choices),
            agent_id=call.offered_agent or (call.agent_id if call.state not in _SENT_ON else None),
            answered_at=call.answered_at,
            ringing=call.offered_agents if call.several else (),
            talkers=people_in(call) if call.state in _TALK else (),
            callback=_callback(call),
            attempt=call.attempt,
            retry_at=call.retry_at,
            direction=call.direction,
            colleague=call.colleague,
            held_reason=call.held_reason,
            held_until=call.held_until,
            recording=call.recording,
            path=self._paths.of(call.call_id, board.history.get(call.call_id, ())),
            requires=self._alternatives(call),
            expected_wait=shown(of_queue.of_call(place, call)) if of_queue is not None and place is not None else None,
        )


def _callback(call: Call) -> Literal["", "waiting", "dialling", "reached"]:
    if call.parent is None:
        return ""
    return "dialling" if call.dialling else "waiting" if call.absent else "reached"
