"""The flows of a centre and who changes them: checks new texts, keeps them, takes them to the calls that begin from then on.

Theory of operation. The versions in the data folder are what runs; the folder of flows is where people write. A start takes
from that folder only flows nobody has heard of, so neither a restart nor half-done work in an editor changes what callers
hear. One change at a time, in this order: everything that can be refused is; the texts are kept; the log is written, and that
is the moment it counts; the library goes on to the next edition. The same class serves a running bridge and, from the command
line, a centre whose bridge does not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from cti.clock import Clock
from cti.errors import ConfigError
from cti.flow_versions import FOLDER, FlowVersions
from cti.ids import FlowName
from cti.ivr.checker import live
from cti.ivr.comparison import differences, text_difference
from cti.ivr.editions import Action, Change
from cti.ivr.flow import Flow, Prompt, Text
from cti.ivr.parser import parse_flow
from cti.ivr.problems import Position, Problem
from cti.ivr.prompt_book import PromptBook
from cti.model.centre import Centre
from cti.places import Places
from cti.services.flow_changes import (
    FlowConflict,
    FlowDifference,
    FlowInvalid,
    FlowsChanged,
    FlowStanding,
    UnknownFlow,
)
from cti.services.flow_library import FlowLibrary, cannot_start, read_manifest

log = structlog.get_logger(__name__)

SOUND = ".ulaw"
"""What a prompt that can be played has at least."""


def open_flows(places: Places, centre: Centre, clock: Clock) -> tuple[FlowLibrary, FlowVersions]:
    """The flows that run, with those of the folder that are new there.

    Raises `ConfigError` when nothing can start with them: at the first start with every problem of the folder, later when
    a number or a queue leads to a flow that is not there. A flow that was live goes on, whatever is wrong with it now.
    """
    versions = FlowVersions(places.data / FOLDER)
    history = versions.read()
    prompts = read_manifest(places.flows)
    if isinstance(prompts, list):
        raise cannot_start(prompts)
    library = FlowLibrary(places.flows, centre, prompts, history=history, text_of=versions.text)
    first = not len(history)
    read, problems = library.read_folder()
    new, found = library.passing({name: flow for name, flow in read.items() if first or not history.knows(name)})
    problems += found
    if first and not live(problems):
        raise cannot_start(problems)
    if new:
        for flow in new.values():
            versions.keep(flow.name, Path(flow.file).read_text(encoding="utf-8"))
        change = Change(
            edition=library.edition() + 1,
            at=clock.now(),
            action=Action.APPLIED,
            flows={name: flow.version for name, flow in new.items()},
        )
        versions.append(change)
        library.take(change, new)
    for problem in (*problems, *library.problems_with(centre)):
        if not live([problem]):
            log.warning("flow_has_a_problem", problem=str(problem))
    for name, flow in read.items():
        if not library.history.knows(name, flow.version):
            log.warning("flow_file_is_not_live", flow=name, remedy=f"cti flow apply {name}")
    library.require_all_that_is_led_to()
    return library, versions


class LiveFlows:
    """Satisfies `services.flow_changes.FlowChanges`."""

    def __init__(self, library: FlowLibrary, versions: FlowVersions, sounds: Path, clock: Clock) -> None:
        self._library = library
        self._versions = versions
        self._sounds = sounds
        self._clock = clock
        self._turn = asyncio.Lock()

    # ---- what there is

    def standings(self) -> Sequence[FlowStanding]:
        """See `FlowChanges.standings`."""
        names = {name for change in self._library.history for name in change.flows}
        return [self.standing(name) for name in sorted(names)]

    def standing(self, flow: FlowName) -> FlowStanding:
        """See `FlowChanges.standing`."""
        history = self._library.history
        changes = history.of(flow)
        if not changes:
            raise UnknownFlow(f'there never was a flow "{flow}"', remedy="cti flow log tells which there are")
        return FlowStanding(
            flow=flow,
            version=history.now.live.get(flow, ""),
            draft=history.now.drafts.get(flow, ""),
            former=history.former(flow),
            changes=changes,
        )

    def test_numbers(self) -> Sequence[str]:
        """See `FlowChanges.test_numbers`."""
        return self._library.test_numbers()

    async def text(self, flow: FlowName, version: str) -> str:
        """See `FlowChanges.text`."""
        known = self._library.history.knows(flow, version)
        text = await asyncio.to_thread(self._versions.text, flow, version) if known else None
        if text is None:
            self.standing(flow)
            raise UnknownFlow(
                f'the flow "{flow}" never had a version {version}', remedy=f"cti flow log {flow} tells which it had"
            )
        return text

    async def diff(self, flow: FlowName, before: str, after: str) -> FlowDifference:
        """See `FlowChanges.diff`."""
        old, new = await self.text(flow, before), await self.text(flow, after)
        return await asyncio.to_thread(_difference, flow, (before, old), (after, new))

    async def check(self, texts: Mapping[FlowName, str], *, draft: bool = False) -> Sequence[Problem]:
        """See `FlowChanges.check`."""
        return await asyncio.to_thread(lambda: self._examine(texts, draft=draft)[2])

    # ---- changes

    async def apply(
        self, texts: Mapping[FlowName, str], *, expected: Mapping[FlowName, str | None], by: str, note: str = ""
    ) -> FlowsChanged:
        """See `FlowChanges.apply`."""
        async with self._turn:
            for flow in texts:
                self._expect(flow, expected.get(flow))
            return await self._take_up(Action.APPLIED, texts, by=by, note=note)

    async def roll_back(
        self, flow: FlowName, version: str | None, *, expected: str | None, by: str, note: str = ""
    ) -> FlowsChanged:
        """See `FlowChanges.roll_back`."""
        async with self._turn:
            self.standing(flow)
            self._expect(flow, expected)
            wanted = version or self._library.history.former(flow)
            if not wanted:
                raise UnknownFlow(f'the flow "{flow}" has no earlier version', remedy=f"cti flow log {flow}")
            text = await self.text(flow, wanted)
            return await self._take_up(Action.ROLLED_BACK, {flow: text}, by=by, note=note)

    async def remove(self, flow: FlowName, *, expected: str | None, by: str, note: str = "") -> FlowsChanged:
        """See `FlowChanges.remove`."""
        async with self._turn:
            present = self.standing(flow).version
            self._expect(flow, expected)
            if not present:
                return FlowsChanged(edition=self._library.edition(), flows={})
            problems = await asyncio.to_thread(self._library.problems_of, {flow: None})
            if led := self._library.led_to(flow):
                message, remedy = f'the flow "{flow}" is needed: {led}', "lead it elsewhere first, in the centre's file"
                problem = Problem(file=f"{flow}.yaml", at=Position(), code="needed", message=message, remedy=remedy)
                problems = [problem, *problems]
            if not live(problems):
                raise FlowInvalid(problems)
            return await self._write(Action.REMOVED, {flow: present}, {}, by=by, note=note, told=(f"{flow} goes",))

    async def put_draft(self, flow: FlowName, text: str, *, by: str, note: str = "") -> FlowsChanged:
        """See `FlowChanges.put_draft`."""
        async with self._turn:
            return await self._take_up(Action.DRAFTED, {flow: text}, by=by, note=note)

    async def withdraw(self, flow: FlowName, *, by: str, note: str = "") -> FlowsChanged:
        """See `FlowChanges.withdraw`."""
        async with self._turn:
            draft = self.standing(flow).draft
            if not draft:
                return FlowsChanged(edition=self._library.edition(), flows={})
            return await self._write(Action.WITHDRAWN, {flow: draft}, {}, by=by, note=note)

    # ---- inside

    def _expect(self, flow: FlowName, expected: str | None) -> None:
        history = self._library.history
        present = history.now.live.get(flow, "")
        if expected is None or expected == present:
            return
        last = next((one for one in reversed(history.of(flow)) if one.action not in _OF_DRAFTS), None)
        since = f" since {last.at:%Y-%m-%d %H:%M:%S} UTC{f' by {last.by}' if last.by else ''}" if last else ""
        raise FlowConflict(
            f'the flow "{flow}" is {f"version {present}" if present else "not live"}{since}; '
            f"this change was made from {expected or 'no version'}",
            remedy=f"look at the difference (cti flow diff {flow}), make the change in what is live now, and apply that",
            version=present,
        )

    async def _take_up(self, action: Action, texts: Mapping[FlowName, str], *, by: str, note: str) -> FlowsChanged:
        flows, prompts, problems = await asyncio.to_thread(self._examine, texts, draft=action is Action.DRAFTED)
        if prompts is None or not live(problems):
            raise FlowInvalid([one for one in problems if not live([one])])
        now = self._library.history.now
        present = now.drafts if action is Action.DRAFTED else now.live
        changed = {name: flow for name, flow in flows.items() if present.get(name) != flow.version}
        if action is Action.DRAFTED:
            changed = {name: flow for name, flow in changed.items() if now.live.get(name) != flow.version}
        for name in changed:
            await asyncio.to_thread(self._versions.keep, name, texts[name])
        silent = await asyncio.to_thread(lambda: list(self._silent(changed.values(), prompts)))
        if silent:
            # The texts are kept by now, and `cti prompts build` speaks what is kept.
            raise FlowInvalid(silent)
        told: list[str] = []
        for name in changed:
            before = self._versions.text(name, now.version(name, draft=action is Action.DRAFTED))
            prefix = f"{name}: " if len(texts) > 1 else ""
            told += [f"{prefix}{line}" for line in differences(before, texts[name])] if before else [f"{name} is new"]
        self._library.prompts = prompts
        warnings = [one for one in problems if live([one])]
        versions = {name: flow.version for name, flow in changed.items()}
        return await self._write(action, versions, changed, by=by, note=note, told=told, warnings=warnings)

    async def _write(
        self,
        action: Action,
        versions: Mapping[FlowName, str],
        flows: Mapping[FlowName, Flow],
        *,
        by: str,
        note: str,
        told: Sequence[str] = (),
        warnings: Sequence[Problem] = (),
    ) -> FlowsChanged:
        number = self._library.edition()
        if versions:
            number += 1
            change = Change(edition=number, at=self._clock.now(), action=action, flows=versions, by=by, note=note)
            await asyncio.to_thread(self._versions.append, change)
            self._library.take(change, flows)
            log.info("flows_changed", edition=number, action=action.value, flows=dict(versions), by=by)
        return FlowsChanged(edition=number, flows=versions, changes=tuple(told), warnings=tuple(warnings))

    def _examine(
        self, texts: Mapping[FlowName, str], *, draft: bool
    ) -> tuple[dict[FlowName, Flow], PromptBook | None, list[Problem]]:
        """Parsed flows, the manifest as it is on the disk now, and everything wrong with them together."""
        try:
            prompts = read_manifest(self._library.folder)
        except ConfigError as error:
            problem = Problem(
                file="prompts.yaml", at=Position(), code="unreadable", message=error.message, remedy=error.remedy
            )
            return {}, None, [problem]
        if isinstance(prompts, list):
            return {}, None, prompts
        flows: dict[FlowName, Flow] = {}
        problems: list[Problem] = []
        for name, text in texts.items():
            flow = parse_flow(text, f"{name}.yaml")
            if isinstance(flow, list):
                problems += flow
            else:
                flows[name] = flow
        if not problems:
            problems = self._library.problems_of(flows, draft=draft, prompts=prompts)
        return flows, prompts, problems

    def _silent(self, flows: Iterable[Flow], prompts: PromptBook) -> Iterable[Problem]:
        """Prompts of the flows that have a text and no sound."""
        for flow in flows:
            for step in flow.steps.values():
                for part in step.spoken():
                    if not isinstance(part, Prompt | Text):
                        continue
                    only = part.language if isinstance(part, Prompt) else None
                    texts = part.texts if isinstance(part, Text) else prompts.prompts.get(part.name, {})
                    for language in (only,) if only else flow.languages:
                        if language in texts and not (self._sounds / language / f"{part.name}{SOUND}").is_file():
                            yield Problem(
                                file=flow.file,
                                at=part.at,
                                code="no_sound",
                                message=f"there is no sound for {language}/{part.name} yet",
                                remedy="run `cti prompts build`, then repeat this",
                            )


_OF_DRAFTS = (Action.DRAFTED, Action.WITHDRAWN)


def _difference(flow: FlowName, before: tuple[str, str], after: tuple[str, str]) -> FlowDifference:
    (old_version, old), (new_version, new) = before, after
    names = (f"{flow}.yaml {old_version}", f"{flow}.yaml {new_version}")
    return FlowDifference(
        before=old_version,
        after=new_version,
        steps=differences(old, new),
        text=text_difference(old, new, names=names),
    )
