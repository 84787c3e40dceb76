"""Text to `Flow`."""

from __future__ import annotations

import hashlib
from pathlib import PurePath

from cti.ids import FlowName
from cti.ivr.document import Listing, Scalar, Table, read_document
from cti.ivr.flow import Flow, Step
from cti.ivr.problems import Problem, meant
from cti.ivr.reading import LANGUAGE, WORD, Fields, Findings
from cti.ivr.verbs import VERBS, verb_of

MAX_STEPS = 500


def version_of(text: str) -> str:
    """The version of a flow with this text: twelve hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def parse_flow(text: str, file: str) -> Flow | list[Problem]:
    """Read a flow. `file` is the name problems are reported under; its stem must be the flow's name.

    Gives problems when the text is not YAML or not shaped as a flow; whether targets, queues and prompts exist is the
    checker's work. Never raises.
    """
    document = read_document(text, file)
    if isinstance(document, Problem):
        return [document]
    findings = Findings(file)
    if not isinstance(document, Table):
        findings.note(document.at, "shape", "a flow is a table", "begin with `flow: <name>`")
        return findings.problems
    fields = Fields(document, "flow", findings)
    name = fields.word("flow", required="begin with `flow: <name>`")
    stem = PurePath(file).stem
    if name.text and name.text != stem:
        findings.note(name.at, "name", f'the flow is called "{name.text}" but the file "{stem}"', "call both the same")
    title = fields.scalar("title")
    languages = _languages(fields)
    start = fields.exit("start", remedy="say where a call begins: `start: <step>`")
    remedy = "name the step for calls that cannot go on, a `queue` or `hang_up` step: `failure: <step>`"
    failure = fields.exit("failure", remedy=remedy)
    steps = _steps(fields)
    fields.finish()
    if findings.problems:
        return sorted(findings.problems, key=lambda problem: problem.at)
    return Flow(
        name=FlowName(name.text),
        title=title.text if title else name.text,
        version=version_of(text),
        file=file,
        languages=tuple(language.text for language in languages),
        languages_at=tuple(language.at for language in languages),
        start=start,
        failure=failure,
        steps=steps,
    )


def _languages(fields: Fields) -> list[Scalar]:
    node = fields.node("languages")
    if node is None:
        fields.missing("languages", "list the languages it speaks: `languages: [en, zh]`")
        return []
    found: list[Scalar] = []
    for item in node.items if isinstance(node, Listing) else (node,):
        if isinstance(item, Scalar) and LANGUAGE.fullmatch(item.text) and item.text not in [one.text for one in found]:
            found.append(item)
        else:
            fields.wrong(item.at, "not a list of languages", "write each once: `languages: [en, zh]`")
    if not found:
        fields.wrong(node.at, "no language", "list at least one: `languages: [en]`")
    return found


def _steps(fields: Fields) -> dict[str, Step]:
    steps: dict[str, Step] = {}
    rows = fields.rows("steps", required="list the steps under `steps:`")
    if len(rows) > MAX_STEPS:
        fields.wrong(fields.at, f"more than {MAX_STEPS} steps", "split it into several flows", "too_large")
        return steps
    for key, node in rows:
        if not WORD.fullmatch(key.text):
            fields.wrong(key.at, f'"{key.text}" is not a name for a step', "use small letters, digits and _")
        if isinstance(node, Table):
            step = _step(key, node, fields.findings)
            if step is not None:
                steps[key.text] = step
        else:
            fields.wrong(node.at, f'step "{key.text}" is not a table', "write its verb and exits below it", "shape")
    return steps


def _step(key: Scalar, node: Table, findings: Findings) -> Step | None:
    keys = [name.text for name, _ in node.entries]
    verb = verb_of(keys)
    if verb is None:
        known = f"begin with one of: {', '.join(sorted(VERBS))}"
        near = next((meant(word, VERBS, "") for word in keys if meant(word, VERBS, "")), known)
        at = node.entries[0][0].at if node.entries else key.at
        findings.note(at, "unknown_verb", f'step "{key.text}" has no verb', near)
        return None
    fields = Fields(node, f'step "{key.text}"', findings)
    fields.at = key.at
    step = VERBS[verb](key.text, key.at, fields)
    fields.finish()
    return step
