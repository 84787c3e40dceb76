"""Holding a flow against the centre, the prompts and itself, before a caller meets it.

What passes never reaches a missing step, never leaves a silent caller in a loop, and never says a prompt that has no
sound in the caller's language.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from cti.ids import FlowName
from cti.ivr.expression import ExpressionError, Kind, check, names_in
from cti.ivr.flow import DigitsOf, Flow, Prompt, Step, Text, ValueOf
from cti.ivr.names import CLOCK, GIVEN, assigned_before
from cti.ivr.parser import parse_flow
from cti.ivr.problems import Position, Problem, Severity, meant
from cti.ivr.prompt_book import PromptBook
from cti.ivr.spoken_values import VALUE_GRAMMARS, SaidAs, value_words
from cti.ivr.verbs.call_service import Service
from cti.ivr.verbs.choose_language import ChooseLanguage
from cti.ivr.verbs.collect import Collect
from cti.ivr.verbs.come_back import ComeBack
from cti.ivr.verbs.look_up_customer import LookUp
from cti.ivr.verbs.open_hours import OpenHours
from cti.ivr.verbs.python import Function
from cti.ivr.verbs.queue import Queue
from cti.ivr.verbs.request_callback import RequestCallback
from cti.ivr.verbs.run_script import Script
from cti.ivr.verbs.set import Set
from cti.ivr.verbs.set_language import SetLanguage
from cti.ivr.verbs.sub_flow import SubFlow
from cti.ivr.verbs.transfer import Transfer
from cti.model.centre import Centre
from cti.model.requirement import RequirementError, both

DIGITS = frozenset(f"digit_{digit}" for digit in range(10))
NO_OTHERS: Mapping[FlowName, Flow] = MappingProxyType({})


def check_text(
    text: str,
    file: str,
    centre: Centre,
    prompts: PromptBook,
    others: Mapping[FlowName, Flow] = NO_OTHERS,
    scripts: Collection[str] = (),
) -> list[Problem]:
    """Parse and check: everything wrong with the text of one flow. Never raises."""
    flow = parse_flow(text, file)
    return flow if isinstance(flow, list) else check_flow(flow, centre, prompts, others, scripts)


def check_flow(
    flow: Flow,
    centre: Centre,
    prompts: PromptBook,
    others: Mapping[FlowName, Flow] = NO_OTHERS,
    scripts: Collection[str] = (),
) -> list[Problem]:
    """Everything wrong with a flow, in the order of the text. `others` are the flows it may call, by name; `scripts` the
    scripts it may run."""
    check = _Check(flow, centre, prompts)
    check.targets()
    if not check.problems:
        # A misspelt target leaves its step unreached: one mistake, one message.
        check.reach()
    check.sub_flows(others)
    check.scripts(scripts)
    check.silent_loops()
    check.names()
    check.expressions()
    check.masked()
    for step in flow.steps.values():
        check.prompts_of(step)
    return sorted(check.problems, key=lambda problem: problem.at)


def live(problems: Iterable[Problem]) -> bool:
    """Whether a flow with these problems may take calls."""
    return all(problem.severity is Severity.WARNING for problem in problems)


class _Check:
    def __init__(self, flow: Flow, centre: Centre, prompts: PromptBook) -> None:
        self.flow = flow
        self.centre = centre
        self.prompts = prompts
        self.problems: list[Problem] = []

    def note(self, at: Position, code: str, message: str, remedy: str, severity: Severity = Severity.ERROR) -> None:
        self.problems.append(
            Problem(file=self.flow.file, at=at, code=code, message=message, remedy=remedy, severity=severity)
        )

    def targets(self) -> None:
        """Every target exists; the failure step ends the flow."""
        steps = self.flow.steps
        wanted = [("start", self.flow.start), ("failure", self.flow.failure)]
        for step in steps.values():
            wanted += [(f'step "{step.name}", exit "{exit_.name}"', exit_.target) for exit_ in step.exits()]
        for who, target in wanted:
            if target.step not in steps:
                remedy = meant(target.step, steps, "add the step or name another")
                self.note(target.at, "unknown_step", f'{who}: there is no step "{target.step}"', remedy)
        failure = steps.get(self.flow.failure.step)
        if failure is not None and not failure.ends_call:
            message = f'the failure step "{failure.name}" leads on instead of ending the flow'
            self.note(self.flow.failure.at, "failure_step", message, "name a `queue`, `voicemail` or `hang_up` step")

    def sub_flows(self, others: Mapping[FlowName, Flow]) -> None:
        """Flows that are called exist, come back with the words waited for, speak as this one does, and never call it."""
        flows = {**others, self.flow.name: self.flow}
        for step in self.flow.steps.values():
            if not isinstance(step, SubFlow):
                continue
            called = flows.get(step.flow)
            if called is None:
                remedy = meant(step.flow, others, "add the flow or name another")
                self.note(step.flow_at, "unknown_flow", f'there is no flow "{step.flow}"', remedy)
                continue
            if self.flow.name in _called_from(called, flows):
                message = f'the flow "{step.flow}" is, or calls, this one: it would go on for ever'
                self.note(
                    step.flow_at, "endless_recursion", message, "lead back by `return`, or by a step of this flow"
                )
                continue
            words = {one.word for one in called.steps.values() if isinstance(one, ComeBack)}
            if not words:
                message = f'the flow "{step.flow}" never comes back'
                self.note(step.flow_at, "never_returns", message, "give it a `return` step")
            for word in step.words:
                if words and word.word not in words:
                    message = f'the flow "{step.flow}" never returns "{word.word}"'
                    remedy = meant(word.word, words, f"it returns {', '.join(sorted(words))}")
                    self.note(word.at, "unknown_word", message, remedy)
            silent = [language for language in self.flow.languages if language not in called.languages]
            if silent:
                message = f'the flow "{step.flow}" does not speak "{silent[0]}"'
                self.note(step.flow_at, "unknown_language", message, f"add it to `languages` of {step.flow}")

    def reach(self) -> None:
        """Every step can be reached."""
        seen: set[str] = set()
        ahead = [self.flow.start.step, self.flow.failure.step]
        while ahead:
            step = self.flow.steps.get(ahead.pop())
            if step is not None and step.name not in seen:
                seen.add(step.name)
                ahead += [exit_.target.step for exit_ in step.exits()]
        for step in self.flow.steps.values():
            if step.name not in seen:
                message = f'no way leads to the step "{step.name}"'
                self.note(step.at, "unreachable_step", message, "lead an exit there or delete the step")

    def scripts(self, known: Collection[str]) -> None:
        """Scripts are there."""
        for step in self.flow.steps.values():
            if isinstance(step, Script) and step.script not in known:
                remedy = meant(
                    step.script, known, f"put it into the folder `scripts` beside the flows: {step.script}.py"
                )
                self.note(step.script_at, "unknown_script", f'there is no script "{step.script}"', remedy)

    def silent_loops(self) -> None:
        """No circle can be walked by a caller who presses nothing: such a call would never end."""
        after = {
            step.name: list(dict.fromkeys(exit_.target.step for exit_ in step.exits() if exit_.silent))
            for step in self.flow.steps.values()
        }
        for circle in _circles(after):
            first = min((self.flow.steps[name] for name in circle), key=lambda step: step.at)
            way = " -> ".join(sorted(circle, key=lambda name: self.flow.steps[name].at))
            message = f"a caller who presses nothing goes round for ever: {way}"
            remedy = "lead one of these steps to a `queue` or `hang_up` step when nothing is pressed"
            self.note(first.at, "endless_loop", message, remedy)

    def names(self) -> None:
        """Queues, tiers, languages and answers exist."""
        centre, flow = self.centre, self.flow
        for language, at in zip(flow.languages, flow.languages_at, strict=False):
            if language not in centre.languages:
                known = ", ".join(centre.languages)
                self.note(at, "unknown_language", f'the centre does not speak "{language}"', f"it speaks {known}")
        given = [name for step in flow.steps.values() for name in step.gives()]
        answers = {name.removeprefix("answer.") for name in given if name.startswith("answer.")}
        for step in flow.steps.values():
            if isinstance(step, Function):
                if step.service not in centre.functions:
                    remedy = meant(
                        step.service, centre.functions, "add it to `functions` of the centre or name another"
                    )
                    self.note(step.service_at, "unknown_function", f'there is no function "{step.service}"', remedy)
            elif isinstance(step, Service) and step.service not in centre.services:
                remedy = meant(step.service, centre.services, "add it to `services` of the centre or name another")
                self.note(step.service_at, "unknown_service", f'there is no service "{step.service}"', remedy)
            if isinstance(step, OpenHours) and step.calendar not in centre.calendars:
                remedy = meant(step.calendar, centre.calendars, "add the calendar to the centre or name another")
                self.note(step.calendar_at, "unknown_calendar", f'there is no calendar "{step.calendar}"', remedy)
            for named in step.allow if isinstance(step, Transfer) else ():
                if named.extension not in centre.agents:
                    remedy = meant(named.extension, centre.agents, "name an agent of the centre by extension")
                    self.note(named.at, "unknown_agent", f'there is no agent "{named.extension}"', remedy)
            if isinstance(step, Transfer) and step.keyed and step.keyed not in answers:
                remedy = meant(step.keyed, answers, "collect it before")
                self.note(step.number_at, "unknown_answer", f'no step collects "{step.keyed}"', remedy)
            if isinstance(step, Transfer) and step.number and not centre.outbound.may_dial(step.number):
                message = f'"{step.number}" is not on the list of numbers that may be dialled'
                remedy = "write it as +15550100042, and its beginning under `outbound: allow` of the centre"
                self.note(step.number_at, "unknown_number", message, remedy)
            if isinstance(step, Queue | RequestCallback) and step.queue not in centre.queues:
                remedy = meant(step.queue, centre.queues, "add the queue to the centre or name another")
                self.note(step.queue_at, "unknown_queue", f'there is no queue "{step.queue}"', remedy)
            if isinstance(step, Queue) and step.queue in centre.queues:
                try:
                    both(centre.queues[step.queue].requires, step.requires)
                except RequirementError:
                    message = f'together with what the queue "{step.queue}" requires these are too many alternatives'
                    self.note(step.requires_at, "requirement", message, "ask for fewer here or in the queue")
            if isinstance(step, LookUp):
                for tier in step.tiers:
                    if tier.tier not in centre.tiers:
                        remedy = meant(tier.tier, centre.tiers, "add the tier to the centre or delete the line")
                        message = f'the centre has no tier "{tier.tier}"'
                        self.note(tier.at, "unknown_tier", message, remedy, Severity.WARNING)
            if isinstance(step, ChooseLanguage):
                offered = [(choice.language, choice.at) for choice in step.choices]
                for language, at in [*offered, (step.default, step.default_at)]:
                    if language not in flow.languages:
                        remedy = f"this flow speaks {', '.join(flow.languages)}; add it to `languages`"
                        self.note(at, "unknown_language", f'"{language}" is not a language of this flow', remedy)
            if isinstance(step, SetLanguage) and step.language not in flow.languages:
                remedy = f"this flow speaks {', '.join(flow.languages)}; add it to `languages`"
                message = f'"{step.language}" is not a language of this flow'
                self.note(step.language_at, "unknown_language", message, remedy)
            for part in step.spoken():
                if isinstance(part, DigitsOf) and part.answer not in answers:
                    remedy = meant(part.answer, answers, "collect it before it is read back")
                    self.note(part.at, "unknown_answer", f'no step collects "{part.answer}"', remedy)

    def expressions(self) -> None:
        """Expressions use names that have a value there, and their types fit."""
        before = assigned_before(self.flow)
        kinds = self._kinds()
        for step in self.flow.steps.values():
            here = set(before[step.name])
            for part in step.spoken():
                if isinstance(part, ValueOf) and names_in(part.written.tree) & CLOCK.keys():
                    message = f'step "{step.name}": the time cannot be read out from here'
                    self.note(part.written.at, "expression", message, "give it a name in a `set` step before")
            for written in step.written():
                later = (names_in(written.tree) & kinds.keys()) - here - GIVEN.keys() - CLOCK.keys()
                if later:
                    name = min(later)
                    message = f'step "{step.name}": "{name}" may have no value here'
                    self.note(written.at, "no_value", message, "give it a value on every way that leads here")
                here.add(written.gives)
                try:
                    kind = check(written.tree, kinds)
                except ExpressionError as error:
                    at = Position(line=written.at.line, column=written.at.column + error.column - 1)
                    self.note(at, "expression", f'step "{step.name}": {error.message}', error.remedy)
                    continue
                if written.kind is not None and kind is not written.kind:
                    message = f'step "{step.name}": this is a {kind}, and a {written.kind} is needed'
                    self.note(written.at, "expression", message, 'compare it, as in customer.tier == "vip"')
                if kinds.get(written.gives, kind) is not kind:
                    message = (
                        f'step "{step.name}": "{written.gives}" is a {kinds[written.gives]} elsewhere and a {kind} here'
                    )
                    self.note(written.at, "expression", message, "use two names")

    def masked(self) -> None:
        """Digits nobody may hear or see are not read out, and nothing made of them is; nor is it shown to agents."""
        names = {
            f"answer.{step.answer}" for step in self.flow.steps.values() if isinstance(step, Collect) and step.masked
        }
        if not names:
            return
        made = [w for step in self.flow.steps.values() if isinstance(step, Set) for w in step.values]
        while more := {w.gives for w in made if names & set(names_in(w.tree))} - names:
            names |= more
        remedy = "leave it out, or do not mask it"
        for step in self.flow.steps.values():
            for part in step.spoken():
                if isinstance(part, DigitsOf) and f"answer.{part.answer}" in names:
                    self.note(
                        part.at, "masked", f'step "{step.name}": "{part.answer}" is masked and is read out here', remedy
                    )
                elif isinstance(part, ValueOf) and names & set(names_in(part.written.tree)):
                    self.note(part.at, "masked", f'step "{step.name}": this reads out what is masked', remedy)
            for written in step.data if isinstance(step, Queue) else ():
                if names & set(names_in(written.tree)):
                    self.note(written.at, "masked", f'step "{step.name}": agents would see what is masked', remedy)

    def _kinds(self) -> dict[str, Kind]:
        """The type of every name, by the first step in the text that gives it one."""
        kinds: dict[str, Kind] = {**GIVEN, **CLOCK}
        for step in self.flow.steps.values():
            kinds |= {name: kind for name, kind in step.gives().items() if kind is not None}
        open_ = [written for step in self.flow.steps.values() for written in step.expressions() if written.gives]
        while open_:
            # A value may use one that a later step of the text gives; each round finds the types of one layer more.
            left = []
            for written in open_:
                if written.gives in kinds:
                    continue
                try:
                    kinds[written.gives] = check(written.tree, kinds)
                except ExpressionError:
                    left.append(written)
            if len(left) == len(open_):
                break
            open_ = left
        return kinds

    def prompts_of(self, step: Step) -> None:
        """Everything a step says has a text in every language it may be said in."""
        for part in step.spoken():
            if isinstance(part, DigitsOf):
                for digit in "0123456789":
                    self._prompt(f"digit_{digit}", self.flow.languages, part.at)
            elif isinstance(part, Text):
                for language in self.flow.languages:
                    if language not in part.texts:
                        message = f'step "{step.name}": this text is not there in "{language}"'
                        self.note(part.at, "prompt_language", message, f"add `{language}: ..` to it")
            elif isinstance(part, ValueOf):
                self._value_words(part)
            elif isinstance(part, Prompt):
                self._prompt(part.name, (part.language,) if part.language else self.flow.languages, part.at)

    def _value_words(self, part: ValueOf) -> None:
        """Every word that may be needed to read values out is there; told once a language."""
        for language in self.flow.languages:
            needed = DIGITS if part.how is SaidAs.DIGITS else value_words(language)
            if not needed:
                message = f'values cannot be read out in "{language}"'
                self.note(part.at, "prompt_language", message, f"languages that can: {', '.join(VALUE_GRAMMARS)}")
            missing = {name for name in needed if language not in self.prompts.prompts.get(name, {})}
            if missing:
                message = (
                    f'to read a value out in "{language}", {len(missing)} prompts are missing: {min(missing)}, ...'
                )
                self.note(
                    part.at, "prompt_language", message, f"add them to {self.prompts.file}, as the shipped one has them"
                )

    def _prompt(self, name: str, languages: tuple[str, ...], at: Position) -> None:
        texts = self.prompts.prompts.get(name)
        if texts is None:
            remedy = meant(name, self.prompts.prompts, f"add it to {self.prompts.file}")
            self.note(at, "unknown_prompt", f'there is no prompt "{name}"', remedy)
            return
        for language in languages:
            if language not in texts:
                message = f'prompt "{name}" has no text in "{language}"'
                self.note(at, "prompt_language", message, f"add `{language}:` to {name} in {self.prompts.file}")


def _called_from(flow: Flow, flows: Mapping[FlowName, Flow]) -> set[FlowName]:
    """The flow itself and every flow it leads into."""
    seen = {flow.name}
    ahead = [flow]
    while ahead:
        for step in ahead.pop().steps.values():
            if isinstance(step, SubFlow) and step.flow in flows and step.flow not in seen:
                seen.add(step.flow)
                ahead.append(flows[step.flow])
    return seen


def _circles(after: dict[str, list[str]]) -> list[set[str]]:
    """The strongly connected parts of a graph that hold a circle (Tarjan's algorithm, without recursion)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    circles: list[set[str]] = []
    for root in after:
        if root in number:
            continue
        work = [(root, iter(after[root]))]
        number[root] = low[root] = len(number)
        path.append(root)
        on_path.add(root)
        while work:
            name, ahead = work[-1]
            for following in ahead:
                if following not in after:
                    continue
                if following not in number:
                    number[following] = low[following] = len(number)
                    path.append(following)
                    on_path.add(following)
                    work.append((following, iter(after[following])))
                    break
                if following in on_path:
                    low[name] = min(low[name], number[following])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == number[name]:
                    part: set[str] = set()
                    while True:
                        member = path.pop()
                        on_path.discard(member)
                        part.add(member)
                        if member == name:
                            break
                    if len(part) > 1 or name in after[name]:
                        circles.append(part)
    return circles
