"""Logs and the ledger are begun anew when they are long: nothing that must be read is lost, and no more than so many are kept."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cti.asterisk.cel import LedgerFile
from cti.ledger import rotation_of
from cti.log_files import LogFiles
from cti.settings import Settings
from tests.support.ledger_lines import line

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_log_that_is_open_is_begun_anew_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "bridge.log"
    logs = LogFiles([file, tmp_path / "none.log"], most_bytes=1000, kept=2)
    with file.open("ab", buffering=0) as writer:
        writer.write(b"a" * 900)
        assert logs.look() == []
        for sign in b"bcd":
            writer.write(bytes([sign]) * 1000)
            assert logs.look() == [file]
            assert file.read_bytes() == b""
        writer.write(b"last")
    assert file.read_bytes() == b"last"
    assert (tmp_path / "bridge.log.1").read_bytes() == b"d" * 1000
    assert (tmp_path / "bridge.log.2").read_bytes() == b"c" * 1000
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bridge.log", "bridge.log.1", "bridge.log.2"]
    assert (tmp_path / "bridge.log.1").stat().st_mode & 0o077 == 0


def test_fewer_are_kept_when_the_setting_says_so(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    for number in range(1, 8):
        (tmp_path / f"x.log.{number}").write_bytes(b"old")
    file.write_bytes(b"new" * 10)
    LogFiles([file], most_bytes=10, kept=3).look()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x.log", "x.log.1", "x.log.2", "x.log.3"]


def test_a_log_that_cannot_be_copied_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.log"
    file.write_bytes(b"new" * 10)

    def full(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("cti.log_files.shutil.copyfileobj", full)
    assert LogFiles([file], most_bytes=10, kept=3).look() == []
    assert [one.name for one in tmp_path.iterdir()] == ["x.log"]
    assert file.read_bytes() == b"new" * 10


def test_the_ledger_reads_the_same_however_often_it_was_begun_anew(tmp_path: Path) -> None:
    """Lines written, files renamed at any moment, torn lines, reads from any position reached: as one file would be read."""
    chance = random.Random(3)
    for turn in range(6):
        folder = tmp_path / str(turn)
        folder.mkdir()
        ledger, whole = LedgerFile(folder / "cti.csv"), LedgerFile(folder / "whole.csv")
        positions = [0]
        for number in range(25):
            text = line("ANSWER", AT, f"a1-1.{number}", f"PJSIP/trunk-{number:08x}").encode()
            if chance.random() < 0.1:
                text = text[: chance.randrange(1, len(text))]  # Asterisk was killed while it wrote
            for file in (ledger, whole):
                with file.path.open("ab") as out:
                    out.write(text)
            if chance.random() < 0.3:
                assert ledger.rotate(1) is True
                assert ledger.rotate(1) is False, "there is nothing new yet"
            assert ledger.size() == whole.size()
            start = chance.choice(positions)
            read, expected = ledger.read(start), whole.read(start)
            assert read == expected
            positions.append(read.position)
        settled = chance.choice(positions)
        ledger.forget(settled, kept=1)
        assert ledger.read(settled) == whole.read(settled)
        assert ledger.size() == whole.size()


def test_old_parts_of_the_ledger_go_only_when_nobody_needs_them(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "cti.csv")
    ends = []
    for number in range(5):
        ledger.path.write_text(line("ANSWER", AT, f"a1-1.{number}", "PJSIP/trunk-00000001"))
        assert ledger.rotate(1)
        ends.append(ledger.size())
    assert ledger.forget(0, kept=1) == 0
    assert ledger.forget(ends[1], kept=1) == 2
    assert ledger.forget(ends[4], kept=2) == 1
    assert ledger.forget(ends[4], kept=0) == 1, "the newest stays: where the present one begins is known from it"
    assert ledger.size() == ends[4]
    assert [event.unique_id for event in ledger.read(0).events] == ["a1-1.4"]
    assert ledger.read(ends[4]).events == ()


def test_a_ledger_of_others_is_theirs_to_rotate() -> None:
    assert rotation_of(Settings()) is not None
    assert (
        rotation_of(Settings.model_validate({"asterisk": {"ledger": "/var/log/asterisk/cel-custom/cti.csv"}})) is None
    )
