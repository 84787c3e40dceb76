"""What of a former centre stays while somebody is still there: queues until their last caller has gone, agents until
their call and the work after it are over."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from cti.ids import AgentId, QueueName
from cti.model.centre import VOICEMAIL, Agent, Centre, Queue, Target, TargetKind


def with_retiring(
    wanted: Centre, former: Centre, *, queues: Iterable[QueueName] = (), agents: Iterable[AgentId] = ()
) -> Centre:
    """`wanted`, and those of `queues` and `agents` that it does not have, as `former` has them.

    A retiring queue is served by whoever served it, or by every agent when nobody of them is left. A retiring agent
    serves no queue. What `former` does not have either (a restart finds callers of a queue that nobody remembers) gets
    everything by default.
    """
    kept = {
        name: _queue(former.queues.get(name) or _unknown(name, wanted), wanted)
        for name in dict.fromkeys(queues)
        if name not in wanted.queues
    }
    staying = {
        agent_id: replace(former.agents.get(agent_id) or _nobody(agent_id), queues=(), tiers={})
        for agent_id in dict.fromkeys(agents)
        if agent_id not in wanted.agents
    }
    if not kept and not staying:
        return wanted
    serving: dict[AgentId, list[QueueName]] = {}
    for name in kept:
        own = [a for a, agent in former.agents.items() if name in agent.queues and a in wanted.agents]
        for agent_id in own or wanted.agents:
            serving.setdefault(agent_id, []).append(name)
    return replace(
        wanted,
        queues={**wanted.queues, **kept},
        agents={
            **{agent_id: _serving(agent, former, serving.get(agent_id, ())) for agent_id, agent in wanted.agents.items()},
            **staying,
        },
    )  # fmt: skip


def _serving(agent: Agent, former: Centre, queues: Collection[QueueName]) -> Agent:
    if not queues:
        return agent
    before = former.agents.get(agent.agent_id)
    tiers = {name: before.tiers[name] for name in queues if before is not None and name in before.tiers}
    return replace(agent, queues=(*agent.queues, *queues), tiers={**agent.tiers, **tiers})


def _unknown(name: QueueName, wanted: Centre) -> Queue:
    return Queue(name=name, titles=dict.fromkeys(wanted.languages, str(name)))


def _nobody(agent_id: AgentId) -> Agent:
    return Agent(agent_id=agent_id, name=str(agent_id), queues=())


def _queue(queue: Queue, wanted: Centre) -> Queue:
    """Without what it names that is there no more. It is always open: nobody new comes, and who is there is served."""

    def stands(target: Target) -> bool:
        return target.kind is not TargetKind.QUEUE or QueueName(target.name) in wanted.queues

    def or_voicemail(target: Target) -> Target:
        return target if stands(target) else VOICEMAIL

    callback = queue.callback
    return replace(
        queue,
        calendar="",
        callback=callback if callback.calendar in wanted.calendars else replace(callback, calendar=""),
        when_closed=or_voicemail(queue.when_closed),
        when_full=or_voicemail(queue.when_full),
        when_late=or_voicemail(queue.when_late),
        when_empty=or_voicemail(queue.when_empty),
        overflow=tuple(rule for rule in queue.overflow if stands(rule.to)),
        options={key: target for key, target in queue.options.items() if stands(target)},
    )
