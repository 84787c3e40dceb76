"""centre.yaml: read and checked into a `Centre`, or refused with file, line, key and remedy."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from cti.alert_forms import alerts_of
from cti.calendar_forms import calendar_of
from cti.centre_forms import (
    CentreForm,
    agent_of,
    number_of,
    presence_of,
    queue_of,
    service_of,
    supervision_of,
    tier_of,
)
from cti.desk_forms import crm_of
from cti.errors import ConfigError
from cti.ids import AgentId, FlowName, QueueName
from cti.model.alerts import USUAL_TARGETS
from cti.model.centre import Centre, Target, TargetKind
from cti.outbound_forms import outbound_of
from cti.settings import plain_words

F = TypeVar("F", bound=BaseModel)
Place: TypeAlias = tuple[str | int, ...]

_DATE = re.compile(r"\b([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})\b")


def read_tree(text: str, *, source: str) -> Any:
    """YAML text as a mapping that knows its lines. Raises `ConfigError`."""
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else source
        raise ConfigError(f"{line}: not valid YAML: {error.problem}", remedy="mend that line") from None
    except YAMLError as error:  # a character YAML forbids; the library tells no line
        raise ConfigError(
            f"{source}: not valid YAML: {str(error).splitlines()[0]}", remedy="delete that character"
        ) from None
    except ValueError as error:  # a value that looks like a date and is none; the library tells no line
        raise ConfigError(
            f"{_odd_date(text, source)}: not valid YAML: {error}", remedy="write a day of the calendar: 2026-12-24"
        ) from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{source}: empty or not a mapping", remedy="start from the demo's file") from None
    return tree


def _odd_date(text: str, source: str) -> str:
    """Where the first date stands that no calendar has."""
    for number, line in enumerate(text.splitlines(), start=1):
        for found in _DATE.finditer(line):
            try:
                date(*map(int, found.groups()))
            except ValueError:
                return f"{source}:{number}:{found.start() + 1}"
    return source


def check(form: type[F], tree: Any, *, source: str, docs: str) -> F:
    """The tree as `form`. Raises `ConfigError` with file, line, key and remedy for every problem; `docs` tells the keys."""
    try:
        return form.model_validate(_plain(tree))
    except ValidationError as error:
        lines = [
            f"{place_of(source, tree, p['loc'])}: {'.'.join(map(str, p['loc']))}: {plain_words(p)}"
            for p in error.errors()
        ]
        raise ConfigError("\n".join(lines), remedy=f"correct these keys; {docs} describes each") from None


def parse_centre(text: str, *, source: str) -> Centre:
    """Check `text` (YAML) and give the centre. Raises `ConfigError` with `source`, line and remedy for every problem."""
    tree = read_tree(text, source=source)
    if bent := _bent_keys(text, source, tree):
        raise ConfigError("\n".join(bent), remedy="write these keys in quotes")
    form = check(CentreForm, tree, source=source, docs="docs/centre.md")
    if problems := [
        f"{place_of(source, tree, where)}: {'.'.join(map(str, where))}: {what}" for where, what in _astray(form)
    ]:
        raise ConfigError(
            "\n".join(problems), remedy=f"the queues are {', '.join(form.queues)}; docs/centre.md describes each key"
        )
    if alike := _alike(source, tree, form):
        raise ConfigError("\n".join(alike), remedy="keep one of the two")
    return _centre(form)


def _astray(form: CentreForm) -> Iterator[tuple[Place, str]]:
    """What is named but is not there, or may not be: the place in the file and the trouble."""
    for ext, agent in form.agents.items():
        mine: Place = ("agents", ext)
        yield from _unknown((*mine, "queues"), "queue", agent.queues, form.queues)
        yield from _unknown((*mine, "groups"), "group", agent.groups, form.groups)
        known = {*agent.queues, *(q for name in agent.groups if name in form.groups for q in form.groups[name].queues)}
        if not known:
            yield mine, "the agent serves no queue: name some in queues, or a group that has some"
        yield from _unknown((*mine, "tiers"), "queue of this agent", agent.tiers, known)
        if agent.number and not outbound_of(form.outbound).may_dial(agent.number):
            yield (*mine, "number"), f"{agent.number} is not on the list outbound.allow"
    for name, group in form.groups.items():
        yield from _unknown(("groups", name, "queues"), "queue", group.queues, form.queues)
        yield from _unknown(("groups", name, "tiers"), "queue of this group", group.tiers, group.queues)
    for user, mine_only in form.supervisors.items():
        yield from _unknown(("supervisors", user), "queue", mine_only, form.queues)
        if user in ("admin", "trunk") or user.startswith("webcall"):
            yield ("supervisors", user), f"{user} is the name of something else"
    for user, shown in form.walls.items():
        yield from _unknown(("walls", user), "queue", shown, form.queues)
        if user in ("supervisor", "admin", "trunk", *form.supervisors) or user.startswith("webcall"):
            yield ("walls", user), f"{user} is the name of something else"
    for did, number in form.numbers.items():
        yield from _unknown(("numbers", did, "survival_queue"), "queue", [number.survival_queue], form.queues)
    yield from _unknown(("crm", "look_up"), "service", [form.crm.look_up] if form.crm.look_up else [], form.services)
    yield from _unknown(("alerts", "queues"), "queue", form.alerts.queues, form.queues)
    caps, bosses = form.outbound.caps, ("supervisor", "admin", *form.supervisors)
    yield from _unknown(("outbound", "caps", "queues"), "queue", caps.queues, form.queues)
    yield from _unknown(("outbound", "caps", "agents"), "agent", caps.agents, form.agents)
    yield from _unknown(("outbound", "caps", "supervisors"), "supervisor", caps.supervisors, bosses)
    yield from _unknown(("not_ready_limits",), "reason", form.not_ready_limits, form.not_ready_reasons)
    yield from _unknown(("not_ready_allowed",), "reason", form.not_ready_allowed, form.not_ready_reasons)
    for queue, settings in form.queues.items():
        here: Place = ("queues", queue)
        for where, wanted in (
            (("calendar",), settings.calendar),
            (("callback", "calendar"), settings.callback.calendar),
        ):
            yield from _unknown((*here, *where), "calendar", [wanted] if wanted else [], form.calendars)
        for path, target in settings.targets():
            if trouble := _target_trouble(queue, target, form):
                yield (*here, *path), trouble


def _unknown(where: Place, kind: str, named: Iterable[str], there: Collection[str]) -> Iterator[tuple[Place, str]]:
    for name in named:
        if name not in there:
            yield where, f"there is no {kind} {name}"


def _target_trouble(queue: str, target: Target, form: CentreForm) -> str:
    if target.kind is TargetKind.QUEUE and target.name not in form.queues:
        return f"there is no queue {target.name}"
    if target.kind is TargetKind.QUEUE and target.name == queue:
        return "a queue cannot overflow into itself"
    if target.kind is TargetKind.NUMBER and not outbound_of(form.outbound).may_dial(target.name):
        return f"{target.name} is not on the list outbound.allow"
    return ""


def load_centre(path: Path) -> Centre:
    """Read a centre file. Raises `ConfigError`."""
    return parse_centre(read_text(path), source=str(path))


def read_text(path: Path) -> str:
    """The text of a centre file, unread as yet. Raises `ConfigError`."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no centre file",
            remedy="`cti up` starts with the demo centre's (cti/demo/centre.yaml); copy it there, or set `centre`",
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", remedy="set `centre` to a file that can be read") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text", remedy="save the file as UTF-8") from None


def _bent_keys(text: str, source: str, tree: Any) -> list[str]:
    """Numbers and extensions without quotes that YAML reads as other numbers: 0500 is 500 to it, and +1555 is 1555."""
    lines = text.splitlines()
    problems = []
    for section in ("numbers", "agents"):
        table = tree.get(section)
        for key, (line, column, *_) in (getattr(getattr(table, "lc", None), "data", None) or {}).items():
            written = lines[line][column:].partition(":")[0].strip()
            if not isinstance(key, str) and written != str(key):
                problems.append(f"{source}:{line + 1}: {section}: {written} without quotes is the number {key} to YAML")
    return problems


def _alike(source: str, tree: Any, form: CentreForm) -> list[str]:
    """Numbers that differ only by the plus: callers reach both by the same digits."""
    taken: dict[str, str] = {}
    problems = []
    for did in form.numbers:
        first = taken.setdefault(did.removeprefix("+"), did)
        if first != did:
            problems.append(f"{place_of(source, tree, ('numbers', did))}: numbers: {first} and {did} are dialled alike")
    return problems


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def place_of(source: str, tree: Any, path: tuple[int | str, ...]) -> str:
    """`file:line` of the deepest key of `path` that the file has."""
    line = 1
    for key in path:
        marks = getattr(getattr(tree, "lc", None), "data", None)
        if not marks:
            break
        actual = key if key in marks else next((k for k in marks if str(k) == str(key)), None)
        if actual is None:
            break
        line = marks[actual][0] + 1
        tree = tree[actual]
    return f"{source}:{line}"


def _centre(form: CentreForm) -> Centre:
    return Centre(
        name=form.name,
        region=form.region,
        time_zone=form.time_zone,
        languages=tuple(form.languages),
        not_ready_reasons=tuple(form.not_ready_reasons),
        not_ready_allowed={reason: timedelta(seconds=time) for reason, time in form.not_ready_allowed.items()},
        not_ready_limits={reason: timedelta(seconds=limit) for reason, limit in form.not_ready_limits.items()},
        queues={QueueName(name): queue_of(name, q) for name, q in form.queues.items()},
        agents={AgentId(ext): agent_of(ext, a, form.groups) for ext, a in form.agents.items()},
        tiers={name: tier_of(name, t) for name, t in form.tiers.items()},
        numbers={did: number_of(did, n) for did, n in form.numbers.items()},
        calendars={name: calendar_of(name, c) for name, c in form.calendars.items()},
        outbound=outbound_of(form.outbound),
        presence=presence_of(form.presence),
        supervision=supervision_of(form.supervision),
        crm=crm_of(form.crm),
        alerts=alerts_of(form.alerts),
        targets={**USUAL_TARGETS, **{figure.value: value for figure, value in form.targets.items()}},
        services={name: service_of(name, s) for name, s in form.services.items()},
        functions=dict(form.functions),
        phone_book=dict(form.phone_book),
        supervisors={name: tuple(map(QueueName, queues)) for name, queues in form.supervisors.items()},
        walls={name: tuple(map(QueueName, queues)) for name, queues in form.walls.items()},
        transfer_flows={FlowName(flow): title for flow, title in form.transfer_flows.items()},
    )
