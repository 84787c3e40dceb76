"""Callers of the past: read from rows or exports, completed by chance where nobody knows, run like any others."""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cti.cli import app
from cti.errors import ConfigError
from cti.simulate.figures import figures
from cti.simulate.floor import simulate
from cti.simulate.recorded import calls_of_file
from cti.simulate.replay import USED, past_calls, replayed
from cti.simulate.scenario_file import load_scenario, parse_scenario

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FLOOR = """\
name: Then
time_zone: Europe/Berlin
queues:
  support: {service_level: 20}
  sales: {}
tiers:
  vip: {head_start: 60}
agents:
  - {count: 2, queues: [support, sales], skills: {zh: 4}, shifts: ["09:00-18:00"]}
"""
REPLAY = FLOOR + "callers:\n  replay: {from: 2026-03-02, to: 2026-03-03, languages: {zh: 3}}\n"


def row(minute: float, *, queue: str | None = "support", outcome: str = "answered", waited: float = 5.0, **other):
    at = NINE + timedelta(minutes=minute)
    answered = outcome == "answered"
    return {
        "call_id": f"t-{minute}", "started_at": at, "queued_at": at + timedelta(seconds=10) if queue else None,
        "queue": queue, "tier": "", "language": "en", "outcome": outcome, "wait_seconds": waited,
        "talk_seconds": 100.0 if answered else None, "hold_seconds": 20.0 if answered else None,
        "wrap_seconds": 30.0 if answered else None, "direction": "inbound", **other,
    }  # fmt: skip


DAY = [
    row(0),
    row(1, tier="vip", language="zh", talk_seconds=200.0, wrap_seconds=None),
    row(2, outcome="abandoned", waited=40.0),
    row(3, queue=None, outcome="self_served"),
    row(4, queue="sales", outcome="voicemail", waited=90.0),
    row(5, queue="moved"),
    row(6, direction="outbound"),
    row(60 * 24, tier="vip"),
]


def scenario(text: str = REPLAY, **more):
    return parse_scenario(text, source="r.yaml", folder=Path(), **more)


def test_the_past_is_replayed_at_its_own_moments_with_its_own_times():
    one = scenario()
    past = replayed(one, one.replay, past_calls(reversed(DAY)))
    assert past.left_out == {"moved": 1}
    # The scenario's clock begins at midnight in Berlin, an hour before UTC's.
    assert past.scenario.start == timedelta()
    assert past.scenario.length == timedelta(days=1)
    assert [(a.at, a.handling) for a in past.arrivals[:2]] == [(36010.0, 150.0), (36070.0, 220.0)]
    assert [(k.queue, k.tier, k.skills) for k in past.scenario.callers] == [
        ("support", "", ()),
        ("support", "vip", (("zh", 3),)),
        ("sales", "", ()),
    ]
    abandoned, left = past.arrivals[2], past.arrivals[3]
    assert abandoned.patience == 40
    assert abandoned.handling in (150, 220)  # that of another call of the queue
    assert left.patience == 90
    assert all(5 < a.patience < math.inf for a in past.arrivals[:2])  # somebody gave up, so these would have, too
    again = replayed(one, one.replay, past_calls(DAY))
    assert again.arrivals == past.arrivals


def test_nobody_gave_up_so_nobody_does():
    one = scenario()
    assert {a.patience for a in replayed(one, one.replay, past_calls([row(0), row(1)])).arrivals} == {math.inf}


def test_what_was_answered_at_once_is_answered_at_once_again():
    one = scenario()
    past = replayed(one, one.replay, past_calls([row(5 * n, waited=0.0) for n in range(60)]))
    told = figures(past.scenario, simulate(past.scenario, past.arrivals))
    assert (told.total.answered, told.total.longest) == (60, 0)
    assert next(half.title for half in told.half_hours if half.offered) == "10:00"


@pytest.mark.parametrize("kind", ["csv", "json", "lines"])
def test_an_export_gives_the_same_callers_as_the_database(tmp_path, kind):
    path = tmp_path / f"calls.{kind}"
    if kind == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(DAY[0]))
            writer.writeheader()
            writer.writerows(DAY)
    elif kind == "json":
        path.write_text(json.dumps(DAY, default=str), encoding="utf-8")
    else:
        path.write_text("\n".join(json.dumps(one, default=str) for one in DAY), encoding="utf-8")
    assert past_calls(calls_of_file(path)) == past_calls(DAY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[{}]", "has no started_at"),
        ("{oops", "not valid JSON"),
        ("[1]", "not a list of objects"),
        (",".join(USED) + "\n,2026-03-02 09:00,support,,,answered,1,1,1,1", "has no time zone"),
        (",".join(USED) + "\n,2026-03-02 09:00Z,support,,,answered,nan,1,1,1", "no length of time"),
        (",".join(USED) + "\n,yesterday,support,,,answered,1,1,1,1", "call 1"),
    ],
)
def test_an_export_that_cannot_be_read_is_told(tmp_path, text, told):
    path = tmp_path / "calls.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        past_calls(calls_of_file(path))
    with pytest.raises(ConfigError):
        calls_of_file(tmp_path / "none.csv")


def test_no_calls_is_an_error_not_an_empty_page():
    one = scenario()
    with pytest.raises(ConfigError, match="no call was queued"):
        replayed(one, one.replay, past_calls([row(60 * 48)]))
    with pytest.raises(ConfigError, match="for a queue of Then"):
        replayed(one, one.replay, past_calls([row(0, queue="moved")]))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("to: 2026-03-03", "to: 2026-03-01", "r.yaml:11: replay: it ends before it begins"),
        ("from: 2026-03-02", "from: yesterday", "r.yaml:11: replay: "),
        ("Europe/Berlin", "Europe/Atlantis", "r.yaml:2: time_zone: there is no such time zone"),
        ("{from: 2026-03-02, to: 2026-03-03, languages: {zh: 3}}", "{from: 2026-03-02}", "r.yaml:11: replay.to: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old, new, told):
    with pytest.raises(ConfigError, match=told):
        scenario(REPLAY.replace(old, new))


def test_the_range_of_the_command_line_comes_first(tmp_path):
    one = scenario(replay="2026-03-02T08:00..2026-03-02T09:00:00+00:00")
    assert one.replay.begin == datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
    assert one.replay.end == NINE
    assert one.replay.languages == {"zh": 3}
    with pytest.raises(ConfigError, match="give dates"):
        scenario(replay="2026-03-02")
    with pytest.raises(ConfigError, match="nobody comes"):
        scenario(FLOOR)
    with pytest.raises(ConfigError, match="of when"):
        scenario(FLOOR, file=tmp_path / "calls.csv")


def test_the_command_replays_an_export_on_two_floors(tmp_path):
    (tmp_path / "calls.json").write_text(json.dumps(DAY, default=str))
    path, other = tmp_path / "then.yaml", tmp_path / "if.yaml"
    path.write_text(FLOOR)
    other.write_text(REPLAY.replace("name: Then", "name: If").replace("count: 2", "count: 1"))
    asked = ["simulate", str(path), "--compare", str(other), "--replay", "2026-03-02..2026-03-03"]
    told = CliRunner().invoke(app, [*asked, "--calls", str(tmp_path / "calls.json"), "--svg", str(tmp_path / "p.svg")])
    assert told.exit_code == 0, told.output
    assert "If against Then" in told.output
    assert "1 call(s) left out: it has no queue moved" in told.output
    assert (tmp_path / "p.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert load_scenario(other).replay.file == ""
