"""Callers through the production engine wait as long as queueing theory says, and exactly as a second simulation says."""

from __future__ import annotations

import pytest

from benchmarks.theory import (
    a_floor,
    batched,
    erlang_c,
    first_class_quantile,
    mean_wait,
    plain_waits,
    plain_waits_by_kind,
    quantile,
    random_floors,
    service_level,
    two_classes,
    waits_of,
)
from cti.simulate.floor import simulate
from cti.simulate.traffic import arrivals
from tests.support.examples import NIGHTLY

pytestmark = pytest.mark.timeout(0 if NIGHTLY else 60)


def test_closed_forms_give_the_published_values():
    assert erlang_c(14, 10) == pytest.approx(0.1741319, abs=1e-7)
    assert service_level(14, 10, 180, 20) == pytest.approx(0.88835, abs=1e-5)
    assert mean_wait(55, 50, 300) == pytest.approx(23.0728, abs=1e-4)
    assert two_classes(50, 47, 300, 0.1) == pytest.approx((3.7615, 62.691), abs=1e-3)
    assert first_class_quantile(50, 47, 300, 0.1, 0.95) == pytest.approx(16.09, abs=0.005)
    assert erlang_c(1, 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize(("s", "a", "t"), [(14, 10.0, 180.0), (55, 50.0, 300.0), (1, 0.8, 60.0), *random_floors(4, 3)])
def test_first_come_first_served_to_the_microsecond(s, a, t):
    scenario = a_floor(s, a, t, 20_000 if NIGHTLY else 3_000)
    found, expected = waits_of(simulate(scenario, arrivals(scenario))), plain_waits(arrivals(scenario), s)
    assert len(found) == len(expected)
    assert (
        max(abs(x - y) for one, other in zip(found, expected, strict=True) for x, y in zip(one, other, strict=True))
        < 1e-6
    )


@pytest.mark.parametrize(
    ("s", "a", "t", "first"), [(50, 47.0, 300.0, 0.1), (20, 17.0, 240.0, 0.3), (3, 2.7, 60.0, 0.5)]
)
def test_strict_priority_to_the_microsecond(s, a, t, first):
    scenario = a_floor(s, a, t, 20_000 if NIGHTLY else 3_000, first=first)
    found, expected = waits_of(simulate(scenario, arrivals(scenario))), plain_waits_by_kind(arrivals(scenario), s)
    assert len(found) == len(expected)
    assert (
        max(abs(x - y) for one, other in zip(found, expected, strict=True) for x, y in zip(one, other, strict=True))
        < 1e-6
    )


def agrees(waits, theory):
    """Within 3 % or four standard errors of the mean, whichever is more; nightly that means 3 %."""
    found = batched(waits)
    assert abs(found.value - theory) <= max(0.03 * theory, 4 * found.error), (found, theory)


@pytest.mark.parametrize(("s", "a", "t"), [(14, 10.0, 180.0), *random_floors(2, 5)])
def test_the_engine_and_erlang_c(s, a, t):
    scenario = a_floor(s, a, t, 1_000_000 if NIGHTLY else 30_000)
    waits = [wait for _, _, wait in waits_of(simulate(scenario, arrivals(scenario)))]
    agrees([float(wait > 0) for wait in waits], erlang_c(s, a))
    agrees([float(wait <= 20) for wait in waits], service_level(s, a, t, 20))
    agrees(waits, mean_wait(s, a, t))


# What the engine equals caller by caller is fast enough for the numbers of callers that theory asks for.


@pytest.mark.parametrize(("s", "a", "t"), [(14, 10.0, 180.0), (55, 50.0, 300.0), *random_floors(2, 11)])
def test_the_second_simulation_and_erlang_c(s, a, t):
    waits = [wait for _, _, wait in plain_waits(arrivals(a_floor(s, a, t, 20_000_000 if NIGHTLY else 60_000)), s)]
    agrees([float(wait > 0) for wait in waits], erlang_c(s, a))
    agrees(waits, mean_wait(s, a, t))


def test_the_second_simulation_and_cobham():
    s, a, t, first = 50, 47.0, 300.0, 0.1
    rows = plain_waits_by_kind(arrivals(a_floor(s, a, t, 20_000_000 if NIGHTLY else 100_000, first=first)), s)
    of_vip, of_regular = two_classes(s, a, t, first)
    vip = [wait for _, kind, wait in rows if kind == 0]
    agrees(vip, of_vip)
    agrees([wait for _, kind, wait in rows if kind == 1], of_regular)
    assert quantile(vip, 0.95) == pytest.approx(first_class_quantile(s, a, t, first, 0.95), rel=0.05)
