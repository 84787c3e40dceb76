"""The picture and the page: well-formed, self-contained, and showing what the figures say."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from cti.simulate.chart import html, svg
from cti.simulate.compare import changes
from cti.simulate.figures import figures
from cti.simulate.floor import simulate
from cti.simulate.traffic import arrivals
from tests.unit.simulate.test_simulate_scenario import SMALL, small

NASTY = SMALL.replace("name: Small", "name: '<script>alert(1)</script> & more'")
LINES = ".//{http://www.w3.org/2000/svg}path[@stroke-linecap]"


def runs(*texts: str):
    scenarios = [small(text) for text in texts]
    logs = [simulate(one, arrivals(one)) for one in scenarios]
    return scenarios, logs, [figures(one, log) for one, log in zip(scenarios, logs, strict=True)]


def test_the_picture_has_a_line_for_each_run_in_each_panel():
    _, _, (one, other) = runs(SMALL, NASTY)
    tree = ElementTree.fromstring(svg([one, other]))
    drawn = tree.findall(LINES)
    assert len(drawn) == 6
    assert len({path.get("stroke") for path in drawn}) == 2
    assert sum(path.get("stroke-dasharray") is not None for path in drawn) == 3
    texts = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"08:00", "09:30", "answered in time, %", "Small"} <= set(texts)


def test_a_higher_wait_is_drawn_higher():
    _, _, (one,) = runs(SMALL)
    path = ElementTree.fromstring(svg([one])).findall(LINES)[2].get("d")
    heights = [float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
    waits = [row.mean for row in one.half_hours if row.answered]
    assert [sorted(heights, reverse=True).index(y) for y in heights] == [sorted(waits).index(w) for w in waits]


def test_the_page_is_self_contained_and_says_what_changes():
    (first, second), logs, both = runs(SMALL, NASTY)
    page = html(both, changes(first, logs[0], second, logs[1]))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert not re.search(r"""(src|href)\s*=|url\(|@import""", page)
    assert "What " in page
    assert "+0.0 ±0.0 s" in page
    for row in both[0].half_hours:
        assert f"<td>{row.title}</td><td>{row.offered}</td>" in page


@pytest.mark.parametrize("calls", [[], None])
def test_a_run_nobody_came_to_can_be_drawn(calls):
    scenario = small(SMALL.replace("hours: 2", "hours: 0.4"))
    run = figures(scenario, simulate(scenario, calls if calls is not None else arrivals(scenario)))
    assert ElementTree.fromstring(svg([run])) is not None
    assert "<table>" in html([run])
