"""Every id the API may refuse with is in docs/errors.md, and the pages have words for it in English and Chinese."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from cti.acd.gates import Reason
from cti.model.tolls import Limit

REPOSITORY = Path(__file__).resolve().parents[2]
I18N = REPOSITORY / "cti" / "web" / "ui" / "src" / "i18n"
RAISED = {"ApiError": 1, "error_response": 1, "Refused": 0, "CaseRefused": 0, "CustomerRefused": 0, "DeskRefused": 0}
"""Calls that make a refusal, and which of their arguments is the id."""
ROOMS = ("web", "crm", "casework", "services", "report_office")
MADE_UP = {
    *(f"agent_{why}" for why in ("offline", "not_ready", "unreachable", "busy", "wrap_up")),
    *(f"number_{why}" for why in ("no_trunk", "no_number", "not_allowed", "no_price")),
    *(f"cap_{limit.value}" for limit in Limit),
    *(f"queue_{reason.value}" for reason in Reason),
}
"""Ids that are put together of two words."""
OF_THE_LINK = {
    "ami_action_invalid", "ami_link_lost", "ami_login_refused", "ami_protocol", "ami_refused", "ami_request_timeout",
    "ami_unreachable",
}  # fmt: skip
"""A page is told of these by their status: 502 or 503."""


def ids_in(source: str) -> Iterator[str]:
    """Ids that are written out in a module: arguments of refusals, and `error_id` of classes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            place = RAISED.get(name)
            if place is not None and len(node.args) > place:
                given = node.args[place]
                for one in (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,):
                    if isinstance(one, ast.Constant) and isinstance(one.value, str):
                        yield one.value
        elif isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "error_id":
                    yield str(ast.literal_eval(line.value))


@cache
def answered() -> frozenset[str]:
    """Every id the API may refuse with."""
    files = [path for room in ROOMS for path in (REPOSITORY / "cti" / room).rglob("*.py")]
    found = {one for path in files for one in ids_in(path.read_text(encoding="utf-8"))}
    return frozenset(found | MADE_UP | {"internal", "remote_failed", "illegal_transition"})


def worded(language: str) -> set[str]:
    """Ids with words: keys of `errors`, and of whatever else is called so."""
    found: set[str] = set()
    for path in I18N.glob(f"{language}*.ts"):
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"(?:errors: \{|export const \w*[eE]rrors[^=\n]* = \{)(.*?)\n *\}", text, re.DOTALL):
            found |= set(re.findall(r"(\w+): [\x22(]", block))
    return found


def test_they_are_found() -> None:
    assert len(answered()) > 120
    assert {"bad_json", "wrap_up_open", "edit_conflict", "unknown_flow", "recording_refused"} <= answered()


def test_every_one_is_documented() -> None:
    told = set(re.findall(r"`([a-z][a-z0-9_]+)`", (REPOSITORY / "docs" / "errors.md").read_text(encoding="utf-8")))
    assert sorted(answered() - told) == [], "add them to docs/errors.md"
    assert told >= OF_THE_LINK


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_one_has_words(language: str) -> None:
    assert sorted(answered() - worded(language)) == [], (
        f"add them to i18n/{language}.errors.ts, or to words of your own"
    )
