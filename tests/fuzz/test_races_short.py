"""Some races of every kind, each run anew; the long run is `python -m tests.fuzz.races`."""

from __future__ import annotations

import pytest

from tests.fuzz.races import KINDS, Kind, Race, play, simplest
from tests.support.examples import NIGHTLY

RACES = 3000 if NIGHTLY else 25


@pytest.mark.timeout(3600 if NIGHTLY else 120)
@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_nobody_is_doubled_stuck_or_lost(kind: Kind) -> None:
    lost = 0
    for number in range(RACES):
        why, race = play(kind, f"short.{number}")
        if why:
            found = simplest(kind, f"short.{number}", why)
            raise AssertionError("\n".join([*found.story, found.why]))
        lost += race.lost
    assert lost > 0


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        ("plain", "301.1364"),  # refused at the page before the telephone was known to ring; and that it stops was lost
        ("plain", "301.1861"),
        ("pairs", "1302.191446"),  # a telephone was told to be free before the talk that was just over was told
        ("moves", "101.2732"),  # a visit in the very moment in which a pause ends
        ("moves", "b5.151"),  # who asked hung up, and who was asked stayed in the room for ever
        ("moves", "b3.171"),  # the next one was asked while the first was just joining
        ("moves", "401.3972"),  # old news of waiting ended a new offer
        ("moves", "402.3171"),  # who joined two hung up before they heard each other
    ],
)
def test_what_was_wrong_once(kind: str, seed: str) -> None:
    why, _ = play(next(one for one in KINDS if one.name == kind), seed)
    assert why == ""


def test_what_is_wrong_is_found_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A floor that never hears of visits leaves a caller whose commands were lost, and the story says so."""
    monkeypatch.setattr("tests.fuzz.races_line.call_control.looks_in", lambda *_: None)
    kind = KINDS[0]
    wrong = next(number for number in range(200) if play(kind, f"deaf.{number}")[0])
    found = simplest(kind, f"deaf.{wrong}", play(kind, f"deaf.{wrong}")[0])
    assert found.why.startswith("stuck")
    assert any("not done: Deliver" in line or "refused: Deliver" in line for line in found.story)
    assert isinstance(play(kind, "deaf.0")[1], Race)
