"""What the advisory databases say is told as it is: a package that nobody looked at is not one without holes."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests import advisories

HOLE = {"id": "PYSEC-2019-179", "fix_versions": ["1.0"], "aliases": ["CVE-2019-1010083"], "description": "x"}


def answer(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_holes_and_what_was_not_looked_at_are_told_apart() -> None:
    said = answer(
        {"name": "flask", "version": "0.5", "vulns": [HOLE, {**HOLE, "id": "X-1", "fix_versions": []}]},
        {"name": "rich", "version": "15.0.0", "vulns": []},
        {"name": "aiohttp", "skip_reason": "Dependency not found on PyPI and could not be audited: aiohttp (3.14.5)"},
        {"name": "Ruamel_yaml", "skip_reason": "not found"},
    )
    assert advisories.read(said) == (
        ["flask 0.5: PYSEC-2019-179, mended in 1.0", "flask 0.5: X-1, mended in no version yet"],
        ["aiohttp", advisories.one_name("ruamel.yaml==0.19.1")],
    )


@pytest.mark.parametrize(("hole", "code"), [([], 0), ([HOLE], 1)], ids=["none", "one"])
def test_what_one_database_does_not_know_the_next_is_asked_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hole: list[object], code: int
) -> None:
    asked: list[tuple[str, int]] = []

    def ask(database: str, pins: list[str]) -> tuple[list[str], list[str]]:
        asked.append((database, len(pins)))
        names = [advisories.one_name(pin) for pin in pins]
        if database == "pypi":
            return [], names[3:]
        return advisories.read(answer({"name": names[0], "version": "1", "vulns": hole}))[0], names[1:]

    monkeypatch.setattr(advisories, "ask", ask)
    monkeypatch.setattr(advisories, "parts", lambda: (False, "pages: none"))
    assert advisories.main() == code
    said = capsys.readouterr().out
    everything = asked[0][1]
    assert asked == [("pypi", everything), ("osv", everything - 3)]
    assert f"packages: 4 of {everything} were looked at, {code} known holes" in said
    assert "nothing is known of them" in said


def says(monkeypatch: pytest.MonkeyPatch, stderr: str) -> None:
    """pip-audit prints no answer, and this as its error."""
    done = subprocess.CompletedProcess([], 1, stdout="", stderr=stderr)
    monkeypatch.setattr(advisories.subprocess, "run", lambda *_given, **_named: done)


def test_a_pip_audit_that_does_not_work_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, "No module named pip_audit")
    with pytest.raises(SystemExit, match="No module named pip_audit"):
        advisories.main()


@pytest.mark.parametrize(
    "error", ["requests.exceptions.ConnectionError: Max retries", "pip_audit._service.ServiceError"]
)
def test_a_database_that_does_not_answer_is_no_good_news(monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    says(monkeypatch, error)
    assert advisories.ask("osv", ["rich==15.0.0", "aiohttp==3.14.5"]) == ([], ["rich", "aiohttp"])
    bad, said = advisories.packages()
    assert not bad
    assert said.startswith("packages: 0 of ")
    assert "rich" in said.splitlines()[-1]
