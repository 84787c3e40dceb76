"""Who sees what of the floor. Pure: supervisors see everything; an agent sees the queues, the own row, the own call
and the own screen pop, and nothing of anybody else's."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cti.ids import AgentId, CallId, QueueName
from cti.services.floor import AgentRow, AlertRow, CallRow, CentreRow, Change, FloorView, LinkView, Pop, QueueRow
from cti.services.talk_view import TalkView


def agent_view(view: FloorView, agent_id: AgentId) -> FloorView:
    """The part of a view that is this agent's."""
    return FloorView(
        at=view.at,
        queues=view.queues,
        agents={key: row for key, row in view.agents.items() if key == agent_id},
        calls={key: row for key, row in view.calls.items() if agent_id in people_of(row)},
        pops={key: pop for key, pop in view.pops.items() if key == agent_id},
        link=view.link,
        talks={key: talk for key, talk in view.talks.items() if key == agent_id},
    )


def people_of(call: CallRow | None) -> tuple[AgentId, ...]:
    """Agents whose own a call is: who has it, everybody who is in it, or everybody whose phone rings for it."""
    if call is None or call.agent_id is None:
        return ()
    return call.ringing or call.talkers or (call.agent_id,)


@dataclass(slots=True)
class Mirror:
    """The floor as the changes so far have left it: a new feed starts from here, exactly between two changes."""

    queues: dict[QueueName, QueueRow]
    agents: dict[AgentId, AgentRow]
    calls: dict[CallId, CallRow]
    pops: dict[AgentId, Pop]
    link: LinkView
    talks: dict[AgentId, TalkView]
    centre: CentreRow | None = None
    alerts: dict[str, AlertRow] = field(default_factory=dict)
    own_calls: dict[AgentId, set[CallId]] = field(default_factory=dict)

    @classmethod
    def of(cls, view: FloorView) -> Mirror:
        """A mirror that starts at a view."""
        mirror = cls(
            queues=dict(view.queues),
            agents=dict(view.agents),
            calls=dict(view.calls),
            pops=dict(view.pops),
            link=view.link,
            talks=dict(view.talks),
            centre=view.centre,
            alerts=dict(view.alerts),
        )
        for call in view.calls.values():
            for agent_id in people_of(call):
                mirror.own_calls.setdefault(agent_id, set()).add(call.call_id)
        return mirror

    def view(self, at: datetime) -> FloorView:
        """Everything now."""
        return FloorView(
            at=at,
            queues=self.queues,
            agents=self.agents,
            calls=self.calls,
            pops=self.pops,
            link=self.link,
            talks=self.talks,
            centre=self.centre,
            alerts=self.alerts,
        )

    def view_of(self, agent_id: AgentId, at: datetime) -> FloorView:
        """The agent's part of everything now."""
        own = {call_id: self.calls[call_id] for call_id in self.own_calls.get(agent_id, ())}
        return FloorView(
            at=at,
            queues=self.queues,
            agents={agent_id: self.agents[agent_id]} if agent_id in self.agents else {},
            calls=own,
            pops={agent_id: self.pops[agent_id]} if agent_id in self.pops else {},
            link=self.link,
            talks={agent_id: self.talks[agent_id]} if agent_id in self.talks else {},
        )

    def apply(self, change: Change) -> dict[AgentId, Change]:
        """Take a change in. Returns, for each agent whom it concerns personally, what that agent is to be told.

        Agents who are not in the answer are told the queues and the link at most (`shared`).
        """
        calls: dict[AgentId, dict[CallId, CallRow]] = {}
        gone: dict[AgentId, list[CallId]] = {}
        for call_id, row in change.calls.items():
            before, now = people_of(self.calls.get(call_id)), people_of(row)
            for agent_id in before:
                if agent_id not in now:
                    # The call went to someone else: for the former agent it is gone.
                    self.own_calls.get(agent_id, set()).discard(call_id)
                    gone.setdefault(agent_id, []).append(call_id)
            for agent_id in now:
                self.own_calls.setdefault(agent_id, set()).add(call_id)
                calls.setdefault(agent_id, {})[call_id] = row
            self.calls[call_id] = row
        for call_id in change.calls_gone:
            for agent_id in people_of(self.calls.pop(call_id, None)):
                self.own_calls.get(agent_id, set()).discard(call_id)
                calls.get(agent_id, {}).pop(call_id, None)
                gone.setdefault(agent_id, []).append(call_id)
        self.queues.update(change.queues)
        self.agents.update(change.agents)
        for name in change.queues_gone:
            self.queues.pop(name, None)
        for agent_id in change.agents_gone:
            self.agents.pop(agent_id, None)
        for agent_id, pop in change.pops.items():
            if pop is None:
                self.pops.pop(agent_id, None)
            else:
                self.pops[agent_id] = pop
        for agent_id, talk in change.talks.items():
            if talk is None:
                self.talks.pop(agent_id, None)
            else:
                self.talks[agent_id] = talk
        for alert, alarm in change.alerts.items():
            if alarm is None:
                self.alerts.pop(alert, None)
            else:
                self.alerts[alert] = alarm
        if change.link is not None:
            self.link = change.link
        if change.centre is not None:
            self.centre = change.centre
        concerned = {*change.agents, *change.agents_gone, *calls, *gone, *change.pops, *change.withdrawn, *change.talks}
        return {
            agent_id: Change(
                queues=change.queues,
                agents={agent_id: change.agents[agent_id]} if agent_id in change.agents else {},
                calls=calls.get(agent_id, {}),
                calls_gone=tuple(gone.get(agent_id, ())),
                queues_gone=change.queues_gone,
                agents_gone=(agent_id,) if agent_id in change.agents_gone else (),
                pops={agent_id: change.pops[agent_id]} if agent_id in change.pops else {},
                withdrawn={agent_id: change.withdrawn[agent_id]} if agent_id in change.withdrawn else {},
                talks={agent_id: change.talks[agent_id]} if agent_id in change.talks else {},
                link=change.link,
            )
            for agent_id in concerned
        }


def shared(change: Change) -> Change | None:
    """What every agent is told of a change; None when that is nothing."""
    if not change.queues and not change.queues_gone and change.link is None:
        return None
    return Change(queues=change.queues, queues_gone=change.queues_gone, link=change.link)
