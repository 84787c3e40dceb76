"""Asterisk as a process of ours: ready in seconds, one a folder, its death told, its registrations kept."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from cti.asterisk.install import ensure_asterisk
from cti.asterisk.process import AsteriskFailed, AsteriskProcess
from cti.asterisk.render import render
from tests.integration.asterisk_rig import TestSecrets, free_settings, running_asterisk, small_centre, until

pytestmark = [pytest.mark.real, pytest.mark.beside]


async def test_ready_command_line_and_stop(tmp_path: Path) -> None:
    settings = free_settings(tmp_path / "data")
    binary = ensure_asterisk(settings, lambda step, done, total: None)
    paths = render(settings, small_centre(), TestSecrets(), binary, tmp_path / "prompts", tmp_path / "etc")
    exits: list[int] = []
    process = AsteriskProcess(binary, paths, on_exit=exits.append)
    await process.start()
    assert process.pid is not None
    assert binary.version in await process.cli("core show version")
    second = AsteriskProcess(binary, paths)
    with pytest.raises(AsteriskFailed, match="already runs"):
        await second.start()
    await process.stop()
    assert process.pid is None
    assert exits == []
    assert not (paths.run / "asterisk.ctl").exists()


async def test_death_is_told_and_a_new_one_starts_on_what_was_left(tmp_path: Path) -> None:
    async with running_asterisk(tmp_path) as rig, rig.phone("1001") as phone:
        await phone.register()

        def written() -> bool:  # Asterisk commits once a second
            with sqlite3.connect(f"file:{rig.paths.state}/astdb.sqlite3?mode=ro", uri=True) as database:
                rows = database.execute("select value from astdb where key like '/registrar/contact/1001%'").fetchall()
            database.close()
            return bool(rows)

        await until(written, "the registration on the disk")
        died: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        rig.process._on_exit = died.set_result
        rig.process.kill()
        assert await asyncio.wait_for(died, 60) == -9
        binary = ensure_asterisk(rig.settings, lambda step, done, total: None)
        rig.process = AsteriskProcess(binary, rig.paths)
        await rig.process.start()
        try:
            # The registration was on the disk: the phone is known and asked for before it registers again.
            assert "1001@127.0.0.1" in await rig.process.cli("pjsip show contacts")
        finally:
            await rig.process.stop()


async def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    settings = free_settings(tmp_path / "data")
    binary = ensure_asterisk(settings, lambda step, done, total: None)
    paths = render(settings, small_centre(), TestSecrets(), binary, tmp_path / "prompts", tmp_path / "etc")
    (paths.etc / "modules.conf").write_text("[modules]\nautoload = no\nrequire = no_such_module.so\n")
    with pytest.raises(AsteriskFailed, match="no_such_module"):
        await AsteriskProcess(binary, paths).start()


async def test_reload_takes_new_numbers(tmp_path: Path) -> None:
    async with running_asterisk(tmp_path) as rig:
        text = (rig.paths.etc / "cti" / "extensions.conf").read_text()
        (rig.paths.etc / "cti" / "extensions.conf").write_text(text.replace("exten => 5000,", "exten => 5009,"))
        await rig.process.cli("dialplan reload")
        assert "'5009'" in await rig.process.cli("dialplan show cti-inbound")
