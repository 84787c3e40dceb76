"""Scenario files, rosters, figures and the command that shows them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cti.cli import app
from cti.errors import ConfigError
from cti.places import DEMO_CENTRE
from cti.simulate.chart import told
from cti.simulate.compare import changes
from cti.simulate.figures import figures
from cti.simulate.floor import simulate
from cti.simulate.page import comparison, page
from cti.simulate.scenario import Arrival
from cti.simulate.scenario_file import load_scenario, parse_scenario
from cti.simulate.traffic import arrivals

SMALL = """\
name: Small
start: "08:00"
hours: 2
queues:
  support: {service_level: 20}
tiers:
  vip: {head_start: 600}
agents:
  - {count: 2, queues: [support], shifts: ["08:00-09:00"]}
  - {queues: [support], skills: {zh: 4}}
callers:
  - {queue: support, per_half_hour: [20, 30], handling: {exponential: 120}, patience: {lognormal: 90, spread: 0.5}}
  - {queue: support, tier: vip, per_half_hour: 2, handling: {fixed: 60}, skills: {zh: 3}}
"""


def small(text=SMALL):
    return parse_scenario(text, source="s.yaml", folder=Path())


def run(scenario):
    return simulate(scenario, arrivals(scenario))


def call(at, handling, *, kind=0, patience=float("inf")):
    return Arrival(at, kind, handling, patience)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: Small", "nam: Small", "s.yaml:1: nam: there is no such key"),
        ("queue: support, tier", "queue: sales, tier", "s.yaml:13: callers.1.queue: there is no queue sales"),
        ("tier: vip", "tier: gold", "s.yaml:13: callers.1.tier: there is no tier gold"),
        (
            "{queues: [support], skills",
            "{queues: [sales], skills",
            "s.yaml:10: agents.1.queues: there is no queue sales",
        ),
        ("{fixed: 60}", "{fixed: 60, exponential: 3}", "callers.1.handling: "),
        ('start: "08:00"', 'start: "25:00"', "s.yaml:2: start: "),
        ("hours: 2", "hours: 2\nshifts: {'1009': ['08:00-09:00']}", "shifts.1009: there is no such agent"),
        ("hours: 2", "hours: 2\ncentre: centre.yaml", "there is no centre file"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old, new, told):
    assert old in SMALL
    with pytest.raises(ConfigError) as caught:
        small(SMALL.replace(old, new, 1))
    assert told in caught.value.message
    assert caught.value.remedy


def test_a_centre_s_own_file_may_be_simulated():
    text = f"""\
centre: {DEMO_CENTRE}
hours: 1
callers:
  - {{queue: support, per_half_hour: 10, handling: {{exponential: 120}}}}
"""
    scenario = small(text)
    assert len(scenario.centre.agents) > 1
    assert figures(scenario, run(scenario)).total.answered > 0


def test_same_seed_same_run_and_every_caller_is_accounted_for():
    one, other = run(small()), run(small())
    assert (one.at, one.wait, one.answered) == (other.at, other.wait, other.answered)
    assert len(one.at) == len(list(arrivals(small())))
    assert run(small(SMALL.replace("hours: 2", "hours: 2\nseed: 2"))).at != one.at


def test_another_configuration_meets_the_same_callers():
    more = small(SMALL.replace("count: 2", "count: 3"))
    assert list(arrivals(more)) == list(arrivals(small()))


def test_changing_the_patience_of_some_leaves_all_else_as_it_was():
    other = small(SMALL.replace("lognormal: 90", "lognormal: 30"))
    for one, two in zip(arrivals(small()), arrivals(other), strict=True):
        assert (one.at, one.kind, one.handling) == (two.at, two.kind, two.handling)


def test_arrivals_follow_the_profile():
    scenario = small(SMALL.replace("hours: 2", "hours: 2000").replace("per_half_hour: 2,", "per_half_hour: 0,"))
    halves = [0, 0]
    for arrival in arrivals(scenario):
        halves[int(arrival.at // 1800) % 2] += 1
    assert halves[0] / 2000 == pytest.approx(20, rel=0.02)
    assert halves[1] / 2000 == pytest.approx(30, rel=0.02)


def test_times_have_the_mean_they_were_given():
    scenario = small(SMALL.replace("hours: 2", "hours: 1000"))
    regular = [arrival for arrival in arrivals(scenario) if arrival.kind == 0]
    assert sum(a.handling for a in regular) / len(regular) == pytest.approx(120, rel=0.02)
    assert sum(a.patience for a in regular) / len(regular) == pytest.approx(90, rel=0.02)


def test_who_goes_off_duty_finishes_the_call_and_takes_no_other():
    scenario = small()
    # All three are taken when the shift of two ends after an hour; the fourth waits for the third agent.
    calls = [call(3500.0, 300.0), call(3501.0, 400.0), call(3502.0, 900.0), call(3503.0, 60.0)]
    log = simulate(scenario, calls)
    assert [round(wait, 3) for wait in log.wait] == [0, 0, 0, 3502 + 900 - 3503]
    assert sorted(round(seconds) for seconds in log.present.values()) == [3800, 3901, 7200]


def test_who_hangs_up_while_it_rings_frees_the_agent_for_the_next():
    scenario = small(SMALL.replace("hours: 2", "hours: 2\nring: 5").replace("count: 2", "count: 1"))
    calls = [call(10.0, 60.0, patience=3.0), call(11.0, 60.0), call(12.0, 60.0)]
    log = simulate(scenario, calls)
    found = {at: (answered, round(wait, 3)) for at, answered, wait in zip(log.at, log.answered, log.wait, strict=True)}
    assert found == {10.0: (0, 3), 11.0: (1, 5), 12.0: (1, 6)}


def test_a_queue_s_weight_and_head_start_count_as_on_the_live_floor():
    text = """
name: Weights
hours: 1
queues: {calm: {}, urgent: {weight: 2}, early: {head_start: 100}}
agents: [{queues: [calm, urgent, early]}]
callers:
  - {queue: calm, per_half_hour: 1, handling: {fixed: 60}}
  - {queue: urgent, per_half_hour: 1, handling: {fixed: 60}}
  - {queue: early, per_half_hour: 1, handling: {fixed: 60}}
"""
    log = simulate(small(text), [call(0.0, 60.0), call(1.0, 60.0), call(2.0, 60.0, kind=2), call(3.0, 60.0, kind=1)])
    assert sorted(zip(log.at, log.wait, strict=True)) == [(0, 0), (1, 179), (2, 118), (3, 57)]


def test_alternatives_of_skills_and_tiers_of_agents():
    text = """
name: Alternatives
hours: 1
queues: {support: {tier_wait: 30}}
agents:
  - {queues: [support], skills: {zh: 3}}
  - {queues: [support], skills: {interpreter: 1}, tiers: {support: 2}}
  - {queues: [support]}
callers:
  - {queue: support, per_half_hour: 1, handling: {fixed: 600}, requires: "zh>=3 or interpreter"}
"""
    scenario = small(text)
    log = simulate(scenario, [call(0.0, 600.0), call(1.0, 600.0), call(2.0, 600.0)])
    assert sorted(zip(log.at, log.wait, strict=True)) == [(0, 0), (1, 30), (2, 598)]
    assert figures(scenario, log).kinds[0].title == "support interpreter>=1 or zh>=3"


def test_with_ring_all_everybody_rings_and_one_answers():
    text = SMALL.replace("hours: 2", "hours: 2\nring: 5").replace("{service_level: 20}", "{strategy: ring_all}")
    log = simulate(small(text), [call(10.0, 60.0), call(11.0, 60.0), call(12.0, 60.0)])
    assert sorted(log.answered) == [1, 1, 1]
    # The others have rung along for nothing, and are free again when somebody answers.
    assert sum(log.busy.values()) > 3 * 65
    assert sorted(zip(log.at, log.wait, strict=True)) == [(10, 5), (11, 9), (12, 13)]


def test_nobody_comes_on_duty_any_more():
    scenario = small(SMALL.replace("  - {queues: [support], skills: {zh: 4}}\n", ""))
    log = simulate(scenario, [call(3700.0, 60.0), call(3800.0, 60.0, patience=30.0)])
    assert sorted(log.answered) == [-1, 0]
    assert "never served" in page(figures(scenario, log))


def test_a_night_s_shift_ends_on_the_next_day():
    scenario = small(SMALL.replace('"08:00-09:00"', '"22:00-06:00"'))
    (shift,) = scenario.rosters["1001"]
    assert (shift.begin, shift.end) == (timedelta(hours=22), timedelta(hours=30))


def test_figures_are_what_the_log_says():
    scenario = small(SMALL.replace("count: 2", "count: 1"))
    calls = [
        call(0.0, 100.0),
        call(1.0, 50.0),
        call(2.0, 10.0),
        call(3.0, 10.0, patience=4.0),
        call(1900.0, 10.0, kind=1),
    ]
    told = figures(scenario, simulate(scenario, calls))
    assert (told.total.offered, told.total.answered, told.total.abandoned) == (5, 4, 1)
    assert told.total.in_time == 3 / 4  # the short abandon does not count, who waited 49 s was not in time
    assert told.total.longest == pytest.approx(49)
    assert [row.offered for row in told.half_hours] == [4, 1, 0, 0]
    assert [row.title for row in told.half_hours] == ["08:00", "08:30", "09:00", "09:30"]
    assert told.occupancy == pytest.approx(170 / (3600 + 7200))
    assert [row.offered for row in told.kinds] == [4, 1]
    warm = small(SMALL.replace("hours: 2", "hours: 2\nwarm_up: 1800"))
    assert figures(warm, simulate(warm, calls)).total.offered == 1


def test_two_are_compared_side_by_side():
    one, other = small(), small(SMALL.replace("name: Small", "name: Bigger").replace("count: 2", "count: 5"))
    logs = run(one), run(other)
    changed = changes(one, logs[0], other, logs[1])
    text = comparison(figures(one, logs[0]), figures(other, logs[1]), changed)
    assert "Bigger against Small, each caller against itself:" in text
    assert "support vip zh3" in text
    assert [row.title for row in changed] == ["all", "support", "support vip zh3"]
    everyone = changed[0]
    assert everyone.waited.difference < 0 < everyone.in_time.difference
    assert everyone.waited.error is not None
    assert f"{everyone.waited.before:.1f} {everyone.waited.difference:+.1f} +-{everyone.waited.error:.1f} s" in text
    assert changed[2].waited.error is None  # too few came
    # Against itself nothing changes, for certain.
    same = changes(one, logs[0], one, logs[0])[0]
    assert (same.waited.difference, same.waited.error, same.hung_up.difference) == (0, 0, 0)


def test_runs_that_met_other_callers_have_no_paired_error():
    one, other = small(), small(SMALL.replace("hours: 2", "hours: 2\nseed: 9"))
    (everyone, *_) = changes(one, run(one), other, run(other))
    assert everyone.waited.error is None
    assert "±" not in told(everyone.waited, "s")


def test_the_command(tmp_path):
    path, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    path.write_text(SMALL)
    other.write_text(SMALL.replace("name: Small", "name: Other"))
    told = CliRunner().invoke(app, ["simulate", str(path)])
    assert told.exit_code == 0
    assert "Small: 3 agents" in told.output
    assert "08:30" in told.output
    both = CliRunner().invoke(app, ["simulate", str(path), "--compare", str(other), "--html", str(tmp_path / "p.html")])
    assert "Other against Small" in both.output
    assert "Other" in (tmp_path / "p.html").read_text(encoding="utf-8")
    with pytest.raises(ConfigError):
        load_scenario(tmp_path / "none.yaml")


def test_the_example_of_the_page_runs():
    text = (Path(__file__).resolve().parents[3] / "docs/acd.md").read_text(encoding="utf-8")
    example = text.split("```yaml\n", 1)[1].split("```", 1)[0]
    told = figures(scenario := small(example), run(scenario))
    assert told.total.offered == told.total.answered + told.total.abandoned + told.total.unserved
