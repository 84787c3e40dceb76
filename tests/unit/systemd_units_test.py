"""The units of systemd: what they start exists, a bridge that hangs is ended, nothing has more rights than it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cti.app import DRAIN_AT_END
from cti.cli import app
from cti.heart import BEAT
from cti.settings import Settings

UNITS = sorted((Path(__file__).resolve().parents[2] / "packaging" / "systemd").glob("*.service"))
COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback} | {
    group.name for group in app.registered_groups
}


def keys(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_of_ours_again_and_again_and_has_few_rights(unit: Path) -> None:
    said = keys(unit)
    command = said["ExecStart"][0].split()
    assert command[0].endswith("/bin/cti")
    assert command[1] in COMMANDS
    assert said["Restart"] == ["always"]
    assert said["StartLimitIntervalSec"] == ["0"]
    assert said["KillMode"] == ["mixed"]
    for right in ("NoNewPrivileges", "PrivateDevices", "PrivateTmp", "ProtectHome", "RestrictSUIDSGID"):
        assert said[right] == ["yes"], right
    assert said["ProtectSystem"] == ["strict"]
    assert said["CapabilityBoundingSet"] == [""]
    assert said["UMask"] == ["0077"]


def test_systemd_ends_a_bridge_that_its_guard_did_not_and_waits_for_one_that_stops() -> None:
    said = keys(next(unit for unit in UNITS if unit.stem == "cti-bridge"))
    assert said["Type"] == ["notify"]
    assert said["WatchdogSignal"] == ["SIGKILL"], "a stopped process takes no other"
    watchdog = float(said["WatchdogSec"][0])
    assert Settings().survival.hung_seconds + 0.5 <= watchdog <= 5
    assert watchdog > 4 * BEAT
    assert float(said["TimeoutStopSec"][0]) > DRAIN_AT_END + 2


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    for unit in UNITS:
        text = re.sub(r"^ExecStart=.*", "ExecStart=/bin/true", unit.read_text(encoding="utf-8"), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))], capture_output=True, text=True
    )
    complaints = [line for line in done.stderr.splitlines() if ".service" in line and "cti-" in line]
    assert not complaints
