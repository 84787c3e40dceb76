"""The manifest of prompts: every text the machine can say, by name and language, and the voice that says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from cti.ivr.document import Scalar, Table, read_document
from cti.ivr.flow import Flow, Text
from cti.ivr.problems import Position, Problem
from cti.ivr.reading import LANGUAGE, MAX_TEXT, WORD, Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """One prompt in one language."""

    text: str
    at: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBook:
    """The texts of a centre. `prompts` is name -> language -> text; `voices` is language -> voice (`engine:voice`)."""

    file: str
    voices: Mapping[str, str]
    prompts: Mapping[str, Mapping[str, PromptText]]


def with_texts(book: PromptBook, flows: Iterable[Flow]) -> PromptBook:
    """The book with the texts that stand in the flows themselves."""
    prompts = dict(book.prompts)
    for flow in flows:
        for step in flow.steps.values():
            for part in step.spoken():
                if isinstance(part, Text):
                    prompts[part.name] = {
                        language: PromptText(text=said, at=part.at)
                        for language, said in part.texts.items()
                        if language in book.voices
                    }
    return replace(book, prompts=prompts)


def parse_prompts(text: str, file: str) -> PromptBook | list[Problem]:
    """Read a manifest: `voices:` and `prompts:`. Never raises."""
    document = read_document(text, file)
    if isinstance(document, Problem):
        return [document]
    findings = Findings(file)
    voices: dict[str, str] = {}
    prompts: dict[str, dict[str, PromptText]] = {}
    if not isinstance(document, Table):
        findings.note(document.at, "shape", "a manifest is a table", "begin with `voices:` and `prompts:`")
        return findings.problems
    for part, node in document.entries:
        if part.text not in ("voices", "prompts"):
            findings.note(part.at, "unknown_key", f'"{part.text}" means nothing here', "use `voices:` and `prompts:`")
        elif not isinstance(node, Table):
            findings.note(node.at, "shape", f'"{part.text}" must be a table', "write one entry a line below it")
        elif part.text == "voices":
            _read_voices(node, voices, findings)
        else:
            _read_prompts(node, prompts, findings)
    if not prompts:
        findings.note(document.at, "missing_field", "no prompts", "list the texts under `prompts:`")
    for name, texts in prompts.items():
        for language, said in texts.items():
            if language not in voices:
                remedy = f"add `{language}: <engine:voice>` under `voices:`"
                findings.note(said.at, "no_voice", f'prompt "{name}": no voice for "{language}"', remedy)
    if findings.problems:
        return sorted(findings.problems, key=lambda problem: problem.at)
    return PromptBook(file=file, voices=voices, prompts=prompts)


def _read_voices(node: Table, voices: dict[str, str], findings: Findings) -> None:
    for language, voice in node.entries:
        if not LANGUAGE.fullmatch(language.text):
            findings.note(language.at, "value", f'"{language.text}" is not a language', "use a tag such as en or zh")
        elif not isinstance(voice, Scalar) or voice.text.partition(":")[0] not in ("piper", "espeak"):
            findings.note(voice.at, "value", "not a voice", "write `piper:<voice>` or `espeak:<voice>`")
        else:
            voices[language.text] = voice.text


def _read_prompts(node: Table, prompts: dict[str, dict[str, PromptText]], findings: Findings) -> None:
    for name, texts in node.entries:
        if not WORD.fullmatch(name.text):
            findings.note(name.at, "value", f'"{name.text}" is not a name', "use small letters, digits and _")
        if not isinstance(texts, Table):
            findings.note(
                texts.at, "shape", f'prompt "{name.text}" has no languages', "write `en: ..` and `zh: ..` below it"
            )
            continue
        found = prompts.setdefault(name.text, {})
        for language, said in texts.entries:
            if not LANGUAGE.fullmatch(language.text):
                findings.note(
                    language.at, "value", f'"{language.text}" is not a language', "use a tag such as en or zh"
                )
            elif not isinstance(said, Scalar) or not said.text.strip():
                findings.note(said.at, "value", f'prompt "{name.text}" has no text', "write what is to be said")
            elif len(said.text) > MAX_TEXT:
                findings.note(
                    said.at, "too_large", f'prompt "{name.text}" is too long', f"at most {MAX_TEXT} characters"
                )
            else:
                found[language.text] = PromptText(text=" ".join(said.text.split()), at=said.at)
