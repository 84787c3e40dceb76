"""What `make check` leaves out is there, and is what it was written down for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support import lanes


def test_every_long_test_is_there() -> None:
    assert lanes.longest()
    for file in sorted({name.partition("::")[0] for name in lanes.longest()}):
        tree = ast.parse((lanes.TESTS.parent / file).read_text(encoding="utf-8"))
        there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        # A machine of Hypothesis has a name in the module, and its test is the library's.
        there |= {
            name.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for name in node.targets
            if isinstance(name, ast.Name)
        }
        named = {name.split("::")[1] for name in lanes.longest() if name.startswith(f"{file}::")}
        assert named <= there, f"{file} has no {named - there}: tests/longest.py writes the list anew"


@pytest.mark.parametrize(
    ("name", "long"),
    [
        ("tests/unit/cli_test.py::test_serve_without_a_centre_file", True),
        ("tests/unit/cli_test.py::test_every_command_has_help[cti flow]", True),
        ("tests/unit/cli_test.py", False),
    ],
)
def test_a_test_is_long_whatever_it_is_given(name: str, long: bool) -> None:
    assert lanes.is_long(name) == long


@pytest.mark.parametrize(
    ("text", "real"),
    [
        ("pytestmark = [pytest.mark.real, pytest.mark.timeout(400)]\n", True),
        ("import pytest\n\npytestmark = pytest.mark.real\n", True),
        ("@pytest.mark.real\ndef test(): pass\n", False),
        ("def test():\n    pytestmark = pytest.mark.real\n", False),
    ],
)
def test_only_files_whose_tests_are_all_real_are_not_read_by_who_wants_none(
    text: str, real: bool, tmp_path: Path
) -> None:
    file = tmp_path / "test_a.py"
    file.write_text(text)
    assert lanes.not_chosen(file, "not real and not computing") == real
    assert not lanes.not_chosen(file, "real and beside")
    assert not lanes.not_chosen(file, "")
