"""What of the floor reaches whom, beyond the agents' own parts (`cti.web.views`): a supervisor of certain queues gets these
queues, their calls and their agents; a wall gets figures and nobody's name or number.

A call belongs to the queue it is in. One that is in none (in a menu, between two agents, begun by an agent) belongs to
nobody's queues, and only whoever sees all sees it. An agent belongs to each queue they serve; busy with a call of another
queue they are told as busy elsewhere, and nothing is told of that call. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from cti.ids import AgentId, CallId, QueueName
from cti.services.floor import AgentRow, AlertRow, CallRow, CentreRow, Change, FloorView, Pop, QueueRow
from cti.services.talk_view import TalkView
from cti.web.views import Mirror

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What somebody may see. Those with the same cut get the same bytes."""

    queues: frozenset[QueueName] | None = None
    """None: all, and what is in none."""
    wall: bool = False
    """Only what a wall draws."""


EVERYTHING = Cut()
Figures = Callable[[frozenset[QueueName]], CentreRow | None]
"""The centre's row with the figures of these queues only; None: nobody can tell."""


def no_figures(_queues: frozenset[QueueName]) -> CentreRow | None:
    """Where nobody counts by queue."""
    return None


class Cutter:
    """One cut of one floor: what its pages have been told, and what they are to be told next."""

    def __init__(self, cut: Cut, mirror: Mirror, figures: Figures = no_figures) -> None:
        self._cut = cut
        self._mirror = mirror
        self._figures = figures
        self._queues: dict[QueueName, QueueRow] = {}
        self._agents: dict[AgentId, AgentRow] = {}
        self._calls: dict[CallId, CallRow] = {}
        self._pops: dict[AgentId, Pop] = {}
        self._talks: dict[AgentId, TalkView] = {}
        self._alerts: dict[str, AlertRow] = {}
        self._with: dict[CallId, set[AgentId]] = {}
        """Call -> agents whose rows, pops or talks name it: what they are told of it changes with its queue."""
        self._named: dict[AgentId, set[CallId]] = {}
        self._live = (
            {call_id for call_id in mirror.calls if self._is_here(call_id)} if cut.queues is not None else set()
        )
        """Calls in these queues: whenever one comes or goes the centre's row of them is another, though the whole's is not."""
        for agent_id in {*mirror.agents, *mirror.pops, *mirror.talks}:
            self._note(agent_id)
        _differing(self._queues, mirror.queues, self._queue)
        _differing(self._agents, mirror.agents, self._agent)
        _differing(self._calls, mirror.calls, self._call)
        _differing(self._pops, mirror.pops, self._pop)
        _differing(self._talks, mirror.talks, self._talk)
        _differing(self._alerts, mirror.alerts, self._alert)
        self._centre = self._centre_row()

    def view(self, at: datetime) -> FloorView:
        """Everything that has been told."""
        return FloorView(
            at=at,
            queues=self._queues,
            agents=self._agents,
            calls=self._calls,
            pops=self._pops,
            link=self._mirror.link,
            talks=self._talks,
            centre=self._centre,
            alerts=self._alerts,
        )

    def change(self, change: Change) -> Change | None:
        """What is to be told of a change that the mirror has taken in already; None: nothing."""
        for agent_id in {*change.agents, *change.agents_gone, *change.pops, *change.talks}:
            self._note(agent_id)
        moved = {
            agent_id
            for call_id in (*change.calls, *change.calls_gone)
            for agent_id in self._with.get(call_id, ())
        }  # fmt: skip
        queues, queues_gone = _differing(self._queues, {*change.queues, *change.queues_gone}, self._queue)
        agents, agents_gone = _differing(self._agents, {*change.agents, *change.agents_gone, *moved}, self._agent)
        calls, calls_gone = _differing(self._calls, {*change.calls, *change.calls_gone}, self._call)
        pops, pops_gone = _differing(self._pops, {*change.pops, *moved}, self._pop)
        talks, talks_gone = _differing(self._talks, {*change.talks, *moved}, self._talk)
        alerts, alerts_gone = _differing(self._alerts, change.alerts, self._alert)
        moved_here = self._moved_here((*change.calls, *change.calls_gone))
        centre = self._centre_row() if change.centre is not None or moved_here else None
        if centre == self._centre:
            centre = None
        elif centre is not None:
            self._centre = centre
        told = Change(
            queues=queues,
            agents=agents,
            calls=calls,
            calls_gone=calls_gone,
            queues_gone=queues_gone,
            agents_gone=agents_gone,
            pops={**pops, **dict.fromkeys(pops_gone)},
            withdrawn={agent_id: change.withdrawn.get(agent_id, "") for agent_id in pops_gone},
            talks={**talks, **dict.fromkeys(talks_gone)},
            link=change.link,
            centre=centre,
            alerts={**alerts, **dict.fromkeys(alerts_gone)},
        )
        return told if told != _NOTHING else None

    def _note(self, agent_id: AgentId) -> None:
        mirror = self._mirror
        named = (mirror.agents.get(agent_id), mirror.pops.get(agent_id), mirror.talks.get(agent_id))
        now = {one.call_id for one in named if one is not None and one.call_id is not None}
        for call_id in self._named.pop(agent_id, set()) - now:
            known = self._with[call_id]
            known.discard(agent_id)
            if not known:
                del self._with[call_id]
        if now:
            self._named[agent_id] = now
        for call_id in now:
            self._with.setdefault(call_id, set()).add(agent_id)

    def _moved_here(self, calls: Iterable[CallId]) -> bool:
        """Whether one of these calls came into our queues or left them; of all queues nobody asks."""
        if self._cut.queues is None:
            return False
        moved = {call_id for call_id in calls if (call_id in self._live) != self._is_here(call_id)}
        self._live ^= moved
        return bool(moved)

    def _is_here(self, call_id: CallId) -> bool:
        row = self._mirror.calls.get(call_id)
        return row is not None and self._ours(row.queue)

    # -- row by row: as it is told, None where it is not ---------------------------------------------------------------

    def _ours(self, queue: QueueName | None) -> bool:
        return self._cut.queues is None or queue in self._cut.queues

    def _queue(self, queue: QueueName) -> QueueRow | None:
        return self._mirror.queues.get(queue) if self._ours(queue) else None

    def _agent(self, agent_id: AgentId) -> AgentRow | None:
        row, queues = self._mirror.agents.get(agent_id), self._cut.queues
        if row is None:
            return None
        usual = row.reassigned.usual_queues if row.reassigned is not None else ()
        if queues is not None and queues.isdisjoint((*row.queues, *usual)):  # who gave an agent away still has them
            return None
        if self._cut.wall:
            return AgentRow(
                agent_id=row.agent_id, name="", state=row.state, reason="", since=row.since, device=row.device, reachable={},
                page_connected=row.page_connected, queues=row.queues, call_id=None, calls_today=0, talk_seconds_today=0.0,
            )  # fmt: skip
        if queues is None or row.call_id is None:
            return row
        call = self._mirror.calls.get(row.call_id)
        if call is not None and self._ours(call.queue):
            return row
        return replace(row, call_id=None, watched=False, elsewhere=call is not None)

    def _call(self, call_id: CallId) -> CallRow | None:
        row = self._mirror.calls.get(call_id)
        return row if row is not None and not self._cut.wall and self._ours(row.queue) else None

    def _pop(self, agent_id: AgentId) -> Pop | None:
        pop = self._mirror.pops.get(agent_id)
        if pop is None or self._cut.wall or not self._ours(pop.queue):
            return None
        call = self._mirror.calls.get(pop.call_id)
        return pop if call is None or self._ours(call.queue) else None

    def _talk(self, agent_id: AgentId) -> TalkView | None:
        talk = self._mirror.talks.get(agent_id)
        return talk if talk is not None and self._call(talk.call_id) is not None else None

    def _alert(self, alert: str) -> AlertRow | None:
        row = self._mirror.alerts.get(alert)
        if row is None or not self._ours(row.queue):
            return None
        return replace(row, acknowledged_by="") if self._cut.wall else row  # that it is seen to, and not by whom

    def _centre_row(self) -> CentreRow | None:
        queues = self._cut.queues
        return self._mirror.centre if queues is None else self._figures(queues)


_NOTHING = Change()


def _differing(
    told: dict[K, V], keys: Iterable[K], now: Callable[[K], V | None]
) -> tuple[Mapping[K, V], tuple[K, ...]]:
    """Bring `told` up to date for `keys`; gives what is new or another, and what is not told of any more."""
    new: dict[K, V] = {}
    gone: list[K] = []
    for key in keys:
        row, before = now(key), told.get(key)
        if row is None:
            if told.pop(key, None) is not None:
                gone.append(key)
        elif row is not before and row != before:
            told[key] = new[key] = row
    return new, tuple(gone)


def cut_view(cut: Cut, view: FloorView, figures: Figures = no_figures) -> FloorView:
    """A view as that cut sees it."""
    return view if cut == EVERYTHING else Cutter(cut, Mirror.of(view), figures).view(view.at)
