"""People's script files, as they stand: `from asterisk.agi import AGI` and so on, in a folder beside the flows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import asterisk.agi
import pytest

from cti.asterisk.agi.scripts import ScriptFolder, ScriptRunner
from cti.asterisk.agi.session import AgiLeg, AgiSession
from cti.services.ports import LegGone
from tests.support.agi_client import DEFAULT_CALL, FakeCaller
from tests.unit.agi.test_agi_server import outcome_of

PIN = """#!/usr/bin/env python
import sys
from asterisk.agi import AGI, AGIAppError

def main():
    agi = AGI()
    if agi.env["agi_arg_1"] != "CALL":
        sys.exit(1)
    try:
        agi.stream_file("enter-pin", "")
        pin = agi.wait_for_digit(2000)
        agi.set_variable("PIN_GOOD", "yes" if pin == "7" else "no")
    except AGIAppError:
        agi.verbose("gone")

if __name__ == "__main__":
    main()
""".replace("CALL", DEFAULT_CALL)
OTHERS = {
    "as_package": "import asterisk.agi\nagi = asterisk.agi.AGI()\nagi.verbose('x')\n",
    "from_package": "from asterisk import agi\nagi.AGI().verbose('x')\n",
    "subclassed": (
        "from asterisk.agi import AGI\nclass Mine(AGI):\n    def __init__(self):\n        AGI.__init__(self)\n"
        "    def hello(self):\n        self.verbose('x')\nMine().hello()\n"
    ),
}


FLOODS = {
    "prints": "import sys\nfor n in range(300):\n    print('x' * 5000)\n    sys.stdout.write('y' * 5000)\n    sys.stderr.write('z')\n",
    "from_sys": "from sys import stdout, stderr, exit\nstdout.write('x' * 100000)\nstdout.flush()\nexit(0)\n",
}


async def run(folder: Path, name: str, caller: FakeCaller, *, deadline: float = 10) -> object:
    runner = ScriptRunner(workers=2)
    scripts = ScriptFolder(folder, runner)

    async def act(session: AgiSession) -> object:
        leg = AgiLeg(session, run_script=scripts.run)
        return await leg.run_script(name, deadline=timedelta(seconds=deadline))

    try:
        return await outcome_of(act, caller)
    finally:
        runner.close()


@pytest.mark.parametrize(("keys", "good"), [("7", "yes"), ("3", "no")])
async def test_a_script_runs_as_it_stands(tmp_path: Path, keys: str, good: str) -> None:
    (tmp_path / "pin.py").write_text(PIN)
    caller = FakeCaller(keys=keys)
    assert await run(tmp_path, "pin", caller) == "done"
    assert caller.variables["PIN_GOOD"] == good
    assert caller.played == ["enter-pin"]


@pytest.mark.parametrize("name", OTHERS)
async def test_every_way_to_import_it(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(OTHERS[name])
    caller = FakeCaller()
    assert await run(tmp_path, name, caller) == "done"
    assert caller.commands == [["VERBOSE", "x", "1"]]
    assert asterisk.agi.AGI.__module__ == "asterisk.agi", "the library itself is as it was"


@pytest.mark.parametrize(
    "text", ["import sys\nsys.exit(1)\n", "1 / 0\n", "this is no python\n", "from asterisk.agi import nothing\n", "\0"]
)
async def test_a_script_that_fails_has_failed(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    assert await run(tmp_path, "bad", FakeCaller()) == "failed"


async def test_one_that_is_not_there_has_failed(tmp_path: Path) -> None:
    assert await run(tmp_path, "nobody", FakeCaller()) == "failed"


async def test_one_that_hangs_is_overdue(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1)\n")
    assert await run(tmp_path, "slow", FakeCaller(), deadline=0.1) == "overdue"


async def test_a_caller_who_hangs_up_is_gone(tmp_path: Path) -> None:
    # The script says a last word to nobody, which is what hang-up exceptions are for.
    (tmp_path / "pin.py").write_text(PIN)
    assert isinstance(await run(tmp_path, "pin", FakeCaller(hang_up_at=1)), LegGone)


@pytest.mark.parametrize("name", FLOODS)
async def test_what_a_script_prints_reaches_nobody(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"{name}.py").write_text(FLOODS[name])
    caller = FakeCaller()
    assert await run(tmp_path, name, caller) == "done"
    assert caller.commands == []
    told = capfd.readouterr()
    assert not set("xyz") & set(told.out)
    assert "zz" not in told.err


@pytest.mark.parametrize(
    "text",
    [
        "agi.execute('NOOP', 'x' * 100000)\n",
        "agi.execute('NOOP\\nEXEC Dial PJSIP/1')\n",
        "agi.verbose('\\x00' * 10)\n",
    ],
    ids=["a line without end", "two lines", "zeros"],
)
async def test_a_line_that_must_not_go_out_ends_the_script(tmp_path: Path, text: str) -> None:
    (tmp_path / "flood.py").write_text(f"from asterisk.agi import AGI\nagi = AGI()\n{text}")
    caller = FakeCaller()
    assert await run(tmp_path, "flood", caller) == "failed"
    assert caller.commands == []
