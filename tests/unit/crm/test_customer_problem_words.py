"""Whatever the customer file says is wrong with a field or a file has words on the page, in English and Chinese."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CTI = Path(__file__).resolve().parents[3] / "cti"
WORDS = CTI / "web" / "ui" / "src" / "i18n"


def problems() -> dict[str, set[str]]:
    """Ids of problems by what is said of them: `Unfit("id", ...)`, `unreadable("id", ...)`, `problem="id"`; with their values."""
    found: dict[str, set[str]] = {}
    for path in (CTI / "crm").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", "")
            given = {one.arg: one.value for one in node.keywords if one.arg}
            if name in ("Unfit", "unreadable") and node.args and isinstance(node.args[0], ast.Constant):
                found.setdefault(str(node.args[0].value), set()).update(given)
            elif name == "wrong" and len(node.args) == 3 and isinstance(node.args[1], ast.Constant):
                found.setdefault(str(node.args[1].value), set()).add("name")
            elif isinstance(given.get("problem"), ast.Constant):
                values = given.get("values")
                names = {ast.literal_eval(key) for key in values.keys if key} if isinstance(values, ast.Dict) else set()
                found.setdefault(str(given["problem"].value), set()).update(names)  # type: ignore[attr-defined]
        for kind in re.findall(r'_matching\(\s*r?"[^"]*",\s*"(\w+)"', path.read_text(encoding="utf-8")):
            found.setdefault(kind, set())
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_problem_has_words_and_they_name_only_what_is_given(language: str) -> None:
    text = (WORDS / f"{language}.customers.ts").read_text(encoding="utf-8")
    block = text.split("  problems: {")[1].split("\n  }")[0]
    words = dict(re.findall(r'^    (\w+): "(.*)",$', block, re.MULTILINE))
    known = problems()
    assert len(known) > 40
    assert sorted(set(known) - set(words)) == []
    assert sorted(set(words) - set(known)) == [], "words for what nobody says"
    for problem, said in words.items():
        assert set(re.findall(r"\{(\w+)\}", said)) <= known[problem], (problem, said)
