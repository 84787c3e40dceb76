"""Reading one table field by field, noting every problem on the way.

A wrong or missing field gives a stand-in value and a problem, so one reading finds all the mistakes of a file. The
stand-ins never get out: whoever notes a problem gives back problems, not a flow.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

from cti.ivr.document import Listing, Node, Scalar, Table
from cti.ivr.expression import ExpressionError, Kind, Literal, parse
from cti.ivr.flow import DigitsOf, Prompt, Spoken, Target, Text, ValueOf, Written
from cti.ivr.problems import Position, Problem, meant
from cti.ivr.question import Retry
from cti.ivr.spoken_values import CURRENCIES, SaidAs

WORD = re.compile(r"[a-z][a-z0-9_]*")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
MAX_TEXT = 1000
"""Characters of one text."""
_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m)")
_UNIT = {"ms": timedelta(milliseconds=1), "s": timedelta(seconds=1), "m": timedelta(minutes=1)}
_FLAG = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Findings:
    """Collects the problems of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def note(self, at: Position, code: str, message: str, remedy: str) -> None:
        """Add one error."""
        self.problems.append(Problem(file=self.file, at=at, code=code, message=message, remedy=remedy))


class Fields:
    """The fields of one table. Take each, then `finish`, which notes the keys nobody took."""

    def __init__(self, table: Table, what: str, findings: Findings) -> None:
        self.table = table
        self.at = table.at
        self.what = what
        self.findings = findings
        self._taken: set[str] = set()

    def node(self, key: str) -> Node | None:
        """The raw value under `key`, None when absent."""
        self._taken.add(key)
        return self.table.get(key)

    def has(self, key: str) -> bool:
        """Whether `key` was written."""
        return self.table.get(key) is not None

    def wrong(self, at: Position, message: str, remedy: str, code: str = "value") -> None:
        """Note a problem of this table."""
        self.findings.note(at, code, f"{self.what}: {message}", remedy)

    def missing(self, key: str, remedy: str, code: str = "missing_field") -> None:
        """Note that `key` was not written."""
        self.wrong(self.at, f'"{key}" is missing', remedy, code)

    def scalar(self, key: str, *, required: str | None = None) -> Scalar | None:
        """A plain value. `required` is the remedy noted when it is absent; None means it may be."""
        node = self.node(key)
        if node is None:
            if required is not None:
                self.missing(key, required)
            return None
        if isinstance(node, Scalar):
            return node
        self.wrong(node.at, f'"{key}" must be one plain value', f"write `{key}: value`", "shape")
        return None

    def word(self, key: str, *, required: str) -> Scalar:
        """A name: small letters, digits and underscores."""
        found = self.scalar(key, required=required)
        if found is None:
            return Scalar("", self.at)
        if not WORD.fullmatch(found.text):
            self.wrong(found.at, f'"{found.text}" is not a name', "use small letters, digits and _", "value")
        return found

    def target(self, key: str, *, required: str | None = None, code: str = "missing_exit") -> Target | None:
        """The step an exit leads to. `required` is the remedy noted when the exit is absent."""
        node = self.node(key)
        if node is None:
            if required is not None:
                self.wrong(self.at, f'the exit "{key}" is missing', required, code)
            return None
        return self._target_of(node, key)

    def exit(self, key: str, *, remedy: str = "", code: str = "missing_exit") -> Target:
        """An exit that must be there."""
        found = self.target(key, required=remedy or f"add `{key}: <step>`", code=code)
        return found or Target(step="", at=self.at)

    def _target_of(self, node: Node, key: str) -> Target | None:
        if isinstance(node, Scalar) and node.text:
            return Target(step=node.text, at=node.at)
        self.wrong(node.at, f'"{key}" must name a step', f"write `{key}: <step>`", "shape")
        return None

    def retry(self, key: str) -> Retry:
        """An exit of failure: `key: step`, or `key: {say: .., go: step}`."""
        node = self.node(key)
        if isinstance(node, Table):
            inner = Fields(node, f'{self.what}, "{key}"', self.findings)
            retry = Retry(
                say=inner.spoken("say"), go=inner.exit("go", remedy="say where the caller goes: `go: <step>`")
            )
            inner.finish()
            return retry
        return Retry(say=(), go=self.exit(key, remedy=f"say where the caller goes after the last try: `{key}: <step>`"))

    def spoken(self, key: str, *, required: str | None = None) -> tuple[Spoken, ...]:
        """Prompts: one name or a list; `zh/name` fixes the language, `{digits_of: answer}` reads digits back."""
        node = self.node(key)
        if node is None:
            if required is not None:
                self.missing(key, required)
            return ()
        nodes = node.items if isinstance(node, Listing) else (node,)
        if required is not None and not nodes:
            self.wrong(node.at, f'"{key}" is empty', required, "missing_field")
        return tuple(part for part in map(self._spoken_part, nodes) if part is not None)

    def _spoken_part(self, node: Node) -> Spoken | None:
        if isinstance(node, Table) and node.get("digits_of") is None:
            return self._computed_part(node)
        if isinstance(node, Table):
            inner = Fields(node, self.what, self.findings)
            answer = inner.word("digits_of", required="write `{digits_of: <answer>}` or the name of a prompt")
            inner.finish()
            return DigitsOf(answer=answer.text, at=answer.at)
        if isinstance(node, Scalar):
            language, slash, name = node.text.rpartition("/")
            if WORD.fullmatch(name) and (not slash or LANGUAGE.fullmatch(language)):
                return Prompt(name=name, language=language or None, at=node.at)
            shown = node.text[:60]
            self.wrong(
                node.at, f'"{shown}" is not the name of a prompt', "texts live in prompts.yaml; write their name here"
            )
            return None
        self.wrong(node.at, "a list within a list of prompts", "write one list of names", "shape")
        return None

    def _computed_part(self, node: Table) -> Spoken | None:
        """`{text: {en: .., zh: ..}}`, or a value: `{money: 'total', currency: EUR}`."""
        inner = Fields(node, self.what, self.findings)
        if inner.has("text"):
            texts = {
                key.text: " ".join(said.text.split()) for key, said in inner.rows("text") if isinstance(said, Scalar)
            }
            if not texts or not all(0 < len(said) <= MAX_TEXT for said in texts.values()):
                remedy = "write `{text: {en: .., zh: ..}}`"
                inner.wrong(node.at, f'"text" needs 1 to {MAX_TEXT} characters in each language', remedy, "shape")
            inner.finish()
            spoken = "|".join(f"{language}={said}" for language, said in sorted(texts.items()))
            name = f"text_{hashlib.sha256(spoken.encode()).hexdigest()[:12]}"
            return Text(name=name, texts=texts, at=node.at)
        how = next((how for how in SaidAs if inner.has(how.value)), None)
        if how is None:
            remedy = "write the name of a prompt, {digits_of: answer}, {text: {en: ..}} or {number: 'expression'}"
            inner.wrong(node.at, "nothing to say", remedy, "shape")
            return None
        found = inner.scalar(how.value)
        currency = inner.scalar("currency") if how is SaidAs.MONEY else None
        if how is SaidAs.MONEY and (currency is None or currency.text not in CURRENCIES):
            at = currency.at if currency is not None else node.at
            inner.wrong(at, "money needs a currency", f"use one of {', '.join(CURRENCIES)}: `currency: EUR`")
        inner.finish()
        if found is None:
            return None
        kind = Kind.NUMBER if how in (SaidAs.NUMBER, SaidAs.MONEY) else Kind.TEXT
        return ValueOf(
            written=inner.expression(found, kind), how=how, currency=currency.text if currency else "", at=node.at
        )

    def expression(self, found: Scalar, kind: Kind | None = None, gives: str = "") -> Written:
        """The expression that `found` says; a problem is noted at the column where it goes wrong."""
        at = Position(line=found.at.line, column=found.at.column + found.quoted)
        try:
            tree = parse(found.text)
        except ExpressionError as error:
            place = Position(line=at.line, column=at.column + error.column - 1)
            self.wrong(place, error.message, error.remedy, "expression")
            tree = Literal(value="", at=1)
        return Written(tree=tree, at=at, kind=kind, gives=gives)

    def duration(
        self, key: str, default: timedelta, *, least: timedelta = timedelta(milliseconds=100), most: timedelta
    ) -> timedelta:
        """A time with its unit: `500ms`, `5s`, `2m`."""
        found = self.scalar(key)
        if found is None:
            return default
        match = _DURATION.fullmatch(found.text)
        if match is None:
            self.wrong(found.at, f'"{found.text}" is not a time', f"write a number and its unit, as in `{key}: 5s`")
            return default
        value = float(match[1]) * _UNIT[match[2]]
        if not least <= value <= most:
            bounds = f"{least.total_seconds():g}s to {most.total_seconds():g}s"
            self.wrong(found.at, f'"{key}" of {found.text} is out of bounds', f"use a time from {bounds}")
            return default
        return value

    def whole(self, key: str, default: int, *, least: int, most: int) -> int:
        """A whole number within bounds."""
        found = self.scalar(key)
        return default if found is None else self.whole_of(found, key, default, least=least, most=most)

    def whole_of(self, found: Scalar, key: str, default: int, *, least: int, most: int) -> int:
        """The whole number that `found` says."""
        if not re.fullmatch(r"[0-9]{1,9}", found.text, re.ASCII) or not least <= int(found.text) <= most:
            self.wrong(found.at, f'"{key}" must be a whole number', f"use a number from {least} to {most}")
            return default
        return int(found.text)

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        found = self.scalar(key)
        if found is None:
            return default
        if found.text.lower() not in _FLAG:
            self.wrong(found.at, f'"{key}" must be true or false', f"write `{key}: true` or `{key}: false`")
            return default
        return _FLAG[found.text.lower()]

    def rows(self, key: str, *, required: str | None = None) -> tuple[tuple[Scalar, Node], ...]:
        """The entries of a table under `key`."""
        node = self.node(key)
        if node is None:
            if required is not None:
                self.missing(key, required)
            return ()
        if not isinstance(node, Table):
            self.wrong(node.at, f'"{key}" must be a table', "write one `name: value` a line below it", "shape")
            return ()
        return node.entries

    def target_of(self, key: Scalar, node: Node) -> Target:
        """The step that `node` names; `key` is what leads there."""
        return self._target_of(node, key.text) or Target(step="", at=node.at)

    def words(self, key: str) -> tuple[str, ...] | None:
        """A list of plain values under `key`; None when it was not written."""
        node = self.node(key)
        if node is None:
            return None
        nodes = node.items if isinstance(node, Listing) else (node,)
        plain = [one for one in nodes if isinstance(one, Scalar)]
        if len(plain) < len(nodes):
            self.wrong(node.at, f'"{key}" must be a list of plain values', f"write `{key}: [one, two]`", "shape")
        return tuple(one.text for one in plain)

    def finish(self) -> None:
        """Note every key that means nothing here."""
        for key, _ in self.table.entries:
            if key.text not in self._taken:
                known = ", ".join(sorted(self._taken))
                self.wrong(
                    key.at,
                    f'"{key.text}" means nothing here',
                    meant(key.text, self._taken, f"known here: {known}"),
                    "unknown_key",
                )
