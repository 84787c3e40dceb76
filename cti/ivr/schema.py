"""The JSON Schema of flow files, for editors: taken from the readers themselves, so that it cannot tell another story.

Each verb's reader is run over an empty table by a `_Listener`, which notes what the reader asks for: which keys, of what
kind, and which must be there. What stands deeper (the choices of a menu) is left open; `cti flow check` knows the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from cti.ivr.document import Node, Scalar, Table
from cti.ivr.flow import Spoken, Target
from cti.ivr.problems import Position
from cti.ivr.question import Retry
from cti.ivr.reading import Fields, Findings
from cti.ivr.spoken_values import CURRENCIES
from cti.ivr.verbs import VERBS

Schema: TypeAlias = dict[str, Any]

NAME = r"^[a-z][a-z0-9_]*$"
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}
_STEP: Schema = {"type": "string", "description": "the name of a step"}
_REF = "#/$defs/"


def flow_schema() -> Schema:
    """The schema of one flow file (JSON Schema 2020-12)."""
    steps = [_step_schema(verb, *_listen(verb)) for verb in sorted(VERBS, key=lambda verb: (verb == "say", verb))]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A flow: what callers hear and press",
        "type": "object",
        "additionalProperties": False,
        "required": ["flow", "languages", "start", "failure", "steps"],
        "properties": {
            "flow": {"type": "string", "pattern": NAME, "description": "its name, as the file's"},
            "title": {"type": "string"},
            "languages": {"type": ["array", "string"], "items": {"type": "string"}, "minItems": 1},
            "start": _STEP,
            "failure": _STEP,
            "steps": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": NAME},
                "additionalProperties": {"$ref": f"{_REF}step"},
            },
        },
        "$defs": {
            "step": _by_verb(steps),
            "spoken": {"anyOf": [{"$ref": f"{_REF}part"}, {"type": "array", "items": {"$ref": f"{_REF}part"}}]},
            "part": _part(),
            "retry": {
                "anyOf": [
                    _STEP,
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["go"],
                        "properties": {"say": {"$ref": f"{_REF}spoken"}, "go": _STEP},
                    },
                ]
            },
            "duration": {"type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m)$"},
        },
    }


def _by_verb(steps: list[tuple[str, Schema]]) -> Schema:
    """A step is of the verb among its keys: an editor then speaks of that verb only, not of all of them."""
    branch: Schema | bool = False
    for verb, schema in reversed(steps):
        branch = {"if": {"required": [verb]}, "then": schema, "else": branch}
    return {"type": "object", "allOf": [branch]}


def _part() -> Schema:
    value = {"type": ["string", "number"]}
    texts = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}
    shapes: dict[str, Mapping[str, Any]] = {
        "digits_of": {"digits_of": {"type": "string"}},
        "text": {"text": texts},
        "money": {"money": value, "currency": {"enum": sorted(CURRENCIES)}},
        **{how: {how: value} for how in ("number", "digits", "date", "time")},
    }
    tables = [
        {"type": "object", "additionalProperties": False, "required": list(keys), "properties": dict(keys)}
        for keys in shapes.values()
    ]
    return {"anyOf": [{"type": "string"}, *tables]}


def _step_schema(verb: str, kinds: Mapping[str, Schema], required: frozenset[str]) -> tuple[str, Schema]:
    return verb, {
        "title": verb,
        "additionalProperties": False,
        "required": sorted(required | {verb}),
        "properties": dict(kinds),
    }


def _listen(verb: str) -> tuple[Mapping[str, Schema], frozenset[str]]:
    listener = _Listener()
    VERBS[verb](verb, Position(), listener)
    return listener.kinds, frozenset(listener.required)


class _Listener(Fields):
    """Notes what a reader asks of its table; the first kind asked for a key is the key's."""

    def __init__(self) -> None:
        super().__init__(Table((), Position()), "step", Findings("schema"))
        self.kinds: dict[str, Schema] = {}
        self.required: set[str] = set()

    def _note(self, key: str, kind: Schema, *, required: bool = False) -> None:
        self.kinds.setdefault(key, kind)
        if required:
            self.required.add(key)

    def node(self, key: str) -> Node | None:
        self._note(key, {})
        return super().node(key)

    def missing(self, key: str, remedy: str, code: str = "missing_field") -> None:
        self.required.add(key)
        super().missing(key, remedy, code)

    def scalar(self, key: str, *, required: str | None = None) -> Scalar | None:
        self._note(key, _SCALAR, required=required is not None)
        return super().scalar(key, required=required)

    def word(self, key: str, *, required: str) -> Scalar:
        self._note(key, {"type": "string", "pattern": NAME}, required=True)
        return super().word(key, required=required)

    def target(self, key: str, *, required: str | None = None, code: str = "missing_exit") -> Target | None:
        self._note(key, _STEP, required=required is not None)
        return super().target(key, required=required, code=code)

    def retry(self, key: str) -> Retry:
        self._note(key, {"$ref": f"{_REF}retry"}, required=True)
        return super().retry(key)

    def spoken(self, key: str, *, required: str | None = None) -> tuple[Spoken, ...]:
        self._note(key, {"$ref": f"{_REF}spoken"}, required=required is not None)
        return super().spoken(key, required=required)

    def duration(
        self, key: str, default: timedelta, *, least: timedelta = timedelta(milliseconds=100), most: timedelta
    ) -> timedelta:
        self._note(key, {"$ref": f"{_REF}duration"})
        return super().duration(key, default, least=least, most=most)

    def whole(self, key: str, default: int, *, least: int, most: int) -> int:
        self._note(key, {"type": "integer", "minimum": least, "maximum": most})
        return super().whole(key, default, least=least, most=most)

    def flag(self, key: str, default: bool) -> bool:
        self._note(key, {"enum": [True, False, "yes", "no", "on", "off"]})
        return super().flag(key, default)

    def words(self, key: str) -> tuple[str, ...] | None:
        self._note(key, {"type": ["array", "string"], "items": _SCALAR})
        return super().words(key)

    def rows(self, key: str, *, required: str | None = None) -> tuple[tuple[Scalar, Node], ...]:
        self._note(key, {"type": "object"}, required=required is not None)
        return super().rows(key, required=required)
