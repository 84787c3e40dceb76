"""Erlang C and A against closed forms, another library, and simulated queues; the number of agents that follows."""

from __future__ import annotations

import math
import random
from collections import deque
from heapq import heappop, heappush
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import queue_theory as theory
from cti.staffing.erlang import blocking, erlang_a, erlang_c
from cti.staffing.need import Target, needed, outlook

QUEUES = [(10, 8.0, 180.0), (1, 0.3, 60.0), (25, 22.0, 240.0), (100, 95.0, 300.0), (400, 388.0, 200.0)]


@pytest.mark.parametrize(("agents", "load", "handling"), QUEUES)
def test_erlang_c_is_the_closed_form(agents: int, load: float, handling: float) -> None:
    ours = erlang_c(agents, load, handling, 20)
    assert ours.waits == pytest.approx(theory.erlang_c(agents, load), abs=1e-12)
    assert ours.mean_wait == pytest.approx(theory.mean_wait(agents, load, handling), rel=1e-9)
    assert ours.service_level == pytest.approx(theory.service_level(agents, load, handling, 20), abs=1e-12)


@pytest.mark.parametrize(
    ("agents", "load", "handling"), [*QUEUES, (10, 14.0, 180.0), (3, 9.0, 200.0), (200, 150.0, 200.0)]
)
@pytest.mark.parametrize("patience", [30.0, 120.0, 900.0])
@pytest.mark.parametrize("within", [0.0, 20.0, 300.0])
def test_erlang_a_agrees_with_the_chain_summed_up(
    agents: int, load: float, handling: float, patience: float, within: float
) -> None:
    ours, other = (
        erlang_a(agents, load, handling, patience, within),
        theory.erlang_a(agents, load, handling, patience, within),
    )
    assert ours.waits == pytest.approx(other.waits, abs=2e-6)
    assert ours.abandoned == pytest.approx(other.abandons, abs=5e-6)
    assert ours.mean_wait == pytest.approx(other.mean_time, rel=1e-3, abs=2e-3)
    assert ours.service_level == pytest.approx(other.in_time, abs=5e-6)


def test_pyworkforce_wants_as_many_agents() -> None:
    queuing = pytest.importorskip("pyworkforce.queuing", reason="of the extra `dev`")
    for calls, minutes in ((100, 3.0), (40, 5.5), (7, 4.0), (300, 2.5)):
        for level, seconds, occupancy, shrinkage in ((0.8, 20, 0.85, 0.3), (0.9, 10, 1.0, 0.0), (0.7, 60, 0.8, 0.15)):
            theirs = queuing.ErlangC(
                transactions=calls, aht=minutes, interval=30, asa=seconds / 60, shrinkage=shrinkage
            ).required_positions(service_level=level, max_occupancy=occupancy)
            target = Target(
                service_level=level, within=seconds, max_occupancy=occupancy, shrinkage=shrinkage, patience=None
            )
            ours = needed(calls * minutes / 30, minutes * 60, target)
            assert (ours.agents, ours.rostered) == (theirs["raw_positions"], theirs["positions"]), (calls, level)


def simulated(
    agents: int, load: float, handling: float, patience: float, *, calls: int, seed: int
) -> tuple[float, float]:
    """Share answered within 20 s and share that gave up, of a queue that is played, first come first served."""
    chance = random.Random(seed)
    ends, now, in_time, gone = [0.0] * agents, 0.0, 0, 0
    line: deque[tuple[float, float]] = deque()
    for _ in range(calls):
        now += chance.expovariate(load / handling)
        line.append((now, now + chance.expovariate(1 / patience)))
        while line:
            came, leaves = line[0]
            begins = max(came, ends[0])
            if begins > now:
                break
            line.popleft()
            if begins > leaves:
                gone += 1
                continue
            heappop(ends)
            heappush(ends, begins + chance.expovariate(1 / handling))
            in_time += begins - came <= 20
    return in_time / calls, gone / calls


def test_a_played_queue_comes_out_so() -> None:
    told = erlang_a(20, 21.0, 240.0, 90.0, 20.0)
    runs = [simulated(20, 21.0, 240.0, 90.0, calls=40_000, seed=seed) for seed in range(4)]
    assert fmean(in_time for in_time, _ in runs) == pytest.approx(told.service_level, abs=0.012)
    assert fmean(gone for _, gone in runs) == pytest.approx(told.abandoned, abs=0.006)


def test_endless_patience_is_erlang_c() -> None:
    patient, endless = erlang_a(12, 10.0, 200.0, 1e7, 20.0), erlang_c(12, 10.0, 200.0, 20.0)
    assert patient.service_level == pytest.approx(endless.service_level, abs=1e-3)
    assert patient.waits == pytest.approx(endless.waits, abs=1e-3)


def test_an_overloaded_line_without_patience_is_endless() -> None:
    assert erlang_c(5, 5.0, 100, 20).mean_wait == math.inf
    assert erlang_c(5, 5.0, 100, 20).service_level == 0


LOADS = st.floats(0.01, 300)
HANDLING = st.floats(10, 1200)
TARGETS = st.builds(
    Target,
    service_level=st.floats(0.5, 0.95),
    within=st.floats(0, 120),
    max_occupancy=st.floats(0.6, 1.0),
    shrinkage=st.floats(0, 0.6),
    patience=st.none() | st.floats(20, 1200),
)


@given(load=LOADS, handling=HANDLING, target=TARGETS)
@settings(max_examples=60, deadline=None)
def test_the_number_meets_the_target_and_one_fewer_does_not(load: float, handling: float, target: Target) -> None:
    def meets(agents: int) -> bool:
        found = outlook(agents, load, handling, target)
        return found.service_level >= target.service_level and found.occupancy <= target.max_occupancy

    need = needed(load, handling, target)
    assert meets(need.agents)
    assert not meets(need.agents - 1)
    assert need.rostered * (1 - target.shrinkage) >= need.agents - 1e-6


@given(agents=st.integers(1, 80), load=st.floats(0.1, 100), handling=HANDLING, patience=st.floats(5, 2000))
@settings(max_examples=80, deadline=None)
def test_figures_are_shares_and_an_agent_more_helps(agents: int, load: float, handling: float, patience: float) -> None:
    one, more = (erlang_a(n, load, handling, patience, 20) for n in (agents, agents + 1))
    for found in (one, more):
        assert all(0 <= share <= 1 for share in (found.service_level, found.waits, found.abandoned, found.occupancy))
    assert more.service_level >= one.service_level - 1e-6
    assert more.abandoned <= one.abandoned + 1e-6
    assert 0 <= blocking(agents, load) <= 1


@pytest.mark.parametrize(
    "wrong",
    [{"service_level": 1.0}, {"service_level": 0.0}, {"max_occupancy": 0.0}, {"shrinkage": 1.0}, {"within": -1.0}, {"patience": 0.0}],
)  # fmt: skip
def test_a_target_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Target(**wrong)


def test_nobody_calls_nobody_is_needed() -> None:
    assert needed(0.0, 180.0, Target()).rostered == 0
    with pytest.raises(ValueError, match="more than"):
        needed(20_000.0, 180.0, Target())
