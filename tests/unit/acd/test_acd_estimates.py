"""Expected waits: the formula, what is learned, and how right they are against app_queue's way in a simulated queue."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from cti.acd.estimates import Estimates, ExpectedWait, _departures
from cti.ids import QueueName
from tests.support.queue_simulation import simulate

SUPPORT, SALES = QueueName("support"), QueueName("sales")
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def taught(*, handling: float = 200.0, calls: int = 3000, waited: float = 60.0, abandons: int = 0) -> Estimates:
    """Learned from so many like calls, every so many-th abandoned (0: none)."""
    estimates = Estimates()
    for number in range(1, calls + 1):
        estimates.handled(SUPPORT, handling)
        estimates.left(SUPPORT, waited, abandoned=bool(abandons) and number % abandons == 0)
    return estimates


def mean(estimates: Estimates, ahead: int, servers: float) -> float:
    wait = estimates.wait(SUPPORT, ahead, servers)
    assert wait is not None
    return wait.mean


def test_without_abandons_it_is_places_times_handling_over_servers() -> None:
    estimates = taught()
    for ahead, servers in [(0, 1.0), (0, 10.0), (9, 10.0), (19, 4.0)]:
        assert mean(estimates, ahead, servers) == pytest.approx((ahead + 1) * 200 / servers, rel=0.02)


def test_abandons_shorten_the_wait_and_the_more_the_longer_the_line() -> None:
    patient, hasty = taught(), taught(abandons=5)
    shorter = [mean(hasty, ahead, 5.0) / mean(patient, ahead, 5.0) for ahead in range(40)]
    assert shorter == sorted(shorter, reverse=True)
    assert shorter[0] > 0.85
    assert shorter[-1] < 0.6


def test_every_place_further_back_waits_longer_and_the_range_holds_the_mean() -> None:
    estimates = taught(abandons=5)
    waits = [wait for ahead in range(200) if (wait := estimates.wait(SUPPORT, ahead, 12.0)) is not None]
    assert len(waits) == 200
    assert all(wait.low < wait.mean < wait.high for wait in waits)
    for one, next_ in pairwise(waits):
        assert one.low < next_.low
        assert one.mean < next_.mean
        assert one.high < next_.high


@pytest.mark.parametrize("serving", [1e-4, 0.003, 0.5, 40.0])
@pytest.mark.parametrize("theta", [1e-12, 1e-7, 1e-4, 0.01, 2.0])
def test_the_sums_are_those_added_up_one_by_one(serving: float, theta: float) -> None:
    for count in (1, 2, 7, 300, 5000):
        steps = [1 / (serving + k * theta) for k in range(1, count + 1)]
        mean_, variance = _departures(count, serving, theta)
        assert mean_ == pytest.approx(math.fsum(steps), rel=1e-5)
        assert variance == pytest.approx(math.fsum(step * step for step in steps), rel=1e-4)


def test_nobody_to_serve_means_no_answer() -> None:
    assert Estimates().wait(SUPPORT, 0, 0.0) is None


def test_there_is_an_answer_before_the_first_call() -> None:
    wait = Estimates().wait(SUPPORT, 0, 1.0)
    assert wait is not None
    assert 60 < wait.mean < 600


def test_a_shared_agent_counts_by_the_share_of_the_work() -> None:
    estimates = Estimates()
    both, one = (SUPPORT, SALES), (SUPPORT,)
    assert estimates.servers(SUPPORT, [one, both]) == pytest.approx(1.5)
    for number in range(90):
        estimates.arrived(SUPPORT, NINE + timedelta(seconds=10 * number))
        if number % 3 == 0:
            estimates.arrived(SALES, NINE + timedelta(seconds=10 * number))
    now = NINE + timedelta(minutes=15)
    share = estimates.servers(SUPPORT, [both], now)
    assert share == pytest.approx(0.75, abs=0.02)
    assert estimates.servers(SALES, [both], now) == pytest.approx(1 - share)
    assert estimates.servers(SALES, [one], now) == 0


def test_what_was_is_forgotten() -> None:
    estimates = taught(handling=400.0)
    for _ in range(2000):
        estimates.handled(SUPPORT, 100.0)
    assert mean(estimates, 0, 1.0) == pytest.approx(100, rel=0.05)
    for _ in range(200):
        estimates.arrived(SALES, NINE)
    later = NINE + timedelta(hours=4)
    estimates.arrived(SUPPORT, later)
    assert estimates.servers(SUPPORT, [(SUPPORT, SALES)], later) > 0.4


def test_promises_are_counted_with_what_came_of_them() -> None:
    estimates = Estimates()
    estimates.settled(SUPPORT, ExpectedWait(low=10, mean=20, high=30), 26.0)
    estimates.settled(SUPPORT, ExpectedWait(low=10, mean=20, high=30), 44.0)
    told = estimates.accuracy[SUPPORT]
    assert (told.promises, told.kept, told.error, told.bias, told.waited) == (2, 1, 30.0, -30.0, 70.0)


def lognormal(mean_: float) -> tuple[float, float]:
    sigma = math.sqrt(math.log(2))
    return math.log(mean_) - sigma**2 / 2, sigma


@pytest.mark.parametrize("kind", ["exponential", "lognormal"])
@pytest.mark.parametrize(("servers", "load", "patience"), [(10, 1.1, 300.0), (20, 1.2, 120.0), (50, 1.05, 180.0)])
def test_the_error_is_at_most_seven_tenths_of_a_moving_average(
    kind: str, servers: int, load: float, patience: float
) -> None:
    def handling(rng: random.Random) -> float:
        return rng.expovariate(1 / 180) if kind == "exponential" else rng.lognormvariate(*lognormal(180))

    tally = simulate(
        servers=servers, load=load, handling=handling, mean_handling=180.0, patience=patience,
        calls=12_000, seed=11, warm_up=2_000,
    )  # fmt: skip
    assert len(tally.rows) > 3000
    assert tally.ratio() <= 0.70
    assert abs(tally.bias()) < 0.05
    assert 0.75 < tally.inside() < 0.88
