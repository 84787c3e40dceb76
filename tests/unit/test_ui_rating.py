"""The page's estimate of how a call sounds, against ITU-T G.107 written down a second time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "cti" / "web" / "ui" / "src" / "lib" / "phone_quality.ts"
JOURNEYS = [
    {"rtt": rtt, "jitter": jitter, "loss": loss, "codec": codec}
    for rtt in (None, 0, 40, 300, 700)
    for jitter in (None, 2, 30)
    for loss in (None, 0, 0.01, 0.05, 0.1, 0.3, 1)
    for codec in ("opus", "PCMU", "G722", "")
]
SCRIPT = """
const { rating, opinion, bars } = await import(process.argv[1]);
const journeys = JSON.parse(process.argv[2]);
console.log(JSON.stringify(journeys.map((one) => [rating(one), opinion(rating(one)), bars(rating(one))])));
"""


def node() -> str:
    """A node that reads TypeScript, from the virtual environment or the path."""
    beside = Path(sys.executable).parent / "node"
    found = str(beside) if beside.exists() else shutil.which("node")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("node is not installed: CI skips nothing")
        pytest.skip("node is not installed")
    return found


def expected(journey: dict[str, float | str | None]) -> float:
    """R = Ro - Is - Id - Ie,eff with Ro - Is = 93.2, Id of the short form and Ie,eff of random loss."""

    def number(name: str) -> float:
        return float(journey[name] or 0)

    delay = number("rtt") / 2 + 2 * number("jitter") + 20
    robustness = 13 if journey["codec"] == "G722" else 25.1
    percent = number("loss") * 100
    by_delay = 0.024 * delay + 0.11 * max(0, delay - 177.3)
    return min(100, max(0, 93.2 - by_delay - 95 * percent / (percent + robustness)))


def test_the_rating_is_that_of_the_e_model() -> None:
    told = json.loads(
        subprocess.run(
            [node(), "--no-warnings", "--input-type=module", "-e", SCRIPT, "--", SOURCE.as_uri(), json.dumps(JOURNEYS)],
            capture_output=True, text=True, timeout=30, check=True,
        ).stdout
    )  # fmt: skip
    for journey, (rated, opinion, bars) in zip(JOURNEYS, told, strict=True):
        assert rated == pytest.approx(expected(journey), abs=1e-9), journey
        assert 1 <= opinion <= 4.5
        assert bars == 1 + sum(rated > bound for bound in (60, 70, 80))
    best, worst = told[4], told[-1]
    assert best[1] == pytest.approx(4.4, abs=0.02), "an undisturbed call is 4.4"
    assert worst[2] == 1
