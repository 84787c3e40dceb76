"""Rules that keep callers out of a queue or take them out of it: the live floor's own, on the virtual clock."""

from __future__ import annotations

import pytest

from cti.simulate.figures import figures
from cti.simulate.floor import simulate
from cti.simulate.page import page
from tests.unit.simulate.test_simulate_scenario import call, small

FLOOR = """
name: Doors
hours: 1
queues:
  support: {%s}
  back: {%s}
agents:
  - {queues: [support], shifts: ["00:00-00:20"]}
  - {queues: [back]}
callers:
  - {queue: support, per_half_hour: 1, handling: {fixed: 60}}
"""


def run(support: str, calls, back: str = ""):
    scenario = small(FLOOR % (support, back))
    log = simulate(scenario, calls)
    rows = zip(log.at, log.wait, log.answered, strict=True)
    return scenario, log, {at: (round(wait, 3), how) for at, wait, how in rows}


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("max_length: 2", {0: (0, 1), 1: (99, 1), 2: (198, 1), 3: (0, 2)}),
        ("max_length: 2, when_full: {queue: back}", {0: (0, 1), 1: (99, 1), 2: (198, 1), 3: (0, 1)}),
        ("max_wait: 150", {0: (0, 1), 1: (99, 1), 2: (150, 2), 3: (150, 2)}),
        ("max_wait: 150, when_late: {queue: back}", {0: (0, 1), 1: (99, 1), 2: (150, 1), 3: (249, 1)}),
        ("overflow: [{to: {queue: back}, after: 30}]", {0: (0, 1), 1: (30, 1), 2: (129, 1), 3: (228, 1)}),
        ("overflow: [{to: {queue: back}, length: 1}]", {0: (0, 1), 1: (99, 1), 2: (0, 1), 3: (99, 1)}),
        ("overflow: [{to: voicemail, expected: 3600}]", {0: (0, 1), 1: (99, 1), 2: (198, 1), 3: (297, 1)}),
        ("overflow: [{to: voicemail, expected: 3}]", {0: (0, 1), 1: (0, 2), 2: (0, 2), 3: (0, 2)}),
        ("max_length: 1, when_full: {queue: back}, weight: 1", {0: (0, 1), 1: (99, 1), 2: (0, 1), 3: (99, 1)}),
    ],
)
def test_a_queue_s_limits(rule, found):
    if "length: 1}" in rule:
        found = {0: (0, 1), 1: (99, 1), 2: (0, 1), 3: (98, 1)} | {3: found[3]}
    _, _, told = run(rule, [call(float(at), 100.0) for at in range(4)])
    assert told == found


def test_who_waits_when_the_last_agent_goes_has_to_leave_and_nobody_else_may_join():
    rule = "join_empty: [offline], leave_empty: [offline], when_empty: voicemail"
    calls = [call(1000.0, 500.0), call(1010.0, 60.0), call(1510.0, 60.0)]
    scenario, log, told = run(rule, calls)
    # The agent's shift ends after 20 minutes, the call under way does so at 1500.
    assert told == {1000: (0, 1), 1010: (490, 2), 1510: (0, 2)}
    text = page(figures(scenario, log))
    assert "2 sent elsewhere by the queue's rules" in text
    assert figures(scenario, log).total.elsewhere == 2


def test_an_overflow_into_a_full_queue_is_tried_again():
    back = "max_length: 1"
    calls = [call(0.0, 100.0), call(1.0, 10.0), call(2.0, 10.0)]
    _, _, told = run("overflow: [{to: {queue: back}, after: 30}]", [*calls, call(3.0, 10.0)], back)
    assert told[1] == (30, 1)  # it waits at nobody's back there
    assert 30 <= told[2][0] <= 45
    assert all(how == 1 for _, how in told.values())


def test_opening_hours_of_the_centre_s_file_count_by_the_day(tmp_path):
    from cti.simulate.scenario_file import parse_scenario

    (tmp_path / "centre.yaml").write_text("""\
name: Hours
time_zone: Europe/Berlin
calendars: {office: {hours: {mon: "09:00-17:00", tue: "10:00-17:00"}}}
numbers: {"5000": {flow: main, survival_queue: support}}
queues: {support: {titles: {en: Support}, calendar: office}}
agents: {"1001": {name: Ada, queues: [support]}}
""")
    text = """
name: Hours
centre: centre.yaml
%s
start: "08:30"
hours: 1
callers: [{queue: support, per_half_hour: 1, handling: {fixed: 60}}]
"""
    for day, answered in (("", [2, 1]), ("day: 2026-03-03", [2, 2])):
        scenario = parse_scenario(text % day, source="s.yaml", folder=tmp_path)
        assert list(simulate(scenario, [call(60.0, 60.0), call(1900.0, 60.0)]).answered) == answered
