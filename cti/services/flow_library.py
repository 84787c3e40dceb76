"""The library of flows: those that are live, the drafts, and every version a call may still be on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from cti.errors import ConfigError
from cti.ids import FlowName
from cti.ivr.checker import check_flow, live
from cti.ivr.editions import Action, Change, Edition, History
from cti.ivr.flow import Flow
from cti.ivr.parser import parse_flow, version_of
from cti.ivr.problems import Problem
from cti.ivr.prompt_book import PromptBook, parse_prompts
from cti.ivr.verbs.sub_flow import SubFlow
from cti.model.centre import Centre, TargetKind

MANIFEST = "prompts.yaml"
SCRIPTS = "scripts"
"""The folder beside the flows that has synchronous AGI scripts."""
_IN_MEMORY = datetime.fromtimestamp(0, UTC)
"""When a change was made that nothing keeps."""


class FlowSet:
    """The flows of one edition, as a call that began with it meets them."""

    def __init__(self, library: FlowLibrary, edition: Edition, *, draft: bool) -> None:
        self._library = library
        self._edition = edition
        self._draft = draft

    def find(self, name: FlowName) -> Flow | None:
        """A flow of this set. One that came later, or whose text is lost, in its live version; None: there is none."""
        version = self._edition.version(name, draft=self._draft)
        return (self._library.known(name, version) if version else None) or self._library.find(name)

    def get(self, name: FlowName) -> Flow:
        """A flow of this set. Raises `ConfigError`."""
        return self.find(name) or self._library.get(name)


class FlowLibrary:
    """The flows of one centre. Versions are kept: a call stays on the edition it began with.

    `history` and `text_of` (a version's text, None when it is lost) come from where versions are kept; without them the
    library remembers what it itself has read, until it is gone.
    """

    def __init__(
        self,
        folder: Path,
        centre: Centre,
        prompts: PromptBook,
        *,
        history: History | None = None,
        text_of: Callable[[FlowName, str], str | None] = lambda _flow, _version: None,
    ) -> None:
        self.folder = folder
        self.prompts = prompts
        self.history = history if history is not None else History()
        self._text_of = text_of
        self._centre = centre
        self._live: dict[FlowName, Flow] = {}
        self._versions: dict[tuple[FlowName, str], Flow] = {}
        self._follow()

    # ---- from a folder, without any memory

    @classmethod
    def load(cls, folder: Path, centre: Centre) -> FlowLibrary:
        """Read, check and take live every flow of `folder` (`*.yaml`; `prompts.yaml` is the manifest).

        Raises `ConfigError` with every problem found, also when a number or a queue of the centre names a flow
        that is not there.
        """
        library, problems = cls.check(folder, centre)
        if not live(problems) or library is None:
            raise cannot_start(problems)
        library.require_all_that_is_led_to()
        return library

    @classmethod
    def check(cls, folder: Path, centre: Centre) -> tuple[FlowLibrary | None, list[Problem]]:
        """Read and check without raising: the library of the flows that passed (None without a manifest), problems."""
        prompts = read_manifest(folder)
        if isinstance(prompts, list):
            return None, prompts
        library = cls(folder, centre, prompts)
        return library, library.reload()

    def reload(self) -> list[Problem]:
        """Take changed files live. A file with an error changes nothing: the version that runs stays. Gives problems."""
        read, problems = self.read_folder()
        passed, found = self.passing(read)
        problems += found
        changed = {name: flow for name, flow in passed.items() if self.version(name) != flow.version}
        if changed:
            versions = {name: flow.version for name, flow in changed.items()}
            number = self.history.now.number + 1
            self.take(Change(edition=number, at=_IN_MEMORY, action=Action.APPLIED, flows=versions), changed)
        return sorted(problems, key=lambda problem: (problem.file, problem.at))

    def read_folder(self) -> tuple[dict[FlowName, Flow], list[Problem]]:
        """The flows of the folder that can be read, and what is wrong with the others."""
        problems: list[Problem] = []
        read: dict[FlowName, Flow] = {}
        for file in sorted(self.folder.glob("*.yaml")):
            if file.name == MANIFEST:
                continue
            text = read_text(file)
            # The same text is the same flow: what is known of it is not read twice, which half of a start's reading was.
            known = self._versions.get((FlowName(file.stem), version_of(text)))
            flow = replace(known, file=str(file)) if known is not None else parse_flow(text, str(file))
            if isinstance(flow, list):
                problems += flow
            else:
                read[flow.name] = flow
        return read, problems

    def passing(self, flows: Mapping[FlowName, Flow]) -> tuple[dict[FlowName, Flow], list[Problem]]:
        """Those of `flows` that could go live together, and every problem of all of them.

        A flow that does not pass takes those that call it with it, unless an earlier version of it is live.
        """
        passed, problems = dict(flows), list[Problem]()
        scripts = self.scripts()
        while True:
            known: Mapping[FlowName, Flow] = {**self._live, **passed}
            found = {
                flow.name: check_flow(flow, self._centre, self.prompts, known, scripts) for flow in passed.values()
            }
            failed = [name for name in passed if not live(found[name])]
            problems += [problem for name in failed for problem in found[name]]
            for name in failed:
                del passed[name]
            if not failed:
                return passed, problems + [problem for name in passed for problem in found[name]]

    # ---- changes

    def problems_of(
        self, flows: Mapping[FlowName, Flow | None], *, draft: bool = False, prompts: PromptBook | None = None
    ) -> list[Problem]:
        """What would be wrong if these flows were taken up (None: taken away), as live ones or as drafts: with them, and
        with the others because of them."""
        book = prompts or self.prompts
        before = {**self._live, **(self.drafts() if draft else {})}
        after = {name: flow for name, flow in {**before, **flows}.items() if flow is not None}
        scripts = self.scripts()
        problems: list[Problem] = []
        for flow in after.values():
            found = check_flow(flow, self._centre, book, after, scripts)
            if flow.name in flows:
                problems += found
            elif not live(found):
                known = {_said(one) for one in check_flow(flow, self._centre, self.prompts, before, scripts)}
                problems += [one for one in found if not live([one]) and _said(one) not in known]
        return sorted(problems, key=lambda problem: (problem.file, problem.at))

    def take(self, change: Change, flows: Mapping[FlowName, Flow]) -> None:
        """A change takes effect: `flows` are the parsed ones of its versions."""
        for flow in flows.values():
            # The same text twice is the same version, and the value already known stays the one.
            self._versions.setdefault((flow.name, flow.version), flow)
        self.history.add(change)
        self._follow()

    def _follow(self) -> None:
        """Live is what the history says. A flow whose text is lost is not there."""
        found = {name: self.known(name, version) for name, version in self.history.now.live.items()}
        self._live = {name: flow for name, flow in found.items() if flow is not None}

    def led_to(self, name: FlowName) -> str:
        """What of the centre leads callers to a flow, in words; empty: nothing does."""
        for number in self._centre.numbers.values():
            if number.flow == name:
                return f"the number {number.did} leads to it"
        for queue in self._centre.queues.values():
            if any(target.kind is TargetKind.FLOW and target.name == name for target in queue.targets()):
                return f"the queue {queue.name} sends callers to it"
        return ""

    def require_all_that_is_led_to(self) -> None:
        """Raises `ConfigError` when a number or a queue names a flow that is not live."""
        for number in self._centre.numbers.values():
            if number.flow not in self._live:
                raise ConfigError(
                    f'the number {number.did} leads to the flow "{number.flow}", which is not in {self.folder}',
                    remedy=f"flows there: {', '.join(sorted(self._live))}",
                )
        for queue in self._centre.queues.values():
            for target in queue.targets():
                if target.kind is TargetKind.FLOW and target.name not in self._live:
                    raise ConfigError(
                        f'the queue {queue.name} sends callers to the flow "{target.name}", which is not in {self.folder}',
                        remedy=f"flows there: {', '.join(sorted(self._live))}",
                    )

    def scripts(self) -> frozenset[str]:
        """The scripts that lie beside the flows, by name."""
        return frozenset(file.stem for file in (self.folder / SCRIPTS).glob("*.py"))

    def problems_with(self, centre: Centre) -> list[Problem]:
        """What would be wrong with the flows that run if this were the centre."""
        return [
            problem for flow in self._live.values() for problem in check_flow(flow, centre, self.prompts, self._live)
        ]

    def use(self, centre: Centre) -> None:
        """From now on flows are held against this centre."""
        self._centre = centre

    # ---- what is there

    def edition(self) -> int:
        """The number of the present edition: what a call that begins now stays on."""
        return self.history.now.number

    def at(self, edition: int, *, draft: bool = False) -> FlowSet:
        """The flows of an edition; of the present one when there never was this one."""
        return FlowSet(self, self.history.at(edition) or self.history.now, draft=draft)

    def version_at(self, name: FlowName, edition: int, *, draft: bool = False) -> str:
        """A flow's version in an edition; the live one where that knows none, empty when there is no such flow."""
        found = (self.history.at(edition) or self.history.now).version(name, draft=draft)
        return found or self.version(name)

    def test_entry(self, name: FlowName) -> FlowName:
        """Where a test call begins whose number leads to the flow `name`: there, if a draft can be met on the way through
        sub-flows, or there is none; else in the draft put there last."""
        drafts = self.history.now.drafts
        seen, due = set[FlowName](), [name]
        flows = self.at(self.edition(), draft=True)
        while due:
            flow = flows.find(due.pop())
            if flow is None or flow.name in seen:
                continue
            if flow.name in drafts:
                return name
            seen.add(flow.name)
            due += [step.flow for step in flow.steps.values() if isinstance(step, SubFlow)]
        return next(reversed(list(drafts)), name)

    def get(self, name: FlowName, version: str | None = None) -> Flow:
        """A flow in its live version, or in the version named while it is known. Raises `ConfigError`."""
        flow = self._live.get(name) if version is None else self.known(name, version)
        if flow is None:
            raise ConfigError(
                f'there is no flow "{name}"' + (f" in version {version}" if version else ""),
                remedy=f"flows here: {', '.join(sorted(self._live))}",
            )
        return flow

    def known(self, name: FlowName, version: str) -> Flow | None:
        """A flow in a version that was live or a draft once; None when its text is lost."""
        found = self._versions.get((name, version))
        if found is None:
            text = self._text_of(name, version)
            flow = parse_flow(text, f"{name}.yaml") if text is not None else None
            if isinstance(flow, Flow):
                found = self._versions[name, version] = flow
        return found

    def find(self, name: FlowName) -> Flow | None:
        """A flow in its live version, None when there is none."""
        return self._live.get(name)

    def version(self, name: FlowName) -> str:
        """The live version of a flow, empty when there is no such flow."""
        flow = self._live.get(name)
        return flow.version if flow else ""

    def drafts(self) -> Mapping[FlowName, Flow]:
        """The drafts."""
        found = {name: self.known(name, version) for name, version in self.history.now.drafts.items()}
        return {name: flow for name, flow in found.items() if flow is not None}

    def local(self, now: datetime) -> datetime:
        """The moment by the clock on the centre's wall."""
        return now.astimezone(ZoneInfo(self._centre.time_zone))

    def is_open(self, calendar: str, now: datetime) -> bool:
        """Whether a calendar of the centre is open. One that is gone (the centre changed under the call) is open."""
        found = self._centre.calendars.get(calendar)
        return found is None or found.is_open(now, ZoneInfo(self._centre.time_zone))

    def test_numbers(self) -> tuple[str, ...]:
        """Numbers whose callers hear drafts."""
        return tuple(number.did for number in self._centre.numbers.values() if number.draft)

    def __iter__(self) -> Iterator[Flow]:
        return iter(self._live.values())


def cannot_start(problems: list[Problem]) -> ConfigError:
    """The error of a folder whose flows do not pass."""
    return ConfigError(
        "\n".join(str(problem) for problem in problems if not live([problem])),
        remedy="mend these and start again; `cti flow check` shows them all",
        problems=problems,
    )


def read_manifest(folder: Path) -> PromptBook | list[Problem]:
    """The manifest of prompts of a folder, or what is wrong with it. Raises `ConfigError` when it cannot be read."""
    manifest = folder / MANIFEST
    return parse_prompts(read_text(manifest), str(manifest))


def read_text(file: Path) -> str:
    """A file of flows. Raises `ConfigError`."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{file}: {error.strerror or error}",
            remedy="check that the file is there and readable; the shipped flows are `ivr_flows/` of the repository",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}", remedy="save the file as UTF-8") from None


def _said(problem: Problem) -> tuple[str, str, str]:
    return problem.file, problem.code, problem.message
