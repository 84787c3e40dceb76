"""What all tests share: which tests need real parts, what happens where these are missing, the order of the long files."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import shutil
import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support import examples, lanes, pulse

examples.load_profile()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A lane does not read the files that have nothing for it: each of its processes would."""
    return True if lanes.not_chosen(collection_path, str(config.option.markexpr)) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """No real test is overlooked by that; tests that only compute are marked by where they are, long ones by their names."""
    if lanes.only_computes(item.path):
        item.add_marker("computing")
        own = item.get_closest_marker("timeout")
        if own is not None and 0 < own.args[0] < INTERRUPTED and lanes.gets_what_is_left(item.config.option.markexpr):
            item.add_marker(pytest.mark.timeout(INTERRUPTED), append=False)
    if lanes.is_long(item.nodeid):
        item.add_marker("long")
    if item.get_closest_marker("real") is not None and item.get_closest_marker("timeout") is None:
        item.add_marker(pytest.mark.timeout(REAL_PARTS_TAKE))
    limit = item.get_closest_marker("timeout")
    if limit is not None and isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        says_where_it_waits(item, float(limit.args[0]))
    if item.get_closest_marker("real") is not None and not lanes.names_real(item.path):
        raise pytest.UsageError(f"{item.path}: a file with real tests has the words {lanes.REAL} in it")


INTERRUPTED = 1500
"""Seconds a test may take that only computes, in the lane that gets the time nobody else wants (`tests/every_lane.sh`): its own time-out
is for a machine that lets it run."""
REAL_PARTS_TAKE = 400.0
"""Seconds a test of real parts may take where it says nothing else: what hangs is found, a slow machine is let be."""
BEFORE_ITS_TIME = 5.0
"""Seconds before a test's time-out in which it is cancelled from within."""
_BEGAN = pytest.StashKey[float]()
_PULSE = pulse.Pulse()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A time-out counts from here, with what is set up."""
    item.stash[_BEGAN] = time.monotonic()
    if item.get_closest_marker("real") is not None:
        _PULSE.begin()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test of real parts says what the machine was like meanwhile."""
    report = yield
    if report.failed and item.get_closest_marker("real") is not None:
        report.sections.append(("the machine meanwhile", _PULSE.told()))
    return report


def says_where_it_waits(item: pytest.Function, seconds: float) -> None:
    """A coroutine that takes too long is ended by its own loop a little earlier, so that the trace says what it waited for: the
    time-out's own shows the loop's select."""
    original = item.obj

    @functools.wraps(original)
    async def limited(*given: object, **named: object) -> None:
        took = time.monotonic() - item.stash[_BEGAN]
        async with asyncio.timeout(max(1.0, seconds - BEFORE_ITS_TIME - took)):
            await original(*given, **named)

    item.obj = limited


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files of real tests first, so that no process is left with one of them at the end."""
    if items and all(item.get_closest_marker("real") is not None for item in items):
        _PULSE.start()
        items.sort(key=lambda item: -lanes.seconds_of(item.path.name))


REAL_PARTS = {"sipp": "SIPp (Debian package sip-tester)", "chromium": "Chromium (Debian package chromium)"}


@pytest.fixture(autouse=True)
def _real_parts(request: pytest.FixtureRequest) -> None:
    """A part that cannot run here is skipped and says why; CI skips nothing."""
    marker = request.node.get_closest_marker("needs")
    for program in marker.args if marker is not None else ():
        if shutil.which(program) is None:
            reason = f"{REAL_PARTS.get(program, program)} is not installed"
            if os.environ.get("CI"):
                pytest.fail(f"{reason}: CI skips nothing")
            pytest.skip(reason)


@pytest.fixture(scope="session")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """One whole centre for the acceptance tests that leave it as they found it."""
    from tests.support.centre import running_centre

    folder: Path = tmp_path_factory.mktemp("centre")
    with running_centre(folder / "data") as running:
        yield running


@pytest.fixture(autouse=True)
def _calls_of_this_test(request: pytest.FixtureRequest) -> None:
    """A centre that several tests share is asked for the calls of the present one."""
    if "centre" in request.fixturenames:
        shared = request.getfixturevalue("centre")
        if hasattr(shared, "since"):
            shared.since = datetime.now(UTC)
