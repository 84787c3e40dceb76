"""From history to a forecast: profiles, holidays left out, handling times, and whether the band holds what it says."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from cti.staffing.demand import SLOTS, Observed, forecast, mean_presence, patience
from cti.staffing.need import Target
from cti.staffing.plan import plan

MONDAY = date(2026, 3, 2)


def poisson(chance: random.Random, mean: float) -> int:
    count, passed = 0, chance.expovariate(1.0)
    while passed < mean:
        count, passed = count + 1, passed + chance.expovariate(1.0)
    return count


def history(weeks: int, rate: dict[int, float], *, spread: float = 0.0, seed: int = 1) -> list[Observed]:
    """Mondays whose whole day is busier or quieter by a gamma factor of this coefficient of variation."""
    chance = random.Random(seed)
    out = []
    for week in range(weeks):
        factor = chance.gammavariate(1 / spread**2, spread**2) if spread else 1.0
        for slot, mean in rate.items():
            calls = poisson(chance, mean * factor)
            out.append(
                Observed(
                    day=MONDAY + timedelta(weeks=week), slot=slot, calls=calls, handled=calls, handling=calls * 200.0
                )
            )
    return out


RATE = {slot: 20.0 + 2 * (slot - 16) for slot in range(16, 36)}


def test_the_mean_of_the_weeks_is_expected() -> None:
    one = forecast(history(200, RATE), 0)
    assert len(one.slots) == SLOTS
    assert len(one.days) == 200
    for slot, mean in RATE.items():
        assert one.slots[slot].calls == pytest.approx(mean, rel=0.05)
        assert one.slots[slot].handling == pytest.approx(200)
    assert one.slots[3].calls == 0
    assert one.variation < 0.05  # chance explains all


def test_growth_is_a_factor_of_everything() -> None:
    plain, grown = (forecast(history(8, RATE), 0, growth=g) for g in (1.0, 1.25))
    assert grown.slots[20].calls == pytest.approx(1.25 * plain.slots[20].calls)
    assert grown.slots[20].high == pytest.approx(1.25 * plain.slots[20].high)


def test_the_variation_beyond_chance_is_found() -> None:
    assert forecast(history(300, RATE, spread=0.2, seed=3), 0).variation == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("spread", [0.0, 0.15, 0.3])
def test_the_band_holds_what_it_says(spread: float) -> None:
    """Of many centres with eight weeks of history, the true rate of the ninth Monday lies within the band in 80 %."""
    inside = outside = 0
    for seed in range(150):
        chance = random.Random(1000 + seed)
        one = forecast(history(8, RATE, spread=spread, seed=seed), 0)
        factor = chance.gammavariate(1 / spread**2, spread**2) if spread else 1.0
        for slot, mean in RATE.items():
            if one.slots[slot].low <= mean * factor <= one.slots[slot].high:
                inside += 1
            else:
                outside += 1
    # Where chance explains all, what is left of it now and then counts as variation: the band errs on the wide side.
    assert 0.74 <= inside / (inside + outside) <= (0.86 if spread else 0.9)


def test_holidays_and_days_named_teach_nothing() -> None:
    past = history(8, RATE)
    holiday = MONDAY + timedelta(weeks=3)
    past = [one for one in past if one.day != holiday]
    past.append(Observed(day=holiday, slot=20, calls=2, handled=2, handling=300))
    named = MONDAY + timedelta(weeks=5)
    one = forecast(past, 0, leave_out=[named])
    assert one.left_out == (holiday, named)
    assert len(one.days) == 6


def test_other_weekdays_are_not_mixed_in() -> None:
    past = history(4, RATE)
    past += [Observed(day=MONDAY + timedelta(days=1), slot=20, calls=900, handled=900, handling=900 * 50)]
    assert forecast(past, 0).slots[20].calls < 60
    assert forecast(past, 1).slots[20].calls == 900


def test_no_history_is_no_need() -> None:
    empty = plan(forecast([], 2), Target())
    assert {slot.need.agents for slot in empty.slots} == {0}
    assert empty.paid_hours == 0


def test_a_plan_has_its_band_around_it() -> None:
    planned = plan(forecast(history(8, RATE, spread=0.2), 0), Target(patience=90.0))
    for slot in planned.slots:
        assert slot.low <= slot.need.agents <= slot.high
    assert planned.slots[30].need.agents > planned.slots[17].need.agents
    assert planned.paid_hours > planned.agent_hours > 0


def test_patience_counts_the_waits_of_those_who_were_answered() -> None:
    chance = random.Random(5)
    waited, gone = 0.0, 0
    for _ in range(20_000):
        leaves, offered = chance.expovariate(1 / 100), chance.expovariate(1 / 30)
        waited += min(leaves, offered)
        gone += leaves < offered
    assert patience(waited, gone) == pytest.approx(100, rel=0.05)
    assert patience(500.0, 0) is None


def test_presence_is_agent_seconds_over_half_hours() -> None:
    days = [MONDAY, MONDAY + timedelta(weeks=1)]
    assert mean_presence({(days[0], 20): 3600.0, (days[1], 20): 7200.0}, days)[20] == 3.0
    assert mean_presence({}, []) == (0.0,) * SLOTS
