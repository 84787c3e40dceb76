"""The direction of imports, the purity of the core, and what must not be in the tree; and that each check can fail."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import house_rules as rules
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def modules():
    return rules.read_modules(ROOT)


@pytest.fixture(scope="module")
def tracked():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [name for name in listed.stdout.split("\0") if name]


def holds(violations):
    assert not violations, "\n" + "\n".join(violations)


def test_imports_follow_the_arrows(modules):
    holds(rules.wrong_direction(modules))


def test_every_room_says_what_it_may_import(modules):
    holds(rules.unclassified(modules))


def test_every_exception_is_needed_and_has_a_reason(modules):
    holds(rules.unneeded_exceptions(modules))


def test_pure_rooms_are_pure(modules):
    holds(rules.impure(modules))


def test_services_are_given_the_time(modules):
    holds(rules.own_clock(modules))


def test_libraries_stay_in_their_place(modules):
    holds(rules.out_of_its_place(modules))


def test_no_import_cycles(modules):
    holds(rules.cycles(modules))


def test_module_names_say_something(modules):
    holds(rules.vague_names(modules))


def test_modules_are_short(modules):
    holds(rules.too_long(modules))


def test_packages_say_what_they_are_for(modules):
    holds(rules.untold(modules, ROOT))


def test_no_registry_hosts_or_local_paths_in_the_tree(tracked):
    holds(rules.foreign_addresses(ROOT, tracked))


def test_no_javascript_of_others_in_the_tree(tracked):
    holds(rules.foreign_scripts(tracked))


# --- the checks can fail ------------------------------------------------------------------------------------------------


def path_of(name: str) -> str:
    """`cti/acd/engine.py` of "acd__engine"; a name with special underscores is written with a slash."""
    return f"cti/{name if '/' in name or name.startswith('__') else name.replace('__', '/')}.py"


def a_tree(root: Path, **files: str):
    """A small package: `cti` with the given modules ("acd__engine" is cti/acd/engine.py), all folders packages."""
    for name, text in files.items():
        file = root / path_of(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for folder in [root / "cti", *(f for f in (root / "cti").rglob("*") if f.is_dir())]:
        if not (folder / "__init__.py").exists():
            (folder / "__init__.py").write_text('"""A room."""\n')
    return rules.read_modules(root)


GOOD = {
    "errors": "import dataclasses\n",
    "clock": "import time\nfrom datetime import datetime\n\ndef now():\n    return datetime.now(), time.monotonic()\n",
    "model__facts": "from cti.errors import CtiError\nfrom datetime import datetime\n",
    "acd__engine": "from heapq import heappush\nfrom cti.model.facts import OfferEnd\nfrom . import ranking\n",
    "acd__ranking": "from pathlib import PurePath\nfrom cti.model import facts\n",
    "journal__codec": "from cti.model import facts\n",
    "journal__writer": "import asyncio\nimport os\nfrom cti.journal.codec import encode\n",
    "services__ports": "from cti.model import facts\n",
    "services__dispatcher": "import asyncio\nfrom cti.acd.engine import Engine\nfrom cti.services.ports import Journal\n",
    "asterisk__ami__client": "import panoramisk\nfrom cti.services.ports import Telephony\n",
    "store__pool": "import asyncpg\nfrom cti.clock import SystemClock\n",
    "store__drain": "from cti.journal.writer import JournalWriter\n",
    "web__app": "from aiohttp import web\nfrom cti.services.floor import Floor\n",
    "services__floor": "from cti.services.ports import CustomerCard\n",
    "app": "from cti.web import app\nfrom cti.store import pool\nfrom cti.services.dispatcher import D\nimport time\ntime.time()\n",
}


def test_a_good_tree_passes(tmp_path):
    modules = a_tree(tmp_path, **GOOD)
    for rule in (rules.wrong_direction, rules.impure, rules.own_clock, rules.out_of_its_place, rules.cycles):
        holds(rule(modules))
    holds(rules.vague_names(modules) + rules.too_long(modules) + rules.untold(modules, tmp_path))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model__call", "from cti.acd.engine import Engine\n"),
        ("model__call", "from cti.clock import SystemClock\n"),
        ("acd__more", "from cti.ivr import flow\n"),
        ("acd__more", "from ..services import ports\n"),
        ("acd__more", "def late():\n    import cti.store.pool\n"),
        ("acd__more", "from cti import settings\n"),
        ("ivr__flow", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cti.acd.engine import Engine\n"),
        ("services__more", "from cti.web.app import build\n"),
        ("services__more", "from cti.app import start\n"),
        ("store__more", "from cti.crm import directory\n"),
        ("web__more", "from cti.asterisk.ami import client\n"),
        ("web__more", "from cti.services.dispatcher import Dispatcher\n"),
        ("errors", "from cti.ids import CallId\n"),
        ("services__more", "from cti.journal.writer import JournalWriter\n"),
        ("web__more", "from cti.journal.writer import JournalWriter\n"),
        ("store__more", "from cti.journal.writer import JournalWriter\n"),
        ("crm__more", "from cti.metrics.registry import Metrics\n"),
        ("metrics__more", "from cti.web.app import build\n"),
        ("asterisk__more", "from cti.secrets_file import load\n"),
        ("asterisk__more", "from cti.app import serve\n"),
        ("settings", "from cti.model import centre\n"),
        ("panel", "from cti.app import serve\n"),
        ("prompts__build", "from cti.store.pool import open_pool\n"),
        ("entry", "from cti.web.app import build\n"),
        ("observe", "from cti.asterisk.ami import client\n"),
        ("app", "from cti.up import start\n"),
        ("up", "from cti.app import serve\n"),
        ("doctor", "from cti.app import serve\n"),
        ("doctor", "from cti.cli import main\n"),
        ("__init__", "from cti.app import serve\n"),
        ("nobody_said", "from cti.errors import CtiError\n"),
        ("web__more", "import importlib\nx = importlib.import_module('cti.store.pool')\n"),
        ("app", "from tests.support import rig\n"),
    ],
)
def test_an_arrow_the_wrong_way_is_found(tmp_path, name, text):
    extra = dict.fromkeys(
        ("settings", "ids", "ivr__flow", "crm__directory", "metrics__registry", "secrets_file", "up", "cli"), ""
    )
    violations = rules.wrong_direction(a_tree(tmp_path, **GOOD | extra | {name: text}))
    assert len(violations) == 1
    assert path_of(name) in violations[0]


def test_a_room_nobody_has_classified_is_found(tmp_path):
    modules = a_tree(tmp_path, **GOOD | {"new_room": "", "annex__cellar": ""})
    found = [line for line in rules.unclassified(modules) if not line.startswith("MAY_IMPORT has")]
    assert sorted(found) == [
        f"cti/{name}.py: say in MAY_IMPORT what it may import" for name in ("annex/__init__", "new_room")
    ]


def test_a_room_that_is_no_more_is_found(tmp_path):
    everything = dict.fromkeys({*rules.MAY_IMPORT, *rules.OUTERMOST} - {"", "panel"}, "")
    assert rules.unclassified(a_tree(tmp_path, **everything)) == ["MAY_IMPORT has panel, which is no more"]


def test_an_exception_nobody_needs_or_explains_is_found(tmp_path, monkeypatch):
    tree = a_tree(tmp_path, **GOOD)
    monkeypatch.setattr(rules, "EXCEPTIONS", {("cti.store.drain", "cti.journal.writer"): "it reads by position"})
    holds(rules.unneeded_exceptions(tree))
    monkeypatch.setitem(rules.EXCEPTIONS, ("cti.web", "cti.store.pool"), "some day")
    monkeypatch.setitem(rules.EXCEPTIONS, ("cti.store.drain", "cti.journal.writer"), " ")
    assert rules.unneeded_exceptions(tree) == [
        "cti.store.drain -> cti.journal.writer: no reason",
        "cti.web -> cti.store.pool: no longer needed",
    ]
    assert rules.wrong_direction(tree) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("acd__more", "import asyncio\n"),
        ("acd__more", "import os.path\n"),
        ("model__more", "from pathlib import Path\n"),
        ("model__more", "from pathlib import PurePath, Path\n"),
        ("ivr__more", "import structlog\n"),
        ("reports__more", "def f():\n    from random import choice\n"),
        ("journal__codec", "import time\n"),
        ("acd__more", "from datetime import datetime\nx = datetime.now()\n"),
        ("acd__more", "import datetime\nx = datetime.datetime.now(datetime.UTC)\n"),
        ("model__more", "from datetime import date\nx = date.today()\n"),
        ("ivr__more", "x = open('flow.yaml')\n"),
        ("ivr__more", "print('x')\n"),
        ("reports__more", "import numpy\n"),
        ("model__more", "from pydantic import BaseModel\n"),
        ("journal__codec", "from cti.journal.writer import JournalWriter\n"),
        ("journal__errors", "from cti.journal import writer\n"),
        ("journal/__init__", "from cti.journal.writer import JournalWriter\n"),
        ("ids", "import uuid\n"),
        ("acd__more", "from cti.clock import SystemClock\n"),
    ],
)
def test_an_impure_room_is_found(tmp_path, name, text):
    (violation,) = rules.impure(a_tree(tmp_path, **GOOD | {name: text}))
    assert path_of(name) in violation


@pytest.mark.parametrize("call", ["datetime.now()", "time.monotonic()", "datetime.datetime.now(UTC)", "time.time()"])
def test_a_service_with_a_clock_of_its_own_is_found(tmp_path, call):
    (violation,) = rules.own_clock(a_tree(tmp_path, **GOOD | {"services__more": f"x = {call}\n"}))
    assert "services/more.py:1" in violation


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("asterisk__ami__wire", "from panoramisk.manager import Manager\n"),
        ("asterisk__agi__server", "import asterisk.agi\n"),
        ("web__more", "import asyncpg\n"),
        ("app", "from asyncpg import connect\n"),
        ("metrics__server", "from aiohttp import web\n"),
        ("services__more", "import aiohttp.web\n"),
        ("crm__more", "import importlib\nx = importlib.import_module('jinja2')\n"),
        ("services__more", "from aiohttp.web import Application\n"),
    ],
)
def test_a_library_out_of_its_place_is_found(tmp_path, name, text):
    (violation,) = rules.out_of_its_place(a_tree(tmp_path, **GOOD | {name: text}))
    assert path_of(name) in violation


def test_our_own_package_named_like_the_library_is_not_the_library(tmp_path):
    text = "from cti.asterisk.ami import client\nfrom cti import asterisk\nfrom aiohttp import ClientSession\n"
    holds(rules.out_of_its_place(a_tree(tmp_path, **GOOD | {"app": text})))


@pytest.mark.parametrize(
    "files",
    [
        {"acd__a": "from cti.acd import b\n", "acd__b": "from cti.acd.a import x\n"},
        {"acd__a": "import cti.acd.b\n", "acd__b": "from .c import x\n", "acd__c": "def f():\n    from . import a\n"},
    ],
)
def test_a_cycle_is_found(tmp_path, files):
    (circle,) = rules.cycles(a_tree(tmp_path, **GOOD | files))
    assert circle.startswith("cti.acd.a <-> cti.acd.b")


def test_an_import_for_types_alone_is_no_cycle(tmp_path):
    for_types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cti.acd import b\n"
    holds(rules.cycles(a_tree(tmp_path, **GOOD | {"acd__a": for_types, "acd__b": "from cti.acd import a\n"})))


@pytest.mark.parametrize("name", ["web__utils", "web__helpers", "manager", "acd___common", "misc__x"])
def test_a_vague_name_is_found(tmp_path, name):
    assert len(rules.vague_names(a_tree(tmp_path, **GOOD | {name: ""}))) == 1


def test_a_long_module_is_found(tmp_path):
    (violation,) = rules.too_long(
        a_tree(tmp_path, **GOOD | {"acd__long": "x = 1\n" * 501, "acd__full": "x = 1\n" * 500})
    )
    assert "cti/acd/long.py: 501 lines" in violation


def test_a_package_that_does_not_say_what_it_is_for_is_found(tmp_path):
    a_tree(tmp_path, **GOOD)
    (tmp_path / "cti/acd/__init__.py").write_text("")
    (tmp_path / "cti/web/__init__.py").unlink()
    (tmp_path / "cti/store/__init__.py").write_text("")
    (tmp_path / "cti/store/README.md").write_text("The database.\n")
    violations = rules.untold(rules.read_modules(tmp_path), tmp_path)
    assert violations == ["cti/acd/__init__.py: no docstring", "cti/web/app.py: its folder has no __init__.py"]


@pytest.mark.parametrize(
    "line",
    [
        "resolved: https://" + "registry." + "npmjs.org/jssip",
        "index = https://" + "pypi" + ".org/simple",
        "deb http://" + "deb.debian" + ".org/debian forky main",
        "see /" + "work/main/cti",
        "path = '/" + "home/somebody/centre'",
    ],
)
def test_a_foreign_address_is_found(tmp_path, line):
    (tmp_path / "notes.md").write_text(f"one\n{line}\n")
    (tmp_path / "good.md").write_text("https://example.org/work/home and ${HOME}/work/x, ./home/x\n")
    (tmp_path / "sound.ulaw").write_bytes(b"\xff\xfe\x00")
    (violation,) = rules.foreign_addresses(tmp_path, ["notes.md", "good.md", "sound.ulaw", "gone.md"])
    assert violation.startswith("notes.md:2")


@pytest.mark.parametrize(
    "name", ["cti/web/static/jssip.min.js", "cti/web/ui/node_modules/x/index.ts", "vendor/a.css", "docs/chart.mjs"]
)
def test_javascript_of_others_is_found(name):
    (violation,) = rules.foreign_scripts(["cti/web/ui/vite.config.js", "cti/web/ui/src/app.ts", name])
    assert name in violation
