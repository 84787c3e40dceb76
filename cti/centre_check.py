"""A centre's text held against all that it names: its own tables, the flows, the prompts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from cti.centre_file import parse_centre, place_of, read_tree
from cti.errors import ConfigError
from cti.ivr.problems import Problem, Severity, meant
from cti.model.centre import Centre, Queue, Target, TargetKind
from cti.services.configuration import ConfigProblem
from cti.services.flow_library import MANIFEST, FlowLibrary

Place: TypeAlias = tuple[str | int, ...]


def examine(text: str, *, source: str, flows: FlowLibrary) -> tuple[Centre | None, tuple[ConfigProblem, ...]]:
    """The centre a text describes, and every problem with it and the flows that run; no centre when it cannot be read."""
    try:
        centre = parse_centre(text, source=source)
    except ConfigError as error:
        return None, tuple(_split(line, source) for line in error.message.splitlines())
    names = sorted(str(flow.name) for flow in flows)
    missing = _places(_missing(centre, names, sorted(flows.prompts.prompts)), text, source)
    return centre, (*missing, *_of_flows(flows.problems_with(centre)))


def examine_files(text: str, *, source: str, folder: Path) -> tuple[Centre | None, tuple[ConfigProblem, ...]]:
    """The same, with the flows of a folder, which need not be right by themselves."""
    try:
        centre = parse_centre(text, source=source)
        flows, problems = FlowLibrary.check(folder, centre)
    except ConfigError as error:
        return None, tuple(_split(line, source) for line in error.message.splitlines())
    if flows is None:
        return centre, _of_flows(problems)
    names = sorted(file.stem for file in folder.glob("*.yaml") if file.name != MANIFEST)
    missing = _places(_missing(centre, names, sorted(flows.prompts.prompts)), text, source)
    return centre, (*missing, *_of_flows(problems))


def _places(found: Iterator[tuple[Place, str]], text: str, source: str) -> tuple[ConfigProblem, ...]:
    tree = read_tree(text, source=source)
    return tuple(
        ConfigProblem(place=place_of(source, tree, where), message=f"{'.'.join(map(str, where))}: {what}")
        for where, what in found
    )


def _of_flows(problems: Iterable[Problem]) -> tuple[ConfigProblem, ...]:
    return tuple(
        ConfigProblem(place=f"{p.file}:{p.at.line}:{p.at.column}", message=f"{p.message}; {p.remedy}")
        for p in problems
        if p.severity is Severity.ERROR
    )


def _split(line: str, source: str) -> ConfigProblem:
    match = re.match(rf"({re.escape(source)}(?::\d+){{0,2}}): (.*)", line)
    return ConfigProblem(place=match[1], message=match[2]) if match else ConfigProblem(place=source, message=line)


def _missing(centre: Centre, names: list[str], prompts: list[str]) -> Iterator[tuple[Place, str]]:
    """Flows and prompts that are named and are not there."""
    for did, number in centre.numbers.items():
        if number.flow not in names:
            yield ("numbers", did, "flow"), _no("flow", number.flow, names)
    for flow in centre.transfer_flows:
        if flow not in names:
            yield ("transfer_flows", flow), _no("flow", flow, names)
    for name, queue in centre.queues.items():
        for path, target in targets_of(queue):
            if target.kind is TargetKind.FLOW and target.name not in names:
                yield ("queues", name, *path), _no("flow", target.name, names)
        for prompt in queue.announce.comfort:
            if prompt not in prompts:
                yield ("queues", name, "announce", "comfort"), _no("prompt", prompt, prompts)


def _no(kind: str, name: str, known: list[str]) -> str:
    return f"there is no {kind} {name}: {meant(name, known, f'add it, or name another {kind}')}"


def targets_of(queue: Queue) -> Iterator[tuple[Place, Target]]:
    """Every target of a queue with its place in the queue's table."""
    for key in ("when_closed", "when_full", "when_late", "when_empty"):
        yield (key,), getattr(queue, key)
    for n, rule in enumerate(queue.overflow):
        yield ("overflow", n, "to"), rule.to
    for key, target in queue.options.items():
        yield ("options", key), target
