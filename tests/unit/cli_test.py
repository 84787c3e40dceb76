"""The `cti` command as a person meets it: help, errors in words, exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from cti.asterisk.install import find_asterisk
from cti.cli import app
from cti.places import DEMO_CENTRE
from cti.settings import load_settings
from tests.support.centre import free_offset

ROOT = Path(__file__).resolve().parents[2]


def cti(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it as from a shell, on a data folder of its own and ports nobody uses."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CTI_")}
    ours = {
        "CTI_DATA": str(tmp_path / "data"),
        "CTI_PORTS__OFFSET": str(free_offset()),
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "cti", *arguments],
        env={**kept, **ours, **environment}, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip


def every_command() -> list[str]:
    found = [""]
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        found += [name, *(f"{name} {sub}" for sub in getattr(command, "commands", {}))]
    return found


@pytest.mark.parametrize("command", every_command())
def test_every_command_has_help(command: str) -> None:
    from typer.testing import CliRunner

    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_help_as_the_readme_says(tmp_path: Path) -> None:
    done = cti(tmp_path, "--help")
    assert done.returncode == 0
    assert all(
        word in done.stdout for word in ("up", "serve", "status", "doctor", "migrate", "asterisk", "flow", "prompts")
    )


def test_status_without_a_centre(tmp_path: Path) -> None:
    done = cti(tmp_path, "status", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no centre" in done.stderr
    assert "what to do: " in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_doctor_on_an_empty_folder(tmp_path: Path) -> None:
    done = cti(tmp_path, "doctor", CTI_ASTERISK__ROOT=str(tmp_path / "asterisk"))
    assert done.returncode == 0, done.stdout
    assert "note  bridge: it does not run" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_doctor_ends_with_1_when_something_must_be_mended(tmp_path: Path) -> None:
    (tmp_path / "centre.yaml").write_text("name: x\n")
    done = cti(tmp_path, "doctor", CTI_CENTRE=str(tmp_path / "centre.yaml"))
    assert done.returncode == 1
    assert "MEND  centre file: " in done.stdout
    assert "docs/centre.md" in done.stdout


def test_flow_check_of_the_shipped_flows(tmp_path: Path) -> None:
    done = cti(tmp_path, "flow", "check")
    assert done.returncode == 0, done.stdout
    assert re.fullmatch(r"\d+ flow\(s\) can go live, 0 problem\(s\)\n", done.stdout)


def test_flow_check_tells_the_line(tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "prompts.yaml").write_text(
        (ROOT / "ivr_flows" / "prompts.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (flows / "x.yaml").write_text("flow: x\nlanguages: [en]\nstart: a\nfailure: a\nsteps:\n  a: {queue: [nowhere]}\n")
    done = cti(tmp_path, "flow", "check", str(flows))
    assert done.returncode == 1
    assert f"{flows}/x.yaml:6:" in done.stdout
    assert "what to do: " in done.stdout


def test_flow_check_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = cti(tmp_path, "flow", "check", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "prompts.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_told_in_words(tmp_path: Path) -> None:
    file = tmp_path / "[red] centre.toml"
    file.write_text("colour = 1\n")
    done = cti(tmp_path, "status", "--config", str(file), CTI_PORTS__WEB="x")
    assert done.returncode == 1
    assert f"{file}: colour: there is no such key" in done.stderr
    assert "environment variable CTI_PORTS__WEB: ports.web: " in done.stderr
    assert "Traceback" not in done.stderr


def test_migrate_without_a_database(tmp_path: Path) -> None:
    done = cti(tmp_path, "migrate")
    assert done.returncode == 1
    assert "CTI_DATABASE__URL" in done.stderr


def test_serve_without_a_centre_file(tmp_path: Path) -> None:
    done = cti(tmp_path, "serve", CTI_DATABASE__URL="postgresql://127.0.0.1:1/x")
    assert done.returncode == 1
    assert "there is no centre file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.real
@pytest.mark.beside
def test_render_as_the_docs_say(tmp_path: Path) -> None:
    if find_asterisk(load_settings(environ={}))[0] is None:
        pytest.skip("no Asterisk here yet: cti asterisk install")
    out = tmp_path / "out"
    done = cti(tmp_path, "asterisk", "render", "--out", str(out), CTI_CENTRE=str(DEMO_CENTRE))
    assert done.returncode == 0, done.stderr
    assert str(out) in done.stdout
    assert "[cti-inbound]" in (out / "cti" / "extensions.conf").read_text()
    assert (out / "asterisk.conf").exists()
