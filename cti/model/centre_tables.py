"""The centre as the tables of centre.yaml: the keys and units of that file, values that YAML can hold.

The other way round from the forms that read the file. What is written, and what is told of a change, comes from here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from typing import Any, TypeAlias

from cti.ids import AgentId, FlowName, QueueName
from cti.model.alerts import AlertRules, Figure, Threshold
from cti.model.calendar import Calendar, Span
from cti.model.centre import (
    Agent,
    Announce,
    CallbackRules,
    Centre,
    Delays,
    HttpService,
    Number,
    Outbound,
    Preference,
    Presence,
    Queue,
    SupervisionRules,
    Target,
    Tier,
)
from cti.model.desk import Disposition
from cti.model.facts import AgentState
from cti.model.outside_crm import OutsideCrm
from cti.model.recording_rule import text_of as rule_text
from cti.model.requirement import text_of
from cti.model.tolls import CENTRE, MILLION, Caps, Limit, Price, Scope, TollRules

Table: TypeAlias = dict[str, Any]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

SECONDS = frozenset({
    "ring_timeout", "wrap_up", "wrap_up_extension", "wrap_up_longest", "service_level", "short_abandon", "refusal_pause",
    "head_start", "ceiling", "tier_wait", "max_wait", "after", "expected", "every", "last", "hold", "retry", "rejected",
    "busy", "no_answer", "unreachable", "deadline", "resume", "grace", "give_up", "look_up_keep",
})  # fmt: skip
"""Keys whose numbers are seconds."""


def seconds(value: timedelta | None) -> float | int | None:
    """Seconds, without a point where they are whole."""
    if value is None:
        return None
    number = value.total_seconds()
    return int(number) if number == int(number) else number


def queue_table(queue: Queue) -> Table:
    """A queue's every key."""
    return {
        "titles": dict(queue.titles),
        "strategy": queue.strategy.value,
        "ring_timeout": seconds(queue.ring_timeout),
        "wrap_up": seconds(queue.wrap_up),
        "wrap_up_extension": seconds(queue.wrap_up_extension),
        "wrap_up_longest": seconds(queue.wrap_up_longest),
        "service_level": seconds(queue.service_level),
        "service_level_of": queue.service_level_of.value,
        "short_abandon": seconds(queue.short_abandon),
        "refusal_pause": seconds(queue.refusal_pause),
        "record": rule_text(queue.recording_rule),
        "dispositions": _dispositions(queue.desk.dispositions) or list(queue.dispositions),
        "disposition_required": queue.desk.required,
        "script": dict(queue.desk.script),
        "knowledge": [{"titles": dict(one.titles), "url": one.url} for one in queue.desk.knowledge],
        "skills": dict(queue.skills),
        "requires": text_of(queue.requires),
        "relax": [{"after": seconds(step.after), "skills": dict(step.skills)} for step in queue.relax],
        "weight": queue.weight,
        "head_start": seconds(queue.head_start),
        "count_menu": queue.count_menu,
        "ceiling": seconds(queue.ceiling),
        "tier_wait": seconds(queue.tier_wait),
        "preferred": _preferred(queue.preference),
        "announce": _announce(queue.announce),
        "calendar": queue.calendar,
        "max_length": queue.max_length,
        "max_wait": seconds(queue.max_wait),
        "join_empty": _states(queue.join_empty),
        "leave_empty": _states(queue.leave_empty),
        "when_closed": target_value(queue.when_closed),
        "when_full": target_value(queue.when_full),
        "when_late": target_value(queue.when_late),
        "when_empty": target_value(queue.when_empty),
        "overflow": [
            {"to": target_value(rule.to), "after": seconds(rule.after), "expected": seconds(rule.expected), "length": rule.length}
            for rule in queue.overflow
        ],
        "options": {key: target_value(target) for key, target in queue.options.items()},
        "callback": _callback(queue.callback),
        "caller_id": queue.caller_id,
    }  # fmt: skip


def _dispositions(rows: Sequence[Disposition]) -> list[str | Table]:
    return [
        row.name
        if not row.of and not row.titles
        else {"name": row.name, "titles": dict(row.titles), "of": _dispositions(row.of)}
        for row in rows
    ]


def _preferred(preference: Preference | None) -> Table | None:
    if preference is None:
        return None
    return {"own": preference.own, "last": seconds(preference.last), "hold": seconds(preference.hold)}


def _announce(announce: Announce) -> Table:
    return {
        "place": announce.place,
        "wait": announce.wait,
        "every": seconds(announce.every),
        "comfort": list(announce.comfort),
    }


def _callback(rules: CallbackRules) -> Table:
    return {
        "first": rules.first.value,
        "attempts": rules.attempts,
        "retry": seconds(rules.retry),
        "ring_timeout": seconds(rules.ring_timeout),
        "calendar": rules.calendar,
    }


def _states(states: Collection[AgentState]) -> list[str]:
    return [state.value for state in AgentState if state in states]


def target_value(target: Target) -> str | dict[str, str]:
    """A target as the file has it."""
    return {target.kind.value: target.name} if target.name else target.kind.value


def agent_table(agent: Agent) -> Table:
    """An agent's every key; what groups gave is the agent's own here."""
    return {
        "name": agent.name,
        "queues": list(agent.queues),
        "skills": dict(agent.skills),
        "groups": list(agent.groups),
        "tiers": dict(agent.tiers),
        "miss_limit": agent.miss_limit,
        "weight": agent.weight,
        "wrap_up": seconds(agent.wrap_up),
        "delays": {name.name: seconds(getattr(agent.delays, name.name)) for name in fields(Delays)},
        "number": agent.number,
        "auto_answer": agent.auto_answer,
        "record": rule_text(agent.recording) if agent.recording is not None else None,
    }


def tier_table(tier: Tier) -> Table:
    """A customer tier's every key."""
    return {"head_start": seconds(tier.head_start), "strict": tier.strict}


def number_table(number: Number) -> Table:
    """A dialled number's every key."""
    return {
        "title": number.title,
        "flow": number.flow,
        "survival_queue": number.survival_queue,
        "head_start": seconds(number.head_start),
        "draft": number.draft,
    }


def calendar_table(calendar: Calendar) -> Table:
    """A calendar's every key but `holidays`, which are days like others by now."""
    return {
        "hours": {WEEKDAYS[day]: spans_value(spans) for day, spans in enumerate(calendar.week) if spans},
        "closed": sorted(day for day, spans in calendar.days.items() if not spans),
        "special": {day: spans_value(spans) for day, spans in sorted(calendar.days.items()) if spans},
    }


def spans_value(spans: Iterable[Span]) -> list[str]:
    """Spans of a day as the file has them."""
    return [f"{_clock(opens)}-{_clock(closes)}" for opens, closes in spans]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def outbound_table(outbound: Outbound) -> Table:
    """What may be dialled, every key."""
    return {
        "allow": list(outbound.allow),
        "caller_id": outbound.caller_id,
        "caller_ids": list(outbound.caller_ids),
        "most_at_once": outbound.most_at_once,
        "currency": outbound.tolls.currency,
        "prices": {prefix: _price(price) for prefix, price in outbound.tolls.prices.items()},
        "unknown": outbound.tolls.unknown.value,
        "caps": _caps(outbound.tolls),
        "when_reached": outbound.tolls.beyond.value,
    }


def _money(millionths: int) -> float | int:
    """In the currency, without a point where it is whole."""
    return millionths // MILLION if millionths % MILLION == 0 else millionths / MILLION


def _price(price: Price) -> Table:
    return {
        "per_minute": _money(price.per_minute),
        "connection": _money(price.connection),
        "unit": f"{price.first}/{price.then}",
    }


def _cap(caps: Caps) -> Table:
    return {limit.value: cap if limit in (Limit.DIALS, Limit.MINUTES) else _money(cap) for limit, cap in caps.items()}


def _caps(rules: TollRules) -> Table:
    """The caps that there are; without any, an empty table."""
    table: Table = {}
    if rules.caps.get(CENTRE):
        table["centre"] = _cap(rules.caps[CENTRE])
    for scope, named in ((Scope.QUEUE, "queues"), (Scope.AGENT, "agents"), (Scope.SUPERVISOR, "supervisors")):
        if rules.each.get(scope):
            table[f"each_{scope.value}"] = _cap(rules.each[scope])
        if mine := {name: _cap(caps) for (kind, name), caps in rules.caps.items() if kind is scope}:
            table[named] = mine
    return table


def presence_table(presence: Presence) -> Table:
    """How long what belongs to a browser telephone may be away, every key."""
    return {"resume": seconds(presence.resume), "grace": seconds(presence.grace)}


def alerts_table(rules: AlertRules) -> Table:
    """When the floor is to be looked at, every key."""
    hook = rules.webhook
    return {
        "centre": _thresholds(rules.centre),
        "each_queue": _thresholds(rules.each_queue),
        "queues": {str(name): _thresholds(of_queue) for name, of_queue in rules.queues.items()},
        "webhook": None
        if hook is None
        else {
            "url": hook.url,
            "secret_file": hook.secret_file,
            "deadline": seconds(hook.deadline),
            "give_up": seconds(hook.give_up),
        },
    }


def _thresholds(figures: Mapping[Figure, Threshold]) -> Table:
    return {
        figure.value: {"warn": one.warn, "critical": one.critical, "back": one.back, "hold": seconds(one.hold)}
        for figure, one in figures.items()
    }


def supervision_table(rules: SupervisionRules) -> Table:
    """What agents are told of supervisors, every key."""
    return {"told": rules.told, "paused_recording": rules.paused_recording}


def crm_table(crm: OutsideCrm) -> Table:
    """The outside customer system, every key."""
    hook = crm.webhook
    return {
        "open_url": crm.open_url,
        "open": crm.open.value,
        "webhook": None
        if hook is None
        else {
            "url": hook.url,
            "secret_file": hook.secret_file,
            "events": [kind.value for kind in hook.events],
            "deadline": seconds(hook.deadline),
            "give_up": seconds(hook.give_up),
        },
        "look_up": crm.look_up,
        "look_up_first": crm.look_up_first,
        "look_up_keep": seconds(crm.look_up_keep),
    }


def service_table(service: HttpService) -> Table:
    """An HTTP service, every key."""
    return {
        "url": service.url,
        "method": service.method,
        "deadline": seconds(service.deadline),
        "retries": service.retries,
        "token_file": service.token_file,
    }


def centre_table(centre: Centre) -> Table:
    """The keys of the file that are not tables of named things, but `outbound`, `presence`, `supervision` and `crm`."""
    return {
        "name": centre.name,
        "region": centre.region,
        "time_zone": centre.time_zone,
        "languages": list(centre.languages),
        "not_ready_reasons": list(centre.not_ready_reasons),
        "not_ready_allowed": {reason: seconds(allowed) for reason, allowed in centre.not_ready_allowed.items()},
        "not_ready_limits": {reason: seconds(limit) for reason, limit in centre.not_ready_limits.items()},
        "functions": dict(centre.functions),
        "phone_book": dict(centre.phone_book),
        "targets": dict(centre.targets),
        "supervisors": {name: list(queues) for name, queues in centre.supervisors.items()},
        "walls": {name: list(queues) for name, queues in centre.walls.items()},
        "transfer_flows": {str(flow): title for flow, title in centre.transfer_flows.items()},
    }


_QUEUE = queue_table(Queue(name=QueueName(""), titles={}))
_AGENT = agent_table(Agent(agent_id=AgentId(""), name="", queues=()))
_TIER = tier_table(Tier(name=""))
_NUMBER = number_table(Number(did="", flow=FlowName(""), survival_queue=QueueName("")))
_OUTBOUND = outbound_table(Outbound())
_PRESENCE = presence_table(Presence())
_CRM = crm_table(OutsideCrm())
_ALERTS = alerts_table(AlertRules())
_SUPERVISION = supervision_table(SupervisionRules())
_SERVICE = service_table(HttpService(name="", url=""))
_CENTRE = centre_table(Centre(name="", queues={}, agents={}, tiers={}, numbers={}))
_PREFERRED = _preferred(Preference())


def whole_table(centre: Centre) -> Table:
    """The file's tables with the keys that are not as they are by default; a form reads the same centre back."""
    groups = dict.fromkeys(name for agent in centre.agents.values() for name in agent.groups)
    tables: Table = {"name": centre.name, **_told(centre_table(centre), _CENTRE)}
    tables["numbers"] = {did: _told(number_table(number), _NUMBER) for did, number in centre.numbers.items()}
    tables["queues"] = {
        name: {"titles": dict(queue.titles), **_told(queue_table(queue), _QUEUE)}
        for name, queue in centre.queues.items()
    }
    tables["tiers"] = {name: _told(tier_table(tier), _TIER) for name, tier in centre.tiers.items()}
    tables["groups"] = {name: {} for name in groups}
    tables["agents"] = {extension: _told(agent_table(agent), _AGENT) for extension, agent in centre.agents.items()}
    tables["calendars"] = {
        name: {"hours": {}, **_told(calendar_table(calendar), {"hours": None, "closed": [], "special": {}})}
        for name, calendar in centre.calendars.items()
    }
    tables["services"] = {name: _told(service_table(one), _SERVICE) for name, one in centre.services.items()}
    tables["outbound"] = _told(outbound_table(centre.outbound), _OUTBOUND)
    tables["presence"] = _told(presence_table(centre.presence), _PRESENCE)
    tables["supervision"] = _told(supervision_table(centre.supervision), _SUPERVISION)
    tables["alerts"] = _told(alerts_table(centre.alerts), _ALERTS)
    tables["crm"] = _told(crm_table(centre.crm), _CRM)
    return {key: value for key, value in tables.items() if value != {}}


def _told(table: Mapping[str, Any], usual: Mapping[str, Any]) -> Table:
    told: Table = {}
    for key, value in table.items():
        before = usual[key]
        if isinstance(value, dict) and isinstance(before, dict) and before:
            if inner := _told(value, before):  # a table of keys in a table
                told[key] = inner
        elif key == "preferred" and value is not None:
            told[key] = _told(value, _PREFERRED or {})
        elif key == "overflow":
            if value:
                told[key] = [{name: part for name, part in rule.items() if part is not None} for rule in value]
        elif value != before:
            told[key] = value
    return told


def dates_told(days: Iterable[date]) -> str:
    """Days in words, the first few by name."""
    named = [day.isoformat() for day in days]
    return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
