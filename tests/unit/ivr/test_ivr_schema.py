"""The schema editors use accepts every good flow and knows every verb, as the readers do."""

from __future__ import annotations

import json

import jsonschema
import pytest
from ruamel.yaml import YAML

from cti.ivr.document import Table
from cti.ivr.reading import Fields, Findings
from cti.ivr.schema import flow_schema
from cti.ivr.verbs import VERBS
from tests.support.flow_corpus import FLOWS, SHIPPED

SCHEMA = flow_schema()
GOOD = [file for file in [*FLOWS.glob("good/*.yaml"), *SHIPPED.glob("*.yaml")] if file.name != "prompts.yaml"]
CAUGHT = [
    "unknown_verb", "unknown_field", "missing_go", "missing_start", "missing_failure", "no_steps", "missing_no_input",
    "missing_invalid", "look_up_without_fallback", "tries_of_none", "time_without_unit", "when_without_else",
]  # fmt: skip


def loaded(text: str) -> object:
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_good_flows_pass(file) -> None:
    jsonschema.validate(loaded(file.read_text(encoding="utf-8")), SCHEMA)


@pytest.mark.parametrize("name", CAUGHT)
def test_what_an_editor_can_see_is_seen(name: str) -> None:
    text = (FLOWS / "bad" / f"{name}.yaml").read_text(encoding="utf-8")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(loaded(text), SCHEMA)


def test_every_verb_and_field_is_in_it() -> None:
    known: dict[str, set[str]] = {}
    branch = SCHEMA["$defs"]["step"]["allOf"][0]
    while branch:
        known[branch["then"]["title"]] = set(branch["then"]["properties"])
        branch = branch["else"]
    for verb, read in VERBS.items():
        fields = Fields(Table((), None), "step", Findings("x"))  # type: ignore[arg-type]
        read("x", None, fields)  # type: ignore[arg-type]
        assert known[verb] == set(fields._taken), verb
    assert set(known) == set(VERBS)
