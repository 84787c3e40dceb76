"""`cti config` on the files of a centre whose bridge does not run."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cti.centre_versions import FOLDER, base_of, version_of
from cti.cli import app
from cti.errors import CtiError
from cti.places import DEMO_CENTRE, REPOSITORY
from tests.support.centre import free_offset


class Desk:
    """A person at the command line of one centre."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.centre = self.data / "centre.yaml"
        shutil.copy(DEMO_CENTRE, self.centre)
        self.mine = folder / "mine.yaml"
        shutil.copy(DEMO_CENTRE, self.mine)
        self.flows = folder / "flows"
        shutil.copytree(REPOSITORY / "ivr_flows", self.flows)
        monkeypatch.setenv("CTI_DATA", str(self.data))
        monkeypatch.setenv("CTI_FLOWS", str(self.flows))
        monkeypatch.setenv("CTI_PORTS__OFFSET", str(free_offset()))
        monkeypatch.setenv("COLUMNS", "200")

    def config(self, *arguments: str | Path) -> Result:
        return CliRunner().invoke(app, ["config", *map(str, arguments)])

    def change(self, *swaps: tuple[str, str]) -> None:
        text = self.mine.read_text()
        for old, new in swaps:
            assert old in text
            text = text.replace(old, new, 1)
        self.mine.write_text(text)

    def old_versions(self) -> list[Path]:
        return sorted((self.data / FOLDER).glob("*.yaml"))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_check_tells_every_problem_with_its_line_and_flows_and_prompts_too(desk: Desk) -> None:
    assert desk.config("check", desk.mine).exit_code == 0
    desk.change(
        ('"5001": {title: "Support, straight to the queue", flow: support_direct', '"5001": {title: x, flow: suport_direct'),
        ("    wrap_up: 20\n", "    wrap_up: 20\n    when_late: {flow: nowhere}\n    announce: {comfort: [humming]}\n"),
    )  # fmt: skip
    lines = desk.mine.read_text().splitlines()
    done = desk.config("check", desk.mine)
    assert done.exit_code == 1
    at = {
        word: next(n for n, line in enumerate(lines, start=1) if word in line)
        for word in ("suport", "nowhere", "humming")
    }
    assert f"{desk.mine}:{at['suport']}: numbers.5001.flow: there is no flow suport_direct: did you mean" in done.output
    assert f"{desk.mine}:{at['nowhere']}: queues.sales.when_late: there is no flow nowhere" in done.output
    assert f"{desk.mine}:{at['humming']}: queues.sales.announce.comfort: there is no prompt humming" in done.output
    assert "3 problem(s)" in done.output


def test_check_tells_the_flow_that_would_break(desk: Desk) -> None:
    desk.change(("  vip:\n    titles", "  royal:\n    titles"), ("survival_queue: vip", "survival_queue: royal"))
    text = desk.mine.read_text().replace("support, vip]", "support, royal]").replace("sales, vip]", "sales, royal]")
    desk.mine.write_text(text)
    done = desk.config("check", desk.mine)
    assert done.exit_code == 1
    assert f"{desk.flows}/vip_desk.yaml:" in done.output
    assert 'there is no queue "vip"' in done.output


def test_diff_in_words_and_its_exit_codes(desk: Desk) -> None:
    same = desk.config("diff", desk.mine)
    assert (same.exit_code, same.output) == (0, "")
    desk.change(("wrap_up: 30", "wrap_up: 20"), ('  "1008": {name: Hugo Martin', '  "1009": {name: Ines Roth'))
    done = desk.config("diff", desk.mine)
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "queue support: wrap_up 30 s -> 20 s",
        "agent 1009 is new: Ines Roth, support",
        "agent 1008 goes",
    ]
    desk.mine.write_text("name: x\n")
    assert desk.config("diff", desk.mine).exit_code == 2
    assert desk.config("diff").exit_code == 2


def test_apply_replaces_the_file_and_keeps_the_old(desk: Desk) -> None:
    before = desk.centre.read_text()
    desk.centre.chmod(0o640)
    desk.change(("wrap_up: 30", "wrap_up: 20"))
    done = desk.config("apply", desk.mine, "--by", "sue")
    assert done.exit_code == 0, done.output
    assert "queue support: wrap_up 30 s -> 20 s" in done.output
    assert "takes effect with the next start" in done.output
    assert desk.centre.read_text() == desk.mine.read_text()
    assert stat.S_IMODE(desk.centre.stat().st_mode) == 0o640
    (old,) = desk.old_versions()
    assert old.read_text() == before
    assert old.stem.endswith(version_of(before))
    again = desk.config("apply", desk.mine)
    assert "nothing changed" in again.output
    assert len(desk.old_versions()) == 1


def test_what_is_wrong_is_not_applied(desk: Desk) -> None:
    before = desk.centre.read_text()
    desk.change(("flow: support_direct", "flow: nowhere"))
    done = desk.config("apply", desk.mine)
    assert isinstance(done.exception, CtiError)
    assert "there is no flow nowhere" in done.exception.message
    assert desk.centre.read_text() == before
    assert desk.old_versions() == []


def test_two_people_do_not_overwrite_each_other(desk: Desk) -> None:
    exported = desk.config("export").output
    text, version = base_of(exported)
    assert (text, version) == (desk.centre.read_text(), version_of(text))
    ann, ben = desk.mine.with_name("ann.yaml"), desk.mine.with_name("ben.yaml")
    ann.write_text(exported.replace("wrap_up: 30", "wrap_up: 20", 1))
    ben.write_text(exported.replace("name: Harbour Services", "name: Harbour"))
    assert desk.config("apply", ann).exit_code == 0
    assert "cti-version" not in desk.centre.read_text()
    lost = desk.config("apply", ben)
    assert isinstance(lost.exception, CtiError)
    assert lost.exception.error_id == "config_conflict"
    assert version in lost.exception.message
    assert "export" in lost.exception.remedy
    assert "wrap_up: 20" in desk.centre.read_text()
    ben.write_text(desk.config("export").output.replace("name: Harbour Services", "name: Harbour"))
    assert desk.config("apply", ben).exit_code == 0
    assert len(desk.old_versions()) == 2


def test_export_keeps_comments_and_plain_does_not(desk: Desk) -> None:
    assert "# The centre: dialled numbers" in desk.config("export").output
    plain = desk.config("export", "--plain").output
    assert "# The centre" not in plain
    desk.mine.write_text(plain)
    assert (desk.config("check", desk.mine).exit_code, desk.config("diff", desk.mine).output) == (0, "")


def test_export_without_a_centre(desk: Desk) -> None:
    desk.centre.unlink()
    done = desk.config("export")
    assert isinstance(done.exception, CtiError)
    assert done.exception.remedy
