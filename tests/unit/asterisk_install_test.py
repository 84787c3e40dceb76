"""Which Asterisk is taken, what is refused with which words, and that two processes unpack once."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest

from cti.asterisk import install as subject
from cti.asterisk.install import MARKER, MARKER_FORMAT, NEEDED_MODULES, AsteriskUnavailable, ensure_asterisk
from cti.errors import ConfigError
from cti.settings import Settings


def quiet(step: str, done: int, total: int) -> None:
    """Progress nobody looks at."""


def installed(folder: Path, version: str = "22.10.1", modules: tuple[str, ...] = NEEDED_MODULES) -> Path:
    """An Asterisk as a system has it: a program that tells its version, and its modules."""
    for name in ("sbin", "lib/asterisk/modules", "share/asterisk/sounds"):
        (folder / name).mkdir(parents=True)
    program = folder / "sbin" / "asterisk"
    program.write_text(f'#!/bin/sh\necho "Asterisk {version}"\n')
    program.chmod(0o755)
    for name in modules:
        (folder / "lib/asterisk/modules" / f"{name}.so").touch()
    return program


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No Asterisk on PATH, and a cache of one's own."""
    monkeypatch.setattr(subject.shutil, "which", lambda name, path=None: None)
    return tmp_path / "cache" / "asterisk-22"


def settings(root: Path, binary: Path | None = None) -> Settings:
    return Settings.model_validate({"asterisk": {"root": root, "binary": binary}})


def test_the_named_binary_is_taken(alone: Path, tmp_path: Path) -> None:
    found = ensure_asterisk(settings(alone, installed(tmp_path / "usr")), quiet)
    assert (found.origin, found.version, found.warnings) == ("settings", "22.10.1", ())
    assert found.argv == (str(tmp_path / "usr/sbin/asterisk"),)
    assert found.module_exists("res_agi")
    assert not found.module_exists("app_system")


def test_an_outdated_one_is_taken_with_a_warning(alone: Path, tmp_path: Path) -> None:
    found = ensure_asterisk(settings(alone, installed(tmp_path / "usr", "22.4.0")), quiet)
    assert "security" in found.warnings[0]


@pytest.mark.parametrize(
    ("version", "modules", "words"),
    [("20.9.3", NEEDED_MODULES, "older than 22"), ("22.10.1", NEEDED_MODULES[1:], NEEDED_MODULES[0])],
)
def test_an_unfit_named_binary_is_an_error(
    alone: Path, tmp_path: Path, version: str, modules: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        ensure_asterisk(settings(alone, installed(tmp_path / "usr", version, modules)), quiet)


def test_a_missing_named_binary_is_an_error(alone: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not start"):
        ensure_asterisk(settings(alone, tmp_path / "none"), quiet)


def test_other_systems_get_a_clear_word(alone: Path) -> None:
    with pytest.raises(AsteriskUnavailable, match="apt-get") as caught:
        ensure_asterisk(settings(alone), quiet)
    assert "asterisk.binary" in caught.value.remedy


def test_a_folder_of_something_else_is_left_alone(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_refuse_other_systems", lambda: None)
    alone.mkdir(parents=True)
    (alone / "thesis.txt").write_text("years of work")
    with pytest.raises(AsteriskUnavailable, match="not an unpacked Asterisk"):
        ensure_asterisk(settings(alone), quiet)
    assert (alone / "thesis.txt").exists()


def fake_unpacked(root: Path) -> None:
    """What an unpacking leaves, as far as it is looked at."""
    library = root / "usr/lib/x86_64-linux-gnu"
    (library / "asterisk/modules").mkdir(parents=True)
    loader = library / "ld-linux-x86-64.so.2"
    loader.write_text('#!/bin/sh\necho "Asterisk 22.10.1"\n')
    loader.chmod(0o755)
    (root / MARKER).write_text(json.dumps({"format": MARKER_FORMAT, "packages": {}}))


def test_two_at_once_unpack_once(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpackings: list[Path] = []
    begun = threading.Barrier(2)

    def unpack(root: Path, progress: subject.Progress) -> None:
        unpackings.append(root)
        fake_unpacked(root)

    monkeypatch.setattr(subject, "_unpack", unpack)
    found: list[subject.AsteriskBinary] = []

    def run() -> None:
        begun.wait()
        found.append(ensure_asterisk(settings(alone), quiet))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert unpackings == [alone]
    assert [one.origin for one in found] == ["unpacked", "unpacked"]


def test_a_failed_unpacking_leaves_nothing(alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_refuse_other_systems", lambda: None)
    package = tmp_path / "asterisk_1%3a22_amd64.deb"
    package.touch()
    monkeypatch.setattr(subject, "_download", lambda work, progress: [package])

    def fails(command: list[str], doing: str) -> str:
        raise AsteriskUnavailable("disk full")

    monkeypatch.setattr(subject, "_run", fails)
    for kind in ("new", "old"):
        (alone.parent / f"asterisk-22.{kind}-of-one-who-was-killed" / "usr").mkdir(parents=True)
    with pytest.raises(AsteriskUnavailable, match="disk full"):
        ensure_asterisk(settings(alone), quiet)
    assert not alone.exists()
    assert [path.name for path in alone.parent.iterdir()] == ["asterisk-22.lock"]


def test_a_download_that_is_ended_by_who_is_told_of_it_ends_its_program(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def enough(step: str, done: int, total: int) -> None:
        raise Enough

    pid = tmp_path / "pid"
    in_place_of_apt = (
        "import os, pathlib, sys, time\n"
        "pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\n"
        "os.write(int(sys.argv[-1].partition('=')[2]), b'dlstatus:1:12.5:x\\n')\n"  # APT::Status-Fd=N
        "time.sleep(300)\n"
    )
    with pytest.raises(Enough):
        subject._fetch([sys.executable, "-c", in_place_of_apt, str(pid)], enough)
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


@pytest.mark.parametrize(
    ("rows", "mirror"),
    [
        (
            "Packages|main|bookworm-security|Debian-Security|http://m/debian-security/\n"
            "Packages|main|bookworm|Debian|http://m/debian/\nTranslations|main|bookworm|Debian|http://x/",
            "http://m/debian/",
        ),
        ("Packages|main|||http://fresh/debian\n", "http://fresh/debian"),
        ("Packages|nodistro|x|Other|http://o/\nPackages|main|jammy|Ubuntu|http://u/", None),
    ],
)
def test_the_mirror_is_the_machines_own(rows: str, mirror: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_run", lambda command, doing: rows)
    if mirror is None:
        with pytest.raises(AsteriskUnavailable, match="no Debian mirror"):
            subject._mirror()
    else:
        assert subject._mirror() == mirror
