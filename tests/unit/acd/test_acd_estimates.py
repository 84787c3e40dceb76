"""Expected waits: the formula, what is learned, and how right they are against app_queue's way in a simulated queue."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from cti.acd.estimates import NOW, Calibration, Estimates, ExpectedWait, _departures, accuracy, staged
from cti.ids import QueueName
from tests.support.examples import NIGHTLY
from tests.support.queue_simulation import exponential, lognormal, simulate

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
    for _ in range(8000):
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


def test_accuracy_is_a_fold_over_promises_and_adds_up() -> None:
    promise = ExpectedWait(low=10, mean=20, high=30)
    told = accuracy([(promise, 26.0), (promise, 44.0)])
    assert (told.mean_error, told.mean_absolute_error, told.mean_wait, told.inside) == (-15.0, 15.0, 35.0, 0.5)
    assert told.relative_error == pytest.approx(30 / 70)
    assert told.relative_bias == pytest.approx(-30 / 70)
    assert accuracy([(promise, 26.0)]) + accuracy([(promise, 44.0)]) == told
    nothing = accuracy([])
    assert (nothing.mean_error, nothing.mean_absolute_error, nothing.inside, nothing.relative_error) == (0, 0, 0, 0)


def test_what_theory_leaves_out_is_learned_from_promises_broken() -> None:
    """Waits are half as long again as theory says, and far more alike."""
    estimates = taught()
    for number in range(6000):
        promise = estimates.wait(SUPPORT, 9, 10.0)
        assert promise is not None
        estimates.settled(SUPPORT, promise, 300.0 + number % 11)
    promise = estimates.wait(SUPPORT, 9, 10.0)
    assert promise is not None
    assert promise.mean == pytest.approx(305, rel=0.02)
    assert promise.low <= 302
    assert promise.high - promise.low < 80
    assert estimates.accuracy[SUPPORT].inside > 0.75
    # Another queue has learned nothing of it.
    assert estimates.calibration(SALES).factor == 1


def test_one_wild_wait_teaches_little() -> None:
    calibration = Calibration()
    promise = ExpectedWait(low=80, mean=100, high=120)
    for waited in (100.0, 100.0, 100_000.0):
        calibration.see(promise, waited)
    assert 1 < calibration.factor < 1.01
    for _ in range(100_000):
        calibration.see(promise, 1000.0)
    assert calibration.factor == pytest.approx(2)  # and never more
    assert calibration.above == pytest.approx(4)


MINUTE = ExpectedWait(low=30, mean=60, high=90)
QUARTER = ExpectedWait(low=450, mean=900, high=1350)


def test_a_wait_that_ends_in_its_first_stage_is_that_stage_s() -> None:
    assert staged([(MINUTE, 120.0), (QUARTER, math.inf)]) == MINUTE
    assert staged([(QUARTER, math.inf)]) == QUARTER


def test_what_is_left_of_a_wait_when_more_may_serve_goes_at_their_pace() -> None:
    wait = staged([(QUARTER, 450.0), (MINUTE, math.inf)])
    assert wait is not None
    assert wait.mean == pytest.approx(450 + 30)  # half of the way, then half a minute
    assert wait.low < wait.mean < wait.high


def test_nobody_at_first_means_waiting_for_the_stage_that_has_somebody() -> None:
    assert staged([(None, 100.0), (MINUTE, math.inf)]) == ExpectedWait(low=130, mean=160, high=190)
    assert staged([(None, 100.0), (NOW, math.inf)]) == ExpectedWait(low=100, mean=100, high=100)
    assert staged([(None, math.inf)]) is None


LAWS = {"exponential": exponential(180.0), "lognormal": lognormal(180.0)}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("servers", "load", "patience", "swing"),
    [
        (20, 0.95, None, 0.0),
        (20, 0.85, None, 0.3),
        (10, 1.1, exponential(300.0), 0.0),
        (50, 1.05, exponential(180.0), 0.3),
        (50, 1.1, lognormal(300.0), 0.0),
    ],
    ids=["endless", "endless-swing", "abandons", "abandons-swing", "abandons-lognormal"],
)
def test_the_error_is_at_most_seven_tenths_of_a_moving_average(
    law: str, servers: int, load: float, patience: Callable[[random.Random], float] | None, swing: float
) -> None:
    """At a length a test can bear, so bias and range have some room; benchmarks/expected_wait.py has the long runs."""
    tally = simulate(
        servers=servers, load=load, handling=LAWS[law], mean_handling=180.0, patience=patience,
        calls=150_000 if NIGHTLY else 20_000, seed=11, warm_up=4_000, swing=swing,
    )  # fmt: skip
    assert len(tally.rows) > 3000
    assert tally.ratio() <= 0.70
    assert abs(tally.bias()) < (0.02 if NIGHTLY else 0.035)
    assert (0.78 if NIGHTLY else 0.77) < tally.inside() < (0.82 if NIGHTLY else 0.83)
