"""What is different between two centres, in plain words: one line a change, in the order of the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

from cti.ids import AgentId, QueueName
from cti.model.centre import Agent, Centre
from cti.model.centre_tables import (
    SECONDS,
    Table,
    agent_table,
    alerts_table,
    calendar_table,
    centre_table,
    crm_table,
    dates_told,
    number_table,
    outbound_table,
    presence_table,
    queue_table,
    service_table,
    supervision_table,
    tier_table,
)

PLAIN = frozenset(
    ("titles", "skills", "tiers", "hours", "options", "phone_book", "supervisors", "walls", "transfer_flows")
)
"""Tables of which every line is told as its name and its value."""
T = TypeVar("T")
Goes: TypeAlias = Callable[[str], str]


def changes(
    before: Centre,
    after: Centre,
    *,
    waiting: Mapping[QueueName, int] | None = None,
    on_calls: Collection[AgentId] = (),
) -> tuple[str, ...]:
    """The changes from `before` to `after`.

    `waiting`: callers by queue, `on_calls`: agents in a call; they tell what a removal means to people there now.
    """
    callers = waiting or {}

    def queue_goes(name: str) -> str:
        number = callers.get(QueueName(name), 0)
        if not number:
            return ""
        return f": {number} {'caller waits' if number == 1 else 'callers wait'} in it and {'stays' if number == 1 else 'stay'}"

    def agent_goes(extension: str) -> str:
        return ": the call goes on" if extension in on_calls else ""

    return (
        *_keys("", centre_table(before), centre_table(after)),
        *_named("number", before.numbers, after.numbers, number_table, lambda n: f"flow {n.flow}"),
        *_named("queue", before.queues, after.queues, queue_table, goes=queue_goes),
        *_named("tier", before.tiers, after.tiers, tier_table),
        *_named("agent", before.agents, after.agents, agent_table, _agent_told, agent_goes),
        *_order(before, after),
        *_named("calendar", before.calendars, after.calendars, calendar_table),
        *_named("service", before.services, after.services, service_table),
        *_keys("outbound: ", outbound_table(before.outbound), outbound_table(after.outbound)),
        *_keys("presence: ", presence_table(before.presence), presence_table(after.presence)),
        *_keys("supervision: ", supervision_table(before.supervision), supervision_table(after.supervision)),
        *_keys("alerts: ", alerts_table(before.alerts), alerts_table(after.alerts)),
        *_keys("crm: ", crm_table(before.crm), crm_table(after.crm)),
    )  # fmt: skip


def _agent_told(agent: Agent) -> str:
    return f"{agent.name}, {_value('queues', list(agent.queues))}"


def _named(
    kind: str,
    before: Mapping[Any, T],
    after: Mapping[Any, T],
    table: Callable[[T], Table],
    told: Callable[[T], str] = lambda _new: "",
    goes: Goes = lambda _name: "",
) -> Iterator[str]:
    for name, new in after.items():
        if name in before:
            yield from _keys(f"{kind} {name}: ", table(before[name]), table(new))
        else:
            about = told(new)
            yield f"{kind} {name} is new" + (f": {about}" if about else "")
    for name in before:
        if name not in after:
            yield f"{kind} {name} goes{goes(str(name))}"


def _order(before: Centre, after: Centre) -> Iterator[str]:
    """The strategy `linear` asks agents in the order of the file."""
    stayed = [name for name in before.agents if name in after.agents]
    if stayed != [name for name in after.agents if name in before.agents]:
        yield "the order of the agents changes"


def _keys(where: str, before: Table, after: Table) -> Iterator[str]:
    for key, new in after.items():
        old = before[key]
        if old == new:
            continue
        if key in ("announce", "callback", "delays"):
            yield from _keys(f"{where}{key}.", old, new)
        elif key in ("closed", "special"):
            yield from _days(f"{where}{key}", old, new)
        else:
            yield f"{where}{key} {_value(key, old)} -> {_value(key, new)}"


def _days(where: str, before: Any, after: Any) -> Iterator[str]:
    """Days can be hundreds (holidays of thirty years): told are those that differ."""
    gained = [day for day in after if day not in before]
    lost = [day for day in before if day not in after]
    other = [day for day in after if day in before and isinstance(after, dict) and before[day] != after[day]]
    for days, what in ((gained, "new"), (lost, "no more"), (other, "other hours")):
        if days:
            yield f"{where}: {what}: {dates_told(days)}"


def _value(key: str, value: Any) -> str:
    """A value as a person would say it."""
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value} s" if key in SECONDS else str(value)
    if isinstance(value, list):
        return ", ".join(f"({_value(key, item)})" if isinstance(item, dict) else _value(key, item) for item in value)
    if isinstance(value, dict):
        plain = key in PLAIN
        limits = key == "not_ready_limits"
        return ", ".join(
            f"{name} {_value('after' if limits else '' if plain else str(name), item)}"
            for name, item in value.items()
            if item is not None
        )
    return str(value)
