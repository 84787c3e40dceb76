"""Callers through the production engine wait as long as queueing theory says, and exactly as other simulations say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks.plain_floor import rows_of
from benchmarks.queue_theory import (
    class_waits,
    erlang_a,
    erlang_c,
    first_class_quantile,
    mean_wait,
    service_level,
    wait_quantile,
)
from benchmarks.theory import POOLING, Floor, batched, judged, pooled, random_floors, skills_of
from cti.simulate.floor import simulate
from cti.simulate.traffic import arrivals
from tests.support.examples import NIGHTLY

pytestmark = pytest.mark.timeout(0 if NIGHTLY else 60)

FIRST_COME = [Floor(14, 10.0, 180.0), Floor(55, 50.0, 300.0), Floor(1, 0.8, 60.0), *random_floors(3, 3)]
CLASSES = [
    Floor(50, 47.0, 300.0, (0.1, 0.9)),
    Floor(20, 17.0, 240.0, (0.2, 0.3, 0.5)),
    Floor(3, 2.7, 60.0, (0.5, 0.5), one_queue=True),
    Floor(30, 27.0, 150.0, (0.2, 0.8), (60.0, 0.0)),
    Floor(8, 7.5, 200.0, (0.1, 0.4, 0.5), (300.0, 30.0, 0.0), one_queue=True),
    Floor(10, 12.0, 180.0, (0.3, 0.7), (45.0, 0.0), patience=120.0),
    Floor(10, 12.0, 180.0, (0.3, 0.7), patience=240.0),
    Floor(20, 22.0, 240.0, patience=180.0),
    Floor(1, 1.5, 60.0, patience=30.0),
]


def test_closed_forms_give_the_published_values():
    assert erlang_c(14, 10) == pytest.approx(0.1741319, abs=1e-7)
    assert service_level(14, 10, 180, 20) == pytest.approx(0.88835, abs=1e-5)
    assert mean_wait(55, 50, 300) == pytest.approx(23.0728, abs=1e-4)
    assert class_waits(50, 47, 300, (0.1, 0.9)) == pytest.approx((3.7615, 62.691), abs=1e-3)
    assert first_class_quantile(50, 47, 300, 0.1, 0.95) == pytest.approx(16.09, abs=0.005)
    assert erlang_c(1, 0.5) == pytest.approx(0.5)
    # Among equals of one class there is no class; all classes together wait as if there were none.
    assert class_waits(20, 17, 240, (1.0,)) == pytest.approx((mean_wait(20, 17, 240),))
    three = class_waits(20, 17, 240, (0.2, 0.3, 0.5))
    assert sum(w * p for w, p in zip(three, (0.2, 0.3, 0.5), strict=True)) == pytest.approx(mean_wait(20, 17, 240))


def test_erlang_a_lies_where_other_forms_say():
    # Patience without end is Erlang C.
    endless = erlang_a(14, 10.0, 180.0, 1e9)
    assert endless.waits == pytest.approx(erlang_c(14, 10), rel=1e-5)
    assert endless.mean_served == pytest.approx(mean_wait(14, 10, 180), rel=1e-5)
    assert endless.in_time == pytest.approx(service_level(14, 10, 180, 20), abs=1e-6)
    # Patience as long as a call makes the number of people Poisson: M/M/inf.
    alike = erlang_a(10, 12.0, 100.0, 100.0)
    assert alike.waits == pytest.approx(1 - sum(math.exp(-12) * 12**n / math.factorial(n) for n in range(10)))
    # Hardly any patience is Erlang B: who finds all taken is lost.
    hasty = erlang_a(5, 4.0, 100.0, 1e-4)
    assert hasty.abandons == pytest.approx(0.19907, abs=1e-4)
    # Everybody is served or gives up, so who is served within a long time is who is served.
    late = erlang_a(20, 22.0, 240.0, 180.0, within=2000.0)
    assert late.in_time == pytest.approx(1 - late.abandons, rel=1e-6)


def test_pyworkforce_agrees():
    queuing = pytest.importorskip("pyworkforce.queuing", reason="of the extra `dev`")
    for floor in FIRST_COME:
        s, a, t = floor.s, floor.a, floor.t
        other = queuing.ErlangC(transactions=a / t * 1800, aht=t / 60, interval=30, asa=20 / 60)
        assert other.waiting_probability(s) == pytest.approx(erlang_c(s, a), rel=1e-9)
        assert other.service_level(s) == pytest.approx(service_level(s, a, t, 20), rel=1e-9)


def same(found, expected):
    """To the microsecond, and the same ones hung up."""
    assert len(found) == len(expected)
    off = 0.0
    for one, other in zip(found, expected, strict=True):
        assert (one[1], one[3]) == (other[1], other[3])
        off = max(off, abs(one[0] - other[0]), abs(one[2] - other[2]))
    # Every moment is rounded to the microsecond, and a wait is the difference of two, the later after many.
    assert off < 2e-6 * max(1, len(found) // 3000)


@pytest.mark.parametrize("floor", FIRST_COME + CLASSES, ids=str)
def test_every_caller_waits_as_in_the_recursion(floor):
    scenario = floor.scenario(20_000 if NIGHTLY else 2_500)
    same(rows_of(simulate(scenario, arrivals(scenario))), floor.plain(arrivals(scenario)))


@pytest.mark.parametrize("floor", [FIRST_COME[0], *CLASSES], ids=str)
def test_every_caller_waits_as_in_simpy(floor):
    pytest.importorskip("simpy", reason="of the extra `dev`")
    from benchmarks.simpy_floor import simpy_floor

    scenario = floor.scenario(20_000 if NIGHTLY else 1_500)
    same(rows_of(simulate(scenario, arrivals(scenario))), simpy_floor(arrivals(scenario), floor.s, floor.key))


def agrees(line):
    """Within 3 % or four standard errors of the mean, whichever is more; nightly that means 3 %. Percentiles within 5 %."""
    if line.found.error:
        assert abs(line.found.value - line.theory) <= max(0.03 * line.theory, 4 * line.found.error), line
    elif NIGHTLY:
        assert line.found.value == pytest.approx(line.theory, rel=0.05), line


@pytest.mark.parametrize("floor", [FIRST_COME[0], CLASSES[1], CLASSES[7]], ids=str)
def test_the_engine_and_theory(floor):
    for line in judged(floor, floor.engine(1_000_000 if NIGHTLY else 12_000)):
        agrees(line)


# What the engine equals caller by caller is fast enough for the numbers of callers that theory asks for.


@pytest.mark.parametrize(
    "floor", [*FIRST_COME[:2], *random_floors(2, 11), CLASSES[0], CLASSES[3], CLASSES[7], CLASSES[8]], ids=str
)
def test_the_recursion_and_theory(floor):
    for line in judged(floor, floor.plain(arrivals(floor.scenario(20_000_000 if NIGHTLY else 60_000)))):
        agrees(line)


def test_the_ninety_fifth_percentiles_at_enough_callers():
    floor = Floor(14, 10.0, 180.0)
    rows = floor.plain(arrivals(floor.scenario(2_000_000 if NIGHTLY else 400_000)))
    (line,) = [line for line in judged(floor, rows) if line.title == "95th percentile"]
    assert line.theory == pytest.approx(wait_quantile(14, 10, 180, 0.95))
    assert line.found.value == pytest.approx(line.theory, rel=0.05)


def test_a_head_start_lies_between_nothing_and_strictness():
    """On the same callers: the more seconds, the sooner the first class; all together wait the same."""
    strict = Floor(30, 27.0, 150.0, (0.2, 0.8))
    means = []
    for seconds in (0.0, 20.0, 60.0, 300.0, 1e6):
        floor = replace(strict, head_starts=(seconds, 0.0))
        rows = floor.plain(arrivals(floor.scenario(30_000)))
        means.append([batched([wait for _, kind, wait, _ in rows if kind == n]).value for n in range(2)])
    assert [first for first, _ in means] == sorted((first for first, _ in means), reverse=True)
    assert [second for _, second in means] == sorted(second for _, second in means)
    of_strict = strict.plain(arrivals(strict.scenario(30_000)))
    assert means[-1][0] == pytest.approx(batched([w for _, kind, w, _ in of_strict if kind == 0]).value)


# --- pooling: all queues are matched together, so little is lost when agents have some of the skills only


def test_who_has_which_skills():
    assert [skills_of(n, 4, 4) for n in (0, 5)] == [(0, 1, 2, 3), (1, 2, 3, 0)]
    assert {frozenset(skills_of(n, 4, 2)) for n in range(12)} == {
        frozenset(pair) for pair in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    }
    assert [skills_of(n, 4, 2, chained=True) for n in (0, 3, 7)] == [(0, 1), (3, 0), (3, 0)]


@pytest.mark.parametrize(("each", "limit"), [(4, 1.001), (3, 1.05), (2, 1.21)])
def test_few_skills_are_nearly_as_good_as_all(each, limit):
    """Forty agents, four skills, 90 % load, on the same callers as where nobody needs any skill."""
    calls = 100_000 if NIGHTLY else 6_000
    assert pooled(POOLING, each, calls) / pooled(POOLING, 0, calls) <= limit
